"""Live carts: kept from events, read by id, by how long they have been quiet, and by customer."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

import orjson
import sqlalchemy as sa

from foundation import database
from shop import arrays, baskets, changes
from shop.baskets import Cart, CartLine, State
from shop.changes import What
from shop.tables import carts
from shop.vocabulary import CART_NAMES, Event, Name

Happened = tuple[int, int, Event]
"""The customer an event belongs to, the one it was written for, and the event."""

_TELLING = CART_NAMES | {Name.ORDER_COMPLETED}
"""Names of events that say something of a cart."""


Held = Mapping[str, tuple[Cart, bool]]
"""Carts by the shop's id of them, each with whether its customer is known."""


@dataclass(frozen=True, slots=True)
class Kept:
    """What events made of carts, and the customers whose carts others' events changed."""

    changed: Collection[Cart]
    concerned: Collection[int]


def load(conn: sa.Connection, happened: Iterable[Happened]) -> Held:
    """The carts events may touch, locked. The caller has locked the customers."""
    relevant = [one for one in happened if one[2].name in _TELLING]
    return _load(conn, relevant) if relevant else {}


def fold(held: Held, happened: Iterable[Happened]) -> Kept:
    """What new events make of the carts loaded for them. Pure."""
    shelf = _Shelf(held)
    speakers = set()
    for customer, origin, event in happened:
        if event.name not in _TELLING:
            continue
        speakers.add(customer)
        if event.name == Name.ORDER_COMPLETED:
            shelf.order(customer, event)
        else:
            shelf.take(customer, origin, event)
    owners = {cart.customer_id for cart, _ in held.values() if shelf.carts[cart.cart_id] is not cart}
    return Kept(shelf.changed.values(), owners - speakers)


def keep(conn: sa.Connection, kept: Kept) -> None:
    """Stores carts as they have become."""
    _store(conn, kept.changed)
    changes.note(conn, kept.concerned, What.CARTS)


class _Shelf:
    """The carts a batch may touch, by id and by customer."""

    def __init__(self, loaded: Held) -> None:
        self.carts = {cart_id: cart for cart_id, (cart, _) in loaded.items()}
        self.known = {cart_id for cart_id, (_, known) in loaded.items() if known}
        self.changed: dict[str, Cart] = {}
        self.by_customer: dict[int, set[str]] = {}
        for cart in self.carts.values():
            self.by_customer.setdefault(cart.customer_id, set()).add(cart.cart_id)

    def take(self, customer: int, origin: int, event: Event) -> None:
        """An event about a cart: the one it names, else the one its customer touched last.

        Many shops give a cart its id only after the first product is in it: that id then names the cart begun without.
        """
        cart = self.carts.get(event.cart_id) if event.cart_id else self._open(customer)
        if cart is None and (unnamed := self._open(customer)) and baskets.is_unnamed(unnamed):
            cart, left = baskets.named(unnamed, event)
            self._put(left)
        if cart is None:
            cart = baskets.begun(event, customer_id=customer, origin_id=origin)
        elif cart.customer_id != customer and (event.user_id or cart.cart_id not in self.known):
            cart = baskets.handed_over(cart, customer_id=customer, origin_id=origin)
        after = baskets.fold(cart, event)
        if after.lines or after.id or cart.cart_id in self.carts:
            self._put(after, known=event.user_id is not None)

    def order(self, customer: int, event: Event) -> None:
        """An order closes the cart it names, else those of its customer that it is the end of."""
        named = self.carts.get(event.cart_id) if event.cart_id else None
        order_id = event.order_id or ""
        if named is not None:
            if named.state != State.ORDERED:
                self._put(baskets.close(named, order_id=order_id, at=event.occurred_at))
            return
        products = [line.product_id for line in baskets.lines_of(event.properties, currency=None)]
        mine = [self.carts[cart_id] for cart_id in sorted(self.by_customer.get(customer, ()))]
        for cart in baskets.ordered_by(event, products, mine):
            self._put(baskets.close(cart, order_id=order_id, at=event.occurred_at))

    def _open(self, customer: int) -> Cart | None:
        mine = [self.carts[cart_id] for cart_id in self.by_customer.get(customer, ())]
        open_ = [cart for cart in mine if cart.state != State.ORDERED]
        return max(open_, key=lambda cart: (cart.state == State.OPEN, cart.touched_at, cart.cart_id), default=None)

    def _put(self, cart: Cart, *, known: bool = False) -> None:
        before = self.carts.get(cart.cart_id)
        if before is not None and before.customer_id != cart.customer_id:
            self.by_customer[before.customer_id].discard(cart.cart_id)
        self.by_customer.setdefault(cart.customer_id, set()).add(cart.cart_id)
        self.carts[cart.cart_id] = self.changed[cart.cart_id] = cart
        if known:
            self.known.add(cart.cart_id)


_COLUMNS = tuple(field.name for field in fields(Cart))
_SELECT = ", ".join(f"carts.{name}" for name in _COLUMNS)
_LOAD = f"""
SELECT {_SELECT}, customers.user_id IS NOT NULL
FROM carts JOIN customers ON customers.id = carts.customer_id
WHERE carts.id = ANY(ARRAY(
    SELECT id FROM carts WHERE cart_id = ANY(%s::text[])
    UNION SELECT id FROM carts WHERE customer_id = ANY(%s::bigint[]) AND state <> 'ordered'))
ORDER BY carts.id FOR UPDATE OF carts
"""


def _load(conn: sa.Connection, relevant: Sequence[Happened]) -> Held:
    named = list({event.cart_id for _, _, event in relevant if event.cart_id})
    theirs = list({customer for customer, _, _ in relevant})
    rows = database.driver(conn).execute(_LOAD, [named, theirs]).fetchall()
    loaded = [(_cart(dict(zip(_COLUMNS, row, strict=False))), row[-1]) for row in rows]
    return {cart.cart_id: (cart, known) for cart, known in loaded}


def _cart(row: Mapping[str, Any]) -> Cart:
    lines = tuple(CartLine(**line) for line in row["lines"])
    return Cart(**{name: row[name] for name in _COLUMNS if name != "lines"}, lines=lines)


_STORED = tuple(name for name in _COLUMNS if name != "id")
_TYPES = {
    "customer_id": "bigint",
    "origin_id": "bigint",
    "value": "bigint",
    "created_at": "timestamptz",
    "touched_at": "timestamptz",
    "closed_at": "timestamptz",
}
_STORE = (
    f"INSERT INTO carts ({', '.join(_STORED)}) SELECT "
    + ", ".join(f"{name}::jsonb" if name == "lines" else name for name in _STORED)
    + " FROM unnest("
    + ", ".join(f"%s::{_TYPES.get(name, 'text')}[]" for name in _STORED)
    + f") AS new ({', '.join(_STORED)}) ON CONFLICT (cart_id) DO UPDATE SET "
    + ", ".join(f"{name} = excluded.{name}" for name in _STORED if name != "cart_id")
)


def _store(conn: sa.Connection, changed: Iterable[Cart]) -> None:
    rows = sorted(changed, key=lambda cart: cart.cart_id)
    if rows:
        columns = [arrays.of(_TYPES.get(name, "text"), [_stored(cart, name) for cart in rows]) for name in _STORED]
        database.driver(conn).execute(_STORE, columns)


def _stored(cart: Cart, name: str) -> Any:
    return orjson.dumps(cart.lines).decode() if name == "lines" else getattr(cart, name)


# ------------------------------------------------------------------------------------------------ look-ups
def get(conn: sa.Connection, row_id: int) -> Cart | None:
    """A cart by our own id of it."""
    return _one(conn, carts.c.id == row_id)


def by_cart_id(conn: sa.Connection, cart_id: str) -> Cart | None:
    """A cart by the shop's id of it."""
    return None if "\0" in cart_id else _one(conn, carts.c.cart_id == cart_id)


def of_customer(conn: sa.Connection, customer_id: int, *, limit: int = 20) -> list[Cart]:
    """A customer's carts, the one touched last first."""
    query = sa.select(carts).where(carts.c.customer_id == customer_id)
    return _many(conn, query.order_by(carts.c.touched_at.desc()).limit(limit))


def latest(conn: sa.Connection, *, limit: int) -> list[Cart]:
    """Open carts that hold something, the one touched last first."""
    query = sa.select(carts).where(carts.c.state == State.OPEN)
    return _many(conn, query.order_by(carts.c.touched_at.desc()).limit(limit))


def quiet(conn: sa.Connection, *, before: datetime, after: datetime, limit: int) -> list[Cart]:
    """Open carts that hold something and were last touched in (`after`, `before`], the longest quiet first."""
    query = sa.select(carts).where(
        carts.c.state == State.OPEN, carts.c.touched_at > after, carts.c.touched_at <= before
    )
    return _many(conn, query.order_by(carts.c.touched_at, carts.c.id).limit(limit))


def _one(conn: sa.Connection, condition: sa.ColumnElement[bool]) -> Cart | None:
    return next(iter(_many(conn, sa.select(carts).where(condition))), None)


def _many(conn: sa.Connection, query: sa.Select[Any]) -> list[Cart]:
    return [_cart(dict(row)) for row in conn.execute(query).mappings()]
