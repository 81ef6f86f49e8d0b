"""What the ledger promises: caps, priorities, pauses, canaries, what is too late, doubts, sums; on real PostgreSQL."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from campaigns import (
    audit,
    enrolments,
    feedback,
    files,
    gates,
    guards,
    messages,
    overdue,
    plans,
    policy,
    rules,
    settling,
    tables,
)
from campaigns.channels.base import Outcome
from campaigns.feedback import Kind, Report
from campaigns.sending import Sending
from foundation.database import Database
from tests.campaigns import world
from tests.campaigns.carriers import Carrier
from tests.prove import stops

HOUR = timedelta(hours=1)


@pytest.fixture
def sending(db: Database, carrier: Carrier, tmp_path: Path, now: datetime) -> Iterator[Sending]:
    with db.begin() as conn:
        world.stock_shop(conn, now=now)
        world.launch(conn, now=now, offer=None, products=0)
    yield world.sending(carrier, tmp_path)


def also(db: Database, name: str, *, now: datetime, **changes: Any) -> None:
    """Another campaign for the same carts."""
    with db.begin() as conn:
        plans.create(conn, name, definition=world.relaunch(offer=None, products=0) | changes, now=now)
        plans.launch(conn, name, now=now)


def obey(db: Database, *, now: datetime, **changes: Any) -> None:
    with db.begin() as conn:
        policy.save(conn, rules.Policy(quiet_from=None, quiet_until=None, **changes), now=now)


def enrol(db: Database, *users: str, now: datetime) -> datetime:
    with db.begin() as conn:
        for user in users:
            world.make_customer(conn, user, at=now)
            world.leave_cart(conn, user, at=now)
    due = now + HOUR + timedelta(minutes=1)
    enrolments.admit_due(db, now=due)
    enrolments.advance_due(db, now=due)
    return due


def states(db: Database) -> list[tuple[str, str | None]]:
    with db.begin() as conn:
        rows = conn.execute(sa.select(tables.messages.c.state, tables.messages.c.reason))
        return sorted((tuple(row) for row in rows), key=str)


# ---------------------------------------------------------------------------------------- caps and priority
def test_twenty_campaigns_at_once_never_exceed_the_cap_of_one_person(db: Database, tmp_path: Path) -> None:
    told = stops.cap_everybody(db, tmp_path, people=25, campaigns=20, senders=4, cap=2)
    assert told.got == {2: 25}, "exactly the cap, for each of 25 persons wanted by 20 campaigns"
    assert told.wanted == 500 and states(db).count(("accepted", None)) == 50


def test_the_higher_priority_goes_and_the_loser_says_to_whom_it_lost(
    db: Database, sending: Sending, carrier: Carrier, now: datetime
) -> None:
    also(db, "urgent", now=now, priority=90)
    obey(db, now=now, cap_messages=1, cap_days=7)
    due = enrol(db, "camille", now=now)
    for minutes in range(3):
        messages.deliver_due(db, sending, now=due + timedelta(minutes=minutes))
    with db.begin() as conn:
        rows = conn.execute(sa.text(
            "SELECT name, messages.state, reason, detail FROM messages JOIN campaigns ON campaigns.id = campaign_id"
        )).all()  # fmt: skip
    assert sorted(tuple(row) for row in rows) == [
        (files.DEMO, "skipped", "outranked", "urgent"),
        ("urgent", "accepted", None, None),
    ]


def test_what_somebody_ordered_is_bound_by_no_cap_and_needs_no_yes(
    db: Database, sending: Sending, carrier: Carrier, now: datetime
) -> None:
    also(db, "receipt", now=now, purpose="transactional")
    obey(db, now=now, cap_messages=0)
    with db.begin() as conn:
        plans.pause(conn, files.DEMO, now=now)
        world.make_customer(conn, "camille", at=now, consents=False)
        world.leave_cart(conn, "camille", at=now)
    due = now + HOUR + timedelta(minutes=1)
    enrolments.admit_due(db, now=due)
    enrolments.advance_due(db, now=due)
    messages.deliver_due(db, sending, now=due)
    assert [mail.address for mail in carrier.handed] == ["camille@example.org"]


def test_a_share_of_everybody_gets_no_marketing_at_all(db: Database, sending: Sending, now: datetime) -> None:
    also(db, "receipt", now=now, purpose="transactional")
    obey(db, now=now, holdout_percent=50)
    enrol(db, *(f"u{number}" for number in range(30)), now=now)
    with db.begin() as conn:
        arms = conn.execute(sa.text(
            "SELECT name, arm, count(*) FROM enrolments JOIN campaigns ON campaigns.id = campaign_id GROUP BY 1, 2"
        )).all()  # fmt: skip
    found = {(name, arm): number for name, arm, number in arms}
    assert 5 < found[files.DEMO, "everywhere"] < 25 and found["receipt", "treated"] == 30


# ------------------------------------------------------------------------------------------- pause, cancel
def test_after_a_pause_has_answered_nothing_begins_and_what_flew_was_counted(db: Database, tmp_path: Path) -> None:
    told = stops.pause_often(db, tmp_path, pauses=6)
    assert told.began_after == 0 and told.twice == 0 and told.flying <= 6 and told.handed >= 18


# ------------------------------------------------------------------------------------------------ too late
def test_what_is_overdue_waits_for_a_decision_and_is_sent_or_dropped_by_it(
    db: Database, sending: Sending, carrier: Carrier, now: datetime
) -> None:
    due = enrol(db, "a", "b", now=now)
    later = due + timedelta(hours=13)
    messages.deliver_due(db, sending, now=later)
    settling.sweep(db, now=later)
    assert carrier.handed == [] and states(db) == [("held", "overdue")] * 2
    with db.begin() as conn:
        plan = plans.get(conn, files.DEMO)
        assert [(one.campaign, one.number) for one in overdue.counts(conn)] == [(files.DEMO, 2)]
        assert overdue.send(conn, plan.id, now=later) == 2
    messages.deliver_due(db, sending, now=later)
    assert len(carrier.handed) == 2
    due = enrol(db, "c", now=later)
    settling.sweep(db, now=due + timedelta(hours=13))
    with db.begin() as conn:
        assert overdue.drop(conn, plan.id, now=later) == 1
    assert states(db)[-1] == ("expired", "dropped_by_operator")


# --------------------------------------------------------------------------------------- canary and guards
def test_a_canary_goes_first_and_the_rest_follows_when_nothing_went_wrong(
    db: Database, sending: Sending, carrier: Carrier, now: datetime
) -> None:
    canary = {"messages": 10, "wait": "30m"}
    also(db, "wide", now=now, canary=canary, reentry={"rule": "each_key"})
    with db.begin() as conn:
        plans.cancel(conn, files.DEMO, now=now)
    due = enrol(db, *(f"u{number}" for number in range(30)), now=now)
    for minutes in (0, 1, 20):
        messages.deliver_due(db, sending, now=due + timedelta(minutes=minutes))
        guards.watch(db, now=due + timedelta(minutes=minutes))
    assert len(carrier.handed) == 10
    with db.begin() as conn:
        standing = guards.out(conn, plans.get(conn, "wide"))
    assert standing == guards.Out(10, 0, due + timedelta(minutes=30))
    guards.watch(db, now=due + timedelta(minutes=32))
    messages.deliver_due(db, sending, now=due + timedelta(minutes=33))
    assert len(carrier.handed) == 30
    with db.begin() as conn:
        assert guards.out(conn, plans.get(conn, "wide")) is None


def test_a_canary_that_bounces_pauses_its_campaign_with_the_figures(
    db: Database, sending: Sending, carrier: Carrier, now: datetime
) -> None:
    also(db, "wide", now=now, canary={"messages": 10, "wait": "30m"})
    with db.begin() as conn:
        plans.cancel(conn, files.DEMO, now=now)
    due = enrol(db, *(f"u{number}" for number in range(30)), now=now)
    messages.deliver_due(db, sending, now=due)
    reports = [
        Report(f"b{n}", Kind.BOUNCED, due, message_id=mail.message_id, attempt=1, bad_address=True)
        for n, mail in enumerate(carrier.handed[:2])
    ]
    with db.begin() as conn:
        feedback.reported(conn, "carrier", reports, now=due)
    for minutes in (1, 2, 40):
        guards.watch(db, now=due + timedelta(minutes=minutes))
    messages.deliver_due(db, sending, now=due + timedelta(minutes=41))
    with db.begin() as conn:
        plan = plans.get(conn, "wide")
    assert len(carrier.handed) == 10 and plan.state == "paused" and plan.pause_reason == "canary"
    assert plan.pause_detail is not None and plan.pause_detail["bounces"] == 2


def test_limits_are_of_shares_of_enough_messages() -> None:
    limits = rules.Policy()
    assert guards.too_many(guards.Tally(40, 30, 0, 0), limits) is None, "too few to judge"
    assert guards.too_many(guards.Tally(100, 6, 0, 0), limits) == "bounces"
    assert guards.too_many(guards.Tally(2000, 0, 3, 0), limits) == "complaints"
    assert guards.too_many(guards.Tally(2000, 0, 2, 0), limits) is None, "a tenth of a percent, and no more"
    assert guards.too_many(guards.Tally(999, 0, 2, 0), limits) is None, "among so few it is chance"
    assert guards.too_many(guards.Tally(999, 0, 3, 0), limits) == "complaints"
    assert guards.too_many(guards.Tally(999, 0, 1, 0), rules.Policy(guard_complaints=0.0)) == "complaints"
    assert guards.too_many(guards.Tally(100, 0, 0, 21), limits) == "failures"
    assert guards.too_many(guards.Tally(100, 5, 0, 20), limits) is None
    assert guards.too_many(guards.Tally(10, 0, 1, 0), limits, canary=True) == "complaints"


# --------------------------------------------------------------------------------------------------- doubt
def test_a_provider_that_knows_its_messages_is_asked_again(
    db: Database, sending: Sending, carrier: Carrier, now: datetime
) -> None:
    carrier.keeps_for = timedelta(hours=24)
    due = enrol(db, "camille", now=now)
    carrier.always(Outcome.AMBIGUOUS)
    messages.deliver_due(db, sending, now=due)
    settling.sweep(db, channels=sending.channels, now=due)
    carrier.always(Outcome.ACCEPTED)
    messages.deliver_due(db, sending, now=due + timedelta(minutes=1))
    assert states(db) == [("accepted", None)]
    assert len({mail.message_id for mail in carrier.handed}) == 1 and len(carrier.handed) == 2


def test_doubt_ends_by_sending_again_only_once_the_provider_told_of_a_later_one(
    db: Database, sending: Sending, carrier: Carrier, now: datetime
) -> None:
    carrier.tells = True
    also(db, "receipt", now=now, purpose="transactional")
    with db.begin() as conn:
        plans.cancel(conn, files.DEMO, now=now)
    due = enrol(db, "lost", now=now)
    carrier.always(Outcome.AMBIGUOUS)
    messages.deliver_due(db, sending, now=due)
    later = due + timedelta(minutes=11)
    settling.sweep(db, channels=sending.channels, now=later)
    assert states(db) == [("uncertain", "no_answer")], "nothing shows that it tells of what it takes"
    carrier.always(Outcome.ACCEPTED)
    due = enrol(db, "heard", now=due)
    messages.deliver_due(db, sending, now=due)
    told = Report("e1", Kind.DELIVERED, due, message_id=carrier.handed[-1].message_id, attempt=1)
    with db.begin() as conn:
        feedback.reported(conn, "carrier", [told], now=due)
    settling.sweep(db, channels=sending.channels, now=due)
    messages.deliver_due(db, sending, now=due)
    assert states(db) == [("accepted", None), ("delivered", None)]
    assert [mail.attempt for mail in carrier.handed] == [1, 1, 2]


# -------------------------------------------------------------------------------------------------- limits
def test_all_senders_together_keep_to_the_rate_of_a_provider(db: Database, now: datetime) -> None:

    taken: list[float] = []

    def send(until: float) -> None:
        while time.monotonic() < until:
            with db.begin() as conn:
                got = gates.take(conn, "limited", wanted=4, per_second=40)
            taken.extend([time.monotonic()] * got)
            time.sleep(0.01)

    until = time.monotonic() + 4
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(send, [until] * 4))
    taken.sort()
    windows = [sum(at <= other < at + 1 for other in taken) for at in taken]
    assert max(windows) <= 44 and 144 <= len(taken) <= 168


# ---------------------------------------------------------------------------------------------------- sums
def test_the_sums_hold_and_say_so_when_a_message_disappears(
    db: Database, sending: Sending, carrier: Carrier, now: datetime
) -> None:
    due = enrol(db, "a", "b", "c", now=now)
    messages.deliver_due(db, sending, now=due)
    assert audit.add_up(db, now=due) == "1 added up"
    with db.begin() as conn:
        (found,) = audit.last(conn)
        assert found.figures.holds and (found.figures.wanted, found.figures.states) == (3, {"accepted": 3})
        conn.execute(sa.text("DELETE FROM messages WHERE id = (SELECT id FROM messages LIMIT 1)"))
    assert audit.add_up(db, now=due) == f"does not add up: {files.DEMO}"
    with db.begin() as conn:
        (found,) = audit.broken(conn)
    assert found.figures.lost == 1 and found.broken_since == due
