"""The API keys there are, for people: a list of them, and taking one away."""

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from app.tables import api_keys
from foundation import database
from foundation.errors import NotFound
from shop.tables import sources


@dataclass(frozen=True, slots=True)
class KeyLine:
    """One key as a list shows it: enough to recognise it, not to use it."""

    id: int
    source: str
    channel: str
    kind: str
    prefix: str
    created_at: datetime
    revoked_at: datetime | None


def every(conn: sa.Connection) -> list[KeyLine]:
    """All keys, those that still work first."""
    wanted = (
        sa.select(
            api_keys.c.id,
            sources.c.name.label("source"),
            sources.c.channel,
            api_keys.c.kind,
            api_keys.c.prefix,
            api_keys.c.created_at,
            api_keys.c.revoked_at,
        )
        .join(sources, sources.c.id == api_keys.c.source_id)
        .order_by(api_keys.c.revoked_at.is_not(None), api_keys.c.id.desc())
    )
    return database.read(conn, wanted, KeyLine)


def live(conn: sa.Connection, key_id: int) -> KeyLine:
    """One key that still works; raises `NotFound`."""
    found = next((one for one in every(conn) if one.id == key_id and one.revoked_at is None), None)
    if found is None:
        raise NotFound("no such key")
    return found


def revoke(conn: sa.Connection, key_id: int, *, now: datetime) -> None:
    """The key stops working, within the half minute a process may remember it; raises `NotFound`."""
    statement = sa.update(api_keys).where(api_keys.c.id == key_id, api_keys.c.revoked_at.is_(None))
    if conn.execute(statement.values(revoked_at=now)).rowcount == 0:
        raise NotFound("no such key")
