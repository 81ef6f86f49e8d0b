"""The merchant's places of sale and what each has in stock."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

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
