"""The published thing: fitted algorithms, how they are ranked, and the one map between shop ids and numbers. Pure."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from recommender.algorithms import base
from recommender.algorithms.als import Als
from recommender.algorithms.base import Algorithm, Arrays, Asks, Candidates, Flags, Floats, Ints
from recommender.algorithms.history import OwnHistory
from recommender.algorithms.popularity import Popularity

ALGORITHMS: tuple[type[Algorithm], ...] = (OwnHistory, Als, Popularity)
"""Every algorithm there is. A model holds those that were of use to its shop, in this order."""

Blend = Mapping[str, float]
"""How much each algorithm counts, by name."""

RECENT = 500
"""How many of a customer's latest interactions are looked at."""

SIZE = 100
"""How many products each algorithm proposes."""

DEFAULT_BLEND: Blend = {"history": 1.0, "als": 0.2, "popularity": 0.01}
AROUND: Blend = {"history": 0.1, "als": 1.0, "popularity": 0.3}
"""The blend around a product or a basket: what goes with it matters more than who looks."""

TIE = 1e-6
"""How much popularity counts where it only settles ties."""


@dataclass(frozen=True, slots=True)
class Pool:
    """Everything proposed to each request, each product once and in order; those of request r begin at `starts[r]`.

    `scores[s]` are the scores of the model's algorithm s, 0 where it did not propose the product, and `places[s]` its
    place in that algorithm's list, counted from 0, or past the end of it.
    """

    starts: Ints
    rows: Ints
    products: Ints
    scores: Floats
    places: Ints

    def shares(self) -> Floats:
        """The scores of each algorithm, which cannot be compared with another's, divided by its best of the request."""
        counts = np.diff(self.starts)
        filled = np.flatnonzero(counts)
        highest = np.maximum.reduceat(self.scores, self.starts[filled], axis=1) if len(filled) else self.scores
        highest = np.where(highest > 0, highest, 1.0)
        return np.asarray(self.scores / np.repeat(highest, counts[filled], axis=1))


@dataclass(frozen=True, slots=True)
class Ranking:
    """Products best first within each request, each with its score and the algorithm that did most for it, as its
    place in the model's `source_names`. Those of request r begin at `starts[r]`."""

    starts: Ints
    products: Ints
    scores: Floats
    sources: Ints


@dataclass(frozen=True, slots=True)
class Past:
    """What one customer did, in any order, with the shop's own product ids, as parallel lists. `ages` are in days."""

    product_ids: Sequence[str] = ()
    kinds: Sequence[int] | Ints = ()
    ages: Sequence[float] | Floats = ()


@dataclass(frozen=True, slots=True)
class Asked:
    """Requests in numbers. Products the model does not know are numbered after the last it knows: `strangers`."""

    asks: Asks
    strangers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Model:
    """An immutable value: many requests may use one at once, and a new one takes its place in one step."""

    product_ids: tuple[str, ...]
    category_names: tuple[str, ...]
    categories: Ints
    sources: tuple[Algorithm, ...]
    popularity: Popularity
    history: OwnHistory
    als: Als
    blend: Blend
    numbers: Mapping[str, int] = field(repr=False)

    @property
    def source_names(self) -> tuple[str, ...]:
        """The algorithms it holds, in the order in which a `Ranking` counts them."""
        return tuple(source.name for source in self.sources)

    @property
    def replenished(self) -> Flags:
        """Which products are bought again and again."""
        return self.history.replenished

    # -------------------------------------------------------------------------------------------- ranking
    def rank(
        self, asks: Asks, *, size: int, within: Flags | None = None, only: Collection[str] | None = None
    ) -> Ranking:
        """The `size` best of each request, without what is being looked at.

        :param within: only products so flagged
        :param only: only what these algorithms propose, in their order
        """
        pool = self.propose(asks, within=within, size=max(size, SIZE))
        if only is None:
            return self.ranked(asks, pool, size=size)
        return self.blended(asks, pool, blend=dict.fromkeys(only, 1.0), size=size)

    def propose(self, asks: Asks, *, within: Flags | None = None, size: int = SIZE) -> Pool:
        """What every algorithm proposes. Popularity is asked about all of it, and so settles ties."""
        found = [source.candidates(asks, size=size, within=within) for source in self.sources]
        return _pooled(found, self.popularity, asks=asks, size=size)

    def ranked(self, asks: Asks, pool: Pool, *, size: int) -> Ranking:
        """The pool in the order in which it would be shown."""
        around = np.diff(asks.context_starts) > 0
        blends = np.array([[blend.get(name, 0.0) for name in self.source_names] for blend in (self.blend, AROUND)])
        return _ordered(pool, pool.shares() * blends[around.astype(np.int64)].T[:, pool.rows], size=size)

    def blended(self, asks: Asks, pool: Pool, *, blend: Blend, size: int) -> Ranking:
        """The pool in the order of a blend."""
        shares = np.array([[blend.get(name, 0.0)] for name in self.source_names])
        return _ordered(pool, pool.shares() * shares, size=size)

    def alone(self, asks: Asks, pool: Pool, *, size: int) -> dict[str, Ranking]:
        """What each algorithm would show by itself; popularity settles ties, and fills what it leaves empty."""
        return {
            name: self.blended(asks, pool, blend={Popularity.name: TIE, name: 1.0}, size=size)
            for name in self.source_names
        }

    def partners(self, products: Ints, among: Ints) -> Ints:
        """For each product, the one of `among` it goes with best; -1 where nothing can be said."""
        return self.als.nearest(products, among)

    # ------------------------------------------------------------------------------- shop ids and numbers
    def asks(
        self, pasts: Sequence[Past], contexts: Sequence[Sequence[str]] = (), *, moments: Ints | None = None
    ) -> Asked:
        """Customers' pasts, and the products each is looking at, in this model's numbers.

        :param contexts: of each past, or none at all
        :param moments: when each is asked, in microseconds since 1970
        """
        strangers: dict[str, int] = {}
        products = [self._numbered(past.product_ids, strangers) for past in pasts]
        around = [self._numbered(context, strangers) for context in contexts]
        asks = Asks.of(
            base.offsets(np.array([len(each) for each in products], np.int64)),
            products=np.concatenate([base.NO_INTS, *products]),
            kinds=np.concatenate([base.NO_INTS, *(np.asarray(past.kinds, np.int64) for past in pasts)]),
            ages=np.concatenate([base.NO_FLOATS, *(np.asarray(past.ages, np.float64) for past in pasts)]),
            contexts=around if contexts else None,
            moments=moments,
        )
        return Asked(asks, tuple(strangers))

    def _numbered(self, product_ids: Sequence[str], strangers: dict[str, int]) -> Ints:
        numbers = list(map(self.numbers.get, product_ids))
        if None in numbers:
            for place, product_id in enumerate(product_ids):
                if numbers[place] is None:
                    numbers[place] = strangers.setdefault(product_id, len(self.product_ids) + len(strangers))
        return np.array(numbers, np.int64)

    def names(self, products: Iterable[int], strangers: Sequence[str] = ()) -> list[str]:
        """The shop's own ids of these numbers."""
        count = len(self.product_ids)
        return [self.product_ids[number] if number < count else strangers[number - count] for number in products]

    def within(self, category: str) -> Flags:
        """The products of a category path or below it."""
        below = f"{category} >"
        named = [name == category or name.startswith(below) for name in self.category_names]
        return np.append(np.array(named, bool), False)[self.categories]

    # --------------------------------------------------------------------------------------------- arrays
    def arrays(self) -> dict[str, NDArray[Any]]:
        """All of it as plain arrays by name; texts as JSON in bytes."""
        about = {
            "sources": list(self.source_names),
            "blend": dict(self.blend),
            "category_names": list(self.category_names),
        }
        found: dict[str, NDArray[Any]] = {
            "product_ids": _packed(self.product_ids),
            "about": _packed(about),
            "categories": self.categories,
        }
        for source in self.sources:
            found |= {f"{source.name}/{name}": values for name, values in source.arrays().items()}
        return found


def load(arrays: Arrays) -> Model:
    """The model whose `arrays()` these are; they may be read-only. Raises `KeyError` or `ValueError` for any other."""
    about = orjson.loads(arrays["about"].tobytes())
    return build(
        tuple(orjson.loads(arrays["product_ids"].tobytes())),
        category_names=tuple(about["category_names"]),
        categories=arrays["categories"],
        sources=[kind.load(_of(kind.name, arrays)) for kind in ALGORITHMS if kind.name in about["sources"]],
        blend=about["blend"],
    )


def _of(algorithm: str, arrays: Arrays) -> dict[str, NDArray[Any]]:
    prefix = f"{algorithm}/"
    return {name.removeprefix(prefix): arrays[name] for name in arrays if name.startswith(prefix)}


def _packed(value: object) -> NDArray[np.uint8]:
    return np.frombuffer(orjson.dumps(value), np.uint8)


def build(
    product_ids: tuple[str, ...],
    *,
    category_names: tuple[str, ...],
    categories: Ints,
    sources: Sequence[Algorithm],
    blend: Blend,
) -> Model:
    """A model of fitted algorithms, in the order of `ALGORITHMS`."""
    numbers = {product_id: number for number, product_id in enumerate(product_ids)}
    by_kind: dict[type[Algorithm], Any] = {type(source): source for source in sources}
    return Model(
        product_ids,
        category_names,
        categories,
        tuple(sources),
        by_kind[Popularity],
        by_kind[OwnHistory],
        by_kind[Als],
        blend,
        numbers,
    )


def _pooled(found: Sequence[Candidates], popularity: Popularity, *, asks: Asks, size: int) -> Pool:
    """Each product once a request, without those of its context."""
    rows = np.concatenate([np.repeat(np.arange(asks.count), np.diff(each.starts)) for each in found])
    products = np.concatenate([each.products for each in found])
    span = 1 + max(int(products.max(initial=0)), int(asks.context.max(initial=0)))
    keys, place = np.unique(rows * span + products, return_inverse=True)
    scores = np.zeros((len(found), len(keys)))
    places = np.full(scores.shape, size)
    start = 0
    for source, each in enumerate(found):
        there = place[start : start + len(each.products)]
        scores[source, there] = each.scores
        places[source, there] = np.arange(len(each.products)) - np.repeat(each.starts[:-1], np.diff(each.starts))
        start += len(each.products)
    scores[-1] = popularity.shares(keys % span)
    if len(asks.context):
        kept = ~np.isin(keys, asks.context_rows * span + asks.context)
        keys, scores, places = keys[kept], scores[:, kept], places[:, kept]
    pool_rows = keys // span
    return Pool(np.searchsorted(pool_rows, np.arange(asks.count + 1)), pool_rows, keys % span, scores, places)


def _ordered(pool: Pool, parts: Floats, *, size: int) -> Ranking:
    """Best first by the sum of the parts; of equals, the lower number."""
    count = len(pool.starts) - 1
    found = base.best(pool.rows, np.arange(len(pool.rows)), parts.sum(axis=0), count=count, size=size)
    order = found.products
    return Ranking(found.starts, pool.products[order], found.scores, parts[:, order].argmax(axis=0))
