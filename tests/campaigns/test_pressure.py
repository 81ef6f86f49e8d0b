"""What members of a segment got week by week, and what is planned for them, against the cap."""

from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
import sqlalchemy as sa

from campaigns import figures, members, membership, plans, policy, pressure, segments, tables
from campaigns.pressure import Pressure
from campaigns.rules import Policy
from foundation.database import Database
from shop.tables import customers
from tests.campaigns import world
from tests.campaigns.journey import send, wait

NOW = datetime(2026, 11, 19, 12, 0, tzinfo=UTC)  # a Thursday
THIS = date(2026, 11, 16)
WRITTEN = {"type": "consent", "channel": "email"}
LETTER = {
    "title": "Letter",
    "entry": {"type": "schedule", "every": "week", "on": "2026-11-24", "at": "09:00", "audience": WRITTEN},
    "reentry": {"rule": "each_key"},
    "holdout_percent": 0,
    "steps": [send("news"), wait("a-day", "1d"), send("again")],
}


@pytest.fixture
def people(db: Database) -> list[int]:
    """Four customers, of whom three are in the segment."""
    with db.begin() as conn:
        policy.save(conn, Policy(cap_messages=2, cap_days=7, timezone="UTC"), now=NOW)
        world.stock_shop(conn, now=NOW)
        found = [world.make_customer(conn, name, at=NOW - timedelta(days=90)) for name in ("ada", "bob", "cia")]
        world.make_customer(conn, "dan", at=NOW - timedelta(days=90), consents=False)
        segments.apply(conn, segments.parse({"name": "written", "title": "Written", "rule": WRITTEN}), now=NOW)
    membership.refresh(db, now=NOW)
    return found


def _wrote(db: Database, plan: plans.Plan, customer: int, at: datetime, **values: Any) -> None:
    row = {
        "id": uuid4(),
        "campaign_id": plan.id,
        "version": 1,
        "step": "mail",
        "channel": "email",
        "customer_id": customer,
        "entry_key": uuid4().hex,
        "state": "accepted",
        "queued_at": at,
        "not_before": at,
        "expires_at": at + timedelta(days=9),
        "submitted_at": at,
    }
    with db.begin() as conn:
        conn.execute(sa.insert(tables.messages).values(row | values))


def _campaign(db: Database, name: str, definition: dict[str, Any]) -> plans.Plan:
    with db.begin() as conn:
        plans.create(conn, name, definition=definition, now=NOW)
        return plans.launch(conn, name, now=NOW)


def _told(db: Database, *, now: datetime = NOW) -> Pressure:
    with db.begin() as conn:
        return pressure.most(conn, since=date(2026, 1, 1))[0]


def test_a_week_counts_what_left_in_it_and_who_had_all_the_cap_allows(db: Database, people: list[int]) -> None:
    plan = _campaign(db, "letter", LETTER)
    ada, bob, _ = people
    for customer, hours in ((ada, 1), (ada, 30), (bob, 2)):
        _wrote(db, plan, customer, NOW - timedelta(hours=hours))
    _wrote(db, plan, bob, NOW - timedelta(days=6))  # the week before: of the last seven days, not of this week
    pressure.count(db, now=NOW)
    found = _told(db)
    assert (found.size, found.messages, found.reached, found.at_cap) == (3, 4, 2, 2)
    this = found.weeks[THIS]
    assert (this.sent, this.reached, this.at_cap) == (3, 2, 1)
    before = found.weeks[THIS - timedelta(weeks=1)]
    assert (before.sent, before.reached, before.at_cap, before.planned) == (1, 1, 0, None)


def test_at_the_cap_is_who_had_in_a_week_what_the_cap_allows_in_its_days(db: Database, people: list[int]) -> None:
    with db.begin() as conn:
        policy.save(conn, Policy(cap_messages=8, cap_days=28, timezone="UTC"), now=NOW)
    plan = _campaign(db, "letter", LETTER)
    for hours in (1, 30):
        _wrote(db, plan, people[0], NOW - timedelta(hours=hours))
    pressure.count(db, now=NOW)
    found = _told(db)
    assert found.at_cap == found.weeks[THIS].at_cap == 1, "two a week"


def test_what_the_cap_lets_pass_brings_nobody_to_it(db: Database, people: list[int]) -> None:
    plan = _campaign(db, "letter", LETTER)
    for hours, free in ((1, {"purpose": "transactional"}), (2, {"channel": "onsite"}), (3, {})):
        _wrote(db, plan, people[0], NOW - timedelta(hours=hours), **free)
    pressure.count(db, now=NOW)
    found = _told(db)
    assert (found.messages, found.at_cap, found.weeks[THIS].at_cap) == (3, 0, 0)
    _wrote(db, plan, people[0], NOW - timedelta(hours=4))
    pressure.count(db, now=NOW)
    found = _told(db)
    assert (found.messages, found.at_cap, found.weeks[THIS].at_cap) == (4, 1, 1)


def test_what_went_to_her_before_she_was_known_is_hers(db: Database, people: list[int]) -> None:
    plan, (ada, bob, _) = _campaign(db, "letter", LETTER), people
    for customer in (ada, bob):
        _wrote(db, plan, customer, NOW - timedelta(hours=1))
    _wrote(db, plan, bob, NOW, state="pending", submitted_at=None)
    with db.begin() as conn:
        conn.execute(sa.update(customers).where(customers.c.id == bob).values(merged_into=ada))
        conn.execute(sa.delete(tables.segment_members).where(tables.segment_members.c.customer_id == bob))
    pressure.count(db, now=NOW)
    found = _told(db)
    assert (found.messages, found.reached, found.at_cap) == (2, 1, 1)
    assert found.weeks[THIS].planned == 1, "what still waits is hers too"


def test_weeks_of_the_past_are_counted_once_and_stay(db: Database, people: list[int]) -> None:
    plan = _campaign(db, "letter", LETTER)
    for back in range(1, pressure.BACK + 1):
        _wrote(db, plan, people[0], NOW - timedelta(weeks=back))
    for _ in range(pressure.BACK):
        pressure.count(db, now=NOW)
    first = [THIS - timedelta(weeks=back) for back in range(1, pressure.BACK + 1)]
    assert [_told(db).weeks[week].sent for week in first] == [1] * pressure.BACK
    with db.begin() as conn:
        conn.execute(sa.delete(tables.messages))
    pressure.count(db, now=NOW)
    assert [_told(db).weeks[week].sent for week in first] == [1] * pressure.BACK, "what is over is not counted again"


def test_planned_is_the_audience_of_each_moment_to_come(db: Database, people: list[int]) -> None:
    _campaign(db, "letter", LETTER)
    pressure.count(db, now=NOW)
    ahead = [_told(db).weeks[THIS + timedelta(weeks=n)].planned for n in range(4)]
    assert ahead == [0, 6, 6, 6], "two messages to each of three"
    assert _told(db).each(THIS + timedelta(weeks=1)) == 2
    with db.begin() as conn:
        plans.pause(conn, "letter", now=NOW)
    pressure.count(db, now=NOW)
    assert _told(db).weeks[THIS + timedelta(weeks=1)].planned == 0, "a campaign that is paused plans nothing"


def test_what_runs_all_the_time_is_expected_to_go_on_as_in_the_last_seven_days(db: Database, people: list[int]) -> None:
    plan = _campaign(db, "relaunch", world.relaunch() | {"steps": [send("news")]})
    for customer in people:
        _wrote(db, plan, customer, NOW - timedelta(days=2))
        _wrote(db, plan, customer, NOW - timedelta(days=3))
    pressure.count(db, now=NOW)
    weeks = _told(db).weeks
    assert weeks[THIS + timedelta(weeks=1)].planned == 6
    assert weeks[THIS].planned == round(6 * 3.5 / 7), "half of the week is to come"
    assert weeks[THIS].messages == 6 + 3


@pytest.mark.parametrize(
    ("reentry", "planned"),
    [({"rule": "each_key"}, [6, 6, 6]), ({"rule": "never"}, [6, 0, 0]), ({"rule": "after", "days": 14}, [6, 0, 6])],
)
def test_who_may_not_come_in_again_is_planned_once(
    db: Database, people: list[int], reentry: dict[str, Any], planned: list[int]
) -> None:
    _campaign(db, "letter", LETTER | {"reentry": reentry})
    pressure.count(db, now=NOW)
    weeks = _told(db).weeks
    assert [weeks[THIS + timedelta(weeks=n)].planned for n in (1, 2, 3)] == planned


@pytest.mark.parametrize(
    ("reentry", "planned"), [({"rule": "never"}, 4), ({"rule": "after", "days": 60}, 4), ({"rule": "each_key"}, 6)]
)
def test_a_letter_of_every_month_is_not_planned_for_who_may_not_come_in_again(
    db: Database, people: list[int], reentry: dict[str, Any], planned: int
) -> None:
    entry = {**LETTER["entry"], "every": "month", "on": "2026-10-24"}
    plan = _campaign(db, "letter", LETTER | {"entry": entry, "reentry": reentry})
    _entered(db, plan, people[0], at=NOW - timedelta(days=26))
    pressure.count(db, now=NOW)
    assert [_told(db).weeks[THIS + timedelta(weeks=n)].planned for n in (1, 2, 3)] == [planned, 0, 0]


def _entered(db: Database, plan: plans.Plan, customer: int, *, at: datetime) -> None:
    row = {"campaign_id": plan.id, "version": 1, "customer_id": customer, "entry_key": "before", "arm": "treated"}
    row |= dict.fromkeys(("step_since", "happened_at", "entered_at"), at) | {"state": "left", "step": "", "context": {}}
    with db.begin() as conn:
        conn.execute(sa.insert(tables.enrolments).values(row))


def test_a_letter_of_every_week_goes_on_as_it_did_once_it_has_begun(db: Database, people: list[int]) -> None:
    plan = _campaign(db, "letter", LETTER)
    _entered(db, plan, people[0], at=NOW)
    _wrote(db, plan, people[0], NOW - timedelta(days=2))
    figures.refresh(db, now=NOW)
    pressure.count(db, now=NOW)
    assert [_told(db).weeks[THIS + timedelta(weeks=n)].planned for n in (1, 2, 3)] == [1, 1, 1]


def test_what_waits_of_an_audience_is_planned_for_its_week(db: Database, people: list[int]) -> None:
    plan = _campaign(db, "letter", LETTER)
    later = NOW + timedelta(days=6)
    _wrote(db, plan, people[0], NOW, state="pending", submitted_at=None, not_before=later)
    _wrote(db, plan, people[1], NOW, state="pending", submitted_at=None, not_before=NOW - timedelta(days=1))
    pressure.count(db, now=NOW)
    weeks = _told(db).weeks
    assert weeks[THIS].planned == 1, "what is late leaves this week"
    assert weeks[THIS + timedelta(weeks=1)].planned == 6 + 1


def test_a_journey_says_as_much_as_its_longest_way() -> None:
    split = {"type": "split", "id": "s", "branches": [{"steps": [send("b"), send("c")]}], "otherwise": [send("d")]}
    assert pressure._longest([send("a"), split, wait("w", "1d")]) == 3


def test_the_cap_of_a_week_follows_the_rules_of_the_house() -> None:
    assert pressure.weekly_cap(Policy(cap_messages=3, cap_days=7)) == 3
    assert pressure.weekly_cap(Policy(cap_messages=8, cap_days=28)) == 2


def test_only_the_most_pressed_are_told_of_and_the_one_asked_for(db: Database, people: list[int]) -> None:
    with db.begin() as conn:
        for n in range(pressure.SHOWN + 3):
            rule = {"type": "trait", "name": "city", "op": "is", "value": f"Town {n}"}
            segments.apply(conn, segments.parse({"name": f"town-{n:02}", "title": f"Town {n}", "rule": rule}), now=NOW)
    membership.refresh(db, now=NOW)
    pressure.count(db, now=NOW)
    with db.begin() as conn:
        last = f"town-{pressure.SHOWN + 2:02}"
        found = [one.name for one in pressure.most(conn, since=THIS, also=last)]
        assert members.sizes_since(conn, segments.get(conn, "written").id, since=THIS)
    assert len(found) == pressure.SHOWN + 1 and found[-1] == last
