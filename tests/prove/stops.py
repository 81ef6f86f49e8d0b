"""A11, A14: a pause that has answered is a pause, and nobody gets more than the cap, whatever senders are at work."""

import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import sqlalchemy as sa

from campaigns import enrolments, files, messages, plans, policy, rules, tables
from foundation.database import Database
from tests.campaigns import world
from tests.campaigns.carriers import Carrier

SENDERS = 3
EACH = 12
"""Messages that wait for a pause, on the average: more than leave before it."""


@dataclass(frozen=True, slots=True)
class Paused:
    """`began_after`: pauses after whose answer an intent was committed; `flying`: the most that were on their way at
    one; `twice`: messages handed over more than once."""

    pauses: int
    began_after: int
    flying: int
    handed: int
    twice: int


def pause_often(db: Database, folder: Path, *, pauses: int) -> Paused:
    """A campaign under way is paused again and again, a moment after its senders began."""
    carrier, began_after, flying = Carrier(), 0, 0
    due = _wanted(db, people=pauses * EACH, campaigns=1, cap=100)
    for turn in range(pauses):
        with db.begin() as conn:
            plans.launch(conn, files.DEMO, now=due)
        crew = [_sender(db, carrier, folder / f"{turn}-{number}", due) for number in range(SENDERS)]
        enough = min(len(carrier.handed) + 3, pauses * EACH)
        for one in crew:
            one.start()
        while len(carrier.handed) < enough and any(one.is_alive() for one in crew):
            pass
        with db.begin() as conn:
            flying = max(flying, plans.pause(conn, files.DEMO, now=due))
        begun = _begun(db)
        for one in crew:
            one.join()
        began_after += _begun(db) != begun
    handed = Counter(mail.message_id for mail in carrier.handed)
    return Paused(pauses, began_after, flying, len(handed), handed.total() - len(handed))


def _sender(db: Database, carrier: Carrier, folder: Path, due: datetime) -> threading.Thread:
    sending = world.sending(carrier, folder, batch=5, in_flight=2, seconds=0.25)
    return threading.Thread(target=messages.deliver_due, args=(db, sending), kwargs={"now": due})


def _begun(db: Database) -> int:
    with db.begin() as conn:
        return conn.scalar(sa.select(sa.func.count()).select_from(tables.attempts)) or 0


@dataclass(frozen=True, slots=True)
class Capped:
    """How many people got how many messages, and how many messages were wanted for them in all."""

    got: Counter[int]
    wanted: int


def cap_everybody(db: Database, folder: Path, *, people: int, campaigns: int, senders: int, cap: int) -> Capped:
    """Each person is wanted by all the campaigns at once, and all the senders are at work."""
    carrier, due = Carrier(), _wanted(db, people=people, campaigns=campaigns, cap=cap)
    with db.begin() as conn:
        wanted = conn.scalar(sa.select(sa.func.count()).select_from(tables.messages)) or 0
    crew = [world.sending(carrier, folder / str(number), batch=7, seconds=600) for number in range(senders)]
    with ThreadPoolExecutor(senders) as threads:
        list(threads.map(lambda one: messages.deliver_due(db, one, now=due), crew))
    got = Counter(mail.address for mail in carrier.handed)
    return Capped(Counter(got[f"u{number}@example.org"] for number in range(people)), wanted)


def _wanted(db: Database, *, people: int, campaigns: int, cap: int) -> datetime:
    """So many people with a basket each, wanted by so many campaigns; gives when their messages are due."""
    now = datetime(2026, 11, 21, 10, 0, tzinfo=UTC)
    with db.begin() as conn:
        world.stock_shop(conn, now=now)
        world.launch(conn, now=now, offer=None, products=0)
        for number in range(campaigns - 1):
            plans.create(conn, f"other-{number}", definition=world.relaunch(offer=None, products=0), now=now)
            plans.launch(conn, f"other-{number}", now=now)
        policy.save(conn, rules.Policy(quiet_from=None, quiet_until=None, cap_messages=cap, cap_days=1), now=now)
        for number in range(people):
            world.make_customer(conn, f"u{number}", at=now)
            world.leave_cart(conn, f"u{number}", at=now)
    due = now + timedelta(hours=1, minutes=1)
    enrolments.admit_due(db, now=due)
    enrolments.advance_due(db, now=due)
    return due
