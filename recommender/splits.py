"""What is set aside to try a model on, and what it may be fitted on. Pure."""

from dataclasses import dataclass, replace
from enum import Enum

import numpy as np

from recommender.algorithms import base
from recommender.algorithms.base import DAY, Asks, Flags, Interactions, Ints, Kind
from recommender.model import RECENT


@dataclass(frozen=True, slots=True)
class Trial:
    """What a model may be fitted on, the requests it is then asked, and the products each customer went on to.

    Those of request r begin at `truth_starts[r]`, each once and in order. `channels` is where the order foretold came
    from, -1 if nobody says; `hot` whether the customer did anything in what is known; `customers` whose request it is.
    """

    known: Interactions
    asks: Asks
    truth_starts: Ints
    truths: Ints
    channels: Ints
    hot: Flags
    customers: Ints
    split: str
    way: "Way"

    @property
    def count(self) -> int:
        """How many requests there are."""
        return self.asks.count

    def truth_rows(self) -> Ints:
        """The request of each truth."""
        return np.repeat(np.arange(self.count), np.diff(self.truth_starts))

    def part(self, first: int, last: int) -> "Trial":
        """The requests from `first` until before `last`."""
        truths = slice(self.truth_starts[first], self.truth_starts[last])
        return replace(
            self,
            asks=self.asks.part(first, last),
            truth_starts=self.truth_starts[first : last + 1] - self.truth_starts[first],
            truths=self.truths[truths],
            channels=self.channels[first:last],
            hot=self.hot[first:last],
            customers=self.customers[first:last],
        )


class Way(Enum):
    """How a model is asked: at one moment for days ahead, before each customer's next visit, or at each click."""

    TIME = "time"
    LATEST = "latest"
    NEXT_CLICK = "next-click"


def by_time(interactions: Interactions, *, days: float, most: int | None = None, seed: int = 0) -> Trial:
    """The last days are set aside: no leak from the future."""
    last = int(interactions.times[-1]) if len(interactions.times) else 0
    return since(interactions, int(last - days * DAY) + 1, most=most, seed=seed)


def since(interactions: Interactions, cutoff: int, *, most: int | None = None, seed: int = 0) -> Trial:
    """What came at `cutoff` or later is set aside."""
    later = interactions.times >= cutoff
    orders = wanted(interactions, later)
    customers = _drawn(base.distinct(interactions.customers[orders]), most=most, seed=seed)
    moments = np.full(len(customers), cutoff)
    return _trial(interactions, ~later, orders, customers=customers, moments=moments, split="time", way=Way.TIME)


def by_mark(interactions: Interactions, marked: Flags, *, most: int | None = None, seed: int = 0) -> Trial:
    """The rows marked are set aside; the others are known."""
    orders = wanted(interactions, marked)
    customers = _drawn(base.distinct(interactions.customers[orders]), most=most, seed=seed)
    moments = _first(interactions, orders)[customers]
    return _trial(
        interactions, ~marked, orders, customers=customers, moments=moments, split="set", way=_way(interactions, marked)
    )


def by_last_basket(
    interactions: Interactions, baskets: Ints | None = None, *, most: int | None = None, seed: int = 0
) -> Trial:
    """Each customer's last order is set aside, and what she did since; of one with a single order, nothing.

    :param baskets: the number of each row's basket, counted up over time; else an order is what happened at one moment
    """
    baskets = interactions.times if baskets is None else baskets
    orders = interactions.kinds == (Kind.ORDER if (interactions.kinds == Kind.ORDER).any() else Kind.VIEW)
    last = np.full(interactions.customer_count, np.iinfo(np.int64).min)
    np.maximum.at(last, interactions.customers[orders], baskets[orders])
    truth = orders & (baskets == last[interactions.customers])
    began = _first(interactions, truth)
    known = interactions.times < began[interactions.customers]
    ordered_before = np.zeros(interactions.customer_count, bool)
    ordered_before[interactions.customers[known & orders]] = True
    truth &= ordered_before[interactions.customers]
    customers = _drawn(base.distinct(interactions.customers[truth]), most=most, seed=seed)
    kept = known | ~ordered_before[interactions.customers]
    return _trial(
        interactions, kept, truth, customers=customers, moments=began[customers], split="last-basket", way=Way.LATEST
    )


def by_latest(interactions: Interactions, number: int, *, most: int | None = None, seed: int = 0) -> Trial:
    """Each customer's latest visits with an order are foretold, so many of them, each from all that was before it.

    What is known is what came before the earliest of these; a visit before which nothing is known is not asked about.
    """
    orders = wanted(interactions)
    visits = interactions.visits()
    rows = np.flatnonzero(orders)
    rows = rows[np.argsort(visits[rows], kind="stable")]
    first = base.firsts(visits[rows])
    owners = interactions.customers[rows[first]]
    back = np.searchsorted(owners, owners, side="right") - 1 - np.arange(len(owners))
    began = _first(interactions, np.ones(len(interactions.times), bool))
    moments = interactions.times[rows[first]]
    chosen = np.flatnonzero((back < number) & (moments > began[owners]))
    earliest = np.full(interactions.customer_count, np.iinfo(np.int64).max)
    np.minimum.at(earliest, owners[chosen], moments[chosen])
    known = interactions.times < earliest[interactions.customers]
    chosen = _drawn(chosen, most=most, seed=seed)
    return _of_visits(interactions, known, rows=rows, first=first, chosen=chosen)


def _of_visits(interactions: Interactions, known: Flags, *, rows: Ints, first: Ints, chosen: Ints) -> Trial:
    """A request for each of the chosen visits, which begin at `first` among the rows wanted."""
    moments, owners = interactions.times[rows[first[chosen]]], interactions.customers[rows[first[chosen]]]
    order = np.argsort(interactions.customers, kind="stable")
    hers = interactions.customers[order]
    begins = np.searchsorted(hers, owners)
    ranks = np.searchsorted(base.distinct(interactions.times), interactions.times)
    span = int(ranks.max(initial=0)) + 1
    keys = hers * span + ranks[order]
    ends = np.searchsorted(keys, owners * span + ranks[rows[first[chosen]]])
    places, owner = base.runs(np.append(first, len(rows)), chosen)
    width = max(interactions.product_count, 1)
    truths = base.distinct(owner * width + interactions.products[rows[places]])
    return Trial(
        known=interactions.where(known),
        asks=_histories(interactions, order, begins=begins, ends=ends, moments=moments),
        customers=owners,
        truth_starts=np.searchsorted(truths // width, np.arange(len(chosen) + 1)),
        truths=truths % width,
        channels=_channels(interactions, rows[first[chosen]]),
        hot=ends > begins,
        split="latest",
        way=Way.LATEST,
    )


def by_next_click(interactions: Interactions, marked: Flags, *, most: int | None = None, seed: int = 0) -> Trial:
    """Visits instead of customers: each click after the first of a marked visit is foretold from those before it."""
    order = np.argsort(interactions.customers, kind="stable")
    customers = interactions.customers[order]
    begins = np.searchsorted(customers, customers)
    ends = np.flatnonzero(marked[order] & (np.arange(len(order)) > begins))
    ends = ends[base.distinct(_drawn(np.arange(len(ends)), most=most, seed=seed))]
    asks = _histories(interactions, order, begins=begins[ends], ends=ends, moments=interactions.times[order[ends]])
    return Trial(
        known=interactions.where(~marked),
        asks=asks,
        truth_starts=np.arange(len(ends) + 1),
        truths=interactions.products[order[ends]],
        channels=_channels(interactions, order[ends]),
        hot=np.zeros(len(ends), bool),
        customers=interactions.customers[order[ends]],
        split="next-click",
        way=Way.NEXT_CLICK,
    )


def late_visits(interactions: Interactions, days: float) -> Flags:
    """The rows of visits that began in the last days."""
    began = _first(interactions, np.ones(len(interactions.times), bool))
    late: Flags = began[interactions.customers] > interactions.times[-1:].sum() - days * DAY
    return late


def wanted(interactions: Interactions, later: Flags | None = None) -> Flags:
    """What must be foretold is the order; where nothing is ever ordered, whatever was done.

    :param later: only of these rows
    """
    given = later if later is not None else np.ones(len(interactions.times), bool)
    orders = given & (interactions.kinds == Kind.ORDER)
    return orders if orders.any() else given


def _way(interactions: Interactions, marked: Flags) -> Way:
    """Rows marked are of everybody's last days if none of them came before a row that is not; else of each one's."""
    marks, others = interactions.times[marked], interactions.times[~marked]
    return Way.TIME if len(marks) and len(others) and marks.min() >= others.max() else Way.LATEST


def _first(interactions: Interactions, rows: Flags) -> Ints:
    """When the first of these rows happened, by customer."""
    first = np.full(interactions.customer_count, np.iinfo(np.int64).max)
    np.minimum.at(first, interactions.customers[rows], interactions.times[rows])
    return first


def _drawn(values: Ints, *, most: int | None, seed: int) -> Ints:
    """All of them, or `most` by lot, in order."""
    if most is None or len(values) <= most:
        return values
    return np.sort(np.random.default_rng(seed).choice(values, most, replace=False))


def _trial(
    interactions: Interactions, known: Flags, wanted: Flags, *, customers: Ints, moments: Ints, split: str, way: Way
) -> Trial:
    """One request for each of these customers, of whom everything wanted is the truth."""
    order = np.flatnonzero(known)
    order = order[np.argsort(interactions.customers[order], kind="stable")]
    hers = interactions.customers[order]
    begins, ends = np.searchsorted(hers, customers), np.searchsorted(hers, customers, side="right")
    asked = np.zeros(interactions.customer_count, bool)
    asked[customers] = True
    truth = np.flatnonzero(wanted & asked[interactions.customers])
    span = max(interactions.product_count, 1)
    keys, first = np.unique(interactions.customers[truth] * span + interactions.products[truth], return_index=True)
    truth_starts = np.searchsorted(keys // span, np.append(customers, interactions.customer_count))
    return Trial(
        known=interactions.where(known),
        asks=_histories(interactions, order, begins=begins, ends=ends, moments=moments),
        truth_starts=truth_starts,
        truths=keys % span,
        channels=_channels(interactions, truth[first[truth_starts[:-1]]]),
        hot=ends > begins,
        customers=customers,
        split=split,
        way=way,
    )


def _channels(interactions: Interactions, rows: Ints) -> Ints:
    return interactions.channels[rows] if len(interactions.channels) else np.full(len(rows), -1)


def _histories(interactions: Interactions, order: Ints, *, begins: Ints, ends: Ints, moments: Ints) -> Asks:
    """The latest of the rows `order[begin:end]` of each request."""
    begins = np.maximum(begins, ends - RECENT)
    counts = ends - begins
    starts = base.offsets(counts)
    rows = order[np.arange(starts[-1]) + np.repeat(begins - starts[:-1], counts)]
    return Asks.of(
        starts,
        products=interactions.products[rows],
        kinds=interactions.kinds[rows],
        ages=(np.repeat(moments, counts) - interactions.times[rows]) / DAY,
        moments=moments,
        stores=_last(interactions.stores, rows, starts),
        channels=_last(interactions.channels, rows, starts),
    )


def _last(codes: Ints, rows: Ints, starts: Ints) -> Ints | None:
    """Where each customer was last."""
    if not len(codes):
        return None
    found = np.full(len(starts) - 1, -1)
    there = np.diff(starts) > 0
    found[there] = codes[rows[starts[1:][there] - 1]]
    return found
