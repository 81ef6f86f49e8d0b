"""What every channel promises: `deliver` hands a batch over and says of each message what is certain."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol
from uuid import UUID


class Outcome(StrEnum):
    """What is known once the provider was spoken to."""

    ACCEPTED = "accepted"
    REFUSED_RETRY = "refused_retry"
    """Refused for now: nothing was sent, the same may be tried later."""
    REFUSED_FINAL = "refused_final"
    """Refused for good, for a fault of this message or address."""
    AMBIGUOUS = "ambiguous"
    """Something left and no answer came: it may or may not have been accepted."""
    UNSENT = "unsent"
    """Nothing of it left this machine."""
    MISCONFIGURED = "misconfigured"
    """Refused for a fault of ours, such as a wrong key: every other message would be too."""


@dataclass(frozen=True, slots=True)
class Mail:
    """One e-mail, frozen. It must not begin to leave after `deadline`, a reading of `time.monotonic()`."""

    message_id: UUID
    attempt: int
    sender: str
    address: str
    subject: str
    html: str
    text: str
    headers: Mapping[str, str]
    deadline: float


@dataclass(frozen=True, slots=True)
class Receipt:
    """What the provider said of one message.

    `detail` is its own words. `retry_after` seconds were asked for; `busy` if they are for every message, not this
    one. `bad_address` if the address does not exist.
    """

    message_id: UUID
    outcome: Outcome
    detail: str = ""
    provider_ref: str | None = None
    retry_after: float | None = None
    busy: bool = False
    bad_address: bool = False


class Channel(Protocol):
    """A way to reach customers. It keeps no state that matters: what must be remembered is in the ledger."""

    @property
    def provider(self) -> str:
        """Who carries it: the name its gate and its reports go by."""

    def deliver(self, batch: Sequence[Mail]) -> list[Receipt]:
        """Hands each over once and gives one receipt each, in the same order; never raises for what one may expect."""

    def close(self) -> None:
        """Closes kept connections, if there are any; the next `deliver` opens them again."""
