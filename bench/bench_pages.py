"""How soon each page of the console is answered at the server, over a large crowd: p95 against 100 ms.

    python -m bench pages                                        200,000 customers, 4 million events
    RELANCE_BENCH_CUSTOMERS=1000000 python -m bench pages        a million, and 20 million
    RELANCE_BENCH_KEEP=/some/folder                              the crowd is kept there, and found again

A page of every kind is found by following links; each is asked one after the other over the loopback, with the
demo's campaigns, segments with their members, and the scheduler's figures counted. What the browser does is not in it.
"""

import http.client
import os
import re
import shutil
import statistics
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlencode

import app as front
from app import parts, users
from bench import bench_import, crowd, web
from campaigns import enrolments, figures, files, membership, segments
from foundation.config import Config
from foundation.database import Database
from tests import crawl

ALL_TABLES = bench_import.ALL_TABLES
"""Named so that the metadata knows every table before it is used."""
EMAIL, PASSWORD = "bench@example.com", "a sentence of the benchmark"
TIMES = 20
WANTED = 0.100
SEGMENTS = {
    "points": {"type": "trait", "name": "points", "op": "at_least", "value": 500},
    "quiet": {"type": "orders", "measure": "last", "op": "over_days_ago", "value": 90},
}


def run() -> list[dict[str, object]]:
    """The slowest pages first, then all of them in one row."""
    customers = int(os.environ.get("RELANCE_BENCH_CUSTOMERS", "200000"))
    directory = Path(tempfile.mkdtemp(prefix="relance-bench-"))
    try:
        with crowd.of(customers) as db:
            make(db)
            with web.server(db.url, directory) as port:
                return [{"customers": customers, **row} for row in _measured(port, db.url, directory)]
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def make(db: Database) -> None:
    """Beside the crowd: who may sign in, segments with members, the campaigns of the demo with who is in them."""
    now = datetime.now(UTC)
    with db.begin() as conn:
        users.create(conn, email=EMAIL, role="admin", password=PASSWORD, now=now)
        files.ensure_demo(conn, now=now, demo=True)
        for name, rule in SEGMENTS.items():
            segments.apply(conn, segments.parse({"name": name, "title": name, "rule": rule}), now=now)
    membership.refresh(db, now=now)
    enrolments.admit_due(db, now=now)
    enrolments.advance_due(db, now=now)
    figures.refresh(db, now=now)


def found(port: int, url: str, directory: Path) -> dict[str, str]:
    """The address of a page of every kind, met by somebody signed in."""
    return _met(_visitor(port), url, directory)


def _visitor(port: int) -> "_Visitor":
    visitor = _Visitor(port)
    visitor.sign_in()
    return visitor


def _met(visitor: "_Visitor", url: str, directory: Path) -> dict[str, str]:
    config = Config.from_env({"RELANCE_DATABASE_URL": url, "RELANCE_VAR": str(directory)})
    built = parts.build(config)
    met = crawl.pages(visitor.get, front.create_app(built).url_map)
    built.close()
    return met


def _measured(port: int, url: str, directory: Path) -> list[dict[str, object]]:
    visitor = _visitor(port)
    times = {
        endpoint: [visitor.timed(path) for _ in range(TIMES)]
        for endpoint, path in _met(visitor, url, directory).items()
    }
    rows: list[dict[str, object]] = [
        {
            "page": endpoint.removeprefix("console."),
            "p50 ms": round(statistics.median(taken) * 1000, 1),
            "p95 ms": round(_p95(taken) * 1000, 1),
            "wanted": WANTED * 1000,
        }
        for endpoint, taken in times.items()
    ]
    rows.sort(key=lambda row: -float(str(row["p95 ms"])))
    slow = sum(_p95(taken) > WANTED for taken in times.values())
    return [*rows, {"page": "all", "pages": len(rows), "over 100 ms": slow}]


def _p95(taken: list[float]) -> float:
    return sorted(taken)[int(len(taken) * 0.95) - 1]


class _Visitor:
    """A browser that keeps its cookies and its connection, and draws nothing."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        self._cookies: dict[str, str] = {}

    def sign_in(self) -> None:
        """Through the door, as everybody."""
        (token,) = set(re.findall(r'name="csrf_token" value="(\w+)"', self.get("/console/sign-in")))
        form = urlencode({"csrf_token": token, "email": EMAIL, "password": PASSWORD})
        self._ask("POST", "/console/sign-in", form)

    def get(self, path: str) -> str:
        """The page, if it is one."""
        kind, body = self._ask("GET", path)
        return body.decode() if kind.startswith("text/html") else ""

    def timed(self, path: str) -> float:
        """Seconds from the first byte sent to the last one read."""
        began = time.perf_counter()
        self._ask("GET", path)
        return time.perf_counter() - began

    def _ask(self, method: str, path: str, form: str | None = None) -> tuple[str, bytes]:
        headers = {"Cookie": "; ".join(f"{name}={value}" for name, value in self._cookies.items())}
        if form is not None:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        self._connection.request(method, path, body=form, headers=headers)
        answer = self._connection.getresponse()
        for name, value in answer.getheaders():
            if name.lower() == "set-cookie":
                key, _, rest = value.partition("=")
                self._cookies[key] = rest.partition(";")[0]
        return answer.getheader("Content-Type", ""), answer.read()
