"""What is expected of a million customers made by lot, against the bare aggregation of their orders; and the fitted
distributions on CDNOW against what was published of them.

CDNOW's orders are not in this repository: `pip download` fetches the package that carries them (lifetimes, MIT).
"""

import multiprocessing
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from collections import defaultdict
from datetime import UTC, date, datetime, timedelta
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np

from bench import web
from foundation.database import Database, driver
from recommender.predictions import lifetime, nightly, spending
from recommender.predictions.lifetime import Floats, Histories

CUSTOMERS = 1_000_000
DAYS = 730
PUBLISHED = (
    "r .243, alpha 4.414, a .793, b 2.426, log likelihood -9582.4 (Fader, Hardie and Lee 2005); "
    "p 6.25, q 3.74, gamma 15.44 (Fader and Hardie 2013)"
)
CALIBRATED, PACKAGE = date(1997, 9, 30), "lifetimes==0.11.3"

_FLOOR = """
COPY (
    SELECT customer_id, count(*), count(DISTINCT ordered_at::date), min(ordered_at), max(ordered_at), sum(total)
    FROM orders WHERE state <> 'cancelled' GROUP BY customer_id
) TO STDOUT (FORMAT binary)
"""


def run() -> list[dict[str, object]]:
    """Seconds and memory of two nights, the second after a thousand new orders; then the published parameters."""
    directory = Path(tempfile.mkdtemp(prefix="relance-bench-"))
    try:
        db = Database(web.database(directory, "relance_bench_predictions"))
        db.migrate()
        now = datetime.now(UTC)
        orders = _load(db, now)
        rows = [_night(db, "first night", now, orders=orders)]
        _order_again(db, now)
        rows.append(_night(db, "the night after", now + timedelta(minutes=1), orders=orders + 1_000))
        db.dispose()
        return [*rows, _cdnow(directory)]
    finally:
        shutil.rmtree(directory, ignore_errors=True)


# ------------------------------------------------------------------------------------------ a million customers
def _load(db: Database, now: datetime) -> int:
    """A product line an order, 300 categories; a tenth of the orders in a store. Returns how many orders."""
    random = np.random.default_rng(1)
    customers, days, amounts = _orders(random)
    rows = zip(customers.tolist(), days.tolist(), amounts.astype(int).tolist(), strict=True)
    with db.begin() as conn:
        cursor = driver(conn)
        cursor.execute("CREATE TEMPORARY TABLE made (customer_id bigint, days float8, amount bigint) ON COMMIT DROP")
        with cursor.cursor() as into, into.copy("COPY made FROM STDIN") as copy:
            for row in rows:
                copy.write_row(row)
        for statement in _MADE:
            cursor.execute(statement, {"now": now, "customers": CUSTOMERS} if "%(" in statement else None)
    return len(customers)


_MADE = (
    """INSERT INTO customers (id, user_id, created_at, updated_at) OVERRIDING SYSTEM VALUE
       SELECT n, 'c' || n, now(), now() FROM generate_series(1, %(customers)s) n""",
    """INSERT INTO products (product_id, title, category, created_at, updated_at)
       SELECT 'p' || n, 'Product', 'Aisle ' || n / 10, now(), now() FROM generate_series(0, 2999) n""",
    """INSERT INTO orders (order_id, customer_id, origin_id, ordered_at, received_at, state, channel, total, currency)
       SELECT 'o' || row_number() OVER (), customer_id, customer_id, %(now)s - days * interval '1 day', now(),
           'completed', CASE WHEN random() < .1 THEN 'store' ELSE 'web' END, amount, 'EUR' FROM made""",
    """INSERT INTO order_lines (order_id, line, customer_id, ordered_at, product_id, quantity, price)
       SELECT order_id, 1, customer_id, ordered_at, 'p' || (random() * 2999)::int, 1, total FROM orders""",
    """INSERT INTO profiles (customer_id, first_seen_at, last_seen_at, orders)
       SELECT customer_id, min(ordered_at), max(ordered_at), count(*) FROM orders GROUP BY customer_id""",
)


def _orders(random: "np.random.Generator") -> tuple["np.ndarray[tuple[int], np.dtype[np.int64]]", Floats, Floats]:
    """Whose, how many days ago, for how much: customers who behave as CDNOW's did."""
    rates = random.gamma(0.25, 1 / 33.0, CUSTOMERS)
    leaving, worth = random.beta(0.79, 2.43, CUSTOMERS), random.gamma(3.0, 1000.0, CUSTOMERS)
    at = random.uniform(0, DAYS, CUSTOMERS)
    who, ages = [np.arange(CUSTOMERS)], [DAYS - at]
    here = np.arange(CUSTOMERS)
    while len(here):
        at[here] += random.exponential(1 / np.maximum(rates[here], 1e-9))
        here = here[at[here] < DAYS]
        who.append(here)
        ages.append(DAYS - at[here])
        here = here[random.random(len(here)) > leaving[here]]
    customers = np.concatenate(who)
    return customers + 1, np.concatenate(ages), np.rint(worth[customers] * random.gamma(6, 1 / 6, len(customers)))


def _order_again(db: Database, now: datetime) -> None:
    with db.begin() as conn:
        driver(conn).execute(
            """INSERT INTO orders (order_id, customer_id, origin_id, ordered_at, received_at, state, channel, total,
                   currency) SELECT 'again' || n, n * 997, n * 997, %s, now(), 'completed', 'web', 4000, 'EUR'
               FROM generate_series(1, 1000) n""",
            [now],
        )


def _night(db: Database, what: str, now: datetime, *, orders: int) -> dict[str, object]:
    """In a process of its own, so that its memory is its own."""
    began = time.monotonic()
    with db.begin() as conn, driver(conn).cursor() as cursor, cursor.copy(_FLOOR) as copy:
        for _ in copy:
            pass
    floor = time.monotonic() - began
    context = multiprocessing.get_context("spawn")
    mine, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_predict, args=(db.url, now, theirs))
    process.start()
    seconds, customers, written, megabytes, before = mine.recv()
    process.join()
    return {
        "what": what,
        "customers": customers,
        "orders": orders,
        "seconds": seconds,
        "seconds of bare aggregation": floor,
        "ratio": floor / seconds,
        "rows written": written,
        "peak MB": megabytes,
        "MB before": before,
    }


def _predict(url: str, now: datetime, out: Connection) -> None:
    db = Database(url)
    before = _megabytes()
    began = time.monotonic()
    done = nightly.run(db, zone="Europe/Paris", now=now)
    out.send((time.monotonic() - began, done.customers, done.written, _megabytes(), before))
    db.dispose()


def _megabytes() -> float:
    """The most this process ever held; what `getrusage` says would include the process it was made by."""
    (line,) = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


# ----------------------------------------------------------------------------------------------------- CDNOW
def _cdnow(directory: Path) -> dict[str, object]:
    """The tenth of CDNOW's customers that was published, their first 39 weeks, in weeks as in the papers."""
    command = [sys.executable, "-m", "pip", "download", "-qq", "--no-deps", "-d", str(directory), PACKAGE]
    subprocess.run(command, check=True)
    (wheel,) = directory.glob("*ifetimes*.whl")
    with zipfile.ZipFile(wheel) as package:
        text = package.read("lifetimes/datasets/CDNOW_sample.txt").decode()
    spent: dict[str, dict[date, float]] = defaultdict(lambda: defaultdict(float))
    for line in text.splitlines():
        if line.strip():
            _, customer, day, _, amount = line.split()
            spent[customer][datetime.strptime(day, "%Y%m%d").replace(tzinfo=UTC).date()] += float(amount)
    histories, mean = _summed([{day: v for day, v in days.items() if day <= CALIBRATED} for days in spent.values()])
    fitted = lifetime.fit(histories)
    again = (histories.repeats > 0) & (mean > 0)
    amounts = spending.fit(histories.repeats[again], mean[again])
    return {
        "what": f"CDNOW, {len(mean)} customers, {int(again.sum())} came back",
        **{name: round(getattr(fitted, name), 3) for name in ("r", "alpha", "a", "b")},
        "log likelihood": f"{lifetime.log_likelihood(fitted, histories):.1f}",
        **{name: round(getattr(amounts, name), 2) for name in ("p", "q", "gamma")},
        "published": PUBLISHED,
    }


def _summed(orders: list[dict[date, float]]) -> tuple[Histories, Floats]:
    """Histories in weeks, and what was spent on average on each day after the first."""
    rows = [
        (len(days) - 1, (max(days) - min(days)).days / 7, (CALIBRATED - min(days)).days / 7, sum(days.values()),
         days[min(days)])
        for days in orders
    ]  # fmt: skip
    repeats, recency, age, total, first = np.array(rows).T
    return Histories(repeats, recency, age), (total - first) / np.maximum(repeats, 1)
