"""What the shop has: the whole catalogue as arrays, read now and then; and what a slate shows, read each time."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import TypeVar

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

from foundation.database import array, driver
from recommender import goods as goods_of
from recommender.algorithms.base import UNCATEGORISED, Flags, Ints
from recommender.goods import Goods
from recommender.slate import Product
from shop import money

V = TypeVar("V", bound=np.generic)

_NONE = 0
"""Stands for the hash of what is not given."""

_CATALOGUE = f"""
COPY (
    SELECT hashtextextended(product_id, 0),
        coalesce(hashtextextended(category, 0), {_NONE}), coalesce(hashtextextended(brand, 0), {_NONE}),
        coalesce(price, -1), coalesce(cost * scale, 'NaN'), coalesce(margin, 'NaN'), created_at,
        CAST(active AND coalesce(pieces > 0, true) AS int) + 2 * CAST(pieces IS NULL AS int) + 4 * CAST(active AS int)
    FROM products
    LEFT JOIN (SELECT product_id, max(quantity) AS pieces FROM stock GROUP BY product_id) AS counted USING (product_id)
    LEFT JOIN unnest(%(currencies)s::text[], %(scales)s::float8[]) AS units (currency, scale) USING (currency)
    CROSS JOIN LATERAL (
        SELECT CASE WHEN jsonb_typeof(attributes -> 'cost') = 'number' THEN CAST(attributes -> 'cost' AS float8) END,
            CASE WHEN jsonb_typeof(attributes -> 'margin') = 'number' THEN CAST(attributes -> 'margin' AS float8) END
    ) AS earned (cost, margin)
) TO STDOUT (FORMAT binary)
"""
_STATE = sa.text("""
SELECT * FROM
    (
        SELECT sum(hashtext(product_id)), count(*) FILTER (WHERE active), sum(price), max(updated_at) FROM products
    ) AS said,
    (SELECT count(*), sum(quantity), max(updated_at) FROM stock) AS counted
""")
_HEADER, _TRAILER = 19, 2
_ROW = np.dtype([
    ("fields", ">i2"),
    ("product_size", ">i4"), ("product", ">i8"),
    ("category_size", ">i4"), ("category", ">i8"),
    ("brand_size", ">i4"), ("brand", ">i8"),
    ("price_size", ">i4"), ("price", ">i8"),
    ("cost_size", ">i4"), ("cost", ">f8"),
    ("margin_size", ">i4"), ("margin", ">f8"),
    ("created_size", ">i4"), ("created", ">i8"),
    ("state_size", ">i4"), ("state", ">i4"),
])  # fmt: skip
_POSTGRES_EPOCH = 946_684_800_000_000
_FOR_SALE, _UNCOUNTED, _ACTIVE = 1, 2, 4

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


@dataclass(frozen=True, slots=True)
class Catalogue:
    """The shop's products in numbers, and the way from its ids, or the hashes of them, to these numbers.

    The numbers begin with those given at first; a product found later gets the next. `uncounted` products have no
    stock anywhere and are taken to be everywhere; `active` ones are not withdrawn.
    """

    goods: Goods
    uncounted: Flags
    active: Flags
    hashes: NDArray[np.int64] = field(repr=False)
    """In order; `order` are the numbers they belong to."""
    order: Ints = field(repr=False)
    numbers: dict[str, int] = field(repr=False)
    state: tuple[object, ...] = ()
    """What told, when this was read, that something had changed."""

    def numbered(self, hashes: NDArray[np.int64]) -> Ints:
        """The number of each product by the hash of its id; -1 for one that is in no catalogue."""
        if not len(self.hashes):
            return np.full(len(hashes), -1)
        places = np.minimum(np.searchsorted(self.hashes, hashes), len(self.hashes) - 1)
        return np.where(self.hashes[places] == hashes, self.order[places], -1)

    def known(self, product_ids: Iterable[str]) -> list[int]:
        """The numbers of those of these products that are known."""
        return [self.numbers[product_id] for product_id in product_ids if product_id in self.numbers]


def number(conn: sa.Connection, product_ids: tuple[str, ...]) -> Catalogue:
    """A catalogue that numbers these products from 0, and does not know yet what the shop says of any."""
    asked = "SELECT hashtextextended(name, 0) FROM unnest(%(ids)s::text[]) WITH ORDINALITY AS a (name, n) ORDER BY n"
    rows = driver(conn).execute(asked, {"ids": array(product_ids)}, binary=True).fetchall()
    hashes = np.array([row[0] for row in rows], np.int64)
    nothing = np.zeros(len(product_ids), np.int64)
    blank = Goods(
        product_ids=product_ids,
        for_sale=nothing > 0,
        categories=nothing + UNCATEGORISED,
        category_names=(),
        brands=nothing + UNCATEGORISED,
        brand_names=(),
        prices=nothing - 1,
        margins=np.full(len(product_ids), np.nan),
        created=nothing,
    )
    numbers = {product_id: place for place, product_id in enumerate(product_ids)}
    return _indexed(Catalogue(blank, nothing > 0, nothing > 0, hashes, np.arange(len(hashes)), numbers))


def read(conn: sa.Connection, before: Catalogue) -> Catalogue:
    """What the shop says of its products now. Numbers stay; products not met before come after all others.

    Most of the time nothing was said since: to see that costs a thirtieth of reading it all.
    """
    state = tuple(conn.execute(_STATE).one())
    if state == before.state:
        return before
    rows = _rows(conn)
    found = _with_new(conn, before, rows["product"].astype(np.int64))
    places = found.numbered(rows["product"].astype(np.int64))
    rows, places = rows[places >= 0], places[places >= 0]  # one may have come between two queries
    count = len(found.goods.product_ids)
    categories, category_names = _named(conn, "category", rows["category"])
    brands, brand_names = _named(conn, "brand", rows["brand"])
    prices = _placed(rows["price"].astype(np.int64), places, count, otherwise=-1)
    costs, told = (
        _placed(rows[name].astype(np.float64), places, count, otherwise=np.nan) for name in ("cost", "margin")
    )
    flags = _placed(rows["state"].astype(np.int64), places, count, otherwise=0)
    told_of = Goods(
        product_ids=found.goods.product_ids,
        for_sale=(flags & _FOR_SALE) > 0,
        categories=_placed(categories, places, count, otherwise=UNCATEGORISED),
        category_names=category_names,
        brands=_placed(brands, places, count, otherwise=UNCATEGORISED),
        brand_names=brand_names,
        prices=prices,
        margins=np.asarray(goods_of.margins(prices, costs=costs, told=told), np.float64),
        created=_placed(rows["created"].astype(np.int64) + _POSTGRES_EPOCH, places, count, otherwise=0),
    )
    uncounted, active = (flags & _UNCOUNTED) > 0, (flags & _ACTIVE) > 0
    return replace(found, goods=told_of, uncounted=uncounted, active=active, state=state)


def in_store(conn: sa.Connection, catalogue: Catalogue, store_id: str) -> Flags:
    """By product number, what that store has or never counted."""
    asked = """
    SELECT coalesce(string_agg(int8send(hashtextextended(product_id, 0)), ''), '')
    FROM stock WHERE store_id = %(store)s AND quantity > 0
    """
    ((packed,),) = driver(conn).execute(asked, {"store": store_id}, binary=True).fetchall()
    numbers = catalogue.numbered(np.frombuffer(packed, ">i8").astype(np.int64))
    there = catalogue.uncounted.copy()
    there[numbers[numbers >= 0]] = True
    return there & catalogue.active


@dataclass(frozen=True, slots=True)
class Looked:
    """What the shop says of some products this moment: those for sale, and the titles of all that exist."""

    for_sale: dict[str, Product]
    titles: dict[str, str]


def look_up(conn: sa.Connection, product_ids: Iterable[str], *, store_id: str | None = None) -> Looked:
    """These products as they stand this moment, in one query."""
    given = {"ids": array(product_ids), "store": store_id}
    looked = Looked({}, {})
    statement = _LOOK_UP.format(here="" if store_id is None else _HERE)
    for *facts, there in driver(conn).execute(statement, given, prepare=True).fetchall():
        product = Product(*facts)
        looked.titles[product.product_id] = product.title
        if there:
            looked.for_sale[product.product_id] = product
    return looked


# ---------------------------------------------------------------------------------------------- the catalogue
def _rows(conn: sa.Connection) -> NDArray[np.void]:
    """Binary rows of one width, viewed as an array without parsing any."""
    currencies = (
        conn.execute(sa.text("SELECT DISTINCT currency FROM products WHERE currency IS NOT NULL")).scalars().all()
    )
    given = {"currencies": currencies, "scales": [10.0 ** money.exponent(currency) for currency in currencies]}
    received = bytearray()
    with driver(conn).cursor() as cursor, cursor.copy(_CATALOGUE, given) as copy:
        for block in copy:
            received += block
    return np.frombuffer(memoryview(received)[_HEADER : len(received) - _TRAILER], _ROW)


def _with_new(conn: sa.Connection, before: Catalogue, hashes: NDArray[np.int64]) -> Catalogue:
    """The catalogue with the products it did not know, numbered in the order in which they came to the shop."""
    new = hashes[before.numbered(hashes) < 0]
    if not len(new):
        return before
    asked = """
    SELECT product_id, hashtextextended(product_id, 0) FROM products
    WHERE hashtextextended(product_id, 0) = ANY(%(hashes)s::bigint[]) ORDER BY created_at, product_id
    """
    rows = driver(conn).execute(asked, {"hashes": new.tolist()}, binary=True).fetchall()
    names = (*before.goods.product_ids, *(row[0] for row in rows))
    numbers = before.numbers | {name: len(before.numbers) + place for place, (name, _) in enumerate(rows)}
    return _indexed(
        replace(
            before,
            goods=replace(before.goods, product_ids=names),
            hashes=np.append(before.hashes, np.array([row[1] for row in rows], np.int64)),
            order=np.append(before.order, len(before.numbers) + np.arange(len(rows))),
            numbers=numbers,
        )
    )


def _indexed(catalogue: Catalogue) -> Catalogue:
    order = np.argsort(catalogue.hashes, kind="stable")
    return replace(catalogue, hashes=catalogue.hashes[order], order=catalogue.order[order])


def _named(conn: sa.Connection, column: str, hashes: NDArray[np.int64]) -> tuple[Ints, tuple[str, ...]]:
    """Each product's category or brand as its place among all names, which are in order."""
    asked = f"SELECT {column}, hashtextextended({column}, 0) FROM products WHERE {column} IS NOT NULL GROUP BY 1"
    rows = sorted(driver(conn).execute(asked, binary=True).fetchall())
    known = np.array([row[1] for row in rows], np.int64)
    order = np.argsort(known, kind="stable")
    if not len(known):
        return np.full(len(hashes), UNCATEGORISED), ()
    native = hashes.astype(np.int64)
    places = order[np.minimum(np.searchsorted(known, native, sorter=order), len(known) - 1)]
    return np.where(known[places] == native, places, UNCATEGORISED), tuple(row[0] for row in rows)


def _placed(values: NDArray[V], places: Ints, count: int, *, otherwise: float) -> NDArray[V]:
    found = np.full(count, otherwise, values.dtype)
    found[places] = values
    return found
