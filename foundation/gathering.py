"""Questions that wait at the same moment in one process are answered as one batch, so that they share its fixed cost.

Who comes alone is answered at once by itself. Those who come while a batch is being answered gather for the next one,
which the first of them answers for all; there is no thread. Where people come together again and again, the next batch
may be put off a moment until as many are there as came of late.
"""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

Q = TypeVar("Q")
A = TypeVar("A")


class Unanswered(RuntimeError):
    """The batch ended without a word for this question: whoever answered it was stopped."""


@dataclass(slots=True)
class _Turn(Generic[Q, A]):
    """One question and what became of it. `leads`: this one answers the next batch."""

    question: Q
    done: threading.Lock = field(default_factory=threading.Lock)
    leads: bool = False
    answer: A | None = None
    error: BaseException | None = field(default_factory=Unanswered)


class Gathering(Generic[Q, A]):
    """Gathers questions. Holds no thread, so it may be made before a server forks. Safe for many threads.

    :param answer: gives one answer a question, in their order
    :param most: how many questions one batch takes
    :param patience: seconds a batch is put off at most while fewer wait than came of late; who comes alone never waits
    :param apart: whether a batch that failed is tried again question by question, so that one's trouble is nobody
        else's; without it, its error is everybody's
    """

    def __init__(
        self,
        answer: Callable[[Sequence[Q]], Sequence[A]],
        *,
        most: int,
        patience: float = 0.0,
        apart: bool = True,
    ) -> None:
        self._answer = answer
        self._most = most
        self._patience = patience
        self._apart = apart
        self._waiting: list[_Turn[Q, A]] = []
        self._lock = threading.Lock()
        self._leading = False
        self._company = 1
        self._expecting = False
        self._complete = threading.Semaphore(0)

    def ask(self, question: Q) -> A:
        """The answer to this question; raises what kept it from being answered."""
        turn: _Turn[Q, A] = _Turn(question)
        turn.done.acquire()
        with self._lock:
            self._waiting.append(turn)
            turn.leads = not self._leading
            self._leading = True
            if self._expecting and len(self._waiting) >= self._company:
                self._expecting = False
                self._complete.release()
        if not turn.leads:
            turn.done.acquire()
        if turn.leads:
            self._lead()
        if turn.error is not None:
            raise turn.error
        return turn.answer  # type: ignore[return-value] # without an error there is an answer

    def _lead(self) -> None:
        """Answers the oldest that wait, the leader first of them, then lets the next in line do the rest."""
        if self._patience:
            self._expect()
        with self._lock:
            together, self._waiting = self._waiting[: self._most], self._waiting[self._most :]
        try:
            self._answered(together)
        finally:
            with self._lock:
                self._company = min(len(together) + len(self._waiting), self._most)
                following = self._waiting[0] if self._waiting else None
                self._leading = following is not None
                if following is not None:
                    following.leads = True
            if following is not None:
                following.done.release()
            for each in together[1:]:
                each.done.release()

    def _expect(self) -> None:
        """Those just answered are about to ask again: together they cost half as much as in two batches."""
        with self._lock:
            self._expecting = len(self._waiting) < self._company
            if not self._expecting:
                return
        if not self._complete.acquire(timeout=self._patience):
            with self._lock:
                if self._expecting:
                    self._expecting = False
                else:
                    self._complete.acquire()

    def _answered(self, together: Sequence[_Turn[Q, A]]) -> None:
        try:
            answers = self._answer([turn.question for turn in together])
        except Exception as error:
            if self._apart and len(together) > 1:
                for turn in together:
                    self._answered([turn])
            else:
                for turn in together:
                    turn.error = error
            return
        for turn, answer in zip(together, answers, strict=True):
            turn.answer, turn.error = answer, None
