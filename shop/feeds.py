"""Writes the rows of a feed (products, stores, stock): each is checked, the good ones are merged in one statement.

What a row gives replaces what was there; what it does not mention stays. Keys are written in order, so that two feeds
at once wait for each other instead of locking each other out.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from foundation.errors import Fault
from shop import rows


@dataclass(frozen=True, slots=True)
class RowResult:
    """What became of one row. `changed` is false where the same was already there."""

    index: int
    ok: bool
    faults: tuple[Fault, ...] = ()
    changed: bool = False


@dataclass(frozen=True, slots=True)
class Feed:
    """A table kept by a feed: its key, its fields, what is settled once all fields are read, and its time columns."""

    table: sa.Table
    key: tuple[str, ...]
    fields: tuple[rows.Field, ...]
    settle: Callable[[dict[str, Any]], None]
    created: str | None = None


def put(conn: sa.Connection, feed: Feed, given: Sequence[Mapping[str, object]], *, now: datetime) -> list[RowResult]:
    """Checks and merges the rows; of two rows with one key the later counts. Results come in the order given."""
    results, by_key = [], {}
    for index, row in enumerate(given):
        values, faults = rows.read(feed.fields, row)
        if not faults:
            faults = _settled(feed, values)
        results.append(RowResult(index=index, ok=not faults, faults=tuple(faults)))
        if not faults:
            by_key[tuple(values[name] for name in feed.key)] = (index, values)
    for index in _merge(conn, feed, by_key, now=now):
        results[index] = RowResult(index=index, ok=True, changed=True)
    return results


def _settled(feed: Feed, values: dict[str, Any]) -> list[Fault]:
    try:
        feed.settle(values)
    except ValueError as error:
        return [Fault("/price", str(error))]
    return []


def _merge(
    conn: sa.Connection, feed: Feed, by_key: Mapping[tuple[object, ...], tuple[int, dict[str, Any]]], *, now: datetime
) -> list[int]:
    """Indexes of the rows that changed something. Rows giving the same fields share a statement; mostly all do."""
    alike: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    for _, (_, values) in sorted(by_key.items()):
        alike.setdefault(tuple(values), []).append(values)
    changed = []
    for names, group in alike.items():
        packed = orjson.dumps(group).decode()
        for row in conn.execute(_statement(feed, names), {"rows": packed, "now": now}):
            changed.append(by_key[tuple(row)][0])
    return changed


def _statement(feed: Feed, names: Sequence[str]) -> sa.TextClause:
    dialect = postgresql.dialect()  # type: ignore[no-untyped-call]
    typed = ", ".join(f"{name} {feed.table.c[name].type.compile(dialect)}" for name in names)
    stamps = [name for name in (feed.created, "updated_at") if name]
    kept = [name for name in names if name not in feed.key]
    table = feed.table.name
    old, new = (", ".join(f"{side}.{name}" for name in kept) for side in (table, "EXCLUDED"))
    replaced = ", ".join(f"{name} = EXCLUDED.{name}" for name in [*kept, "updated_at"])
    update = f"DO UPDATE SET {replaced} WHERE ({old}) IS DISTINCT FROM ({new})" if kept else "DO NOTHING"
    return sa.text(
        f"INSERT INTO {table} ({', '.join([*names, *stamps])}) "
        f"SELECT {', '.join(names)}{', CAST(:now AS timestamptz)' * len(stamps)} "
        f"FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS given({typed}) "
        f"ON CONFLICT ({', '.join(feed.key)}) {update} RETURNING {', '.join(feed.key)}"
    )
