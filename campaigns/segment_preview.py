"""How many a rule means and ten of them, while it is being written: exact where that is quick, else said to be about so
many. Takes `db` because each question has a transaction, and a patience, of its own."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import psycopg.errors
import sqlalchemy as sa

from campaigns import segments
from campaigns.definitions.conditions import Condition
from foundation.database import Database
from shop.tables import customers

PATIENCE = timedelta(seconds=5)
ASKED = 5_000
"""So many customers by lot stand for all where counting takes too long."""
SHOWN = 10


@dataclass(frozen=True, slots=True)
class Counted:
    """How many; `exact` unless it was judged from some, None if even that took too long; a few of them; how long it
    took, None if it is what is kept of a segment."""

    number: int | None
    exact: bool
    sample: tuple[int, ...]
    seconds: float | None


def count(db: Database, condition: Condition, *, now: datetime, patience: timedelta = PATIENCE) -> Counted:
    """Counts those a rule means, and draws ten by lot."""
    began = time.perf_counter()
    found = segments.select(condition, now=now).cte("found")
    drawn = sa.select(found.c.id).order_by(sa.func.random()).limit(SHOWN)
    query = sa.select(
        sa.select(sa.func.count()).select_from(found).scalar_subquery(), sa.func.array(drawn.scalar_subquery())
    )
    row = _ask(db, query, patience)
    if row is None:
        return _judged(db, condition, now=now, patience=patience, began=began)
    return Counted(row[0], True, tuple(row[1]), time.perf_counter() - began)


def numbers(
    db: Database, rules: Sequence[Condition], *, now: datetime, patience: timedelta = PATIENCE
) -> list[int | None]:
    """How many each of these rules means by itself; None from where patience ends."""
    ends = time.monotonic() + patience.total_seconds()
    found: list[int | None] = []
    for rule in rules:
        left = timedelta(seconds=max(ends - time.monotonic(), 0.01))
        row = _ask(db, sa.select(sa.func.count()).select_from(segments.select(rule, now=now).subquery()), left)
        found.append(row[0] if row else None)
    return found


def _ask(db: Database, query: "sa.Select[Any]", patience: timedelta) -> Any:
    """The one row of the answer, or None if it took too long."""
    try:
        with db.begin() as conn:
            prepare(conn, patience)
            return conn.execute(query).one()
    except sa.exc.OperationalError as error:
        if isinstance(error.orig, psycopg.errors.QueryCanceled):
            return None
        raise


def prepare(conn: sa.Connection, patience: timedelta | None = None) -> None:
    """Settings for one large question: memory for its sets, and no compiling, which costs more than it saves."""
    conn.execute(sa.text("SELECT set_config('work_mem', '64MB', true), set_config('jit', 'off', true)"))
    if patience is not None:
        milliseconds = str(max(int(patience / timedelta(milliseconds=1)), 1))
        conn.execute(sa.text("SELECT set_config('statement_timeout', :most, true)"), {"most": milliseconds})


def _judged(db: Database, condition: Condition, *, now: datetime, patience: timedelta, began: float) -> Counted:
    with db.begin() as conn:
        total = conn.scalar(sa.text("SELECT reltuples FROM pg_class WHERE oid = 'customers'::regclass")) or 0.0
        share = min(100.0, 110.0 * ASKED / max(total, 1.0))
        lot = customers.tablesample(sa.func.system(share))
        asked = list(conn.scalars(sa.select(lot.c.id).where(lot.c.merged_into.is_(None)).limit(ASKED)))
    row = _ask(db, sa.select(sa.func.array(segments.select(condition, now=now, ids=asked).scalar_subquery())), patience)
    if row is None or not asked:
        return Counted(None, False, (), time.perf_counter() - began)
    number = round(len(row[0]) / len(asked) * max(total, len(asked)))
    return Counted(number, False, tuple(row[0][:SHOWN]), time.perf_counter() - began)
