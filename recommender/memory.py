"""Answers kept for a minute, each as long as nothing it was made of has changed."""

import threading
from collections import OrderedDict
from collections.abc import Hashable
from datetime import datetime, timedelta
from typing import Generic, TypeVar

V = TypeVar("V")

MOST = 4_000
KEPT = timedelta(minutes=1)


class Memory(Generic[V]):
    """The latest few thousand answers of one process, by what was asked. Safe for many threads."""

    def __init__(self) -> None:
        self._kept: OrderedDict[Hashable, tuple[Hashable, datetime, V]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, question: Hashable, *, version: Hashable, now: datetime) -> V | None:
        """The answer, if it is of this version and not old."""
        found = self._kept.get(question)
        if found is None or found[0] != version or not timedelta() <= now - found[1] < KEPT:
            return None
        return found[2]

    def put(self, question: Hashable, answer: V, *, version: Hashable, now: datetime) -> None:
        """Keeps an answer; the one kept longest makes room."""
        with self._lock:
            self._kept.pop(question, None)
            self._kept[question] = (version, now, answer)
            if len(self._kept) > MOST:
                self._kept.popitem(last=False)
