"""Interactions of a file of the `interactions` format: CSV, JSON lines or Parquet."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv, json, parquet

from foundation.errors import Fault, Invalid
from recommender import interactions
from recommender.algorithms.base import NO_FLOATS, NO_INTS, UNCATEGORISED, Flags, Floats, Interactions, Ints, Kind

KINDS = {"Product Viewed": Kind.VIEW, "Product Added": Kind.ADD, "Order Completed": Kind.ORDER}
"""The events that count, by the names of the e-commerce specification."""

_REQUIRED = ("user_id", "product_id", "timestamp")
_TEXTS = ("event", "order_id", "session_id", "set", "channel", "store_id", "category", "brand")
_NUMBERS = ("quantity", "price")


@dataclass(frozen=True, slots=True)
class Recorded:
    """Interactions read from a file. `marked` are its test rows, if it says; `visits`: they come by session;
    `unknown`: columns that mean nothing here; `left_out`: how many rows say nothing that counts."""

    interactions: Interactions
    baskets: Ints
    marked: Flags | None
    visits: bool
    unknown: tuple[str, ...] = ()
    left_out: int = 0


def read(path: Path, *, until: datetime | None = None) -> Recorded:
    """All that counts of a file; raises `Invalid` naming what is missing or wrong.

    :param until: what came later does not count
    """
    whole = _table(path)
    table = _usable(whole)
    if until is not None:
        limit = pa.scalar(until.astimezone(UTC).replace(tzinfo=None), pa.timestamp("us"))
        table = table.filter(pc.less_equal(table["timestamp"], limit))
    visits = _given(table, "session_id")
    times = pc.cast(table["timestamp"], pa.int64()).to_numpy()
    customers, names = _factored(table["session_id" if visits else "user_id"])
    products, product_ids = _factored(table["product_id"])
    kinds = table["kind"].to_numpy().astype(np.int64)
    order = np.argsort(times, kind="stable")
    order = order[interactions.once(customers, products, kinds, times)[order]]
    bare = Interactions(
        customers=customers[order],
        products=products[order],
        kinds=kinds[order],
        times=times[order],
        customer_count=len(names),
        product_ids=product_ids,
        categories=np.full(len(product_ids), UNCATEGORISED),
    )
    marked = pc.fill_null(pc.equal(table["set"], "test"), False).to_numpy()[order] if _given(table, "set") else None
    unknown = tuple(name for name in whole.column_names if name not in (*_REQUIRED, *_TEXTS, *_NUMBERS))
    return Recorded(
        _described(bare, table, order=order),
        _baskets(table, times)[order],
        marked,
        visits,
        unknown,
        left_out=whole.num_rows - table.num_rows,
    )


def _described(bare: Interactions, table: pa.Table, *, order: Ints) -> Interactions:
    """With the optional columns the file has."""
    columns = _Columns(table, order, bare.products, bare.product_count)
    categories, category_names = columns.of_products("category")
    stores, store_names = columns.of_rows("store_id")
    channels, channel_names = columns.of_rows("channel")
    return replace(
        bare,
        categories=categories if len(categories) else bare.categories,
        category_names=category_names,
        brands=columns.of_products("brand")[0],
        product_prices=columns.last_prices(),
        prices=columns.prices(),
        stores=stores,
        channels=channels,
        store_names=store_names,
        channel_names=channel_names,
    )


@dataclass(frozen=True, slots=True)
class _Columns:
    """The optional columns: by row, oldest first, or as last said of each product. One that says nothing is empty.

    `products` are those of the rows in `order`.
    """

    table: pa.Table
    order: Ints
    products: Ints
    product_count: int

    def of_rows(self, name: str) -> tuple[Ints, tuple[str, ...]]:
        """The code of each row's value, -1 for none; and the values by code."""
        if not _given(self.table, name):
            return NO_INTS, ()
        codes, names = _factored(self.table[name])
        return codes[self.order], names

    def of_products(self, name: str) -> tuple[Ints, tuple[str, ...]]:
        """The same of each product."""
        codes, names = self.of_rows(name)
        found = np.full(self.product_count if names else 0, interactions.UNKNOWN)
        said = codes != interactions.UNKNOWN
        found[self.products[said]] = codes[said]
        return found, names

    def prices(self) -> Floats:
        """Of one piece, by row."""
        if not _given(self.table, "price"):
            return NO_FLOATS
        return np.asarray(self.table["price"].to_numpy()[self.order])

    def last_prices(self) -> Floats:
        """Of one piece, by product."""
        prices = self.prices()
        found = np.full(self.product_count if len(prices) else 0, np.nan)
        said = np.isfinite(prices)
        found[self.products[said]] = prices[said]
        return found


def _table(path: Path) -> pa.Table:
    try:
        match path.suffix.lower():
            case ".parquet":
                return parquet.read_table(path)
            case ".csv":
                text = {name: pa.string() for name in (*_REQUIRED, *_TEXTS, *_NUMBERS)}
                return csv.read_csv(path, convert_options=csv.ConvertOptions(column_types=text))
            case ".jsonl" | ".ndjson" | ".json":
                return json.read_json(path)
    except (pa.ArrowInvalid, pa.ArrowKeyError, UnicodeDecodeError) as error:
        raise Invalid(Fault(path.name, f"cannot be read: {error}")) from None
    raise Invalid(Fault(path.name, "give a file that ends in .csv, .jsonl or .parquet"))


def _usable(table: pa.Table) -> pa.Table:
    """The columns that count, as text but for times and numbers; rows that say nothing we count left out."""
    missing = [name for name in _REQUIRED if name not in table.column_names]
    if missing:
        raise Invalid(*(Fault(name, "the column is missing") for name in missing))
    columns = {"timestamp": _times(table["timestamp"])}
    for name in ("user_id", "product_id", *_TEXTS, *_NUMBERS):
        given = table[name] if name in table.column_names else pa.nulls(table.num_rows)
        columns[name] = _filled(pc.cast(given, pa.string()))
    for name in _NUMBERS:
        columns[name] = _numbers(columns[name], name)
    columns["quantity"] = pc.fill_null(columns["quantity"], 1.0)
    names = pc.fill_null(columns.pop("event"), "Order Completed")
    kinds = pa.array([int(kind) for kind in KINDS.values()])
    columns["kind"] = pc.take(kinds, pc.index_in(names, value_set=pa.array(list(KINDS))))
    usable = pa.table(columns)
    counted = pc.greater(usable["quantity"], 0)
    for name in (*_REQUIRED, "kind"):
        counted = pc.and_(counted, pc.is_valid(usable[name]))
    return usable.filter(counted)


def _filled(texts: pa.ChunkedArray) -> pa.ChunkedArray:
    """An empty cell says nothing, in whatever kind of file."""
    return pc.if_else(pc.equal(texts, ""), pa.scalar(None, pa.string()), texts)


def _numbers(texts: pa.ChunkedArray, name: str) -> pa.ChunkedArray:
    try:
        return pc.cast(texts, pa.float64())
    except pa.ArrowInvalid:
        raise Invalid(Fault(name, "holds what is no number")) from None


def _times(given: pa.ChunkedArray) -> pa.ChunkedArray:
    """Microseconds of UTC; a time without a zone is read as UTC."""
    if pa.types.is_timestamp(given.type) or pa.types.is_date(given.type):
        return pc.cast(given, pa.timestamp("us"), safe=False)
    for kind in (pa.timestamp("us"), pa.timestamp("us", "UTC")):
        try:
            return pc.cast(pc.cast(given, kind), pa.timestamp("us"))
        except pa.ArrowInvalid:
            continue  # some have a zone and some have none, or some are no times at all
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
    """The code of each value, -1 for none; and the values by code."""
    coded = pc.dictionary_encode(values.combine_chunks())
    codes = pc.fill_null(coded.indices, interactions.UNKNOWN)
    return codes.to_numpy(zero_copy_only=False).astype(np.int64), tuple(coded.dictionary.to_pylist())


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
