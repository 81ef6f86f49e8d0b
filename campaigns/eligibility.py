"""May this message go out now? `decide` gives Send, Hold until, or Skip because."""

from dataclasses import dataclass
from datetime import datetime, time, timedelta, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from campaigns.rules import Policy
from campaigns.states import Reason


@dataclass(frozen=True, slots=True)
class Standing:
    """Everything that can stop or delay one message, as known just before it is rendered."""

    expires_at: datetime
    address: str | None
    address_ok: bool
    consent: str
    suppressed: bool
    bought: bool
    cart_state: str | None
    cart_touched_at: datetime | None
    quiet_for: timedelta
    received_lately: int
    cap_frees_at: datetime | None
    timezone: str | None


@dataclass(frozen=True, slots=True)
class Send:
    """It may go."""


@dataclass(frozen=True, slots=True)
class Hold:
    """Not now; look again at `until`."""

    until: datetime
    reason: Reason


@dataclass(frozen=True, slots=True)
class Skip:
    """Never."""

    reason: Reason


Decision = Send | Hold | Skip


def decide(standing: Standing, *, policy: Policy, now: datetime) -> Decision:
    """The first thing that forbids it wins; what only delays comes last."""
    refused = _permission(standing) or _cart(standing)
    if refused:
        return Skip(refused)
    held = _delay(standing, policy=policy, now=now)
    if held is None:
        return Send()
    if held.until >= standing.expires_at:
        return Skip(held.reason)
    return held


def _permission(standing: Standing) -> Reason | None:
    if not standing.address:
        return Reason.NO_ADDRESS
    if not standing.address_ok:
        return Reason.BAD_ADDRESS
    if standing.consent == "denied":
        return Reason.UNSUBSCRIBED
    if standing.suppressed:
        return Reason.SUPPRESSED
    return None if standing.consent == "granted" else Reason.NO_CONSENT


def _cart(standing: Standing) -> Reason | None:
    """Only messages about a cart have one."""
    if standing.bought or standing.cart_state == "ordered":
        return Reason.BOUGHT
    return None if standing.cart_state in ("open", None) else Reason.CART_EMPTIED


def _delay(standing: Standing, *, policy: Policy, now: datetime) -> Hold | None:
    quiet_at = (standing.cart_touched_at or now) + standing.quiet_for
    if quiet_at > now:
        return Hold(quiet_at, Reason.CART_CHANGED)
    if standing.received_lately >= policy.cap_messages:
        return Hold(standing.cap_frees_at or now + timedelta(days=policy.cap_days), Reason.CAP)
    awake = awake_at(now, zone(standing.timezone, policy.timezone), start=policy.quiet_from, end=policy.quiet_until)
    return Hold(awake, Reason.QUIET_HOURS) if awake > now else None


def zone(*names: str | None) -> tzinfo:
    """The first of these zones that exists; UTC when none does."""
    for name in names:
        try:
            if name:
                return ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            continue
    return ZoneInfo("UTC")


def awake_at(now: datetime, where: tzinfo, *, start: time | None, end: time | None) -> datetime:
    """The first moment from `now` on that is not in the quiet hours of that place; they may span midnight."""
    if start is None or end is None or start == end:
        return now
    local = now.astimezone(where)
    clock = local.time().replace(tzinfo=None)
    silent = start <= clock < end if start < end else clock >= start or clock < end
    if not silent:
        return now
    day = local.date() + timedelta(days=1 if start > end and clock >= start else 0)
    return datetime.combine(day, end, tzinfo=where).astimezone(now.tzinfo)
