"""The shop's past in bulk from CSV, JSON lines or Parquet, with the same meaning as by the doors it comes in live.

Products, stores, stock, customers and consents are checked row by row and stored a few thousand at a time. Events and
orders are staged whole, so that the rows of an order may stand anywhere in the file: the rows of `Order Completed`
that share an `order_id` and a user become one order with one line each.

An import holds an advisory lock from start to end: a second one waits for it. All it stores is stored in short
transactions in the order in which `ingest` locks, so live events neither wait long nor meet it in a deadlock.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import sqlalchemy as sa

from foundation import database
from foundation.database import Database
from shop import (
    catalogue,
    import_events,
    import_files,
    import_people,
    import_staging,
    rows,
    sources,
    stores,
)
from shop.feeds import RowResult
from shop.import_blocks import Block, Refused
from shop.import_files import ImportFile
from shop.import_refused import RefusedFile

IMPORT_LOCK = 7263005
ROWS_AT_ONCE = 2000
Progress = Callable[[int, int | None], None]
"""Told how much is done and of how much, in bytes of the file."""


@dataclass(frozen=True, slots=True)
class Report:
    """What became of a file's rows. Refused ones are in `refused_file` with line and reason."""

    accepted: int
    repeated: int
    refused: int
    unknown_columns: tuple[str, ...]
    refused_file: Path | None
    seconds: float


class _Put(Protocol):
    """Stores rows of one kind in the transaction of `conn`, a result a row."""

    def __call__(
        self, conn: sa.Connection, given: Sequence[Mapping[str, object]], /, *, now: datetime
    ) -> list[RowResult]: ...


_FEEDS: dict[str, tuple[tuple[rows.Field, ...], _Put]] = {
    "stores": (stores.STORE_FIELDS, stores.put),
    "stock": (stores.STOCK_FIELDS, stores.put_stock),
    "products": (catalogue.FIELDS, catalogue.put),
    "customers": (import_people.CUSTOMER_FIELDS, import_people.put_customers),
    "consents": (import_people.CONSENT_FIELDS, import_people.put_consents),
}
_STAGED = {
    "events": (import_staging.EVENT_COLUMNS, import_staging.EVENT_REQUIRED),
    "orders": (import_staging.ORDER_COLUMNS, import_staging.ORDER_REQUIRED),
}
KINDS = (*_FEEDS, *_STAGED)


def run(
    db: Database,
    kind: str,
    *,
    path: Path,
    now: datetime,
    progress: Progress,
    renames: Mapping[str, str] | None = None,
    dry: bool = False,
) -> Report:
    """Imports one file. Running it again adds nothing; killed half-way and run again, it ends the same.

    `renames` says what columns of the file are called here. A `dry` run reads and checks everything and stores nothing;
    of events and orders it counts the rows that can be read: whether one is a repeat is known once it is stored.
    Takes `db` because it stores in many short transactions. Raises `Invalid` if the file cannot be read at all.
    """
    started = time.monotonic()
    file = _open(kind, path, renames or {})
    with _alone(db) as conn, RefusedFile(file) as refused:
        tally = _Tally(file, refused, progress, dry)
        if kind in _FEEDS:
            _feed(conn, file, put=_FEEDS[kind][1], now=now, tally=tally)
        else:
            _stage(conn, file, orders=kind == "orders", now=now, tally=tally)
    return Report(
        accepted=tally.accepted,
        repeated=tally.repeated,
        refused=refused.count,
        unknown_columns=file.unknown,
        refused_file=refused.path if refused.count else None,
        seconds=time.monotonic() - started,
    )


def columns(kind: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The columns a file of this kind may have, and those of them it must have."""
    if kind in _FEEDS:
        fields, _ = _FEEDS[kind]
        return tuple(one.name for one in fields), tuple(one.name for one in fields if one.required)
    return _STAGED[kind]


def _open(kind: str, path: Path, renames: Mapping[str, str]) -> ImportFile:
    known, required = columns(kind)
    return import_files.open_file(path, known=known, required=required, renames=renames)


@contextmanager
def _alone(db: Database) -> Iterator[sa.Connection]:
    """The one import's session. It ends with its lock and its temporary tables; one that had such tables before could
    not be given more memory for them."""
    with db.alone() as conn:
        with conn.begin():
            conn.execute(sa.select(sa.func.pg_advisory_lock(IMPORT_LOCK)))
        yield conn


@dataclass(slots=True)
class _Tally:
    """Counts rows as they are dealt with, and says how far we are."""

    file: ImportFile
    refused: RefusedFile
    progress: Progress
    dry: bool = False
    accepted: int = 0
    repeated: int = 0

    def add(self, *, accepted: int, repeated: int, refused: Sequence[Refused] = ()) -> None:
        self.accepted += accepted
        self.repeated += repeated
        self.refused.write(refused)

    def reached(self, share: float) -> None:
        self.progress(int(self.file.size * share), self.file.size)


# ------------------------------------------------------------------------------------------------ row by row
def _feed(conn: sa.Connection, file: ImportFile, *, put: _Put, now: datetime, tally: _Tally) -> None:
    for block in file.blocks():
        tally.add(accepted=0, repeated=0, refused=block.refused)
        given = _rows(block)
        for first in range(0, len(given), ROWS_AT_ONCE):
            part = given[first : first + ROWS_AT_ONCE]
            with conn.begin() as transaction:
                results = put(conn, part, now=now)
                if tally.dry:
                    transaction.rollback()
            tally.add(
                accepted=sum(result.changed for result in results),
                repeated=sum(result.ok and not result.changed for result in results),
                refused=[
                    Refused(int(block.lines[first + result.index]), _reason(result), list(part[result.index].values()))
                    for result in results
                    if not result.ok
                ],
            )
        tally.reached(block.done / file.size)


def _rows(block: Block) -> list[dict[str, Any]]:
    if not block.columns:
        return []
    columns = [column.to_pylist() for column in block.columns.values()]
    return [dict(zip(block.columns, cells, strict=True)) for cells in zip(*columns, strict=True)]


def _reason(result: RowResult) -> str:
    return "; ".join(f"{fault.pointer[1:]}: {fault.detail}" for fault in result.faults)


# ---------------------------------------------------------------------------------------------------- staged
def _stage(conn: sa.Connection, file: ImportFile, *, orders: bool, now: datetime, tally: _Tally) -> None:
    """Reads the whole file into the staging table, then stores what it says."""
    with conn.begin():
        source = sources.source(conn, "import", channel="web", now=now, trusted=True)
    with conn.begin():
        driver = database.driver(conn)
        import_staging.create(driver)
        for block in file.blocks():
            table, refused = import_staging.checked(block, orders=orders, now=now)
            if not tally.dry:
                import_staging.copy(driver, table)
            tally.add(accepted=table.num_rows if tally.dry else 0, repeated=0, refused=[*block.refused, *refused])
            tally.reached(block.done / file.size / (1 if tally.dry else 3))
        last = import_staging.group(driver, source_id=source.id)
    if tally.dry:
        return
    half_way = partial(_second_part, tally)
    for stored in import_events.store(conn, source=source, last=last, now=now, tick=half_way):
        tally.add(accepted=stored.accepted, repeated=stored.repeated, refused=stored.refused)
    tally.reached(1)


def _second_part(tally: _Tally, share: float) -> None:
    tally.reached((1 + 2 * share) / 3)
