"""Credits follow what comes to light, whenever it does, and are the same whatever the order."""

from datetime import datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest
import sqlalchemy as sa

from campaigns import conversions, crediting, enrolments, messages, own_events, tables
from campaigns.attribution import Why
from campaigns.own_events import Told
from foundation.database import Database
from shop import ingest, sources, vocabulary
from shop.vocabulary import Name
from tests.campaigns import world
from tests.campaigns.carriers import Carrier

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


@pytest.fixture
def sent(db: Database, tmp_path: Path, now: datetime) -> UUID:
    """Camille got her mail, with a code, at `now` plus one hour."""
    with db.begin() as conn:
        world.stock_shop(conn, now=now)
        world.launch(conn, now=now)
        world.make_customer(conn, "camille", at=now)
        world.make_customer(conn, "paul", at=now)
        world.leave_cart(conn, "camille", at=now)
    enrolments.admit_due(db, now=now + HOUR)
    enrolments.advance_due(db, now=now + HOUR)
    messages.deliver_due(db, world.sending(Carrier(), tmp_path), now=now + HOUR)
    with db.begin() as conn:
        found = conn.scalar(sa.select(tables.messages.c.id))
    assert found is not None
    return found


def click(db: Database, message_id: UUID, *, at: datetime, told: datetime | None = None, machine: bool = False) -> None:
    """Camille, or a scanner, follows a link; the event comes to us when it is told."""
    with db.begin() as conn:
        row = conn.execute(sa.select(tables.messages).where(tables.messages.c.id == message_id)).mappings().one()
        about = own_events.about(row) | {"machine": machine, "link": 0}
        event = Told(f"clicked:{at}", Name.MESSAGE_CLICKED, row["customer_id"], at, about)
        own_events.tell(conn, [event], now=told or at)


def credits(db: Database) -> dict[str, tuple[str, int]]:
    """What each order is credited by, and with how much."""
    held = tables.attributions
    with db.begin() as conn:
        return {name: (kind, amount) for name, kind, amount in conn.execute(
            sa.select(held.c.order_id, held.c.kind, held.c.amount)
        )}  # fmt: skip


def order(db: Database, name: str, *, at: datetime, user: str = "camille", **more: object) -> None:
    with db.begin() as conn:
        world.order(conn, user, at=at, order_id=name, **more)


def say(db: Database, event: str, *, at: datetime, **more: object) -> None:
    with db.begin() as conn:
        world.say(conn, "camille", event, at=at, **more)


def takes_in(db: Database, payload: dict[str, object], *, at: datetime) -> None:
    with db.begin() as conn:
        source = sources.source(conn, "site", channel="web", now=at)
        event = vocabulary.parse(payload | {"timestamp": at.isoformat()}, source=source, received_at=at)
        assert isinstance(event, vocabulary.Event)
        ingest.ingest(conn, [event], now=at)


def test_a_return_moves_the_credit_and_the_same_news_again_moves_nothing(
    db: Database, sent: UUID, now: datetime
) -> None:
    click(db, sent, at=now + 2 * HOUR)
    order(db, "o", at=now + 3 * HOUR, channel="store")
    assert conversions.credit_new_orders(db, now=now + 4 * HOUR) == "1 credits moved"
    assert credits(db) == {"o": ("click", 18_900)}
    say(db, "Order Refunded", at=now + 5 * DAY, order_id="o", refund="50.00")
    assert conversions.credit_new_orders(db, now=now + 5 * DAY) == "1 credits moved"
    assert credits(db) == {"o": ("click", 13_900)}
    assert conversions.credit_new_orders(db, now=now + 5 * DAY) is None
    say(db, "Order Refunded", at=now + 6 * DAY, order_id="o")
    conversions.credit_new_orders(db, now=now + 6 * DAY)
    assert credits(db) == {"o": ("click", 0)}


def test_a_cancelled_order_is_credited_to_nothing_any_more(db: Database, sent: UUID, now: datetime) -> None:
    click(db, sent, at=now + 2 * HOUR)
    for name in ("order 1", "order 2", "order 3"):
        order(db, name, at=now + 3 * HOUR)
    conversions.credit_new_orders(db, now=now + 4 * HOUR)
    say(db, "Order Cancelled", at=now + DAY, order_id="order 2")
    assert conversions.credit_new_orders(db, now=now + DAY) == "1 credits moved"
    assert set(credits(db)) == {"order 1", "order 3"}


def test_a_click_told_after_its_order_was_decided_on_still_earns(db: Database, sent: UUID, now: datetime) -> None:
    order(db, "o", at=now + 3 * HOUR)
    assert conversions.credit_new_orders(db, now=now + 4 * HOUR) is None
    click(db, sent, at=now + 2 * HOUR, told=now + 9 * HOUR)
    assert conversions.credit_new_orders(db, now=now + 10 * HOUR) == "1 credits moved"
    assert credits(db) == {"o": ("click", 18_900)}


def test_a_click_between_two_others_is_not_forgotten(db: Database, sent: UUID, now: datetime) -> None:
    for day in (0.1, 6, 20):
        click(db, sent, at=now + day * DAY)
    order(db, "o", at=now + 7 * DAY)
    conversions.credit_new_orders(db, now=now + 21 * DAY)
    with db.begin() as conn:
        assert conn.scalar(sa.select(tables.attributions.c.touched_at)) == now + 6 * DAY


def test_machines_earn_nothing(db: Database, sent: UUID, now: datetime) -> None:
    click(db, sent, at=now + 2 * HOUR, machine=True)
    order(db, "o", at=now + 3 * HOUR)
    assert conversions.credit_new_orders(db, now=now + 4 * HOUR) is None and credits(db) == {}


def test_a_code_used_in_a_shop_is_credited_without_any_click(db: Database, sent: UUID, now: datetime) -> None:
    with db.begin() as conn:
        code = conn.scalar(sa.select(tables.message_contents.c.promo_code))
    order(db, "till", at=now + 3 * HOUR, channel="store", store_id="nantes", coupon=code)
    conversions.credit_new_orders(db, now=now + 4 * HOUR)
    assert credits(db) == {"till": ("code", 18_900)}


def test_a_code_given_back_leaves_the_credit_to_the_click(db: Database, sent: UUID, now: datetime) -> None:
    click(db, sent, at=now + 2 * HOUR)
    with db.begin() as conn:
        code = conn.scalar(sa.select(tables.message_contents.c.promo_code))
    order(db, "o", at=now + 3 * HOUR, coupon=code)
    conversions.credit_new_orders(db, now=now + 4 * HOUR)
    assert credits(db)["o"][0] == "code"
    with db.begin() as conn:
        found = crediting.decisions(conn, ["o"], window=5 * DAY)["o"]
    assert found.decision.why is Why.CODE and found.credited


def test_a_merge_brings_the_order_to_the_click(db: Database, sent: UUID, now: datetime) -> None:
    click(db, sent, at=now + 2 * HOUR)
    visitor = {"anonymousId": "device-1"}
    bought = {"order_id": "o", "total": "189.00", "currency": "EUR"}
    visits = {"type": "track", "event": "Order Completed", "messageId": "m1", "properties": bought}
    takes_in(db, visits | visitor, at=now + 3 * HOUR)
    assert conversions.credit_new_orders(db, now=now + 4 * HOUR) is None
    takes_in(db, {"type": "identify", "userId": "camille", "messageId": "m2"} | visitor, at=now + 5 * HOUR)
    assert conversions.credit_new_orders(db, now=now + 6 * HOUR) == "1 credits moved"
    assert credits(db) == {"o": ("click", 18_900)}


def test_what_slipped_past_is_made_good_at_night(db: Database, sent: UUID, now: datetime) -> None:
    order(db, "o", at=now + 3 * HOUR)
    conversions.credit_new_orders(db, now=now + 2 * DAY)
    click(db, sent, at=now + 2 * HOUR)
    assert conversions.credit_new_orders(db, now=now + 2 * DAY) is None, "it was received long before the last reading"
    assert crediting.check(db, now=now + 3 * DAY) == "1 credits moved"
    assert crediting.check(db, now=now + 3 * DAY) is None


def test_an_order_says_why_it_is_credited_to_nothing(db: Database, sent: UUID, now: datetime) -> None:
    click(db, sent, at=now + 2 * HOUR)
    order(db, "late", at=now + 8 * DAY)
    order(db, "other", at=now + 3 * HOUR, user="paul")
    with db.begin() as conn:
        found = crediting.decisions(conn, ["late", "other"], window=5 * DAY)
    assert {name: one.decision.why for name, one in found.items()} == {"late": Why.TOO_EARLY, "other": Why.NO_CLICK}
    assert found["late"].decision.touch and found["late"].decision.touch.at == now + 2 * HOUR
