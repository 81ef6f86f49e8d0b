"""What the ranker looks at: one row of numbers for each product proposed to each request, all at once. Pure.

A number that cannot be known is nan. Nothing here tells which product, customer or shop it is.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recommender.algorithms import base
from recommender.algorithms.base import DAY, Asks, Floats, Ints, Kind
from recommender.facts import SPANS, Facts
from recommender.pool import Pool

Matrix = NDArray[np.float32]

VISIT_DECAYS = (0.95, 0.8, 0.5)
DAY_HALF_LIVES = (3.0, 14.0, 60.0)

PAIR = (
    "ordered", "added", "viewed", "touched",
    *(f"by_visit_{decay}" for decay in VISIT_DECAYS),
    *(f"by_day_{days:.0f}" for days in DAY_HALF_LIVES),
    "visits_since", "days_since", "steps_since", "days_since_first", "last_kind", "in_last_visit",
    "visits_with", "mean_gap", "gap_ratio", "visit_gap_ratio", "orders_since", "viewed_since_order",
)  # fmt: skip
PRODUCT = (
    "wanted_ever", *(f"wanted_{days}" for days in SPANS), "price_now", "trend", "again_next", "again_ever", "gap",
    "price", "gap_against_product",
)  # fmt: skip
REQUEST = (
    "rows", "visits", "order_visits", "visit_size", "distinct_share", "days_since_any", "days_between", "weekday",
    "hour", "last_kind_any",
)  # fmt: skip
GROUP = ("category_share", "category_days", "category_visits", "brand_share", "brand_days", "price_ratio")


def names(sources: tuple[str, ...]) -> tuple[str, ...]:
    """What each column is, for a model of these sources."""
    asked = (f"{kind}:{source}" for source in sources for kind in ("score", "share", "place"))
    return (*asked, *PAIR, *PRODUCT, *REQUEST, *GROUP, "best_place", "sources")


def matrix(asks: Asks, pool: Pool, facts: Facts) -> Matrix:
    """A row a product of the pool, a column a name of `names`."""
    products = facts.rows(pool.products)
    pair = _Pairs.of(asks, facts)
    own = _joined(pair.values, pair.keys, pool.rows * pair.span + pool.products)
    about = _products(asks, pool, facts=facts, products=products)
    gap = about[PRODUCT.index("gap")]
    about[PRODUCT.index("gap_against_product")] = own[PAIR.index("days_since")] / np.maximum(gap, 1e-3)
    requests = _requests(asks, facts)
    columns = [
        *_of_sources(pool),
        own,
        about,
        requests[:, pool.rows],
        _groups(asks, pool, facts=facts, products=products),
        pool.places.min(axis=0, initial=32767)[None, :],
        (pool.scores > 0).sum(axis=0)[None, :],
    ]
    return np.ascontiguousarray(np.concatenate([np.asarray(each, np.float32) for each in columns]).T)


def without(rows: Matrix, kept: NDArray[np.bool_]) -> Matrix:
    """The same rows as a model of only some of its sources would see them."""
    asked = 3 * len(kept)
    mine = rows[:, :asked][:, np.repeat(kept, 3)]
    summary = np.array([mine[:, 2::3].min(axis=1), (mine[:, 0::3] > 0).sum(axis=1)], np.float32).T
    return np.concatenate([mine, rows[:, asked:-2], summary], axis=1)


def _of_sources(pool: Pool) -> list[Matrix]:
    found = np.empty((3 * len(pool.scores), len(pool.rows)), np.float32)
    found[0::3], found[1::3], found[2::3] = pool.scores, pool.shares, pool.places
    return [found]


def _joined(values: Matrix, keys: Ints, wanted: Ints) -> Matrix:
    """The columns of `values` whose key is wanted; nan where there is none."""
    if not len(keys):
        return np.full((len(values), len(wanted)), np.nan, np.float32)
    places = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    found = values[:, places]
    found[:, keys[places] != wanted] = np.nan
    return found


@dataclass(frozen=True, slots=True)
class _Pairs:
    """What a customer did with each of her products; `keys` are request times `span` plus product, rising."""

    keys: Ints
    span: int
    values: Matrix

    @classmethod
    def of(cls, asks: Asks, facts: Facts) -> "_Pairs":
        span = int(max(asks.pairs.max(initial=0), len(facts.gap))) + 1
        found = np.full((len(PAIR), len(asks.pairs)), np.nan, np.float32)
        values = dict(zip(PAIR, found, strict=True))
        wanted = asks.kinds == Kind.ORDER if facts.orders_known[0] else np.ones(len(asks.kinds), bool)
        _counts(asks, values, wanted=wanted)
        _lasts(asks, values)
        _gaps(asks, values, wanted=wanted)
        return cls(asks.pair_rows * span + asks.pairs, span, found)


def _counts(asks: Asks, values: dict[str, Matrix], *, wanted: NDArray[np.bool_]) -> None:
    for name, kind in (("ordered", Kind.ORDER), ("added", Kind.ADD), ("viewed", Kind.VIEW)):
        values[name][:] = asks.counts(kind)
    values["touched"][:] = asks.sums(np.ones(len(asks.kinds)))
    for decay in VISIT_DECAYS:
        values[f"by_visit_{decay}"][:] = asks.sums(np.where(wanted, decay**asks.visits, 0))
    weights = base.WEIGHTS[asks.kinds]
    for days in DAY_HALF_LIVES:
        values[f"by_day_{days:.0f}"][:] = asks.sums(weights * np.exp2(asks.ages / -days))


def _lasts(asks: Asks, values: dict[str, Matrix]) -> None:
    """Rows are oldest first, so that the last one written stays."""
    count = len(asks.pairs)
    last, first = np.zeros(count, np.int64), np.zeros(count, np.int64)
    rows = np.arange(len(asks.place))
    last[asks.place] = rows
    first[asks.place[::-1]] = rows[::-1]
    values["visits_since"][:] = asks.visits[last]
    values["days_since"][:] = asks.ages[last]
    values["steps_since"][:] = asks.steps()[last]
    values["days_since_first"][:] = asks.ages[first]
    values["last_kind"][:] = asks.kinds[last]
    values["in_last_visit"][:] = asks.sums((asks.visits == 0).astype(np.float64))


def _gaps(asks: Asks, values: dict[str, Matrix], *, wanted: NDArray[np.bool_]) -> None:
    """How often she came for a product, how many days apart, and how long it has been against that."""
    count, rows = len(asks.pairs), np.flatnonzero(wanted)
    place, visits, ages = asks.place[rows], asks.visits[rows], asks.ages[rows]
    order = np.argsort(place, kind="stable")
    place, visits, ages = place[order], visits[order], ages[order]
    new = np.ones(len(place), bool)
    new[1:] = (place[1:] != place[:-1]) | (visits[1:] != visits[:-1])
    times = np.bincount(place[new], minlength=count)
    oldest, latest = np.full(count, np.nan), np.full(count, np.nan)
    oldest[place[::-1]], latest[place] = ages[::-1], ages
    first, last = np.full(count, np.nan), np.full(count, np.nan)
    first[place[::-1]], last[place] = visits[::-1], visits
    with np.errstate(invalid="ignore", divide="ignore"):
        between = np.where(times > 1, (oldest - latest) / (times - 1), np.nan)
        visits_between = np.where(times > 1, (first - last) / (times - 1), np.nan)
        values["visits_with"][:] = times
        values["mean_gap"][:] = between
        values["gap_ratio"][:] = latest / np.maximum(between, 1e-3)
        values["visit_gap_ratio"][:] = (last + 1) / np.maximum(visits_between, 1e-3)
        values["orders_since"][:] = last
    since = np.full(count, -1)
    since[asks.place[asks.kinds == Kind.ORDER]] = np.flatnonzero(asks.kinds == Kind.ORDER)
    later = (np.arange(len(asks.place)) > since[asks.place]) & (asks.kinds != Kind.ORDER)
    values["viewed_since_order"][:] = asks.sums(later.astype(np.float64))


def _products(asks: Asks, pool: Pool, *, facts: Facts, products: Ints) -> Matrix:
    wanted = facts.wanted(products, asks.moments[pool.rows])
    short, long = wanted[2], wanted[4]
    found = np.empty((len(PRODUCT), len(products)), np.float32)
    found[: len(SPANS) + 2] = wanted
    rest = (
        (short + 1) / (long * SPANS[1] / SPANS[3] + 1),
        facts.again_next[products],
        facts.again_ever[products],
        facts.gap[products],
        facts.usual_price[products],
        np.nan,
    )
    for row, values in enumerate(rest, start=len(SPANS) + 2):
        found[row] = values
    return found


def _requests(asks: Asks, facts: Facts) -> Matrix:
    """What is known of each request as a whole."""
    counts, rows = np.diff(asks.starts), asks.rows
    wanted = asks.kinds == Kind.ORDER if facts.orders_known[0] else np.ones(len(asks.kinds), bool)
    new = np.ones(len(rows), bool)
    new[1:] = (rows[1:] != rows[:-1]) | (asks.visits[1:] != asks.visits[:-1])
    visits = np.bincount(rows[new], minlength=asks.count)
    mine = np.flatnonzero(wanted)
    new_order = np.ones(len(mine), bool)
    new_order[1:] = (rows[mine][1:] != rows[mine][:-1]) | (asks.visits[mine][1:] != asks.visits[mine][:-1])
    order_visits = np.bincount(rows[mine][new_order], minlength=asks.count)
    orders = np.bincount(rows[mine], minlength=asks.count)
    filled = counts > 0
    last, first = np.full(asks.count, np.nan), np.full(asks.count, np.nan)
    last[filled], first[filled] = asks.ages[asks.starts[1:][filled] - 1], asks.ages[asks.starts[:-1][filled]]
    last_kind = np.full(asks.count, np.nan)
    last_kind[filled] = asks.kinds[asks.starts[1:][filled] - 1]
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.array(
            [
                counts,
                visits,
                order_visits,
                orders / np.maximum(order_visits, 1),
                np.diff(asks.pair_starts) / np.maximum(counts, 1),
                last,
                (first - last) / np.maximum(visits - 1, 1),
                (asks.moments // DAY + 3) % 7,
                asks.moments % DAY // (DAY // 24),
                last_kind,
            ],
            np.float32,
        )


def _groups(asks: Asks, pool: Pool, *, facts: Facts, products: Ints) -> Matrix:
    """How much she likes the category and the brand, and how the price stands to what she pays."""
    found = np.full((len(GROUP), len(products)), np.nan, np.float32)
    held = facts.rows(asks.products)
    weights = base.WEIGHTS[asks.kinds] * np.exp2(asks.ages / -90.0)
    for codes, first, names_of in ((facts.categories, 0, 3), (facts.brands, 3, 2)):
        if codes.max(initial=-1) >= 0:
            found[first : first + names_of] = _of_group(
                asks, codes[held], weights, wanted=(pool.rows, codes[products])
            )[:names_of]
    if np.isfinite(facts.usual_price).any():
        paid = facts.usual_price[held]
        there = np.isfinite(paid)
        sums = np.bincount(asks.rows[there], weights=np.log(np.maximum(paid[there], 0.01)), minlength=asks.count)
        counts = np.bincount(asks.rows[there], minlength=asks.count)
        with np.errstate(invalid="ignore", divide="ignore"):
            usual = (sums / counts)[pool.rows]
            found[5] = np.log(np.maximum(facts.usual_price[products], 0.01)) - usual
    return found


def _of_group(asks: Asks, codes: Ints, weights: Floats, *, wanted: tuple[Ints, Ints]) -> Matrix:
    """The share of her weight that a group has, and the days and visits since she last came for it."""
    span = int(max(codes.max(initial=-1), wanted[1].max(initial=-1))) + 2
    keys, place = np.unique(asks.rows * span + codes + 1, return_inverse=True)
    sums = np.bincount(place, weights=weights, minlength=len(keys))
    whole = np.bincount(asks.rows, weights=weights, minlength=asks.count)
    last = np.zeros(len(keys), np.int64)
    last[place] = np.arange(len(place))
    values = (
        np.array([sums / np.maximum(whole[keys // span], 1e-9), asks.ages[last], asks.visits[last]], np.float32)
        if len(keys)
        else np.zeros((3, 0), np.float32)
    )
    return _joined(values, keys, wanted[0] * span + wanted[1] + 1)
