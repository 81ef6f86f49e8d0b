"""Writes columns of values as PostgreSQL array literals. Pure.

One literal is one text parameter, which costs the driver far less than an array of parameters: most transactions here
hold a handful of rows, and the fixed cost of each column is what they pay. The statement casts it: `%s::bigint[]`.
"""

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any
from uuid import UUID


def texts(values: Iterable[str | None]) -> str:
    """Any text, JSON included; None is NULL."""
    return "{" + ",".join(["NULL" if value is None else _quoted(value) for value in values]) + "}"


def numbers(values: Iterable[int | None]) -> str:
    """Whole numbers; None is NULL."""
    return "{" + ",".join(["NULL" if value is None else str(value) for value in values]) + "}"


def times(values: Iterable[datetime | None]) -> str:
    """Aware times; None is NULL."""
    return "{" + ",".join(["NULL" if value is None else f'"{value.isoformat()}"' for value in values]) + "}"


def uuids(values: Iterable[UUID]) -> str:
    """Keys."""
    return "{" + ",".join([value.hex for value in values]) + "}"


def of(kind: str, values: Iterable[Any]) -> str:
    """Values of a PostgreSQL type by its name: `bigint`, `timestamptz` or `text`."""
    writers: dict[str, Callable[[Iterable[Any]], str]] = {"bigint": numbers, "timestamptz": times, "text": texts}
    return writers[kind](values)


def _quoted(value: str) -> str:
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
