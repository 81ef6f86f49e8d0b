"""SendGrid's reports read back: the signature of its event webhook over the raw bytes, and each event in our words.

The log it keeps of a message holds the same events, so what the webhook missed reads the same.
"""

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any
from uuid import UUID

import orjson
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from sendgrid.helpers.eventwebhook import EventWebhook

from campaigns import bounces
from campaigns.bounces import Fault
from campaigns.feedback import Kind, Listed, Report

SKEW = timedelta(minutes=10)
PRIVATE = ("email", "ip", "useragent", "url")
"""What an event says of a person; none of it is kept."""

_KINDS = {
    "processed": Kind.ACCEPTED,
    "deferred": Kind.ACCEPTED,
    "delivered": Kind.DELIVERED,
    "bounce": Kind.BOUNCED,
    "dropped": Kind.DROPPED,
    "spamreport": Kind.COMPLAINED,
    "unsubscribe": Kind.UNSUBSCRIBED,
    "group_unsubscribe": Kind.UNSUBSCRIBED,
}


_DROPPED: Mapping[str, tuple[Fault | None, Listed | None]] = {
    "bounced address": (Fault.INVALID, None),
    "invalid": (Fault.INVALID, None),
    "spam reporting address": (None, Listed.COMPLAINT),
    "unsubscribed address": (None, Listed.UNSUBSCRIBED),
    "spam content": (Fault.CONTENT, None),
    "invalid smtpapi header": (Fault.TECHNICAL, None),
    "recipient list over package quota": (Fault.VOLUME, None),
}
"""Why SendGrid did not even try, in its own words; of any other nothing is known, and nobody's address ends by it."""


class Unreadable(ValueError):
    """Signed, but no list of events."""


def signed(body: bytes, *, signature: str, timestamp: str, public_key: str) -> bool:
    """Whether SendGrid signed these very bytes, at this time."""
    try:
        return bool(EventWebhook().verify_signature(body.decode(), signature, timestamp, _key(public_key)))
    except ValueError:
        return False


def old(timestamp: str, *, now: datetime, other: Callable[[], datetime]) -> bool:
    """Whether what was signed then is too old to be taken in, by our clock and by the `other`, asked if ours says so:
    where they disagree one is wrong, and no report is lost for it. What was signed later than now is never too old, for
    SendGrid alone can sign, and then it is our clock that is behind."""
    try:
        signed_at = int(timestamp)
    except ValueError:
        return True
    oldest = signed_at + SKEW.total_seconds()
    return now.timestamp() > oldest and other().timestamp() > oldest


@lru_cache(maxsize=4)
def _key(public_key: str) -> EllipticCurvePublicKey:
    key: EllipticCurvePublicKey = EventWebhook().convert_public_key_to_ecdsa(public_key)
    return key


def read(body: bytes, *, now: datetime) -> list[Report]:
    """The events of a post. What is not one of SendGrid's is passed over; raises `Unreadable` if nothing could be."""
    try:
        # PostgreSQL holds no NUL: JSON may, escaped.
        events = orjson.loads(body.replace(rb"\u0000", b"") if rb"\u0000" in body else body)
    except orjson.JSONDecodeError as error:
        raise Unreadable("is no JSON") from error
    if not isinstance(events, list):
        raise Unreadable("is no list")
    return list(reports(events, now=now))


def reports(events: Iterable[object], *, now: datetime) -> Iterable[Report]:
    """Each event in our words. Opens and clicks we count ourselves."""
    for event in events:
        if isinstance(event, dict) and isinstance(event.get("sg_event_id"), str):
            yield _report(event, now)


def _report(event: Mapping[str, Any], now: datetime) -> Report:
    kind = _KINDS.get(str(event.get("event")), Kind.OTHER)
    fault = _fault(event) if kind is Kind.BOUNCED else None
    listed = None
    if kind is Kind.DROPPED:
        fault, listed = _DROPPED.get(str(event.get("reason", "")).strip().lower(), (Fault.UNKNOWN, None))
    return Report(
        event_id=event["sg_event_id"][:100],
        kind=kind,
        at=_time(event.get("timestamp"), now),
        message_id=_message_id(event.get("mid")),
        attempt=_number(event.get("attempt")),
        bad_address=fault is Fault.INVALID,
        ours=fault not in (None, Fault.INVALID, Fault.FULL, Fault.UNAVAILABLE) and not listed,
        listed=listed,
        detail=_text(event.get("reason")),
        ref=_text(event.get("sg_message_id")),
        raw={name: value for name, value in event.items() if name not in PRIVATE},
    )


def _fault(event: Mapping[str, Any]) -> Fault:
    """A block is our fault or a bad day; a bounce nobody could classify is an address that does not work."""
    words = str(event.get("reason", ""))
    status = str(event.get("status", ""))
    told = bounces.classified(str(event.get("bounce_classification", "")))
    fault = told or bounces.classify(words, status=status)
    if event.get("type") == "blocked":
        return Fault.UNAVAILABLE if fault is Fault.INVALID else fault
    return Fault.INVALID if fault is Fault.UNKNOWN else fault


def _time(value: object, now: datetime) -> datetime:
    try:
        return datetime.fromtimestamp(int(str(value)), UTC)
    except (ValueError, OverflowError, OSError):
        return now


def _message_id(value: object) -> UUID | None:
    try:
        return UUID(str(value))
    except ValueError:
        return None


def _number(value: object) -> int | None:
    text = str(value)
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 10 else None


def _text(value: object) -> str | None:
    return str(value)[:500] if value else None
