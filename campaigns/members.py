"""Reading who is in a segment: members, who came and went, and how large it was."""

import random
from datetime import date, datetime

import sqlalchemy as sa

from campaigns import tables

kept, members, moves, sizes = tables.segments, tables.segment_members, tables.segment_moves, tables.segment_sizes


def inside(conn: sa.Connection, segment_id: int, customer_id: int) -> bool:
    """Whether she is a member."""
    query = sa.select(members.c.since).where(members.c.segment_id == segment_id, members.c.customer_id == customer_id)
    return conn.scalar(query) is not None


def some(conn: sa.Connection, segment_id: int, *, limit: int) -> list[int]:
    """A few members, from a place by lot on: no list is gone through for them."""
    mine = members.c.segment_id == segment_id
    last = conn.scalar(sa.select(sa.func.max(members.c.customer_id)).where(mine)) or 0
    start = members.c.customer_id >= random.randint(0, last)
    query = sa.select(members.c.customer_id).where(mine).order_by(members.c.customer_id).limit(limit)
    return list(conn.scalars(query.where(start)))


def moves_of(conn: sa.Connection, segment_id: int, customer_id: int) -> list[tuple[datetime, bool]]:
    """When she came (true) and went (false), newest first, at most twenty."""
    query = sa.select(moves.c.at, moves.c.entered).where(
        moves.c.segment_id == segment_id, moves.c.customer_id == customer_id
    )
    return [(row.at, row.entered) for row in conn.execute(query.order_by(moves.c.id.desc()).limit(20))]


def sizes_since(conn: sa.Connection, segment_id: int, *, since: date) -> list[tuple[date, int]]:
    """The last size of each day on which it changed, oldest first."""
    query = sa.select(sizes.c.day, sizes.c.size).where(sizes.c.segment_id == segment_id, sizes.c.day >= since)
    return [(row.day, row.size) for row in conn.execute(query.order_by(sizes.c.day))]


def shared(conn: sa.Connection, one: int, other: int) -> int:
    """How many customers are in both segments."""
    theirs = members.alias("theirs")
    both = sa.and_(theirs.c.customer_id == members.c.customer_id, theirs.c.segment_id == other)
    query = sa.select(sa.func.count()).select_from(members.join(theirs, both)).where(members.c.segment_id == one)
    return conn.scalar(query) or 0


def grown(conn: sa.Connection, *, since: date) -> dict[int, int]:
    """By how many each segment grew since a day, by its id; those without a size of then are missing."""
    first = sa.select(sa.func.min(sizes.c.day)).where(sizes.c.segment_id == kept.c.id, sizes.c.day >= since)
    then = sa.and_(sizes.c.segment_id == kept.c.id, sizes.c.day == first.correlate(kept).scalar_subquery())
    query = sa.select(kept.c.id, kept.c.size - sizes.c.size).join(sizes, then).where(kept.c.size.is_not(None))
    return {segment: difference for segment, difference in conn.execute(query)}
