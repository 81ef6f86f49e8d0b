"""An import ends where the same events sent live would have ended, also when it is killed or meets live traffic."""

import csv
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
import sqlalchemy as sa

from foundation.database import Database
from shop import imports, ingest, sources, vocabulary
from tests import emptying

HEADER = ["event", "user_id", "anonymous_id", "timestamp", "message_id", "channel", "product_id", "order_id"]
HEADER += ["cart_id", "quantity", "price", "currency", "properties"]
START = datetime(2026, 5, 1, 10, 0, tzinfo=UTC)

STORIES: dict[str, list[dict[str, Any]]] = {
    "views and an order of the past": [
        {"event": "Product Viewed", "user_id": "u1", "product_id": "p1"},
        {"event": "Product Viewed", "anonymous_id": "a1", "product_id": "p2"},
        {
            "event": "Order Completed",
            "user_id": "u1",
            "order_id": "o1",
            "product_id": "p1",
            "quantity": 2,
            "price": 5.0,
        },
        {"event": "Anything Else", "user_id": "u1", "channel": "call_center", "properties": {"deep": [1, {"x": None}]}},
    ],
    "a cart that is ordered, and one that stays open": [
        {"event": "Product Added", "user_id": "u2", "cart_id": "c1", "product_id": "p1", "quantity": 1, "price": 9.5},
        {
            "event": "Order Completed",
            "user_id": "u2",
            "order_id": "o2",
            "cart_id": "c1",
            "product_id": "p1",
            "price": 9.5,
        },
        {"event": "Product Added", "user_id": "u2", "product_id": "p3", "quantity": 2, "price": 1.0, "currency": "GBP"},
    ],
    "a refund and a cancellation": [
        {
            "event": "Order Completed",
            "user_id": "u3",
            "order_id": "o3",
            "product_id": "p1",
            "quantity": 1,
            "price": 20.0,
        },
        {
            "event": "Order Completed",
            "user_id": "u3",
            "order_id": "o4",
            "product_id": "p2",
            "quantity": 1,
            "price": 30.0,
        },
        {"event": "Order Refunded", "user_id": "u3", "order_id": "o3", "properties": {"total": 5}},
        {"event": "Order Cancelled", "user_id": "u3", "order_id": "o4"},
    ],
    "a visitor who signs in": [
        {"event": "Product Added", "anonymous_id": "a4", "cart_id": "c4", "product_id": "p1", "price": 3.0},
        {"event": "Product Viewed", "user_id": "u4", "anonymous_id": "a4", "product_id": "p2"},
        {
            "event": "Order Completed",
            "user_id": "u4",
            "order_id": "o5",
            "channel": "store",
            "product_id": "p1",
            "price": 3.0,
        },
    ],
    "an order that lists its products itself": [
        {
            "event": "Order Completed",
            "user_id": "u5",
            "order_id": "o6",
            "currency": "JPY",
            "properties": {"revenue": 900, "products": [{"product_id": "p1", "quantity": 3, "price": 300.0}]},
        },
    ],
    "one order told twice": [
        {
            "event": "Order Completed",
            "user_id": "u6",
            "order_id": "o7",
            "product_id": "p1",
            "price": 4.0,
            "message_id": "m1",
        },
        {"event": "Product Viewed", "user_id": "u6", "product_id": "p1", "message_id": "m2"},
        {"event": "Product Viewed", "user_id": "u6", "product_id": "p1", "message_id": "m2"},
    ],
}


def timed(story: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    return [row | {"timestamp": (START + timedelta(minutes=n)).isoformat()} for n, row in enumerate(story)]


def write(path: Path, story: Sequence[dict[str, Any]]) -> Path:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, HEADER)
        writer.writeheader()
        for row in story:
            packed = {"properties": orjson.dumps(row["properties"]).decode()} if "properties" in row else {}
            writer.writerow(row | packed)
    return path


def import_(db: Database, path: Path, now: datetime, *, kind: str = "events") -> imports.Report:
    return imports.run(db, kind, path=path, now=now, progress=lambda done, total: None)


def send_live(db: Database, story: Sequence[dict[str, Any]], now: datetime) -> None:
    """The same rows as a tracker would send them."""
    with db.begin() as conn:
        source = sources.source(conn, "import", channel="web", now=now, trusted=True)
    for row in story:
        event = vocabulary.parse(payload(row), source=source, received_at=now, kind="track")
        assert isinstance(event, vocabulary.Event)
        with db.begin() as conn:
            ingest.ingest(conn, [event], now=now)


def payload(row: dict[str, Any]) -> dict[str, Any]:
    product = {name: row[name] for name in ("product_id", "quantity", "price") if name in row}
    ids = {name: row[name] for name in ("order_id", "cart_id", "currency") if name in row}
    properties = (
        row.get("properties", {}) | ids | ({"currency": "EUR"} if "price" in row and "currency" not in row else {})
    )
    if row["event"] != "Order Completed":
        properties |= product
    elif product:
        properties["products"] = [product]
    return {
        "event": row["event"],
        "userId": row.get("user_id"),
        "anonymousId": row.get("anonymous_id"),
        "messageId": row.get("message_id"),
        "timestamp": row["timestamp"],
        "properties": properties,
        "context": {"channel": row["channel"]} if "channel" in row else {},
    }


def state(db: Database) -> dict[str, list[Any]]:
    """All that events make, told by the shop's own ids."""
    who = "(SELECT coalesce(user_id, 'nobody') FROM customers WHERE id = t.customer_id)"
    found = {}
    for name in ("events", "identities", "profiles", "carts", "orders", "order_lines"):
        skipped = "'key', 'id', 'customer_id', 'origin_id', 'source_id', 'context', 'received_at', 'first_seen_at'"
        if name == "profiles":
            skipped = "'customer_id'"
        if name == "carts":
            skipped += ", 'cart_id'"  # one the shop did not name is named here
        query = f"SELECT {who}, to_jsonb(t) - ARRAY[{skipped}] FROM {name} t"
        with db.begin() as conn:
            found[name] = sorted(str(tuple(row)) for row in conn.execute(sa.text(query)))
    return found


def empty(db: Database) -> None:
    with db.begin() as conn:
        emptying.empty(conn)


@pytest.mark.parametrize("name", STORIES)
def test_a_file_means_what_the_same_events_mean_live(db: Database, tmp_path: Path, now: datetime, name: str) -> None:
    story = timed(STORIES[name])
    send_live(db, story, now)
    live = state(db)
    empty(db)
    import_(db, write(tmp_path / "events.csv", story), now)
    assert state(db) == live


def test_all_stories_in_one_shuffled_file_mean_the_same(db: Database, tmp_path: Path, now: datetime) -> None:
    story = [row for one in STORIES.values() for row in timed(one)]
    send_live(db, sorted(story, key=lambda row: row["timestamp"]), now)
    live = state(db)
    empty(db)
    report = import_(db, write(tmp_path / "events.csv", story[::-1]), now)
    assert (report.accepted, report.repeated, report.refused) == (len(story) - 1, 1, 0)
    assert state(db) == live
    again = import_(db, tmp_path / "events.csv", now)
    assert (again.accepted, again.repeated) == (0, len(story))
    assert state(db) == live


def test_an_imported_order_closes_the_cart_left_open_live(db: Database, tmp_path: Path, now: datetime) -> None:
    story = timed(
        [
            {"event": "Product Added", "user_id": "u1", "cart_id": "c1", "product_id": "p1", "price": 3.0},
            {"event": "Order Completed", "user_id": "u1", "order_id": "o1", "product_id": "p1", "price": 3.0},
        ]
    )
    send_live(db, story[:1], now)
    import_(db, write(tmp_path / "events.csv", story[1:]), now)
    with db.begin() as conn:
        assert conn.execute(sa.text("SELECT state, order_id FROM carts")).all() == [("ordered", "o1")]


def test_an_order_known_from_live_events_is_not_counted_twice(db: Database, tmp_path: Path, now: datetime) -> None:
    story = timed(STORIES["views and an order of the past"])
    with db.begin() as conn:
        site = sources.source(conn, "site", channel="web", now=now)
        event = vocabulary.parse(payload(story[2]), source=site, received_at=now, kind="track")
        assert isinstance(event, vocabulary.Event)
        ingest.ingest(conn, [event], now=now)
    import_(db, write(tmp_path / "events.csv", story), now)
    with db.begin() as conn:
        assert conn.execute(sa.text("SELECT orders, spent FROM profiles WHERE orders > 0")).all() == [(1, 1000)]
        assert conn.scalar(sa.text("SELECT count(*) FROM order_lines")) == 1


# --------------------------------------------------------------------------------------- killed, and crowded
def past_orders(path: Path, count: int) -> Path:
    with path.open("w") as file:
        file.write("order_id,user_id,timestamp,product_id,quantity,price\n")
        for n in range(count):
            file.writelines(f"o{n},u{n % 900},2026-04-01T10:00:00Z,p{line},1,2.50\n" for line in range(2))
    return path


KILLED = """
import os, signal, sys
from datetime import datetime
from pathlib import Path
from foundation.database import Database
from shop import imports

def progress(done, total):
    if done > total * 0.6:
        os.kill(os.getpid(), signal.SIGKILL)

imports.run(Database(sys.argv[1]), "orders", path=Path(sys.argv[2]), now=datetime.fromisoformat(sys.argv[3]),
    progress=progress)
"""


def test_an_import_killed_half_way_and_run_again_ends_the_same(db: Database, tmp_path: Path, now: datetime) -> None:
    path = past_orders(tmp_path / "orders.csv", 11_000)
    import_(db, path, now, kind="orders")
    whole = state(db)
    empty(db)
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, db.url, str(path), now.isoformat()],
        env=os.environ | {"PYTHONPATH": "."},
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL
    report = import_(db, path, now, kind="orders")
    assert report.accepted and report.repeated
    assert report.accepted + report.repeated == 22_000
    assert state(db) == whole


def test_two_imports_wait_for_each_other_and_live_events_pass(db: Database, tmp_path: Path, now: datetime) -> None:
    path = past_orders(tmp_path / "orders.csv", 6_000)
    reports: list[imports.Report] = []
    threads = [threading.Thread(target=lambda: reports.append(import_(db, path, now, kind="orders"))) for _ in range(2)]
    for thread in threads:
        thread.start()
    live = [{"event": "Product Viewed", "user_id": f"u{n % 900}", "product_id": "p1"} for n in range(300)]
    send_live(db, timed(live), now)
    for thread in threads:
        thread.join()
    assert sorted((report.accepted, report.repeated) for report in reports) == [(0, 12_000), (12_000, 0)]
    with db.begin() as conn:
        totals = conn.execute(sa.text("SELECT sum(events), sum(orders), sum(product_views) FROM profiles")).one()
    assert tuple(totals) == (6_300, 6_000, 300)


def test_sessions_that_had_temporary_tables_are_left_to_others(db: Database, tmp_path: Path, now: datetime) -> None:
    with ExitStack() as taken:
        for _ in range(5):
            conn = taken.enter_context(db.engine.connect())  # rolled back: the session remembers, the table is gone
            conn.execute(sa.text("CREATE TEMPORARY TABLE before_it AS SELECT 1 AS one"))
    story = timed(STORIES["views and an order of the past"])
    assert import_(db, write(tmp_path / "events.csv", story), now).accepted == len(story)
