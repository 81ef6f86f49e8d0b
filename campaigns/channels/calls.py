"""One provider's HTTP interface: kept connections, many calls at once, and what each answer means for a message."""

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import httpx2
import orjson

from campaigns.channels import together
from campaigns.channels.base import Note, Outcome, Receipt

AT_ONCE = 8
LONGEST = 64 * 1024
"""Bytes of an answer that are read; no provider says more."""
OURS = (401, 403, 404, 405)
NAMED = ("twilio-request-id", "x-ovh-queryid", "x-request-id")
"""Headers in which providers say what they call a request; whoever asks them about it is asked for that."""
NOTHING_LEFT = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout, httpx2.UnsupportedProtocol)


@dataclass(frozen=True, slots=True)
class Reply:
    """What came of one call. `status` is None if no answer came; `outcome` is what it means unless one knows better."""

    outcome: Outcome
    detail: str
    status: int | None = None
    json: Any = None
    headers: Mapping[str, str] | None = None

    @property
    def retry_after(self) -> float | None:
        """Seconds of silence asked for."""
        text = (self.headers or {}).get("retry-after", "")
        if self.outcome is Outcome.UNSENT:
            return 10.0
        return float(text) if text.isdecimal() else None

    @property
    def request_id(self) -> str | None:
        """What the provider calls this request, where it says so."""
        headers = self.headers or {}
        return next((headers[name][:200] for name in NAMED if headers.get(name)), None)

    def receipt(self, note: Note, **known: Any) -> Receipt:
        """The receipt of a note this was the answer to."""
        busy = self.status == 429 or self.outcome is Outcome.UNSENT and self.status is None
        said = {"outcome": self.outcome, "detail": self.detail, "retry_after": self.retry_after, "busy": busy}
        named = {"code": self.status or None, "request_id": self.request_id}
        return Receipt(note.message_id, **{**said, **named, **known})


class Line:
    """A kept line to one provider. Nothing is said over it twice: a call without an answer is not repeated."""

    def __init__(
        self,
        base_url: str = "",
        *,
        headers: Mapping[str, str] | None = None,
        auth: tuple[str, str] | None = None,
        read_seconds: float = 15.0,
        transport: httpx2.BaseTransport | None = None,
    ) -> None:
        self.client = httpx2.Client(
            base_url=base_url,
            headers=headers,
            auth=auth,
            timeout=httpx2.Timeout(read_seconds, connect=3.0),
            # An idle connection the other side closes looks like a lost answer, so ours is closed first.
            limits=httpx2.Limits(max_keepalive_connections=AT_ONCE, keepalive_expiry=4.0),
            follow_redirects=False,
            transport=transport,
        )
        self._hands = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="notes")

    def spread(self, work: Callable[[Note], Receipt], batch: Sequence[Note]) -> list[Receipt]:
        """The receipts of a batch in its order; several are under way at once."""
        return together.spread(self._hands, lambda note: [work(note)], batch, parcels=lambda note: [note])

    def close(self) -> None:
        """Closes the kept connections and lets the hands go."""
        self._hands.shutdown(wait=False)
        self.client.close()

    def post(self, url: str, *, deadline: float, **said: Any) -> Reply:
        """One POST that must begin before `deadline`, a reading of `time.monotonic()`."""
        if time.monotonic() > deadline:
            return Reply(Outcome.UNSENT, "the time for this attempt was over", status=0)
        try:
            with self.client.stream("POST", url, **said) as response:
                body = self._read(response)
        except NOTHING_LEFT as error:
            return Reply(Outcome.UNSENT, _words(error))
        except httpx2.HTTPError as error:
            return Reply(Outcome.AMBIGUOUS, _words(error))
        detail = f"{response.status_code} {body[:300].decode(errors='replace')}"
        return Reply(_meaning(response.status_code), detail, response.status_code, _json(body), response.headers)

    def _read(self, response: httpx2.Response) -> bytes:
        body = b""
        for part in response.iter_bytes():
            body += part
            if len(body) > LONGEST:
                break
        return body


def _meaning(status: int) -> Outcome:
    """What a status says where a provider's own words say no more."""
    if 200 <= status < 300:
        return Outcome.ACCEPTED
    if status in OURS or 300 <= status < 400:
        return Outcome.MISCONFIGURED
    if status == 429:
        return Outcome.REFUSED_RETRY
    return Outcome.REFUSED_FINAL if 400 <= status < 500 else Outcome.AMBIGUOUS


def unreadable(reply: Reply) -> Reply:
    """A good answer in which nothing can be read, a page of HTML say: nobody knows whether anything was taken."""
    return Reply(Outcome.AMBIGUOUS, reply.detail, reply.status, None, reply.headers)


def _json(body: bytes) -> Any:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        return None


def _words(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"[:300]
