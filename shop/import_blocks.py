"""What import files are read into: blocks of rows with their lines, and the rows that were refused."""

import codecs
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

BLOCK_BYTES = 2 << 20
BLOCK_ROWS = 1 << 15
LONGEST_LINE = 1 << 20
MOST_COLUMNS = 200
LONGEST_CELL = 32 * 1024

NOT_UTF8 = "\uffff"
"""Stands for a byte that is not UTF-8 until its row is refused; Unicode keeps this character out of texts."""

MARK = "relance-mark"
"""The error handler that puts it there, for `decode`."""

Lines = np.ndarray[Any, np.dtype[np.int64]]


@dataclass(frozen=True, slots=True)
class Refused:
    """One row that was not taken: its line, why, and its cells as they were read."""

    line: int
    reason: str
    cells: Sequence[object]


@dataclass(frozen=True, slots=True)
class Raw:
    """A block as its format reads it, before its cells are looked at."""

    columns: dict[str, pa.Array]
    lines: Lines
    refused: list[Refused]
    done: int


@dataclass(frozen=True, slots=True)
class Block:
    """Some rows of the file. Columns hold trimmed text with null for empty, or the numbers and times of a Parquet
    file as they are. `done` counts the bytes of the file that have been read."""

    columns: dict[str, pa.Array]
    lines: Lines
    refused: tuple[Refused, ...]
    done: int


def _mark(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return NOT_UTF8, error.end


codecs.register_error(MARK, _mark)
