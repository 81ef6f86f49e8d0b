"""Choosing a slate from ranked candidates, beside sorting them alone; writing slates, and meeting their clicks."""

import shutil
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import sqlalchemy as sa

from bench import web
from foundation.database import Database, new_id
from recommender import results, rules, shown, slate
from recommender.goods import Goods
from recommender.placements import DEFAULTS
from recommender.rules import NO_EFFECT, Effect
from recommender.shown import Shown
from recommender.slate import Choices

PRODUCTS, CANDIDATES, TIMES = 50_000, 200, 4_000
SLATES, CLICKS = 100_000, 10_000
RULES = (
    {"name": "a", "action": "boost", "strength": 2, "categories": ["c1", "c2"]},
    {"name": "b", "action": "exclude", "brands": ["b1"]},
    {"name": "c", "action": "cap_brand", "most": 2},
    {"name": "d", "action": "pin", "position": 1, "products": ["p7"]},
)


def run() -> list[dict[str, object]]:
    """Microseconds of processor time a slate, by placement, with and without rules; then seconds in the database."""
    random = np.random.default_rng(1)
    goods, given = _goods(random), [_choices(random) for _ in range(200)]
    now = datetime.now(UTC)
    ruled = rules.effect([rules.parse(one) for one in RULES], goods, placement="home", channel="web", now=now)
    floor = _micros(lambda turn: np.lexsort((-given[turn % 200].first_ages, given[turn % 200].shown)))
    rows: list[dict[str, object]] = [{"what": "sorting the candidates alone", "microseconds": floor}]
    for name in ("product", "home", "email"):
        for what, effect in (("no rules", NO_EFFECT), ("four rules", ruled)):
            took = _micros(_chooser(name, goods, given, effect))
            rows.append({"what": f"{name}, {what}", "microseconds": took, "ratio": took / floor})
    return rows + _kept(now)


def _goods(random: np.random.Generator) -> Goods:
    return Goods(
        product_ids=tuple(f"p{number}" for number in range(PRODUCTS)),
        for_sale=random.random(PRODUCTS) < 0.9,
        categories=random.integers(0, 300, PRODUCTS),
        category_names=tuple(f"c{number}" for number in range(300)),
        brands=random.integers(0, 500, PRODUCTS),
        brand_names=tuple(f"b{number}" for number in range(500)),
        prices=random.integers(100, 9_000, PRODUCTS),
        margins=np.full(PRODUCTS, np.nan),
        created=np.where(random.random(PRODUCTS) < 0.02, 10**15, 0),
    )


def _choices(random: np.random.Generator) -> Choices:
    last = np.where(random.random(CANDIDATES) < 0.3, random.random(CANDIDATES) * 60, np.inf)
    known = np.isfinite(last)
    first = np.where(known, np.where(known, last, 0.0) + 20 * random.random(CANDIDATES), 0.0)
    products = random.choice(PRODUCTS, CANDIDATES, replace=False)
    return Choices(products, last, first, known.astype(np.int64), np.zeros(CANDIDATES, bool))


def _chooser(name: str, goods: Goods, given: list[Choices], effect: Effect) -> Callable[[int], object]:
    placement, fresh = replace(DEFAULTS[name], n=12), goods.fresh(10**15)
    return lambda turn: slate.choose(
        given[turn % len(given)],
        goods,
        placement=placement,
        n=12,
        seed=turn * 7_919 * 10**9,
        there=goods.for_sale,
        replenished=goods.for_sale,
        effect=effect,
        without=frozenset((1, 2, 3)),
        fresh=fresh,
    )


def _micros(work: Callable[[int], object]) -> float:
    """Processor time of one, the least of three rounds."""
    rounds = []
    for _ in range(3):
        began = time.process_time()
        for turn in range(TIMES):
            work(turn)
        rounds.append((time.process_time() - began) / TIMES * 1e6)
    return min(rounds)


def _kept(now: datetime) -> list[dict[str, object]]:
    directory = Path(tempfile.mkdtemp(prefix="relance-bench-"))
    try:
        db = Database(web.database(directory, "relance_bench_slates"))
        db.migrate()
        items = [{"product_id": f"p{number}", "source": "als", "score": 1.0} for number in range(12)]
        made = [Shown(new_id(), now, None, "home", 1, items) for _ in range(SLATES)]
        began = time.monotonic()
        for start in range(0, SLATES, shown.MOST_WAITING):
            shown.write(db, made[start : start + shown.MOST_WAITING])
        wrote = time.monotonic() - began
        with db.begin() as conn:
            conn.execute(_CLICK, {"now": now, "clicks": CLICKS})
        began = time.monotonic()
        results.meet(db, now=now)
        met = time.monotonic() - began
        began = time.monotonic()
        results.meet(db, now=now)
        again = time.monotonic() - began
        db.dispose()
    finally:
        shutil.rmtree(directory, ignore_errors=True)
    return [
        {"what": f"writing {SLATES:,} slates of 12", "slates_per_s": SLATES / wrote},
        {"what": f"{CLICKS:,} clicks meet them", "seconds": met},
        {"what": "nothing new", "seconds": again},
    ]


_CLICK = sa.text("""
INSERT INTO events (key, name, occurred_at, received_at, source_id, channel, product_id, properties, context)
SELECT gen_random_uuid(), 'Product Clicked', :now, :now, 1, 'web', 'p1', jsonb_build_object('slate_id', id), '{}'
FROM slates LIMIT :clicks
""")
