"""What arms did, counted by person, in money that is net of returns, discounts and the cost of goods."""

from datetime import datetime, timedelta

import pytest
import sqlalchemy as sa

from campaigns import plans, policy, reports, rules, tables
from campaigns.definitions import campaign as definitions
from campaigns.evidence import measures
from campaigns.evidence.measures import Scope
from shop.tables import customers, order_lines, orders, products
from tests.campaigns.evidence import people
from tests.campaigns.journey import send

DAY = timedelta(days=1)
HEARD = {"type": "event", "event": "Signed Up"}


@pytest.fixture
def plan(conn: sa.Connection, now: datetime) -> plans.Plan:
    definition = {"title": "x", "entry": HEARD, "steps": [send("hello")], "goal": {"within": "5d"}}
    return plans.create(conn, "x", definition=definition, now=now)


def lift(conn: sa.Connection, plan: plans.Plan, now: datetime, **changes: object) -> measures.Lift:
    scope = Scope(**changes)  # type: ignore[arg-type]
    return measures.of_campaign(conn, plan.id, window=5 * DAY, policy=policy.load(conn), now=now, scope=scope)


def test_each_arm_is_counted_by_person_from_her_first_entry_to_the_end_of_her_window(
    conn: sa.Connection, plan: plans.Plan, now: datetime
) -> None:
    ids = people.made(conn, 8, at=now)
    people.enrolled(conn, plan, ids[:4], at=now)
    people.enrolled(conn, plan, ids[4:7], at=now, arm="holdout")
    people.enrolled(conn, plan, ids[7:], at=now, arm="everywhere")
    people.enrolled(conn, plan, ids[:1], at=now + 8 * DAY, key="again")
    people.bought(conn, ids[:2], at=now + DAY)
    people.bought(conn, ids[:1], at=now + 2 * DAY, name="second")
    people.bought(conn, ids[2:3], at=now + 6 * DAY, name="late")
    people.bought(conn, ids[3:4], at=now - DAY, name="early")
    people.bought(conn, ids[:1], at=now + 9 * DAY, name="after-re-entry")
    people.bought(conn, ids[7:], at=now + DAY, name="left-alone")
    found = lift(conn, plan, now + 10 * DAY)
    assert (found.treated.people, found.treated.buyers, found.treated.orders.total) == (4, 2, 3)
    assert (found.treated.sales.total, found.treated.sales.squares) == (30_000, 20_000**2 + 10_000**2)
    assert (found.held_out.people, found.held_out.buyers, found.watched) == (4, 1, 0)


def test_who_is_still_watched_does_not_count_yet(conn: sa.Connection, plan: plans.Plan, now: datetime) -> None:
    ids = people.made(conn, 2, at=now)
    people.enrolled(conn, plan, ids[:1], at=now - 6 * DAY)
    people.enrolled(conn, plan, ids[1:], at=now - 4 * DAY)
    found = lift(conn, plan, now)
    assert (found.treated.people, found.watched) == (1, 1)


def test_two_records_of_one_person_are_one_person(conn: sa.Connection, plan: plans.Plan, now: datetime) -> None:
    one, other = people.made(conn, 2, at=now)
    people.enrolled(conn, plan, [one], at=now, arm="holdout")
    people.enrolled(conn, plan, [other], at=now + DAY)
    conn.execute(sa.update(customers).where(customers.c.id == other).values(merged_into=one))
    people.bought(conn, [one], at=now + 2 * DAY)
    found = lift(conn, plan, now + 20 * DAY)
    assert (found.treated.people, found.held_out.people, found.held_out.buyers) == (0, 1, 1)


def test_returns_cancelled_orders_and_other_currencies_are_not_sales(
    conn: sa.Connection, plan: plans.Plan, now: datetime
) -> None:
    ids = people.made(conn, 4, at=now)
    people.enrolled(conn, plan, ids, at=now)
    people.bought(conn, ids[:1], at=now + 2 * DAY, refunded=4_000)
    people.bought(conn, ids[1:2], at=now + DAY, state="cancelled")
    people.bought(conn, ids[2:3], at=now + DAY, state="refunded", refunded=10_000)
    people.bought(conn, ids[3:], at=now + DAY, currency="USD")
    found = lift(conn, plan, now + 9 * DAY).treated
    assert (found.buyers, found.sales.total, found.margin.total) == (3, 6_000, 2_400)


def test_margin_takes_the_products_cost_else_its_margin_else_the_shops_usual_one(
    conn: sa.Connection, plan: plans.Plan, now: datetime
) -> None:
    policy.save(conn, rules.Policy(margin_percent=25), now=now)
    ids = people.made(conn, 4, at=now)
    people.enrolled(conn, plan, ids, at=now)
    told = {"cost": {"cost": 30.5}, "share": {"margin": 0.6}, "nothing": {}}
    for name, attributes in told.items():
        row = {"product_id": name, "title": name, "price": 5_000, "currency": "EUR", "attributes": attributes}
        conn.execute(sa.insert(products).values(**row, created_at=now, updated_at=now))
    people.bought(conn, ids, at=now + DAY, total=9_000, discount=1_000)
    for customer, name in zip(ids, [*told, None], strict=True):
        if name:
            line = {"order_id": f"o-{customer}", "line": 1, "customer_id": customer, "ordered_at": now + DAY}
            conn.execute(sa.insert(order_lines).values(**line, product_id=name, quantity=2, price=5_000))
    expected = [9_000 - 2 * 3_050, 9_000 - 2 * 2_000, 9_000 - 2 * 3_750, 9_000 * 0.25]
    assert lift(conn, plan, now + 9 * DAY).treated.margin.total == pytest.approx(sum(expected))
    conn.execute(sa.update(orders).where(orders.c.order_id == f"o-{ids[0]}").values(refunded=4_500))
    expected[0] /= 2
    assert lift(conn, plan, now + 9 * DAY).treated.margin.total == pytest.approx(sum(expected))


def test_a_report_may_be_about_a_time_or_a_version(conn: sa.Connection, plan: plans.Plan, now: datetime) -> None:
    ids = people.made(conn, 3, at=now)
    people.enrolled(conn, plan, ids[:1], at=now - 20 * DAY)
    people.enrolled(conn, plan, ids[1:], at=now - 10 * DAY)
    conn.execute(sa.update(tables.enrolments).where(tables.enrolments.c.customer_id == ids[2]).values(version=2))
    assert lift(conn, plan, now, since=now - 15 * DAY).treated.people == 2
    assert lift(conn, plan, now, until=now - 15 * DAY).treated.people == 1
    assert lift(conn, plan, now, version=2).treated.people == 1
    people.enrolled(conn, plan, ids[:1], at=now - 9 * DAY, key="again")
    assert lift(conn, plan, now, since=now - 15 * DAY).treated.people == 2, "who came again was not brought by chance"


def test_lift_is_proved_against_the_holdout_of_the_campaign_and_of_all_campaigns(
    conn: sa.Connection, plan: plans.Plan, now: datetime
) -> None:
    ids = people.made(conn, 5_000, at=now)
    people.enrolled(conn, plan, ids[:3_000], at=now)
    people.enrolled(conn, plan, ids[3_000:4_000], at=now, arm="holdout")
    people.enrolled(conn, plan, ids[4_000:], at=now, arm="everywhere")
    people.bought(conn, ids[:600], at=now + DAY)
    people.bought(conn, ids[3_000:3_100], at=now + DAY, name="held")
    people.bought(conn, ids[4_000:4_100], at=now + DAY, name="everywhere")
    found = lift(conn, plan, now + 9 * DAY)
    assert found.bought and found.sales and found.margin and found.conclusive
    assert found.bought.low < 0.1 < found.bought.high and found.sales.value == pytest.approx(1_000)
    assert found.margin.value == pytest.approx(400)
    everywhere = reports.everywhere(conn, now=now + 9 * DAY)
    assert (everywhere.treated.people, everywhere.held_out.people) == (4_000, 1_000)
    assert everywhere.bought and everywhere.bought.value == pytest.approx(700 / 4_000 - 0.1)


def test_evidence_begins_anew_when_another_share_is_left_alone(
    conn: sa.Connection, plan: plans.Plan, now: datetime
) -> None:
    """Before, nobody was left alone: who came in then would be compared with people of another season."""
    ids = people.made(conn, 6, at=now)
    people.enrolled(conn, plan, ids[:2], at=now)
    said = definitions.dump(plan.definition)
    plans.update(conn, "x", definition=said | {"holdout_percent": 50}, now=now + 10 * DAY)
    plans.update(conn, "x", definition=said | {"holdout_percent": 50, "title": "y"}, now=now + 11 * DAY)
    people.enrolled(conn, plan, ids[2:3], at=now + 10 * DAY)
    people.enrolled(conn, plan, ids[3:4], at=now + 12 * DAY, arm="holdout")
    found = lift(conn, plan, now + 20 * DAY)
    assert (found.treated.people, found.held_out.people) == (1, 1)
    policy.save(conn, rules.Policy(holdout_percent=10), now=now + 30 * DAY)
    policy.save(conn, rules.Policy(holdout_percent=10, cap_messages=9), now=now + 33 * DAY)
    people.enrolled(conn, plan, ids[4:5], at=now + 31 * DAY)
    people.enrolled(conn, plan, ids[5:], at=now + 32 * DAY, arm="everywhere")
    found = lift(conn, plan, now + 50 * DAY)
    assert (found.treated.people, found.held_out.people) == (1, 1)
    everywhere = reports.everywhere(conn, now=now + 50 * DAY)
    assert (everywhere.treated.people, everywhere.held_out.people) == (1, 1)
