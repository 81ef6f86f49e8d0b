"""Customers who buy what she buys, and what they bought lately: UP-CF@r (Faggioli et al., UMAP 2020). Pure.

What is kept of a customer is a row without a name: her products, and how often each was in her latest visits.
"""

from dataclasses import dataclass, fields
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from recommender.algorithms import base
from recommender.algorithms.base import (
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

VISITS = 10
"""The latest visits that count, of a customer and of her kin."""

LEANING = 0.75
"""How much more it counts that they share much of what she bought than that she shares much of what they bought."""

LOCALITY = 10
"""The power likeness is raised to: the greater, the fewer kin matter."""

MOST_OWN = 50
"""The latest products of a customer by which her kin are found."""

SAMPLE = 300
"""Buyers looked at for each product, by lot."""

NEIGHBOURS = 60
MOST_HELD = 100
"""Products kept of each customer, those most often in her latest visits."""


@dataclass(frozen=True, slots=True)
class Kin(Algorithm):
    """Customer c held `held[starts[c]:starts[c + 1]]`, each in `shares` of her latest visits, and `sizes[c]` products
    in all; product p is held by `buyers[buyer_starts[p]:buyer_starts[p + 1]]`, or a lot of them."""

    starts: Ints
    held: NDArray[np.int32]
    shares: NDArray[np.float32]
    sizes: NDArray[np.float32]
    buyer_starts: Ints
    buyers: NDArray[np.int32]
    ordered: NDArray[np.int64]

    name: ClassVar[str] = "kin"
    serves: ClassVar[frozenset[Warmth]] = frozenset({Warmth.HOT, Warmth.WARM})

    @classmethod
    def fit(cls, interactions: Interactions, *, seed: int) -> Self:
        ordered = bool((interactions.kinds == Kind.ORDER).any())
        rows = np.flatnonzero(interactions.kinds == Kind.ORDER) if ordered else np.arange(len(interactions.kinds))
        customers, products = interactions.customers[rows], interactions.products[rows]
        span = max(interactions.product_count, 1)
        order = np.argsort(customers, kind="stable")
        customers, products, times = customers[order], products[order], interactions.times[rows][order]
        back = _visits_back(customers, times)
        visits = np.minimum(back[np.searchsorted(customers, customers)] + 1, VISITS)
        lately = np.where(back < VISITS, 1 / visits, 0)
        keys = customers * span + products
        first_in_visit = _firsts(keys, back)
        lately[~first_in_visit] = 0
        pairs, sums = base.summed(customers, products, lately, span=span)
        sizes = np.bincount(pairs // span, minlength=interactions.customer_count)
        best = base.best(
            pairs // span, np.arange(len(pairs)), sums + 1e-9, count=interactions.customer_count, size=MOST_HELD
        )
        kept = np.sort(best.products)
        held, owners = pairs[kept] % span, pairs[kept] // span
        starts = np.searchsorted(owners, np.arange(interactions.customer_count + 1))
        lot = np.random.default_rng(seed).permutation(len(held))
        by_product = lot[np.argsort(held[lot], kind="stable")]
        buyer_starts = np.searchsorted(held[by_product], np.arange(span + 1))
        place = np.arange(len(by_product)) - buyer_starts[held[by_product]]
        return cls(
            starts=starts,
            held=held.astype(np.int32),
            shares=sums[kept].astype(np.float32),
            sizes=np.maximum(sizes, 1).astype(np.float32),
            buyer_starts=base.offsets(np.minimum(np.diff(buyer_starts), SAMPLE)),
            buyers=owners[by_product[place < SAMPLE]].astype(np.int32),
            ordered=np.array([ordered]),
        )

    def candidates(self, asks: Asks, *, size: int, within: Flags | None = None) -> Candidates:
        customers, likeness, requests = self._alike(asks)
        places, owner = base.runs(self.starts, customers)
        held = self.held[places].astype(np.int64)
        scores = likeness[owner] * self.shares[places]
        span = max(len(self.buyer_starts) - 1, 1)
        return base.best_sums(requests[owner], held, scores, span=span, count=asks.count, size=size, within=within)

    def _alike(self, asks: Asks) -> tuple[Ints, Floats, Ints]:
        """The nearest kin of each request, how near they are, and the request of each."""
        counts = asks.counts(Kind.ORDER) if self.ordered[0] else np.ones(len(asks.pairs), np.int64)
        hers = (counts > 0) & (asks.pairs < len(self.buyer_starts) - 1)
        last = np.full(len(asks.pairs), -1)
        np.maximum.at(last, asks.place, np.arange(len(asks.place)))
        own = base.best(asks.pair_rows[hers], np.flatnonzero(hers), 1.0 + last[hers], count=asks.count, size=MOST_OWN)
        found, near, requests = [base.NO_INTS], [base.NO_FLOATS], [base.NO_INTS]
        for request in np.flatnonzero(np.diff(own.starts)).tolist():
            products = asks.pairs[own.products[own.starts[request] : own.starts[request + 1]]]
            places, _ = base.runs(self.buyer_starts, products)
            shared = np.bincount(self.buyers[places], minlength=len(self.sizes))
            kin = np.flatnonzero(shared)
            alike = shared[kin] / (len(products) ** LEANING * self.sizes[kin] ** (1 - LEANING))
            if len(kin) > NEIGHBOURS:
                nearest = np.sort(np.argpartition(-alike, NEIGHBOURS - 1)[:NEIGHBOURS])
                kin, alike = kin[nearest], alike[nearest]
            found.append(kin)
            near.append(alike**LOCALITY)
            requests.append(np.full(len(kin), request))
        return np.concatenate(found), np.concatenate(near), np.concatenate(requests)

    def arrays(self) -> Arrays:
        return {each.name: getattr(self, each.name) for each in fields(self)}

    @classmethod
    def load(cls, arrays: Arrays) -> Self:
        return cls(**{each.name: arrays[each.name] for each in fields(cls)})


def _visits_back(customers: Ints, times: Ints) -> Ints:
    """How many visits of the same customer came after each row's; rows by customer, oldest first."""
    begins = np.zeros(len(customers), np.int64)
    begins[1:] = (customers[1:] != customers[:-1]) | (times[1:] - times[:-1] > base.VISIT * base.DAY)
    visits = np.cumsum(begins)
    last = np.searchsorted(customers, customers, side="right") - 1
    found: Ints = visits[last] - visits
    return found


def _firsts(keys: Ints, visits: Ints) -> Flags:
    """Which rows are the first of their key in their visit."""
    order = np.lexsort((visits, keys))
    firsts = np.zeros(len(keys), bool)
    firsts[order] = np.append(True, (keys[order][1:] != keys[order][:-1]) | (visits[order][1:] != visits[order][:-1]))[
        : len(keys)
    ]
    return firsts
