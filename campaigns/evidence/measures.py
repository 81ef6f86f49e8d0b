"""What the people of each arm did within the window, added up by one statement: people, buyers, money and its squares.

A person counts once, from the first time she came in: what a campaign does to her may bring her in again or keep her
out, so later entries say nothing of chance. She counts when her window is over. Orders of every channel count, net of
returns and discounts; a cancelled one is none.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa

from campaigns import experiments
from campaigns import policy as policy_
from campaigns.definitions import shapes
from campaigns.evidence import margins, verdicts
from campaigns.evidence.sequences import Sample
from campaigns.evidence.verdicts import Arm, Lift
from campaigns.plans import Plan
from campaigns.rules import Policy


@dataclass(frozen=True, slots=True)
class Scope:
    """Which entries a report is about: those of a time, of a version, or all. `until` is not in it."""

    since: datetime | None = None
    until: datetime | None = None
    version: int | None = None


ALL = Scope()


@dataclass(frozen=True, slots=True)
class Anew:
    """Since when another share is left alone: by this campaign, or by all of them (`everywhere`)."""

    at: datetime
    everywhere: bool


@dataclass(frozen=True, slots=True)
class Measured:
    """Each arm by its name, and how many are still within their window."""

    arms: Mapping[str, Arm]
    watched: int


def window(plan: Plan, policy: Policy) -> timedelta:
    """How long people of a campaign are watched: as long as its goal counts, else as long as a click earns."""
    goal = plan.definition.goal
    return shapes.length(goal.within) if goal and goal.within else timedelta(days=policy.attribution_days)


def of_campaign(
    conn: sa.Connection, campaign_id: int, *, window: timedelta, policy: Policy, now: datetime, scope: Scope = ALL
) -> Lift:
    """Those a campaign wrote to against those it left alone, its own holdout and everybody's."""
    people = _ENTRANTS.format(which="AND enrolments.campaign_id = :campaign", campaign="CAST(:campaign AS bigint)")
    anew = began_anew(conn, campaign_id)
    asked = {"campaign": campaign_id, "drawn": anew.at if anew else None, **_scoped(scope)}
    return _lift(_measure(conn, people, asked, window=window, policy=policy, now=now))


def began_anew(conn: sa.Connection, campaign_id: int) -> Anew | None:
    """When the evidence of a campaign began anew, because another share of customers is left alone since; None if it
    never did."""
    own, house = conn.scalar(_SHARE_SINCE, {"campaign": campaign_id}), policy_.holdout_since(conn)
    changed = [Anew(at, everywhere) for at, everywhere in ((own, False), (house, True)) if at]
    return max(changed, key=lambda one: one.at, default=None)


def of_everyone(conn: sa.Connection, *, window: timedelta, policy: Policy, now: datetime, scope: Scope = ALL) -> Lift:
    """All campaigns together: who would have come into any, against those of them left alone everywhere."""
    people = _ENTRANTS.format(
        which="""AND EXISTS (SELECT FROM enrolments AS left_alone
            WHERE left_alone.campaign_id = enrolments.campaign_id AND left_alone.arm = 'everywhere')""",
        campaign="enrolments.campaign_id",
    ).replace("enrolments.arm <> 'treated'", "enrolments.arm = 'everywhere'")
    asked = {"drawn": policy_.holdout_since(conn), **_scoped(scope)}
    return _lift(_measure(conn, people, asked, window=window, policy=policy, now=now))


def of_experiment(
    conn: sa.Connection,
    campaign_id: int,
    step: str,
    design: str,
    *,
    window: timedelta,
    policy: Policy,
    now: datetime,
) -> Measured:
    """The variants of an experiment, of those drawn by chance and written to, from when each came to it."""
    asked = {"campaign": campaign_id, "step": step, "design": design}
    return _measure(conn, _DRAWN, asked, window=window, policy=policy, now=now)


def _scoped(scope: Scope) -> dict[str, object]:
    return {"from": scope.since, "until": scope.until, "version": scope.version}


def _lift(found: Measured) -> Lift:
    arms = (found.arms.get(name, Arm()) for name in (experiments.TREATED, experiments.HOLDOUT))
    treated, held_out = arms
    return verdicts.lift(treated, held_out, watched=found.watched)


IN_SCOPE = """
    (CAST(:from AS timestamptz) IS NULL OR enrolments.entered_at >= :from)
    AND (CAST(:until AS timestamptz) IS NULL OR enrolments.entered_at < :until)
    AND (CAST(:version AS int) IS NULL OR enrolments.version = :version)
"""
"""Entries a report is about, as a condition on `enrolments`."""

_ENTRANTS = f"""
    SELECT person, customer_id, campaign_id, arm, entered_at AS since FROM (
        SELECT DISTINCT ON (coalesce(customers.merged_into, customers.id))
            coalesce(customers.merged_into, customers.id) AS person, enrolments.customer_id,
            {{campaign}} AS campaign_id, CASE WHEN enrolments.arm <> 'treated' THEN 'holdout' ELSE 'treated' END AS arm,
            enrolments.entered_at, enrolments.version
        FROM enrolments JOIN customers ON customers.id = enrolments.customer_id
        WHERE coalesce(enrolments.reason, '') <> 'no_address' {{which}}
        ORDER BY coalesce(customers.merged_into, customers.id), enrolments.entered_at, enrolments.id
    ) AS enrolments WHERE {IN_SCOPE} AND (CAST(:drawn AS timestamptz) IS NULL OR enrolments.entered_at >= :drawn)
"""
"""Whose first entry of all is in scope: a later one is none of chance, whatever time is asked about. Who came in while
another share was left alone is not compared: those of then and those of now differ by more than chance."""

_SHARE_SINCE = sa.text("""
    WITH said AS (
        SELECT said.version, said.created_at, coalesce(CAST(definition ->> 'holdout_percent' AS float8), 0) AS share
        FROM campaign_versions AS said JOIN campaigns ON campaigns.id = campaign_id
        WHERE campaign_id = :campaign AND said.version <= campaigns.version
    ), other AS (
        SELECT max(version) AS version FROM said
        WHERE share <> (SELECT share FROM said ORDER BY version DESC LIMIT 1)
    )
    SELECT min(said.created_at) FROM said, other WHERE said.version > other.version
""")
"""When the share a campaign leaves alone became what it is; nothing if it always was."""

_DRAWN = """
    SELECT DISTINCT ON (coalesce(customers.merged_into, customers.id))
        coalesce(customers.merged_into, customers.id) AS person, exposures.customer_id, exposures.campaign_id,
        exposures.variant AS arm, exposures.at AS since
    FROM exposures JOIN customers ON customers.id = exposures.customer_id
    WHERE campaign_id = :campaign AND step = :step AND design = :design AND NOT silent AND NOT settled
    ORDER BY coalesce(customers.merged_into, customers.id), exposures.at, exposures.customer_id
"""

_MEASURED = f"""
WITH people AS MATERIALIZED ({{people}}),
outcomes AS (
    SELECT people.arm, people.person,
        count(orders.order_id)::float8 AS orders,
        coalesce(sum({margins.NET}) FILTER (WHERE orders.currency IS NOT DISTINCT FROM :currency), 0)::float8 AS sales,
        coalesce(sum({margins.MARGIN}) FILTER (WHERE orders.currency IS NOT DISTINCT FROM :currency), 0)::float8
            AS margin,
        EXISTS (SELECT FROM messages WHERE messages.customer_id = people.customer_id
            AND messages.campaign_id = people.campaign_id AND messages.queued_at >= people.since
            AND messages.first_clicked_at <= people.since + :window)::int AS clicks
    FROM people LEFT JOIN orders ON orders.customer_id = people.person AND orders.state <> 'cancelled'
        AND orders.ordered_at > people.since AND orders.ordered_at <= people.since + :window
    WHERE people.since <= :now - CAST(:window AS interval)
    GROUP BY people.arm, people.person, people.customer_id, people.campaign_id, people.since
)
SELECT arm, count(*) AS people, count(*) FILTER (WHERE orders > 0) AS buyers, sum(clicks) AS clicks,
    sum(orders) AS orders, sum(orders * orders) AS orders_squared,
    sum(sales) AS sales, sum(sales * sales) AS sales_squared,
    sum(margin) AS margin, sum(margin * margin) AS margin_squared,
    (SELECT count(*) FROM people WHERE since > :now - CAST(:window AS interval)) AS watched
FROM outcomes GROUP BY arm
UNION ALL
SELECT '', 0, 0, 0, 0, 0, 0, 0, 0, 0, (SELECT count(*) FROM people WHERE since > :now - CAST(:window AS interval))
"""


def _measure(
    conn: sa.Connection,
    people: str,
    asked: Mapping[str, object],
    *,
    window: timedelta,
    policy: Policy,
    now: datetime,
) -> Measured:
    given = {**asked, **margins.given(policy), "window": window, "now": now, "currency": currency(conn)}
    rows = conn.execute(sa.text(_MEASURED.format(people=people)), given).mappings().all()
    return Measured({row["arm"]: _arm(row) for row in rows if row["arm"]}, max(row["watched"] for row in rows))


def _arm(row: sa.RowMapping) -> Arm:
    n = row["people"]
    return Arm(
        people=n,
        buyers=row["buyers"],
        bought=Sample(n, row["buyers"], row["buyers"]),
        clicks=Sample(n, row["clicks"], row["clicks"]),
        **{name: Sample(n, row[name], row[f"{name}_squared"]) for name in ("orders", "sales", "margin")},
    )


def currency(conn: sa.Connection) -> str | None:
    """The currency figures are told in: that of the last order. Money of another is not added to it."""
    found: str | None = conn.scalar(sa.text("SELECT currency FROM orders ORDER BY ordered_at DESC LIMIT 1"))
    return found
