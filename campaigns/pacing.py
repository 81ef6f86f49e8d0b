"""How long a count rests before it is made again: the longer it takes, the longer, so that no campaign's size makes
counting cost more than a small share of the machine. Pure.
"""

from datetime import timedelta

QUICK = 0.5
"""Seconds below which a count is made whenever its turn comes."""
TIMES = 20
"""It rests so many times as long as it took."""


def rest(seconds: float) -> timedelta | None:
    """None for no rest at all."""
    return timedelta(seconds=seconds * TIMES) if seconds > QUICK else None
