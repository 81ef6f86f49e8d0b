"""Slates meet their clicks and orders."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa

from foundation.database import Database, new_id
from recommender import merchandising, results, shown, tables
from recommender.results import Tally
from recommender.shown import Shown
from shop import privacy
from shop import tables as shop_tables
from tests.recommender.conftest import Shop

BROWSER = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36"


class World(Shop):
    """A shop whose slates are seen, clicked and bought from."""

    def show(
        self,
        user_id: str | None,
        *product_ids: str,
        placement: str = "home",
        days_ago: float = 1,
        arm: str | None = None,
        source: str = "als",
        model_id: int | None = 3,
    ) -> UUID:
        slate_id, customer = new_id(), self.customer(user_id) if user_id else None
        items = [{"product_id": product_id, "source": source, "score": 1.0} for product_id in product_ids]
        at = self.now - timedelta(days=days_ago)
        shown.write(self.db, [Shown(slate_id, at, customer, placement, model_id, items, arm)])
        return slate_id

    def click(
        self,
        user_id: str,
        slate_id: object,
        product_id: str,
        *,
        name: str = "Product Clicked",
        days_ago: float = 0.9,
        agent: str = BROWSER,
        **properties: Any,
    ) -> None:
        self.event(user_id, name, product_id, days_ago=days_ago)
        told = shop_tables.events.c.product_id == product_id
        with self.db.begin() as conn:
            conn.execute(
                sa.update(shop_tables.events)
                .where(told, ~shop_tables.events.c.properties.has_key("slate_id"))
                .values(
                    properties={"slate_id": slate_id} | properties,
                    context={"userAgent": agent},
                    received_at=self.now,
                )
            )

    def price(self, price: int) -> None:
        with self.db.begin() as conn:
            conn.execute(sa.update(shop_tables.order_lines).values(price=price))

    def meet(self, later: timedelta = timedelta()) -> str | None:
        return results.meet(self.db, now=self.now + later)

    def totals(self) -> dict[str, Tally]:
        with self.db.begin() as conn:
            return results.by_placement(results.lines(conn, since=(self.now - timedelta(days=30)).date()))


@pytest.fixture
def world(db: Database, now: datetime) -> World:
    made = World(db, now)
    for product_id in ("pan", "pot", "lid"):
        made.product(product_id)
    return made


class TestTallies:
    def test_count_what_was_shown_by_placement_model_and_source(self, world: World) -> None:
        world.show("ann", "pan", "pot")
        world.show(None, "pan", source="popularity")
        world.show("ann", "lid", placement="email", model_id=None)
        with world.db.begin() as conn:
            found = results.lines(conn, since=world.now.date() - timedelta(days=2))
        assert {name: tally.shown for name, tally in results.by_placement(found).items()} == {"home": 2, "email": 1}
        assert {name: tally.shown for name, tally in results.by_source(found).items()} == {"als": 3, "popularity": 1}
        assert {number: tally.shown for number, tally in results.by_model(found).items()} == {3: 2, 0: 1}

    def test_a_click_an_add_and_an_order_come_back_to_the_slate(self, world: World) -> None:
        slate_id = world.show("ann", "pan", "pot")
        world.click("ann", slate_id, "pan")
        world.click("ann", slate_id, "pan", name="Product Added", days_ago=0.8)
        world.order("ann", ["pan", "lid"], days_ago=0.5, quantity=2)
        world.price(1500)
        assert world.meet() == "1 clicks, 1 orders"
        assert world.totals() == {"home": Tally(shown=1, clicked=1, added=1, ordered=1, revenue=3000)}

    def test_the_same_again_counts_once(self, world: World) -> None:
        slate_id = world.show("ann", "pan", "pot")
        for _ in range(3):
            world.click("ann", slate_id, "pan")
        world.click("ann", slate_id, "pot")
        world.order("ann", ["pan"], days_ago=0.5)
        world.meet()
        before = world.totals()
        world.meet(timedelta(minutes=5))
        assert world.totals() == before == {"home": Tally(shown=1, clicked=1, ordered=1)}
        with world.db.begin() as conn:
            found = results.by_source(results.lines(conn, since=world.now.date() - timedelta(days=2)))
        assert found == {"als": Tally(shown=2, clicked=2, ordered=1)}

    def test_only_people_count(self, world: World) -> None:
        slate_id = world.show("ann", "pan", "pot", "lid")
        world.click("ann", slate_id, "pan", agent="Googlebot/2.1 (+http://www.google.com/bot.html)")
        world.click("ann", slate_id, "pot", name="Message Clicked", machine=True)
        world.meet()
        assert world.totals()["home"].clicked == 0
        world.click("ann", slate_id, "lid", name="Message Clicked", machine=False)
        world.meet()
        assert world.totals()["home"].clicked == 1

    @pytest.mark.parametrize("slate_id", ["not an id", "", 7, None, "00000000-0000-0000-0000-000000000000"])
    def test_a_click_of_no_slate_is_nothing(self, world: World, slate_id: object) -> None:
        world.show("ann", "pan")
        world.click("ann", slate_id, "pan")
        assert world.meet() is None

    def test_a_click_on_what_the_slate_did_not_show_or_long_after_is_nothing(self, world: World) -> None:
        slate_id, old = world.show("ann", "pan"), world.show("ann", "pan", days_ago=9)
        world.click("ann", slate_id, "pot")
        world.click("ann", old, "pan")
        assert world.meet() is None

    def test_an_order_is_credited_to_the_slate_clicked_last_and_to_no_other(self, world: World) -> None:
        first, last = (world.show("ann", "pan", placement=name) for name in ("home", "cart"))
        world.click("ann", first, "pan", days_ago=0.9)
        world.click("ann", last, "pan", days_ago=0.7)
        world.order("ann", ["pan"], days_ago=0.5)
        world.meet()
        world.meet(timedelta(minutes=1))
        assert {name: tally.ordered for name, tally in world.totals().items()} == {"home": 0, "cart": 1}

    def test_an_order_before_the_click_or_a_week_after_it_is_not_the_slates(self, world: World) -> None:
        slate_id = world.show("ann", "pan", days_ago=9)
        world.click("ann", slate_id, "pan", days_ago=8.5)
        world.order("ann", ["pan"], days_ago=8.6)
        world.order("ann", ["pan"], days_ago=1)
        world.order("ben", ["pan"], days_ago=8.4)
        world.meet()
        assert world.totals()["home"].ordered == 0

    def test_a_cancelled_order_earns_nothing(self, world: World) -> None:
        slate_id = world.show("ann", "pan")
        world.click("ann", slate_id, "pan")
        order_id = world.order("ann", ["pan"], days_ago=0.5)
        world.meet()
        world.cancel(order_id)
        world.meet(timedelta(minutes=1))
        assert world.totals()["home"] == Tally(shown=1, clicked=1)

    def test_a_late_event_is_still_read(self, world: World) -> None:
        """Its transaction began before the last reading and ended after it."""
        slate_id = world.show("ann", "pan")
        world.meet(timedelta(minutes=9))
        world.click("ann", slate_id, "pan")
        assert world.meet(timedelta(minutes=10)) == "1 clicks"

    def test_an_erased_customer_leaves_sums_only(self, world: World) -> None:
        slate_id = world.show("ann", "pan")
        world.click("ann", slate_id, "pan")
        world.meet()
        with world.db.begin() as conn:
            held = privacy.export(conn, world.customers["ann"])
            assert {"slates", "slate_clicks"} <= held.keys()
            privacy.erase(conn, world.customers["ann"], now=world.now)
            for table in (tables.slates, tables.slate_clicks):
                assert conn.scalar(sa.select(sa.func.count()).select_from(table)) == 0
        world.meet(timedelta(minutes=1))
        assert world.totals()["home"] == Tally(shown=1, clicked=1)


class TestExperiments:
    def start(self, world: World) -> None:
        with world.db.begin() as conn:
            at = world.now - timedelta(days=5)
            merchandising.start_experiment(conn, "home", percent=50, by="ines", now=at)

    def trial(self, world: World) -> results.Trial:
        with world.db.begin() as conn:
            return results.trials(conn)[0]

    def test_count_each_customer_once_in_the_arm_she_saw(self, world: World) -> None:
        self.start(world)
        for name in ("ann", "ben", "cem"):
            for days in (3, 2):
                slate_id = world.show(name, "pan", arm="model", days_ago=days)
            world.click(name, slate_id, "pan", days_ago=1.5)
        world.show("dan", "pan", arm="popularity")
        world.show("eve", "pan", arm="popularity", days_ago=6)
        world.show("fay", "pan")
        world.order("ann", ["lid"], days_ago=1)
        world.order("ben", ["pan"], days_ago=4)
        world.meet()
        found = self.trial(world)
        assert (found.model.customers, found.model.clickers, found.model.buyers, found.model.revenue) == (3, 3, 1, 100)
        assert (found.popularity.customers, found.popularity.clickers, found.popularity.buyers) == (1, 0, 0)

    def test_one_who_saw_both_arms_counts_for_neither(self, world: World) -> None:
        self.start(world)
        world.show("ann", "pan", arm="model")
        world.show("ann", "pan", arm="popularity")
        world.show("ben", "pan", arm="popularity")
        world.meet()
        assert (self.trial(world).model.customers, self.trial(world).popularity.customers) == (0, 1)

    def test_say_nothing_before_both_arms_were_seen(self, world: World) -> None:
        self.start(world)
        world.show("ann", "pan", arm="model")
        world.meet()
        found = self.trial(world)
        assert (found.clicks, found.buyers, found.revenue) == (None, None, None)

    def test_are_conclusive_only_when_the_interval_leaves_zero_out(self) -> None:
        def trial(n: int) -> results.Trial:
            ours = results.Group(n, n // 5, n // 10, 100 * n, 20_000 * n)
            theirs = results.Group(n, n // 10, n // 20, 50 * n, 10_000 * n)
            at = datetime.fromisoformat("2026-11-21T10:00:00+00:00")
            return results.Trial(1, "home", 50, at, "ines", None, None, ours, theirs)

        few, many = trial(40), trial(4_000)
        assert (
            few.buyers is not None and many.buyers is not None and many.clicks is not None and many.revenue is not None
        )
        assert not few.buyers.conclusive and many.buyers.conclusive and many.clicks.conclusive
        assert many.revenue.conclusive and many.revenue.value == 50


def test_the_latest_slates_of_a_placement_are_remembered_for_rotation(world: World) -> None:
    world.show("ann", "pan", placement="email", days_ago=3)
    world.show("ann", "pot", placement="email", days_ago=2)
    world.show("ann", "lid", placement="home", days_ago=1)
    world.show("ben", "lid", placement="email", days_ago=1)
    ann, ben = world.customers["ann"], world.customers["ben"]
    with world.db.begin() as conn:
        assert shown.latest(conn, [ann, ben, 99], placement="email", slates=1) == {
            ann: frozenset({"pot"}),
            ben: frozenset({"lid"}),
        }
        assert shown.latest(conn, [ann], placement="email", slates=2)[ann] == {"pan", "pot"}
        assert shown.latest(conn, [ann], placement="email", slates=0) == {}
