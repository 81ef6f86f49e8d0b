"""E-mail by SendGrid's HTTP API, one recipient a call, over a kept connection; its signed reports read back."""

import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from email.utils import parseaddr
from typing import Any

import httpx2
from sendgrid.helpers.eventwebhook import EventWebhook

from campaigns.channels import mime
from campaigns.channels.base import Mail, Outcome, Receipt

HOST = "https://api.sendgrid.com"
FINAL = (400, 413, 422)
OURS = (401, 403, 404, 405)
NOTHING_LEFT = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout, httpx2.UnsupportedProtocol)


class SendgridChannel:
    """SendGrid has no idempotency key, so a call without an answer is never repeated."""

    def __init__(self, key: str, *, host: str = HOST, read_seconds: float = 15.0) -> None:
        self._client = httpx2.Client(
            base_url=host,
            headers={"Authorization": f"Bearer {key}"},
            timeout=httpx2.Timeout(read_seconds, connect=3.0),
            # An idle connection the other side closes looks like a lost answer, so ours is closed first.
            limits=httpx2.Limits(max_keepalive_connections=4, keepalive_expiry=4.0),
        )

    @property
    def provider(self) -> str:
        return "sendgrid"

    def deliver(self, batch: Sequence[Mail]) -> list[Receipt]:
        return [self._deliver(mail) for mail in batch]

    def close(self) -> None:
        """Closes the kept connections."""
        self._client.close()

    def _deliver(self, mail: Mail) -> Receipt:
        try:
            payload = _payload(mail)
        except mime.Unsendable as error:
            return Receipt(mail.message_id, Outcome.REFUSED_FINAL, str(error))
        if time.monotonic() > mail.deadline:
            return Receipt(mail.message_id, Outcome.UNSENT, "the time for this attempt was over")
        try:
            response = self._client.post("/v3/mail/send", json=payload)
        except NOTHING_LEFT as error:
            return Receipt(mail.message_id, Outcome.UNSENT, _words(error), retry_after=10, busy=True)
        except httpx2.HTTPError as error:
            return Receipt(mail.message_id, Outcome.AMBIGUOUS, _words(error))
        return _receipt(mail, response)


def _payload(mail: Mail) -> dict[str, Any]:
    """The mail in SendGrid's words. Only opaque ids go into `custom_args`: SendGrid keeps those in the clear."""
    mime.refuse_line_breaks({"sender": mail.sender, "address": mail.address, "subject": mail.subject, **mail.headers})
    name, address = parseaddr(mail.sender)
    return {
        "personalizations": [
            {
                "to": [{"email": parseaddr(mail.address)[1]}],
                "custom_args": {"mid": str(mail.message_id), "attempt": str(mail.attempt)},
            }
        ],
        "from": {"email": address, "name": name} if name else {"email": address},
        "subject": mail.subject,
        "content": [{"type": "text/plain", "value": mail.text}, {"type": "text/html", "value": mail.html}],
        "headers": dict(mail.headers),
        "tracking_settings": {"click_tracking": {"enable": False}, "open_tracking": {"enable": False}},
    }


def _receipt(mail: Mail, response: httpx2.Response) -> Receipt:
    status, detail = response.status_code, f"{response.status_code} {response.text[:300]}"
    if response.is_success:
        return Receipt(mail.message_id, Outcome.ACCEPTED, detail, provider_ref=response.headers.get("X-Message-Id"))
    if status == 429:
        wait = _wait(response.headers)
        return Receipt(mail.message_id, Outcome.REFUSED_RETRY, detail, retry_after=wait, busy=True)
    if status in OURS:
        return Receipt(mail.message_id, Outcome.MISCONFIGURED, detail)
    if status in FINAL or 400 <= status < 500:
        return Receipt(mail.message_id, Outcome.REFUSED_FINAL, detail)
    return Receipt(mail.message_id, Outcome.AMBIGUOUS, detail)


def _wait(headers: Mapping[str, str]) -> float | None:
    """Seconds to be silent: `Retry-After`, else `X-RateLimit-Reset`, a moment by the world's clock."""
    after, reset = headers.get("Retry-After", ""), headers.get("X-RateLimit-Reset", "")
    if after.isdecimal():
        return float(after)
    return max(0.0, float(reset) - time.time()) if reset.isdecimal() else None


def _words(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"[:300]


def signed(body: bytes, *, signature: str, timestamp: str, public_key: str, now: datetime) -> bool:
    """Whether SendGrid signed these very bytes, at most ten minutes ago."""
    try:
        if abs(now.timestamp() - int(timestamp)) > 600:
            return False
        hook = EventWebhook()
        key = hook.convert_public_key_to_ecdsa(public_key)
        return bool(hook.verify_signature(body.decode(), signature, timestamp, key))
    except ValueError:
        return False
