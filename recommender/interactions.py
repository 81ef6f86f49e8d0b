"""Where interactions come from: events and orders of every channel, or a file of the `interactions` format."""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import sqlalchemy as sa
from numpy.typing import NDArray
from pyarrow import csv, json, parquet

from foundation.database import Database, driver
from foundation.errors import Fault, Invalid
from recommender.algorithms.base import UNCATEGORISED, Flags, Interactions, Ints, Kind
from shop.tables import products

KINDS = {"Product Viewed": Kind.VIEW, "Product Added": Kind.ADD, "Order Completed": Kind.ORDER}
"""The events that count, by the names of the e-commerce specification."""

MACHINE = 10_000
"""Whoever looks at so many products and never orders one is no customer."""

_COPY = """
COPY (
    SELECT line.customer_id, hashtextextended(line.product_id, 0), line.ordered_at, 2::bigint
    FROM order_lines line JOIN orders USING (order_id)
    WHERE orders.state = 'completed' AND line.quantity > 0 AND line.ordered_at <= %(now)s
    UNION ALL
    SELECT customer_id, hashtextextended(product_id, 0), occurred_at,
           CASE name WHEN 'Product Added' THEN 1 ELSE 0 END
    FROM events
    WHERE name IN ('Product Viewed', 'Product Added') AND customer_id IS NOT NULL AND product_id IS NOT NULL
      AND occurred_at <= %(now)s
) TO STDOUT (FORMAT binary)
"""
_HEADER, _TRAILER = 19, 2
_ROW = np.dtype([
    ("fields", ">i2"),
    ("customer_size", ">i4"), ("customer", ">i8"),
    ("product_size", ">i4"), ("product", ">i8"),
    ("time_size", ">i4"), ("time", ">i8"),
    ("kind_size", ">i4"), ("kind", ">i8"),
])  # fmt: skip
_POSTGRES_EPOCH = 946_684_800_000_000
"""PostgreSQL counts microseconds from 2000, everyone else from 1970."""


# ------------------------------------------------------------------------------------------------ the database
def load(db: Database, *, now: datetime) -> Interactions:
    """Everything that counts until `now`, from every channel. Manages its own transaction, closed when this returns:
    none is held while a model is fitted. Only products of the catalogue are kept; others could not be shown."""
    with db.begin() as conn:
        conn.execute(sa.text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"))
        hashed = sa.func.hashtextextended(products.c.product_id, 0)
        catalogue = conn.execute(
            sa.select(products.c.product_id, hashed, products.c.category).order_by(products.c.product_id)
        ).all()
        rows = _copied(conn, now)
    numbers, known = _numbers(rows["product"], np.array([row[1] for row in catalogue], np.int64))
    rows, numbers = rows[known], numbers[known]
    categories, names = _coded([row[2] for row in catalogue])
    return _assembled(
        customers=rows["customer"],
        products=numbers,
        kinds=rows["kind"],
        times=rows["time"] + _POSTGRES_EPOCH,
        product_ids=tuple(row[0] for row in catalogue),
        categories=categories,
        category_names=names,
    )


def _copied(conn: sa.Connection, now: datetime) -> NDArray[np.void]:
    """Binary rows of one width, viewed as an array without parsing any: the reason product ids travel as hashes."""
    received = bytearray()
    with driver(conn).cursor() as cursor, cursor.copy(_COPY, {"now": now}) as copy:
        for block in copy:
            received += block
    return np.frombuffer(memoryview(received)[_HEADER : len(received) - _TRAILER], _ROW)


def _numbers(hashes: NDArray[np.int64], catalogue: NDArray[np.int64]) -> tuple[Ints, Flags]:
    """The number of each hash in the catalogue, and whether it is there."""
    if not len(catalogue):
        return np.zeros(len(hashes), np.int64), np.zeros(len(hashes), bool)
    order = np.argsort(catalogue)
    native = hashes.astype(np.int64)
    places = np.minimum(np.searchsorted(catalogue, native, sorter=order), len(catalogue) - 1)
    numbers = order[places]
    return numbers, catalogue[numbers] == native


def _coded(categories: list[str | None]) -> tuple[Ints, tuple[str, ...]]:
    names = tuple(sorted({category for category in categories if category}))
    codes = {name: code for code, name in enumerate(names)}
    return np.array([codes.get(category or "", UNCATEGORISED) for category in categories], np.int64), names


def _assembled(
    *,
    customers: NDArray[np.int64],
    products: Ints,
    kinds: Ints,
    times: Ints,
    product_ids: tuple[str, ...],
    categories: Ints,
    category_names: tuple[str, ...],
) -> Interactions:
    """Oldest first, customers numbered from 0, machines left out."""
    ids, numbered = np.unique(customers.astype(np.int64), return_inverse=True)
    counts = np.bincount(numbered, minlength=len(ids))
    orders = np.bincount(numbered, weights=kinds == Kind.ORDER, minlength=len(ids))
    people = ((counts < MACHINE) | (orders > 0))[numbered]
    order = np.flatnonzero(people)[np.argsort(times[people], kind="stable")]
    return Interactions(
        customers=numbered[order],
        products=products[order].astype(np.int64),
        kinds=kinds[order].astype(np.int64),
        times=times[order].astype(np.int64),
        customer_count=len(ids),
        product_ids=product_ids,
        categories=categories,
        category_names=category_names,
    )


# ----------------------------------------------------------------------------------------------------- a file
@dataclass(frozen=True, slots=True)
class Recorded:
    """Interactions read from a file. `marked` are its test rows, if it says; `visits`: they come by session;
    `unknown`: columns that mean nothing here."""

    interactions: Interactions
    baskets: Ints
    marked: Flags | None
    visits: bool
    unknown: tuple[str, ...] = ()


def from_file(path: Path) -> Recorded:
    """Reads CSV, JSON lines or Parquet, by extension; raises `Invalid` naming what is missing."""
    read = _table(path)
    table = _usable(read)
    visits = _given(table, "session_id")
    people = table["session_id" if visits else "user_id"]
    times = pc.cast(table["timestamp"], pa.int64()).to_numpy()
    order = np.argsort(times, kind="stable")
    product_codes, product_ids = _factored(table["product_id"])
    customers, names = _factored(people)
    interactions = Interactions(
        customers=customers[order],
        products=product_codes[order],
        kinds=np.array([KINDS[name] for name in table["event"].to_pylist()], np.int64)[order],
        times=times[order],
        customer_count=len(names),
        product_ids=product_ids,
        categories=np.full(len(product_ids), UNCATEGORISED),
    )
    marked = pc.fill_null(pc.equal(table["set"], "test"), False).to_numpy()[order] if _given(table, "set") else None
    unknown = tuple(name for name in read.column_names if name not in (*_REQUIRED, *_OPTIONAL, *_UNUSED))
    return Recorded(interactions, _baskets(table, times)[order], marked, visits, unknown)


def _table(path: Path) -> pa.Table:
    try:
        match path.suffix.lower():
            case ".parquet":
                return parquet.read_table(path)
            case ".csv":
                text = {name: pa.string() for name in (*_REQUIRED, *_OPTIONAL)}
                return csv.read_csv(path, convert_options=csv.ConvertOptions(column_types=text))
            case ".jsonl" | ".ndjson" | ".json":
                return json.read_json(path)
    except (pa.ArrowInvalid, pa.ArrowKeyError, UnicodeDecodeError) as error:
        raise Invalid(Fault(path.name, f"cannot be read: {error}")) from None
    raise Invalid(Fault(path.name, "give a file that ends in .csv, .jsonl or .parquet"))


_REQUIRED = ("user_id", "product_id", "timestamp")
_UNUSED = ("channel",)
_OPTIONAL = ("event", "order_id", "quantity", "session_id", "set")


def _usable(table: pa.Table) -> pa.Table:
    """The columns that count, as text but for the time; rows that say nothing, or nothing we count, left out."""
    missing = [name for name in _REQUIRED if name not in table.column_names]
    if missing:
        raise Invalid(*(Fault(name, "the column is missing") for name in missing))
    columns = {"timestamp": _times(table["timestamp"])}
    for name in ("user_id", "product_id", *_OPTIONAL):
        given = table[name] if name in table.column_names else pa.nulls(table.num_rows)
        columns[name] = _filled(pc.cast(given, pa.string()))
    columns["event"] = pc.fill_null(columns["event"], "Order Completed")
    columns["quantity"] = pc.fill_null(_quantities(columns["quantity"]), 1.0)
    usable = pa.table(columns)
    counted = pc.and_(
        pc.is_in(usable["event"], value_set=pa.array(KINDS)),
        pc.greater(usable["quantity"], 0),
    )
    for name in _REQUIRED:
        counted = pc.and_(counted, pc.is_valid(usable[name]))
    return usable.filter(counted)


def _filled(texts: pa.ChunkedArray) -> pa.ChunkedArray:
    """An empty cell says nothing, in whatever kind of file."""
    return pc.if_else(pc.equal(texts, ""), pa.scalar(None, pa.string()), texts)


def _quantities(texts: pa.ChunkedArray) -> pa.ChunkedArray:
    try:
        return pc.cast(texts, pa.float64())
    except pa.ArrowInvalid:
        raise Invalid(Fault("quantity", "holds what is no number")) from None


def _times(given: pa.ChunkedArray) -> pa.ChunkedArray:
    """Microseconds of UTC; a time without a zone is read as UTC."""
    if pa.types.is_timestamp(given.type) or pa.types.is_date(given.type):
        return pc.cast(given, pa.timestamp("us"), safe=False)
    return pa.chunked_array([pa.array([_moment(text) for text in given.to_pylist()], pa.timestamp("us"))])


def _moment(text: object) -> datetime | None:
    if text in (None, ""):
        return None
    try:
        moment = datetime.fromisoformat(str(text))
    except ValueError:
        raise Invalid(Fault("timestamp", f"is {str(text)[:40]!r}; give an ISO 8601 time")) from None
    return moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo else moment


def _given(table: pa.Table, name: str) -> bool:
    return bool(table[name].null_count < table.num_rows)


def _factored(values: pa.ChunkedArray) -> tuple[Ints, tuple[str, ...]]:
    coded = pc.dictionary_encode(values.combine_chunks())
    return coded.indices.to_numpy(zero_copy_only=False).astype(np.int64), tuple(coded.dictionary.to_pylist())


def _baskets(table: pa.Table, times: Ints) -> Ints:
    """A number for each row's basket, rising with time: the order it names, else all of one moment."""
    if not _given(table, "order_id"):
        return times
    codes, names = _factored(pc.fill_null(table["order_id"], ""))
    first = np.full(len(names), np.iinfo(np.int64).max)
    np.minimum.at(first, codes, times)
    rank = np.empty(len(names), np.int64)
    rank[np.argsort(first, kind="stable")] = np.arange(len(names))
    return rank[codes]
