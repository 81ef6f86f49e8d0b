"""The demo's last weeks: played through the engine, always the same, and in the demo alone."""

from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from app import first_run, parts
from app.demo import habits, kept_back, past
from app.demo.kept_back import Bought, Line
from campaigns import connections, plans, reports, tables
from campaigns.tables import outbox
from foundation.config import Config
from foundation.database import Database
from shop import sources
from shop import tables as shop_tables
from tests.campaigns import world

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
HOUSEHOLDS = 60


def quiet(title: str) -> first_run.Progress:
    return lambda done, total: None


def basket(household: int) -> Bought:
    """One basket a household, on another day and at another place each."""
    at = NOW - timedelta(days=7 + household % 20, hours=household % 7)
    channel = "web" if household % 3 == 0 else "store"
    lines = (Line("cocotte", 1, 189.0), Line("torchon", 2, 32.0))
    return Bought(f"9{household:04d}", household, at, channel, "17" if channel == "store" else None, lines)


@pytest.fixture
def kept(installation: parts.Parts) -> list[Bought]:
    """Households known since long ago, and what they bought lately."""
    with installation.db.begin() as conn:
        world.stock_shop(conn, now=NOW)
        connections.ensure_demo(conn, keys=installation.config.secret_keys, now=NOW)
        for household in range(HOUSEHOLDS):
            world.make_customer(conn, f"hh-{household}", at=NOW - timedelta(days=90), phone=f"+3363998{household:04d}")
    return sorted((basket(household) for household in range(HOUSEHOLDS)), key=lambda one: one.at)


def count(db: Database, table: sa.Table, *where: sa.ColumnElement[bool]) -> int:
    with db.begin() as conn:
        return conn.scalar(sa.select(sa.func.count()).select_from(table).where(*where)) or 0


def play(installation: parts.Parts, kept: list[Bought]) -> None:
    past.play(installation, kept, now=NOW, progress=lambda done, total: None)


def test_the_past_goes_through_the_ledger_to_the_mailbox_alone(installation: parts.Parts, kept: list[Bought]) -> None:
    play(installation, kept)
    messages = tables.messages
    with installation.db.begin() as conn:
        plan = plans.get(conn, past.TRIAL)
        found = reports.campaign(conn, plan.id, now=NOW)
        providers = set(conn.scalars(sa.select(messages.c.provider).where(messages.c.accepted_at.is_not(None))))
        last = conn.scalar(sa.select(sa.func.max(outbox.c.received_at)))
        silent = [sources.silent(conn, now=NOW + timedelta(hours=hour)) for hour in range(48)]
    assert not any(silent), "nobody is alarmed by a past that was played"
    assert providers == {"outbox"} and last is not None and last < NOW
    assert plan.state == "done" and 0 < found.held_out < found.enrolled
    assert found.sent and found.clicked and found.orders and found.revenue
    assert sum(found.states.values()) == found.planned
    assert count(installation.db, shop_tables.refused_events) == 0


def test_who_forgot_her_basket_buys_only_if_a_message_brought_her_back(
    installation: parts.Parts, kept: list[Bought]
) -> None:
    play(installation, kept)
    found = habits.carts(kept, since=NOW - kept_back.WEEKS, until=NOW - past.SETTLED)
    forgotten = {cart.bought.order_id: cart.bought.user_id for cart in found if cart.forgotten}
    with installation.db.begin() as conn:
        ordered = set(conn.scalars(sa.select(shop_tables.orders.c.order_id)))
        clicked = set(
            conn.scalars(
                sa.select(shop_tables.customers.c.user_id)
                .join(tables.messages, tables.messages.c.customer_id == shop_tables.customers.c.id)
                .where(tables.messages.c.first_clicked_at.is_not(None))
            )
        )
    back = {user for order, user in forgotten.items() if order in ordered}
    assert back and back <= clicked
    assert len(ordered) == len(kept) - len(forgotten) + len(back)


def test_playing_it_again_sends_nothing_twice(installation: parts.Parts, kept: list[Bought]) -> None:
    counted = (tables.messages, shop_tables.orders, tables.enrolments, tables.promo_codes)
    play(installation, kept)
    before = [count(installation.db, table) for table in counted]
    play(installation, kept)
    assert [count(installation.db, table) for table in counted] == before


def test_the_same_household_does_the_same_each_time() -> None:
    drawn = [habits.reaction("hh-7", "reminder", "email", nth) for nth in range(50)]
    assert drawn == [habits.reaction("hh-7", "reminder", "email", nth) for nth in range(50)]
    assert {one.doing for one in drawn} >= {habits.Doing.CLICK, habits.Doing.NOTHING}


def test_the_baskets_left_out_are_those_of_seldom_buyers() -> None:
    kept = kept_back.choose(NOW)
    assert kept == kept_back.choose(NOW + timedelta(hours=1))
    assert len({one.order_id for one in kept}) == len(kept) == len(kept_back.baskets(kept))
    assert all(NOW - kept_back.WEEKS - timedelta(days=1) < one.at <= NOW for one in kept)
    per_household = [sum(one.household == first.household for one in kept) for first in kept[:40]]
    assert max(per_household) <= kept_back.MOST_BASKETS


def test_a_real_installation_gets_none_of_it(config: Config, db: Database) -> None:
    with closing(parts.build(replace(config, demo=False))) as built:
        first_run.prepare(built, track=quiet)
        with built.db.begin() as conn:
            assert [(plan.name, plan.state) for plan in plans.every(conn)] == [("cart-relaunch", "draft")]
    assert count(db, shop_tables.customers) == count(db, tables.messages) == 0
