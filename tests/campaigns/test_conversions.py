from datetime import datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest
import sqlalchemy as sa

from campaigns import (
    conversions,
    enrolments,
    feedback,
    files,
    messages,
    offers,
    plans,
    policy,
    redeeming,
    reports,
    tables,
    visits,
)
from campaigns.verdicts import Basket, Line
from foundation.database import Database
from tests.campaigns import world
from tests.campaigns.carriers import Carrier

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


@pytest.fixture
def sent(db: Database, tmp_path: Path, now: datetime) -> UUID:
    """Camille got her mail at `now` plus one hour."""
    with db.begin() as conn:
        world.stock_shop(conn, now=now)
        world.launch(conn, now=now)
        world.make_customer(conn, "camille", at=now)
        world.leave_cart(conn, "camille", at=now)
    enrolments.admit_due(db, now=now + HOUR)
    enrolments.advance_due(db, now=now + HOUR)
    messages.deliver_due(db, world.sending(Carrier(), tmp_path), now=now + HOUR)
    with db.begin() as conn:
        found = conn.scalar(sa.select(tables.messages.c.id))
    assert found is not None
    return found


def credited(db: Database) -> list[str]:
    with db.begin() as conn:
        return list(conn.scalars(sa.select(tables.attributions.c.order_id).order_by(tables.attributions.c.order_id)))


def test_only_orders_after_a_click_and_within_the_window_are_credited_and_only_once(
    db: Database, sent: UUID, now: datetime
) -> None:
    with db.begin() as conn:
        world.order(conn, "camille", at=now + HOUR, order_id="before")
        feedback.clicked(conn, sent, 0, now=now + 2 * HOUR)
        world.order(conn, "camille", at=now + 3 * HOUR, order_id="after", channel="store")
        world.order(conn, "camille", at=now + 8 * DAY, order_id="late")
        world.make_customer(conn, "someone", at=now)
        world.order(conn, "someone", at=now + 3 * HOUR, order_id="other")
    conversions.credit_new_orders(db, now=now + 9 * DAY)
    assert conversions.credit_new_orders(db, now=now + 9 * DAY) is None
    assert credited(db) == ["after"]


def test_an_open_or_a_scanner_earns_nothing(db: Database, sent: UUID, now: datetime) -> None:
    with db.begin() as conn:
        feedback.opened(conn, sent, now=now + 2 * HOUR)
        visits.followed(conn, sent, 0, machine=True, now=now + 2 * HOUR)
        world.order(conn, "camille", at=now + 3 * HOUR, order_id="o")
    visits.judge(db, now=now + 3 * HOUR)
    conversions.credit_new_orders(db, now=now + 4 * HOUR)
    assert credited(db) == []


def test_a_cancelled_order_gives_its_code_back_and_earns_nothing(db: Database, sent: UUID, now: datetime) -> None:
    with db.begin() as conn:
        feedback.clicked(conn, sent, 0, now=now + 2 * HOUR)
        code = conn.scalar(sa.select(tables.promo_codes.c.code)) or ""
        world.order(conn, "camille", at=now + 3 * HOUR, order_id="o", coupon=code.lower())
    assert conversions.credit_new_orders(db, now=now + 4 * HOUR) == "1 credits moved, 1 codes used"
    with db.begin() as conn:
        world.say(conn, "camille", "Order Cancelled", at=now + 5 * HOUR, order_id="o")
    assert conversions.credit_new_orders(db, now=now + 6 * HOUR) == "1 credits moved, 1 codes given back"
    with db.begin() as conn:
        basket = Basket("EUR", (Line("cocotte", 1, 18900),))
        assert redeeming.validate(conn, code, basket, now=now + 6 * HOUR).valid
        campaign = plans.get(conn, files.DEMO)
        assert reports.campaign(conn, campaign.id, now=now + 6 * HOUR).orders == 0


def test_the_demo_shop_starts_with_a_launched_campaign_and_others_with_a_draft(
    conn: sa.Connection, now: datetime
) -> None:
    files.ensure_demo(conn, now=now, demo=True)
    files.ensure_demo(conn, now=now, demo=True)
    plan = plans.get(conn, files.DEMO)
    assert (plan.state, plan.definition.entry.delay, plan.definition.steps[0].offer) == (
        "sending",
        "1m",
        "WELCOME-BACK",
    )
    assert policy.load(conn).quiet_from is None
    assert offers.get(conn, "WELCOME-BACK").terms.value == 1000
