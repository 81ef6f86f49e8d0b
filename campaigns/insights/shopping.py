"""How customers of the shop go about it: how far they come, how they go from channel to channel, whether they return.

Everything is counted over customers, each once in a table, from what the shop's own events and orders say.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

import sqlalchemy as sa

from campaigns import frozen
from campaigns.insights import kept
from campaigns.states import SENT
from foundation.database import Database
from shop.vocabulary import Name

LATELY = timedelta(days=90)
BEFORE = timedelta(days=30)
"""How long before an order a visit may have led to it."""
APART = timedelta(hours=1)
"""What happened closer to an order belongs to the same visit."""
NOWHERE = "none"
"""The place of who was seen nowhere before."""

STAGES = ("discover", "consider", "buy", "share")
CONSIDERED = (
    *(Name.PRODUCT_ADDED, Name.PRODUCT_WISHED, Name.WISH_ADDED_TO_CART, Name.CART_VIEWED, Name.COUPON_ENTERED),
    *(Name.CHECKOUT_STARTED, Name.CHECKOUT_STEP_VIEWED, Name.CHECKOUT_STEP_COMPLETED, Name.PAYMENT_INFO_ENTERED),
)
SHARED = (Name.PRODUCT_SHARED, Name.CART_SHARED, Name.PRODUCT_REVIEWED, Name.SURVEY_ANSWERED)
NOT_THEIRS = (Name.MESSAGE_SENT, Name.SEGMENT_ENTERED, Name.SEGMENT_LEFT, Name.ORDER_UPDATED, Name.ORDER_REFUNDED)
"""Told of a customer and not done by her."""


@dataclass(frozen=True, slots=True)
class Stage:
    """How many customers came at least this far, and how many of them did so on each source channel."""

    stage: str
    people: int
    channels: dict[str, int]


@dataclass(frozen=True, slots=True)
class Road:
    """Orders whose customer went from one place to another: `part` 0 from first to last visit, 1 on to the order."""

    part: int
    start: str
    end: str
    orders: int


@dataclass(frozen=True, slots=True)
class Cohort:
    """Customers by the month of their first order: how many, and how many of them ordered in each later month."""

    month: date
    people: int
    returned: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Channel:
    """One channel of messages lately. Orders and money (minor units) are those credited to its messages.

    `parts` are the messages accepted, each text message counted once for each of its parts.
    """

    channel: str
    planned: int
    accepted: int
    reached: int
    clicked: int
    bounced: int
    orders: int
    revenue: int
    parts: int


def stages(conn: sa.Connection) -> tuple[list[Stage], datetime] | None:
    """How far customers came lately."""
    found = kept.read(conn, "stages")
    return ([Stage(**line) for line in found[0]["stages"]], found[1]) if found else None


def roads(conn: sa.Connection) -> tuple[list[Road], datetime] | None:
    """From which channel to which customers went before they ordered."""
    found = kept.read(conn, "roads")
    return ([Road(**line) for line in found[0]["roads"]], found[1]) if found else None


def cohorts(conn: sa.Connection) -> tuple[list[Cohort], datetime] | None:
    """Who came back to order again, the latest month last."""
    found = kept.read(conn, "cohorts")
    if found is None:
        return None
    lines = [
        Cohort(date.fromisoformat(line["month"]), line["people"], tuple(line["returned"]))
        for line in found[0]["cohorts"]
    ]
    return lines, found[1]


def channels(conn: sa.Connection) -> tuple[list[Channel], datetime] | None:
    """What the channels of messages did lately."""
    found = kept.read(conn, "channels")
    if found is None:
        return None
    # What an older version counted knows no parts.
    return [Channel(**{"parts": line["accepted"], **line}) for line in found[0]["channels"]], found[1]


def refresh(db: Database, *, now: datetime) -> str | None:
    """Counts everything anew, one transaction each."""
    for name, found in (("stages", _stages), ("roads", _roads), ("cohorts", _cohorts), ("channels", _channels)):
        with db.begin() as conn:
            kept.keep(conn, name, {name: found(conn, now)}, now=now)
    return "4 counted"


# -------------------------------------------------------------------------------------------------- counting
def _stages(conn: sa.Connection, now: datetime) -> list[dict[str, object]]:
    given = {
        "since": now - LATELY,
        "consider": list(CONSIDERED),
        "buy": Name.ORDER_COMPLETED,
        "share": list(SHARED),
        "not_theirs": list(NOT_THEIRS),
    }
    people = [0, 0, 0, 0]
    places: list[dict[str, int]] = [{}, {}, {}, {}]
    for stage, channel, number in conn.execute(_STAGES, given):
        if channel is None:
            people[stage] = number
        else:
            places[stage][channel] = number
    return [{"stage": name, "people": people[n], "channels": places[n]} for n, name in enumerate(STAGES)]


_STAGES = sa.text("""
WITH done AS MATERIALIZED (
    SELECT customer_id, channel, CASE WHEN name = ANY(:share) THEN 3 WHEN name = :buy THEN 2
        WHEN name = ANY(:consider) THEN 1 ELSE 0 END AS stage
    FROM events WHERE occurred_at >= :since AND customer_id IS NOT NULL AND NOT name = ANY(:not_theirs)
    GROUP BY 1, 2, 3
), furthest AS (
    SELECT customer_id, max(stage) FILTER (WHERE stage < 3) AS stage, bool_or(stage = 3) AS shared FROM done GROUP BY 1
), reached AS (
    SELECT n AS stage, count(*) AS people FROM furthest, generate_series(0, 2) AS n WHERE furthest.stage >= n GROUP BY n
    UNION ALL SELECT 3, count(*) FROM furthest WHERE shared AND stage = 2
)
SELECT stage, NULL AS channel, people FROM reached
UNION ALL SELECT stage, channel, count(DISTINCT customer_id) FROM done GROUP BY 1, 2
ORDER BY 1, 3 DESC
""")
"""Who bought came as far as considering, whatever was seen of it; who shares counts among those who bought."""


def _roads(conn: sa.Connection, now: datetime) -> list[dict[str, object]]:
    given = {
        "since": now - LATELY,
        "before": BEFORE,
        "apart": APART,
        "clicked": Name.MESSAGE_CLICKED,
        "not_theirs": list(NOT_THEIRS),
        "nowhere": NOWHERE,
    }
    return [dict(row) for row in conn.execute(_ROADS, given).mappings()]


_PLACE = "CASE WHEN name = :clicked THEN coalesce(properties ->> 'message_channel', channel) ELSE channel END"
_ROADS = sa.text(f"""
WITH trips AS MATERIALIZED (
    SELECT orders.channel AS bought, coalesce(first.place, :nowhere) AS first, coalesce(last.place, :nowhere) AS last
    FROM orders
    LEFT JOIN LATERAL (SELECT {_PLACE} AS place FROM events WHERE events.customer_id = orders.customer_id
        AND occurred_at >= orders.ordered_at - CAST(:before AS interval)
        AND occurred_at < orders.ordered_at - CAST(:apart AS interval) AND NOT name = ANY(:not_theirs)
        ORDER BY occurred_at LIMIT 1) AS first ON true
    LEFT JOIN LATERAL (SELECT {_PLACE} AS place FROM events WHERE events.customer_id = orders.customer_id
        AND occurred_at >= orders.ordered_at - CAST(:before AS interval)
        AND occurred_at < orders.ordered_at - CAST(:apart AS interval) AND NOT name = ANY(:not_theirs)
        ORDER BY occurred_at DESC LIMIT 1) AS last ON true
    WHERE orders.ordered_at >= :since AND orders.state <> 'cancelled'
)
SELECT 0 AS part, first AS start, last AS end, count(*) AS orders FROM trips GROUP BY 2, 3
UNION ALL SELECT 1, last, bought, count(*) FROM trips GROUP BY 2, 3
ORDER BY 1, 4 DESC, 2, 3
""")


def _cohorts(conn: sa.Connection, now: datetime) -> list[dict[str, object]]:
    this = date(now.year, now.month, 1)
    people: dict[date, dict[int, int]] = {}
    for month, later, number in conn.execute(_COHORTS, {"begin": date(this.year - 1, this.month, 1)}):
        people.setdefault(month, {})[later] = number
    return [
        {
            "month": month.isoformat(),
            "people": counted.get(0, 0),
            "returned": [counted.get(later + 1, 0) for later in range(_months(month, this))],
        }
        for month, counted in sorted(people.items())
    ]


def _months(start: date, end: date) -> int:
    """Whole months from one to the other."""
    return (end.year - start.year) * 12 + end.month - start.month


_COHORTS = sa.text("""
WITH ordered AS MATERIALIZED (
    SELECT customer_id, date_trunc('month', ordered_at AT TIME ZONE 'UTC')::date AS month
    FROM orders WHERE state <> 'cancelled' AND customer_id IS NOT NULL GROUP BY 1, 2
), begun AS (
    SELECT customer_id, min(month) AS month FROM ordered GROUP BY 1
)
SELECT begun.month, (12 * (extract(year FROM ordered.month) - extract(year FROM begun.month))
    + extract(month FROM ordered.month) - extract(month FROM begun.month))::int AS later, count(*)
FROM begun JOIN ordered USING (customer_id) WHERE begun.month >= :begin GROUP BY 1, 2 ORDER BY 1, 2
""")


def _channels(conn: sa.Connection, now: datetime) -> list[dict[str, object]]:
    given = {"since": now - LATELY, "sent": list(SENT)}
    return [dict(row) for row in conn.execute(_CHANNELS, given).mappings()]


_CHANNELS = sa.text(f"""
SELECT messages.channel, count(*) AS planned, count(*) FILTER (WHERE messages.state = ANY(:sent)) AS accepted,
    count(DISTINCT messages.customer_id) FILTER (WHERE messages.state = ANY(:sent)) AS reached,
    count(messages.first_clicked_at) AS clicked,
    count(*) FILTER (WHERE messages.state IN ('bounced', 'complained')) AS bounced,
    coalesce(sum(credited.orders), 0)::bigint AS orders, coalesce(sum(credited.revenue), 0)::bigint AS revenue,
    coalesce(sum({frozen.PARTS}) FILTER (WHERE messages.state = ANY(:sent)), 0)::bigint AS parts
FROM messages LEFT JOIN (
    SELECT message_id, count(*) AS orders, sum(orders.total - orders.refunded) AS revenue
    FROM attributions JOIN orders USING (order_id)
    WHERE orders.state <> 'cancelled' AND attributions.ordered_at >= :since GROUP BY 1
) AS credited ON credited.message_id = messages.id
WHERE messages.queued_at >= :since GROUP BY 1 ORDER BY 3 DESC, 1
""")


def span(found: Sequence[Cohort]) -> int:
    """How many later months the oldest of these cohorts has."""
    return max((len(cohort.returned) for cohort in found), default=0)
