"""Codes of the shop's own: a file of them is copied in, looked at by the database, and becomes an offer's pool.

What cannot be used is refused with its line and reason; the same file again adds nothing.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import psycopg
import sqlalchemy as sa

from campaigns import codes, offers
from campaigns.offers import Kept
from foundation import database
from foundation.database import Database
from foundation.errors import Conflict
from shop import import_files, rows
from shop.import_blocks import Block, Refused
from shop.import_refused import RefusedFile

COLUMNS = ("code", "expires_at")
SHORTEST = 4
AT_ONCE = 100_000
"""Codes of one transaction: a till never waits longer for an import than for another till."""

Progress = Callable[[int, int | None], None]


@dataclass(frozen=True, slots=True)
class Report:
    """What became of a file's codes; `some` are the first that were refused, all of them are in `refused_file`."""

    accepted: int
    repeated: int
    refused: int
    some: tuple[Refused, ...]
    refused_file: Path | None


MOST_SHOWN = 100


def fill(db: Database, name: str, *, path: Path, now: datetime, progress: Progress) -> Report:
    """Puts the codes of a file (CSV, JSON lines or Parquet; `code`, and `expires_at` if the shop takes them no longer
    than that) into the pool of an offer. Takes `db` because it stores in many transactions.

    Raises `Invalid` if the file cannot be read at all, and what `pooled` raises.
    """
    with db.begin() as conn:
        offer = pooled(conn, name)
    file = import_files.open_file(path, known=list(COLUMNS), required=["code"])
    accepted = repeated = 0
    some: list[Refused] = []
    with RefusedFile(file) as refused, db.engine.connect() as conn:
        for block in file.blocks():
            faulty = [*block.refused]
            for part in _parts(block):
                with conn.begin():
                    stored = _store(conn, offer.id, part, now=now)
                accepted, repeated = accepted + stored.accepted, repeated + stored.repeated
                faulty += stored.refused
            refused.write(faulty)
            some += faulty[: MOST_SHOWN - len(some)]
            progress(block.done, file.size)
        return Report(accepted, repeated, refused.count, tuple(some), refused.path if refused.count else None)


def pooled(conn: sa.Connection, name: str) -> Kept:
    """The offer, if its codes come from a pool; raises `NotFound`, `Conflict`."""
    offer = offers.get(conn, name)
    if offer.terms.codes != "pool":
        raise Conflict("codes_are_made", f"the codes of {name} are made here; its offer has no pool")
    return offer


def _parts(block: Block) -> Iterator[list[tuple[Any, ...]]]:
    """Rows of line, code and last day, a transaction's worth at a time."""
    if not block.columns:
        return
    given = [block.columns[name].to_pylist() for name in block.columns]
    table = [(int(line), *cells) for line, *cells in zip(block.lines, *given, strict=True)]
    named = dict(zip(block.columns, range(1, 3), strict=False))
    for first in range(0, len(table), AT_ONCE):
        yield [
            (row[0], row[named["code"]], row[named["expires_at"]] if "expires_at" in named else None)
            for row in table[first : first + AT_ONCE]
        ]


def add(conn: sa.Connection, name: str, given: Sequence[str], *, until: datetime | None, now: datetime) -> "Stored":
    """Puts codes into a pool; lines are places in the list, from 0. Raises what `pooled` raises."""
    return _store(conn, pooled(conn, name).id, [(place, code, until) for place, code in enumerate(given)], now=now)


@dataclass(frozen=True, slots=True)
class Stored:
    """What became of some codes."""

    accepted: int
    repeated: int
    refused: Sequence[Refused]


def _store(conn: sa.Connection, offer_id: int, part: Sequence[tuple[Any, ...]], *, now: datetime) -> Stored:
    driver = database.driver(conn)
    driver.execute(_STAGE)
    _copy(driver, part)
    asked = {"offer": offer_id, "now": now}
    for statement in _LOOKED_AT:
        driver.execute(statement, asked)
    accepted = driver.execute(_TAKEN, asked).rowcount
    repeated, refused = 0, []
    for line, given, until, fault in driver.execute(_LEFT):
        if fault is None:
            repeated += 1
        else:
            refused.append(Refused(line, fault, (given, until)))
    return Stored(accepted, repeated, refused)


_STAGE = """
CREATE TEMPORARY TABLE pool_rows
    (line bigint, given text, until text, code text, not_after timestamptz, fault text, known boolean) ON COMMIT DROP
"""


def _copy(driver: psycopg.Connection[Any], part: Sequence[tuple[Any, ...]]) -> None:
    with driver.cursor().copy("COPY pool_rows (line, given, code, until, not_after, fault) FROM STDIN") as copy:
        for line, given, until in part:
            text = "" if given is None else str(given)
            not_after, fault = _until(until)
            plain = codes.normalise(text)
            told = None if until is None else str(until)
            copy.write_row((line, text, plain, told, not_after, fault or _unsound(text, plain)))


def _until(given: object) -> tuple[datetime | None, str | None]:
    if given is None:
        return None, None
    try:
        return rows.moment(given), None
    except ValueError as error:
        return None, f"expires_at: {error}"


def _unsound(text: str, plain: str) -> str | None:
    """Why a till could not read such a code."""
    if len(plain) < SHORTEST:
        return f"code: must have at least {SHORTEST} letters and digits"
    if len(text) > codes.LONGEST:
        return f"code: must have at most {codes.LONGEST} characters"
    if not text.isascii() or not text.isprintable():
        return "code: must hold letters, digits and dashes that a scanner reads"
    return None


_LOOKED_AT = (
    "UPDATE pool_rows SET fault = 'expires_at: has passed already' WHERE fault IS NULL AND not_after <= %(now)s",
    """
    UPDATE pool_rows SET fault = CASE WHEN pool_rows.given <> first.given
            THEN 'code: reads the same as line ' || first.line END, known = pool_rows.given = first.given
    FROM (SELECT DISTINCT ON (code) code, line, given FROM pool_rows WHERE fault IS NULL ORDER BY code, line) AS first
    WHERE pool_rows.code = first.code AND pool_rows.line > first.line AND pool_rows.fault IS NULL
    """,
    """
    UPDATE pool_rows SET known = true, fault = CASE
        WHEN kept.offer_id <> %(offer)s THEN 'code: is a code of another offer'
        WHEN kept.shown <> pool_rows.given THEN 'code: reads the same as ' || kept.shown END
    FROM promo_codes AS kept WHERE kept.code = pool_rows.code AND pool_rows.fault IS NULL AND known IS NULL
    """,
)
_TAKEN = """
INSERT INTO promo_codes (code, offer_id, shown, origin, state, not_after, moved_at)
SELECT code, %(offer)s, given, 'imported', 'free', not_after, %(now)s FROM pool_rows
WHERE fault IS NULL AND known IS NULL ORDER BY code ON CONFLICT DO NOTHING
"""
_LEFT = "SELECT line, given, until, fault FROM pool_rows WHERE fault IS NOT NULL OR known ORDER BY line"
