"""Who sends us events: a site, an app, a till, a file, Relance itself."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from foundation import database
from shop import silence
from shop.tables import event_counts, sources
from shop.vocabulary import Source

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
    """Sources that have said nothing for three hours, though they said so much in the same hours a week ago (yesterday,
    if they are younger) that it can hardly be chance: neither a shop that is closed is silent, nor one that few visit.
    Who has said nothing for a week is no longer expected."""
    last = sources.c.last_event_at
    query = sa.select(sources).where(last > now - WEEK, last < now - silence.SPAN).order_by(sources.c.name)
    quiet = database.read(conn, query, Sender)
    before = _before(conn, quiet, now=now)
    return [sender for sender in quiet if silence.telling(before[sender.id])]


def _before(conn: sa.Connection, quiet: Sequence[Sender], *, now: datetime) -> dict[int, list[int]]:
    """How many events each sent by each step of the span that now is compared with."""
    before = {sender.id: [0] * silence.STEPS for sender in quiet}
    counts = event_counts.c
    young = sources.c.created_at > now - WEEK - silence.SPAN
    ago = sa.case((young, sa.literal(DAY, sa.Interval)), else_=sa.literal(WEEK, sa.Interval))
    until = sa.literal(now, sa.DateTime(timezone=True)) - ago
    since = until - sa.literal(silence.SPAN, sa.Interval)
    seconds = sa.extract("epoch", counts.minute - since)
    step = sa.cast(sa.func.floor(seconds / silence.STEP.total_seconds()), sa.Integer).label("step")
    query = (
        sa.select(counts.source_id, step, sa.func.sum(counts.accepted))
        .join(sources, sources.c.id == counts.source_id)
        .where(counts.source_id.in_(before), counts.minute >= since, counts.minute < until)
        .group_by(counts.source_id, step)
    )
    for source_id, at, accepted in conn.execute(query):
        before[source_id][at] = accepted
    return before
