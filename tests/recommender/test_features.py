"""What the ranker sees of a product proposed: counted from the request and from what was known then, never later."""

import numpy as np
import pytest

from recommender import features, pool
from recommender.algorithms.base import DAY, Asks, Interactions, Kind
from recommender.algorithms.frequency import Frequency
from recommender.algorithms.popularity import Popularity
from recommender.facts import Facts
from recommender.pool import Pool
from tests.recommender.conftest import asked, interactions

ORDER, VIEW = Kind.ORDER, Kind.VIEW
WEEKLY = [(customer, customer % 2, ORDER, 7.0 * week) for customer in range(10) for week in range(6)]
ONCE = [(customer, 2, ORDER, 20.0) for customer in range(10)]


def data() -> Interactions:
    return interactions(*WEEKLY, *ONCE, products=4)


def seen(request: Asks) -> tuple[Pool, dict[str, np.ndarray]]:
    """The pool of the request, and each column of what the ranker sees of it."""
    sources = [Frequency.fit(data(), seed=1), Popularity.fit(data(), seed=1)]
    found = [source.candidates(request, size=10) for source in sources]
    made = pool.of(found, asks=request, size=10, popularity=sources[1])
    rows = features.matrix(request, made, Facts.fit(data()))
    names = features.names(("frequency", "popularity"))
    assert rows.shape == (len(made.products), len(names)) and rows.dtype == np.float32
    return made, dict(zip(names, rows.T, strict=True))


class TestOfAProduct:
    request_ = staticmethod(lambda: asked((0, ORDER, 30), (0, ORDER, 20), (0, VIEW, 1), (1, ORDER, 20), day=50))

    def of(self, product: int, name: str) -> float:
        made, columns = seen(self.request_())
        return float(columns[name][made.products.tolist().index(product)])

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("ordered", 2), ("viewed", 1), ("days_since", 1), ("days_since_first", 30), ("mean_gap", 10),
            ("visits_since", 0), ("orders_since", 1), ("visits_with", 2), ("gap_ratio", 2), ("last_kind", 0),
            ("viewed_since_order", 1), ("share:frequency", 1), ("place:frequency", 0), ("rows", 4), ("visits", 3),
        ],
    )  # fmt: skip
    def test_what_she_did_with_it_is_counted(self, name: str, value: float) -> None:
        assert self.of(0, name) == pytest.approx(value)

    def test_what_she_never_did_is_unknown_not_nothing(self) -> None:
        assert np.isnan(self.of(2, "ordered"))

    def test_what_is_bought_again_is_told_from_what_is_not(self) -> None:
        assert self.of(0, "again_ever") > 0.5 > self.of(2, "again_ever")
        assert self.of(0, "gap") == pytest.approx(7, abs=0.5)


def test_demand_is_that_of_the_moment_asked_about_not_of_later() -> None:
    facts = Facts.fit(data())
    products = np.array([2, 2, 0])
    moments = np.array([15 * DAY, 25 * DAY, 15 * DAY])
    ever, _, week, *_ = facts.wanted(products, moments)
    assert ever.tolist() == [0, 10, 15] and week.tolist() == [0, 10, 5]


def test_what_is_stored_of_the_facts_tells_the_same_of_today() -> None:
    facts = Facts.fit(data())
    again = Facts.load(facts.arrays())
    products, moments = np.arange(5), np.full(5, 90 * DAY)
    assert np.array_equal(facts.wanted(products, moments), again.wanted(products, moments), equal_nan=True)


def test_a_price_is_told_as_a_share_of_the_usual_one() -> None:
    made = interactions(*[(0, 0, ORDER, float(day)) for day in range(10)])
    cheap = Interactions(**{name: getattr(made, name) for name in made.__slots__} | {"prices": np.r_[[10.0] * 9, 5.0]})
    facts = Facts.fit(cheap)
    assert facts.wanted(np.array([0]), np.array([99 * DAY]))[-1] == pytest.approx(5 / 9.5)
    assert facts.usual_price[0] == pytest.approx(9.5)


def test_sources_left_out_leave_the_same_rows_as_if_they_had_never_been() -> None:
    request = asked((0, ORDER, 30), (3, ORDER, 20), day=50)
    made, columns = seen(request)
    rows = np.array(list(columns.values()), np.float32).T
    kept = np.array([False, True])
    slim = features.without(rows, kept)
    again = features.matrix(request, made.of_sources(kept), Facts.fit(data()))
    assert np.array_equal(slim, again, equal_nan=True)
