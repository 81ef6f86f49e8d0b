"""Rankings made ahead, by the code that serves, for customers who did nothing since: the dear half of an answer.

A ranking belongs to a version of its customer's profile and to a model. It counts as long as both are what they were,
and for a day at most, so whoever does anything is ranked anew at once, and losing them all costs nothing but time.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import sqlalchemy as sa
import threadpoolctl

from foundation.database import Database
from recommender import past, ranked, registry
from recommender.algorithms import base
from recommender.live import Keeper, Live
from recommender.model import Ranking
from recommender.past import Handle, Version
from recommender.ranked import Ranked

Progress = Callable[[int, int | None], None]

MANY = 512
"""Customers ranked at a time."""

N = ranked.SIZE // ranked.AHEAD
"""So many products may be asked for of what was made ahead."""

REMADE = timedelta(hours=20)
"""A ranking this old is made anew, before it stops counting."""

QUIET = timedelta(minutes=30)
"""Who did something is ranked ahead once she has left."""

_ROW = np.dtype([("product", "<i4"), ("score", "<f4"), ("source", "u1")])

_DUE = sa.text("""
SELECT profiles.customer_id FROM profiles LEFT JOIN rankings USING (customer_id)
WHERE profiles.customer_id > :after AND (
    rankings.customer_id IS NULL OR model_id <> :model OR made_at <= :old
    OR version <> CAST(CAST(profiles.xmin AS text) AS bigint) AND last_seen_at <= :quiet
)
ORDER BY profiles.customer_id LIMIT :many
""")

_KEEP = sa.text("""
INSERT INTO rankings (customer_id, model_id, version, made_at, products)
SELECT made.customer_id, :model, made.version, :now, made.products
FROM unnest(CAST(:customers AS bigint[]), CAST(:versions AS bigint[]), CAST(:products AS bytea[]))
    AS made (customer_id, version, products)
WHERE EXISTS (SELECT FROM customers WHERE id = made.customer_id FOR KEY SHARE)
ON CONFLICT (customer_id) DO UPDATE SET
    (model_id, version, made_at, products) = (excluded.model_id, excluded.version, excluded.made_at, excluded.products)
""")


def run(db: Database, *, files: Path | None, now: datetime, progress: Progress = lambda done, of: None) -> int:
    """Makes the rankings that are missing, of another model, or old; how many. Manages its own transactions, short ones
    for some hundred customers, so that it may be killed at any time and goes on where it was."""
    threadpoolctl.threadpool_limits(1, "blas")
    with db.begin() as conn:
        live = Keeper(db, files=files).current(conn, now)
    if live.model_id is None:
        return 0
    last, count = 0, 0
    while True:
        with db.begin() as conn:
            due = _due(conn, live.model_id, after=last, now=now)
            read = past.read(conn, [Handle(customer_id=number) for number in due], now=now)
        if not due:
            return count
        made = _made(live, read, now=now)
        with db.begin() as conn:
            if registry.live_id(conn) != live.model_id:
                return count
            _keep(conn, live.model_id, made, now=now)
        last, count = due[-1], count + len(made)
        progress(count, None)


@dataclass(frozen=True, slots=True)
class _Made:
    """A ranking made ahead, for this version of a customer's past."""

    version: Version
    products: bytes


def _due(conn: sa.Connection, model_id: int, *, after: int, now: datetime) -> list[int]:
    given = {"after": after, "model": model_id, "old": now - REMADE, "quiet": now - QUIET, "many": MANY}
    return list(conn.scalars(_DUE, given))


def _made(live: Live, read: past.Pasts, *, now: datetime) -> list[_Made]:
    """Of those who let what they did be used, and touched nothing the model does not know."""
    places = [place for place, who in enumerate(read.who) if who.version is not None and not who.refused]
    pasts = live.numbered(read, places)
    asks = pasts.asks([base.NO_INTS] * len(places), moment=past.micros(now))
    found = ranked.rank(live.model, asks, n=N)
    return [
        _Made(who.version, _packed(each))
        for place, each in zip(places, found, strict=True)
        if (who := read.who[place]).version is not None
        and each.choices.products.max(initial=0) < len(live.model.product_ids)
    ]


def _keep(conn: sa.Connection, model_id: int, made: Sequence[_Made], *, now: datetime) -> None:
    given = {
        "model": model_id,
        "now": now,
        "customers": [each.version[0] for each in made],
        "versions": [each.version[1] for each in made],
        "products": [each.products for each in made],
    }
    conn.execute(_KEEP, given)


def _packed(found: Ranked) -> bytes:
    rows = np.empty(len(found.scores), _ROW)
    rows["product"], rows["score"], rows["source"] = found.choices.products, found.scores, found.sources
    return rows.tobytes()


def unpacked(packed: Sequence[bytes]) -> Ranking:
    """The rankings of several customers as they were made."""
    rows = np.frombuffer(b"".join(packed), _ROW)
    starts = base.offsets(np.array([len(each) for each in packed], np.int64) // _ROW.itemsize)
    return Ranking(
        starts,
        products=rows["product"].astype(np.int64),
        scores=rows["score"].astype(np.float64),
        sources=rows["source"].astype(np.int64),
    )
