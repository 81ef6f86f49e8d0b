"""Lists of customers from a file: a segment whose members were named one by one."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import sqlalchemy as sa

from campaigns import membership, segments
from campaigns.segments import Definition
from foundation.database import Database
from foundation.errors import Conflict, Fault, Invalid
from shop import handles, import_files
from shop.import_blocks import Block
from shop.import_files import ImportFile

COLUMNS = ("user_id", "email", "phone")
"""What may name a customer, in the order it is believed."""
Handle = tuple[str, str]
"""What kind of name a line gives, and the name; empty if it names nobody."""


@dataclass(frozen=True, slots=True)
class Listed:
    """How many customers the file named, and how many lines named nobody."""

    found: int
    unknown: int


def check(conn: sa.Connection, name: str, *, title: str, path: Path) -> None:
    """Raises what `put` would refuse without reading on: `Invalid` of a name, a title or a file without a header or a
    column that names customers, `Conflict` if there is a rule of this name."""
    _free(conn, segments.parse({"name": name, "title": title}))
    if not _opened(path).columns:
        raise _nobody()


def put(db: Database, name: str, *, title: str, path: Path, now: datetime) -> Listed:
    """Makes the list, or replaces the one of that name, from CSV, JSON lines or Parquet. The same file again changes
    nothing. Takes `db` because reading comes before the transaction. Raises `Invalid` if nothing in it can be read."""
    definition = segments.parse({"name": name, "title": title})
    named = read(path)
    with db.begin() as conn:
        return place(conn, definition, named, now=now)


def place(conn: sa.Connection, definition: Definition, named: Sequence[Handle], *, now: datetime) -> Listed:
    """Makes the list of those a file named, or replaces the one of that name. Raises `Conflict` if it is a rule."""
    membership.take_turn(conn)
    _free(conn, definition)
    segments.apply(conn, definition, now=now)
    found = _found(conn, named)
    membership.replace(conn, definition.name, sorted(set(found)), now=now)
    return Listed(len(set(found)), len(named) - len(found))


def _free(conn: sa.Connection, definition: Definition) -> None:
    current = segments.find(conn, definition.name)
    if current is not None and current.rule is not None:
        raise Conflict("other_kind", f"{definition.name} is a rule")


def _opened(path: Path) -> ImportFile:
    return import_files.open_file(path, known=list(COLUMNS), required=[])


def _nobody() -> Invalid:
    return Invalid(Fault("/file", f"names no customer; it needs a column {', '.join(COLUMNS)}"))


def read(path: Path) -> list[Handle]:
    """The handle of every line. Raises `Invalid` if nothing in it can be read."""
    named = [handle for block in _opened(path).blocks() for handle in _handles(block)]
    if not named:
        raise _nobody()
    return named


def _handles(block: Block) -> list[Handle]:
    columns = {name: column.to_pylist() for name, column in block.columns.items()}
    rows = zip(*columns.values(), strict=True) if columns else ()
    return [_handle(dict(zip(columns, cells, strict=True))) for cells in rows]


def _handle(row: dict[str, object]) -> Handle:
    for name in COLUMNS:
        if row.get(name):
            given = str(row[name]).strip()
            clean = handles.email(given) if name == "email" else handles.phone(given) if name == "phone" else given
            return name, clean or given
    return "", ""


_FOUND = """
SELECT customer_id FROM unnest(CAST(:kinds AS text[]), CAST(:values AS text[])) AS named (kind, value)
JOIN identities USING (kind, value) WHERE quarantined_at IS NULL
"""


def _found(conn: sa.Connection, named: Sequence[Handle]) -> list[int]:
    given = {"kinds": [kind for kind, _ in named], "values": [value for _, value in named]}
    return list(conn.scalars(sa.text(_FOUND), given))
