"""What is looked at together: seen or put into the basket within one visit. Pure."""

from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np

from recommender.algorithms import neighbours
from recommender.algorithms.base import Asks, Candidates, Flags, Interactions, Kind
from recommender.algorithms.neighbours import ByNeighbours, Neighbours

NEAREST = 50
STEPS = 3.0
"""Interactions after which one counts half: what was looked at last says most of what is looked for."""


@dataclass(frozen=True, slots=True)
class ViewedTogether(ByNeighbours):
    """Cosine of products over visits in which they were looked at."""

    name: ClassVar[str] = "viewed"

    @classmethod
    def fit(cls, interactions: Interactions, *, seed: int) -> Self:
        rows = neighbours.latest(interactions, interactions.kinds != Kind.ORDER)
        visits, products = interactions.visits()[rows], interactions.products[rows]
        weights = np.ones(len(rows))
        count = interactions.product_count
        return cls(Neighbours.by_cosine(visits, products, weights, product_count=count, nearest=NEAREST))

    def candidates(self, asks: Asks, *, size: int, within: Flags | None = None) -> Candidates:
        weights = asks.sums(np.exp2(asks.steps() / -STEPS))
        rows, products, weights = neighbours.around(asks, weights)
        return self.near.candidates(rows, products, weights, count=asks.count, size=size, within=within)
