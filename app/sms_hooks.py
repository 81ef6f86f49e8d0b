"""What gateways for text messages post to us: what became of a message, and what people write back.

Known by Twilio's signature, or by the word in the address that only the gateway was given. A reply that means stop
ends all marketing to that number from the commit on, whoever it belongs to.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from hmac import compare_digest
from typing import Any
from uuid import UUID

import orjson
from flask import Blueprint, Response, abort, request

from app.parts import current_parts
from campaigns import connections, feedback, replies
from campaigns.channels import carriers, sms, sms_twilio
from campaigns.feedback import Kind, Report

bp = Blueprint("sms_hooks", __name__, url_prefix="/hooks")

MOST_BYTES = 64 * 1024
_TWILIO = {
    "sent": Kind.ACCEPTED,
    "delivered": Kind.DELIVERED,
    "read": Kind.DELIVERED,
    "undelivered": Kind.BOUNCED,
    "failed": Kind.DROPPED,
}
_GENERIC = {"accepted": Kind.ACCEPTED, "delivered": Kind.DELIVERED, "bounced": Kind.BOUNCED, "failed": Kind.DROPPED}
_OVH = {"3": Kind.ACCEPTED, "4": Kind.DELIVERED}
"""OVHcloud's `ptt`; 0 to 2 are under way, everything above 4 failed."""


@bp.route("/sms", methods=["GET", "POST"])
def sms_reports() -> Response:
    """Answers 2xx only once it is kept: gateways repeat what was not."""
    said = _said()
    if not _known(said):
        abort(403)
    now = datetime.now(UTC)
    number, text = _reply(said)
    with current_parts().db.begin() as conn:
        if number:
            replies.heard(conn, number, text, channel=_channel(said), now=now)
        else:
            provider, report = _report(said, now)
            if report.message_id is None and report.raw:
                report = replies.placed(conn, provider, report)
            feedback.reported(conn, provider, [report], now=now)
    return Response(status=204)


def _said() -> dict[str, str]:
    """Everything told, by name: fields of a form, of a JSON object, or of the address alone."""
    if (request.content_length or 0) > MOST_BYTES:
        abort(413)
    body: Mapping[str, Any] = request.form.to_dict()
    if request.method == "POST" and not body:
        try:
            body = orjson.loads(request.get_data(cache=False) or b"{}")
        except orjson.JSONDecodeError:
            abort(400)
    if not isinstance(body, Mapping):
        abort(400)
    return {name: _text(value) for name, value in {**request.args.to_dict(), **body}.items()}


def _text(value: object) -> str:
    text = str(value) if isinstance(value, str | int | float) and not isinstance(value, bool) else ""
    return text.replace("\0", "").encode(errors="replace").decode()[:2000]


def _known(said: Mapping[str, str]) -> bool:
    config = current_parts().config
    signature = request.headers.get("X-Twilio-Signature")
    if signature is not None:
        url = config.base_url + request.full_path.rstrip("?")
        return any(
            sms_twilio.signed(url, request.form.to_dict(), signature=signature, token=token) for token in _tokens()
        )
    words = [carriers.report_word(secret) for secret in config.secret_keys]
    return any(compare_digest(said.get("t", "").encode(), word.encode()) for word in words)


def _tokens() -> list[str]:
    """The tokens of connected Twilio accounts."""
    with current_parts().db.begin() as conn:
        held = connections.addresses(conn, keys=current_parts().config.secret_keys)
    return [sms.account(address).password for address in held.values() if address.startswith("twilio+")]


def _channel(said: Mapping[str, str]) -> str:
    return "whatsapp" if said.get("From", "").startswith("whatsapp:") else "sms"


def _reply(said: Mapping[str, str]) -> tuple[str, str]:
    """The number that wrote and what it wrote, in whichever gateway's words; empty for a report."""
    if "MessageStatus" in said or "ptt" in said or "status" in said:
        return "", ""
    number = said.get("From") or said.get("from") or said.get("senderid") or said.get("sender") or ""
    text = said.get("Body") or said.get("text") or said.get("message") or ""
    return number.removeprefix("whatsapp:"), text


def _report(said: Mapping[str, str], now: datetime) -> tuple[str, Report]:
    if "MessageStatus" in said:
        kind, code = _TWILIO.get(said["MessageStatus"], Kind.OTHER), said.get("ErrorCode", "")
        bad = code.isdecimal() and int(code) in sms_twilio.NO_NUMBER
        event = f"{said.get('MessageSid', '')}:{said['MessageStatus']}"
        return "sms:twilio", _made(said, event, kind, code, bad=bad, now=now)
    if "ptt" in said:
        kind = _OVH.get(said["ptt"], Kind.OTHER if said["ptt"] in ("0", "1", "2") else Kind.BOUNCED)
        return "sms:ovh", _made(
            said, f"{said.get('id', '')}:{said['ptt']}", kind, said.get("descriptionDlr", ""), now=now
        )
    kind = _GENERIC.get(said.get("status", ""), Kind.OTHER)
    event = f"{said.get('m') or said.get('reference', '')}:{said.get('status', '')}"
    return "sms:generic", _made(said, event, kind, said.get("detail", ""), bad=said.get("bad_number") == "1", now=now)


def _made(said: Mapping[str, str], event: str, kind: Kind, detail: str, *, now: datetime, bad: bool = False) -> Report:
    message_id, attempt = _reference(said.get("m") or said.get("reference", ""))
    kept = {name: said[name] for name in ("MessageStatus", "ErrorCode", "ptt", "id", "status") if name in said}
    return Report(
        event_id=event[:200],
        kind=kind,
        at=now,
        message_id=message_id,
        attempt=attempt,
        bad_address=bad,
        detail=detail[:300] or None,
        raw=kept,
    )


def _reference(text: str) -> tuple[UUID | None, int | None]:
    """Our own id and attempt, as `sms.reference` wrote them."""
    found = re.fullmatch(r"([0-9a-f]{32})\.(\d{1,4})", text)
    return (UUID(found[1]), int(found[2])) if found else (None, None)
