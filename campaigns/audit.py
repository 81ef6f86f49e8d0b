"""The invariant, added up again and again: everybody a campaign took in, and everything it wanted to say, stands in
exactly one named state; nobody got the same twice, and nobody was lost.

Two books are kept of what a campaign says: each enrolment counts the messages it brought about, in the transaction that
brings them about, and the ledger holds the messages themselves. They must agree.
"""

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from campaigns import ledger_tables, pacing, tables
from campaigns.states import State
from foundation.database import Database

sums, campaigns = ledger_tables.campaign_sums, tables.campaigns


@dataclass(frozen=True, slots=True)
class Figures:
    """One campaign added up. `states` of its messages; `lost` and `surplus` are where the two books differ;
    `duplicates` are messages a provider took twice."""

    entered: int
    held_out: int
    under_way: int
    left: dict[str, int]
    wanted: int
    states: dict[str, int]
    duplicates: int

    @property
    def planned(self) -> int:
        """Messages in the ledger."""
        return sum(self.states.values())

    @property
    def lost(self) -> int:
        """Brought about and not in the ledger."""
        return max(0, self.wanted - self.planned)

    @property
    def surplus(self) -> int:
        """In the ledger and brought about by nobody."""
        return max(0, self.planned - self.wanted)

    @property
    def uncertain(self) -> int:
        """Handed over, without an answer so far or for good."""
        return self.states.get(State.UNCERTAIN, 0) + self.states.get(State.UNCONFIRMED, 0)

    @property
    def holds(self) -> bool:
        """Whether everything adds up."""
        people = self.under_way + sum(self.left.values())
        return not (self.lost or self.surplus or self.duplicates) and people == self.entered


@dataclass(frozen=True, slots=True)
class Sum:
    """What was found the last time. `broken_since` is empty while everything adds up."""

    campaign: str
    at: datetime
    figures: Figures
    broken_since: datetime | None


def add_up(db: Database, *, now: datetime) -> str | None:
    """Adds up every campaign in which anything may have moved since the last time. One transaction each."""
    with db.begin() as conn:
        due = conn.execute(_DUE, {"now": now}).all()
    broken = []
    for campaign_id, name in due:
        with db.begin() as conn:
            if not keep(conn, campaign_id, now=now).holds:
                broken.append(name)
    if broken:
        return f"does not add up: {', '.join(broken)}"
    return f"{len(due)} added up" if due else None


_DUE = sa.text("""
SELECT campaigns.id, campaigns.name FROM campaigns LEFT JOIN campaign_sums ON campaign_sums.campaign_id = campaigns.id
WHERE (campaigns.state IN ('sending', 'paused') OR campaign_sums.broken_since IS NOT NULL
    OR campaigns.launched_at IS NOT NULL AND (campaign_sums.at IS NULL OR campaign_sums.at < campaigns.updated_at
        OR EXISTS (SELECT FROM messages WHERE messages.campaign_id = campaigns.id
            AND messages.state IN ('uncertain', 'submitting'))))
    AND coalesce(campaign_sums.at + campaign_sums.rest <= :now, true)
ORDER BY campaigns.id
""")


def keep(conn: sa.Connection, campaign_id: int, *, now: datetime) -> Figures:
    """Adds one campaign up and keeps what was found."""
    began = time.monotonic()
    found = figures(conn, campaign_id)
    values = {"at": now, "figures": asdict(found), "rest": pacing.rest(time.monotonic() - began)}
    statement = postgresql.insert(sums).values(
        campaign_id=campaign_id, **values, broken_since=None if found.holds else now
    )
    still = sa.func.coalesce(sums.c.broken_since, now) if not found.holds else sa.null()
    again = {name: statement.excluded[name] for name in values} | {"broken_since": still}
    conn.execute(statement.on_conflict_do_update(index_elements=["campaign_id"], set_=again))
    return found


def figures(conn: sa.Connection, campaign_id: int) -> Figures:
    """The sums as they are at this instant: one statement, so that all of them are of one moment."""
    row = conn.execute(_FIGURES, {"campaign": campaign_id}).mappings().one()
    return Figures(**{field.name: row[field.name] for field in fields(Figures)})


_FIGURES = sa.text("""
WITH people AS (
    SELECT count(*) AS n, arm, state, reason, sum(said) AS said FROM enrolments WHERE campaign_id = :campaign
    GROUP BY arm, state, reason
), said AS (
    SELECT state, count(*) AS n FROM messages WHERE campaign_id = :campaign GROUP BY state
), taken AS (
    SELECT message_id, attempt FROM provider_events WHERE type IN ('accepted', 'delivered') AND attempt IS NOT NULL
        AND message_id IN (SELECT id FROM messages WHERE campaign_id = :campaign AND attempt > 1)
    UNION
    SELECT message_id, n FROM attempts WHERE outcome = 'accepted'
        AND message_id IN (SELECT id FROM messages WHERE campaign_id = :campaign AND attempt > 1)
)
SELECT
    (SELECT coalesce(sum(n), 0) FROM people)::bigint AS entered,
    (SELECT coalesce(sum(n), 0) FROM people WHERE arm <> 'treated')::bigint AS held_out,
    (SELECT coalesce(sum(n), 0) FROM people WHERE state = 'waiting')::bigint AS under_way,
    (SELECT coalesce(jsonb_object_agg(reason, n), '{}') FROM (
        SELECT coalesce(reason, '') AS reason, sum(n) AS n FROM people WHERE state <> 'waiting' GROUP BY 1
    ) AS gone) AS left,
    (SELECT coalesce(sum(said), 0) FROM people)::bigint AS wanted,
    (SELECT coalesce(jsonb_object_agg(state, n), '{}') FROM said) AS states,
    (SELECT count(*) - count(DISTINCT message_id) FROM taken)::bigint AS duplicates
""")


def last(conn: sa.Connection, *, campaign_id: int | None = None) -> list[Sum]:
    """What was found the last time, the broken first."""
    query = (
        sa.select(sums, campaigns.c.name)
        .join(campaigns, campaigns.c.id == sums.c.campaign_id)
        .order_by(sums.c.broken_since.is_(None), campaigns.c.name)
    )
    if campaign_id is not None:
        query = query.where(sums.c.campaign_id == campaign_id)
    return [Sum(row.name, row.at, Figures(**row.figures), row.broken_since) for row in conn.execute(query)]


def broken(conn: sa.Connection) -> Sequence[Sum]:
    """Campaigns that do not add up."""
    return [one for one in last(conn) if one.broken_since is not None]
