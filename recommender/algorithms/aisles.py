"""The most wanted lately of the categories she likes, or of those she is looking at. Pure."""

from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np

from recommender.algorithms import base, neighbours
from recommender.algorithms.base import Algorithm, Arrays, Asks, Candidates, Flags, Interactions, Ints, Warmth
from recommender.algorithms.groups import Lists

KEPT = 50
"""Products of a category."""

FAVOURITES = 10
"""Categories of a customer."""


@dataclass(frozen=True, slots=True)
class Aisles(Algorithm):
    """A list a category, and the category of each product."""

    lists: Lists
    categories: Ints

    name: ClassVar[str] = "aisles"
    serves: ClassVar[frozenset[Warmth]] = frozenset({Warmth.HOT, Warmth.WARM})

    @classmethod
    def fit(cls, interactions: Interactions, *, seed: int) -> Self:
        categories, products = interactions.categories, interactions.products
        span = interactions.product_count
        lists = Lists.of(categories[products], products, interactions.weights(), span=span, kept=KEPT)
        return cls(lists, categories)

    def candidates(self, asks: Asks, *, size: int, within: Flags | None = None) -> Candidates:
        weights = asks.sums(base.decayed(asks.kinds, ages=asks.ages))
        rows, products, weights = neighbours.around(asks, weights)
        known = products < len(self.categories)
        rows, weights, groups = rows[known], weights[known], self.categories[products[known]]
        there = groups >= 0
        span = int(groups.max(initial=0)) + 1
        pairs, sums = base.summed(rows[there], groups[there], weights[there], span=span)
        liked = base.best(pairs // span, pairs % span, sums, count=asks.count, size=FAVOURITES)
        rows = np.repeat(np.arange(asks.count), np.diff(liked.starts))
        count = len(self.categories)
        return self.lists.candidates(
            rows, liked.products, liked.scores, span=count, count=asks.count, size=size, within=within
        )

    def arrays(self) -> Arrays:
        return {**self.lists.arrays(), "categories": self.categories}

    @classmethod
    def load(cls, arrays: Arrays) -> Self:
        return cls(Lists.load(arrays), arrays["categories"])
