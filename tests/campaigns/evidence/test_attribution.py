"""Whose an order is: pure decisions."""

from datetime import UTC, datetime, timedelta
from itertools import permutations
from uuid import uuid4

from campaigns import attribution
from campaigns.attribution import Kind, Touch, Why

NOON = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
DAY, WINDOW = timedelta(days=1), timedelta(days=5)


def click(days: float) -> Touch:
    return Touch(uuid4(), 1, NOON - days * DAY)


def test_the_last_click_within_the_window_gets_the_order() -> None:
    clicks = [click(6), click(4), click(2), click(-0.001)]
    for order in permutations(clicks):
        found = attribution.decide(NOON, order, window=WINDOW)
        assert (found.why, found.credited) == (Why.LAST_CLICK, clicks[2])


def test_a_click_too_early_is_named_and_earns_nothing() -> None:
    early = click(6)
    found = attribution.decide(NOON, [early], window=WINDOW)
    assert (found.why, found.touch, found.credited) == (Why.TOO_EARLY, early, None)


def test_without_a_click_nothing_is_credited() -> None:
    assert attribution.decide(NOON, [], window=WINDOW) == attribution.Decision(Why.NO_CLICK, None)


def test_a_code_used_for_the_order_is_the_last_act_of_all() -> None:
    code = Touch(uuid4(), 2, NOON, Kind.CODE)
    found = attribution.decide(NOON, [click(0.5), code], window=WINDOW)
    assert (found.why, found.credited) == (Why.CODE, code)


def test_the_edge_of_the_window_belongs_to_it() -> None:
    assert attribution.decide(NOON, [click(5)], window=WINDOW).credited
    assert attribution.decide(NOON, [click(0)], window=WINDOW).credited
