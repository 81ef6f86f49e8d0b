"""A3: messages somebody asked for by ordering all arrive in the end, once each, whoever is killed.

Their provider reports what it takes. What is in doubt goes out again once those reports show that it was not taken.
"""

import random
import time
from collections.abc import Callable
from pathlib import Path
from uuid import UUID

import sqlalchemy as sa

from campaigns import enrolments, feedback
from campaigns.feedback import Kind, Report
from foundation.database import Database
from tests.campaigns import world
from tests.conftest import PEPPER
from tests.prove import audience, proofs, workers
from tests.prove.proofs import Murder
from tests.prove.provider import Faults, Provider
from tests.prove.workers import Setting

LATER = 5
"""Orders after the last kill: only a report of a later message shows that reports still come."""


def ordered(
    url: str,
    folder: Path,
    *,
    size: int,
    crew: int = 4,
    pause: float = 0.5,
    most: int = 10**9,
    speed: float = 60.0,
) -> Murder:
    """Random murder, at most `most` times, with reports, until nothing is in doubt any more or two minutes are over."""
    db, dice = Database(url, pepper=PEPPER), random.Random(1)
    with proofs.provider(folder, Faults(lost_answers=0.02, refused=0.02, broken=0.01), seed=1) as witness:
        setting = workers.setting_for(url, witness.port, folder, lease=2.0, tells=True, speed=speed)
        audience.prepare(db, size, now=setting.now(), purpose="transactional")
        workers.start(workers.enrol, setting).join()
        told, began, kills = _Told(witness), time.monotonic(), 0
        staff = [workers.start(workers.for_ever, setting) for _ in range(crew)]
        while workers.unfinished(db):
            time.sleep(pause * dice.uniform(0.5, 1.5))
            told.report(db, setting)
            if kills >= most:
                continue
            unlucky = dice.randrange(crew)
            staff[unlucky].kill()
            staff[unlucky].join()
            kills += 1
            staff[unlucky] = workers.start(workers.for_ever, setting)
        before = audience.judge(db, witness.accepted(), audience=size)
        _order_later(db, setting, size)
        _settle(lambda: told.report(db, setting), db)
        seconds = time.monotonic() - began
        for one in staff:
            one.kill()
            one.join()
        after = audience.judge(db, witness.accepted(), audience=size + LATER)
    db.dispose()
    return Murder(kills, seconds, before, after)


class _Told:
    """What the provider has reported so far."""

    def __init__(self, witness: Provider) -> None:
        self._witness, self._number = witness, 0

    def report(self, db: Database, setting: Setting) -> None:
        """All it took since the last time, in the order it took it."""
        fresh = self._witness.accepted()[self._number :]
        self._number += len(fresh)
        now = setting.now()
        reports = [Report(f"delivered:{one}", Kind.DELIVERED, now, message_id=UUID(one)) for one in fresh]
        with db.begin() as conn:
            feedback.reported(conn, "smtp:127.0.0.1", reports, now=now)


def _order_later(db: Database, setting: Setting, size: int) -> None:
    """A few more carts, gone quiet long enough, after everything else."""
    now = setting.now()
    then = now - audience.QUIET
    with db.begin() as conn:
        for number in range(size, size + LATER):
            world.make_customer(conn, f"later{number}", at=now)
            world.leave_cart(conn, f"later{number}", at=now)
        conn.execute(sa.text("UPDATE carts SET touched_at = :at WHERE touched_at >= :now"), {"at": then, "now": now})
    enrolments.admit_due(db, now=setting.now())
    enrolments.advance_due(db, now=setting.now())


def _settle(report: Callable[[], None], db: Database) -> None:
    """Until nothing moves and nothing is in doubt; or two minutes long."""
    until = time.monotonic() + 120
    while time.monotonic() < until:
        report()
        with db.begin() as conn:
            doubts = conn.scalar(sa.text("SELECT count(*) FROM messages WHERE state = 'uncertain'"))
        if not doubts and not workers.unfinished(db):
            return
        time.sleep(0.3)
