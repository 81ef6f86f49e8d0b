"""What the web application answered for is in the record, once, however often its server is killed."""

import base64
import http.client
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import orjson
import sqlalchemy as sa

from app import security
from foundation.database import Database
from shop import inbox, tables

ROOT = Path(__file__).resolve().parents[2]
SENDERS = 8


@dataclass(slots=True)
class Told:
    """What senders said: every message, those answered with 200, and how often the server was killed."""

    sent: set[str] = field(default_factory=set)
    answered: set[str] = field(default_factory=set)
    kills: int = 0


@dataclass(frozen=True, slots=True)
class Record:
    """What came of it. `lost` was answered for and is nowhere; `doubled` counts more than once in a cart or profile."""

    stored: int
    lost: int
    invented: int
    doubled: int
    left: int

    @property
    def sound(self) -> bool:
        """Nothing answered for is missing, nothing is there twice, nothing waits."""
        return not (self.lost or self.invented or self.doubled or self.left)


def murder(db: Database, folder: Path, *, kills: int, seed: int = 1) -> tuple[Told, Record]:
    """Kills the web server in mid-stream, many times, while senders say everything until they are answered."""
    with db.begin() as conn:
        key = security.create_key(conn, kind="write", name="prove", now=datetime.now(UTC))
    told, over, port = Told(), threading.Event(), free_port()
    senders = [threading.Thread(target=_say, args=(told, over, port, key, number)) for number in range(SENDERS)]
    for sender in senders:
        sender.start()
    chance = random.Random(seed)
    for _ in range(kills):
        with server(db, folder, port) as running:
            already = len(told.answered)
            while len(told.answered) < already + 50:
                time.sleep(0.01)
            time.sleep(chance.uniform(0, 0.5))
        told.kills += running.wait() == -signal.SIGKILL
    with server(db, folder, port) as running:
        over.set()
        for sender in senders:
            sender.join()
    running.wait()
    inbox.drain(db)
    return told, _record(db, told)


@contextmanager
def server(db: Database, folder: Path, port: int) -> Iterator["subprocess.Popen[bytes]"]:
    """As `make run` starts it; killed in the end with all its workers, without a word."""
    command = [str(Path(sys.executable).with_name("granian")), "--interface", "wsgi", "--host", "127.0.0.1"]
    command += ["--port", str(port), "--workers", "2", "--blocking-threads", "16", "--no-ws", "wsgi:app"]
    server = subprocess.Popen(
        command,
        cwd=ROOT,
        env={**os.environ, "RELANCE_DATABASE_URL": db.url, "RELANCE_VAR": str(folder), "PORT": str(port)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        yield server
    finally:
        os.killpg(server.pid, signal.SIGKILL)


def free_port() -> int:
    """One nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(port: int, *, seconds: float = 120.0) -> None:
    """Until somebody listens there."""
    until = time.monotonic() + seconds
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            if time.monotonic() > until:
                raise
            time.sleep(0.1)


def _say(told: Told, over: threading.Event, port: int, key: str, number: int) -> None:
    """Puts one piece into a cart, again and again; what was not answered is said again, as SDKs do."""
    turn = 0
    while not over.is_set():
        names = [f"{number}-{turn}-{each}" for each in range(1 + turn % 5)]
        told.sent.update(names)
        while not _answered(port, key, [_call(name, number) for name in names]):
            time.sleep(0.05)
        told.answered.update(names)
        turn += 1


def _call(name: str, number: int) -> dict[str, object]:
    return {
        "type": "track",
        "event": "Product Added",
        "messageId": name,
        "userId": f"u{number}",
        "properties": {"product_id": "pot", "cart_id": f"c{number}", "quantity": 1},
    }


def _answered(port: int, key: str, calls: list[dict[str, object]]) -> bool:
    credentials = base64.b64encode(f"{key}:".encode()).decode()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request(
            "POST", "/v1/batch", orjson.dumps({"batch": calls}), {"Authorization": f"Basic {credentials}"}
        )
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _record(db: Database, told: Told) -> Record:
    with db.begin() as conn:
        stored = list(conn.scalars(sa.select(tables.events.c.message_id)))
        pieces = conn.execute(sa.text("SELECT sum((lines -> 0 ->> 'quantity')::int) FROM carts")).scalar_one()
        counted = conn.scalar(sa.select(sa.func.sum(tables.profiles.c.cart_adds))) or 0
        left = conn.scalar(sa.select(sa.func.count()).select_from(tables.inbox)) or 0
    return Record(
        stored=len(stored),
        lost=len(told.answered - set(stored)),
        invented=len(set(stored) - told.sent),
        doubled=abs(int(pieces) - len(stored)) + abs(counted - len(stored)) + len(stored) - len(set(stored)),
        left=left,
    )
