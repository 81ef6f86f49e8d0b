"""Holds the events and orders of one file in temporary tables of one connection, grouped and cut into chunks.

The file is staged whole before anything is stored, so rows of one order may stand anywhere in it. A temporary table
belongs to its connection: a killed import leaves none behind.
"""

import io
from collections.abc import Mapping
from typing import Any

import numpy as np
import psycopg
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from shop import import_columns, rows, vocabulary
from shop.import_blocks import Block, Refused
from shop.import_columns import Checked
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
    "rows": "integer",
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
    "currency": "text",
    "properties": "text",
    "products": "text",
    "product_ids": "text[]",
    "quantities": "integer[]",
    "prices": "bigint[]",
    "total": "bigint",
    "doubled": "boolean",
}
_ORDER = ["order_id", "user_id", "anonymous_id"]
_ONCE = ("name", "message_id", "channel", "store_id", "cart_id", "coupon", "currency", "properties")
"""What an order has once: the first of its rows that says it counts."""


def checked(block: Block, *, orders: bool, now: Any) -> tuple[pa.Table, list[Refused]]:
    """The block's good rows with their columns read, and its refused rows."""
    check = Checked(block)
    for name in ORDER_REQUIRED if orders else EVENT_REQUIRED:
        check.require(name)
    name = pa.array([str(Name.ORDER_COMPLETED)] * check.size, pa.string()) if orders else check.ids("event")
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
    columns["products"] = _product(check, columns["product_id"], columns["quantity"], exact)
    _identify(check, columns)
    return check.good(columns)


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
    driver.execute("SET work_mem = '64MB'")
    driver.execute("SET temp_buffers = '64MB'")
    columns = ", ".join(f"{name} {kind}" for name, kind in _STAGED.items())
    driver.execute(f"CREATE TEMP TABLE staged ({columns})")
    driver.execute(
        "CREATE TEMP TABLE fresh (key uuid, customer_id bigint, origin_id bigint, ordered boolean DEFAULT false) "
        "ON COMMIT DELETE ROWS"
    )


def copy(driver: psycopg.Connection[Any], table: pa.Table) -> None:
    """Appends checked rows to the staging table, those of one order already folded into one."""
    completed = pc.equal(table["name"], str(Name.ORDER_COMPLETED))
    for staged in (_folded(table.filter(completed)), _as_they_are(table.filter(pc.invert(completed)))):
        buffer = io.BytesIO()
        pyarrow.csv.write_csv(staged.select(list(_STAGED)), buffer, pyarrow.csv.WriteOptions(include_header=False))
        with driver.cursor().copy("COPY staged FROM STDIN (FORMAT csv)") as copying:
            copying.write(buffer.getbuffer())


def _folded(table: pa.Table) -> pa.Table:
    """Rows of one order become one row with their products in arrays, in the order of the file."""
    quantity = pc.fill_null(table["quantity"], 1)
    for name, column in (
        ("quantities", quantity.cast(pa.string())),
        ("prices", pc.fill_null(table["price"].cast(pa.string()), "NULL")),
        ("product_ids", pc.fill_null(_array_item(table["product_id"]), "NULL")),
        ("pieces", quantity),
        ("total", pc.multiply(pc.fill_null(table["price"], 0), quantity.cast(pa.int64()))),
    ):
        table = table.append_column(name, column)
    grouped = table.group_by(_ORDER, use_threads=False).aggregate(
        [(name, "first") for name in _ONCE]
        + [(name, "list") for name in ("products", "product_ids", "quantities", "prices")]
        + [("line", "min"), ("at", "min"), ("total", "sum"), ("pieces", "min"), ("product_ids", "count_distinct")]
        + [([], "count_all")]
    )
    columns = {name: grouped[name] for name in _ORDER} | {name: grouped[f"{name}_first"] for name in _ONCE}
    for name in ("product_ids", "quantities", "prices"):
        columns[name] = pc.binary_join_element_wise("{", pc.binary_join(grouped[f"{name}_list"], ","), "}", "")
    again = pc.less(grouped["product_ids_count_distinct"], grouped["count_all"])
    return pa.table(
        columns
        | {name: grouped[f"{name}_min"] for name in ("line", "at")}
        | {
            "rows": grouped["count_all"],
            "products": pc.binary_join(grouped["products_list"], ","),
            "product_id": pa.nulls(len(grouped), pa.string()),
            "total": grouped["total_sum"],
            "doubled": pc.or_(again, pc.equal(grouped["pieces_min"], 0)),
        }
    )


def _array_item(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Texts as elements of a PostgreSQL array literal."""
    escaped = pc.replace_substring(pc.replace_substring(column, "\\", "\\\\"), '"', '\\"')
    return pc.binary_join_element_wise('"', escaped, '"', "")


def _as_they_are(table: pa.Table) -> pa.Table:
    """Rows that are an event each."""
    absent = pa.nulls(len(table), pa.string())
    for name in ("product_ids", "quantities", "prices", "total", "doubled"):
        table = table.append_column(name, absent)
    return table.append_column("rows", pa.array(np.ones(len(table), dtype=np.int32)))


def group(driver: psycopg.Connection[Any], *, source_id: int) -> int:
    """Makes one event of each row, or of the rows of one order, in the table `grouped`; returns how many chunks.

    People who need more than their rows stored (a cart, a refund, two ids to be joined) are marked `slow`. The others
    fall into chunks by their name, so that each person's events are stored together.
    """
    words = {"source": source_id, "completed": str(Name.ORDER_COMPLETED), "stateful": [str(n) for n in STATEFUL]}
    chunks = max(1, driver.execute(_KEYED, words).rowcount // CHUNK)
    driver.execute("DROP TABLE staged")
    driver.execute("ANALYZE keyed")
    driver.execute(_SLOW_PEOPLE, words)
    driver.execute(_SEVERAL, words)
    driver.execute(_GROUP, {**words, "chunks": chunks})
    driver.execute("DROP TABLE keyed, several, slow_people")
    driver.execute("CREATE INDEX ON grouped (chunk)")
    driver.execute("ANALYZE grouped")
    return chunks


STATEFUL = vocabulary.CART_NAMES | vocabulary.ORDER_NAMES - {Name.ORDER_COMPLETED}
"""Events that change something stored earlier, so that their order matters."""

PROPERTIES = """(
CASE WHEN product_ids IS NULL THEN coalesce(properties::jsonb, '{}') || coalesce(products::jsonb, '{}')
WHEN products IS NULL THEN coalesce(properties::jsonb, '{}')
ELSE coalesce(properties::jsonb, '{}') || jsonb_build_object('products', ('[' || products || ']')::jsonb) END
|| jsonb_strip_nulls(jsonb_build_object('order_id', order_id, 'cart_id', cart_id, 'store_id', store_id,
    'coupon', coupon, 'currency', currency))
)"""
"""What a staged event says, as a tracker would have sent it."""

_PERSON = "coalesce('u' || user_id, 'a' || anonymous_id)"

_KEYED = f"""
CREATE TEMP TABLE keyed AS
SELECT CASE WHEN name = %(completed)s THEN md5((%(source)s, 'order', order_id, user_id, anonymous_id)::text)
    WHEN message_id IS NOT NULL THEN md5((%(source)s, 'message', message_id)::text)
    ELSE md5((%(source)s, name, user_id, anonymous_id, extract(epoch FROM at), channel, order_id, cart_id, currency,
        products, properties)::text) END::uuid AS key, {_PERSON} AS person, staged.*
FROM staged
"""
_COLUMNS = ", ".join(["key", "person", *_STAGED])
_SLOW_PEOPLE = """
CREATE TEMP TABLE slow_people AS
SELECT DISTINCT person FROM keyed
WHERE name = ANY(%(stateful)s) OR user_id IS NOT NULL AND anonymous_id IS NOT NULL
    OR name = %(completed)s AND (properties IS NOT NULL OR cart_id IS NOT NULL OR products IS NULL)
"""
_SEVERAL = """
CREATE TEMP TABLE several AS SELECT key FROM keyed GROUP BY key HAVING count(*) > 1
"""
"""Orders whose rows stand in several blocks, and events that the file holds twice."""

_FIRST = ", ".join(
    f"(array_agg({name} ORDER BY line) FILTER (WHERE {name} IS NOT NULL))[1] AS {name}"
    for name in (*_ONCE, "user_id", "anonymous_id", "order_id", "product_id", "person")
)
_GROUP = f"""
CREATE TEMP TABLE grouped AS
WITH parts AS (
    SELECT * FROM keyed WHERE key IN (SELECT key FROM several)
), whole AS (
    SELECT key, min(line) AS line, min(at) AS at, {_FIRST},
        CASE WHEN min(name) = %(completed)s THEN string_agg(products, ',' ORDER BY line)
        ELSE min(products) END AS products, sum(rows)::integer AS rows, sum(total)::bigint AS total
    FROM parts GROUP BY key
), lines AS (
    SELECT key, array_agg(item.product_id ORDER BY line, n) AS product_ids,
        array_agg(item.quantity ORDER BY line, n) AS quantities, array_agg(item.price ORDER BY line, n) AS prices,
        count(*) <> count(DISTINCT item.product_id) OR min(item.quantity) = 0 AS doubled
    FROM parts, unnest(product_ids, quantities, prices) WITH ORDINALITY AS item (product_id, quantity, price, n)
    GROUP BY key
), events AS (
    SELECT {_COLUMNS} FROM keyed WHERE key NOT IN (SELECT key FROM several)
    UNION ALL SELECT {_COLUMNS} FROM whole LEFT JOIN lines USING (key)
)
SELECT *, CASE WHEN person IN (SELECT person FROM slow_people) THEN 0
    ELSE 1 + (hashtext(person) & 2147483647) %% %(chunks)s END AS chunk
FROM events
"""
