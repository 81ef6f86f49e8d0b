"""`GET /v1/recommendations` for known customers against an empty JSON route of the same server and workers.

The shop is the demo's: a year of 2,469 households, 1.47 million lines; the model is trained on it as `make run` does.
"""

import itertools
import shutil
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import sqlalchemy as sa

from app import security
from app.demo import purchases
from bench import load, web
from foundation.database import Database
from recommender import training
from recommender.tables import slates
from shop.tables import customers

CONNECTIONS = 8
REQUESTS = 8_000
ROUNDS = 3


def run() -> list[dict[str, object]]:
    """Seconds to train; then both routes in turn, three times, the medians of each."""
    directory = Path(tempfile.mkdtemp(prefix="relance-bench-"))
    try:
        db = Database(web.database(directory, "relance_bench_recommendations"))
        db.migrate()
        key, names = _shop(db, directory)
        began = time.monotonic()
        trained = training.run(db, now=datetime.now(UTC))
        rows: list[dict[str, object]] = [
            {"what": "training", "seconds": time.monotonic() - began, "state": trained.state}
        ]
        with web.server(db.url, directory) as port:
            rows += _answers(port, key, names)
        with db.begin() as conn:
            rows.append({"what": "slates kept", "slates": conn.scalar(sa.select(sa.func.count()).select_from(slates))})
        db.dispose()
        return rows
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _shop(db: Database, directory: Path) -> tuple[str, list[str]]:
    now = datetime.now(UTC)
    purchases.load(db, directory, base_url="http://localhost", now=now, track=_silent)
    with db.begin() as conn:
        key = security.create_key(conn, kind="secret", name="bench", now=now)
        names = list(conn.scalars(sa.select(customers.c.user_id).where(customers.c.user_id.is_not(None))))
    return key, names


def _silent(_: str) -> Callable[[int, int | None], None]:
    return lambda done, of: None


def _answers(port: int, key: str, names: list[str]) -> list[dict[str, object]]:
    """Every customer once, for whom all is computed; then many times over, as people browse, when what was computed a
    moment ago is used again unless they did something meanwhile."""
    empty = [_request("/empty", key)] * (4 * REQUESTS)  # so that both take about as long
    asked = [_request(f"/v1/recommendations?customer={name}&placement=home&n=12", key) for name in names]
    load.run(port, empty[:1000], connections=CONNECTIONS)
    load.run(port, [_request("/v1/recommendations", key)] * 200, connections=CONNECTIONS)
    floors, again = [], []
    first = load.run(port, asked, connections=CONNECTIONS)
    for _ in range(ROUNDS):
        floors.append(load.run(port, empty, connections=CONNECTIONS))
        many = list(itertools.islice(itertools.cycle(asked), REQUESTS))
        again.append(load.run(port, many, connections=CONNECTIONS))
    floor = _median(floors)
    return [
        _row("known customers, once each", first, floor),
        _row("known customers, many times", _median(again), floor),
    ]


def _row(what: str, done: load.Load, floor: load.Load) -> dict[str, object]:
    return {
        "what": what,
        "connections": CONNECTIONS,
        "requests per second": done.good / done.seconds,
        "empty route per second": floor.good / floor.seconds,
        "ratio": (done.good / done.seconds) / (floor.good / floor.seconds),
        "target": 0.1,
        "p50 ms": done.percentile(0.5) * 1000,
        "p99 ms": done.percentile(0.99) * 1000,
        "failed": done.bad,
    }


def _median(loads: list[load.Load]) -> load.Load:
    return sorted(loads, key=lambda each: each.seconds)[len(loads) // 2]


def _request(path: str, key: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {key}\r\n\r\n".encode()
