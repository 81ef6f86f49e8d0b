"""Whether saying nothing means anything: how much a source used to say at these hours decides."""

import math
from collections.abc import Sequence
from datetime import timedelta
from statistics import fmean, variance

SPAN = timedelta(hours=3)
"""How long nothing must have been heard."""
STEP = timedelta(minutes=15)
"""Events are counted by steps about as long as a visit, whose events come together."""
STEPS = SPAN // STEP
CHANCE = 1 / (timedelta(days=365) / SPAN)
"""How likely a silence may be by chance alone: one of a year's spans, so that nobody is alarmed for nothing."""


def telling(before: Sequence[int]) -> bool:
    """Is silence now more than chance, where these many events came by each step of the same span before?

    Had nothing changed, each arrival would as likely fall in this span as in that one, so that all `n` fall in that one
    with chance 1/2ⁿ (the exact test of two Poisson counts). Events are not arrivals: a visit says several things at
    once. How much the steps vary beyond what single arrivals would, the ratio of variance to mean, is about the size
    of such a bunch, and events divided by it are about how many bunches came.
    """
    together = max(1.0, variance(before) / fmean(before)) if any(before) else 1.0
    return math.pow(0.5, sum(before) / together) < CHANCE
