"""Which message, if any, an order is credited to."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Touch:
    """A message a person clicked."""

    message_id: UUID
    campaign_id: int
    at: datetime


def credit(ordered_at: datetime, touches: Sequence[Touch], *, window: timedelta) -> Touch | None:
    """The last human click at most `window` before the order; opens never earn, mail clients open by themselves."""
    recent = [touch for touch in touches if ordered_at - window <= touch.at <= ordered_at]
    return max(recent, key=lambda touch: touch.at, default=None)
