"""Ranked products in, slate out."""

from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

import numpy as np
import pytest

from recommender import rules, slate
from recommender.algorithms.base import Flags
from recommender.goods import Goods
from recommender.placements import DEFAULTS, Mode, Placement
from recommender.rules import Cap, Effect
from recommender.slate import Choices, Hindrance, Mark

PLAIN = Placement("home", Mode.FOR_YOU, bought_days=None)
COUNT = 40
NOW = datetime(2026, 11, 21, 10, 0, tzinfo=UTC)


@pytest.fixture
def shelf() -> Goods:
    """Forty products in four categories, ten of each in a row, of two brands in turn."""
    return Goods(
        product_ids=tuple(f"p{number}" for number in range(COUNT)),
        for_sale=np.ones(COUNT, bool),
        categories=np.repeat([0, 1, 2, 3], 10),
        category_names=("A", "B", "C", "D"),
        brands=np.tile([0, 1], 20),
        brand_names=("One", "Two"),
        prices=np.full(COUNT, 1000),
        margins=np.full(COUNT, np.nan),
        created=np.zeros(COUNT, np.int64),
    )


def ranked(count: int = 30, *, last: dict[int, float] | None = None, shown: tuple[int, ...] = ()) -> Choices:
    """The first products in order; `last` are days since those bought once."""
    ages = np.full(count, np.inf)
    for number, age in (last or {}).items():
        ages[number] = age
    there = np.isfinite(ages)
    return Choices(
        np.arange(count),
        ages,
        np.where(there, ages, 0.0),
        there.astype(np.int64),
        np.isin(np.arange(count), shown),
    )


def chosen(choices: Choices, goods: Goods, **given: object) -> list[int]:
    """The numbers of the products chosen, of eight."""
    return [pick.product for pick in picks(choices, goods, **given)]


def picks(choices: Choices, goods: Goods, **given: object) -> list[slate.Pick]:
    standard: dict[str, object] = {
        "placement": PLAIN,
        "n": 8,
        "seed": 1,
        "there": goods.for_sale,
        "replenished": np.zeros(len(goods), bool),
    }
    return slate.choose(choices, goods, **(standard | given))  # type: ignore[arg-type]


def flags(*numbers: int) -> Flags:
    return np.isin(np.arange(COUNT), numbers)


class TestWithoutRules:
    def test_the_order_of_the_model_is_left_alone(self, shelf: Goods) -> None:
        assert chosen(ranked(), shelf) == list(range(8))

    def test_exactly_n_come_back_while_n_may_be_shown(self, shelf: Goods) -> None:
        for n in (1, 5, 30):
            assert len(chosen(ranked(), shelf, n=n)) == n
        assert len(chosen(ranked(), shelf, n=31)) == 30

    def test_nothing_comes_of_nothing(self, shelf: Goods) -> None:
        assert chosen(ranked(0), shelf) == []
        assert chosen(ranked(), replace(shelf, for_sale=np.zeros(COUNT, bool))) == []

    def test_what_is_not_for_sale_here_or_left_out_is_not_shown(self, shelf: Goods) -> None:
        assert chosen(ranked(), shelf, there=~flags(0, 2), without=frozenset([1, 3]), n=3) == [4, 5, 6]

    def test_products_gone_from_the_catalogue_are_not_shown(self, shelf: Goods) -> None:
        gone = replace(ranked(4), products=np.array([COUNT + 3, 1, COUNT, 2]))
        assert chosen(gone, shelf) == [1, 2]
        assert [pick.row for pick in picks(gone, shelf)] == [1, 3]


class TestBoughtLately:
    home = replace(PLAIN, bought_days=14)

    def test_is_left_out(self, shelf: Goods) -> None:
        assert chosen(ranked(last={0: 3, 1: 15}), shelf, placement=self.home, n=2) == [1, 2]

    def test_comes_back_within_hours_if_people_buy_it_again_and_again(self, shelf: Goods) -> None:
        given = {"placement": self.home, "replenished": flags(0, 1), "n": 2}
        assert chosen(ranked(last={0: 3, 1: 0.1}), shelf, **given) == [0, 2]

    def test_comes_back_if_she_bought_it_on_several_days(self, shelf: Goods) -> None:
        often = replace(ranked(last={0: 3}), first_ages=np.where(np.arange(30) == 0, 33.0, 0))
        assert chosen(often, shelf, placement=self.home, n=1) == [0]

    def test_a_rule_overrides_what_was_learned(self, shelf: Goods) -> None:
        again = Effect(again=np.where(flags(0), 1, np.where(flags(1), -1, 0)))
        given = {"placement": self.home, "replenished": flags(1), "effect": again, "n": 2}
        assert chosen(ranked(last={0: 3, 1: 3}), shelf, **given) == [0, 2]

    def test_is_shown_where_the_placement_says_so(self, shelf: Goods) -> None:
        assert chosen(ranked(last={0: 0.0}), shelf, n=1) == [0]


class TestRules:
    def test_what_is_excluded_is_never_shown_even_if_places_stay_empty(self, shelf: Goods) -> None:
        assert chosen(ranked(), shelf, effect=Effect(barred=~flags(5, 7))) == [5, 7]
        assert chosen(ranked(), shelf, effect=Effect(barred=np.ones(COUNT, bool))) == []

    def test_a_boost_lifts_and_a_burial_lowers(self, shelf: Goods) -> None:
        factors = np.where(flags(6), 5.0, np.where(flags(0), 0.0, 1.0))
        assert chosen(ranked(10), shelf, effect=Effect(factors=factors), n=10) == [6, 1, 2, 3, 4, 5, 7, 8, 9, 0]

    def test_a_pin_stands_at_its_place_whatever_the_ranking(self, shelf: Goods) -> None:
        effect = Effect(pins=((0, 35), (2, 1)))
        found = picks(ranked(), shelf, effect=effect, n=4)
        assert [pick.product for pick in found] == [35, 0, 1, 2]
        assert [pick.mark for pick in found] == [Mark.PINNED, Mark.RANKED, Mark.PINNED, Mark.RANKED]

    def test_a_pin_that_may_not_be_shown_gives_its_place_back(self, shelf: Goods) -> None:
        effect = Effect(barred=flags(31), pins=((0, 30), (1, 31), (2, 32), (9, 33)))
        assert chosen(ranked(), shelf, effect=effect, there=~flags(30), without=frozenset([32]), n=3) == [0, 1, 2]

    def test_a_cap_of_a_category_holds_while_there_are_others(self, shelf: Goods) -> None:
        assert chosen(ranked(), shelf, placement=replace(PLAIN, per_category=2), n=6) == [0, 1, 10, 11, 20, 21]

    def test_a_cap_gives_way_rather_than_leave_a_place_empty(self, shelf: Goods) -> None:
        assert chosen(ranked(12), shelf, placement=replace(PLAIN, per_category=2), n=6) == [0, 1, 10, 11, 2, 3]

    def test_caps_of_brand_and_category_hold_together(self, shelf: Goods) -> None:
        both = replace(PLAIN, per_category=2, per_brand=3)
        assert chosen(ranked(), shelf, placement=both, n=6) == [0, 1, 10, 11, 20, 21]
        narrow = Effect(caps=(Cap(1, np.where(shelf.categories == 0, shelf.brands, -1)),))
        assert chosen(ranked(), shelf, effect=narrow, n=4) == [0, 1, 10, 11]

    def test_a_parsed_rule_reaches_the_slate(self, shelf: Goods) -> None:
        rule = rules.parse({"name": "no A", "action": "exclude", "categories": ["A"]})
        effect = rules.effect([rule], shelf, placement="home", channel="web", now=NOW)
        assert chosen(ranked(), shelf, effect=effect, n=2) == [10, 11]


class TestSlider:
    past = {3: 40.0, 9: 40.0}

    def test_in_the_middle_changes_nothing(self, shelf: Goods) -> None:
        assert chosen(ranked(last=self.past), shelf, n=3) == [0, 1, 2]

    def test_at_one_end_shows_first_what_she_bought_at_the_other_what_she_did_not(self, shelf: Goods) -> None:
        repeat, discover = replace(PLAIN, discover=0.0), replace(PLAIN, discover=1.0)
        assert chosen(ranked(last=self.past), shelf, placement=repeat, n=3) == [3, 9, 0]
        assert chosen(ranked(5, last={3: 40.0}), shelf, placement=discover, n=5) == [0, 1, 2, 4, 3]

    def test_moves_by_degrees(self, shelf: Goods) -> None:
        shares = [
            [3, 9]
            == sorted(set(chosen(ranked(last=self.past), shelf, placement=replace(PLAIN, discover=x), n=4)) & {3, 9})
            for x in (0.5, 0.25, 0.1)
        ]
        assert shares == [False, True, True]


class TestDiversity:
    def test_brings_other_categories_forward_by_degrees(self, shelf: Goods) -> None:
        def categories(diversity: float) -> int:
            found = chosen(ranked(), shelf, placement=replace(PLAIN, diversity=diversity))
            return len({int(shelf.categories[number]) for number in found})

        assert [categories(0.0), categories(0.3), categories(1.0)] == [1, 3, 3]

    def test_all_the_way_takes_one_of_each_category_in_turn(self, shelf: Goods) -> None:
        found = chosen(ranked(), shelf, placement=replace(PLAIN, diversity=1.0), n=4)
        assert found[:3] == [0, 10, 20] and len(found) == 4

    def test_products_without_category_are_not_held_for_one_category(self, shelf: Goods) -> None:
        nowhere = replace(shelf, categories=np.full(COUNT, -1))
        assert chosen(ranked(), nowhere, placement=replace(PLAIN, diversity=0.9, per_category=1)) == list(range(8))


class TestRotation:
    def test_what_was_shown_lately_waits(self, shelf: Goods) -> None:
        assert chosen(ranked(shown=(0, 1, 2)), shelf, n=3) == [3, 4, 5]

    def test_but_comes_back_rather_than_leave_a_place_empty(self, shelf: Goods) -> None:
        assert chosen(ranked(4, shown=(0, 1, 2)), shelf, n=3) == [3, 0, 1]


class TestDue:
    def test_shows_first_what_it_is_time_to_buy_again(self, shelf: Goods) -> None:
        """Every ten days: 3 was bought nine days ago, 5 yesterday; 7 was bought once."""
        last, first, days = np.full(10, np.inf), np.zeros(10), np.zeros(10, np.int64)
        last[[3, 5, 7]], first[[3, 5, 7]], days[[3, 5, 7]] = [9, 1, 50], [39, 31, 50], [4, 4, 1]
        found = Choices(np.arange(10), last, first, days, np.zeros(10, bool))
        assert chosen(found, shelf, placement=replace(DEFAULTS["buy_again"]), n=4) == [3, 5, 7, 0]


class TestExploration:
    exploring = replace(PLAIN, explore=0.25)
    fresh = np.arange(30, 40)

    def test_gives_a_share_of_places_in_the_second_half_to_new_products(self, shelf: Goods) -> None:
        found = picks(ranked(), shelf, placement=self.exploring, fresh=self.fresh)
        explored = [place for place, pick in enumerate(found) if pick.mark is Mark.EXPLORED]
        assert len(found) == 8 and len(explored) == 2 and min(explored) >= 4
        assert all(found[place].product >= 30 for place in explored)

    def test_is_decided_by_the_seed(self, shelf: Goods) -> None:
        def of(seed: int) -> list[int]:
            return chosen(ranked(), shelf, placement=self.exploring, fresh=self.fresh, seed=seed)

        assert of(7) == of(7)
        assert len({tuple(of(seed)) for seed in range(20)}) > 10

    def test_has_the_share_asked_for_over_many_slates(self, shelf: Goods) -> None:
        little = replace(PLAIN, explore=0.05)
        counts = [
            sum(
                pick.mark is Mark.EXPLORED
                for pick in picks(ranked(), shelf, placement=little, fresh=self.fresh, seed=x)
            )
            for x in range(0, 2_000)
        ]
        assert 0.35 < np.mean(counts) < 0.45

    def test_prefers_what_is_like_what_she_is_shown(self, shelf: Goods) -> None:
        kin = replace(shelf, categories=np.where(flags(35), 0, shelf.categories))
        one = replace(PLAIN, explore=0.125)
        found = [chosen(ranked(10), kin, placement=one, fresh=self.fresh, seed=seed) for seed in range(300)]
        assert sum(35 in shown for shown in found) > 50  # by lot alone it would be 30

    def test_tries_nothing_that_may_not_be_shown(self, shelf: Goods) -> None:
        effect = Effect(barred=flags(30, 31, 32, 33))
        for seed in range(50):
            found = chosen(
                *(ranked(), shelf),
                placement=self.exploring,
                fresh=self.fresh,
                seed=seed,
                effect=effect,
                there=~flags(34, 35),
                without=frozenset([36, 37]),
            )
            assert len(found) == len(set(found)) == 8 and not set(found) & set(range(30, 38))


def test_each_hindrance_is_named(shelf: Goods) -> None:
    found = slate.hindrances(
        replace(ranked(6, last={0: 1.0}), products=np.array([0, 1, 2, 3, 4, COUNT])),
        placement=replace(PLAIN, bought_days=14),
        there=~flags(1),
        replenished=flags(),
        effect=Effect(barred=flags(2)),
        without=frozenset([3]),
    )
    assert [Hindrance(code) for code in found] == [
        Hindrance.BOUGHT,
        Hindrance.NOT_FOR_SALE,
        Hindrance.RULE,
        Hindrance.EXCLUDED,
        Hindrance.NONE,
        Hindrance.NOT_FOR_SALE,
    ]


def test_a_slate_can_be_made_again_from_its_id() -> None:
    assert slate.seed(UUID(int=5 << 70)) == slate.seed(UUID(int=5 << 70)) == 5 << 5
    assert 0 <= slate.seed(UUID(int=2**128 - 1)) < 2**63
