"""The most wanted lately in her store, and on her channel. Pure."""

from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np

from recommender.algorithms import base
from recommender.algorithms.base import Algorithm, Arrays, Asks, Candidates, Flags, Interactions, Warmth
from recommender.algorithms.groups import Lists

KEPT = 100
"""Products of a store, or of a channel."""

CHANNEL = 0.3
"""How much a channel's list counts beside a store's."""


@dataclass(frozen=True, slots=True)
class Local(Algorithm):
    """A list a store and a list a channel, where a shop has told which they were."""

    stores: Lists
    channels: Lists
    product_count: int

    name: ClassVar[str] = "local"
    serves: ClassVar[frozenset[Warmth]] = frozenset({Warmth.HOT, Warmth.WARM})

    @classmethod
    def fit(cls, interactions: Interactions, *, seed: int) -> Self:
        unknown = np.full(len(interactions.times), -1)
        weights, products = interactions.weights(), interactions.products
        stores, channels = (
            Lists.of(codes if len(codes) else unknown, products, weights, span=interactions.product_count, kept=KEPT)
            for codes in (interactions.stores, interactions.channels)
        )
        return cls(stores, channels, interactions.product_count)

    def candidates(self, asks: Asks, *, size: int, within: Flags | None = None) -> Candidates:
        rows, ones, count = np.arange(asks.count), np.ones(asks.count), asks.count
        found = [
            lists.candidates(rows, codes, weight * ones, span=self.product_count, count=count, size=KEPT, within=within)
            for lists, codes, weight in ((self.stores, asks.stores, 1.0), (self.channels, asks.channels, CHANNEL))
        ]
        owners = [np.repeat(rows, np.diff(each.starts)) for each in found]
        return base.best_sums(
            np.concatenate(owners),
            np.concatenate([each.products for each in found]),
            np.concatenate([each.scores for each in found]),
            span=max(self.product_count, 1),
            count=count,
            size=size,
        )

    def sells(self, store: int, product: int) -> bool:
        """Whether the product is in the list of the store."""
        return bool((self.stores.of_group(store) == product).any())

    def arrays(self) -> Arrays:
        stores = {f"stores_{name}": values for name, values in self.stores.arrays().items()}
        channels = {f"channels_{name}": values for name, values in self.channels.arrays().items()}
        return {**stores, **channels, "product_count": np.array([self.product_count])}

    @classmethod
    def load(cls, arrays: Arrays) -> Self:
        stores, channels = (
            Lists.load({name.removeprefix(kind): arrays[name] for name in arrays if name.startswith(kind)})
            for kind in ("stores_", "channels_")
        )
        return cls(stores, channels, int(arrays["product_count"][0]))
