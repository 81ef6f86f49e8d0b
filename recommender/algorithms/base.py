"""What every algorithm promises, and the values it works on. Pure.

Inside, customers and products are numbers from 0; only `model.py` knows the shop's own ids. Three kinds of interaction
count, each with its weight, halved every thirty days.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import Any, ClassVar, Protocol, Self

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Arrays = Mapping[str, NDArray[Any]]

DAY = 86_400_000_000
"""A day, in the microseconds in which times are counted since 1970."""

HALF_LIFE = 30.0
"""Days after which an interaction counts half."""

UNCATEGORISED = -1


class Kind(IntEnum):
    """What a customer did with a product; the stronger the greater."""

    VIEW = 0
    ADD = 1
    ORDER = 2


WEIGHTS = np.array([1.0, 3.0, 5.0])
"""How much a `Kind` counts."""


class Warmth(StrEnum):
    """How well a model knows a customer."""

    HOT = "hot"  # it was fitted on her
    WARM = "warm"  # she has a history, but was not in the fit
    COLD = "cold"  # she has none


@dataclass(frozen=True, slots=True)
class Interactions:
    """What all customers did: one row an interaction, as parallel arrays, oldest first."""

    customers: Ints
    products: Ints
    kinds: Ints
    times: Ints
    customer_count: int
    product_ids: tuple[str, ...]
    categories: Ints
    category_names: tuple[str, ...] = ()

    @property
    def product_count(self) -> int:
        """How many products there are, those nobody touched included."""
        return len(self.product_ids)

    def where(self, rows: Flags) -> "Interactions":
        """Only some of the rows; customers and products keep their numbers."""
        return Interactions(
            customers=self.customers[rows],
            products=self.products[rows],
            kinds=self.kinds[rows],
            times=self.times[rows],
            customer_count=self.customer_count,
            product_ids=self.product_ids,
            categories=self.categories,
            category_names=self.category_names,
        )

    def weights(self) -> Floats:
        """What each row counts, seen from the moment of the last one."""
        if not len(self.times):
            return np.zeros(0)
        return decayed(self.kinds, ages=(self.times[-1] - self.times) / DAY)


@dataclass(frozen=True, slots=True)
class History:
    """What one customer did, in any order: each product once, and for each interaction its product's place among them.

    A product the model does not know has a number past the last it knows. `ages` are days before the moment of asking.
    """

    products: Ints
    place: Ints
    kinds: Ints
    ages: Floats

    @classmethod
    def of(cls, products: Ints, kinds: Ints, ages: Floats) -> "History":
        """From the product of each interaction."""
        unique, place = np.unique(products, return_inverse=True)
        return cls(unique, place, kinds, ages)

    def __bool__(self) -> bool:
        return len(self.products) > 0

    def sums(self, weights: Floats) -> Floats:
        """The weights of all interactions with each product."""
        return np.bincount(self.place, weights=weights, minlength=len(self.products)).astype(np.float64)

    def counts(self, kind: Kind) -> Ints:
        """How many interactions of a kind each product had."""
        return np.bincount(self.place[self.kinds == kind], minlength=len(self.products))

    def strongest(self) -> Ints:
        """The strongest kind of interaction with each product."""
        return np.where(self.counts(Kind.ORDER) > 0, Kind.ORDER, np.minimum(self.counts(Kind.ADD), Kind.ADD))


@dataclass(frozen=True, slots=True)
class Ask:
    """What is wanted: around these products if any, only those flagged `within` if there are flags, that many."""

    context: Ints
    within: Flags | None = None
    size: int = 100


@dataclass(frozen=True, slots=True)
class Candidates:
    """Products an algorithm proposes, best first, with its own scores: never to be compared with another's."""

    products: Ints
    scores: Floats


NOTHING = Candidates(np.zeros(0, np.int64), np.zeros(0))


class Algorithm(Protocol):
    """One way to find products. Its state is plain arrays, so that an artefact needs no pickle."""

    name: ClassVar[str]
    serves: ClassVar[frozenset[Warmth]]

    @classmethod
    def fit(cls, interactions: Interactions, *, seed: int) -> Self:
        """Learns from everything given; the same rows and seed give the same arrays."""
        ...

    def candidates(self, history: History, ask: Ask) -> Candidates:
        """At most `ask.size` products with a positive score."""
        ...

    def arrays(self) -> Arrays:
        """The fitted state."""
        ...

    @classmethod
    def load(cls, arrays: Arrays) -> Self:
        """The algorithm whose `arrays()` these are."""
        ...


def decayed(kinds: Ints, *, ages: Floats, half_life: float = HALF_LIFE) -> Floats:
    """What interactions of these kinds and ages count."""
    return np.asarray(WEIGHTS[kinds] * np.exp2(np.maximum(ages, 0) / -half_life))


def distinct(values: Ints) -> Ints:
    """Each value once, in order. `np.unique` hashes, and on a million values takes twenty times as long."""
    ordered = np.sort(values)
    return ordered[np.append(True, ordered[1:] != ordered[:-1])] if len(ordered) else ordered


def best(products: Ints, scores: Floats | NDArray[np.float32], *, size: int) -> Candidates:
    """The `size` best of them with a positive score; of equals, the lower number first."""
    kept = np.argpartition(-scores, size - 1)[:size] if len(scores) > size else np.arange(len(scores))
    kept = kept[scores[kept] > 0]
    order = kept[np.lexsort((products[kept], -scores[kept]))]
    return Candidates(products[order], scores[order].astype(np.float64))
