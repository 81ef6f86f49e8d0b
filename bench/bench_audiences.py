"""An audience of a million people handed to a platform, against a bare loop that hashes and posts the same people.

    python -m bench audiences                                        a million
    RELANCE_BENCH_MEMBERS=100000 python -m bench audiences           a tenth of it

The platform is a server of its own process on this machine that reads each call and answers as Meta does. The bare
loop has everybody in memory already and keeps nothing; ours reads them from PostgreSQL, writes down whom it is about
to hand over and what was confirmed, and runs in a process of its own whose largest memory is reported. Then the same
again with nothing changed, and with one in a hundred having bought.
"""

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx2
import orjson
import sqlalchemy as sa

from bench import bench_import, web
from campaigns.audiences import kept, syncing
from campaigns.audiences.platforms.meta import VERSION, Meta
from foundation.database import Database

ALL_TABLES = bench_import.ALL_TABLES
BATCH = 10_000
AUDIENCE = "120330001"
FILL = (
    """INSERT INTO customers (id, user_id, email, phone, traits, created_at, updated_at)
    OVERRIDING SYSTEM VALUE SELECT n, 'user-' || n, 'user' || n || '@crowd.example', '+336' || lpad(n::text, 8, '0'),
        '{}', :at, :at FROM generate_series(1, :members) AS n""",
    """INSERT INTO consents (customer_id, channel, purpose, state, at)
    SELECT n, 'ads', purpose, 'granted', :at FROM generate_series(1, :members) AS n,
        (VALUES ('marketing'), ('personalization')) AS purposes (purpose) ORDER BY n""",
    """INSERT INTO segments (name, title, size, checked_at, created_at, updated_at)
    VALUES ('all', 'All', :members, :at, :at, :at)""",
    "INSERT INTO segment_members SELECT segments.id, n, :at FROM segments, generate_series(1, :members) AS n",
)
BOUGHT = """INSERT INTO orders (order_id, customer_id, origin_id, ordered_at, received_at, state, channel, total)
SELECT 'o' || n, n, n, :at, :at, 'completed', 'store', 100 FROM generate_series(1, :members, 100) AS n"""


def run() -> list[dict[str, object]]:
    """The figures."""
    members = int(os.environ.get("RELANCE_BENCH_MEMBERS", "1000000"))
    directory, now = Path(tempfile.mkdtemp(prefix="relance-bench-")), datetime.now(UTC)
    peer = subprocess.Popen([sys.executable, "-m", "bench.bench_audiences", "serve"], stdout=subprocess.PIPE)
    try:
        assert peer.stdout
        host = f"http://127.0.0.1:{int(peer.stdout.readline())}"
        floor = _bare(host, members)
        db = Database(web.database(directory, "bench_audiences"))
        db.migrate()
        _fill(db, members, now - timedelta(days=1))
        first = _synced(db.url, host, now)
        rows: list[dict[str, object]] = [
            {"what": "bare hashing and posting", "members": members, "seconds": floor},
            {"what": "handed over the first time", **first, "ratio": floor / float(str(first["seconds"]))},
            {"what": "again, nothing changed", **_synced(db.url, host, now + syncing.EVERY)},
        ]
        with db.begin() as conn:
            conn.execute(sa.text(BOUGHT), {"members": members, "at": now + syncing.EVERY})
        rows.append({"what": "one in a hundred bought", **_synced(db.url, host, now + 2 * syncing.EVERY)})
        db.dispose()
        return rows
    finally:
        peer.kill()
        peer.wait()
        shutil.rmtree(directory, ignore_errors=True)


def _fill(db: Database, members: int, at: datetime) -> None:
    with db.begin() as conn:
        for statement in FILL:
            conn.execute(sa.text(statement.replace("n::text", "CAST(n AS text)")), {"members": members, "at": at})
        made = {"name": "all", "title": "All", "platform": "meta", "external_id": AUDIENCE, "segment": "all"}
        kept.apply(conn, kept.parse(made), now=at)
    with db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as conn:
        conn.execute(sa.text("VACUUM ANALYZE"))


def _bare(host: str, members: int) -> float:
    """Everybody in memory, normalised, hashed and posted, in the same batches; nothing is kept."""
    people = [(f"user{n}@crowd.example", f"+336{n:08}") for n in range(1, members + 1)]
    began = time.perf_counter()
    with httpx2.Client(base_url=host) as http:
        for first in range(0, members, BATCH):
            data = [
                [
                    hashlib.sha256(email.strip().lower().encode()).hexdigest(),
                    hashlib.sha256(phone.lstrip("+").encode()).hexdigest(),
                ]
                for email, phone in people[first : first + BATCH]
            ]
            body = {"payload": {"schema": ["EMAIL", "PHONE"], "data": data}}
            http.post(f"/{VERSION}/{AUDIENCE}/users", content=orjson.dumps(body)).raise_for_status()
    return time.perf_counter() - began


def _synced(url: str, host: str, now: datetime) -> dict[str, object]:
    """One sync by a process of its own."""
    command = [sys.executable, "-m", "bench.bench_audiences", "sync", url, host, now.isoformat()]
    told = subprocess.run(command, check=True, capture_output=True)
    return dict(orjson.loads(told.stdout))


def _sync(url: str, host: str, now: datetime) -> None:
    db, platform = Database(url), Meta("token", host=host)
    with db.begin() as conn:
        audience = kept.get(conn, "all")
    Path("/proc/self/clear_refs").write_text("5")  # from here on its largest memory is counted anew
    before, began = _memory("VmRSS"), time.perf_counter()
    done = syncing.sync(db, {"meta": platform}, audience, now=now)
    seconds = time.perf_counter() - began
    found = {"added": done.added, "removed": done.removed, "seconds": seconds}
    print(orjson.dumps(found | {"memory MB": _memory("VmHWM") - before}).decode())


def _memory(name: str) -> float:
    """A line of what Linux says of this process, in MB."""
    (kilobytes,) = re.findall(rf"{name}:\s+(\d+) kB", Path("/proc/self/status").read_text())
    return int(kilobytes) / 1024


class _Taker(BaseHTTPRequestHandler):
    """Reads, and says it took them."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        text = b'{"audience_id": "1", "session_id": "1", "num_received": 10000, "num_invalid_entries": 0}'
        head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(text)}\r\n\r\n"
        self.wfile.write(head.encode() + text)

    do_DELETE = do_POST

    def log_message(self, *_: object) -> None:
        """Silent."""


def _serve() -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Taker)
    print(server.server_address[1], flush=True)
    server.serve_forever()


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        _serve()
    else:
        _sync(sys.argv[2], sys.argv[3], datetime.fromisoformat(sys.argv[4]))
