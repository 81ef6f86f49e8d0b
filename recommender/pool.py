"""Everything proposed to many requests, each product once a request, with what every algorithm says of it. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from recommender.algorithms import base
from recommender.algorithms.base import Asks, Candidates, Floats, Ints
from recommender.algorithms.popularity import Popularity


@dataclass(frozen=True, slots=True)
class Pool:
    """Everything proposed to each request, each product once and in order; those of request r begin at `starts[r]`.

    `scores[s]` are the scores of the model's algorithm s, 0 where it says nothing of the product, and `places[s]` its
    place in that algorithm's list, counted from 0, or `size` if it is not in it. `shares` are the scores divided by the
    algorithm's best of the request: scores of several algorithms cannot be compared.
    """

    starts: Ints
    rows: Ints
    products: Ints
    scores: NDArray[np.float32]
    places: NDArray[np.int16]
    shares: NDArray[np.float32]
    size: int

    def of_sources(self, kept: NDArray[np.bool_]) -> "Pool":
        """As only some of the algorithms see it."""
        return replace(self, scores=self.scores[kept], places=self.places[kept], shares=self.shares[kept])

    def where(self, kept: NDArray[np.bool_]) -> "Pool":
        """Only some of the products."""
        rows = self.rows[kept]
        starts = np.searchsorted(rows, np.arange(len(self.starts)))
        return Pool(
            starts,
            rows,
            self.products[kept],
            self.scores[:, kept],
            self.places[:, kept],
            self.shares[:, kept],
            self.size,
        )


def of(found: Sequence[Candidates], *, asks: Asks, size: int, popularity: Popularity) -> Pool:
    """What the algorithms found, without what is in the request's context.

    :param size: no list is longer
    :param popularity: the last of the algorithms; it is asked about every product, and so settles ties
    """
    owners = [np.repeat(np.arange(asks.count), np.diff(each.starts)) for each in found]
    span = 1 + max(int(each.max(initial=0)) for each in (asks.context, *(each.products for each in found)))
    asked = [rows * span + each.products for rows, each in zip(owners, found, strict=True)]
    keys = base.distinct(np.concatenate(asked))
    if len(asks.context):
        keys = keys[~np.isin(keys, asks.context_rows * span + asks.context)]
    rows = keys // span
    scores = np.zeros((len(found), len(keys)), np.float32)
    places = np.full(scores.shape, size, np.int16)
    for source, (each, mine) in enumerate(zip(found, asked, strict=True)):
        _fill(scores[source], places[source], keys=keys, mine=mine, each=each, span=span)
    scores[-1] = popularity.shares(keys % span)
    starts = np.searchsorted(rows, np.arange(asks.count + 1))
    return Pool(starts, rows, keys % span, scores, places, _shares(scores, starts), size)


def _shares(scores: NDArray[np.float32], starts: Ints) -> NDArray[np.float32]:
    counts = np.diff(starts)
    filled = np.flatnonzero(counts)
    if not len(filled):
        return scores
    highest = np.maximum.reduceat(scores, starts[filled], axis=1)
    highest[highest <= 0] = 1
    return np.asarray(scores / np.repeat(highest, counts[filled], axis=1))


def _fill(
    scores: NDArray[np.float32], places: NDArray[np.int16], *, keys: Ints, mine: Ints, each: Candidates, span: int
) -> None:
    if not len(mine) or not len(keys):
        return
    at = np.minimum(np.searchsorted(keys, mine), len(keys) - 1)
    there = keys[at] == mine
    place = np.arange(len(mine)) - np.repeat(each.starts[:-1], np.diff(each.starts))
    places[at[there]] = place[there]
    if each.all_keys is None or each.all_scores is None:
        scores[at[there]] = each.scores[there]
        return
    wanted = keys if span == each.span else keys // span * each.span + keys % span
    at = np.minimum(np.searchsorted(each.all_keys, wanted), len(each.all_keys) - 1)
    known = (each.all_keys[at] == wanted) & (keys % span < each.span)
    scores[:] = np.where(known, each.all_scores[at], 0)


DEPTH = 30
"""A place so far down counts half as much as the first."""


def shortened(pool: Pool, trust: NDArray[np.float32], *, size: int) -> Pool:
    """The `size` products of each request that stand highest in the lists, each list as it is trusted."""
    standing = np.where(pool.places < pool.size, trust / (pool.places + np.float32(DEPTH)), 0).sum(axis=0)
    kept = np.zeros(len(pool.rows), bool)
    kept[best(pool, standing, size=size)[1]] = True
    return pool.where(kept)


def best(pool: Pool, scores: Floats | NDArray[np.float32], *, size: int) -> tuple[Ints, Ints]:
    """Where the best of each request begin, and their places in the pool, best first; of equals, the lower number."""
    order, counts = base.descending(pool.rows, scores, starts=pool.starts), np.diff(pool.starts)
    if len(order) and int(counts.max()) > size:
        order = order[np.arange(len(order)) - pool.starts[pool.rows] < size]
    return base.offsets(np.minimum(counts, size)), order
