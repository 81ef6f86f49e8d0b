"""Calls of other programs that journeys asked for: delivered at least once, signed, with retries, never inside a
transaction and never to an address of our own network; and the log of them, from which each can be sent again."""

import base64
import hashlib
import hmac
import logging
import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import orjson
import sqlalchemy as sa

from campaigns import tables
from foundation import database
from foundation.database import Database
from foundation.errors import Conflict, NotFound
from foundation.outward import Answer, Outward
from shop import arrays

log = logging.getLogger(__name__)
calls, attempts, campaigns = tables.webhook_calls, tables.webhook_attempts, tables.campaigns

BATCH = 80
HANDS = 8
"""Programs called at the same time."""
LEASE = timedelta(seconds=60)
WAITS = tuple(timedelta(minutes=minutes) for minutes in (2, 3, 6, 10, 15, *(60,) * 24))
"""Before each further attempt; after the last the call is dead, and shown."""
SECONDS = 20.0
STATES = ("pending", "calling", "delivered", "dead", "cancelled")


@dataclass(frozen=True, slots=True)
class Caller:
    """How calls leave: the way out, and the secrets they are signed with, the newest first."""

    outward: Outward
    secrets: Sequence[str]


@dataclass(frozen=True, slots=True)
class _Tried:
    """One call of the batch after its turn; without an answer it had none, because its program is slow or silent."""

    call: sa.RowMapping
    answer: Answer | None
    seconds: float


def deliver_due(db: Database, caller: Caller, *, now: datetime) -> str | None:
    """Makes the calls that are due, for at most so many seconds. Manages its own transactions: claim, call, record.

    A program gets its calls one after the other, and several programs theirs at the same time, so that one that
    hangs holds up no other; what waits behind a call without an answer is put off with it.
    """
    until, told = time.monotonic() + SECONDS, {"delivered": 0, "to be tried again": 0, "given up": 0, "put off": 0}
    with ThreadPoolExecutor(HANDS) as hands:
        while time.monotonic() < until:
            with db.begin() as conn:
                batch = _claim(conn, now=now)
            if not batch:
                break
            by_host: dict[str, list[sa.RowMapping]] = defaultdict(list)
            for call in batch:
                by_host[urlsplit(call["url"]).netloc].append(call)
            tried = hands.map(lambda some: _in_turn(caller, some, until=until, now=now), by_host.values())
            for some in tried:
                with db.begin() as conn:
                    for word in _record(conn, some, now=now):
                        told[word] += 1
    return ", ".join(f"{number} {word}" for word, number in told.items() if number) or None


def _in_turn(caller: Caller, batch: Sequence[sa.RowMapping], *, until: float, now: datetime) -> list[_Tried]:
    """The calls of one program, until it is silent or the time is over."""
    done: list[_Tried] = []
    for call in batch:
        silent = bool(done) and (done[-1].answer is None or done[-1].answer.status is None)
        begun = time.monotonic()
        if done and (silent or begun > until):
            done.append(_Tried(call, None, 0.0))
            continue
        body = orjson.dumps(call["body"])
        signed = headers(caller.secrets, call["id"].hex, body, now=now)
        answer = caller.outward.post(call["url"], body, headers=signed)
        done.append(_Tried(call, answer, time.monotonic() - begun))
    return done


# ---------------------------------------------------------------------------------------------- signing
def headers(secrets: Sequence[str], call_id: str, body: bytes, *, now: datetime) -> dict[str, str]:
    """The headers of the Standard Webhooks specification; the id is also the idempotency key. While a secret is being
    replaced there is a signature of each."""
    at = str(int(now.timestamp()))
    return {
        "Content-Type": "application/json",
        "Idempotency-Key": call_id,
        "Webhook-Id": call_id,
        "Webhook-Timestamp": at,
        "Webhook-Signature": " ".join(sign(signing_key(secret), call_id, at, body) for secret in secrets),
    }


def sign(key: bytes, call_id: str, at: str, body: bytes) -> str:
    """One signature: HMAC-SHA256 over id, time and body (Standard Webhooks, symmetric, version 1)."""
    signed = hmac.new(key, f"{call_id}.{at}.".encode() + body, hashlib.sha256).digest()
    return f"v1,{base64.b64encode(signed).decode()}"


def signing_key(secret: str) -> bytes:
    """The key receivers check with, derived so that it gives nothing else away."""
    return hmac.new(secret.encode(), b"relance.webhooks", hashlib.sha256).digest()


def shown_key(secret: str) -> str:
    """The key as receivers' libraries take it."""
    return f"whsec_{base64.b64encode(signing_key(secret)).decode()}"


# ------------------------------------------------------------------------------------------------ claiming
def _claim(conn: sa.Connection, *, now: datetime) -> Sequence[sa.RowMapping]:
    """Due calls of campaigns that are neither paused nor cancelled, and calls whose worker died."""
    running = sa.select(campaigns.c.id).where(campaigns.c.state.in_(("sending", "done")))
    lost = (calls.c.state == "calling") & (calls.c.lease_until < sa.func.clock_timestamp())
    due = (((calls.c.state == "pending") & (calls.c.not_before <= now)) | lost) & calls.c.campaign_id.in_(running)
    values = {
        "state": "calling",
        "attempt": calls.c.attempt + 1,
        "lease_until": sa.func.clock_timestamp() + sa.literal(LEASE, sa.Interval),
    }
    return database.claim(conn, calls, due=due, order_by=[calls.c.not_before], values=values, limit=BATCH)


_RECORD = """
WITH tried AS (
    SELECT * FROM unnest(%b::uuid[], %b::int[], %b::text[], %b::int[], %b::text[], %b::timestamptz[], %b::float8[])
        AS t (id, attempt, state, status, detail, not_before, seconds)
), logged AS (
    INSERT INTO webhook_attempts (call_id, n, at, seconds, status, detail)
    SELECT id, attempt, %b, seconds, status, detail FROM tried WHERE detail IS NOT NULL ON CONFLICT DO NOTHING
)
UPDATE webhook_calls AS call SET state = tried.state, lease_until = NULL,
    attempt = call.attempt - (tried.detail IS NULL)::int, status = coalesce(tried.status, call.status),
    detail = coalesce(tried.detail, call.detail), not_before = coalesce(tried.not_before, call.not_before),
    resolved_at = CASE WHEN tried.state <> 'pending' THEN %b END
FROM tried WHERE call.id = tried.id AND call.attempt = tried.attempt AND call.state = 'calling'
"""
_WORDS = {"delivered": "delivered", "dead": "given up", "pending": "to be tried again"}


def _record(conn: sa.Connection, tried: Sequence[_Tried], *, now: datetime) -> list[str]:
    """What became of each, in a word. Whoever lost its lease changes nothing."""
    settled = [_settled(one, now=now) for one in tried]
    columns = [
        arrays.uuids(one.call["id"] for one in tried),
        arrays.numbers(one.call["attempt"] for one in tried),
        arrays.texts(state for state, _ in settled),
        arrays.numbers(one.answer.status if one.answer else None for one in tried),
        arrays.texts(one.answer.detail[:500].replace("\0", "") if one.answer else None for one in tried),
        arrays.times(at for _, at in settled),
        [one.seconds for one in tried],
        now,
        now,
    ]
    database.driver(conn).execute(_RECORD, columns)
    return [_WORDS[state] if one.answer else "put off" for one, (state, _) in zip(tried, settled, strict=True)]


def _settled(tried: _Tried, *, now: datetime) -> tuple[str, datetime | None]:
    """The state after this attempt, and when the next is due."""
    answer, before = tried.answer, tried.call["attempt"] - tried.call["replayed"]
    if answer is None:
        return "pending", now + WAITS[0]
    if answer.good:
        return "delivered", None
    if answer.hopeless or before > len(WAITS):
        return "dead", None
    return "pending", now + max(WAITS[before - 1], timedelta(seconds=min(answer.retry_after or 0.0, 3600.0)))


# ------------------------------------------------------------------------------------------------- the log
@dataclass(frozen=True, slots=True)
class Call:
    """One call as the log shows it."""

    id: UUID
    campaign: str
    customer_id: int
    step: str
    url: str
    body: dict[str, Any]
    state: str
    attempt: int
    not_before: datetime
    status: int | None
    detail: str | None
    queued_at: datetime
    resolved_at: datetime | None


@dataclass(frozen=True, slots=True)
class Attempt:
    """One time it was made. Without a status there was no answer."""

    call_id: UUID
    n: int
    at: datetime
    seconds: float
    status: int | None
    detail: str


def logged(
    conn: sa.Connection, *, state: str | None = None, before: tuple[datetime, UUID] | None = None, limit: int = 50
) -> list[Call]:
    """A page of the log, the latest first; the next one comes `before` the last row of this one."""
    query = sa.select(calls, campaigns.c.name.label("campaign")).join(campaigns, campaigns.c.id == calls.c.campaign_id)
    if state is not None:
        query = query.where(calls.c.state == state)
    if before is not None:
        query = query.where(sa.tuple_(calls.c.queued_at, calls.c.id) < sa.tuple_(*before))
    return database.read(conn, query.order_by(calls.c.queued_at.desc(), calls.c.id.desc()).limit(limit), Call)


def attempts_of(conn: sa.Connection, call_ids: Iterable[UUID]) -> dict[UUID, list[Attempt]]:
    """Every attempt of these calls, in their order."""
    found: dict[UUID, list[Attempt]] = defaultdict(list)
    query = sa.select(attempts).where(attempts.c.call_id.in_(list(call_ids))).order_by(attempts.c.n)
    for attempt in database.read(conn, query, Attempt):
        found[attempt.call_id].append(attempt)
    return found


def replay(conn: sa.Connection, call_id: UUID, *, now: datetime) -> None:
    """Makes a call again, under the same id, whether or not it was delivered. Raises `NotFound`, `Conflict`."""
    row = conn.execute(
        sa.select(calls.c.state, campaigns.c.state.label("campaign"))
        .join(campaigns, campaigns.c.id == calls.c.campaign_id)
        .where(calls.c.id == call_id)
    ).one_or_none()
    if row is None:
        raise NotFound(f"no call {call_id}")
    if row.campaign == "cancelled":
        raise Conflict("cancelled", "its campaign was cancelled")
    if not _again(conn, calls.c.id == call_id, now=now):
        raise Conflict("waiting", "it is waiting already")


def replay_dead(conn: sa.Connection, *, since: datetime, campaign: str | None = None, now: datetime) -> int:
    """Makes every call again that was given up since then; how many."""
    alive = sa.select(campaigns.c.id).where(campaigns.c.state != "cancelled")
    if campaign is not None:
        alive = alive.where(campaigns.c.name == campaign)
    dead = (calls.c.state == "dead") & (calls.c.queued_at >= since) & calls.c.campaign_id.in_(alive)
    return _again(conn, dead, now=now)


def _again(conn: sa.Connection, which: sa.ColumnElement[bool], *, now: datetime) -> int:
    values = {"state": "pending", "not_before": now, "replayed": calls.c.attempt, "resolved_at": None}
    over = calls.c.state.in_(("delivered", "dead"))
    return conn.execute(sa.update(calls).where(which, over).values(values)).rowcount


def dead(conn: sa.Connection, campaign_id: int) -> int:
    """Calls of a campaign that were given up."""
    where = (calls.c.campaign_id == campaign_id) & (calls.c.state == "dead")
    return conn.scalar(sa.select(sa.func.count()).select_from(calls).where(where)) or 0
