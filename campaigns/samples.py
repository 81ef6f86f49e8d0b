"""Messages people of the console send to themselves before anybody else gets them: no customer is written to, nothing
is counted, and the code shown opens nothing."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from html import escape
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from campaigns import notes, tables
from campaigns.channels import base, pieces
from campaigns.channels.base import Mail, Note, Outcome
from campaigns.plans import Plan
from campaigns.previews import Preview
from foundation import database
from foundation.database import Database
from foundation.errors import NotFound

samples = tables.campaign_tests

PATIENCE = 30.0
"""Seconds within which a provider must take it."""
WORTH = timedelta(hours=1)
"""How long a test is worth anything."""
PHONES = ("sms", "whatsapp")
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
    db: Database,
    channel: base.Channel,
    plan: Plan,
    shown: Preview,
    *,
    made: UUID,
    step: str,
    to: str,
    sender: str,
    now: datetime,
) -> Sample:
    """Hands a rendered message over to the asker's own address, outside any transaction, and keeps its outcome. `made`
    is its identifier: what has it already is not sent again."""
    kept = Sample(made, step, to, shown.subject, shown.html, str(Outcome.AMBIGUOUS), now)
    if not _begin(db, plan, kept):
        return kept
    outcome = Outcome.ACCEPTED
    if channel.provider != NOWHERE:
        mail = Mail(
            message_id=made,
            attempt=1,
            sender=sender,
            address=to,
            subject=shown.subject,
            body=pieces.whole(shown.html, shown.text),
            headers=shown.headers,
            deadline=time.monotonic() + PATIENCE,
        )
        outcome = channel.deliver([mail])[0].outcome
    return _end(db, kept, outcome)


def send_note(
    db: Database,
    carrier: base.Carrier[Note],
    plan: Plan,
    row: Mapping[str, Any],
    *,
    made: UUID,
    channel: str,
    step: str,
    to: str,
    now: datetime,
) -> Sample:
    """The same of a notification or a text message: `row` as `previews.note` makes it, `to` as the channel's addresses
    are written. What is kept names no device."""
    said = "\n".join(filter(None, (row["subject"], row["body"].text, row["headers"].get("closing"))))
    shown = f'<pre style="font:15px/22px sans-serif;white-space:pre-wrap;padding:20px">{escape(said)}</pre>'
    named, subject = to if channel in PHONES else channel, row["subject"] or row["body"].text[:80]
    kept = Sample(made, step, named, subject, shown, str(Outcome.AMBIGUOUS), now)
    if not _begin(db, plan, kept):
        return kept
    outcome = Outcome.ACCEPTED
    if carrier.provider != NOWHERE:
        frozen = {**row, "address": to}
        late = now + WORTH
        deadline = time.monotonic() + PATIENCE
        note = notes.parcel(made, frozen, channel=channel, attempt=1, expires_at=late, deadline=deadline)
        outcome = carrier.deliver([note])[0].outcome
    return _end(db, kept, outcome)


def _begin(db: Database, plan: Plan, kept: Sample) -> bool:
    """Writes it down before it leaves, as one whose answer is not known; False if it was written down before."""
    row = {name: getattr(kept, name) for name in Sample.__slots__} | {"campaign_id": plan.id}
    new = postgresql.insert(samples).values(row).on_conflict_do_nothing().returning(samples.c.id)
    with db.begin() as conn:
        return conn.scalar(new) is not None


def _end(db: Database, kept: Sample, outcome: Outcome) -> Sample:
    with db.begin() as conn:
        conn.execute(sa.update(samples).where(samples.c.id == kept.id).values(outcome=str(outcome)))
    return replace(kept, outcome=str(outcome))


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
