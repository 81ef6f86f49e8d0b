"""One training run, from events to a published model, each step recorded."""

import logging
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from typing import Any

import numpy as np
import sqlalchemy as sa

from foundation.database import Database
from foundation.errors import Conflict
from recommender import evaluation, gate, interactions, registry, report, runs, splits, trial
from recommender.algorithms import base
from recommender.algorithms.base import Asks, Floats, Interactions, Ints
from recommender.artefact import Damaged
from recommender.evaluation import SERVED, Score, Shown
from recommender.gate import Duel, Level, Verdict
from recommender.model import Model
from recommender.splits import Trial
from recommender.trial import Fitted

log = logging.getLogger(__name__)

CASES = 5_000
"""Customers asked in a run, by lot: their figures stand within a point of everyone's…"""

A_SECOND = 20
"""…and of a short run no more than so many for each second of its budget."""

STRANGERS = 0.1
"""The share of those asked who are left out of the fit, to see how it does with customers it only just met."""

K = 10
"""How many products shown are judged."""

Progress = Callable[[int, int | None], None]


@dataclass(frozen=True, slots=True)
class Run:
    """One attempt to make a model. `state` is published or refused; `reason` says why in a sentence."""

    id: int
    state: str
    reason: str
    scores: tuple[Score, ...]
    verdicts: tuple[Verdict, ...]
    model_id: int | None
    seconds: float


def run(
    db: Database,
    *,
    now: datetime,
    progress: Progress = lambda done, of: None,
    seed: int = trial.SEED,
    test_days: int = trial.TEST_DAYS,
    budget: float = trial.BUDGET,
) -> Run:
    """Reads, fits, scores, and publishes what passes the gate. Manages its own transactions, all short: none is open
    while a model is fitted. Whatever happens the run is on record, and the live model is untouched until the last step.
    Raises `Conflict` if another process trains.

    :param budget: seconds it may take, most of which go into finding the best model
    """
    trial.one_blas_thread()
    with runs.alone(db):
        course = _Course(db, now, progress)
        with course.recorded():
            course.step("reading")
            data = interactions.load(db, now=now)
            tried = _tried(db, data, course=course, seed=seed, test_days=test_days, budget=budget)
            course.step("publishing")
            return _finished(db, data, tried, course=course, seed=seed)


def told(run: Run) -> str:
    """What a run found, for people; the last line is its outcome."""
    compared = [report.compared(each) for verdict in run.verdicts for each in verdict.comparisons]
    model_named = f" as model {run.model_id}" if run.model_id else ""
    outcome = f"{run.state}{model_named} in {run.seconds:.1f} s: {run.reason}"
    return "\n".join([trial.table(run.scores, trial.KS), "", *compared, "", outcome])


# ------------------------------------------------------------------------------------------------- the course
STEPS = ("reading", "choosing", "fitting", "judging", "publishing")


class _Course:
    """Where a run stands: its number, the time since the moment it was given, and who is told."""

    def __init__(self, db: Database, now: datetime, progress: Progress) -> None:
        self._db, self._now, self._progress = db, now, progress
        self._began = time.monotonic()
        with db.begin() as conn:
            self.run_id = runs.begin(conn, now=now)

    def seconds(self) -> float:
        return time.monotonic() - self._began

    def moment(self) -> datetime:
        return self._now + timedelta(seconds=self.seconds())

    def step(self, name: str) -> None:
        """Tells that a step begins. That nobody could be told is no reason to stop."""
        done = STEPS.index(name)
        self._progress(done, len(STEPS))
        try:
            with self._db.begin() as conn:
                runs.note(conn, self.run_id, step=name, done=done, of=len(STEPS))
        except sa.exc.OperationalError:
            log.warning("progress not written", extra={"run_id": self.run_id})

    @contextmanager
    def recorded(self) -> Iterator[None]:
        """Writes down an error as the end of the run; the next run does, if the database is away."""
        try:
            yield
        except BaseException as error:
            reason = f"{type(error).__name__}: {error}"[:500]
            try:
                with self._db.begin() as conn:
                    runs.end(conn, self.run_id, now=self.moment(), state="failed", reason=reason)
            except (sa.exc.OperationalError, Conflict):
                log.warning("the end of a run not written", extra={"run_id": self.run_id})
            raise
        self._progress(len(STEPS), len(STEPS))


# -------------------------------------------------------------------------------------------------- the trial
@dataclass(frozen=True, slots=True)
class _Tried:
    """What a trial found: the fit, its figures, what the gate says of each level, and what is kept of it."""

    fitted: Fitted
    scores: tuple[Score, ...]
    verdicts: tuple[Verdict, ...]
    results: list[dict[str, Any]]
    report: dict[str, Any]


def _tried(db: Database, data: Interactions, *, course: _Course, seed: int, test_days: int, budget: float) -> _Tried:
    most = min(CASES, max(gate.FEWEST, int(A_SECOND * budget)))
    whole = splits.by_time(data, days=test_days, most=most, seed=seed)
    strangers = _strangers(whole, seed=seed)
    aside = replace(whole, known=whole.known.where(~np.isin(whole.known.customers, strangers)))
    left = max(1.0, budget - course.seconds())
    fitted = trial.make(aside.known, aside.way, days=test_days, seed=seed, budget=left, step=course.step)
    course.step("judging")
    shown = evaluation.ask(fitted.model, aside, longest=max(trial.KS))
    scores = trial.score(fitted, aside, shown, ks=trial.KS)
    duels = _duels(db, data, aside, fitted, seed=seed)
    verdicts = judged(_by_level(shown, aside, fitted.level), duels, seed=seed)
    warm = np.isin(whole.customers, strangers)
    told = report.results(trial.results(scores), shown, aside, ks=trial.KS, seed=seed)
    kept = {
        "why": fitted.why,
        "verdicts": report.verdicts(verdicts),
        "groups": report.groups(shown, aside, warm=warm, channel_names=data.channel_names, seed=seed),
        "sources": report.contributions(shown, aside),
    }
    return _Tried(fitted, tuple(scores), verdicts, told, kept)


def _strangers(whole: Trial, *, seed: int) -> Ints:
    """Some of the customers asked, whom the model is not fitted on: how it does with those it only just met."""
    rng = np.random.default_rng(seed)
    return rng.choice(whole.customers, int(whole.count * STRANGERS), replace=False)


def _by_level(shown: Shown, aside: Trial, level: Level) -> dict[Level, Floats]:
    """NDCG@10 of every request, by what would have been shown at this level and at each below it."""
    sizes = np.diff(aside.truth_starts)
    names = {each: str(each) for each in Level} | {level: SERVED}
    ladder = list(Level)[list(Level).index(level) :]
    nothing = np.zeros((0, K), bool)
    return {each: evaluation.by_request(shown.hits.get(names[each], nothing), sizes, k=K)["ndcg"] for each in ladder}


def judged(found: Mapping[Level, Floats], duels: Mapping[Level, Duel], *, seed: int) -> tuple[Verdict, ...]:
    """What the gate says of each level, the most ambitious first, until one passes."""
    verdicts: list[Verdict] = []
    for level in (level for level in Level if level in found):
        verdicts.append(gate.judge(found, level, duel=duels.get(level), seed=seed))
        if verdicts[-1].passed:
            break
    return tuple(verdicts)


def _duels(db: Database, data: Interactions, aside: Trial, fitted: Fitted, *, seed: int) -> dict[Level, Duel]:
    """The new model against the live one, on orders neither was fitted on; empty if there are none, or no live model
    that can be read."""
    live, until = _live(db)
    if live is None or not aside.count:
        return {}
    later = splits.since(data, max(int(aside.asks.moments[0]), until + 1), most=CASES, seed=seed)
    if not later.count:
        return {}
    theirs = evaluation.ask(live, _renumbered(later, data, model=live), longest=K)
    sizes = np.diff(later.truth_starts)
    live_found = evaluation.by_request(theirs.hits[SERVED], sizes, k=K)["ndcg"]
    mine = _by_level(evaluation.ask(fitted.model, later, longest=K), later, fitted.level)
    return {level: Duel(found, live_found) for level, found in mine.items()}


def _live(db: Database) -> tuple[Model | None, int]:
    """The live model, and the last moment it was fitted on, in microseconds."""
    with db.begin() as conn:
        live_id = registry.live_id(conn)
        if live_id is None:
            return None, 0
        try:
            until = registry.manifest(conn, live_id)["window"]["last"]
            return registry.load(conn, live_id), int(datetime.fromisoformat(until).timestamp() * 1e6)
        except Damaged:
            log.exception("live model cannot be read", extra={"model_id": live_id})
            return None, 0


def _renumbered(later: Trial, data: Interactions, *, model: Model) -> Trial:
    """The same requests in the numbers of another model; what it does not know keeps a number past its last."""
    unknown = len(model.product_ids)
    numbers = np.array(
        [model.numbers.get(product_id, unknown + place) for place, product_id in enumerate(data.product_ids)], np.int64
    )
    asks = later.asks
    renumbered = Asks.of(
        asks.starts,
        products=numbers[asks.products],
        kinds=asks.kinds,
        ages=asks.ages,
        moments=asks.moments,
        stores=_known(asks.stores, data.store_names, model.store_names),
        channels=_known(asks.channels, data.channel_names, model.channel_names),
    )
    return replace(later, asks=renumbered, truths=numbers[later.truths])


def _known(codes: Ints, names: tuple[str, ...], others: tuple[str, ...]) -> Ints:
    """Codes of names as those of others, -1 for a name that is none of them."""
    numbers = {name: number for number, name in enumerate(others)}
    found: Ints = np.array([*(numbers.get(name, -1) for name in names), -1], np.int64)[codes]
    return found


# ----------------------------------------------------------------------------------------------- the outcome
def _finished(db: Database, data: Interactions, tried: _Tried, *, course: _Course, seed: int) -> Run:
    """Publishes a model of everything if a level passed; writes the end of the run with it."""
    verdict = tried.verdicts[-1] if tried.verdicts[-1].passed else tried.verdicts[0]
    reason, window = report.sentence(tried.verdicts), _window(data)
    found = {"reason": reason, "window": window, "results": tried.results, "report": tried.report}
    if not verdict.passed:
        with db.begin() as conn:
            runs.end(conn, course.run_id, now=course.moment(), state="refused", **found)
        return _run(course, "refused", tried, reason)
    fitted = trial.refit(trial.lowered(tried.fitted, verdict.level).choice, data, seed=seed)
    manifest = {"level": str(verdict.level), "window": window, "seed": seed, "versions": _versions()}
    with db.begin() as conn:
        model_id = registry.publish(
            conn, fitted.model, run_id=course.run_id, manifest=manifest, by=f"run {course.run_id}", now=course.moment()
        )
        runs.end(conn, course.run_id, now=course.moment(), state="published", model_id=model_id, **found)
    return _run(course, "published", tried, reason, model_id=model_id)


def _run(course: _Course, state: str, tried: _Tried, reason: str, *, model_id: int | None = None) -> Run:
    return Run(course.run_id, state, reason, tried.scores, tried.verdicts, model_id, course.seconds())


def _window(data: Interactions) -> dict[str, Any]:
    return {
        "first": _moment(data.times[:1]),
        "last": _moment(data.times[-1:]),
        "interactions": len(data.times),
        "customers": data.customer_count,
        "products": len(base.distinct(data.products)),
    }


def _moment(times: Ints) -> str | None:
    return datetime.fromtimestamp(int(times[0]) / 1e6, UTC).isoformat() if len(times) else None


def _versions() -> dict[str, str]:
    return {name: version(name) for name in ("implicit", "lightgbm", "numpy", "scipy")}
