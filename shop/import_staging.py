"""Holds the events and orders of one file in temporary tables of one connection, grouped and cut into chunks.

The file is staged whole before anything is stored, so rows of one order may stand anywhere in it. A temporary table
belongs to its connection: a killed import leaves none behind.
"""

import io
from collections.abc import Mapping
from typing import Any

import psycopg
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from shop import import_columns, rows, vocabulary
from shop.import_columns import Checked
from shop.import_files import Block, Refused
from shop.vocabulary import Name

CHUNK = 5000
"""Events stored in one transaction: an order of ten lines counts once."""

EVENT_COLUMNS = (
    *("event", "user_id", "anonymous_id", "timestamp", "message_id", "channel", "product_id", "order_id", "cart_id"),
    *("quantity", "price", "currency", "properties"),
)
EVENT_REQUIRED = ("event", "timestamp")
ORDER_COLUMNS = (
    *("order_id", "user_id", "timestamp", "product_id", "quantity", "price", "currency", "channel", "store_id"),
    "coupon",
)
ORDER_REQUIRED = ("order_id", "user_id", "timestamp", "product_id")

_STAGED = {
    "line": "bigint",
    "name": "text",
    "user_id": "text",
    "anonymous_id": "text",
    "at": "timestamptz",
    "message_id": "text",
    "channel": "text",
    "store_id": "text",
    "product_id": "text",
    "order_id": "text",
    "cart_id": "text",
    "coupon": "text",
    "quantity": "integer",
    "price": "bigint",
    "currency": "text",
    "product": "text",
    "properties": "text",
}


def checked(block: Block, *, orders: bool, now: Any) -> tuple[pa.Table, list[Refused]]:
    """The block's good rows as columns of the staging table, and its refused rows."""
    check = Checked(block)
    for name in ORDER_REQUIRED if orders else EVENT_REQUIRED:
        check.require(name)
    name = pa.array([str(Name.ORDER_COMPLETED)] * check.size) if orders else check.ids("event")
    price, exact, currency = check.prices()
    columns = {
        "name": name,
        **{column: check.ids(column) for column in ("user_id", "anonymous_id", "store_id", "product_id")},
        **{column: check.ids(column) for column in ("order_id", "cart_id", "coupon")},
        "at": check.times("timestamp", now=now),
        "message_id": check.ids("message_id", most=vocabulary.MESSAGE_ID_LENGTH),
        "channel": check.each("channel", rows.one_of(vocabulary.CHANNELS), pa.string()),
        "quantity": check.each("quantity", import_columns.pieces, pa.int32()),
        "price": price,
        "currency": currency,
        "properties": check.each("properties", import_columns.properties, pa.string()),
    }
    columns["product"] = _product(check, columns["product_id"], columns["quantity"], exact)
    _identify(check, columns)
    table, refused = check.good(columns)
    return table.select(list(_STAGED)), refused


def _identify(check: Checked, columns: Mapping[str, pa.Array]) -> None:
    """An event belongs to somebody, and an order has an id."""
    nobody = pc.and_(pc.is_null(columns["user_id"]), pc.is_null(columns["anonymous_id"]))
    check.refuse(nobody.to_numpy(zero_copy_only=False), "user_id: is required, or anonymous_id")
    completed = pc.fill_null(pc.equal(columns["name"], str(Name.ORDER_COMPLETED)), False)
    without = pc.and_(completed, pc.is_null(columns["order_id"]))
    check.refuse(without.to_numpy(zero_copy_only=False), "order_id: is required for an order")


def _product(check: Checked, product_id: pa.Array, quantity: pa.Array, price: pa.Array) -> pa.Array:
    """The row's product as it stands in the `products` of an order, in JSON."""
    quoted = check.read(product_id, "product_id", reader=rows.json_text, kind=pa.string())
    parts = [pc.binary_join_element_wise('{"product_id":', quoted, "")]
    for name, column in (("quantity", quantity), ("price", price)):
        part = pc.binary_join_element_wise(f',"{name}":', column.cast(pa.string()), "")
        parts.append(pc.fill_null(part, ""))
    return pc.binary_join_element_wise(*parts, "}", "")


# ------------------------------------------------------------------------------------------------ staging
def create(driver: psycopg.Connection[Any]) -> None:
    """Makes the empty staging tables. Sorting and grouping a whole file is worth more memory than usual."""
    driver.execute("SET work_mem = '128MB'")
    driver.execute("SET temp_buffers = '64MB'")
    columns = ", ".join(f"{name} {kind}" for name, kind in _STAGED.items())
    driver.execute(f"CREATE TEMP TABLE staged ({columns})")
    driver.execute(
        "CREATE TEMP TABLE fresh (key uuid, customer_id bigint, origin_id bigint, ordered boolean DEFAULT false) "
        "ON COMMIT DELETE ROWS"
    )


def copy(driver: psycopg.Connection[Any], table: pa.Table) -> None:
    """Appends checked rows to the staging table."""
    buffer = io.BytesIO()
    pyarrow.csv.write_csv(table, buffer, pyarrow.csv.WriteOptions(include_header=False))
    with driver.cursor().copy("COPY staged FROM STDIN (FORMAT csv)") as copying:
        copying.write(buffer.getbuffer())


def group(driver: psycopg.Connection[Any], *, source_id: int) -> int:
    """Makes one event of each row, or of the rows of one order, in the table `grouped`; returns the last chunk.

    People who need more than their rows stored (a cart, a refund, two ids to be joined) are marked `slow`; chunk 0
    is theirs. The others are cut into chunks from 1 on, each person's events together.
    """
    words = {
        "source": source_id,
        "completed": str(Name.ORDER_COMPLETED),
        "stateful": [str(name) for name in STATEFUL],
        "chunk": CHUNK,
    }
    driver.execute("ANALYZE staged")
    driver.execute(_SLOW_PEOPLE, words)
    driver.execute(_GROUP, words)
    driver.execute("DROP TABLE staged")
    driver.execute("CREATE INDEX ON grouped (chunk)")
    driver.execute("ANALYZE grouped")
    last = driver.execute("SELECT max(chunk) FROM grouped").fetchone()
    return int(last[0] or 0) if last else 0


PROPERTIES = """(
CASE WHEN product_ids IS NULL OR product_ids[1] IS NULL
THEN coalesce(properties::jsonb, '{}') || coalesce(products::jsonb, '{}')
ELSE coalesce(properties::jsonb, '{}') || jsonb_build_object('products', ('[' || products || ']')::jsonb) END
|| jsonb_strip_nulls(jsonb_build_object('order_id', order_id, 'cart_id', cart_id, 'store_id', store_id,
    'coupon', coupon, 'currency', currency))
)"""
"""What a staged event says, as a tracker would have sent it."""

STATEFUL = vocabulary.CART_NAMES | vocabulary.ORDER_NAMES - {Name.ORDER_COMPLETED}
"""Events that change something stored earlier, so that their order matters."""

_PERSON = "coalesce('u' || user_id, 'a' || anonymous_id)"

_SLOW_PEOPLE = f"""
CREATE TEMP TABLE slow_people AS
SELECT DISTINCT {_PERSON} AS person FROM staged
WHERE name = ANY(%(stateful)s) OR user_id IS NOT NULL AND anonymous_id IS NOT NULL
    OR name = %(completed)s AND (properties IS NOT NULL OR cart_id IS NOT NULL OR product_id IS NULL)
"""
_GROUP = f"""
CREATE TEMP TABLE grouped AS
WITH orders AS (
    SELECT md5((%(source)s, 'order', order_id, user_id, anonymous_id)::text)::uuid AS key, count(*)::integer AS rows,
        min(line) AS line, min(name) AS name, user_id, anonymous_id, min(at) AS at, min(message_id) AS message_id,
        min(channel) AS channel, min(store_id) AS store_id, NULL AS product_id, order_id, min(cart_id) AS cart_id,
        min(coupon) AS coupon, min(currency) AS currency, sum(coalesce(quantity, 1) * price)::bigint AS total,
        array_agg(product_id) AS product_ids, array_agg(coalesce(quantity, 1)) AS quantities,
        array_agg(price) AS prices, string_agg(product, ',') AS products, min(properties) AS properties,
        count(*) <> count(DISTINCT product_id) OR min(quantity) = 0 AS doubled
    FROM (SELECT * FROM staged WHERE name = %(completed)s ORDER BY order_id, user_id, anonymous_id, line) AS lines
    GROUP BY order_id, user_id, anonymous_id
), others AS (
    SELECT DISTINCT ON (key) *, count(*) OVER (PARTITION BY key)::integer AS rows FROM (
        SELECT *, CASE WHEN message_id IS NULL THEN md5((%(source)s, name, user_id, anonymous_id,
            extract(epoch FROM at), channel, product_id, order_id, cart_id, quantity, price, currency, properties)::text)::uuid
            ELSE md5((%(source)s, message_id)::text)::uuid END AS key
        FROM staged WHERE name <> %(completed)s) AS keyed
    ORDER BY key, line
), events AS (
    SELECT * FROM orders UNION ALL
    SELECT key, rows, line, name, user_id, anonymous_id, at, message_id, channel, store_id, product_id, order_id,
        cart_id, coupon, currency, NULL, NULL, NULL, NULL, product, properties, false
    FROM others
)
SELECT *, person IN (SELECT person FROM slow_people) AS slow,
    CASE WHEN person IN (SELECT person FROM slow_people) THEN 0
    ELSE 1 + (row_number() OVER (ORDER BY person, at) - 1) / %(chunk)s END AS chunk
FROM (SELECT *, {_PERSON} AS person FROM events) AS placed
"""
