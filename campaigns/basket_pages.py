"""Where the button of a basket leads: the shop's own page of it, else the page of something in it.

Whoever holds the public key may say where a basket is shown, so that page is followed only on hosts that are ours, that
the merchant lists, or, where none is listed, that the catalogue has the basket's own products on.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

import sqlalchemy as sa

from campaigns.links import Reach
from shop import carts, catalogue
from shop.baskets import Cart
from shop.catalogue import Product

SEEN = 20
"""The latest baskets looked at before a launch."""


@dataclass(frozen=True, slots=True)
class Lost:
    """Of the latest baskets: a host their own page is not followed to, if there is one, and how many lead `nowhere`."""

    host: str
    nowhere: int


def target(conn: sa.Connection, cart: Cart, reach: Reach) -> str | None:
    """The full address, or None if nothing of the basket has a page that may be followed."""
    return _target(cart, catalogue.get_many(conn, [line.product_id for line in cart.lines]), reach)


def lost(conn: sa.Connection, reach: Reach) -> Lost:
    """What becomes of the latest baskets, so that a merchant hears of it before a customer does."""
    latest = carts.latest(conn, limit=SEEN)
    known = catalogue.get_many(conn, {line.product_id for cart in latest for line in cart.lines})
    refused = (cart.url for cart in latest if cart.url and _own(cart, known, reach) is None)
    nowhere = sum(_target(cart, known, reach) is None for cart in latest)
    return Lost(urlsplit(next(refused, "")).hostname or "", nowhere)


def _target(cart: Cart, known: Mapping[str, Product], reach: Reach) -> str | None:
    pages = (reach.leading(page) for page in _pages(cart, known))
    return _own(cart, known, reach) or next((page for page in pages if page), None)


def _own(cart: Cart, known: Mapping[str, Product], reach: Reach) -> str | None:
    return reach.beside(cart.url, _pages(cart, known))


def _pages(cart: Cart, known: Mapping[str, Product]) -> Sequence[str | None]:
    return [known[line.product_id].url for line in cart.lines if line.product_id in known]
