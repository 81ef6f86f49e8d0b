"""How good is a model: what is set aside, the figures, and whether one model may replace another. Pure."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from recommender import slate
from recommender.algorithms.base import DAY, Ask, Flags, History, Interactions, Ints, Kind
from recommender.model import RECENT, Blend, Model

ALONE: Mapping[str, Blend] = {
    "popularity": {"popularity": 1.0},
    "history": {"history": 1.0, "popularity": 0.001},
    "als": {"als": 1.0, "popularity": 0.000_001},
}
"""Each algorithm by itself. Popularity settles ties, and fills the list where an algorithm has nothing more."""

SERVED = "served"


@dataclass(frozen=True, slots=True)
class Case:
    """One question: what was known of a customer, and what she went on to do."""

    history: History
    truth: Ints


@dataclass(frozen=True, slots=True)
class Trial:
    """What a model may be fitted on, and the cases it is then asked."""

    known: Interactions
    cases: tuple[Case, ...]
    split: str


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
    if not len(interactions.times):
        return Trial(interactions, (), "time")
    cutoff = int(interactions.times[-1] - days * DAY) + 1
    later = interactions.times >= cutoff
    cases = _cases(interactions, ~later, _wanted(interactions, later), moment=cutoff, most=most, seed=seed)
    return Trial(interactions.where(~later), cases, "time")


def by_mark(interactions: Interactions, marked: Flags) -> Trial:
    """The rows marked are set aside; the others are known."""
    cases = _cases(interactions, ~marked, _wanted(interactions, marked))
    return Trial(interactions.where(~marked), cases, "set")


def by_last_basket(
    interactions: Interactions, baskets: Ints | None = None, *, most: int | None = None, seed: int = 0
) -> Trial:
    """Each customer's last order is set aside, and what she did since; of one with a single order, nothing.

    :param baskets: the number of each row's basket, counted up over time; else an order is what happened at one moment
    """
    baskets = interactions.times if baskets is None else baskets
    orders = interactions.kinds == (Kind.ORDER if (interactions.kinds == Kind.ORDER).any() else Kind.VIEW)
    nothing = np.iinfo(np.int64).min
    last = np.full(interactions.customer_count, nothing)
    np.maximum.at(last, interactions.customers[orders], baskets[orders])
    truth = orders & (baskets == last[interactions.customers])
    began = np.full(interactions.customer_count, np.iinfo(np.int64).max)
    np.minimum.at(began, interactions.customers[truth], interactions.times[truth])
    known = interactions.times < began[interactions.customers]
    ordered_before = np.zeros(interactions.customer_count, bool)
    ordered_before[interactions.customers[known & orders]] = True
    asked = ordered_before[interactions.customers]
    cases = _cases(interactions, known, truth & asked, most=most, seed=seed)
    return Trial(interactions.where(known | ~asked), cases, "last-basket")


def by_next_click(interactions: Interactions, marked: Flags) -> Trial:
    """Visits instead of customers: each click after the first of a marked visit is foretold from those before it."""
    cases = []
    for rows in _rows_by_customer(interactions.customers, marked).values():
        for place in range(1, len(rows)):
            moment = int(interactions.times[rows[place]])
            history = _history(interactions, rows[:place], moment=moment)
            cases.append(Case(history, interactions.products[rows[place : place + 1]]))
    return Trial(interactions.where(~marked), tuple(cases), "next-click")


def late_visits(interactions: Interactions, days: float) -> Flags:
    """The rows of visits that began in the last days."""
    began = np.full(interactions.customer_count, np.iinfo(np.int64).max)
    np.minimum.at(began, interactions.customers, interactions.times)
    late: Flags = began[interactions.customers] > interactions.times[-1:].sum() - days * DAY
    return late


def _wanted(interactions: Interactions, later: Flags) -> Flags:
    """What must be foretold is the order; where nothing is ever ordered, whatever was done."""
    orders = later & (interactions.kinds == Kind.ORDER)
    return orders if orders.any() else later


def _cases(
    interactions: Interactions,
    known: Flags,
    wanted: Flags,
    *,
    moment: int | None = None,
    most: int | None = None,
    seed: int = 0,
) -> tuple[Case, ...]:
    """One case for each customer with something wanted, or for `most` of them by lot."""
    truths = _rows_by_customer(interactions.customers, wanted)
    asked = sorted(truths)
    if most is not None and len(asked) > most:
        asked = sorted(np.random.default_rng(seed).choice(np.array(asked), most, replace=False).tolist())
    chosen = np.zeros(interactions.customer_count, bool)
    chosen[asked] = True
    pasts = _rows_by_customer(interactions.customers, known & chosen[interactions.customers])
    nothing = np.zeros(0, np.int64)
    cases = []
    for customer in asked:
        at = moment if moment is not None else int(interactions.times[truths[customer][0]])
        history = _history(interactions, pasts.get(customer, nothing), moment=at)
        cases.append(Case(history, np.unique(interactions.products[truths[customer]])))
    return tuple(cases)


def _history(interactions: Interactions, rows: Ints, *, moment: int) -> History:
    rows = rows[-RECENT:]
    ages = (moment - interactions.times[rows]) / DAY
    return History.of(interactions.products[rows], interactions.kinds[rows], ages)


def _rows_by_customer(customers: Ints, chosen: Flags) -> dict[int, Ints]:
    """The chosen rows of each customer, in their order."""
    rows = np.flatnonzero(chosen)
    rows = rows[np.argsort(customers[rows], kind="stable")]
    found, starts = np.unique(customers[rows], return_index=True)
    return dict(zip(found.tolist(), np.split(rows, starts[1:]), strict=True)) if len(found) else {}


# --------------------------------------------------------------------------------------------------- figures
def evaluate(
    model: Model,
    cases: Sequence[Case],
    *,
    ks: Sequence[int],
    blends: Mapping[str, Blend] = ALONE,
    step: Callable[[], None] = lambda: None,
) -> list[Score]:
    """Every blend, and what would be served, on the same cases, by the code that serves."""
    longest = max(ks)
    shown = {name: np.full((len(cases), longest), -1, np.int64) for name in (*blends, SERVED)}
    ask = Ask(np.zeros(0, np.int64), size=max(100, longest * slate.AHEAD))
    for row, case in enumerate(cases):
        proposed = model.propose(case.history, ask)
        for name, blend in blends.items():
            _fill(shown[name][row], proposed.ranked(blend).products)
        barred = model.history.just_bought(case.history)
        _fill(shown[SERVED][row], model.varied(proposed.ranked(model.blend, barred=barred), longest).products)
        step()
    truths = [case.truth for case in cases]
    return [
        Score(name, figures(found, truths, ks=ks, catalogue=len(model.popularity.ranked)), len(cases))
        for name, found in shown.items()
    ]


def _fill(row: Ints, products: Ints) -> None:
    row[: len(products)] = products[: len(row)]


def figures(shown: Ints, truths: Sequence[Ints], *, ks: Sequence[int], catalogue: int) -> dict[str, float]:
    """All figures of lists shown (a row a case, -1 where a list ends) against what was true.

    `ndcg@k` has its ideal over min(k, number of true products), `ndcg_all@k` over all true products.
    """
    sizes = np.array([len(truth) for truth in truths], np.int64)
    hits = _hits(shown, truths)
    found: dict[str, float] = {}
    for k in ks:
        cut, first = hits[:, :k], np.argmax(hits[:, :k], axis=1)
        gains = cut @ _discounts(cut.shape[1])
        any_hit = cut.max(axis=1, initial=False)
        found[f"recall@{k}"] = _mean(cut.sum(axis=1) / sizes)
        found[f"ndcg@{k}"] = _mean(gains / _ideal(np.minimum(sizes, k)))
        found[f"ndcg_all@{k}"] = _mean(gains / _ideal(sizes))
        found[f"mrr@{k}"] = _mean(any_hit / (first + 1))
        found[f"hit_rate@{k}"] = _mean(any_hit)
        products = np.unique(shown[:, :k])
        found[f"coverage@{k}"] = float(np.count_nonzero(products >= 0) / max(catalogue, 1))
    return found


def _hits(shown: Ints, truths: Sequence[Ints]) -> Flags:
    if not truths:
        return np.zeros(shown.shape, bool)
    span = 1 + max(int(shown.max(initial=0)), max(int(truth.max()) for truth in truths))
    row = np.repeat(np.arange(len(truths)), [len(truth) for truth in truths])
    true = row * span + np.concatenate(truths)
    keys = np.arange(len(truths))[:, None] * span + shown
    return np.isin(np.where(shown >= 0, keys, -1), true)


def _discounts(length: int) -> NDArray[np.float64]:
    return np.asarray(1 / np.log2(np.arange(2, length + 2)))


def _ideal(sizes: Ints) -> NDArray[np.float64]:
    return np.asarray(np.cumsum(_discounts(int(sizes.max(initial=1))))[sizes - 1])


def _mean(values: NDArray[np.float64] | Flags) -> float:
    return float(values.mean()) if len(values) else 0.0


# ---------------------------------------------------------------------------------------------------- the gate
class Verdict(StrEnum):
    """Why a model may or may not replace the live one."""

    ACCEPTED = "accepted"
    NO_CASES = "no_cases"
    NOT_BETTER_THAN_POPULARITY = "not_better_than_popularity"
    WORSE_THAN_LIVE = "worse_than_live"


TOLERATED = 0.95
"""A model may score this share of the live one's figure and still replace it: it knows more recent days."""


def may_replace(new: Score, live: Score | None, *, popularity: Score, k: int = 10) -> Verdict:
    """Whether `new` may be published: it must beat popularity and not fall below the live model, on the same cases."""
    name = f"ndcg@{k}"
    if not new.users:
        return Verdict.NO_CASES
    if new.figures[name] <= popularity.figures[name]:
        return Verdict.NOT_BETTER_THAN_POPULARITY
    if live is not None and new.figures[name] < TOLERATED * live.figures[name]:
        return Verdict.WORSE_THAN_LIVE
    return Verdict.ACCEPTED
