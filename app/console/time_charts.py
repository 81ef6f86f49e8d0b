"""`pure` the geometry of lines over days: one axis of value, one of days, a label at the end of each line."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date

from app.console import report_charts
from app.console.charts import Scale

WIDE, HIGH = 640, 220
LEFT, RIGHT, TOP, FOOT = 56, 520, 10, 186
NAMED = 5
"""About so many days are written beneath."""
APART = 34
"""Pixels between two labels at the ends of lines."""


@dataclass(frozen=True, slots=True)
class Series:
    """A named line of one value a day, None where nothing is known; `band` is where each may lie."""

    name: str
    tone: str
    values: Sequence[float | None]
    band: Sequence[tuple[float, float] | None] = ()


@dataclass(frozen=True, slots=True)
class Line:
    """One line as SVG points, its band as a closed path, and where it ends with its last value."""

    name: str
    tone: str
    points: str
    band: str
    x: float
    y: float
    label: float
    last: float
    reach: tuple[float, float] | None


@dataclass(frozen=True, slots=True)
class Chart:
    """Lines, marks of the value axis (pixel and value), days beneath (pixel and day), and where zero is."""

    lines: Sequence[Line]
    marks: Sequence[tuple[float, float]]
    days: Sequence[tuple[float, date]]
    zero: float
    rows: Sequence[tuple[date, Sequence[float | None]]] = field(default_factory=list)


def draw(days: Sequence[date], series: Sequence[Series]) -> Chart | None:
    """The chart of these lines; None of fewer than two days. Days are spaced as they follow each other."""
    if len(days) < 2:
        return None
    values = [value for one in series for value in one.values if value is not None]
    values += [edge for one in series for pair in one.band if pair for edge in pair]
    axis = report_charts.axis(min([0.0, *values]), max([1.0, *values]), start=FOOT, end=TOP, marks=4)
    across = Scale(0, max(1, (days[-1] - days[0]).days), LEFT, RIGHT)
    places = [across.at((day - days[0]).days) for day in days]
    drawn = [line for one in series if (line := _line(one, places, axis.scale))]
    every = max(1, round(len(days) / NAMED))
    named = [(x, day) for n, (x, day) in enumerate(zip(places, days, strict=True)) if n % every == 0]
    rows = [(day, [one.values[n] for one in series]) for n, day in enumerate(days)]
    return Chart(_apart(drawn), axis.ticks, named, axis.scale.at(0), rows)


def _line(one: Series, places: Sequence[float], up: Scale) -> Line | None:
    known = [(x, value) for x, value in zip(places, one.values, strict=True) if value is not None]
    if not known:
        return None
    edges = [(x, pair) for x, pair in zip(places, one.band or [None] * len(places), strict=True) if pair]
    high = [f"{x},{up.at(pair[1])}" for x, pair in edges]
    low = [f"{x},{up.at(pair[0])}" for x, pair in reversed(edges)]
    x, last = known[-1]
    points = " ".join(f"{x},{up.at(value)}" for x, value in known)
    reach = edges[-1][1] if edges else None
    return Line(one.name, one.tone, points, " ".join(high + low), x, up.at(last), up.at(last), last, reach)


def _apart(lines: Sequence[Line]) -> list[Line]:
    """The labels moved down until none covers another."""
    placed: list[Line] = []
    for line in sorted(lines, key=lambda one: one.y):
        least = placed[-1].label + APART * (1.35 if placed[-1].reach else 1) if placed else 0
        at = max(line.y, least)
        placed.append(Line(line.name, line.tone, line.points, line.band, line.x, line.y, at, line.last, line.reach))
    return placed
