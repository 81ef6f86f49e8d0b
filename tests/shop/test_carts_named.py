"""A cart begun before the shop has given it an id."""

from datetime import datetime, timedelta

import sqlalchemy as sa

from shop import carts, ingest, sources, vocabulary


def _added(source: vocabulary.Source, product: str, *, cart: str | None, at: datetime) -> vocabulary.Event:
    properties = {"product_id": product, "price": 2, "quantity": 1} | ({"cart_id": cart} if cart else {})
    sent = {"type": "track", "event": "Product Added", "userId": "ada", "properties": properties}
    sent |= {"messageId": product, "timestamp": at.isoformat()}
    parsed = vocabulary.parse(sent, source=source, received_at=at)
    assert isinstance(parsed, vocabulary.Event)
    return parsed


def test_the_shops_id_names_the_cart_begun_without_one(conn: sa.Connection, now: datetime) -> None:
    source = sources.source(conn, "site", channel="web", now=now)
    for index, (product, cart) in enumerate((("tea", None), ("cup", "C-1"), ("pot", "C-1"))):
        event = _added(source, product, cart=cart, at=now + timedelta(minutes=index))
        ingest.ingest(conn, [event], now=now)
    named = carts.by_cart_id(conn, "C-1")
    assert named is not None
    assert [line.product_id for line in named.lines] == ["tea", "cup", "pot"]
    (open_,) = [cart for cart in carts.of_customer(conn, named.customer_id) if cart.state == "open"]
    assert open_ == named
