"""Intervals that hold however often one looks: proved by looking all the time."""

import numpy as np
import pytest

from campaigns.evidence import sequences
from campaigns.evidence.sequences import ALPHA, LEAST, LEAST_BUYERS, Sample

STEP, PEOPLE, RUNS = 40, 8_000, 400


def alarms(draw: str, *, share: float, effect: float = 0.0, seed: int = 7) -> tuple[float, float]:
    """How often two arms that do the same are told apart at one look or another: by the boundary, and by an interval
    that is right when it is looked at once."""
    dice = np.random.default_rng(seed)
    ours = dice.random((RUNS, PEOPLE)) < share
    bought = dice.random((RUNS, PEOPLE)) < 0.05 + effect * ours
    spent = bought * (np.exp(dice.normal(4, 0.8, (RUNS, PEOPLE))) if draw == "money" else 1.0)
    looks = np.arange(STEP - 1, PEOPLE, STEP)
    total = np.cumsum(np.ones((RUNS, PEOPLE)), axis=1)[:, looks]
    n = np.cumsum(ours, axis=1)[:, looks]
    arms = []
    for mine, count in ((ours, n), (~ours, total - n)):
        sums = [np.cumsum(np.where(mine, value, 0.0), axis=1)[:, looks] for value in (spent, spent**2, bought)]
        arms.append((count, *sums))
    told, naive = np.zeros(RUNS, bool), np.zeros(RUNS, bool)
    for run in range(RUNS):
        for look in range(len(looks)):
            (n1, s1, q1, b1), (n0, s0, q0, b0) = ([part[run, look] for part in arm] for arm in arms)
            if min(n1, n0) < LEAST or min(b1, b0) < LEAST_BUYERS:
                continue
            one, other = Sample(int(n1), s1, q1), Sample(int(n0), s0, q0)
            gap = sequences.apart(one, other)
            assert gap is not None
            told[run] |= gap.conclusive
            naive[run] |= abs(gap.value) > 1.96 * np.sqrt(one.variance / n1 + other.variance / n0)
    return float(told.mean()), float(naive.mean())


@pytest.mark.parametrize(("draw", "share"), [("buyers", 0.5), ("buyers", 0.9), ("money", 0.5), ("money", 0.9)])
def test_false_alarms_stay_under_alpha_under_continuous_peeking(draw: str, share: float) -> None:
    ours, naive = alarms(draw, share=share)
    assert ours <= ALPHA
    assert naive > 2 * ALPHA


def test_a_real_difference_is_found_and_its_interval_holds_it_at_every_look() -> None:
    ours, _ = alarms("buyers", share=0.5, effect=0.03)
    assert ours > 0.9


def test_the_truth_is_inside_at_all_looks_at_once() -> None:
    dice = np.random.default_rng(11)
    outside = 0
    for _ in range(RUNS):
        values = np.exp(dice.normal(3, 0.7, PEOPLE)) * (dice.random(PEOPLE) < 0.2)
        truth = 0.2 * np.exp(3 + 0.7**2 / 2)
        sums, squares = np.cumsum(values), np.cumsum(values**2)
        found = [sequences.mean(Sample(n, sums[n - 1], squares[n - 1])) for n in range(500, PEOPLE, STEP)]
        outside += any(one is None or not one.low <= truth <= one.high for one in found)
    assert outside / RUNS <= ALPHA


def test_few_people_say_nothing_and_people_who_are_alike_are_no_certainty() -> None:
    assert sequences.mean(Sample(LEAST - 1, 10, 10)) is None
    assert sequences.apart(Sample(LEAST - 1, 10, 10), Sample(5_000, 250, 250)) is None
    assert Sample(1, 1, 1).variance == 0 and Sample(0, 0, 0).mean == 0


def test_the_boundary_costs_half_as_much_again_where_it_is_tightest_and_keeps_shrinking() -> None:
    once = 1.96 / np.sqrt(sequences.TIGHTEST)
    assert 1.4 < sequences.boundary(sequences.TIGHTEST) / once < 1.6
    assert sequences.boundary(100) > sequences.boundary(1_000) > sequences.boundary(100_000)


def test_it_says_how_many_more_would_settle_a_difference() -> None:
    one, other = Sample(1_000, 60, 60), Sample(1_000, 50, 50)
    more = sequences.wanted(one, other)
    assert more is not None
    scale = (2_000 + more + 50) / 2_000
    settled = sequences.apart(
        Sample(int(1_000 * scale), 60 * scale, 60 * scale), Sample(int(1_000 * scale), 50 * scale, 50 * scale)
    )
    assert settled is not None and settled.conclusive
    assert sequences.wanted(one, one) is None
    assert sequences.wanted(Sample(9_000, 900, 900), Sample(9_000, 300, 300)) is None
