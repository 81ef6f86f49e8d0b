"""Questions that wait at the same moment in one process are answered as one batch, so that they share its fixed cost.

Who comes alone is answered at once by itself. Those who come while a batch is being answered gather for the next one,
which the first of them answers for all. There is no thread and no waiting for company.
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
    :param batches: how many batches are answered at once: while one waits for the database, another may compute
    """

    def __init__(self, answer: Callable[[Sequence[Q]], Sequence[A]], *, most: int, batches: int = 1) -> None:
        self._answer = answer
        self._most = most
        self._free = batches
        self._waiting: list[_Turn[Q, A]] = []
        self._lock = threading.Lock()

    def ask(self, question: Q) -> A:
        """The answer to this question. A question that cannot be answered fails alone, by its own error."""
        turn: _Turn[Q, A] = _Turn(question)
        turn.done.acquire()
        with self._lock:
            self._waiting.append(turn)
            if self._free:
                self._free -= 1
                turn.leads = True
        if not turn.leads:
            turn.done.acquire()
        if turn.leads:
            self._lead(turn)
        if turn.error is not None:
            raise turn.error
        return turn.answer  # type: ignore[return-value] # without an error there is an answer

    def _lead(self, turn: _Turn[Q, A]) -> None:
        with self._lock:
            together = self._taken(turn)
        try:
            self._answered(together)
        finally:
            with self._lock:
                following = next((each for each in self._waiting if not each.leads), None)
                if following is None:
                    self._free += 1
                else:
                    following.leads = True
            if following is not None:
                following.done.release()
            for each in together[1:]:
                each.done.release()

    def _taken(self, turn: _Turn[Q, A]) -> list[_Turn[Q, A]]:
        """The leader's own question, then those that wait, oldest first."""
        others = [each for each in self._waiting if each is not turn and not each.leads]
        together = [turn, *others[: self._most - 1]]
        taken = set(map(id, together))
        self._waiting = [each for each in self._waiting if id(each) not in taken]
        return together

    def _answered(self, together: Sequence[_Turn[Q, A]]) -> None:
        """Tried together; if that fails, each by itself, so that one question's trouble is nobody else's."""
        try:
            answers = self._answer([turn.question for turn in together])
        except Exception as error:
            if len(together) == 1:
                together[0].error = error
                return
            for turn in together:
                self._answered([turn])
            return
        for turn, answer in zip(together, answers, strict=True):
            turn.answer, turn.error = answer, None
