"""What every ad platform promises: it takes people in and out by their hashes, and says what became of the call."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, NamedTuple, Protocol

import httpx2
import orjson

from campaigns.audiences.normalising import Rules

LONGEST = 300
"""Of a platform's own words, so many characters are kept."""


class Answer(StrEnum):
    """What a call came to. Taking in and out may be repeated without harm, so a lost answer is simply `DOWN`."""

    TAKEN = "taken"
    BUSY = "busy"
    """Too many calls: not before `retry_after` seconds."""
    DOWN = "down"
    """No answer, or one that makes no sense."""
    KEY = "key"
    """The token is refused: every call would be."""
    AUDIENCE = "audience"
    """This audience, data set or conversion is refused: it does not exist, is blocked, or terms are not accepted."""
    ROWS = "rows"
    """Something in the rows is refused, and with it the whole call."""


@dataclass(frozen=True, slots=True)
class Reply:
    """The answer, in our words and theirs. `retry_after` seconds were asked for; `invalid` rows did not count."""

    answer: Answer
    detail: str = ""
    retry_after: float | None = None
    invalid: int = 0


class Person(NamedTuple):
    """Somebody as a platform knows her."""

    email_hash: bytes | None
    phone_hash: bytes | None


@dataclass(frozen=True, slots=True)
class Sale:
    """One order, for a platform that is told of it. `total` is in units of `currency`, such as 19.99.

    `personal`: she agreed to personalised ads, not only to measuring them.
    """

    order_id: str
    ordered_at: datetime
    channel: str
    total: float
    currency: str
    person: Person
    product_ids: Sequence[str]
    personal: bool
    url: str | None = None
    user_agent: str | None = None


class Platform(Protocol):
    """An ad platform. It keeps no state that matters."""

    name: str
    rules: Rules
    batch: int
    """People a call may hold."""
    sales_batch: int
    """Orders a call may hold; 0 where it cannot be told of any."""
    sales_days: int
    """Orders older than this are refused."""

    def add(self, audience: str, people: Sequence[Person]) -> Reply:
        """Takes people in; who is in already stays."""

    def remove(self, audience: str, people: Sequence[Person]) -> Reply:
        """Takes people out; who is not in is no fault."""

    def tell(self, sales: Sequence[Sale], *, now: datetime) -> Reply:
        """Tells of orders; one told before counts once."""

    def close(self) -> None:
        """Closes kept connections."""


def client(host: str, *, read_seconds: float = 30.0) -> httpx2.Client:
    """One kept connection to a platform."""
    return httpx2.Client(base_url=host, timeout=httpx2.Timeout(read_seconds, connect=3.0))


def call(http: httpx2.Client, method: str, path: str, body: object, **headers: str) -> httpx2.Response | Reply:
    """The response, or a reply when there was none."""
    headers = {"Content-Type": "application/json"} | {name.replace("_", "-"): value for name, value in headers.items()}
    try:
        return http.request(method, path, content=orjson.dumps(body), headers=headers)
    except httpx2.HTTPError as error:
        return Reply(Answer.DOWN, f"{type(error).__name__}: {error}"[:LONGEST])


def said(response: httpx2.Response) -> dict[str, Any]:
    """The JSON object that was answered; empty for anything else, such as a page of HTML."""
    try:
        found = orjson.loads(response.content)
    except orjson.JSONDecodeError:
        return {}
    return found if isinstance(found, dict) else {}


def seconds(headers: Mapping[str, str]) -> float | None:
    """How long `Retry-After` asks to be left alone."""
    after = headers.get("Retry-After", "")
    return float(after) if after.isdecimal() else None
