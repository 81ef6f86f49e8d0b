"""Who would have come into a draft in the last days: each way of entry asked of what is stored, in sets."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from campaigns import hearing, segment_parts, shelf, timing
from campaigns.definitions import shapes
from campaigns.definitions.entries import (
    BackInStock,
    CartAbandoned,
    DateEntry,
    EventEntry,
    PriceDropped,
    ProductAbandoned,
    Reentry,
    Schedule,
    SegmentEntry,
)
from campaigns.plans import Plan
from campaigns.rehearsal import Entrant
from shop.tables import customers, events
from shop.vocabulary import CART_NAMES, Name

MOST = 50_000
"""Entrants looked at; with more than that the figures are of the first ones, and said to be."""

Rows = Sequence[sa.RowMapping]


def entrants(
    conn: sa.Connection, plan: Plan, *, since: datetime, until: datetime, customer_id: int | None = None
) -> list[Entrant]:
    """Everybody who would have come in between these times, first come first, as re-entry allows; at most `MOST`.

    :param customer_id: looks for this one alone
    """
    kept: list[Entrant] = []
    last: dict[tuple[int, str], datetime] = {}
    for row in _rows(conn, plan, since=since, until=until, only=customer_id):
        one = Entrant(row["customer_id"], row["key"], row["at"], row["context"])
        apart = (one.customer_id, one.key if plan.definition.reentry.rule == "each_key" else "")
        if _may(plan.definition.reentry, last.get(apart), one.at):
            last[apart] = one.at
            kept.append(one)
        if len(kept) == MOST:
            break
    return kept


def _may(reentry: Reentry, before: datetime | None, at: datetime) -> bool:
    if before is None:
        return True
    return reentry.rule == "after" and at - before >= timedelta(days=reentry.days or 0)


def replayable(plan: Plan) -> bool:
    """Whether the past of what brings customers in is kept: that of the stock is not."""
    return not isinstance(plan.definition.entry, BackInStock)


def _rows(conn: sa.Connection, plan: Plan, *, since: datetime, until: datetime, only: int | None) -> Iterator[Any]:
    entry, span = plan.definition.entry, {"since": since, "until": until, "most": 4 * MOST, "only": only}
    match entry:
        case EventEntry() | SegmentEntry():
            yield from _heard(conn, hearing.as_event(entry), span)
        case CartAbandoned(delay=delay):
            names = [*CART_NAMES, Name.ORDER_COMPLETED]
            yield from _asked(conn, _CARTS, span | {"delay": shapes.length(delay), "names": names})
        case ProductAbandoned(delay=delay, views=views):
            yield from _asked(conn, _PRODUCTS, span | {"delay": shapes.length(delay), "views": views})
        case PriceDropped(percent=percent, interest=interest):
            given = {"percent": percent, "interest": shapes.length(interest), "names": list(shelf.INTEREST)}
            yield from _asked(conn, _PRICES, span | given)
        case Schedule() | DateEntry():
            yield from _timed(conn, entry, since=since, until=until, only=only)


def _asked(conn: sa.Connection, statement: str, given: dict[str, Any]) -> Rows:
    return conn.execute(sa.text(statement), given).mappings().all()


def _heard(conn: sa.Connection, entry: EventEntry, span: dict[str, Any]) -> Iterator[dict[str, Any]]:
    passes = [
        segment_parts.passes(
            test,
            segment_parts.property_text(test.property, events.c, events.c.properties),
            segment_parts.at_path(events.c.properties, test.property),
        )
        for test in entry.where
    ]
    query = (
        sa.select(events, events.c.key.label("event_key"), events.c.occurred_at.label("at"))
        .where(
            events.c.received_at >= span["since"],
            events.c.occurred_at.between(span["since"], span["until"]),
            events.c.name == entry.event,
            events.c.customer_id.is_not(None) if span["only"] is None else events.c.customer_id == span["only"],
            *passes,
        )
        .order_by(events.c.occurred_at)
        .limit(span["most"])
    )
    for row in conn.execute(query).mappings():
        one = hearing.newcomer(row, entry.key)
        if one.key:
            told = {**one.context.get("event", {}), **one.context}
            yield {"customer_id": one.customer_id, "key": one.key, "at": one.happened_at, "context": told}


_CARTS = """
SELECT customer_id, coalesce(cart_id, customer_id::text) AS key, at + :delay AS at,
    jsonb_build_object('cart_id', cart_id) AS context
FROM (
    SELECT customer_id, cart_id, name, occurred_at AS at,
        lead(occurred_at) OVER (PARTITION BY customer_id ORDER BY occurred_at) AS next
    FROM events WHERE received_at >= :since AND occurred_at BETWEEN :since AND :until AND name = ANY(:names)
        AND (CAST(:only AS bigint) IS NULL OR customer_id = :only)
) AS moves
WHERE customer_id IS NOT NULL AND name NOT IN ('Order Completed', 'Product Removed')
    AND at + :delay <= :until AND (next IS NULL OR next > at + :delay)
ORDER BY at LIMIT :most
"""
"""Carts that nobody touched for so long, the customer's order being a touch as well."""

_PRODUCTS = """
SELECT customer_id, product_id AS key, at + :delay AS at, jsonb_build_object('product_id', product_id) AS context
FROM (
    SELECT customer_id, product_id, name, occurred_at AS at,
        row_number() OVER (PARTITION BY customer_id, product_id ORDER BY occurred_at) AS views,
        lead(occurred_at) OVER (PARTITION BY customer_id, product_id ORDER BY occurred_at) AS next
    FROM events WHERE received_at >= :since AND occurred_at BETWEEN :since AND :until
        AND name IN ('Product Viewed', 'Product Added') AND product_id IS NOT NULL AND customer_id IS NOT NULL
        AND (CAST(:only AS bigint) IS NULL OR customer_id = :only)
) AS looked
WHERE name = 'Product Viewed' AND views >= :views AND at + :delay <= :until AND (next IS NULL OR next > at + :delay)
    AND NOT EXISTS (SELECT FROM order_lines WHERE order_lines.customer_id = looked.customer_id
        AND order_lines.product_id = looked.product_id AND ordered_at BETWEEN at - :delay AND at + :delay)
ORDER BY at LIMIT :most
"""

_PRICES = """
WITH changed AS (
    SELECT product_id, at, price, lag(price) OVER (PARTITION BY product_id ORDER BY at) AS was FROM product_prices
), dropped AS (
    SELECT changed.*, (SELECT min(other.price) FROM changed AS other WHERE other.product_id = changed.product_id
        AND other.at < changed.at AND other.at > changed.at - interval '30 days') AS lowest
    FROM changed WHERE at BETWEEN :since AND :until AND price < was
)
SELECT DISTINCT customer_id, product_id || '@' || dropped.at::date AS key, dropped.at AS at,
    jsonb_build_object('product_id', product_id) AS context
FROM dropped JOIN events USING (product_id)
WHERE price * 100 <= coalesce(lowest, was) * (100 - :percent) AND customer_id IS NOT NULL
    AND events.name = ANY(:names) AND events.occurred_at BETWEEN dropped.at - :interest AND dropped.at
    AND events.received_at >= CAST(:since AS timestamptz) - :interest
    AND (CAST(:only AS bigint) IS NULL OR customer_id = :only)
ORDER BY at LIMIT :most
"""


def _timed(
    conn: sa.Connection, entry: Schedule | DateEntry, *, since: datetime, until: datetime, only: int | None
) -> Iterator[dict[str, Any]]:
    """The audience as it is today stands for that of each day: what it was then is not kept."""
    zones = timing.zones(conn, entry.zone)
    found = timing.slots(entry, zones, since=since, now=until, look_back=(until - since).days + 1)
    for slot in sorted(found, key=lambda slot: slot.at):
        audience = timing.audience(entry, slot, now=until).limit(MOST)
        query = audience if only is None else audience.where(customers.c.id == only)
        for row in conn.execute(query).mappings():
            yield {"customer_id": row["customer_id"], "key": row["entry_key"], "at": slot.at, "context": {}}
