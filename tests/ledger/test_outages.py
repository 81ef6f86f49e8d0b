"""Providers that ask for time, break down, hang, refuse our key or drop the line after the last dot.

What is in doubt is bounded, nothing fails, nothing is sent twice, and everybody else is served meanwhile.
"""

import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from campaigns import enrolments, messages, moves, plans, settling, tables
from campaigns.channels import smtp
from campaigns.channels.base import Mail, Note, Outcome, Receipt
from campaigns.channels.sendgrid import CONNECTIONS, SendgridChannel
from campaigns.channels.smtp import SmtpChannel
from campaigns.sending import Sending
from foundation.database import Database
from tests.campaigns import sendgrid_host, sink, world
from tests.campaigns.carriers import Carrier
from tests.campaigns.sendgrid_host import SendgridHost
from tests.campaigns.test_delivery import enrol, states

SECOND, HOUR = timedelta(seconds=1), timedelta(hours=1)


class Always(list[Any]):
    """One answer for every call."""

    def pop(self, index: Any = -1) -> Any:
        return self[0]


@pytest.fixture
def shop(db: Database, now: datetime) -> Database:
    with db.begin() as conn:
        world.stock_shop(conn, now=now)
        world.launch(conn, now=now, offer=None, products=0)
    return db


@pytest.fixture
def host() -> Iterator[SendgridHost]:
    with sendgrid_host.hosting() as host:
        yield host


By = Callable[..., Sending]


@pytest.fixture
def by_sendgrid(host: SendgridHost, tmp_path: Path) -> Iterator[By]:
    """Makes senders by SendGrid, twenty messages at a time."""
    opened = list[SendgridChannel]()

    def make(**more: Any) -> Sending:
        opened.append(SendgridChannel("key", host=host.url, **more))
        return world.sending(opened[-1], tmp_path / str(len(opened)), batch=20)

    yield make
    for channel in opened:
        channel.close()


def people(number: int) -> list[str]:
    return [f"u{one}" for one in range(number)]


def test_nobody_calls_while_the_provider_asked_for_time(
    shop: Database, host: SendgridHost, by_sendgrid: By, now: datetime
) -> None:
    due, sending = enrol(shop, *people(24), now=now), by_sendgrid()
    host.answers = Always([(429, {"Retry-After": "7"}, "")])
    messages.deliver_due(shop, sending, now=due)
    host.answers, already = [], len(host.asked)
    assert 1 <= already <= CONNECTIONS, "only what was on its way when the first answer came"
    for half in range(1, 14):
        messages.deliver_due(shop, sending, now=due + half * SECOND / 2)
    assert len(host.asked) == already, "not one call within the seven seconds"
    messages.deliver_due(shop, sending, now=due + 30 * SECOND)
    assert states(shop) == [("accepted", None)] * 24


def test_an_outage_of_ten_minutes_leaves_few_in_doubt_and_the_rest_waiting(
    shop: Database, host: SendgridHost, by_sendgrid: By, now: datetime
) -> None:
    due = enrol(shop, *people(90), now=now)
    crew = [by_sendgrid() for _ in range(4)]
    host.answers = Always([(500, {}, "")])

    def at(moment: datetime) -> None:
        with ThreadPoolExecutor(4) as hands:
            list(hands.map(lambda one: messages.deliver_due(shop, one, now=moment), crew))

    for step in range(31):
        at(due + step * 20 * SECOND)
    found = [state for state, _ in states(shop)]
    doubts = found.count("uncertain")
    assert set(found) == {"uncertain", "pending"} and doubts <= 40, doubts
    host.answers = []
    for step in range(32, 64):
        at(due + step * 20 * SECOND)
    assert [state for state, _ in states(shop)] == ["accepted"] * (90 - doubts) + ["uncertain"] * doubts
    assert len(host.taken) == 90 - doubts, "what is in doubt is not sent again"


def test_a_refused_key_costs_no_message(shop: Database, host: SendgridHost, by_sendgrid: By, now: datetime) -> None:
    due, sending = enrol(shop, *people(24), now=now), by_sendgrid()
    host.answers = Always([(401, {}, "")])
    for step in range(6):
        messages.deliver_due(shop, sending, now=due + step * 5 * SECOND)
    assert {state for state, _ in states(shop)} == {"pending"} and len(host.asked) <= CONNECTIONS
    with shop.begin() as conn:
        gate = conn.execute(sa.select(tables.provider_gates)).mappings().one()
    assert gate["reason"] == "provider_misconfigured", "which is what the console warns of"
    host.answers = []
    for step in range(1, 40):
        messages.deliver_due(shop, sending, now=due + step * 30 * SECOND)
    assert states(shop) == [("accepted", None)] * 24


@pytest.mark.parametrize("hands", [1, 3])
def test_a_password_the_host_refuses_is_said_once_and_costs_no_message(
    shop: Database, tmp_path: Path, now: datetime, hands: int
) -> None:
    """Hosts lock an account after a few wrong passwords, however many connections they came over."""
    due = enrol(shop, *people(24), now=now)
    with sink.listening(logins=("PLAIN", "LOGIN")) as (kept, where):
        channel = SmtpChannel(replace(where, user="shop", password="the néw one"), login_rest=2.0)
        sending = world.sending(channel, tmp_path, batch=8, hands=hands)
        for second in range(0, 30, 5):
            messages.deliver_due(shop, sending, now=due + second * SECOND)
        assert kept.logins == 1 and {state for state, _ in states(shop)} == {"pending"} and kept.asked == 0
        with shop.begin() as conn:
            gate = conn.execute(sa.select(tables.provider_gates)).mappings().one()
        assert gate["reason"] == "provider_misconfigured" and gate["openings_in_a_row"] == 1
        kept.password, step = "the néw one", 0
        while {state for state, _ in states(shop)} != {"accepted"} and step < 400:
            step += 1
            messages.deliver_due(shop, sending, now=due + step * 30 * SECOND)
        channel.close()
    assert states(shop) == [("accepted", None)] * 24 and len(kept.kept) == 24
    assert kept.logins <= 1 + smtp.CONNECTIONS


def test_a_wrong_password_is_tried_again_once_by_each_probe(shop: Database, tmp_path: Path, now: datetime) -> None:
    due = enrol(shop, *people(12), now=now)
    with sink.listening(logins=("PLAIN", "LOGIN")) as (kept, where):
        channel = SmtpChannel(replace(where, user="shop", password="forgotten"), login_rest=0.0)
        sending, tried = world.sending(channel, tmp_path, batch=1), list[int]()
        kept.password = "another"
        for second in (0, 10, 29, 50, 109, 130, 249, 270):
            messages.deliver_due(shop, sending, now=due + second * SECOND)
            tried.append(kept.logins)
        channel.close()
    assert tried == [1, 1, 1, 2, 2, 3, 3, 4], "not before the pause is over, each of them longer than the last"
    assert {state for state, _ in states(shop)} == {"pending"} and kept.asked == 0


def test_a_provider_that_hangs_keeps_its_sender_for_one_call_and_nobody_else(
    shop: Database, host: SendgridHost, by_sendgrid: By, now: datetime
) -> None:
    show_on_pages(shop, now=now)
    due, sending = enrol(shop, *people(24), now=now), by_sendgrid(read_seconds=0.7)
    served = replace(sending, channels={"onsite": Pages()})
    host.answers = Always([(-1, {}, "")])
    stuck = threading.Thread(target=messages.deliver_due, args=(shop, sending), kwargs={"now": due})
    stuck.start()
    while not host.asked:
        time.sleep(0.01)
    messages.deliver_due(shop, served, now=due)
    assert states(shop).count(("accepted", None)) == 24, "the other channel is served meanwhile"
    stuck.join()
    assert len(host.asked) <= 2 * CONNECTIONS, "a batch of twenty ends with the first who does not answer"
    found = [state for state, _ in states(shop)]
    assert found.count("uncertain") == len(host.asked) and found.count("pending") == 24 - len(host.asked)


def show_on_pages(db: Database, *, now: datetime) -> None:
    """Whoever gets a mail is told the same on the shop's pages."""
    words = {"fr": {"heading": "Bonjour", "intro": "Votre panier vous attend."}}
    with db.begin() as conn:
        pages = world.relaunch(offer=None, products=0, channel="onsite", words=words)
        plans.create(conn, "pages", definition=pages, now=now)
        plans.launch(conn, "pages", now=now)


@pytest.mark.slow
def test_as_it_ships_a_sender_is_free_after_two_calls_and_other_channels_keep_their_pace(
    shop: Database, by_sendgrid: By, tmp_path: Path, now: datetime
) -> None:
    """Mails first beside a provider that answers, then beside one that takes the call and says nothing; what the pages
    of the shop wait between two messages is the same."""
    show_on_pages(shop, now=now)
    with socket.create_server(("127.0.0.1", 0), backlog=64) as silent:
        hanging = SendgridChannel("key", host=f"http://127.0.0.1:{silent.getsockname()[1]}")
        answered, paced = _beside(shop, by_sendgrid(), "first", now=now)
        took, pace = _beside(shop, world.sending(hanging, tmp_path / "hanging", batch=20), "second", now=now + HOUR)
        hanging.close()
    assert answered < 15 <= took <= 2 * 18, "the gate is shut once two calls at the same moment had no answer"
    assert pace <= 1.2 * paced + 0.1, "a tenth of a second for what else the machine has to do"


def _beside(db: Database, mails: Sending, name: str, *, now: datetime) -> tuple[float, float]:
    """How long the sender of mails was at it, and the 95th percentile of the gaps between forty messages of the pages,
    which another sender shows meanwhile."""
    pages, due = Pages(), enrol(db, *(f"{name}-{user}" for user in people(40)), now=now)

    def post() -> float:
        began = time.monotonic()
        messages.deliver_due(db, mails, now=due)
        return time.monotonic() - began

    with ThreadPoolExecutor(1) as beside:
        took, began = beside.submit(post), time.monotonic()
        messages.deliver_due(db, replace(mails, channels={"onsite": pages}, batch=1), now=due)
    assert len(pages.shown) == 40
    gaps = sorted(later - earlier for earlier, later in pairwise([began, *pages.shown]))
    return took.result(), gaps[int(len(gaps) * 0.95)]


def test_who_waits_for_a_provider_waits_eighteen_seconds_at_most() -> None:
    """To connect and to be answered, as it ships: the tests of hanging providers wait less."""
    channel = SendgridChannel("key")
    waits = channel.client.timeout
    channel.close()
    assert (waits.connect or 60) + (waits.read or 60) <= 18 and smtp.CONNECT_SECONDS + smtp.READ_SECONDS <= 18


class Pages:
    """The shop's own pages, in this process."""

    provider = "pages"
    keeps_for: timedelta | None = None
    tells = False

    def __init__(self) -> None:
        self.shown = list[float]()

    def deliver(self, batch: Sequence[Note]) -> list[Receipt]:
        self.shown += [time.monotonic()] * len(batch)
        return [Receipt(note.message_id, Outcome.ACCEPTED) for note in batch]

    def close(self) -> None:
        """There is nothing to close."""


def test_a_line_dropped_after_the_last_dot_is_a_doubt_and_no_second_mail(
    shop: Database, tmp_path: Path, now: datetime
) -> None:
    due = enrol(shop, *people(3), now=now)
    with sink.listening() as (kept, where):
        kept.answer = lambda envelope: None
        channel = SmtpChannel(where)
        sending = world.sending(channel, tmp_path, in_flight=1)
        for step in range(6):
            messages.deliver_due(shop, sending, now=due + step * SECOND)
            settling.sweep(shop, channels=sending.channels, now=due + step * SECOND)
        channel.close()
        ours = [str(mail["Message-ID"]) for mail in kept.kept]
    with shop.begin() as conn:
        known = {f"<{one}@" for one in conn.scalars(sa.select(tables.messages.c.id))}
    assert states(shop) == [("uncertain", "no_answer")] * 3 and len(set(ours)) == len(ours) == 3
    assert {one.split("@")[0] + "@" for one in ours} == known, "our own id, the same at each attempt"


def test_an_order_mail_waits_for_no_campaign(shop: Database, tmp_path: Path, now: datetime) -> None:
    """However many are queued, at most one batch goes before it."""
    due, carrier, batch = enrol(shop, *people(60), now=now), Carrier(), 8

    def order_after_the_fifth(mail: Mail) -> Receipt:
        if len(carrier.handed) == 5:
            order_mail(shop, now=now, due=due)
        return Receipt(mail.message_id, Outcome.ACCEPTED)

    carrier.answer = order_after_the_fifth
    messages.deliver_due(shop, world.sending(carrier, tmp_path, batch=batch, in_flight=1), now=due)
    place = next(n for n, mail in enumerate(carrier.handed) if mail.campaign == "receipt")
    assert place <= 5 + batch, "before those who were first"


def test_of_what_is_claimed_together_order_mails_are_first(shop: Database, now: datetime) -> None:
    due = enrol(shop, *people(20), now=now)
    order_mail(shop, now=now, due=due)
    with shop.begin() as conn:
        hour = timedelta(hours=1)
        claimed = moves.claim(conn, channel="email", owner="one", lease=hour, limit=50, late=hour, now=due)
    purposes = [one.purpose for one in claimed]
    assert purposes == sorted(purposes, reverse=True) and set(purposes) == {"marketing", "transactional"}


def order_mail(db: Database, *, now: datetime, due: datetime) -> None:
    """An order's mail is queued after all the others."""
    with db.begin() as conn:
        definition = world.relaunch(offer=None, products=0) | {"purpose": "transactional"}
        plans.create(conn, "receipt", definition=definition, now=now)
        plans.launch(conn, "receipt", now=due)
        world.make_customer(conn, "waiting", at=now)
        world.leave_cart(conn, "waiting", at=now)
    enrolments.admit_due(db, now=due)
    enrolments.advance_due(db, now=due)
