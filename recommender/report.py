"""What a run found: figures with their intervals, apart for groups of customers, and what each source did. Pure.

All of it is counted from the lists of one trial: nothing is asked again. Intervals hold 95% of the means over resamples
of the customers.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from recommender import evaluation, gate
from recommender.algorithms.base import Flags, Floats, Ints
from recommender.evaluation import SERVED, Shown
from recommender.splits import Trial

FIGURES = ("recall", "ndcg", "hit_rate", "mrr")
K = 10
"""How many products shown count, where only one length is told."""

COMPARED = (SERVED, "frequency", "popularity")
"""What is told of every group of customers."""


def results(
    entries: Sequence[Mapping[str, Any]], shown: Shown, aside: Trial, *, ks: Sequence[int], seed: int
) -> list[dict[str, Any]]:
    """The entries of `evaluate`, one an algorithm, with `intervals`: low and high of each figure that is a mean over
    customers. What was bought again and what was new to her are told apart: `recall_repeat@10`, `recall_discover@10`.
    """
    sizes = np.diff(aside.truth_starts)
    names = [f"{figure}@{k}" for k in ks for figure in FIGURES]
    told = []
    for entry in entries:
        hits = shown.hits[entry["algorithm"]]
        by_k = [evaluation.by_request(hits, sizes, k=k) for k in ks]
        values = np.column_stack([each[figure] for each in by_k for figure in FIGURES])
        low, high = gate.intervals(values, seed=seed)
        spans = {name: [float(low[place]), float(high[place])] for place, name in enumerate(names)}
        apart = _apart(shown.lists[entry["algorithm"]], aside, seed=seed)
        told.append({**entry, **{name: mean for name, (mean, _) in apart.items()}})
        told[-1]["intervals"] = spans | {name: span for name, (_, span) in apart.items()}
    return told


def _apart(lists: Ints, aside: Trial, *, seed: int) -> dict[str, tuple[float, list[float]]]:
    """Recall of what she had before, and of what was new to her, over the customers who wanted any."""
    found = is_found(lists, aside, k=K)
    again = had_before(aside)
    told = {}
    for name, which in (("repeat", again), ("discover", ~again)):
        wanted = np.bincount(aside.truth_rows()[which], minlength=aside.count)
        got = np.bincount(aside.truth_rows()[which & found], minlength=aside.count)
        asked = wanted > 0
        shares = got[asked] / wanted[asked]
        told[f"recall_{name}@{K}"] = _mean(shares, seed=seed)
    return told


def _mean(values: Floats, *, seed: int) -> tuple[float, list[float]]:
    low, high = gate.intervals(values[:, None], seed=seed)
    return float(values.mean()) if len(values) else 0.0, [float(low[0]), float(high[0])]


def is_found(lists: Ints, aside: Trial, *, k: int) -> Flags:
    """Which truths were among the first `k` shown."""
    cut = lists[:, :k]
    span = 1 + max(int(cut.max(initial=0)), int(aside.truths.max(initial=0)))
    keys = np.arange(aside.count)[:, None] * span + cut
    return np.isin(aside.truth_rows() * span + aside.truths, keys[cut >= 0])


def had_before(aside: Trial) -> Flags:
    """Which truths were in the customer's history, viewed, put in a basket or bought."""
    asks = aside.asks
    span = 1 + max(int(asks.pairs.max(initial=0)), int(aside.truths.max(initial=0)))
    return np.isin(aside.truth_rows() * span + aside.truths, asks.pair_rows * span + asks.pairs)


# ---------------------------------------------------------------------------------------------------- groups
def groups(shown: Shown, aside: Trial, *, warm: Flags, channel_names: Sequence[str], seed: int) -> list[dict[str, Any]]:
    """The figures of some customers: by how well the model knew them, and by the channel of the order foretold.

    :param warm: requests of customers who have a history and were left out of the fit
    """
    known = np.diff(aside.asks.starts) > 0
    flags = {("warmth", "hot"): known & ~warm, ("warmth", "warm"): known & warm, ("warmth", "cold"): ~known}
    flags |= {("channel", name): aside.channels == code for code, name in enumerate(channel_names)}
    told = []
    for (kind, name), asked in flags.items():
        if asked.any():
            figures = {each: _figures(shown, aside, asked, each, seed=seed) for each in COMPARED if each in shown.lists}
            told.append({"by": kind, "group": name, "customers": int(asked.sum()), "figures": figures})
    return told


def _figures(shown: Shown, aside: Trial, asked: Flags, algorithm: str, *, seed: int) -> dict[str, list[float]]:
    """Of each figure the mean, and its interval."""
    each = evaluation.by_request(shown.hits[algorithm][asked], np.diff(aside.truth_starts)[asked], k=K)
    values = np.column_stack([each["recall"], each["ndcg"]])
    low, high = gate.intervals(values, seed=seed)
    means = values.mean(axis=0)
    return {
        f"{name}@{K}": [float(means[place]), float(low[place]), float(high[place])]
        for place, name in enumerate(("recall", "ndcg"))
    }


# ------------------------------------------------------------------------------------------------------ sources
def contributions(shown: Shown, aside: Trial) -> list[dict[str, Any]]:
    """What each source of candidates did for what is shown, most useful first: the share of what customers wanted that
    it proposed (`reach`), and of the hits among ten shown, the share it proposed (`hits`) and nobody else (`only`)."""
    found = is_found(shown.lists[SERVED], aside, k=K)
    hits = shown.proposed[found]
    only = hits & (hits.sum(axis=1) == 1)[:, None]
    told = [
        {
            "source": source,
            "reach": _share(shown.proposed[:, place]),
            "hits": _share(hits[:, place]),
            "only": _share(only[:, place]),
        }
        for place, source in enumerate(shown.sources)
    ]
    return sorted(told, key=lambda each: -each["hits"])


def _share(flags: Flags) -> float:
    return float(flags.mean()) if len(flags) else 0.0


# ---------------------------------------------------------------------------------------------------- verdicts
def verdicts(found: Sequence[gate.Verdict]) -> list[dict[str, Any]]:
    """What the gate said of each level tried, and from which comparisons."""
    return [
        {
            "level": str(verdict.level),
            "outcome": str(verdict.outcome),
            "comparisons": [_comparison(each) for each in verdict.comparisons],
        }
        for verdict in found
    ]


def _comparison(each: gate.Comparison) -> Mapping[str, Any]:
    return {
        "against": str(each.against),
        "mine": each.mine,
        "theirs": each.theirs,
        "low": each.low,
        "high": each.high,
        "customers": each.customers,
    }


# ------------------------------------------------------------------------------------------------------- words
def sentence(found: Sequence[gate.Verdict]) -> str:
    """Why a model was published or not, in words."""
    first, last = found[0], found[-1]
    if not last.passed:
        return _refusal(first)
    better = "; ".join(compared(each) for each in last.comparisons)
    if first is last:
        return f"{last.level.capitalize()}: {better}."
    return (
        f"{last.level.capitalize()} instead of {first.level}: {better}. {first.level.capitalize()}: {_refusal(first)}"
    )


def _refusal(verdict: gate.Verdict) -> str:
    match verdict.outcome:
        case gate.Outcome.NOTHING_TO_JUDGE:
            return f"Too few customers ordered in the days set aside to judge anything: {gate.FEWEST} are needed."
        case gate.Outcome.NOTHING_BEATS_POPULARITY:
            return "Popularity is the best there is, and is shown without a model."
        case gate.Outcome.WORSE_THAN_LIVE:
            return f"Certainly worse than the live model: {_lost(verdict)}."
        case _:
            return f"Not certainly better than {verdict.lost.against if verdict.lost else ''}: {_lost(verdict)}."


def _lost(verdict: gate.Verdict) -> str:
    return compared(verdict.lost) if verdict.lost else ""


def compared(each: gate.Comparison) -> str:
    """Both figures, and the interval of what is judged."""
    share = f"{gate.TOLERATED} of " if each.against == gate.LIVE else ""
    return (
        f"NDCG@{K} {each.mine:.4f} against {each.theirs:.4f} of {each.against}, "
        f"{each.low:+.4f} to {each.high:+.4f} beside {share}it ({each.customers:,} customers)"
    )
