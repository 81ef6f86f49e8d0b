"""What a customer buys herself: what it is worth is learned from the data, and what is replenished is known."""

from recommender.algorithms.base import Kind
from recommender.algorithms.history import OwnHistory
from tests.recommender.conftest import asked, interactions

ORDER, ADD, VIEW = Kind.ORDER, Kind.ADD, Kind.VIEW


def test_where_nobody_buys_twice_what_was_looked_at_comes_before_what_was_bought() -> None:
    """Each looks at two things, buys one of them, and never comes back for it."""
    rows = []
    for customer in range(400):
        for visit in range(4):
            bought, passed = 2 * visit, 2 * visit + 1
            rows += [(customer, bought, VIEW, 3.0 * visit), (customer, passed, VIEW, 3.0 * visit)]
            rows.append((customer, bought, ORDER, 3.0 * visit + 1))
    fitted = OwnHistory.fit(interactions(*rows), seed=1)
    found = fitted.candidates(asked((0, VIEW, 5), (0, ORDER, 4), (1, VIEW, 5)), size=10)
    assert found.products.tolist()[0] == 1


def test_where_people_buy_again_the_habit_comes_first() -> None:
    rows = [(customer, customer % 5, ORDER, 7.0 * week) for customer in range(50) for week in range(8)]
    fitted = OwnHistory.fit(interactions(*rows), seed=1)
    found = fitted.candidates(asked((1, ORDER, 21), (1, ORDER, 14), (1, ORDER, 7), (3, ORDER, 7)), size=10)
    assert found.products.tolist() == [1, 3]


def test_what_many_buy_again_is_replenished() -> None:
    rows = [(customer, customer % 5, ORDER, 7.0 * week) for customer in range(50) for week in range(8)]
    never_again = [(customer, 10 + kind, ORDER, 1.0) for customer in range(50) for kind in range(3)]
    fitted = OwnHistory.fit(interactions(*rows, *never_again), seed=1)
    assert fitted.replenished[:5].all() and not fitted.replenished[10:].any()
