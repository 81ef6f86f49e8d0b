"""Training runs as they are kept: asked for, begun, followed, ended, and read by people.

Whoever trains holds a lock on the database while it lives, so two never train at once, and a run without its lock was
killed: it is shown so at once, and closed by the next one.
"""

import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from foundation import database
from foundation.database import Database
from foundation.errors import Conflict
from recommender.tables import live_model, models, training_runs

KILLED = "killed before its end"

_LOCK = 7263, zlib.crc32(b"training run")
_HELD = f"""EXISTS (
    SELECT FROM pg_locks WHERE locktype = 'advisory' AND classid = {_LOCK[0]} AND objid = {_LOCK[1]} AND granted
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
)"""


# --------------------------------------------------------------------------------------------------- writing
@contextmanager
def alone(db: Database) -> Iterator[None]:
    """Holds the lock of training; raises `Conflict` if another process does. It falls with the process."""
    key = {"key": _LOCK[0] << 32 | _LOCK[1]}
    with db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as lock:
        if not lock.scalar(sa.text("SELECT pg_try_advisory_lock(:key)"), key):
            raise Conflict("training", "Another training run is going on.")
        try:
            yield
        finally:
            with suppress(sa.exc.OperationalError):  # a database that went away meanwhile has let go of it
                lock.execute(sa.text("SELECT pg_advisory_unlock(:key)"), key)


def ask(conn: sa.Connection, *, by: str, now: datetime) -> None:
    """Asks for a run, which the scheduler takes up; asking again while one is asked for changes nothing."""
    row = {"started_at": now, "state": "asked", "asked_by": by}
    conn.execute(postgresql.insert(training_runs).values(row).on_conflict_do_nothing())


def is_due(conn: sa.Connection) -> bool:
    """Whether a run is asked for and none is going on."""
    asked = sa.exists().where(training_runs.c.state == "asked")
    return bool(conn.scalar(sa.select(asked & ~sa.literal_column(_HELD, sa.Boolean))))


def begin(conn: sa.Connection, *, now: datetime) -> int:
    """The number of a new run, or of the one asked for. Called under the lock: what still runs was killed."""
    _closed(conn, now)
    asked = sa.update(training_runs).where(training_runs.c.state == "asked")
    begun: int | None = conn.scalar(asked.values(state="running", started_at=now).returning(training_runs.c.id))
    if begun is None:
        made = sa.insert(training_runs).values(state="running", started_at=now)
        begun = conn.execute(made.returning(training_runs.c.id)).scalar_one()
    return begun


def _closed(conn: sa.Connection, now: datetime) -> None:
    killed = sa.update(training_runs).where(training_runs.c.state == "running")
    conn.execute(killed.values(state="failed", reason=KILLED, finished_at=now))


def note(conn: sa.Connection, run_id: int, *, step: str, done: int, of: int) -> None:
    """How far a run is."""
    _change(conn, run_id, progress={"step": step, "done": done, "of": of})


def end(conn: sa.Connection, run_id: int, *, now: datetime, **values: object) -> None:
    """What became of a run; raises `Conflict` if it was ended already, as by a run that took it for killed."""
    if not _change(conn, run_id, finished_at=now, **values):
        raise Conflict("ended", f"Run {run_id} was ended by another process.")


def _change(conn: sa.Connection, run_id: int, **values: object) -> bool:
    mine = (training_runs.c.id == run_id) & (training_runs.c.state == "running")
    return conn.execute(sa.update(training_runs).where(mine).values(**values)).rowcount == 1


# --------------------------------------------------------------------------------------------------- reading
@dataclass(frozen=True, slots=True)
class RunLine:
    """One run as it was recorded. `live` says whether its model serves now, `kept` whether it still could."""

    id: int
    started_at: datetime
    finished_at: datetime | None
    state: str
    reason: str | None
    asked_by: str | None
    progress: dict[str, Any]
    window: dict[str, Any]
    results: list[dict[str, Any]]
    report: dict[str, Any]
    model_id: int | None
    live: bool
    kept: bool

    @property
    def took(self) -> timedelta | None:
        """How long it lasted; None while it lasts."""
        return self.finished_at - self.started_at if self.finished_at else None

    @property
    def pending(self) -> bool:
        """Whether it is still to end."""
        return self.state in ("asked", "running")

    def result(self, algorithm: str) -> dict[str, Any]:
        """The figures of one algorithm, if the run came that far."""
        return next((result for result in self.results if result["algorithm"] == algorithm), {})

    def figure(self, algorithm: str, name: str) -> float | None:
        """One figure of one algorithm, if the run came that far."""
        found: float | None = self.result(algorithm).get(name)
        return found


def latest(conn: sa.Connection, *, limit: int = 20) -> list[RunLine]:
    """The last runs, newest first."""
    return database.read(conn, _lines().order_by(training_runs.c.id.desc()).limit(limit), RunLine)


def get(conn: sa.Connection, run_id: int) -> RunLine | None:
    """One run."""
    return next(iter(database.read(conn, _lines().where(training_runs.c.id == run_id), RunLine)), None)


def live(conn: sa.Connection) -> RunLine | None:
    """The run whose model serves now, however long ago it was."""
    serving = sa.select(live_model.c.model_id).scalar_subquery()
    return next(iter(database.read(conn, _lines().where(training_runs.c.model_id == serving), RunLine)), None)


def _lines() -> sa.Select[Any]:
    """Runs as lines; one that says it runs and holds no lock was killed."""
    serving = sa.select(live_model.c.model_id).scalar_subquery()
    kept = sa.exists().where(models.c.id == training_runs.c.model_id)
    killed = (training_runs.c.state == "running") & ~sa.literal_column(_HELD, sa.Boolean)
    columns = [column for column in training_runs.c if column.name not in ("state", "reason")]
    return sa.select(
        *columns,
        sa.case((killed, "failed"), else_=training_runs.c.state).label("state"),
        sa.case((killed, KILLED), else_=training_runs.c.reason).label("reason"),
        sa.func.coalesce(training_runs.c.model_id == serving, sa.false()).label("live"),
        kept.label("kept"),
    )
