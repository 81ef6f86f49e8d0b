"""What everybody wants just before the moment of asking. Pure."""

from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from recommender.algorithms import base
from recommender.algorithms.base import DAY, Algorithm, Arrays, Asks, Candidates, Flags, Interactions, Ints, Warmth

PERIODS = 60
"""Moments for which a list is kept, evenly over the time known."""

SHORTEST = 1.0
"""Days between them at least."""

HALF_LIFE = 7.0
KEPT = 200
"""Products of a list."""


@dataclass(frozen=True, slots=True)
class Lately(Algorithm):
    """List i holds what was wanted before the moment `since[i]`: `products[i]`, most wanted first, with their share of
    the most wanted one's; -1 and 0 where it ends."""

    since: Ints
    products: NDArray[np.int32]
    shares: NDArray[np.float32]

    name: ClassVar[str] = "lately"
    serves: ClassVar[frozenset[Warmth]] = frozenset(Warmth)

    @classmethod
    def fit(cls, interactions: Interactions, *, seed: int) -> Self:
        times, count = interactions.times, interactions.product_count
        if not len(times):
            return cls(base.NO_INTS, np.zeros((0, KEPT), np.int32), np.zeros((0, KEPT), np.float32))
        width = int(max((times[-1] - times[0]) // PERIODS, SHORTEST * DAY))
        since = np.arange(times[-1] + 1, times[0], -width)[::-1][-PERIODS:]
        bounds = np.append(0, np.searchsorted(times, since))
        wanted, fading = np.zeros(count), 0.5 ** (width / (HALF_LIFE * DAY))
        products = np.full((len(since), KEPT), -1, np.int32)
        shares = np.zeros((len(since), KEPT), np.float32)
        for period, (first, last) in enumerate(zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True)):
            weights = base.WEIGHTS[interactions.kinds[first:last]]
            wanted = wanted * fading + np.bincount(interactions.products[first:last], weights, minlength=count)
            found = base.best_of_all(np.arange(count), wanted[None, :], size=KEPT)
            products[period, : len(found.products)] = found.products
            shares[period, : len(found.products)] = found.scores / max(found.scores.max(initial=0), 1e-9)
        return cls(since, products, shares)

    def candidates(self, asks: Asks, *, size: int, within: Flags | None = None) -> Candidates:
        if not len(self.since):
            return base.nothing(asks.count)
        period = np.maximum(np.searchsorted(self.since, asks.moments, side="right") - 1, 0)
        rows = np.repeat(np.arange(asks.count), KEPT)
        products, shares = self.products[period].ravel().astype(np.int64), self.shares[period].ravel()
        kept = shares > 0
        if within is not None:
            kept &= base.flagged(within, products)
        rows, products, shares = rows[kept], products[kept], shares[kept]
        starts = np.searchsorted(rows, np.arange(asks.count + 1))
        first = np.arange(len(rows)) - starts[rows] < size
        starts = base.offsets(np.minimum(np.diff(starts), size))
        return Candidates(starts, products[first], shares[first].astype(np.float64))

    def arrays(self) -> Arrays:
        return {"since": self.since, "products": self.products, "shares": self.shares}

    @classmethod
    def load(cls, arrays: Arrays) -> Self:
        return cls(arrays["since"], arrays["products"], arrays["shares"])
