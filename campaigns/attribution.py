"""Which message, if any, an order is credited to, and why. Pure.

The last human act that led to the order: a code of a message used for it, wherever it was used, else the last click
within the window; else nothing. Opens never earn, for mail clients open by themselves; neither do machines' clicks.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID


class Kind(StrEnum):
    """What a person did with a message."""

    CLICK = "click"
    CODE = "code"


@dataclass(frozen=True, slots=True)
class Touch:
    """A message a person acted on: clicked at a time, or used the code of, which counts as done with the order."""

    message_id: UUID
    campaign_id: int
    at: datetime
    kind: Kind = Kind.CLICK


class Why(StrEnum):
    """What decided."""

    CODE = "code"
    LAST_CLICK = "last_click"
    TOO_EARLY = "too_early"
    NO_CLICK = "no_click"


@dataclass(frozen=True, slots=True)
class Decision:
    """The touch an order is credited to, or the one that came too early; None where there was none at all."""

    why: Why
    touch: Touch | None

    @property
    def credited(self) -> Touch | None:
        """The touch that earns; None if nothing does."""
        return self.touch if self.why in (Why.CODE, Why.LAST_CLICK) else None


def decide(ordered_at: datetime, touches: Sequence[Touch], *, window: timedelta) -> Decision:
    """Whose the order is; the same whatever the order of the touches. `window` begins with the click."""
    codes = [touch for touch in touches if touch.kind is Kind.CODE]
    if codes:
        return Decision(Why.CODE, max(codes, key=_latest))
    clicks = [touch for touch in touches if touch.kind is Kind.CLICK and touch.at <= ordered_at]
    if not clicks:
        return Decision(Why.NO_CLICK, None)
    last = max(clicks, key=_latest)
    return Decision(Why.LAST_CLICK if ordered_at - window <= last.at else Why.TOO_EARLY, last)


def _latest(touch: Touch) -> tuple[datetime, UUID]:
    return touch.at, touch.message_id
