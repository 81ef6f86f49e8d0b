"""Whether what was foretold came: predictions made from a first period held against the period after it. Pure.

Customers are sorted by what was foretold and cut into ten groups; in each, what was foretold is set beside what came.
"""

from dataclasses import dataclass

import numpy as np

from recommender.predictions.lifetime import Floats

GROUPS = 10
LEAST = 20
"""Customers a group needs; where there are fewer than five groups' worth, nothing is claimed."""


@dataclass(frozen=True, slots=True)
class Group:
    """A tenth of the customers: what they are sorted by, what was foretold and what came, each on average."""

    customers: int
    by: float
    foretold: float
    came: float


@dataclass(frozen=True, slots=True)
class Check:
    """One prediction held against what came within `days`. `gap`: how far foretold and came lie apart in a group, on
    average. `skill`: the share of the differences among customers it explains, 0 being what one achieves who says the
    true average of everybody, and below 0 worse than that."""

    days: int
    customers: int
    foretold: float
    came: float
    gap: float
    skill: float
    groups: tuple[Group, ...]


@dataclass(frozen=True, slots=True)
class Hits:
    """How many of the later orders were in the customer's favourite, and in the favourite of the shop as a whole."""

    days: int
    orders: int
    share: float
    same_for_all: float


def check(foretold: Floats, came: Floats, *, by: Floats, days: int) -> Check | None:
    """Held against each other, sorted into groups by `by`; None of too few customers to tell."""
    count = min(GROUPS, len(foretold) // LEAST)
    if count < GROUPS // 2:
        return None
    order = np.argsort(by, kind="stable")
    groups = tuple(
        Group(len(part), float(by[part].mean()), float(foretold[part].mean()), float(came[part].mean()))
        for part in np.array_split(order, count)
    )
    differences = float(((came - came.mean()) ** 2).sum())
    missed = float(((came - foretold) ** 2).sum())
    gaps = sum(group.customers * abs(group.foretold - group.came) for group in groups) / len(foretold)
    return Check(
        days=days,
        customers=len(foretold),
        foretold=float(foretold.mean()),
        came=float(came.mean()),
        gap=gaps,
        skill=1 - missed / differences if differences else 0.0,
        groups=groups,
    )
