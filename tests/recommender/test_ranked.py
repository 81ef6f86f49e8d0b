"""What a model ranks for many requests, and what is known of each product and customer."""

import numpy as np

from recommender import ranked, tuning
from recommender.algorithms.base import DAY, Kind
from recommender.model import ALGORITHMS, DEFAULT_BLEND, Model
from recommender.placements import Arm, Mode
from recommender.ranked import Known, Pasts
from tests.recommender.conftest import ORDER_ROWS, asked, interactions

MODEL: Model = tuning.fitted_model(interactions(*ORDER_ROWS), ALGORITHMS, blend=DEFAULT_BLEND, seed=1)


class TestKnown:
    def test_is_what_she_did_with_each_product(self) -> None:
        rows = [(1, Kind.ORDER, 30.5), (1, Kind.ORDER, 20.5), (1, Kind.ORDER, 20.4), (1, Kind.ORDER, 0.5)]
        asks = asked(*rows, (1, Kind.VIEW, 0.1), (2, Kind.VIEW, 40.0), (2, Kind.VIEW, 2.0), (2, Kind.ADD, 3.0))
        known = Known.of(asks)
        bought, viewed = (known.done(pair) for pair in np.searchsorted(asks.pairs, [1, 2]))
        assert (bought.orders, bought.every, bought.since, bought.strongest) == (3, 15.0, 0.1, Kind.ORDER)
        assert (viewed.orders, viewed.every, viewed.since, viewed.strongest) == (0, 0.0, 2.0, Kind.ADD)
        assert (bought.views, viewed.views) == (1, 1)
        assert known.last.tolist() == [0.5, np.inf, np.inf] and known.first.tolist() == [30.5, 0.0, 0.0]

    def test_is_nothing_of_what_she_never_touched(self) -> None:
        for asks in (asked(), asked((1, Kind.ORDER, 3.0))):
            assert Known.of(asks).done(-1).strongest is None and Known.of(asks).last[-1] == np.inf


def _pasts(*customers: list[tuple[int, Kind, float]]) -> Pasts:
    rows = [row for customer in customers for row in customer]
    products, kinds, ages = zip(*rows, strict=True) if rows else ((), (), ())
    return Pasts(
        np.cumsum([0, *map(len, customers)]),
        np.array(products, np.int64),
        times=(-np.array(ages) * DAY).astype(np.int64),
        kinds=np.array(kinds, np.int64),
        stores=np.full(len(customers), -1),
        channels=np.full(len(customers), -1),
    )


class TestRanked:
    def test_is_for_each_of_many_what_it_is_for_one(self) -> None:
        customers = [[], [(1, Kind.ORDER, 9.0), (2, Kind.VIEW, 1.0)], [(3, Kind.ADD, 1.0)], [(50, Kind.VIEW, 1.0)]]
        contexts = [np.array(context, np.int64) for context in ([], [], [4], [])]
        together = ranked.rank(MODEL, _pasts(*customers).asks(contexts, moment=0), n=12)
        for found, customer, context in zip(together, customers, contexts, strict=True):
            (alone,) = ranked.rank(MODEL, _pasts(customer).asks([context], moment=0), n=12)
            assert found.choices.products.tolist() == alone.choices.products.tolist()
            assert np.allclose(found.scores, alone.scores, rtol=1e-5) and found.own.tolist() == alone.own.tolist()
            assert found.choices.last_ages.tolist() == alone.choices.last_ages.tolist()

    def test_begins_with_what_the_slate_is_about(self) -> None:
        asks = _pasts([(1, Kind.ORDER, 9.0), (2, Kind.ORDER, 8.0)]).asks([np.zeros(0, np.int64)], moment=0)
        (plain,) = ranked.rank(MODEL, asks, n=12)
        (popular,) = ranked.rank(MODEL, asks, n=12, only=ranked.about(Mode.FOR_YOU, Arm.POPULARITY))
        (alone,) = ranked.rank(MODEL, _pasts([]).asks([np.zeros(0, np.int64)], moment=0), n=12)
        assert set(plain.choices.products[:2]) == {1, 2}
        assert popular.choices.products.tolist() == alone.choices.products.tolist()
        assert len(set(popular.choices.products)) == len(popular.choices.products)

    def test_can_be_followed_by_everything_else(self) -> None:
        (found,) = ranked.rank(MODEL, _pasts([]).asks([np.zeros(0, np.int64)], moment=0), n=12)
        longer = found.followed(np.array([3, 40, 41]), wanted=np.array([True, True, False]))
        assert longer.choices.products[-2:].tolist() == [40, 41]
        assert [longer.names[source] for source in longer.sources[-2:]] == ["popularity", "new"]
        assert len(longer.choices.products) == len(found.choices.products) + 2
