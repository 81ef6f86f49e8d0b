"""E-mail by SendGrid's HTTP API over kept connections: one recipient a call, or many where many get the same."""

import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from email.utils import parseaddr
from functools import cached_property, partial
from typing import Any

import httpx2
import orjson
from sendgrid.helpers import mail as sg

from campaigns.channels import mime, sharing, together
from campaigns.channels.base import Mail, Outcome, Receipt
from campaigns.channels.pieces import Form

HOST = "https://api.sendgrid.com"
RECIPIENTS = 50
"""Of one call, for campaigns that go to many at once: what a crash leaves in doubt grows with it."""
CONNECTIONS = 4
OURS = (401, 403, 404, 405)
NOTHING_LEFT = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout, httpx2.UnsupportedProtocol)


@dataclass(frozen=True, slots=True)
class _Call:
    """Mails that travel in one request, what they share, and what is each one's own."""

    mails: Sequence[Mail]
    shared: sharing.Shared


class SendgridChannel:
    """SendGrid has no idempotency key, so a call without an answer is never repeated.

    :param recipients: the most of one call, for mails of a broadcast; any other goes alone
    :param ip_pool: the addresses to send from, by SendGrid's name for them
    :param sandbox: SendGrid checks every call and sends nothing
    """

    def __init__(
        self,
        key: str,
        *,
        host: str = HOST,
        read_seconds: float = 15.0,
        recipients: int = RECIPIENTS,
        ip_pool: str | None = None,
        sandbox: bool = False,
    ) -> None:
        self._recipients, self._ip_pool, self._sandbox = recipients, ip_pool, sandbox
        self.client = httpx2.Client(
            base_url=host,
            headers={"Authorization": f"Bearer {key}", "Content-Type": "application/json"},
            timeout=httpx2.Timeout(read_seconds, connect=3.0),
            # An idle connection the other side closes looks like a lost answer, so ours is closed first.
            limits=httpx2.Limits(max_keepalive_connections=CONNECTIONS, keepalive_expiry=4.0),
        )

    @property
    def provider(self) -> str:
        return "sendgrid"

    @cached_property
    def _threads(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(CONNECTIONS, thread_name_prefix="sendgrid")

    @property
    def keeps_for(self) -> timedelta | None:
        return None

    @property
    def tells(self) -> bool:
        return True

    def deliver(self, batch: Sequence[Mail]) -> list[Receipt]:
        receipts = {mail.message_id: said for mail in batch if (said := _unsendable(mail))}
        calls = list(self._calls([mail for mail in batch if mail.message_id not in receipts]))
        answered = self._spread(calls)
        receipts |= {receipt.message_id: receipt for receipt in answered}
        # Refused as a whole for what may be the fault of one: nothing of it was taken, so each is asked for alone.
        several = [mail for call in calls if len(call.mails) > 1 for mail in call.mails]
        again = [mail for mail in several if receipts[mail.message_id].outcome is Outcome.REFUSED_FINAL]
        asked = self._spread([_alone(mail) for mail in again], after=answered)
        receipts |= {receipt.message_id: receipt for receipt in asked}
        return [receipts[mail.message_id] for mail in batch]

    def _spread(self, calls: Sequence[_Call], *, after: Sequence[Receipt] = ()) -> list[Receipt]:
        return together.spread(self._threads, self._deliver, calls, parcels=lambda call: call.mails, after=after)

    def close(self) -> None:
        """Closes the kept connections, and ends the threads."""
        threads = self.__dict__.pop("_threads", None)
        if threads is not None:
            threads.shutdown()
        self.client.close()

    def _calls(self, mails: Sequence[Mail]) -> Iterator[_Call]:
        """Which mails travel together: those of one campaign, each address once."""
        alike: dict[tuple[str, str], dict[str, Mail]] = {}
        for mail in mails:
            group = alike.setdefault((mail.campaign, mail.sender), {})
            if not mail.broadcast or self._recipients == 1 or mail.address.lower() in group:
                yield _alone(mail)
            else:
                group[mail.address.lower()] = mail
        for group in alike.values():
            together = list(group.values())
            for start in range(0, len(together), self._recipients):
                yield from _together(together[start : start + self._recipients])

    def _deliver(self, call: _Call) -> list[Receipt]:
        mails = call.mails
        if any(time.monotonic() > mail.deadline for mail in mails):
            return _each(mails, Outcome.UNSENT, "the time for this attempt was over")
        body = orjson.dumps(payload(call.mails, call.shared, ip_pool=self._ip_pool, sandbox=self._sandbox))
        try:
            response = self.client.post("/v3/mail/send", content=body)
        except NOTHING_LEFT as error:
            return _each(mails, Outcome.UNSENT, _words(error), retry_after=10, busy=True)
        except httpx2.HTTPError as error:
            return _each(mails, Outcome.AMBIGUOUS, _words(error))
        return _answer(mails, response, sandbox=self._sandbox)


def _unsendable(mail: Mail) -> Receipt | None:
    parts = {"sender": mail.sender, "address": mail.address, "subject": mail.subject, **mail.headers}
    try:
        mime.refuse_line_breaks(parts)
        if not (mime.envelope(mail.address) + mime.envelope(mail.sender)).isascii():
            raise mime.Unsendable("SendGrid carries no address that is not ASCII before the @")
    except mime.Unsendable as error:
        return Receipt(mail.message_id, Outcome.REFUSED_FINAL, str(error))
    return None


def _alone(mail: Mail) -> _Call:
    return _Call([mail], sharing.Shared(mail.html, mail.text, [{}]))


def _together(mails: Sequence[Mail]) -> Iterator[_Call]:
    """Mails of one form in one call."""
    forms: dict[Form, list[Mail]] = {}
    for mail in mails:
        forms.setdefault(mail.body.form, []).append(mail)
    for alike in forms.values():
        if len(alike) == 1:
            yield _alone(alike[0])
        else:
            shared = sharing.gather([mail.body for mail in alike])
            yield from _light(alike, shared)
            yield from (_alone(mail) for mail, own in zip(alike, shared.values, strict=True) if own is None)


def _light(mails: Sequence[Mail], shared: sharing.Shared) -> Iterator[_Call]:
    """One call for those that share something. Whose own part is larger than SendGrid takes goes alone."""
    light: list[tuple[Mail, dict[str, str]]] = []
    for mail, values in zip(mails, shared.values, strict=True):
        if values is not None and sharing.weight(values) > sharing.MOST_BYTES:
            yield _alone(mail)
        elif values is not None:
            light.append((mail, values))
    if light:
        own = [values for _, values in light]
        yield _Call([mail for mail, _ in light], sharing.Shared(shared.html, shared.text, own))


def payload(
    mails: Sequence[Mail], shared: sharing.Shared, *, ip_pool: str | None = None, sandbox: bool = False
) -> dict[str, object]:
    """The body of one call. Only opaque ids go into `custom_args`: SendGrid keeps those in the clear."""
    name, address = parseaddr(mails[0].sender)
    whole = sg.Mail()
    whole.from_email = sg.From(mime.ascii_domain(address), name or None)
    whole.subject = mails[0].subject
    common = dict(set.intersection(*(set(mail.headers.items()) for mail in mails)))
    whole.add_content(sg.Content(sg.MimeType.text, shared.text))
    whole.add_content(sg.Content(sg.MimeType.html, shared.html))
    for header, value in common.items():
        whole.add_header(sg.Header(header, value))
    if mails[0].campaign:
        whole.add_category(sg.Category(mails[0].campaign[:255]))
    if ip_pool:
        whole.ip_pool_name = sg.IpPoolName(ip_pool)
    if sandbox:
        whole.mail_settings = sg.MailSettings(sandbox_mode=sg.SandBoxMode(True))
    ours = sg.TrackingSettings(click_tracking=sg.ClickTracking(False, False), open_tracking=sg.OpenTracking(False))
    whole.tracking_settings = ours
    each = zip(mails, shared.values, strict=True)
    return {**whole.get(), "personalizations": [_personalization(mail, values or {}, common) for mail, values in each]}


def _personalization(mail: Mail, values: dict[str, str], common: Mapping[str, str]) -> dict[str, object]:
    """As SendGrid's own types write it: those make an object of each entry, and a call has thousands of entries."""
    own = {header: value for header, value in mail.headers.items() if header not in common}
    return {
        "to": [{"email": mime.envelope(mail.address)}],
        "subject": mail.subject,
        **({"headers": own} if own else {}),
        **({"substitutions": values} if values else {}),
        "custom_args": {"mid": str(mail.message_id), "attempt": str(mail.attempt)},
    }


def _answer(mails: Sequence[Mail], response: httpx2.Response, *, sandbox: bool) -> list[Receipt]:
    status, detail = response.status_code, f"{response.status_code} {response.text[:300]}"
    name = response.headers.get("X-Message-Id")
    each = partial(_each, mails, detail=detail, code=status, request_id=name)
    if response.is_success:
        # SendGrid answers 202, nothing else, and an id. Whoever says 200 in HTML is somebody in between.
        taken = status == 202 and name is not None or sandbox and status == 200
        if not taken or "html" in response.headers.get("Content-Type", ""):
            return each(Outcome.AMBIGUOUS, detail=f"no answer of SendGrid's: {detail}")
        return each(Outcome.ACCEPTED, provider_ref=name)
    if status == 429:
        return each(Outcome.REFUSED_RETRY, retry_after=_wait(response.headers), busy=True)
    if status in OURS:
        return each(Outcome.MISCONFIGURED)
    return each(Outcome.REFUSED_FINAL if 400 <= status < 500 else Outcome.AMBIGUOUS)


def _each(mails: Sequence[Mail], outcome: Outcome, detail: str, **known: Any) -> list[Receipt]:
    return [Receipt(mail.message_id, outcome, detail, **known) for mail in mails]


def _wait(headers: Mapping[str, str]) -> float | None:
    """Seconds to be silent: `Retry-After`, else `X-RateLimit-Reset`, a moment by the world's clock."""
    after, reset = headers.get("Retry-After", ""), headers.get("X-RateLimit-Reset", "")
    if after.isdecimal():
        return float(after)
    return max(0.0, float(reset) - time.time()) if reset.isdecimal() else None


def _words(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"[:300]
