"""What every channel promises: `deliver` hands a batch over and says of each message what is certain."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Protocol, TypeVar
from uuid import UUID

from campaigns.channels.pieces import Body


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
    """One e-mail, frozen. It must not begin to leave after `deadline`, a reading of `time.monotonic()`.

    `campaign` is its name, for reports by kind; `broadcast` if many get the same at once, so that one call may carry
    several of them. `body` is HTML and text, put together when they are asked for.
    """

    message_id: UUID
    attempt: int
    sender: str
    address: str
    subject: str
    body: Body
    headers: Mapping[str, str]
    deadline: float
    campaign: str = ""
    broadcast: bool = False

    @property
    def html(self) -> str:
        """The whole HTML."""
        return self.body.html

    @property
    def text(self) -> str:
        """The whole text."""
        return self.body.text


@dataclass(frozen=True, slots=True)
class Note:
    """One message that is no mail: a notification, a text message, a few words on the shop's own pages.

    `addresses` are her telephone number, or every device of hers, in the words of `campaigns/reachable.py`. `actions`
    are the buttons beside the main link, label and address. It is worth nothing after `expires_at`.
    """

    message_id: UUID
    attempt: int
    channel: str
    addresses: tuple[str, ...]
    title: str
    text: str
    expires_at: datetime
    deadline: float
    url: str | None = None
    image: str | None = None
    actions: tuple[tuple[str, str], ...] = ()
    closing: str = ""
    """How to stop, beneath a text message; a gateway that says it in its own words leaves ours out."""
    template: str | None = None
    """The name a WhatsApp template was approved under, and what fills it."""
    values: tuple[str, ...] = ()


Parcel = Mail | Note


@dataclass(frozen=True, slots=True)
class Receipt:
    """What the provider said of one message.

    `detail` is its own words. `retry_after` seconds were asked for; `busy` if they are for every message, not this
    one. `bad_address` if the address does not exist. `stopped` if the provider knows that she wants no more of them.
    `dead` are devices that ended, whatever became of the message on the others. `code` is the answer as a number, of
    HTTP or of SMTP, and `request_id` what the provider calls this attempt, where it says so.
    """

    message_id: UUID
    outcome: Outcome
    detail: str = ""
    provider_ref: str | None = None
    retry_after: float | None = None
    busy: bool = False
    bad_address: bool = False
    stopped: bool = False
    dead: tuple[str, ...] = ()
    code: int | None = None
    request_id: str | None = None


P = TypeVar("P", Mail, Note, contravariant=True)


class Carrier(Protocol[P]):
    """A way to reach customers. It keeps no state that matters: what must be remembered is in the ledger."""

    @property
    def provider(self) -> str:
        """Who carries it: the name its gate and its reports go by."""

    @property
    def keeps_for(self) -> timedelta | None:
        """How long it recognises a message it already took by its id, and takes it no second time; None: never."""

    @property
    def tells(self) -> bool:
        """Whether it reports every message it took, so that its silence on one means something."""

    def deliver(self, batch: Sequence[P]) -> list[Receipt]:
        """Hands each over once and gives one receipt each, in the same order; never raises for what one may expect.

        Several threads may ask at once.
        """

    def close(self) -> None:
        """Closes kept connections, if there are any; the next `deliver` opens them again."""


Channel = Carrier[Mail]
"""A way to send e-mail."""

Messenger = Carrier[Note]
"""A way to bring notes."""
