"""How sure a figure is."""

import numpy as np
import pytest

from foundation import intervals


def test_a_share_lies_within_its_interval_and_within_0_and_1() -> None:
    """Figures of Newcombe 1998, table I: 81 of 263."""
    found = intervals.share(81, 263)
    assert found is not None
    assert (found.low, found.high) == (pytest.approx(0.2553, abs=1e-4), pytest.approx(0.3662, abs=1e-4))
    none, every = intervals.share(0, 20), intervals.share(20, 20)
    assert none is not None and none.low == 0 and none.high > 0.1
    assert every is not None and every.high == 1 and every.low < 0.9


def test_the_difference_of_shares_is_newcombes() -> None:
    """Newcombe 1998, table II (a), method 10: 56 of 70 against 48 of 80."""
    found = intervals.shares_apart(intervals.share(56, 70), intervals.share(48, 80))
    assert found is not None and found.conclusive
    assert (found.low, found.high) == (pytest.approx(0.0524, abs=1e-4), pytest.approx(0.3339, abs=1e-4))


def test_the_difference_of_means_is_conclusive_when_it_is_large() -> None:
    random = np.random.default_rng(1)
    few, many, same = (random.normal(mean, 2, 400) for mean in (10, 11, 10))

    def of(values: np.ndarray) -> intervals.Interval | None:
        return intervals.mean(float(values.sum()), float((values**2).sum()), len(values))

    apart, alike = intervals.means_apart(of(many), of(few)), intervals.means_apart(of(same), of(few))
    assert apart is not None and apart.conclusive and apart.low < 1 < apart.high
    assert alike is not None and not alike.conclusive


def test_nothing_is_said_of_nothing() -> None:
    assert intervals.share(0, 0) is None
    assert intervals.mean(5, 25, 1) is None
    assert intervals.shares_apart(intervals.share(1, 2), None) is None
    assert intervals.means_apart(None, intervals.mean(5, 25, 2)) is None
