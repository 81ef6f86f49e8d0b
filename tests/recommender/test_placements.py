"""Placements as data, and the arms of their experiments."""

import pytest

from foundation.errors import Invalid
from recommender import placements
from recommender.placements import DEFAULTS, Arm, Experiment


def test_every_placement_reads_back_as_it_stands() -> None:
    for placement in DEFAULTS.values():
        assert placements.parse(placement.name, placements.dump(placement)) == placement


def test_what_is_not_given_stays_as_it_is_by_default() -> None:
    changed = placements.parse("email", {"n": 3, "discover": 1, "per_brand": 2, "bought_days": None})
    assert (changed.n, changed.discover, changed.per_brand, changed.bought_days) == (3, 1.0, 2, None)
    assert changed.rotation == DEFAULTS["email"].rotation


@pytest.mark.parametrize(
    ("given", "pointer"),
    [
        ({"n": 0}, "/n"),
        ({"n": "many"}, "/n"),
        ({"n": None}, "/n"),
        ({"discover": 1.1}, "/discover"),
        ({"explore": float("nan")}, "/explore"),
        ({"diversity": True}, "/diversity"),
        ({"per_category": 0}, "/per_category"),
        ({"rotation": -1}, "/rotation"),
        ({"bought_days": 1.5}, "/bought_days"),
        ({"name": "lobby"}, "/name"),
        ({"mode": "random"}, "/mode"),
        ([], ""),
    ],
)
def test_names_the_place_that_is_wrong(given: object, pointer: str) -> None:
    with pytest.raises(Invalid) as refused:
        placements.parse("home", given)
    assert [fault.pointer for fault in refused.value.faults] == [pointer]


def test_an_unknown_placement_is_refused_with_those_there_are() -> None:
    with pytest.raises(Invalid, match=r"/placement: is not known; there are: home, product, .*push"):
        placements.known(DEFAULTS, "lobby")


class TestArms:
    def test_nobody_has_one_without_an_experiment_or_a_name(self) -> None:
        assert placements.arm(None, "7") is None
        assert placements.arm(Experiment(1, "home", 50), None) is None

    def test_stay_the_same_for_a_customer_and_are_dealt_anew_by_the_next_experiment(self) -> None:
        first, second = Experiment(1, "home", 50), Experiment(2, "home", 50)
        arms = [placements.arm(first, str(number)) for number in range(200)]
        assert arms == [placements.arm(first, str(number)) for number in range(200)]
        assert arms != [placements.arm(second, str(number)) for number in range(200)]

    def test_have_the_shares_asked_for(self) -> None:
        arms = [placements.arm(Experiment(3, "home", 10), f"visitor-{number}") for number in range(10_000)]
        assert 900 < arms.count(Arm.POPULARITY) < 1_100
