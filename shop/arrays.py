"""Writes columns of values as PostgreSQL array literals. Pure.

One literal is one text parameter, which costs the driver far less than an array of parameters: most transactions here
hold a handful of rows, and the fixed cost of each column is what they pay. The statement casts it: `%s::bigint[]`.
"""

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson


def texts(values: Iterable[str | None]) -> str:
    """Any text, JSON included; None is NULL."""
    values = list(values)
    present = [value for value in values if value is not None]
    column = "\0".join(present)
    if len(present) < len(values) or column.count("\0") >= len(values):
        return "{" + ",".join(["NULL" if value is None else f'"{_escaped(value)}"' for value in values]) + "}"
    return '{"' + _escaped(column).replace("\0", '","') + '"}'


def jsons(values: Iterable[object]) -> str:
    """Anything JSON can say, written as text. JSON holds no line break of its own, so one joins a whole column."""
    written = [orjson.dumps(value) for value in values]
    return '{"' + _escaped(b"\n".join(written).decode()).replace("\n", '","') + '"}' if written else "{}"


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


def _escaped(text: str) -> str:
    """For between quotes. A whole column at once costs little more than one of its values."""
    return text.replace("\\", "\\\\").replace('"', '\\"')
