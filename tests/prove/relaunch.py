"""The basket relaunch for thousands of households in simulated time, its workers killed at random.

Its report must add up to the last customer, beside a count that knows nothing of it.
"""

import multiprocessing
import random
import time
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from campaigns import conversions, crediting, enrolments, plans, reports
from campaigns.reports import Report
from foundation.database import Database
from tests.conftest import PEPPER
from tests.prove import audience, households, proofs, workers
from tests.prove.households import CAMPAIGN, WINDOW, People
from tests.prove.provider import Faults
from tests.prove.workers import Setting

STEP = timedelta(hours=2)
_fork = multiprocessing.get_context("fork")


@dataclass(frozen=True, slots=True)
class Stepped(Setting):
    """Workers whose clock stands still until everything due by then is done. `hand` is its seconds so far,
    `planned` the last of them a planner has been through."""

    hand: Any = None
    planned: Any = None

    def now(self) -> datetime:
        return self.began_at + timedelta(seconds=self.hand.value)


@dataclass(frozen=True, slots=True)
class Told:
    """What the whole came to: each line of the sum and whether it holds."""

    size: int
    kills: int
    seconds: float
    accepted: int
    duplicates: int
    report: Report
    counted: dict[str, int]
    wrong: list[str] = field(default_factory=list)

    @property
    def sound(self) -> bool:
        return not self.wrong and not self.duplicates


def planning(setting: Stepped) -> None:
    """Takes people in and on, and credits orders, until killed."""
    db = Database(setting.database_url, pepper=PEPPER)
    while True:
        at = setting.hand.value
        now = setting.began_at + timedelta(seconds=at)
        enrolments.admit_due(db, now=now)
        enrolments.advance_due(db, now=now)
        conversions.credit_new_orders(db, now=now)
        setting.planned.value = at
        time.sleep(0.05)


def relaunch(url: str, folder: Path, *, size: int, pause: float = 0.6, step: timedelta = STEP, seed: int = 1) -> Told:
    """Everything: eleven days a step at a time, a worker killed every `pause` seconds or so."""
    db, dice = Database(url, pepper=PEPPER), random.Random(seed)
    with proofs.provider(folder, Faults(lost_answers=0.01, refused=0.02), seed=seed) as witness:
        base = workers.setting_for(url, witness.port, folder, lease=2.0)
        hand, planned = _fork.Value("d", 0.0, lock=False), _fork.Value("d", -1.0, lock=False)
        kept = (base.database_url, base.port, base.folder, base.began_at, base.clock, base.lease)
        setting = Stepped(*kept, hand=hand, planned=planned)
        households.prepare(db, size=size, now=setting.now())
        people, began = People.of(db, began=setting.now(), seed=seed), time.monotonic()
        crew = _Crew(setting, dice, pause)
        until = setting.now() + WINDOW + timedelta(days=3)
        while setting.now() < until:
            crew.work_until_quiet(db)
            before = setting.now()
            hand.value += step.total_seconds()
            people.act(db, since=before, until=setting.now())
        people.send_back(db, now=setting.now())
        crew.work_until_quiet(db)
        crew.stop()
        audience.confirm(db, witness.accepted(), now=setting.now())
        conversions.credit_new_orders(db, now=setting.now() + timedelta(minutes=1))
        crediting.check(db, now=setting.now() + timedelta(minutes=2))
        accepted = witness.accepted()
        told = _judged(db, setting.now(), accepted, size=size, kills=crew.kills, seconds=time.monotonic() - began)
    db.dispose()
    return told


class _Crew:
    """Two who plan and two who deliver; whoever is killed is replaced."""

    def __init__(self, setting: Stepped, dice: random.Random, pause: float) -> None:
        self._setting, self._dice, self._pause = setting, dice, pause
        self._works = (planning, planning, workers.for_ever, workers.for_ever)
        self._staff: list[BaseProcess] = [workers.start(work, setting) for work in self._works]
        self._next = time.monotonic() + pause
        self.kills = 0

    def work_until_quiet(self, db: Database) -> None:
        """Lets them work, and die, until nothing is due any more by the clock as it stands."""
        calm = 0
        while calm < 2:
            time.sleep(0.03)
            if time.monotonic() > self._next:
                self._kill()
            behind = self._setting.planned.value < self._setting.hand.value
            calm = 0 if behind or _due(db, self._setting.now()) else calm + 1

    def _kill(self) -> None:
        unlucky = self._dice.randrange(len(self._staff))
        self._staff[unlucky].kill()
        self._staff[unlucky].join()
        self._staff[unlucky] = workers.start(self._works[unlucky], self._setting)
        self.kills += 1
        self._next = time.monotonic() + self._pause * self._dice.uniform(0.5, 1.5)

    def stop(self) -> None:
        for one in self._staff:
            one.kill()
            one.join()


_DUE = """
SELECT EXISTS (SELECT FROM signals)
    OR EXISTS (SELECT FROM enrolments WHERE state = 'waiting' AND wake_at <= :now)
    OR EXISTS (SELECT FROM messages
        WHERE state IN ('claimed', 'submitting') OR state = 'pending' AND not_before <= :now)
"""


def _due(db: Database, now: datetime) -> bool:
    with db.begin() as conn:
        return bool(conn.scalar(sa.text(_DUE), {"now": now}))


# --------------------------------------------------------------------------------------------- the judge
_COUNTED = {
    "baskets": "SELECT count(*) FROM carts",
    "enrolments": "SELECT count(*) FROM enrolments",
    "held out": "SELECT count(*) FROM enrolments WHERE arm <> 'treated'",
    "written to in silence": "SELECT count(*) FROM messages JOIN enrolments ON enrolments.id = enrolment_id "
    "WHERE arm <> 'treated'",
    "messages": "SELECT count(*) FROM messages",
    "reached": "SELECT count(DISTINCT enrolment_id) FROM messages WHERE state IN ('accepted', 'delivered')",
    "buyers": "SELECT count(DISTINCT orders.customer_id) FROM orders JOIN enrolments USING (customer_id) "
    "WHERE orders.state <> 'cancelled' AND ordered_at > entered_at AND ordered_at <= entered_at + interval '8 days' "
    "AND arm = 'treated'",
    "held out buyers": "SELECT count(DISTINCT orders.customer_id) FROM orders JOIN enrolments USING (customer_id) "
    "WHERE orders.state <> 'cancelled' AND ordered_at > entered_at AND ordered_at <= entered_at + interval '8 days' "
    "AND arm <> 'treated'",
    "credited": "SELECT count(*) FROM attributions",
    "credited to the cancelled": "SELECT count(*) FROM attributions JOIN orders USING (order_id) "
    "WHERE state = 'cancelled'",
    "credited net": "SELECT coalesce(sum(total - refunded), 0) FROM attributions JOIN orders USING (order_id)",
    "credited as kept": "SELECT coalesce(sum(amount), 0) FROM attributions",
    "credited by right": "SELECT count(*) FROM orders WHERE state <> 'cancelled' AND (EXISTS (SELECT FROM events "
    "WHERE events.customer_id = orders.customer_id AND name = 'Message Clicked' AND properties ->> 'machine' = 'false' "
    "AND occurred_at BETWEEN ordered_at - interval '5 days' AND ordered_at) OR EXISTS (SELECT FROM promo_redemptions "
    "WHERE promo_redemptions.order_id = orders.order_id AND undone_at IS NULL))",
    "drawn": "SELECT count(*) FROM exposures WHERE NOT silent",
}


def _judged(db: Database, now: datetime, accepted: list[str], *, size: int, kills: int, seconds: float) -> Told:
    with db.begin() as conn:
        report = reports.full(conn, plans.get(conn, CAMPAIGN), now=now)
        counted = {name: int(conn.scalar(sa.text(query)) or 0) for name, query in _COUNTED.items()}
    audience_, funnel, lift = report.funnel.audience, report.funnel, report.lift
    stages = funnel.stages
    sums = {
        "everybody": (audience_.total, counted["enrolments"]),
        "held out": (sum(audience_.held_out.values()), counted["held out"]),
        "nothing said to them": (counted["written to in silence"], 0),
        "reached": (audience_.reached, counted["reached"]),
        "planned": (sum(stage.planned for stage in stages), counted["messages"]),
        "each stage": (sum(one.accepted + one.not_sent + one.uncertain + one.waiting for one in stages),
                       counted["messages"]),
        "nothing waits": (sum(one.waiting for one in stages), 0),
        "accepted": (sum(stage.accepted for stage in stages), len(set(accepted))),
        "buyers": (funnel.bought, counted["buyers"]),
        "buyers of the lift": (lift.treated.buyers, counted["buyers"]),
        "buyers held out": (lift.held_out.buyers, counted["held out buyers"]),
        "people of the lift": (lift.treated.people + lift.held_out.people + lift.watched, counted["enrolments"]),
        "drawn": (sum(sum(arm.people for arm in one.arms.values()) + one.watched for one in report.experiments),
                  counted["drawn"]),
        "credited": (report.earned.orders, counted["credited"]),
        "credited by right": (counted["credited"], counted["credited by right"]),
        "credited to the cancelled": (counted["credited to the cancelled"], 0),
        "money": (report.earned.net, counted["credited net"]),
        "money as it was kept": (counted["credited as kept"], counted["credited net"]),
    }  # fmt: skip
    wrong = [f"{name}: {ours} and not {theirs}" for name, (ours, theirs) in sums.items() if ours != theirs]
    return Told(size, kills, seconds, len(accepted), len(accepted) - len(set(accepted)), report, counted, wrong)
