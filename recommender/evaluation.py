"""How good is a model: what was shown to those it was tried on, and the figures of that. Pure."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recommender.algorithms import base
from recommender.algorithms.base import Flags, Floats, Ints
from recommender.model import Model, Ranking
from recommender.pool import Pool
from recommender.splits import Trial

SERVED = "served"

MANY = 512
"""Requests asked at once."""


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
        part = trial.part(first, last)
        pool = model.propose(part.asks)
        for name, ranking in model.alone(pool, size=longest).items():
            lists.setdefault(name, []).append(rectangle(ranking.starts, ranking.products, longest))
        served = model.ranked(part.asks, pool, size=longest)
        lists.setdefault(SERVED, []).append(rectangle(served.starts, served.products, longest))
        proposed.append(_proposed(pool, part))
        step(last)
    names = {name: np.concatenate(parts) for name, parts in lists.items()}
    names = names or dict.fromkeys((*model.source_names, SERVED), np.zeros((0, longest), np.int64))
    hits = {name: hit(found, trial) for name, found in names.items()}
    flags = np.concatenate([np.zeros((0, len(model.source_names)), bool), *proposed])
    return Shown(names, hits, flags, model.source_names)


def rectangle(starts: Ints, products: Ints, width: int) -> Ints:
    """Lists laid end to end as rows of one width, -1 where a list ends."""
    counts = np.diff(starts)
    rows = np.repeat(np.arange(len(counts)), counts)
    place = np.arange(len(products)) - starts[rows]
    kept = place < width
    found = np.full((len(counts), width), -1, np.int64)
    found[rows[kept], place[kept]] = products[kept]
    return found


def _proposed(pool: Pool, trial: Trial) -> Flags:
    """Which source proposed which truth of these requests."""
    span = 1 + max(int(pool.products.max(initial=0)), int(trial.truths.max(initial=0)))
    keys, asked = pool.rows * span + pool.products, trial.truth_rows() * span + trial.truths
    if not len(keys):
        return np.zeros((len(asked), len(pool.places)), bool)
    places = np.minimum(np.searchsorted(keys, asked), len(keys) - 1)
    found: Flags = (keys[places] == asked)[:, None] & (pool.places[:, places] < pool.size).T
    return found


def true(pool: Pool, trial: Trial) -> Flags:
    """Which of the products proposed each customer went on to."""
    span = 1 + max(int(pool.products.max(initial=0)), int(trial.truths.max(initial=0)))
    return np.isin(pool.rows * span + pool.products, trial.truth_rows() * span + trial.truths)


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
    hits = hit(rectangle(ranking.starts, ranking.products, k), trial)
    return _mean(hits @ discounts(k) / ideal(np.minimum(np.diff(trial.truth_starts), k)))


def discounts(length: int) -> NDArray[np.float64]:
    """What a hit at each place counts."""
    return np.asarray(1 / np.log2(np.arange(2, length + 2)))


def ideal(sizes: Ints) -> NDArray[np.float64]:
    """The greatest gain possible with so many true products."""
    return np.asarray(np.cumsum(discounts(int(sizes.max(initial=1))))[sizes - 1])


def _mean(values: NDArray[np.float64] | Flags) -> float:
    return float(values.mean()) if len(values) else 0.0
