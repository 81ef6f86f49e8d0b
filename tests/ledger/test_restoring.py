"""A database brought back from a backup sends nothing until somebody looked, and then nobody gets the same twice."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from campaigns import files, holding, messages, tables
from campaigns.channels.base import Mail, Outcome, Receipt
from campaigns.journal import Journal, Line
from foundation import backups, postgres
from foundation.database import Database, new_id
from shop import consent
from tests.campaigns import journey, world
from tests.campaigns.carriers import Carrier
from tests.conftest import PEPPER

HOUR = timedelta(hours=1)
MONDAY = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)  # nine o'clock in Paris
EVERYBODY = {
    "type": "schedule",
    "on": "2026-11-23",
    "at": "09:00",
    "audience": {"type": "trait", "name": "locale", "value": "fr"},
}


@pytest.mark.slow
def test_a_restored_backup_is_held_and_then_mails_nobody_twice(tmp_path: Path, now: datetime) -> None:
    db, carrier = Database(postgres.attach(tmp_path / "postgres"), pepper=PEPPER), Carrier()
    db.migrate()
    sending, due = world.sending(carrier, tmp_path, batch=10, in_flight=2, together=2, seconds=30), MONDAY
    with db.begin() as conn:
        world.stock_shop(conn, now=now)
        world.launch(conn, now=now, offer=None, products=0)
        for number in range(20):
            world.make_customer(conn, f"u{number}", at=now)
        for number in range(15, 20):
            world.leave_cart(conn, f"u{number}", at=due)
        holding.check(conn, sending.journal, now=now)
    journey.launch(db, EVERYBODY, [journey.send("news")], now=now, name="news")
    _backed_up_at(carrier, 10, lambda: backups.dump(db.url, tmp_path / "half.dump"))
    for moment in (due, due + HOUR + timedelta(minutes=1)):
        journey.tick(db, moment)
        messages.deliver_due(db, sending, now=moment)
    with db.begin() as conn:
        consent.suppress(conn, channel="email", address="gone@example.org", reason="unsubscribed", now=due + HOUR)
        holding.keep_refusals(conn, sending.journal, now=due + HOUR)
    assert len(carrier.handed) == 25
    backups.load(db.url, tmp_path / "half.dump")
    later = due + 2 * HOUR
    with db.begin() as conn:
        before = _states(conn)
        assert (before["news", "accepted"], before["news", "submitting"], sum(before.values())) == (8, 2, 20)
        held = holding.check(conn, sending.journal, now=later)
        assert held is not None and held.detail["messages"] == 15, "all but the ten it knows"
        hashed = consent.address_hash(conn, "email", "gone@example.org")
        assert consent.suppressed(conn, "email", [hashed]) == {hashed}, "who said no need not say it twice"
    for _ in range(2):
        journey.tick(db, later)
        messages.deliver_due(db, sending, now=later)
    assert len(carrier.handed) == 25, "nothing leaves while it is held"
    with db.begin() as conn:
        holding.release(conn, by="us", now=later)
    for minutes in range(3):
        messages.deliver_due(db, sending, now=later + timedelta(minutes=minutes))
    assert len(carrier.handed) == len({(mail.campaign, mail.address) for mail in carrier.handed}) == 25
    with db.begin() as conn:
        assert holding.check(conn, sending.journal, now=later) is None, "looked at once, it is not asked again"
        after = _states(conn)
    stood = {"accepted": 8, "submitting": 2, "uncertain": 10}
    assert after == {("news", state): n for state, n in stood.items()} | {(files.DEMO, "skipped"): 5}
    db.dispose()


def _backed_up_at(carrier: Carrier, number: int, back_up: Callable[[], None]) -> None:
    """A backup is made while this mail is being handed over, with another beside it."""

    def answer(mail: Mail) -> Receipt:
        if mail in carrier.handed[number - 1 : number]:
            back_up()
        return Receipt(mail.message_id, Outcome.ACCEPTED)

    carrier.answer = answer


def _states(conn: sa.Connection) -> dict[tuple[str, str], int]:
    """How many messages of each campaign are in which state."""
    campaigns, held = tables.campaigns.c, tables.messages.c
    counted = sa.select(campaigns.name, held.state, sa.func.count()).join(
        tables.campaigns, campaigns.id == held.campaign_id
    )
    return {(name, state): n for name, state, n in conn.execute(counted.group_by(campaigns.name, held.state))}


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
