"""The console over a large crowd: customers found as somebody types, each letter a search, and the first page.

    python -m bench console                            100,000 customers
    RELANCE_BENCH_CUSTOMERS=1000000 python -m bench console        a million

What is typed are the beginnings of addresses, numbers and names that exist and of some that do not. Each is asked as
the page asks it: the first fifty and what is shown beside them.
"""

import os
import random
import statistics
import time
from collections.abc import Callable

from bench import crowd
from campaigns.insights import house
from foundation.database import Database
from shop import customers, finding

ASKED = 40


def run() -> list[dict[str, object]]:
    """The figures, for the size that `RELANCE_BENCH_CUSTOMERS` says."""
    number = int(os.environ.get("RELANCE_BENCH_CUSTOMERS", "100000"))
    with crowd.of(number, events_each=3) as db:
        return measured(db, number)


def measured(db: Database, number: int) -> list[dict[str, object]]:
    """Milliseconds at the median and the 95th percentile, by what is typed."""
    rng = random.Random(7)
    some = [rng.randrange(number) for _ in range(ASKED)]
    typed = {
        "one letter": ["u", "f", "l", "p", "1", "+"] * 7,
        "an address": [f"user{n}@crowd"[: rng.randint(4, 14)] for n in some],
        "a customer number": [f"user-{n}"[: rng.randint(5, 12)] for n in some],
        "a family name": [f"last{n % 7000}"[: rng.randint(3, 8)] for n in some],
        "a first name, then a family name": [f"first{n % 900} last{n % 7000}"[: rng.randint(8, 18)] for n in some],
        "nobody": [f"zz{n}" for n in some],
        "nothing: the newest": [""] * ASKED,
    }
    rows = [
        {"what": f"search, {what}", **_timed(lambda text: _search(db, text), texts)} for what, texts in typed.items()
    ]
    rows.append({"what": "figures of the first page", **_timed(lambda _: _home(db), [""] * ASKED)})
    return [{"customers": number, **row} for row in rows]


def _search(db: Database, text: str) -> None:
    with db.begin() as conn:
        page = finding.search(conn, text, limit=50)
        customers.profiles_of(conn, [one.id for one in page.customers])


def _home(db: Database) -> None:
    with db.begin() as conn:
        house.read(conn)


def _timed(ask: Callable[[str], None], texts: list[str]) -> dict[str, object]:
    ask(texts[0])
    taken = []
    for text in texts:
        began = time.perf_counter()
        ask(text)
        taken.append(1000 * (time.perf_counter() - began))
    return {"median_ms": statistics.median(taken), "p95_ms": statistics.quantiles(taken, n=20)[-1]}
