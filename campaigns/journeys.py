"""What happens next to one enrolled customer: `advance` takes facts and gives the next turn."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from campaigns import experiments
from campaigns.definitions.campaign import CartAbandonment


class Exit(StrEnum):
    """Why an enrolment ends."""

    CONVERTED = "converted"
    EMPTIED = "emptied"
    ENDED = "ended"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of the customer and the cart when it is the enrolment's turn."""

    arm: str
    position: int
    entered_at: datetime
    bought: bool
    cart_open: bool


@dataclass(frozen=True, slots=True)
class Send:
    """One message to queue."""

    step: str
    channel: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Turn:
    """What to do now: perhaps a message, then either wait or leave."""

    position: int
    send: Send | None = None
    wake_at: datetime | None = None
    leave: Exit | None = None


def advance(definition: CartAbandonment, facts: Facts, *, window: timedelta, now: datetime) -> Turn:
    """One turn. The holdout walks the same road in silence, so that both arms are watched as long."""
    end = facts.entered_at + window
    if facts.bought:
        return Turn(facts.position, leave=Exit.CONVERTED)
    if now >= end:
        return Turn(facts.position, leave=Exit.ENDED)
    if facts.position > 0:
        return Turn(facts.position, wake_at=end)
    if not facts.cart_open:
        return Turn(facts.position, leave=Exit.EMPTIED)
    if facts.arm == experiments.HOLDOUT:
        return Turn(1, wake_at=end)
    expires_at = facts.entered_at + timedelta(hours=definition.expires_hours)
    return Turn(1, send=Send("cart_1", "email", expires_at), wake_at=end)
