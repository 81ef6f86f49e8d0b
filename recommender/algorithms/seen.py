"""What she looked at or put into the basket and has not ordered since. Pure."""

from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np

from recommender.algorithms import base
from recommender.algorithms.base import Algorithm, Arrays, Asks, Candidates, Flags, Floats, Interactions, Kind, Warmth

STEPS = 20.0
"""Interactions after which one counts half."""

PRIOR = 20


@dataclass(frozen=True, slots=True)
class Seen(Algorithm):
    """`rates[p]` is how often a customer who looked at product p, or put it into the basket, went on to order it."""

    rates: Floats

    name: ClassVar[str] = "seen"
    serves: ClassVar[frozenset[Warmth]] = frozenset({Warmth.HOT, Warmth.WARM})

    @classmethod
    def fit(cls, interactions: Interactions, *, seed: int) -> Self:
        span = max(interactions.product_count, 1)
        keys = interactions.customers * span + interactions.products
        ordered = base.distinct(keys[interactions.kinds == Kind.ORDER])
        looked = base.distinct(keys[interactions.kinds != Kind.ORDER])
        went_on = looked[np.isin(looked, ordered)] if len(ordered) else base.NO_INTS
        lookers = np.bincount(looked % span, minlength=interactions.product_count)
        buyers = np.bincount(went_on % span, minlength=interactions.product_count)
        overall = (len(went_on) + 1) / (len(looked) + 1)
        return cls((buyers + PRIOR * overall) / (lookers + PRIOR))

    def candidates(self, asks: Asks, *, size: int, within: Flags | None = None) -> Candidates:
        last_order = np.full(len(asks.pairs), -1)
        rows = np.arange(len(asks.place))
        orders = asks.kinds == Kind.ORDER
        np.maximum.at(last_order, asks.place[orders], rows[orders])
        since = rows > last_order[asks.place]
        weights = np.where(since, base.WEIGHTS[asks.kinds] * np.exp2(asks.steps() / -STEPS), 0)
        scores = asks.sums(weights) * self._rate(asks)
        if within is not None:
            scores = np.where(base.flagged(within, asks.pairs), scores, 0)
        return base.best(asks.pair_rows, asks.pairs, scores, count=asks.count, size=size)

    def _rate(self, asks: Asks) -> Floats:
        known = asks.pairs < len(self.rates)
        found = np.full(len(asks.pairs), self.rates.mean() if len(self.rates) else 1.0)
        found[known] = self.rates[asks.pairs[known]]
        return found

    def arrays(self) -> Arrays:
        return {"rates": self.rates}

    @classmethod
    def load(cls, arrays: Arrays) -> Self:
        return cls(arrays["rates"])
