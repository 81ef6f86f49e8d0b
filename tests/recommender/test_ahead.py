"""Rankings made ahead are those that would be made now, as long as nothing happened."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest
import sqlalchemy as sa

from foundation.database import Database
from recommender import ahead, registry
from recommender.serving import Recommender, Request
from recommender.slate import SlateItem
from recommender.tables import rankings, training_runs
from shop import consent, tables
from tests.recommender import published
from tests.recommender.conftest import TEAS, Shop

Asked = Callable[..., tuple[SlateItem, ...]]


@pytest.fixture
def model(tea_and_coffee: Shop) -> int:
    """A model of these orders is live; its id."""
    return published.publish(tea_and_coffee.db, now=tea_and_coffee.now)


@pytest.fixture
def ask(tea_and_coffee: Shop, model: int) -> Asked:
    """Asks a recommender that remembers nothing."""

    def ask(user_id: str = "customer-1", *, minutes: float = 0, **wanted: object) -> tuple[SlateItem, ...]:
        recommender = Recommender(tea_and_coffee.db)
        request = Request("store", user_id=user_id, record=False, **{"n": 6, **wanted})  # type: ignore[arg-type]
        made = recommender.answer(request, now=tea_and_coffee.now + timedelta(minutes=minutes))
        recommender.close()
        return made.items

    return ask


def make(shop: Shop, *, minutes: float = 0) -> int:
    return ahead.run(shop.db, files=None, now=shop.now + timedelta(minutes=minutes))


def spoil(db: Database) -> None:
    """Leaves but the first product of each, so that one sees whether they are used."""
    with db.begin() as conn:
        conn.execute(sa.update(rankings).values(products=sa.func.substr(rankings.c.products, 1, 9)))


def test_are_what_would_be_made_now(tea_and_coffee: Shop, ask: Asked) -> None:
    names = [f"customer-{number}" for number in range(40)]
    before = [ask(name) for name in names]
    assert make(tea_and_coffee) == 40
    assert [ask(name) for name in names] == before


class TestOne:
    @pytest.fixture
    def marked(self, tea_and_coffee: Shop, ask: Asked) -> SlateItem:
        """The first product ahead for customer 1, and that it is used, for nothing but it is ranked."""
        make(tea_and_coffee)
        first = ask()[0]
        spoil(tea_and_coffee.db)
        items = ask()
        assert items[0] == first and {item.source for item in items[1:]} <= {"popularity", "new"}
        return first

    def is_used(self, ask: Asked, **wanted: object) -> bool:
        return "history" not in {item.source for item in ask(**wanted)[1:]}

    def test_counts_until_she_does_something(self, tea_and_coffee: Shop, ask: Asked, marked: SlateItem) -> None:
        assert self.is_used(ask, minutes=600)
        tea_and_coffee.event("customer-1", "Product Viewed", TEAS[0])
        assert not self.is_used(ask)
        assert make(tea_and_coffee, minutes=1) == 0, "she may be here still"
        assert make(tea_and_coffee, minutes=60) == 1
        assert {"history"} <= {item.source for item in ask(minutes=60)}

    def test_counts_for_a_day_and_is_made_anew_before(
        self, tea_and_coffee: Shop, ask: Asked, marked: SlateItem
    ) -> None:
        assert not self.is_used(ask, minutes=27 * 60)
        assert make(tea_and_coffee, minutes=19 * 60) == 0 and make(tea_and_coffee, minutes=21 * 60) == 40

    def test_counts_for_its_model_alone(self, tea_and_coffee: Shop, ask: Asked, marked: SlateItem, model: int) -> None:
        db = tea_and_coffee.db
        with db.begin() as conn:
            again = registry.load(conn, model)
            other = replace(again, blend={"history": 0.5, "popularity": 0.2})
            run_id = conn.scalar(sa.select(training_runs.c.id))
            registry.publish(conn, other, run_id=run_id, manifest={}, now=tea_and_coffee.now)
        assert not self.is_used(ask)
        assert make(tea_and_coffee) == 40

    @pytest.mark.parametrize("wanted", [{"products": ("coffee-1",)}, {"category": "Tea"}, {"n": 80}])
    def test_is_not_what_another_question_asks_for(
        self, ask: Asked, marked: SlateItem, wanted: dict[str, object]
    ) -> None:
        assert not self.is_used(ask, **wanted)

    def test_is_not_used_of_one_who_refused(self, tea_and_coffee: Shop, ask: Asked, marked: SlateItem) -> None:
        said = {"channel": "any", "purpose": "personalization", "state": "denied", "source": "test"}
        with tea_and_coffee.db.begin() as conn:
            number = tea_and_coffee.customers["customer-1"]
            consent.record(conn, customer_id=number, at=tea_and_coffee.now, now=tea_and_coffee.now, **said)
        assert ask() == ask("nobody")
        assert make(tea_and_coffee, minutes=21 * 60) == 39

    def test_leaves_with_its_customer(self, tea_and_coffee: Shop, marked: SlateItem) -> None:
        with tea_and_coffee.db.begin() as conn:
            number = tea_and_coffee.customers["customer-1"]
            conn.execute(sa.delete(tables.orders).where(tables.orders.c.customer_id == number))
            conn.execute(sa.delete(tables.customers).where(tables.customers.c.id == number))
            assert conn.scalar(sa.select(sa.func.count()).select_from(rankings)) == 39


def test_of_what_the_model_does_not_know_are_not_made(tea_and_coffee: Shop, ask: Asked) -> None:
    tea_and_coffee.product("new")
    tea_and_coffee.event("customer-1", "Product Added", "new")
    assert make(tea_and_coffee) == 39
    assert "new" in {item.product_id for item in ask()}


def test_go_on_where_they_were_cut_off(tea_and_coffee: Shop, model: int) -> None:
    make(tea_and_coffee)
    with tea_and_coffee.db.begin() as conn:
        conn.execute(sa.delete(rankings).where(rankings.c.customer_id > 30))
    assert make(tea_and_coffee) == 10 and make(tea_and_coffee) == 0


def test_are_none_without_a_model(shop: Shop) -> None:
    shop.event("ann", "Product Viewed", "pan")
    assert make(shop) == 0
