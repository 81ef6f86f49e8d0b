"""Questions that wait together are answered together, each with its own answer or its own error."""

import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from foundation.gathering import Gathering


class Doubling:
    """Doubles numbers, a batch at a time; the first batch lasts until it is let go."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.go, self.began = threading.Event(), threading.Event()

    def __call__(self, numbers: Sequence[int]) -> list[int]:
        self.batches.append(list(numbers))
        self.began.set()
        self.go.wait(10)
        if 13 in numbers:
            raise ValueError("thirteen")
        return [2 * number for number in numbers]


def test_who_comes_alone_is_answered_alone() -> None:
    doubling = Doubling()
    doubling.go.set()
    together = Gathering(doubling, most=10)
    assert [together.ask(number) for number in (1, 2, 3)] == [2, 4, 6]
    assert doubling.batches == [[1], [2], [3]]


def _asked(doubling: Doubling, numbers: Sequence[int], *, most: int, apart: bool = True) -> list[object]:
    """The first number alone, the others while it is being answered."""
    together = Gathering(doubling, most=most, apart=apart)

    def ask(number: int) -> object:
        try:
            return together.ask(number)
        except ValueError as error:
            return str(error)

    with ThreadPoolExecutor(len(numbers)) as pool:
        first = pool.submit(ask, numbers[0])
        doubling.began.wait(10)
        others = [pool.submit(ask, number) for number in numbers[1:]]
        while len(together._waiting) < len(others):
            time.sleep(0.001)
        doubling.go.set()
        return [each.result(10) for each in (first, *others)]


def test_those_who_come_meanwhile_share_the_next_batch() -> None:
    doubling = Doubling()
    assert _asked(doubling, range(6), most=10) == [0, 2, 4, 6, 8, 10]
    assert [sorted(batch) for batch in doubling.batches] == [[0], [1, 2, 3, 4, 5]]


def test_no_batch_is_larger_than_agreed() -> None:
    doubling = Doubling()
    assert _asked(doubling, range(8), most=3) == [2 * number for number in range(8)]
    assert [len(batch) for batch in doubling.batches] == [1, 3, 3, 1]


def test_the_trouble_of_one_is_nobody_elses() -> None:
    assert _asked(Doubling(), [1, 12, 13, 14], most=10) == [2, 24, "thirteen", 28]


def test_without_a_second_try_the_error_is_everybodys() -> None:
    assert _asked(Doubling(), [1, 12, 13, 14], most=10, apart=False) == [2, "thirteen", "thirteen", "thirteen"]


@pytest.mark.parametrize("patience", [0.0, 0.002])
def test_everyone_is_answered_under_load(patience: float) -> None:
    def double(numbers: Sequence[int]) -> list[int]:
        return [2 * number for number in numbers]

    together = Gathering(double, most=4, patience=patience)
    with ThreadPoolExecutor(16) as pool:
        assert list(pool.map(together.ask, range(3_000))) == [2 * number for number in range(3_000)]


def test_those_who_came_together_are_waited_for() -> None:
    doubling = Doubling()
    together = Gathering(doubling, most=10, patience=10.0)
    with ThreadPoolExecutor(3) as pool:
        first = pool.submit(together.ask, 0)
        doubling.began.wait(10)
        others = [pool.submit(together.ask, number) for number in (1, 2)]
        while len(together._waiting) < 2:
            time.sleep(0.001)
        doubling.go.set()
        assert first.result(10) == 0
        again = pool.submit(together.ask, 3)
        assert [each.result(5) for each in (*others, again)] == [2, 4, 6]
    assert [sorted(batch) for batch in doubling.batches] == [[0], [1, 2, 3]]


def test_who_is_left_alone_waits_no_longer_than_agreed() -> None:
    doubling = Doubling()
    doubling.go.set()
    together = Gathering(doubling, most=10, patience=0.01)
    together._company = 5
    assert [together.ask(1), together.ask(2)] == [2, 4]
    assert doubling.batches == [[1], [2]]
