"""B7: one order a second while a campaign to very many goes out; how long each order's mail takes to its provider."""

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import sqlalchemy as sa

from campaigns import enrolments, plans
from foundation.database import Database
from tests.campaigns import journey, world
from tests.conftest import PEPPER
from tests.prove import audience, proofs, workers
from tests.prove.provider import Faults, Provider
from tests.prove.workers import Setting

RECEIPT = {
    "title": "Receipt",
    "purpose": "transactional",
    "entry": {"type": "event", "event": "Order Completed"},
    "steps": [journey.send("receipt")],
    "goal": None,
}


@dataclass(frozen=True, slots=True)
class Told:
    """Seconds from an order to the provider's yes, in order of length; and how the campaign stood meanwhile."""

    seconds: list[float]
    queued: int
    sent: int

    def p(self, share: float) -> float:
        """The time in which so many had it."""
        return self.seconds[min(len(self.seconds) - 1, int(len(self.seconds) * share))]


def orders_beside(url: str, folder: Path, *, size: int, orders: int, crew: int = 2) -> Told:
    """The campaign to `size` people and `crew` senders in real time; so many orders, one a second."""
    db = Database(url, pepper=PEPPER)
    with proofs.provider(folder, Faults()) as witness:
        setting = workers.setting_for(url, witness.port, folder, lease=60.0, speed=1.0, in_flight=8)
        audience.prepare(db, size, now=setting.now())
        with db.begin() as conn:
            plans.create(conn, "receipt", definition=RECEIPT, now=setting.now())
            plans.launch(conn, "receipt", now=setting.now())
        workers.start(workers.enrol, setting).join()
        staff = [workers.start(workers.for_ever, setting) for _ in range(crew)]
        staff.append(workers.start(_plan, setting))
        for number in range(orders):
            began = time.monotonic()
            _order(db, number)
            time.sleep(max(0.0, 1 - (time.monotonic() - began)))
        told = _told(db, witness, orders)
        for one in staff:
            one.kill()
            one.join()
    db.dispose()
    return told


def _plan(setting: Setting) -> None:
    """Takes orders up at once, as the timetable does every five seconds and the web server's events do at once."""
    db = Database(setting.database_url, pepper=PEPPER)
    while True:
        enrolments.advance_due(db, now=setting.now())
        enrolments.admit_due(db, now=setting.now())
        time.sleep(1)


def _order(db: Database, number: int) -> None:
    now = datetime.now(UTC)
    with db.begin() as conn:
        world.order(conn, f"u{number + 1}", at=now, order_id=f"order-{number}")


def _told(db: Database, witness: Provider, orders: int) -> Told:
    """Once every order's mail was handed over; it waits for them half a minute at most."""
    until = time.monotonic() + 30
    while True:
        at = {message_id: moment for message_id, _, moment in witness.seen()}
        with db.begin() as conn:
            ordered = conn.execute(sa.text(_ORDERED)).all()
            queued, sent = conn.execute(sa.text(_CAMPAIGN)).one()
        seconds = sorted(at[str(key)] - moment for key, moment in ordered if str(key) in at)
        if len(seconds) == orders or time.monotonic() > until:
            return Told(seconds, queued, sent)
        time.sleep(0.2)


_ORDERED = """
SELECT messages.id, extract(epoch FROM happened_at)::float8 FROM messages
JOIN enrolments ON enrolments.id = enrolment_id WHERE messages.step = 'receipt'
"""
_CAMPAIGN = """
SELECT count(*), count(*) FILTER (WHERE state = 'accepted') FROM messages WHERE step <> 'receipt'
"""
