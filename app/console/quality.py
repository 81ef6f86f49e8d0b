"""`pure` what the pages of the recommender draw of a run: figures on one scale, with their intervals."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from app.console import charts
from app.i18n import N_
from recommender.runs import RunLine

WIDE = 240.0
"""How wide an interval is drawn."""

FIGURES = {
    "recall@10": (N_("Found"), N_("Of what customers went on to order, the share that was among ten products shown.")),
    "ndcg@10": (
        "NDCG@10",
        N_("The same, each product counting more the nearer to the top it stood; 1 is each in its best place."),
    ),
    "hit_rate@10": (
        N_("Customers served"),
        N_("The share of customers with at least one of their products among ten."),
    ),
    "mrr@10": (
        N_("First find"),
        N_("How near to the top the first of their products stood: 1 is always first, 0.5 on average second."),
    ),
    "recall_repeat@10": (
        N_("Bought again"),
        N_("The share found of what a customer had bought, put in a basket or viewed before."),
    ),
    "recall_discover@10": (N_("New to them"), N_("The share found of what a customer had never touched before.")),
    "coverage@10": (
        N_("Catalogue shown"),
        N_("The share of the products that can be shown which somebody was shown among ten."),
    ),
}
"""What can be drawn: its name, and what it says."""

GROUPS = {
    ("warmth", "hot"): N_("Known to the model"),
    ("warmth", "warm"): N_("Met since it was trained"),
    ("warmth", "cold"): N_("Nothing known"),
}
IN_GROUPS = ("recall@10", "ndcg@10")
"""The figures that are told apart for groups."""


@dataclass(frozen=True, slots=True)
class Span:
    """A figure with its interval, and where they are drawn."""

    value: float
    low: float
    high: float
    drawn: charts.Whisker


@dataclass(frozen=True, slots=True)
class Row:
    """One algorithm: the figure asked for, drawn, and all the others."""

    algorithm: str
    span: Span
    figures: Mapping[str, Any] = field(default_factory=dict)


def rows(run: RunLine, figure: str) -> list[Row]:
    """Every algorithm by one figure, the best first, on one scale that begins at zero."""
    found = [
        (result["algorithm"], _triple(result, figure), result)
        for result in run.results
        if result.get(figure) is not None
    ]
    return _drawn(found)


def group_rows(group: Mapping[str, Any], figure: str) -> list[Row]:
    """The same of a group of customers."""
    return _drawn([(name, tuple(figures[figure]), {}) for name, figures in group["figures"].items()])


def _triple(result: Mapping[str, Any], figure: str) -> tuple[float, float, float]:
    value = result[figure]
    low, high = result.get("intervals", {}).get(figure, (value, value))
    return value, low, high


def _drawn(found: Sequence[tuple[str, tuple[float, ...], Mapping[str, Any]]]) -> list[Row]:
    scale = charts.Scale(0, max([0.01, *(each[1][2] for each in found)]) * 1.04, 4, WIDE - 4)
    placed = [Row(name, _span(triple, scale), result) for name, triple, result in found]
    return sorted(placed, key=lambda row: (row.algorithm != "served", -row.span.value))


def _span(triple: tuple[float, ...], scale: charts.Scale) -> Span:
    value, low, high = triple
    return Span(value, low, high, charts.Whisker(scale.at(low), scale.at(value), scale.at(high), scale.at(0)))


@dataclass(frozen=True, slots=True)
class Compared:
    """What the gate compared: both figures, the interval of their difference, and whether it is certain."""

    level: str
    against: str
    mine: float
    theirs: float
    low: float
    high: float
    customers: int
    drawn: charts.Whisker

    @property
    def good(self) -> bool:
        """Whether it speaks for the new model: better than a simpler answer, or not worse than the live one."""
        return self.high >= 0 if self.against == "live" else self.low > 0


def compared(run: RunLine) -> list[Compared]:
    """Everything the gate compared, in its order."""
    return [
        Compared(
            verdict["level"],
            each["against"],
            each["mine"],
            each["theirs"],
            each["low"],
            each["high"],
            each["customers"],
            charts.whisker(each["low"], (each["low"] + each["high"]) / 2, each["high"], width=WIDE),
        )
        for verdict in run.report.get("verdicts", [])
        for each in verdict["comparisons"]
    ]


def groups(run: RunLine) -> dict[str, Mapping[str, Any]]:
    """The groups of customers told apart, by a word for the address line."""
    return {f"{group['by']}-{group['group']}": group for group in run.report.get("groups", [])}
