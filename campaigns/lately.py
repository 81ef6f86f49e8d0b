"""How crowded it is around a person: what she got lately that counts under the caps, and what else is due to her."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from campaigns import eligibility, given, tables
from campaigns.states import COUNTED
from shop.tables import customers

messages = tables.messages


@dataclass(frozen=True, slots=True)
class Received:
    """How many messages one got, or may have got, lately; and when the first of them left."""

    number: int = 0
    first: datetime | None = None


@dataclass(frozen=True, slots=True)
class Ahead:
    """Messages of a higher priority due to the same person: by any channel, by this one, and whose the first is."""

    everywhere: int = 0
    here: int = 0
    rival: str | None = None


def received(conn: sa.Connection, ids: Sequence[int], *, since: datetime) -> dict[tuple[int, str], Received]:
    """What each person got, or may have got, since then that counts under the cap: in all under "", and by channel."""
    person = sa.func.coalesce(customers.c.merged_into, customers.c.id)
    counted = (
        sa.select(
            person, sa.func.coalesce(messages.c.channel, ""), sa.func.count(), sa.func.min(messages.c.submitted_at)
        )
        .join(customers, customers.c.id == messages.c.customer_id)
        .where(
            sa.or_(customers.c.id == given.any_of(ids), customers.c.merged_into == given.any_of(ids)),
            messages.c.state.in_(COUNTED),
            messages.c.submitted_at > since,
            messages.c.purpose != eligibility.TRANSACTIONAL,
            messages.c.channel.in_(eligibility.CAPPED),
        )
        .group_by(sa.func.grouping_sets(sa.tuple_(person), sa.tuple_(person, messages.c.channel)))
    )
    return {(customer, channel): Received(number, first) for customer, channel, number, first in conn.execute(counted)}


def ahead(conn: sa.Connection, ids: Sequence[UUID], *, now: datetime) -> dict[UUID, Ahead]:
    """For each of these, what of a higher priority is due to the same person by now."""
    found = conn.execute(_AHEAD, {"ids": list(ids), "now": now, "capped": list(eligibility.CAPPED)})
    return {message: Ahead(everywhere, here, rival) for message, everywhere, here, rival in found}


_AHEAD = sa.text("""
SELECT mine.id, count(*), count(*) FILTER (WHERE other.channel = mine.channel),
    (array_agg(campaigns.name ORDER BY other.priority DESC, other.queued_at))[1]
FROM messages AS mine
    JOIN customers AS held ON held.id = mine.customer_id
    JOIN customers AS person
        ON person.id = coalesce(held.merged_into, held.id) OR person.merged_into = coalesce(held.merged_into, held.id)
    JOIN messages AS other ON other.customer_id = person.id AND other.priority > mine.priority
        AND other.state IN ('pending', 'claimed') AND other.not_before <= :now AND other.expires_at > :now
        AND other.purpose <> 'transactional' AND other.channel = ANY(:capped)
    JOIN campaigns ON campaigns.id = other.campaign_id AND campaigns.state = 'sending'
WHERE mine.id = ANY(:ids) AND mine.purpose <> 'transactional'
GROUP BY mine.id
""").bindparams(
    sa.bindparam("ids", type_=postgresql.ARRAY(postgresql.UUID)),
    sa.bindparam("capped", type_=postgresql.ARRAY(sa.Text)),
)
