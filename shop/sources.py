"""Who sends us events: a site, an app, a till, a file, Relance itself."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from foundation import database
from shop.tables import event_counts, sources
from shop.vocabulary import Source

SILENT = timedelta(hours=3)
DAY, WEEK = timedelta(days=1), timedelta(days=7)


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


def silent(conn: sa.Connection, *, now: datetime) -> Sequence[Sender]:
    """Sources that have said nothing for three hours, though they spoke in the same hours a week ago (yesterday, if
    they are younger): a shop that is closed is not silent. Who has said nothing for a week is no longer expected."""
    young = sources.c.created_at > now - WEEK - SILENT
    span = sa.case((young, sa.literal(DAY, sa.Interval)), else_=sa.literal(WEEK, sa.Interval))
    then = sa.literal(now, sa.DateTime(timezone=True)) - span
    spoke = sa.exists().where(
        event_counts.c.source_id == sources.c.id,
        event_counts.c.accepted > 0,
        event_counts.c.minute.between(then - SILENT, then),
    )
    last = sources.c.last_event_at
    query = sa.select(sources).where(last > now - WEEK, last < now - SILENT, spoke).order_by(sources.c.name)
    return database.read(conn, query, Sender)
