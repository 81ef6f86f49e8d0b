"""A customer's vector, solved when asked, is the one `implicit` would have stored."""

import numpy as np
import scipy.sparse as sp
import threadpoolctl
from implicit.cpu.als import AlternatingLeastSquares

from recommender.algorithms import als
from recommender.algorithms.base import Kind
from tests.recommender.conftest import asked, interactions


def test_a_vector_solved_when_asked_is_the_one_implicit_solves() -> None:
    random = np.random.default_rng(5)
    rows = [
        (customer, int(product), Kind.ORDER, 50.0)
        for customer in range(80)
        for product in random.choice(40, 8, replace=False)
    ]
    data = interactions(*rows)
    fitted = als.Als.fit(data, seed=3)
    theirs = _fitted_by_implicit(fitted)
    bought = data.products[data.customers == 7]
    history = asked(*((int(product), Kind.ORDER, 0.0) for product in bought))
    row = sp.csr_matrix((np.full(len(bought), 6.0), (np.zeros(len(bought)), bought)), shape=(1, 40), dtype=np.float32)
    ids, scores = theirs.recommend(0, row, N=5, recalculate_user=True, filter_already_liked_items=False)
    ours = fitted.candidates(history, size=10)
    assert ours.products[:5].tolist() == ids.tolist()
    assert np.allclose(ours.scores[:5], scores, rtol=1e-3)


def _fitted_by_implicit(fitted: als.Als) -> AlternatingLeastSquares:
    with threadpoolctl.threadpool_limits(1, "blas"):
        theirs = AlternatingLeastSquares(factors=als.FACTORS, regularization=als.REGULARIZATION, num_threads=1)
    theirs.item_factors = fitted.factors
    theirs.user_factors = np.zeros((1, als.FACTORS), np.float32)
    return theirs


def test_around_a_product_stands_what_goes_with_it_and_not_itself() -> None:
    rows = [(customer, product, Kind.ORDER, 1.0) for customer in range(40) for product in range(customer % 2, 10, 2)]
    fitted = als.Als.fit(interactions(*rows), seed=1)
    found = fitted.candidates(asked(around=(4,)), size=4).products.tolist()
    assert sorted(found) == [0, 2, 6, 8]
    assert fitted.nearest(np.array([6, 99]), np.array([4, 5])).tolist() == [4, -1]
