"""The sender driven at random over a real database, beside a provider that knows what it took.

People come and say goodbye; the provider takes, loses its answer, is silent, refuses; workers die between any two of
their steps; leases lapse, reports come, words are changed, the campaign is paused, time passes.
"""

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from campaigns import audit, feedback, messages, plans, policy, rules, settling, states, tables
from campaigns.channels.base import Mail, Outcome, Receipt
from campaigns.feedback import Kind, Report
from campaigns.states import State
from foundation.database import Database
from shop import consent
from tests.campaigns import journey, world

START = datetime(2026, 11, 21, 10, 0, tzinfo=UTC)
NAME = "sender"
USERS = st.integers(0, 5)
ANSWERS = {
    "takes": (True, Outcome.ACCEPTED),
    "loses its answer": (True, Outcome.AMBIGUOUS),
    "is silent": (False, Outcome.AMBIGUOUS),
    "says later": (False, Outcome.REFUSED_RETRY),
    "says never": (False, Outcome.REFUSED_FINAL),
    "is not reached": (False, Outcome.UNSENT),
    "knows no such key": (False, Outcome.MISCONFIGURED),
}
SAID = st.lists(st.sampled_from(sorted(ANSWERS)), max_size=4)
POINTS = st.sampled_from(["claimed", "intent", "in the middle", "answered", "recorded"])
PERHAPS = (State.SUBMITTING, State.UNCERTAIN, State.UNCONFIRMED)


class Killed(Exception):
    """The process is gone."""


class Witness:
    """A provider that keeps what it took, and does as `says` with the next mails, then takes them."""

    provider = "witness"
    keeps_for: timedelta | None = None
    tells = False

    def __init__(self) -> None:
        self.taken: Counter[UUID] = Counter()
        self.says: list[str] = []
        self.dies = False

    def deliver(self, batch: Sequence[Mail]) -> list[Receipt]:
        receipts = [self._answer(mail) for mail in batch]
        if self.dies:
            raise Killed
        return receipts

    def _answer(self, mail: Mail) -> Receipt:
        took, outcome = ANSWERS[self.says.pop() if self.says else "takes"]
        self.taken[mail.message_id] += took
        return Receipt(mail.message_id, outcome, "said so")

    def close(self) -> None:
        """There is nothing to close."""


def machine(db: Database, folder: Path) -> type[RuleBasedStateMachine]:
    """The machine over this database; each run begins with an empty one."""
    return type("Sender", (_Sender,), {"db": db, "folder": folder})


class _Sender(RuleBasedStateMachine):
    db: Database
    folder: Path

    @initialize()
    def launch(self) -> None:
        self.now, self.witness, self.edits = START, Witness(), 0
        self.people: dict[str, int] = {}
        self.taken_of_the_gone: dict[int, int] = {}
        with self.db.begin() as conn:
            world.stock_shop(conn, now=START)
            policy.save(conn, rules.Policy(quiet_from=None, quiet_until=None, cap_messages=100), now=START)
            plans.create(conn, NAME, definition=self.definition(), now=START)
            self.plan = plans.launch(conn, NAME, now=START)
        self.paused = False

    def definition(self) -> dict[str, Any]:
        step = journey.send("hello") | {
            "words": {"en": {"subject": f"Hello {self.edits}", "heading": "h", "intro": "i"}}
        }
        return {"title": "m", "entry": {"type": "event", "event": "Quiz Taken"}, "steps": [step], "goal": None}

    @rule(number=USERS)
    def somebody_comes(self, number: int) -> None:
        user = f"s{number}"
        if user in self.people or self.paused:
            return
        with self.db.begin() as conn:
            self.people[user] = world.make_customer(conn, user, at=self.now)
            world.say(conn, user, "Quiz Taken", at=self.now)
        journey.tick(self.db, self.now)

    @rule(number=USERS)
    def says_goodbye(self, number: int) -> None:
        person = self.people.get(f"s{number}")
        if person is not None:
            with self.db.begin() as conn:
                consent.withdraw(conn, person, channel="email", source="test", now=self.now)
            self.taken_of_the_gone.setdefault(person, self.taken_of(person))

    @rule(says=SAID)
    def delivers(self, says: list[str]) -> None:
        self.turn(says)

    @rule(says=SAID, point=POINTS, passes=st.integers(1, 3))
    def a_worker_dies(self, says: list[str], point: str, passes: int) -> None:
        left = [passes]

        def checkpoint(name: str) -> None:
            left[0] -= name == point
            if name == point and left[0] == 0:
                raise Killed

        self.witness.dies = point == "in the middle"
        try:
            self.turn(says, checkpoint=checkpoint)
        except Killed:
            pass
        self.witness.dies = False

    def turn(self, says: list[str], **more: Any) -> None:
        self.witness.says = list(says)
        before = self.witness.taken.total()
        try:
            sending = world.sending(self.witness, self.folder, batch=3, in_flight=2, **more)
            messages.deliver_due(self.db, sending, now=self.now)
        finally:
            assert not self.paused or self.witness.taken.total() == before, "nothing leaves while it is paused"

    @rule()
    def leases_lapse(self) -> None:
        with self.db.begin() as conn:
            conn.execute(sa.update(tables.messages).values(lease_until=sa.func.now() - timedelta(minutes=1)))
        settling.sweep(self.db, now=self.now)

    @rule(kind=st.sampled_from([Kind.ACCEPTED, Kind.DELIVERED, Kind.BOUNCED, Kind.COMPLAINED]), often=st.integers(1, 3))
    def the_provider_reports(self, kind: Kind, often: int) -> None:
        reports = [Report(f"{kind}:{one}", kind, self.now, message_id=one) for one in +self.witness.taken]
        for _ in range(often):
            with self.db.begin() as conn:
                feedback.reported(conn, "witness", reports, now=self.now)

    @rule()
    def the_words_change(self) -> None:
        self.edits += 1
        with self.db.begin() as conn:
            plans.update(conn, NAME, definition=self.definition(), now=self.now)

    @precondition(lambda self: not self.paused)
    @rule()
    def pauses(self) -> None:
        with self.db.begin() as conn:
            plans.pause(conn, NAME, now=self.now)
        self.paused = True

    @precondition(lambda self: self.paused)
    @rule()
    def goes_on(self) -> None:
        with self.db.begin() as conn:
            plans.launch(conn, NAME, now=self.now)
        self.paused = False

    @rule(minutes=st.sampled_from([1, 11, 60, 26 * 60]))
    def time_passes(self, minutes: int) -> None:
        self.now += timedelta(minutes=minutes)

    # --------------------------------------------------------------------------------------- what must hold
    def taken_of(self, person: int) -> int:
        query = sa.select(tables.messages.c.id).where(tables.messages.c.customer_id == person)
        with self.db.begin() as conn:
            return sum(self.witness.taken[one] for one in conn.scalars(query))

    @invariant()
    def nobody_twice_and_nobody_lost(self) -> None:
        if not hasattr(self, "plan"):
            return
        with self.db.begin() as conn:
            mine = tables.messages.c.campaign_id == self.plan.id
            found = {row.id: State(row.state) for row in conn.execute(sa.select(tables.messages).where(mine))}
        assert len(found) == len(self.people), "a row for everybody, in one state"
        assert max(self.witness.taken.values(), default=0) <= 1
        for message, state in found.items():
            took = bool(self.witness.taken[message])
            assert state in PERHAPS or took == (state in states.SENT), (state, took)

    @invariant()
    def nothing_begins_after_a_goodbye(self) -> None:
        for person, before in getattr(self, "taken_of_the_gone", {}).items():
            assert self.taken_of(person) == before

    @invariant()
    def it_adds_up(self) -> None:
        if hasattr(self, "plan"):
            assert "does not add up" not in (audit.add_up(self.db, now=self.now) or "")

    def teardown(self) -> None:
        """The next run finds nobody."""
        if hasattr(self, "plan"):
            with self.db.begin() as conn:
                plans.cancel(conn, NAME, now=self.now)
                conn.execute(sa.text("UPDATE campaigns SET name = 'over-' || id WHERE name = :name"), {"name": NAME})
                for table in ("customers", "suppressions", "provider_gates", "provider_events"):
                    conn.execute(sa.text(f"DELETE FROM {table}"))
