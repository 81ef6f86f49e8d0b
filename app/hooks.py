"""What providers post to us: SendGrid's signed event webhook, the signature checked before anything is read."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import orjson
from flask import Blueprint, Response, abort, request

from app.parts import current_parts
from campaigns import feedback
from campaigns.channels import sendgrid
from campaigns.feedback import Kind, Report

bp = Blueprint("hooks", __name__, url_prefix="/hooks")

MOST_BYTES = 5 * 1024 * 1024


@bp.post("/sendgrid")
def sendgrid_events() -> Response:
    """Answers 2xx only once every report is kept: anything else makes SendGrid send them again, for 24 hours."""
    key, now = current_parts().config.sendgrid_webhook_key, datetime.now(UTC)
    body = request.get_data(cache=False) if (request.content_length or 0) <= MOST_BYTES else abort(413)
    signature = request.headers.get("X-Twilio-Email-Event-Webhook-Signature", "")
    timestamp = request.headers.get("X-Twilio-Email-Event-Webhook-Timestamp", "")
    if not key or not sendgrid.signed(body, signature=signature, timestamp=timestamp, public_key=key, now=now):
        abort(403)
    try:
        events = orjson.loads(body)
    except orjson.JSONDecodeError:
        abort(400)
    if not isinstance(events, list):
        abort(400)
    reports = [report for event in events if (report := _report(_printable(event))) is not None]
    with current_parts().db.begin() as conn:
        feedback.reported(conn, "sendgrid", reports, now=now)
    return Response(status=204)


_KINDS = {
    "processed": Kind.ACCEPTED,
    "deferred": Kind.ACCEPTED,
    "delivered": Kind.DELIVERED,
    "bounce": Kind.BOUNCED,
    "dropped": Kind.DROPPED,
    "spamreport": Kind.COMPLAINED,
}

# A bounce for one of these is not the address's fault: it may be written to again.
_NOT_THE_ADDRESS = ("technical", "content", "reputation", "frequency or volume too high", "mailbox unavailable")


def _report(event: object) -> Report | None:
    """One event of SendGrid's in our words; None for what is not one. Clicks and opens we count ourselves."""
    if not isinstance(event, dict) or not isinstance(event.get("sg_event_id"), str):
        return None
    kind = _KINDS.get(str(event.get("event")), Kind.OTHER)
    return Report(
        event_id=event["sg_event_id"][:100],
        kind=kind,
        at=_time(event.get("timestamp")),
        message_id=_message_id(event.get("mid")),
        attempt=_number(event.get("attempt")),
        bad_address=kind in (Kind.BOUNCED, Kind.DROPPED) and _hopeless(event),
        detail=_text(event.get("reason")),
        raw={name: value for name, value in event.items() if name not in ("email", "ip", "useragent")},
    )


def _hopeless(event: Mapping[str, Any]) -> bool:
    if event.get("event") == "dropped":
        return any(word in str(event.get("reason", "")).lower() for word in ("bounced", "invalid", "spam"))
    kind = str(event.get("bounce_classification", "")).lower()
    return event.get("type") != "blocked" and kind not in _NOT_THE_ADDRESS


def _time(value: object) -> datetime:
    try:
        return datetime.fromtimestamp(int(str(value)), UTC)
    except (ValueError, OverflowError, OSError):
        return datetime.now(UTC)


def _message_id(value: object) -> UUID | None:
    try:
        return UUID(str(value))
    except ValueError:
        return None


def _number(value: object) -> int | None:
    text = str(value)
    return int(text) if text.isdecimal() and len(text) < 10 else None


def _text(value: object) -> str | None:
    return str(value)[:500] if value else None


def _printable(value: object) -> object:
    """The same without NUL characters, which PostgreSQL cannot hold."""
    if isinstance(value, str):
        return value.replace("\0", "")
    if isinstance(value, list):
        return [_printable(item) for item in value]
    if isinstance(value, dict):
        return {_printable(name): _printable(item) for name, item in value.items()}
    return value
