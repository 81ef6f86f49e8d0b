"""A provider in this process, for tests of what the sender does with its answers."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from campaigns.channels.base import Mail, Outcome, Receipt


@dataclass
class Carrier:
    """Takes what it is handed, answers as it is told to, and keeps it."""

    keeps_for: timedelta | None = None
    tells: bool = False
    answer: Callable[[Mail], Receipt] = lambda mail: Receipt(mail.message_id, Outcome.ACCEPTED)
    handed: list[Mail] = field(default_factory=list)
    provider: str = "carrier"

    def deliver(self, batch: Sequence[Mail]) -> list[Receipt]:
        self.handed += batch
        return [self.answer(mail) for mail in batch]

    def close(self) -> None:
        """There is nothing to close."""

    def always(self, outcome: Outcome, **more: Any) -> None:
        """From now on every message gets this answer."""
        self.answer = lambda mail: Receipt(mail.message_id, outcome, "because", **more)
