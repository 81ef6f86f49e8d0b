"""`/v1/carts`: a cart as it stands, on any device."""

from datetime import datetime

import sqlalchemy as sa
from flask import Blueprint

from app import security
from app.api.endpoint import Amount, Reply, operation
from foundation.errors import NotFound
from shop import baskets, carts, customers, money

bp = Blueprint("api_carts", __name__, url_prefix="/v1")
bp.before_request(security.require_key(security.Kind.SECRET))


class CartLineReply(Reply):
    """One product in a cart; the price is of one piece."""

    product_id: str
    quantity: int
    price: Amount | None
    title: str | None
    url: str | None
    image_url: str | None


class CartReply(Reply):
    """A cart."""

    cart_id: str
    customer: str | None
    state: str
    lines: list[CartLineReply]
    value: Amount
    currency: str | None
    channel: str
    coupon: str | None
    url: str | None
    touched_at: datetime


@bp.get("/carts/<cart>")
@operation("A cart as it stands on any device.", tag="carts")
def get_cart(conn: sa.Connection, cart: str) -> CartReply:
    """By the shop's own id of it."""
    found = carts.by_cart_id(conn, cart)
    if found is None:
        raise NotFound("No cart has this id.")
    owner = customers.get_many(conn, [found.customer_id]).get(found.customer_id)
    return cart_reply(found, owner.user_id if owner else None)


def cart_reply(cart: baskets.Cart, customer: str | None) -> CartReply:
    """A cart as it is answered, amounts as decimal numbers."""
    return CartReply(
        cart_id=cart.cart_id,
        customer=customer,
        state=cart.state,
        lines=[_line(line, cart.currency) for line in cart.lines],
        value=money.decimal(cart.value, cart.currency),
        currency=cart.currency,
        channel=cart.channel,
        coupon=cart.coupon,
        url=cart.url,
        touched_at=cart.touched_at,
    )


def _line(line: baskets.CartLine, currency: str | None) -> CartLineReply:
    return CartLineReply(
        product_id=line.product_id,
        quantity=line.quantity,
        price=money.decimal(line.price, currency) if line.price is not None else None,
        title=line.title,
        url=line.url,
        image_url=line.image_url,
    )
