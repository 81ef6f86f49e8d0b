"""Who sends us events: a site, an app, a till, a file, Relance itself."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from foundation import database
from shop.tables import sources
from shop.vocabulary import Source


@dataclass(frozen=True, slots=True)
class Sender:
    """A source as it stands: when it was last heard."""

    id: int
    name: str
    channel: str
    created_at: datetime
    last_event_at: datetime | None


def source(conn: sa.Connection, name: str, *, channel: str, now: datetime, trusted: bool = False) -> Source:
    """The source of this name, made if there is none yet. Its channel is the one it was first given."""
    conn.execute(postgresql.insert(sources).values(name=name, channel=channel, created_at=now).on_conflict_do_nothing())
    row = conn.execute(sa.select(sources.c.id, sources.c.channel).where(sources.c.name == name)).one()
    return Source(row.id, name, row.channel, trusted)


def senders(conn: sa.Connection) -> Sequence[Sender]:
    """Every source, by name."""
    return database.read(conn, sa.select(sources).order_by(sources.c.name), Sender)
