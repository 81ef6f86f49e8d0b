"""Products that came into the shop lately, of the categories and brands she likes. Pure."""

from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np

from recommender.algorithms import base, neighbours
from recommender.algorithms.base import DAY, Algorithm, Arrays, Asks, Candidates, Flags, Interactions, Ints, Warmth
from recommender.algorithms.groups import Lists

NEW_FOR = 30.0
"""Days for which a product is new…"""

SHARE = 0.1
"""…but no more than this share of the time known: in the first weeks of a shop everything is new."""

KEPT = 20
"""New products of a category, or of a brand."""


@dataclass(frozen=True, slots=True)
class Fresh(Algorithm):
    """A list of new products a category and a list a brand; the category and the brand of each product."""

    by_category: Lists
    by_brand: Lists
    categories: Ints
    brands: Ints

    name: ClassVar[str] = "fresh"
    serves: ClassVar[frozenset[Warmth]] = frozenset({Warmth.HOT, Warmth.WARM})

    @classmethod
    def fit(cls, interactions: Interactions, *, seed: int) -> Self:
        products, times, count = interactions.products, interactions.times, interactions.product_count
        first = np.full(count, np.iinfo(np.int64).max)
        np.minimum.at(first, products, times)
        known = (times[-1] - times[0]) if len(times) else 0
        since = (times[-1] if len(times) else 0) - min(NEW_FOR * DAY, SHARE * known)
        rows = np.flatnonzero(first[products] > since)
        weights = interactions.weights()[rows]
        categories = interactions.categories
        brands = interactions.brands if len(interactions.brands) else np.full(count, -1)
        by_category, by_brand = (
            Lists.of(codes[products[rows]], products[rows], weights, span=count, kept=KEPT)
            for codes in (categories, brands)
        )
        return cls(by_category, by_brand, categories, brands)

    def candidates(self, asks: Asks, *, size: int, within: Flags | None = None) -> Candidates:
        weights = asks.sums(base.decayed(asks.kinds, ages=asks.ages))
        rows, products, weights = neighbours.around(asks, weights)
        known = products < len(self.categories)
        rows, products, weights = rows[known], products[known], weights[known]
        found = [
            lists.candidates(
                rows, codes[products], weights, span=len(codes), count=asks.count, size=size, within=within
            )
            for lists, codes in ((self.by_category, self.categories), (self.by_brand, self.brands))
        ]
        owners = [np.repeat(np.arange(asks.count), np.diff(each.starts)) for each in found]
        return base.best_sums(
            np.concatenate(owners),
            np.concatenate([each.products for each in found]),
            np.concatenate([each.scores for each in found]),
            span=max(len(self.categories), 1),
            count=asks.count,
            size=size,
        )

    def arrays(self) -> Arrays:
        categories = {f"category_{name}": values for name, values in self.by_category.arrays().items()}
        brands = {f"brand_{name}": values for name, values in self.by_brand.arrays().items()}
        return {**categories, **brands, "categories": self.categories, "brands": self.brands}

    @classmethod
    def load(cls, arrays: Arrays) -> Self:
        by_category, by_brand = (
            Lists.load({name.removeprefix(kind): arrays[name] for name in arrays if name.startswith(kind)})
            for kind in ("category_", "brand_")
        )
        return cls(by_category, by_brand, arrays["categories"], arrays["brands"])
