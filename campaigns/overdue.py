"""What should have gone out long ago waits for a decision: neither an outage nor taking up a campaign again floods."""

from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa

from campaigns import eligibility, policy, tables
from campaigns.states import Reason, State
from foundation import database

messages = tables.messages


@dataclass(frozen=True, slots=True)
class Overdue:
    """How many messages of a campaign wait for a decision, and since when the first was due."""

    campaign: str
    number: int
    oldest: datetime


def hold(conn: sa.Connection, *, now: datetime) -> int:
    """Sets aside what is later than the merchant's limit. What somebody asked for by ordering is only bound by when it
    expires."""
    late = now - timedelta(hours=policy.load(conn).late_hours)
    due = (
        (messages.c.state == State.PENDING)
        & (messages.c.not_before <= late)
        & (messages.c.expires_at > now)
        & (messages.c.purpose != eligibility.TRANSACTIONAL)
    )
    values = {"state": State.HELD, "reason": Reason.OVERDUE, "detail": messages.c.reason}
    return conn.execute(sa.update(messages).where(due).values(values)).rowcount


def counts(conn: sa.Connection, *, campaign_id: int | None = None) -> list[Overdue]:
    """What waits for a decision, by campaign, the most first."""
    query = (
        sa.select(
            tables.campaigns.c.name.label("campaign"),
            sa.func.count().label("number"),
            sa.func.min(messages.c.not_before).label("oldest"),
        )
        .join(tables.campaigns, tables.campaigns.c.id == messages.c.campaign_id)
        .where(_held())
        .group_by(tables.campaigns.c.name)
        .order_by(sa.func.count().desc())
    )
    if campaign_id is not None:
        query = query.where(messages.c.campaign_id == campaign_id)
    return database.read(conn, query, Overdue)


def send(conn: sa.Connection, campaign_id: int, *, now: datetime) -> int:
    """They are still wanted: they go out as if they were due now. Gives how many."""
    mine = _held() & (messages.c.campaign_id == campaign_id)
    values = {"state": State.PENDING, "reason": None, "detail": None, "not_before": now}
    return conn.execute(sa.update(messages).where(mine).values(values)).rowcount


def drop(conn: sa.Connection, campaign_id: int, *, now: datetime) -> int:
    """They are not wanted any more. Gives how many."""
    mine = _held() & (messages.c.campaign_id == campaign_id)
    ended = {"resolved_at": now, "resolved_by": "operator"}
    values = {"state": State.EXPIRED, "reason": Reason.DROPPED_BY_OPERATOR, **ended}
    return conn.execute(sa.update(messages).where(mine).values(values)).rowcount


def _held() -> sa.ColumnElement[bool]:
    return (messages.c.state == State.HELD) & (messages.c.reason == Reason.OVERDUE)
