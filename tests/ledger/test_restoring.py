"""A database brought back from a backup sends nothing until somebody looked, and then nobody gets the same twice."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from campaigns import enrolments, holding, messages, tables
from campaigns.journal import Journal, Line
from foundation import backups, postgres
from foundation.database import Database, new_id
from shop import consent
from tests.campaigns import world
from tests.campaigns.carriers import Carrier
from tests.conftest import PEPPER

HOUR = timedelta(hours=1)


@pytest.mark.slow
def test_a_restored_backup_is_held_and_then_mails_nobody_twice(tmp_path: Path, now: datetime) -> None:
    db, carrier = Database(postgres.attach(tmp_path / "postgres"), pepper=PEPPER), Carrier()
    db.migrate()
    sending = world.sending(carrier, tmp_path, batch=5, seconds=30)
    with db.begin() as conn:
        world.stock_shop(conn, now=now)
        world.launch(conn, now=now, offer=None, products=0)
        for number in range(20):
            world.make_customer(conn, f"u{number}", at=now)
            world.leave_cart(conn, f"u{number}", at=now + (HOUR if number >= 15 else timedelta(0)))
        holding.check(conn, sending.journal, now=now)
    due = now + HOUR + timedelta(minutes=1)
    enrolments.admit_due(db, now=due)
    enrolments.advance_due(db, now=due)
    backups.dump(db.url, tmp_path / "half.dump")
    messages.deliver_due(db, sending, now=due + timedelta(minutes=1))
    enrolments.admit_due(db, now=due + HOUR)
    enrolments.advance_due(db, now=due + HOUR)
    messages.deliver_due(db, sending, now=due + HOUR)
    with db.begin() as conn:
        consent.suppress(conn, channel="email", address="gone@example.org", reason="unsubscribed", now=due + HOUR)
        holding.keep_refusals(conn, sending.journal, now=due + HOUR)
    assert len(carrier.handed) == 20
    backups.load(db.url, tmp_path / "half.dump")
    later = due + 2 * HOUR
    with db.begin() as conn:
        held = holding.check(conn, sending.journal, now=later)
        assert held is not None and held.detail["messages"] == 20
        hashed = consent.address_hash(conn, "email", "gone@example.org")
        assert consent.suppressed(conn, "email", [hashed]) == {hashed}, "who said no need not say it twice"
    for _ in range(2):
        enrolments.admit_due(db, now=later)
        enrolments.advance_due(db, now=later)
        messages.deliver_due(db, sending, now=later)
    assert len(carrier.handed) == 20, "nothing leaves while it is held"
    with db.begin() as conn:
        holding.release(conn, by="us", now=later)
    messages.deliver_due(db, sending, now=later)
    assert len(carrier.handed) == len({mail.address for mail in carrier.handed}) == 20
    with db.begin() as conn:
        assert holding.check(conn, sending.journal, now=later) is None, "looked at once, it is not asked again"
        counted = sa.select(tables.messages.c.state, sa.func.count()).group_by(tables.messages.c.state)
        found = sorted(tuple(row) for row in conn.execute(counted))
    assert found == [("skipped", 5), ("uncertain", 15)]
    db.dispose()


def test_a_database_that_moved_is_held(db: Database, tmp_path: Path, now: datetime) -> None:
    journal = Journal(tmp_path)
    with db.begin() as conn:
        assert holding.check(conn, journal, now=now) is None
        conn.execute(sa.text("UPDATE installation SET fingerprint = 'elsewhere:1'"))
        held = holding.check(conn, journal, now=now)
        assert held is not None and held.reason == "moved"
        holding.release(conn, by="us", now=now)
        assert holding.check(conn, journal, now=now) is None


def test_the_journal_is_read_back_but_for_a_line_cut_short(tmp_path: Path) -> None:
    journal, at = Journal(tmp_path), datetime(2026, 11, 22, 9, 0, tzinfo=UTC)
    line = Line(at, new_id(), 1, "relaunch", "cart_1", "email", b"\x01\x02")
    journal.write([line])
    (path,) = tmp_path.glob("sent-*.log")
    with open(path, "a") as file:
        file.write(f"{at.isoformat()} 12345")
    assert list(journal.sent(since=at)) == [line] and list(journal.sent(since=at + HOUR)) == []


def test_each_refusal_is_kept_once_and_none_is_passed_over_for_being_written_late(
    db: Database, tmp_path: Path, now: datetime
) -> None:
    journal = Journal(tmp_path / "journal")

    def refuse(name: str, reason: str, at: datetime) -> None:
        with db.begin() as conn:
            consent.suppress(conn, channel="email", address=f"{name}@example.org", reason=reason, now=at)

    def keep() -> int:
        with db.begin() as conn:
            return holding.keep_refusals(conn, journal, now=now)

    refuse("ada", "unsubscribed", now)
    assert (keep(), keep()) == (1, 0)
    refuse("bob", "hard_bounce", now - 3 * HOUR)
    assert keep() == 1, "its transaction began long ago"
    refuse("ada", "unsubscribed", now + HOUR)
    assert keep() == 0
    refuse("ada", "complaint", now + HOUR)
    assert keep() == 1
    assert sorted(one.reason for one in journal.refused(since=now - HOUR)) == [
        "complaint", "hard_bounce", "unsubscribed",
    ]  # fmt: skip
