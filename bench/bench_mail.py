"""E-mails: rendering beside bare Jinja, SMTP beside smtplib, SendGrid beside posting the same bodies, reports taken in.

Both sides of a ratio work by turns in one process against the same sink, which only counts what it takes.
"""

import json
import os
import shutil
import smtplib
import socketserver
import tempfile
import threading
import time
from base64 import b64encode
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from statistics import median
from typing import Any
from uuid import uuid4

import httpx2
import orjson
import sqlalchemy as sa
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from bench import bare_mail as bare_mails
from bench import web
from campaigns import content, tables
from campaigns.channels import mime, sendgrid, sharing, smtp
from campaigns.channels.base import Mail, Outcome
from campaigns.definitions import shapes
from campaigns.definitions.steps import Send
from campaigns.links import Links
from foundation.database import Database
from tests.campaigns import letters, world

MAILS, TURNS, CONNECTIONS = 200, 5, 4
LINKS = Links(["a secret of the benchmark, long enough"], "https://relance.example")
PARAGRAPH = "Une recette de saison, pas à pas, avec ce que vous avez déjà dans la cuisine. " * 12


def run() -> list[dict[str, Any]]:
    """The four comparisons; `ratio` is ours over bare, in speed."""
    return [_rendering(), _smtp(), _sendgrid(), _intake()]


def _by_turns(ours: Callable[[], None], bare: Callable[[], None]) -> tuple[float, float]:
    """Seconds of each side, the median of its turns."""
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(TURNS):
        for side, work in enumerate((ours, bare)):
            begun = time.perf_counter()
            work()
            times[side].append(time.perf_counter() - begun)
    return median(times[0]), median(times[1])


# -------------------------------------------------------------------------------------------- rendering
def _occasions() -> list[content.Occasion]:
    """Mails of 60 kB with a basket, four products and a code, to different people."""
    words = {
        "subject": letters.SUBJECT,
        "blocks": [*letters.BLOCKS, *({"type": "text", "body": PARAGRAPH} for _ in range(16))],
    }
    step = shapes.read(Send, {"type": "send", "id": "s", "words": {"fr": words}, "products": 4, "offer": "TEN"})
    one = letters.occasion()
    return [replace(one, says=step, message_id=uuid4(), first_name=f"Camille {n}") for n in range(MAILS)]


def _rendering() -> dict[str, Any]:
    """Beside bare Jinja: each layout's two templates, whole, filled with the same values."""
    occasions, rows = _occasions(), list[dict[str, Any]]()
    bare_mail = bare_mails.of(lambda: rows.extend(content.render(occasion, LINKS) for occasion in occasions))
    templates = bare_mail.html, bare_mail.text
    assert [template.render(bare_mail.values[0]) for template in templates] == [
        rows[0]["body"].html,
        rows[0]["body"].text,
    ]

    def ours() -> None:
        for occasion in occasions:
            made = content.render(occasion, LINKS)["body"]
            assert made.html and made.text

    def bare() -> None:
        for one in bare_mail.values:
            for template in templates:
                template.render(one)

    mine, theirs = _by_turns(ours, bare)
    size = len(rows[0]["body"].html.encode())
    return {"measure": "render", "bytes": size, "mails_a_second": MAILS / mine, "ratio": theirs / mine}


def _mails(*, broadcast: bool) -> list[Mail]:
    rows = [(occasion, content.render(occasion, LINKS)) for occasion in _occasions()]
    return [
        Mail(
            message_id=occasion.message_id,
            attempt=1,
            sender=row["sender"],
            address=f"a{n}@example.org",
            subject=row["subject"],
            body=row["body"],
            headers=row["headers"],
            deadline=time.monotonic() + 600,
            campaign="bench",
            broadcast=broadcast,
        )
        for n, (occasion, row) in enumerate(rows)
    ]


# ------------------------------------------------------------------------------------------------- SMTP
class _Sink(socketserver.StreamRequestHandler):
    """Takes everything, at the speed of a socket."""

    disable_nagle_algorithm = True

    def handle(self) -> None:
        self.wfile.write(b"220 sink\r\n")
        while line := self.rfile.readline():
            word = line[:4].upper()
            if word == b"EHLO":
                self.wfile.write(b"250-sink\r\n250-PIPELINING\r\n250 8BITMIME\r\n")
            elif word == b"DATA":
                self.wfile.write(b"354 go on\r\n")
                while self.rfile.readline() != b".\r\n":
                    pass
                self.wfile.write(b"250 taken\r\n")
            else:
                self.wfile.write(b"250 fine\r\n")


@contextmanager
def _serving(server: socketserver.BaseServer) -> Iterator[int]:
    server.daemon_threads = True  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield int(server.server_address[1])  # type: ignore[arg-type]
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _smtp() -> dict[str, Any]:
    mails = _mails(broadcast=False)
    bodies = [mime.encode(mail) for mail in mails]
    with _serving(socketserver.ThreadingTCPServer(("127.0.0.1", 0), _Sink)) as port:
        channel = smtp.SmtpChannel(smtp.Host("127.0.0.1", port, connections=CONNECTIONS))
        lines = [smtplib.SMTP("127.0.0.1", port, local_hostname="localhost") for _ in range(CONNECTIONS)]

        def ours() -> None:
            receipts = channel.deliver(mails)
            assert all(receipt.outcome is Outcome.ACCEPTED for receipt in receipts)

        def one(number: int) -> None:
            for mail, body in list(zip(mails, bodies, strict=True))[number::CONNECTIONS]:
                lines[number].sendmail("a@aubier.example", mail.address, body)

        def bare() -> None:
            with ThreadPoolExecutor(CONNECTIONS) as threads:
                list(threads.map(one, range(CONNECTIONS)))

        mine, theirs = _by_turns(ours, bare)
        channel.close()
        for line in lines:
            line.close()
    return {"measure": "smtp", "bytes": len(bodies[0]), "mails_a_second": MAILS / mine, "ratio": theirs / mine}


# --------------------------------------------------------------------------------------------- SendGrid
class _Api(BaseHTTPRequestHandler):
    """Takes every call that can be read."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        assert json.loads(self.rfile.read(int(self.headers["Content-Length"])))["personalizations"]
        self.send_response(202)
        self.send_header("X-Message-Id", "x")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *args: Any) -> None:
        """Quiet."""


def _sendgrid() -> dict[str, Any]:
    mails = _mails(broadcast=True)
    groups = [mails[start : start + sendgrid.RECIPIENTS] for start in range(0, MAILS, sendgrid.RECIPIENTS)]
    shared = [(group, sharing.gather([mail.body for mail in group])) for group in groups]
    bodies = [orjson.dumps(sendgrid.payload(group, common)) for group, common in shared]
    with _serving(ThreadingHTTPServer(("127.0.0.1", 0), _Api)) as port:
        channel = sendgrid.SendgridChannel("k", host=f"http://127.0.0.1:{port}")

        def ours() -> None:
            assert all(receipt.outcome is Outcome.ACCEPTED for receipt in channel.deliver(mails))

        with httpx2.Client(base_url=f"http://127.0.0.1:{port}") as client:

            def bare() -> None:
                for body in bodies:
                    client.post("/v3/mail/send", content=body)

            mine, theirs = _by_turns(ours, bare)
        channel.close()
    return {"measure": "sendgrid", "bytes": len(bodies[0]), "mails_a_second": MAILS / mine, "ratio": theirs / mine}


# ----------------------------------------------------------------------------------------------- intake
MESSAGES, EVENTS, POSTS = 20_000, 1_000, 60
A_SECOND, SECONDS, SMALL = 500, 15, 25
KINDS = (
    "processed",
    "delivered",
    "delivered",
    "delivered",
    "open",
    "click",
    "delivered",
    "deferred",
    "bounce",
    "delivered",
)


def _intake() -> dict[str, Any]:
    """The webhook of the web application as it is run for real: large posts one after the other, then small ones at a
    steady pace. Each is signed, and answered once its events are kept."""
    directory, key = Path(tempfile.mkdtemp(prefix="relance-bench-")), ec.generate_private_key(ec.SECP256R1())
    public = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    os.environ["RELANCE_SENDGRID_WEBHOOK_KEY"] = b64encode(public).decode()
    try:
        db = Database(web.database(directory, "bench_mail"))
        db.migrate()
        ids = _ledger(db, MESSAGES, now=datetime.now(UTC))
        with web.server(db.url, directory) as port, httpx2.Client(base_url=f"http://127.0.0.1:{port}") as client:
            for number in range(8):
                _post(client, key, _events(ids, -1 - number, 10))
            large = [_post(client, key, _events(ids, number, EVENTS)) for number in range(POSTS)]
            small = _paced(client, key, ids)
        db.dispose()
    finally:
        del os.environ["RELANCE_SENDGRID_WEBHOOK_KEY"]
        shutil.rmtree(directory, ignore_errors=True)
    figures = {"p50_ms": median(large) * 1e3, "p99_ms": sorted(large)[-2] * 1e3, "slowest_ms": max(large) * 1e3}
    return {"measure": "webhook", "events": EVENTS, **figures, "events_a_second": EVENTS / median(large), **small}


def _paced(client: httpx2.Client, key: ec.EllipticCurvePrivateKey, ids: Sequence[Any]) -> dict[str, float]:
    """Small posts that begin at their moment if the one before is answered, else late; each counts from its moment."""
    begun, waited = time.perf_counter(), []
    for number in range(A_SECOND * SECONDS // SMALL):
        moment = begun + number * SMALL / A_SECOND
        time.sleep(max(0.0, moment - time.perf_counter()))
        _post(client, key, _events(ids, 1_000 + number, SMALL))
        waited.append(time.perf_counter() - moment)
    told = A_SECOND * SECONDS / (time.perf_counter() - begun)
    return {"paced_events_a_second": told, "paced_p99_ms": sorted(waited)[-len(waited) // 100] * 1e3}


def _post(client: httpx2.Client, key: ec.EllipticCurvePrivateKey, body: bytes) -> float:
    """Seconds until the answer."""
    moment = str(int(time.time()))
    signature = b64encode(key.sign(moment.encode() + body, ec.ECDSA(SHA256()))).decode()
    named = "X-Twilio-Email-Event-Webhook-{}"
    begun = time.perf_counter()
    headers = {named.format("Signature"): signature, named.format("Timestamp"): moment}
    assert client.post("/hooks/sendgrid", content=body, headers=headers).status_code == 204
    return time.perf_counter() - begun


def _events(ids: Sequence[Any], post: int, number: int) -> bytes:
    """As SendGrid posts them: of messages of the last hours, what became of them, in no order."""
    chosen = [(post * number + n) * 7_919 % len(ids) for n in range(number)]
    return orjson.dumps([_event(post, n, ids[place]) for n, place in enumerate(chosen)])


def _event(post: int, n: int, message_id: Any) -> dict[str, Any]:
    own = {"mid": str(message_id), "attempt": "1", "sg_message_id": f"m{n}.filter", "smtp-id": f"<{n}@x>"}
    told = {"email": f"a{n}@example.org", "timestamp": 1_790_000_000, "ip": "203.0.113.7", "category": ["bench"]}
    kind = KINDS[n % len(KINDS)]
    failed = {"reason": "552 5.2.2 mailbox full", "status": "5.2.2", "type": "bounce"} if kind == "bounce" else {}
    return {"sg_event_id": f"e{post}-{n}", "event": kind, **told, **own, **failed}


def _ledger(db: Database, number: int, *, now: datetime) -> list[Any]:
    ids = [uuid4() for _ in range(number)]
    times = {"queued_at": now, "not_before": now, "expires_at": now + timedelta(days=1), "accepted_at": now}
    mail = {"subject": "s", "html": "h", "text": "t", "sender": "s@aubier.example", "headers": {}, "links": []}
    with db.begin() as conn:
        customer, plan = world.make_customer(conn, "bench", at=now), world.launch(conn, now=now)
        rows = [
            {"id": message_id, "campaign_id": plan.id, "version": 1, "step": "s", "channel": "email", "attempt": 1}
            | {"customer_id": customer, "entry_key": str(n), "state": "accepted", "provider": "sendgrid", **times}
            for n, message_id in enumerate(ids)
        ]
        conn.execute(sa.insert(tables.messages), rows)
        contents = [
            {"message_id": message_id, "address": f"a{n}@example.org", "rendered_at": now, **mail}
            for n, message_id in enumerate(ids)
        ]
        conn.execute(sa.insert(tables.message_contents), contents)
    return ids
