"""Text messages over a gateway's HTTP interface. What each gateway wants and answers is a `Shape`; the rest is here.

A text message costs money and cannot be taken back: without an answer it is in doubt, and never sent again by itself.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Protocol
from urllib.parse import parse_qsl, unquote, urlsplit

from campaigns.channels.base import Note, Outcome, Receipt
from campaigns.channels.calls import Line, Reply, unreadable


@dataclass(frozen=True, slots=True)
class Account:
    """A gateway's address taken apart: where it is, who we are there, and what else it was told."""

    kind: str
    base_url: str
    user: str = field(repr=False)
    password: str = field(repr=False)
    options: Mapping[str, str]
    callback: str = field(default="", repr=False)
    """Where it reports what became of a message; empty if it cannot reach us."""

    @property
    def sender(self) -> str:
        """The name or number messages come from."""
        return self.options.get("from", "")


def account(url: str, *, callback: str = "") -> Account:
    """Reads `KIND+https://user:password@host/path?from=…`, already checked by the settings."""
    kind, _, rest = url.partition("+")
    parts = urlsplit(rest)
    host = parts.hostname or ""
    port = f":{parts.port}" if parts.port else ""
    return Account(
        kind=kind,
        base_url=f"{parts.scheme}://{host}{port}{parts.path.rstrip('/')}",
        user=unquote(parts.username or ""),
        password=unquote(parts.password or ""),
        options=dict(parse_qsl(parts.query)),
        callback=callback,
    )


@dataclass(frozen=True, slots=True)
class Call:
    """One POST: the path beneath the gateway's address, and what httpx is given for it."""

    path: str
    said: Mapping[str, Any]


class Shape(Protocol):
    """One gateway's words."""

    def line(self, account: Account, *, read_seconds: float) -> Line:
        """A line to it, with whatever says who we are on every call."""

    def call(self, account: Account, note: Note) -> Call:
        """The note in its words."""

    def receipt(self, note: Note, reply: Reply) -> Receipt:
        """Its answer in ours."""


class SmsGateway:
    """Hands text messages to the gateway of an account."""

    def __init__(self, account: Account, shape: Shape, *, read_seconds: float = 15.0) -> None:
        self._account, self._shape = account, shape
        self._line = shape.line(account, read_seconds=read_seconds)

    @property
    def provider(self) -> str:
        return f"sms:{self._account.kind}"

    @property
    def keeps_for(self) -> timedelta | None:
        return None

    @property
    def tells(self) -> bool:
        return bool(self._account.callback)

    def deliver(self, batch: Sequence[Note]) -> list[Receipt]:
        return self._line.spread(self._deliver, batch)

    def close(self) -> None:
        """Closes the kept connections."""
        self._line.close()

    def _deliver(self, note: Note) -> Receipt:
        call = self._shape.call(self._account, note)
        reply = self._line.post(self._account.base_url + call.path, deadline=note.deadline, **call.said)
        if reply.outcome is Outcome.ACCEPTED and not isinstance(reply.json, dict):
            reply = unreadable(reply)
        return self._shape.receipt(note, reply)


def text(note: Note) -> str:
    """The message with the way to stop beneath it."""
    return f"{note.text}\n{note.closing}" if note.closing else note.text


def reference(note: Note) -> str:
    """What a gateway gives back with its reports: our own id and which attempt this was, nothing personal."""
    return f"{note.message_id.hex}.{note.attempt}"


def reporting(account: Account, note: Note) -> str:
    """Where the fate of this very message is to be told."""
    joint = "&" if "?" in account.callback else "?"
    return f"{account.callback}{joint}m={reference(note)}" if account.callback else ""


# ------------------------------------------------------------------------------------------------- generic
class Generic:
    """A plain gateway: a JSON POST of `to`, `from`, `text`, `reference` and `callback`, answered by `{"id": …}`.

    422 says the number is not one, 410 that she asked to stop.
    """

    def line(self, account: Account, *, read_seconds: float) -> Line:
        auth = (account.user, account.password) if account.password else None
        headers = {"Authorization": f"Bearer {account.user}"} if account.user and not account.password else None
        return Line(auth=auth, headers=headers, read_seconds=read_seconds)

    def call(self, account: Account, note: Note) -> Call:
        said = {
            "to": note.addresses[0],
            "from": account.sender,
            "text": text(note),
            "reference": reference(note),
            "callback": reporting(account, note),
        }
        return Call("", {"json": said})

    def receipt(self, note: Note, reply: Reply) -> Receipt:
        answer = reply.json if isinstance(reply.json, dict) else {}
        if reply.status in (410, 422):
            gone = {"bad_address": reply.status == 422, "stopped": reply.status == 410}
            return reply.receipt(note, outcome=Outcome.REFUSED_FINAL, **gone)
        return reply.receipt(note, provider_ref=str(answer["id"])[:200] if answer.get("id") else None)
