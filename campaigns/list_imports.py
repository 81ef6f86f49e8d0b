"""Files of customers handed in by the console: made a list beside the request, with what became of each."""

import logging
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from campaigns import list_tables, membership, segment_lists, segments
from foundation import database
from foundation.database import Database
from foundation.errors import Conflict, Invalid, RelanceError

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
    """Makes the list and keeps what came of it, together. Files that are read at the same time may end in any order:
    what was handed in last stays. Manages its own transactions; never raises what is the file's fault."""
    try:
        definition, named = segments.parse({"name": name, "title": title}), segment_lists.read(path)
        with db.begin() as conn:
            membership.take_turn(conn)
            _refuse_replaced(conn, number, name)
            done = segment_lists.place(conn, definition, named, now=now)
            _keep(conn, number, state="done", found=done.found, unknown=done.unknown)
    except Invalid as refused:
        _failed(db, number, refused.faults[0].detail)
    except RelanceError as refused:
        _failed(db, number, str(refused))
    except Exception:
        log.exception("list import failed", extra={"import": number})
        _failed(db, number, "")


def _refuse_replaced(conn: sa.Connection, number: int, name: str) -> None:
    later = sa.exists().where(imports.c.name == name, imports.c.id > number, imports.c.state == "done")
    if conn.scalar(sa.select(later)):
        raise Conflict("replaced", "was replaced by a later file")


def _failed(db: Database, number: int, detail: str) -> None:
    with db.begin() as conn:
        _keep(conn, number, state="failed", detail=detail[:500])


def _keep(conn: sa.Connection, number: int, **values: Any) -> None:
    conn.execute(sa.update(imports).where(imports.c.id == number).values(**values, finished_at=datetime.now(UTC)))
