"""How crowded it is around a person: what she got lately that counts under the caps, and what else is due to her."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from campaigns import eligibility, tables
from campaigns.states import COUNTED

messages = tables.messages

UNDER_CAP = "messages.state = ANY(:counted) AND messages.purpose <> :exempt AND messages.channel = ANY(:capped)"
"""Of messages: those that use up a place under the cap, which `intents` has once more in its own statement."""
CAP = {"counted": list(COUNTED), "capped": list(eligibility.CAPPED), "exempt": eligibility.TRANSACTIONAL}
"""What it is asked with."""


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
    found: dict[tuple[int, str], Received] = {}
    for person, channel, at in conn.execute(_RECEIVED, {"ids": list(ids), "since": since, **CAP}):
        for key in ((person, ""), (person, channel)):
            before = found.get(key, Received())
            found[key] = Received(before.number + 1, min(before.first or at, at))
    return found


_RECEIVED = sa.text(f"""
SELECT asked.person, got.channel, got.submitted_at FROM unnest(:ids) AS asked (person)
CROSS JOIN LATERAL (
    SELECT channel, submitted_at FROM messages
    WHERE customer_id = ANY(ARRAY(SELECT id FROM customers WHERE id = asked.person OR merged_into = asked.person))
        AND coalesce(submitted_at, '-infinity') > :since AND {UNDER_CAP}
) AS got
""").bindparams(
    sa.bindparam("ids", type_=postgresql.ARRAY(sa.BigInteger)),
    sa.bindparam("counted", type_=postgresql.ARRAY(sa.Text)),
    sa.bindparam("capped", type_=postgresql.ARRAY(sa.Text)),
)
"""Person by person, and of times as no index has them, for the reason at the end of `intents`."""


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
