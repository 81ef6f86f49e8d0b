"""Fitting a model and trying it: the same for a training run and for an interactions file. Touches no database."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import threadpoolctl

from recommender import evaluation, interaction_files, model, splits, tuning
from recommender.algorithms.als import Als
from recommender.algorithms.base import Algorithm, Interactions
from recommender.algorithms.bm25 import Bm25
from recommender.evaluation import SERVED, Score, Shown
from recommender.gate import Level
from recommender.interaction_files import Recorded
from recommender.model import Model
from recommender.splits import Trial, Way
from recommender.tuning import Choice, Clock

Step = Callable[[str], None]

SEED = 20_260_701
TEST_DAYS = 7
KS = (10, 20)
FIGURES = ("recall", "ndcg", "mrr", "hit_rate", "coverage")

BUDGET = 600.0
"""Seconds a trial may take, all in all."""

CHOOSING = 0.5
"""The share of them in which the model is chosen; the rest is for fitting it on everything and asking it."""

BASELINES: tuple[type[Algorithm], ...] = (Als, Bm25)
"""Told beside what is served whether it holds them or not."""


@dataclass(frozen=True, slots=True)
class Fitted:
    """A model, what was found best for it and why, and how many seconds each of its algorithms took."""

    model: Model
    choice: Choice
    seconds: dict[str, float]

    @property
    def level(self) -> Level:
        """What it is made of."""
        return self.choice.level

    @property
    def why(self) -> str:
        """Why that, in a sentence."""
        return self.choice.why


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The figures of every algorithm, and of what would be served, on one split of one data set."""

    dataset: str
    split: str
    scores: tuple[Score, ...]
    why: str = ""
    ks: tuple[int, ...] = field(default=KS)
    unknown_columns: tuple[str, ...] = ()
    left_out: int = 0

    def table(self) -> str:
        """For people."""
        return f"{self.dataset}, split by {self.split}\n{table(self.scores, self.ks)}\n{SERVED}: {self.why}"

    def json(self) -> dict[str, Any]:
        """For programs."""
        users = self.scores[0].users if self.scores else 0
        return {"dataset": self.dataset, "split": self.split, "users": users, "results": results(self.scores)}


def evaluate_file(
    path: Path,
    *,
    split: str = "time",
    test_days: float = TEST_DAYS,
    ks: Sequence[int] = KS,
    seed: int = SEED,
    budget: float = BUDGET,
    now: datetime | None = None,
    step: Step = lambda what: None,
) -> Evaluation:
    """The trial of a training run on an interactions file.

    :param budget: seconds it may take
    :param now: rows of times to come do not count; if it is not given, all do
    :param step: told what begins
    """
    one_blas_thread()
    step("reading")
    recorded = interaction_files.read(path, until=now)
    trial = set_aside(recorded, split=split, test_days=test_days)
    fitted = make(trial.known, trial.way, days=test_days, seed=seed, budget=budget, step=step)
    step("asking")
    scores = score(fitted, trial, evaluation.ask(fitted.model, trial, longest=max(ks)), ks=ks)
    scores = [*_baselines(fitted, trial, ks=ks, seed=seed), *scores]
    return Evaluation(
        path.stem, trial.split, tuple(scores), fitted.why, tuple(ks), recorded.unknown, left_out=recorded.left_out
    )


def _baselines(fitted: Fitted, trial: Trial, *, ks: Sequence[int], seed: int) -> list[Score]:
    """The figures of plain algorithms the model does not hold."""
    kinds = [kind for kind in BASELINES if kind.name not in fitted.model.source_names]
    if not kinds:
        return []
    seconds: dict[str, float] = {}
    beside = tuning.fitted_model(
        trial.known,
        (*kinds, *model.ALWAYS),
        blend={"popularity": 1.0},
        seed=seed,
        seconds=seconds,
        facts=False,
    )
    names = {kind.name for kind in kinds}
    choice = replace(fitted.choice, ranker=None)
    found = score(Fitted(beside, choice, seconds), trial, evaluation.ask(beside, trial, longest=max(ks)), ks=ks)
    return [each for each in found if each.algorithm in names]


def one_blas_thread() -> None:
    """For the rest of this process. `implicit` has threads of its own, and those of BLAS wait for each other: on two
    busy cores a customer's vector then takes ten times as long."""
    threadpoolctl.threadpool_limits(1, "blas")


def set_aside(recorded: Recorded, *, split: str, test_days: float) -> Trial:
    """The file's own marks decide; else the split asked for."""
    data, marked = recorded.interactions, recorded.marked
    if recorded.visits:
        return splits.by_next_click(data, splits.late_visits(data, test_days) if marked is None else marked)
    if marked is not None:
        return splits.by_mark(data, marked)
    if split == "last-basket":
        return splits.by_last_basket(data, recorded.baskets)
    return splits.by_time(data, days=test_days)


def make(
    known: Interactions,
    way: Way,
    *,
    days: float,
    seed: int,
    budget: float = BUDGET,
    step: Step = lambda what: None,
) -> Fitted:
    """The model that is best for these interactions, as far as the last of them can tell, fitted on all of them."""
    step("choosing")
    choice = tuning.choose(known, way, days=days, seed=seed, clock=Clock(budget * CHOOSING))
    step("fitting")
    return refit(choice, known, seed=seed)


def refit(choice: Choice, data: Interactions, *, seed: int) -> Fitted:
    """What was chosen, fitted on these interactions."""
    seconds: dict[str, float] = {}
    fitted = tuning.fitted_model(
        data,
        choice.kinds,
        blend=choice.blend,
        trust=choice.trust,
        seed=seed,
        seconds=seconds,
        grown=choice.ranker,
    )
    return Fitted(fitted, choice, seconds)


def lowered(fitted: Fitted, level: Level) -> Fitted:
    """The same model as one of a lower level: without its ranker, or with a simpler blend."""
    choice = tuning.lowered(fitted.choice, level)
    return replace(fitted, model=replace(fitted.model, blend=choice.blend, ranker=choice.ranker), choice=choice)


def score(fitted: Fitted, trial: Trial, shown: Shown, *, ks: Sequence[int]) -> list[Score]:
    """The figures of what was shown, with the seconds each algorithm took to fit."""
    whole = sum(fitted.seconds.values())
    scores = evaluation.scores(shown, trial, ks=ks, catalogue=len(fitted.model.product_ids))
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
