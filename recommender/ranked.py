"""What a model ranks for many requests, each product with what is known of it and her: for slates and their reasons.
Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from recommender import reasons
from recommender.algorithms import base
from recommender.algorithms.base import DAY, Asks, Flags, Floats, Ints, Kind
from recommender.model import Model, Ranking
from recommender.placements import Arm, Mode
from recommender.reasons import Done
from recommender.slate import Choices

SIZE = 100
"""Products ranked for a request, more if it wants many: some are not for sale, some too much of one thing."""

AHEAD = 3
"""Times as many products are ranked as are wanted."""

POPULAR = frozenset({"popularity"})
ABOUT: Mapping[Mode, frozenset[str]] = {
    Mode.SIMILAR: frozenset({"als", "bm25", "follows", "sessions", "viewed"}),
    Mode.TOGETHER: frozenset({"together", "als"}),
    Mode.TRENDING: frozenset({"lately", "local", "popularity"}),
    Mode.WIN_BACK: frozenset({"history", "frequency"}),
}
"""The algorithms whose products come first where a slate is about something."""

VIEWED_DAYS = 30
KINDS = tuple(Kind)


@dataclass(frozen=True, slots=True)
class Pasts:
    """What customers did, by number of product, those of request r from `starts[r]`; in any order. `times` are
    microseconds since 1970. `stores` and `channels` are where each is, as the model numbers them; -1 if that says
    nothing."""

    starts: Ints
    products: Ints
    times: Ints
    kinds: Ints
    stores: Ints
    channels: Ints

    def asks(self, contexts: Sequence[Ints], *, moment: int) -> Asks:
        """The requests of these customers at this moment."""
        count = len(self.starts) - 1
        return Asks.of(
            self.starts,
            products=self.products,
            kinds=self.kinds,
            ages=np.maximum(moment - self.times, 0) / DAY,
            moments=np.full(count, moment),
            contexts=contexts,
            stores=self.stores,
            channels=self.channels,
        )


@dataclass(frozen=True, slots=True)
class Known:
    """What customers did with each product they touched, a pair of a request and a product after another; the last
    entry, which -1 finds, stands for what was never touched.

    `first` and `last` are days since the first and the last order, 0 and infinite without one; `since` since anything.
    `orders` counts days with an order and `every` is their mean distance, 0 for fewer than two. `views` are of 30 days.
    """

    first: Floats
    last: Floats
    orders: Ints
    every: Floats
    since: Floats
    strongest: Ints
    views: Ints

    @classmethod
    def of(cls, asks: Asks) -> "Known":
        """From the histories of these requests."""
        count = len(asks.pairs) + 1
        ordered = asks.kinds == Kind.ORDER
        place, ages = asks.place[ordered], asks.ages[ordered]
        first, last, since = np.zeros(count), np.full(count, np.inf), np.full(count, np.inf)
        np.maximum.at(first, place, ages)
        np.minimum.at(last, place, ages)
        np.minimum.at(since, asks.place, asks.ages)
        span = int(ages.max(initial=0)) + 1
        days = base.distinct(place * span + ages.astype(np.int64))
        orders = np.bincount(days // span, minlength=count)
        gaps = np.floor(first) - np.floor(np.where(orders > 0, last, 0))
        seen = (asks.kinds == Kind.VIEW) & (asks.ages <= VIEWED_DAYS)
        return cls(
            first=first,
            last=last,
            orders=orders,
            every=np.where(orders > 1, gaps / np.maximum(orders - 1, 1), 0.0),
            since=since,
            strongest=np.append(asks.strongest(), -1),
            views=np.bincount(asks.place[seen], minlength=count),
        )

    def done(self, pair: int) -> Done:
        """What reasons are made of."""
        if pair < 0:
            return reasons.NOTHING_DONE
        return Done(
            orders=int(self.orders[pair]),
            every=float(self.every[pair]),
            since=float(self.since[pair]),
            strongest=KINDS[self.strongest[pair]],
            views=int(self.views[pair]),
        )


@dataclass(frozen=True, slots=True)
class Ranked:
    """The products of one request, best first, in parallel arrays: what slates are chosen from; the score; the place
    among `names` of the algorithm that did most for it; its pair in `known`. `own` are all products she touched."""

    choices: Choices
    scores: NDArray[np.float32]
    sources: Ints
    pairs: Ints
    names: tuple[str, ...]
    own: Ints
    known: Known

    def followed(self, rest: Ints, *, wanted: Flags) -> "Ranked":
        """The same, and after it whatever else there is: `rest`, which come as popular if `wanted`, else as new."""
        new = ~np.isin(rest, self.choices.products)
        rest, popular = rest[new], wanted[new]
        count = len(rest)
        nothing = np.zeros(count)
        longer = Choices(
            np.append(self.choices.products, rest),
            np.append(self.choices.last_ages, nothing + np.inf),
            np.append(self.choices.first_ages, nothing),
            np.append(self.choices.days, nothing.astype(np.int64)),
            np.append(self.choices.shown, nothing > 0),
        )
        return replace(
            self,
            choices=longer,
            scores=np.append(self.scores, np.zeros(count, np.float32)),
            sources=np.append(self.sources, np.where(popular, len(self.names), len(self.names) + 1)),
            pairs=np.append(self.pairs, np.full(count, -1)),
            names=(*self.names, "popularity", "new"),
        )


def about(mode: Mode, arm: Arm | None) -> frozenset[str] | None:
    """The algorithms whose products come first; None if all count as the model weighs them."""
    return POPULAR if arm is Arm.POPULARITY else ABOUT.get(mode)


def rank(
    model: Model, asks: Asks, *, n: int, within: Flags | None = None, only: frozenset[str] | None = None
) -> list[Ranked]:
    """The products of each request, enough for `n` to be shown.

    :param only: what these algorithms propose comes first, all else only fills
    """
    size = max(SIZE, AHEAD * n)
    found = model.rank(asks, size=size, within=within)
    if only is None:
        return given(model, asks, found)
    rows = np.repeat(np.arange(asks.count), np.diff(found.starts))
    first = model.rank(asks, size=size, within=within, only=only)
    rows = np.append(np.repeat(np.arange(asks.count), np.diff(first.starts)), rows)
    products = np.append(first.products, found.products)
    kept = _first(rows, products)
    scores, sources = np.append(first.scores, found.scores), np.append(first.sources, found.sources)
    starts = np.searchsorted(rows[kept], np.arange(asks.count + 1))
    return given(model, asks, Ranking(starts, products[kept], scores[kept], sources[kept]))


def _first(rows: Ints, products: Ints) -> Ints:
    """By request, in the order given, each product once."""
    keys = rows * (int(products.max(initial=0)) + 1) + products
    _, places = np.unique(keys, return_index=True)
    places = np.sort(places)
    return places[np.argsort(rows[places], kind="stable")]


def given(model: Model, asks: Asks, found: Ranking) -> list[Ranked]:
    """Each request's part of a ranking, with what she did with each product."""
    rows = np.repeat(np.arange(asks.count), np.diff(found.starts))
    scores = found.scores.astype(np.float32)
    known, pair = Known.of(asks), _pairs(asks, rows, found.products)
    every = Choices(found.products, known.last[pair], known.first[pair], known.orders[pair], np.zeros(len(pair), bool))
    parts = [slice(*ends) for ends in zip(found.starts[:-1].tolist(), found.starts[1:].tolist(), strict=True)]
    owned = asks.pair_starts.tolist()
    return [
        Ranked(
            choices=Choices(
                every.products[part], every.last_ages[part], every.first_ages[part], every.days[part], every.shown[part]
            ),
            scores=scores[part],
            sources=found.sources[part],
            pairs=pair[part],
            names=model.source_names,
            own=asks.pairs[first:last],
            known=known,
        )
        for part, first, last in zip(parts, owned[:-1], owned[1:], strict=True)
    ]


def _pairs(asks: Asks, rows: Ints, products: Ints) -> Ints:
    """The pair of each product ranked, -1 if she never touched it."""
    if not len(asks.pairs):
        return np.full(len(products), -1)
    span = 1 + max(int(products.max(initial=0)), int(asks.pairs.max(initial=0)))
    keys, wanted = asks.pair_rows * span + asks.pairs, rows * span + products
    places = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    found: Ints = np.where(keys[places] == wanted, places, -1)
    return found
