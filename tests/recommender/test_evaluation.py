"""What is set aside, what the figures are, and when a model may replace another."""

import numpy as np
import pytest

from recommender import evaluation, training
from recommender.algorithms.base import Ask, Kind
from recommender.evaluation import Score, Verdict
from recommender.model import DEFAULT_BLEND, Visit
from tests.recommender.conftest import interactions

ORDER, VIEW = Kind.ORDER, Kind.VIEW


class TestFigures:
    def test_are_those_one_reckons_by_hand(self) -> None:
        shown = np.array([[1, 2, 3], [4, 5, -1]])
        truths = [np.array([2, 9]), np.array([4])]
        found = evaluation.figures(shown, truths, ks=(3,), catalogue=10)
        second = 1 / np.log2(3)
        assert found["recall@3"] == pytest.approx((0.5 + 1) / 2)
        assert found["ndcg@3"] == pytest.approx((second / (1 + second) + 1) / 2)
        assert found["mrr@3"] == pytest.approx((1 / 2 + 1) / 2)
        assert found["hit_rate@3"] == 1
        assert found["coverage@3"] == pytest.approx(5 / 10)

    def test_ndcg_has_two_ideals(self) -> None:
        """Two true products, one place: it is full marks of what could be shown, not of all that was true."""
        found = evaluation.figures(np.array([[7]]), [np.array([7, 8])], ks=(1,), catalogue=10)
        assert found["ndcg@1"] == 1
        assert found["ndcg_all@1"] == pytest.approx(1 / (1 + 1 / np.log2(3)))

    def test_are_nothing_when_nobody_is_asked(self) -> None:
        found = evaluation.figures(np.zeros((0, 3), np.int64), [], ks=(3,), catalogue=0)
        assert set(found.values()) == {0.0}


class TestWhatIsSetAside:
    def test_by_time_leaks_nothing_of_the_last_days(self) -> None:
        data = interactions((0, 0, ORDER, 1), (0, 1, VIEW, 18), (0, 2, ORDER, 19), (1, 0, ORDER, 20))
        trial = evaluation.by_time(data, days=7)
        assert trial.known.products.tolist() == [0]
        assert [case.truth.tolist() for case in trial.cases] == [[2], [0]]
        assert [case.history.products.tolist() for case in trial.cases] == [[0], []]

    def test_by_last_basket_a_single_order_teaches_and_asks_nothing(self) -> None:
        data = interactions((0, 0, ORDER, 1), (0, 1, ORDER, 2), (0, 2, ORDER, 2), (0, 3, VIEW, 3), (1, 5, ORDER, 9))
        trial = evaluation.by_last_basket(data)
        assert [(case.history.products.tolist(), case.truth.tolist()) for case in trial.cases] == [([0], [1, 2])]
        assert trial.known.products.tolist() == [0, 5]

    def test_by_mark_everything_unmarked_is_known(self) -> None:
        data = interactions((0, 0, VIEW, 1), (0, 1, ORDER, 2), (0, 2, ORDER, 3))
        trial = evaluation.by_mark(data, np.array([False, False, True]))
        assert trial.cases[0].history.ages.tolist() == [2, 1]
        assert trial.cases[0].truth.tolist() == [2]

    def test_by_next_click_each_click_after_the_first_is_foretold(self) -> None:
        data = interactions((0, 0, VIEW, 1), (1, 3, VIEW, 2), (1, 4, VIEW, 2.1), (1, 3, VIEW, 2.2))
        trial = evaluation.by_next_click(data, data.customers == 1)
        told = [(case.history.products.tolist(), case.truth.tolist()) for case in trial.cases]
        assert told == [([3], [4]), ([3, 4], [3])]

    def test_where_nothing_is_ordered_views_are_foretold(self) -> None:
        data = interactions((0, 0, VIEW, 1), (0, 1, VIEW, 9))
        assert evaluation.by_time(data, days=2).cases[0].truth.tolist() == [1]

    def test_a_lot_is_drawn_the_same_for_the_same_seed(self) -> None:
        data = interactions(*((customer, customer % 7, ORDER, day) for customer in range(50) for day in (1, 9)))
        drawn = [evaluation.by_time(data, days=2, most=10, seed=seed).cases for seed in (1, 1, 2)]
        truths = [[case.truth.tolist() for case in cases] for cases in drawn]
        assert len(truths[0]) == 10 and truths[0] == truths[1] != truths[2]


def test_served_is_what_would_be_shown_without_what_was_just_bought() -> None:
    data = interactions(
        *((customer, customer % 3, ORDER, 1) for customer in range(30)),
        *((customer, 3, ORDER, 10) for customer in range(30)),
        *((customer, 4, ORDER, 12) for customer in range(30)),
    )
    trial = evaluation.by_time(data, days=1)
    fitted, _ = training.fit(trial.known, blend=DEFAULT_BLEND, seed=1)
    nothing = np.zeros(0, np.int64)
    visit = Visit(trial.cases[0].history, nothing, nothing, ())
    assert 3 in visit.history.products
    assert 3 not in fitted.rank(visit, Ask(nothing)).products


class TestMayReplace:
    @staticmethod
    def score(ndcg: float, users: int = 100) -> Score:
        return Score("served", {"ndcg@10": ndcg}, users)

    @pytest.mark.parametrize(
        ("new", "live", "popular", "verdict"),
        [
            (0.20, None, 0.10, Verdict.ACCEPTED),
            (0.20, 0.205, 0.10, Verdict.ACCEPTED),
            (0.10, None, 0.10, Verdict.NOT_BETTER_THAN_POPULARITY),
            (0.18, 0.20, 0.10, Verdict.WORSE_THAN_LIVE),
        ],
    )
    def test_must_beat_popularity_and_hold_up_to_the_live_model(
        self, new: float, live: float | None, popular: float, verdict: Verdict
    ) -> None:
        standing = None if live is None else self.score(live)
        assert evaluation.may_replace(self.score(new), standing, popularity=self.score(popular)) is verdict

    def test_judges_nothing_by_nobody(self) -> None:
        empty = self.score(0, users=0)
        assert evaluation.may_replace(empty, None, popularity=empty) is Verdict.NO_CASES
