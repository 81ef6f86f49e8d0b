"""A report adds up: everybody of an audience in one part, every message in one state, every buyer after one message."""

from datetime import datetime, timedelta

import pytest
import sqlalchemy as sa

from campaigns import plans, policy, reports, rules, tables
from campaigns.evidence.measures import Scope
from foundation import database
from shop.tables import stores
from tests.campaigns.evidence import people
from tests.campaigns.journey import send

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
HEARD = {"type": "event", "event": "Signed Up"}


@pytest.fixture
def plan(conn: sa.Connection, now: datetime) -> plans.Plan:
    steps = [send("first"), {"type": "wait", "id": "w", "duration": "1d"}, send("second", channel="sms")]
    definition = {"title": "x", "entry": HEARD, "steps": steps, "goal": {"within": "5d"}}
    return plans.create(conn, "x", definition=definition, now=now)


def message(
    conn: sa.Connection,
    plan: plans.Plan,
    customer: int,
    *,
    at: datetime,
    step: str = "first",
    state: str = "accepted",
    **more: object,
) -> object:
    held = tables.enrolments
    enrolment = conn.scalar(sa.select(held.c.id).where(held.c.campaign_id == plan.id, held.c.customer_id == customer))
    sent = {"accepted_at": at} if state in ("accepted", "delivered") else {}
    row = {
        "id": database.new_id(),
        "campaign_id": plan.id,
        "version": 1,
        "step": step,
        "channel": "email" if step == "first" else "sms",
        "customer_id": customer,
        "entry_key": f"k{customer}",
        "enrolment_id": enrolment,
        "state": state,
        "queued_at": at,
        "not_before": at,
        "expires_at": at + DAY,
        **sent,
        **more,
    }
    return conn.scalar(sa.insert(tables.messages).values(row).returning(tables.messages.c.id))


def left(conn: sa.Connection, customer: int, reason: str) -> None:
    mine = tables.enrolments.c.customer_id == customer
    conn.execute(sa.update(tables.enrolments).where(mine).values(state="left", reason=reason))


def test_everybody_stands_in_exactly_one_part(conn: sa.Connection, plan: plans.Plan, now: datetime) -> None:
    ids = people.made(conn, 12, at=now)
    people.enrolled(conn, plan, ids[:9], at=now)
    people.enrolled(conn, plan, ids[9:11], at=now, arm="holdout")
    people.enrolled(conn, plan, ids[11:], at=now, arm="everywhere")
    message(conn, plan, ids[0], at=now)
    message(conn, plan, ids[0], at=now + DAY, step="second", state="skipped", reason="cap")
    message(conn, plan, ids[1], at=now, state="delivered")
    message(conn, plan, ids[2], at=now, state="uncertain")
    message(conn, plan, ids[3], at=now, state="pending")
    message(conn, plan, ids[4], at=now, state="skipped", reason="no_consent")
    message(conn, plan, ids[5], at=now, state="skipped", reason="bought")
    left(conn, ids[6], "converted")
    left(conn, ids[7], "no_address")
    conn.execute(sa.update(tables.enrolments).where(tables.enrolments.c.customer_id == ids[8]).values(step="first"))
    found = reports.full(conn, plan, now=now + 9 * DAY).funnel.audience
    assert (found.reached, found.uncertain, found.under_way) == (2, 1, 2)
    assert found.refused == {"no_consent": 1, "bought": 1, "no_address": 1} and found.silent == {"converted": 1}
    assert found.held_out == {"holdout": 2, "everywhere": 1}
    assert (found.entered, found.total) == (6, 12)


def test_each_stage_adds_up_and_each_buyer_follows_one_message(
    conn: sa.Connection, plan: plans.Plan, now: datetime
) -> None:
    ids = people.made(conn, 6, at=now)
    people.enrolled(conn, plan, ids, at=now)
    for one in ids[:4]:
        message(conn, plan, one, at=now + HOUR, first_clicked_at=now + 2 * HOUR if one == ids[0] else None)
    for one in ids[:2]:
        message(conn, plan, one, at=now + DAY, step="second")
    message(conn, plan, ids[2], at=now + DAY, step="second", state="skipped", reason="cap")
    message(conn, plan, ids[3], at=now + DAY, step="second", state="uncertain")
    people.bought(conn, ids[:2], at=now + 2 * DAY)
    people.bought(conn, ids[2:4], at=now + 2 * HOUR, name="early")
    people.bought(conn, ids[4:5], at=now + HOUR, name="before")
    found = reports.full(conn, plan, now=now + 9 * DAY).funnel
    first, second = found.stages
    assert (first.step, first.channel, first.planned, first.accepted, first.clicked) == ("first", "email", 4, 4, 1)
    assert (second.planned, second.accepted, second.not_sent, second.uncertain, second.waiting) == (4, 2, 1, 1, 0)
    assert (first.bought, second.bought, found.bought_before, found.bought) == (2, 2, 1, 5)
    assert found.reasons == [("cap", "second", 1)]


def test_what_is_attributed_is_told_by_channel_shop_and_day_net_of_returns(
    conn: sa.Connection, plan: plans.Plan, now: datetime
) -> None:
    policy.save(conn, rules.Policy(message_prices={"sms": 5.0, "email": 0.1}), now=now)
    conn.execute(sa.insert(stores).values(store_id="n", name="Nantes Crébillon", updated_at=now))
    ids = people.made(conn, 4, at=now)
    people.enrolled(conn, plan, ids, at=now)
    sent = [message(conn, plan, one, at=now) for one in ids]
    people.bought(conn, ids[:2], at=now + HOUR, refunded=2_500)
    people.bought(conn, ids[2:3], at=now + DAY, channel="store", store_id="n")
    people.bought(conn, ids[3:], at=now + DAY, currency="USD")
    rows = [
        {
            "order_id": f"o-{one}",
            "message_id": message_id,
            "campaign_id": plan.id,
            "kind": "code" if one == ids[2] else "click",
            "touched_at": now,
            "ordered_at": now + HOUR,
            "amount": 1,
        }
        for one, message_id in zip(ids, sent, strict=True)
    ]
    conn.execute(sa.insert(tables.attributions), rows)
    conn.execute(sa.text("UPDATE orders SET ordered_at = ordered_at + interval '1 hour' WHERE currency = 'EUR'"))
    earned = reports.full(conn, plan, now=now + 9 * DAY).earned
    if earned.currency == "USD":
        conn.execute(sa.text("UPDATE orders SET ordered_at = ordered_at - interval '3 hours' WHERE currency = 'USD'"))
    report = reports.full(conn, plan, now=now + 9 * DAY)
    places = {(one.channel, one.store): (one.orders, one.gross, one.returned, one.net) for one in report.earned.places}
    assert places == {
        ("web", None): (2, 20_000, 5_000, 15_000),
        ("store", "Nantes Crébillon"): (1, 10_000, 0, 10_000),
    }
    assert report.earned.net == 25_000 == sum(sum(day.net.values()) for day in report.earned.days)
    assert report.earned.by_kind == {"click": 2, "code": 1} and report.earned.elsewhere == 1
    assert (report.costs.messages, report.costs.sending) == (4, pytest.approx(0.4))


def test_a_text_message_costs_its_price_for_each_of_its_parts(
    conn: sa.Connection, plan: plans.Plan, now: datetime
) -> None:
    policy.save(conn, rules.Policy(message_prices={"sms": 5.0, "whatsapp": 3.0}), now=now)
    ids = people.made(conn, 3, at=now)
    people.enrolled(conn, plan, ids, at=now)
    for one, channel in zip(ids, ("sms", "sms", "whatsapp"), strict=True):
        sent = message(conn, plan, one, at=now, channel=channel)
        kept = {
            "message_id": sent,
            "address": "+33612345678",
            "sender": "Aubier",
            "subject": "",
            "html": "",
            "text": "x",
        }
        kept |= {"headers": {"parts": 1 if one == ids[0] else 2}, "links": [], "rendered_at": now}
        conn.execute(sa.insert(tables.message_contents), kept)
    costs = reports.full(conn, plan, now=now).costs
    assert (costs.messages, costs.sending) == (3, pytest.approx(3 * 5.0 + 3.0))


def test_the_report_of_a_time_is_about_its_entries_alone(conn: sa.Connection, plan: plans.Plan, now: datetime) -> None:
    old, young = people.made(conn, 2, at=now)
    people.enrolled(conn, plan, [old], at=now - 9 * DAY)
    people.enrolled(conn, plan, [young], at=now)
    message(conn, plan, old, at=now - 9 * DAY)
    message(conn, plan, young, at=now, state="skipped", reason="cap")
    report = reports.full(conn, plan, scope=Scope(since=now - DAY), now=now)
    assert (report.funnel.audience.total, len(report.funnel.stages), report.costs.messages) == (1, 1, 0)
    assert (report.first, report.last) == (now, now)


def test_a_campaign_nobody_entered_has_an_empty_report(conn: sa.Connection, plan: plans.Plan, now: datetime) -> None:
    report = reports.full(conn, plan, now=now)
    assert report.funnel.audience.total == 0 and report.lift.bought is None and report.caused is None
    assert report.earned.orders == 0 and report.gained is None and report.first is None
    assert report.goal and (report.goal.event, report.goal.treated) == ("Order Completed", 0)
