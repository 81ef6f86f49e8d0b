"""What is bought together, in one order or within one visit. Pure."""

from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np

from recommender.algorithms import base, neighbours
from recommender.algorithms.base import Asks, Candidates, Flags, Interactions, Kind
from recommender.algorithms.neighbours import ByNeighbours, Neighbours

NEAREST = 50
HALF_LIFE = 14.0


@dataclass(frozen=True, slots=True)
class BoughtTogether(ByNeighbours):
    """Cosine of products over visits in which they were ordered."""

    name: ClassVar[str] = "together"

    @classmethod
    def fit(cls, interactions: Interactions, *, seed: int) -> Self:
        rows = neighbours.latest(interactions, interactions.kinds == Kind.ORDER)
        visits, products = interactions.visits()[rows], interactions.products[rows]
        weights = np.ones(len(rows))
        count = interactions.product_count
        return cls(Neighbours.by_cosine(visits, products, weights, product_count=count, nearest=NEAREST))

    def candidates(self, asks: Asks, *, size: int, within: Flags | None = None) -> Candidates:
        weights = asks.sums(base.decayed(asks.kinds, ages=asks.ages, half_life=HALF_LIFE))
        rows, products, weights = neighbours.around(asks, weights)
        return self.near.candidates(rows, products, weights, count=asks.count, size=size, within=within)
