"""Messages people of the console send to themselves before anybody else gets them: no customer is written to, nothing
is counted, and the code shown opens nothing."""

import time
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import sqlalchemy as sa

from campaigns import tables
from campaigns.channels import base
from campaigns.channels.base import Mail, Outcome
from campaigns.plans import Plan
from campaigns.previews import Preview
from foundation import database
from foundation.database import Database
from foundation.errors import NotFound

samples = tables.campaign_tests

PATIENCE = 30.0
"""Seconds within which a provider must take it."""
NOWHERE = "outbox"
"""The channel of installations that send nothing: a sample is then kept here alone."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One of them, as it was sent."""

    id: UUID
    step: str
    sent_to: str
    subject: str
    html: str
    outcome: str
    sent_at: datetime


def send(
    db: Database, channel: base.Channel, plan: Plan, shown: Preview, *, step: str, to: str, sender: str, now: datetime
) -> Sample:
    """Hands a rendered message over to the asker's own address, outside any transaction, and keeps its outcome."""
    made = database.new_id()
    outcome = Outcome.ACCEPTED
    if channel.provider != NOWHERE:
        mail = Mail(
            message_id=made,
            attempt=1,
            sender=sender,
            address=to,
            subject=shown.subject,
            html=shown.html,
            text=shown.text,
            headers=shown.headers,
            deadline=time.monotonic() + PATIENCE,
        )
        outcome = channel.deliver([mail])[0].outcome
    kept = Sample(made, step, to, shown.subject, shown.html, str(outcome), now)
    row = {name: getattr(kept, name) for name in Sample.__slots__}
    with db.begin() as conn:
        conn.execute(sa.insert(samples).values(row | {"campaign_id": plan.id}))
    return kept


def some(conn: sa.Connection, plan: Plan, *, limit: int = 20) -> list[Sample]:
    """The newest samples of a campaign."""
    return database.read(conn, _OF.where(samples.c.campaign_id == plan.id).limit(limit), Sample)


def get(conn: sa.Connection, plan: Plan, sample_id: UUID) -> Sample:
    """One of them; raises `NotFound`."""
    found = database.read(conn, _OF.where(samples.c.campaign_id == plan.id, samples.c.id == sample_id), Sample)
    if not found:
        raise NotFound("no such test")
    return found[0]


_OF = sa.select(*(samples.c[name] for name in Sample.__slots__)).order_by(samples.c.sent_at.desc())
