"""How sure a figure is: 95 % intervals of shares, of means, and of the difference of two of them. Pure."""

import math
from dataclasses import dataclass

Z = 1.959964


@dataclass(frozen=True, slots=True)
class Interval:
    """A figure and where it may lie."""

    low: float
    value: float
    high: float

    @property
    def conclusive(self) -> bool:
        """True if zero is left out."""
        return self.low > 0 or self.high < 0


def share(hits: int, n: int) -> Interval | None:
    """Wilson's interval of a share: sound for few and for rare; None of nothing."""
    if not n:
        return None
    found = hits / n
    centre = found + Z * Z / (2 * n)
    spread = Z * math.sqrt(found * (1 - found) / n + Z * Z / (4 * n * n))
    scale = 1 + Z * Z / n
    return Interval(max(0.0, (centre - spread) / scale), found, min(1.0, (centre + spread) / scale))


def shares_apart(ours: Interval | None, theirs: Interval | None) -> Interval | None:
    """Newcombe's interval of the difference of two shares."""
    if ours is None or theirs is None:
        return None
    gap = ours.value - theirs.value
    low = gap - math.hypot(ours.value - ours.low, theirs.high - theirs.value)
    return Interval(low, gap, gap + math.hypot(ours.high - ours.value, theirs.value - theirs.low))


def mean(total: float, squares: float, n: int) -> Interval | None:
    """The normal interval of a mean, from the sum of the values and of their squares; None of fewer than two."""
    if n < 2:
        return None
    found = total / n
    spread = Z * math.sqrt(max(0.0, squares / n - found * found) / (n - 1))
    return Interval(found - spread, found, found + spread)


def means_apart(ours: Interval | None, theirs: Interval | None) -> Interval | None:
    """The normal interval of the difference of two means."""
    if ours is None or theirs is None:
        return None
    gap = ours.value - theirs.value
    spread = math.hypot(ours.high - ours.value, theirs.high - theirs.value)
    return Interval(gap - spread, gap, gap + spread)
