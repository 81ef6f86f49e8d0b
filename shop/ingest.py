"""The one door for events: each is stored once, and customers, carts, orders and profiles follow, all or nothing."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from operator import attrgetter
from typing import Any
from uuid import UUID

import orjson
import psycopg
import sqlalchemy as sa

from foundation import database
from foundation.errors import Fault
from shop import arrays, carts, customers, orders, profiles
from shop.carts import Happened
from shop.changes import What
from shop.customers import Placed
from shop.profiles import OrderChange
from shop.vocabulary import Event, Reason, Refusal


@dataclass(frozen=True, slots=True)
class Outcome:
    """How many events were new, were known already, and were refused."""

    accepted: int
    repeated: int
    refused: int


def ingest(conn: sa.Connection, events: Sequence[Event], *, refused: Sequence[Refusal] = (), now: datetime) -> Outcome:
    """Takes a batch in. The number of queries does not grow with it, and sending it again changes nothing.

    `refused` is what parsing turned away: it is counted and kept with its reasons, beside what is refused here.
    """
    with database.driver(conn).pipeline():
        return _ingest(conn, events, refused, now=now)


def _ingest(conn: sa.Connection, events: Sequence[Event], refused: Sequence[Refusal], *, now: datetime) -> Outcome:
    """In pipeline mode a statement whose answer nobody reads yet costs no round trip, and runs while this goes on."""
    database.driver(conn).execute(_PLANNING)
    asked = customers.ask(conn, events)
    once: dict[UUID, Event] = {}
    for event in events:
        once.setdefault(event.key, event)
    seen = database.driver(conn).execute(_SEEN, [arrays.uuids(once)])
    written = _written(once.values())  # meanwhile
    for (key,) in seen.fetchall():
        del once[key]
    fresh = list(once.values())
    placed = customers.resolve(conn, fresh, now=now, asked=asked) if fresh else []
    turned_away = [*refused, *_refusals(fresh, placed)]
    belonging = [(place, event) for event, place in zip(fresh, placed, strict=True) if not place.refused]
    happened = _apply(conn, belonging, written)
    _keep_refused(conn, turned_away)
    accepted = Counter((event.source_id, event.name) for _, _, event in happened)
    repeated = Counter((event.source_id, event.name) for event in events) - accepted
    if len(belonging) < len(fresh):
        repeated -= Counter(
            (event.source_id, event.name) for event, place in zip(fresh, placed, strict=True) if place.refused
        )
    _count(
        conn,
        _Counts(accepted, repeated, Counter((refusal.source_id, str(refusal.reason)) for refusal in turned_away)),
        now,
    )
    return Outcome(len(happened), repeated.total(), len(turned_away))


def _apply(conn: sa.Connection, belonging: Sequence[tuple[Placed, Event]], written: "_Written") -> Sequence[Happened]:
    """Stores events and all that follows from them. Returns those that were new.

    While PostgreSQL stores them it is worked out what they make of carts, as if all were new; another transaction
    that stored some of them in between has that done once more.
    """
    happened = [(place.customer, place.origin, event) for place, event in belonging]
    if not happened:
        return []
    held = carts.load(conn, happened)
    storing = _store(conn, happened, written)
    kept = carts.fold(held, happened)
    ((new,),) = storing.fetchall()
    if new is not None:
        happened = [one for one in happened if one[2].key in new]
        kept = carts.fold(held, happened)
    carts.keep(conn, kept)
    _bought(conn, orders.apply(conn, happened))
    return happened


_PLANNING = f"""SELECT {
    ", ".join(
        f"set_config('{name}', '{value}', true)"
        for name, value in (
            ("enable_seqscan", "off"),
            ("enable_hashjoin", "off"),
            ("enable_mergejoin", "off"),
            ("plan_cache_mode", "force_generic_plan"),
        )
    )
}"""
"""For this transaction. Plans are made once and kept, not made anew for every length of array; and every row is found
by its key: PostgreSQL would rather read a table from end to end, which is right until the table has grown."""

_SEEN = "SELECT key FROM events WHERE key = ANY(%s::uuid[])"
"""Events stored already. A repeat teaches nothing, not even who is who."""

_REFUSED_HERE = {
    Reason.TWO_KNOWN_CUSTOMERS: Fault("/previousId", "names a known customer; only a secret key may join two of them"),
    Reason.NO_IDENTITY: Fault("/traits", "hold no e-mail, phone or card that tells who this is"),
}


def _refusals(events: Sequence[Event], placed: Sequence[Placed]) -> list[Refusal]:
    """What could only be refused knowing who is who."""
    return [
        Refusal(
            reason=place.refused,
            faults=(_REFUSED_HERE[place.refused],),
            source_id=event.source_id,
            received_at=event.received_at,
            payload=orjson.dumps(
                {"type": event.type, "userId": event.user_id, "previousId": event.previous_id}
            ).decode(),
        )
        for event, place in zip(events, placed, strict=True)
        if place.refused
    ]


_STORE = f"""
WITH new AS (
    INSERT INTO events (key, customer_id, origin_id, name, occurred_at, received_at, source_id, channel,
        product_id, order_id, cart_id, store_id, message_id, properties, context)
    SELECT key, customer_id, origin_id, name, occurred_at, received_at, source_id, channel,
        product_id, order_id, cart_id, store_id, message_id, properties::jsonb, context::jsonb
    FROM unnest(%s::uuid[], %s::bigint[], %s::bigint[], %s::text[], %s::timestamptz[], %s::timestamptz[], %s::int[],
        %s::text[], %s::text[], %s::text[], %s::text[], %s::text[], %s::text[], %s::text[], %s::text[])
        AS new (key, customer_id, origin_id, name, occurred_at, received_at, source_id, channel,
        product_id, order_id, cart_id, store_id, message_id, properties, context)
    ON CONFLICT (key) DO NOTHING
    RETURNING key, customer_id, name, occurred_at, channel
), gained AS (
    INSERT INTO profiles AS mine (customer_id, {", ".join(profiles.OF_EVENTS)})
    SELECT customer_id, {", ".join(profiles.OF_EVENTS.values())} FROM new GROUP BY customer_id ORDER BY customer_id
    ON CONFLICT (customer_id) DO UPDATE SET {profiles.GAIN}
), signalled AS (
    INSERT INTO signals (event_key, customer_id, name, at)
    SELECT key, customer_id, name, occurred_at FROM new
    WHERE name = ANY(ARRAY(SELECT listened_events.name FROM listened_events))
), noted AS (
    INSERT INTO changes (customer_id, what) SELECT DISTINCT customer_id, name FROM new
)
SELECT CASE WHEN count(*) < %s THEN coalesce(array_agg(key), '{{}}') END FROM new
"""


_IN_ORDER = attrgetter("key.int")
_IDS = ("product_id", "order_id", "cart_id", "store_id", "message_id")
_STORED = attrgetter("name", "channel", "occurred_at", "received_at", "source_id", *_IDS)


@dataclass(frozen=True, slots=True)
class _Written:
    """Columns of events as PostgreSQL reads them, in the order of the keys."""

    count: int
    keys: str
    columns: Sequence[str]


def _written(events: Iterable[Event]) -> _Written:
    """In the order of their keys, so that two transactions never wait for each other in a ring."""
    events = sorted(events, key=_IN_ORDER)
    if not events:
        return _Written(0, "{}", ())
    names, channels, occurred, received, sources, *ids = zip(*map(_STORED, events), strict=True)
    columns = [
        arrays.texts(names),
        arrays.times(occurred),
        arrays.times(received),
        arrays.numbers(sources),
        arrays.texts(channels),
        *map(arrays.texts, ids),
        arrays.jsons(_told(event) for event in events),
        arrays.jsons(event.context for event in events),
    ]
    return _Written(len(events), arrays.uuids(event.key for event in events), columns)


def _store(conn: sa.Connection, happened: Sequence[Happened], written: _Written) -> psycopg.Cursor[Any]:
    """Stores events, adds them to profiles, and leaves a signal of those listened for.

    `written` is what was written ahead of these events, and of some more if not all turned out to be new. The answer
    is the keys of those that were new, None if all were.
    """
    if written.count != len(happened):
        written = _written(event for _, _, event in happened)
    owners, origins, _ = zip(*sorted(happened, key=lambda one: _IN_ORDER(one[2])), strict=True)
    columns = [written.keys, arrays.numbers(owners), arrays.numbers(origins), *written.columns]
    return database.driver(conn).execute(_STORE, [*columns, written.count])


def _told(event: Event) -> dict[str, object]:
    """What is kept as an event's properties: for calls about who someone is, what they said of it."""
    if event.type == "alias":
        return {"previous_id": event.previous_id}
    return event.traits if event.type in ("identify", "group") else event.properties


_BOUGHT = f"""
WITH changed AS (
    SELECT * FROM unnest(%s::bigint[], %s::timestamptz[], %s::int[], %s::bigint[])
        AS changed (customer_id, at, orders, spent)
), noted AS (
    INSERT INTO changes (customer_id, what) SELECT DISTINCT customer_id, '{What.ORDERS}' FROM changed
)
INSERT INTO profiles AS mine
    (customer_id, first_seen_at, last_seen_at, orders, spent, first_order_at, last_order_at)
SELECT customer_id, min(at), max(at), sum(orders), sum(spent), min(at), max(at)
FROM changed
GROUP BY customer_id ORDER BY customer_id
ON CONFLICT (customer_id) DO UPDATE SET {profiles.GAIN}
"""


def _bought(conn: sa.Connection, changes: Sequence[OrderChange]) -> None:
    """Adds what orders became to their customers' profiles."""
    if changes:
        columns = [
            arrays.numbers(change.customer_id for change in changes),
            arrays.times(change.ordered_at for change in changes),
            arrays.numbers(change.orders for change in changes),
            arrays.numbers(change.spent for change in changes),
        ]
        database.driver(conn).execute(_BOUGHT, columns)


_COUNT = """
WITH heard AS (
    UPDATE sources SET last_event_at = %s::timestamptz
    WHERE id = ANY(%s::int[]) AND (last_event_at IS NULL OR last_event_at < %s::timestamptz - interval '10 seconds')
)
INSERT INTO event_counts AS mine (minute, source_id, name, accepted, repeated, refused)
SELECT date_trunc('minute', %s::timestamptz), *
FROM unnest(%s::int[], %s::text[], %s::int[], %s::int[], %s::int[])
ON CONFLICT (minute, source_id, name) DO UPDATE SET accepted = mine.accepted + excluded.accepted,
    repeated = mine.repeated + excluded.repeated, refused = mine.refused + excluded.refused
"""


@dataclass(frozen=True, slots=True)
class _Counts:
    """How many by source and name; what was refused is counted under its reason."""

    accepted: Counter[tuple[int, str]]
    repeated: Counter[tuple[int, str]]
    refused: Counter[tuple[int, str]]


def _count(conn: sa.Connection, counts: _Counts, now: datetime) -> None:
    """Adds to the counts of this minute. Comes last: every transaction wants these rows, and holds them to its end."""
    keys = sorted(counts.accepted.keys() | counts.repeated.keys() | counts.refused.keys())
    if keys:
        at = now.isoformat()
        heard = arrays.numbers(source for source, _ in keys)
        columns = [
            heard,
            arrays.texts(name for _, name in keys),
            arrays.numbers(counts.accepted[key] for key in keys),
            arrays.numbers(counts.repeated[key] for key in keys),
            arrays.numbers(counts.refused[key] for key in keys),
        ]
        database.driver(conn).execute(_COUNT, [at, heard, at, at, *columns])


_KEEP_REFUSED = """
INSERT INTO refused_events (source_id, received_at, reason, faults, payload)
SELECT source_id, received_at, reason, faults::jsonb, payload
FROM unnest(%b::int[], %b::timestamptz[], %b::text[], %b::text[], %b::text[])
    AS new (source_id, received_at, reason, faults, payload)
"""


def _keep_refused(conn: sa.Connection, refused: Sequence[Refusal]) -> None:
    if refused:
        columns = [
            [refusal.source_id for refusal in refused],
            [refusal.received_at for refusal in refused],
            [str(refusal.reason) for refusal in refused],
            [orjson.dumps(refusal.faults).decode() for refusal in refused],
            [refusal.payload for refusal in refused],
        ]
        database.driver(conn).execute(_KEEP_REFUSED, columns)
