"""Who changed: left in the transaction of the change itself, for whoever keeps something derived from customers.

An event's name says what changed; for what is no event there are the words below. Saying it twice does no harm.
"""

from collections.abc import Iterable
from enum import StrEnum
from typing import Any

import sqlalchemy as sa

from foundation import database
from shop import arrays
from shop.tables import changes


class What(StrEnum):
    """What changed, where it was no event."""

    NEW = "new"
    MERGED = "merged"
    IMPORTED = "imported"
    TRAITS = "traits"
    CONSENTS = "consents"
    CARTS = "carts"
    ORDERS = "orders"
    CODES = "codes"
    PREDICTIONS = "predictions"
    STORES = "stores"
    FIFTHS = "fifths"


_NOTE = "INSERT INTO changes (customer_id, what) SELECT DISTINCT unnest(%s::bigint[]), %s"


def note(conn: sa.Connection, customer_ids: Iterable[int], what: What) -> None:
    """These customers changed."""
    ids = arrays.numbers(customer_ids)
    if ids != "{}":
        database.driver(conn).execute(_NOTE, [ids, str(what)])


def everybody(conn: sa.Connection, what: str) -> None:
    """Anybody may have changed: something that all are measured against did."""
    conn.execute(sa.insert(changes).values(customer_id=None, what=what))


def take(conn: sa.Connection, *, limit: int) -> tuple[list[tuple[int | None, str]], bool]:
    """Takes up to so many notes for this transaction alone, each once, and says whether there may be more. What it does
    not commit is there again."""
    some: sa.Select[Any] = (
        sa.select(sa.literal_column("ctid")).select_from(changes).limit(limit).with_for_update(skip_locked=True)
    )
    taken = (
        sa.delete(changes)
        .where(sa.literal_column("changes.ctid") == sa.any_(sa.func.array(some.scalar_subquery())))
        .returning(changes.c.customer_id, changes.c.what)
    )
    rows = conn.execute(taken).all()
    return list({(customer, what) for customer, what in rows}), len(rows) == limit


def forget(conn: sa.Connection) -> None:
    """Drops every note there is: whoever asks is about to look at everybody."""
    conn.execute(sa.delete(changes))
