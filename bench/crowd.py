"""A crowd made by lot, always the same for a seed: customers with traits and consents, their events and orders of a
year, in blocks of 100,000 so that memory stays the same for a million.

Who comes is skewed (a few come daily, most seldom), what is looked at is Zipf's, and there is more lately than long
ago. Plain numbers go to PostgreSQL by COPY, which makes of them the rows that ingestion would have written.
"""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

from bench import web
from bench.made_shop import copy_numbers
from foundation import postgres
from foundation.database import Database
from shop.tables import events

Ints = NDArray[np.int64]

BLOCK = 100_000
YEAR = 365 * 86_400
PRODUCTS = 20_000
NAMES = (
    "Product Viewed",
    "Page Viewed",
    "Product Added",
    "Products Searched",
    "Cart Viewed",
    "Checkout Started",
    "Order Completed",
)
SHARES = (0.60, 0.16, 0.10, 0.05, 0.03, 0.02, 0.04)
_INDEXES = ("events_customer_id_occurred_at_idx", "events_name_occurred_at_idx")
PEPPER = os.environ.setdefault("RELANCE_PEPPER", "a pepper of the benchmarks")
"""For the servers they start, too."""


@contextmanager
def of(customers: int, *, events_each: int = 20) -> Iterator[Database]:
    """A crowd of so many in a database of its own; in the folder `RELANCE_BENCH_KEEP`, if that is set, where the next
    benchmark finds it again without what campaigns and segments left there. `RELANCE_BENCH_EVENTS` says another number
    of events each."""
    kept, events_each = os.environ.get("RELANCE_BENCH_KEEP"), int(os.environ.get("RELANCE_BENCH_EVENTS", events_each))
    directory = Path(kept or tempfile.mkdtemp(prefix="relance-bench-"))
    name = f"crowd_{customers}_{events_each}"
    try:
        found = _found(directory, name) if kept else None
        db = Database(found or web.database(directory, name), pepper=PEPPER, pool_size=20)
        db.migrate()
        if found is None:
            load(db, customers=customers, events_each=events_each, until=datetime.now(UTC))
            with db.begin() as conn:
                conn.execute(sa.text(f"COMMENT ON DATABASE {name} IS 'loaded'"))
        else:
            _clear(db)
        yield db
        db.dispose()
    finally:
        if not kept:
            shutil.rmtree(directory, ignore_errors=True)


def _found(directory: Path, name: str) -> str | None:
    url = sa.make_url(os.environ.get("RELANCE_DATABASE_URL") or postgres.attach(directory / "postgres"))
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    with engine.connect() as conn:
        said = conn.scalar(
            sa.text("SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = :name"),
            {"name": name},
        )
    return url.set(database=name).render_as_string(hide_password=False) if said == "loaded" else None


def _clear(db: Database) -> None:
    with db.begin() as conn:
        conn.execute(sa.text("TRUNCATE campaigns, segments, policy, signals, job_runs, users CASCADE"))
        conn.execute(sa.text("DELETE FROM events WHERE source_id <> (SELECT id FROM sources WHERE name = 'made')"))


def load(db: Database, *, customers: int, events_each: int = 20, seed: int = 1, until: datetime) -> None:
    """Fills an empty, migrated database; the year ends at `until`. Customers have the ids 1 to `customers`."""
    with db.begin() as conn:
        _goods(conn, until)
        for index in _indexes():
            index.drop(conn)
    for first in range(0, customers, BLOCK):
        _block(db, first, min(BLOCK, customers - first), events_each=events_each, seed=seed, until=until)
    with db.begin() as conn:
        conn.execute(sa.text("SET LOCAL maintenance_work_mem = '256MB'"))
        for index in _indexes():
            index.create(conn)
        for statement in _AFTER:
            conn.execute(sa.text(statement))
    with db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as conn:
        conn.execute(sa.text("VACUUM ANALYZE"))


def _indexes() -> list[sa.Index]:
    return [index for index in events.indexes if index.name in _INDEXES]


def _goods(conn: sa.Connection, until: datetime) -> None:
    given = {"until": until, "products": PRODUCTS}
    for statement in _GOODS:
        conn.execute(sa.text(statement), given)


def _block(db: Database, first: int, count: int, *, events_each: int, seed: int, until: datetime) -> None:
    rng = np.random.default_rng((seed, first))
    busy = rng.lognormal(0.0, 1.1, count)
    who = np.repeat(np.arange(count), rng.multinomial(count * events_each, busy / busy.sum())) + first + 1
    seconds = (np.sqrt(rng.random(len(who))) * YEAR).astype(np.int64)
    kinds = rng.choice(len(NAMES), p=SHARES, size=len(who))
    ranks = (PRODUCTS ** rng.random(len(who))).astype(np.int64) - 1
    cents = np.round(np.exp(rng.normal(8.3, 0.9, len(who)))).astype(np.int64)
    order = np.argsort(seconds, kind="stable")
    keys = np.arange(len(who)) + first * events_each
    given = {"since": until - timedelta(seconds=YEAR), "first": first + 1, "last": first + count, "names": list(NAMES)}
    with db.begin() as conn:
        conn.execute(sa.text(_STAGE))
        columns = (keys, who[order], kinds[order], seconds[order], ranks[order], cents[order])
        copy_numbers(conn, "made", np.column_stack(columns))
        for statement in _FILL:
            conn.execute(sa.text(statement), given)


_GOODS = (
    "INSERT INTO sources (name, channel, created_at) VALUES ('made', 'web', :until)",
    """INSERT INTO products (product_id, title, category, brand, price, currency, created_at, updated_at)
    SELECT 'product-' || n, 'Product ' || n, 'Department ' || n % 20 || ' > Category ' || n % 200, 'Brand ' || n % 300,
        1000 + n % 9000, 'EUR', :until, :until FROM generate_series(0, :products - 1) AS n""",
    """INSERT INTO stores (store_id, name, latitude, longitude, updated_at)
    SELECT 'store-' || n, 'Store ' || n, 43 + n % 7, -1 + n % 8, :until FROM generate_series(0, 49) AS n""",
)

_STAGE = """
CREATE TEMP TABLE made (key int8, customer int8, kind int8, seconds int8, product int8, cents int8) ON COMMIT DROP
"""

_FILL = (
    """INSERT INTO customers (id, user_id, email, first_name, last_name, locale, traits, created_at, updated_at)
    OVERRIDING SYSTEM VALUE
    SELECT n, 'user-' || n, 'user' || n || '@crowd.example', 'First' || n % 900, 'Last' || n % 7000, 'fr-FR',
        jsonb_build_object('city', 'City ' || floor(200 ^ (abs(hashint8(n)) % 10000 / 10000.0))::int,
            'points', abs(hashint8(n + 7)) % 1000, 'vip', n % 40 = 0,
            'birthday', ('1950-01-01'::date + abs(hashint8(n + 3)) % 20000)::text,
            'latitude', 43 + abs(hashint8(n + 5)) % 7000 / 1000.0,
            'longitude', -1 + abs(hashint8(n + 6)) % 8000 / 1000.0),
        :since, :since
    FROM generate_series(CAST(:first AS int8), :last) AS n""",
    """INSERT INTO identities (kind, value, customer_id, origin_id, first_seen_at)
    SELECT 'user_id', user_id, id, id, created_at FROM customers WHERE id BETWEEN :first AND :last
    UNION ALL SELECT 'email', email, id, id, created_at FROM customers WHERE id BETWEEN :first AND :last""",
    """INSERT INTO consents (customer_id, channel, purpose, state, at)
    SELECT n, channel, 'marketing', CASE WHEN abs(hashint8(n + 11)) % 10 < 8 THEN 'granted' ELSE 'denied' END, :since
    FROM generate_series(CAST(:first AS int8), :last) AS n, (VALUES ('email', 8), ('sms', 3)) AS said (channel, share)
    WHERE abs(hashint8(n * share)) % 10 < share""",
    """INSERT INTO events (key, customer_id, origin_id, name, occurred_at, received_at, source_id, channel, product_id,
        order_id, message_id, properties, context)
    SELECT lpad(to_hex(key), 32, '0')::uuid, customer, customer, (CAST(:names AS text[]))[kind + 1],
        :since + make_interval(secs => seconds), :since + make_interval(secs => seconds), 1,
        CASE WHEN cents % 10 < 7 THEN 'web' ELSE 'app' END, CASE WHEN kind IN (0, 2) THEN 'product-' || product END,
        CASE WHEN kind = 6 THEN 'order-' || key END, 'made-' || key,
        jsonb_build_object('price', cents / 100.0, 'currency', 'EUR', 'position', product % 40),
        '{"page": {"path": "/produit"}, "locale": "fr-FR", "timezone": "Europe/Paris"}'
    FROM made ORDER BY key""",
    """INSERT INTO orders (order_id, customer_id, origin_id, ordered_at, received_at, state, channel, store_id, total,
        refunded, currency)
    SELECT 'order-' || key, customer, customer, :since + make_interval(secs => seconds),
        :since + make_interval(secs => seconds), CASE WHEN cents % 50 = 0 THEN 'cancelled' ELSE 'completed' END,
        CASE WHEN cents % 4 = 0 THEN 'store' ELSE 'web' END, CASE WHEN cents % 4 = 0 THEN 'store-' || cents % 50 END,
        cents, CASE WHEN cents % 20 = 0 THEN cents ELSE 0 END, 'EUR'
    FROM made WHERE kind = 6 ORDER BY key""",
    """INSERT INTO order_lines (order_id, line, customer_id, ordered_at, product_id, quantity, price)
    SELECT 'order-' || key, line, customer, :since + make_interval(secs => seconds),
        'product-' || (product + line * 37) % 20000, 1, cents / 2
    FROM made, generate_series(1, 2) AS line WHERE kind = 6 ORDER BY key""",
    """INSERT INTO profiles (customer_id, first_seen_at, last_seen_at, events, product_views, cart_adds, orders, spent,
        first_order_at, last_order_at, web_last_at)
    SELECT customer, min(at), max(at), count(*), count(*) FILTER (WHERE kind = 0), count(*) FILTER (WHERE kind = 2),
        count(*) FILTER (WHERE bought), coalesce(sum(cents) FILTER (WHERE bought AND cents % 20 > 0), 0),
        min(at) FILTER (WHERE bought), max(at) FILTER (WHERE bought), max(at) FILTER (WHERE cents % 10 < 7)
    FROM (SELECT *, :since + make_interval(secs => seconds) AS at, kind = 6 AND cents % 50 > 0 AS bought
        FROM made) AS dated GROUP BY customer""",
)

_AFTER = (
    "SELECT setval(pg_get_serial_sequence('customers', 'id'), (SELECT max(id) FROM customers))",
    """INSERT INTO carts (cart_id, customer_id, origin_id, state, lines, value, currency, channel, created_at,
        touched_at)
    SELECT 'cart-' || id, id, id, 'open',
        jsonb_build_array(jsonb_build_object('product_id', 'product-' || id % 20000, 'quantity', 1, 'price', 4000)),
        4000 + id % 9000, 'EUR', 'web', created_at, created_at + make_interval(secs => id * 7 % 31536000)
    FROM customers WHERE id % 8 = 0""",
)
