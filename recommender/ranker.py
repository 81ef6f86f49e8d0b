"""The second stage: which of the products proposed are wanted most, learned by LightGBM (`lambdarank`). Pure.

It is kept as the text LightGBM writes, never pickled.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import lightgbm
import numpy as np
from lightgbm.callback import CallbackEnv, EarlyStopException
from numpy.typing import NDArray

from recommender.algorithms.base import Arrays, Flags, Floats, Ints
from recommender.features import Matrix

ROUNDS = 150
"""Trees of a forest at most: each costs every answer some microseconds."""

PATIENCE = 20
FEW_ROWS = 4_000
"""So few products are scored faster by one thread than by more…"""

FEW_LEARNED = 60_000
"""…and trees of so few rows are grown faster by one: threads wait for each other."""


@dataclass(frozen=True, slots=True)
class Cases:
    """Products proposed to requests, and which were wanted: a row each, those of a request together."""

    rows: Matrix
    wanted: Flags
    counts: Ints


def joined(parts: Sequence[Cases]) -> Cases:
    """The cases of several batches."""
    return Cases(
        np.concatenate([part.rows for part in parts]),
        np.concatenate([part.wanted for part in parts]),
        np.concatenate([part.counts for part in parts]),
    )


@dataclass(frozen=True, slots=True)
class Ranker:
    """Trees, several forests of them if several seeds were asked; their sum counts."""

    texts: tuple[bytes, ...]
    forests: tuple[lightgbm.Booster, ...] = field(repr=False, compare=False)

    @classmethod
    def of(cls, texts: Sequence[bytes]) -> Self:
        """From the texts of the forests."""
        return cls(tuple(texts), tuple(lightgbm.Booster(model_str=text.decode()) for text in texts))

    def scores(self, rows: Matrix) -> Floats:
        """How much each row is wanted; greater is more."""
        if not len(rows):
            return np.zeros(0)
        threads = 1 if len(rows) < FEW_ROWS else 2
        found = [forest.predict(rows, num_threads=threads, validate_features=False) for forest in self.forests]
        return np.asarray(np.sum(np.array(found), axis=0))

    def arrays(self) -> Arrays:
        """The forests as texts."""
        return {f"forest{number}": np.frombuffer(text, np.uint8) for number, text in enumerate(self.texts)}

    @classmethod
    def load(cls, arrays: Arrays) -> Self:
        """The ranker whose `arrays()` these are."""
        return cls.of([arrays[f"forest{number}"].tobytes() for number in range(len(arrays))])


@dataclass(frozen=True, slots=True)
class Settings:
    """How trees are grown."""

    leaves: int = 31
    rate: float = 0.08
    smallest: int = 100
    features: float = 0.6
    truncation: int = 20
    rounds: int = ROUNDS


def fit(
    learned: Cases,
    *,
    held_out: Cases,
    settings: Settings,
    seed: int,
    go_on: Callable[[], bool] = lambda: True,
) -> tuple[Ranker, float]:
    """Grows trees until they no longer do better on the customers held out; and how well they do: NDCG@10 there.

    :param go_on: whether there is time for another tree
    """
    training = lightgbm.Dataset(learned.rows, learned.wanted.astype(np.int8), group=learned.counts, free_raw_data=True)
    judged = lightgbm.Dataset(held_out.rows, held_out.wanted.astype(np.int8), group=held_out.counts, reference=training)
    forest = lightgbm.train(
        _parameters(settings, seed, threads=1 if len(learned.rows) < FEW_LEARNED else 2),
        training,
        num_boost_round=settings.rounds,
        valid_sets=[judged],
        valid_names=["held out"],
        callbacks=[
            lightgbm.early_stopping(PATIENCE, first_metric_only=True, verbose=False),
            _while(go_on),
        ],
    )
    text = forest.model_to_string(num_iteration=forest.best_iteration).encode()
    return Ranker.of([text]), float(forest.best_score["held out"]["ndcg@10"])


def _while(go_on: Callable[[], bool]) -> Callable[[CallbackEnv], None]:
    def stop(env: CallbackEnv) -> None:
        if not go_on():
            raise EarlyStopException(env.iteration, env.evaluation_result_list or [])

    return stop


def _parameters(settings: Settings, seed: int, *, threads: int) -> dict[str, Any]:
    return {
        "objective": "lambdarank",
        "metric": "ndcg",
        "eval_at": [10],
        "num_leaves": settings.leaves,
        "learning_rate": settings.rate,
        "min_data_in_leaf": settings.smallest,
        "feature_fraction": settings.features,
        "bagging_fraction": 0.8,
        "bagging_freq": 1,
        "bagging_by_query": True,
        "lambdarank_truncation_level": settings.truncation,
        "max_bin": 127,
        "num_threads": threads,
        "deterministic": True,
        "force_row_wise": True,
        "seed": seed,
        "verbosity": -1,
    }


def importance(ranker: Ranker) -> NDArray[np.float64]:
    """How much each column did for the trees, as a share of all."""
    gains = np.sum([forest.feature_importance("gain") for forest in ranker.forests], axis=0)
    return np.asarray(gains / max(gains.sum(), 1e-9))
