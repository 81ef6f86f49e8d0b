"""Who may be written to: every channel, purpose, answer and block, each sent for real and held beside a few lines that
say what the law does."""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from campaigns import connections, messages, policy, rules, subscriptions, tables
from campaigns.channels.base import Mail, Note, Outcome, Receipt
from foundation.database import Database
from shop import consent
from shop.tables import customers
from tests.campaigns import journey, world
from tests.contracts.test_messengers import BROWSER

CHANNELS = ("email", "sms", "whatsapp", "push", "onsite")
UNBLOCKED = ("push", "onsite")
"""Channels without an address that could be blocked: a browser takes its leave back itself."""
ABOUT = {"news": "marketing/news", "all": "marketing", "order": "transactional"}
ANSWERS = ("granted", "denied", None)
BLOCKS = (None, "unsubscribed", "hard_bounce", "complaint")
WORDS = {"fr": {"subject": "Bonjour", "heading": "Bonjour", "intro": "Un mot."}}
ENTRY = {"type": "event", "event": "Quiz Taken"}


@dataclass(frozen=True)
class Person:
    """What she said of marketing by this channel, of news by this channel, of everything, and whether her address is
    blocked."""

    marketing: str | None
    news: str | None
    everything: str | None
    block: str | None

    @property
    def user(self) -> str:
        return "-".join(str(one) for one in (self.marketing, self.news, self.everything, self.block))

    def allows(self, channel: str, about: str) -> bool:
        """The law: a no to any of it ends it, a yes to any of it is one; an order needs none, the shop's own pages have
        their own; who has no mailbox or complained is never written to, and who unsubscribed only what she ordered."""
        heard = {self.everything} if about == "order" else {self.everything, self.marketing}
        heard |= {self.news} if about == "news" else set()
        stops = ("hard_bounce", "complaint") if about == "order" else BLOCKS[1:]
        if "denied" in heard or channel not in UNBLOCKED and self.block in stops:
            return False
        return "granted" in heard or about == "order" or channel == "onsite"


PEOPLE = [Person(*one) for one in itertools.product(ANSWERS, ANSWERS, ANSWERS, BLOCKS)]


@dataclass
class Taking:
    """A provider that takes everything."""

    provider: str
    keeps_for: timedelta | None = None
    tells: bool = False
    handed: list[Mail | Note] = field(default_factory=list)

    def deliver(self, batch: Sequence[Any]) -> list[Receipt]:
        self.handed += batch
        return [Receipt(one.message_id, Outcome.ACCEPTED) for one in batch]

    def close(self) -> None:
        """There is nothing to close."""


def test_each_is_written_to_exactly_where_she_may_be(db: Database, tmp_path: Path, now: datetime) -> None:
    _prepare(db, now)
    with db.begin() as conn:
        for person in PEOPLE:
            world.say(conn, person.user, "Quiz Taken", at=now)
    journey.tick(db, now)
    carriers = {channel: Taking(channel) for channel in CHANNELS}
    sending = world.sending(carriers["email"], tmp_path, batch=500)
    sending = type(sending)(**{name: getattr(sending, name) for name in sending.__slots__} | {"channels": carriers})
    for minute in range(3):
        messages.deliver_due(db, sending, now=now + timedelta(minutes=minute))
    assert len(PEOPLE) * len(CHANNELS) * len(ABOUT) == 1_620
    assert dict(_wrong(db)) == {}
    assert _topic_left(db) == {
        (one.user, f"news-{channel}")
        for one, channel in itertools.product(PEOPLE, CHANNELS)
        if one.news == "denied" and "denied" not in (one.marketing, one.everything)
    }, "whose only no is to the topic is told apart, however else she could not be written to"


def _topic_left(db: Database) -> set[tuple[str, str]]:
    """Customer and campaign of every message refused because of its topic alone."""
    ledger = tables.messages
    query = (
        sa.select(customers.c.user_id, tables.campaigns.c.name)
        .join_from(ledger, customers, customers.c.id == ledger.c.customer_id)
        .join(tables.campaigns, tables.campaigns.c.id == ledger.c.campaign_id)
        .where(ledger.c.state == "skipped", ledger.c.reason == "topic_left")
    )
    with db.begin() as conn:
        return {(user, name) for user, name in conn.execute(query)}


def _wrong(db: Database) -> Iterator[tuple[tuple[str, str, str], str]]:
    """Every combination in which what was done is not what is allowed."""
    said = sa.select(
        customers.c.user_id,
        tables.campaigns.c.name,
        tables.messages.c.channel,
        tables.messages.c.state,
        tables.messages.c.reason,
    )
    joined = said.join(customers, customers.c.id == tables.messages.c.customer_id).join(
        tables.campaigns, tables.campaigns.c.id == tables.messages.c.campaign_id
    )
    with db.begin() as conn:
        done = {(row.user_id, row.name, row.channel): row for row in conn.execute(joined)}
    for person, channel, about in itertools.product(PEOPLE, CHANNELS, ABOUT):
        row = done[person.user, f"{about}-{channel}", channel]
        if (row.state == "accepted") != person.allows(channel, about):
            yield (person.user, channel, about), f"{row.state} {row.reason}"


def _prepare(db: Database, now: datetime) -> None:
    with db.begin() as conn:
        world.stock_shop(conn, now=now)
        for channel in ("sms", "whatsapp"):
            connections.connect(conn, channel, "outbox:", keys=["a key of these tests"], origin="test", now=now)
        for number, person in enumerate(PEOPLE):
            _make(conn, person, number, now)
    for about, channel in itertools.product(ABOUT, CHANNELS):
        step = {"type": "send", "id": "hello", "channel": channel, "words": WORDS}
        if channel == "whatsapp":
            step = step | {"template": {"name": "HX1", "values": []}}
        more = {"topic": "news"} if about == "news" else {}
        purpose = "transactional" if about == "order" else "marketing"
        journey.launch(db, ENTRY, [step], now=now, name=f"{about}-{channel}", purpose=purpose, **more)
    with db.begin() as conn:
        topics = {"news": "Nouveautés"}
        policy.save(conn, rules.Policy(quiet_from=None, quiet_until=None, cap_messages=100, topics=topics), now=now)


def _make(conn: sa.Connection, person: Person, number: int, now: datetime) -> None:
    phone = f"+336{number:08d}"
    made = world.make_customer(conn, person.user, at=now, consents=False, phone=phone)
    said = []
    for channel in CHANNELS:
        given = {(channel, "marketing"): person.marketing, (channel, "marketing/news"): person.news}
        said += [consent.Said(made, *way, state, now, "form") for way, state in given.items() if state]
    if person.everything:
        said.append(consent.Said(made, "any", "any", person.everything, now, "form"))
    consent.record_many(conn, said, now=now)
    browser = replace(BROWSER.subscription, endpoint=f"https://fcm.googleapis.com/fcm/send/{number}")
    subscriptions.keep(conn, made, browser, user_agent=None, now=now)
    for channel, address in (("email", f"{person.user}@example.org"), ("sms", phone), ("whatsapp", phone)):
        if person.block:
            consent.suppress(conn, channel=channel, address=address, reason=person.block, now=now)
