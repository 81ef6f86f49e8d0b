"""Who changed what in the console: a line for every act, which nobody can change or take away."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from app import users
from app.tables import change_log
from foundation import database


@dataclass(frozen=True, slots=True)
class Line:
    """One act: `act` is a stable word, `subject` what it was done to, `detail` what else is known."""

    id: int
    at: datetime
    user_id: int | None
    by: str
    act: str
    subject: str
    detail: Mapping[str, Any]


def note(
    conn: sa.Connection,
    user: users.User | None,
    act: str,
    *,
    subject: str = "",
    detail: Mapping[str, Any] | None = None,
    now: datetime,
) -> None:
    """Writes a line in the transaction of the change itself."""
    row = {"user_id": user.id if user else None, "by": (user.name or user.email) if user else "", "act": act}
    conn.execute(sa.insert(change_log).values(**row, subject=subject[:300], detail=dict(detail or {}), at=now))


def read(conn: sa.Connection, *, user_id: int | None = None, before: int | None = None, limit: int) -> list[Line]:
    """The last acts, of one person if asked, older than the line `before`."""
    wanted = sa.select(change_log).order_by(change_log.c.id.desc()).limit(limit)
    if user_id is not None:
        wanted = wanted.where(change_log.c.user_id == user_id)
    if before is not None:
        wanted = wanted.where(change_log.c.id < before)
    return database.read(conn, wanted, Line)
