"""Each kind of step followed by each other, from the entry to the end; and what the steps that act bring about."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from campaigns import enrolments, experiments, journeys, messages, moving, plans, tables
from campaigns.definitions import campaign as definitions
from campaigns.definitions import flow
from campaigns.journeys import Facts, Place
from campaigns.sending import Sending
from foundation.database import Database
from shop import customers
from shop.tables import events
from tests.campaigns import journey, world
from tests.campaigns.carriers import Carrier
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


FORM, NINE = 2 * HOUR + 30 * MINUTE, 22 * HOUR
"""When Ada sends the form, and when it is nine in Paris, so long after she signed up at eleven."""


def foreseen(kinds: dict[str, str]) -> Iterator[tuple[timedelta, str]]:
    """What these steps do and when, so long after the entry: a message, a trait, a call, the end; each by its step."""
    at = timedelta(0)
    for name, kind in kinds.items():
        if kind == "exit":
            yield at, "exited"
            return
        if kind == "wait":
            at += 2 * HOUR
        elif kind == "wait_until":
            at += (NINE - at) % DAY
        elif kind == "wait_for" and at >= FORM:
            at += DAY
        else:
            at = FORM if kind == "wait_for" else at
            yield at, name
    yield at, "end"
    yield at, "ended"


@dataclass
class Timetable:
    """What is due at a moment, done; and when the carrier took which message."""

    db: Database
    sending: Sending
    carrier: Carrier
    taken: list[tuple[datetime, str, str]] = field(default_factory=list)

    def at(self, moment: datetime) -> None:
        before = len(self.carrier.handed)
        enrolments.admit_due(self.db, now=moment)
        enrolments.advance_due(self.db, now=moment)
        messages.deliver_due(self.db, self.sending, now=moment)
        with self.db.begin() as conn:
            steps = {one: step for one, step in conn.execute(sa.select(tables.messages.c.id, tables.messages.c.step))}
        fresh = self.carrier.handed[before:]
        self.taken += [(moment, mail.campaign, steps[mail.message_id]) for mail in fresh]

    def happened(self, *, since: datetime) -> dict[str, list[tuple[timedelta, str]]]:
        """By campaign everything that steps did, in the order of time and name."""
        held, called, campaigns = tables.enrolments.c, tables.webhook_calls.c, tables.campaigns.c
        whose, step = (sa.func.split_part(events.c.message_id, ":", part) for part in (2, 3))
        written = sa.select(events.c.occurred_at, held.campaign_id, step).join(
            tables.enrolments, events.c.message_id.startswith("trait:") & (whose == sa.cast(held.id, sa.Text))
        )
        with self.db.begin() as conn:
            names = {key: name for key, name in conn.execute(sa.select(campaigns.id, campaigns.name))}
            rows = [*conn.execute(sa.select(held.left_at, held.campaign_id, held.reason))]
            rows += conn.execute(sa.select(called.queued_at, called.campaign_id, called.step))
            rows += conn.execute(written)
        found: dict[str, list[tuple[timedelta, str]]] = {name: [] for name in names.values()}
        for moment, campaign, did in [*self.taken, *((at, names[key], did) for at, key, did in rows)]:
            found[campaign].append((moment - since, did.removesuffix("-b").removesuffix("-mark")))
        return {name: sorted(done) for name, done in found.items()}


@pytest.mark.parametrize("first", [kind for kind in STEPS if kind != "exit"])
def test_each_step_is_followed_by_each_other(
    shop: Database, carrier: Carrier, tmp_path: Path, now: datetime, first: str
) -> None:
    """Everything is done by its step, at its moment and not a minute before it, once; and nothing else is."""
    days, expected = Timetable(shop, world.sending(carrier, tmp_path), carrier), {}
    for second in STEPS:
        name, a, b = f"x-{first}-{second}".replace("_", "-"), f"one-{second}", f"two-{second}"
        end = [] if second == "exit" else [send("end")]
        launch(shop, SIGNED_UP, [STEPS[first](a), STEPS[second](b), *end], now=now, name=name)
        expected[name] = sorted(foreseen({a: first, b: second}))
    say(shop, "Signed Up", at=now)
    moments = {after for done in expected.values() for after, _ in done}
    early = {after - MINUTE for after in moments if after}
    for after in sorted({*moments, *early, 4 * DAY}):
        if after == FORM:
            say(shop, "Form Sent", at=now + after)
        days.at(now + after)
    assert days.happened(since=now) == expected
    with shop.begin() as conn:
        assert set(conn.scalars(sa.select(tables.messages.c.state))) == {"accepted"}


@pytest.mark.parametrize("first", [kind for kind in STEPS if kind != "exit"])
def test_steps_are_passed_in_their_order(now: datetime, first: str) -> None:
    """Also those of one moment, which no moment could tell apart."""
    for second in STEPS:
        kept = {"title": "t", "entry": SIGNED_UP, "goal": None, "steps": [STEPS[first]("a"), STEPS[second]("b")]}
        laid = flow.lay(definitions.parse(kept).steps)
        place, acts, passed = Place(laid.first, now, now, experiments.TREATED, "s", 7), list[str](), list[str]()
        for day in range(4):
            facts = Facts(ways={"a": 0, "b": 0}, heard=True)
            turn = journeys.advance(laid, place, facts, window=None, now=now + day * DAY)
            place, acts, passed = turn.place, [*acts, *turn.acts], [*passed, *(step for step, _ in turn.passed)]
            if turn.leave:
                break
        assert turn.leave == ("exited" if second == "exit" else "ended")
        assert [step[0] for step in passed] == sorted(step[0] for step in passed), (first, second, passed)
        assert {step[0] for step in passed} == ({"a"} if second == "exit" else {"a", "b"})
        assert [step for step in passed if step in acts] == acts


def test_an_exit_ends_her_journey_and_nobody_elses(
    shop: Database, carrier: Carrier, tmp_path: Path, now: datetime
) -> None:
    out = {"name": "gold", "when": GOLD, "steps": [{"type": "exit", "id": "out"}]}
    split = {"type": "split", "id": "way", "branches": [out]}
    launch(shop, SIGNED_UP, [split, wait("two", "2h"), send("on")], now=now)
    with shop.begin() as conn:
        world.make_customer(conn, "bob", at=now)
        world.say(conn, "bob", "Signed Up", at=now)
    say(shop, "Signed Up", at=now)
    days = Timetable(shop, world.sending(carrier, tmp_path), carrier)
    for hours in (0, 2, 30):
        days.at(now + hours * HOUR)
    assert [mail.address for mail in carrier.handed] == ["bob@example.org"]
    assert sorted(row[:3] for row in journey.people(shop)) == [("ada", "left", "exited"), ("bob", "left", "ended")]


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
