"""A write that carries an Idempotency-Key happens once: a repeat gets the first answer back."""

from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from app.tables import idempotency
from foundation.errors import Conflict

KEPT = timedelta(hours=24)
LONGEST = 255


@dataclass(frozen=True, slots=True)
class Answer:
    """What was answered."""

    status: int
    body: str


def earlier(conn: sa.Connection, *, key_id: int, name: str, request_hash: bytes, now: datetime) -> Answer | None:
    """The answer of the first request under this name; None if this is the first.

    The row is written in the transaction that does the work. A second request that comes meanwhile waits here for
    the first to commit; if the first fails, its row goes with it and the second does the work.
    """
    values = {"key_id": key_id, "idempotency_key": name, "request_hash": request_hash, "created_at": now}
    again = {"request_hash": request_hash, "created_at": now, "status": None, "body": None}
    statement = postgresql.insert(idempotency).values(**values)
    statement = statement.on_conflict_do_update(
        index_elements=["key_id", "idempotency_key"], set_=again, where=idempotency.c.created_at < now - KEPT
    )
    if conn.execute(statement.returning(idempotency.c.key_id)).first():
        return None
    row = conn.execute(sa.select(idempotency).where(_is(key_id, name))).one()
    if row.request_hash != request_hash:
        raise Conflict("idempotency_key_reused", "This Idempotency-Key was used for a different request.")
    return Answer(row.status, row.body)


def keep(conn: sa.Connection, *, key_id: int, name: str, answer: Answer) -> None:
    """Keeps the answer for repeats."""
    values = {"status": answer.status, "body": answer.body}
    conn.execute(sa.update(idempotency).where(_is(key_id, name)).values(**values))


def _is(key_id: int, name: str) -> sa.ColumnElement[bool]:
    return sa.and_(idempotency.c.key_id == key_id, idempotency.c.idempotency_key == name)
