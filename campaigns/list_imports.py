"""Files of customers handed in by the console: made a list beside the request, with what became of each."""

import logging
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from campaigns import list_tables, segment_lists
from foundation import database
from foundation.database import Database
from foundation.errors import Invalid, RelanceError

log = logging.getLogger(__name__)
imports = list_tables.list_imports

STALE = timedelta(minutes=10)
"""A file that is not a list by then was given up with its process; it may be handed in again."""
TOLD = timedelta(hours=1)
SHOWN, KEPT = 3, 50


@dataclass(frozen=True, slots=True)
class Import:
    """One file, the segment it becomes, and how many customers and strangers it named."""

    id: int
    name: str
    title: str
    file: str
    by: str
    state: str
    found: int
    unknown: int
    detail: str | None
    started_at: datetime

    def stopped(self, now: datetime) -> bool:
        """Whether nobody works on it any more although it is not done."""
        return self.state == "running" and now - self.started_at > STALE

    def running(self, now: datetime) -> bool:
        """Whether it is still being read."""
        return self.state == "running" and not self.stopped(now)


def latest(conn: sa.Connection, *, now: datetime) -> list[Import]:
    """The last files of the last hour, newest first."""
    wanted = sa.select(imports).where(imports.c.started_at > now - TOLD)
    return database.read(conn, wanted.order_by(imports.c.id.desc()).limit(SHOWN), Import)


def begin(conn: sa.Connection, name: str, *, title: str, path: Path, file: str, by: str, now: datetime) -> int:
    """Notes that a file was handed in; raises what `segment_lists.put` would refuse at once."""
    segment_lists.check(conn, name, title=title, path=path)
    row = {"name": name, "title": title, "file": file[:200], "by": by, "state": "running", "started_at": now}
    made: int = conn.execute(sa.insert(imports).values(row).returning(imports.c.id)).scalar_one()
    conn.execute(sa.delete(imports).where(imports.c.id <= made - KEPT))
    return made


def run(db: Database, number: int, name: str, *, title: str, path: Path, now: datetime) -> None:
    """Makes the list and keeps what came of it. Manages its own transactions; never raises what is the file's fault."""
    try:
        done = segment_lists.put(db, name, title=title, path=path, now=now)
        _keep(db, number, state="done", found=done.found, unknown=done.unknown)
    except Invalid as refused:
        _keep(db, number, state="failed", detail=refused.faults[0].detail[:500])
    except RelanceError as refused:
        _keep(db, number, state="failed", detail=str(refused)[:500])
    except Exception:
        log.exception("list import failed", extra={"import": number})
        _keep(db, number, state="failed", detail="")


def _keep(db: Database, number: int, **values: Any) -> None:
    with db.begin() as conn:
        conn.execute(sa.update(imports).where(imports.c.id == number).values(**values, finished_at=datetime.now(UTC)))
