"""Popularity: most wanted lately, overall and by category. The answer that never fails. Pure."""

from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np

from recommender.algorithms import base
from recommender.algorithms.base import Algorithm, Arrays, Asks, Candidates, Flags, Floats, Interactions, Ints, Warmth


@dataclass(frozen=True, slots=True)
class Popularity(Algorithm):
    """`ranked` are the products anyone wanted, most wanted first; `share` is of the most wanted one, by product."""

    ranked: Ints
    share: Floats
    categories: Ints

    name: ClassVar[str] = "popularity"
    serves: ClassVar[frozenset[Warmth]] = frozenset(Warmth)

    @classmethod
    def fit(cls, interactions: Interactions, *, seed: int) -> Self:
        wanted = np.bincount(
            interactions.products, weights=interactions.weights(), minlength=interactions.product_count
        ).astype(np.float64)
        share = wanted / wanted.max() if wanted.any() else wanted
        ranked = np.argsort(-share, kind="stable")[: np.count_nonzero(share)]
        return cls(ranked=ranked, share=share, categories=interactions.categories)

    def candidates(self, asks: Asks, *, size: int, within: Flags | None = None) -> Candidates:
        """The most wanted; with a context, those of its categories before all others."""
        wanted = self.ranked if within is None else self.ranked[within[self.ranked]]
        first = wanted[:size]
        products, scores = [first] * asks.count, [self.share[first]] * asks.count
        for request in base.distinct(asks.context_rows).tolist():
            context = asks.context[asks.context_starts[request] : asks.context_starts[request + 1]]
            near = np.isin(self.categories[wanted], self._categories_of(context))
            ranked = np.concatenate([wanted[near], wanted[~near]])[:size]
            products[request] = ranked
            scores[request] = self.share[ranked] + (np.arange(len(ranked)) < np.count_nonzero(near))
        starts = base.offsets(np.full(asks.count, len(first)))
        return Candidates(starts, np.concatenate([base.NO_INTS, *products]), np.concatenate([base.NO_FLOATS, *scores]))

    def shares(self, products: Ints) -> Floats:
        """How wanted these products are; nothing for those it does not know."""
        found = np.zeros(len(products))
        known = products < len(self.share)
        found[known] = self.share[products[known]]
        return found

    def _categories_of(self, products: Ints) -> Ints:
        known = self.categories[products[products < len(self.categories)]]
        return known[known >= 0]

    def arrays(self) -> Arrays:
        return {"ranked": self.ranked, "share": self.share, "categories": self.categories}

    @classmethod
    def load(cls, arrays: Arrays) -> Self:
        return cls(ranked=arrays["ranked"], share=arrays["share"], categories=arrays["categories"])
