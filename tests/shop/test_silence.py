"""When silence means something: what came before, by quarters of an hour, decides."""

import random

import pytest

from shop import silence

NOTHING = [0] * silence.STEPS


@pytest.mark.parametrize(
    ("before", "telling"),
    [
        (NOTHING, False),
        ([1] * 6 + [0] * 6, False),
        ([1] * 12, True),
        ([2] * 12, True),
        ([40] + [0] * 11, False),
        ([0, 0, 20, 0, 0, 0, 20, 0, 0, 0, 0, 0], False),
        ([500, 420, 610, 380, 450, 520, 480, 390, 510, 600, 440, 470], True),
    ],
    ids=["never", "six sales", "twelve sales", "a till", "one visit", "two visits", "a site"],
)
def test_only_the_silence_of_who_spoke_enough_tells(before: list[int], telling: bool) -> None:
    assert silence.telling(before) is telling


@pytest.mark.parametrize(("visits", "pages"), [(1, 1), (3, 1), (5, 1), (3, 8), (5, 8), (5, 30)])
def test_a_shop_that_nothing_happened_to_is_hardly_ever_called_silent(visits: int, pages: int) -> None:
    """So many visits in a span, each of as many pages within minutes: in a thousand, how often is there an alarm?"""
    luck = random.Random(7)
    alarms = 0
    for _ in range(1_000):
        before = list(NOTHING)
        for _ in range(sum(luck.random() < visits / 500 for _ in range(500))):
            at = luck.uniform(0, silence.STEPS - 0.5)
            for page in range(pages):
                before[int(at + page / pages / 2)] += 1
        came_none_now = luck.random() < 2.718**-visits
        alarms += came_none_now and silence.telling(before)
    assert alarms <= 3
