"""Notifications in browsers by the Web Push protocol (RFC 8030): encrypted, signed, replaced rather than doubled."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import orjson

from campaigns.channels import push_encryption, push_services, signing
from campaigns.channels.base import Note, Outcome, Receipt
from campaigns.channels.calls import Line, Reply, unreadable
from campaigns.channels.push_encryption import Voice

SHORTEST, LONGEST = 60, 28 * 86400
"""Seconds a push service may be asked to keep a notification: never none, for then it is dropped while she is away."""
GONE = (404, 410)
TITLE, TEXT = 200, 600
"""Characters nobody could see more of."""


@dataclass(frozen=True, slots=True)
class Subscription:
    """Where one browser is reached: what its `PushSubscription` says."""

    endpoint: str
    p256dh: str
    auth: str
    public_key: str
    """Ours, for which it was made: to any other the browser is deaf."""

    @property
    def address(self) -> str:
        """As one line, the way notes name it."""
        return orjson.dumps([self.endpoint, self.p256dh, self.auth, self.public_key]).decode()


def read(address: str) -> Subscription:
    """The subscription of such a line."""
    return Subscription(*orjson.loads(address))


class WebPush:
    """Speaks to the push service of each browser, over connections that are kept."""

    def __init__(
        self, voice: Voice, *, read_seconds: float = 15.0, transport: httpx2.BaseTransport | None = None
    ) -> None:
        self._voice = voice
        self._line = Line(read_seconds=read_seconds, transport=transport)

    @property
    def provider(self) -> str:
        return "webpush"

    @property
    def keeps_for(self) -> timedelta | None:
        return None

    @property
    def tells(self) -> bool:
        return False

    def deliver(self, batch: Sequence[Note]) -> list[Receipt]:
        return self._line.spread(self._deliver, batch)

    def close(self) -> None:
        """Closes the kept connections."""
        self._line.close()

    def _deliver(self, note: Note) -> Receipt:
        return combined(note, [(address, self._push(note, address)) for address in note.addresses])

    def _push(self, note: Note, address: str) -> Receipt:
        subscription = read(address)
        if wrong := push_services.wrong(subscription.endpoint):
            return Receipt(note.message_id, Outcome.REFUSED_FINAL, f"the address {wrong}", dead=(address,))
        if subscription.public_key != self._voice.public:
            words = "the browser subscribed to another key of ours"
            return Receipt(note.message_id, Outcome.REFUSED_FINAL, words, dead=(address,))
        try:
            body = push_encryption.encrypt(payload(note), p256dh=subscription.p256dh, auth=subscription.auth)
        except push_encryption.BadSubscription as error:
            return Receipt(note.message_id, Outcome.REFUSED_FINAL, str(error), dead=(address,))
        reply = self._line.post(
            subscription.endpoint,
            deadline=note.deadline,
            content=body,
            headers=self._headers(note, subscription.endpoint),
        )
        return _receipt(note, address, reply)

    def _headers(self, note: Note, endpoint: str) -> dict[str, str]:
        left = int((note.expires_at - datetime.now(UTC)).total_seconds())
        return {
            "Authorization": self._voice.header(endpoint),
            "Content-Encoding": "aes128gcm",
            "Content-Type": "application/octet-stream",
            "TTL": str(min(max(left, SHORTEST), LONGEST)),
            "Urgency": "normal",
            "Topic": topic(note),
        }


def topic(note: Note) -> str:
    """One word for each message, of 32 letters: a copy still waiting at the push service is replaced by a later one."""
    return signing.encode(hashlib.sha256(note.message_id.bytes).digest()[:24])


def payload(note: Note) -> bytes:
    """What the service worker is told, shortened until it fits."""
    said: dict[str, Any] = {
        "id": str(note.message_id),
        "title": note.title[:TITLE],
        "body": note.text[:TEXT],
        "url": note.url,
        "image": note.image,
        "actions": [{"title": label[:40], "url": url} for label, url in note.actions[:2]],
    }
    told = {name: value for name, value in said.items() if value}
    for spared in ("image", "actions", "body"):
        if len(orjson.dumps(told)) <= push_encryption.LONGEST:
            break
        told.pop(spared, None)
    return orjson.dumps(told)


def _receipt(note: Note, address: str, reply: Reply) -> Receipt:
    """404 and 410: the browser took its permission back. 403 to our own key: our claims are wrong, not the browser."""
    if reply.status in GONE:
        return reply.receipt(note, outcome=Outcome.REFUSED_FINAL, dead=(address,))
    # Push services answer with an empty body: whoever answers with a page is somebody in between.
    if reply.outcome is Outcome.ACCEPTED and "html" in (reply.headers or {}).get("content-type", "").lower():
        reply = unreadable(reply)
    return reply.receipt(note)


_FIRST = (
    Outcome.ACCEPTED,
    Outcome.AMBIGUOUS,
    Outcome.REFUSED_RETRY,
    Outcome.UNSENT,
    Outcome.MISCONFIGURED,
    Outcome.REFUSED_FINAL,
)
"""Of several devices the first of these stands for the message: it reached her, it may have, it still can."""


def combined(note: Note, told: Sequence[tuple[str, Receipt]]) -> Receipt:
    """One receipt for a message that went to several devices."""
    if not told:
        return Receipt(note.message_id, Outcome.REFUSED_FINAL, "no device is left", bad_address=False)
    receipts = [receipt for _, receipt in told]
    best = min(receipts, key=lambda receipt: _FIRST.index(receipt.outcome))
    dead = tuple(address for receipt in receipts for address in receipt.dead)
    return replace(best, dead=dead)
