"""Visits like this one, the latest that share a product with it: VMIS-kNN (Serenade, SIGMOD 2022) with the decay of
STAN (SIGIR 2019) by how long ago and how far apart. Pure.
"""

from dataclasses import dataclass, fields
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from recommender.algorithms import base, neighbours
from recommender.algorithms.base import Algorithm, Arrays, Asks, Candidates, Flags, Floats, Interactions, Ints, Warmth

LAST = 10
"""The last products of a customer by which visits are compared."""

SAMPLE = 500
"""The latest visits that are looked at for each of them."""

NEIGHBOURS = 200
"""The most alike of these are asked."""

LONGEST = 30
"""The products of a longer visit after these are forgotten."""

STEPS = 4.0
"""Products further back count as exp(-steps / this)."""


@dataclass(frozen=True, slots=True)
class Sessions(Algorithm):
    """Visits, newest first: visit v held `held[starts[v]:starts[v + 1]]`, in order; product p was in the visits
    `seen_in[seen_starts[p]:seen_starts[p + 1]]` at the places `seen_at`."""

    starts: Ints
    held: NDArray[np.int32]
    seen_starts: Ints
    seen_in: NDArray[np.int32]
    seen_at: NDArray[np.int16]
    rarity: NDArray[np.float32]

    name: ClassVar[str] = "sessions"
    serves: ClassVar[frozenset[Warmth]] = frozenset({Warmth.HOT, Warmth.WARM})

    @classmethod
    def fit(cls, interactions: Interactions, *, seed: int) -> Self:
        rows = neighbours.latest(interactions, interactions.products >= 0)
        visits, products = interactions.visits()[rows], interactions.products[rows]
        span = max(interactions.product_count, 1)
        # each product once a visit, where it was touched last
        keys, last = np.unique((visits * span + products)[::-1], return_index=True)
        rows = len(rows) - 1 - last
        visits = keys // span
        ended = np.zeros(int(visits.max(initial=-1)) + 1, np.int64)
        np.maximum.at(ended, visits, rows)
        order = np.lexsort((rows, -ended[visits]))
        products, visits = products[rows[order]], visits[order]
        begins = np.flatnonzero(np.append(True, visits[1:] != visits[:-1])) if len(visits) else base.NO_INTS
        lengths = np.diff(np.append(begins, len(visits)))
        place = np.arange(len(visits)) - np.repeat(begins, lengths)
        kept = (place >= np.repeat(lengths, lengths) - LONGEST) & (np.repeat(lengths, lengths) > 1)
        return cls._of(products[kept], np.repeat(np.arange(len(begins)), lengths)[kept], product_count=span)

    @classmethod
    def _of(cls, products: Ints, visits: Ints, *, product_count: int) -> Self:
        _, visits = np.unique(visits, return_inverse=True)
        count = int(visits.max(initial=-1)) + 1
        starts = np.searchsorted(visits, np.arange(count + 1))
        by_product = np.argsort(products, kind="stable")
        seen_starts = np.searchsorted(products[by_product], np.arange(product_count + 1))
        place = np.arange(len(by_product)) - seen_starts[products[by_product]]
        by_product = by_product[place < SAMPLE]
        often = np.maximum(np.diff(seen_starts), 1)
        return cls(
            starts=starts,
            held=products.astype(np.int32),
            seen_starts=base.offsets(np.minimum(np.diff(seen_starts), SAMPLE)),
            seen_in=visits[by_product].astype(np.int32),
            seen_at=(by_product - starts[visits[by_product]]).astype(np.int16),
            rarity=(1 + np.log(max(count, 1) / often)).astype(np.float32),
        )

    def candidates(self, asks: Asks, *, size: int, within: Flags | None = None) -> Candidates:
        rows, products, weights = neighbours.around(asks, _weights(asks))
        kept = (weights > 0) & (products < len(self.seen_starts) - 1)
        rows, products, weights = rows[kept], products[kept], weights[kept]
        visits, alike, match = self._alike(rows, products, weights, count=asks.count)
        requests = visits // max(len(self.starts), 1)
        places, owner = base.runs(self.starts, visits % max(len(self.starts), 1))
        held = self.held[places].astype(np.int64)
        after = places - self.starts[visits % max(len(self.starts), 1)][owner] - match[owner]
        scores = alike[owner] * self.rarity[held] * np.where(after == 0, 0.2, 1 / (1 + 0.2 * np.abs(after)))
        span = len(self.seen_starts) - 1
        return base.best_sums(requests[owner], held, scores, span=span, count=asks.count, size=size, within=within)

    def _alike(self, rows: Ints, products: Ints, weights: Floats, *, count: int) -> tuple[Ints, Floats, Ints]:
        """The visits most like each request, as request times the number of visits plus the visit; how alike they are;
        and at which place of the visit they touch."""
        places, owner = base.runs(self.seen_starts, products)
        span = max(len(self.starts), 1)
        if not len(places):
            return base.NO_INTS, base.NO_FLOATS, base.NO_INTS
        keys, order = base.ordered(rows[owner] * span + self.seen_in[places])
        at, weight = self.seen_at[places][order].astype(np.int64), weights[owner][order]
        begins = base.firsts(keys)
        sums, furthest = np.add.reduceat(weight, begins), np.maximum.reduceat(at, begins)
        keys = keys[begins]
        lengths = np.diff(self.starts)[keys % span]
        found = base.best(keys // span, np.arange(len(keys)), sums / np.sqrt(lengths), count=count, size=NEIGHBOURS)
        return keys[found.products], found.scores, furthest[found.products]

    def arrays(self) -> Arrays:
        return {
            "starts": self.starts,
            "held": self.held,
            "seen_starts": self.seen_starts,
            "seen_in": self.seen_in,
            "seen_at": self.seen_at,
            "rarity": self.rarity,
        }

    @classmethod
    def load(cls, arrays: Arrays) -> Self:
        return cls(**{each.name: arrays[each.name] for each in fields(cls)})


def _weights(asks: Asks) -> Floats:
    """How much each pair says of what is looked for now: less the more products came after it."""
    last = np.full(len(asks.pairs), -1)
    np.maximum.at(last, asks.place, np.arange(len(asks.place)))
    order = np.lexsort((-last, asks.pair_rows))
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order)) - asks.pair_starts[asks.pair_rows[order]]
    return np.where(rank < LAST, np.exp(-rank / STEPS), 0)
