"""Other programs are told: signed, at least once, with patience, and never outside a transaction of ours."""

import base64
import hashlib
import hmac
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from uuid import uuid4

import pytest
import sqlalchemy as sa

from campaigns import plans, tables, webhooks
from foundation.database import Database
from foundation.errors import Conflict, NotFound
from foundation.outward import Answer, Outward
from tests.campaigns import world
from tests.campaigns.journey import launch, tick
from tests.foundation.certificate import certificate

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
    assert webhooks.deliver_due(called, webhooks.Caller(other, ("a secret",)), now=now) == "1 delivered"
    ((url, body, headers),) = other.got
    signed = f"{headers['Webhook-Id']}.{headers['Webhook-Timestamp']}.".encode() + body
    expected = hmac.new(webhooks.signing_key("a secret"), signed, hashlib.sha256).digest()
    assert headers["Webhook-Signature"] == "v1," + base64.b64encode(expected).decode()
    assert url == URL and b'"order_id":"o1"' in body and b'"customer":"ada"' in body and b"@" not in body
    assert states(called) == [("delivered", 1)]
    assert webhooks.deliver_due(called, webhooks.Caller(other, ("a secret",)), now=now) is None


def test_a_call_is_tried_again_with_the_same_key_and_given_up_at_last(called: Database, now: datetime) -> None:
    failures = len(webhooks.WAITS) + 1
    other = Other(called, *[Answer(None, "no answer")] * failures)
    caller, at = webhooks.Caller(other, ("s",)), now
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
    assert webhooks.deliver_due(called, webhooks.Caller(other, ("s",)), now=now) == "1 given up"


def test_a_call_whose_worker_died_is_made_again(called: Database, now: datetime) -> None:
    dead = {"state": "calling", "attempt": 1, "lease_until": sa.func.clock_timestamp() - MINUTE}
    with called.begin() as conn:
        conn.execute(sa.update(tables.webhook_calls).values(**dead))
    other = Other(called, Answer(204, "No Content"))
    assert webhooks.deliver_due(called, webhooks.Caller(other, ("s",)), now=now) == "1 delivered"


def test_a_paused_campaign_calls_nobody_and_a_cancelled_one_never_will(called: Database, now: datetime) -> None:
    with called.begin() as conn:
        plans.pause(conn, "journey", now=now)
    assert webhooks.deliver_due(called, webhooks.Caller(Other(called), ("s",)), now=now) is None
    with called.begin() as conn:
        plans.cancel(conn, "journey", now=now)
    assert states(called) == [("cancelled", 0)]


# ----------------------------------------------------------------------------------------------- signatures
def test_the_signature_is_that_of_the_specification() -> None:
    """The reference vector of Standard Webhooks."""
    key = base64.b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    signed = webhooks.sign(key, "msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", b'{"test": 2432232314}')
    assert signed == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_while_a_secret_is_replaced_there_is_a_signature_of_each(now: datetime) -> None:
    both = webhooks.headers(("new", "old"), "id", b"{}", now=now)["Webhook-Signature"].split()
    assert both[1:] == webhooks.headers(("old",), "id", b"{}", now=now)["Webhook-Signature"].split()
    assert len(set(both)) == 2 and webhooks.shown_key("new").startswith("whsec_")


# -------------------------------------------------------------------------------------------- log and replay
def log(db: Database) -> list[webhooks.Call]:
    with db.begin() as conn:
        return webhooks.logged(conn)


def test_the_log_holds_every_attempt_and_its_answer(called: Database, now: datetime) -> None:
    other = Other(
        called, Answer(None, "TimeoutError: timed out"), Answer(503, "Busy", retry_after=600), Answer(200, "OK")
    )
    caller = webhooks.Caller(other, ("s",))
    for minutes in (0, 2, 12):
        webhooks.deliver_due(called, caller, now=now + minutes * MINUTE)
    (call,) = log(called)
    assert (call.state, call.campaign, call.status) == ("delivered", "journey", 200)
    with called.begin() as conn:
        made = webhooks.attempts_of(conn, [call.id])[call.id]
    assert [(one.n, one.status) for one in made] == [(1, None), (2, 503), (3, 200)]
    assert [one.detail for one in made] == ["TimeoutError: timed out", "Busy", "OK"]


def test_the_other_side_may_ask_for_more_time(called: Database, now: datetime) -> None:
    caller = webhooks.Caller(Other(called, Answer(429, "Slow down", retry_after=1800)), ("s",))
    webhooks.deliver_due(called, caller, now=now)
    assert log(called)[0].not_before == now + 30 * MINUTE


@pytest.mark.parametrize("answer", [Answer(404, "Not Found", hopeless=True), Answer(200, "OK")])
def test_a_call_is_made_again_under_the_same_id_when_somebody_asks(
    called: Database, now: datetime, answer: Answer
) -> None:
    other = Other(called, answer, *[Answer(500, "No")] * 3, Answer(200, "OK"))
    caller = webhooks.Caller(other, ("s",))
    webhooks.deliver_due(called, caller, now=now)
    with called.begin() as conn:
        webhooks.replay(conn, log(called)[0].id, now=now)
        with pytest.raises(Conflict):
            webhooks.replay(conn, log(called)[0].id, now=now)
    for minutes in (0, 2, 5, 11):
        webhooks.deliver_due(called, caller, now=now + minutes * MINUTE)
    assert states(called) == [("delivered", 5)], "its waits begin anew"
    assert len({headers["Webhook-Id"] for _, _, headers in other.got}) == 1


def test_all_that_was_given_up_is_made_again_at_once(called: Database, now: datetime) -> None:
    other = Other(called, Answer(404, "Not Found", hopeless=True), Answer(200, "OK"))
    webhooks.deliver_due(called, webhooks.Caller(other, ("s",)), now=now)
    with called.begin() as conn:
        assert webhooks.replay_dead(conn, since=now, campaign="another", now=now) == 0
        assert webhooks.replay_dead(conn, since=now + MINUTE, now=now) == 0
        assert webhooks.replay_dead(conn, since=now, campaign="journey", now=now) == 1
    assert webhooks.deliver_due(called, webhooks.Caller(other, ("s",)), now=now) == "1 delivered"


def test_nothing_of_a_cancelled_campaign_is_made_again(called: Database, now: datetime) -> None:
    other = Other(called, Answer(404, "Not Found", hopeless=True))
    webhooks.deliver_due(called, webhooks.Caller(other, ("s",)), now=now)
    with called.begin() as conn:
        plans.cancel(conn, "journey", now=now)
        with pytest.raises(Conflict, match="cancelled"):
            webhooks.replay(conn, log(called)[0].id, now=now)
        with pytest.raises(NotFound):
            webhooks.replay(conn, uuid4(), now=now)
        assert webhooks.replay_dead(conn, since=now, now=now) == 0


def test_a_program_that_is_silent_holds_up_only_its_own_calls(called: Database, now: datetime) -> None:
    """Its further calls wait with the first, and are not counted as tried."""
    with called.begin() as conn:
        row = conn.execute(sa.delete(tables.webhook_calls).returning(tables.webhook_calls)).mappings().one()
        hosts = ("silent.example", "silent.example", "fine.example")
        more = [{"id": uuid4(), "step": f"s{n}", "url": f"https://{host}/x"} for n, host in enumerate(hosts)]
        conn.execute(sa.insert(tables.webhook_calls), [{**row, **one} for one in more])

    class Silent(Other):
        def post(self, url: str, body: bytes, *, headers: dict[str, str]) -> Answer:  # type: ignore[override]
            self.got.append((url, body, headers))
            return Answer(None, "TimeoutError") if "silent" in url else Answer(200, "OK")

    other = Silent(called)
    told = webhooks.deliver_due(called, webhooks.Caller(other, ("s",)), now=now)
    assert told == "1 delivered, 1 to be tried again, 1 put off" and len(other.got) == 2
    assert sorted(states(called)) == [("delivered", 1), ("pending", 0), ("pending", 1)]


# -------------------------------------------------------------------------------------------- a real receiver
@contextmanager
def receiver(
    folder: Path, name: str = "hooks.example", *, ended: bool = False
) -> Iterator[tuple[int, ssl.SSLContext, list[tuple[str, bytes]]]]:
    """A program that listens at a name by HTTPS and checks each signature as the specification says."""
    held, secret = certificate(folder, name, ended=ended)
    got: list[tuple[str, bytes]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            key = base64.b64decode(webhooks.shown_key("shared").removeprefix("whsec_"))
            expected = webhooks.sign(key, self.headers["webhook-id"], self.headers["webhook-timestamp"], body)
            good = expected in self.headers["webhook-signature"].split()
            got.append((self.headers["webhook-id"], body))
            self.send_response(204 if good else 401)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Silent."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(held, secret)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server.server_address[1], ssl.create_default_context(cafile=str(held)), got
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def way_out(port: int, trust: ssl.SSLContext, *, allow: bool = True) -> Outward:
    here = {"resolver": lambda *_: ["127.0.0.1"], "trust": trust, "ports": (port,)}
    return Outward(**here, allow=lambda _: True) if allow else Outward(**here)  # type: ignore[arg-type]


def point_at(db: Database, port: int) -> None:
    with db.begin() as conn:
        conn.execute(sa.update(tables.webhook_calls).values(url=f"https://hooks.example:{port}/x"))


def test_a_receiver_that_follows_the_specification_takes_the_call(
    called: Database, now: datetime, tmp_path: Path
) -> None:
    with receiver(tmp_path) as (port, trust, got):
        point_at(called, port)
        caller = webhooks.Caller(way_out(port, trust), ("shared",))
        assert webhooks.deliver_due(called, caller, now=now) == "1 delivered"
    assert [call_id for call_id, _ in got] == [log(called)[0].id.hex]


def test_a_certificate_that_has_ended_is_no_answer(called: Database, now: datetime, tmp_path: Path) -> None:
    with receiver(tmp_path, ended=True) as (port, trust, got):
        point_at(called, port)
        told = webhooks.deliver_due(called, webhooks.Caller(way_out(port, trust), ("shared",)), now=now)
    assert told == "1 to be tried again" and not got and "certificate has expired" in (log(called)[0].detail or "")


def test_a_name_that_leads_to_a_private_address_is_given_up_unasked(
    called: Database, now: datetime, tmp_path: Path
) -> None:
    with receiver(tmp_path) as (port, trust, got):
        point_at(called, port)
        told = webhooks.deliver_due(called, webhooks.Caller(way_out(port, trust, allow=False), ("shared",)), now=now)
    assert told == "1 given up" and not got and log(called)[0].detail == "leads into a private network"
