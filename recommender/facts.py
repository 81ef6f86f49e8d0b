"""What is known of each product apart from who asks: demand day by day, how it is bought again, prices. Pure."""

from dataclasses import dataclass, fields
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from recommender.algorithms import base
from recommender.algorithms.base import DAY, Arrays, Flags, Interactions, Ints, Kind

SPANS = (1, 7, 28, 90)
"""Days for which demand is counted back from the day of asking."""

PRIOR = 10.0
"""Cases that weigh as much as what is known of all products together."""

WIDTH = np.int64(1) << 32
"""A product and a day as one number: product times this plus day."""


@dataclass(frozen=True, slots=True)
class Days:
    """Demand as it was on every day, for asking about the past. `keys` are product and day, rising; `wanted` how often
    the product was wanted until the end of that day; `prices` that day's as a share of its usual price."""

    keys: Ints
    starts: Ints
    wanted: Ints
    prices: NDArray[np.float32]


NO_DAYS = Days(base.NO_INTS, base.NO_INTS, base.NO_INTS, np.zeros(0, np.float32))


@dataclass(frozen=True, slots=True)
class Facts:
    """By product, with one more at the end that stands for all the model does not know.

    `demand` is, ever and within each of `SPANS` before the end of what is known, how often a product was wanted, and
    its last price as a share of its usual one (nan where none is known): a row each. `again_next` is how often it was
    wanted on the next visit as well, `again_ever` by the same customer at all, `gap` in how many days, as a rule.
    What is wanted is an order; where nothing is ever ordered, anything done.
    """

    bounds: Ints
    demand: NDArray[np.float32]
    again_next: NDArray[np.float32]
    again_ever: NDArray[np.float32]
    gap: NDArray[np.float32]
    usual_price: NDArray[np.float32]
    categories: Ints
    brands: Ints
    orders_known: Flags
    days: Days = NO_DAYS

    @classmethod
    def fit(cls, interactions: Interactions) -> Self:
        """From everything given."""
        orders_known = bool((interactions.kinds == Kind.ORDER).any())
        rows = np.flatnonzero(interactions.kinds == Kind.ORDER) if orders_known else np.arange(len(interactions.kinds))
        times, count = interactions.times[rows], interactions.product_count
        bounds = np.array([times[0] // DAY, times[-1] // DAY + 1] if len(rows) else [0, 0])
        usual = _usual_prices(interactions, rows)
        days = _by_day(interactions, rows, usual=usual, first_day=int(bounds[0]))
        again_next, again_ever, gap = _again(interactions, rows)
        return cls(
            bounds=bounds,
            demand=_on(days, np.arange(count + 1), np.full(count + 1, bounds[1] - bounds[0])),
            again_next=again_next,
            again_ever=again_ever,
            gap=gap,
            usual_price=usual,
            categories=_closed(interactions.categories, count),
            brands=_closed(interactions.brands, count),
            orders_known=np.array([orders_known]),
            days=days,
        )

    def rows(self, products: Ints) -> Ints:
        """The place of each product in the arrays."""
        return np.minimum(products, len(self.gap) - 1)

    def wanted(self, rows: Ints, moments: Ints) -> NDArray[np.float32]:
        """What `demand` was on the day of each moment, for the product beside it."""
        first, last = self.bounds.tolist()
        day = np.minimum(moments // DAY, last) - first
        if not len(self.days.keys) or not len(day) or int(day.min()) == last - first:
            return np.asarray(self.demand[:, rows])
        return _on(self.days, rows, day)

    def arrays(self) -> Arrays:
        """All of it but the days as plain arrays."""
        return {each.name: getattr(self, each.name) for each in fields(self) if each.name != "days"}

    @classmethod
    def load(cls, arrays: Arrays) -> Self:
        """The facts whose `arrays()` these are; they know demand at the end of what was known, and not before."""
        return cls(**{each.name: arrays[each.name] for each in fields(cls) if each.name != "days"}, days=NO_DAYS)


def _on(days: Days, rows: Ints, day: Ints) -> NDArray[np.float32]:
    """Demand and price before these days."""
    found = np.zeros((len(SPANS) + 2, len(rows)), np.float32)
    found[-1] = np.nan
    if not len(days.keys):
        return found
    starts, until = days.starts[rows], []
    for back in (0, *SPANS):
        place = np.searchsorted(days.keys, rows * WIDTH + np.maximum(day - back, 0))
        until.append(np.where(place > starts, days.wanted[place - 1], 0))
        if not back:
            found[-1] = np.where(place > starts, days.prices[place - 1], np.nan)
    found[0] = until[0]
    found[1:-1] = until[0] - np.array(until[1:])
    return found


def _by_day(interactions: Interactions, rows: Ints, *, usual: NDArray[np.float32], first_day: int) -> Days:
    products, count = interactions.products[rows], interactions.product_count
    day = interactions.times[rows] // DAY - first_day
    order = np.argsort(products * WIDTH + day, kind="stable")
    keys = (products * WIDTH + day)[order]
    begins = np.flatnonzero(np.append(True, keys[1:] != keys[:-1])) if len(keys) else base.NO_INTS
    starts = np.searchsorted(keys[begins], np.arange(count + 2) * WIDTH)
    ends = np.append(begins[1:], len(keys))
    before = np.searchsorted(keys, (keys[begins] // WIDTH) * WIDTH)
    prices = np.full(len(begins), np.nan, np.float32)
    if len(interactions.prices) and len(begins):
        given = interactions.prices[rows][order]
        sums = np.add.reduceat(np.nan_to_num(given), begins)
        priced = np.add.reduceat(np.isfinite(given).astype(np.float64), begins)
        with np.errstate(invalid="ignore", divide="ignore"):
            prices = (sums / priced / usual[keys[begins] // WIDTH]).astype(np.float32)
    return Days(keys[begins], starts, ends - before, prices)


def _usual_prices(interactions: Interactions, rows: Ints) -> NDArray[np.float32]:
    """The mean price of each product, else the one its catalogue gives."""
    count = interactions.product_count
    found = np.full(count + 1, np.nan, np.float32)
    if len(interactions.product_prices):
        found[:-1] = interactions.product_prices
    if len(interactions.prices):
        given, products = interactions.prices[rows], interactions.products[rows]
        there = np.isfinite(given) & (given > 0)
        priced = np.bincount(products[there], minlength=count)
        sums = np.bincount(products[there], weights=given[there], minlength=count)
        found[:-1] = np.where(priced > 0, sums / np.maximum(priced, 1), found[:-1])
    return found


def _again(
    interactions: Interactions, rows: Ints
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """How each product is wanted again: on the next visit, by the same customer at all, and after how many days."""
    count, span = interactions.product_count, max(interactions.product_count, 1)
    rows = rows[np.argsort(interactions.customers[rows], kind="stable")]
    customers, products, times = interactions.customers[rows], interactions.products[rows], interactions.times[rows]
    begins = np.ones(len(rows), np.int64)
    begins[1:] = (customers[1:] != customers[:-1]) | (times[1:] - times[:-1] > base.VISIT * DAY)
    visits = np.cumsum(begins)
    keys = customers * span + products
    order = np.lexsort((visits, keys))
    keys, visits, times, owners = keys[order], visits[order], times[order], customers[order]
    once = np.ones(len(keys), bool)
    once[1:] = (keys[1:] != keys[:-1]) | (visits[1:] != visits[:-1])
    keys, visits, times, owners = keys[once], visits[once], times[once], owners[once]
    same = keys[1:] == keys[:-1]
    final = np.zeros(int(customers.max(initial=-1)) + 1, np.int64)
    np.maximum.at(final, owners, visits)
    had_next = visits < final[owners] if len(keys) else np.zeros(0, bool)
    held = keys % span
    next_too = np.append(same & (visits[1:] == visits[:-1] + 1), False)[: len(keys)]
    gaps = np.bincount(held[1:][same], weights=(times[1:] - times[:-1])[same] / DAY, minlength=count)
    repeats = np.bincount(held[1:][same], minlength=count)
    first = np.append(True, ~same)[: len(keys)]
    bought_again = np.append(first[:-1] & same, False)[: len(keys)]
    whole = gaps.sum() / max(repeats.sum(), 1)
    return (
        _smoothed(np.bincount(held[next_too], minlength=count), np.bincount(held[had_next], minlength=count)),
        _smoothed(np.bincount(held[bought_again], minlength=count), np.bincount(held[first], minlength=count)),
        np.append((gaps + PRIOR * whole) / (repeats + PRIOR), whole).astype(np.float32),
    )


def _smoothed(hits: Ints, cases: Ints) -> NDArray[np.float32]:
    """Shares by product and at the end of all: few cases are drawn towards what is known of all."""
    whole = hits.sum() / max(cases.sum(), 1)
    return np.append((hits + PRIOR * whole) / (cases + PRIOR), whole).astype(np.float32)


def _closed(codes: NDArray[Any], count: int) -> Ints:
    """Codes by product, -1 at the end, and throughout if there are none."""
    return np.append(codes if len(codes) else np.full(count, -1), -1).astype(np.int64)
