"""What figures allow to say: whether a campaign causes anything, which variant is better, and what is missing. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from campaigns.definitions.steps import Winner
from campaigns.evidence import sequences
from campaigns.evidence.sequences import Sample
from foundation.intervals import Interval

NOBODY = Sample(0, 0, 0)


@dataclass(frozen=True, slots=True)
class Arm:
    """What the people of one arm did within the window, per person: whether she bought, orders, money in minor units.

    `sales` are net of returns and discounts; `margin` is what is left of them after the cost of the goods. `clicks` is
    whether she clicked.
    """

    people: int = 0
    buyers: int = 0
    bought: Sample = NOBODY
    orders: Sample = NOBODY
    sales: Sample = NOBODY
    margin: Sample = NOBODY
    clicks: Sample = NOBODY

    @property
    def share(self) -> float | None:
        """Of its people who bought; None of nobody."""
        return self.buyers / self.people if self.people else None


@dataclass(frozen=True, slots=True)
class Lift:
    """Those treated against those left alone, a person: differences with intervals that hold however often one looks.

    `watched` are those still within their window, who are not counted yet. A difference is None while either arm has
    too few people or buyers for it to be told.
    """

    treated: Arm = Arm()
    held_out: Arm = Arm()
    watched: int = 0
    bought: Interval | None = None
    orders: Interval | None = None
    sales: Interval | None = None
    margin: Interval | None = None

    @property
    def conclusive(self) -> bool:
        """True if the share of buyers differs, beyond chance."""
        return self.bought is not None and self.bought.conclusive

    @property
    def wanted(self) -> int | None:
        """How many people more would settle the margin, if the difference stays as it is."""
        return sequences.wanted(self.treated.margin, self.held_out.margin)

    @property
    def caused_sales(self) -> Interval | None:
        """What the treated spent because they were written to, in minor units, net of returns and discounts."""
        return times(self.sales, self.treated.people)

    @property
    def caused_margin(self) -> Interval | None:
        """The same after the cost of goods; codes are paid for in it already, messages are not."""
        return times(self.margin, self.treated.people)


def times(found: Interval | None, people: int) -> Interval | None:
    """A difference a person as one of them all."""
    return Interval(found.low * people, found.value * people, found.high * people) if found else None


def less(found: Interval | None, cost: float) -> Interval | None:
    """What remains of it once a known cost is paid."""
    return Interval(found.low - cost, found.value - cost, found.high - cost) if found else None


def lift(treated: Arm, held_out: Arm, *, watched: int = 0) -> Lift:
    """What the holdout says was caused."""
    told = min(treated.buyers, held_out.buyers) >= sequences.LEAST_BUYERS
    gaps = {
        name: sequences.apart(getattr(treated, name), getattr(held_out, name)) if told else None
        for name in ("bought", "orders", "sales", "margin")
    }
    return Lift(treated, held_out, watched, **gaps)


# -------------------------------------------------------------------------------------------- experiments
class Lacking(StrEnum):
    """What is missing before a winner may be named."""

    PEOPLE = "people"
    CONVERSIONS = "conversions"
    DAYS = "days"
    DIFFERENCE = "difference"


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether one variant beats every other on the goal. `winner` is empty while that is not conclusive.

    `gaps` is the leader's difference from each other variant; `lacking` what is missing, with the number that is
    missing (None where it cannot be said).
    """

    goal: str
    leader: str
    winner: str | None
    gaps: Mapping[str, Interval | None] = field(default_factory=dict)
    lacking: Mapping[Lacking, int | None] = field(default_factory=dict)


MEASURE = {"buyers": "bought", "orders": "orders", "sales": "sales", "margin": "margin", "clicks": "clicks"}
"""Which figure of an arm a goal looks at."""


def judge(arms: Mapping[str, Arm], rule: Winner, *, since: datetime | None, now: datetime) -> Verdict:
    """The variant that beats all others beyond chance, if there is one and the floor of evidence is reached.

    With more than two variants each comparison must hold; the boundary is not widened for their number, as one false
    difference alone names no winner.
    """
    samples = {name: getattr(arm, MEASURE[rule.goal]) for name, arm in arms.items()}
    leader = max(samples, key=lambda name: samples[name].mean)
    others = [name for name in samples if name != leader]
    gaps = {name: sequences.apart(samples[leader], samples[name]) for name in others}
    lacking = dict(_floor(arms, rule, since=since, now=now))
    unsettled = [name for name in others if (gap := gaps[name]) is None or gap.low <= 0]
    if unsettled:
        more = [sequences.wanted(samples[leader], samples[name]) for name in unsettled]
        known = [number for number in more if number is not None]
        lacking[Lacking.DIFFERENCE] = max(known) if len(known) == len(more) else None
    return Verdict(rule.goal, leader, None if lacking else leader, gaps, lacking)


def _floor(
    arms: Mapping[str, Arm], rule: Winner, *, since: datetime | None, now: datetime
) -> list[tuple[Lacking, int | None]]:
    """How much of the floor of evidence is missing, in the arm that has least of it."""
    conversions = min(_conversions(arm, rule.goal) for arm in arms.values())
    days = (now - since) // timedelta(days=1) if since else 0
    short = (
        (Lacking.PEOPLE, max(rule.people, sequences.LEAST) - min(arm.people for arm in arms.values())),
        (Lacking.CONVERSIONS, max(rule.conversions, sequences.LEAST_BUYERS) - conversions),
        (Lacking.DAYS, rule.days - days),
    )
    return [(what, missing) for what, missing in short if missing > 0]


def _conversions(arm: Arm, goal: str) -> int:
    return round(arm.clicks.total) if goal == "clicks" else arm.buyers
