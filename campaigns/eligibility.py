"""May this message go out now? `decide` gives Send, Hold until, or Skip because."""

from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from campaigns import hours
from campaigns.rules import Policy
from campaigns.states import Reason

TRANSACTIONAL = "transactional"
OWN_PAGES = ("onsite",)
"""Where a no is obeyed and no yes is asked for: the tracker, which shows it, has its own consent."""
CAPPED = ("email", "push", "sms", "whatsapp")
"""Channels that disturb: caps and quiet hours are about these."""
BY_TRADE = ("sms", "whatsapp")
YIELD = timedelta(seconds=30)
"""How long a message stands back for one of a higher priority before it looks again."""


@dataclass(frozen=True, slots=True)
class Standing:
    """Everything that can stop or delay one message, as known just before it is rendered.

    `silent`: nothing was heard of her for so long that no marketing mail goes to her any more.
    `ahead` is how many messages of a higher priority are due to the same person, of which `rival` is the first one's
    campaign; `yielded`: it stood back for one before. `in_channel` is what she received by this very channel.
    """

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
    channel: str = "email"
    purpose: str = "marketing"
    left: bool = False
    in_channel: int = 0
    channel_frees_at: datetime | None = None
    ahead: int = 0
    ahead_in_channel: int = 0
    rival: str | None = None
    yielded: bool = False
    silent: bool = False
    left_topic: bool = False

    @property
    def wanted(self) -> bool:
        """She asked for it herself, by ordering: no marketing, so neither consent, cap nor quiet hours are about it."""
        return self.purpose == TRANSACTIONAL


@dataclass(frozen=True, slots=True)
class Send:
    """It may go."""


@dataclass(frozen=True, slots=True)
class Hold:
    """Not now; look again at `until`. `detail` names the campaign that goes first, if one does."""

    until: datetime
    reason: Reason
    detail: str | None = None


@dataclass(frozen=True, slots=True)
class Skip:
    """Never."""

    reason: Reason
    detail: str | None = None


Decision = Send | Hold | Skip


def decide(standing: Standing, *, policy: Policy, now: datetime) -> Decision:
    """The first thing that forbids it wins; what only delays comes last."""
    refused = _permission(standing) or _journey(standing)
    if refused:
        return Skip(refused)
    held = _delay(standing, policy=policy, now=now)
    if held is None:
        return Send()
    if held.until >= standing.expires_at:
        return Skip(held.reason, held.detail)
    return held


def _permission(standing: Standing) -> Reason | None:
    if not standing.address:
        return Reason.NO_ADDRESS
    if not standing.address_ok:
        return Reason.BAD_ADDRESS
    if standing.consent == "denied":
        return Reason.TOPIC_LEFT if standing.left_topic else Reason.UNSUBSCRIBED
    if standing.suppressed:
        return Reason.SUPPRESSED
    agreed = standing.consent == "granted" or standing.wanted or standing.channel in OWN_PAGES
    if not agreed:
        return Reason.NO_CONSENT
    return Reason.SILENT if standing.silent and standing.channel == "email" and not standing.wanted else None


def _journey(standing: Standing) -> Reason | None:
    """What it is about has come to an end. Only messages about a cart have one."""
    if standing.bought or standing.cart_state == "ordered":
        return Reason.BOUGHT
    if standing.left:
        return Reason.LEFT_JOURNEY
    return None if standing.cart_state in ("open", None) else Reason.CART_EMPTIED


def _delay(standing: Standing, *, policy: Policy, now: datetime) -> Hold | None:
    quiet_at = (standing.cart_touched_at or now) + standing.quiet_for
    if quiet_at > now:
        return Hold(quiet_at, Reason.CART_CHANGED)
    if standing.wanted or standing.channel not in CAPPED:
        return None
    full = _full(standing, policy=policy, now=now)
    if full is not None:
        return full
    home = zone(standing.timezone, policy.timezone)
    trade = policy.sms_hours and standing.channel in BY_TRADE and hours.french(standing.address or "", home)
    opens = hours.open_at(now, home, quiet=(policy.quiet_from, policy.quiet_until), trade=trade, east=policy.alsace)
    return Hold(opens, Reason.QUIET_HOURS) if opens > now else None


def _full(standing: Standing, *, policy: Policy, now: datetime) -> Hold | None:
    """The caps: over all channels, and of this one. Who stands in line for the last places lets the higher ones go."""
    most = policy.channel_caps.get(standing.channel, policy.cap_messages)
    lines = (
        (policy.cap_messages, standing.received_lately, standing.ahead, standing.cap_frees_at),
        (most, standing.in_channel, standing.ahead_in_channel, standing.channel_frees_at),
    )
    reason = Reason.OUTRANKED if standing.yielded else Reason.CAP
    for cap, received, _, frees_at in lines:
        if received >= cap:
            return Hold(frees_at or now + timedelta(days=policy.cap_days), reason, standing.rival)
    if any(received + ahead >= cap for cap, received, ahead, _ in lines):
        return Hold(now + YIELD, Reason.OUTRANKED, standing.rival)
    return None


def zone(*names: str | None) -> tzinfo:
    """The first of these zones that exists; UTC when none does."""
    for name in names:
        try:
            if name:
                return ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            continue
    return ZoneInfo("UTC")
