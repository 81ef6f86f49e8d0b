"""The Python SDKs retailers run, unmodified, pointed at the running server by its host name alone."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
import rudderstack.analytics.client
import segment.analytics.client
import sqlalchemy as sa
from flask import Flask

from foundation.database import Database
from shop import customers, inbox, tables
from tests import serving

PRODUCT = {"product_id": "pot", "name": "Copper pot", "price": 89.9, "quantity": 1, "cart_id": "c1"}


@pytest.mark.parametrize("gzip", [False, True])
def test_segment_python(web: Flask, make_key: Callable[..., str], db: Database, gzip: bool) -> None:
    errors: list[Exception] = []
    with serving.served(web) as host:
        client = segment.analytics.client.Client(
            make_key("write"), host=host, gzip=gzip, on_error=lambda error, _: errors.append(error), max_retries=1
        )
        _speak(client)
        client.shutdown()
    assert errors == []
    _check(db)


def test_rudder_python(web: Flask, make_key: Callable[..., str], db: Database) -> None:
    errors: list[Exception] = []
    with serving.served(web) as host:
        client = rudderstack.analytics.client.Client(
            make_key("write"), host=host, on_error=lambda error, _: errors.append(error), max_retries=1
        )
        _speak(client)
        client.shutdown()
    assert errors == []
    _check(db)


def _speak(client: Any) -> None:
    now = datetime.now(UTC)
    client.track(anonymous_id="visitor", event="Product Viewed", properties={"product_id": "pot"}, timestamp=now)
    client.identify(user_id="u1", anonymous_id="visitor", traits={"email": "Ann@Example.com"}, timestamp=now)
    client.track(user_id="u1", anonymous_id="visitor", event="Product Added", properties=PRODUCT, timestamp=now)
    client.page(user_id="u1", name="Home", timestamp=now)
    client.alias(previous_id="other", user_id="u1", timestamp=now)
    client.flush()


def _check(db: Database) -> None:
    inbox.drain(db)
    with db.begin() as conn:
        names = list(conn.scalars(sa.select(tables.events.c.name).order_by(tables.events.c.name)))
        assert names == ["Aliased", "Identified", "Page Viewed", "Product Added", "Product Viewed"]
        owners = set(conn.scalars(sa.select(tables.events.c.customer_id)))
        assert owners == {customers.find(conn, user_id="u1")}
        assert customers.find(conn, email="ann@example.com") in owners
        assert customers.find(conn, anonymous_id="other") in owners
        assert conn.scalar(sa.select(tables.carts.c.value)) == 8990
