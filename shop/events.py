"""Reading what came in: how many events a minute, and what was refused and why."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from foundation import database
from shop.tables import event_counts, events, products, refused_events, sources

REVIEW_LENGTH = 280


@dataclass(frozen=True, slots=True)
class Minute:
    """What one source sent in one minute."""

    source_id: int
    minute: datetime
    accepted: int
    repeated: int
    refused: int


@dataclass(frozen=True, slots=True)
class Refused:
    """One event that was turned away: why, where it was wrong, and what was sent."""

    id: int
    source_id: int
    source: str
    received_at: datetime
    reason: str
    faults: list[dict[str, Any]]
    payload: str


@dataclass(frozen=True, slots=True)
class Review:
    """What somebody said of a product, without saying who."""

    product_id: str
    stars: int
    text: str


_REVIEWS = """
SELECT product_id, stars, body FROM unnest(CAST(:products AS text[])) AS wanted (product_id)
CROSS JOIN LATERAL (
    SELECT (properties->>'rating')::numeric::int AS stars, btrim(properties->>'review_body') AS body FROM events
    WHERE name = 'Product Reviewed' AND events.product_id = wanted.product_id
        AND properties->>'rating' ~ '^[1-5]([.][0-9]{1,3})?$' AND length(btrim(properties->>'review_body')) > 0
        AND (properties->>'rating')::numeric >= :least
    ORDER BY occurred_at DESC LIMIT :most
) AS said
"""


def reviews(
    conn: sa.Connection, product_ids: Collection[str], *, least: int = 4, most: int = 2
) -> dict[str, list[Review]]:
    """The latest reviews of each product with at least so many stars out of five, at most so many a product."""
    found: dict[str, list[Review]] = {}
    given = {"products": sorted(product_ids), "least": least, "most": most}
    for product_id, stars, text in conn.execute(sa.text(_REVIEWS), given) if product_ids else ():
        found.setdefault(product_id, []).append(Review(product_id, stars, text[:REVIEW_LENGTH]))
    return found


def per_minute(conn: sa.Connection, since: datetime) -> Sequence[Minute]:
    """Counts by minute and source from `since` on, oldest first; minutes without events are left out."""
    counts = event_counts.c
    query = (
        sa.select(
            counts.source_id,
            counts.minute,
            sa.func.sum(counts.accepted).label("accepted"),
            sa.func.sum(counts.repeated).label("repeated"),
            sa.func.sum(counts.refused).label("refused"),
        )
        .where(counts.minute >= since)
        .group_by(counts.source_id, counts.minute)
        .order_by(counts.minute, counts.source_id)
    )
    return database.read(conn, query, Minute)


def refused(conn: sa.Connection, *, before: int | None = None, limit: int = 50) -> Sequence[Refused]:
    """Refused events, newest first, from below id `before`."""
    query = sa.select(refused_events, sources.c.name.label("source")).join(
        sources, sources.c.id == refused_events.c.source_id
    )
    if before is not None:
        query = query.where(refused_events.c.id < before)
    return database.read(conn, query.order_by(refused_events.c.id.desc()).limit(limit), Refused)


@dataclass(frozen=True, slots=True)
class Latest:
    """One event as it came in, with the product's title if it concerns one."""

    occurred_at: datetime
    name: str
    customer_id: int | None
    channel: str
    product_id: str | None
    title: str | None
    order_id: str | None


def latest(conn: sa.Connection, *, limit: int) -> Sequence[Latest]:
    """The events that came in last, newest first; only the last minutes that hold enough of them are looked at."""
    since = _since(conn, limit)
    if since is None:
        return []
    newest = (events.c.received_at.desc(), events.c.occurred_at.desc())
    found = sa.select(events).where(events.c.received_at >= since).order_by(*newest).limit(limit).subquery()
    query = (
        sa.select(
            found.c.occurred_at,
            found.c.name,
            found.c.customer_id,
            sa.func.coalesce(found.c.properties["message_channel"].astext, found.c.channel).label("channel"),
            found.c.product_id,
            products.c.title,
            found.c.order_id,
        )
        .outerjoin(products, products.c.product_id == found.c.product_id)
        .order_by(found.c.received_at.desc(), found.c.occurred_at.desc())
    )
    return database.read(conn, query, Latest)


def _since(conn: sa.Connection, wanted: int) -> datetime | None:
    """The minute from which on at least so many events came in; looks back over the last minutes that had any."""
    counts = event_counts.c
    minutes = (
        sa.select(counts.minute, sa.func.sum(counts.accepted))
        .where(counts.accepted > 0)
        .group_by(counts.minute)
        .order_by(counts.minute.desc())
        .limit(wanted)
    )
    held, since = 0, None
    for minute, accepted in conn.execute(minutes):
        held, since = held + accepted, minute
        if held >= wanted:
            break
    return since
