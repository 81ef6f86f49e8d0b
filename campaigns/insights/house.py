"""What all campaigns bring together: messages by channel, orders credited, and what the holdouts say was caused."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from campaigns import ledger, plans, policy, reports
from campaigns.evidence import measures
from campaigns.evidence.sequences import Sample
from campaigns.evidence.verdicts import Arm, Lift
from campaigns.insights import kept
from campaigns.ledger import Sum
from campaigns.plans import Plan
from campaigns.rules import Policy
from foundation.database import Database
from foundation.intervals import Interval
from shop import customers

DAYS = 28
"""How far back the lines of the chart go."""
AT_ONCE = 4
"""Days of the past found in one go: each asks every campaign again, and nobody waits for them."""


@dataclass(frozen=True, slots=True)
class Day:
    """The evening of a day: what had been credited since the first campaign, and what caused, in minor units."""

    day: date
    attributed: int
    caused: Interval | None


NOTHING = Lift()


@dataclass(frozen=True, slots=True)
class House:
    """All campaigns together, as they were at `at`. Money in minor units of `currency`, net of returns.

    `told` counts the campaigns whose holdout says what they cause; `caused` is the sum of those, with an interval that
    holds however the campaigns overlap: widths are added, as if all erred the same way. `customers` is how many people
    the shop knows; `everyone` all campaigns together against those left alone everywhere.
    """

    at: datetime
    currency: str | None
    sums: Mapping[str, Sum]
    attributed: int
    orders: int
    caused: Interval | None
    told: int
    untold: int
    days: Sequence[Day] = field(default_factory=list)
    customers: int = 0
    everyone: Lift = NOTHING

    @property
    def total(self) -> Sum:
        """The messages of all channels together."""
        return ledger.total(self.sums)


def read(conn: sa.Connection) -> House | None:
    """What was found last; None before the first time."""
    found = kept.read(conn, "house")
    if found is None:
        return None
    figures, at = found
    days = [
        Day(date.fromisoformat(day), line["attributed"], _interval(line["caused"]))
        for day, line in sorted(figures["days"].items())
    ]
    sums = {channel: Sum(**parts) for channel, parts in figures["sums"].items()}
    everyone = _lift(figures["everyone"]) if "everyone" in figures else NOTHING
    read_back = {"at": at, "days": days, "sums": sums, "caused": _interval(figures["caused"]), "everyone": everyone}
    return House(**{**figures, **read_back})


def customers_known(conn: sa.Connection) -> int:
    """How many people the shop knew when they were last counted; 0 before the first time."""
    found = kept.read(conn, "house")
    return int(found[0]["customers"]) if found else 0


def refresh(db: Database, *, now: datetime) -> str | None:
    """Counts everything anew, and some evenings of the past that were never counted. One transaction."""
    with db.begin() as conn:
        launched = [plan for plan in plans.every(conn) if plan.launched_at]
        rules = policy.load(conn)
        before = kept.read(conn, "house")
        gaps = [_caused(conn, plan, rules, now=now) for plan in launched]
        told = [gap for gap in gaps if gap]
        orders, attributed = conn.execute(_CREDITED, {"until": now}).one()
        figures = {
            "currency": measures.currency(conn),
            "sums": {channel: asdict(sum_) for channel, sum_ in ledger.sums(conn).items()},
            "attributed": attributed,
            "orders": orders,
            "caused": _listed(added(told)),
            "told": len(told),
            "untold": len(gaps) - len(told),
            "everyone": asdict(reports.everywhere(conn, now=now)),
            "customers": customers.count(conn),
            "days": _days(conn, launched, rules, before[0]["days"] if before else {}, now=now),
        }
        kept.keep(conn, "house", figures, now=now)
    return f"{len(launched)} campaigns"


def _caused(conn: sa.Connection, plan: Plan, rules: Policy, *, now: datetime) -> Interval | None:
    """What a campaign had caused at a moment, as far as its holdout tells."""
    window = measures.window(plan, rules)
    return measures.of_campaign(conn, plan.id, window=window, policy=rules, now=now).caused_sales


def added(gaps: Sequence[Interval]) -> Interval | None:
    """The sum of differences that may depend on one another in any way; None of none."""
    if not gaps:
        return None
    return Interval(sum(gap.low for gap in gaps), sum(gap.value for gap in gaps), sum(gap.high for gap in gaps))


def _days(
    conn: sa.Connection, launched: Sequence[Plan], rules: Policy, known: Mapping[str, Any], *, now: datetime
) -> dict[str, Any]:
    """The evenings of the chart: those known already, and the latest of those missing."""
    zone = ZoneInfo(rules.timezone)
    today = now.astimezone(zone).date()
    first = min((plan.launched_at.astimezone(zone).date() for plan in launched if plan.launched_at), default=today)
    wanted = [today - timedelta(days=back) for back in range(1, DAYS) if today - timedelta(days=back) >= first]
    found = {day.isoformat(): known[day.isoformat()] for day in wanted if day.isoformat() in known}
    for day in [day for day in wanted if day.isoformat() not in known][:AT_ONCE]:
        evening = datetime.combine(day + timedelta(days=1), time(), tzinfo=zone)
        gaps = [_caused(conn, plan, rules, now=evening) for plan in launched]
        _, attributed = conn.execute(_CREDITED, {"until": evening}).one()
        told = added([gap for gap in gaps if gap])
        found[day.isoformat()] = {"attributed": attributed, "caused": _listed(told)}
    return found


def _listed(gap: Interval | None) -> list[float] | None:
    return [gap.low, gap.value, gap.high] if gap else None


def _interval(listed: Sequence[float] | None) -> Interval | None:
    return Interval(*listed) if listed else None


def _lift(said: Mapping[str, Any]) -> Lift:
    gaps = {name: Interval(**said[name]) if said[name] else None for name in ("bought", "orders", "sales", "margin")}
    return Lift(_arm(said["treated"]), _arm(said["held_out"]), said["watched"], **gaps)


def _arm(said: Mapping[str, Any]) -> Arm:
    samples = {name: Sample(**one) for name, one in said.items() if isinstance(one, Mapping)}
    return Arm(said["people"], said["buyers"], **samples)


_CREDITED = sa.text("""
SELECT count(*), coalesce(sum(orders.total - orders.refunded), 0)::bigint
FROM attributions JOIN orders USING (order_id)
WHERE orders.state <> 'cancelled' AND orders.ordered_at < :until
    AND orders.currency IS NOT DISTINCT FROM (SELECT currency FROM orders ORDER BY ordered_at DESC LIMIT 1)
""")
