"""A small shop for the recommender: tea drinkers and coffee drinkers, who buy again what they like."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import numpy as np
import pytest
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from foundation.database import Database, new_id
from recommender.algorithms.base import DAY, Asks, Interactions, Kind
from shop import tables


@dataclass
class Shop:
    """Puts rows where ingest and imports would."""

    db: Database
    now: datetime
    orders: int = 0
    customers: dict[str, int] = field(default_factory=dict)
    _open: sa.Connection | None = None

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """Everything put inside the block goes in one transaction: many rows in a moment."""
        with self.db.begin() as self._open:
            yield
        self._open = None

    @contextmanager
    def _begin(self) -> Iterator[sa.Connection]:
        if self._open is not None:
            yield self._open
        else:
            with self.db.begin() as conn:
                yield conn

    def product(self, product_id: str, category: str | None = None, **values: object) -> None:
        row = {
            "product_id": product_id,
            "title": product_id.title(),
            "category": category,
            "price": 1990,
            "currency": "EUR",
            "url": f"https://shop.example/{product_id}",
            "created_at": self.now,
            "updated_at": self.now,
        }
        with self._begin() as conn:
            conn.execute(sa.insert(tables.products).values(**(row | values)))

    def change(self, product_id: str, **values: object) -> None:
        with self._begin() as conn:
            conn.execute(sa.update(tables.products).where(tables.products.c.product_id == product_id).values(**values))

    def stock(self, product_id: str, store_id: str, quantity: int) -> None:
        row = {"product_id": product_id, "store_id": store_id, "quantity": quantity, "updated_at": self.now}
        with self._begin() as conn:
            conn.execute(sa.insert(tables.stock).values(row))

    def customer(self, user_id: str, kind: str = "user_id") -> int:
        if user_id not in self.customers:
            made = {"user_id": user_id if kind == "user_id" else None, "created_at": self.now, "updated_at": self.now}
            with self._begin() as conn:
                number = conn.execute(
                    sa.insert(tables.customers).values(made).returning(tables.customers.c.id)
                ).scalar_one()
                conn.execute(
                    sa.insert(tables.identities).values(
                        kind=kind, value=user_id, customer_id=number, origin_id=number, first_seen_at=self.now
                    )
                )
            self.customers[user_id] = number
        return self.customers[user_id]

    def store(self, store_id: str) -> None:
        with self._begin() as conn:
            conn.execute(
                sa.insert(tables.stores).values(
                    store_id=store_id, name=f"Relance {store_id.title()}", updated_at=self.now
                )
            )

    def order(
        self,
        user_id: str,
        product_ids: Sequence[str],
        *,
        days_ago: float,
        state: str = "completed",
        quantity: int = 1,
        store_id: str | None = None,
        price: int | None = None,
    ) -> str:
        self.orders += 1
        order_id, at, customer = f"o{self.orders}", self.now - timedelta(days=days_ago), self.customer(user_id)
        order = {
            "order_id": order_id,
            "customer_id": customer,
            "origin_id": customer,
            "ordered_at": at,
            "received_at": at,
            "state": state,
            "channel": "store",
            "store_id": store_id,
            "total": 100,
        }
        lines = [
            {
                "order_id": order_id,
                "line": line,
                "customer_id": customer,
                "ordered_at": at,
                "product_id": product_id,
                "quantity": quantity,
                "price": price,
            }
            for line, product_id in enumerate(product_ids)
        ]
        with self._begin() as conn:
            conn.execute(sa.insert(tables.orders).values(order))
            conn.execute(sa.insert(tables.order_lines), lines)
            self._profile(conn, customer)
        return order_id

    def event(self, user_id: str, name: str, product_id: str, *, days_ago: float = 0.01, kind: str = "user_id") -> None:
        customer, at = self.customer(user_id, kind), self.now - timedelta(days=days_ago)
        row = {
            "key": new_id(),
            "customer_id": customer,
            "origin_id": customer,
            "name": name,
            "occurred_at": at,
            "received_at": at,
            "source_id": 1,
            "channel": "web",
            "product_id": product_id,
            "properties": {},
            "context": {},
        }
        with self._begin() as conn:
            conn.execute(sa.insert(tables.events).values(row))
            self._profile(conn, customer)

    def cancel(self, order_id: str) -> None:
        """As an `Order Cancelled` does."""
        cancelled = sa.update(tables.orders).where(tables.orders.c.order_id == order_id).values(state="cancelled")
        with self._begin() as conn:
            self._profile(conn, conn.execute(cancelled.returning(tables.orders.c.customer_id)).scalar_one())

    def _profile(self, conn: sa.Connection, customer: int) -> None:
        """Every event writes the profile of its customer, in the same transaction."""
        row = {"customer_id": customer, "first_seen_at": self.now, "last_seen_at": self.now}
        statement = postgresql.insert(tables.profiles).values(row)
        more = {"events": tables.profiles.c.events + 1}
        conn.execute(statement.on_conflict_do_update(index_elements=["customer_id"], set_=more))

    def repeat_events(self, times: int) -> None:
        """Every event so far happens so many times more."""
        columns = [column.name for column in tables.events.c if column.name not in ("key", "message_id")]
        copied = ", ".join(columns)
        with self._begin() as conn:
            conn.execute(
                sa.text(
                    f"INSERT INTO events (key, {copied})"
                    f" SELECT gen_random_uuid(), {copied} FROM events, generate_series(1, :times)"
                ),
                {"times": times},
            )


@pytest.fixture
def shop(db: Database, now: datetime) -> Shop:
    """An empty shop."""
    return Shop(db, now)


TEAS = tuple(f"tea-{number}" for number in range(6))
COFFEES = tuple(f"coffee-{number}" for number in range(6))


@pytest.fixture
def tea_and_coffee(shop: Shop) -> Shop:
    """Forty customers, half of whom drink tea and half coffee, who have ordered every five days for two months: tea in
    Lyon, coffee in Paris, nothing in Nice."""
    with shop.at_once():
        for product_id in (*TEAS, *COFFEES):
            shop.product(product_id, category="Tea" if product_id in TEAS else "Drinks > Coffee")
        for store_id in ("lyon", "paris", "nice"):
            shop.store(store_id)
        random = np.random.default_rng(3)
        for number in range(40):
            shelf = TEAS if number % 2 else COFFEES
            favourites = random.choice(shelf, 3, replace=False).tolist()
            for visit in range(12):
                shop.order(
                    f"customer-{number}",
                    random.choice(favourites, 2, replace=False).tolist(),
                    days_ago=60 - 5 * visit,
                    store_id="lyon" if number % 2 else "paris",
                )
    return shop


def interactions(
    *rows: tuple[int, int, Kind, float], customers: int | None = None, products: int | None = None
) -> Interactions:
    """Rows of customer, product, kind and day."""
    ordered = sorted(rows, key=lambda row: row[3])
    columns = [np.array(column) for column in zip(*ordered, strict=True)]
    count = products or int(columns[1].max()) + 1
    return Interactions(
        customers=columns[0],
        products=columns[1],
        kinds=columns[2].astype(np.int64),
        times=(columns[3] * DAY).astype(np.int64),
        customer_count=customers or int(columns[0].max()) + 1,
        product_ids=tuple(f"p{number}" for number in range(count)),
        categories=np.full(count, -1),
    )


def asked(*rows: tuple[int, Kind, float], around: tuple[int, ...] = (), day: float = 100.0) -> Asks:
    """The request of one customer: product, kind and age in days of what she did, and what she is looking at."""
    products, kinds, ages = zip(*rows, strict=True) if rows else ((), (), ())
    return Asks.of(
        np.array([0, len(rows)]),
        products=np.array(products, np.int64),
        kinds=np.array(kinds, np.int64),
        ages=np.array(ages, np.float64),
        contexts=[np.array(around, np.int64)],
        moments=np.array([int(day * DAY)]),
    )


ORDER_ROWS = [
    (customer, int(product), Kind.ORDER, float(day))
    for customer in range(30)
    for day in range(1, 40, 6)
    for product in np.random.default_rng(customer).choice(12, 3, replace=False)
]
"""Thirty customers who buy the same three things every six days."""
