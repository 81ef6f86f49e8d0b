"""Files of codes handed in by the console: taken in beside the request, with how far each is and what became of it."""

import logging
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from campaigns import code_pool, offer_figures, offers, promo_tables
from foundation import database
from foundation.database import Database
from foundation.errors import RelanceError

log = logging.getLogger(__name__)
imports = promo_tables.pool_imports

STALE = timedelta(seconds=60)
"""An import that says nothing for so long was ended with its process; the file may be handed in again."""
TOLD_EVERY = 0.5


@dataclass(frozen=True, slots=True)
class Import:
    """One file, how much of it was read (0 to 1), and its report; `faults` are the first refused lines."""

    id: int
    file: str
    by: str
    state: str
    share: float
    accepted: int
    repeated: int
    refused: int
    faults: list[dict[str, Any]]
    detail: str | None
    started_at: datetime
    moved_at: datetime

    def stopped(self, now: datetime) -> bool:
        """Whether nobody works on it any more although it is not done."""
        return self.state == "running" and now - self.moved_at > STALE


def latest(conn: sa.Connection, offer_id: int, *, limit: int = 5) -> list[Import]:
    """The files handed in last, newest first."""
    wanted = sa.select(imports).where(imports.c.offer_id == offer_id).order_by(imports.c.id.desc()).limit(limit)
    return database.read(conn, wanted, Import)


def begin(conn: sa.Connection, name: str, *, file: str, by: str, now: datetime) -> int:
    """Notes that a file was handed in for an offer's pool; raises what `code_pool.fill` would refuse at once."""
    offer = code_pool.pooled(conn, name)
    row = {"offer_id": offer.id, "file": file[:200], "by": by, "state": "running", "share": 0.0}
    made: int = conn.execute(
        sa.insert(imports).values(**row, started_at=now, moved_at=now).returning(imports.c.id)
    ).scalar_one()
    return made


def run(db: Database, number: int, name: str, *, path: Path, now: datetime) -> None:
    """Takes the file in, says how far it is, and keeps the report. Manages its own transactions; never raises what is
    the file's fault."""
    told = [0.0]

    def progress(done: int, of: int | None) -> None:
        if time.monotonic() - told[0] > TOLD_EVERY:
            told[0] = time.monotonic()
            _keep(db, number, share=done / (of or 1))

    try:
        report = code_pool.fill(db, name, path=path, now=now, progress=progress)
        with db.begin() as conn:
            offer_figures.count(conn, offers.get(conn, name).id, now=now)
        counts = {what: getattr(report, what) for what in ("accepted", "repeated", "refused")}
        faults = [{"line": row.line, "reason": row.reason, "code": _first(row.cells)} for row in report.some]
        _keep(db, number, state="done", share=1.0, faults=faults, **counts)
    except RelanceError as refused:
        _keep(db, number, state="failed", detail=str(refused)[:500])
    except Exception:
        log.exception("pool import failed", extra={"import": number})
        _keep(db, number, state="failed", detail="")


def _first(cells: Any) -> str:
    return str(next(iter(cells), "") or "")[:100]


def _keep(db: Database, number: int, **values: Any) -> None:
    with db.begin() as conn:
        conn.execute(sa.update(imports).where(imports.c.id == number).values(**values, moved_at=datetime.now(UTC)))
