"""Factors by alternating least squares (`implicit`); a customer's vector is solved when asked, never stored. Pure."""

from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np
import scipy.sparse as sp
import threadpoolctl
from implicit.cpu.als import AlternatingLeastSquares
from numpy.typing import NDArray

from recommender.algorithms import base
from recommender.algorithms.base import (
    Algorithm,
    Arrays,
    Asks,
    Candidates,
    Flags,
    Interactions,
    Ints,
    Warmth,
)

FACTORS = 64
REGULARIZATION = 1.0
ROUNDS = 6
FEWEST = 5
"""A product touched less often has no factors: it would only learn noise. Popularity and history still know it."""

MOST = 12_000
"""The products with factors, the most touched first: their factors then stay in a processor's cache, which halves the
time of an answer. On grocery data the shorter list finds no less: what is hardly ever bought is hardly ever wanted."""


MANY = 256
"""Requests scored at once: their scores of all products stay within some megabytes."""


@dataclass(frozen=True, slots=True)
class Als(Algorithm):
    """`factors[i]` belongs to product `products[i]`; `gram` is what all of them weigh together, regularised;
    `places[p]` is where product `p` stands among the factors, -1 if it does not."""

    products: Ints
    factors: NDArray[np.float32]
    gram: NDArray[np.float32]
    lengths: NDArray[np.float32]
    places: Ints

    name: ClassVar[str] = "als"
    serves: ClassVar[frozenset[Warmth]] = frozenset({Warmth.HOT, Warmth.WARM})

    @classmethod
    def fit(cls, interactions: Interactions, *, seed: int) -> Self:
        counts = np.bincount(interactions.products, minlength=interactions.product_count)
        products = np.sort(np.argsort(-counts, kind="stable")[: min(MOST, np.count_nonzero(counts >= FEWEST))])
        kept = np.isin(interactions.products, products)
        if not kept.any():
            return cls.empty()
        columns = np.searchsorted(products, interactions.products[kept])
        matrix = sp.csr_matrix(
            (interactions.weights()[kept], (interactions.customers[kept], columns)),
            shape=(interactions.customer_count, len(products)),
            dtype=np.float32,
        )
        matrix.data += 1  # a confidence: 1 is what a product nobody touched has
        with threadpoolctl.threadpool_limits(1, "blas"):  # else `implicit` warns that they fight with its own
            fitted = AlternatingLeastSquares(
                factors=FACTORS, regularization=REGULARIZATION, iterations=ROUNDS, random_state=seed, num_threads=0
            )
            fitted.fit(matrix, show_progress=False)
        return cls._of(products, fitted.item_factors)

    @classmethod
    def empty(cls) -> Self:
        """One that knows no product, and so proposes none."""
        return cls._of(np.zeros(0, np.int64), np.zeros((0, FACTORS), np.float32))

    @classmethod
    def _of(cls, products: Ints, factors: NDArray[np.float32]) -> Self:
        """A product whose factors are nothing has no length either; 1 stands in, so that nothing is divided by it."""
        exact = factors.astype(np.float64)
        lengths = np.linalg.norm(factors, axis=1)
        places = np.full(products.max(initial=-1) + 2, -1)  # the last stands for all greater numbers
        places[products] = np.arange(len(products))
        return cls(
            products=products,
            factors=np.ascontiguousarray(factors, np.float32),
            gram=(exact.T @ exact + REGULARIZATION * np.eye(factors.shape[1])).astype(np.float32),
            lengths=np.where(lengths > 0, lengths, 1).astype(np.float32),
            places=places,
        )

    def candidates(self, asks: Asks, *, size: int, within: Flags | None = None) -> Candidates:
        """Around the context if there is one: what goes with it, for anybody. Else what suits this customer."""
        found = [
            self._best(asks.part(at, min(at + MANY, asks.count)), size, within) for at in range(0, asks.count, MANY)
        ]
        return base.joined(found)

    def _best(self, asks: Asks, size: int, within: Flags | None) -> Candidates:
        if not len(self.products):
            return base.nothing(asks.count)
        scores = self._suits(asks)
        around, context = asks.context_rows, asks.context
        if len(context):
            scores[base.distinct(around)] = self._likeness(asks)
            rows, known = self._rows(context)
            scores[around[known], rows[known]] = 0
        if within is not None:
            scores[:, ~within[self.products]] = 0
        return base.best_of_all(self.products, scores, size=size)

    def nearest(self, products: Ints, among: Ints) -> Ints:
        """For each product, the one of `among` it goes with best; -1 where nothing can be said."""
        rows, known = self._rows(products)
        others, there = self._rows(among)
        others = others[there]
        found = np.full(len(products), -1, np.int64)
        if len(others) and known.any():
            alike = self._directions(rows[known]) @ self._directions(others).T
            found[known] = self.products[others[np.argmax(alike, axis=1)]]
        return found

    def _suits(self, asks: Asks) -> NDArray[np.float32]:
        """How well every product suits who has these histories; nothing for who has none."""
        scores: NDArray[np.float32] = self.vectors(asks) @ self.factors.T
        return scores

    def vectors(self, asks: Asks) -> NDArray[np.float32]:
        """The vector of each customer, solved as `implicit` solves it in a fit."""
        rows, known = self._rows(asks.pairs)
        starts = base.offsets(known.astype(np.int64))[asks.pair_starts]
        confidence = asks.sums(base.decayed(asks.kinds, ages=asks.ages))[known].astype(np.float32)
        mine, width = self.factors[rows[known]], self.factors.shape[1]
        left = np.empty((asks.count, width, width), np.float32)
        right = np.zeros((asks.count, width), np.float32)
        for request, (first, last) in enumerate(zip(starts[:-1].tolist(), starts[1:].tolist(), strict=True)):
            hers, weights = mine[first:last], confidence[first:last]
            left[request] = self.gram + (hers.T * weights) @ hers
            right[request] = (1 + weights) @ hers
        solved: NDArray[np.float32] = np.linalg.solve(left, right[:, :, None])[:, :, 0]
        return solved

    def _likeness(self, asks: Asks) -> NDArray[np.float32]:
        """How well every product goes with the contexts there are."""
        rows, known = self._rows(asks.context)
        requests, number = np.unique(asks.context_rows, return_inverse=True)
        middle = np.zeros((len(requests), self.factors.shape[1]), np.float32)
        np.add.at(middle, number[known], self._directions(rows[known]))
        likeness: NDArray[np.float32] = (middle @ self.factors.T) / self.lengths
        return likeness

    def _directions(self, rows: Ints) -> NDArray[np.float32]:
        return self.factors[rows] / self.lengths[rows, None]

    def _rows(self, products: Ints) -> tuple[Ints, Flags]:
        """Where each product stands among the factors, and whether it does."""
        rows = self.places[np.minimum(products, len(self.places) - 1)]
        return rows, rows >= 0

    def arrays(self) -> Arrays:
        return {"products": self.products, "factors": self.factors}

    @classmethod
    def load(cls, arrays: Arrays) -> Self:
        return cls._of(arrays["products"], arrays["factors"])
