"""What a mail to our return address says: a bounce, a complaint, a wish to get no more; nothing else is kept. Pure.

Reads delivery reports (RFC 3464), abuse reports (RFC 5965), the words of hosts that write neither, and mails sent by a
mail program's own unsubscribe button. Which message it is about stands in the address it came to, signed by us; where
a complaint quotes the message instead, in the address that message could be unsubscribed by.
"""

import email
import email.policy
import hashlib
import re
from dataclasses import dataclass
from email.message import Message
from enum import StrEnum
from uuid import UUID

from campaigns import bounces
from campaigns.links import RETURNED, UNSUBSCRIBING, Links

MOST_BYTES = 512 * 1024
"""Of each mail; a report says what it has to say long before."""


class Kind(StrEnum):
    """What came back."""

    BOUNCED = "bounced"
    DELAYED = "delayed"
    COMPLAINED = "complained"
    UNSUBSCRIBED = "unsubscribed"


@dataclass(frozen=True, slots=True)
class Returned:
    """One thing a mail says of one of our messages. `event_id` is the same however often the mail is read."""

    event_id: str
    kind: Kind
    message_id: UUID
    fault: bounces.Fault | None = None
    detail: str | None = None


_TOKEN = re.compile(r"\+([bu])([a-z2-7]{44})@", re.IGNORECASE)
_AT = {"b": RETURNED, "u": UNSUBSCRIBING}


def read(raw: bytes, links: Links) -> Returned | None:
    """What the mail says; None for what is about no message of ours, such as an answer of absence."""
    message = email.message_from_bytes(raw[:MOST_BYTES], policy=email.policy.compat32)
    event_id = hashlib.sha256(raw).hexdigest()[:40]
    purpose, about = _addressed(_recipients(message), links)
    if purpose == UNSUBSCRIBING and about is not None:
        return Returned(event_id, Kind.UNSUBSCRIBED, about)
    complaint = _part(message, "message/feedback-report")
    if complaint is not None:
        about = about or _quoted(raw, links)
        return Returned(event_id, Kind.COMPLAINED, about, detail="abuse report") if about else None
    if about is None:
        return None
    return _report(message, event_id, about)


def _report(message: "Message[str, str]", event_id: str, about: UUID) -> Returned | None:
    status = _part(message, "message/delivery-status")
    if status is None:
        return _in_words(message, event_id, about)
    fields = _fields(status)
    action = fields.get("action", "").lower()
    if action not in ("failed", "delayed"):
        return None
    words = fields.get("diagnostic-code", "")
    fault = bounces.classify(words, status=fields.get("status"))
    kind = Kind.BOUNCED if action == "failed" else Kind.DELAYED
    return Returned(event_id, kind, about, fault, _detail(fields.get("status", ""), words))


def _in_words(message: "Message[str, str]", event_id: str, about: UUID) -> Returned | None:
    """Hosts that write no report are believed only when they say plainly what is wrong, and nobody is away."""
    automatic = (message.get("Auto-Submitted") or "").lower().startswith("auto-replied")
    sender = f"{message.get('From', '')} {message.get('Return-Path', '')}".lower()
    machine = "mailer-daemon" in sender or "postmaster" in sender or "<>" in sender
    if automatic or not machine:
        return None
    text = _text(message)
    fault = bounces.classify(text)
    if fault is bounces.Fault.UNKNOWN:
        return None
    return Returned(event_id, Kind.BOUNCED, about, fault, _detail("", text))


def _recipients(message: "Message[str, str]") -> str:
    names = ("Delivered-To", "X-Original-To", "Envelope-To", "To", "Cc", "X-Failed-Recipients")
    return " ".join(str(value) for name in names for value in message.get_all(name, ()))


def _addressed(text: str, links: Links) -> tuple[str | None, UUID | None]:
    for letter, token in _TOKEN.findall(text):
        purpose = _AT[letter.lower()]
        about = links.read_mailbox(purpose, token)
        if about is not None:
            return purpose, about
    return None, None


def _quoted(raw: bytes, links: Links) -> UUID | None:
    """The message a complaint quotes, by the address it could be unsubscribed by: nobody else could have signed it."""
    unfolded = re.sub(rb"\r?\n[ \t]+", b"", raw[:MOST_BYTES]).decode("ascii", "replace")
    return _addressed(unfolded, links)[1]


def _part(message: "Message[str, str]", kind: str) -> "Message[str, str] | None":
    return next((part for part in message.walk() if part.get_content_type() == kind), None)


def _fields(part: "Message[str, str]") -> dict[str, str]:
    """The fields of the first recipient of a delivery report: its blocks are messages within the part."""
    blocks = part.get_payload()
    text = "\n\n".join(str(block) for block in blocks) if isinstance(blocks, list) else str(blocks)
    unfolded = re.sub(r"\r?\n[ \t]+", " ", text)
    fields: dict[str, str] = {}
    for line in unfolded.splitlines():
        name, colon, value = line.partition(":")
        if colon and name.strip().lower() not in fields:
            fields[name.strip().lower()] = value.strip()[:1000]
    return fields


def _text(message: "Message[str, str]") -> str:
    part = _part(message, "text/plain") or message
    body = part.get_payload(decode=True)
    return body[:4000].decode("utf-8", "replace") if isinstance(body, bytes) else ""


def _detail(status: str, words: str) -> str:
    """Without addresses: what is kept names nobody."""
    plain = f"{status} {words}".replace("\0", "").encode(errors="replace").decode()
    hidden = re.sub(r"[^\s<>]+@[^\s<>]+", "…", plain.strip())
    return " ".join(hidden.split())[:500]
