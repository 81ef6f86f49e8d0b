"""`pure` the geometry of a report's charts: intervals on one axis, and days as stacked bars."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from app.console.charts import Scale
from foundation.intervals import Interval

CHANNELS = {"web": "c1", "app": "c2", "store": "c3", "marketplace": "c4", "call_center": "c5"}
"""The colour of each source channel, everywhere the same."""


@dataclass(frozen=True, slots=True)
class Axis:
    """A scale with the marks drawn along it: pixel and value."""

    scale: Scale
    ticks: tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True)
class Row:
    """One interval on the axis, in pixels, `y` down. `sure` if nothing is left to prove of it."""

    name: str
    about: str
    value: float
    low: float
    middle: float
    high: float
    y: float
    tone: str


@dataclass(frozen=True, slots=True)
class Panel:
    """Intervals under each other on one axis."""

    axis: Axis
    rows: tuple[Row, ...]
    height: float


@dataclass(frozen=True, slots=True)
class Bar:
    """One day's part of one channel."""

    x: float
    y: float
    width: float
    height: float
    tone: str


@dataclass(frozen=True, slots=True)
class Days:
    """Bars, the marks at the left (pixel and value) and the days written beneath (pixel and day)."""

    bars: tuple[Bar, ...]
    marks: tuple[tuple[float, float], ...]
    days: tuple[tuple[float, date], ...]


def axis(low: float, high: float, *, start: float, end: float, marks: int = 5) -> Axis:
    """An axis around these values whose marks are round numbers."""
    step = _step((high - low) or abs(high) or 1.0, marks)
    first, last = math.floor(low / step), math.ceil(high / step)
    scale = Scale(first * step, last * step, start, end)
    return Axis(scale, tuple((scale.at(n * step), round(n * step, 10)) for n in range(first, last + 1)))


def _step(span: float, marks: int) -> float:
    rough = span / marks
    power = 10.0 ** math.floor(math.log10(rough))
    return next(power * size for size in (1, 2, 2.5, 5, 10) if power * size >= rough)


def panel(
    found: Sequence[tuple[str, str, Interval, str]], *, start: float, end: float, gap: float = 56
) -> Panel | None:
    """Intervals under each other: name, what is said beneath it, the interval, its tone. None of none."""
    if not found:
        return None
    drawn = axis(min(one.low for _, _, one, _ in found), max(one.high for _, _, one, _ in found), start=start, end=end)
    at = drawn.scale.at
    rows = tuple(
        Row(name, about, one.value, at(one.low), at(one.value), at(one.high), 28 + gap * number, tone)
        for number, (name, about, one, tone) in enumerate(found)
    )
    return Panel(drawn, rows, 2 + gap * len(found))


def days(
    found: Sequence[tuple[date, Mapping[str, int]]], *, left: float = 52, right: float = 1012, bottom: float = 210
) -> Days | None:
    """Stacked bars of the days from the first to the last, at most sixty of them, weeks where there are more."""
    if not found:
        return None
    first, last = found[0][0], found[-1][0]
    each = 1 if (last - first).days < 60 else 7
    sums: dict[date, dict[str, int]] = {}
    for day, parts in found:
        begun = first + timedelta(days=(day - first).days // each * each)
        kept = sums.setdefault(begun, {})
        for channel, net in parts.items():
            kept[channel] = kept.get(channel, 0) + net
    slots = [first + timedelta(days=n) for n in range(0, (last - first).days + 1, each)]
    most = max(sum(max(0, net) for net in parts.values()) for parts in sums.values()) or 1
    drawn = axis(0, most, start=bottom, end=8, marks=4)
    wide = (right - left) / max(len(slots), 8)
    every = max(1, len(slots) // 7)
    bars = [bar for n, day in enumerate(slots) for bar in _stack(sums.get(day, {}), left + wide * n, wide, drawn.scale)]
    names = [(round(left + wide * (n + 0.5), 1), day) for n, day in enumerate(slots) if n % every == 0]
    return Days(tuple(bars), drawn.ticks, tuple(names))


def _stack(parts: Mapping[str, int], x: float, wide: float, scale: Scale) -> list[Bar]:
    bars, below = [], 0
    for channel, tone in CHANNELS.items():
        net = max(0, parts.get(channel, 0))
        if net:
            top, foot = scale.at(below + net), scale.at(below)
            bar = Bar(round(x + wide * 0.23, 1), top, round(wide * 0.54, 1), round(max(0.5, foot - top - 1), 1), tone)
            bars.append(bar)
            below += net
    return bars


@dataclass(frozen=True, slots=True)
class Zeroed:
    """An interval on an axis of its own that shows zero, in pixels."""

    low: float
    middle: float
    high: float
    zero: float


def zeroed(gap: Interval, *, start: float, end: float) -> Zeroed:
    """An interval with room on both sides, so that one sees whether it touches zero."""
    reach = max(abs(gap.low), abs(gap.high)) or 1.0
    scale = Scale(min(gap.low, 0) - 0.1 * reach, max(gap.high, 0) + 0.1 * reach, start, end)
    return Zeroed(scale.at(gap.low), scale.at(gap.value), scale.at(gap.high), scale.at(0))
