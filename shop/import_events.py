"""Stores staged events and orders, with the customers, order lines and profiles they make, in sets.

What only adds (an order of the past, a view, a custom event) is stored by a few statements a chunk. What changes
something stored earlier (a cart, a refund, two ids to be joined, an order of somebody whose cart is open) goes through
`ingest`, in the order it happened: one meaning, whichever way an event comes.

Each chunk is one short transaction and holds all that its events do, so a killed import is finished by running it
again: stored events are met by their key. Customers, then orders, then profiles are written in the order of their
keys, as `ingest` does, and customers are made in a transaction before, so that visitors hardly wait.
"""

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from foundation import database
from shop import customers, import_staging, ingest, profiles, vocabulary
from shop.changes import What
from shop.import_blocks import Refused
from shop.vocabulary import Event, Name, Refusal, Source

SLOW_BATCH = 500
LATE = -1
"""The chunk of those found to have an open cart."""


@dataclass(frozen=True, slots=True)
class Stored:
    """What became of some rows of the file."""

    accepted: int = 0
    repeated: int = 0
    refused: tuple[Refused, ...] = ()


def store(
    conn: sa.Connection, *, source: Source, last: int, now: datetime, tick: Callable[[float], None]
) -> Iterator[Stored]:
    """Stores every staged event, chunk by chunk; `conn` has no transaction open and gets one for each."""
    yield from _one_by_one(conn, 0, source=source, now=now)
    for chunk in range(1, last + 1):
        yield _chunk(conn, chunk, source=source, now=now)
        tick(chunk / last)
    yield from _one_by_one(conn, LATE, source=source, now=now)


# ----------------------------------------------------------------------------------------------- in sets
def _chunk(conn: sa.Connection, chunk: int, *, source: Source, now: datetime) -> Stored:
    with conn.begin():
        people = conn.execute(_PEOPLE, {"chunk": chunk}).all()
        events = [_sighting(user_id, anonymous_id, source=source, now=now) for _, user_id, anonymous_id in people]
        customers.resolve(conn, events, now=now)
    with conn.begin():
        placed = customers.resolve(conn, events, now=now)
        words = {
            "chunk": chunk,
            "late": LATE,
            "people": [person for person, _, _ in people],
            "customers": [place.customer for place in placed],
            "origins": [place.origin for place in placed],
            "source": source.id,
            "completed": str(Name.ORDER_COMPLETED),
            "viewed": str(Name.PRODUCT_VIEWED),
            "now": now,
        }
        driver = database.driver(conn)
        driver.execute(_PUT_OFF, words)
        for statement in (_EVENTS, _ORDERS, _PROFILES, _NOTED, _COUNTS):
            driver.execute(statement, words)
        row = driver.execute(_OUTCOME, words).fetchone() or (0, 0)
        return Stored(accepted=int(row[0]), repeated=int(row[1]))


def _sighting(user_id: str | None, anonymous_id: str | None, *, source: Source, now: datetime) -> Event:
    """Enough of an event to say whose it is."""
    return Event(
        key=UUID(int=0),
        message_id="",
        type="track",
        name="",
        occurred_at=now,
        received_at=now,
        source_id=source.id,
        channel=source.channel,
        user_id=user_id,
        anonymous_id=anonymous_id,
        trusted=True,
    )


_PEOPLE = sa.text("SELECT DISTINCT person, user_id, anonymous_id FROM grouped WHERE chunk = :chunk ORDER BY person")
_PUT_OFF = """
UPDATE grouped SET chunk = %(late)s
FROM unnest(%(people)s::text[], %(customers)s::bigint[]) AS who (person, customer_id)
WHERE chunk = %(chunk)s AND grouped.person = who.person AND order_id IS NOT NULL
    AND EXISTS (SELECT FROM carts WHERE carts.customer_id = who.customer_id AND carts.state <> 'ordered')
"""
_CHANNEL = "coalesce(channel, CASE WHEN store_id IS NULL THEN 'web' ELSE 'store' END)"
_EVENTS = f"""
WITH made AS (
    INSERT INTO events (key, customer_id, origin_id, name, occurred_at, received_at, source_id, channel, product_id,
        order_id, cart_id, store_id, message_id, properties, context)
    SELECT key, customer_id, origin_id, name, at, %(now)s, %(source)s, {_CHANNEL}, product_id, order_id, cart_id,
        store_id, coalesce(message_id, ''), {import_staging.PROPERTIES}, '{{}}'
    FROM grouped JOIN unnest(%(people)s::text[], %(customers)s::bigint[], %(origins)s::bigint[])
        AS who (person, customer_id, origin_id) USING (person)
    WHERE chunk = %(chunk)s ORDER BY key
    ON CONFLICT DO NOTHING RETURNING key, customer_id, origin_id
)
INSERT INTO fresh SELECT key, customer_id, origin_id FROM made
"""
_ORDERS = f"""
WITH picked AS (
    SELECT DISTINCT ON (order_id) * FROM grouped JOIN fresh USING (key)
    WHERE chunk = %(chunk)s AND name = %(completed)s ORDER BY order_id, line
), made AS (
    INSERT INTO orders (order_id, customer_id, origin_id, ordered_at, received_at, state, channel, store_id, total,
        currency, coupon, cart_id)
    SELECT order_id, customer_id, origin_id, at, %(now)s, 'completed', {_CHANNEL}, store_id, coalesce(total, 0),
        currency, coupon, cart_id
    FROM picked ORDER BY order_id
    ON CONFLICT DO NOTHING RETURNING order_id
), lines AS (
    INSERT INTO order_lines (order_id, line, customer_id, ordered_at, product_id, quantity, price)
    SELECT order_id, line_number, customer_id, at, line.product_id, line.quantity, line.price
    FROM made JOIN picked USING (order_id), unnest(product_ids, quantities, prices) WITH ORDINALITY
        AS line (product_id, quantity, price, line_number)
    WHERE NOT doubled
    UNION ALL
    SELECT order_id, row_number() OVER (PARTITION BY order_id ORDER BY min(line_number)), min(customer_id), min(at),
        line.product_id, sum(line.quantity), (array_agg(line.price ORDER BY line_number DESC))[1]
    FROM made JOIN picked USING (order_id), unnest(product_ids, quantities, prices) WITH ORDINALITY
        AS line (product_id, quantity, price, line_number)
    WHERE doubled AND line.quantity > 0 GROUP BY order_id, line.product_id
)
UPDATE fresh SET ordered = true FROM made JOIN picked USING (order_id) WHERE fresh.key = picked.key
"""
_PROFILES = f"""
INSERT INTO profiles AS mine (customer_id, first_seen_at, last_seen_at, events, product_views, orders, spent,
    first_order_at, last_order_at, {", ".join(f"{channel}_last_at" for channel in vocabulary.CHANNELS)})
SELECT customer_id, min(at), max(at), count(*), count(*) FILTER (WHERE name = %(viewed)s),
    count(*) FILTER (WHERE ordered), coalesce(sum(total) FILTER (WHERE ordered), 0),
    min(at) FILTER (WHERE ordered), max(at) FILTER (WHERE ordered),
    {", ".join(f"max(at) FILTER (WHERE {_CHANNEL} = '{channel}')" for channel in vocabulary.CHANNELS)}
FROM grouped JOIN fresh USING (key) WHERE chunk = %(chunk)s
GROUP BY customer_id ORDER BY customer_id
ON CONFLICT (customer_id) DO UPDATE SET {profiles.GAIN}
"""
_NOTED = f"INSERT INTO changes (customer_id, what) SELECT DISTINCT customer_id, '{What.IMPORTED}' FROM fresh"
_COUNTS = """
WITH heard AS (UPDATE sources SET last_event_at = %(now)s WHERE id = %(source)s)
INSERT INTO event_counts AS mine (minute, source_id, name, accepted, repeated)
SELECT date_trunc('minute', %(now)s::timestamptz), %(source)s, name, count(fresh.key), count(*) - count(fresh.key)
FROM grouped LEFT JOIN fresh USING (key) WHERE chunk = %(chunk)s GROUP BY name ORDER BY name
ON CONFLICT (minute, source_id, name)
    DO UPDATE SET accepted = mine.accepted + excluded.accepted, repeated = mine.repeated + excluded.repeated
"""
_OUTCOME = """
SELECT coalesce(sum(CASE WHEN fresh.key IS NULL THEN 0 WHEN name = %(completed)s THEN rows ELSE 1 END), 0),
    coalesce(sum(CASE WHEN fresh.key IS NULL THEN rows WHEN name = %(completed)s THEN 0 ELSE rows - 1 END), 0)
FROM grouped LEFT JOIN fresh USING (key) WHERE chunk = %(chunk)s
"""


# -------------------------------------------------------------------------------------------- one by one
def _one_by_one(conn: sa.Connection, chunk: int, *, source: Source, now: datetime) -> Iterator[Stored]:
    """What must happen in its order goes through the door every event goes through."""
    with conn.begin():
        database.driver(conn).execute(_DECLARE, {"chunk": chunk})
    while True:
        with conn.begin():
            given = database.driver(conn).execute(f"FETCH {SLOW_BATCH} FROM one_by_one").fetchall()
            if not given:
                database.driver(conn).execute("CLOSE one_by_one")
                return
            yield _ingest(conn, given, source=source, now=now)


_DECLARE = f"""
DECLARE one_by_one CURSOR WITH HOLD FOR
SELECT key, rows, line, name, user_id, anonymous_id, at, message_id, {_CHANNEL}, {import_staging.PROPERTIES}
FROM grouped WHERE chunk = %(chunk)s ORDER BY at, line
"""


def _ingest(conn: sa.Connection, given: Sequence[Any], *, source: Source, now: datetime) -> Stored:
    events, counts, refused = [], 0, []
    for key, rows, line, name, user_id, anonymous_id, at, message_id, channel, properties in given:
        payload = {
            "event": name,
            "userId": user_id,
            "anonymousId": anonymous_id,
            "timestamp": at.isoformat(),
            "messageId": message_id,
            "properties": properties,
        }
        event = vocabulary.parse(payload, source=source, received_at=now, kind="track")
        if isinstance(event, Refusal):
            refused.append(
                Refused(line, "; ".join(f"{fault.pointer[1:]}: {fault.detail}" for fault in event.faults), ())
            )
        else:
            events.append(dataclasses.replace(event, key=key, channel=channel))
            counts += rows
    outcome = ingest.ingest(conn, events, now=now)
    return Stored(accepted=outcome.accepted, repeated=counts - outcome.accepted, refused=tuple(refused))
