"""A draft replayed on the past: who would have come in, what would have left, what it would have needed."""

from collections import Counter
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import sqlalchemy as sa

from campaigns import (
    dry_run,
    dry_sends,
    experiments,
    files,
    membership,
    notes,
    plans,
    policy,
    replay,
    rules,
    segments,
    tables,
)
from campaigns.definitions import campaign as definitions
from foundation.database import Database
from shop import consent, customers
from shop.tables import customers as people_kept
from shop.tables import stores
from tests.campaigns import journey, world
from tests.campaigns.journey import send, wait

PARIS = ZoneInfo("Europe/Paris")
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


@pytest.fixture
def past(conn: sa.Connection, now: datetime) -> datetime:
    """Ten days ago three customers left a cart; ada bought hers a day later, bob never agreed to anything."""
    began = now - 10 * DAY
    world.stock_shop(conn, now=began)
    policy.save(conn, rules.Policy(cap_messages=2, cap_days=7), now=began)
    for user, agreed in (("ada", True), ("bob", False), ("eve", True)):
        world.make_customer(conn, user, at=began, consents=agreed)
        world.leave_cart(conn, user, at=began + HOUR)
    world.order(conn, "ada", at=began + DAY + HOUR, order_id="o1")
    return began


def draft(conn: sa.Connection, steps: list[dict[str, object]], *, now: datetime, **more: object) -> plans.Plan:
    definition = {
        "title": "Draft", "entry": {"type": "cart_abandoned", "delay": "1h"}, "steps": steps,
        "reentry": {"rule": "each_key"}, **more,
    }  # fmt: skip
    return plans.create(conn, "draft", definition=definition, now=now)


def shop_parts(step: dict[str, Any], shop: rules.Policy) -> int:
    """The parts the list before launching tells of a text message."""
    weight = notes.heaviest({locale: words["intro"] for locale, words in step["words"].items()}, shop)
    assert weight is not None
    return weight.parts


def draft_again(conn: sa.Connection, steps: list[dict[str, object]], *, now: datetime) -> plans.Plan:
    said = definitions.dump(plans.get(conn, "draft").definition) | {"steps": steps}
    return plans.put(conn, "draft", definition=said, now=now)


def test_a_draft_says_what_it_would_have_done(conn: sa.Connection, past: datetime, now: datetime) -> None:
    from_files = world.relaunch()["steps"][0]
    files.ensure_demo(conn, now=now, demo=False)
    steps = [send("first"), wait("days", "3d"), {**from_files, "id": "code"}, wait("more", "1d"), send("last")]
    outcome = dry_run.run(conn, draft(conn, steps, now=now), days=30, now=now)
    assert (outcome.entered, outcome.held_out, outcome.cut) == (3, 0, False)
    assert outcome.steps == {"first": 3, "code": 2, "last": 2}
    assert outcome.left == {"converted": 1, "ended": 2}
    assert outcome.by_channel == {"email": 3} and outcome.held == {"no_consent": 3, "cap": 1}
    assert outcome.codes_needed == {"WELCOME-BACK": 1} and outcome.cost == 0
    hour, number = outcome.busiest["email"]
    assert number == 2 and hour == past + 2 * HOUR


def test_one_person_is_told_step_by_step(conn: sa.Connection, past: datetime, now: datetime) -> None:
    plan = draft(conn, [send("first"), wait("days", "3d"), send("last")], now=now)
    ada = customers.find(conn, user_id="ada") or 0
    (way,) = dry_run.person(conn, plan, ada, days=30, now=now)
    assert way.entrant.at == past + 2 * HOUR and way.arm == "treated"
    assert [(line.at, line.step, line.leave) for line, _ in way.lines] == [
        (past + 2 * HOUR, "first", None), (past + DAY + HOUR, "days", "converted"),
    ]  # fmt: skip
    assert way.lines[0][1] == dry_sends.Left(past + 2 * HOUR, "email")


def test_one_person_is_found_behind_any_number_of_others(
    conn: sa.Connection, past: datetime, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = draft(conn, [send("first")], now=now)
    monkeypatch.setattr(replay, "MOST", 1)
    assert dry_run.run(conn, plan, days=30, now=now).cut
    for user in ("ada", "bob", "eve"):
        assert len(dry_run.person(conn, plan, customers.find(conn, user_id=user) or 0, days=30, now=now)) == 1


def _leaver(conn: sa.Connection, user: str, *, at: datetime) -> int:
    person = world.make_customer(conn, user, at=at)
    world.leave_cart(conn, user, at=at)
    return person


def test_who_is_left_alone_by_every_campaign_gets_nothing_here_either(
    conn: sa.Connection, past: datetime, now: datetime
) -> None:
    plan, share = draft(conn, [send("first")], now=now), 50.0
    people = [customers.find(conn, user_id=user) or 0 for user in ("ada", "bob", "eve")]
    people += [_leaver(conn, f"more{number}", at=past + HOUR) for number in range(20)]
    alone = [one for one in people if experiments.share(experiments.EVERYONE, one) < share * 100]
    policy.save(conn, rules.Policy(holdout_percent=share), now=now)
    outcome = dry_run.run(conn, plan, days=30, now=now)
    assert 0 < len(alone) < len(people)
    assert (outcome.entered, outcome.held_out, outcome.everywhere) == (len(people), len(alone), len(alone))
    assert outcome.steps["first"] == len(people) - len(alone)
    (way,) = dry_run.person(conn, plan, alone[-1], days=30, now=now)
    assert way.arm == "everywhere" and all(line.leave for line, _ in way.lines)
    service = definitions.dump(plan.definition) | {"purpose": "transactional"}
    asked_for = plans.put(conn, "draft", definition=service, now=now)
    assert dry_run.run(conn, asked_for, days=30, now=now).held_out == 0, "what she ordered is told to everybody"


def test_a_message_is_put_to_the_decision_of_real_ones(conn: sa.Connection, past: datetime, now: datetime) -> None:
    """French hours of text messages, the cap of one channel, addresses that are refused, prices of the house."""
    for user in ("ada", "eve"):
        world.say(conn, user, "", at=past, traits={"phone": "+33612345678" if user == "ada" else "+33612345679"})
        person = customers.find(conn, user_id=user) or 0
        consent.record(
            conn, customer_id=person, channel="sms", purpose="marketing", state="granted", at=past, source="x", now=past
        )
    shop = rules.Policy(channel_caps={"sms": 1}, message_prices={"sms": 7.0})
    policy.save(conn, shop, now=now)
    consent.suppress(conn, channel="sms", address="+33612345679", reason="unsubscribed", now=now)
    steps = [send("first", channel="sms"), wait("night", "11h"), send("second", channel="sms")]
    outcome = dry_run.run(conn, draft(conn, steps, now=now), days=30, now=now)
    assert outcome.held == {"no_address": 2, "suppressed": 2, "cap": 1}
    assert outcome.cost == 7 * shop_parts(steps[0], shop) == 7
    long = {"words": {"en": {"intro": "Your basket is waiting for you. " * 5}, "fr": {"intro": "Votre panier attend."}}}
    dear = send("first", channel="sms") | long
    assert (
        dry_run.run(conn, draft_again(conn, [dear], now=now), days=30, now=now).cost == 7 * shop_parts(dear, shop) == 14
    )
    plan = draft_again(conn, [wait("night", "9h"), send("late", channel="sms")], now=now)
    (way,) = dry_run.person(conn, plan, customers.find(conn, user_id="ada") or 0, days=30, now=now)
    said = way.lines[0][1]
    assert isinstance(said, dry_sends.Left) and f"{said.at.astimezone(PARIS):%d %H:%M}" == "12 08:00", "a holiday"


def test_nothing_is_kept_and_nobody_enters(conn: sa.Connection, past: datetime, now: datetime) -> None:
    dry_run.run(conn, draft(conn, [send("first")], now=now), days=30, now=now)
    for table in (tables.enrolments, tables.messages, tables.promo_codes):
        assert conn.scalar(sa.select(sa.func.count()).select_from(table)) == 0


CHEAP = {"property": "price", "test": "at_most", "value": 50}
KNOWN = {"type": "trait", "name": "email", "op": "exists"}
GOLD = {"type": "trait", "name": "tier", "value": "gold"}
ENTRIES = {
    "event": ({"type": "event", "event": "Product Added", "key": "cart"}, 3),
    "event with a condition": ({"type": "event", "event": "Product Added", "where": [CHEAP]}, 3),
    "product": ({"type": "product_abandoned", "delay": "2h"}, 1),
    "schedule": ({"type": "schedule", "every": "day", "on": "2026-01-01", "audience": KNOWN}, 3),
    "date": ({"type": "date", "trait": "birthday"}, 1),
    "segment": ({"type": "segment_entered", "segment": "gold"}, 0),
    "price": ({"type": "price_dropped"}, 1),
    "stock": ({"type": "back_in_stock"}, 0),
}  # fmt: skip


@pytest.mark.parametrize("kind", ENTRIES)
def test_every_kind_of_entry_is_asked_of_the_past(
    conn: sa.Connection, past: datetime, now: datetime, kind: str
) -> None:
    entry, expected = ENTRIES[kind]
    world.segments_of(conn, now=now)
    world.say(conn, "eve", "Product Viewed", at=past + 2 * DAY, product_id="sel")
    world.say(conn, "eve", "", at=past, traits={"birthday": (past + 3 * DAY).strftime("%m-%d")})
    for at, price in ((past, 950), (past + 3 * DAY, 500)):
        row = {"product_id": "sel", "at": at, "price": price, "currency": "EUR"}
        conn.execute(sa.insert(tables.product_prices), row)
    plan = draft(conn, [send("x")], now=now, entry=entry, reentry={"rule": "never"})
    outcome = dry_run.run(conn, plan, days=30, now=now)
    assert outcome.entered == expected
    assert outcome.replayable is (kind != "stock")


def test_a_split_and_an_event_waited_for_are_walked(conn: sa.Connection, past: datetime, now: datetime) -> None:
    world.say(conn, "eve", "", at=past, traits={"tier": "gold"})
    world.say(conn, "eve", "Form Sent", at=past + 3 * HOUR)
    steps = [
        {
            "type": "wait_for", "id": "form", "event": "Form Sent", "timeout": "1d",
            "then": [send("yes")], "otherwise": [send("no")],
        },
        {
            "type": "split", "id": "tier", "otherwise": [send("plain")],
            "branches": [{"name": "gold", "when": GOLD, "steps": [send("gold")]}],
        },
    ]  # fmt: skip
    outcome = dry_run.run(conn, draft(conn, steps, now=now, goal=None), days=30, now=now)
    assert outcome.steps == {"yes": 1, "gold": 1, "no": 2, "plain": 2}


def test_a_draft_agrees_with_what_the_campaign_really_did(db: Database, now: datetime) -> None:
    """The same days lived through and replayed: the same people, the same messages at the same times."""
    with db.begin() as conn:
        world.stock_shop(conn, now=now)
        for user in ("ada", "bob", "eve"):
            world.make_customer(conn, user, at=now)
    steps = [send("first"), wait("day", "1d"), send("second")]
    entry, again = {"type": "cart_abandoned", "delay": "1h"}, {"rule": "each_key"}
    plan = journey.launch(db, entry, steps, now=now, goal={"event": "Order Completed"}, reentry=again)
    for hour in range(80):
        at = now + hour * HOUR
        with db.begin() as conn:
            if hour in (2, 5, 9):
                world.leave_cart(conn, {2: "ada", 5: "bob", 9: "eve"}[hour], at=at)
            if hour == 12:
                world.order(conn, "bob", at=at, order_id="o")
        journey.tick(db, at)
    with db.begin() as conn:
        outcome = dry_run.run(conn, plan, days=10, now=now + 80 * HOUR)
    lived = Counter(step for _, step in journey.queued(db))
    assert outcome.steps == lived and outcome.entered == len(journey.people(db))


REACHED = {"type": "trait", "name": "tier", "value": "reached"}
IN_REACHED = {"type": "segment", "name": "reached"}
UNKNOWN = {"type": "trait", "name": "none", "op": "exists"}
AT_HOME = {"type": "distance", "store": "rivoli", "km": 5, "latitude": "lat", "longitude": "lon"}


def _set(name: str, trait: str, value: object) -> dict[str, object]:
    return {"type": "set_trait", "id": f"set-{name}", "trait": trait, "value": value}


def _asked(name: str, when: dict[str, object]) -> dict[str, object]:
    branch = {"name": "yes", "when": when, "steps": [send(f"{name}-yes")]}
    return {"type": "split", "id": name, "branches": [branch], "otherwise": [send(f"{name}-no")]}


def _writing() -> list[dict[str, object]]:
    """Steps that write traits and ask for them: at once and later, themselves and by segments, one of which asks for
    the other; where she lives, and a name of hers."""
    return [
        _asked("before", REACHED), _set("tier", "tier", "reached"), _asked("trait", REACHED),
        _asked("at-once", IN_REACHED), wait("day", "1d"), _asked("segment", IN_REACHED),
        _asked("inner", {"type": "all", "of": [KNOWN, {"type": "not", "rule": IN_REACHED | {"name": "others"}}]}),
        _set("past", "tier", "past"), _asked("again", {"type": "any", "of": [REACHED, UNKNOWN]}),
        _asked("still", IN_REACHED), wait("two", "2d"), _asked("gone", IN_REACHED),
        _set("lat", "lat", 48.86), _set("lon", "lon", 2.34), _asked("near", AT_HOME),
        _set("name", "first_name", "Zoé"), _asked("column", {"type": "trait", "name": "first_name", "value": "zoé"}),
    ]  # fmt: skip


def test_traits_a_draft_sets_are_known_to_its_splits_as_they_really_would_be(db: Database, now: datetime) -> None:
    with db.begin() as conn:
        world.stock_shop(conn, now=now)
        conn.execute(sa.insert(stores), {"store_id": "rivoli", "latitude": 48.86, "longitude": 2.34, "updated_at": now})
        for name, rule in (("reached", REACHED), ("others", {"type": "not", "rule": IN_REACHED})):
            segments.apply(conn, segments.parse({"name": name, "title": name, "rule": rule}), now=now)
        people = [world.make_customer(conn, user, at=now) for user in ("ada", "bob", "eve")]
    entry, again = {"type": "event", "event": "Form Sent", "key": "event"}, {"rule": "each_key"}
    plan = journey.launch(db, entry, _writing(), now=now, reentry=again)
    for hour in range(100):
        at = now + hour * HOUR
        journey.tick(db, at)
        with db.begin() as conn:
            for user in {2: ("ada", "bob"), 20: ("eve", "ada")}.get(hour, ()):
                world.say(conn, user, "Form Sent", at=at)
    lived = Counter(step for _, step in journey.queued(db))
    with db.begin() as conn:
        # What they were really given is taken back: a dry run has to find it by itself.
        conn.execute(sa.update(people_kept).values(traits={}, first_name=None))
    later = now + 101 * HOUR
    membership.check(db, now=later)
    with db.begin() as conn:
        outcome = dry_run.run(conn, plan, days=10, now=later)
        told = Counter(
            line.step
            for one in people
            for way in dry_run.person(conn, plan, one, days=10, now=later)
            for line, _ in way.lines
            if not line.leave and not line.step.startswith("set-")
        )
    assert lived["before-no"] and lived["before-yes"] and lived["at-once-no"] and lived["inner-yes"]
    assert lived["still-yes"] and lived["gone-no"] and lived["near-yes"] and lived["column-yes"]
    replayed = Counter({step: n for step, n in outcome.steps.items() if not step.startswith("set-")})
    assert replayed == told == lived
