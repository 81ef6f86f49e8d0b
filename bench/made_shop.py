"""A shop made by lot, always the same for a seed: 100,000 customers, 50,000 products, 3 million interactions.

Popularity is Zipf's, overall and inside each category; every customer has a few favourite categories, comes back to
what she had before, and is followed for a year in visits: views, basket and order, on the web or in a store. Rows go to
PostgreSQL by COPY as plain numbers, which it turns into the rows that ingestion would have written.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

from foundation.database import Database, driver
from recommender.algorithms.base import Kind

Ints = NDArray[np.int64]

CATEGORIES = 200
FAVOURITES = 3
FAVOURED = 0.6
"""How much of what she touches lies in her favourite categories."""
AGAIN = 0.35
"""How much of it she touched before."""
VISIT_ROWS = 4
STORES = 10
IN_STORE = 0.25
"""Visits to a store: only what was bought there is known."""
SECONDS = 365 * 86_400
"""The year."""


@dataclass(frozen=True, slots=True)
class MadeShop:
    """One row an interaction, oldest first. `seconds` count from the beginning of the year; `visits` rise with time;
    a visit to a store has its number in `stores`, one to the web -1."""

    customers: Ints
    products: Ints
    kinds: Ints
    seconds: Ints
    visits: Ints
    stores: Ints
    customer_count: int
    categories: Ints
    prices: Ints


def category(number: int) -> str:
    """A path two deep."""
    return f"Department {number // 10:02} > Category {number:03}"


def make(*, customers: int = 100_000, products: int = 50_000, rows: int = 3_000_000, seed: int = 1) -> MadeShop:
    """The shop of this seed. Every customer has at least one interaction; the busiest have hundreds."""
    rng = np.random.default_rng(seed)
    categories = rng.integers(CATEGORIES, size=products)
    who = _customers(rng, customers, rows)
    wanted = _wanted(rng, who, categories, customers=customers)
    visits, seconds = _visits(rng, who)
    in_store = rng.random(visits.max() + 1) < IN_STORE
    store_of = np.where(in_store, rng.integers(STORES, size=len(in_store)), -1)
    kinds = rng.choice([Kind.VIEW, Kind.ADD, Kind.ORDER], p=[0.62, 0.16, 0.22], size=rows)
    kinds[in_store[visits]] = Kind.ORDER
    order = np.argsort(seconds, kind="stable")
    return MadeShop(
        customers=who[order],
        products=wanted[order],
        kinds=kinds[order].astype(np.int64),
        seconds=seconds[order],
        visits=visits[order],
        stores=store_of[visits][order],
        customer_count=customers,
        categories=categories,
        prices=np.round(np.exp(rng.normal(7.3, 0.8, products))).astype(np.int64) + 50,
    )


def _customers(rng: np.random.Generator, customers: int, rows: int) -> Ints:
    """Whose each row is, in their order: some come often, most seldom."""
    busy = rng.lognormal(0.0, 1.0, customers)
    more = rng.multinomial(rows - customers, busy / busy.sum())
    return np.repeat(np.arange(customers), more + 1)


def _wanted(rng: np.random.Generator, who: Ints, categories: Ints, *, customers: int) -> Ints:
    """The product of each row: by popularity in a favourite category, or overall, or one she had before."""
    ranked = rng.permutation(len(categories))
    weight = np.empty(len(categories))
    weight[ranked] = 1.0 / np.arange(10, len(categories) + 10)
    ordered = np.argsort(categories, kind="stable")
    cumulated = np.append(0.0, np.cumsum(weight[ordered]))
    bounds = np.searchsorted(categories[ordered], np.arange(CATEGORIES + 1))
    favourite = rng.integers(CATEGORIES, size=(customers, FAVOURITES))[who, rng.integers(FAVOURITES, size=len(who))]
    low, high = cumulated[bounds[favourite]], cumulated[bounds[favourite + 1]]
    anywhere = rng.random(len(who)) >= FAVOURED
    low[anywhere], high[anywhere] = 0.0, cumulated[-1]
    drawn = low + rng.random(len(who)) * (high - low)
    wanted = ordered[np.minimum(np.searchsorted(cumulated, drawn, side="right") - 1, len(ordered) - 1)]
    first = np.searchsorted(who, who)
    earlier = first + (rng.random(len(who)) * (np.arange(len(who)) - first)).astype(np.int64)
    again = rng.random(len(who)) < AGAIN
    found: Ints = np.where(again, wanted[earlier], wanted)
    return found


def _visits(rng: np.random.Generator, who: Ints) -> tuple[Ints, Ints]:
    """The visit of each row, and its second of the year: a few rows a visit, half a minute apart."""
    place = np.arange(len(who)) - np.searchsorted(who, who)
    began = (rng.random(len(who)) < 1 / VISIT_ROWS) | (place == 0)
    visit = np.cumsum(began) - 1
    starts = np.flatnonzero(began)
    owner = who[starts]
    moments = rng.integers(SECONDS - 86_400, size=len(starts))
    moments = moments[np.lexsort((moments, owner))]  # a customer's visits in their order
    return visit, moments[visit] + 30 * (np.arange(len(who)) - starts[visit])


# ------------------------------------------------------------------------------------------------ the database
_STAGE = """
CREATE TEMP TABLE made (customer int8, product int8, kind int8, seconds int8, visit int8, store int8) ON COMMIT DROP
"""

_FILL = (
    """INSERT INTO sources (name, channel, created_at) VALUES ('made', 'web', :until)""",
    """INSERT INTO stores (store_id, name, updated_at)
    SELECT 'store-' || number, 'Store ' || number, :until FROM generate_series(0, :stores - 1) AS number""",
    """INSERT INTO customers (user_id, created_at, updated_at)
    SELECT 'customer-' || number, :since, :until FROM generate_series(0, :customers - 1) AS number ORDER BY number""",
    """INSERT INTO identities (kind, value, customer_id, origin_id, first_seen_at)
    SELECT 'user_id', user_id, id, id, :since FROM customers""",
    """CREATE TEMP TABLE owners ON COMMIT DROP AS
    SELECT id, CAST(substr(user_id, 10) AS int8) AS number FROM customers""",
    """CREATE TEMP TABLE rows ON COMMIT DROP AS
    SELECT made.*, owners.id AS customer_id, 'product-' || product AS product_id,
        CAST(:since AS timestamptz) + make_interval(secs => seconds) AS at
    FROM made JOIN owners ON owners.number = made.customer""",
    """INSERT INTO events (key, customer_id, origin_id, name, occurred_at, received_at, source_id, channel, product_id,
        properties, context)
    SELECT gen_random_uuid(), customer_id, customer_id,
        CASE kind WHEN 0 THEN 'Product Viewed' ELSE 'Product Added' END, at, at, 1, 'web', product_id, '{}', '{}'
    FROM rows WHERE kind < 2 ORDER BY at""",
    """INSERT INTO orders (order_id, customer_id, origin_id, ordered_at, received_at, state, channel, store_id, total,
        currency)
    SELECT 'order-' || visit, customer_id, customer_id, min(at), min(at), 'completed',
        CASE WHEN store < 0 THEN 'web' ELSE 'store' END, CASE WHEN store >= 0 THEN 'store-' || store END, 1000, 'EUR'
    FROM rows WHERE kind = 2 GROUP BY visit, customer_id, store""",
    """INSERT INTO order_lines (order_id, line, customer_id, ordered_at, product_id, quantity, price)
    SELECT order_id, row_number() OVER (PARTITION BY order_id), orders.customer_id, ordered_at, product_id, 1, price
    FROM (SELECT DISTINCT visit, product_id FROM rows WHERE kind = 2) AS bought
    JOIN orders ON order_id = 'order-' || visit JOIN products USING (product_id)""",
    """INSERT INTO profiles (customer_id, first_seen_at, last_seen_at, events)
    SELECT customer_id, min(at), max(at), count(*) FROM rows GROUP BY customer_id""",
    """INSERT INTO stock (product_id, store_id, quantity, updated_at)
    SELECT product_id, 'store-' || store, greatest(abs(hashtext(product_id || store)) % 12 - 4, 0), :until
    FROM products, generate_series(0, 2) AS store""",
)


def load(db: Database, shop: MadeShop, *, until: datetime) -> None:
    """Writes the shop into an empty, migrated database; its year ends at `until`. In one transaction, then analysed."""
    given: dict[str, Any] = {
        "since": until - timedelta(seconds=SECONDS),
        "until": until,
        "stores": STORES,
        "customers": shop.customer_count,
    }
    columns = (shop.customers, shop.products, shop.kinds, shop.seconds, shop.visits, shop.stores)
    with db.begin() as conn:
        conn.execute(sa.text(_STAGE))
        copy_numbers(conn, "made", np.column_stack(columns))
        _products(conn, shop, until=until)
        for statement in _FILL:
            conn.execute(sa.text(statement), given)
    with db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as conn:
        conn.execute(sa.text("VACUUM ANALYZE"))


def _products(conn: sa.Connection, shop: MadeShop, *, until: datetime) -> None:
    conn.execute(sa.text("CREATE TEMP TABLE goods (number int8, category int8, price int8) ON COMMIT DROP"))
    numbers = np.arange(len(shop.categories))
    copy_numbers(conn, "goods", np.column_stack((numbers, shop.categories, shop.prices)))
    conn.execute(sa.text("CREATE TEMP TABLE named (code int8, category text) ON COMMIT DROP"))
    names = [{"code": code, "category": category(code)} for code in range(CATEGORIES)]
    conn.execute(sa.text("INSERT INTO named VALUES (:code, :category)"), names)
    conn.execute(
        sa.text("""
        INSERT INTO products (product_id, title, category, brand, price, currency, url, created_at, updated_at)
        SELECT 'product-' || number, 'Product ' || number, named.category, 'Brand ' || number % 500, price, 'EUR',
            'https://shop.example/' || number,
            CAST(:until AS timestamptz) - make_interval(days => CAST(number % 1500 AS int4)), :until
        FROM goods JOIN named ON named.code = goods.category"""),
        {"until": until},
    )


def copy_numbers(conn: sa.Connection, table: str, rows: NDArray[np.int64]) -> None:
    """Binary COPY: a row is the number of its columns, then for each its length and its bytes, all big-endian."""
    fields = [("count", ">i2")]
    for column in range(rows.shape[1]):
        fields += [(f"length{column}", ">i4"), (f"value{column}", ">i8")]
    packed = np.empty(len(rows), fields)
    packed["count"] = rows.shape[1]
    for column in range(rows.shape[1]):
        packed[f"length{column}"] = 8
        packed[f"value{column}"] = rows[:, column]
    with driver(conn).cursor() as cursor, cursor.copy(f"COPY {table} FROM STDIN (FORMAT binary)") as copy:
        copy.write(b"PGCOPY\n\xff\r\n\0" + bytes(8))
        view = memoryview(packed.tobytes())
        for start in range(0, len(view), 1 << 20):
            copy.write(view[start : start + (1 << 20)])
        copy.write(b"\xff\xff")
