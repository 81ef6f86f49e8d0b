"""What a cart holds after each event: lines added, removed, replaced; emptied; closed by an order. Pure."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any
from urllib.parse import urlsplit

from shop import money, vocabulary
from shop.vocabulary import Event, Name

TEXT_KEPT = 500
LINES_MOST = 500
_MADE_HERE = re.compile(r"cart-[0-9a-f]{32}")


class State(StrEnum):
    """How a cart stands."""

    OPEN = "open"
    ORDERED = "ordered"
    EMPTIED = "emptied"


@dataclass(frozen=True, slots=True)
class CartLine:
    """One product in a cart, described as the shop described it. `price` is of one piece, in minor units."""

    product_id: str
    quantity: int
    price: int | None = None
    title: str | None = None
    url: str | None = None
    image_url: str | None = None


@dataclass(frozen=True, slots=True)
class Cart:
    """A cart as it stands. `id` is 0 until it is stored."""

    id: int
    cart_id: str
    customer_id: int
    origin_id: int
    state: str
    lines: tuple[CartLine, ...]
    value: int
    currency: str | None
    channel: str
    coupon: str | None
    url: str | None
    created_at: datetime
    touched_at: datetime
    order_id: str | None = None
    closed_at: datetime | None = None


def begun(event: Event, *, customer_id: int, origin_id: int) -> Cart:
    """An empty cart, about to take its first event. Without the shop's own id it is named after that event."""
    return Cart(
        id=0,
        cart_id=event.cart_id or f"cart-{event.key.hex}",  # see `is_unnamed`
        customer_id=customer_id,
        origin_id=origin_id,
        state=State.EMPTIED,
        lines=(),
        value=0,
        currency=None,
        channel=event.channel,
        coupon=None,
        url=None,
        created_at=event.occurred_at,
        touched_at=event.occurred_at,
    )


def is_unnamed(cart: Cart) -> bool:
    """Whether the shop has not said its own id of this cart yet."""
    return _MADE_HERE.fullmatch(cart.cart_id) is not None


def named(cart: Cart, event: Event) -> tuple[Cart, Cart]:
    """An unnamed cart whose id the shop now says: the cart under that id, and the old one, left empty."""
    renamed = replace(cart, id=0, cart_id=event.cart_id or cart.cart_id)
    return renamed, replace(cart, state=State.EMPTIED, lines=(), value=0, coupon=None)


def handed_over(cart: Cart, *, customer_id: int, origin_id: int) -> Cart:
    """The cart, continued by another customer: a visitor who turned out to be known, or another device."""
    return replace(cart, customer_id=customer_id, origin_id=origin_id)


def fold(cart: Cart, event: Event) -> Cart:
    """The cart after an event. What happened before it was ordered changes nothing; what happens after begins anew."""
    if cart.state == State.ORDERED:
        if cart.closed_at is not None and event.occurred_at <= cart.closed_at:
            return cart
        cart = replace(cart, lines=(), coupon=None, order_id=None, closed_at=None, created_at=event.occurred_at)
    lines = _lines_after(cart.lines, event)
    currency = currency_of(event.properties) or cart.currency
    return replace(
        cart,
        state=State.OPEN if lines else State.EMPTIED,
        lines=lines,
        value=sum(line.quantity * (line.price or 0) for line in lines),
        currency=currency,
        channel=event.channel if event.occurred_at >= cart.touched_at else cart.channel,
        coupon=_coupon_after(cart.coupon, event),
        url=_page(event) or cart.url,
        touched_at=max(cart.touched_at, event.occurred_at),
    )


def close(cart: Cart, *, order_id: str, at: datetime) -> Cart:
    """The cart, ordered."""
    return replace(cart, state=State.ORDERED, order_id=order_id, closed_at=max(at, cart.touched_at))


def ordered_by(order: Event, products: Iterable[str], carts: Iterable[Cart]) -> list[Cart]:
    """Which of a customer's open carts an order closes.

    The one it names (that is for the caller); else the carts that hold one of its products, and for an order of the
    site or the app the one touched last, unless the order names a cart and this one has another name. Who came to a
    shop for bread may still want the sofa.
    """
    bought = set(products)
    candidates = sorted(
        (cart for cart in carts if cart.state == State.OPEN and cart.created_at <= order.occurred_at),
        key=lambda cart: (cart.touched_at, cart.cart_id),
    )
    closed = [cart for cart in candidates if bought.intersection(line.product_id for line in cart.lines)]
    last = candidates[-1] if order.channel in ("web", "app") and candidates else None
    if last is not None and last not in closed and (order.cart_id is None or is_unnamed(last)):
        closed.append(last)
    return closed


# -------------------------------------------------------------------------------------------------- lines
def lines_of(properties: Mapping[str, Any], *, currency: str | None) -> tuple[CartLine, ...]:
    """The products an event lists, those that can be told apart, each once."""
    listed = properties.get("products")
    found: dict[str, CartLine] = {}
    for product in listed if isinstance(listed, list) else ():
        line = line_of(product, currency=currency) if isinstance(product, dict) else None
        if line and line.quantity:
            before = found.get(line.product_id)
            found[line.product_id] = replace(line, quantity=line.quantity + before.quantity) if before else line
    return tuple(found.values())[:LINES_MOST]


def line_of(product: Mapping[str, Any], *, currency: str | None) -> CartLine | None:
    """One product as an event describes it; one piece unless it says how many."""
    product_id = product.get("product_id") or product.get("sku")
    if product_id is None or not str(product_id).strip():
        return None
    count = vocabulary.quantity(product.get("quantity"))
    return CartLine(
        product_id=str(product_id).strip(),
        quantity=1 if count is None else count,
        price=amount(product.get("price"), currency),
        title=_text(product.get("name")),
        url=web_address(product.get("url")),
        image_url=web_address(product.get("image_url")),
    )


def amount(value: object, currency: str | None) -> int | None:
    """An amount in minor units, None if none is given."""
    try:
        return None if value is None else money.minor(value, currency)
    except ValueError:
        return None


def currency_of(properties: Mapping[str, Any]) -> str | None:
    """The currency an event names."""
    value = properties.get("currency")
    return value.upper() if isinstance(value, str) and len(value) == 3 else None


def web_address(value: object) -> str | None:
    """An address a browser may be sent to, else None: `javascript:` and the like are never kept."""
    if not isinstance(value, str) or len(value) > 2000:
        return None
    address = vocabulary.unescaped(value.strip())
    try:
        parts = urlsplit(address)
    except ValueError:
        return None
    return address if parts.scheme in ("http", "https") and parts.netloc else None


def _text(value: object) -> str | None:
    return value.strip()[:TEXT_KEPT] or None if isinstance(value, str) else None


def _lines_after(lines: tuple[CartLine, ...], event: Event) -> tuple[CartLine, ...]:
    currency = currency_of(event.properties)
    if event.name in (Name.PRODUCT_ADDED, Name.WISH_ADDED_TO_CART):
        line = line_of(event.properties, currency=currency)
        return _added(lines, line) if line and line.quantity else lines
    if event.name == Name.PRODUCT_REMOVED:
        return _removed(lines, event)
    if event.name in (Name.CART_VIEWED, Name.CHECKOUT_STARTED) and isinstance(event.properties.get("products"), list):
        return lines_of(event.properties, currency=currency)
    return lines


def _added(lines: tuple[CartLine, ...], line: CartLine) -> tuple[CartLine, ...]:
    for index, before in enumerate(lines):
        if before.product_id == line.product_id:
            together = replace(
                before,
                quantity=min(before.quantity + line.quantity, vocabulary.QUANTITY_MOST),
                price=before.price if line.price is None else line.price,
                title=line.title or before.title,
                url=line.url or before.url,
                image_url=line.image_url or before.image_url,
            )
            return (*lines[:index], together, *lines[index + 1 :])
    return (*lines, line)[:LINES_MOST]


def _removed(lines: tuple[CartLine, ...], event: Event) -> tuple[CartLine, ...]:
    """Without a quantity the whole line goes."""
    count = vocabulary.quantity(event.properties.get("quantity"))
    left = []
    for line in lines:
        if line.product_id != event.product_id:
            left.append(line)
        elif count is not None and line.quantity > count:
            left.append(replace(line, quantity=line.quantity - count))
    return tuple(left)


def _coupon_after(coupon: str | None, event: Event) -> str | None:
    if event.name == Name.COUPON_REMOVED:
        return None
    return coupon_of(event.properties) or coupon if event.name != Name.PRODUCT_REMOVED else coupon


def coupon_of(properties: Mapping[str, Any]) -> str | None:
    """The promo code an event names."""
    for name in ("coupon", "coupon_name", "coupon_id"):
        if text := _text(properties.get(name)):
            return text[:100]
    return None


def _page(event: Event) -> str | None:
    """Where the shop shows this cart."""
    if event.name != Name.CART_VIEWED:
        return web_address(event.properties.get("cart_url"))
    page = event.context.get("page")
    return web_address(event.properties.get("cart_url")) or web_address(
        page.get("url") if isinstance(page, dict) else None
    )
