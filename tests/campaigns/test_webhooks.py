"""Other programs are told: signed, at least once, with patience, and never outside a transaction of ours."""

import base64
import hashlib
import hmac
from datetime import datetime, timedelta

import pytest
import sqlalchemy as sa

from campaigns import plans, tables, webhooks
from foundation.database import Database
from foundation.outward import Answer, Outward
from tests.campaigns import world
from tests.campaigns.journey import launch, tick

MINUTE = timedelta(minutes=1)
URL = "https://hooks.example/x"


class Other(Outward):
    """Another program that answers as it is told, and keeps what it got."""

    def __init__(self, db: Database, *answers: Answer) -> None:
        super().__init__()
        self.db, self.answers, self.got = db, list(answers), []

    def post(self, url: str, body: bytes, *, headers: dict[str, str]) -> Answer:  # type: ignore[override]
        with self.db.begin() as conn:
            states = set(conn.scalars(sa.select(tables.webhook_calls.c.state)))
        assert "calling" in states, "the claim is committed before anything leaves"
        self.got.append((url, body, headers))
        return self.answers.pop(0)


@pytest.fixture
def called(db: Database, now: datetime) -> Database:
    with db.begin() as conn:
        world.make_customer(conn, "ada", at=now)
    step = {"type": "webhook", "id": "tell", "url": URL, "note": "hello"}
    launch(db, {"type": "event", "event": "Order Completed", "key": "order"}, [step], now=now)
    with db.begin() as conn:
        world.order(conn, "ada", at=now, order_id="o1")
    tick(db, now)
    return db


def states(db: Database) -> list[tuple[str, int]]:
    with db.begin() as conn:
        held = tables.webhook_calls.c
        return [tuple(row) for row in conn.execute(sa.select(held.state, held.attempt))]


def test_a_call_is_signed_and_says_no_address(called: Database, now: datetime) -> None:
    other = Other(called, Answer(200, "OK"))
    assert webhooks.deliver_due(called, webhooks.Caller(other, "a secret"), now=now) == "1 delivered"
    ((url, body, headers),) = other.got
    signed = f"{headers['Webhook-Id']}.{headers['Webhook-Timestamp']}.".encode() + body
    expected = hmac.new(webhooks.signing_key("a secret"), signed, hashlib.sha256).digest()
    assert headers["Webhook-Signature"] == "v1," + base64.b64encode(expected).decode()
    assert url == URL and b'"order_id":"o1"' in body and b'"customer":"ada"' in body and b"@" not in body
    assert states(called) == [("delivered", 1)]
    assert webhooks.deliver_due(called, webhooks.Caller(other, "a secret"), now=now) is None


def test_a_call_is_tried_again_with_the_same_key_and_given_up_at_last(called: Database, now: datetime) -> None:
    failures = len(webhooks.WAITS) + 1
    other = Other(called, *[Answer(None, "no answer")] * failures)
    caller, at = webhooks.Caller(other, "s"), now
    for wait in (*webhooks.WAITS, MINUTE):
        webhooks.deliver_due(called, caller, now=at)
        assert webhooks.deliver_due(called, caller, now=at) is None, "not before its time"
        at += wait
    assert states(called) == [("dead", failures)]
    assert len({headers["Idempotency-Key"] for _, _, headers in other.got}) == 1
    with called.begin() as conn:
        assert webhooks.dead(conn, plans.get(conn, "journey").id) == 1


def test_a_refusal_that_will_not_change_is_not_repeated(called: Database, now: datetime) -> None:
    other = Other(called, Answer(404, "Not Found", hopeless=True))
    assert webhooks.deliver_due(called, webhooks.Caller(other, "s"), now=now) == "1 given up"


def test_a_call_whose_worker_died_is_made_again(called: Database, now: datetime) -> None:
    dead = {"state": "calling", "attempt": 1, "lease_until": sa.func.clock_timestamp() - MINUTE}
    with called.begin() as conn:
        conn.execute(sa.update(tables.webhook_calls).values(**dead))
    other = Other(called, Answer(204, "No Content"))
    assert webhooks.deliver_due(called, webhooks.Caller(other, "s"), now=now) == "1 delivered"


def test_a_paused_campaign_calls_nobody_and_a_cancelled_one_never_will(called: Database, now: datetime) -> None:
    with called.begin() as conn:
        plans.pause(conn, "journey", now=now)
    assert webhooks.deliver_due(called, webhooks.Caller(Other(called), "s"), now=now) is None
    with called.begin() as conn:
        plans.cancel(conn, "journey", now=now)
    assert states(called) == [("cancelled", 0)]
