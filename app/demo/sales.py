"""What the demo shop's own server tells Relance: who somebody is, what they agreed to, what they ordered."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from app.demo import baskets
from app.demo.baskets import Basket
from campaigns import redeeming
from foundation.errors import Conflict
from shop import consent, customers, ingest, sources, vocabulary

SHOP = "Demo shop"
TILL = "Demo till"
CHECKOUT_FORM = "demo checkout, version 1"


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody as the shop's own accounts know them."""

    user_id: str
    email: str
    first_name: str
    last_name: str = ""


def account(conn: sa.Connection, email: str) -> Person | None:
    """The customer who has this address, if the shop knows one."""
    found = customers.find(conn, email=email)
    known = customers.get_many(conn, [found]).get(found) if found else None
    if known is None or known.user_id is None:
        return None
    return Person(known.user_id, email, known.first_name or "", known.last_name or "")


def new_account_id(email: str) -> str:
    """The id the shop gives an address it has not seen: always the same for the same address."""
    return "web-" + hashlib.sha256(email.strip().lower().encode()).hexdigest()[:12]


def identify(
    conn: sa.Connection, person: Person, *, anonymous_id: str | None, locale: str, base_url: str, now: datetime
) -> None:
    """Says who it is; with the browser's anonymous id, so that its visits are theirs from now on."""
    traits = {"email": person.email, "first_name": person.first_name, "last_name": person.last_name, "locale": locale}
    said = {"type": "identify", "userId": person.user_id, "traits": {name: t for name, t in traits.items() if t}}
    if anonymous_id:
        said["anonymousId"] = anonymous_id
    said["context"] = {"page": {"url": f"{base_url}/demo/checkout"}}
    _tell(conn, said, source=SHOP, channel="web", now=now)


def agree_to_email(conn: sa.Connection, person: Person, *, text: str, proof: Mapping[str, Any], now: datetime) -> None:
    """Keeps a yes to marketing e-mail with the words that were shown and the hash of the form that showed them."""
    customer_id = customers.find(conn, user_id=person.user_id)
    if customer_id is None:
        return
    consent.record(
        conn,
        customer_id=customer_id,
        channel="email",
        purpose="marketing",
        state=consent.State.GRANTED,
        at=now,
        source="checkout",
        text=text,
        form=CHECKOUT_FORM,
        proof=dict(proof) | {"text_sha256": hashlib.sha256(text.encode()).hexdigest()},
        now=now,
    )


def order(
    conn: sa.Connection,
    basket: Basket,
    *,
    order_id: str,
    user_id: str,
    anonymous_id: str | None = None,
    store_id: str | None = None,
    base_url: str,
    now: datetime,
) -> None:
    """Uses the code and says the order, both or neither; `Conflict` if the code was used a moment ago.

    The same order again changes nothing: the code answers the same, and its event has the same messageId.
    """
    channel = "store" if store_id else "web"
    if basket.code:
        counted = baskets.terms(basket.lines, user_id, store_id=store_id)
        redeeming.redeem(conn, basket.code, counted, order_id=order_id, channel=channel, now=now)
    said: dict[str, Any] = {
        "type": "track",
        "event": str(vocabulary.Name.ORDER_COMPLETED),
        "messageId": f"order-{order_id}",
        "userId": user_id,
        "properties": _order_properties(basket, order_id=order_id, base_url=base_url)
        | {"channel": channel}
        | ({"store_id": store_id} if store_id else {}),
    }
    if anonymous_id:
        said["anonymousId"] = anonymous_id
    _tell(conn, said, source=TILL if store_id else SHOP, channel=channel, now=now)


def code_refused(
    conn: sa.Connection,
    basket: Basket,
    refusal: Conflict,
    *,
    order_id: str,
    user_id: str,
    store_id: str | None = None,
    now: datetime,
) -> None:
    """Keeps that the code was refused; in a transaction of its own, for the order's was taken back."""
    if basket.code:
        counted, channel = baskets.terms(basket.lines, user_id, store_id=store_id), "store" if store_id else "web"
        redeeming.refused(
            conn, basket.code, counted, order_id=order_id, channel=channel, reason=refusal.reason, now=now
        )


def _order_properties(basket: Basket, *, order_id: str, base_url: str) -> dict[str, Any]:
    amounts = {
        "value": basket.subtotal,
        "revenue": basket.subtotal - basket.discount,
        "shipping": basket.delivery,
        "discount": basket.discount,
        "total": basket.total,
    }
    said = baskets.event(basket, base_url=base_url) | {
        "order_id": order_id,
        **{name: baskets.amount(minor) for name, minor in amounts.items()},
    }
    return {name: value for name, value in (said | {"coupon": basket.code}).items() if value is not None}


def _tell(conn: sa.Connection, said: Mapping[str, Any], *, source: str, channel: str, now: datetime) -> None:
    """By the same door as the tracking API. The shop's server may say who is who, as a holder of a secret key may."""
    sender = sources.source(conn, source, channel=channel, now=now, trusted=True)
    heard = vocabulary.parse({"timestamp": now.isoformat(), **said}, source=sender, received_at=now)
    if isinstance(heard, vocabulary.Event):
        ingest.ingest(conn, [heard], now=now)
    else:
        ingest.ingest(conn, [], refused=[heard], now=now)
