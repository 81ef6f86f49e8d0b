"""Slates over HTTP, against an empty JSON route of the same server and workers; and everybody's at once.

First the demo's shop: a year of 2,469 households, 1.47 million lines, the model trained on it as `make run` does. Then
a made shop of 100,000 customers, 50,000 products and 3 million interactions. *Ahead*: the ranking was made before she
asked, as it is for everybody who did nothing since. *Now*: it is made while she waits, as for whoever just did
something. *Again*: she asked a moment ago. Rules, stock and prices are looked at each time.
"""

import itertools
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import orjson
import sqlalchemy as sa

from app import security
from app.demo import purchases
from bench import load, made_shop, web
from foundation.database import Database
from recommender import ahead, training
from recommender.serving import Recommender, Request
from recommender.tables import rankings
from shop.tables import customers, products

CONNECTIONS = 8
ROUNDS = 3
EMPTY = 20_000
RATE = 400.0
"""Answers a second that must be given, each in time."""
BUDGET = 240.0
VISITORS = 100


def run() -> list[dict[str, object]]:
    """The demo's shop, then the made one."""
    rows = []
    with _shop("relance_bench_recommendations", _demo) as (db, directory):
        rows += _measured(db, directory, "demo", asked=2_000)
    with _shop("relance_bench_scale", _made) as (db, directory):
        rows += _measured(db, directory, "made", asked=8_000)
        rows += _everybody(db, directory)
    return rows


@contextmanager
def _shop(name: str, fill: Callable[[Database, Path], None]) -> Iterator[tuple[Database, Path]]:
    directory = Path(tempfile.mkdtemp(prefix="relance-bench-"))
    try:
        db = Database(web.database(directory, name))
        db.migrate()
        fill(db, directory)
        yield db, directory
        db.dispose()
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _demo(db: Database, directory: Path) -> None:
    purchases.load(db, directory, base_url="http://localhost", now=datetime.now(UTC), track=_silent)


def _made(db: Database, directory: Path) -> None:
    made_shop.load(db, made_shop.make(), until=datetime.now(UTC))


def _silent(_: str) -> Callable[[int, int | None], None]:
    return lambda done, of: None


def _measured(db: Database, directory: Path, shop: str, *, asked: int) -> list[dict[str, object]]:
    """Trains, asks for as many customers while nothing is made ahead, and for others once it is."""
    began = time.monotonic()
    trained = training.run(db, now=datetime.now(UTC), budget=BUDGET)
    rows: list[dict[str, object]] = [
        {"shop": shop, "what": "training", "seconds": time.monotonic() - began, "state": trained.state}
    ]
    key, names, goods = _callers(db)
    with web.server(db.url, directory) as port:
        asking = _Asking(shop, port, key, goods)
        asking.warm_up(names[-500:])
        rows.append(asking.row("now", names[:asked]))
        rows.append(asking.row("now, paced", names[asked : 2 * asked] or names, rate=RATE))
        began = time.monotonic()
        count = ahead.run(db, files=directory / "models", now=datetime.now(UTC))
        seconds = time.monotonic() - began
        rows.append({"shop": shop, "what": "made ahead", "rankings": count, "a second": count / seconds})
        time.sleep(65)  # what was asked for is remembered for a minute
        rows.append(asking.row("ahead", names[:asked]))
        rows.append(asking.row("ahead, paced", names[asked : 2 * asked] or names, rate=RATE))
        rows.append(asking.row("again", list(itertools.islice(itertools.cycle(names[:1_000]), 4_000))))
        rows.append(asking.row("in a store", names[-asked // 2 :], more="&store=store-1"))
        rows.append(asking.row("beside a product", names[-asked // 2 :], more=f"&product={goods[0]}"))
        rows.append(asking.seen(shop))
    return rows


def _callers(db: Database) -> tuple[str, list[str], list[str]]:
    """A key, the customers' ids by lot, and products to look at."""
    with db.begin() as conn:
        key = security.create_key(conn, kind="secret", name="bench", now=datetime.now(UTC))
        names = conn.scalars(sa.select(customers.c.user_id).where(customers.c.user_id.is_not(None))).all()
        goods = conn.scalars(sa.select(products.c.product_id).order_by(products.c.product_id).limit(VISITORS)).all()
    return key, [names[place] for place in np.random.default_rng(1).permutation(len(names)).tolist()], list(goods)


class _Asking:
    """Asks one server and gives rows of figures."""

    def __init__(self, shop: str, port: int, key: str, goods: Sequence[str]) -> None:
        self._shop = shop
        self._port = port
        self._key = key
        self._goods = goods

    def warm_up(self, names: Sequence[str]) -> None:
        for _ in range(2):
            load.run(self._port, self._requests(names, ""), connections=CONNECTIONS)

    def row(self, what: str, names: Sequence[str], *, rate: float | None = None, more: str = "") -> dict[str, object]:
        requests = self._requests(names, more)
        done = load.run(self._port, requests, connections=CONNECTIONS if rate is None else 64, rate=rate)
        floor = load.run(self._port, [self._request("/empty")] * EMPTY, connections=CONNECTIONS)
        return {
            "shop": self._shop,
            "what": what,
            "requests per second": done.good / done.seconds,
            "empty route per second": floor.good / floor.seconds,
            "ratio": (done.good / done.seconds) / (floor.good / floor.seconds),
            "p50 ms": done.percentile(0.5) * 1000,
            "p90 ms": done.percentile(0.9) * 1000,
            "p99 ms": done.percentile(0.99) * 1000,
            "failed": done.bad,
        }

    def seen(self, shop: str) -> dict[str, object]:
        """How long after the 200 of an event the next answers show it: a first view, by visitors never seen before."""
        waits = []
        for number in range(VISITORS):
            visitor, product = f"visitor-{number}", self._goods[number]
            properties = {"product_id": product}
            event = {"anonymousId": visitor, "event": "Product Added", "properties": properties}
            asked = f"/v1/recommendations?anonymous={visitor}&placement=store&n=12"
            before = self._products(asked)
            load.run(self._port, [self._request("/v1/track", orjson.dumps(event))], connections=1)
            waits.append(self._changed(asked, before))
        ordered = sorted(waits)
        return {
            "shop": shop,
            "what": "an event is seen",
            "p50 ms": ordered[len(ordered) // 2],
            "p99 ms": ordered[int(len(ordered) * 0.99) - 1],
            "most ms": ordered[-1],
        }

    def _changed(self, asked: str, before: list[str]) -> float:
        """Milliseconds until an answer is another one; at most two seconds."""
        began = time.perf_counter()
        while time.perf_counter() - began < 2 and self._products(asked) == before:
            pass
        return (time.perf_counter() - began) * 1000

    def _products(self, asked: str) -> list[str]:
        answer = load.one(self._port, self._request(asked))
        return [item["product_id"] for item in orjson.loads(answer.partition(b"\r\n\r\n")[2])["items"]]

    def _requests(self, names: Sequence[str], more: str) -> list[bytes]:
        return [self._request(f"/v1/recommendations?customer={name}&placement=home&n=12{more}") for name in names]

    def _request(self, path: str, body: bytes | None = None) -> bytes:
        method = "GET" if body is None else "POST"
        head = f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {self._key}\r\n"
        size = "" if body is None else f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        return f"{head}{size}\r\n".encode() + (body or b"")


def _everybody(db: Database, directory: Path) -> list[dict[str, object]]:
    """A slate for each customer, as a campaign asks for them: every ranking made anew, then with those made ahead."""
    rows: list[dict[str, object]] = []
    with db.begin() as conn:
        numbers = list(conn.scalars(sa.select(customers.c.id).order_by(customers.c.id)))
    for what in ("slates for everybody, ahead", "slates for everybody, now"):
        recommender = Recommender(db, files=directory / "models")
        requests = [Request("email", customer_id=number, n=6, record=False) for number in numbers]
        began = time.monotonic()
        with db.begin() as conn:
            made = recommender.recommend_many(conn, requests, now=datetime.now(UTC))
        seconds = time.monotonic() - began
        recommender.close()
        rows.append({"shop": "made", "what": what, "customers a second": len(made) / seconds, "seconds": seconds})
        with db.begin() as conn:
            conn.execute(sa.delete(rankings))
    return rows
