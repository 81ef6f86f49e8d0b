"""The published thing: fitted algorithms, how they are blended, and the one map between shop ids and numbers. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from recommender import slate
from recommender.algorithms.als import Als
from recommender.algorithms.base import NOTHING, UNCATEGORISED, Ask, Flags, Floats, History, Ints
from recommender.algorithms.history import OwnHistory
from recommender.algorithms.popularity import Popularity

Blend = Mapping[str, float]
"""How much each algorithm counts, by name."""

RECENT = 500
"""How many of a customer's latest interactions are looked at."""

DEFAULT_BLEND: Blend = {"history": 1.0, "als": 0.2, "popularity": 0.01}
AROUND: Blend = {"history": 0.1, "als": 1.0, "popularity": 0.3}
"""The blend around a product or a basket: what goes with it matters more than who looks."""


SOURCES = (OwnHistory.name, Als.name, Popularity.name)


@dataclass(frozen=True, slots=True)
class Pool:
    """Everything proposed to one customer, each product once and in order. `shares[i]` are the scores of algorithm
    `SOURCES[i]`, which cannot be compared with another's, divided by its best."""

    products: Ints
    shares: Floats

    def ranked(self, blend: Blend, *, barred: Ints | None = None) -> "Ranking":
        """Best first; of equals, the lower number."""
        parts = self.shares * np.array([[blend.get(name, 0.0)] for name in SOURCES])
        scores = parts.sum(axis=0)
        wanted = scores > 0
        if barred is not None and len(self.products):
            places = np.minimum(np.searchsorted(self.products, barred), len(self.products) - 1)
            wanted[places[self.products[places] == barred]] = False
        kept = np.flatnonzero(wanted)
        order = kept[np.argsort(-scores[kept], kind="stable")]
        return Ranking(self.products[order], scores[order], parts[:, order].argmax(axis=0))


@dataclass(frozen=True, slots=True)
class Ranking:
    """Products best first, each with its score and the algorithm that did most for it, as its place in `SOURCES`."""

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
class Visit:
    """One request in numbers. Products the model does not know are numbered after the last it knows."""

    history: History
    context: Ints
    barred: Ints
    strangers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Model:
    """An immutable value: many requests may use one at once, and a new one takes its place in one step."""

    product_ids: tuple[str, ...]
    category_names: tuple[str, ...]
    popularity: Popularity
    history: OwnHistory
    als: Als
    blend: Blend
    numbers: Mapping[str, int] = field(repr=False)

    def propose(self, history: History, ask: Ask) -> Pool:
        """What every algorithm that serves this customer proposes. Popularity is asked about all of it, and so settles
        ties."""
        found = [self.history.candidates(history, ask), NOTHING, self.popularity.candidates(history, ask)]
        if history or len(ask.context):
            found[1] = self.als.candidates(history, ask)
        products, place = np.unique(np.concatenate([each.products for each in found]), return_inverse=True)
        shares = np.zeros((len(SOURCES), len(products)))
        shares[-1] = self.popularity.shares(products)
        start = 0
        for row, each in enumerate(found):
            end = start + len(each.products)
            if end > start:
                shares[row, place[start:end]] = each.scores / each.scores[0]
            start = end
        return Pool(products, shares)

    def rank(self, visit: Visit, ask: Ask) -> Ranking:
        """Best first, without what must not be shown, what is being looked at, and what was bought too lately."""
        barred = np.concatenate([self.history.just_bought(visit.history), visit.context, visit.barred])
        return self.propose(visit.history, ask).ranked(AROUND if len(ask.context) else self.blend, barred=barred)

    def varied(self, ranking: Ranking, n: int) -> Ranking:
        """The first `n` as they would be shown, were all of them for sale: not too many of one category."""
        products = ranking.products[: n * slate.AHEAD]
        categories = self.popularity.categories
        codes = np.full(len(products), UNCATEGORISED)
        known = products < len(categories)
        codes[known] = categories[products[known]]
        chosen = np.array(slate.spread(codes.tolist(), n), np.int64)
        return Ranking(products[chosen], ranking.scores[chosen], ranking.sources[chosen])

    def visit(self, past: Past, context: Sequence[str] = (), *, exclude: Sequence[str] = ()) -> Visit:
        """A customer's past, the products she is looking at and those not to show, in this model's numbers."""
        strangers: dict[str, int] = {}
        distinct = list(dict.fromkeys(past.product_ids))
        places = dict(zip(distinct, range(len(distinct)), strict=True))
        place = map(places.__getitem__, past.product_ids)
        history = History(
            products=self._numbered(distinct, strangers),
            place=np.fromiter(place, np.int64, len(past.product_ids)),
            kinds=np.array(past.kinds, np.int64),
            ages=np.array(past.ages, np.float64),
        )
        around, barred = self._numbered(context, strangers), self._numbered(exclude, strangers)
        return Visit(history, around, barred, tuple(strangers))

    def _numbered(self, product_ids: Sequence[str], strangers: dict[str, int]) -> Ints:
        numbers = list(map(self.numbers.get, product_ids))
        if None in numbers:
            for place, product_id in enumerate(product_ids):
                if numbers[place] is None:
                    numbers[place] = strangers.setdefault(product_id, len(self.product_ids) + len(strangers))
        return np.array(numbers, np.int64)

    def names(self, products: Ints, visit: Visit) -> list[str]:
        """The shop's own ids of these numbers."""
        count = len(self.product_ids)
        return [
            self.product_ids[number] if number < count else visit.strangers[number - count]
            for number in products.tolist()
        ]

    def within(self, category: str) -> Flags:
        """The products of a category path or below it."""
        below = f"{category} >"
        named = [name == category or name.startswith(below) for name in self.category_names]
        return np.append(np.array(named, bool), False)[self.popularity.categories]


def build(
    product_ids: tuple[str, ...],
    *,
    category_names: tuple[str, ...],
    popularity: Popularity,
    history: OwnHistory,
    als: Als,
    blend: Blend,
) -> Model:
    """A model of fitted algorithms."""
    numbers = {product_id: number for number, product_id in enumerate(product_ids)}
    return Model(product_ids, category_names, popularity, history, als, blend, numbers)
