"""The demo shop's baskets: what is in one, what it costs, and how it is said in the words of the specification."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from app.demo import pictures
from campaigns import code_book, codes, redeeming, verdicts
from shop import catalogue, money
from shop.catalogue import Product

FREE_FROM = 4000
DELIVERY = 490
CURRENCY = money.DEFAULT_CURRENCY


@dataclass(frozen=True, slots=True)
class Line:
    """A product and how many of it."""

    product: Product
    quantity: int

    @property
    def price(self) -> int:
        return self.product.price or 0

    @property
    def total(self) -> int:
        return self.price * self.quantity


@dataclass(frozen=True, slots=True)
class Basket:
    """What is about to be paid. `verdict` is what the code in it is worth, if there is one."""

    lines: tuple[Line, ...]
    cart_id: str | None = None
    code: str | None = None
    verdict: verdicts.Verdict | None = None
    delivered: bool = True

    @property
    def count(self) -> int:
        return sum(line.quantity for line in self.lines)

    @property
    def subtotal(self) -> int:
        return sum(line.total for line in self.lines)

    @property
    def valid(self) -> bool:
        return self.verdict is not None and self.verdict.valid

    @property
    def discount(self) -> int:
        return self.verdict.discount if self.verdict and self.verdict.valid else 0

    @property
    def delivery(self) -> int:
        free = not self.delivered or self.subtotal >= FREE_FROM or (self.verdict and self.verdict.free_shipping)
        return 0 if free else DELIVERY

    @property
    def total(self) -> int:
        return self.subtotal - self.discount + self.delivery


def load(
    conn: sa.Connection,
    pieces: Mapping[str, int],
    *,
    now: datetime,
    cart_id: str | None = None,
    code: str | None = None,
    customer: str | None = None,
    store_id: str | None = None,
    delivered: bool = True,
) -> Basket:
    """The basket at today's prices, without what is no longer for sale; at the till of a store if one is named."""
    products = catalogue.get_many(conn, pieces)
    lines = tuple(
        Line(products[product_id], quantity)
        for product_id, quantity in pieces.items()
        if product_id in products and products[product_id].active and products[product_id].price is not None
    )
    counted = terms(lines, customer, store_id=store_id)
    verdict = redeeming.validate(conn, code, counted, now=now) if code else None
    if code and verdict and verdict.offer:
        found = code_book.find(conn, codes.normalise(code))
        code = found.shown if found else code
    return Basket(lines, cart_id, code, verdict, delivered)


def terms(lines: tuple[Line, ...], customer: str | None, *, store_id: str | None) -> verdicts.Basket:
    """The basket as promo codes look at it."""
    counted = tuple(verdicts.Line(line.product.product_id, line.quantity, line.price) for line in lines)
    return verdicts.Basket(CURRENCY, counted, customer, "store" if store_id else "web", store_id)


# -------------------------------------------------------------------- the same in the specification's words
def properties(product: Product, *, base_url: str, quantity: int = 1) -> dict[str, Any]:
    """A product as events describe it, with addresses an e-mail can use."""
    said = {
        "product_id": product.product_id,
        "name": product.title,
        "category": product.category,
        "brand": product.brand,
        "price": amount(product.price),
        "currency": product.currency or CURRENCY,
        "quantity": quantity,
        "url": f"{base_url}/demo/product/{product.product_id}",
        "image_url": product.image_url or f"{base_url}/demo/images/{pictures.DEFAULT}.png",
    }
    return {name: value for name, value in said.items() if value is not None}


def event(basket: Basket, *, base_url: str) -> dict[str, Any]:
    """The basket as `Cart Viewed` and `Checkout Started` carry it."""
    return {
        "cart_id": basket.cart_id,
        "currency": CURRENCY,
        "value": amount(basket.subtotal),
        "url": f"{base_url}/demo/basket",
        "products": [
            properties(line.product, base_url=base_url, quantity=line.quantity) | {"cart_id": basket.cart_id}
            for line in basket.lines
        ],
    }


def amount(minor: int | None) -> float | None:
    """Money as JSON events carry it."""
    return None if minor is None else float(money.decimal(minor, CURRENCY))


def picture(product: Product) -> str:
    """The path of the drawing the shop itself shows; mails use the bitmap beside it. Of a product whose picture is
    another's there is only the usual one."""
    _, ours, name = (product.image_url or "").rpartition("/demo/images/")
    return f"/demo/images/{name.removesuffix('.png') if ours and name else pictures.DEFAULT}.svg"
