"""The questions asked of a campaign: who entered, what became of it, what it earned, what it caused."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa

from campaigns import eligibility, plans, policy, tables
from campaigns.definitions import flow
from campaigns.definitions.campaign import Campaign
from campaigns.definitions.steps import Ask, Send
from campaigns.evidence import earnings, funnel, measures, verdicts, winners
from campaigns.evidence.earnings import Costs, Earned
from campaigns.evidence.funnel import Funnel
from campaigns.evidence.measures import ALL, Anew, Scope
from campaigns.evidence.winners import Standing
from campaigns.experiments import Lift
from campaigns.plans import Plan
from campaigns.states import SENT
from foundation.intervals import Interval

messages, enrolments = tables.messages, tables.enrolments


# ---------------------------------------------------------------------------------------------- at a glance
@dataclass(frozen=True, slots=True)
class Results:
    """A campaign's results. The counts of `states` add up to `planned`; `revenue` is in minor units of `currency`."""

    enrolled: int
    held_out: int
    planned: int
    states: Mapping[str, int]
    sent: int
    clicked: int
    orders: int
    revenue: int
    currency: str
    codes_issued: int
    codes_used: int
    lift: Lift


def campaign(conn: sa.Connection, campaign_id: int, *, now: datetime) -> Results:
    """What a campaign did so far, as lists show it, in a fixed number of queries."""
    states = _states(conn, campaign_id)
    clicked, orders, revenue, currency = conn.execute(sa.text(_EARNED), {"campaign": campaign_id}).one()
    costs = earnings.costs(conn, campaign_id, policy=policy.load(conn), scope=ALL)
    enrolled, held_out = conn.execute(sa.text(_ENROLLED), {"campaign": campaign_id}).one()
    return Results(
        enrolled=enrolled,
        held_out=held_out,
        planned=sum(states.values()),
        states=states,
        sent=sum(states.get(state, 0) for state in SENT),
        clicked=clicked,
        orders=orders,
        revenue=revenue,
        currency=currency or "EUR",
        codes_issued=costs.codes_issued,
        codes_used=costs.codes_used,
        lift=brief(_lift(conn, campaign_id, now=now)),
    )


def brief(lift: verdicts.Lift) -> Lift:
    """What the holdout says of buyers alone."""
    gap = lift.bought
    figures = (gap.value, gap.low, gap.high) if gap else (None, None, None)
    return Lift(lift.treated.people, lift.treated.buyers, lift.held_out.people, lift.held_out.buyers, *figures)


def _states(conn: sa.Connection, campaign_id: int) -> dict[str, int]:
    counted = (
        sa.select(messages.c.state, sa.func.count())
        .where(messages.c.campaign_id == campaign_id)
        .group_by(messages.c.state)
    )
    return {state: number for state, number in conn.execute(counted)}


def _lift(conn: sa.Connection, campaign_id: int, *, now: datetime) -> verdicts.Lift:
    rules = policy.load(conn)
    window = measures.window(plans.by_id(conn, campaign_id), rules)
    return measures.of_campaign(conn, campaign_id, window=window, policy=rules, now=now)


_EARNED = """
SELECT
    (SELECT count(*) FROM messages WHERE campaign_id = :campaign AND first_clicked_at IS NOT NULL),
    count(*), coalesce(sum(orders.total - orders.refunded), 0)::bigint, max(orders.currency)
FROM attributions JOIN orders USING (order_id)
WHERE campaign_id = :campaign AND orders.state <> 'cancelled'
"""
_ENROLLED = """
SELECT count(*), count(*) FILTER (WHERE arm <> 'treated') FROM enrolments WHERE campaign_id = :campaign
"""


# ------------------------------------------------------------------------------------------------ in full
@dataclass(frozen=True, slots=True)
class Goal:
    """What the campaign is for, and how many entries of each arm reached it within its time."""

    event: str
    within: timedelta
    treated: int
    held_out: int


@dataclass(frozen=True, slots=True)
class Report:
    """Everything that is known of a campaign's effect. What is attributed and what is caused are two things: neither
    is part of the other. `anew`: when the comparison began anew, if it did."""

    scope: Scope
    window: timedelta
    first: datetime | None
    last: datetime | None
    funnel: Funnel
    goal: Goal | None
    lift: verdicts.Lift
    earned: Earned
    costs: Costs
    experiments: Sequence[Standing]
    says: Mapping[str, Send | Ask]
    anew: Anew | None = None

    @property
    def caused(self) -> Interval | None:
        """Sales caused, in minor units, net of returns and discounts."""
        return self.lift.caused_sales

    @property
    def gained(self) -> Interval | None:
        """Margin caused, less what the messages cost; codes are paid for in it."""
        return verdicts.less(self.lift.caused_margin, self.costs.sending)


def full(conn: sa.Connection, plan: Plan, *, scope: Scope = ALL, now: datetime) -> Report:
    """The whole report of a campaign, of the entries in scope."""
    rules = policy.load(conn)
    window = measures.window(plan, rules)
    zone = eligibility.zone(rules.timezone)
    currency = measures.currency(conn)
    first, last = conn.execute(sa.text(_SPAN), _given(plan, scope)).one()
    return Report(
        scope=scope,
        window=window,
        first=first,
        last=last,
        funnel=funnel.of_campaign(conn, plan.id, scope=scope, window=window),
        goal=_goal(conn, plan, scope, window),
        lift=measures.of_campaign(conn, plan.id, window=window, policy=rules, now=now, scope=scope),
        earned=earnings.credited(conn, plan.id, currency=currency, zone=zone, scope=scope),
        costs=earnings.costs(conn, plan.id, policy=rules, scope=scope),
        experiments=winners.of_plan(conn, plan, now=now),
        says=says(plan.definition),
        anew=measures.began_anew(conn, plan.id),
    )


def everywhere(conn: sa.Connection, *, now: datetime) -> verdicts.Lift:
    """All campaigns together against those left alone everywhere, as long as a click earns."""
    rules = policy.load(conn)
    return measures.of_everyone(conn, window=timedelta(days=rules.attribution_days), policy=rules, now=now)


def says(definition: Campaign) -> dict[str, Send | Ask]:
    """The steps that say something, by id."""
    return {step.id: step for _, step in flow.walk(definition.steps) if isinstance(step, Send | Ask)}


def _given(plan: Plan, scope: Scope) -> dict[str, object]:
    return {"campaign": plan.id, "from": scope.since, "until": scope.until, "version": scope.version}


def _goal(conn: sa.Connection, plan: Plan, scope: Scope, window: timedelta) -> Goal | None:
    goal = plan.definition.goal
    if goal is None:
        return None
    treated, held_out = conn.execute(sa.text(_REACHED), _given(plan, scope)).one()
    return Goal(goal.event, window, treated, held_out)


_REACHED = f"""
SELECT count(*) FILTER (WHERE arm = 'treated'), count(*) FILTER (WHERE arm <> 'treated')
FROM enrolments WHERE campaign_id = :campaign AND reason = 'converted' AND {measures.IN_SCOPE}
"""
_SPAN = f"SELECT min(entered_at), max(entered_at) FROM enrolments WHERE campaign_id = :campaign AND {measures.IN_SCOPE}"


def currency(conn: sa.Connection) -> str | None:
    """The currency reports are told in."""
    return measures.currency(conn)
