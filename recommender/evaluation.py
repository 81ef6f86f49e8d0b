"""How good is a model: what is set aside, what was shown against it, and the figures of that. Pure."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recommender.algorithms import base
from recommender.algorithms.base import DAY, Asks, Flags, Floats, Interactions, Ints, Kind
from recommender.model import RECENT, SIZE, Model, Pool, Ranking

SERVED = "served"

MANY = 512
"""Requests asked at once."""


@dataclass(frozen=True, slots=True)
class Trial:
    """What a model may be fitted on, the requests it is then asked, and the products each customer went on to.

    Those of request r begin at `truth_starts[r]`, each once and in order. `channels` is where the order foretold came
    from, -1 if nobody says; `hot` whether the customer did anything in what is known; `customers` whose request it is.
    """

    known: Interactions
    asks: Asks
    truth_starts: Ints
    truths: Ints
    channels: Ints
    hot: Flags
    customers: Ints
    split: str

    @property
    def count(self) -> int:
        """How many requests there are."""
        return self.asks.count

    def truth_rows(self) -> Ints:
        """The request of each truth."""
        return np.repeat(np.arange(self.count), np.diff(self.truth_starts))


@dataclass(frozen=True, slots=True)
class Shown:
    """The lists each algorithm gave to every request of a trial: a row a request, -1 where a list ends; and which of
    it was true. `proposed[t, s]`: the served model's source s proposed truth t."""

    lists: Mapping[str, Ints]
    hits: Mapping[str, Flags]
    proposed: Flags
    sources: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Score:
    """The figures of one algorithm; `figures` is keyed as `recall@10`."""

    algorithm: str
    figures: Mapping[str, float]
    users: int
    fit_seconds: float = 0.0


# ------------------------------------------------------------------------------------------ what is set aside
def by_time(interactions: Interactions, *, days: float, most: int | None = None, seed: int = 0) -> Trial:
    """The last days are set aside: no leak from the future."""
    last = int(interactions.times[-1]) if len(interactions.times) else 0
    return since(interactions, int(last - days * DAY) + 1, most=most, seed=seed)


def since(interactions: Interactions, cutoff: int, *, most: int | None = None, seed: int = 0) -> Trial:
    """What came at `cutoff` or later is set aside."""
    later = interactions.times >= cutoff
    wanted = _wanted(interactions, later)
    customers = _drawn(base.distinct(interactions.customers[wanted]), most=most, seed=seed)
    moments = np.full(len(customers), cutoff)
    return _trial(interactions, ~later, wanted, customers=customers, moments=moments, split="time")


def by_mark(interactions: Interactions, marked: Flags, *, most: int | None = None, seed: int = 0) -> Trial:
    """The rows marked are set aside; the others are known."""
    wanted = _wanted(interactions, marked)
    customers = _drawn(base.distinct(interactions.customers[wanted]), most=most, seed=seed)
    moments = _first(interactions, wanted)[customers]
    return _trial(interactions, ~marked, wanted, customers=customers, moments=moments, split="set")


def by_last_basket(
    interactions: Interactions, baskets: Ints | None = None, *, most: int | None = None, seed: int = 0
) -> Trial:
    """Each customer's last order is set aside, and what she did since; of one with a single order, nothing.

    :param baskets: the number of each row's basket, counted up over time; else an order is what happened at one moment
    """
    baskets = interactions.times if baskets is None else baskets
    orders = interactions.kinds == (Kind.ORDER if (interactions.kinds == Kind.ORDER).any() else Kind.VIEW)
    last = np.full(interactions.customer_count, np.iinfo(np.int64).min)
    np.maximum.at(last, interactions.customers[orders], baskets[orders])
    truth = orders & (baskets == last[interactions.customers])
    began = _first(interactions, truth)
    known = interactions.times < began[interactions.customers]
    ordered_before = np.zeros(interactions.customer_count, bool)
    ordered_before[interactions.customers[known & orders]] = True
    truth &= ordered_before[interactions.customers]
    customers = _drawn(base.distinct(interactions.customers[truth]), most=most, seed=seed)
    kept = known | ~ordered_before[interactions.customers]
    return _trial(interactions, kept, truth, customers=customers, moments=began[customers], split="last-basket")


def by_next_click(interactions: Interactions, marked: Flags, *, most: int | None = None, seed: int = 0) -> Trial:
    """Visits instead of customers: each click after the first of a marked visit is foretold from those before it."""
    order = np.argsort(interactions.customers, kind="stable")
    customers = interactions.customers[order]
    begins = np.searchsorted(customers, customers)
    ends = np.flatnonzero(marked[order] & (np.arange(len(order)) > begins))
    ends = ends[base.distinct(_drawn(np.arange(len(ends)), most=most, seed=seed))]
    asks = _histories(interactions, order, begins=begins[ends], ends=ends, moments=interactions.times[order[ends]])
    return Trial(
        known=interactions.where(~marked),
        asks=asks,
        truth_starts=np.arange(len(ends) + 1),
        truths=interactions.products[order[ends]],
        channels=_channels(interactions, order[ends]),
        hot=np.zeros(len(ends), bool),
        customers=interactions.customers[order[ends]],
        split="next-click",
    )


def late_visits(interactions: Interactions, days: float) -> Flags:
    """The rows of visits that began in the last days."""
    began = _first(interactions, np.ones(len(interactions.times), bool))
    late: Flags = began[interactions.customers] > interactions.times[-1:].sum() - days * DAY
    return late


def _wanted(interactions: Interactions, later: Flags) -> Flags:
    """What must be foretold is the order; where nothing is ever ordered, whatever was done."""
    orders = later & (interactions.kinds == Kind.ORDER)
    return orders if orders.any() else later


def _first(interactions: Interactions, rows: Flags) -> Ints:
    """When the first of these rows happened, by customer."""
    first = np.full(interactions.customer_count, np.iinfo(np.int64).max)
    np.minimum.at(first, interactions.customers[rows], interactions.times[rows])
    return first


def _drawn(values: Ints, *, most: int | None, seed: int) -> Ints:
    """All of them, or `most` by lot, in order."""
    if most is None or len(values) <= most:
        return values
    return np.sort(np.random.default_rng(seed).choice(values, most, replace=False))


def _trial(
    interactions: Interactions, known: Flags, wanted: Flags, *, customers: Ints, moments: Ints, split: str
) -> Trial:
    """One request for each of these customers, of whom everything wanted is the truth."""
    order = np.flatnonzero(known)
    order = order[np.argsort(interactions.customers[order], kind="stable")]
    hers = interactions.customers[order]
    begins, ends = np.searchsorted(hers, customers), np.searchsorted(hers, customers, side="right")
    asked = np.zeros(interactions.customer_count, bool)
    asked[customers] = True
    truth = np.flatnonzero(wanted & asked[interactions.customers])
    span = max(interactions.product_count, 1)
    keys, first = np.unique(interactions.customers[truth] * span + interactions.products[truth], return_index=True)
    truth_starts = np.searchsorted(keys // span, np.append(customers, interactions.customer_count))
    return Trial(
        known=interactions.where(known),
        asks=_histories(interactions, order, begins=begins, ends=ends, moments=moments),
        truth_starts=truth_starts,
        truths=keys % span,
        channels=_channels(interactions, truth[first[truth_starts[:-1]]]),
        hot=ends > begins,
        customers=customers,
        split=split,
    )


def _channels(interactions: Interactions, rows: Ints) -> Ints:
    return interactions.channels[rows] if len(interactions.channels) else np.full(len(rows), -1)


def _histories(interactions: Interactions, order: Ints, *, begins: Ints, ends: Ints, moments: Ints) -> Asks:
    """The latest of the rows `order[begin:end]` of each request."""
    begins = np.maximum(begins, ends - RECENT)
    counts = ends - begins
    starts = base.offsets(counts)
    rows = order[np.arange(starts[-1]) + np.repeat(begins - starts[:-1], counts)]
    return Asks.of(
        starts,
        products=interactions.products[rows],
        kinds=interactions.kinds[rows],
        ages=(np.repeat(moments, counts) - interactions.times[rows]) / DAY,
        moments=moments,
    )


# --------------------------------------------------------------------------------------------- what was shown
def ask(model: Model, trial: Trial, *, longest: int, step: Callable[[int], None] = lambda done: None) -> Shown:
    """Every algorithm, and what would be served, asked all of a trial by the code that serves.

    :param longest: how many products of each list count
    :param step: told how many requests are done
    """
    lists: dict[str, list[Ints]] = {}
    proposed = []
    for first in range(0, trial.count, MANY):
        last = min(first + MANY, trial.count)
        part = trial.asks.part(first, last)
        pool = model.propose(part)
        for name, ranking in model.alone(part, pool, size=longest).items():
            lists.setdefault(name, []).append(_rectangle(ranking.starts, ranking.products, longest))
        served = model.ranked(part, pool, size=longest)
        lists.setdefault(SERVED, []).append(_rectangle(served.starts, served.products, longest))
        proposed.append(_proposed(pool, trial, first=first, last=last))
        step(last)
    names = {name: np.concatenate(parts) for name, parts in lists.items()}
    names = names or {SERVED: np.zeros((0, longest), np.int64)}
    hits = {name: hit(found, trial) for name, found in names.items()}
    flags = np.concatenate([np.zeros((0, len(model.source_names)), bool), *proposed])
    return Shown(names, hits, flags, model.source_names)


def _rectangle(starts: Ints, products: Ints, width: int) -> Ints:
    """Lists laid end to end as rows of one width, -1 where a list ends."""
    counts = np.diff(starts)
    rows = np.repeat(np.arange(len(counts)), counts)
    place = np.arange(len(products)) - starts[rows]
    kept = place < width
    found = np.full((len(counts), width), -1, np.int64)
    found[rows[kept], place[kept]] = products[kept]
    return found


def _proposed(pool: Pool, trial: Trial, *, first: int, last: int) -> Flags:
    """Which source proposed which truth of these requests."""
    truths = trial.truths[trial.truth_starts[first] : trial.truth_starts[last]]
    rows = np.repeat(np.arange(last - first), np.diff(trial.truth_starts[first : last + 1]))
    span = 1 + max(int(pool.products.max(initial=0)), int(truths.max(initial=0)))
    keys, wanted = pool.rows * span + pool.products, rows * span + truths
    places = np.minimum(np.searchsorted(keys, wanted), max(len(keys) - 1, 0))
    there = keys[places] == wanted if len(keys) else np.zeros(len(wanted), bool)
    found: Flags = (
        there[:, None] & (pool.places[:, places] < SIZE).T
        if len(keys)
        else np.zeros((len(wanted), len(pool.places)), bool)
    )
    return found


def hit(shown: Ints, trial: Trial) -> Flags:
    """Which of the products shown were true."""
    span = 1 + max(int(shown.max(initial=0)), int(trial.truths.max(initial=0)))
    true = trial.truth_rows() * span + trial.truths
    keys = np.arange(trial.count)[:, None] * span + shown
    return np.isin(np.where(shown >= 0, keys, -1), true)


# --------------------------------------------------------------------------------------------------- figures
def scores(shown: Shown, trial: Trial, *, ks: Sequence[int], catalogue: int) -> list[Score]:
    """The figures of every algorithm asked."""
    sizes = np.diff(trial.truth_starts)
    return [
        Score(name, figures(found, shown.hits[name], sizes, ks=ks, catalogue=catalogue), trial.count)
        for name, found in shown.lists.items()
    ]


def figures(shown: Ints, hits: Flags, sizes: Ints, *, ks: Sequence[int], catalogue: int) -> dict[str, float]:
    """All figures of lists shown (a row a request, -1 where a list ends) and what of them was true.

    `ndcg@k` has its ideal over min(k, number of true products), `ndcg_all@k` over all true products.

    :param sizes: how many true products each request has
    :param catalogue: how many products could have been shown
    """
    found: dict[str, float] = {}
    for k in ks:
        found |= {f"{name}@{k}": _mean(values) for name, values in by_request(hits, sizes, k=k).items()}
        products = base.distinct(shown[:, :k].ravel())
        found[f"coverage@{k}"] = float(np.count_nonzero(products >= 0) / max(catalogue, 1))
    return found


def by_request(hits: Flags, sizes: Ints, *, k: int) -> dict[str, Floats]:
    """The figures of each request by name, those that are means over requests."""
    cut, first = hits[:, :k], np.argmax(hits[:, :k], axis=1)
    gains = cut @ discounts(cut.shape[1])
    any_hit = cut.max(axis=1, initial=False)
    return {
        "recall": cut.sum(axis=1) / sizes,
        "ndcg": gains / ideal(np.minimum(sizes, k)),
        "ndcg_all": gains / ideal(sizes),
        "mrr": any_hit / (first + 1),
        "hit_rate": any_hit.astype(np.float64),
    }


def ndcg(ranking: Ranking, trial: Trial, *, k: int = 10) -> float:
    """The mean NDCG@k of one ranking."""
    hits = hit(_rectangle(ranking.starts, ranking.products, k), trial)
    return _mean(hits @ discounts(k) / ideal(np.minimum(np.diff(trial.truth_starts), k)))


def discounts(length: int) -> NDArray[np.float64]:
    """What a hit at each place counts."""
    return np.asarray(1 / np.log2(np.arange(2, length + 2)))


def ideal(sizes: Ints) -> NDArray[np.float64]:
    """The greatest gain possible with so many true products."""
    return np.asarray(np.cumsum(discounts(int(sizes.max(initial=1))))[sizes - 1])


def _mean(values: NDArray[np.float64] | Flags) -> float:
    return float(values.mean()) if len(values) else 0.0
