"""The only two ways out of doubt by sending again: to a provider that recognises what it already took, and once the
provider has shown by its own reports that it did not take this one.

Neither can be wrong by a message that is merely slow: the first is answered by the provider, the second waits until
the provider has told of a message handed over later. What remains is a sender frozen for ten minutes between looking at
its deadline and its first byte.
"""

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta

import sqlalchemy as sa

from campaigns import eligibility, tables
from campaigns.states import Reason, State

messages = tables.messages

QUIET = timedelta(minutes=10)
"""How long nothing is done: a sender that still lives gave up long before."""
MARGIN = timedelta(seconds=60)
"""Clocks differ, and a call takes time."""


def recognised(conn: sa.Connection, keeping: Mapping[str, timedelta], *, now: datetime) -> int:
    """Asks providers again that know a message by its id for so long, counted from the first time they were."""
    again = 0
    for provider, length in keeping.items():
        first = (
            sa.select(sa.func.min(tables.attempts.c.started_at))
            .where(tables.attempts.c.message_id == messages.c.id)
            .correlate(messages)
            .scalar_subquery()
        )
        known = _doubtful(provider, now) & (first > now - length + MARGIN)
        again += _again(conn, known)
    return again


def quiet(conn: sa.Connection, telling: Collection[str], *, now: datetime) -> int:
    """Messages somebody asked for by ordering, of which a provider that reports has said nothing."""
    wanted = messages.c.purpose == eligibility.TRANSACTIONAL
    return sum(_again(conn, _silent(provider, now) & wanted) for provider in telling)


def of_campaign(conn: sa.Connection, campaign_id: int, telling: Collection[str], *, now: datetime) -> int:
    """The same for marketing, when somebody decided that a message too many is better than one too few."""
    mine = messages.c.campaign_id == campaign_id
    return sum(_again(conn, _silent(provider, now) & mine) for provider in telling)


def _silent(provider: str, now: datetime) -> sa.ColumnElement[bool]:
    """Long enough ago, once at most, no word of it, and a word of one handed over later."""
    gates, reports = tables.provider_gates, tables.provider_events
    told_later = sa.exists().where(gates.c.provider == provider, gates.c.heard_until > messages.c.submitted_at)
    told = sa.exists().where(reports.c.message_id == messages.c.id)
    return (
        _doubtful(provider, now)
        & (messages.c.submitted_at <= now - QUIET)
        & (messages.c.resends == 0)
        & told_later
        & ~told
    )


def _doubtful(provider: str, now: datetime) -> sa.ColumnElement[bool]:
    states = messages.c.state == State.UNCERTAIN
    return states & (messages.c.provider == provider) & (messages.c.expires_at > now)


def _again(conn: sa.Connection, chosen: sa.ColumnElement[bool]) -> int:
    values = {
        "state": State.PENDING,
        "resends": messages.c.resends + 1,
        "not_before": messages.c.submitted_at,
        "reason": Reason.NO_ANSWER,
    }
    return conn.execute(sa.update(messages).where(chosen).values(values)).rowcount
