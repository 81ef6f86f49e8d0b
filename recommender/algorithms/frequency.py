"""What she bought most often, each order counting once; where nothing is ever ordered, what she touched. Pure.

The trivial answer which every model has to beat where people buy the same things again.
"""

from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from recommender.algorithms import base
from recommender.algorithms.base import Algorithm, Arrays, Asks, Candidates, Flags, Interactions, Kind, Warmth


@dataclass(frozen=True, slots=True)
class Frequency(Algorithm):
    """Counts of the request's own history; all that is learned is whether orders are known at all."""

    kinds: NDArray[np.bool_]

    name: ClassVar[str] = "frequency"
    serves: ClassVar[frozenset[Warmth]] = frozenset({Warmth.HOT, Warmth.WARM})

    @classmethod
    def fit(cls, interactions: Interactions, *, seed: int) -> Self:
        orders = (interactions.kinds == Kind.ORDER).any()
        return cls(np.array([kind == Kind.ORDER or not orders for kind in Kind]))

    def candidates(self, asks: Asks, *, size: int, within: Flags | None = None) -> Candidates:
        scores = asks.sums(self.kinds[asks.kinds].astype(np.float64))
        if within is not None:
            scores = np.where(base.flagged(within, asks.pairs), scores, 0)
        return base.best(asks.pair_rows, asks.pairs, scores, count=asks.count, size=size)

    def arrays(self) -> Arrays:
        return {"kinds": self.kinds}

    @classmethod
    def load(cls, arrays: Arrays) -> Self:
        return cls(arrays["kinds"])
