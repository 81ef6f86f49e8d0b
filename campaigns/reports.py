"""The questions the console asks of a campaign: who entered, what became of it, what it earned, what it caused."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

import sqlalchemy as sa

from campaigns import experiments, policy, tables
from campaigns.experiments import Lift
from campaigns.states import SENT

messages, enrolments = tables.messages, tables.enrolments


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


def campaign(conn: sa.Connection, campaign_id: int) -> Results:
    """Everything a campaign did so far, in a fixed number of queries."""
    states = _states(conn, campaign_id)
    clicked, orders, revenue, currency = conn.execute(sa.text(_EARNED), {"campaign": campaign_id}).one()
    issued, used = conn.execute(sa.text(_CODES), {"campaign": campaign_id}).one()
    lift = measured(conn, campaign_id)
    return Results(
        enrolled=lift.treated + lift.held_out,
        held_out=lift.held_out,
        planned=sum(states.values()),
        states=states,
        sent=sum(states.get(state, 0) for state in SENT),
        clicked=clicked,
        orders=orders,
        revenue=revenue,
        currency=currency or "EUR",
        codes_issued=issued,
        codes_used=used,
        lift=lift,
    )


def _states(conn: sa.Connection, campaign_id: int) -> dict[str, int]:
    counted = (
        sa.select(messages.c.state, sa.func.count())
        .where(messages.c.campaign_id == campaign_id)
        .group_by(messages.c.state)
    )
    return {state: number for state, number in conn.execute(counted)}


_EARNED = """
SELECT
    (SELECT count(*) FROM messages WHERE campaign_id = :campaign AND first_clicked_at IS NOT NULL),
    count(*), coalesce(sum(orders.total - orders.refunded), 0)::bigint, max(orders.currency)
FROM attributions JOIN orders USING (order_id)
WHERE campaign_id = :campaign AND orders.state <> 'cancelled'
"""

_CODES = """
SELECT count(*) FILTER (WHERE promo_codes.state IN ('issued', 'redeemed')),
    count(*) FILTER (WHERE promo_codes.state = 'redeemed')
FROM promo_codes JOIN messages ON messages.id = promo_codes.message_id WHERE messages.campaign_id = :campaign
"""


def measured(conn: sa.Connection, campaign_id: int) -> Lift:
    """Buyers among those treated and those held out, each watched from entry to the end of the same window."""
    window = timedelta(days=policy.load(conn).attribution_days)
    rows = conn.execute(sa.text(_BUYERS), {"campaign": campaign_id, "window": window}).all()
    found = {held_out: (people, buyers) for held_out, people, buyers in rows}
    treated, held_out = found.get(False, (0, 0)), found.get(True, (0, 0))
    return experiments.lift(
        treated=treated[0], treated_buyers=treated[1], held_out=held_out[0], held_out_buyers=held_out[1]
    )


_BUYERS = f"""
SELECT arm = '{experiments.HOLDOUT}', count(*), count(*) FILTER (WHERE EXISTS (
    SELECT FROM orders WHERE orders.customer_id = coalesce(customers.merged_into, customers.id)
        AND orders.ordered_at BETWEEN enrolments.entered_at AND enrolments.entered_at + :window
        AND orders.state <> 'cancelled'))
FROM enrolments JOIN customers ON customers.id = enrolments.customer_id
WHERE campaign_id = :campaign GROUP BY 1
"""
