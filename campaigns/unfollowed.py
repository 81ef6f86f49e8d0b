"""Messages a provider took and nothing was heard of since: which they are, how many, and where that is unusual.

They count as sent: no provider tells of everything it delivers, and some tell of nothing. But one that used to tell and
no longer does has lost its way to us, or keeps our messages back.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa

from campaigns import tables
from campaigns.states import SENT, State
from foundation import database

messages, gates = tables.messages, tables.provider_gates

AFTER = timedelta(hours=72)
"""Without a report, an opening or a click by then, hardly any will come."""
LATELY, BEFORE = timedelta(days=7), timedelta(days=28)
"""The time a share is of, and the time before it that says what is usual."""
FEWEST = 50
"""Messages below which a share says nothing."""
SHARE = 0.05
"""A share below which nothing is unusual."""


def clause(now: datetime) -> sa.ColumnElement[bool]:
    """That nothing was heard of a message since it was accepted, long enough ago."""
    return (
        (messages.c.state == State.ACCEPTED)
        & (messages.c.accepted_at <= now - AFTER)
        & messages.c.first_clicked_at.is_(None)
        & messages.c.opened_at.is_(None)
    )


def by_provider(conn: sa.Connection, campaign_id: int, *, now: datetime) -> dict[str, int]:
    """How many of a campaign, by provider."""
    query = (
        sa.select(sa.func.coalesce(messages.c.provider, ""), sa.func.count())
        .where(messages.c.campaign_id == campaign_id, clause(now))
        .group_by(messages.c.provider)
    )
    return {provider: number for provider, number in conn.execute(query)}


@dataclass(frozen=True, slots=True)
class Followed:
    """What a provider took in a week that ended three days ago, and in the four weeks before it; and of how many of
    those nothing was heard. `tells` if it ever reported on what it takes."""

    provider: str
    tells: bool
    taken: int
    unfollowed: int
    taken_before: int
    unfollowed_before: int

    @property
    def share(self) -> float:
        """Of the week."""
        return self.unfollowed / self.taken if self.taken else 0.0

    @property
    def usual(self) -> float | None:
        """The share of before; None while too little is known of it."""
        return self.unfollowed_before / self.taken_before if self.taken_before >= FEWEST else None

    @property
    def unusual(self) -> bool:
        """It used to tell of more: the share is more than twice the usual one."""
        enough = self.tells and self.taken >= FEWEST
        return enough and self.share > max(SHARE, 2 * (self.usual or 0.0))


def followed(conn: sa.Connection, *, now: datetime) -> Sequence[Followed]:
    """Every provider that took anything lately, by name: one walk through what was accepted in five weeks."""
    until = now - AFTER
    late, before = messages.c.accepted_at > until - LATELY, messages.c.accepted_at <= until - LATELY
    number, unheard = sa.func.count(), clause(now)
    query = (
        sa.select(
            messages.c.provider,
            sa.func.bool_or(gates.c.heard_until.is_not(None)).is_(True).label("tells"),
            number.filter(late).label("taken"),
            number.filter(late, unheard).label("unfollowed"),
            number.filter(before).label("taken_before"),
            number.filter(before, unheard).label("unfollowed_before"),
        )
        .outerjoin_from(messages, gates, gates.c.provider == messages.c.provider)
        .where(
            messages.c.accepted_at.between(until - LATELY - BEFORE, until),
            messages.c.state.in_(SENT),
            messages.c.provider.is_not(None),
        )
        .group_by(messages.c.provider)
        .order_by(messages.c.provider)
    )
    return database.read(conn, query, Followed)


def is_so(row: Mapping[str, object], *, now: datetime) -> bool:
    """The same as `clause`, of one message known already."""
    accepted = row["accepted_at"]
    heard = row["first_clicked_at"] or row["opened_at"]
    return row["state"] == State.ACCEPTED and isinstance(accepted, datetime) and accepted <= now - AFTER and not heard
