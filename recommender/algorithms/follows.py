"""What comes next: products that followed the ones just touched, within a visit or the days after. Pure."""

from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np
import scipy.sparse as sp

from recommender.algorithms import base, neighbours
from recommender.algorithms.base import Asks, Candidates, Flags, Interactions
from recommender.algorithms.neighbours import ByNeighbours, Neighbours

STEPS = 10
"""So many interactions later something still follows; at a distance of d it counts 1/d."""

NEAREST = 100
LAST = 3
"""The last of a customer's interactions that are followed."""


@dataclass(frozen=True, slots=True)
class Follows(ByNeighbours):
    """How often each product came soon after each other, as a share of all that came after it."""

    name: ClassVar[str] = "follows"

    @classmethod
    def fit(cls, interactions: Interactions, *, seed: int) -> Self:
        rows = neighbours.latest(interactions, interactions.products >= 0)
        rows = rows[np.argsort(interactions.customers[rows], kind="stable")]
        customers, products = interactions.customers[rows], interactions.products[rows]
        times, count = interactions.times[rows], interactions.product_count
        total = sp.csr_matrix((count, count))
        for step in range(1, STEPS + 1):
            after = (customers[step:] == customers[:-step]) & (times[step:] > times[:-step])
            first, second = products[:-step][after], products[step:][after]
            total += sp.csr_matrix((np.full(len(first), 1 / step), (first, second)), shape=(count, count))
        return cls(_nearest(total))

    def candidates(self, asks: Asks, *, size: int, within: Flags | None = None) -> Candidates:
        steps = asks.steps()
        weights = asks.sums(np.where(steps < LAST, 1 / (1.0 + steps) ** 2, 0))
        rows, products, weights = neighbours.around(asks, weights)
        last = weights > 0
        return self.near.candidates(
            rows[last], products[last], weights[last], count=asks.count, size=size, within=within, itself=True
        )


def _nearest(total: sp.csr_matrix) -> Neighbours:
    """The greatest of each row, as shares of what the row holds."""
    rows = np.repeat(np.arange(total.shape[0]), np.diff(total.indptr))
    held = np.bincount(rows, weights=total.data, minlength=total.shape[0])
    shares = total.data / (held[rows] + 1)
    found = base.best(rows, np.arange(len(rows)), shares, count=total.shape[0], size=NEAREST)
    kept = np.sort(found.products)
    return Neighbours(
        np.searchsorted(rows[kept], np.arange(total.shape[0] + 1)),
        total.indices[kept].astype(np.int32),
        shares[kept].astype(np.float32),
    )
