"""What the same customers want, in whatever way and at whatever time: BM25 between products (`implicit`). Pure."""

from dataclasses import dataclass
from typing import ClassVar, Self

from recommender.algorithms import base, neighbours
from recommender.algorithms.base import Asks, Candidates, Flags, Interactions
from recommender.algorithms.neighbours import ByNeighbours, Neighbours

NEAREST = 80


@dataclass(frozen=True, slots=True)
class Bm25(ByNeighbours):
    """BM25 of products over customers, a product being near itself as well: what is wanted again counts."""

    name: ClassVar[str] = "bm25"

    @classmethod
    def fit(cls, interactions: Interactions, *, seed: int) -> Self:
        rows = neighbours.latest(interactions, interactions.products >= 0)
        return cls(
            Neighbours.by_bm25(
                interactions.customers[rows],
                interactions.products[rows],
                base.WEIGHTS[interactions.kinds[rows]],
                product_count=interactions.product_count,
                nearest=NEAREST,
            )
        )

    def candidates(self, asks: Asks, *, size: int, within: Flags | None = None) -> Candidates:
        rows, products, weights = neighbours.around(asks, asks.sums(base.WEIGHTS[asks.kinds]))
        return self.near.candidates(rows, products, weights, count=asks.count, size=size, within=within, itself=True)
