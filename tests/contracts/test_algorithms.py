"""What every algorithm must pass, on a chessboard: even customers want even products, odd customers odd ones."""

import io

import numpy as np
import pytest

from recommender import model
from recommender.algorithms.base import DAY, Algorithm, Asks, Candidates, Interactions, Kind, Warmth

ALGORITHMS = model.ALGORITHMS
IMPERSONAL = {"popularity", "lately"}
"""They know only what everyone wants."""

CUSTOMERS, PRODUCTS = 60, 20
FAVOURITE = 4
NEW = (18, 19)


@pytest.fixture(scope="module")
def chessboard() -> Interactions:
    """Everyone bought eight of the nine products of their colour on each of three days, and looked at them again some
    days later, when a tenth was new; everyone did so with product 4. Each colour has its store."""
    random = np.random.default_rng(1)
    rows = []
    for customer in range(CUSTOMERS):
        colour = np.arange(customer % 2, NEW[0], 2)
        mine = {*random.choice(colour, 8, replace=False).tolist(), FAVOURITE}
        rows += [(customer, product, day * DAY, int(Kind.ORDER)) for product in mine for day in (1, 5, 9)]
        rows += [(customer, product, 12 * DAY, int(Kind.VIEW)) for product in (*mine, NEW[customer % 2])]
    rows.sort(key=lambda row: row[2])
    customers, products, times, kinds = (np.array(column, np.int64) for column in zip(*rows, strict=True))
    return Interactions(
        customers=customers,
        products=products,
        kinds=kinds,
        times=times,
        customer_count=CUSTOMERS,
        product_ids=tuple(f"p{number}" for number in range(PRODUCTS)),
        categories=np.arange(PRODUCTS) % 2,
        category_names=("even", "odd"),
        stores=customers % 2,
        store_names=("even", "odd"),
    )


def bought(*products: int, around: tuple[int, ...] = (), days_ago: float = 20) -> Asks:
    """The request of one customer who bought these and looked at them again, in the store of their colour."""
    count = len(products)
    return Asks.of(
        np.array([0, 2 * count]),
        products=np.array(2 * products, np.int64),
        kinds=np.repeat([int(Kind.ORDER), int(Kind.VIEW)], count),
        ages=np.repeat([days_ago, days_ago - 1], count),
        contexts=[np.array(around, np.int64)],
        moments=np.array([30 * DAY]),
        stores=np.array([products[0] % 2 if count else -1]),
    )


NOBODYS = bought()


def together(*asked: Asks) -> Asks:
    """Several requests as one batch."""
    return Asks.of(
        np.cumsum([0, *(len(each.products) for each in asked)]),
        products=np.concatenate([each.products for each in asked]),
        kinds=np.concatenate([each.kinds for each in asked]),
        ages=np.concatenate([each.ages for each in asked]),
        contexts=[each.context for each in asked],
        moments=np.concatenate([each.moments for each in asked]),
        stores=np.concatenate([each.stores for each in asked]),
    )


def of_request(found: Candidates, request: int) -> tuple[list[int], list[float]]:
    rows = slice(found.starts[request], found.starts[request + 1])
    return found.products[rows].tolist(), found.scores[rows].tolist()


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
        found = kind.fit(chessboard, seed=1).candidates(bought(0, 2, 4, 6), size=3)
        assert 0 < len(found.products) <= 3
        assert (np.diff(found.scores) <= 0).all() and (found.scores > 0).all()
        assert len(set(found.products.tolist())) == len(found.products)

    def test_gives_the_answer_the_chessboard_has(self, kind: type[Algorithm], chessboard: Interactions) -> None:
        """Popularity knows only what everyone wants; the others know her colour."""
        best = kind.fit(chessboard, seed=1).candidates(bought(0, 2, 6, 8, 10), size=5).products.tolist()
        if kind.name in IMPERSONAL:
            assert best[0] == FAVOURITE
        else:
            assert all(product % 2 == 0 for product in best)

    def test_answers_many_as_it_answers_each(self, kind: type[Algorithm], chessboard: Interactions) -> None:
        fitted = kind.fit(chessboard, seed=1)
        asked = [bought(0, 2, 6), NOBODYS, bought(1, 3, around=(5,)), bought(PRODUCTS + 3), bought(4, 4, 9)]
        many = fitted.candidates(together(*asked), size=6)
        for request, each in enumerate(asked):
            products, scores = of_request(many, request)
            alone = fitted.candidates(each, size=6)
            assert products == alone.products.tolist()
            assert np.allclose(scores, alone.scores, rtol=1e-4)

    def test_keeps_within_what_is_asked(self, kind: type[Algorithm], chessboard: Interactions) -> None:
        within = np.arange(PRODUCTS) < 5
        found = kind.fit(chessboard, seed=1).candidates(bought(0, 2, 4, 6), size=10, within=within)
        assert set(found.products.tolist()) <= set(range(5))

    def test_learns_the_same_from_the_same_rows_and_seed(self, kind: type[Algorithm], chessboard: Interactions) -> None:
        first, second = (kind.fit(chessboard, seed=7).arrays() for _ in range(2))
        assert first.keys() == second.keys()
        assert all(np.array_equal(first[name], second[name]) for name in first)

    def test_answers_the_same_after_being_stored_as_plain_arrays(
        self, kind: type[Algorithm], chessboard: Interactions
    ) -> None:
        fitted = kind.fit(chessboard, seed=1)
        before = fitted.candidates(bought(0, 2, 6), size=10)
        after = stored_and_read_again(fitted).candidates(bought(0, 2, 6), size=10)
        assert np.array_equal(before.products, after.products)
        assert np.allclose(before.scores, after.scores)

    def test_proposes_to_those_it_says_it_serves(self, kind: type[Algorithm], chessboard: Interactions) -> None:
        fitted = kind.fit(chessboard, seed=1)
        assert Warmth.WARM in kind.serves and len(fitted.candidates(bought(1, 3), size=10).products)
        assert (len(fitted.candidates(NOBODYS, size=10).products) > 0) == (Warmth.COLD in kind.serves)

    def test_bears_products_it_never_saw(self, kind: type[Algorithm], chessboard: Interactions) -> None:
        asked = bought(2, PRODUCTS, PRODUCTS + 5, around=(PRODUCTS + 1,))
        assert len(kind.fit(chessboard, seed=1).candidates(asked, size=10).products) <= 10

    def test_learns_from_nothing_without_falling(self, kind: type[Algorithm], chessboard: Interactions) -> None:
        fitted = kind.fit(chessboard.where(np.zeros(len(chessboard.times), bool)), seed=1)
        assert len(fitted.candidates(NOBODYS, size=10).products) == 0
