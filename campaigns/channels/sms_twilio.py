"""Twilio's words for text messages and WhatsApp templates: its Messages resource, its error codes, its signature."""

import base64
import hashlib
import hmac
from collections.abc import Mapping
from urllib.parse import quote

import orjson

from campaigns.channels import sms
from campaigns.channels.base import Note, Outcome, Receipt
from campaigns.channels.calls import Line, Reply
from campaigns.channels.sms import Account, Call

STOPPED = frozenset({21610, 63032, 63033})
"""She told Twilio, or WhatsApp, that she wants no more."""
NO_NUMBER = frozenset({21211, 21214, 21217, 21265, 21614, 30005, 30006, 63003, 63024})
"""Not a number, or none that takes such messages."""
OURS = frozenset({20003, 20404, 21212, 21603, 21606, 21608, 21611, 21659, 21660, 63007, 63016, 63027})
"""Our key, our sender or our template is wrong: so would every other message be."""
BUSY = frozenset({20429, 14107, 63018})


class Twilio:
    """The SID of the account is the user, its token the password; `from` or `service` says who sends."""

    def line(self, account: Account, *, read_seconds: float) -> Line:
        return Line(auth=(account.user, account.password), read_seconds=read_seconds)

    def call(self, account: Account, note: Note) -> Call:
        said = {"To": _named(note, note.addresses[0]), **_sender(account, note), **_content(note)}
        if report := sms.reporting(account, note):
            said["StatusCallback"] = report
        return Call(f"/2010-04-01/Accounts/{quote(account.user, safe='')}/Messages.json", {"data": said})

    def receipt(self, note: Note, reply: Reply) -> Receipt:
        answer = reply.json if isinstance(reply.json, dict) else {}
        code = answer.get("code") if reply.status and reply.status >= 400 else answer.get("error_code")
        if code in STOPPED or code in NO_NUMBER:
            words = f"{code} {answer.get('message') or answer.get('error_message') or ''}"
            fault = {"stopped": code in STOPPED, "bad_address": code in NO_NUMBER}
            return reply.receipt(note, outcome=Outcome.REFUSED_FINAL, detail=words[:300], **fault)
        if code in OURS:
            return reply.receipt(note, outcome=Outcome.MISCONFIGURED)
        if code in BUSY:
            return reply.receipt(note, outcome=Outcome.REFUSED_RETRY, busy=True)
        return reply.receipt(note, provider_ref=answer.get("sid"))


def _named(note: Note, number: str) -> str:
    return f"whatsapp:{number}" if note.channel == "whatsapp" else number


def _sender(account: Account, note: Note) -> dict[str, str]:
    if service := account.options.get("service"):
        return {"MessagingServiceSid": service}
    return {"From": _named(note, account.sender)}


def _content(note: Note) -> dict[str, str]:
    """WhatsApp lets a shop begin only with a template it approved; its places are numbered from 1."""
    if note.channel != "whatsapp":
        return {"Body": sms.text(note)}
    places = {str(place): value for place, value in enumerate(note.values, start=1)}
    return {"ContentSid": note.template or "", "ContentVariables": orjson.dumps(places).decode()}


def signed(url: str, form: Mapping[str, str], *, signature: str, token: str) -> bool:
    """Whether Twilio made this call: HMAC-SHA1 of the address and the sorted fields, under the account's token."""
    said = url + "".join(name + form[name] for name in sorted(form))
    made = hmac.new(token.encode(), said.encode(), hashlib.sha1).digest()
    return hmac.compare_digest(base64.b64encode(made), signature.encode(errors="replace"))
