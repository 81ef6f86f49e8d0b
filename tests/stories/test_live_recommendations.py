"""What a first-time visitor is shown follows what she does, on the web and in a shop; and it is what was evaluated.

The whole application over HTTP: a model trained on a shop's orders, events by the tracking API, slates by the door.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flask.testing import FlaskClient

import app as front
from app import parts, security
from foundation.config import Config
from foundation.database import Database
from recommender import evaluation, interactions, merchandising, past, placements, registry, splits, training
from tests.recommender.conftest import COFFEES, TEAS, Shop

SOON = 1.0
"""Seconds within which an event counts; the benchmark holds it to a tenth of that."""


@dataclass
class Web:
    """A browser in the shop, its till, and what asks for slates."""

    client: FlaskClient
    keys: dict[str, str]

    def home(self) -> list[str]:
        return self.slate(placement="home", anonymous="browser", n="4")

    def slate(self, *, key: str = "site", **wanted: str) -> list[str]:
        headers = {"Authorization": f"Bearer {self.keys[key]}"}
        answer = self.client.get("/v1/recommendations", query_string=wanted, headers=headers)
        assert answer.status_code == 200, answer.text
        return [item["product_id"] for item in answer.json["items"]]

    def post(self, call: str, *, key: str = "site", **event: Any) -> None:
        answer = self.client.post(f"/v1/{call}", json=event, headers={"Authorization": f"Bearer {self.keys[key]}"})
        assert answer.status_code == 200, answer.text

    def becomes(self, holds: Callable[[list[str]], bool]) -> list[str]:
        """Her home slate, as soon as it is so."""
        until = time.monotonic() + SOON
        while not holds(shown := self.home()):
            assert time.monotonic() < until, shown
            time.sleep(0.005)
        return shown


@pytest.fixture
def shop(db: Database) -> Shop:
    """Forty customers, some of whom drink tea and some coffee, who have ordered every five days until a week ago, each
    in a store of two, and will once more tomorrow."""
    made = Shop(db, datetime.now(UTC))
    with made.at_once():
        for product_id in (*TEAS, *COFFEES):
            made.product(product_id, category="Tea" if product_id in TEAS else "Coffee")
        for store_id in ("lyon", "paris"):
            made.store(store_id)
        random = np.random.default_rng(5)
        for number in range(40):
            favourites = random.choice(TEAS if number % 4 else COFFEES, 3, replace=False)
            for days_ago in (*range(67, 6, -5), -1):
                bought = random.choice(favourites, 2, replace=False).tolist()
                store = "paris" if number % 3 else "lyon"
                made.order(f"customer-{number}", bought, days_ago=days_ago, store_id=store)
    return made


@pytest.fixture
def web(db: Database, database_url: str, shop: Shop, tmp_path: Path) -> Iterator[Web]:
    environ = {"RELANCE_DATABASE_URL": database_url, "RELANCE_VAR": str(tmp_path)}
    built = parts.build(Config.from_env(environ))
    kinds = {"site": ("write", "web"), "till": ("secret", "store"), "server": ("secret", "web")}
    with db.begin() as conn:
        keys = {
            name: security.create_key(conn, kind=kind, name=name, channel=channel, now=shop.now)
            for name, (kind, channel) in kinds.items()
        }
        steady = replace(placements.DEFAULTS["home"], explore=0.0)
        merchandising.change_placement(conn, steady, by="the story", now=shop.now)
    assert training.run(db, now=shop.now).state == "published"
    yield Web(front.create_app(built).test_client(), keys)
    built.close()


def test_a_first_time_visitor_is_shown_what_follows_from_what_she_does(web: Web) -> None:
    stranger = web.home()
    assert set(stranger) <= set(TEAS)  # what most people buy

    for product_id in COFFEES[:2]:
        web.post("track", anonymousId="browser", event="Product Viewed", properties={"product_id": product_id})
    curious = web.becomes(lambda shown: set(COFFEES[:2]) <= set(shown))
    assert curious != stranger

    web.post("track", anonymousId="browser", event="Product Added", properties={"product_id": COFFEES[2]})
    decided = web.becomes(lambda shown: shown[0] == COFFEES[2])
    beside = web.slate(placement="cart", anonymous="browser", product=COFFEES[2], n="3")
    assert decided != curious and COFFEES[2] not in beside and set(beside) & set(COFFEES)

    web.post("identify", anonymousId="browser", userId="zoe")
    bought = {"order_id": "till-1", "total": 30, "products": [{"product_id": COFFEES[2]}, {"product_id": COFFEES[0]}]}
    web.post("track", key="till", userId="zoe", event="Order Completed", properties=bought)
    content = web.becomes(lambda shown: not set(shown) & {COFFEES[0], COFFEES[2]})
    assert content != decided and COFFEES[1] in content


def test_what_is_served_is_what_was_evaluated(web: Web, shop: Shop) -> None:
    """The live model over HTTP, and asked by the evaluation, about the same customers at the same moment."""
    with shop.db.begin() as conn:
        plain = replace(placements.DEFAULTS["home"], explore=0.0, bought_days=None)
        merchandising.change_placement(conn, plain, by="the story", now=shop.now)
        model = registry.load(conn, registry.live_id(conn) or 0)
    data = interactions.load(shop.db, now=shop.now + timedelta(days=2))
    asked = splits.since(data, past.micros(datetime.now(UTC)))
    lists = evaluation.ask(model, asked, longest=10).lists[evaluation.SERVED]
    assert asked.count == 40 and set(asked.asks.stores.tolist()) == {0, 1}
    for number, shown in sorted(zip(asked.customers.tolist(), lists.tolist(), strict=True)):
        served = web.slate(key="server", placement="home", customer=f"customer-{number}", n="10")
        assert served == model.names([product for product in shown if product >= 0])
