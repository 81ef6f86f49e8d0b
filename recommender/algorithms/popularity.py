"""Popularity: most wanted lately, overall and by category. The answer that never fails. Pure."""

from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np

from recommender.algorithms.base import (
    Algorithm,
    Arrays,
    Ask,
    Candidates,
    Floats,
    History,
    Interactions,
    Ints,
    Warmth,
)


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

    def candidates(self, history: History, ask: Ask) -> Candidates:
        """The most wanted; with a context, those of its categories before all others."""
        wanted = self.ranked if ask.within is None else self.ranked[ask.within[self.ranked]]
        if not len(ask.context):
            ranked = wanted[: ask.size]
            return Candidates(ranked, self.share[ranked])
        near = np.isin(self.categories[wanted], self._categories_of(ask.context))
        ranked = np.concatenate([wanted[near], wanted[~near]])[: ask.size]
        return Candidates(ranked, self.share[ranked] + (np.arange(len(ranked)) < np.count_nonzero(near)))

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
