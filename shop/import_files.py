"""Reads an import file by blocks: CSV, JSON lines or Parquet become columns of text with the line each row stands on.

Memory is bounded by the block, never by the file. A row that cannot be read (ragged, not UTF-8, a NUL character, a cell
over 32 KB, broken JSON) is given back with its line and reason, and the rows around it are kept.
"""

import csv
import io
import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from foundation.errors import Fault, Invalid
from shop.import_blocks import (
    BLOCK_BYTES,
    BLOCK_ROWS,
    LONGEST_CELL,
    LONGEST_LINE,
    MARK,
    MOST_COLUMNS,
    NOT_UTF8,
    Block,
    Raw,
    Refused,
)
from shop.import_csv import Csv


@dataclass(frozen=True, slots=True)
class ImportFile:
    """A file whose header has been read: which of the known columns it has, and which others it brought."""

    path: Path
    size: int
    header: tuple[str, ...]
    columns: tuple[str, ...]
    unknown: tuple[str, ...]
    renames: Mapping[str, str] = field(default_factory=dict)

    def blocks(self) -> Iterator[Block]:
        """The rows, block by block."""
        for raw in _FORMATS[self.path.suffix.lower()].blocks(self.path, self.header):
            yield _readable(self._renamed(raw), self.columns)

    def _renamed(self, raw: Raw) -> Raw:
        if not self.renames:
            return raw
        return replace(raw, columns={self.renames.get(name, name): column for name, column in raw.columns.items()})


def open_file(
    path: Path, *, known: Sequence[str], required: Sequence[str], renames: Mapping[str, str] | None = None
) -> ImportFile:
    """Reads the header. `renames` says what columns of the file are called here; an empty name leaves one out. Raises
    `Invalid` if the file cannot be read at all or lacks a required column."""
    given = renames or {}
    header = _header(path, optional=[] if given else [name for name in known if name not in required])
    named = [given.get(name, name) for name in header]
    faults = [Fault(name, "stands twice in the header") for name in known if named.count(name) > 1]
    faults += [Fault(name, "is a required column and is not there") for name in required if name not in named]
    if faults:
        raise Invalid(*faults)
    return ImportFile(
        path=path,
        size=max(1, path.stat().st_size),
        header=tuple(header),
        columns=tuple(name for name in known if name in named),
        unknown=tuple(name for name in named if name and name not in known),
        renames=given,
    )


def peek(path: Path, *, rows: int) -> dict[str, list[str]]:
    """The columns of a file, each with what stands in it in the first rows. Raises `Invalid` if it cannot be read."""
    header = _header(path, optional=())
    first = next(_FORMATS[path.suffix.lower()].blocks(path, header), None)
    columns = first.columns if first is not None else {}
    return {
        name: [_sample(cell) for cell in columns[name][:rows].to_pylist()] if name in columns else [] for name in header
    }


def _sample(cell: object) -> str:
    return "" if cell is None else str(cell).replace(NOT_UTF8, "\ufffd").replace("\0", "")[:80]


def _header(path: Path, *, optional: Sequence[str]) -> list[str]:
    form = _FORMATS.get(path.suffix.lower())
    if form is None:
        raise Invalid(Fault(path.name, "is no .csv, .jsonl or .parquet file"))
    try:
        header = form.header(path, optional)
    except (OSError, UnicodeDecodeError, csv.Error, pa.ArrowException) as error:
        raise Invalid(Fault(path.name, f"cannot be read: {error}")) from error
    if len(header) > MOST_COLUMNS:
        raise Invalid(Fault(path.name, f"has more than {MOST_COLUMNS} columns"))
    return header


# ------------------------------------------------------------------------------------------ what a format gives
def _readable(raw: Raw, wanted: Sequence[str]) -> Block:
    """The wanted columns, trimmed, without the rows that hold a cell no database could take."""
    columns: dict[str, pa.Array] = {}
    faults: dict[int, str] = {}
    for name in wanted if raw.columns else ():
        columns[name] = _plain(raw.columns[name])
        for row, reason in _bad_cells(columns[name]):
            faults.setdefault(row, f"{name}: {reason}")
    refused = list(raw.refused)
    lines = raw.lines
    if faults:
        cells = [raw.columns[name] for name in wanted]
        refused += [
            Refused(int(lines[row]), reason, [column[row].as_py() for column in cells])
            for row, reason in sorted(faults.items())
        ]
        keep = np.ones(len(lines), dtype=bool)
        keep[list(faults)] = False
        columns = {name: column.filter(pa.array(keep)) for name, column in columns.items()}
        lines = lines[keep]
    return Block(columns=columns, lines=lines, refused=tuple(refused), done=raw.done)


def _plain(column: pa.Array) -> pa.Array:
    """Text trimmed and null where empty; numbers and times as they are; anything nested as JSON."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        return _plain(column.dictionary_decode())
    if pa.types.is_nested(kind):
        return pa.array([None if v is None else orjson.dumps(v, default=str).decode() for v in column.to_pylist()])
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_null(kind):
        text = pc.utf8_trim_whitespace(column.cast(pa.string()))
        return pc.if_else(pc.equal(text, ""), None, text)
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        return _plain(pa.array([None if v is None else _decoded(v) for v in column.to_pylist()], pa.string()))
    return column


def _decoded(data: bytes) -> str:
    return data.decode("utf-8", MARK)


def _bad_cells(column: pa.Array) -> list[tuple[int, str]]:
    """Rows whose text the database would refuse."""
    if not pa.types.is_string(column.type) or not len(column):
        return []
    found: list[tuple[int, str]] = []
    for reason, mask in (
        ("is longer than 32 KB", pc.greater(pc.binary_length(column), LONGEST_CELL)),
        ("contains a NUL character", pc.match_substring(column, "\0")),
        ("is not UTF-8", pc.match_substring(column, NOT_UTF8)),
    ):
        rows = np.flatnonzero(pc.fill_null(mask, False).to_numpy(zero_copy_only=False))
        found += [(int(row), reason) for row in rows]
    return found


# ----------------------------------------------------------------------------------------------------- JSON lines
class _JsonLines:
    """One JSON object a line; its keys are the columns. Those of the first 1,000 lines are looked at, and optional
    ones may come later."""

    @staticmethod
    def header(path: Path, optional: Sequence[str]) -> list[str]:
        found: dict[str, None] = {}
        with open(path, "rb") as file:
            for data in itertools.islice(_lines(file), 1000):
                row = _json_object(data)
                found.update(dict.fromkeys(row if isinstance(row, dict) else ()))
        if not found:
            raise Invalid(Fault(path.name, "holds no JSON object a line"))
        return list(found | dict.fromkeys(optional))

    @staticmethod
    def blocks(path: Path, header: Sequence[str]) -> Iterator[Raw]:
        with open(path, "rb") as file:
            read, chunk, held = 0, [], 0
            for line in _lines(file):
                chunk.append(line)
                held += len(line)
                if held >= BLOCK_BYTES:
                    yield _json_block(chunk, header, after=read, done=file.tell())
                    read, chunk, held = read + len(chunk), [], 0
            yield _json_block(chunk, header, after=read, done=file.tell())


def _lines(file: io.BufferedReader) -> Iterator[bytes]:
    """The file's lines; one that is too long is given cut, and its rest is passed over."""
    while line := file.readline(LONGEST_LINE):
        yield line
        while len(line) == LONGEST_LINE and not line.endswith(b"\n"):
            line = file.readline(LONGEST_LINE)


def _json_block(chunk: list[bytes], header: Sequence[str], *, after: int, done: int) -> Raw:
    rows, lines, refused = [], [], []
    for line, data in enumerate(chunk, start=after + 1):
        row = _json_object(data)
        if isinstance(row, dict):
            rows.append(row)
            lines.append(line)
        elif data.strip():
            refused.append(Refused(line, str(row), (data[:LONGEST_CELL].decode(errors="replace").strip(),)))
    columns = {name: pa.array([_cell(row.get(name)) for row in rows], pa.string()) for name in header}
    return Raw(columns=columns, lines=np.array(lines, dtype=np.int64), refused=refused, done=done)


def _json_object(data: bytes) -> dict[str, Any] | str:
    """The object of one line, or why it is none."""
    if len(data) >= LONGEST_LINE:
        return "is longer than 1 MB"
    try:
        row = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        return f"is not JSON: {error}"
    return row if isinstance(row, dict) else "is not a JSON object"


def _cell(value: object) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return orjson.dumps(value).decode()


# -------------------------------------------------------------------------------------------------------- Parquet
class _Parquet:
    """Columns with their own types; the line of a row is its number, the first being 1."""

    @staticmethod
    def header(path: Path, optional: Sequence[str]) -> list[str]:
        with pq.ParquetFile(path) as file:
            return list(file.schema_arrow.names)

    @staticmethod
    def blocks(path: Path, header: Sequence[str]) -> Iterator[Raw]:
        size, read = path.stat().st_size, 0
        with pq.ParquetFile(path, pre_buffer=False, buffer_size=BLOCK_BYTES) as file:
            rows = max(1, file.metadata.num_rows)
            for batch in file.iter_batches(batch_size=BLOCK_ROWS):
                lines = np.arange(read + 1, read + 1 + batch.num_rows, dtype=np.int64)
                read += batch.num_rows
                columns = {name: _marked(column) for name, column in zip(header, batch.columns, strict=True)}
                yield Raw(columns=columns, lines=lines, refused=[], done=size * read // rows)


def _marked(column: pa.Array) -> pa.Array:
    """Parquet readers take any bytes for text: those that are not UTF-8 are marked here."""
    if not pa.types.is_string(column.type):
        return column
    try:
        column.validate(full=True)
    except pa.ArrowInvalid:
        return pa.array([None if v is None else _decoded(v) for v in column.cast(pa.binary()).to_pylist()], pa.string())
    return column


_FORMATS: dict[str, type[Csv] | type[_JsonLines] | type[_Parquet]] = {
    ".csv": Csv,
    ".jsonl": _JsonLines,
    ".ndjson": _JsonLines,
    ".json": _JsonLines,
    ".parquet": _Parquet,
}
