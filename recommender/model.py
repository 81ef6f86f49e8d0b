"""The published thing: fitted algorithms, how they are blended, and the one map between shop ids and numbers. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from recommender.algorithms.als import Als
from recommender.algorithms.base import Ask, Candidates, Flags, Floats, History, Ints, Warmth
from recommender.algorithms.history import OwnHistory
from recommender.algorithms.popularity import Popularity

Blend = Mapping[str, float]
"""How much each algorithm counts, by name."""

RECENT = 500
"""How many of a customer's latest interactions are looked at."""

DEFAULT_BLEND: Blend = {"history": 1.0, "als": 0.2, "popularity": 0.01}
AROUND: Blend = {"history": 0.1, "als": 1.0, "popularity": 0.3}
"""The blend around a product or a basket: what goes with it matters more than who looks."""


@dataclass(frozen=True, slots=True)
class Ranking:
    """Products best first, each with its score and the name of the algorithm that did most for it."""

    products: Ints
    scores: Floats
    sources: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Past:
    """What one customer did, oldest first, with the shop's own product ids, as parallel lists. `ages` are in days."""

    product_ids: Sequence[str] = ()
    kinds: Sequence[int] = ()
    ages: Sequence[float] = ()


@dataclass(frozen=True, slots=True)
class Visit:
    """One request in numbers. Products the model does not know are numbered after the last it knows."""

    history: History
    context: Ints
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

    def propose(self, history: History, ask: Ask) -> dict[str, Candidates]:
        """What every algorithm that serves this customer proposes."""
        warmth = Warmth.WARM if history else Warmth.COLD
        return {
            algorithm.name: algorithm.candidates(history, ask)
            for algorithm in (self.history, self.als, self.popularity)
            if warmth in algorithm.serves or (len(ask.context) and algorithm is self.als)
        }

    def rank(self, history: History, ask: Ask) -> Ranking:
        """What would be shown, before stock and rules: blended, without what was bought too lately."""
        proposed = self.propose(history, ask)
        barred = np.concatenate([self.history.just_bought(history), ask.context])
        return self.combine(proposed, AROUND if len(ask.context) else self.blend, barred=barred)

    def combine(self, proposed: Mapping[str, Candidates], blend: Blend, *, barred: Ints | None = None) -> Ranking:
        """Every proposed product once. Scores of different algorithms cannot be compared, so each is first divided by
        that algorithm's best; popularity is asked about every product, and so settles ties."""
        sources = [name for name in proposed if blend.get(name) and len(proposed[name].products)]
        if not sources:
            return Ranking(np.zeros(0, np.int64), np.zeros(0), ())
        everything = np.concatenate([proposed[name].products for name in sources])
        products, place = np.unique(everything, return_inverse=True)
        shares = np.zeros((len(sources), len(products)))
        start = 0
        for row, name in enumerate(sources):
            found = proposed[name]
            end = start + len(found.products)
            shares[row, place[start:end]] = blend[name] * found.scores / found.scores[0]
            start = end
        if "popularity" in sources:
            row = sources.index("popularity")
            shares[row] = np.maximum(shares[row], blend["popularity"] * self.popularity.shares(products))
        kept = np.arange(len(products)) if barred is None else np.flatnonzero(~np.isin(products, barred))
        scores = shares.sum(axis=0)
        order = kept[np.lexsort((products[kept], -scores[kept]))]
        most = shares.argmax(axis=0)[order]
        return Ranking(products[order], scores[order], tuple(sources[row] for row in most))

    def visit(self, past: Past, context: Sequence[str] = ()) -> Visit:
        """A customer's past and the products she is looking at, in this model's numbers."""
        strangers: dict[str, int] = {}

        def number(product_id: str) -> int:
            known = self.numbers.get(product_id)
            return strangers.setdefault(product_id, len(self.product_ids) + len(strangers)) if known is None else known

        products = np.array([number(product_id) for product_id in past.product_ids], np.int64)
        around = np.array([number(product_id) for product_id in context], np.int64)
        history = History(products, np.array(past.kinds, np.int64), np.array(past.ages, np.float64))
        return Visit(history, around, tuple(strangers))

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
