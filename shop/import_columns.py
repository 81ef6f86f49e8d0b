"""Checks the columns of events and orders a block at a time, and gives them the types of the staging table.

A reader sees each distinct value once, so a million rows cost as many calls as they hold different prices; times,
which are nearly all different, are read by Arrow.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from shop import money, rows, vocabulary
from shop.import_blocks import Block, Refused

MOMENT = pa.timestamp("us", "UTC")


class Checked:
    """One block under check: readers take columns from it, and rows that fail are left out at the end."""

    def __init__(self, block: Block) -> None:
        self.block = block
        self.size = len(block.lines)
        self._faults: dict[int, str] = {}

    def column(self, name: str) -> pa.Array:
        """The column as it was read; all null if the file has none of this name."""
        return self.block.columns.get(name, pa.nulls(self.size, pa.string()))

    def refuse(self, mask: Any, reason: str) -> None:
        """These rows cannot be taken. The first reason of a row stays."""
        for row in np.flatnonzero(mask):
            self._faults.setdefault(int(row), reason)

    def require(self, name: str) -> None:
        """Refuses rows without this value."""
        self.refuse(_mask(pc.is_null(self.column(name))), f"{name}: is required")

    def each(self, name: str, reader: Callable[[Any], object], kind: pa.DataType) -> pa.Array:
        """The column read value by value, each distinct one once."""
        return self.read(self.column(name), name, reader=reader, kind=kind)

    def read(self, column: pa.Array, name: str, *, reader: Callable[[Any], object], kind: pa.DataType) -> pa.Array:
        """As `each`, for a column that was put together from others."""
        encoded = column.dictionary_encode()
        values: list[object] = []
        reasons: dict[int, str] = {}
        for index, given in enumerate(encoded.dictionary.to_pylist()):
            try:
                values.append(reader(given))
            except ValueError as error:
                values.append(None)
                reasons[index] = f"{name}: {error}"
        if reasons:
            places = _mask(pc.fill_null(encoded.indices, -1))
            for row in np.flatnonzero(np.isin(places, list(reasons))):
                self._faults.setdefault(int(row), reasons[int(places[row])])
        return pa.array(values, kind).take(encoded.indices)

    def ids(self, name: str, *, most: int = rows.LONGEST_ID) -> pa.Array:
        """An id column as text. Only what looks unusual is read value by value."""
        column = self.column(name)
        if pa.types.is_integer(column.type):
            return column.cast(pa.string())
        if not pa.types.is_string(column.type):
            return self.each(name, rows.identifier, pa.string())
        unusual = pc.or_(pc.greater(pc.utf8_length(column), most), pc.match_substring_regex(column, r"[\x00-\x1f\x7f]"))
        self.refuse(_mask(pc.fill_null(unusual, False)), f"{name}: is longer than {most} characters or not one line")
        return column

    def times(self, name: str, *, now: datetime) -> pa.Array:
        """A time column in UTC; refuses what is no time, before the year 2000 or more than a day ahead."""
        moments = _moments(self.column(name))
        given = _mask(pc.is_valid(self.column(name)))
        self.refuse(given & _mask(pc.is_null(moments)), f"{name}: is not an ISO 8601 time")
        earliest, latest = (pa.scalar(at, MOMENT) for at in (vocabulary.EARLIEST, now + vocabulary.FUTURE))
        wrong = pc.or_(pc.less(moments, earliest), pc.greater(moments, latest))
        self.refuse(_mask(pc.fill_null(wrong, False)), f"{name}: is before the year 2000 or more than a day ahead")
        return moments

    def prices(self) -> tuple[pa.Array, pa.Array, pa.Array]:
        """Prices in minor units, prices as decimal text, and currencies."""
        currency = self.each("currency", rows.currency, pa.string())
        given = self.column("price").cast(pa.string())
        pairs = pc.binary_join_element_wise(given, pc.fill_null(currency, ""), "|")
        minor = self.read(pairs, "price", reader=_minor, kind=pa.int64())
        exact = pc.binary_join_element_wise(minor.cast(pa.string()), pc.fill_null(currency, ""), "|")
        texts = self.read(exact, "price", reader=_decimal, kind=pa.string())
        return minor, texts, pc.if_else(pc.and_(pc.is_valid(minor), pc.is_null(currency)), "EUR", currency)

    def good(self, columns: dict[str, pa.Array]) -> tuple[pa.Table, list[Refused]]:
        """The rows nobody refused as a table, with their number in the file; and the others."""
        table = pa.table({**columns, "line": pa.array(self.block.lines)})
        if not self._faults:
            return table, []
        keep = np.ones(self.size, dtype=bool)
        keep[list(self._faults)] = False
        cells = list(self.block.columns.values())
        refused = [
            Refused(int(self.block.lines[row]), reason, [column[row].as_py() for column in cells])
            for row, reason in sorted(self._faults.items())
        ]
        return table.filter(pa.array(keep)), refused


def _mask(column: pa.Array) -> Any:
    return column.to_numpy(zero_copy_only=False)


def _minor(pair: str) -> int:
    price, _, currency = pair.rpartition("|")
    rows.amount(price)
    return money.minor(price, currency or None)


def _decimal(pair: str) -> str:
    minor, _, currency = pair.rpartition("|")
    return f"{money.decimal(int(minor), currency or None):f}"


def _moments(column: pa.Array) -> pa.Array:
    """Times in UTC, null where the text is none. A time without zone is UTC."""
    if pa.types.is_timestamp(column.type):
        unit = column if column.type.tz else column.cast(pa.timestamp(column.type.unit, "UTC"))
        return unit.cast(MOMENT, safe=False)
    if pa.types.is_date(column.type):
        return column.cast(pa.timestamp("us")).cast(MOMENT)
    column = column.cast(pa.string())
    for kind in (pa.timestamp("us"), MOMENT):
        try:
            return column.cast(kind).cast(MOMENT)
        except pa.ArrowInvalid:
            continue  # some have a zone and others none, or some are no times at all
    return pa.array([vocabulary.moment(text) for text in column.to_pylist()], MOMENT)


def pieces(value: object) -> int:
    """How many pieces an event speaks of."""
    number = rows.quantity(value)
    if number > vocabulary.QUANTITY_MOST:
        raise ValueError("is too large a number")
    return number


def properties(value: object) -> str:
    """A JSON object, written in one way."""
    return orjson.dumps(rows.json_object(value)).decode()
