"""One training run, from events to a published model, each step recorded; and the same trial on a file."""

import itertools
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import sqlalchemy as sa
import threadpoolctl

from foundation.database import Database
from recommender import evaluation, interactions, model, registry
from recommender.algorithms.als import Als
from recommender.algorithms.base import Algorithm, Interactions
from recommender.algorithms.history import OwnHistory
from recommender.algorithms.popularity import Popularity
from recommender.evaluation import SERVED, Case, Score, Trial, Verdict
from recommender.interactions import Recorded
from recommender.model import Blend, Model
from recommender.tables import training_runs

log = logging.getLogger(__name__)
A = TypeVar("A", bound=Algorithm)

SEED = 20_260_701
TEST_DAYS = 7
CASES = 1_000
"""Customers asked in a nightly run, by lot: their figures stand within a point of everyone's."""

TUNING_CASES = 500
ALS_SHARES = (0.05, 0.1, 0.2, 0.4, 0.8)
POPULARITY_SHARES = (0.01, 0.05, 0.2)
"""What is tried for the blend."""

KS = (10, 20)
FIGURES = ("recall", "ndcg", "mrr", "hit_rate", "coverage")
STALE = timedelta(hours=6)
"""A run that has been running for this long was killed."""

Progress = Callable[[int, int | None], None]


@dataclass(frozen=True, slots=True)
class Run:
    """One attempt to make a model. `state` is published or refused; `reason` says why in a sentence."""

    id: int
    state: str
    reason: str
    scores: tuple[Score, ...]
    model_id: int | None
    seconds: float


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
        return f"{self.dataset}, split by {self.split}\n{_table(self.scores, self.ks)}"

    def json(self) -> dict[str, Any]:
        """For programs."""
        users = self.scores[0].users if self.scores else 0
        return {"dataset": self.dataset, "split": self.split, "users": users, "results": _results(self.scores)}


def run(
    db: Database,
    *,
    now: datetime,
    progress: Progress = lambda done, of: None,
    seed: int = SEED,
    test_days: int = TEST_DAYS,
) -> Run:
    """Reads, fits, scores, and publishes what passes the gate. Manages its own transactions, all short: none is open
    while a model is fitted. Whatever happens the run is on record, and the live model is untouched until the last step.
    """
    _one_blas_thread()
    watch = _Watch(now)
    run_id = _begin(db, now)
    try:
        progress(0, _STEPS)
        data = interactions.load(db, now=now)
        progress(1, _STEPS)
        tried = _try(db, data, seed=seed, test_days=test_days, progress=progress)
        progress(4, _STEPS)
        done = _finish(db, run_id, data=data, tried=tried, watch=watch, seed=seed)
    except BaseException as error:
        reason = f"{type(error).__name__}: {error}"[:500]
        with db.begin() as conn:
            _end(conn, run_id, state="failed", reason=reason, finished_at=watch.moment())
        raise
    progress(_STEPS, _STEPS)
    return done


def report(run: Run) -> str:
    """What a run found, for people; the last line is its outcome."""
    model_named = f" as model {run.model_id}" if run.model_id else ""
    return f"{_table(run.scores, KS)}\n\n{run.state}{model_named} in {run.seconds:.1f} s: {run.reason}"


def evaluate_file(
    path: Path, *, split: str = "time", test_days: float = TEST_DAYS, ks: Sequence[int] = KS, seed: int = SEED
) -> Evaluation:
    """The trial of a training run on an interactions file. Touches no database."""
    _one_blas_thread()
    recorded = interactions.from_file(path)
    trial = _set_aside(recorded, split=split, test_days=test_days)
    scores = score(trial, blend=tuned(trial.known, seed=seed), ks=ks, seed=seed)
    return Evaluation(path.stem, trial.split, tuple(scores), tuple(ks), recorded.unknown)


def _one_blas_thread() -> None:
    """For the rest of this process. `implicit` has threads of its own, and those of BLAS wait for each other: on two
    busy cores a customer's vector then takes ten times as long."""
    threadpoolctl.threadpool_limits(1, "blas")


# -------------------------------------------------------------------------------------------------- the trial
_STEPS = 5


@dataclass(frozen=True, slots=True)
class _Tried:
    blend: Blend
    scores: tuple[Score, ...]
    live: Score | None


class _Watch:
    """The moment it is now, counted from the one the run was given."""

    def __init__(self, now: datetime) -> None:
        self._now, self._began = now, time.monotonic()

    def seconds(self) -> float:
        return time.monotonic() - self._began

    def moment(self) -> datetime:
        return self._now + timedelta(seconds=self.seconds())


def _try(db: Database, data: Interactions, *, seed: int, test_days: int, progress: Progress) -> _Tried:
    trial = evaluation.by_time(data, days=test_days, most=CASES, seed=seed)
    blend = tuned(trial.known, seed=seed)
    progress(2, _STEPS)
    scores = score(trial, blend=blend, ks=KS, seed=seed)
    progress(3, _STEPS)
    return _Tried(blend, tuple(scores), _live_score(db, data, trial=trial))


def tuned(known: Interactions, *, seed: int) -> Blend:
    """How much each algorithm should count, judged by the last orders of what is known: never by what is set aside."""
    trial = evaluation.by_last_basket(known, most=TUNING_CASES, seed=seed)
    if not trial.cases:
        return model.DEFAULT_BLEND
    fitted, _ = fit(trial.known, blend=model.DEFAULT_BLEND, seed=seed)
    blends = {
        f"{als} {popularity}": {"history": 1.0, "als": als, "popularity": popularity}
        for als, popularity in itertools.product(ALS_SHARES, POPULARITY_SHARES)
    }
    scores = evaluation.evaluate(fitted, trial.cases, ks=(10,), blends=blends)
    best = max((found for found in scores if found.algorithm in blends), key=lambda found: found.figures["ndcg@10"])
    return blends[best.algorithm]


def fit(data: Interactions, *, blend: Blend, seed: int) -> tuple[Model, dict[str, float]]:
    """A model of these interactions, and the seconds each algorithm took."""
    seconds: dict[str, float] = {}
    fitted = model.build(
        data.product_ids,
        category_names=data.category_names,
        popularity=_timed(Popularity, data, seed=seed, seconds=seconds),
        history=_timed(OwnHistory, data, seed=seed, seconds=seconds),
        als=_timed(Als, data, seed=seed, seconds=seconds),
        blend=blend,
    )
    return fitted, seconds


def _timed(algorithm: type[A], data: Interactions, *, seed: int, seconds: dict[str, float]) -> A:
    watch = time.monotonic()
    fitted = algorithm.fit(data, seed=seed)
    seconds[algorithm.name] = time.monotonic() - watch
    return fitted


def score(trial: Trial, *, blend: Blend, ks: Sequence[int], seed: int) -> list[Score]:
    """Every algorithm, and what would be served, fitted on what is known and asked the cases."""
    fitted, seconds = fit(trial.known, blend=blend, seed=seed)
    scores = evaluation.evaluate(fitted, trial.cases, ks=ks)
    return [replace(found, fit_seconds=seconds.get(found.algorithm, sum(seconds.values()))) for found in scores]


def _set_aside(recorded: Recorded, *, split: str, test_days: float) -> Trial:
    """The file's own marks decide; else the split asked for."""
    data, marked = recorded.interactions, recorded.marked
    if recorded.visits:
        return evaluation.by_next_click(data, evaluation.late_visits(data, test_days) if marked is None else marked)
    if marked is not None:
        return evaluation.by_mark(data, marked)
    if split == "last-basket":
        return evaluation.by_last_basket(data, recorded.baskets)
    return evaluation.by_time(data, days=test_days)


def _live_score(db: Database, data: Interactions, *, trial: Trial) -> Score | None:
    """The live model on the same cases; None if there is none, or it can no longer be read."""
    with db.begin() as conn:
        live_id = registry.live_id(conn)
        try:
            live = None if live_id is None else registry.load(conn, live_id)
        except registry.Damaged:
            log.exception("live model cannot be read", extra={"model_id": live_id})
            return None
    if live is None:
        return None
    return _named(evaluation.evaluate(live, _renumbered(trial.cases, data, model=live), ks=KS, blends={}), SERVED)


def _renumbered(cases: Sequence[Case], data: Interactions, *, model: Model) -> list[Case]:
    """The same cases in the numbers of another model; what it does not know keeps a number past its last."""
    unknown = len(model.product_ids)
    numbers = np.array(
        [model.numbers.get(product_id, unknown + place) for place, product_id in enumerate(data.product_ids)], np.int64
    )
    return [Case(replace(case.history, products=numbers[case.history.products]), numbers[case.truth]) for case in cases]


# ----------------------------------------------------------------------------------------------- the outcome
def _finish(db: Database, run_id: int, *, data: Interactions, tried: _Tried, watch: _Watch, seed: int) -> Run:
    """Publishes a model of everything if the trial was passed; writes the end of the run with it."""
    served = _named(tried.scores, SERVED)
    verdict = evaluation.may_replace(served, tried.live, popularity=_named(tried.scores, "popularity"))
    reason = _sentence(verdict, tried)
    found = {"window": _window(data), "results": _results(tried.scores)}
    if verdict is not Verdict.ACCEPTED:
        with db.begin() as conn:
            _end(conn, run_id, state="refused", reason=reason, finished_at=watch.moment(), **found)
        return Run(run_id, "refused", reason, tried.scores, None, watch.seconds())
    fitted, _ = fit(data, blend=tried.blend, seed=seed)
    manifest = {"blend": dict(tried.blend), "seed": seed, "versions": _versions(), **found}
    with db.begin() as conn:
        model_id = registry.publish(conn, fitted, run_id=run_id, manifest=manifest, now=watch.moment())
        _end(conn, run_id, state="published", reason=reason, finished_at=watch.moment(), model_id=model_id, **found)
    return Run(run_id, "published", reason, tried.scores, model_id, watch.seconds())


def _begin(db: Database, now: datetime) -> int:
    """A row for this run; runs that were killed long ago are closed."""
    stale = (training_runs.c.state == "running") & (training_runs.c.started_at < now - STALE)
    with db.begin() as conn:
        conn.execute(
            sa.update(training_runs)
            .where(stale)
            .values(state="failed", reason="killed before its end", finished_at=now)
        )
        run_id: int = conn.execute(
            sa.insert(training_runs).values(started_at=now, state="running").returning(training_runs.c.id)
        ).scalar_one()
    return run_id


def _end(conn: sa.Connection, run_id: int, **values: object) -> None:
    conn.execute(sa.update(training_runs).where(training_runs.c.id == run_id).values(**values))


def _sentence(verdict: Verdict, tried: _Tried) -> str:
    figure = "ndcg@10"
    mine, popular = (_named(tried.scores, name).figures[figure] for name in (SERVED, "popularity"))
    against = f" and {tried.live.figures[figure]:.4f} of the live model" if tried.live else ""
    figures = f"NDCG@10 {mine:.4f} against {popular:.4f} of popularity{against}"
    return {
        Verdict.ACCEPTED: f"{figures}.",
        Verdict.NO_CASES: "No customer ordered in the days set aside, so nothing can be judged.",
        Verdict.NOT_BETTER_THAN_POPULARITY: f"Not better than popularity: {figures}.",
        Verdict.WORSE_THAN_LIVE: f"Worse than the live model: {figures}.",
    }[verdict]


def _named(scores: Sequence[Score], algorithm: str) -> Score:
    return next(found for found in scores if found.algorithm == algorithm)


def _window(data: Interactions) -> dict[str, Any]:
    bounds = (
        [datetime.fromtimestamp(int(at) / 1e6, UTC).isoformat() for at in data.times[[0, -1]]]
        if len(data.times)
        else [None] * 2
    )
    return {
        "first": bounds[0],
        "last": bounds[1],
        "interactions": len(data.times),
        "customers": data.customer_count,
        "products": int(len(np.unique(data.products))),
    }


def _results(scores: Sequence[Score]) -> list[dict[str, Any]]:
    return [
        {
            "algorithm": found.algorithm,
            **found.figures,
            "users": found.users,
            "fit_seconds": round(found.fit_seconds, 3),
        }
        for found in scores
    ]


def _versions() -> dict[str, str]:
    return {name: version(name) for name in ("implicit", "numpy", "scipy")}


def _table(scores: Sequence[Score], ks: Sequence[int]) -> str:
    names = [f"{figure}@{k}" for k in ks for figure in FIGURES]
    head = f"{'algorithm':<12}" + "".join(f"{name:>14}" for name in names) + f"{'users':>9}{'fit s':>8}"
    lines = [
        f"{found.algorithm:<12}"
        + "".join(f"{found.figures[name]:>14.4f}" for name in names)
        + f"{found.users:>9,}{found.fit_seconds:>8.1f}"
        for found in scores
    ]
    return "\n".join([head, *lines])
