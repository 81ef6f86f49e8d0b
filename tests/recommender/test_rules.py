"""The merchant's rules: read, refused by place, and what they come to."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from foundation.errors import Invalid
from recommender import goods, rules
from recommender.goods import Goods
from recommender.rules import Effect

NOW = datetime(2026, 11, 21, 10, 0, tzinfo=UTC)
PRODUCTS = ("pan", "pot", "lid", "tea", "cup")


@pytest.fixture
def shelf() -> Goods:
    """Three kitchen things of two brands, and two of the table; the cup has no price."""
    return Goods(
        product_ids=PRODUCTS,
        for_sale=np.ones(5, bool),
        categories=np.array([0, 0, 1, 2, -1]),
        category_names=("Kitchen > Pots", "Kitchen", "Table"),
        brands=np.array([0, 1, 1, -1, 0]),
        brand_names=("Aubier", "Autre"),
        prices=np.array([4900, 1900, 900, 1200, -1]),
        margins=np.array([0.5, 0.1, np.nan, 0.3, np.nan]),
        created=np.zeros(5, np.int64),
    )


def made(shelf: Goods, *given: dict[str, object], placement: str = "home", channel: str = "web") -> Effect:
    parsed = [rules.parse({"name": "a rule"} | one) for one in given]
    return rules.effect(parsed, shelf, placement=placement, channel=channel, now=NOW)


def barred(shelf: Goods, rule: dict[str, object]) -> list[str]:
    flags = made(shelf, rule).barred
    return [] if flags is None else [PRODUCTS[number] for number in np.flatnonzero(flags)]


class TestReading:
    @pytest.mark.parametrize(
        "rule",
        [
            {"action": "pin", "products": ["pan"], "position": 2},
            {"action": "boost", "strength": 2.5, "brands": ["Aubier"], "placements": ["home", "email"]},
            {"action": "bury", "strength": 0.0, "categories": ["Kitchen"], "channels": ["email"]},
            {"action": "exclude", "price_from": 10.5, "enabled": False},
            {"action": "cap_brand", "most": 2, "starts_at": "2026-11-01T00:00:00+01:00"},
            {"action": "price_band", "price_from": 5.0, "price_to": 50.0},
            {"action": "margin_floor", "margin": 0.2, "ends_at": "2026-12-01T00:00:00+00:00"},
            {"action": "again", "again": False, "categories": ["Kitchen"]},
        ],
    )
    def test_gives_back_what_was_written(self, rule: dict[str, object]) -> None:
        written = {"name": "a rule", "enabled": True} | rule
        parsed = rules.parse(written)
        assert rules.dump(parsed) == written
        assert rules.parse(rules.dump(parsed)) == parsed

    @pytest.mark.parametrize(
        ("given", "pointers"),
        [
            ({"action": "explode"}, ["/action"]),
            ({"action": "pin", "products": ["pan"]}, ["/position"]),
            ({"action": "pin", "position": 1}, ["/products"]),
            ({"action": "boost", "strength": 1}, ["/strength"]),
            ({"action": "boost", "strength": float("nan")}, ["/strength"]),
            ({"action": "bury", "strength": 1}, ["/strength"]),
            ({"action": "cap_brand", "most": 1.5}, ["/most"]),
            ({"action": "cap_brand", "most": True}, ["/most"]),
            ({"action": "margin_floor", "margin": "20%"}, ["/margin"]),
            ({"action": "exclude", "most": 3}, ["/most"]),
            ({"action": "exclude", "placements": ["lobby"]}, ["/placements"]),
            ({"action": "exclude", "channels": ["pigeon"]}, ["/channels"]),
            ({"action": "exclude", "brands": "Aubier"}, ["/brands"]),
            ({"action": "exclude", "brands": ["a\0b"]}, ["/brands"]),
            ({"action": "exclude", "price_from": -1}, ["/price_from"]),
            ({"action": "exclude", "price_from": 20, "price_to": 10}, ["/price_to"]),
            ({"action": "price_band"}, ["/price_from"]),
            ({"action": "exclude", "starts_at": "tomorrow"}, ["/starts_at"]),
            ({"action": "exclude", "starts_at": "2026-11-01T00:00:00"}, ["/starts_at"]),
            (
                {"action": "exclude", "starts_at": "2026-11-02T00:00:00Z", "ends_at": "2026-11-01T00:00:00Z"},
                ["/ends_at"],
            ),
            ({"action": "exclude", "enabled": "yes"}, ["/enabled"]),
            ({"action": "exclude", "colour": "red"}, ["/colour"]),
            ({"action": "exclude", "name": " "}, ["/name"]),
            ({"action": "pin", "name": "", "position": 0, "products": []}, ["/name", "/products", "/position"]),
        ],
    )
    def test_names_each_place_that_is_wrong(self, given: dict[str, object], pointers: list[str]) -> None:
        with pytest.raises(Invalid) as refused:
            rules.parse({"name": "a rule"} | given)
        assert sorted(fault.pointer for fault in refused.value.faults) == sorted(pointers)

    @pytest.mark.parametrize("value", [None, [], "exclude", 3])
    def test_wants_an_object(self, value: object) -> None:
        with pytest.raises(Invalid):
            rules.parse(value)


class TestConditions:
    def test_a_category_holds_those_below_it(self, shelf: Goods) -> None:
        assert barred(shelf, {"action": "exclude", "categories": ["Kitchen"]}) == ["pan", "pot", "lid"]

    def test_all_must_hold(self, shelf: Goods) -> None:
        rule = {"action": "exclude", "categories": ["Kitchen"], "brands": ["Autre"], "price_to": 10.0}
        assert barred(shelf, rule) == ["lid"]

    def test_a_product_without_price_is_in_no_price_condition(self, shelf: Goods) -> None:
        assert barred(shelf, {"action": "exclude", "price_from": 0}) == ["pan", "pot", "lid", "tea"]

    def test_a_price_band_leaves_out_what_is_outside_it_and_what_has_no_price(self, shelf: Goods) -> None:
        assert barred(shelf, {"action": "price_band", "price_from": 10.0, "price_to": 20.0}) == ["pan", "lid", "cup"]
        within = {"action": "price_band", "price_to": 20.0, "brands": ["Aubier"]}
        assert barred(shelf, within) == ["pan", "cup"]

    def test_a_margin_floor_lets_unknown_margins_pass(self, shelf: Goods) -> None:
        assert barred(shelf, {"action": "margin_floor", "margin": 0.2}) == ["pot"]

    def test_placement_channel_switch_and_dates_decide_whether_it_is_in_force(self, shelf: Goods) -> None:
        past, soon = (NOW - timedelta(days=1)).isoformat(), (NOW + timedelta(days=1)).isoformat()
        rule = {"action": "exclude", "products": ["pan"]}
        assert barred(shelf, rule | {"placements": ["home"], "channels": ["web"], "starts_at": past, "ends_at": soon})
        assert not barred(shelf, rule | {"placements": ["cart"]})
        assert not barred(shelf, rule | {"channels": ["email"]})
        assert not barred(shelf, rule | {"enabled": False})
        assert not barred(shelf, rule | {"starts_at": soon})
        assert not barred(shelf, rule | {"ends_at": past})


class TestEffects:
    def test_no_rule_does_nothing(self, shelf: Goods) -> None:
        assert made(shelf) == Effect()

    def test_factors_of_several_rules_multiply(self, shelf: Goods) -> None:
        found = made(
            shelf,
            {"action": "boost", "strength": 3, "brands": ["Aubier"]},
            {"action": "bury", "strength": 0.5, "products": ["pan"]},
        )
        assert found.factors is not None and found.factors.tolist() == [1.5, 1, 1, 1, 3]

    def test_pins_stand_in_their_order_and_the_first_rule_keeps_a_place(self, shelf: Goods) -> None:
        found = made(
            shelf,
            {"action": "pin", "position": 2, "products": ["lid", "pan"]},
            {"action": "pin", "position": 3, "products": ["tea"]},
        )
        assert found.pins == ((1, 2), (2, 0))

    def test_the_first_rule_decides_whether_a_thing_is_shown_again(self, shelf: Goods) -> None:
        found = made(
            shelf,
            {"action": "again", "again": False, "products": ["pan"]},
            {"action": "again", "again": True, "categories": ["Kitchen"]},
        )
        assert found.again is not None and found.again.tolist() == [-1, 1, 1, 0, 0]

    def test_a_cap_counts_only_the_products_it_names(self, shelf: Goods) -> None:
        (cap,) = made(shelf, {"action": "cap_brand", "most": 1, "categories": ["Kitchen > Pots"]}).caps
        assert cap.most == 1 and cap.groups.tolist() == [0, 1, -1, -1, -1]

    def test_says_when_it_must_be_made_anew(self, shelf: Goods) -> None:
        first, second = NOW + timedelta(days=1), NOW + timedelta(days=2)
        found = made(
            shelf,
            {"action": "exclude", "starts_at": second.isoformat()},
            {"action": "exclude", "products": ["pan"], "ends_at": first.isoformat()},
        )
        assert found.until == first


def test_margins_come_from_what_is_told_or_from_the_cost() -> None:
    found = goods.margins(
        np.array([1000, 1000, -1]), costs=np.array([700.0, 700.0, 700.0]), told=np.array([np.nan, 0.4, np.nan])
    )
    assert np.allclose(found, [0.3, 0.4, np.nan], equal_nan=True)


def test_new_products_are_those_of_the_last_thirty_days_that_are_for_sale(shelf: Goods) -> None:
    day = 86_400_000_000
    dated = Goods(
        shelf.product_ids,
        np.array([True, False, True, True, True]),
        *(shelf.categories, shelf.category_names, shelf.brands, shelf.brand_names, shelf.prices, shelf.margins),
        created=np.array([99, 99, 60, 71, 100]) * day,
    )
    assert dated.fresh(100 * day).tolist() == [0, 3, 4]
