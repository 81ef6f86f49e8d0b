"""What every algorithm must pass, on a chessboard: even customers want even products, odd customers odd ones."""

import io

import numpy as np
import pytest

from recommender.algorithms import als, history, popularity
from recommender.algorithms.base import DAY, Algorithm, Ask, History, Interactions, Kind, Warmth

ALGORITHMS = [popularity.Popularity, history.OwnHistory, als.Als]
CUSTOMERS, PRODUCTS = 60, 20
FAVOURITE = 4
NOBODYS = History.of(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0))


@pytest.fixture(scope="module")
def chessboard() -> Interactions:
    """Everyone bought eight of the ten products of their colour on each of three days; everyone bought product 4."""
    random = np.random.default_rng(1)
    rows = []
    for customer in range(CUSTOMERS):
        colour = np.arange(customer % 2, PRODUCTS, 2)
        for product in {*random.choice(colour, 8, replace=False).tolist(), FAVOURITE}:
            rows += [(customer, product, day * DAY) for day in (1, 5, 9)]
    rows.sort(key=lambda row: row[2])
    customers, products, times = (np.array(column, np.int64) for column in zip(*rows, strict=True))
    return Interactions(
        customers=customers,
        products=products,
        kinds=np.full(len(rows), int(Kind.ORDER)),
        times=times,
        customer_count=CUSTOMERS,
        product_ids=tuple(f"p{number}" for number in range(PRODUCTS)),
        categories=np.arange(PRODUCTS) % 2,
        category_names=("even", "odd"),
    )


def ask(*context: int, within: range | None = None, size: int = 10) -> Ask:
    flags = None if within is None else np.isin(np.arange(PRODUCTS), within)
    return Ask(np.array(context, np.int64), within=flags, size=size)


def bought(*products: int, days_ago: float = 20) -> History:
    count = len(products)
    return History.of(np.array(products, np.int64), np.full(count, int(Kind.ORDER)), np.full(count, days_ago))


def stored_and_read_again(algorithm: Algorithm) -> Algorithm:
    out = io.BytesIO()
    np.savez(out, **algorithm.arrays())
    out.seek(0)
    with np.load(out, allow_pickle=False) as arrays:
        return type(algorithm).load(dict(arrays))


@pytest.mark.parametrize("kind", ALGORITHMS)
class TestEveryAlgorithm:
    def test_proposes_the_best_first_and_no_more_than_asked(
        self, kind: type[Algorithm], chessboard: Interactions
    ) -> None:
        found = kind.fit(chessboard, seed=1).candidates(bought(0, 2, 4, 6), ask(size=3))
        assert 0 < len(found.products) <= 3
        assert (np.diff(found.scores) <= 0).all() and (found.scores > 0).all()
        assert len(set(found.products.tolist())) == len(found.products)

    def test_gives_the_answer_the_chessboard_has(self, kind: type[Algorithm], chessboard: Interactions) -> None:
        """Popularity knows only what everyone wants; the others know her colour."""
        best = kind.fit(chessboard, seed=1).candidates(bought(0, 2, 6, 8, 10), ask(size=5)).products.tolist()
        if kind is popularity.Popularity:
            assert best[0] == FAVOURITE
        else:
            assert all(product % 2 == 0 for product in best)

    def test_keeps_within_what_is_asked(self, kind: type[Algorithm], chessboard: Interactions) -> None:
        found = kind.fit(chessboard, seed=1).candidates(bought(0, 2, 4, 6), ask(within=range(5)))
        assert set(found.products.tolist()) <= set(range(5))

    def test_learns_the_same_from_the_same_rows_and_seed(self, kind: type[Algorithm], chessboard: Interactions) -> None:
        first, second = (kind.fit(chessboard, seed=7).arrays() for _ in range(2))
        assert first.keys() == second.keys()
        assert all(np.array_equal(first[name], second[name]) for name in first)

    def test_answers_the_same_after_being_stored_as_plain_arrays(
        self, kind: type[Algorithm], chessboard: Interactions
    ) -> None:
        fitted = kind.fit(chessboard, seed=1)
        before = fitted.candidates(bought(0, 2, 6), ask())
        after = stored_and_read_again(fitted).candidates(bought(0, 2, 6), ask())
        assert np.array_equal(before.products, after.products)
        assert np.allclose(before.scores, after.scores)

    def test_proposes_to_those_it_says_it_serves(self, kind: type[Algorithm], chessboard: Interactions) -> None:
        fitted = kind.fit(chessboard, seed=1)
        assert Warmth.WARM in kind.serves and len(fitted.candidates(bought(1, 3), ask()).products)
        assert (len(fitted.candidates(NOBODYS, ask()).products) > 0) == (Warmth.COLD in kind.serves)

    def test_bears_products_it_never_saw(self, kind: type[Algorithm], chessboard: Interactions) -> None:
        found = kind.fit(chessboard, seed=1).candidates(bought(2, PRODUCTS, PRODUCTS + 5), ask(PRODUCTS + 1))
        assert len(found.products) <= 10

    def test_learns_from_nothing_without_falling(self, kind: type[Algorithm], chessboard: Interactions) -> None:
        fitted = kind.fit(chessboard.where(np.zeros(len(chessboard.times), bool)), seed=1)
        assert len(fitted.candidates(NOBODYS, ask()).products) == 0
