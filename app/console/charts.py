"""`pure` the geometry of small charts: numbers in, SVG coordinates out, no style and no colour."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Scale:
    """Maps values between `low` and `high` to pixels between `start` and `end`."""

    low: float
    high: float
    start: float
    end: float

    def at(self, value: float) -> float:
        """The pixel of a value, rounded to a tenth; what lies outside is drawn at the edge."""
        span = (self.high - self.low) or 1.0
        share = min(1.0, max(0.0, (value - self.low) / span))
        return round(self.start + share * (self.end - self.start), 1)


@dataclass(frozen=True, slots=True)
class Whisker:
    """An estimate with its interval, and where zero lies."""

    low: float
    middle: float
    high: float
    zero: float


def spark(values: Sequence[float], *, width: float = 192, height: float = 32) -> str:
    """The points of a small line through these values, left to right, zero at the bottom."""
    across = Scale(0, max(1, len(values) - 1), 1, width - 1)
    up = Scale(0, max([1, *values]), height - 2, 2)
    return " ".join(f"{across.at(n)},{up.at(value)}" for n, value in enumerate(values))


def whisker(low: float, middle: float, high: float, *, width: float) -> Whisker:
    """An interval on an axis that always shows zero, so that one sees whether it is touched."""
    reach = max(abs(low), abs(high)) or 1.0
    axis = Scale(min(low, 0) - 0.15 * reach, max(high, 0) + 0.15 * reach, 4, width - 4)
    return Whisker(axis.at(low), axis.at(middle), axis.at(high), axis.at(0))


def shares(parts: Sequence[int], *, width: float, gap: float = 2, least: float = 5) -> list[tuple[float, float]]:
    """Where each part of a whole begins and how wide it is; what is not zero is never too thin to see."""
    total = sum(parts) or 1
    shown = sum(1 for part in parts if part)
    room = width - gap * max(0, shown - 1) - least * shown
    placed, x = [], 0.0
    for part in parts:
        wide = round(least + room * part / total, 1) if part else 0.0
        placed.append((round(x, 1), wide))
        x += wide + gap if part else 0.0
    return placed
