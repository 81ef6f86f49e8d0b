"""Orders and their lines from every channel: completed once, updated, refunded, cancelled."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from foundation import database
from shop import arrays, baskets
from shop.baskets import CartLine
from shop.profiles import OrderChange
from shop.tables import order_lines, orders
from shop.vocabulary import ORDER_NAMES, Event, Name

Happened = tuple[int, int, Event]


class State(StrEnum):
    """How an order stands."""

    COMPLETED = "completed"
    CANCELLED = "cancelled"
    REFUNDED = "refunded"


@dataclass(frozen=True, slots=True)
class Line:
    """One product of one order."""

    order_id: str
    line: int
    product_id: str
    quantity: int
    price: int | None


@dataclass(frozen=True, slots=True)
class Order:
    """One order as it stands; amounts in minor units. `total` is what was paid."""

    order_id: str
    customer_id: int
    origin_id: int
    ordered_at: datetime
    received_at: datetime
    state: str
    channel: str
    store_id: str | None
    total: int
    discount: int
    refunded: int
    currency: str | None
    coupon: str | None
    cart_id: str | None
    lines: tuple[Line, ...] = ()
    """Filled where an order is looked up; while events are taken in, lines are written beside it."""

    @property
    def net(self) -> int:
        """What the shop kept of it."""
        return 0 if self.state == State.CANCELLED else self.total - self.refunded


def apply(conn: sa.Connection, happened: Iterable[Happened]) -> list[OrderChange]:
    """Brings orders up to date with new events; returns what that changes in their customers' profiles.

    An order completed twice (the browser and the shop's server both say so) is stored once, as first told.
    """
    relevant = [one for one in happened if one[2].name in ORDER_NAMES]
    if not relevant:
        return []
    before = _load(conn, relevant)
    after = dict(before)
    lines: dict[str, tuple[CartLine, ...]] = {}
    for customer, origin, event in relevant:
        order_id = event.order_id or f"event-{event.key.hex}"
        order = after.get(order_id)
        changed = _begun(order_id, customer, origin, event) if order is None else fold(order, event)
        if changed is not None and changed != order:
            after[order_id] = changed
            if order is None or event.name == Name.ORDER_UPDATED:
                lines[order_id] = baskets.lines_of(event.properties, currency=changed.currency) or lines.get(
                    order_id, ()
                )
    fresh = _insert(conn, [order for order_id, order in after.items() if order_id not in before])
    _update(conn, [order for order_id, order in after.items() if order_id in before and order != before[order_id]])
    stored = {order_id: after[order_id] for order_id in lines if order_id in before or order_id in fresh}
    _put_lines(conn, stored, lines, replaced=[order_id for order_id in stored if order_id in before])
    return [
        _change(before.get(order_id), order)
        for order_id, order in after.items()
        if order_id in fresh or (order_id in before and order != before[order_id])
    ]


def _begun(order_id: str, customer: int, origin: int, event: Event) -> Order | None:
    """A new order. An update tells as much as the completion it overtook; a refund or cancellation does not."""
    if event.name not in (Name.ORDER_COMPLETED, Name.ORDER_UPDATED):
        return None
    currency = baskets.currency_of(event.properties)
    return Order(
        order_id=order_id,
        customer_id=customer,
        origin_id=origin,
        ordered_at=event.occurred_at,
        received_at=event.received_at,
        state=State.COMPLETED,
        channel=event.channel,
        store_id=event.store_id,
        total=_total(event, currency),
        discount=max(baskets.amount(event.properties.get("discount"), currency) or 0, 0),
        refunded=0,
        currency=currency,
        coupon=baskets.coupon_of(event.properties),
        cart_id=event.cart_id,
    )


def _total(event: Event, currency: str | None) -> int:
    """What was paid: `total`, else `revenue` or `value`, else its lines added up."""
    for name in ("total", "revenue", "value"):
        if (said := baskets.amount(event.properties.get(name), currency)) is not None:
            return max(said, 0)
    return sum(line.quantity * (line.price or 0) for line in baskets.lines_of(event.properties, currency=currency))


def fold(order: Order, event: Event) -> Order:
    """An order after one more event about it."""
    if event.name == Name.ORDER_CANCELLED:
        return replace(order, state=State.CANCELLED)
    if event.name == Name.ORDER_REFUNDED:
        return _refund(order, event)
    if event.name == Name.ORDER_UPDATED and order.state == State.COMPLETED:
        said = any(event.properties.get(name) is not None for name in ("total", "revenue", "value", "products"))
        currency = baskets.currency_of(event.properties) or order.currency
        return replace(
            order,
            total=_total(event, currency) if said else order.total,
            currency=currency,
            coupon=baskets.coupon_of(event.properties) or order.coupon,
        )
    return order


def _refund(order: Order, event: Event) -> Order:
    """A refund without an amount or products is of everything that is left."""
    left = order.total - order.refunded
    said = baskets.amount(event.properties.get("refund", event.properties.get("total")), order.currency)
    if said is None and event.properties.get("products"):
        said = sum(
            line.quantity * (line.price or 0) for line in baskets.lines_of(event.properties, currency=order.currency)
        )
    refunded = order.refunded + min(left if said is None else max(said, 0), left)
    everything = refunded >= order.total and order.state == State.COMPLETED
    return replace(order, refunded=refunded, state=State.REFUNDED if everything else order.state)


def _change(before: Order | None, after: Order) -> OrderChange:
    counted_before = before is not None and before.state != State.CANCELLED
    counted_after = after.state != State.CANCELLED
    return OrderChange(
        customer_id=after.customer_id,
        ordered_at=after.ordered_at,
        orders=int(counted_after) - int(counted_before),
        spent=after.net - (before.net if before else 0),
    )


# ------------------------------------------------------------------------------------------------- storage
_COLUMNS = tuple(field.name for field in fields(Order) if field.name != "lines")
_TYPES = {
    "customer_id": "bigint",
    "origin_id": "bigint",
    "ordered_at": "timestamptz",
    "received_at": "timestamptz",
    "total": "bigint",
    "discount": "bigint",
    "refunded": "bigint",
}
_NEW = (
    "unnest("
    + ", ".join(f"%s::{_TYPES.get(name, 'text')}[]" for name in _COLUMNS)
    + f") AS new ({', '.join(_COLUMNS)})"
)
_INSERT = (
    f"INSERT INTO orders ({', '.join(_COLUMNS)}) SELECT * FROM {_NEW} ON CONFLICT (order_id) DO NOTHING "
    "RETURNING order_id"
)
_CHANGING = ("state", "total", "discount", "refunded", "currency", "coupon")
_UPDATE = (
    "UPDATE orders SET "
    + ", ".join(f"{name} = new.{name}" for name in _CHANGING)
    + f" FROM {_NEW} WHERE orders.order_id = new.order_id"
)
_LOAD = f"SELECT {', '.join(_COLUMNS)} FROM orders WHERE order_id = ANY(%s::text[]) ORDER BY order_id FOR UPDATE"
_PUT_LINES = """
INSERT INTO order_lines (order_id, line, customer_id, ordered_at, product_id, quantity, price)
SELECT * FROM unnest(%b::text[], %b::int[], %b::bigint[], %b::timestamptz[], %b::text[], %b::int[], %b::bigint[])
"""


def _load(conn: sa.Connection, relevant: Sequence[Happened]) -> dict[str, Order]:
    ids = list({event.order_id for _, _, event in relevant if event.order_id})
    rows = database.driver(conn).execute(_LOAD, [arrays.texts(ids)]).fetchall()
    return {row[0]: Order(*row) for row in rows}


def _insert(conn: sa.Connection, new: Sequence[Order]) -> set[str]:
    if not new:
        return set()
    rows = database.driver(conn).execute(_INSERT, _transposed(new)).fetchall()
    return {row[0] for row in rows}


def _update(conn: sa.Connection, changed: Sequence[Order]) -> None:
    if changed:
        database.driver(conn).execute(_UPDATE, _transposed(changed))


def _transposed(rows: Sequence[Order]) -> list[str]:
    rows = sorted(rows, key=lambda order: order.order_id)
    return [arrays.of(_TYPES.get(name, "text"), [getattr(order, name) for order in rows]) for name in _COLUMNS]


def _put_lines(
    conn: sa.Connection,
    stored: Mapping[str, Order],
    lines: Mapping[str, tuple[CartLine, ...]],
    *,
    replaced: Sequence[str],
) -> None:
    rows = [
        (order_id, number, order.customer_id, order.ordered_at, line.product_id, line.quantity, line.price)
        for order_id, order in stored.items()
        for number, line in enumerate(lines[order_id], start=1)
    ]
    driver = database.driver(conn)
    if replaced:
        driver.execute("DELETE FROM order_lines WHERE order_id = ANY(%b)", [list(replaced)])
    if rows:
        driver.execute(_PUT_LINES, [list(column) for column in zip(*rows, strict=True)])


# ------------------------------------------------------------------------------------------------ look-ups
def get(conn: sa.Connection, order_id: str) -> Order | None:
    """An order by the shop's id of it, with its lines."""
    return (
        None
        if "\0" in order_id
        else next(iter(_many(conn, sa.select(orders).where(orders.c.order_id == order_id))), None)
    )


def of_customer(conn: sa.Connection, customer_id: int, *, limit: int = 50) -> list[Order]:
    """A customer's orders with their lines, newest first."""
    query = sa.select(orders).where(orders.c.customer_id == customer_id)
    return _many(conn, query.order_by(orders.c.ordered_at.desc(), orders.c.order_id).limit(limit))


def _many(conn: sa.Connection, query: sa.Select[Any]) -> list[Order]:
    rows = [dict(row) for row in conn.execute(query).mappings()]
    wanted = sa.select(order_lines).where(order_lines.c.order_id.in_([row["order_id"] for row in rows]))
    lines: dict[str, list[Line]] = {}
    for line in database.read(conn, wanted.order_by(order_lines.c.order_id, order_lines.c.line), Line):
        lines.setdefault(line.order_id, []).append(line)
    return [
        Order(**{name: row[name] for name in _COLUMNS}, lines=tuple(lines.get(row["order_id"], ()))) for row in rows
    ]


def bought_since(conn: sa.Connection, since: Mapping[int, datetime]) -> set[int]:
    """Which of these customers ordered anything, on any channel, after the moment given for each."""
    if not since:
        return set()
    asked = (
        sa.func.unnest(
            sa.bindparam("ids", list(since), postgresql.ARRAY(sa.BigInteger)),
            sa.bindparam("moments", list(since.values()), postgresql.ARRAY(sa.DateTime(timezone=True))),
        )
        .table_valued(sa.column("customer_id", sa.BigInteger), sa.column("moment", sa.DateTime(timezone=True)))
        .render_derived()
    )
    bought = sa.exists().where(
        orders.c.customer_id == asked.c.customer_id,
        orders.c.ordered_at >= asked.c.moment,
        orders.c.state != State.CANCELLED,
    )
    return set(conn.scalars(sa.select(asked.c.customer_id).where(bought)))
