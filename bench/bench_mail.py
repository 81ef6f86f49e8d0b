"""E-mails: rendering beside bare Jinja, SMTP beside smtplib, SendGrid beside posting the same bodies, reports taken in.

Both sides of a ratio work by turns in one process against the same sink, which only counts what it takes.
"""

import json
import shutil
import smtplib
import socketserver
import tempfile
import threading
import time
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

from campaigns import content, feedback, layouts, sendgrid_events, tables
from campaigns.channels import mime, sendgrid, sharing, smtp
from campaigns.channels.base import Mail, Outcome
from campaigns.definitions import shapes
from campaigns.definitions.steps import Send
from campaigns.links import Links
from foundation import postgres
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


class _Kept:
    """A layout's template that remembers what it was filled with."""

    def __init__(self, template: Any, kept: list[tuple[Any, Any]]) -> None:
        self._template, self._kept = template, kept

    def render(self, values: Any) -> str:
        self._kept.append((self._template, values))
        return str(self._template.render(values))


def _rendering() -> dict[str, Any]:
    occasions, kept = _occasions(), list[tuple[Any, Any]]()
    rows = [content.render(occasion, LINKS) for occasion in occasions]
    usual = layouts.layout

    def watched(kinds: Sequence[str]) -> Any:
        made = usual(kinds)
        return layouts.Layout(_Kept(made.html, kept), _Kept(made.text, kept))  # type: ignore[arg-type]

    layouts.layout = watched  # type: ignore[assignment]
    try:
        for occasion in occasions:
            content.render(occasion, LINKS)
    finally:
        layouts.layout = usual

    def ours() -> None:
        for occasion in occasions:
            content.render(occasion, LINKS)

    def bare() -> None:
        for template, values in kept:
            template.render(values)

    mine, theirs = _by_turns(ours, bare)
    size = len(rows[0]["html"].encode())
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
            html=row["html"],
            text=row["text"],
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
    shared = [(group, sharing.share([(mail.html, mail.text) for mail in group])) for group in groups]
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
def _intake() -> dict[str, Any]:
    """A thousand events of the webhook in one post, read and taken in, over and over."""
    events, posts = 1_000, 12
    directory = Path(tempfile.mkdtemp(prefix="relance-bench-"))
    db = Database(postgres.attach(directory / "postgres"))
    db.migrate()
    now = datetime.now(UTC)
    ids = _ledger(db, events, now=now)
    times = []
    for post in range(posts):
        body = orjson.dumps([_event(post, n, message_id) for n, message_id in enumerate(ids)])
        begun = time.perf_counter()
        with db.begin() as conn:
            feedback.reported(conn, "sendgrid", sendgrid_events.read(body, now=now), now=now)
        times.append(time.perf_counter() - begun)
    db.dispose()
    shutil.rmtree(directory, ignore_errors=True)
    return {
        "measure": "webhook",
        "events": events,
        "p99_ms": max(times) * 1e3,
        "events_a_second": events / median(times),
    }


def _event(post: int, n: int, message_id: Any) -> dict[str, Any]:
    kind = ("processed", "delivered", "open", "bounce")[post % 4] if n % 50 == 0 else "delivered"
    own = {"mid": str(message_id), "attempt": "1", "sg_message_id": f"m{n}.filter", "smtp-id": f"<{n}@x>"}
    return {"sg_event_id": f"e{post}-{n}", "event": kind, "timestamp": 1_790_000_000, "type": "blocked", **own}


def _ledger(db: Database, number: int, *, now: datetime) -> list[Any]:
    ids = [uuid4() for _ in range(number)]
    with db.begin() as conn:
        customer, plan = world.make_customer(conn, "bench", at=now), world.launch(conn, now=now)
        rows = [
            {"id": message_id, "campaign_id": plan.id, "version": 1, "step": "s", "channel": "email", "attempt": 1}
            | {"customer_id": customer, "entry_key": str(n), "state": "accepted", "provider": "sendgrid"}
            | {"queued_at": now, "not_before": now, "expires_at": now + timedelta(days=1), "accepted_at": now}
            for n, message_id in enumerate(ids)
        ]
        conn.execute(sa.insert(tables.messages), rows)
    return ids
