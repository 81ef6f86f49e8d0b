"""Which products can be had now, here or anywhere, and what a slate shows of them."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from recommender.slate import Product
from shop.tables import products, stock


@dataclass(frozen=True, slots=True)
class Looked:
    """What the shop says of some products: those for sale, and the titles of all that exist."""

    for_sale: dict[str, Product]
    titles: dict[str, str]


def look_up(
    conn: sa.Connection, product_ids: Iterable[str], *, store_id: str | None = None, category: str | None = None
) -> Looked:
    """These products as they stand this moment, in one query."""
    statement = _LOOK_UP if store_id is None else _LOOK_UP_IN_STORE
    for_sale, titles = {}, {}
    for row in conn.execute(statement, {"ids": list(product_ids), "store": store_id}):
        product = Product(*row[:-1])
        titles[product.product_id] = product.title
        if row.there and (category is None or _is_in(product.category, category)):
            for_sale[product.product_id] = product
    return Looked(for_sale, titles)


def others(
    conn: sa.Connection, *, without: Iterable[str], n: int, store_id: str | None = None, category: str | None = None
) -> list[Product]:
    """Whatever else is for sale, newest first."""
    statement = _OTHERS if store_id is None else _OTHERS_IN_STORE
    if category is not None:
        path = products.c.category
        statement = statement.where((path == category) | path.startswith(f"{category} >", autoescape=True))
    rows = conn.execute(statement, {"ids": list(without), "store": store_id, "n": n})
    return [Product(*row[:-1]) for row in rows]


def _is_in(path: str | None, category: str) -> bool:
    return path == category or (path or "").startswith(f"{category} >")


def _statement(*, in_store: bool) -> sa.Select[Any]:
    """A product of which no stock was ever counted is taken to be there."""
    counted = sa.select(stock.c.product_id).where(stock.c.product_id == products.c.product_id).correlate(products)
    there = counted.where(stock.c.quantity > 0)
    if in_store:
        there = there.where(stock.c.store_id == sa.bindparam("store", type_=sa.Text))
    return sa.select(
        *(products.c[name] for name in Product.__dataclass_fields__),
        (products.c.active & (there.exists() | ~counted.exists())).label("there"),
    )


def _looked_up(statement: sa.Select[Any]) -> sa.Select[Any]:
    return statement.where(products.c.product_id == sa.any_(sa.bindparam("ids", type_=sa.ARRAY(sa.Text))))


def _others(statement: sa.Select[Any]) -> sa.Select[Any]:
    return (
        statement.where(
            statement.selected_columns.there,
            products.c.product_id != sa.all_(sa.bindparam("ids", type_=sa.ARRAY(sa.Text))),
        )
        .order_by(products.c.created_at.desc(), products.c.product_id)
        .limit(sa.bindparam("n", type_=sa.Integer))
    )


_LOOK_UP = _looked_up(_statement(in_store=False))
_LOOK_UP_IN_STORE = _looked_up(_statement(in_store=True))
_OTHERS = _others(_statement(in_store=False))
_OTHERS_IN_STORE = _others(_statement(in_store=True))
