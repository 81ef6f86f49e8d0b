"""C2, C9: people unsubscribe, or write STOP, while mails and text messages leave; none begins once she was answered."""

import random
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from campaigns import connections, enrolments, feedback, messages, plans, policy, replies, rules
from campaigns.channels.base import Mail, Note, Outcome, Receipt
from foundation.database import Database
from shop import consent
from tests.campaigns import world

CAMPAIGN = "leaving"
SENDERS = 3


@dataclass
class Taking:
    """A provider that takes everything."""

    provider: str = "taking"
    keeps_for: timedelta | None = None
    tells: bool = False
    handed: list[Mail | Note] = field(default_factory=list)

    def deliver(self, batch: Sequence[Any]) -> list[Receipt]:
        self.handed += batch
        return [Receipt(one.message_id, Outcome.ACCEPTED) for one in batch]

    def close(self) -> None:
        """There is nothing to close."""


@dataclass(slots=True)
class Told:
    """What came of it. `spared`: those who left before their message did; `began_after`: intents committed once the
    goodbye was answered."""

    left: int = 0
    spared: int = 0
    began_after: int = 0


def leave(db: Database, folder: Path, *, people: int, way: str, seed: int = 1) -> Told:
    """Everybody has a message due, and everybody leaves, in some order, while senders work."""
    now = datetime.now(UTC)
    channel = "email" if way == "unsubscribe" else "sms"
    due = _prepare(db, people, channel=channel, now=now)
    taking = Taking()
    crew = [_sender(db, taking, folder / str(number), channel=channel, due=due) for number in range(SENDERS)]
    with db.begin() as conn:
        waiting = [(row.id, row.phone) for row in conn.execute(sa.text(_WAITING))]
    random.Random(seed).shuffle(waiting)
    counted: dict[Any, int] = {}
    for one in crew:
        one.start()
    for message_id, phone in waiting:
        with db.begin() as conn:
            if way == "unsubscribe":
                feedback.unsubscribed(conn, message_id, now=due)
            else:
                replies.heard(conn, phone, "Stop", channel="sms", now=due)
        with db.begin() as conn:
            counted[message_id] = conn.scalar(sa.text(_INTENTS), {"id": message_id}) or 0
    for one in crew:
        one.join()
    with db.begin() as conn:
        after = {key: conn.scalar(sa.text(_INTENTS), {"id": key}) or 0 for key in counted}
    began = sum(after[key] > number for key, number in counted.items())
    return Told(len(counted), sum(not number for number in after.values()), began)


_WAITING = "SELECT messages.id, phone FROM messages JOIN customers ON customers.id = customer_id"
_INTENTS = "SELECT count(*) FROM attempts WHERE message_id = :id"


def _sender(db: Database, taking: Taking, folder: Path, *, channel: str, due: datetime) -> threading.Thread:
    usual = world.sending(taking, folder, batch=2, in_flight=2, seconds=60)
    sending = replace(usual, channels={channel: taking})
    return threading.Thread(target=messages.deliver_due, args=(db, sending), kwargs={"now": due})


def _prepare(db: Database, people: int, *, channel: str, now: datetime) -> datetime:
    words = {"fr": {"subject": "Bonjour", "heading": "Bonjour", "intro": "Votre panier vous attend."}}
    with db.begin() as conn:
        world.stock_shop(conn, now=now)
        policy.save(conn, rules.Policy(quiet_from=None, quiet_until=None), now=now)
        connections.connect(conn, "sms", "outbox:", keys=["a key of these proofs"], origin="test", now=now)
        plans.create(
            conn, CAMPAIGN, definition=world.relaunch(offer=None, products=0, channel=channel, words=words), now=now
        )
        plans.launch(conn, CAMPAIGN, now=now)
        for number in range(people):
            # Somewhere it is never night for the rules of text messages: outside France.
            person = world.make_customer(
                conn, f"u{number}", at=now, phone=f"+4915{number:09d}", timezone="Europe/Berlin"
            )
            consent.record_many(conn, [consent.Said(person, channel, "marketing", "granted", now, "form")], now=now)
            world.leave_cart(conn, f"u{number}", at=now)
    due = now + timedelta(hours=1, minutes=1)
    enrolments.admit_due(db, now=due)
    enrolments.advance_due(db, now=due)
    return due
