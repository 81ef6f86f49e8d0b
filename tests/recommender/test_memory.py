"""Answers kept for a minute."""

from datetime import datetime, timedelta

from recommender import memory
from recommender.memory import Memory


def test_an_answer_is_kept_while_its_version_lasts_and_for_a_minute(now: datetime) -> None:
    kept: Memory[str] = Memory()
    kept.put("who", "answer", version=1, now=now)
    assert kept.get("who", version=1, now=now + timedelta(seconds=59)) == "answer"
    assert kept.get("who", version=2, now=now) is None
    assert kept.get("who", version=1, now=now + memory.KEPT) is None
    assert kept.get("who", version=1, now=now - timedelta(seconds=1)) is None


def test_the_oldest_makes_room(now: datetime) -> None:
    kept: Memory[int] = Memory()
    for number in range(memory.MOST + 1):
        kept.put(number, number, version=None, now=now)
    assert kept.get(0, version=None, now=now) is None
    assert kept.get(1, version=None, now=now) == 1
