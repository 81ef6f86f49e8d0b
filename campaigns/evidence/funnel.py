"""Where everybody of an audience is: parts that add up to the last customer, and each step of the journey."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

import sqlalchemy as sa

from campaigns.evidence.measures import IN_SCOPE, Scope
from campaigns.states import COUNTED, NOT_SENT, SENT, State


@dataclass(frozen=True, slots=True)
class Audience:
    """Every entry of a campaign stands in exactly one part.

    `held_out` by its kind (holdout everywhere) and `refused` by reason never got anything; `reached` got a message at
    least; `silent` left before any, by why; `uncertain` may have got one; `under_way` may still.
    """

    reached: int = 0
    under_way: int = 0
    uncertain: int = 0
    silent: Mapping[str, int] = field(default_factory=dict)
    refused: Mapping[str, int] = field(default_factory=dict)
    held_out: Mapping[str, int] = field(default_factory=dict)

    @property
    def entered(self) -> int:
        """Those the journey was for: neither held out nor refused."""
        return self.reached + self.under_way + self.uncertain + sum(self.silent.values())

    @property
    def total(self) -> int:
        """Everybody: entered, held out and refused."""
        return self.entered + sum(self.held_out.values()) + sum(self.refused.values())


@dataclass(frozen=True, slots=True)
class Stage:
    """The messages of one step on one channel. The parts of `planned` add up to it.

    `bought` are the customers who bought within the window after this message and before the next.
    """

    step: str
    channel: str
    planned: int
    accepted: int
    not_sent: int
    uncertain: int
    waiting: int
    clicked: int
    bought: int = 0


@dataclass(frozen=True, slots=True)
class Funnel:
    """The audience, each stage, and the treated customers who bought: after which message, or before any."""

    audience: Audience
    stages: Sequence[Stage]
    bought_before: int
    reasons: Sequence[tuple[str, str, int]]

    @property
    def bought(self) -> int:
        """Treated customers who bought within the window; the stages' and those before any message add up to it."""
        return self.bought_before + sum(stage.bought for stage in self.stages)


def of_campaign(conn: sa.Connection, campaign_id: int, *, scope: Scope, window: timedelta) -> Funnel:
    """Counts everybody, in three statements."""
    given = {
        "campaign": campaign_id,
        "from": scope.since,
        "until": scope.until,
        "version": scope.version,
        "sent": list(SENT),
        "unsure": [State.UNCERTAIN, State.UNCONFIRMED],
        "refused": list(NOT_SENT),
        "counted": list(COUNTED),
        "window": window,
    }
    bought = {(step, channel): number for step, channel, number in conn.execute(sa.text(_BOUGHT), given)}
    stages = [
        Stage(**row, bought=bought.get((row["step"], row["channel"]), 0))
        for row in conn.execute(sa.text(_STAGES), given).mappings()
    ]
    told = {(stage.step, stage.channel) for stage in stages}
    before = sum(number for key, number in bought.items() if key not in told)
    reasons = [tuple(row) for row in conn.execute(sa.text(_REASONS), given)]
    return Funnel(_audience(conn, given), stages, before, reasons)


def _audience(conn: sa.Connection, given: Mapping[str, object]) -> Audience:
    counts: dict[str, dict[str, int]] = {}
    for part, reason, number in conn.execute(sa.text(_AUDIENCE), given):
        counts.setdefault(part, {})[reason] = number
    whole = {name: sum(found.values()) for name, found in counts.items()}
    return Audience(
        reached=whole.get("reached", 0),
        under_way=whole.get("under_way", 0),
        uncertain=whole.get("uncertain", 0),
        silent=counts.get("silent", {}),
        refused=counts.get("refused", {}),
        held_out=counts.get("held_out", {}),
    )


_ENTRIES = f"SELECT enrolments.* FROM enrolments WHERE enrolments.campaign_id = :campaign AND {IN_SCOPE}"

_AUDIENCE = f"""
WITH entries AS ({_ENTRIES}),
heard AS (
    SELECT enrolment_id, bool_or(state = ANY(:sent)) AS sent, bool_or(state = ANY(:unsure)) AS unsure,
        bool_or(NOT state = ANY(:refused)) AS open, max(reason) FILTER (WHERE state = ANY(:refused)) AS reason
    FROM messages WHERE campaign_id = :campaign GROUP BY enrolment_id
)
SELECT part, reason, count(*) FROM (
    SELECT CASE WHEN arm <> 'treated' THEN 'held_out' WHEN entries.reason = 'no_address' THEN 'refused'
            WHEN heard.sent THEN 'reached' WHEN heard.unsure THEN 'uncertain'
            WHEN heard.open OR entries.state = 'waiting' AND entries.step <> '' THEN 'under_way'
            WHEN heard.reason IS NOT NULL THEN 'refused' ELSE 'silent' END AS part,
        CASE WHEN arm <> 'treated' THEN arm WHEN entries.reason = 'no_address' THEN entries.reason
            WHEN heard.sent OR heard.unsure OR heard.open THEN ''
            ELSE coalesce(heard.reason, entries.reason, '') END AS reason
    FROM entries LEFT JOIN heard ON heard.enrolment_id = entries.id
) AS placed GROUP BY part, reason ORDER BY part, count(*) DESC, reason
"""

_STAGES = f"""
WITH entries AS ({_ENTRIES})
SELECT messages.step, messages.channel, count(*) AS planned,
    count(*) FILTER (WHERE messages.state = ANY(:sent)) AS accepted,
    count(*) FILTER (WHERE messages.state = ANY(:refused)) AS not_sent,
    count(*) FILTER (WHERE messages.state = ANY(:unsure)) AS uncertain,
    count(*) FILTER (WHERE NOT messages.state = ANY(CAST(:sent AS text[]) || CAST(:refused AS text[])
        || CAST(:unsure AS text[]))) AS waiting,
    count(messages.first_clicked_at) AS clicked
FROM messages JOIN entries ON entries.id = messages.enrolment_id
WHERE messages.campaign_id = :campaign
GROUP BY messages.step, messages.channel ORDER BY min(messages.queued_at), messages.step, messages.channel
"""

_BOUGHT = f"""
WITH entries AS (
    SELECT DISTINCT ON (coalesce(customers.merged_into, customers.id))
        coalesce(customers.merged_into, customers.id) AS person, found.id, found.entered_at
    FROM ({_ENTRIES}) AS found JOIN customers ON customers.id = found.customer_id
    WHERE found.arm = 'treated' AND coalesce(found.reason, '') <> 'no_address'
    ORDER BY coalesce(customers.merged_into, customers.id), found.entered_at, found.id
),
buyers AS (
    SELECT entries.id, min(orders.ordered_at) AS at FROM entries JOIN orders ON orders.customer_id = entries.person
        AND orders.state <> 'cancelled' AND orders.ordered_at > entries.entered_at
        AND orders.ordered_at <= entries.entered_at + :window
    GROUP BY entries.id
)
SELECT coalesce(last.step, ''), coalesce(last.channel, ''), count(*) FROM buyers LEFT JOIN LATERAL (
    SELECT step, channel FROM messages
    WHERE messages.enrolment_id = buyers.id AND messages.accepted_at <= buyers.at AND messages.state = ANY(:counted)
    ORDER BY accepted_at DESC, step LIMIT 1
) AS last ON true GROUP BY 1, 2
"""

_REASONS = f"""
WITH entries AS ({_ENTRIES})
SELECT coalesce(messages.reason, ''), string_agg(DISTINCT messages.step, ', '), count(*)
FROM messages JOIN entries ON entries.id = messages.enrolment_id
WHERE messages.campaign_id = :campaign AND messages.state = ANY(:refused)
GROUP BY 1 ORDER BY count(*) DESC, 1
"""
