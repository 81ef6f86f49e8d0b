"""Quiet hours from end to end: text messages that come due at awkward moments leave once each, and never outside."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from campaigns import connections, enrolments, messages, plans, policy, rules, settling
from campaigns.channels.base import Note, Outcome, Receipt
from foundation.database import Database
from shop import consent
from tests.campaigns import world

PARIS, REUNION = ZoneInfo("Europe/Paris"), ZoneInfo("Indian/Reunion")
PEOPLE = {
    "paris": ({"phone": "+33612345601", "timezone": "Europe/Paris"}, PARIS),
    "reunion": ({"phone": "+262692123402", "timezone": "Indian/Reunion"}, REUNION),
    "nowhere": ({"phone": "+33612345603"}, PARIS),
}
CLOSED = {date(2026, 5, 1), date(2026, 7, 14), date(2026, 12, 25), date(2027, 3, 29)}
"""The holidays among the days that follow the moments below; Easter Monday is the last."""
STEP = timedelta(hours=1)


@dataclass
class Watch:
    """A gateway that takes everything and looks at the clock."""

    now: datetime
    provider: str = "watch"
    keeps_for: timedelta | None = None
    tells: bool = False
    taken: list[tuple[str, datetime]] = field(default_factory=list)

    def deliver(self, batch: Sequence[Note]) -> list[Receipt]:
        self.taken += [(one.addresses[0], self.now) for one in batch]
        return [Receipt(one.message_id, Outcome.ACCEPTED) for one in batch]

    def close(self) -> None:
        """There is nothing to close."""


@pytest.mark.parametrize(
    "moment",
    [
        pytest.param(datetime(2026, 10, 25, 0, 30, tzinfo=UTC), id="half past two, the first time"),
        pytest.param(datetime(2026, 10, 25, 1, 30, tzinfo=UTC), id="half past two, the second time"),
        pytest.param(
            datetime(2027, 3, 28, 1, 30, tzinfo=UTC), id="the night without half past two, before Easter Monday"
        ),
        pytest.param(datetime(2026, 7, 13, 18, 5, tzinfo=UTC), id="the evening before 14 July"),
        pytest.param(datetime(2026, 7, 14, 9, 0, tzinfo=UTC), id="14 July"),
        pytest.param(datetime(2026, 11, 21, 19, 0, tzinfo=UTC), id="a Saturday evening"),
        pytest.param(datetime(2026, 11, 22, 10, 0, tzinfo=UTC), id="a Sunday"),
        pytest.param(datetime(2026, 4, 30, 21, 0, tzinfo=UTC), id="the night before 1 May, a Friday"),
        pytest.param(datetime(2026, 12, 24, 23, 30, tzinfo=UTC), id="the night of Christmas, before a weekend"),
    ],
)
def test_each_leaves_once_and_within_hours(db: Database, tmp_path: Path, moment: datetime) -> None:
    watch = Watch(moment)
    _due_at(db, moment)
    sending = replace(world.sending(watch, tmp_path, seconds=5), channels={"sms": watch})  # type: ignore[arg-type]
    for step in range(int(timedelta(days=4) / STEP)):
        watch.now = moment + step * STEP
        messages.deliver_due(db, sending, now=watch.now)
        settling.sweep(db, channels=sending.channels, now=watch.now)
    numbers = {str(said["phone"]): zone for said, zone in PEOPLE.values()}
    assert sorted(number for number, _ in watch.taken) == sorted(numbers), "each once"
    for number, at in watch.taken:
        there = at.astimezone(numbers[number])
        assert 8 <= there.hour < 20 and there.weekday() != 6 and there.date() not in CLOSED, (number, there)


def _due_at(db: Database, moment: datetime) -> None:
    before = moment - timedelta(minutes=61)
    words: dict[str, Any] = {"fr": {"subject": "Bonjour", "heading": "Bonjour", "intro": "Votre panier vous attend."}}
    with db.begin() as conn:
        world.stock_shop(conn, now=before)
        policy.save(conn, rules.Policy(quiet_from=None, quiet_until=None), now=before)
        connections.connect(conn, "sms", "outbox:", keys=["a key of these tests"], origin="test", now=before)
        said = world.relaunch(offer=None, products=0, channel="sms", words=words, expires="168h")
        plans.create(conn, "hours", definition=said, now=before)
        plans.launch(conn, "hours", now=before)
        for user, (traits, _) in PEOPLE.items():
            person = world.make_customer(conn, user, at=before, **traits)
            yes = consent.Said(person, "sms", "marketing", "granted", before, "form")
            consent.record_many(conn, [yes], now=before)
            world.leave_cart(conn, user, at=before)
    enrolments.admit_due(db, now=moment)
    enrolments.advance_due(db, now=moment)
