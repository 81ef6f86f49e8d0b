"""A journey run by hand: a campaign of any steps, and the timetable at any moment."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from campaigns import enrolments, membership, plans, policy, rules, tables
from foundation.database import Database
from shop import customers, merging
from tests.campaigns import world

WORDS = {"en": {"subject": "Hello", "heading": "Hello", "intro": "A word from us."}}


def send(name: str, **more: Any) -> dict[str, Any]:
    """A message with words that need nothing."""
    return {"type": "send", "id": name, "words": WORDS, **more}


def wait(name: str, duration: str) -> dict[str, Any]:
    return {"type": "wait", "id": name, "duration": duration}


def launch(
    db: Database,
    entry: Mapping[str, Any],
    steps: Sequence[Mapping[str, Any]],
    *,
    now: datetime,
    name: str = "journey",
    **more: Any,
) -> plans.Plan:
    """Launches a campaign; quiet hours are off, and goals are off unless given."""
    definition = {"title": name, "entry": dict(entry), "steps": list(steps), "goal": None, **more}
    with db.begin() as conn:
        policy.save(conn, rules.Policy(quiet_from=None, quiet_until=None, cap_messages=100), now=now)
        plans.put(conn, name, definition=definition, now=now)
        return plans.launch(conn, name, now=now)


def say(db: Database, user: str, event: str, *, at: datetime, **properties: Any) -> None:
    """One event of a customer."""
    with db.begin() as conn:
        world.say(conn, user, event, at=at, **properties)


def visit(db: Database, event: str, *, at: datetime, **properties: Any) -> None:
    """One event of somebody nobody knows yet."""
    with db.begin() as conn:
        world.tell(conn, {"anonymousId": "visitor", "event": event, "properties": properties}, at=at)


def become(db: Database, user: str, *, at: datetime) -> int:
    """Whoever visited turns out to be this customer; gives the number of the merge."""
    with db.begin() as conn:
        world.tell(conn, {"anonymousId": "visitor", "userId": user, "event": "Signed In"}, at=at)
        return merging.of_customer(conn, customers.find(conn, user_id=user) or 0)[0].id


def tick(db: Database, now: datetime) -> None:
    """Everything that brings people in and takes them further, once."""
    membership.refresh(db, now=now)
    enrolments.admit_due(db, now=now)
    enrolments.admit_timed(db, now=now)
    enrolments.admit_for_products(db, now=now)
    enrolments.advance_due(db, now=now)


def queued(db: Database) -> list[tuple[str, str]]:
    """Every message there is, as customer and step, in the order they were queued."""
    from_ledger = (
        sa.select(sa.func.coalesce(_people.c.user_id, ""), tables.messages.c.step)
        .join(_people, _people.c.id == tables.messages.c.customer_id)
        .order_by(tables.messages.c.queued_at, _people.c.user_id, tables.messages.c.step)
    )
    with db.begin() as conn:
        return [(user, step) for user, step in conn.execute(from_ledger)]


def people(db: Database) -> list[tuple[str, str, str | None, str]]:
    """Every enrolment: customer, state, reason, key."""
    held = tables.enrolments
    query = (
        sa.select(_people.c.user_id, held.c.state, held.c.reason, held.c.entry_key)
        .join(_people, _people.c.id == held.c.customer_id)
        .order_by(held.c.id)
    )
    with db.begin() as conn:
        return [tuple(row) for row in conn.execute(query)]


_people = tables.metadata.tables["customers"]
