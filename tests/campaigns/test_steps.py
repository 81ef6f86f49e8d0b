"""Each kind of step followed by each other, from the entry to the end; and what the steps that act bring about."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from campaigns import moving, plans, tables
from foundation.database import Database
from shop import customers
from shop.tables import customers as people_table
from shop.tables import events
from tests.campaigns import journey, world
from tests.campaigns.journey import WORDS, launch, queued, send, tick, wait

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
SIGNED_UP = {"type": "event", "event": "Signed Up"}
GOLD = {"type": "trait", "name": "tier", "value": "gold"}
HOOK = "https://hooks.example/relance"

STEPS: dict[str, Callable[[str], dict[str, Any]]] = {
    "wait": lambda name: wait(name, "2h"),
    "wait_until": lambda name: {"type": "wait_until", "id": name, "at": "09:00"},
    "wait_for": lambda name: {
        "type": "wait_for", "id": name, "event": "Form Sent", "timeout": "1d", "then": [send(f"{name}-mark")],
    },
    "split": lambda name: {
        "type": "split", "id": name, "branches": [{"name": "gold", "when": GOLD, "steps": [send(f"{name}-mark")]}],
    },
    "experiment": lambda name: {
        "type": "experiment", "id": name,
        "variants": [{"name": "a", "steps": [send(f"{name}-mark")]}, {"name": "b", "steps": [send(f"{name}-mark-b")]}],
    },
    "send": lambda name: send(f"{name}-mark"),
    "ask": lambda name: {"type": "ask", "id": f"{name}-mark", "kind": "stars", "words": WORDS},
    "set_trait": lambda name: {"type": "set_trait", "id": name, "trait": name, "value": "set"},
    "webhook": lambda name: {"type": "webhook", "id": name, "url": HOOK},
    "exit": lambda name: {"type": "exit", "id": name},
}  # fmt: skip


@pytest.fixture
def shop(db: Database, now: datetime) -> Database:
    with db.begin() as conn:
        world.stock_shop(conn, now=now)
        world.make_customer(conn, "ada", at=now, tier="gold")
    return db


def say(db: Database, event: str, *, at: datetime, **properties: object) -> None:
    with db.begin() as conn:
        world.say(conn, "ada", event, at=at, **properties)


@pytest.mark.parametrize("first", [kind for kind in STEPS if kind != "exit"])
def test_each_step_is_followed_by_each_other(shop: Database, now: datetime, first: str) -> None:
    for second in STEPS:
        a, b = f"a-{first}-{second}", f"b-{first}-{second}"
        end = [] if second == "exit" else [send(f"end-{second}")]
        steps = [STEPS[first](a), STEPS[second](b), *end]
        launch(shop, SIGNED_UP, steps, now=now, name=f"x-{first}-{second}".replace("_", "-"))
    say(shop, "Signed Up", at=now)
    for hour in (0, 1, 2, 3, 22, 24, 26, 47, 48, 50, 72):
        if hour == 3:
            say(shop, "Form Sent", at=now + 2 * HOUR + 30 * MINUTE)
        tick(shop, now + hour * HOUR + MINUTE)
    steps_sent = [step for _, step in queued(shop)]
    with shop.begin() as conn:
        held = tables.enrolments.c
        left = conn.execute(sa.select(held.state, held.reason)).all()
        traits = conn.scalar(sa.select(people_table.c.traits).where(people_table.c.user_id == "ada"))
        called = set(conn.scalars(sa.select(tables.webhook_calls.c.step)))
    assert len(left) == len(STEPS) and {state for state, _ in left} == {"left"}
    for second in STEPS:
        assert second == "exit" or steps_sent.count(f"end-{second}") == 1, (first, second)
        for name, kind in ((f"a-{first}-{second}", first), (f"b-{first}-{second}", second)):
            assert did(kind, name, steps_sent, traits=traits or {}, called=called), (first, second, kind)


def did(kind: str, name: str, sent: list[str], *, traits: dict[str, Any], called: set[str]) -> bool:
    """Whether a step did what it is for, exactly once."""
    if kind in ("split", "send", "ask"):
        return sent.count(f"{name}-mark") == 1
    if kind == "experiment":
        return sent.count(f"{name}-mark") + sent.count(f"{name}-mark-b") == 1
    if kind == "wait_for":
        return sent.count(f"{name}-mark") <= 1
    return {"set_trait": name in traits, "webhook": name in called}.get(kind, True)


def test_a_split_behind_a_trait_that_was_set_knows_of_it(shop: Database, now: datetime) -> None:
    """Ada is gold until the journey makes her silver; which way she takes is asked after it did."""
    made = {"type": "set_trait", "id": "made", "trait": "tier", "value": "silver"}
    silver = GOLD | {"value": "silver"}
    both = [
        {"name": "gold", "when": GOLD, "steps": [send("to-gold")]},
        {"name": "silver", "when": silver, "steps": [send("to-silver")]},
    ]
    launch(shop, SIGNED_UP, [send("first"), made, {"type": "split", "id": "way", "branches": both}], now=now)
    say(shop, "Signed Up", at=now)
    tick(shop, now)
    assert sorted(queued(shop)) == [("ada", "first"), ("ada", "to-silver")]
    with shop.begin() as conn:
        assert conn.scalar(sa.select(tables.enrolments.c.said)) == 2


def test_the_holdout_passes_every_step_and_nothing_happens(shop: Database, now: datetime) -> None:
    steps = [STEPS[kind](f"a-{kind}") for kind in STEPS if kind != "exit"]
    launch(shop, SIGNED_UP, steps, now=now, holdout_percent=50)
    with shop.begin() as conn:
        for number in range(12):
            world.make_customer(conn, f"u{number}", at=now)
            world.say(conn, f"u{number}", "Signed Up", at=now)
    for hour in range(0, 80, 4):
        tick(shop, now + hour * HOUR)
    with shop.begin() as conn:
        held = tables.enrolments
        silent = conn.scalars(sa.select(held.c.customer_id).where(held.c.arm == "holdout")).all()
        spoken = set(conn.scalars(sa.select(tables.messages.c.customer_id)))
        called = set(conn.scalars(sa.select(tables.webhook_calls.c.customer_id)))
        states = set(conn.scalars(sa.select(held.c.state)))
    assert 0 < len(silent) < 12 and states == {"left"}
    assert not spoken & set(silent) and not called & set(silent) and len(spoken) == 12 - len(silent)


def test_a_trait_is_written_by_the_door_of_all_traits_and_tells_segments(shop: Database, now: datetime) -> None:
    launch(shop, SIGNED_UP, [{"type": "set_trait", "id": "vip", "trait": "vip", "value": True}], now=now)
    say(shop, "Signed Up", at=now)
    tick(shop, now + MINUTE)
    with shop.begin() as conn:
        ada = customers.find(conn, user_id="ada") or 0
        assert customers.get_many(conn, [ada])[ada].traits["vip"] is True
        assert conn.scalar(sa.select(sa.func.count()).where(events.c.name == "Identified", events.c.customer_id == ada))


# ------------------------------------------------------------------------------------------------- moving
def test_people_are_moved_to_a_newer_version_as_the_preview_said(shop: Database, now: datetime) -> None:
    old = [wait("one", "1d"), send("first"), wait("two", "1d"), send("second")]
    launch(shop, SIGNED_UP, old, now=now)
    with shop.begin() as conn:
        for user in ("bob", "eve"):
            world.make_customer(conn, user, at=now)
    say(shop, "Signed Up", at=now)
    tick(shop, now + MINUTE)
    with shop.begin() as conn:
        world.say(conn, "bob", "Signed Up", at=now + DAY)
    tick(shop, now + DAY + MINUTE)
    new = [send("extra"), wait("one", "2h"), send("other"), send("second")]
    plan = launch(shop, SIGNED_UP, new, now=now + DAY + HOUR)
    with shop.begin() as conn:
        preview = moving.preview(conn, plan)
        assert [(one.version, one.step, one.to, one.people, one.kept, one.missed) for one in preview] == [
            (1, "one", "one", 1, True, ("extra",)), (1, "two", "second", 1, False, ("extra", "other")),
        ]  # fmt: skip
        assert moving.move(conn, plan, preview, now=now + DAY + HOUR) == 2
        assert moving.preview(conn, plan) == []
    tick(shop, now + DAY + HOUR + MINUTE)
    tick(shop, now + DAY + 2 * HOUR + MINUTE)
    assert queued(shop) == [("ada", "first"), ("ada", "second"), ("bob", "other"), ("bob", "second")]


def test_a_version_keeps_its_own_words(shop: Database, now: datetime) -> None:
    launch(shop, SIGNED_UP, [wait("one", "1h"), send("first")], now=now)
    say(shop, "Signed Up", at=now)
    tick(shop, now)
    plan = launch(shop, SIGNED_UP, [wait("one", "1h"), send("first", products=3)], now=now)
    tick(shop, now + 2 * HOUR)
    with shop.begin() as conn:
        (row,) = conn.execute(sa.select(tables.messages)).mappings()
        key = (plan.id, row["version"], row["step"])
        assert row["version"] == 1 and plan.version == 2
        assert plans.said(conn, [key])[key].step.products == 0  # type: ignore[union-attr]
    assert journey.people(shop)[0][1] == "left"
