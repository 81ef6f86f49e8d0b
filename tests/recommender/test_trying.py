"""What a merchant tries before it counts, and what is left out."""

from collections.abc import Iterator
from datetime import datetime, timedelta

import pytest
import sqlalchemy as sa

from foundation.database import Database
from recommender import merchandising, rules
from recommender.placements import DEFAULTS
from recommender.rules import Rule
from recommender.serving import Recommender, Request
from recommender.slate import Hindrance
from recommender.tables import slates
from tests.recommender import published
from tests.recommender.conftest import Shop


@pytest.fixture
def recommender(db: Database) -> Iterator[Recommender]:
    made = Recommender(db)
    yield made
    made.close()


def rule(**given: object) -> Rule:
    return rules.parse({"name": "a rule", "action": "exclude"} | given)


def test_other_rules_and_another_slider_are_tried_without_counting(
    tea_and_coffee: Shop, recommender: Recommender, db: Database, now: datetime
) -> None:
    published.publish(db, now=now)
    asked, store = Request("store", user_id="customer-1", n=4), DEFAULTS["store"]

    def tried(*wanted: Rule) -> list[str]:
        with db.begin() as conn:
            made = recommender.preview(conn, asked, rules=wanted, placement=store, now=now)
        return [item.product_id for item in made.items]

    with db.begin() as conn:
        as_it_is = [item.product_id for item in recommender.recommend(conn, asked, now=now).items]
    assert tried() == as_it_is
    assert tried(rule(action="pin", products=["coffee-3"], position=1))[0] == "coffee-3"
    assert all(name.startswith("coffee") for name in tried(rule(categories=["Tea"])))
    assert tried(rule()) == []
    recommender.flush()
    with db.begin() as conn:
        assert conn.scalar(sa.select(sa.func.count()).select_from(slates)) == 1
        assert [item.product_id for item in recommender.recommend(conn, asked, now=now).items] == as_it_is


def test_what_fills_a_slate_is_called_new_only_while_it_is(
    shop: Shop, recommender: Recommender, db: Database, now: datetime
) -> None:
    shop.product("new")
    shop.product("old", created_at=now - timedelta(days=90))
    with db.begin() as conn:
        items = recommender.recommend(conn, Request("store"), now=now).items
    assert {item.product_id: item.reason for item in items} == {"new": "New in the shop", "old": "On our shelves"}


def test_what_ranks_high_and_is_left_out_says_why(
    tea_and_coffee: Shop, recommender: Recommender, db: Database, now: datetime
) -> None:
    published.publish(db, now=now)
    tea_and_coffee.change("tea-0", active=False)
    tea_and_coffee.order("customer-1", ["coffee-1"], days_ago=0.05)
    with db.begin() as conn:
        merchandising.add_rule(conn, rule(products=["tea-1"]), by="ines", now=now)
        asked = Request("store", user_id="customer-1", exclude=("tea-2",))
        found = {one.product_id: one.hindrance for one in recommender.left_out(conn, asked, now=now)}
        shown = {item.product_id for item in recommender.recommend(conn, asked, now=now).items}
    assert found == {
        "tea-0": Hindrance.NOT_FOR_SALE,
        "tea-1": Hindrance.RULE,
        "tea-2": Hindrance.EXCLUDED,
        "coffee-1": Hindrance.BOUGHT,
    }
    assert not shown & found.keys()
