"""The catalogue as ad platforms fetch it for dynamic retargeting: RSS 2.0 in Google's namespace, which Meta reads too.

A product that cannot be advertised is left out and shown in the console with the reason: one without a price, a page
or a picture, or whose id is longer than the platform takes.
Sources: Merchant Center, "Product data specification"; Meta, "Reference - Catalog".
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urljoin
from xml.sax.saxutils import escape

import sqlalchemy as sa

from foundation import database
from foundation.database import Database
from shop import money

PAGE = 1000


@dataclass(frozen=True, slots=True)
class Dialect:
    """What differs between the platforms: the words for availability, and the longest id and title."""

    there: str
    gone: str
    id_length: int
    title_length: int


DIALECTS: Mapping[str, Dialect] = {
    "google": Dialect("in_stock", "out_of_stock", 50, 150),
    "meta": Dialect("in stock", "out of stock", 100, 200),
}
LONGEST_ID = min(dialect.id_length for dialect in DIALECTS.values())
LONGEST_TEXT = 5000
_KNOWN = {"gtin": "gtin", "mpn": "mpn", "google_product_category": "google_product_category"}
"""Attributes of products that platforms know, by our name for them."""


@dataclass(frozen=True, slots=True)
class Offered:
    """A product as a feed needs it; `price` in minor units."""

    product_id: str
    title: str
    category: str | None
    brand: str | None
    price: int | None
    currency: str | None
    url: str | None
    image_url: str | None
    attributes: dict[str, Any]
    available: bool


def write(db: Database, platform: str, *, base_url: str) -> Iterator[bytes]:
    """The whole feed, a page of products at a time. Manages its own transactions, one a page."""
    yield (
        b'<?xml version="1.0" encoding="UTF-8"?>\n<rss xmlns:g="http://base.google.com/ns/1.0" version="2.0"><channel>'
        + f"<title>Relance</title><link>{_text(base_url)}</link><description>Products for sale</description>\n".encode()
    )
    after: str | None = ""
    while after is not None:
        with db.begin() as conn:
            rows = database.read(conn, _page(after), Offered)
        items = (_item(row, DIALECTS[platform], base_url) for row in rows if not hindrances(row, platform))
        yield "".join(items).encode()
        after = rows[-1].product_id if len(rows) == PAGE else None
    yield b"</channel></rss>\n"


def hindrances(product: Offered, platform: str) -> list[str]:
    """Why a product cannot be advertised, in stable words; empty if it can."""
    missing = {
        "price": not product.price,
        "page": not product.url,
        "picture": not product.image_url,
        "id": len(product.product_id) > DIALECTS[platform].id_length,
    }
    return [word for word, wrong in missing.items() if wrong]


def left_out(conn: sa.Connection, *, after: str = "", limit: int = 50) -> list[tuple[Offered, list[str]]]:
    """Products for sale that at least one feed leaves out, with the reasons, by id."""
    rows = database.read(conn, sa.text(_LEFT_OUT).bindparams(after=after, limit=limit, longest=LONGEST_ID), Offered)
    return [(row, hindrances(row, "google")) for row in rows]


_COLUMNS = """product_id, title, category, brand, price, currency, url, image_url, attributes,
    coalesce((SELECT bool_or(quantity > 0) FROM stock WHERE stock.product_id = products.product_id), true) AS available
FROM products"""
_LEFT_OUT = f"""
SELECT {_COLUMNS} WHERE active AND product_id > :after AND (price IS NULL OR price = 0 OR url IS NULL
    OR image_url IS NULL OR length(product_id) > :longest) ORDER BY product_id LIMIT :limit
"""


def _page(after: str) -> sa.TextClause:
    query = f"SELECT {_COLUMNS} WHERE active AND product_id > :after ORDER BY product_id LIMIT :limit"
    return sa.text(query).bindparams(after=after, limit=PAGE)


def _item(product: Offered, dialect: Dialect, base_url: str) -> str:
    told = {
        "id": product.product_id,
        "title": product.title[: dialect.title_length],
        "description": str(product.attributes.get("description") or product.title)[:LONGEST_TEXT],
        "link": urljoin(base_url, product.url or ""),
        "image_link": urljoin(base_url, product.image_url or ""),
        "availability": dialect.there if product.available else dialect.gone,
        "price": f"{money.decimal(product.price or 0, product.currency)} {product.currency or money.DEFAULT_CURRENCY}",
        "condition": product.attributes.get("condition") or "new",
        "brand": product.brand,
        "product_type": product.category,
        **{name: product.attributes.get(ours) for ours, name in _KNOWN.items()},
    }
    fields = "".join(
        f"<g:{name}>{_text(value)}</g:{name}>" for name, value in told.items() if isinstance(value, str) and value
    )
    return f"<item>{fields}</item>\n"


_NEVER = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What XML 1.0 cannot hold even escaped."""


def _text(value: str) -> str:
    return escape(_NEVER.sub("", value))
