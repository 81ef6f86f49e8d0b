"""How sure a mean is when it is looked at again and again: intervals that hold at every moment at once. Pure.

An ordinary 95 % interval is wrong one time in twenty when it is looked at once, and far more often when it is watched
until it says what one hoped for. These are asymptotic confidence sequences: the chance that the truth is ever outside,
at any of all the moments somebody looks, is `ALPHA`. Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas, "Time-uniform
central limit theory and asymptotic confidence sequences", Annals of Statistics 52(6), 2024, theorem 2.2 (the boundary
is Robbins' normal mixture) and section 3.2 (two arms of a randomised experiment).
"""

import math
from dataclasses import dataclass

from foundation.intervals import Interval

ALPHA = 0.05
TIGHTEST = 2_000
"""People after whom the boundary is tightest, relative to the width of an interval looked at once."""
LEAST = 100
"""People an arm must have: before, the mean of money is no bell yet, and nothing is said."""
LEAST_BUYERS = 25
"""Buyers each arm must have before a difference is told. Few buyers of uneven baskets look surer than they are: with 25
of them in the smaller of two very unequal arms, simulated false alarms stay under `ALPHA`; with ten they do not."""

_SPREAD = (-2 * math.log(ALPHA) + math.log(-2 * math.log(ALPHA)) + 1) / TIGHTEST
"""The paper's rho squared, by its approximation for the best one at `TIGHTEST`."""
_MOST = 10**9


@dataclass(frozen=True, slots=True)
class Sample:
    """What one arm did: people, the sum of a figure of each of them, and of its squares."""

    n: int
    total: float
    squares: float

    @property
    def mean(self) -> float:
        """The figure a person; zero of nobody."""
        return self.total / self.n if self.n else 0.0

    @property
    def variance(self) -> float:
        """Of the figure from one person to another, with one more person two of its standard deviations off, so that
        few who happen to be alike are not taken for certainty."""
        if self.n < 2:
            return 0.0
        plain = max(0.0, self.squares / self.n - self.mean**2)
        return plain * (self.n + 4) / (self.n - 1)


def boundary(n: float) -> float:
    """How far the mean of `n` people may stand from the truth at any moment, in standard deviations of one of them."""
    scaled = n * _SPREAD
    return math.sqrt((scaled + 1) / (n * scaled) * math.log((scaled + 1) / ALPHA**2))


def mean(sample: Sample) -> Interval | None:
    """The mean with its interval; None while there are too few."""
    if sample.n < LEAST:
        return None
    reach = math.sqrt(sample.variance) * boundary(sample.n)
    return Interval(sample.mean - reach, sample.mean, sample.mean + reach)


def apart(ours: Sample, theirs: Sample) -> Interval | None:
    """The difference of two means of randomised arms of any sizes; None while one of them has too few."""
    if min(ours.n, theirs.n) < LEAST:
        return None
    gap = ours.mean - theirs.mean
    reach = math.sqrt(_noise(ours, theirs)) * boundary(ours.n + theirs.n)
    return Interval(gap - reach, gap, gap + reach)


def _noise(ours: Sample, theirs: Sample) -> float:
    """The variance of what one person more of the two arms together tells of the difference."""
    return (ours.n + theirs.n) * (ours.variance / ours.n + theirs.variance / theirs.n)


def wanted(ours: Sample, theirs: Sample) -> int | None:
    """How many people more, both arms together, would settle a difference as large as the one seen.

    None if it is settled, if there is none to settle, or if it would take more people than live.
    """
    gap, seen = abs(ours.mean - theirs.mean), ours.n + theirs.n
    if min(ours.n, theirs.n) < 2 or not gap:
        return None
    noise = math.sqrt(_noise(ours, theirs))
    if noise * boundary(seen) < gap or noise * boundary(_MOST) >= gap:
        return None
    low, high = seen, _MOST
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if noise * boundary(middle) < gap else (middle, high)
    return high - seen
