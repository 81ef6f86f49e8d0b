"""The merchant's rules for every campaign as one value: caps, quiet hours, sender, links, attribution window."""

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from datetime import date, time
from email.utils import parseaddr
from typing import Any, TypeGuard
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from campaigns.domains import GROUPS, WarmUp
from foundation.errors import Fault, Invalid

Topics = Mapping[str, str]
OPENS = ("off", "hygiene", "consent")
CLICKS = ("everyone", "consent")
FEWEST_SILENT_DAYS = 30
KEPT = {"refused_events": 30, "event_counts": 30, "slates": 180, "segment_moves": 400, "calls": 400, "change_log": 730}
"""What is kept for a time only, and for how many days unless the policy says otherwise."""


@dataclass(frozen=True, slots=True)
class Policy:
    """The merchant's rules. An empty `sender` means the one of the settings; no quiet hours when both are None.
    `sms_stop` is the number people send STOP to; empty when they answer the message itself.

    `margin_percent` is what the shop keeps of a product whose cost it does not tell; `message_prices` is what a message
    costs, in cents, by channel, of a text message each part: what is not named costs nothing by the piece. A campaign
    that sends more than `approval_above` messages in a day needs a second person's yes; 0: none does.

    `opens` are measured of nobody (`off`), as the day of the last one alone (`hygiene`), or of who agreed (`consent`);
    `silence_days` without any sign of her end the marketing mails to somebody whose opens are measured; 0: never.
    `track_clicks` of `everyone` or of who agreed (`consent`). `topics` are what mails can be about, a short word and
    its title. `warm_up` limits what each group of mailbox hosts gets in a day from a new sender.

    The cap is over all channels and campaigns together; `channel_caps` bound one channel more tightly, over the same
    days. `holdout_percent` of all customers get no marketing at all. What is later than `late_hours` waits for a
    decision. `channel_rates` are messages a second by channel, `host_rates` mails a second by group of mailbox hosts.
    A campaign is paused when more than the `guard_` percents of what it sent bounced, was complained about, or
    failed. With `alsace` both holidays of Alsace and Moselle count. `keep_days` says how long something is kept that
    is kept for a time only, where that is not `KEPT`.
    """

    shop_name: str = "Maison Aubier"
    sender: str = ""
    postal_address: str = "14 rue Crébillon, 44000 Nantes"
    privacy_url: str = ""
    timezone: str = "Europe/Paris"
    cap_messages: int = 3
    cap_days: int = 7
    quiet_from: time | None = time(22, 0)
    quiet_until: time | None = time(8, 0)
    attribution_days: int = 5
    approval_above: int = 0
    sms_stop: str = ""
    margin_percent: int = 40
    message_prices: Mapping[str, float] = field(default_factory=lambda: {"sms": 5.0})
    link_hosts: tuple[str, ...] = ()
    opens: str = "consent"
    silence_days: int = 0
    track_clicks: str = "everyone"
    topics: Topics = field(default_factory=dict)
    warm_up: WarmUp | None = None
    channel_caps: Mapping[str, int] = field(default_factory=dict)
    holdout_percent: float = 0.0
    late_hours: int = 12
    channel_rates: Mapping[str, int] = field(default_factory=dict)
    host_rates: Mapping[str, int] = field(default_factory=dict)
    sms_hours: bool = True
    alsace: bool = False
    guard_bounces: float = 5.0
    guard_complaints: float = 0.1
    guard_failures: float = 20.0
    keep_days: Mapping[str, int] = field(default_factory=dict)

    def price(self, channel: str, parts: int = 1) -> float:
        """What a message costs, in cents; a text message costs the price of its channel for each of its parts."""
        return self.message_prices.get(channel, 0) * parts


def counts_opens(policy: Policy, said: str) -> bool:
    """Whether the mails of who `said` so of measuring carry a picture: it is asked again when it is fetched."""
    if policy.opens == "hygiene":
        return said != "denied"
    return policy.opens == "consent" and said == "granted"


def counts_clicks(policy: Policy, said: str) -> bool:
    """Whether the links of her mails are her own."""
    return policy.track_clicks == "everyone" or said == "granted"


def dump(policy: Policy) -> dict[str, Any]:
    """The policy as JSON."""
    values = asdict(policy)
    for name in ("quiet_from", "quiet_until"):
        values[name] = values[name].strftime("%H:%M") if values[name] is not None else None
    if policy.warm_up is not None:
        values["warm_up"] = {**asdict(policy.warm_up), "begins": policy.warm_up.begins.isoformat()}
    return values | {"link_hosts": list(policy.link_hosts)}


def parse(values: Mapping[str, Any]) -> Policy:
    """Reads a policy from JSON or a form; raises `Invalid` with one fault a field."""
    known = {field.name for field in fields(Policy)}
    faults = [Fault(f"/{name}", "is not known") for name in values if name not in known]
    policy = Policy()
    for name in known & values.keys():
        try:
            policy = replace(policy, **{name: _READERS[name](values[name])})
        except (ValueError, TypeError) as error:
            faults.append(Fault(f"/{name}", str(error)))
    if (policy.quiet_from is None) != (policy.quiet_until is None):
        faults.append(Fault("/quiet_until", "quiet hours need both a beginning and an end, or neither"))
    if policy.silence_days and policy.opens == "off":
        faults.append(Fault("/silence_days", "needs opens to be measured"))
    if faults:
        raise Invalid(*faults)
    return policy


def _line(value: object) -> str:
    if not isinstance(value, str) or len(value) > 300 or not value.isprintable():
        raise ValueError("must be one line of text")
    return value.strip()


def _sender(value: object) -> str:
    text = _line(value)
    local, at, domain = parseaddr(text)[1].rpartition("@")
    try:
        good = bool(local and at and domain.encode("idna"))
    except UnicodeError:
        good = False
    if text and not good:
        raise ValueError("must be a sender such as Shop <news@shop.example>")
    return text


def _zone(value: object) -> str:
    try:
        return ZoneInfo(_line(value)).key
    except (ZoneInfoNotFoundError, OSError) as error:
        raise ValueError("must be a time zone such as Europe/Paris") from error


def _whole(low: int, high: int) -> Any:
    def reader(value: object) -> int:
        number = value if isinstance(value, int) else int(value) if _is_whole(value) else None
        if isinstance(value, bool) or number is None or not low <= number <= high:
            raise ValueError(f"must be a whole number from {low} to {high}")
        return number

    return reader


def _silence(value: object) -> int:
    days: int = _whole(0, 1095)(value)
    if 0 < days < FEWEST_SILENT_DAYS:
        raise ValueError(f"must be at least {FEWEST_SILENT_DAYS}")
    return days


def _is_whole(value: object) -> TypeGuard[str]:
    return isinstance(value, str) and re.fullmatch(r"-?[0-9]{1,12}", value) is not None


def _percent(high: float) -> Any:
    def reader(value: object) -> float:
        try:
            found = float(str(value))
        except ValueError as error:
            raise ValueError("must be a percentage") from error
        if isinstance(value, bool) or not 0 <= found <= high:
            raise ValueError(f"must be a percentage from 0 to {high:g}")
        return found

    return reader


def _yes(value: object) -> bool:
    words = {True: True, False: False, "true": True, "false": False}
    if not isinstance(value, bool | str) or value not in words:
        raise ValueError("must be true or false")
    return words[value]


def _by_channel(low: int, high: int) -> Any:
    number = _whole(low, high)

    def reader(value: object) -> dict[str, int]:
        if not isinstance(value, Mapping) or not all(isinstance(name, str) for name in value):
            raise ValueError("must hold a number for each channel named")
        return {name: number(one) for name, one in value.items()}

    return reader


def _days_kept(value: object) -> dict[str, int]:
    found: dict[str, int] = _by_channel(1, 3650)(value)
    if unknown := found.keys() - KEPT.keys():
        raise ValueError(f"names {min(unknown)}, of which nothing is kept for a time")
    return found


def _by_hosts(low: int, high: int) -> Any:
    def reader(value: object) -> dict[str, int]:
        found: dict[str, int] = _by_channel(low, high)(value)
        if unknown := found.keys() - set(GROUPS):
            raise ValueError(f"names {min(unknown)}, which is none of: {', '.join(GROUPS)}")
        return found

    return reader


def _clock(value: object) -> time | None:
    if value is None or value == "":
        return None
    try:
        return time.fromisoformat(str(value)).replace(second=0, microsecond=0, tzinfo=None)
    except ValueError as error:
        raise ValueError("must be an hour such as 22:00") from error


def _hosts(value: object) -> tuple[str, ...]:
    if not isinstance(value, list | tuple):
        raise ValueError("must be a list of host names")
    names = tuple(_line(host).lower() for host in value)
    if any(not name or set("/:@ ") & set(name) for name in names):
        raise ValueError("must hold host names alone, such as shop.example")
    return names


def _prices(value: object) -> dict[str, float]:
    if not isinstance(value, Mapping):
        raise ValueError("must hold a price in cents by channel")
    prices = {_line(channel): price for channel, price in value.items()}
    if any(
        isinstance(price, bool) or not isinstance(price, int | float) or not 0 <= price <= 10_000
        for price in prices.values()
    ):
        raise ValueError("must hold prices from 0 to 10000 cents")
    return {channel: float(price) for channel, price in prices.items()}


def _one_of(*words: str) -> Any:
    def reader(value: object) -> str:
        if value not in words:
            raise ValueError(f"must be one of: {', '.join(words)}")
        return str(value)

    return reader


def _topics(value: object) -> dict[str, str]:
    if not isinstance(value, Mapping) or len(value) > 20:
        raise ValueError("must hold at most 20 titles by a short word")
    if not all(re.fullmatch(r"[a-z0-9][a-z0-9_-]{0,40}", str(name)) for name in value):
        raise ValueError("names each topic by a short word of small letters, digits and dashes")
    return {str(name): _line(title) for name, title in value.items()}


def _warm_up(value: object) -> WarmUp | None:
    if value is None or value == "":
        return None
    if not isinstance(value, Mapping) or not set(value) <= {"begins", "first_day", "factor"}:
        raise ValueError("must hold begins, first_day and factor")
    try:
        plan = WarmUp(
            date.fromisoformat(str(value.get("begins"))), value.get("first_day", 500), value.get("factor", 2.0)
        )
    except ValueError as error:
        raise ValueError("must begin on a day such as 2026-11-22") from error
    if not isinstance(plan.first_day, int) or not 1 <= plan.first_day <= 1_000_000 or not 1.1 <= plan.factor <= 4:
        raise ValueError("must have a first_day from 1 to 1000000 and a factor from 1.1 to 4")
    return plan


_READERS = {
    "shop_name": _line,
    "sender": _sender,
    "postal_address": _line,
    "privacy_url": _line,
    "timezone": _zone,
    "cap_messages": _whole(0, 100),
    "cap_days": _whole(1, 90),
    "quiet_from": _clock,
    "quiet_until": _clock,
    "attribution_days": _whole(1, 90),
    "approval_above": _whole(0, 10_000_000),
    "sms_stop": _line,
    "margin_percent": _whole(0, 100),
    "message_prices": _prices,
    "link_hosts": _hosts,
    "opens": _one_of(*OPENS),
    "silence_days": _silence,
    "track_clicks": _one_of(*CLICKS),
    "topics": _topics,
    "warm_up": _warm_up,
    "channel_caps": _by_channel(0, 100),
    "holdout_percent": _percent(50),
    "late_hours": _whole(1, 168),
    "channel_rates": _by_channel(1, 100_000),
    "host_rates": _by_hosts(1, 100_000),
    "sms_hours": _yes,
    "alsace": _yes,
    "guard_bounces": _percent(100),
    "guard_complaints": _percent(100),
    "guard_failures": _percent(100),
    "keep_days": _days_kept,
}
