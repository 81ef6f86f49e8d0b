"""Calls of other programs that journeys asked for: delivered at least once, signed, with retries, never inside a
transaction and never to an address of our own network."""

import base64
import hashlib
import hmac
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import orjson
import sqlalchemy as sa

from campaigns import tables
from foundation import database
from foundation.database import Database
from foundation.outward import Answer, Outward

log = logging.getLogger(__name__)
calls, campaigns = tables.webhook_calls, tables.campaigns

BATCH = 20
LEASE = timedelta(seconds=60)
WAITS = tuple(timedelta(minutes=minutes) for minutes in (2, 3, 6, 10, 15, *(60,) * 24))
"""Before each further attempt; after the last the call is dead, and shown."""
SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class Caller:
    """How calls leave: the way out, and the secret they are signed with."""

    outward: Outward
    secret: str


def deliver_due(db: Database, caller: Caller, *, now: datetime) -> str | None:
    """Makes the calls that are due, for at most so many seconds. Manages its own transactions: claim, call, record."""
    until, told = time.monotonic() + SECONDS, {"delivered": 0, "to be tried again": 0, "given up": 0}
    while time.monotonic() < until:
        with db.begin() as conn:
            batch = _claim(conn, now=now)
        if not batch:
            break
        for call in batch:
            body = orjson.dumps(call["body"])
            answer = caller.outward.post(
                call["url"], body, headers=headers(caller.secret, call["id"].hex, body, now=now)
            )
            with db.begin() as conn:
                told[_record(conn, call, answer, now=now)] += 1
    return ", ".join(f"{number} {word}" for word, number in told.items() if number) or None


def headers(secret: str, call_id: str, body: bytes, *, now: datetime) -> dict[str, str]:
    """The Standard Webhooks signature: HMAC-SHA256 over id, time and body; the id is also the idempotency key."""
    at = str(int(now.timestamp()))
    signed = hmac.new(signing_key(secret), f"{call_id}.{at}.".encode() + body, hashlib.sha256).digest()
    return {
        "Content-Type": "application/json",
        "Idempotency-Key": call_id,
        "Webhook-Id": call_id,
        "Webhook-Timestamp": at,
        "Webhook-Signature": f"v1,{base64.b64encode(signed).decode()}",
    }


def signing_key(secret: str) -> bytes:
    """The key receivers check with, derived so that it gives nothing else away."""
    return hmac.new(secret.encode(), b"relance.webhooks", hashlib.sha256).digest()


def _claim(conn: sa.Connection, *, now: datetime) -> Sequence[sa.RowMapping]:
    """Due calls of campaigns that run, and calls whose worker died."""
    running = sa.select(campaigns.c.id).where(campaigns.c.state == "sending")
    lost = (calls.c.state == "calling") & (calls.c.lease_until < sa.func.clock_timestamp())
    due = (((calls.c.state == "pending") & (calls.c.not_before <= now)) | lost) & calls.c.campaign_id.in_(running)
    values = {
        "state": "calling",
        "attempt": calls.c.attempt + 1,
        "lease_until": sa.func.clock_timestamp() + sa.literal(LEASE, sa.Interval),
    }
    return database.claim(conn, calls, due=due, order_by=[calls.c.not_before], values=values, limit=BATCH)


def _record(conn: sa.Connection, call: sa.RowMapping, answer: Answer, *, now: datetime) -> str:
    values: dict[str, Any] = {"status": answer.status, "detail": answer.detail[:500], "lease_until": None}
    if answer.good:
        word, values = "delivered", values | {"state": "delivered", "resolved_at": now}
    elif answer.hopeless or call["attempt"] > len(WAITS):
        word, values = "given up", values | {"state": "dead", "resolved_at": now}
    else:
        wait = WAITS[call["attempt"] - 1]
        word, values = "to be tried again", values | {"state": "pending", "not_before": now + wait}
    mine = (calls.c.id == call["id"]) & (calls.c.attempt == call["attempt"]) & (calls.c.state == "calling")
    conn.execute(sa.update(calls).where(mine).values(values))
    return word


def dead(conn: sa.Connection, campaign_id: int) -> int:
    """Calls of a campaign that were given up."""
    where = (calls.c.campaign_id == campaign_id) & (calls.c.state == "dead")
    return conn.scalar(sa.select(sa.func.count()).select_from(calls).where(where)) or 0
