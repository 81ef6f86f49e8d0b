"""Segments over a large crowd: a full count against the best SQL written by hand, and how soon an event moves someone.

    python -m bench segments                            100,000 customers, 2 million events
    RELANCE_BENCH_CUSTOMERS=1000000 python -m bench segments        a million, and 20 million
    RELANCE_BENCH_EVENTS=4 RELANCE_BENCH_KEEP=/some/folder          fewer events each; the crowd is kept there

Both counts run on the same server with the same settings, one after the other, three times; the quickest counts. For
the second figure a process of its own takes in 500 events a second while membership of 20 segments is refreshed as the
scheduler does it; from time to time an event is a marked one, whose customer is then waited for.
"""

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import sqlalchemy as sa

from bench import bench_import, crowd
from campaigns import membership, segment_preview, segments
from campaigns.definitions import conditions
from foundation.database import Database
from shop import ingest, sources, vocabulary

ALL_TABLES = bench_import.ALL_TABLES
RATE = 500
BATCH = 25
LASTING = 60.0
EVERY = 3.0
"""Seconds between two refreshes, as in the scheduler's timetable."""

THREE = {
    "type": "all",
    "of": [
        {"type": "trait", "name": "points", "op": "at_least", "value": 500},
        {"type": "event", "name": "Product Viewed", "value": 3, "within": "30d"},
        {"type": "orders", "measure": "value", "value": 10000},
    ],
}
BY_HAND = """
SELECT count(*) FROM customers
JOIN (SELECT customer_id FROM events WHERE name = 'Product Viewed' AND occurred_at > :since GROUP BY customer_id
    HAVING count(*) >= 3) AS viewed ON viewed.customer_id = customers.id
JOIN (SELECT customer_id FROM orders WHERE state <> 'cancelled' GROUP BY customer_id
    HAVING sum(total - refunded) >= 10000) AS bought ON bought.customer_id = customers.id
WHERE merged_into IS NULL AND (traits ->> 'points')::numeric >= 500
"""
OTHERS = {
    "a trait": {"type": "trait", "name": "city", "value": "City 3"},
    "no order for 90 days": {"type": "orders", "measure": "last", "op": "over_days_ago", "value": 90},
    "e-mail consent, not bought in 30 days": {
        "type": "all",
        "of": [{"type": "consent", "channel": "email"}, {"type": "not", "rule": {"type": "orders", "within": "30d"}}],
    },
    "a category bought twice": {"type": "orders", "value": 2, "categories": ["Department 3"]},
    "cart added, not bought within 2 days, in 30": {
        "type": "sequence",
        "first": {"name": "Product Added"},
        "then": {"name": "Order Completed"},
        "by": "2d",
        "happened": False,
        "within": "30d",
    },
    "viewed something dear in 30 days": {
        "type": "event",
        "name": "Product Viewed",
        "within": "30d",
        "where": [{"property": "price", "test": "at_least", "value": 200}],
    },
    "a quiet cart or the best fifth": {
        "type": "any",
        "of": [
            {"type": "cart", "value_at_least": 8000, "quiet_for": "1d"},
            {"type": "rfm", "measure": "value", "quintiles": [5]},
        ],
    },
    "within 20 km of a store": {"type": "distance", "km": 20},
}


def run() -> list[dict[str, object]]:
    """The figures, for the size that `RELANCE_BENCH_CUSTOMERS` says."""
    customers = int(os.environ.get("RELANCE_BENCH_CUSTOMERS", "100000"))
    began = time.perf_counter()
    with crowd.of(customers) as db:
        rows = [{"what": "ready", "customers": customers, "seconds": time.perf_counter() - began}]
        rows += _counts(db, customers, datetime.now(UTC))
        return rows + _followed(db, customers)


# ------------------------------------------------------------------------------------------------- counts
def _counts(db: Database, customers: int, now: datetime) -> list[dict[str, object]]:
    ours, number = _quickest(lambda: _ours(db, THREE, now))
    floor, by_hand = _quickest(lambda: _asked(db, sa.text(BY_HAND), since=now - timedelta(days=30)))
    assert number == by_hand, (number, by_hand)
    named = {"what": "count of three rules", "customers": customers, "found": number, "seconds": ours}
    rows: list[dict[str, object]] = [{**named, "by hand": floor, "ratio": ours / floor}]
    for name, rule in OTHERS.items():
        seconds, found = _quickest(lambda rule=rule: _ours(db, rule, now))
        rows.append({"what": name, "customers": customers, "found": found, "seconds": seconds})
    counted = segment_preview.count(db, conditions.parse(THREE), now=now)
    rows.append({"what": "count with ten by lot", "customers": customers, "seconds": counted.seconds})
    return rows


def _quickest(ask: Callable[[], int]) -> tuple[float, int]:
    times = []
    for _ in range(3):
        began = time.perf_counter()
        found = ask()
        times.append(time.perf_counter() - began)
    return min(times), found


def _ours(db: Database, rule: dict[str, Any], now: datetime) -> int:
    query = segments.select(conditions.parse(rule), now=now)
    return _asked(db, sa.select(sa.func.count()).select_from(query.subquery()))


def _asked(db: Database, query: sa.Executable, **given: object) -> int:
    with db.begin() as conn:
        segment_preview.prepare(conn)
        return int(conn.execute(query, given).scalar_one())


# ----------------------------------------------------------------------------------------------- followed
def _followed(db: Database, customers: int) -> list[dict[str, object]]:
    """From a marked event's commit until its customer is a member, while events come in and segments are refreshed."""
    now = datetime.now(UTC)
    with db.begin() as conn:
        sources.source(conn, "bench", channel="web", now=now, trusted=True)
        for n, rule in enumerate([{"type": "event", "name": "Marked"}, THREE, *OTHERS.values()] * 2):
            segments.apply(conn, segments.parse({"name": f"s{n}", "title": f"S {n}", "rule": rule}), now=now)
    began = time.perf_counter()
    membership.refresh(db, now=now)
    filled = time.perf_counter() - began
    sender = subprocess.Popen(
        [sys.executable, "-m", "bench.bench_segments", db.url, str(customers)], stdout=subprocess.PIPE
    )
    busy: list[float] = []
    while sender.poll() is None:
        began = time.monotonic()
        membership.refresh(db, now=datetime.now(UTC))
        busy.append(time.monotonic() - began)
        time.sleep(max(EVERY - busy[-1], 0.0))
    told, _ = sender.communicate()
    waits = sorted(float(word) for word in told.decode().split()[1:])
    membership.refresh(db, now=datetime.now(UTC))
    checked = membership.check(db, now=datetime.now(UTC))
    return [
        {"what": "20 segments filled", "customers": customers, "seconds": filled},
        {
            "what": "an event moves its customer",
            "customers": customers,
            "events a second": float(told.split()[0]),
            "median": statistics.median(waits),
            "longest": waits[-1],
            "a refresh": statistics.mean(busy),
            "checked": checked,
        },
    ]


def _send(url: str, customers: int) -> None:
    """What the process of its own does: 500 events a second; every 40th batch has a marked one, and is waited for."""
    db, rng = Database(url), np.random.default_rng(7)
    marked: dict[int, float] = {}
    waits, sent, began = [], 0, time.monotonic()
    with db.begin() as conn:
        source = sources.source(conn, "bench", channel="web", now=datetime.now(UTC), trusted=True)
    while time.monotonic() < began + LASTING:
        who = (customers * rng.random(BATCH) ** 2).astype(int) + 1
        if mark := sent % (40 * BATCH) == 0:
            who[0] = customers - sent // (40 * BATCH)
        names = rng.choice(crowd.NAMES[:4], size=BATCH)
        bodies = [_body(int(one), "Marked" if mark and n == 0 else str(names[n])) for n, one in enumerate(who)]
        _take(db, source, bodies)
        if mark:
            marked.setdefault(int(who[0]), time.monotonic())
        sent += BATCH
        waits += _arrived(db, marked) if sent % (4 * BATCH) == 0 else []
        time.sleep(max(began + sent / RATE - time.monotonic(), 0.0))
    rate = sent / (time.monotonic() - began)
    while marked and time.monotonic() < began + LASTING + 20:
        waits += _arrived(db, marked)
        time.sleep(0.05)
    print(rate, *waits, *([999.0] * len(marked)))


def _body(customer: int, name: str) -> dict[str, Any]:
    return {"type": "track", "userId": f"user-{customer}", "event": name, "properties": {"price": 30.0}}


def _take(db: Database, source: vocabulary.Source, bodies: list[dict[str, Any]]) -> None:
    now = datetime.now(UTC)
    parsed = [
        vocabulary.parse({**body, "messageId": os.urandom(12).hex()}, source=source, received_at=now) for body in bodies
    ]
    with db.begin() as conn:
        ingest.ingest(conn, [event for event in parsed if isinstance(event, vocabulary.Event)], now=now)


def _arrived(db: Database, marked: dict[int, float]) -> list[float]:
    query = sa.text(
        "SELECT customer_id FROM segment_members JOIN segments ON segments.id = segment_id "
        "WHERE name = 's0' AND customer_id = ANY(:ids)"
    )
    with db.begin() as conn:
        found = list(conn.scalars(query, {"ids": list(marked)}))
    return [time.monotonic() - marked.pop(customer) for customer in found]


if __name__ == "__main__":
    _send(sys.argv[1], int(sys.argv[2]))
