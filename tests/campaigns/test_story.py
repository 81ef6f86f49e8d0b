"""The whole way of one cart, in simulated time, over real SMTP and a real database."""

import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from campaigns import conversions, enrolments, feedback, messages, redeeming, reports, settling, tables
from campaigns.channels.smtp import SmtpChannel
from campaigns.promo_tables import promo_redemptions
from campaigns.sending import Sending
from campaigns.verdicts import Basket, Line
from foundation.database import Database
from shop import consent
from tests.campaigns import sink, world

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)


class Days:
    """The timetable run by hand: whatever is due at a moment."""

    def __init__(self, db: Database, sending: Sending) -> None:
        self.db, self.sending = db, sending

    def tick(self, now: datetime) -> None:
        enrolments.admit_due(self.db, now=now)
        enrolments.advance_due(self.db, now=now)
        messages.deliver_due(self.db, self.sending, now=now)
        settling.sweep(self.db, now=now)
        conversions.credit_new_orders(self.db, now=now)


@pytest.fixture
def mailbox(db: Database, tmp_path: Path, now: datetime) -> Iterator[tuple[sink.Sink, Days]]:
    with sink.listening() as (kept, host):
        channel = SmtpChannel(host)
        with db.begin() as conn:
            world.stock_shop(conn, now=now)
            world.launch(conn, now=now)
            world.make_customer(conn, "camille", at=now, first_name="Camille")
            world.leave_cart(conn, "camille", at=now)
        yield kept, Days(db, world.sending(channel, tmp_path))
        channel.close()


def state_of(db: Database) -> list[tuple[str, str | None]]:
    with db.begin() as conn:
        return [tuple(row) for row in conn.execute(sa.select(tables.messages.c.state, tables.messages.c.reason))]


def test_a_cart_left_behind_becomes_a_mail_a_click_and_a_credited_order(
    db: Database, mailbox: tuple[sink.Sink, Days], now: datetime
) -> None:
    kept, days = mailbox
    days.tick(now + 59 * MINUTE)
    assert kept.kept == []

    days.tick(now + 61 * MINUTE)
    days.tick(now + 62 * MINUTE)
    assert len(kept.kept) == 1
    mail = kept.kept[0]
    assert mail["To"] == "camille@example.org"
    assert str(mail["Subject"]).replace("\u202f", " ") == "Camille, votre panier vous attend, avec 10 % de moins"
    assert mail["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    html = mail.get_body(("html",)).get_content()
    code = re.search(r"AUBIER-[0-9A-Z]{4}-[0-9A-Z]{4}-[0-9A-Z]{2}", html)
    assert code and "221,00\u202f€" in html and "−22,10\u202f€" in html and "198,90\u202f€" in html

    token = re.search(r'class="mbtn".*?href="https://relance\.example/c/([^"]+)"', html, re.DOTALL)
    click = world.LINKS.read_click(token.group(1)) if token else None
    assert click is not None
    with db.begin() as conn:
        address = feedback.destination(conn, click.message_id, click.n) or ""
        assert address.startswith("https://relance.example/r/")
        restored = world.LINKS.read_restore(address.rsplit("/", 1)[1])
        assert (
            restored is not None
            and redeeming.validate(
                conn,
                code.group(),
                Basket("EUR", (Line("cocotte", 1, 18900),)),
                now=now + 2 * HOUR,
            ).discount
            == 1890
        )
        feedback.clicked(conn, click.message_id, click.n, now=now + 2 * HOUR)
        world.order(
            conn, "camille", at=now + 3 * HOUR, order_id="o1", channel="store", coupon=code.group(), total="170.10"
        )
    days.tick(now + 3 * HOUR + MINUTE)
    days.tick(now + 3 * HOUR + 2 * MINUTE)

    with db.begin() as conn:
        campaign_id = conn.scalar(sa.select(tables.campaigns.c.id))
        results = reports.campaign(conn, campaign_id or 0, now=now + 4 * HOUR)
        held = conn.scalar(sa.select(tables.promo_codes.c.state))
        use = conn.execute(sa.select(promo_redemptions)).mappings().one()
        enrolment = conn.execute(sa.select(tables.enrolments)).mappings().one()
        names = (
            conn.execute(sa.text("SELECT name FROM events WHERE name LIKE 'Message%' ORDER BY name")).scalars().all()
        )
    assert (results.enrolled, results.sent, results.clicked, results.orders, results.revenue) == (1, 1, 1, 1, 17010)
    assert (held, use["order_id"], use["channel"]) == ("redeemed", "o1", "store")
    assert (enrolment["state"], enrolment["reason"]) == ("left", "converted")
    assert names == ["Message Clicked", "Message Sent"]


def test_a_basket_bought_in_a_shop_a_moment_ago_stops_the_mail(
    db: Database, mailbox: tuple[sink.Sink, Days], now: datetime
) -> None:
    kept, days = mailbox
    enrolments.admit_due(db, now=now + 61 * MINUTE)
    enrolments.advance_due(db, now=now + 61 * MINUTE)
    with db.begin() as conn:
        world.order(conn, "camille", at=now + 61 * MINUTE, order_id="till-1", channel="store", store_id="nantes")
    days.tick(now + 62 * MINUTE)
    assert kept.kept == []
    assert state_of(db) == [("skipped", "bought")]


def test_an_order_between_rendering_and_sending_is_seen_at_the_last_second(
    db: Database, mailbox: tuple[sink.Sink, Days], tmp_path: Path, now: datetime
) -> None:
    kept, days = mailbox
    at = now + 61 * MINUTE

    class BuysMeanwhile(world.Shelf):
        """Somebody buys on another connection while the mail is being written."""

        def recommend_many(self, conn, requests, *, now):  # type: ignore[no-untyped-def]
            with db.begin() as elsewhere:
                world.order(elsewhere, "camille", at=at, order_id="till-2", channel="store")
            return super().recommend_many(conn, requests, now=now)

    enrolments.admit_due(db, now=at)
    enrolments.advance_due(db, now=at)
    sending = Sending(
        channels=days.sending.channels,
        recommender=BuysMeanwhile(),
        links=world.LINKS,
        journal=days.sending.journal,
        sender=world.SENDER,
    )
    assert messages.deliver_due(db, sending, now=at) == "1 bought"
    assert kept.kept == [] and state_of(db) == [("skipped", "bought")]


def test_who_unsubscribes_gets_nothing_more_and_the_reason_is_kept(
    db: Database, mailbox: tuple[sink.Sink, Days], now: datetime
) -> None:
    kept, days = mailbox
    days.tick(now + 61 * MINUTE)
    with db.begin() as conn:
        message_id = conn.scalar(sa.select(tables.messages.c.id))
        assert message_id and feedback.unsubscribed(conn, message_id, now=now + 2 * HOUR)
        customer = feedback.customer_of(conn, message_id) or 0
        assert consent.states(conn, [customer], channel="email")[customer] == "denied"
        world.order(conn, "camille", at=now + 3 * HOUR, order_id="o2")
        world.say(conn, "camille", "Product Added", at=now + 4 * HOUR, cart_id="second", product_id="sel", price="9.50")
    days.tick(now + 6 * HOUR)
    assert len(kept.kept) == 1
    assert sorted(state_of(db), key=str) == [("accepted", None), ("skipped", "unsubscribed")]
