"""Cuts a CSV file (RFC 4180) into rows with Arrow, keeping the physical line each stands on and what is ragged."""

import codecs
import csv
import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from foundation.errors import Fault, Invalid
from shop.import_blocks import BLOCK_BYTES, LONGEST_LINE, MARK, MOST_COLUMNS, Lines, Raw, Refused


class Csv:
    """Rows cut by Arrow's CSV reader (RFC 4180: quotes, doubled quotes, newlines within quotes)."""

    @staticmethod
    def header(path: Path, optional: Sequence[str]) -> list[str]:
        with open(path, "rb") as file:
            first = file.readline(LONGEST_LINE)
        if len(first) == LONGEST_LINE or first.count(b",") > MOST_COLUMNS:
            raise Invalid(Fault(path.name, f"has more than {MOST_COLUMNS} columns, or no line ends"))
        text = first.decode("utf-8-sig")
        if not text.strip():
            raise Invalid(Fault(path.name, "has no header row"))
        return [name.strip() for name in next(csv.reader([text]))]

    @staticmethod
    def blocks(path: Path, header: Sequence[str]) -> Iterator[Raw]:
        with open(path, "rb") as file:
            counter = _LineCounter()
            names = [str(number) for number in range(len(header))]
            try:
                reader = _csv_reader(_Utf8(file), names, counter)
                for batch in reader:
                    yield counter.number(dict(zip(header, batch.columns, strict=True)), done=file.tell())
            except pa.ArrowInvalid as error:
                yield counter.rest(f"the file cannot be read from here on: {error}", done=file.tell())
                return
            yield counter.rest(None, done=file.tell())


def _csv_reader(source: "_Utf8", names: list[str], counter: "_LineCounter") -> pa.csv.CSVStreamingReader:
    return pa.csv.open_csv(
        pa.PythonFile(source, mode="r"),
        read_options=pa.csv.ReadOptions(use_threads=False, block_size=BLOCK_BYTES, column_names=names, skip_rows=1),
        parse_options=pa.csv.ParseOptions(
            newlines_in_values=True, ignore_empty_lines=False, invalid_row_handler=counter.ragged
        ),
        convert_options=pa.csv.ConvertOptions(
            column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False, check_utf8=False
        ),
    )


class _LineCounter:
    """Tells which physical line each row starts on: Arrow counts rows, and a quoted cell may span lines."""

    def __init__(self) -> None:
        self._ragged: list[tuple[int, int, str]] = []
        self._next_row = 2
        self._extra = 0

    def ragged(self, row: Any) -> str:
        """Arrow's call for a row with the wrong number of cells."""
        if row.text.strip("\r\n"):
            reason = f"has {row.actual_columns} cells where the header has {row.expected_columns}"
            self._ragged.append((row.number, row.text.count("\n"), reason + "\n" + row.text))
        else:
            self._ragged.append((row.number, 0, ""))
        return "skip"

    def number(self, columns: dict[str, pa.Array], *, done: int) -> Raw:
        """The block with its lines, and the ragged rows that stood before its last row."""
        count = len(next(iter(columns.values())))
        skipped = {row for row, _, _ in self._ragged}
        rows = np.arange(self._next_row, self._next_row + count + len(skipped), dtype=np.int64)
        rows = rows[~np.isin(rows, list(skipped))][:count]
        inner = _newlines_within(columns, count)
        lines = rows + self._extra + np.cumsum(inner) - inner
        refused, past = [], 0
        while self._ragged and self._ragged[0][0] < rows[-1]:
            row, newlines, text = self._ragged.pop(0)
            place = int(np.searchsorted(rows, row))
            line = row + self._extra + int(inner[:place].sum()) + past
            lines[place:] += newlines
            past += newlines
            refused += _ragged_row(line, text)
        self._next_row = int(rows[-1]) + 1
        self._extra += int(inner.sum()) + past
        return Raw(*_without_blank(columns, lines), refused=refused, done=done)

    def rest(self, fault: str | None, *, done: int) -> Raw:
        """What stood after the last good row."""
        refused = []
        for row, newlines, text in self._ragged:
            refused += _ragged_row(row + self._extra, text)
            self._extra += newlines
            self._next_row = row + 1
        if fault:
            refused.append(Refused(self._next_row + self._extra, fault, ()))
        return Raw(columns={}, lines=np.empty(0, dtype=np.int64), refused=refused, done=done)


def _ragged_row(line: int, text: str) -> list[Refused]:
    if not text:
        return []  # an empty line is no row
    reason, _, cells = text.partition("\n")
    return [Refused(line, reason, next(csv.reader(io.StringIO(cells)), []))]


def _newlines_within(columns: dict[str, pa.Array], count: int) -> Lines:
    total = np.zeros(count, dtype=np.int64)
    for column in columns.values():
        if pc.any(pc.match_substring(column, "\n")).as_py():
            total += pc.count_substring(column, "\n").to_numpy(zero_copy_only=False)
    return total


def _without_blank(columns: dict[str, pa.Array], lines: Lines) -> tuple[dict[str, pa.Array], Lines]:
    """An empty line reaches us as a row of empty cells; it is no row."""
    filled = np.zeros(len(lines), dtype=bool)
    for column in columns.values():
        filled |= pc.not_equal(column, "").to_numpy(zero_copy_only=False)
        if filled.all():
            return columns, lines
    return {name: column.filter(pa.array(filled)) for name, column in columns.items()}, lines[filled]


class _Utf8(io.RawIOBase):
    """A file whose bytes that are not UTF-8 are replaced by a mark: one bad cell must not end the reading."""

    def __init__(self, file: io.BufferedReader) -> None:
        self._file = file
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors=MARK)
        if file.read(3) != codecs.BOM_UTF8:
            file.seek(0)

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        """Up to `size` bytes, or a few more where marks were set; empty only at the end."""
        data = self._file.read(size)
        text = self._decoder.decode(data, final=not data)
        while data and not text:
            data = self._file.read(size)
            text = self._decoder.decode(data, final=not data)
        return text.encode()
