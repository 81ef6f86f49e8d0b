"""OVHcloud's words for text messages: signed calls, jobs, receivers; it adds the French STOP clause by itself."""

import hashlib
import time
from urllib.parse import quote

import orjson

from campaigns.channels import sms
from campaigns.channels.base import Note, Outcome, Receipt
from campaigns.channels.calls import Line, Reply
from campaigns.channels.sms import Account, Call
from campaigns.sms_text import Alphabet, weigh

WRONG_KEYS = ("INVALID_SIGNATURE", "INVALID_CREDENTIAL", "INVALID_KEY", "NOT_CREDENTIAL", "NOT_GRANTED_CALL")


class Ovh:
    """The application key is the user and its secret the password; `consumer` is the consumer key, `service` the
    SMS account such as `sms-ab12345-1`."""

    def line(self, account: Account, *, read_seconds: float) -> Line:
        return Line(headers={"X-Ovh-Application": account.user}, read_seconds=read_seconds)

    def call(self, account: Account, note: Note) -> Call:
        body = orjson.dumps(_job(account, note))
        path = f"/sms/{quote(account.options.get('service', ''), safe='')}/jobs"
        now = str(int(time.time()))
        headers = {
            "Content-Type": "application/json",
            "X-Ovh-Consumer": account.options.get("consumer", ""),
            "X-Ovh-Timestamp": now,
            "X-Ovh-Signature": signature(account, f"POST+{account.base_url}{path}+{body.decode()}+{now}"),
        }
        return Call(path, {"content": body, "headers": headers})

    def receipt(self, note: Note, reply: Reply) -> Receipt:
        answer = reply.json if isinstance(reply.json, dict) else {}
        if answer.get("errorCode") in WRONG_KEYS or reply.status == 402:
            return reply.receipt(note, outcome=Outcome.MISCONFIGURED)
        if reply.outcome is not Outcome.ACCEPTED:
            return reply.receipt(note)
        if answer.get("invalidReceivers"):
            words = "the receiver is not valid"
            return reply.receipt(note, outcome=Outcome.REFUSED_FINAL, detail=words, bad_address=True)
        ids = answer.get("ids")
        return reply.receipt(note, provider_ref=str(ids[0]) if isinstance(ids, list) and ids else None)


def _job(account: Account, note: Note) -> dict[str, object]:
    """A marketing message gets OVHcloud's own STOP clause, which its operators answer for; ours stays out."""
    marketing = bool(note.closing)
    return {
        "charset": "UTF-8",
        "class": "phoneDisplay",
        "coding": "7bit" if weigh(note.text).alphabet is Alphabet.GSM else "8bit",
        "message": note.text,
        "noStopClause": not marketing,
        "priority": "medium",
        "receivers": list(note.addresses),
        "senderForResponse": not account.sender,
        **({"sender": account.sender} if account.sender else {}),
        "tag": sms.reference(note)[:64],
        "validityPeriod": 1440,
    }


def signature(account: Account, said: str) -> str:
    """OVHcloud's signature of a call, under the application's secret and the consumer key."""
    whole = f"{account.password}+{account.options.get('consumer', '')}+{said}"
    return "$1$" + hashlib.sha1(whole.encode(), usedforsecurity=False).hexdigest()
