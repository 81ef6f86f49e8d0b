"""What a model should be made of, found by trying it on the last of what is known: never on what is set aside.

The last visits (or days, or clicks) of what is known are set apart, every algorithm is fitted on what came before, and
from what they propose the ranker learns which were wanted. Some customers are held out: by them it is decided how long
it learns, how trees are grown, which algorithms stay, and whether the ranker, a blend or a simple answer is best.
"""

import itertools
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from recommender import evaluation, features, model, ranker, splits
from recommender import pool as pools
from recommender.algorithms import base
from recommender.algorithms.base import Algorithm, Flags, Interactions, Ints
from recommender.algorithms.local import Local
from recommender.facts import Facts
from recommender.gate import Level
from recommender.model import Blend, Model
from recommender.pool import Pool
from recommender.ranker import Cases, Ranker, Settings
from recommender.splits import Trial, Way

FEWEST = 60
"""Requests without which nothing is learned."""

FEWEST_RANKED = 400
"""Requests without which no ranker is grown: it would learn its customers by heart."""

MOST = 14_000
"""Requests learned from; more take longer than they help."""

MOST_JUDGED = 1_500
JUDGED = 0.15
"""The share of customers held out."""

BESIDE = 80
"""Products proposed but not wanted that are learned from, a request."""

LATEST = 6
"""Visits of each customer foretold, at most…"""

OF_LATEST = 6
"""…and one in so many of what she made: what the algorithms are fitted on must stay close to all there is."""

MANY = 256
FIRST = 20
"""Places of a list by which an algorithm is trusted."""

SMALL = 0.01
"""An algorithm that did less than this share for the ranker is left out: each costs every answer a part of its time."""

TREES = (Settings(), Settings(leaves=63, rate=0.06, smallest=50, features=0.4), Settings(leaves=15, smallest=200))
"""How trees are grown, tried one after the other while there is time."""

GROWING, LAST_GROWN = 0.7, 0.95
"""Shares of the time for choosing after which no other way is tried, and after which trees stop growing."""

ASKING = 0.4
"""The share of the time for choosing after which no more requests are taken to learn from."""

FORESTS = 2
"""Forests of other seeds whose sum is taken, if there is time: each errs in its own way."""


@dataclass(frozen=True, slots=True)
class Choice:
    """What was found best: which algorithms, how blended, and the ranker if one is. `why` is a sentence."""

    level: Level
    why: str
    kinds: tuple[type[Algorithm], ...]
    blend: Blend
    trust: Blend = field(default_factory=dict)
    ranker: Ranker | None = None
    found: dict[str, float] = field(default_factory=dict)


class Clock:
    """How much of the time allowed has gone."""

    def __init__(self, budget: float) -> None:
        self._began, self._budget = time.monotonic(), budget

    def gone(self) -> float:
        """The share of it that has gone."""
        return (time.monotonic() - self._began) / self._budget


def choose(known: Interactions, way: Way, *, days: float, seed: int, clock: Clock) -> Choice:
    """What a model of these interactions should be made of.

    :param way: how it will be asked
    :param days: how far ahead it is asked, where that is a matter of days
    """
    inner = apart(known, way, days=days, seed=seed)
    if inner.count < FEWEST:
        return _simple(known, inner)
    tried = Tried.of(inner, seed=seed, clock=clock)
    blend, figures = tried.blended()
    if inner.count < FEWEST_RANKED or not tried.learned.wanted.any():
        return _of_blend(tried, blend, figures, why=f"only {inner.count:,} requests to learn a ranker from")
    tried, grown = tried.grown(seed=seed, clock=clock)
    if not grown.forests:
        return _of_blend(tried, blend, figures, why="no time to grow a ranker")
    figures["ranker"] = tried.judge(grown)
    if figures["ranker"] <= figures["blend"]:
        return _of_blend(tried, blend, figures, why="the ranker did no better than the blend on customers held out")
    why = f"NDCG@10 {figures['ranker']:.4f} on customers held out, against {figures['blend']:.4f} of the blend"
    return Choice(Level.RANKER, f"The ranker: {why}.", tried.kinds, blend, tried.model.trust, grown, figures)


def _simple(known: Interactions, inner: Trial) -> Choice:
    """Too little to try anything on: what a customer does often if anybody does anything twice, else what all want."""
    why = f"only {inner.count:,} requests to learn from"
    again = Facts.fit(known).again_ever[-1] > 0
    level = Level.FREQUENCY if again else Level.POPULARITY
    return Choice(level, f"{level.capitalize()}: {why}.", model.ALGORITHMS, SIMPLE[level])


SIMPLE: Mapping[Level, Blend] = {
    Level.FREQUENCY: {"frequency": 1.0, "seen": 0.5, "popularity": model.TIE},
    Level.POPULARITY: {"popularity": 0.5, "seen": 1.0},
}
"""The blends of simple answers. What a visitor just looked at counts in each, whatever a shop's past says of it."""


def lowered(choice: Choice, level: Level) -> Choice:
    """The same choice at a lower level."""
    ranked = choice.ranker if level is Level.RANKER else None
    return replace(choice, level=level, ranker=ranked, blend=SIMPLE.get(level, choice.blend))


def _of_blend(tried: "Tried", blend: Blend, figures: dict[str, float], *, why: str) -> Choice:
    best = max(figures["blend"], figures["frequency"], figures["popularity"])
    if figures["blend"] == best:
        return Choice(Level.BLEND, f"A blend: {why}.", tried.kinds, blend, found=figures)
    level = Level.FREQUENCY if figures["frequency"] == best else Level.POPULARITY
    reason = f"{level.capitalize()}: {why}, and no blend did better on what was known"
    return Choice(level, f"{reason}.", tried.kinds, SIMPLE[level], found=figures)


def apart(known: Interactions, way: Way, *, days: float, seed: int) -> Trial:
    """The last of what is known, set apart in the way in which the model will be asked.

    Where the last days hold too few orders, or nearly all there is, each customer's last visits are taken instead.
    """
    most = int(MOST / (1 - JUDGED))
    if way is Way.NEXT_CLICK:
        return splits.by_next_click(known, _last_visits(known), most=most, seed=seed)
    if way is Way.TIME and len(known.times):
        late = splits.by_time(known, days=days, most=most, seed=seed)
        if late.count >= FEWEST_RANKED and len(late.known.times) > len(known.times) / 2:
            return late
    return splits.by_latest(known, _how_many(known), most=most, seed=seed)


def _last_visits(known: Interactions) -> Flags:
    """The rows of the last quarter of visits."""
    began = np.full(known.customer_count, np.iinfo(np.int64).max)
    np.minimum.at(began, known.customers, known.times)
    there = began[began < np.iinfo(np.int64).max]
    if not len(there):
        return np.zeros(0, bool)
    late: Flags = began[known.customers] >= np.sort(there)[len(there) * 3 // 4]
    return late


def _how_many(known: Interactions) -> int:
    """How many visits of each customer may be set apart."""
    wanted = splits.wanted(known)
    visits = base.distinct(known.visits()[wanted])
    customers = base.distinct(known.customers[wanted])
    return int(np.clip(len(visits) // max(len(customers), 1) // OF_LATEST, 1, LATEST))


# ------------------------------------------------------------------------------------------------- the trial
@dataclass(frozen=True, slots=True)
class Tried:
    """Algorithms fitted on what came before, and what they proposed, as rows for the ranker."""

    inner: Trial
    model: Model
    kinds: tuple[type[Algorithm], ...]
    learned: Cases
    judged: Cases
    pools: tuple[tuple[Pool, Trial], ...]

    @classmethod
    def of(cls, inner: Trial, *, seed: int, clock: Clock) -> "Tried":
        """Fits every algorithm and asks those of use; takes as many requests as there is time for."""
        held_out = _held_out(inner.customers, seed=seed)
        fitted = _of_use(fitted_model(inner.known, model.ALGORITHMS, blend=model.DEFAULT_BLEND, seed=seed), inner)
        fitted = replace(fitted, trust=_trust(fitted, inner))
        rng = np.random.default_rng(seed)
        learned: list[Cases] = []
        judged: list[Cases] = []
        kept: list[tuple[Pool, Trial]] = []
        began = clock.gone()
        for first in range(0, inner.count, MANY):
            part = inner.part(first, min(first + MANY, inner.count))
            judge = held_out[first : first + MANY]
            pool = fitted.promising(fitted.propose(part.asks))
            wanted = evaluation.true(pool, part)
            learned.append(_cases(fitted, part, pool, wanted, kept=_some(pool, wanted, rng) & ~judge[pool.rows]))
            if judge.any() and len(judged) * MANY * JUDGED < MOST_JUDGED:
                judged.append(_cases(fitted, part, pool, wanted, kept=judge[pool.rows]))
                kept.append((pool.where(judge[pool.rows]), part))
            if clock.gone() - began > ASKING:
                break
        kinds = tuple(type(source) for source in fitted.sources)
        return cls(inner, fitted, kinds, ranker.joined(learned), ranker.joined(judged), tuple(kept))

    def blended(self) -> tuple[Blend, dict[str, float]]:
        """The best blend on customers held out, and what it and simple answers found: NDCG@10."""
        names = set(self.model.source_names)
        first = [{name: 1.0} for name in ("history", "seen", "sessions", "frequency", "bm25", "kin")]
        beside: list[Blend] = [
            {"bm25": 0.3},
            {"kin": 0.5},
            {"bm25": 0.3, "sessions": 0.5},
            {"als": 0.2},
            {"lately": 0.1},
            {},
        ]
        blends = [
            {**second, **one, "popularity": share}
            for one, second, share in itertools.product(first, beside, (0.003, 0.05))
            if names >= {*one, *second}
        ]
        figures = [self._judged_blend(blend) for blend in blends]
        best = int(np.argmax(figures))
        found = {str(level): self._judged_blend(blend) for level, blend in SIMPLE.items()}
        return blends[best], {"blend": figures[best], **found}

    def _judged_blend(self, blend: Blend) -> float:
        found = [self._ndcg(pool, part, (pool.shares * self._column(blend)).sum(axis=0)) for pool, part in self.pools]
        return float(np.concatenate(found).mean())

    def _column(self, blend: Blend) -> base.Floats:
        return np.array([[blend.get(name, 0.0)] for name in self.model.source_names])

    def _ndcg(self, pool: Pool, part: Trial, scores: base.Floats) -> base.Floats:
        """Of each request held out."""
        starts, order = pools.best(pool, scores, size=10)
        found = evaluation.by_request(
            evaluation.hit(evaluation.rectangle(starts, pool.products[order], 10), part),
            np.diff(part.truth_starts),
            k=10,
        )["ndcg"]
        return found[np.diff(pool.starts) > 0]

    def judge(self, grown: Ranker) -> float:
        """The ranker's NDCG@10 of the same requests."""
        scores = grown.scores(self.judged.rows)
        ends = np.cumsum([len(pool.rows) for pool, _ in self.pools])[:-1]
        parts = zip(self.pools, np.split(scores, ends), strict=True)
        return float(np.concatenate([self._ndcg(pool, part, found) for (pool, part), found in parts]).mean())

    def slimmer(self, grown: Ranker) -> "Tried":
        """Without the algorithms that did little for these trees."""
        gains = ranker.importance(grown)
        names = features.names(self.model.source_names)
        by_source = dict.fromkeys(self.model.source_names, 0.0)
        for name, gain in zip(names, gains.tolist(), strict=True):
            if ":" in name:
                by_source[name.split(":")[1]] += gain
        kept = [
            source
            for source in self.model.sources
            if _is_needed(source, self.inner.known) or by_source[source.name] >= SMALL
        ]
        if len(kept) == len(self.model.sources):
            return self
        places = np.array([source in kept for source in self.model.sources])
        slim = replace(self.model, sources=tuple(kept))
        return replace(
            self,
            model=slim,
            kinds=tuple(type(source) for source in kept),
            learned=replace(self.learned, rows=features.without(self.learned.rows, places)),
            judged=replace(self.judged, rows=features.without(self.judged.rows, places)),
            pools=tuple((pool.of_sources(places), part) for pool, part in self.pools),
        )

    def grown(self, *, seed: int, clock: Clock) -> tuple["Tried", Ranker]:
        """The best trees there was time to grow, and what they were grown on."""
        first, took = self._grown(TREES[0], seed=seed, clock=clock)
        slim = self.slimmer(first[1]) if first[1].forests else self
        best, settings = (first, TREES[0]) if slim is self else ((-1.0, Ranker.of([])), TREES[0])
        for each in TREES[1:] if slim is self else TREES:
            if clock.gone() + took > GROWING:
                break
            found, took = slim._grown(each, seed=seed, clock=clock)
            if found[0] > best[0]:
                best, settings = found, each
        if not best[1].forests:
            return self, first[1]
        texts = list(best[1].texts)
        for number in range(1, FORESTS):
            if clock.gone() + took > LAST_GROWN:
                break
            texts += slim._grown(settings, seed=seed + number, clock=clock)[0][1].texts
        return slim, Ranker.of(texts)

    def _grown(self, settings: Settings, *, seed: int, clock: Clock) -> tuple[tuple[float, Ranker], float]:
        """Trees and how well they do, and the share of the time they took."""
        began = clock.gone()
        if began > LAST_GROWN:
            return (-1.0, Ranker.of([])), 0.0
        found, figure = ranker.fit(
            self.learned,
            held_out=self.judged,
            settings=settings,
            seed=seed,
            go_on=lambda: clock.gone() < LAST_GROWN,
        )
        return (figure, found), clock.gone() - began


def _trust(fitted: Model, inner: Trial) -> Blend:
    """How often what was wanted stood among the first of each algorithm's list, in a few of the requests."""
    few = inner.part(0, min(2 * MANY, inner.count))
    pool = fitted.propose(few.asks)
    right = (pool.places[:, evaluation.true(pool, few)] < FIRST).sum(axis=1) / max(len(few.truths), 1)
    return dict(zip(fitted.source_names, (right + 0.01).tolist(), strict=True))


def _held_out(customers: Ints, *, seed: int) -> Flags:
    """Which requests are of customers held out."""
    lot = np.random.default_rng(seed).random(int(customers.max(initial=-1)) + 1) < JUDGED
    flags: Flags = lot[customers]
    return flags


def _some(pool: Pool, wanted: Flags, rng: np.random.Generator) -> Flags:
    """All that was wanted, and by lot some beside it, of requests where anything proposed was wanted."""
    counts = np.diff(pool.starts)[pool.rows]
    asked = np.bincount(pool.rows[wanted], minlength=len(pool.starts) - 1)[pool.rows] > 0
    return asked & (wanted | (rng.random(len(wanted)) < BESIDE / np.maximum(counts, 1)))


def _cases(fitted: Model, part: Trial, pool: Pool, wanted: Flags, *, kept: Flags) -> Cases:
    if fitted.facts is None:
        raise AssertionError("a model to learn from has facts")
    counts = np.bincount(pool.rows[kept], minlength=part.count)
    return Cases(features.matrix(part.asks, pool.where(kept), fitted.facts), wanted[kept], counts[counts > 0])


def fitted_model(
    data: Interactions,
    kinds: Sequence[type[Algorithm]],
    *,
    blend: Blend,
    seed: int,
    seconds: dict[str, float] | None = None,
    trust: Blend | None = None,
    grown: Ranker | None = None,
    facts: bool = True,
) -> Model:
    """These algorithms, fitted; `seconds` is told how long each took."""
    sources = []
    for kind in kinds:
        watch = time.monotonic()
        sources.append(kind.fit(data, seed=seed))
        if seconds is not None:
            seconds[kind.name] = time.monotonic() - watch
    return model.build(
        data.product_ids,
        category_names=data.category_names,
        categories=data.categories,
        sources=sources,
        blend=blend,
        trust=trust,
        store_names=data.store_names,
        channel_names=data.channel_names,
        facts=Facts.fit(data) if facts else None,
        ranker=grown,
    )


def _of_use(fitted: Model, inner: Trial) -> Model:
    """Without the algorithms that propose nothing to a few of the requests."""
    few = inner.asks.part(0, min(MANY, inner.count))
    useful = [
        source
        for source in fitted.sources
        if _is_needed(source, inner.known) or len(source.candidates(few, size=1).products) > 0.02 * few.count
    ]
    return replace(fitted, sources=tuple(useful))


def _is_needed(source: Algorithm, known: Interactions) -> bool:
    """Whether it stays whatever it did: where there are stores, people ask what is wanted in theirs."""
    return type(source) in model.ALWAYS or isinstance(source, Local) and len(known.stores) > 0
