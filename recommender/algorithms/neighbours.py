"""Products beside products: a table of each one's nearest, and how requests are scored by it. Pure.

Shared by the algorithms that say what goes with what; they differ in what they count as together.
"""

from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np
import scipy.sparse as sp
import threadpoolctl
from implicit.nearest_neighbours import ItemItemRecommender, bm25_weight
from numpy.typing import NDArray

from recommender.algorithms import base
from recommender.algorithms.base import Algorithm, Arrays, Asks, Candidates, Flags, Floats, Interactions, Ints, Warmth

MOST_OWN = 80
"""Products of a customer by which others are found; those after them would hardly count."""

MOST_ROWS = 3_000_000
"""Interactions a table is made of, the latest: more would not fit the time a training run has."""


@dataclass(frozen=True, slots=True)
class Neighbours:
    """The nearest of product p are `products[starts[p]:starts[p + 1]]`, with their closeness."""

    starts: Ints
    products: NDArray[np.int32]
    closeness: NDArray[np.float32]

    @classmethod
    def by_cosine(cls, rows: Ints, products: Ints, weights: Floats, *, product_count: int, nearest: int) -> Self:
        """Near are products of the same rows (visits, customers), whatever the number of rows they are in."""
        return cls._found(ItemItemRecommender(K=nearest + 1), _normalised(rows, products, weights, product_count))

    @classmethod
    def by_bm25(cls, rows: Ints, products: Ints, weights: Floats, *, product_count: int, nearest: int) -> Self:
        """Near are products of the same rows, long rows and everyday products counting less."""
        matrix = _matrix(rows, products, weights, product_count)
        if matrix.nnz:
            # as `BM25Recommender` does, which then warns of its own format
            matrix = bm25_weight(matrix.T, K1=1.2, B=0.75).T.tocsr()
        return cls._found(ItemItemRecommender(K=nearest), matrix)

    @classmethod
    def _found(cls, method: ItemItemRecommender, matrix: sp.csr_matrix) -> Self:
        if not matrix.nnz:
            return cls.empty(matrix.shape[1])
        with threadpoolctl.threadpool_limits(1, "blas"):
            method.fit(matrix, show_progress=False)
        return cls.of(method.similarity)

    @classmethod
    def of(cls, matrix: sp.csr_matrix) -> Self:
        """From a square matrix of closeness."""
        matrix = matrix.tocsr()
        matrix.sort_indices()
        return cls(matrix.indptr.astype(np.int64), matrix.indices.astype(np.int32), matrix.data.astype(np.float32))

    @classmethod
    def empty(cls, product_count: int) -> Self:
        """One in which nothing is near anything."""
        return cls(np.zeros(product_count + 1, np.int64), np.zeros(0, np.int32), np.zeros(0, np.float32))

    def candidates(
        self,
        rows: Ints,
        products: Ints,
        weights: Floats,
        *,
        count: int,
        size: int,
        within: Flags | None,
        itself: bool = False,
    ) -> Candidates:
        """What is nearest to the weighed products of each request.

        :param itself: whether a product may be near itself
        """
        known = products < len(self.starts) - 1
        rows, products, weights = rows[known], products[known], weights[known]
        places, owner = base.runs(self.starts, products)
        near = self.products[places].astype(np.int64)
        if not itself:
            other = near != products[owner]
            places, owner, near = places[other], owner[other], near[other]
        scores = weights[owner] * self.closeness[places]
        span = max(len(self.starts) - 1, 1)
        return base.best_sums(rows[owner], near, scores, span=span, count=count, size=size, within=within)

    def nearest(self, products: Ints, among: Ints) -> Ints:
        """For each product, the one of `among` it is nearest to; -1 if to none."""
        found = np.full(len(products), -1)
        known = among[among < len(self.starts) - 1]
        places, owner = base.runs(self.starts, known)
        if len(places):
            rising = np.argsort(self.closeness[places], kind="stable")
            near, of = self.products[places][rising], known[owner][rising]
            by_product = np.argsort(near, kind="stable")
            last = np.searchsorted(near[by_product], products, side="right") - 1
            at = by_product[np.maximum(last, 0)]
            found = np.where((last >= 0) & (near[at] == products) & (of[at] != products), of[at], -1)
        return found

    def arrays(self) -> Arrays:
        """The table as plain arrays."""
        return {"starts": self.starts, "products": self.products, "closeness": self.closeness}

    @classmethod
    def load(cls, arrays: Arrays) -> Self:
        """The table whose `arrays()` these are."""
        return cls(arrays["starts"], arrays["products"], arrays["closeness"])


@dataclass(frozen=True, slots=True)
class ByNeighbours(Algorithm):
    """What the algorithms made of one such table have in common: all but what is near, and how requests are weighed."""

    near: Neighbours

    serves: ClassVar[frozenset[Warmth]] = frozenset({Warmth.HOT, Warmth.WARM})

    def nearest(self, products: Ints, among: Ints) -> Ints:
        """For each product, the one of `among` it goes with best; -1 where nothing can be said."""
        return self.near.nearest(products, among)

    def arrays(self) -> Arrays:
        return self.near.arrays()

    @classmethod
    def load(cls, arrays: Arrays) -> Self:
        return cls(Neighbours.load(arrays))


def latest(interactions: Interactions, wanted: Flags) -> Ints:
    """The rows wanted, or the latest of them if they are too many."""
    return np.flatnonzero(wanted)[-MOST_ROWS:]


def around(asks: Asks, weights: Floats) -> tuple[Ints, Ints, Floats]:
    """What a request is about: its context where there is one, else the customer's own products that weigh most."""
    rows, products = asks.pair_rows, asks.pairs
    if int(np.diff(asks.pair_starts).max(initial=0)) > MOST_OWN:
        found = base.best(rows, np.arange(len(rows)), weights, count=asks.count, size=MOST_OWN)
        kept = np.sort(found.products)
        rows, products, weights = rows[kept], products[kept], weights[kept]
    if not len(asks.context):
        return rows, products, weights
    without = np.diff(asks.context_starts)[rows] == 0
    return (
        np.concatenate([asks.context_rows, rows[without]]),
        np.concatenate([asks.context, products[without]]),
        np.concatenate([np.ones(len(asks.context)), weights[without]]),
    )


def _matrix(rows: Ints, products: Ints, weights: Floats, product_count: int) -> sp.csr_matrix:
    numbers = base.distinct(rows)
    shape = (len(numbers), product_count)
    return sp.csr_matrix((weights, (np.searchsorted(numbers, rows), products)), shape=shape, dtype=np.float64)


def _normalised(rows: Ints, products: Ints, weights: Floats, product_count: int) -> sp.csr_matrix:
    """Each product's column of length one."""
    matrix = _matrix(rows, products, weights, product_count)
    lengths = np.sqrt(np.bincount(matrix.indices, weights=matrix.data**2, minlength=product_count))
    matrix.data /= lengths[matrix.indices]
    return matrix
