"""What slates earned: clicks of people and orders meet the slates they came from; what an experiment shows.

A product counts as clicked when a person clicked it in a slate, or put it into the basket from there, within a week of
the showing. An order of it within a week of the click is that slate's: the last clicked, and no other.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from datetime import date, datetime, timedelta
from typing import Any, TypeVar

import sqlalchemy as sa

from foundation import intervals
from foundation.database import Database
from foundation.intervals import Interval
from recommender import tables
from recommender.placements import Arm

WINDOW = timedelta(days=7)
"""From a showing to its clicks, and from a click to its order."""

LATE = timedelta(days=7)
"""Orders of a till that was offline still count this long after."""

OVERLAP = timedelta(minutes=10)
"""Events are searched again this far back, for a transaction that began earlier may commit later."""

RECOUNTED = timedelta(minutes=10)

MACHINES = r"bot\M|crawl|spider|slurp|preview|scanner|headlesschrome"
"""In the name a browser gives itself: no person."""

counts, experiments = tables.slate_counts, tables.experiments
K = TypeVar("K")


# ---------------------------------------------------------------------------------------------------- the job
def meet(db: Database, *, now: datetime) -> str | None:
    """Takes in what happened since the last time. Manages its own transactions: reading events and counting again each
    stand alone, and each may be done again."""
    with db.begin() as conn:
        clicked = _clicks(conn, now)
        ordered = _orders(conn, now)
        conn.execute(_RECOUNT, {"since": now - WINDOW - WINDOW - LATE})
    with db.begin() as conn:
        _count_experiments(conn, now)
    parts = {"clicks": clicked, "orders": ordered}
    return ", ".join(f"{number} {word}" for word, number in parts.items() if number) or None


def _clicks(conn: sa.Connection, now: datetime) -> int:
    """New clicks, from where the last reading ended."""
    start = sa.text("INSERT INTO slate_reading (read_until) VALUES (:start) ON CONFLICT DO NOTHING")
    conn.execute(start, {"start": now - WINDOW})
    since: datetime = conn.execute(sa.text("SELECT read_until FROM slate_reading FOR UPDATE")).scalar_one()
    asked = {"since": since - OVERLAP, "now": now, "window": WINDOW, "machines": MACHINES}
    new = conn.execute(_CLICKS, asked).rowcount
    conn.execute(sa.text("UPDATE slate_reading SET read_until = :now WHERE read_until < :now"), {"now": now})
    return new


_CLICKS = sa.text("""
WITH told AS (
    SELECT CAST(properties ->> 'slate_id' AS uuid) AS slate_id, product_id, name, occurred_at, customer_id
    FROM events
    WHERE received_at > :since AND received_at <= :now AND product_id IS NOT NULL
      AND name IN ('Product Clicked', 'Product Viewed', 'Product Added', 'Message Clicked')
      AND CASE WHEN properties ->> 'slate_id' ~ '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$' THEN true ELSE false END
      AND coalesce(properties ->> 'machine', 'false') <> 'true'
      AND coalesce(context ->> 'userAgent', '') !~* :machines
    OFFSET 0
)
INSERT INTO slate_clicks AS kept
    (slate_id, product_id, customer_id, placement, model_id, arm, source, shown_at, clicked_at, added_at)
SELECT slates.id, told.product_id, min(told.customer_id), slates.placement, slates.model_id, slates.arm,
    min(item ->> 'source'), slates.shown_at, min(told.occurred_at),
    min(told.occurred_at) FILTER (WHERE told.name = 'Product Added')
FROM told
JOIN slates ON slates.id = told.slate_id AND told.occurred_at < slates.shown_at + :window
JOIN LATERAL jsonb_array_elements(slates.items) AS item ON item ->> 'product_id' = told.product_id
GROUP BY slates.id, told.product_id
ON CONFLICT (slate_id, product_id) DO UPDATE
SET added_at = least(kept.added_at, excluded.added_at), clicked_at = least(kept.clicked_at, excluded.clicked_at)
WHERE (kept.added_at, kept.clicked_at) IS DISTINCT FROM
    (least(kept.added_at, excluded.added_at), least(kept.clicked_at, excluded.clicked_at))
""")


def _orders(conn: sa.Connection, now: datetime) -> int:
    """Orders of what was clicked; those undone since are taken back first."""
    asked = {"since": now - WINDOW - WINDOW - LATE, "window": WINDOW}
    conn.execute(_UNDONE, asked)
    return conn.execute(_ORDERS, asked).rowcount


_UNDONE = sa.text("""
UPDATE slate_clicks SET order_id = NULL, revenue = 0
FROM orders
WHERE orders.order_id = slate_clicks.order_id AND orders.state <> 'completed' AND slate_clicks.shown_at > :since
""")

_ORDERS = sa.text("""
WITH found AS (
    SELECT DISTINCT ON (orders.order_id, clicks.product_id)
        clicks.slate_id, clicks.product_id, orders.order_id, orders.ordered_at,
        (SELECT coalesce(sum(quantity * coalesce(price, 0)), 0) FROM order_lines
         WHERE order_lines.order_id = orders.order_id AND order_lines.product_id = clicks.product_id) AS revenue
    FROM slate_clicks AS clicks
    JOIN customers AS held ON held.id = clicks.customer_id
    JOIN order_lines AS lines ON lines.customer_id = coalesce(held.merged_into, held.id)
        AND lines.product_id = clicks.product_id AND lines.quantity > 0
        AND lines.ordered_at >= clicks.clicked_at AND lines.ordered_at < clicks.clicked_at + :window
    JOIN orders ON orders.order_id = lines.order_id AND orders.state = 'completed'
    WHERE clicks.shown_at > :since AND clicks.order_id IS NULL
      AND NOT EXISTS (
          SELECT FROM slate_clicks AS other
          WHERE other.product_id = clicks.product_id AND other.order_id = orders.order_id AND other.shown_at > :since
      )
    ORDER BY orders.order_id, clicks.product_id, clicks.clicked_at DESC, clicks.slate_id
), first AS (
    SELECT DISTINCT ON (slate_id, product_id) * FROM found ORDER BY slate_id, product_id, ordered_at, order_id
)
UPDATE slate_clicks SET order_id = first.order_id, revenue = first.revenue
FROM first WHERE slate_clicks.slate_id = first.slate_id AND slate_clicks.product_id = first.product_id
""")

_RECOUNT = sa.text("""
WITH clicks AS (
    SELECT CAST(timezone('UTC', shown_at) AS date) AS day, placement, coalesce(model_id, 0) AS model_id,
        coalesce(arm, '') AS arm, source, slate_id, added_at, order_id, revenue
    FROM slate_clicks WHERE shown_at > :since
), slates_of AS (
    SELECT day, placement, model_id, arm, slate_id, bool_or(added_at IS NOT NULL) AS added,
        bool_or(order_id IS NOT NULL) AS ordered, sum(revenue) AS revenue
    FROM clicks GROUP BY day, placement, model_id, arm, slate_id
), summed AS (
    SELECT day, placement, model_id, arm, source, count(*) AS clicked, count(added_at) AS added,
        count(order_id) AS ordered, sum(revenue) AS revenue
    FROM clicks GROUP BY day, placement, model_id, arm, source
    UNION ALL
    SELECT day, placement, model_id, arm, '', count(*), count(*) FILTER (WHERE added),
        count(*) FILTER (WHERE ordered), sum(revenue)
    FROM slates_of GROUP BY day, placement, model_id, arm
)
UPDATE slate_counts AS kept
SET clicked = summed.clicked, added = summed.added, ordered = summed.ordered, revenue = summed.revenue
FROM summed
WHERE (kept.day, kept.placement, kept.model_id, kept.arm, kept.source)
    = (summed.day, summed.placement, summed.model_id, summed.arm, summed.source)
  AND kept.day > CAST(timezone('UTC', CAST(:since AS timestamptz)) AS date)
  AND (kept.clicked, kept.added, kept.ordered, kept.revenue)
    IS DISTINCT FROM (summed.clicked, summed.added, summed.ordered, summed.revenue)
""")
"""The day in which the window begins is whole no more, so it keeps what it was last found to be."""


def _count_experiments(conn: sa.Connection, now: datetime) -> None:
    """Everyone by the arm first seen; one who saw both, after two visitors turned out to be one, counts for neither."""
    due = sa.select(experiments.c.id).where(
        sa.or_(experiments.c.ended_at.is_(None), experiments.c.ended_at > now - WINDOW - LATE),
        sa.or_(experiments.c.counted_at.is_(None), experiments.c.counted_at < now - RECOUNTED),
    )
    for experiment_id in conn.scalars(due).all():
        conn.execute(_COUNT_EXPERIMENT, {"id": experiment_id, "now": now, "window": WINDOW})


_COUNT_EXPERIMENT = sa.text("""
WITH this AS (SELECT * FROM experiments WHERE id = :id),
exposed AS (
    SELECT coalesce(held.merged_into, held.id) AS person, min(slates.arm) AS arm, min(slates.shown_at) AS shown_at
    FROM this
    JOIN slates ON slates.placement = this.placement AND slates.arm IS NOT NULL
        AND slates.shown_at >= this.started_at AND slates.shown_at < coalesce(this.ended_at, 'infinity')
    JOIN customers AS held ON held.id = slates.customer_id
    GROUP BY 1 HAVING min(slates.arm) = max(slates.arm)
), clicked AS (
    SELECT DISTINCT coalesce(held.merged_into, held.id) AS person
    FROM this
    JOIN slate_clicks ON slate_clicks.placement = this.placement AND slate_clicks.arm IS NOT NULL
        AND slate_clicks.shown_at >= this.started_at AND slate_clicks.shown_at < coalesce(this.ended_at, 'infinity')
    JOIN customers AS held ON held.id = slate_clicks.customer_id
), bought AS (
    SELECT exposed.person, sum(orders.total - orders.refunded) AS revenue
    FROM exposed
    JOIN orders ON orders.customer_id = exposed.person AND orders.ordered_at >= exposed.shown_at
        AND orders.ordered_at < exposed.shown_at + :window AND orders.state <> 'cancelled'
    GROUP BY exposed.person
), summed AS (
    SELECT arm, count(*) AS customers, count(clicked.person) AS clickers, count(bought.person) AS buyers,
        coalesce(sum(bought.revenue), 0) AS revenue,
        coalesce(sum(bought.revenue * bought.revenue), 0) AS revenue_squared
    FROM exposed
    LEFT JOIN clicked USING (person)
    LEFT JOIN bought USING (person)
    GROUP BY arm
)
UPDATE experiments SET counted_at = :now, results = coalesce(
    (SELECT jsonb_object_agg(arm, to_jsonb(summed) - 'arm') FROM summed), '{}')
WHERE id = :id
""")


# ------------------------------------------------------------------------------------------------- reading
@dataclass(frozen=True, slots=True)
class Tally:
    """What was shown and what it earned; of slates, or of products. `revenue` is in minor units."""

    shown: int = 0
    clicked: int = 0
    added: int = 0
    ordered: int = 0
    revenue: int = 0

    def __add__(self, other: "Tally") -> "Tally":
        return Tally(*(getattr(self, one.name) + getattr(other, one.name) for one in fields(self)))

    @property
    def click_rate(self) -> Interval | None:
        """The share of those shown that were clicked. None before any was shown."""
        return intervals.share(min(self.clicked, self.shown), self.shown)

    @property
    def order_rate(self) -> Interval | None:
        """The share of those shown that led to an order."""
        return intervals.share(min(self.ordered, self.shown), self.shown)


@dataclass(frozen=True, slots=True)
class Line:
    """The tally of one placement, model, arm and source over some days; `source` is empty for slates as a whole."""

    placement: str
    model_id: int
    arm: str
    source: str
    tally: Tally


def lines(conn: sa.Connection, *, since: date) -> list[Line]:
    """All tallies since a day."""
    key = (counts.c.placement, counts.c.model_id, counts.c.arm, counts.c.source)
    sums = [sa.cast(sa.func.sum(counts.c[one.name]), sa.BigInteger) for one in fields(Tally)]
    rows = conn.execute(sa.select(*key, *sums).where(counts.c.day >= since).group_by(*key).order_by(*key))
    return [Line(row[0], row[1], row[2], row[3], Tally(*row[4:])) for row in rows]


def by_placement(found: Iterable[Line]) -> dict[str, Tally]:
    """Slates by placement."""
    return _summed((line.placement, line.tally) for line in found if not line.source)


def by_model(found: Iterable[Line]) -> dict[int, Tally]:
    """Slates by model; 0 is before the first was published."""
    return _summed((line.model_id, line.tally) for line in found if not line.source)


def by_source(found: Iterable[Line]) -> dict[str, Tally]:
    """Products shown, by where they came from."""
    return _summed((line.source, line.tally) for line in found if line.source)


def _summed(given: Iterable[tuple[K, Tally]]) -> dict[K, Tally]:
    found: dict[K, Tally] = {}
    for key, tally in given:
        found[key] = found.get(key, Tally()) + tally
    return found


@dataclass(frozen=True, slots=True)
class Group:
    """The customers of one arm: how many saw a slate, clicked one, bought anything within a week of the first."""

    customers: int = 0
    clickers: int = 0
    buyers: int = 0
    revenue: int = 0
    revenue_squared: int = 0


@dataclass(frozen=True, slots=True)
class Trial:
    """An experiment and what it shows so far. The differences are model minus popularity; None while one arm is empty.

    `revenue` is in minor units a customer.
    """

    id: int
    placement: str
    percent: int
    started_at: datetime
    started_by: str
    ended_at: datetime | None
    counted_at: datetime | None
    model: Group
    popularity: Group

    @property
    def clicks(self) -> Interval | None:
        """Of the share of customers who clicked."""
        return self._shares("clickers")

    @property
    def buyers(self) -> Interval | None:
        """Of the share of customers who bought."""
        return self._shares("buyers")

    @property
    def revenue(self) -> Interval | None:
        """Of what a customer spent."""
        ours, theirs = (
            intervals.mean(group.revenue, group.revenue_squared, group.customers)
            for group in (self.model, self.popularity)
        )
        return intervals.means_apart(ours, theirs)

    def _shares(self, what: str) -> Interval | None:
        ours, theirs = (
            intervals.share(getattr(group, what), group.customers) for group in (self.model, self.popularity)
        )
        return intervals.shares_apart(ours, theirs)


def trials(conn: sa.Connection, *, limit: int = 20) -> list[Trial]:
    """The latest experiments, youngest first."""
    rows = conn.execute(sa.select(experiments).order_by(experiments.c.id.desc()).limit(limit)).mappings()
    return [_trial(dict(row)) for row in rows]


def _trial(row: Mapping[str, Any]) -> Trial:
    groups = {arm: Group(**row["results"].get(arm, {})) for arm in Arm}
    kept = {one.name: row[one.name] for one in fields(Trial) if one.name not in groups}
    return Trial(**kept, model=groups[Arm.MODEL], popularity=groups[Arm.POPULARITY])
