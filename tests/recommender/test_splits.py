"""Each customer's latest visits are foretold from what came before them, and nothing later is known of her."""

import numpy as np

from recommender import splits
from recommender.algorithms.base import Interactions, Ints, Kind
from recommender.splits import Trial, Way
from tests.recommender.conftest import interactions

ORDER, VIEW = Kind.ORDER, Kind.VIEW
FOUR_VISITS = [(0, product, ORDER, float(day)) for product, day in ((0, 1), (1, 1), (2, 5), (3, 9), (4, 9), (5, 14))]


def runs(starts: Ints, values: Ints) -> list[list[int]]:
    return [values[first:last].tolist() for first, last in zip(starts[:-1], starts[1:], strict=True)]


def told(trial: Trial) -> list[tuple[list[int], list[int]]]:
    """What is known and what is to be foretold, request by request."""
    histories, truths = runs(trial.asks.starts, trial.asks.products), runs(trial.truth_starts, trial.truths)
    return list(zip(histories, truths, strict=True))


class TestTheLatestVisits:
    def test_are_each_foretold_from_all_before_them(self) -> None:
        trial = splits.by_latest(interactions(*FOUR_VISITS), 2)
        assert told(trial) == [([0, 1, 2], [3, 4]), ([0, 1, 2, 3, 4], [5])]
        assert trial.known.products.tolist() == [0, 1, 2]

    def test_do_not_include_the_first_thing_a_customer_ever_did(self) -> None:
        trial = splits.by_latest(interactions(*FOUR_VISITS), 9)
        assert [truth for _, truth in told(trial)] == [[2], [3, 4], [5]]

    def test_may_follow_views_alone(self) -> None:
        trial = splits.by_latest(interactions((0, 7, VIEW, 1), (0, 7, ORDER, 2)), 1)
        assert told(trial) == [([7], [7])]

    def test_hold_what_was_ordered_within_half_an_hour_as_one(self) -> None:
        trial = splits.by_latest(interactions((0, 1, ORDER, 1), (0, 2, ORDER, 5), (0, 3, ORDER, 5.01)), 1)
        assert told(trial) == [([1], [2, 3])]


class TestHowRowsMarkedAreAsked:
    def data(self) -> Interactions:
        return interactions((0, 0, ORDER, 1), (1, 0, ORDER, 2), (0, 1, ORDER, 3), (1, 1, ORDER, 9))

    def test_is_by_time_if_all_of_them_are_the_last(self) -> None:
        marked = np.array([False, False, False, True])
        assert splits.by_mark(self.data(), marked).way is Way.TIME

    def test_is_by_visit_if_they_are_each_customers_own_last(self) -> None:
        marked = np.array([False, True, False, True])
        assert splits.by_mark(self.data(), marked).way is Way.LATEST


def test_a_part_of_a_trial_is_those_requests_and_no_other() -> None:
    trial = splits.by_latest(interactions(*FOUR_VISITS), 3)
    assert told(trial.part(1, 3)) == told(trial)[1:]
