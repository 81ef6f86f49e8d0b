"""Training on a made shop of 100,000 customers, 50,000 products and 3 million interactions, each part beside its floor.

Reading is held against a bare binary `COPY` of as many narrow rows from the same tables; ALS and BM25 against bare
`implicit` on the same matrix; the whole run against its five minutes and two gigabytes beyond the data. The run is in a
process of its own, whose largest memory is reported.
"""

import shutil
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from dataclasses import fields
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

import numpy as np
import orjson
import scipy.sparse as sp
import threadpoolctl
from implicit.cpu.als import AlternatingLeastSquares
from implicit.nearest_neighbours import BM25Recommender
from numpy.typing import NDArray

from bench import made_shop, web
from foundation.database import Database, driver
from recommender import interactions, training
from recommender.algorithms import als, base, bm25
from recommender.algorithms.base import Interactions

T = TypeVar("T")

ROUNDS = 3
BUDGET = 300.0
GIGABYTE = 1 << 30

BARE = (
    "COPY (SELECT customer_id::int4, 1::int4, 1::float4, occurred_at FROM events) TO STDOUT (FORMAT binary)",
    "COPY (SELECT customer_id::int4, line::int4, 1::float4, ordered_at FROM order_lines) TO STDOUT (FORMAT binary)",
)


def run() -> list[dict[str, object]]:
    """Makes the shop, then measures each part."""
    directory = Path(tempfile.mkdtemp(prefix="relance-bench-"))
    try:
        db = Database(web.database(directory, "relance_bench_training"))
        db.migrate()
        now = datetime.now(UTC)
        made_shop.load(db, made_shop.make(), until=now)
        rows = measured(db, now=now)
        db.dispose()
        return rows
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def measured(db: Database, *, now: datetime) -> list[dict[str, object]]:
    """The rows of a shop that is loaded."""
    reading, data = _reading(db, now)
    return [reading, _factors(data), _whole(db, data)]


def _reading(db: Database, now: datetime) -> tuple[dict[str, object], Interactions]:
    """Three times each, in turn; the best of each."""
    floors, ours = [], []
    for _ in range(ROUNDS):
        floors.append(_seconds(lambda: _bare(db))[0])
        took, data = _seconds(lambda: interactions.load(db, now=now))
        ours.append(took)
    row = {
        "what": "reading",
        "interactions": len(data.times),
        "seconds": min(ours),
        "rows per second": len(data.times) / min(ours),
        "bare COPY seconds": min(floors),
        "ratio": min(floors) / min(ours),
        "gate": 0.5,
    }
    return row, data


def _bare(db: Database) -> None:
    """As many rows as the driver can bring, as narrow as a matrix needs them, viewed and nothing else."""
    for query in BARE:
        received = bytearray()
        with db.begin() as conn, driver(conn).cursor() as cursor, cursor.copy(query) as copy:
            for row in copy:
                received += row
        np.frombuffer(received, np.uint8)


def _factors(data: Interactions) -> dict[str, object]:
    """ALS and BM25 as a training run fits them, against `implicit` given its matrices ready made; the best of each."""
    ready_als = _of_als(data, als.Als.fit(data, seed=1).products)
    ready_bm25 = _matrix(data, base.WEIGHTS[data.kinds], data.products, data.product_count)
    ours, bare = [], []
    with threadpoolctl.threadpool_limits(1, "blas"):
        for _ in range(ROUNDS):
            ours.append(_seconds(lambda: (als.Als.fit(data, seed=1), bm25.Bm25.fit(data, seed=1)))[0])
            bare.append(_seconds(lambda: (_bare_als(ready_als), _bare_bm25(ready_bm25)))[0])
    return {
        "what": "ALS and BM25",
        "seconds": min(ours),
        "bare implicit seconds": min(bare),
        "ratio": min(ours) / min(bare),
        "gate": 1.2,
    }


def _bare_als(matrix: sp.csr_matrix) -> None:
    AlternatingLeastSquares(
        factors=als.FACTORS, regularization=als.REGULARIZATION, iterations=als.ROUNDS, random_state=1, num_threads=0
    ).fit(matrix, show_progress=False)


def _bare_bm25(matrix: sp.csr_matrix) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the format it makes itself
        BM25Recommender(K=bm25.NEAREST).fit(matrix, show_progress=False)


def _of_als(data: Interactions, products: NDArray[np.int64]) -> sp.csr_matrix:
    """The matrix of the products that get factors."""
    kept = np.isin(data.products, products)
    columns = np.searchsorted(products, data.products[kept])
    matrix = _matrix(data.where(kept), data.weights()[kept], columns, len(products))
    matrix.data += 1
    return matrix


def _matrix(data: Interactions, weights: NDArray[np.float64], columns: NDArray[np.int64], count: int) -> sp.csr_matrix:
    shape = (data.customer_count, count)
    return sp.csr_matrix((weights, (data.customers, columns)), shape=shape, dtype=np.float32)


def _whole(db: Database, data: Interactions) -> dict[str, object]:
    """One run from the database to a published model."""
    command = [sys.executable, "-m", "bench.bench_training", db.url]
    told = orjson.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    held = sum(value.nbytes for name in fields(data) if isinstance(value := getattr(data, name.name), np.ndarray))
    return {
        "what": "a whole run",
        "outcome": told["state"],
        "level": told["level"],
        "seconds": told["seconds"],
        "gate seconds": 300,
        "largest memory, GiB": told["memory"] / GIGABYTE,
        "data, GiB": held / GIGABYTE,
        "beyond the data, GiB": (told["memory"] - held) / GIGABYTE,
        "gate GiB": 2,
    }


def _seconds(work: Callable[[], T]) -> tuple[float, T]:
    began = time.perf_counter()
    found = work()
    return time.perf_counter() - began, found


def _train(url: str) -> None:
    """What the process of its own does."""
    done = training.run(Database(url), now=datetime.now(UTC), budget=BUDGET)
    status = Path("/proc/self/status").read_text()
    most = int(status.split("VmHWM:")[1].split()[0]) * 1024
    level = done.verdicts[-1].level
    print(orjson.dumps({"state": done.state, "level": level, "seconds": done.seconds, "memory": most}).decode())


if __name__ == "__main__":
    _train(sys.argv[1])
