"""Products: the feed in, what is for sale now, look-ups by id, category and words."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from foundation import database
from shop import feeds, money, rows
from shop.feeds import RowResult
from shop.tables import products

MOST_ROWS = 1000
"""How many rows one call of the API may put."""


@dataclass(frozen=True, slots=True)
class Product:
    """A product as the shop says. `price` is in minor units of `currency`."""

    product_id: str
    title: str
    category: str | None
    brand: str | None
    price: int | None
    currency: str | None
    url: str | None
    image_url: str | None
    active: bool
    attributes: dict[str, Any]


def put(conn: sa.Connection, given: Sequence[Mapping[str, object]], *, now: datetime) -> list[RowResult]:
    """Adds or changes products, a result a row. A field that is not given keeps its value."""
    return feeds.put(conn, _FEED, given, now=now)


def get_many(conn: sa.Connection, product_ids: Iterable[str]) -> dict[str, Product]:
    """The products that exist, by id."""
    wanted = sa.select(products).where(products.c.product_id == sa.any_(sa.bindparam("ids", list(product_ids))))
    return {product.product_id: product for product in database.read(conn, wanted, Product)}


def categories(conn: sa.Connection) -> dict[str, int]:
    """Every category path with how many products are for sale in it, in alphabetical order."""
    counted = (
        sa.select(products.c.category, sa.func.count())
        .where(products.c.active, products.c.category.is_not(None))
        .group_by(products.c.category)
        .order_by(products.c.category)
    )
    return {category: count for category, count in conn.execute(counted)}


def search(
    conn: sa.Connection,
    words: str = "",
    *,
    category: str | None = None,
    active: bool | None = True,
    after: str | None = None,
    limit: int = 50,
) -> list[Product]:
    """A page of products whose title or id holds every word, in a category or beneath it, by id.

    The next page comes `after` the last id of this one. `active=None` also gives those no longer for sale.
    """
    wanted = sa.select(products).order_by(products.c.product_id).limit(limit)
    for word in words.split():
        wanted = wanted.where(
            products.c.title.icontains(word, autoescape=True) | products.c.product_id.startswith(word, autoescape=True)
        )
    if category is not None:
        beneath = products.c.category.startswith(category + " > ", autoescape=True)
        wanted = wanted.where((products.c.category == category) | beneath)
    if active is not None:
        wanted = wanted.where(products.c.active == active)
    if after is not None:
        wanted = wanted.where(products.c.product_id > after)
    return database.read(conn, wanted, Product)


def _settle(values: dict[str, Any]) -> None:
    """What a row leaves open: a price needs its currency to be counted in minor units."""
    if values.get("price") is not None:
        values["currency"] = values.get("currency") or money.DEFAULT_CURRENCY
        values["price"] = money.minor(values["price"], values["currency"])
    if "active" in values and values["active"] is None:
        values["active"] = True
    if "attributes" in values and values["attributes"] is None:
        values["attributes"] = {}


FIELDS = (
    rows.Field("product_id", rows.identifier, required=True),
    rows.Field("title", rows.short, required=True),
    rows.Field("category", rows.path),
    rows.Field("brand", rows.short),
    rows.Field("price", rows.amount),
    rows.Field("currency", rows.currency),
    rows.Field("url", rows.link),
    rows.Field("image_url", rows.link),
    rows.Field("active", rows.flag),
    rows.Field("attributes", rows.json_object),
)
_FEED = feeds.Feed(table=products, key=("product_id",), fields=FIELDS, settle=_settle, created="created_at")
