"""The published thing: fitted algorithms, how they are ranked, and the one map between shop ids and numbers. Pure."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from recommender import features
from recommender import pool as pools
from recommender.algorithms import base
from recommender.algorithms.aisles import Aisles
from recommender.algorithms.als import Als
from recommender.algorithms.base import Algorithm, Arrays, Asks, Flags, Floats, Ints
from recommender.algorithms.bm25 import Bm25
from recommender.algorithms.follows import Follows
from recommender.algorithms.frequency import Frequency
from recommender.algorithms.fresh import Fresh
from recommender.algorithms.history import OwnHistory
from recommender.algorithms.kin import Kin
from recommender.algorithms.lately import Lately
from recommender.algorithms.local import Local
from recommender.algorithms.popularity import Popularity
from recommender.algorithms.seen import Seen
from recommender.algorithms.sessions import Sessions
from recommender.algorithms.together import BoughtTogether
from recommender.algorithms.viewed import ViewedTogether
from recommender.facts import Facts
from recommender.pool import Pool
from recommender.ranker import Ranker

ALGORITHMS: tuple[type[Algorithm], ...] = (
    OwnHistory, Frequency, Seen, BoughtTogether, ViewedTogether, Bm25, Als, Follows, Sessions, Kin, Aisles, Local,
    Fresh, Lately, Popularity,
)  # fmt: skip
"""Every algorithm there is. A model holds those that were of use to its shop, in this order."""

ALWAYS = (OwnHistory, Frequency, Popularity)
"""Those without which no model is."""

PARTNERS = ("together", "bm25", "viewed", "als")
"""Those that can tell what a product goes with, the first asked first."""

Blend = Mapping[str, float]
"""How much each algorithm counts, by name."""

RECENT = 500
"""How many of a customer's latest interactions are looked at."""

SIZE = 100
"""How many products each algorithm proposes."""

DEFAULT_BLEND: Blend = {"history": 1.0, "bm25": 0.3, "popularity": 0.01}
AROUND: Blend = {
    "together": 1.0,
    "bm25": 0.6,
    "viewed": 0.6,
    "sessions": 0.4,
    "als": 0.3,
    "history": 0.1,
    "popularity": 0.1,
}
"""The blend around a product or a basket: what goes with it matters more than who looks."""

CUT = 250
"""Products of a request that are looked at closely; the others are too far down every list to matter."""

TIE = 1e-6
"""How much popularity counts where it only settles ties."""


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
    """An immutable value: many requests may use one at once, and a new one takes its place in one step.

    A store or a channel is, in an ask, its place in `store_names` or `channel_names`.
    """

    product_ids: tuple[str, ...]
    category_names: tuple[str, ...]
    categories: Ints
    sources: tuple[Algorithm, ...]
    popularity: Popularity
    history: OwnHistory
    facts: Facts | None
    ranker: Ranker | None
    blend: Blend
    trust: Blend
    store_names: tuple[str, ...]
    channel_names: tuple[str, ...]
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
        return self.blended(pool, dict.fromkeys(only, 1.0), size=size)

    def propose(self, asks: Asks, *, within: Flags | None = None, size: int = SIZE) -> Pool:
        """What every algorithm proposes."""
        found = [source.candidates(asks, size=size, within=within) for source in self.sources]
        return pools.of(found, asks=asks, size=size, popularity=self.popularity)

    def promising(self, pool: Pool, *, size: int = CUT) -> Pool:
        """Without what is too far down the lists of the algorithms that are to be trusted."""
        if not len(pool.rows) or int(np.diff(pool.starts).max()) <= size:
            return pool
        trust = np.array([[self.trust.get(name, 1.0)] for name in self.source_names], np.float32)
        return pools.shortened(pool, trust, size=size)

    def ranked(self, asks: Asks, pool: Pool, *, size: int) -> Ranking:
        """The pool in the order in which it would be shown: as the ranker has it, and around a product as the blend
        for that has it."""
        if self.ranker is not None:
            pool = self.promising(pool, size=max(size, CUT))
        around = (np.diff(asks.context_starts) > 0)[pool.rows]
        blends = np.array([[blend.get(name, 0.0) for name in self.source_names] for blend in (self.blend, AROUND)])
        if self.ranker is None or self.facts is None or around.all():
            parts = pool.shares * blends[around.astype(np.int64)].T
            return _ordered(pool, parts.sum(axis=0), sources=parts.argmax(axis=0), size=size)
        scores = (pool.shares * blends[1][:, None]).sum(axis=0)
        hers = pool if not around.any() else pool.where(~around)
        scores[~around] = _between_0_and_1(self.ranker.scores(features.matrix(asks, hers, self.facts)))
        return _ordered(pool, scores, sources=pool.places.argmin(axis=0), size=size)

    def blended(self, pool: Pool, blend: Blend, *, size: int) -> Ranking:
        """The pool in the order of a blend; without what none of its algorithms speaks of."""
        parts = pool.shares * np.array([[blend.get(name, 0.0)] for name in self.source_names])
        scores = parts.sum(axis=0)
        kept = scores > 0
        return _ordered(pool.where(kept), scores[kept], sources=parts[:, kept].argmax(axis=0), size=size)

    def alone(self, pool: Pool, *, size: int) -> dict[str, Ranking]:
        """What each algorithm would show by itself; popularity settles ties, and fills what it leaves empty."""
        blends = {name: {Popularity.name: TIE, name: 1.0} for name in self.source_names}
        if self.ranker is not None:
            blends["blend"] = dict(self.blend)
        return {name: self.blended(pool, blend, size=size) for name, blend in blends.items()}

    def partners(self, products: Ints, among: Ints) -> Ints:
        """For each product, the one of `among` it goes with best; -1 where nothing can be said."""
        found = np.full(len(products), -1)
        by_name: dict[str, Any] = {source.name: source for source in self.sources}
        for name in PARTNERS:
            open_still = np.flatnonzero(found < 0)
            if name in by_name and len(open_still):
                found[open_still] = by_name[name].nearest(products[open_still], among)
        return found

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
            "trust": dict(self.trust),
            "category_names": list(self.category_names),
            "store_names": list(self.store_names),
            "channel_names": list(self.channel_names),
            "ranked": self.ranker is not None,
        }
        found: dict[str, NDArray[Any]] = {
            "product_ids": _packed(self.product_ids),
            "about": _packed(about),
            "categories": self.categories,
        }
        for source in self.sources:
            found |= {f"{source.name}/{name}": values for name, values in source.arrays().items()}
        for name, part in (("facts", self.facts), ("ranker", self.ranker)):
            if part is not None:
                found |= {f"{name}/{each}": values for each, values in part.arrays().items()}
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
        trust=about["trust"],
        store_names=tuple(about["store_names"]),
        channel_names=tuple(about["channel_names"]),
        facts=Facts.load(_of("facts", arrays)) if about["ranked"] else None,
        ranker=Ranker.load(_of("ranker", arrays)) if about["ranked"] else None,
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
    trust: Blend | None = None,
    store_names: tuple[str, ...] = (),
    channel_names: tuple[str, ...] = (),
    facts: Facts | None = None,
    ranker: Ranker | None = None,
) -> Model:
    """A model of fitted algorithms, in the order of `ALGORITHMS`.

    :param trust: how often each algorithm was right, for choosing what is looked at closely
    """
    numbers = {product_id: number for number, product_id in enumerate(product_ids)}
    by_kind: dict[type[Algorithm], Any] = {type(source): source for source in sources}
    return Model(
        product_ids,
        category_names,
        categories,
        tuple(sources),
        by_kind[Popularity],
        by_kind[OwnHistory],
        facts,
        ranker,
        blend,
        trust or {},
        store_names,
        channel_names,
        numbers,
    )


def _between_0_and_1(scores: Floats) -> Floats:
    return np.asarray(1 / (1 + np.exp(-scores)))


def _ordered(pool: Pool, scores: Floats, *, sources: Ints, size: int) -> Ranking:
    """Best first; of equals, the lower number."""
    starts, order = pools.best(pool, scores, size=size)
    return Ranking(starts, pool.products[order], scores[order], sources[order])
