"""Runs one timed job: one process at a time by advisory lock, one log line, one row in the job ledger."""

import logging
import os
import socket
import time
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from foundation.database import Database, Time, metadata, read

log = logging.getLogger(__name__)

job_runs = sa.Table(
    "job_runs",
    metadata,
    sa.Column("job", sa.Text, primary_key=True),
    sa.Column("started_at", Time, nullable=False),
    sa.Column("finished_at", Time),
    sa.Column("seconds", sa.Float),
    sa.Column("outcome", sa.Text, comment="what the job said it did; the error's text if it failed"),
    sa.Column("failed", sa.Boolean, nullable=False, server_default=sa.text("false")),
    sa.Column("failures_in_a_row", sa.Integer, nullable=False, server_default="0"),
    comment="The last run of each timed job",
)

heartbeats = sa.Table(
    "heartbeats",
    metadata,
    sa.Column("process", sa.Text, primary_key=True, comment="host and process id"),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("started_at", Time, nullable=False),
    sa.Column("beat_at", Time, nullable=False),
)

STALE = timedelta(seconds=30)
"""A scheduler that has not beaten for this long is taken for dead."""


def run(db: Database, name: str, work: Callable[[datetime], str | None]) -> bool:
    """Runs `work(now)` unless another process is running the job of this name; True if it ran.

    An error is logged and kept in the ledger, never raised: the timetable must go on.
    """
    with db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as lock:
        key = 7263 << 32 | zlib.crc32(name.encode())
        if not lock.scalar(sa.text("SELECT pg_try_advisory_lock(:key)"), {"key": key}):
            return False
        try:
            _run_and_record(db, name, work)
        finally:
            lock.execute(sa.text("SELECT pg_advisory_unlock(:key)"), {"key": key})
    return True


def _run_and_record(db: Database, name: str, work: Callable[[datetime], str | None]) -> None:
    now, clock, outcome, failed = datetime.now(UTC), time.monotonic(), None, False
    try:
        outcome = work(now)
    except Exception as error:
        outcome, failed = f"{type(error).__name__}: {error}"[:500], True
        log.exception("job failed", extra={"job": name})
    seconds = time.monotonic() - clock
    row = {
        "job": name,
        "started_at": now,
        "finished_at": now + timedelta(seconds=seconds),
        "seconds": seconds,
        "outcome": outcome,
        "failed": failed,
    }
    statement = postgresql.insert(job_runs).values(**row, failures_in_a_row=int(failed))
    again = sa.case((sa.literal(failed), job_runs.c.failures_in_a_row + 1), else_=0)
    with db.begin() as conn:
        conn.execute(statement.on_conflict_do_update(index_elements=["job"], set_={**row, "failures_in_a_row": again}))
    if outcome and not failed:
        log.info("job done", extra={"job": name, "outcome": outcome, "seconds": round(seconds, 3)})


@dataclass(frozen=True, slots=True)
class JobRun:
    """The last run of one job."""

    job: str
    started_at: datetime
    finished_at: datetime | None
    seconds: float | None
    outcome: str | None
    failed: bool
    failures_in_a_row: int


def last_runs(conn: sa.Connection) -> list[JobRun]:
    """The ledger: one line a job, the last to run first."""
    return read(conn, sa.select(job_runs).order_by(job_runs.c.started_at.desc()), JobRun)


def beat(db: Database, kind: str, *, started_at: datetime, now: datetime) -> None:
    """Writes that this process is alive, and forgets processes silent for a day."""
    process = f"{socket.gethostname()}:{os.getpid()}"
    statement = postgresql.insert(heartbeats).values(process=process, kind=kind, started_at=started_at, beat_at=now)
    with db.begin() as conn:
        conn.execute(statement.on_conflict_do_update(index_elements=["process"], set_={"beat_at": now}))
        conn.execute(sa.delete(heartbeats).where(heartbeats.c.beat_at < now - timedelta(days=1)))


def last_beat(conn: sa.Connection, kind: str) -> datetime | None:
    """When a process of this kind was last known alive."""
    beat_at: datetime | None = conn.scalar(
        sa.select(sa.func.max(heartbeats.c.beat_at)).where(heartbeats.c.kind == kind)
    )
    return beat_at
