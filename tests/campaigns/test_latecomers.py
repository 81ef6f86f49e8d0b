"""Who came too late to enter is counted, kept, and let in or left as somebody decides."""

from datetime import datetime, timedelta

import pytest
import sqlalchemy as sa

from campaigns import late_tables, latecomers, plans
from campaigns.latecomers import Late
from foundation.database import Database
from foundation.errors import Conflict
from shop import customers, privacy
from tests.campaigns import world
from tests.campaigns.journey import become, launch, people, queued, say, send, tick, visit

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
SIGNED_UP = {"type": "event", "event": "Signed Up"}
LEFT_CART = {"type": "cart_abandoned", "delay": "1h", "within": "48h"}
LEFT_PRODUCT = {"type": "product_abandoned", "delay": "2h"}
TAG = [{"type": "set_trait", "id": "tag", "trait": "tag", "value": "x"}]


def late(db: Database) -> list[Late]:
    with db.begin() as conn:
        return latecomers.counts(conn)


def let_in(db: Database, *, now: datetime) -> int:
    with db.begin() as conn:
        return latecomers.let_in(conn, plans.get(conn, "journey"), now=now)


# ------------------------------------------------------------------------------------------------ by events
def test_who_was_heard_of_too_late_is_counted_by_day_and_let_in(shop: Database, now: datetime) -> None:
    launch(shop, SIGNED_UP, [send("hi")], now=now)
    say(shop, "ada", "Signed Up", at=now + HOUR)
    say(shop, "ada", "Signed Up", at=now + 2 * HOUR)
    say(shop, "bob", "Signed Up", at=now + DAY)
    tick(shop, now + 3 * DAY)
    assert people(shop) == [] and late(shop) == [Late("journey", "event", 2, now + HOUR)]
    with shop.begin() as conn:
        days = conn.execute(sa.select(late_tables.late_days.c["day", "number"]).order_by("day")).all()
    assert [number for _, number in days] == [1, 1] and days[1][0] - days[0][0] == DAY
    assert let_in(shop, now=now + 3 * DAY) == 2 and late(shop) == []
    tick(shop, now + 3 * DAY + MINUTE)
    assert queued(shop) == [("ada", "hi"), ("bob", "hi")]
    assert let_in(shop, now=now + 3 * DAY) == 0, "each comes in once"


def test_what_happened_before_the_campaign_was_never_meant_for_it(shop: Database, now: datetime) -> None:
    launch(shop, SIGNED_UP, [send("hi")], now=now)
    say(shop, "ada", "Signed Up", at=now - DAY)
    tick(shop, now + DAY)
    assert people(shop) == [] and late(shop) == []


def test_who_is_in_already_is_not_late(shop: Database, now: datetime) -> None:
    launch(shop, SIGNED_UP, [send("hi")], now=now)
    say(shop, "ada", "Signed Up", at=now)
    tick(shop, now + MINUTE)
    say(shop, "ada", "Signed Up", at=now + HOUR)
    tick(shop, now + 3 * DAY)
    assert late(shop) == [] and len(people(shop)) == 1


def test_who_is_left_is_asked_about_no_more(shop: Database, now: datetime) -> None:
    launch(shop, SIGNED_UP, [send("hi")], now=now)
    say(shop, "ada", "Signed Up", at=now + MINUTE)
    tick(shop, now + 2 * DAY)
    with shop.begin() as conn:
        assert latecomers.dismiss(conn, plans.get(conn, "journey")) == 1
    tick(shop, now + 2 * DAY + MINUTE)
    assert late(shop) == [] and people(shop) == []


def test_nobody_is_let_in_while_it_does_not_run(shop: Database, now: datetime) -> None:
    launch(shop, SIGNED_UP, [send("hi")], now=now)
    say(shop, "ada", "Signed Up", at=now + MINUTE)
    tick(shop, now + 2 * DAY)
    with shop.begin() as conn:
        plans.pause(conn, "journey", now=now + 2 * DAY)
    with pytest.raises(Conflict, match="launch it first"):
        let_in(shop, now=now + 2 * DAY)
    assert [one.number for one in late(shop)] == [1]
    with shop.begin() as conn:
        plans.cancel(conn, "journey", now=now + 2 * DAY)
        assert conn.scalar(sa.select(sa.func.count()).select_from(late_tables.latecomers)) == 0
    assert late(shop) == []


# ------------------------------------------------------------------------------------- by carts and products
def test_carts_nobody_looked_at_in_time_are_counted_and_let_in(shop: Database, now: datetime) -> None:
    launch(shop, LEFT_CART, [send("back")], now=now)
    tick(shop, now)
    with shop.begin() as conn:
        for user in ("ada", "bob"):
            world.leave_cart(conn, user, at=now + HOUR)
    back = now + 4 * DAY
    tick(shop, back)
    tick(shop, back + MINUTE)
    assert people(shop) == [] and late(shop) == [Late("journey", "cart", 2, now + HOUR)]
    with shop.begin() as conn:
        world.order(conn, "bob", at=back, order_id="o1")
    assert let_in(shop, now=back + HOUR) == 1, "bob bought since"
    tick(shop, back + HOUR)
    assert queued(shop) == [("ada", "back")] and late(shop) == []


def test_a_cart_that_was_looked_at_in_time_is_not_late(shop: Database, now: datetime) -> None:
    launch(shop, LEFT_CART, [send("back")], now=now)
    with shop.begin() as conn:
        world.leave_cart(conn, "ada", at=now + MINUTE)
        world.make_customer(conn, "eve", at=now, email=None)
        world.leave_cart(conn, "eve", at=now + MINUTE)
    for hours in range(0, 96, 12):
        tick(shop, now + hours * HOUR)
    assert [user for user, *_ in people(shop)] == ["ada"], "eve cannot be written to"
    say(shop, "eve", "", at=now + 96 * HOUR, traits={"email": "eve@example.org"})
    tick(shop, now + 97 * HOUR)
    assert late(shop) == []


def test_a_cart_of_before_the_first_look_is_left_in_peace(shop: Database, now: datetime) -> None:
    with shop.begin() as conn:
        world.leave_cart(conn, "ada", at=now)
    launch(shop, LEFT_CART, [send("back")], now=now + 30 * DAY)
    tick(shop, now + 30 * DAY)
    tick(shop, now + 31 * DAY)
    assert late(shop) == [] and people(shop) == []


def test_products_looked_at_and_found_too_late_are_counted_and_let_in(shop: Database, now: datetime) -> None:
    launch(shop, LEFT_PRODUCT, [send("still")], now=now, reentry={"rule": "each_key"})
    say(shop, "ada", "Product Viewed", at=now + MINUTE, product_id="cocotte")
    say(shop, "bob", "Product Viewed", at=now + MINUTE, product_id="sel")
    tick(shop, now + HOUR)
    say(shop, "ada", "Product Viewed", at=now + 2 * HOUR, product_id="sel")
    say(shop, "bob", "Product Added", at=now + 2 * HOUR, product_id="sel", cart_id="c", quantity=1)
    tick(shop, now + 4 * DAY)
    assert people(shop) == [] and late(shop) == [Late("journey", "product", 2, now + MINUTE)]
    assert let_in(shop, now=now + 4 * DAY) == 2
    assert sorted((user, key) for user, _, _, key in people(shop)) == [("ada", "cocotte"), ("ada", "sel")]


def test_whoever_came_in_by_something_else_is_not_let_in(shop: Database, now: datetime) -> None:
    launch(shop, SIGNED_UP, [send("hi")], now=now)
    say(shop, "ada", "Signed Up", at=now + MINUTE)
    tick(shop, now + 2 * DAY)
    launch(shop, LEFT_CART, [send("hi")], now=now + 2 * DAY)
    assert let_in(shop, now=now + 2 * DAY) == 0 and late(shop) == []


# ---------------------------------------------------------------------------------------- who she was before
def test_who_is_late_twice_before_and_after_she_was_known_is_one(shop: Database, now: datetime) -> None:
    launch(shop, SIGNED_UP, TAG, now=now)
    visit(shop, "Signed Up", at=now + MINUTE)
    tick(shop, now + 2 * DAY)
    become(shop, "ada", at=now + 2 * DAY)
    say(shop, "ada", "Signed Up", at=now + HOUR)
    tick(shop, now + 3 * DAY)
    assert [one.number for one in late(shop)] == [1]
    assert let_in(shop, now=now + 3 * DAY) == 1
    assert [user for user, *_ in people(shop)] == ["ada"]


def test_what_she_bought_once_she_was_known_keeps_the_visitor_out(shop: Database, now: datetime) -> None:
    launch(shop, LEFT_PRODUCT | {"delay": "1h"}, [send("still")], now=now)
    visit(shop, "Product Viewed", at=now + MINUTE, product_id="sel")
    visit(shop, "Product Viewed", at=now + MINUTE, product_id="cocotte")
    tick(shop, now + 2 * MINUTE)
    with shop.begin() as conn:
        world.tell(conn, {"anonymousId": "visitor", "traits": {"email": "v@example.org"}, "type": "identify"}, at=now)
    tick(shop, now + 2 * DAY)
    assert [one.number for one in late(shop)] == [1], "one way in, whatever she looked at"
    become(shop, "ada", at=now + 2 * DAY)
    with shop.begin() as conn:
        for product in ("sel", "cocotte"):
            bought = [{"product_id": product, "quantity": 1, "price": "10.00"}]
            world.order(conn, "ada", at=now + 2 * DAY, order_id=product, products=bought, total="10.00")
    assert let_in(shop, now=now + 3 * DAY) == 0


def test_whoever_is_erased_is_no_latecomer_any_more(shop: Database, now: datetime) -> None:
    launch(shop, SIGNED_UP | {"key": "event"}, TAG, now=now, reentry={"rule": "each_key"})
    visit(shop, "Signed Up", at=now + MINUTE)
    say(shop, "ada", "Signed Up", at=now + HOUR)
    say(shop, "bob", "Signed Up", at=now + HOUR)
    tick(shop, now + 2 * DAY)
    become(shop, "ada", at=now + 2 * DAY)
    kept = sa.select(late_tables.latecomers.c.customer_id)
    with shop.begin() as conn:
        ada, bob = (customers.find(conn, user_id=user) or 0 for user in ("ada", "bob"))
        assert len(conn.scalars(kept).all()) == 3
        assert "latecomers" in privacy.export(conn, ada)
        privacy.erase(conn, ada, now=now + 2 * DAY)
        assert conn.scalars(kept).all() == [bob], "neither hers nor those of whom she was"
