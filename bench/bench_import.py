"""`flask import` of 1.47 million purchase lines against a bare `COPY` of the rows it makes into the same tables.

Both on the same PostgreSQL server, one after the other, indexes and foreign keys in place. The import runs in a
process of its own, whose largest memory is reported.
"""

import shutil
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq
import sqlalchemy as sa

from app import tables
from app.demo import purchases
from campaigns import tables as campaign_tables
from foundation import postgres
from foundation.database import Database, driver, metadata
from recommender import tables as recommender_tables
from shop import imports
from shop import tables as shop_tables

MADE = ("customers", "identities", "profiles", "events", "orders", "order_lines")
ALL_TABLES = (tables, campaign_tables, recommender_tables, shop_tables)
"""Imported so that `metadata` knows every table."""


def run() -> list[dict[str, object]]:
    """Events from CSV and orders from Parquet: lines per second, and the share of COPY's rate."""
    directory = Path(tempfile.mkdtemp(prefix="relance-bench-"))
    try:
        db = Database(postgres.attach(directory / "postgres"))
        db.migrate()
        orders = purchases.write(directory, base_url="http://localhost", now=datetime.now(UTC))["orders"]
        lines = pq.ParquetFile(orders).metadata.num_rows
        rows = [
            _row(db, "orders", orders, lines=lines),
            _row(db, "events", _events(orders, directory / "events.csv"), lines=lines),
        ]
        db.dispose()
        return rows
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _events(orders: Path, path: Path) -> Path:
    """The same lines as `Order Completed` events, in CSV."""
    table = pq.read_table(orders).drop_columns(["store_id", "coupon"])
    named = table.append_column("event", pa.array(["Order Completed"]).take(pa.array([0] * len(table))))
    times = pc.strftime(named["timestamp"], format="%Y-%m-%dT%H:%M:%SZ")
    named = named.set_column(named.column_names.index("timestamp"), "timestamp", times)
    pyarrow.csv.write_csv(named, path)
    return path


def _row(db: Database, kind: str, path: Path, *, lines: int) -> dict[str, object]:
    _empty(db)
    command = [sys.executable, "-m", "bench.bench_import", db.url, kind, str(path)]
    told = orjson.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    assert told["accepted"] == lines
    floor = _copy_again(db, path.parent)
    return {
        "what": f"flask import {kind}, {path.suffix[1:]}",
        "lines": lines,
        "seconds": told["seconds"],
        "lines per second": lines / told["seconds"],
        "COPY seconds": floor,
        "ratio": floor / told["seconds"],
        "largest memory, MB": told["megabytes"],
    }


def _empty(db: Database) -> None:
    with db.begin() as conn:
        names = ", ".join(table.name for table in metadata.sorted_tables)
        conn.execute(sa.text(f"TRUNCATE {names} RESTART IDENTITY CASCADE"))
    with db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as conn:
        conn.execute(sa.text("CHECKPOINT"))


def _copy_again(db: Database, directory: Path) -> float:
    """Takes out what the import stored, and puts it back by COPY: the seconds of the second part."""
    with db.begin() as conn:
        for table in MADE:
            with (
                open(directory / f"{table}.copy", "wb") as file,
                driver(conn).cursor().copy(f"COPY {table} TO STDOUT") as out,
            ):
                for data in out:
                    file.write(data)
    _empty(db)
    began = time.perf_counter()
    for table in MADE:
        with db.begin() as conn, open(directory / f"{table}.copy", "rb") as file:
            with driver(conn).cursor().copy(f"COPY {table} FROM STDIN") as copying:
                while data := file.read(1 << 20):
                    copying.write(data)
    return time.perf_counter() - began


def _import(url: str, kind: str, path: Path) -> None:
    """What the process of its own does."""
    report = imports.run(Database(url), kind, path=path, now=datetime.now(UTC), progress=lambda done, total: None)
    status = Path("/proc/self/status").read_text()
    most = int(status.split("VmHWM:")[1].split()[0]) // 1024
    print(orjson.dumps({"accepted": report.accepted, "seconds": report.seconds, "megabytes": most}).decode())


if __name__ == "__main__":
    _import(sys.argv[1], sys.argv[2], Path(sys.argv[3]))
