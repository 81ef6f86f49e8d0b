"""How customers come in, and how they are taken further, against a real database."""

from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from campaigns import connections, enrolments, plans, policy, rules, segments, tables, timing
from foundation.database import Database
from foundation.errors import Conflict, Invalid
from shop import catalogue, consent, stores
from shop import customers as customers_kept
from shop.tables import customers
from tests.campaigns import world
from tests.campaigns.journey import become, launch, people, queued, say, send, tick, visit, wait

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
BIG = {"property": "total", "test": "at_least", "value": 100}
SIGNED_UP = {"type": "event", "event": "Signed Up"}


# ------------------------------------------------------------------------------------------------ by events
def test_an_event_brings_in_whom_its_properties_fit(shop: Database, now: datetime) -> None:
    launch(
        shop,
        SIGNED_UP | {"where": [{"property": "plan", "test": "one_of", "value": ["gold", "silver"]}]},
        [send("hi")],
        now=now,
    )
    say(shop, "ada", "Signed Up", at=now, plan="gold")
    say(shop, "bob", "Signed Up", at=now, plan="free")
    tick(shop, now + MINUTE)
    tick(shop, now + 2 * MINUTE)
    assert queued(shop) == [("ada", "hi")]


def test_a_paused_campaign_hears_nothing(shop: Database, now: datetime) -> None:
    launch(shop, SIGNED_UP, [send("hi")], now=now)
    with shop.begin() as conn:
        plans.pause(conn, "journey", now=now)
    say(shop, "ada", "Signed Up", at=now)
    with shop.begin() as conn:
        plans.launch(conn, "journey", now=now)
    tick(shop, now + MINUTE)
    assert people(shop) == []


def test_an_event_of_long_ago_brings_nobody_in(shop: Database, now: datetime) -> None:
    launch(shop, SIGNED_UP, [send("hi")], now=now)
    say(shop, "ada", "Signed Up", at=now)
    tick(shop, now + 2 * DAY)
    assert people(shop) == []


@pytest.mark.parametrize(
    ("reentry", "key", "entries"),
    [
        ({"rule": "never"}, "order", 1),
        ({"rule": "after", "days": 3}, "none", 2),
        ({"rule": "each_key"}, "order", 3),
        ({"rule": "each_key"}, "event", 4),
    ],
)
def test_who_may_come_in_again(
    shop: Database, now: datetime, reentry: dict[str, object], key: str, entries: int
) -> None:
    entry = {"type": "event", "event": "Gift Chosen", "key": key}
    launch(shop, entry, [send("thanks")], now=now, reentry=reentry)
    for number, order in enumerate(("o1", "o1", "o2", "o3")):
        at = now + number * DAY + HOUR
        say(shop, "ada", "Gift Chosen", at=at, order_id=order)
        tick(shop, at + MINUTE)
    assert len(people(shop)) == entries


def test_two_events_in_one_batch_are_one_entry(shop: Database, now: datetime) -> None:
    launch(shop, SIGNED_UP, [send("hi")], now=now, reentry={"rule": "after", "days": 1})
    say(shop, "ada", "Signed Up", at=now)
    say(shop, "ada", "Signed Up", at=now + MINUTE)
    tick(shop, now + HOUR)
    assert len(people(shop)) == 1


def test_the_first_wait_begins_anew_when_the_event_repeats(shop: Database, now: datetime) -> None:
    entry = {"type": "event", "event": "Page Viewed", "reset": True}
    launch(shop, entry, [wait("quiet", "1h"), send("hi")], now=now)
    say(shop, "ada", "Page Viewed", at=now)
    tick(shop, now + MINUTE)
    say(shop, "ada", "Page Viewed", at=now + 50 * MINUTE)
    tick(shop, now + 61 * MINUTE)
    assert queued(shop) == []
    tick(shop, now + 111 * MINUTE)
    assert queued(shop) == [("ada", "hi")]


QUIET = [wait("quiet", "1h"), send("hi")]


@pytest.mark.parametrize("reentry", [{"rule": "each_key"}, {"rule": "never"}])
def test_only_what_is_about_the_same_begins_a_wait_anew(shop: Database, now: datetime, reentry: dict[str, str]) -> None:
    entry = {"type": "event", "event": "Cart Shared", "reset": True, "key": "cart"}
    launch(shop, entry, QUIET, now=now, reentry=reentry)
    say(shop, "ada", "Cart Shared", at=now, cart_id="a")
    say(shop, "bob", "Cart Shared", at=now, cart_id="b")
    tick(shop, now + MINUTE)
    say(shop, "ada", "Cart Shared", at=now + 50 * MINUTE, cart_id="another")
    say(shop, "bob", "Cart Shared", at=now + 50 * MINUTE, cart_id="b")
    tick(shop, now + 61 * MINUTE)
    assert queued(shop) == [("ada", "hi")]
    tick(shop, now + 111 * MINUTE)
    more = [("ada", "hi")] if reentry["rule"] == "each_key" else []
    assert queued(shop) == [("ada", "hi"), *more, ("bob", "hi")]


@pytest.mark.parametrize(("reentry", "said"), [({"rule": "each_key"}, 1), ({"rule": "never"}, 0)])
def test_where_each_event_is_an_entry_none_begins_another_anew(
    shop: Database, now: datetime, reentry: dict[str, str], said: int
) -> None:
    launch(
        shop, {"type": "event", "event": "Page Viewed", "reset": True, "key": "event"}, QUIET, now=now, reentry=reentry
    )
    say(shop, "ada", "Page Viewed", at=now)
    tick(shop, now + MINUTE)
    say(shop, "ada", "Page Viewed", at=now + 50 * MINUTE)
    tick(shop, now + 61 * MINUTE)
    assert len(queued(shop)) == said


def test_a_wait_begins_anew_for_whom_a_visitor_turned_out_to_be(shop: Database, now: datetime) -> None:
    entry = {"type": "event", "event": "Page Viewed", "reset": True}
    launch(shop, entry, [wait("quiet", "1h"), send("hi", channel="best")], now=now)
    visitor = {"anonymousId": "browser"}
    told = [
        ({"event": "Page Viewed", **visitor}, now),
        ({"type": "identify", "userId": "ada", "traits": {"tier": "gold"}, **visitor}, now + 10 * MINUTE),
        ({"event": "Page Viewed", "userId": "ada"}, now + 50 * MINUTE),
    ]
    for payload, at in told:
        with shop.begin() as conn:
            world.tell(conn, payload, at=at)
        tick(shop, at + MINUTE)
    tick(shop, now + 61 * MINUTE)
    assert queued(shop) == []
    with shop.begin() as conn:
        since = conn.scalars(sa.select(tables.enrolments.c.step_since)).all()
    assert set(since) == {now + 50 * MINUTE}


def test_a_wait_of_an_older_version_begins_anew_as_that_version_says(shop: Database, now: datetime) -> None:
    entry = {"type": "event", "event": "Page Viewed", "reset": True}
    launch(shop, entry, QUIET, now=now)
    say(shop, "ada", "Page Viewed", at=now)
    tick(shop, now + MINUTE)
    launch(shop, entry, [wait("calm", "1d"), send("new")], now=now + 2 * MINUTE)
    say(shop, "ada", "Page Viewed", at=now + 50 * MINUTE)
    tick(shop, now + 61 * MINUTE)
    assert queued(shop) == []
    tick(shop, now + 111 * MINUTE)
    assert queued(shop) == [("ada", "hi")]


def test_waiting_for_an_event_is_over_as_soon_as_it_comes(shop: Database, now: datetime) -> None:
    step = {
        "type": "wait_for", "id": "click", "event": "Form Sent", "timeout": "2d",
        "where": [{"property": "form", "value": "size"}], "then": [send("thanks")], "otherwise": [send("again")],
    }  # fmt: skip
    launch(shop, SIGNED_UP, [step], now=now)
    for user in ("ada", "bob"):
        say(shop, user, "Signed Up", at=now)
    tick(shop, now + MINUTE)
    say(shop, "ada", "Form Sent", at=now + HOUR, form="size")
    say(shop, "bob", "Form Sent", at=now + HOUR, form="colour")
    tick(shop, now + HOUR + MINUTE)
    assert queued(shop) == [("ada", "thanks")]
    tick(shop, now + 2 * DAY + HOUR)
    assert queued(shop) == [("ada", "thanks"), ("bob", "again")]


def test_a_goal_reached_ends_it_and_an_exit_event_too(shop: Database, now: datetime) -> None:
    steps = [send("first"), wait("day", "1d"), send("second")]
    goal = {"event": "Order Completed", "where": [{"property": "total", "test": "at_least", "value": 100}]}
    launch(shop, SIGNED_UP, steps, now=now, goal=goal, exit_on=[{"event": "Moved Away"}])
    for user in ("ada", "bob"):
        say(shop, user, "Signed Up", at=now)
    tick(shop, now + MINUTE)
    with shop.begin() as conn:
        world.order(conn, "ada", at=now + HOUR, order_id="o1")
    say(shop, "bob", "Moved Away", at=now + HOUR)
    tick(shop, now + 2 * HOUR)
    assert [row[:3] for row in people(shop)] == [("ada", "left", "converted"), ("bob", "left", "exited")]
    assert [step for _, step in queued(shop)] == ["first", "first"]


def test_a_cancelled_order_is_no_goal(shop: Database, now: datetime) -> None:
    launch(shop, SIGNED_UP, [wait("day", "1d"), send("second")], now=now, goal={"event": "Order Completed"})
    say(shop, "ada", "Signed Up", at=now)
    with shop.begin() as conn:
        world.order(conn, "ada", at=now + MINUTE, order_id="o1")
        world.say(conn, "ada", "Order Cancelled", at=now + 2 * MINUTE, order_id="o1")
    tick(shop, now + 2 * DAY)
    tick(shop, now + 2 * DAY + MINUTE)
    assert people(shop) == [], "the event is older than a day by then"
    say(shop, "bob", "Signed Up", at=now + 3 * DAY)
    tick(shop, now + 3 * DAY + MINUTE)
    with shop.begin() as conn:
        world.order(conn, "bob", at=now + 3 * DAY + HOUR, order_id="o2")
        world.say(conn, "bob", "Order Cancelled", at=now + 3 * DAY + 2 * HOUR, order_id="o2")
    tick(shop, now + 4 * DAY + HOUR)
    assert queued(shop) == [("bob", "second")]


# ---------------------------------------------------------------------------------------------- by segments
def test_coming_into_a_segment_and_leaving_it_are_entries(shop: Database, now: datetime) -> None:
    with shop.begin() as conn:
        rule = {"type": "trait", "name": "tier", "value": "gold"}
        segments.apply(conn, segments.parse({"name": "gold", "title": "Gold", "rule": rule}), now=now)
    tick(shop, now)
    launch(shop, {"type": "segment_entered", "segment": "gold"}, [send("welcome")], now=now, name="in")
    launch(shop, {"type": "segment_left", "segment": "gold"}, [send("goodbye")], now=now, name="out")
    say(shop, "ada", "", at=now + MINUTE, traits={"tier": "gold"})
    tick(shop, now + 2 * MINUTE)
    tick(shop, now + 3 * MINUTE)
    assert queued(shop) == [("ada", "welcome")]
    say(shop, "ada", "", at=now + HOUR, traits={"tier": "none"})
    tick(shop, now + HOUR + MINUTE)
    tick(shop, now + HOUR + 2 * MINUTE)
    assert queued(shop) == [("ada", "welcome"), ("ada", "goodbye")]


def test_a_segment_that_does_not_exist_is_refused(shop: Database, now: datetime) -> None:
    with pytest.raises(Invalid, match="/entry/segment: is not the name of a segment"):
        launch(shop, {"type": "segment_entered", "segment": "none"}, [send("x")], now=now)
    split = {"type": "split", "id": "s", "branches": [{"name": "a", "when": {"type": "segment", "name": "none"}}]}
    with pytest.raises(Invalid, match="/steps/0/branches/0/when/name: is not the name of a segment"):
        launch(shop, SIGNED_UP, [split], now=now)
    heard = {"event": "Segment Left", "where": [{"property": "segment", "value": "none"}]}
    with pytest.raises(Invalid, match="/steps/0/where: is not the name of a segment"):
        launch(shop, SIGNED_UP, [{"type": "wait_for", "id": "w", "timeout": "1d", **heard}], now=now)
    with pytest.raises(Invalid, match="/entry/where: is not the name of a segment"):
        launch(shop, {"type": "event", **heard}, [send("x")], now=now)


def test_a_split_follows_segments_rules_and_the_events_properties(shop: Database, now: datetime) -> None:
    split = {
        "type": "split", "id": "way",
        "branches": [
            {"name": "gold", "when": {"type": "trait", "name": "tier", "value": "gold"}, "steps": [send("for-gold")]},
            {"name": "big", "where": [BIG], "steps": [send("for-big")]},
        ],
        "otherwise": [send("for-all")],
    }  # fmt: skip
    with shop.begin() as conn:
        world.make_customer(conn, "eve", at=now)
    say(shop, "ada", "", at=now, traits={"tier": "gold"})
    launch(shop, SIGNED_UP, [split], now=now)
    for user, total in (("ada", 150), ("bob", "120.50"), ("eve", 20)):
        say(shop, user, "Signed Up", at=now, total=total)
    tick(shop, now + MINUTE)
    assert queued(shop) == [("ada", "for-gold"), ("bob", "for-big"), ("eve", "for-all")]


# ------------------------------------------------------------------------------------------ by the calendar
EVERYBODY = {"type": "not", "rule": {"type": "trait", "name": "email", "value": "nobody@nowhere.example"}}
MONDAY = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)  # nine o'clock in Paris


def test_a_broadcast_goes_once_to_its_audience_as_it_is_then(shop: Database, now: datetime) -> None:
    entry = {"type": "schedule", "on": "2026-11-23", "at": "09:00", "audience": EVERYBODY}
    launch(shop, entry, [send("news")], now=now)
    tick(shop, MONDAY - MINUTE)
    assert people(shop) == []
    tick(shop, MONDAY)
    with shop.begin() as conn:
        world.make_customer(conn, "late", at=MONDAY)
    tick(shop, MONDAY + MINUTE)
    assert sorted(row[0] for row in people(shop)) == ["ada", "bob"]
    tick(shop, MONDAY + 2 * DAY)
    with shop.begin() as conn:
        assert plans.get(conn, "journey").state == "done"


def test_a_broadcast_in_each_ones_own_time_follows_the_sun(shop: Database, now: datetime) -> None:
    with shop.begin() as conn:
        world.make_customer(conn, "tokyo", at=now, timezone="Asia/Tokyo")
        world.make_customer(conn, "lost", at=now, timezone="Atlantis/Capital")
    entry = {"type": "schedule", "on": "2026-11-23", "at": "09:00", "zone": "customer", "audience": EVERYBODY}
    launch(shop, entry, [send("news")], now=now)
    tick(shop, MONDAY - 8 * HOUR)
    assert queued(shop) == [("tokyo", "news")]
    tick(shop, MONDAY)
    assert queued(shop) == [("tokyo", "news"), ("ada", "news"), ("bob", "news"), ("lost", "news")]


@pytest.mark.parametrize(("every", "runs"), [("day", 8), ("week", 2), ("month", 1)])
def test_a_recurring_broadcast_comes_back(shop: Database, now: datetime, every: str, runs: int) -> None:
    entry = {"type": "schedule", "every": every, "on": "2026-11-23", "at": "09:00", "audience": EVERYBODY}
    launch(shop, entry, [send("news")], now=now, reentry={"rule": "each_key"})
    for day in range(8):
        tick(shop, MONDAY + day * DAY)
    assert len(queued(shop)) == 2 * runs


def test_a_moment_nobody_was_there_for_is_shown_and_not_made_up_for(shop: Database, now: datetime) -> None:
    entry = {"type": "schedule", "every": "day", "on": "2026-11-23", "at": "09:00", "audience": EVERYBODY}
    launch(shop, entry, [send("news")], now=now, reentry={"rule": "each_key"})
    tick(shop, MONDAY + 5 * HOUR)
    assert queued(shop) == []
    with shop.begin() as conn:
        (run,) = conn.execute(sa.select(tables.campaign_runs)).mappings()
    assert (run["state"], run["enrolled"]) == ("missed", 0)


def test_a_missed_moment_is_run_once_somebody_wants_it_or_left(shop: Database, now: datetime) -> None:
    entry = {"type": "schedule", "every": "day", "on": "2026-11-23", "at": "09:00", "audience": EVERYBODY}
    plan = launch(shop, entry, [send("news")], now=now, reentry={"rule": "each_key"}, goal={"event": "Order Completed"})
    tick(shop, MONDAY + 4 * DAY + 5 * HOUR)
    with shop.begin() as conn:
        gone = timing.missed(conn)
        assert [(one.campaign, one.day.isoformat()) for one in gone] == [
            ("journey", f"2026-11-{day}") for day in range(23, 28)
        ], "an outage of days is asked about day by day"
        world.order(conn, "bob", at=MONDAY + 3 * DAY, order_id="while-nobody-was-there")
        later = MONDAY + 4 * DAY + 6 * HOUR
        assert timing.decide(conn, plan, gone[-1].day, wanted=True, now=later)
        assert not timing.decide(conn, plan, gone[-1].day, wanted=True, now=later), "a second click is nothing"
        assert timing.decide(conn, plan, gone[0].day, wanted=False, now=later)
    tick(shop, later)
    tick(shop, later + MINUTE)
    assert queued(shop) == [("ada", "news"), ("bob", "news")]
    with shop.begin() as conn:
        states = sa.select(tables.campaign_runs.c.state, tables.campaign_runs.c.enrolled).order_by("due_at")
        assert [tuple(row) for row in conn.execute(states)] == [
            ("left", 0), ("missed", 0), ("missed", 0), ("missed", 0), ("done", 2),
        ]  # fmt: skip


def test_a_decision_nobody_carried_out_in_time_is_asked_for_again(shop: Database, now: datetime) -> None:
    entry = {"type": "schedule", "on": "2026-11-23", "at": "09:00", "zone": "customer", "audience": EVERYBODY}
    with shop.begin() as conn:
        world.make_customer(conn, "tokyo", at=now, timezone="Asia/Tokyo")
    plan = launch(shop, entry, [send("news")], now=now)
    tick(shop, MONDAY + DAY)
    tick(shop, MONDAY + 3 * DAY)
    with shop.begin() as conn:
        (gone,) = timing.missed(conn, campaign_id=plan.id)
        assert plans.get(conn, plan.name).state == "sending", "not over before somebody decided"
        plans.pause(conn, plan.name, now=now)
        with pytest.raises(Conflict, match="launch it first"):
            timing.decide(conn, plans.get(conn, plan.name), gone.day, wanted=True, now=now)
        paused = plans.launch(conn, plan.name, now=MONDAY + 3 * DAY)
        timing.decide(conn, paused, gone.day, wanted=True, now=MONDAY + 3 * DAY)
    tick(shop, MONDAY + 4 * DAY)
    assert queued(shop) == []
    with shop.begin() as conn:
        (gone,) = timing.missed(conn, campaign_id=plan.id)
        timing.decide(conn, paused, gone.day, wanted=True, now=MONDAY + 4 * DAY)
    tick(shop, MONDAY + 4 * DAY)
    assert sorted(queued(shop)) == [("ada", "news"), ("bob", "news"), ("tokyo", "news")]
    tick(shop, MONDAY + 20 * DAY)
    with shop.begin() as conn:
        assert plans.get(conn, plan.name).state == "done"


def test_a_new_rhythm_is_not_missed_for_the_days_before_it_was_written(shop: Database, now: datetime) -> None:
    weekly = {"type": "schedule", "every": "week", "on": "2026-11-23", "at": "09:00", "audience": EVERYBODY}
    launch(shop, weekly, [send("news")], now=now, reentry={"rule": "each_key"})
    for day in range(6):
        tick(shop, MONDAY + day * DAY)
    daily = {"title": "journey", "entry": weekly | {"every": "day"}, "steps": [send("news")]}
    with shop.begin() as conn:
        plans.put(conn, "journey", definition=daily | {"reentry": {"rule": "each_key"}}, now=MONDAY + 5 * DAY + HOUR)
    tick(shop, MONDAY + 6 * DAY)
    with shop.begin() as conn:
        assert [one.day.isoformat() for one in timing.missed(conn)] == ["2026-11-27", "2026-11-28"]


def test_a_broadcast_of_yesterday_is_not_launched(shop: Database, now: datetime) -> None:
    with pytest.raises(Invalid, match="/entry/on: has passed already"):
        launch(shop, {"type": "schedule", "on": "2026-11-01", "audience": EVERYBODY}, [send("news")], now=now)


def test_a_birthday_comes_each_year_and_the_29th_of_february_on_the_28th(shop: Database, now: datetime) -> None:
    for user, day in (("ada", "1990-11-23"), ("bob", "1992-02-29")):
        say(shop, user, "", at=now, traits={"birthday": day})
    launch(
        shop,
        {"type": "date", "trait": "birthday", "at": "09:00"},
        [send("wishes")],
        now=now,
        reentry={"rule": "each_key"},
    )
    tick(shop, MONDAY)
    tick(shop, MONDAY + HOUR)
    tick(shop, datetime(2027, 2, 28, 8, 0, tzinfo=UTC))
    tick(shop, datetime(2027, 11, 23, 8, 0, tzinfo=UTC))
    tick(shop, datetime(2028, 2, 28, 8, 0, tzinfo=UTC))
    tick(shop, datetime(2028, 2, 29, 8, 0, tzinfo=UTC))
    assert [(user, key) for user, _, _, key in people(shop)] == [
        ("ada", "2026-11-23"), ("bob", "2027-02-28"), ("ada", "2027-11-23"), ("bob", "2028-02-29"),
    ]  # fmt: skip


def test_so_many_days_before_a_date_comes_once(shop: Database, now: datetime) -> None:
    say(shop, "ada", "", at=now, traits={"renewal": "2026-11-30"})
    entry = {"type": "date", "trait": "renewal", "days_before": 7, "every": "once", "at": "09:00"}
    launch(shop, entry, [send("renew")], now=now)
    for day in range(3):
        tick(shop, MONDAY + day * DAY)
    assert queued(shop) == [("ada", "renew")]


# ------------------------------------------------------------------------------------------------ products
def test_a_product_looked_at_and_left_brings_in_unless_bought_or_put_in_a_cart(shop: Database, now: datetime) -> None:
    with shop.begin() as conn:
        for user in ("eve", "joe"):
            world.make_customer(conn, user, at=now)
    launch(
        shop,
        {"type": "product_abandoned", "delay": "2h"},
        [send("look")],
        now=now,
        reentry={"rule": "after", "days": 7},
    )
    for user in ("ada", "bob", "eve", "joe"):
        say(shop, user, "Product Viewed", at=now, product_id="cocotte")
    tick(shop, now + MINUTE)
    say(shop, "bob", "Product Added", at=now + HOUR, product_id="cocotte", cart_id="c", price="189")
    with shop.begin() as conn:
        world.order(conn, "eve", at=now + HOUR, order_id="o")
    say(shop, "joe", "Product Viewed", at=now + HOUR, product_id="cocotte")
    tick(shop, now + 2 * HOUR + MINUTE)
    assert queued(shop) == [("ada", "look")]
    tick(shop, now + 3 * HOUR + MINUTE)
    assert queued(shop) == [("ada", "look"), ("joe", "look")]


def test_back_in_stock_brings_in_who_looked_and_has_not_bought(shop: Database, now: datetime) -> None:
    def put(quantity: int, at: datetime) -> None:
        with shop.begin() as conn:
            stores.put_stock(conn, [{"store_id": "web", "product_id": "cocotte", "quantity": quantity}], now=at)

    put(0, now)
    tick(shop, now)
    launch(shop, {"type": "back_in_stock"}, [send("back")], now=now, reentry={"rule": "each_key"})
    say(shop, "ada", "Product Viewed", at=now, product_id="cocotte")
    say(shop, "bob", "Product Viewed", at=now, product_id="sel")
    tick(shop, now + MINUTE)
    assert people(shop) == []
    put(3, now + HOUR)
    tick(shop, now + HOUR)
    tick(shop, now + HOUR + MINUTE)
    assert queued(shop) == [("ada", "back")]


def test_a_price_drop_is_told_against_the_lowest_price_of_thirty_days(shop: Database, now: datetime) -> None:
    def price(amount: str, at: datetime) -> None:
        with shop.begin() as conn:
            catalogue.put(conn, [{"product_id": "cocotte", "title": "Cocotte", "price": amount}], now=at)
        tick(shop, at)

    tick(shop, now)
    launch(shop, {"type": "price_dropped", "percent": 10}, [send("cheaper")], now=now, reentry={"rule": "each_key"})
    say(shop, "ada", "Product Viewed", at=now, product_id="cocotte")
    price("100.00", now + DAY)
    price("300.00", now + 2 * DAY)
    assert len(queued(shop)) == 1, "189 to 100 is a reduction"
    price("150.00", now + 3 * DAY)
    assert len(queued(shop)) == 1, "half of yesterday's price, and more than that of the day before"
    price("80.00", now + 4 * DAY)
    with shop.begin() as conn:
        context = conn.scalars(sa.select(tables.enrolments.c.context).order_by(tables.enrolments.c.id)).all()
    assert context == [
        {"product_id": "cocotte", "previous_price": 18900, "lowest_price": 18900},
        {"product_id": "cocotte", "previous_price": 15000, "lowest_price": 10000},
    ]


# ------------------------------------------------------------------------------------------------- versions
def test_who_is_under_way_finishes_as_it_began(shop: Database, now: datetime) -> None:
    launch(shop, SIGNED_UP, [wait("day", "1d"), send("old")], now=now)
    say(shop, "ada", "Signed Up", at=now)
    tick(shop, now + MINUTE)
    launch(shop, SIGNED_UP, [wait("hour", "1h"), send("new")], now=now + HOUR)
    say(shop, "bob", "Signed Up", at=now + HOUR)
    tick(shop, now + HOUR + MINUTE)
    tick(shop, now + 3 * HOUR)
    assert queued(shop) == [("bob", "new")]
    tick(shop, now + DAY + HOUR)
    assert queued(shop) == [("bob", "new"), ("ada", "old")]


# ------------------------------------------------------------------------------------------------- channels
def test_her_best_channel_is_one_she_agreed_to_and_can_be_reached_by(shop: Database, now: datetime) -> None:
    with shop.begin() as conn:
        connections.connect(conn, "sms", "outbox:", keys=["k" * 16], origin="test", now=now)
        for number, (user, consents) in enumerate((("texts", False), ("both", True), ("none", False))):
            person = world.make_customer(conn, user, at=now, consents=consents, phone=f"+3361234567{number}")
            if user != "none":
                given = {"channel": "sms", "purpose": "marketing", "state": "granted", "source": "x"}
                consent.record(conn, customer_id=person, **given, at=now, now=now)
    launch(shop, SIGNED_UP, [send("hi", channel="best")], now=now)
    for user in ("texts", "both", "none"):
        say(shop, user, "Signed Up", at=now)
    tick(shop, now + MINUTE)
    with shop.begin() as conn:
        rows = conn.execute(
            sa.select(customers.c.user_id, tables.messages.c.channel, tables.messages.c.state).join(
                tables.messages, tables.messages.c.customer_id == customers.c.id
            )
        ).all()
    assert sorted(rows) == [("both", "email", "pending"), ("none", "email", "pending"), ("texts", "sms", "pending")]


CROWD = """
INSERT INTO customers (user_id, email, created_at, updated_at)
SELECT 'n' || n, n || '@x.example', :at, :at FROM generate_series(1, 300) AS n
"""


def test_a_turn_of_many_is_a_fixed_number_of_statements(shop: Database, now: datetime) -> None:
    with shop.begin() as conn:
        conn.execute(sa.text(CROWD), {"at": now})
    launch(
        shop,
        {"type": "schedule", "on": "2026-11-23", "at": "09:00", "audience": EVERYBODY},
        [wait("w", "1h"), send("x")],
        now=now,
    )
    enrolments.admit_timed(shop, now=MONDAY)
    asked: list[str] = []
    listen = lambda conn, cursor, statement, *rest: asked.append(statement)  # noqa: E731
    sa.event.listen(shop.engine, "before_cursor_execute", listen)
    enrolments.advance_due(shop, now=MONDAY + 2 * HOUR)
    sa.event.remove(shop.engine, "before_cursor_execute", listen)
    assert len(queued(shop)) == 302 and len(asked) < 15


def test_a_policy_of_another_zone_is_the_shops_clock(shop: Database, now: datetime) -> None:
    launch(shop, SIGNED_UP, [{"type": "wait_until", "id": "nine", "at": "09:00", "zone": "shop"}, send("x")], now=now)
    with shop.begin() as conn:
        policy.save(conn, rules.Policy(timezone="America/New_York"), now=now)
    say(shop, "ada", "Signed Up", at=now)
    tick(shop, now + MINUTE)
    with shop.begin() as conn:
        assert conn.scalar(sa.select(tables.enrolments.c.wake_at)) == datetime(2026, 11, 21, 14, 0, tzinfo=UTC)


# ---------------------------------------------------------------------------------------- who she was before
NOTICED = {"type": "event", "event": "Gift Chosen", "key": "product"}
TAG = [{"type": "set_trait", "id": "tag", "trait": "tag", "value": "x"}]
"""Steps that need no address, so that whoever is not known yet enters as well."""


@pytest.mark.parametrize(
    ("reentry", "until", "later"),
    [({"rule": "never"}, 1, 1), ({"rule": "after", "days": 3}, 1, 2), ({"rule": "each_key"}, 1, 1)],
)
def test_who_went_through_it_before_she_was_known_does_not_again(
    shop: Database, now: datetime, reentry: dict[str, object], until: int, later: int
) -> None:
    launch(shop, NOTICED, TAG, now=now, reentry=reentry)
    visit(shop, "Gift Chosen", at=now, product_id="sel")
    tick(shop, now + MINUTE)
    merge = become(shop, "ada", at=now + HOUR)
    say(shop, "ada", "Gift Chosen", at=now + 2 * HOUR, product_id="sel")
    tick(shop, now + 3 * HOUR)
    assert len(people(shop)) == until, "she has been through it as whom she was"
    say(shop, "bob", "Gift Chosen", at=now + 3 * HOUR, product_id="sel")
    tick(shop, now + 4 * HOUR)
    assert [user for user, *_ in people(shop)] == [None, "bob"], "others are others"
    say(shop, "ada", "Gift Chosen", at=now + 4 * DAY, product_id="sel")
    tick(shop, now + 4 * DAY + MINUTE)
    assert len(people(shop)) == later + 1
    with shop.begin() as conn:
        customers_kept.undo_merge(conn, merge, by="ines", now=now + 5 * DAY)
    say(shop, "ada", "Gift Chosen", at=now + 5 * DAY, product_id="sel")
    tick(shop, now + 5 * DAY + MINUTE)
    entered = [user for user, *_ in people(shop)]
    assert sorted(entered, key=str) == [None, "ada", "bob"], "it was somebody else who had been through it"


def test_a_merge_lets_another_key_in(shop: Database, now: datetime) -> None:
    launch(shop, NOTICED, TAG, now=now, reentry={"rule": "each_key"})
    visit(shop, "Gift Chosen", at=now, product_id="sel")
    tick(shop, now + MINUTE)
    become(shop, "ada", at=now + HOUR)
    say(shop, "ada", "Gift Chosen", at=now + 2 * HOUR, product_id="cocotte")
    tick(shop, now + 3 * HOUR)
    assert [(user, key) for user, _, _, key in people(shop)] == [(None, "sel"), ("ada", "cocotte")]


def test_looking_at_a_product_before_she_was_known_counts_as_hers(shop: Database, now: datetime) -> None:
    entry = {"type": "product_abandoned", "delay": "2h", "views": 2}
    launch(shop, entry, [send("hi")], now=now)
    visit(shop, "Product Viewed", at=now, product_id="sel")
    tick(shop, now + MINUTE)
    become(shop, "ada", at=now + HOUR)
    say(shop, "ada", "Product Viewed", at=now + HOUR, product_id="sel")
    tick(shop, now + 2 * HOUR + MINUTE)
    assert people(shop) == [], "as who she is now she looked an hour ago"
    tick(shop, now + 3 * HOUR + MINUTE)
    assert queued(shop) == [("ada", "hi")]


def test_who_looked_first_signed_in_and_then_not_looked_twice(shop: Database, now: datetime) -> None:
    """Her own arrival is due before that of the visitor she was; neither is settled without the other."""
    launch(shop, {"type": "product_abandoned", "delay": "2h", "views": 2}, [send("hi")], now=now)
    say(shop, "ada", "Product Viewed", at=now, product_id="sel")
    visit(shop, "Product Viewed", at=now + HOUR, product_id="sel")
    visit(shop, "Product Viewed", at=now + HOUR, product_id="cocotte")
    tick(shop, now + HOUR + MINUTE)
    become(shop, "ada", at=now + HOUR + 2 * MINUTE)
    tick(shop, now + 2 * HOUR + MINUTE)
    assert people(shop) == [], "she looked again since"
    tick(shop, now + 3 * HOUR + MINUTE)
    assert queued(shop) == [("ada", "hi")]
    with shop.begin() as conn:
        assert conn.scalar(sa.select(sa.func.count()).select_from(tables.arrivals)) == 0
