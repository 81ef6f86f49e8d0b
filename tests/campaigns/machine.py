"""The engine driven at random over a real database, and held beside the oracle after every turn.

People sign up, order, take orders back, quit; the campaign is changed, paused and taken up again; processes die between
any two transactions or within one; the clock leaps and is set back.
"""

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from campaigns import enrolments, plans, policy, reports, rules, tables
from foundation.database import Database
from shop.tables import customers
from tests.campaigns import world
from tests.campaigns.journey import send, wait
from tests.campaigns.oracle import Oracle, Person

START = datetime(2026, 11, 21, 10, 0, tzinfo=UTC)
WINDOW = timedelta(days=4)
HOLDOUT = 25.0
USERS = st.integers(0, 5)
HOURS = st.sampled_from([0, 1, 6, 23, 25, 50])
TEST = {
    "type": "experiment", "id": "test",
    "variants": [{"name": "a", "steps": [send("in-a"), wait("w-a", "6h"), send("in-a-2")]},
                 {"name": "b", "weight": 2, "steps": [send("in-b")]}],
}  # fmt: skip
VERSIONS = (
    [send("one"), wait("day", "1d"), TEST, wait("night", "12h"), send("last")],
    [wait("first", "6h"), send("one"), wait("day", "1d"), send("last")],
    [send("one"), TEST],
    [wait("two-days", "2d"), TEST, send("last"), wait("end", "1h"), send("more")],
)
_numbers = itertools.count()


class Killed(Exception):
    """The process is gone."""


class Frail:
    """A database whose user dies at its n-th transaction: within it, so that it is undone, or right after."""

    def __init__(self, db: Database, *, after: int, committed: bool) -> None:
        self._db, self._left, self._committed = db, after, committed

    @contextmanager
    def begin(self) -> Iterator[sa.Connection]:
        with self._db.begin() as conn:
            yield conn
            self._left -= 1
            if self._left == 0 and not self._committed:
                raise Killed
        if self._left == 0:
            raise Killed


def machine(db: Database) -> type[RuleBasedStateMachine]:
    """The machine over this database; each run begins with an empty one."""
    return type("Engine", (_Engine,), {"db": db})


class _Engine(RuleBasedStateMachine):
    db: Database

    @initialize()
    def launch(self) -> None:
        self.now = START
        self.oracle = Oracle("machine", HOLDOUT, WINDOW, [VERSIONS[0]])
        with self.db.begin() as conn:
            policy.save(conn, rules.Policy(quiet_from=None, quiet_until=None, cap_messages=100), now=START)
            plans.create(conn, self.oracle.name, definition=self.definition(VERSIONS[0]), now=START)
            self.plan = plans.launch(conn, self.oracle.name, now=START)

    def definition(self, steps: list[dict[str, Any]]) -> dict[str, Any]:
        return {
            "title": "m",
            "entry": {"type": "event", "event": "Signed Up"},
            "steps": steps,
            "goal": {"event": "Order Completed", "within": "4d"},
            "exit_on": [{"event": "Quit"}],
            "holdout_percent": HOLDOUT,
        }

    # ------------------------------------------------------------------------------------- what people do
    def person(self, number: int) -> tuple[str, Person]:
        user = f"m{number}"
        if user not in self.oracle.people:
            with self.db.begin() as conn:
                self.oracle.people[user] = Person(world.make_customer(conn, user, at=self.now))
        self.now += timedelta(seconds=1)
        return user, self.oracle.people[user]

    def says(self, user: str, event: str, **properties: object) -> None:
        with self.db.begin() as conn:
            world.say(conn, user, event, at=self.now, **properties)

    @rule(number=USERS)
    def signs_up(self, number: int) -> None:
        user, _ = self.person(number)
        self.says(user, "Signed Up")
        self.oracle.hears(user, "Signed Up", at=self.now)

    @rule(number=USERS)
    def orders(self, number: int) -> None:
        user, person = self.person(number)
        order_id = f"{user}-{next(_numbers)}"
        self.says(user, "Order Completed", order_id=order_id, total="10.00", currency="EUR")
        person.orders[order_id] = self.now
        self.oracle.hears(user, "Order Completed", at=self.now)

    @rule(number=USERS)
    def takes_an_order_back(self, number: int) -> None:
        user, person = self.person(number)
        if person.orders:
            order_id, _ = person.orders.popitem()
            self.says(user, "Order Cancelled", order_id=order_id)

    @rule(number=USERS)
    def quits(self, number: int) -> None:
        user, person = self.person(number)
        self.says(user, "Quit")
        person.quits.append(self.now)
        self.oracle.hears(user, "Quit", at=self.now)

    # --------------------------------------------------------------------------------- what marketers do
    @rule(which=st.integers(0, len(VERSIONS) - 1))
    def changes(self, which: int) -> None:
        with self.db.begin() as conn:
            before = plans.get(conn, self.oracle.name).version
            after = plans.update(conn, self.oracle.name, definition=self.definition(VERSIONS[which]), now=self.now)
        if after.version > before:
            self.oracle.versions.append(VERSIONS[which])

    @precondition(lambda self: self.oracle.state == "sending")
    @rule()
    def pauses(self) -> None:
        with self.db.begin() as conn:
            plans.pause(conn, self.oracle.name, now=self.now)
        self.oracle.state = "paused"

    @precondition(lambda self: self.oracle.state == "paused")
    @rule()
    def goes_on(self) -> None:
        with self.db.begin() as conn:
            plans.launch(conn, self.oracle.name, now=self.now)
        self.oracle.state = "sending"

    # ------------------------------------------------------------------------------- what time and fate do
    @rule(hours=HOURS)
    def time_passes(self, hours: int) -> None:
        self.now += timedelta(hours=hours)
        self.turn(self.db, self.now)

    @rule()
    def the_clock_is_set_back(self) -> None:
        self.turn(self.db, self.now - timedelta(hours=2))

    @rule(hours=HOURS, after=st.integers(1, 6), committed=st.booleans())
    def a_process_dies_and_another_goes_on(self, hours: int, after: int, committed: bool) -> None:
        self.now += timedelta(hours=hours)
        try:
            self.engine(Frail(self.db, after=after, committed=committed), self.now)
        except Killed:
            pass
        self.turn(self.db, self.now)

    def turn(self, db: Database, now: datetime) -> None:
        self.engine(db, now)
        self.oracle.tick(now)

    def engine(self, db: Any, now: datetime) -> None:
        enrolments.admit_due(db, now=now)
        enrolments.advance_due(db, now=now)

    # --------------------------------------------------------------------------------------- what must hold
    @invariant()
    def the_engine_is_where_the_oracle_is(self) -> None:
        if not hasattr(self, "oracle"):
            return
        held, sent = tables.enrolments, tables.messages
        said = (
            sa.select(
                sa.func.coalesce(sa.func.array_agg(sa.cast(sent.c.step, sa.Text)), sa.cast([], sa.ARRAY(sa.Text)))
            )
            .where(sent.c.enrolment_id == held.c.id)
            .scalar_subquery()
        )
        query = (
            sa.select(customers.c.user_id, held.c.state, held.c.reason, held.c.step, said)
            .join(customers, customers.c.id == held.c.customer_id)
            .where(held.c.campaign_id == self.plan.id)
        )
        with self.db.begin() as conn:
            found = {user: (*place, tuple(sorted(steps))) for user, *place, steps in conn.execute(query)}
        assert found == dict(self.oracle.places())

    @invariant()
    def the_report_adds_up(self) -> None:
        if not hasattr(self, "oracle"):
            return
        with self.db.begin() as conn:
            funnel = reports.full(conn, self.plan, now=self.now).funnel
        entered = [person for person in self.oracle.people.values() if person.entered is not None]
        treated = [person for person in entered if person.arm == "treated"]
        assert funnel.audience.total == len(entered)
        assert sum(funnel.audience.held_out.values()) == len(entered) - len(treated)
        assert sum(stage.planned for stage in funnel.stages) == sum(len(person.sent) for person in treated)
        for stage in funnel.stages:
            assert stage.planned == stage.accepted + stage.not_sent + stage.uncertain + stage.waiting

    def teardown(self) -> None:
        """The next run finds nobody, and numbers that begin anew: who is drawn into what depends on them."""
        if hasattr(self, "plan"):
            with self.db.begin() as conn:
                plans.cancel(conn, self.oracle.name, now=self.now)
                conn.execute(sa.text("UPDATE campaigns SET name = 'over-' || id WHERE name = 'machine'"))
                conn.execute(sa.text("DELETE FROM customers"))
                conn.execute(sa.text("ALTER SEQUENCE customers_id_seq RESTART"))
