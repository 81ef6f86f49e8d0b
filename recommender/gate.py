"""May a model be published: it must find certainly more than simpler answers, and not certainly less than the live one.

Everything is judged customer by customer on the same later days, so that luck strikes both sides alike. A difference
is certain if the middle 95% of its means over 1,000 resamples of the customers lie on one side of zero. Pure.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from recommender.algorithms.base import Floats

RESAMPLES = 1_000
CONFIDENCE = 0.95
FEWEST = 20
"""Customers without whom nothing is judged: resampling a handful proves whatever it happens to hold."""

TOLERATED = 0.95
"""A model may find this share of what the live one finds: it knows more recent days."""

AT_ONCE = 4_000_000
"""Draws held in memory at a time."""


class Level(StrEnum):
    """What a model is made of, the most ambitious first."""

    RANKER = "ranker"
    BLEND = "blend"
    FREQUENCY = "frequency"
    POPULARITY = "popularity"


BEATEN_BY: Mapping[Level, tuple[Level, ...]] = {
    Level.RANKER: (Level.POPULARITY, Level.FREQUENCY),
    Level.BLEND: (Level.POPULARITY, Level.FREQUENCY),
    Level.FREQUENCY: (Level.POPULARITY,),
    Level.POPULARITY: (),
}
"""The simpler answers a model of this level must beat. Popularity has none: it is what is shown without a model."""


class Outcome(StrEnum):
    """What the gate said, and why."""

    ACCEPTED = "accepted"
    NOTHING_TO_JUDGE = "nothing_to_judge"
    NOTHING_BEATS_POPULARITY = "nothing_beats_popularity"
    NOT_BETTER = "not_better"
    WORSE_THAN_LIVE = "worse_than_live"


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two means over the same customers, and the 95% interval of the difference that is judged.

    Against the live model that difference is the new figure less 0.95 of the live one.
    """

    against: str
    mine: float
    theirs: float
    low: float
    high: float
    customers: int


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a model of this level may be published, and all it was compared with."""

    outcome: Outcome
    level: Level
    comparisons: tuple[Comparison, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether it may be published."""
        return self.outcome is Outcome.ACCEPTED

    @property
    def lost(self) -> Comparison | None:
        """The comparison that decided against it."""
        against = {Outcome.WORSE_THAN_LIVE: _is_worse, Outcome.NOT_BETTER: _is_not_better}.get(self.outcome)
        return next((each for each in self.comparisons if against and against(each)), None)


@dataclass(frozen=True, slots=True)
class Duel:
    """What each customer would have found with the new model and with the live one, on days neither was fitted on."""

    mine: Floats
    live: Floats


LIVE = "live"


def judge(found: Mapping[Level, Floats], level: Level, *, duel: Duel | None = None, seed: int) -> Verdict:
    """Whether a model of `level` may be published.

    :param found: the figure (NDCG@10) of every customer asked, in the same order, by level
    """
    mine = found[level]
    if len(mine) < FEWEST:
        return Verdict(Outcome.NOTHING_TO_JUDGE, level)
    if level is Level.POPULARITY:
        return Verdict(Outcome.NOTHING_BEATS_POPULARITY, level)
    compared = [compare(mine, found[other], against=other, seed=seed) for other in BEATEN_BY[level]]
    if duel is not None and len(duel.mine) >= FEWEST:
        compared.append(compare(duel.mine, duel.live, against=LIVE, share=TOLERATED, seed=seed))
    outcome = Outcome.ACCEPTED
    if any(_is_worse(each) for each in compared):
        outcome = Outcome.WORSE_THAN_LIVE
    if any(_is_not_better(each) for each in compared):
        outcome = Outcome.NOT_BETTER
    return Verdict(outcome, level, tuple(compared))


def compare(mine: Floats, theirs: Floats, *, against: str, share: float = 1.0, seed: int) -> Comparison:
    """The means of two figures of the same customers, and the interval of the mean of `mine - share * theirs`."""
    low, high = intervals((mine - share * theirs)[:, None], seed=seed)
    return Comparison(against, float(mine.mean()), float(theirs.mean()), float(low[0]), float(high[0]), len(mine))


def intervals(values: Floats, *, seed: int) -> tuple[Floats, Floats]:
    """The 95% intervals of the mean of each column, a row a customer; all columns see the same resamples."""
    count = len(values)
    if not count:
        return np.zeros(values.shape[1]), np.zeros(values.shape[1])
    rng = np.random.default_rng(seed)
    means = np.empty((RESAMPLES, values.shape[1]))
    step = max(1, AT_ONCE // count)
    for start in range(0, RESAMPLES, step):
        rows = min(step, RESAMPLES - start)
        means[start : start + rows] = _times_drawn(rng, rows, count) @ values / count
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(means, [tail, 1 - tail], axis=0)
    return low, high


def _times_drawn(rng: np.random.Generator, rows: int, count: int) -> NDArray[np.float64]:
    """How often each of `count` customers is drawn, in `rows` draws of as many with replacement."""
    drawn = rng.integers(count, size=(rows, count)) + count * np.arange(rows)[:, None]
    return np.bincount(drawn.ravel(), minlength=rows * count).reshape(rows, count).astype(np.float64)


def _is_not_better(compared: Comparison) -> bool:
    return compared.against != LIVE and compared.low <= 0


def _is_worse(compared: Comparison) -> bool:
    return compared.against == LIVE and compared.high < 0
