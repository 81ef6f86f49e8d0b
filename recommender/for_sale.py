"""Which products can be had now, here or anywhere, and what a slate shows of them."""

from collections.abc import Iterable
from dataclasses import dataclass

import sqlalchemy as sa

from foundation.database import driver
from recommender.slate import Product

_THERE = """
    active AND (
        EXISTS (SELECT FROM stock WHERE stock.product_id = products.product_id AND quantity > 0{here})
        OR NOT EXISTS (SELECT FROM stock WHERE stock.product_id = products.product_id)
    )
"""
"""A product of which no stock was ever counted is taken to be there."""

_HERE = " AND store_id = %(store)s"

_LOOK_UP = f"""
SELECT product_id, title, category, price, currency, url, image_url, {_THERE} AS there
FROM products WHERE product_id = ANY(%(ids)s::text[])
"""

_OTHERS = f"""
SELECT product_id, title, category, price, currency, url, image_url
FROM products
WHERE {_THERE} AND product_id <> ALL(%(ids)s)
  AND (%(category)s::text IS NULL OR category = %(category)s OR starts_with(category, %(category)s || ' >'))
ORDER BY created_at DESC, product_id
LIMIT %(n)s
"""


@dataclass(frozen=True, slots=True)
class Looked:
    """What the shop says of some products: those for sale, and the titles of all that exist."""

    for_sale: dict[str, Product]
    titles: dict[str, str]


def look_up(
    conn: sa.Connection, product_ids: Iterable[str], *, store_id: str | None = None, category: str | None = None
) -> Looked:
    """These products as they stand this moment, in one query."""
    given = {"ids": _array(product_ids), "store": store_id}
    looked = Looked({}, {})
    for *facts, there in driver(conn).execute(_placed(_LOOK_UP, store_id), given, prepare=True).fetchall():
        product = Product(*facts)
        looked.titles[product.product_id] = product.title
        if there and (category is None or _is_in(product.category, category)):
            looked.for_sale[product.product_id] = product
    return looked


def others(
    conn: sa.Connection, *, without: Iterable[str], n: int, store_id: str | None = None, category: str | None = None
) -> list[Product]:
    """Whatever else is for sale, newest first."""
    given = {"ids": list(without), "store": store_id, "category": category, "n": n}
    return [Product(*facts) for facts in driver(conn).execute(_placed(_OTHERS, store_id), given)]


def _array(words: Iterable[str]) -> str:
    """The words as PostgreSQL writes an array. The driver, which checks each of them, takes four times as long."""
    quoted = (word.replace("\\", r"\\").replace('"', r"\"") for word in words)
    return "{" + ",".join(f'"{word}"' for word in quoted) + "}"


def _placed(statement: str, store_id: str | None) -> str:
    return statement.format(here="" if store_id is None else _HERE)


def _is_in(path: str | None, category: str) -> bool:
    return path == category or (path or "").startswith(f"{category} >")
