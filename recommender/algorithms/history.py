"""What she buys, viewed and carted herself: the strongest single source where people buy the same things again. Pure.

What each kind of interaction is worth, and how fast habits fade, is learned: every customer's last order is set aside,
and what went before is asked how well it foretells it. Where nobody buys anything twice, what was bought is worth
nothing.
"""

from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np

from recommender.algorithms import base
from recommender.algorithms.base import (
    DAY,
    Algorithm,
    Arrays,
    Asks,
    Candidates,
    Flags,
    Floats,
    Interactions,
    Ints,
    Kind,
    Warmth,
)

HALF_LIVES = (30.0, 90.0, 365.0, 3650.0)
SAMPLE = 2_000
"""Customers asked when learning; more would not change the answer."""

PRIOR = 50
"""Pairs of a kind that weigh as much as what is known of all kinds together."""

AGAIN = 0.1
"""A product is replenished if this share of its buyers bought it on another day as well."""


@dataclass(frozen=True, slots=True)
class OwnHistory(Algorithm):
    """`rates` is how often a product is ordered next, by the strongest kind so far; `replenished`, by product."""

    rates: Floats
    half_life: float
    replenished: Flags

    name: ClassVar[str] = "history"
    serves: ClassVar[frozenset[Warmth]] = frozenset({Warmth.HOT, Warmth.WARM})

    @classmethod
    def fit(cls, interactions: Interactions, *, seed: int) -> Self:
        past = _last_orders_apart(interactions, seed=seed)
        rates = _rates(past)
        half_life = max(HALF_LIVES, key=lambda days: _foretold(past, rates, half_life=days))
        return cls(rates=rates, half_life=half_life, replenished=_replenished(interactions))

    def candidates(self, asks: Asks, *, size: int, within: Flags | None = None) -> Candidates:
        weights = base.decayed(asks.kinds, ages=asks.ages, half_life=self.half_life)
        scores = asks.sums(weights) * self.rates[asks.strongest()]
        if within is not None:
            scores = np.where(base.flagged(within, asks.pairs), scores, 0)
        return base.best(asks.pair_rows, asks.pairs, scores, count=asks.count, size=size)

    def arrays(self) -> Arrays:
        return {"rates": self.rates, "half_life": np.array([self.half_life]), "replenished": self.replenished}

    @classmethod
    def load(cls, arrays: Arrays) -> Self:
        return cls(rates=arrays["rates"], half_life=float(arrays["half_life"][0]), replenished=arrays["replenished"])


# ------------------------------------------------------------------------------------------------ learning
@dataclass(frozen=True, slots=True)
class _Past:
    """What sampled customers did before their last order, row by row, and the customer-product pairs it makes."""

    pair: Ints  # the pair of each row
    kinds: Ints
    ages: Floats
    customer: Ints  # from here on: one entry a pair, ordered by customer
    strongest: Ints
    ordered_next: Flags


def _last_orders_apart(interactions: Interactions, *, seed: int) -> _Past:
    orders = interactions.kinds == Kind.ORDER
    buyers = base.distinct(interactions.customers[orders])
    asked = np.zeros(interactions.customer_count, bool)
    asked[np.random.default_rng(seed).permutation(buyers)[:SAMPLE]] = True
    last = np.full(interactions.customer_count, np.iinfo(np.int64).min)
    np.maximum.at(last, interactions.customers[orders], interactions.times[orders])
    moment = last[interactions.customers]
    keys = interactions.customers * interactions.product_count + interactions.products
    before = asked[interactions.customers] & (interactions.times < moment)
    pairs, pair = np.unique(keys[before], return_inverse=True)
    kinds = interactions.kinds[before]
    strongest = np.zeros(len(pairs), np.int64)
    np.maximum.at(strongest, pair, kinds)
    return _Past(
        pair=pair,
        kinds=kinds,
        ages=(moment[before] - interactions.times[before]) / DAY,
        customer=pairs // max(interactions.product_count, 1),
        strongest=strongest,
        ordered_next=np.isin(pairs, keys[orders & (interactions.times == moment)]),
    )


def _rates(past: _Past) -> Floats:
    """How often a pair of each kind is ordered next. A kind hardly seen is given what is known of all."""
    if not len(past.strongest):
        return np.ones(len(Kind))
    pairs = np.bincount(past.strongest, minlength=len(Kind))
    ordered = np.bincount(past.strongest[past.ordered_next], minlength=len(Kind))
    return np.asarray((ordered + PRIOR * past.ordered_next.mean()) / (pairs + PRIOR))


def _foretold(past: _Past, rates: Floats, *, half_life: float) -> float:
    """How well the order of each customer's pairs foretells what is ordered next: hits in the first ten, discounted."""
    weights = base.decayed(past.kinds, ages=past.ages, half_life=half_life)
    scores = np.bincount(past.pair, weights=weights, minlength=len(past.customer)) * rates[past.strongest]
    order = np.lexsort((-scores, past.customer))
    place = np.arange(len(order)) - np.searchsorted(past.customer, past.customer)
    return float(np.sum(past.ordered_next[order] / np.log2(place + 2), where=place < 10))


def _replenished(interactions: Interactions) -> Flags:
    """Products that enough of their buyers bought on more than one day; one bought by few is judged by all others."""
    orders = interactions.kinds == Kind.ORDER
    pairs = interactions.customers[orders] * interactions.product_count + interactions.products[orders]
    days = interactions.times[orders] // DAY
    span = int(days.max(initial=0)) + 1
    visits = base.distinct(pairs * span + days) // span
    pairs, days = np.unique(visits, return_counts=True)
    products = pairs % max(interactions.product_count, 1)
    buyers = np.bincount(products, minlength=interactions.product_count)
    again = np.bincount(products[days > 1], minlength=interactions.product_count)
    overall = again.sum() / max(buyers.sum(), 1)
    return np.asarray((again + 5 * overall) / (buyers + 5) >= AGAIN)
