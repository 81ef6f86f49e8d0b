"""What is tried a second time: a word of the first try ends it, and nobody is said to have got nothing who may have."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from campaigns import feedback, files, holding, ledger_tables, messages, plans, settling, tables
from campaigns.channels.base import Outcome, Receipt
from campaigns.feedback import Kind, Report
from campaigns.journal import Journal, Line
from campaigns.sending import Sending
from foundation.database import Database, new_id
from tests.campaigns import world
from tests.campaigns.test_delivery import Carrier, enrol, states

HOUR = timedelta(hours=1)


@pytest.fixture
def carrier() -> Carrier:
    return Carrier()


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
