"""The merchant's places of sale and what each has in stock."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from foundation import database
from shop import changes, feeds, rows
from shop.changes import What
from shop.feeds import RowResult
from shop.tables import stock, stores


@dataclass(frozen=True, slots=True)
class Store:
    """A place of sale; `web` may be one too, with its stock."""

    store_id: str
    name: str | None
    latitude: float | None
    longitude: float | None
    timezone: str | None
    address: str | None
    hours: str | None = None


@dataclass(frozen=True, slots=True)
class Held:
    """How many pieces of a product there are, and in how many places; none is negative here."""

    product_id: str
    pieces: int
    places: int


def held(conn: sa.Connection, product_ids: Iterable[str]) -> list[Held]:
    """The stock of products over all places; a product nobody counts is left out."""
    pieces = sa.func.greatest(stock.c.quantity, 0)
    query = (
        sa.select(
            stock.c.product_id,
            sa.func.sum(pieces).label("pieces"),
            sa.func.count().filter(stock.c.quantity > 0).label("places"),
        )
        .where(stock.c.product_id.in_(list(product_ids)))
        .group_by(stock.c.product_id)
    )
    return database.read(conn, query, Held)


def put(conn: sa.Connection, given: Sequence[Mapping[str, object]], *, now: datetime) -> list[RowResult]:
    """Adds or changes stores, a result a row. A field that is not given keeps its value."""
    changes.everybody(conn, What.STORES)
    return feeds.put(conn, _STORES, given, now=now)


def put_stock(conn: sa.Connection, given: Sequence[Mapping[str, object]], *, now: datetime) -> list[RowResult]:
    """Sets how many pieces of a product a store has, a result a row. Neither needs to be known yet."""
    return feeds.put(conn, _STOCK, given, now=now)


def list_all(conn: sa.Connection) -> list[Store]:
    """Every store, by name."""
    return database.read(conn, sa.select(stores).order_by(stores.c.name, stores.c.store_id), Store)


def get(conn: sa.Connection, store_id: str) -> Store | None:
    """One store, if it is known."""
    found = database.read(conn, sa.select(stores).where(stores.c.store_id == store_id), Store)
    return found[0] if found else None


def get_many(conn: sa.Connection, ids: Iterable[str]) -> dict[str, Store]:
    """Stores by id, those that are known."""
    wanted = set(ids)
    if not wanted:
        return {}
    query = sa.select(stores).where(stores.c.store_id.in_(wanted))
    return {store.store_id: store for store in database.read(conn, query, Store)}


NEAR_KM = 100
"""Nobody's own store is further away."""
FAVOURITE = "favorite_store"
"""The trait that names a customer's favourite store."""


def hers(conn: sa.Connection, customer_ids: Sequence[int]) -> dict[int, Store]:
    """Each customer's own store: the favourite a trait names, else where she orders most, else the nearest to where her
    traits `latitude` and `longitude` say she lives. Who has none is missing."""
    if not customer_ids:
        return {}
    given = {"ids": sorted(set(customer_ids)), "favourite": FAVOURITE, "near": NEAR_KM}
    own = {row.customer: row.store for row in conn.execute(_HERS, given)}
    known = get_many(conn, own.values())
    return {customer: known[store] for customer, store in own.items()}


_DEGREES = "CASE WHEN traits->>'{0}' ~ '^-?[0-9]{{1,3}}([.][0-9]{{1,12}})?$' THEN (traits->>'{0}')::float8 END"
_HERS = sa.text(f"""
WITH person AS MATERIALIZED (
    SELECT id, traits->>:favourite AS favourite, {_DEGREES.format("latitude")} AS lat,
        {_DEGREES.format("longitude")} AS lon
    FROM customers WHERE id = ANY(:ids)
), bought AS (
    SELECT DISTINCT ON (customer_id) customer_id, store_id FROM (
        SELECT customer_id, orders.store_id, count(*) AS n, max(ordered_at) AS at
        FROM orders JOIN stores ON stores.store_id = orders.store_id
        WHERE customer_id = ANY(:ids) AND state <> 'cancelled' GROUP BY customer_id, orders.store_id
    ) AS counted ORDER BY customer_id, n DESC, at DESC
)
SELECT person.id AS customer, coalesce(chosen.store_id, bought.store_id, near.store_id) AS store
FROM person
    LEFT JOIN stores AS chosen ON chosen.store_id = person.favourite
    LEFT JOIN bought ON bought.customer_id = person.id
    LEFT JOIN LATERAL (
        SELECT store_id FROM (
            SELECT store_id, 111.2 * sqrt(power(latitude - lat, 2)
                + power((longitude - lon) * cos(radians(lat)), 2)) AS km
            FROM stores WHERE latitude IS NOT NULL AND longitude IS NOT NULL
        ) AS apart WHERE km <= :near ORDER BY km, store_id LIMIT 1
    ) AS near ON chosen.store_id IS NULL AND bought.store_id IS NULL
WHERE coalesce(chosen.store_id, bought.store_id, near.store_id) IS NOT NULL
""").bindparams(sa.bindparam("ids", type_=postgresql.ARRAY(sa.BigInteger)))
"""Distances as on a plane: over a hundred kilometres they order stores as a sphere does."""


def in_stock(conn: sa.Connection, product_ids: Iterable[str], *, store_id: str | None = None) -> set[str]:
    """Those of the products that can be had: in this store, or anywhere if none is named.

    A product nobody ever gave a stock for is taken to be there: shops that do not count must not have empty shelves.
    """
    wanted = list(product_ids)
    rows_of = sa.select(
        stock.c.product_id,
        sa.func.bool_or((stock.c.quantity > 0) & (sa.true() if store_id is None else stock.c.store_id == store_id)),
    )
    counted = conn.execute(
        rows_of.where(stock.c.product_id == sa.any_(sa.bindparam("ids", wanted))).group_by(stock.c.product_id)
    )
    return set(wanted) - {product_id for product_id, there in counted if not there}


def _nothing_more(_: dict[str, Any]) -> None:
    """Stores and stock leave nothing open once their fields are read."""


STORE_FIELDS = (
    rows.Field("store_id", rows.identifier, required=True),
    rows.Field("name", rows.short),
    rows.Field("latitude", rows.between(-90, 90)),
    rows.Field("longitude", rows.between(-180, 180)),
    rows.Field("timezone", rows.timezone),
    rows.Field("address", rows.short),
    rows.Field("hours", rows.short),
)
STOCK_FIELDS = (
    rows.Field("store_id", rows.identifier, required=True),
    rows.Field("product_id", rows.identifier, required=True),
    rows.Field("quantity", rows.quantity, required=True),
)
_STORES = feeds.Feed(table=stores, key=("store_id",), fields=STORE_FIELDS, settle=_nothing_more)
_STOCK = feeds.Feed(table=stock, key=("product_id", "store_id"), fields=STOCK_FIELDS, settle=_nothing_more)
