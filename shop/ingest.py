"""The one door for events: each is stored once, and customers, carts, orders and profiles follow, all or nothing."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import orjson
import sqlalchemy as sa

from foundation import database
from foundation.errors import Fault
from shop import carts, customers, orders, profiles
from shop.customers import Placed
from shop.profiles import Profile
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
    """In pipeline mode a statement whose answer nobody reads yet costs no round trip."""
    # Plans are cached while tables are small; without this a new installation would read its tables from end to end
    # for every batch until the next ANALYZE.
    database.driver(conn).execute("SET LOCAL enable_seqscan = off")
    fresh = _unseen(conn, events)
    placed = customers.resolve(conn, fresh, now=now) if fresh else []
    refused = [*refused, *_refusals(fresh, placed)]
    belonging = [(event, place) for event, place in zip(fresh, placed, strict=True) if not place.refused]
    new = _insert(conn, belonging)
    happened = [(place.customer, place.origin, event) for event, place in belonging if event.key in new]
    carts.apply(conn, happened)
    changes = orders.apply(conn, happened)
    gains = profiles.fold(((customer, event) for customer, _, event in happened), changes)
    _gain(conn, gains)
    accepted = [event for _, _, event in happened]
    repeated = Counter((event.source_id, event.name) for event in events)
    repeated.subtract((event.source_id, event.name) for event in accepted)
    repeated.subtract(
        (event.source_id, event.name) for event, place in zip(fresh, placed, strict=True) if place.refused
    )
    _count(conn, accepted=accepted, repeated=+repeated, refused=refused, now=now)
    _keep_refused(conn, refused)
    return Outcome(len(accepted), repeated.total(), len(refused))


_SEEN = "SELECT key FROM events WHERE key = ANY(%b)"


def _unseen(conn: sa.Connection, events: Sequence[Event]) -> list[Event]:
    """The events not stored yet, each once. A repeat teaches nothing, not even who is who."""
    by_key: dict[UUID, Event] = {}
    for event in events:
        by_key.setdefault(event.key, event)
    if by_key:
        for (key,) in database.driver(conn).execute(_SEEN, [list(by_key)]):
            del by_key[key]
    return list(by_key.values())


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


_INSERT = """
INSERT INTO events (key, customer_id, origin_id, name, occurred_at, received_at, source_id, channel,
    product_id, order_id, cart_id, store_id, message_id, properties, context)
SELECT key, customer_id, origin_id, name, occurred_at, received_at, source_id, channel,
    product_id, order_id, cart_id, store_id, message_id, properties::jsonb, context::jsonb
FROM unnest(%b::uuid[], %b::bigint[], %b::bigint[], %b::text[], %b::timestamptz[], %b::timestamptz[], %b::int[],
    %b::text[], %b::text[], %b::text[], %b::text[], %b::text[], %b::text[], %b::text[], %b::text[])
    AS new (key, customer_id, origin_id, name, occurred_at, received_at, source_id, channel,
    product_id, order_id, cart_id, store_id, message_id, properties, context)
ON CONFLICT (key) DO NOTHING RETURNING key
"""


def _insert(conn: sa.Connection, belonging: Sequence[tuple[Event, Placed]]) -> set[UUID]:
    """Stores events, in the order of their keys so that two transactions never wait for each other in a ring."""
    if not belonging:
        return set()
    rows = sorted(belonging, key=lambda row: row[0].key.int)
    events = [event for event, _ in rows]
    columns = [
        [event.key for event in events],
        [place.customer for _, place in rows],
        [place.origin for _, place in rows],
        [event.name for event in events],
        [event.occurred_at for event in events],
        [event.received_at for event in events],
        [event.source_id for event in events],
        [event.channel for event in events],
        [event.product_id for event in events],
        [event.order_id for event in events],
        [event.cart_id for event in events],
        [event.store_id for event in events],
        [event.message_id for event in events],
        [orjson.dumps(_told(event)).decode() for event in events],
        [orjson.dumps(event.context).decode() for event in events],
    ]
    return {row[0] for row in database.driver(conn).execute(_INSERT, columns)}


def _told(event: Event) -> dict[str, object]:
    """What is kept as an event's properties: for calls about who someone is, what they said of it."""
    if event.type == "alias":
        return {"previous_id": event.previous_id}
    return event.traits if event.type in ("identify", "group") else event.properties


# ------------------------------------------------------------------------------------------------- profiles
_GAIN = (
    f"INSERT INTO profiles AS mine (customer_id, {', '.join(profiles.COLUMNS)}) SELECT * FROM unnest(%b::bigint[], "
    + ", ".join("%b::timestamptz[]" if name.endswith("_at") else "%b::bigint[]" for name in profiles.COLUMNS)
    + f") ON CONFLICT (customer_id) DO UPDATE SET {profiles.GAIN}"
)


def _gain(conn: sa.Connection, gains: dict[int, Profile]) -> None:
    if gains:
        ids = sorted(gains)
        columns = [[getattr(gains[customer], name) for customer in ids] for name in profiles.COLUMNS]
        database.driver(conn).execute(_GAIN, [ids, *columns])


# ------------------------------------------------------------------------------------------------- counting
_COUNT = """
WITH heard AS (
    UPDATE sources SET last_event_at = %(now)s
    WHERE id = ANY(%(sources)s) AND (last_event_at IS NULL OR last_event_at < %(now)s - interval '10 seconds')
)
INSERT INTO event_counts AS mine (minute, source_id, name, accepted, repeated, refused)
SELECT date_trunc('minute', %(now)s::timestamptz), * FROM unnest(%(sources)s::int[], %(names)s::text[],
    %(accepted)s::int[], %(repeated)s::int[], %(refused)s::int[])
ON CONFLICT (minute, source_id, name) DO UPDATE SET accepted = mine.accepted + excluded.accepted,
    repeated = mine.repeated + excluded.repeated, refused = mine.refused + excluded.refused
"""


def _count(
    conn: sa.Connection,
    *,
    accepted: Iterable[Event],
    repeated: Counter[tuple[int, str]],
    refused: Iterable[Refusal],
    now: datetime,
) -> None:
    """Adds to the counts by minute, source and name; what was refused is counted under its reason."""
    new = Counter((event.source_id, event.name) for event in accepted)
    turned_away = Counter((refusal.source_id, str(refusal.reason)) for refusal in refused)
    keys = sorted(new.keys() | repeated.keys() | turned_away.keys())
    if keys:
        database.driver(conn).execute(
            _COUNT,
            {
                "now": now,
                "sources": [source for source, _ in keys],
                "names": [name for _, name in keys],
                "accepted": [new[key] for key in keys],
                "repeated": [repeated[key] for key in keys],
                "refused": [turned_away[key] for key in keys],
            },
        )


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
