"""One request, one slate: current, never empty, recorded."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta

import pytest
import sqlalchemy as sa

from foundation.database import Database
from foundation.errors import Invalid
from recommender import merchandising, registry
from recommender.live import FRESH
from recommender.serving import Recommender, Request, Slate
from recommender.tables import model_parts, slates
from shop import consent, tables
from tests.recommender import published
from tests.recommender.conftest import COFFEES, TEAS, Shop


@pytest.fixture
def recommender(db: Database) -> Iterator[Recommender]:
    made = Recommender(db)
    yield made
    made.close()


class Asking:
    """Asks as an edge would, at a time one can move; where nothing is tried by lot."""

    def __init__(self, db: Database, recommender: Recommender, now: datetime) -> None:
        self.db, self.recommender, self.now = db, recommender, now

    def __call__(self, placement: str = "store", *, n: int = 12, **wanted: object) -> Slate:
        with self.db.begin() as conn:
            return self.recommender.recommend(conn, Request(placement, n=n, **wanted), now=self.now)  # type: ignore[arg-type]

    def names(self, **wanted: object) -> list[str]:
        return [item.product_id for item in self(**wanted).items]


@pytest.fixture
def ask(db: Database, recommender: Recommender, now: datetime) -> Asking:
    return Asking(db, recommender, now)


class TestWithoutAModel:
    def test_what_is_wanted_lately_is_shown(self, shop: Shop, ask: Asking) -> None:
        for product_id in ("pan", "pot"):
            shop.product(product_id)
        shop.order("ann", ["pot"], days_ago=3)
        slate = ask()
        assert slate.model == "popular"
        assert [(item.product_id, item.source) for item in slate.items] == [("pot", "popularity"), ("pan", "new")]

    def test_her_own_history_counts(self, shop: Shop, ask: Asking) -> None:
        for product_id in ("pan", "pot"):
            shop.product(product_id)
        for _ in range(5):
            shop.order("bob", ["pot"], days_ago=3)
        shop.event("ann", "Product Viewed", "pan")
        first = ask(user_id="ann").items[0]
        assert (first.product_id, first.reason, first.personal) == ("pan", "You looked at this", True)

    def test_a_shop_nobody_visited_shows_what_it_has(self, shop: Shop, ask: Asking) -> None:
        shop.product("pan")
        assert [(item.product_id, item.reason) for item in ask(locale="fr").items] == [("pan", "Nouveau en boutique")]

    def test_a_shop_with_nothing_shows_nothing(self, shop: Shop, ask: Asking) -> None:
        assert ask().items == ()


class TestEligible:
    def test_is_what_is_active_and_in_stock_this_moment(self, tea_and_coffee: Shop, ask: Asking) -> None:
        published.publish(ask.db, now=ask.now)
        assert {"tea-0", "coffee-0", "tea-1"} <= set(ask.names())
        tea_and_coffee.change("tea-0", active=False)
        tea_and_coffee.stock("coffee-0", "paris", 0)
        tea_and_coffee.stock("tea-1", "paris", 0)
        tea_and_coffee.stock("tea-1", "lyon", 3)
        names = set(ask.names())
        assert "tea-0" not in names and "coffee-0" not in names and "tea-1" in names

    def test_in_a_store_is_what_that_store_has_or_never_counted(self, shop: Shop, ask: Asking) -> None:
        for product_id in ("here", "elsewhere", "uncounted"):
            shop.product(product_id)
        shop.stock("here", "paris", 2)
        shop.stock("elsewhere", "lyon", 2)
        assert sorted(ask.names(store_id="paris")) == ["here", "uncounted"]

    def test_is_not_what_is_excluded_nor_what_one_is_looking_at(self, tea_and_coffee: Shop, ask: Asking) -> None:
        published.publish(ask.db, now=ask.now)
        names = ask.names(placement="product", products=("tea-0",), exclude=("tea-1",), n=50)
        assert len(names) == 10 and not {"tea-0", "tea-1"} & set(names)

    def test_is_not_what_was_just_bought(self, tea_and_coffee: Shop, ask: Asking) -> None:
        published.publish(ask.db, now=ask.now)
        first = ask.names(user_id="customer-1")[0]
        tea_and_coffee.order("customer-1", [first], days_ago=0.05)
        assert first not in ask.names(user_id="customer-1", n=50)

    def test_is_what_was_just_bought_if_there_is_nothing_else(self, shop: Shop, ask: Asking) -> None:
        shop.product("pan")
        shop.order("ann", ["pan"], days_ago=1)
        assert ask.names(user_id="ann") == ["pan"]

    def test_is_within_the_category_asked_for_or_below_it(self, tea_and_coffee: Shop, ask: Asking) -> None:
        published.publish(ask.db, now=ask.now)
        tea_and_coffee.product("coffee-new", category="Drinks > Coffee > Beans")
        tea_and_coffee.product("other", category="Drinksware")
        assert set(ask.names(category="Drinks", n=20)) == {*COFFEES, "coffee-new"}

    def test_is_of_the_whole_shop_where_the_category_has_nothing_for_sale(self, shop: Shop, ask: Asking) -> None:
        shop.product("pan", category="Kitchen")
        assert ask.names(category="Garden") == ["pan"]

    def test_gives_exactly_as_many_as_asked_while_there_are_so_many(self, tea_and_coffee: Shop, ask: Asking) -> None:
        published.publish(ask.db, now=ask.now)
        for n in (1, 5, 12, 40):
            assert len(ask.names(user_id="customer-1", n=n)) == min(n, 12)


class TestTheModel:
    def test_gives_tea_to_who_drinks_tea_and_says_why(self, tea_and_coffee: Shop, ask: Asking) -> None:
        published.publish(ask.db, now=ask.now)
        items = ask(user_id="customer-1", n=3).items
        assert {item.product_id for item in items} <= set(TEAS)
        assert items[0].source == "history" and items[0].reason == "You buy this about every 6\xa0days"

    def test_gives_what_goes_with_what_one_is_looking_at(self, tea_and_coffee: Shop, ask: Asking) -> None:
        published.publish(ask.db, now=ask.now)
        item = ask(placement="product", products=("coffee-2",), n=1).items[0]
        assert item.product_id in COFFEES and item.reason == "Goes with Coffee-2" and not item.personal

    def test_says_what_is_popular_in_the_shop_asked_for(self, tea_and_coffee: Shop, ask: Asking) -> None:
        """The drinkers of tea are of Lyon, those of coffee of Paris; Nice sold nothing."""
        published.publish(ask.db, now=ask.now, local=True)
        items = {store: ask(placement="trending", store_id=store, n=3).items for store in ("lyon", "paris", "nice")}
        assert {item.product_id for item in items["lyon"]} <= set(TEAS)
        assert {item.product_id for item in items["paris"]} <= set(COFFEES)
        assert {item.reason for item in items["lyon"]} == {"Popular at Relance Lyon this week"}
        assert {item.reason for item in items["nice"]} == {"Popular this week"}

    def test_hears_of_a_view_at_the_next_answer(self, tea_and_coffee: Shop, ask: Asking) -> None:
        published.publish(ask.db, now=ask.now)
        before = ask.names(anonymous_id="visitor", n=4)
        for _ in range(2):
            tea_and_coffee.event("visitor", "Product Viewed", COFFEES[5], kind="anonymous_id")
        after = ask.names(anonymous_id="visitor", n=4)
        assert after[0] == COFFEES[5] and after != before

    def test_bears_products_that_came_since_it_was_fitted(self, tea_and_coffee: Shop, ask: Asking) -> None:
        published.publish(ask.db, now=ask.now)
        tea_and_coffee.product("tea-new")
        tea_and_coffee.event("customer-1", "Product Added", "tea-new")
        new = next(item for item in ask(user_id="customer-1").items if item.product_id == "tea-new")
        assert new.reason == "You had this in your basket"

    def test_knows_a_customer_by_our_id_and_by_the_shops(self, tea_and_coffee: Shop, ask: Asking) -> None:
        published.publish(ask.db, now=ask.now)
        number = tea_and_coffee.customers["customer-1"]
        assert ask.names(customer_id=number) == ask.names(user_id="customer-1") != ask.names(user_id="nobody")

    def test_forgets_an_order_that_was_cancelled(self, tea_and_coffee: Shop, ask: Asking) -> None:
        tea_and_coffee.product("pan")
        order_id = tea_and_coffee.order("ann", ["pan"], days_ago=30)
        assert ask(user_id="ann").items[0].source == "history"
        tea_and_coffee.cancel(order_id)
        assert "history" not in {item.source for item in ask(user_id="ann").items}


class TestFreshness:
    def test_a_published_model_is_served_within_half_a_minute(self, tea_and_coffee: Shop, ask: Asking) -> None:
        assert ask().model == "popular"
        model_id = published.publish(ask.db, now=ask.now)
        assert ask().model == "popular"
        ask.now += FRESH
        assert ask().model == str(model_id)

    def test_a_damaged_model_is_refused_and_the_old_one_serves_on(self, tea_and_coffee: Shop, ask: Asking) -> None:
        good = published.publish(ask.db, now=ask.now)
        assert ask().model == str(good)
        bad = published.publish(ask.db, now=ask.now)
        with ask.db.begin() as conn:
            conn.execute(
                sa.update(model_parts).where(model_parts.c.model_id == bad).values(bytes=b"not what was published")
            )
        for _ in range(2):
            ask.now += FRESH
            assert ask().model == str(good)

    def test_rolling_back_is_served_too(self, tea_and_coffee: Shop, ask: Asking) -> None:
        first, second = (published.publish(ask.db, now=ask.now) for _ in range(2))
        assert ask().model == str(second)
        with ask.db.begin() as conn:
            registry.roll_back(conn, by="ann", now=ask.now)
        ask.now += timedelta(minutes=1)
        assert ask().model == str(first)


class TestSlates:
    def test_are_kept_as_they_were_shown(self, tea_and_coffee: Shop, ask: Asking) -> None:
        made = ask(placement="email", user_id="customer-1")
        ask.recommender.flush()
        with ask.db.begin() as conn:
            (row,) = conn.execute(sa.select(slates)).mappings()
        assert (row["id"], row["placement"]) == (made.slate_id, "email")
        assert row["customer_id"] == tea_and_coffee.customers["customer-1"] and row["shown_at"] == ask.now
        assert [item["product_id"] for item in row["items"]] == [item.product_id for item in made.items]

    def test_are_written_without_being_waited_for(self, shop: Shop, ask: Asking) -> None:
        shop.product("pan")
        ask()
        ask.recommender.close()
        with ask.db.begin() as conn:
            assert conn.scalar(sa.select(sa.func.count()).select_from(slates)) == 1

    def test_that_nobody_saw_are_not_kept(self, shop: Shop, ask: Asking) -> None:
        shop.product("pan")
        ask(record=False)
        ask.recommender.flush()
        with ask.db.begin() as conn:
            assert conn.scalar(sa.select(sa.func.count()).select_from(slates)) == 0

    def test_of_a_customer_erased_meanwhile_hold_nobody_up(self, shop: Shop, ask: Asking) -> None:
        shop.product("pan")
        gone = shop.customer("gone")
        ask(customer_id=gone)
        ask()
        with ask.db.begin() as conn:
            conn.execute(sa.delete(slates))
            conn.execute(sa.delete(tables.customers).where(tables.customers.c.id == gone))
        ask.recommender.flush()
        with ask.db.begin() as conn:
            assert conn.scalars(sa.select(slates.c.customer_id)).all() in ([None], [])

    def test_are_made_for_many_at_once(self, tea_and_coffee: Shop, ask: Asking) -> None:
        published.publish(ask.db, now=ask.now)
        wanted = [Request("email", user_id=f"customer-{number}", n=2) for number in range(6)]
        with ask.db.begin() as conn:
            made = ask.recommender.recommend_many(conn, wanted, now=ask.now)
        for number, slate in enumerate(made):
            assert slate.items[0].product_id in (TEAS if number % 2 else COFFEES)


class TestManyProducts:
    """Thirty products, which the catalogue was read with; then things happen to them."""

    @pytest.fixture
    def thirty(self, shop: Shop, ask: Asking) -> Shop:
        for number in range(30):
            shop.product(f"p{number:02}")
        for number in range(5):
            shop.order("ann", [f"p{number:02}"], days_ago=40 - number)
        ask(n=1)
        return shop

    @pytest.mark.parametrize("gone", [1, 12, 20, 29])
    def test_are_replaced_when_gone_to_the_last_that_is_there(self, thirty: Shop, ask: Asking, gone: int) -> None:
        for number in range(gone):
            thirty.change(f"p{number:02}", active=False)
        names = ask.names(user_id="ann", n=12)
        assert len(names) == len(set(names)) == min(12, 30 - gone)
        assert all(int(name[1:]) >= gone for name in names)

    def test_that_came_meanwhile_are_found_where_all_others_are_gone(self, thirty: Shop, ask: Asking) -> None:
        for number in range(30):
            thirty.change(f"p{number:02}", active=False)
        assert ask.names() == []
        thirty.product("newcomer")
        ask.now += timedelta(seconds=2)
        assert ask.names() == ["newcomer"]

    def test_are_not_there_twice_where_more_are_asked_for_than_there_are(self, thirty: Shop, ask: Asking) -> None:
        assert sorted(ask.names(user_id="ann", n=100)) == [f"p{number:02}" for number in range(30)]


class TestHistories:
    @pytest.mark.parametrize("events", [0, 1, 100_000])
    def test_of_any_length_are_answered(self, tea_and_coffee: Shop, ask: Asking, events: int) -> None:
        published.publish(ask.db, now=ask.now)
        tea_and_coffee.customer("ann")
        if events:
            tea_and_coffee.event("ann", "Product Viewed", COFFEES[0])
            tea_and_coffee.repeat_events(events - 1)
        names = ask.names(user_id="ann", n=3)
        assert len(set(names)) == 3 and (names[0] == COFFEES[0] or not events)

    def test_full_of_products_the_shop_never_had_are_answered(self, tea_and_coffee: Shop, ask: Asking) -> None:
        published.publish(ask.db, now=ask.now)
        for number in range(50):
            tea_and_coffee.event("ann", "Product Viewed", f"never-{number}")
        assert ask.names(user_id="ann", products=("never-1",), exclude=("never-2",)) == ask.names()

    def test_are_not_used_of_one_who_refused_and_nothing_is_kept(self, tea_and_coffee: Shop, ask: Asking) -> None:
        published.publish(ask.db, now=ask.now)
        before = ask.names(user_id="customer-1")
        said = {"channel": "any", "purpose": "personalization", "state": "denied", "source": "test"}
        with ask.db.begin() as conn:
            number = tea_and_coffee.customers["customer-1"]
            consent.record(conn, customer_id=number, at=ask.now, now=ask.now, **said)
        ask.recommender.flush()
        slate = ask(user_id="customer-1")
        ask.recommender.flush()
        assert [item.product_id for item in slate.items] == ask.names() != before
        assert not any(item.personal for item in slate.items)
        with ask.db.begin() as conn:
            assert slate.slate_id not in conn.scalars(sa.select(slates.c.id)).all()


class TestTogether:
    def test_each_is_answered_as_alone(self, tea_and_coffee: Shop, ask: Asking) -> None:
        published.publish(ask.db, now=ask.now)
        wanted = [
            *(Request("store", user_id=f"customer-{number}", n=3) for number in range(8)),
            Request("store", user_id="nobody", n=5),
            Request("store", products=("coffee-1",), category="Drinks"),
            Request("cart", user_id="customer-3", products=("tea-1",), exclude=("tea-2",), locale="fr"),
            Request("store", user_id="customer-3", store_id="paris", n=100),
        ]
        with ThreadPoolExecutor(len(wanted)) as pool:
            made = list(pool.map(lambda request: ask.recommender.answer(request, now=ask.now), wanted))
        for request, slate in zip(wanted, made, strict=True):
            fresh = Recommender(ask.db)
            with ask.db.begin() as conn:
                assert fresh.recommend(conn, request, now=ask.now).items == slate.items
            fresh.close()

    def test_one_that_cannot_be_answered_fails_alone(self, shop: Shop, ask: Asking) -> None:
        shop.product("pan")
        ask()
        wanted = [Request("store"), Request("nowhere"), Request("store", n=3)] * 4

        def answer(request: Request) -> str:
            try:
                return ask.recommender.answer(request, now=ask.now).items[0].product_id
            except Invalid as error:
                return error.faults[0].pointer

        with ThreadPoolExecutor(len(wanted)) as pool:
            assert list(pool.map(answer, wanted)) == ["pan", "/placement", "pan"] * 4

    def test_very_many_are_answered_in_order_with_progress(self, tea_and_coffee: Shop, ask: Asking) -> None:
        published.publish(ask.db, now=ask.now)
        done: list[tuple[int, int | None]] = []
        wanted = [Request("store", user_id=f"customer-{number % 40}", n=1, record=False) for number in range(1_100)]
        with ask.db.begin() as conn:
            made = ask.recommender.recommend_many(
                conn, wanted, now=ask.now, progress=lambda count, of: done.append((count, of))
            )
        assert done == [(512, 1_100), (1_024, 1_100), (1_100, 1_100)]
        assert [slate.items[0].product_id for slate in made[:40]] == [
            slate.items[0].product_id for slate in made[40:80]
        ]


def test_successive_messages_show_other_products(tea_and_coffee: Shop, ask: Asking) -> None:
    published.publish(ask.db, now=ask.now)
    shown = []
    for _ in range(2):
        shown.append(ask.names(placement="push", user_id="customer-1", n=1))
        ask.recommender.flush()
    assert shown[0] != shown[1]


def test_an_experiment_shows_some_what_is_popular(tea_and_coffee: Shop, ask: Asking) -> None:
    published.publish(ask.db, now=ask.now)
    with ask.db.begin() as conn:
        merchandising.start_experiment(conn, "store", percent=50, by="test", now=ask.now)
    popular = set(ask.names(n=3))
    for number in range(12):
        ask(user_id=f"customer-{number}", n=3)
    ask.recommender.flush()
    with ask.db.begin() as conn:
        rows = conn.execute(sa.select(slates).where(slates.c.customer_id.is_not(None))).mappings().all()
    arms = {arm: [row for row in rows if row["arm"] == arm] for arm in ("model", "popularity")}
    assert len(arms["model"]) + len(arms["popularity"]) == 12 and all(arms.values())
    for row in arms["popularity"]:
        assert {item["source"] for item in row["items"]} == {"popularity"}
        assert {item["product_id"] for item in row["items"]} <= popular | set(TEAS) | set(COFFEES)
    for row in arms["model"]:
        assert {item["source"] for item in row["items"]} != {"popularity"}
