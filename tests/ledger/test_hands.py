"""Many at once: how many of a broadcast travel together, several hands on one channel, and counts that cost little."""

import threading
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from campaigns import audit, enrolments, guards, messages, pacing, plans, policy, rules, tables, timing
from campaigns.channels.base import Mail, Outcome, Receipt
from foundation.database import Database
from tests.campaigns import world

PEOPLE = 130


class Carrier:
    """Takes everything, and keeps how many came together and who was there at once."""

    provider, keeps_for, tells = "carrier", None, True

    def __init__(self) -> None:
        self.batches: list[int] = []
        self.mails: list[Mail] = []
        self.hands: set[str] = set()
        self._turn = threading.Lock()

    def deliver(self, batch: Sequence[Mail]) -> list[Receipt]:
        with self._turn:
            self.batches.append(len(batch))
            self.mails += batch
            self.hands.add(threading.current_thread().name)
        return [Receipt(mail.message_id, Outcome.ACCEPTED) for mail in batch]

    def close(self) -> None:
        """There is nothing to close."""


@pytest.fixture
def due(db: Database, now: datetime) -> datetime:
    """A broadcast to everybody, its messages queued."""
    entry = {"type": "schedule", "on": now.date().isoformat(), "at": f"{now:%H:%M}", "zone": "UTC"}
    audience = {"type": "trait", "name": "locale", "value": "fr"}
    with db.begin() as conn:
        world.stock_shop(conn, now=now)
        policy.save(conn, rules.Policy(quiet_from=None, quiet_until=None), now=now)
        for number in range(PEOPLE):
            world.make_customer(conn, f"u{number}", at=now)
        steps = world.relaunch(offer=None, products=0, words=LETTER)["steps"]
        definition = {"title": "Letter", "entry": entry | {"audience": audience}, "steps": steps}
        plans.create(conn, "letter", definition=definition, now=now - timedelta(hours=1))
        plans.launch(conn, "letter", now=now - timedelta(hours=1))
    at = now + timedelta(minutes=1)
    with db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as conn:
        conn.execute(sa.text("VACUUM ANALYZE enrolments"))
    assert enrolments.admit_timed(db, now=at) == f"{PEOPLE} into letter"
    enrolments.advance_due(db, now=at)
    return at


LETTER = {
    "fr": {"subject": "Le marché", "heading": "Bonjour", "intro": "Bonjour {{ customer.first_name | default('vous') }}"}
}


def test_of_a_broadcast_as_many_travel_together_as_were_allowed(db: Database, tmp_path: Path, due: datetime) -> None:
    carrier = Carrier()
    messages.deliver_due(db, world.sending(carrier, tmp_path, together=40, batch=50), now=due)
    assert sum(carrier.batches) == PEOPLE and max(carrier.batches) == 40


def test_without_such_a_carrier_no_more_than_a_handful_is_on_its_way(
    db: Database, tmp_path: Path, due: datetime
) -> None:
    carrier = Carrier()
    messages.deliver_due(db, world.sending(carrier, tmp_path), now=due)
    assert sum(carrier.batches) == PEOPLE and max(carrier.batches) == 16


def test_two_hands_send_everything_once_and_draw_its_consequences(db: Database, tmp_path: Path, due: datetime) -> None:
    carrier = Carrier()
    told = messages.deliver_due(db, world.sending(carrier, tmp_path, together=20, batch=10, hands=2), now=due)
    assert told == f"{PEOPLE} accepted" and len({mail.message_id for mail in carrier.mails}) == len(carrier.mails)
    assert len(carrier.hands) == 2
    with db.begin() as conn:
        unsettled = sa.select(sa.func.count()).where(tables.messages.c.settled_at.is_(None))
        assert conn.scalar(unsettled) == 0


def test_a_campaign_pauses_itself_with_the_first_bounce_too_many(db: Database, tmp_path: Path, due: datetime) -> None:
    messages.deliver_due(db, world.sending(Carrier(), tmp_path), now=due)
    allowed = int(PEOPLE * 0.05)
    for number in (allowed, allowed + 1):
        with db.begin() as conn:
            some = sa.select(tables.messages.c.id).order_by(tables.messages.c.id).limit(number).scalar_subquery()
            bounced = sa.update(tables.messages).where(tables.messages.c.id.in_(some))
            conn.execute(bounced.values(state="bounced", reason="hard_bounce"))
        told = guards.watch(db, now=due + timedelta(minutes=1))
        assert told == (None if number == allowed else "letter paused: bounces")
    with db.begin() as conn:
        detail = plans.get(conn, "letter").pause_detail
    assert detail == {"answered": PEOPLE, "bounces": allowed + 1, "complaints": 0, "failures": 0}


def test_a_count_that_takes_long_rests(db: Database, due: datetime) -> None:
    assert pacing.rest(0.2) is None and pacing.rest(3) == timedelta(minutes=1)
    assert audit.add_up(db, now=due) == "1 added up"
    with db.begin() as conn:
        conn.execute(sa.text("UPDATE campaign_sums SET rest = '1 minute'"))
    assert audit.add_up(db, now=due + timedelta(seconds=59)) is None
    assert audit.add_up(db, now=due + timedelta(seconds=61)) == "1 added up"


def test_an_audience_is_taken_in_by_sets_and_nothing_else_is_planned_so(db: Database, due: datetime) -> None:
    with db.begin() as conn:
        plan = plans.get(conn, "letter")
        entry = plan.definition.entry
        assert isinstance(entry, timing.Schedule)
        slot = timing.Slot((due + timedelta(days=1)).date(), "UTC", due, None)
        assert timing.take_in(conn, plan, entry, slot, now=due) == 0, "nobody comes in twice"
        assert conn.scalar(sa.text("SHOW enable_nestloop")) == "on"
        assert conn.scalar(sa.text("SHOW work_mem")) != "64MB"
