"""What a given customer would get, rendered without keeping, counting or sending anything."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from campaigns import codes, content, eligibility, messages, policy, promotions
from campaigns.definitions.campaign import CartAbandonment
from campaigns.links import Links
from campaigns.plans import Plan
from foundation.errors import Conflict
from recommender import serving
from recommender.predictions import expected
from shop import baskets, carts, catalogue, customers
from shop.baskets import Cart, CartLine

NOBODY = UUID(int=0)
"""The message a preview's links belong to: none, so they count nothing."""


@dataclass(frozen=True, slots=True)
class Preview:
    """One mail as it would be."""

    subject: str
    html: str
    text: str
    headers: Mapping[str, str]


def render(
    conn: sa.Connection,
    plan: Plan,
    customer_id: int | None,
    *,
    recommender: messages.Recommends,
    links: Links,
    sender: str,
    locale: str | None = None,
    now: datetime,
) -> Preview:
    """The mail for this customer with her last cart, else for a stranger with one made of what is for sale.

    The code shown is a dummy that no till accepts. Raises `wording.WordingError` if a merge field has no value.
    """
    person = customers.get_many(conn, [customer_id]).get(customer_id) if customer_id else None
    rules, cart = policy.load(conn), _cart(conn, customer_id, now)
    offer = promotions.find_offer(conn, plan.definition.offer) if plan.definition.offer else None
    speaks = locale or (person.locale if person else None)
    slate = _slate(conn, plan.definition, cart, recommender, customer_id=customer_id, locale=speaks, now=now)
    occasion = content.Occasion(
        message_id=NOBODY,
        campaign=plan.name,
        definition=plan.definition,
        policy=rules,
        sender=rules.sender or sender,
        address=(person.email if person else None) or "customer@shop.example",
        first_name=person.first_name if person else None,
        last_name=person.last_name if person else None,
        expected=expected.of_customers(conn, [person.id]).get(person.id) if person else None,
        locale=speaks,
        zone=eligibility.zone(person.timezone if person else None, rules.timezone),
        cart=cart,
        catalogue=catalogue.get_many(conn, {line.product_id for line in cart.lines}),
        slate_id=None,
        items=slate.items if slate else (),
        offer=offer,
        code=_dummy(offer, now) if offer else None,
        consented_at=None,
        count_opens=False,
        now=now,
    )
    row = content.render(occasion, links)
    return Preview(row["subject"], row["html"], row["text"], row["headers"])


def _slate(
    conn: sa.Connection,
    definition: CartAbandonment,
    cart: Cart,
    recommender: messages.Recommends,
    *,
    customer_id: int | None,
    locale: str | None,
    now: datetime,
) -> serving.Slate | None:
    if not definition.products:
        return None
    products = tuple(line.product_id for line in cart.lines)
    request = serving.Request(
        customer_id=customer_id,
        placement=definition.placement,
        products=products,
        exclude=products,
        n=definition.products,
        locale=definition.words_for(locale)[0],
        record=False,
    )
    return next(iter(recommender.recommend_many(conn, [request], now=now)), None)


def _cart(conn: sa.Connection, customer_id: int | None, now: datetime) -> Cart:
    """Her last cart that holds something, else an example."""
    mine = carts.of_customer(conn, customer_id) if customer_id else []
    held = next((cart for cart in mine if cart.lines), None)
    if held is not None:
        return held
    examples = [product for product in catalogue.search(conn, limit=20) if product.active and product.price][:2]
    if not examples:
        raise Conflict("no_products", "there is no product for sale to make an example of")
    lines = tuple(CartLine(product.product_id, 1, product.price) for product in examples)
    values: dict[str, Any] = dict.fromkeys(Cart.__slots__) | {
        "id": 0,
        "cart_id": "example",
        "customer_id": 0,
        "origin_id": 0,
        "state": baskets.State.OPEN,
        "lines": lines,
        "value": sum(line.price or 0 for line in lines),
        "currency": examples[0].currency,
        "channel": "web",
        "created_at": now - timedelta(hours=1),
        "touched_at": now - timedelta(hours=1),
    }
    return Cart(**values)


def _dummy(offer: promotions.Offer, now: datetime) -> promotions.Code:
    code = codes.normalise(offer.prefix) + "0" * codes.BODY
    return promotions.Code(code, codes.shown(code, offer.prefix), now + timedelta(days=offer.valid_days))
