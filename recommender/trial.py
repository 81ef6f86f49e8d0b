"""Fitting a model and trying it: the same for a training run and for an interactions file. Touches no database."""

import itertools
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import threadpoolctl

from recommender import evaluation, interaction_files, model
from recommender.algorithms.base import Interactions
from recommender.evaluation import SERVED, Score, Shown, Trial
from recommender.interaction_files import Recorded
from recommender.model import Blend, Model

SEED = 20_260_701
TEST_DAYS = 7
KS = (10, 20)
FIGURES = ("recall", "ndcg", "mrr", "hit_rate", "coverage")

TUNING_CASES = 500
ALS_SHARES = (0.05, 0.1, 0.2, 0.4, 0.8)
POPULARITY_SHARES = (0.01, 0.05, 0.2)
"""What is tried for the blend."""


@dataclass(frozen=True, slots=True)
class Fitted:
    """A model and how many seconds each of its algorithms took."""

    model: Model
    seconds: dict[str, float]


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The figures of every algorithm, and of what would be served, on one split of one data set."""

    dataset: str
    split: str
    scores: tuple[Score, ...]
    ks: tuple[int, ...] = field(default=KS)
    unknown_columns: tuple[str, ...] = ()

    def table(self) -> str:
        """For people."""
        return f"{self.dataset}, split by {self.split}\n{table(self.scores, self.ks)}"

    def json(self) -> dict[str, Any]:
        """For programs."""
        users = self.scores[0].users if self.scores else 0
        return {"dataset": self.dataset, "split": self.split, "users": users, "results": results(self.scores)}


def evaluate_file(
    path: Path, *, split: str = "time", test_days: float = TEST_DAYS, ks: Sequence[int] = KS, seed: int = SEED
) -> Evaluation:
    """The trial of a training run on an interactions file."""
    one_blas_thread()
    recorded = interaction_files.read(path)
    trial = set_aside(recorded, split=split, test_days=test_days)
    fitted = fit(trial.known, blend=tuned(trial.known, seed=seed), seed=seed)
    scores = score(fitted, trial, evaluation.ask(fitted.model, trial, longest=max(ks)), ks=ks)
    return Evaluation(path.stem, trial.split, tuple(scores), tuple(ks), recorded.unknown)


def one_blas_thread() -> None:
    """For the rest of this process. `implicit` has threads of its own, and those of BLAS wait for each other: on two
    busy cores a customer's vector then takes ten times as long."""
    threadpoolctl.threadpool_limits(1, "blas")


def set_aside(recorded: Recorded, *, split: str, test_days: float) -> Trial:
    """The file's own marks decide; else the split asked for."""
    data, marked = recorded.interactions, recorded.marked
    if recorded.visits:
        return evaluation.by_next_click(data, evaluation.late_visits(data, test_days) if marked is None else marked)
    if marked is not None:
        return evaluation.by_mark(data, marked)
    if split == "last-basket":
        return evaluation.by_last_basket(data, recorded.baskets)
    return evaluation.by_time(data, days=test_days)


def tuned(known: Interactions, *, seed: int) -> Blend:
    """How much each algorithm should count, judged by the last orders of what is known: never by what is set aside."""
    trial = evaluation.by_last_basket(known, most=TUNING_CASES, seed=seed)
    if not trial.count:
        return model.DEFAULT_BLEND
    fitted = fit(trial.known, blend=model.DEFAULT_BLEND, seed=seed).model
    pool = fitted.propose(trial.asks)
    best: tuple[float, Blend] = (-1.0, model.DEFAULT_BLEND)
    for als, popularity in itertools.product(ALS_SHARES, POPULARITY_SHARES):
        blend = {"history": 1.0, "als": als, "popularity": popularity}
        found = evaluation.ndcg(fitted.blended(trial.asks, pool, blend=blend, size=10), trial)
        best = max(best, (found, blend), key=lambda each: each[0])
    return best[1]


def fit(data: Interactions, *, blend: Blend, seed: int) -> Fitted:
    """A model of these interactions."""
    seconds: dict[str, float] = {}
    sources = []
    for kind in model.ALGORITHMS:
        watch = time.monotonic()
        sources.append(kind.fit(data, seed=seed))
        seconds[kind.name] = time.monotonic() - watch
    fitted = model.build(
        data.product_ids,
        category_names=data.category_names,
        categories=data.categories,
        sources=sources,
        blend=blend,
    )
    return Fitted(fitted, seconds)


def score(fitted: Fitted, trial: Trial, shown: Shown, *, ks: Sequence[int]) -> list[Score]:
    """The figures of what was shown, with the seconds each algorithm took to fit."""
    whole = sum(fitted.seconds.values())
    scores = evaluation.scores(shown, trial, ks=ks, catalogue=len(fitted.model.popularity.ranked))
    return [replace(found, fit_seconds=fitted.seconds.get(found.algorithm, whole)) for found in scores]


def named(scores: Sequence[Score], algorithm: str = SERVED) -> Score:
    """The score of one algorithm."""
    return next(found for found in scores if found.algorithm == algorithm)


def results(scores: Sequence[Score]) -> list[dict[str, Any]]:
    """The scores for programs."""
    return [
        {
            "algorithm": found.algorithm,
            **found.figures,
            "users": found.users,
            "fit_seconds": round(found.fit_seconds, 3),
        }
        for found in scores
    ]


def table(scores: Sequence[Score], ks: Sequence[int]) -> str:
    """The scores for people."""
    names = [f"{figure}@{k}" for k in ks for figure in FIGURES]
    head = f"{'algorithm':<12}" + "".join(f"{name:>14}" for name in names) + f"{'users':>9}{'fit s':>8}"
    lines = [
        f"{found.algorithm:<12}"
        + "".join(f"{found.figures[name]:>14.4f}" for name in names)
        + f"{found.users:>9,}{found.fit_seconds:>8.1f}"
        for found in scores
    ]
    return "\n".join([head, *lines])


Progress = Callable[[int, int | None], None]
