"""A small shop for the campaigns' tests: customers, carts and orders, made by the shop's own doors."""

import itertools
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson
import sqlalchemy as sa

from campaigns import files, plans, policy, rules, segments
from campaigns.channels import base
from campaigns.journal import Journal
from campaigns.links import Links
from campaigns.sending import Sending
from foundation import database
from recommender import serving
from recommender.slate import SlateItem
from shop import catalogue, consent, customers, ingest, sources, vocabulary

LINKS = Links(["a secret of these tests, long enough"], "https://relance.example")
SENDER = "Maison Aubier <bonjour@aubier.example>"

PRODUCTS = [
    {"product_id": "cocotte", "title": "Cocotte en fonte 24 cm", "price": "189.00"},
    {"product_id": "torchon", "title": "Torchon en lin lavé, lot de 2", "price": "32.00"},
    {"product_id": "sel", "title": "Fleur de sel de Guérande 125 g", "price": "9.50"},
    {"product_id": "moulin", "title": "Moulin à poivre en hêtre", "price": "38.00"},
    {"product_id": "huile", "title": "Huile d'olive Aglandau", "price": "24.90"},
    {"product_id": "theiere", "title": "Théière en grès 0,9 L", "price": "64.00"},
]

_numbers = itertools.count()


class Shelf:
    """A recommender that always proposes the same three products, whatever was asked."""

    def recommend_many(
        self, conn: sa.Connection, requests: Sequence[serving.Request], *, now: datetime
    ) -> list[serving.Slate]:
        found = catalogue.get_many(conn, ["moulin", "huile", "theiere"])
        items = tuple(
            SlateItem(
                product_id=product.product_id,
                title=product.title,
                url=product.url,
                image_url=product.image_url,
                price=product.price,
                currency=product.currency,
                reason="va avec la fleur de sel",
                source="test",
                score=1.0,
                personal=False,
            )
            for product in found.values()
        )
        return [serving.Slate(database.new_id(), "test", items[: request.n]) for request in requests]


def stock_shop(conn: sa.Connection, *, now: datetime, base_url: str = "https://aubier.example") -> None:
    """Puts the products for sale."""
    rows = [
        {
            "currency": "EUR",
            "url": f"{base_url}/p/{product['product_id']}",
            "image_url": f"{base_url}/img/{product['product_id']}.png",
            **product,
        }
        for product in PRODUCTS
    ]
    results = catalogue.put(conn, rows, now=now)
    assert all(result.ok for result in results)


def say(conn: sa.Connection, user: str, event: str, *, at: datetime, channel: str = "web", **properties: Any) -> None:
    """One event of a customer, through the door every event comes by."""
    ingest.ingest(conn, [event_of(conn, user, event, at=at, channel=channel, **properties)], now=at)


def event_of(
    conn: sa.Connection, user: str, event: str, *, at: datetime, channel: str = "web", **properties: Any
) -> vocabulary.Event:
    """What a customer did, as it stands once it is read."""
    traits = properties.pop("traits", None)
    what = {"type": "identify", "traits": traits} if traits else {"event": event}
    return _read(conn, {"userId": user, "properties": properties, **what}, at=at, channel=channel)


def tell(conn: sa.Connection, payload: dict[str, Any], *, at: datetime) -> None:
    """What a source sends, of whomever, through the door every event comes by."""
    ingest.ingest(conn, [_read(conn, payload, at=at, channel="web")], now=at)


def _read(conn: sa.Connection, payload: dict[str, Any], *, at: datetime, channel: str) -> vocabulary.Event:
    source = sources.source(conn, f"test {channel}", channel=channel, now=at, trusted=True)
    payload = {"type": "track", "messageId": f"t{next(_numbers)}", "timestamp": at.isoformat()} | payload
    parsed = vocabulary.parse(payload, source=source, received_at=at)
    assert isinstance(parsed, vocabulary.Event), parsed
    return parsed


def make_customer(conn: sa.Connection, user: str, *, at: datetime, consents: bool = True, **traits: Any) -> int:
    """Somebody the shop knows, by default with a yes to marketing by e-mail."""
    say(conn, user, "", at=at, traits={"email": f"{user}@example.org", "locale": "fr"} | traits)
    customer = customers.find(conn, user_id=user)
    assert customer is not None
    if consents:
        consent.record(
            conn,
            customer_id=customer,
            channel="email",
            purpose="marketing",
            state="granted",
            at=at,
            source="checkout",
            now=at,
        )
    return customer


def leave_cart(
    conn: sa.Connection, user: str, *, at: datetime, products: Sequence[str] = ("cocotte", "torchon")
) -> None:
    """Puts products in the customer's cart and says no more."""
    priced = {product["product_id"]: product for product in PRODUCTS}
    for product_id in products:
        product = priced[product_id]
        say(
            conn,
            user,
            "Product Added",
            at=at,
            cart_id=f"cart-of-{user}",
            product_id=product_id,
            name=product["title"],
            price=product["price"],
            currency="EUR",
            quantity=1,
        )


def order(
    conn: sa.Connection, user: str, *, at: datetime, order_id: str, channel: str = "web", **properties: Any
) -> None:
    """Buys a cocotte."""
    lines = [{"product_id": "cocotte", "quantity": 1, "price": "189.00"}]
    say(
        conn,
        user,
        "Order Completed",
        at=at,
        channel=channel,
        **{"order_id": order_id, "products": lines, "total": "189.00", "currency": "EUR"} | properties,
    )


def sending(channel: base.Channel, folder: Path, **changes: Any) -> Sending:
    """What sending needs, with the recommender of these tests."""
    return Sending(
        channels={"email": channel},
        recommender=Shelf(),
        links=LINKS,
        journal=Journal(folder / "journal"),
        sender=SENDER,
        **changes,
    )


def segments_of(conn: sa.Connection, *, now: datetime) -> None:
    """A segment of customers whose tier is gold."""
    rule = {"type": "trait", "name": "tier", "value": "gold"}
    segments.apply(conn, segments.parse({"name": "gold", "title": "Gold", "rule": rule}), now=now)


WORDS: dict[str, Any] = orjson.loads((files.READY / "cart-relaunch.json").read_bytes())["campaigns"][0]["steps"][0][
    "words"
]


def relaunch(
    *, delay: str = "60m", expires: str = "48h", holdout: float = 0, words: object = None, **send: Any
) -> dict[str, Any]:
    """A cart relaunched by one message, with the ready campaign's words and code unless told otherwise."""
    said = {"offer": "WELCOME-BACK", "products": 3, "words": words or WORDS, "expires": expires} | send
    return {
        "title": "Relaunch",
        "entry": {"type": "cart_abandoned", "delay": delay, "within": expires},
        "steps": [
            {"type": "send", "id": "cart_1"} | {name: value for name, value in said.items() if value is not None}
        ],
        "reentry": {"rule": "each_key"},
        "holdout_percent": holdout,
    }


def launch(conn: sa.Connection, *, now: datetime, **changes: Any) -> plans.Plan:
    """The ready campaign, quiet for one hour, no holdout, sent at any hour of the day."""
    files.ensure_demo(conn, now=now, demo=False)
    plans.update(conn, files.DEMO, definition=relaunch(**changes), now=now)
    policy.save(conn, rules.Policy(quiet_from=None, quiet_until=None), now=now)
    return plans.launch(conn, files.DEMO, now=now)
