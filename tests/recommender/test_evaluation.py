"""What is set aside, and what the figures are."""

import numpy as np
import pytest

from recommender import evaluation, splits
from recommender.algorithms.base import Asks, Ints, Kind
from recommender.splits import Trial
from tests.recommender.conftest import interactions

ORDER, VIEW = Kind.ORDER, Kind.VIEW


def truths(trial: Trial) -> list[list[int]]:
    return runs(trial.truth_starts, trial.truths)


def runs(starts: Ints, values: Ints) -> list[list[int]]:
    return [values[first:last].tolist() for first, last in zip(starts[:-1], starts[1:], strict=True)]


def histories(asks: Asks) -> list[list[int]]:
    return runs(asks.starts, asks.products)


def figures(shown: list[list[int]], truths: list[list[int]], *, k: int) -> dict[str, float]:
    lists = np.array(shown, np.int64).reshape(len(shown), len(shown[0]) if shown else k)
    hits = np.array([[product in true for product in row] for row, true in zip(shown, truths, strict=True)], bool)
    sizes = np.array([len(true) for true in truths], np.int64)
    return evaluation.figures(lists, hits.reshape(lists.shape), sizes, ks=(k,), catalogue=10)


class TestFigures:
    def test_are_those_one_reckons_by_hand(self) -> None:
        found = figures([[1, 2, 3], [4, 5, -1]], [[2, 9], [4]], k=3)
        second = 1 / np.log2(3)
        assert found["recall@3"] == pytest.approx((0.5 + 1) / 2)
        assert found["ndcg@3"] == pytest.approx((second / (1 + second) + 1) / 2)
        assert found["mrr@3"] == pytest.approx((1 / 2 + 1) / 2)
        assert found["hit_rate@3"] == 1
        assert found["coverage@3"] == pytest.approx(5 / 10)

    def test_ndcg_has_two_ideals(self) -> None:
        """Two true products, one place: it is full marks of what could be shown, not of all that was true."""
        found = figures([[7]], [[7, 8]], k=1)
        assert found["ndcg@1"] == 1
        assert found["ndcg_all@1"] == pytest.approx(1 / (1 + 1 / np.log2(3)))

    def test_are_nothing_when_nobody_is_asked(self) -> None:
        found = figures([], [], k=3)
        assert set(found.values()) == {0.0}


class TestWhatIsSetAside:
    def test_by_time_leaks_nothing_of_the_last_days(self) -> None:
        data = interactions((0, 0, ORDER, 1), (0, 1, VIEW, 18), (0, 2, ORDER, 19), (1, 0, ORDER, 20))
        trial = splits.by_time(data, days=7)
        assert trial.known.products.tolist() == [0]
        assert truths(trial) == [[2], [0]]
        assert histories(trial.asks) == [[0], []]

    def test_by_last_basket_a_single_order_teaches_and_asks_nothing(self) -> None:
        data = interactions((0, 0, ORDER, 1), (0, 1, ORDER, 2), (0, 2, ORDER, 2), (0, 3, VIEW, 3), (1, 5, ORDER, 9))
        trial = splits.by_last_basket(data)
        assert (histories(trial.asks), truths(trial)) == ([[0]], [[1, 2]])
        assert trial.known.products.tolist() == [0, 5]

    def test_by_mark_everything_unmarked_is_known(self) -> None:
        data = interactions((0, 0, VIEW, 1), (0, 1, ORDER, 2), (0, 2, ORDER, 3))
        trial = splits.by_mark(data, np.array([False, False, True]))
        assert trial.asks.ages.tolist() == [2, 1]
        assert truths(trial) == [[2]]

    def test_by_next_click_each_click_after_the_first_is_foretold(self) -> None:
        data = interactions((0, 0, VIEW, 1), (1, 3, VIEW, 2), (1, 4, VIEW, 2.1), (1, 3, VIEW, 2.2))
        trial = splits.by_next_click(data, data.customers == 1)
        assert (histories(trial.asks), truths(trial)) == ([[3], [3, 4]], [[4], [3]])

    def test_where_nothing_is_ordered_views_are_foretold(self) -> None:
        data = interactions((0, 0, VIEW, 1), (0, 1, VIEW, 9))
        assert truths(splits.by_time(data, days=2)) == [[1]]

    def test_a_lot_is_drawn_the_same_for_the_same_seed(self) -> None:
        data = interactions(*((customer, customer % 7, ORDER, day) for customer in range(50) for day in (1, 9)))
        drawn = [truths(splits.by_time(data, days=2, most=10, seed=seed)) for seed in (1, 1, 2)]
        assert len(drawn[0]) == 10 and drawn[0] == drawn[1] != drawn[2]
