"""Interactions as they stand in the database: events and orders of every channel, read in bulk."""

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

from foundation.database import Database, driver
from recommender.algorithms.base import Flags, Floats, Interactions, Ints, Kind
from shop.tables import CHANNELS, products, stores

MACHINE = 10_000
"""Whoever looks at so many products and never orders one is no customer."""

UNKNOWN = -1

_CHANNEL = " ".join(f"WHEN '{name}' THEN {code}" for code, name in enumerate(CHANNELS, 1))
_WHERE = f"CASE channel {_CHANNEL} ELSE 0 END | (coalesce(hashtext(store_id), 0)::int8 << 8)"
"""Channel and store in one number: a column costs more than the bits in it."""

_LOOKED = f"""
    array_agg(customer_id), array_agg(hashtextextended(product_id, 0)), array_agg(occurred_at), array_agg({_WHERE}),
    array_agg(CASE name WHEN 'Product Added' THEN {Kind.ADD:d}::int8 ELSE {Kind.VIEW:d} END)
FROM events
WHERE name IN ('Product Viewed', 'Product Added') AND customer_id IS NOT NULL AND product_id IS NOT NULL
  AND occurred_at <= %(now)s
"""
_BOUGHT = """
    array_agg(customer_id), array_agg(hashtextextended(product_id, 0)), array_agg(ordered_at),
    array_agg(coalesce(price, -1))
FROM order_lines
WHERE quantity > 0 AND ordered_at <= %(now)s
  AND NOT EXISTS (SELECT FROM orders WHERE orders.order_id = order_lines.order_id AND state <> 'completed')
"""
_ORDERS = f"""
    array_agg(customer_id), array_agg(ordered_at), array_agg({_WHERE})
FROM orders WHERE state = 'completed' AND ordered_at <= %(now)s
"""
"""Where each order was taken. Joined to its lines here, by customer and moment, in a third of the time the server takes
to join them by their ids."""

PAGES = 4_096
"""Pages of a table read at a time, 32 MB of it: both sides hold no more than that."""

_HEADER, _ARRAY_HEADER = 21, 20
_CELL = np.dtype([("size", ">i4"), ("value", ">i8")])
_POSTGRES_EPOCH = 946_684_800_000_000
"""PostgreSQL counts microseconds from 2000, everyone else from 1970."""


@dataclass(frozen=True, slots=True)
class _Catalogue:
    """The products, by the order of their hashes, and the stores."""

    product_ids: tuple[str, ...]
    hashes: NDArray[np.int64]
    by_hash: Ints
    categories: Ints
    category_names: tuple[str, ...]
    brands: Ints
    prices: Floats
    store_ids: tuple[str, ...]
    store_hashes: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class _Rows:
    """Interactions as they are read, in any order."""

    customers: NDArray[np.int64]
    products: Ints
    kinds: Ints
    times: Ints
    where: NDArray[np.int64]
    prices: Floats


def load(db: Database, *, now: datetime) -> Interactions:
    """Everything that counts until `now`, from every channel. Manages its own transaction, closed when this returns:
    none is held while a model is fitted. Only products of the catalogue are kept; others could not be shown."""
    with db.begin() as conn:
        conn.execute(sa.text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"))
        catalogue = _catalogue(conn)
        rows = _read(conn, catalogue, now=now)
    return _assembled(rows, catalogue)


def _catalogue(conn: sa.Connection) -> _Catalogue:
    hashed = sa.func.hashtextextended(products.c.product_id, 0)
    found = conn.execute(
        sa.select(products.c.product_id, hashed, products.c.category, products.c.brand, products.c.price).order_by(
            products.c.product_id
        )
    ).all()
    shops = conn.execute(sa.select(stores.c.store_id, sa.func.hashtext(stores.c.store_id)).order_by(sa.text("2"))).all()
    hashes = np.array([row[1] for row in found], np.int64)
    by_hash = np.argsort(hashes)
    categories, names = _coded([row[2] for row in found])
    prices = np.array([np.nan if row[4] is None else row[4] / 100 for row in found])
    return _Catalogue(
        product_ids=tuple(row[0] for row in found),
        hashes=hashes[by_hash],
        by_hash=by_hash,
        categories=categories,
        category_names=names,
        brands=_told(_coded([row[3] for row in found])[0], UNKNOWN),
        prices=prices if np.isfinite(prices).any() else np.zeros(0),
        store_ids=tuple(row[0] for row in shops),
        store_hashes=np.array([row[1] for row in shops], np.int64),
    )


def _read(conn: sa.Connection, catalogue: _Catalogue, *, now: datetime) -> _Rows:
    """Views and baskets, then what was bought, part by part: only the columns kept ever stand in memory whole."""
    orders = [(_mixed(who, at), where) for who, at, where in _parts(conn, "orders", _ORDERS, now=now)]
    keys, where = (np.concatenate(column) for column in zip(*orders, strict=True))
    by_key = np.argsort(keys)
    keys, where = keys[by_key], where[by_key]
    parts = []
    for customers, hashes, times, seen_at, kinds in _parts(conn, "events", _LOOKED, now=now):
        parts.append(_kept(catalogue, _Rows(customers, hashes, kinds, times, seen_at, np.full(len(times), np.nan))))
    for customers, hashes, times, paid in _parts(conn, "order_lines", _BOUGHT, now=now):
        taken = _looked_up(_mixed(customers, times), keys, where)
        kinds = np.full(len(customers), int(Kind.ORDER))
        prices = np.where(paid < 0, np.nan, paid / 100)
        parts.append(_kept(catalogue, _Rows(customers, hashes, kinds, times, taken, prices)))
    return _Rows(*(np.concatenate([getattr(part, name) for part in parts]) for name in _Rows.__slots__))


def _parts(conn: sa.Connection, table: str, query: str, *, now: datetime) -> Iterator[list[NDArray[np.int64]]]:
    """The columns of a query on a table, some pages of it at a time, the next ones under way while these are used."""
    pages: int = conn.scalar(
        sa.text("SELECT pg_relation_size(CAST(:name AS regclass)) / CAST(current_setting('block_size') AS int)"),
        {"name": table},
    )
    with ThreadPoolExecutor(1) as ahead:
        coming: Future[list[NDArray[np.int64]]] | None = None
        for first in range(0, pages + 1, PAGES):
            here = f" AND {table}.ctid >= '({first},0)' AND {table}.ctid < '({first + PAGES},0)'"
            ready, coming = coming, ahead.submit(_columns, conn, query + here, now)
            if ready is not None:
                yield ready.result()
        if coming is not None:
            yield coming.result()


def _columns(conn: sa.Connection, query: str, now: datetime) -> list[NDArray[np.int64]]:
    """The columns of a query. As arrays in binary they arrive twice as fast as row by row, and need no parsing: the
    reason product ids travel as hashes."""
    with driver(conn).cursor() as cursor:
        with cursor.copy(f"COPY (SELECT {query}) TO STDOUT (FORMAT binary)", {"now": now}) as copy:
            return _arrays(b"".join(copy), query.count("array_agg("))


def _arrays(received: bytes, count: int) -> list[NDArray[np.int64]]:
    """The arrays of the one row received; where nothing was found there are none."""
    found, at = [], _HEADER
    for _ in range(count):
        size = int.from_bytes(received[at : at + 4], "big", signed=True)
        if size < 0:
            return [np.zeros(0, np.int64)] * count
        cells = np.frombuffer(received, _CELL, (size - _ARRAY_HEADER) // _CELL.itemsize, at + 4 + _ARRAY_HEADER)
        found.append(cells["value"].astype(np.int64))
        at += 4 + size
    return found


def _kept(catalogue: _Catalogue, rows: _Rows) -> _Rows:
    """Rows of hashed products as rows of numbered ones; those of no product of the catalogue left out."""
    if not len(catalogue.hashes):
        return _Rows(*(getattr(rows, name)[:0] for name in _Rows.__slots__))
    places = np.minimum(np.searchsorted(catalogue.hashes, rows.products), len(catalogue.hashes) - 1)
    known = catalogue.hashes[places] == rows.products
    return replace(
        _Rows(*(getattr(rows, name)[known] for name in _Rows.__slots__)), products=catalogue.by_hash[places[known]]
    )


def _mixed(*columns: NDArray[np.int64]) -> NDArray[np.int64]:
    found = np.zeros(len(columns[0]), np.int64)
    for column in columns:
        found = (found ^ column) * np.int64(-7_046_029_254_386_353_131)  # odd, as large as they come: overflow mixes
        found ^= found >> 29
    return found


def _looked_up(keys: NDArray[np.int64], known: NDArray[np.int64], values: NDArray[np.int64]) -> NDArray[np.int64]:
    """The value of each key, 0 if it has none; `known` is in order."""
    if not len(known):
        return np.zeros(len(keys), np.int64)
    places = np.minimum(np.searchsorted(known, keys), len(known) - 1)
    return np.where(known[places] == keys, values[places], 0)


def _coded(names: list[str | None]) -> tuple[Ints, tuple[str, ...]]:
    """A code for each name, -1 for none; and the names by code."""
    distinct = tuple(sorted({name for name in names if name}))
    codes = {name: code for code, name in enumerate(distinct)}
    return np.array([codes.get(name or "", UNKNOWN) for name in names], np.int64), distinct


def _assembled(rows: _Rows, catalogue: _Catalogue) -> Interactions:
    """Oldest first, customers numbered from 0, machines and repeated order lines left out."""
    customers, count = _renumbered(rows.customers)
    counts = np.bincount(customers, minlength=count)
    orders = np.bincount(customers, weights=rows.kinds == Kind.ORDER, minlength=count)
    kept = ((counts < MACHINE) | (orders > 0))[customers] & once(customers, rows.products, rows.kinds, rows.times)
    order = np.flatnonzero(kept)[np.argsort(rows.times[kept], kind="stable")]
    where = rows.where[order]
    return Interactions(
        customers=customers[order],
        products=rows.products[order],
        kinds=rows.kinds[order],
        times=rows.times[order] + _POSTGRES_EPOCH,
        customer_count=count,
        product_ids=catalogue.product_ids,
        categories=catalogue.categories,
        category_names=catalogue.category_names,
        brands=catalogue.brands,
        product_prices=catalogue.prices,
        prices=_told(rows.prices[order], np.nan),
        stores=_told(_stores(where, catalogue), UNKNOWN),
        channels=_told((where & 255) - 1, UNKNOWN),
        store_names=catalogue.store_ids,
        channel_names=CHANNELS,
    )


def _stores(where: NDArray[np.int64], catalogue: _Catalogue) -> Ints:
    return _looked_up(where >> 8, catalogue.store_hashes, np.arange(1, len(catalogue.store_ids) + 1)) - 1


def _renumbered(ids: NDArray[np.int64]) -> tuple[Ints, int]:
    """Numbers from 0 in the order of the ids, and how many there are. Counting beats sorting while ids are dense."""
    if len(ids) and ids.max() < 16 * len(ids):
        there = np.zeros(int(ids.max()) + 1, np.int64)
        there[ids] = 1
        numbers = np.cumsum(there)
        return numbers[ids] - 1, int(numbers[-1])
    distinct, numbered = np.unique(ids, return_inverse=True)
    return numbered, len(distinct)


def once(customers: Ints, products: Ints, kinds: Ints, times: Ints) -> Flags:
    """False where an order line says again what one of the same customer, product and moment said."""
    kept = np.ones(len(customers), bool)
    orders = np.flatnonzero(kinds == Kind.ORDER)
    keys = _mixed(customers[orders], products[orders], times[orders])
    in_order = np.sort(keys)
    if (in_order[1:] == in_order[:-1]).any():
        kept[orders] = False
        kept[orders[np.unique(keys, return_index=True)[1]]] = True
    return kept


def _told(values: NDArray[Any], nothing: float) -> NDArray[Any]:
    """The values; an empty array if none of them says anything."""
    silent = np.isnan(values) if np.isnan(nothing) else values == nothing
    return values[:0] if silent.all() else values
