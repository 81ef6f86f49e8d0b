"""Whether an event happened that a journey waits for: its goal, an exit, or what a step waits for."""

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from campaigns import given, segment_parts
from campaigns.definitions import shapes
from campaigns.definitions.entries import Watch
from campaigns.definitions.steps import WaitFor
from shop.tables import events, orders
from shop.vocabulary import Name

Row = sa.RowMapping | Mapping[str, Any]

_ABOUT = {"cart": events.c.cart_id, "order": events.c.order_id, "product": events.c.product_id}


def happened(conn: sa.Connection, watch: Watch | WaitFor, rows: Sequence[Row], *, since: str) -> set[int]:
    """The ids of those of these enrolments whose customer did it after the time in column `since`; one statement.

    A cancelled order did not happen.
    """
    if not rows:
        return set()
    of = given.rows(
        "entrants",
        {
            "id": (sa.BigInteger(), [row["id"] for row in rows]),
            "customer_id": (sa.BigInteger(), [row["person"] for row in rows]),
            "since": (given.Time, [row[since] for row in rows]),
            "about": (sa.Text(), [_about(row, watch) for row in rows]),
        },
    )
    clauses = [
        events.c.customer_id == of.c.customer_id,
        events.c.occurred_at > of.c.since,
        events.c.name == watch.event,
        *(_passes(test) for test in watch.where),
    ]
    same = getattr(watch, "same", "none")
    if same in _ABOUT:
        clauses.append(_ABOUT[same] == of.c.about)
    if watch.event == Name.ORDER_COMPLETED:
        undone = sa.exists().where(orders.c.order_id == events.c.order_id, orders.c.state == "cancelled")
        clauses.append(~undone)
    return set(conn.scalars(sa.select(of.c.id).where(sa.exists(sa.select(events.c.key).where(*clauses)))))


def _about(row: Row, watch: Watch | WaitFor) -> str | None:
    """The cart, order or product of the entry, as events name it."""
    same = getattr(watch, "same", "none")
    told = (row["context"] or {}).get("event") or row["context"] or {}
    return str(told.get(f"{same}_id")) if same != "none" and told.get(f"{same}_id") else None


def _passes(test: shapes.Test) -> sa.ColumnElement[bool]:
    words = segment_parts.property_text(test.property, events.c, events.c.properties)
    return segment_parts.passes(test, words, segment_parts.at_path(events.c.properties, test.property))
