"""`pure` the geometry of pressure: messages a member week by week, sent and planned, beneath the line of the cap."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from app.console import report_charts
from app.console.charts import Scale
from campaigns.pressure import Pressure, Week

WIDE, LEFT, TOP, FOOT = 640, 44, 20, 176
FAR = 4
"""A cap so many times the largest week would leave nothing to see of the weeks."""
SHADES = 4
"""How many shades a cell has beside none."""


@dataclass(frozen=True, slots=True)
class Bar:
    """One week: what was sent, and on it what is planned, each with its top and its height."""

    week: date
    x: float
    width: float
    sent: float
    sent_height: float
    planned: float
    planned_height: float
    each: float
    at_cap: float


@dataclass(frozen=True, slots=True)
class Chart:
    """Bars of weeks, the marks of the axis (pixel and messages a member), and where the cap is, unless there is none or
    it lies far above."""

    bars: Sequence[Bar]
    marks: Sequence[tuple[float, float]]
    cap: float | None


def draw(one: Pressure, weeks: Sequence[date], *, cap: float) -> Chart | None:
    """A segment's weeks; None if none of them was counted or it has nobody."""
    if not one.size or not one.weeks:
        return None
    most = max([0.1, *(one.each(week) or 0 for week in weeks)])
    near = 0 < cap <= FAR * most
    axis = report_charts.axis(0, max(most, cap) if near else most, start=FOOT, end=TOP, marks=3)
    wide = (WIDE - LEFT) / len(weeks)
    known = [(n, found) for n, week in enumerate(weeks) if (found := one.weeks.get(week))]
    bars = [_bar(found, one.size, x=LEFT + wide * n, wide=wide, up=axis.scale) for n, found in known]
    return Chart(bars, axis.ticks, axis.scale.at(cap) if near else None)


def _bar(week: Week, size: int, *, x: float, wide: float, up: Scale) -> Bar:
    sent, whole = up.at(week.sent / size), up.at(week.messages / size)
    return Bar(
        week=week.week,
        x=round(x + wide * 0.25, 1),
        width=round(wide * 0.5, 1),
        sent=sent,
        sent_height=round(FOOT - sent, 1),
        planned=whole,
        planned_height=round(sent - whole, 1),
        each=week.messages / size,
        at_cap=week.at_cap / size,
    )


def shade(each: float | None, cap: float) -> int:
    """How dark a week's cell is: none for nothing, the darkest from the cap on."""
    if not each:
        return 0
    return min(SHADES, 1 + int(SHADES * each / cap)) if cap else 1
