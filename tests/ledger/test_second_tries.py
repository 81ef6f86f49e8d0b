"""What is tried a second time: a word of the first try ends it, and nobody is said to have got nothing who may have."""

import threading
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest
import sqlalchemy as sa

from campaigns import (
    feedback,
    files,
    holding,
    intents,
    ledger_tables,
    messages,
    moves,
    plans,
    preparing,
    settling,
    tables,
)
from campaigns.channels.base import Outcome, Receipt
from campaigns.feedback import Kind, Report
from campaigns.journal import Journal, Line
from campaigns.sending import Sending
from foundation.database import Database, new_id
from shop import consent
from shop.tables import customers as people
from tests.campaigns import world
from tests.campaigns.carriers import Carrier
from tests.campaigns.test_delivery import enrol, states

HOUR = timedelta(hours=1)


@pytest.fixture
def sending(db: Database, carrier: Carrier, tmp_path: Path, now: datetime) -> Iterator[Sending]:
    with db.begin() as conn:
        world.stock_shop(conn, now=now)
        world.launch(conn, now=now)
    yield world.sending(carrier, tmp_path, in_flight=1)


def left_in_doubt(db: Database, sending: Sending, carrier: Carrier, *, now: datetime) -> datetime:
    """One message without an answer, of a provider that may be asked again; it waits for that."""
    carrier.keeps_for = timedelta(hours=24)
    due = enrol(db, "camille", now=now)
    carrier.always(Outcome.AMBIGUOUS)
    messages.deliver_due(db, sending, now=due)
    settling.sweep(db, channels=sending.channels, now=due)
    carrier.always(Outcome.ACCEPTED)
    assert states(db) == [("pending", "no_answer")]
    return due


def test_a_report_of_the_first_try_comes_before_the_second_and_spares_it(
    db: Database, sending: Sending, carrier: Carrier, now: datetime
) -> None:
    due = left_in_doubt(db, sending, carrier, now=now)
    told = Report("late", Kind.DELIVERED, due, message_id=carrier.handed[0].message_id, attempt=1)
    with db.begin() as conn:
        feedback.reported(conn, "carrier", [told], now=due)
    messages.deliver_due(db, sending, now=due + timedelta(minutes=1))
    assert states(db) == [("delivered", None)] and len(carrier.handed) == 1


def test_a_code_that_may_have_been_read_is_not_given_back_when_the_second_try_is_dropped(
    db: Database, sending: Sending, carrier: Carrier, now: datetime
) -> None:
    due = left_in_doubt(db, sending, carrier, now=now)
    with db.begin() as conn:
        world.order(conn, "camille", at=due, order_id="o-1")
    messages.deliver_due(db, sending, now=due + timedelta(minutes=1))
    assert states(db) == [("skipped", "bought")] and len(carrier.handed) == 1
    with db.begin() as conn:
        assert list(conn.scalars(sa.select(tables.promo_codes.c.state))) == ["reserved"]


def test_messages_that_do_not_go_out_use_up_no_probe(
    db: Database, sending: Sending, carrier: Carrier, now: datetime
) -> None:
    due = enrol(db, *(f"u{number}" for number in range(6)), now=now)
    carrier.always(Outcome.MISCONFIGURED)
    messages.deliver_due(db, sending, now=due)
    handed = len(carrier.handed)
    with db.begin() as conn:
        for number in range(5):
            world.order(conn, f"u{number}", at=due, order_id=f"o-{number}")
    carrier.answer = lambda mail: Receipt(mail.message_id, Outcome.ACCEPTED)
    messages.deliver_due(db, sending, now=due + timedelta(minutes=5))
    assert len(carrier.handed) == handed + 1, "the one that is still wanted is what the provider is asked with"


# --------------------------------------------------------------------------------------- nobody can say any more
@pytest.mark.parametrize(
    ("tells", "heard", "hours", "state"),
    [
        (True, False, 26, "uncertain"),
        (True, False, 73, "unconfirmed"),
        (True, True, 24, "uncertain"),
        (True, True, 26, "unconfirmed"),
        (False, False, 26, "unconfirmed"),
    ],
    ids=["we hear nothing", "for three days", "heard, in time", "heard, too late", "says nothing ever"],
)
def test_a_doubt_is_given_up_only_while_reports_reach_us(
    db: Database, sending: Sending, carrier: Carrier, now: datetime, tells: bool, heard: bool, hours: int, state: str
) -> None:
    """A webhook of ours that fails would make of every doubt a message nobody can confirm."""
    carrier.tells = tells
    due = enrol(db, "camille", now=now)
    carrier.always(Outcome.AMBIGUOUS)
    messages.deliver_due(db, sending, now=due)
    carrier.always(Outcome.ACCEPTED)
    later = enrol(db, "paul", now=due + HOUR)
    messages.deliver_due(db, sending, now=later)
    with db.begin() as conn:
        if heard:
            paul = carrier.handed[1].message_id
            report = Report("e1", Kind.DELIVERED, later, message_id=paul, attempt=1)
            feedback.reported(conn, "carrier", [report], now=later)
    settling.sweep(db, channels=sending.channels, now=due + hours * HOUR)
    assert sorted(states(db))[-1] == (state, "no_answer")


# --------------------------------------------------------------------------------------------- the journal
def line(at: datetime, *, campaign: str = files.DEMO) -> Line:
    return Line(at, new_id(), 1, campaign, "cart_1", "email", b"\x01\x02")


def test_of_what_the_database_forgot_the_youngest_counts_in_whatever_order_it_is_read(
    db: Database, sending: Sending, tmp_path: Path, now: datetime
) -> None:
    journal = Journal(tmp_path / "journal")
    between = [line(now + HOUR, campaign="another") for _ in range(holding.CHUNK)]
    journal.write([line(now + 2 * HOUR), *between, line(now + HOUR)])
    with db.begin() as conn:
        holding.check(conn, journal, now=now + 3 * HOUR)
        assert list(conn.scalars(sa.select(ledger_tables.sent_before.c.at))) == [now + 2 * HOUR]


def test_a_doubt_older_than_the_backup_takes_up_the_try_after_it(
    db: Database, sending: Sending, carrier: Carrier, tmp_path: Path, now: datetime
) -> None:
    due = enrol(db, "camille", now=now)
    carrier.always(Outcome.AMBIGUOUS)
    messages.deliver_due(db, sending, now=due)
    first = carrier.handed[0]
    journal = Journal(tmp_path / "journal")
    journal.write([Line(due + HOUR, first.message_id, 2, files.DEMO, "cart_1", "email", b"\x01")])
    with db.begin() as conn:
        holding.check(conn, journal, now=due + 2 * HOUR)
        found = conn.execute(sa.select(tables.messages.c.state, tables.messages.c.attempt)).one()
        assert tuple(found) == ("uncertain", 2), "a third try has a number nobody used"
        assert plans.get(conn, files.DEMO).state == "sending"


def test_who_turned_out_to_be_somebody_known_is_decided_on_anew(
    db: Database, sending: Sending, carrier: Carrier, now: datetime
) -> None:
    """Two records became one between decision and promise: neither sent on what held of the old one, nor lost."""
    due = enrol(db, "camille", now=now)
    with db.begin() as conn:
        known = world.make_customer(conn, "known", at=now)
        batch = moves.claim(
            conn, channel="email", owner="me", lease=sending.lease, limit=9, late=timedelta(hours=12), now=due
        )
    prepared, rules = preparing.prepare(db, batch, sending=sending, now=due)
    with db.begin() as conn:
        conn.execute(
            sa.update(people).where(people.c.id == prepared[0].asked.person).values(merged_into=known, email=None)
        )
        given = {"provider": "carrier", "probe": False, "policy": rules, "lease": sending.lease, "now": due}
        assert intents.commit(conn, [one.asked for one in prepared], **given) == {}
        conn.execute(sa.update(tables.messages).values(lease_until=due - HOUR))
    settling.sweep(db, channels=sending.channels, now=due + HOUR)
    messages.deliver_due(db, sending, now=due + HOUR)
    assert [mail.address for mail in carrier.handed] == ["known@example.org"]
    assert states(db) == [("accepted", None)]


@pytest.mark.parametrize(
    ("purpose", "reason"),
    [
        ("marketing/news", "topic_left"),
        ("marketing", "unsubscribed"),
        ("marketing/kitchen", None),
        ("any", "unsubscribed"),
    ],
)
def test_a_no_said_between_decision_and_promise_is_heard_by_its_topic(
    db: Database, sending: Sending, now: datetime, purpose: str, reason: str | None
) -> None:
    with db.begin() as conn:
        about = tables.campaign_versions.c.definition.concat({"topic": "news"})
        conn.execute(sa.update(tables.campaign_versions).values(definition=about))
    due = enrol(db, "camille", now=now)
    lease, late = sending.lease, timedelta(hours=12)
    with db.begin() as conn:
        batch = moves.claim(conn, channel="email", owner="me", lease=lease, limit=9, late=late, now=due)
    assert [one.purpose for one in batch] == ["marketing/news"]
    prepared, rules = preparing.prepare(db, batch, sending=sending, now=due)
    with db.begin() as conn:
        camille = prepared[0].asked.person
        no = {"channel": "email", "purpose": purpose, "state": "denied", "source": "preferences"}
        consent.record(conn, customer_id=camille, at=due, now=due, **no)
        given = {"provider": "carrier", "probe": False, "policy": rules, "lease": lease, "now": due}
        (verdict,) = intents.commit(conn, [one.asked for one in prepared], **given).values()
    assert verdict.reason == reason and (verdict.attempt is None) == (reason is not None)


def test_reports_of_the_same_messages_at_once_wait_for_each_other_and_not_in_a_circle(
    db: Database, sending: Sending, carrier: Carrier, now: datetime
) -> None:
    due = enrol(db, *(f"u{n}" for n in range(40)), now=now)
    messages.deliver_due(db, sending, now=due)
    ids, faults = [one.message_id for one in carrier.handed], list[Exception]()

    def tell(name: str, order: list[UUID], kind: Kind) -> None:
        try:
            for again in range(6):
                told = [Report(f"{name}{again}{one}", kind, due, message_id=one, attempt=1) for one in order]
                with db.begin() as conn:
                    feedback.reported(conn, "carrier", told, now=due)
        except Exception as fault:
            faults.append(fault)

    kinds = (Kind.DELIVERED, Kind.UNSUBSCRIBED, Kind.COMPLAINED, Kind.UNSUBSCRIBED)
    orders = (ids, ids[::-1], ids[20:] + ids[:20], ids)
    runs = [
        threading.Thread(target=tell, args=(f"{n}-", order, kind))
        for n, (order, kind) in enumerate(zip(orders, kinds, strict=True))
    ]
    for run in runs:
        run.start()
    for run in runs:
        run.join()
    assert not faults and states(db) == [("complained", "complaint")] * 40
