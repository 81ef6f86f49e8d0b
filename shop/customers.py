"""Who is who: the customers of a batch of events resolved together, and one customer's record looked up."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import orjson
import sqlalchemy as sa

from foundation import database
from foundation.errors import NotFound
from shop import arrays, changes, handles, linking, merging
from shop.handles import Handle, Kind
from shop.linking import Graph
from shop.profiles import COLUMNS, Profile
from shop.tables import customers, identities, identity_claims, profiles
from shop.vocabulary import Event, Reason


@dataclass(frozen=True, slots=True)
class Placed:
    """Whom an event was written for, and who that is now; or why it is refused."""

    origin: int
    customer: int
    refused: Reason | None = None


@dataclass(frozen=True, slots=True)
class Asked:
    """Handles asked for, whose answers are still to be read: in pipeline mode other questions may go along.

    `alone` says whether nobody else can change who is who before the end of this transaction.
    """

    alone: Callable[[], Sequence[tuple[Any, ...]]]
    held: Callable[[], Sequence[tuple[Any, ...]]]
    claims: Callable[[], Sequence[tuple[Any, ...]]]


def ask(conn: sa.Connection, events: Iterable[Event]) -> Asked:
    """Asks who holds the handles that events mention."""
    named = _named(events)
    driver = database.driver(conn)
    given = [handle for handle in named if handle.kind not in _WEAK]
    return Asked(
        alone=driver.execute("SELECT pg_try_advisory_xact_lock(%s)", [merging.GRAPH_LOCK]).fetchall,
        held=driver.execute(_LOAD, _columns(named)).fetchall,
        claims=driver.execute(_LOAD_CLAIMS, _columns(given)).fetchall if given else list,
    )


def resolve(conn: sa.Connection, events: Sequence[Event], *, now: datetime, asked: Asked | None = None) -> list[Placed]:
    """Says for each event whose it is, and stores what the batch teaches of who is who.

    From here to the end of the transaction the customers concerned are locked, in the order of their ids, so that two
    batches about the same person go one after the other. A batch that teaches nothing new waits for no other.
    """
    asked = asked or ask(conn, events)
    graph = _graph(asked)
    placed = [graph.place(event) for event in events]
    if not graph.changed and _still(_lock(conn, _ids(graph, placed)), graph, placed):
        _describe(conn, events, placed, now)
        return [_placed(place, {}) for place in placed]
    ((alone,),) = asked.alone()
    if not alone or not graph.changed:
        database.driver(conn).execute("SELECT pg_advisory_xact_lock(%s)", [merging.GRAPH_LOCK])
        graph = _graph(ask(conn, events))
        placed = [graph.place(event) for event in events]
    _lock(conn, _ids(graph, placed), against_reference=bool(graph.merges))
    ids = _store(conn, graph, now)
    placed = [place if isinstance(place, Reason) else ids.get(place, place) for place in placed]
    _describe(conn, events, placed, now)
    became = merging.store(conn, graph.merges, ids, now=now)
    return [_placed(place, became) for place in placed]


def _placed(place: int | Reason, became: Mapping[int, int]) -> Placed:
    return Placed(0, 0, place) if isinstance(place, Reason) else Placed(place, became.get(place, place))


def _ids(graph: Graph, placed: Iterable[int | Reason]) -> set[int]:
    """The stored customers a batch concerns."""
    ids = {place for place in placed if not isinstance(place, Reason) and place > 0}
    ids.update(customer for merge in graph.merges for customer in (merge.winner, merge.loser) if customer > 0)
    return ids | {customer for customer in graph.promoted if customer > 0}


def _named(events: Iterable[Event]) -> set[Handle]:
    """Every handle the events mention."""
    named: set[Handle] = set()
    for event in events:
        if event.user_id:
            named.add(Handle(Kind.USER_ID, event.user_id))
        if event.previous_id:
            named.add(Handle(Kind.USER_ID, event.previous_id))
            named.add(Handle(Kind.ANONYMOUS_ID, event.previous_id))
        named.update(handles.weak(event))
        if event.traits:
            named.update(handles.strong(event))
    return named


_LOAD = """
SELECT kind, value, customer_id, quarantined_at IS NOT NULL, user_id
FROM unnest(%s::text[], %s::text[]) AS named (kind, value)
JOIN identities USING (kind, value) JOIN customers ON customers.id = customer_id
"""
_LOAD_CLAIMS = """
SELECT kind, value, customer_id
FROM unnest(%s::text[], %s::text[]) AS named (kind, value) JOIN identity_claims USING (kind, value)
"""
_WEAK = (Kind.USER_ID, Kind.ANONYMOUS_ID, Kind.DEVICE)


def _graph(asked: Asked) -> Graph:
    graph = Graph()
    for kind, value, customer, quarantined, user_id in asked.held():
        handle = Handle(kind, value)
        graph.holders[handle] = customer
        graph.user_ids[customer] = user_id
        if quarantined:
            graph.quarantined.add(handle)
    for kind, value, customer in asked.claims():
        graph.claims.setdefault(Handle(kind, value), set()).add(customer)
    return graph


def _lock(
    conn: sa.Connection, ids: Collection[int], *, against_reference: bool = False
) -> Sequence[tuple[int, int | None]]:
    """Locks customers; `against_reference` also keeps other transactions from storing rows of theirs meanwhile."""
    strength = "UPDATE" if against_reference else "NO KEY UPDATE"
    query = f"SELECT id, merged_into FROM customers WHERE id = ANY(%s::bigint[]) ORDER BY id FOR {strength}"
    return database.driver(conn).execute(query, [arrays.numbers(ids)]).fetchall()


def _still(rows: Sequence[tuple[int, int | None]], graph: Graph, placed: Iterable[int | Reason]) -> bool:
    """Whether none of them was merged or erased between being read and being locked."""
    return len(rows) == len(_ids(graph, placed)) and all(merged_into is None for _, merged_into in rows)


# ----------------------------------------------------------------------------------- what a batch teaches
def _store(conn: sa.Connection, graph: Graph, now: datetime) -> dict[int, int]:
    """Writes new customers and handles. Returns the ids of the new ones by their provisional, negative ids."""
    driver = database.driver(conn)
    ids = _create(conn, graph, now)
    promoted = [customer for customer in graph.promoted if customer > 0]
    if promoted:
        driver.execute(_PROMOTE, [promoted, [graph.user_ids[customer] for customer in promoted], now])
    if graph.attached:
        columns = _columns(graph.attached)
        origins = [ids.get(customer, customer) for customer in graph.attached.values()]
        driver.execute(_ATTACH, [*columns, arrays.numbers(origins), now])
    if graph.moved:
        customers_ = [ids.get(customer, customer) for customer in graph.moved.values()]
        driver.execute(_MOVE, [*_columns(graph.moved), arrays.numbers(customers_)])
    if graph.claimed:
        claimed = sorted(graph.claimed)
        claimants = [ids.get(customer, customer) for _, customer in claimed]
        driver.execute(_CLAIM, [*_columns(handle for handle, _ in claimed), arrays.numbers(claimants), now])
    if graph.newly_quarantined:
        driver.execute(_QUARANTINE, [now, *_columns(graph.newly_quarantined)])
    return ids


def _create(conn: sa.Connection, graph: Graph, now: datetime) -> dict[int, int]:
    if not graph.created:
        return {}
    user_ids = [graph.user_ids[customer] for customer in graph.created]
    driver = database.driver(conn)
    rows = driver.execute(_CREATE, [now, now, user_ids]).fetchall()
    return dict(zip(graph.created, sorted(row[0] for row in rows), strict=True))


_CREATE = f"""
WITH made AS (
    INSERT INTO customers (user_id, created_at, updated_at)
    SELECT user_id, %b, %b FROM unnest(%b::text[]) WITH ORDINALITY AS new (user_id, n) ORDER BY n RETURNING id
), noted AS (
    INSERT INTO changes (customer_id, what) SELECT id, '{changes.What.NEW}' FROM made
)
SELECT id FROM made
"""
_PROMOTE = """
UPDATE customers SET user_id = known.user_id, updated_at = known.now
FROM (SELECT unnest(%b::bigint[]) AS id, unnest(%b::text[]) AS user_id, %b::timestamptz AS now) AS known
WHERE customers.id = known.id
"""
_ATTACH = """
INSERT INTO identities (kind, value, customer_id, origin_id, first_seen_at)
SELECT kind, value, customer_id, customer_id, seen_at
FROM (SELECT unnest(%s::text[]) AS kind, unnest(%s::text[]) AS value, unnest(%s::bigint[]) AS customer_id,
    %s::timestamptz AS seen_at) AS new
ON CONFLICT DO NOTHING
"""
_MOVE = """
UPDATE identities SET customer_id = new.customer_id, origin_id = new.customer_id
FROM unnest(%s::text[], %s::text[], %s::bigint[]) AS new (kind, value, customer_id)
WHERE (identities.kind, identities.value) = (new.kind, new.value)
"""
_CLAIM = """
INSERT INTO identity_claims (kind, value, customer_id, claimed_at)
SELECT unnest(%s::text[]), unnest(%s::text[]), unnest(%s::bigint[]), %s::timestamptz
ON CONFLICT DO NOTHING
"""
_QUARANTINE = """
UPDATE identities SET quarantined_at = %s::timestamptz
FROM unnest(%s::text[], %s::text[]) AS hub (kind, value)
WHERE (identities.kind, identities.value) = (hub.kind, hub.value) AND quarantined_at IS NULL
"""


def _columns(named: Iterable[Handle]) -> list[str]:
    named = list(named)
    return [arrays.texts(handle.kind for handle in named), arrays.texts(handle.value for handle in named)]


# ------------------------------------------------------------------------------------------------- traits
_DESCRIBE = f"""
WITH noted AS (INSERT INTO changes (customer_id, what) SELECT unnest(%b::bigint[]), '{changes.What.TRAITS}')
UPDATE customers SET
    email = coalesce(said.email, customers.email), phone = coalesce(said.phone, customers.phone),
    first_name = coalesce(said.first_name, customers.first_name),
    last_name = coalesce(said.last_name, customers.last_name), locale = coalesce(said.locale, customers.locale),
    timezone = coalesce(said.timezone, customers.timezone),
    birth_year = coalesce(said.birth_year, customers.birth_year), traits = customers.traits || said.traits::jsonb,
    updated_at = said.now
FROM (SELECT unnest(%b::bigint[]) AS id, unnest(%b::text[]) AS email, unnest(%b::text[]) AS phone,
    unnest(%b::text[]) AS first_name, unnest(%b::text[]) AS last_name, unnest(%b::text[]) AS locale,
    unnest(%b::text[]) AS timezone, unnest(%b::smallint[]) AS birth_year, unnest(%b::text[]) AS traits,
    %b::timestamptz AS now) AS said
WHERE customers.id = said.id
"""


def _describe(conn: sa.Connection, events: Sequence[Event], placed: Sequence[int | Reason], now: datetime) -> None:
    """Writes what was said of each customer, the last word of each trait."""
    said: dict[int, tuple[dict[str, Any], dict[str, Any]]] = {}
    for event, customer in zip(events, placed, strict=True):
        if isinstance(customer, Reason) or not handles.describes_customer(event):
            continue
        columns, other = handles.columns(event)
        before = said.setdefault(customer, ({}, {}))
        before[0].update({name: value for name, value in columns.items() if value is not None})
        before[1].update(other)
    if said:
        ids = sorted(said)
        by_column = [[said[customer][0].get(name) for customer in ids] for name in handles.COLUMNS]
        traits = [orjson.dumps(said[customer][1]).decode() for customer in ids]
        database.driver(conn).execute(_DESCRIBE, [ids, ids, *by_column, traits, now])


# ------------------------------------------------------------------------------------------------ look-ups
@dataclass(frozen=True, slots=True)
class Identity:
    """One handle of one customer."""

    kind: str
    value: str
    first_seen_at: datetime
    quarantined_at: datetime | None


@dataclass(frozen=True, slots=True)
class Customer:
    """One person as the shop's mirror knows them."""

    id: int
    user_id: str | None
    email: str | None
    phone: str | None
    first_name: str | None
    last_name: str | None
    locale: str | None
    timezone: str | None
    birth_year: int | None
    traits: dict[str, Any]
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class Record:
    """A customer with every handle and every merge that made them."""

    customer: Customer
    identities: Sequence[Identity] = field(default_factory=list)
    merges: Sequence[merging.Recorded] = field(default_factory=list)


def find(
    conn: sa.Connection,
    *,
    user_id: str | None = None,
    anonymous_id: str | None = None,
    email: str | None = None,
    phone: str | None = None,
    card: str | None = None,
) -> int | None:
    """The customer a handle names; the first one given that names anybody. A quarantined handle names nobody."""
    asked = (
        (Kind.USER_ID, user_id),
        (Kind.ANONYMOUS_ID, anonymous_id),
        (Kind.EMAIL, handles.email(email)),
        (Kind.PHONE, handles.phone(phone)),
        (Kind.CARD, handles.card({"card": card})),
    )
    for kind, value in asked:
        if value and "\0" not in value:
            query = sa.select(identities.c.customer_id).where(
                identities.c.kind == kind, identities.c.value == value, identities.c.quarantined_at.is_(None)
            )
            if (customer := conn.scalar(query)) is not None:
                return int(customer)
    return None


def canonical(conn: sa.Connection, ids: Iterable[int]) -> dict[int, int]:
    """Who each of these customers is now. Erased ones are missing."""
    query = sa.select(customers.c.id, sa.func.coalesce(customers.c.merged_into, customers.c.id)).where(
        customers.c.id.in_(set(ids))
    )
    return {customer: now for customer, now in conn.execute(query)}


def get_many(conn: sa.Connection, ids: Iterable[int]) -> dict[int, Customer]:
    """Customers by id, those that exist."""
    query = sa.select(customers).where(customers.c.id.in_(set(ids)))
    return {customer.id: customer for customer in database.read(conn, query, Customer)}


def profiles_of(conn: sa.Connection, ids: Iterable[int]) -> dict[int, Profile]:
    """What events have taught us of customers, by id; those nothing is known of are missing."""
    rows = conn.execute(sa.select(profiles).where(profiles.c.customer_id.in_(set(ids)))).mappings()
    return {row["customer_id"]: Profile(**{name: row[name] for name in COLUMNS}) for row in rows}


def require(conn: sa.Connection, text: str) -> int:
    """The customer a person names on the command line: by user id, e-mail, or our own number."""
    found = find(conn, user_id=text, email=text)
    if found is None and text.isdecimal() and len(text) < 18:
        found = canonical(conn, [int(text)]).get(int(text))
    if found is None:
        raise NotFound(f"no customer {text}")
    return found


def count(conn: sa.Connection) -> int:
    """How many customers there are, visitors without a name among them."""
    return int(conn.scalar(sa.select(sa.func.count()).where(customers.c.merged_into.is_(None))) or 0)


def record(conn: sa.Connection, customer_id: int) -> Record:
    """Everything that says who a customer is; of a merged one, who they are now."""
    now = canonical(conn, [customer_id]).get(customer_id)
    if now is None:
        raise NotFound(f"no customer {customer_id}")
    held = sa.select(identities).where(identities.c.customer_id == now).order_by(identities.c.kind, identities.c.value)
    return Record(get_many(conn, [now])[now], database.read(conn, held, Identity), merging.of_customer(conn, now))


@dataclass(frozen=True, slots=True)
class Hub:
    """A handle too many customers gave, so that it says nothing of who is meant."""

    kind: str
    value: str
    holder_id: int
    quarantined_at: datetime
    claimants: int


def quarantined(conn: sa.Connection, *, limit: int = 100) -> Sequence[Hub]:
    """Handles that link nobody any more, newest first, with how many customers claim them."""
    claimants = (
        sa.select(sa.func.count())
        .where(identity_claims.c.kind == identities.c.kind, identity_claims.c.value == identities.c.value)
        .scalar_subquery()
    )
    query = (
        sa.select(
            identities.c.kind,
            identities.c.value,
            identities.c.customer_id.label("holder_id"),
            identities.c.quarantined_at,
            claimants.label("claimants"),
        )
        .where(identities.c.quarantined_at.is_not(None))
        .order_by(identities.c.quarantined_at.desc())
        .limit(limit)
    )
    return database.read(conn, query, Hub)


undo_merge = merging.undo
CLAIMS_OF_A_HUB = linking.CLAIMS_OF_A_HUB
