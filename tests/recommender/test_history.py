"""What a customer buys herself: what it is worth is learned from the data, and what was just bought waits."""

from recommender.algorithms.base import Asks, Kind
from recommender.algorithms.history import OwnHistory
from tests.recommender.conftest import asked, interactions

ORDER, ADD, VIEW = Kind.ORDER, Kind.ADD, Kind.VIEW


def waiting(fitted: OwnHistory, request: Asks) -> list[int]:
    """The products that were bought too lately."""
    return request.pairs[fitted.just_bought(request)].tolist()


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


class TestJustBought:
    rows = [(customer, customer % 5, ORDER, 7.0 * week) for customer in range(50) for week in range(8)]
    never_again = [(customer, 10 + kind, ORDER, 1.0) for customer in range(50) for kind in range(3)]
    fitted = OwnHistory.fit(interactions(*rows, *never_again), seed=1)

    def test_waits_for_two_weeks(self) -> None:
        assert waiting(self.fitted, asked((10, ORDER, 13), (11, ORDER, 15), (12, VIEW, 1))) == [10]

    def test_waits_for_some_hours_if_many_buy_it_again(self) -> None:
        assert waiting(self.fitted, asked((1, ORDER, 0.1), (2, ORDER, 1))) == [1]

    def test_waits_for_some_hours_if_she_buys_it_again(self) -> None:
        assert waiting(self.fitted, asked((10, ORDER, 40), (10, ORDER, 1))) == []

    def test_is_nothing_for_who_bought_nothing(self) -> None:
        assert waiting(self.fitted, asked()) == []
