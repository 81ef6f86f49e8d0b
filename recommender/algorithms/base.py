"""What every algorithm promises, and the values it works on. Pure.

Inside, customers and products are numbers from 0; only `model.py` knows the shop's own ids. Three kinds of interaction
count. Requests come many at once, as flat arrays with the place where each request starts: one request is a batch of
one, so that a web page, a campaign and a trial go the same way.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from typing import Any, ClassVar, Protocol, Self

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Arrays = Mapping[str, NDArray[Any]]

DAY = 86_400_000_000
"""A day, in the microseconds in which times are counted since 1970."""

HALF_LIFE = 30.0
"""Days after which an interaction counts half."""

VISIT = 1 / 48
"""Days of silence after which what a customer does next is another visit."""

UNCATEGORISED = -1

NO_INTS = np.zeros(0, np.int64)
NO_FLOATS = np.zeros(0)


class Kind(IntEnum):
    """What a customer did with a product; the stronger the greater."""

    VIEW = 0
    ADD = 1
    ORDER = 2


WEIGHTS = np.array([1.0, 3.0, 5.0])
"""How much a `Kind` counts."""


class Warmth(StrEnum):
    """How well a model knows a customer."""

    HOT = "hot"  # it was fitted on her
    WARM = "warm"  # she has a history, but was not in the fit
    COLD = "cold"  # she has none


@dataclass(frozen=True, slots=True)
class Interactions:
    """What all customers did: one row an interaction, as parallel arrays, oldest first.

    What a shop does not tell is an empty array: `prices` (of one piece, in the currency's units), `stores` and
    `channels` (codes, -1 unknown) by row; `brands` and `product_prices` by product.
    """

    customers: Ints
    products: Ints
    kinds: Ints
    times: Ints
    customer_count: int
    product_ids: tuple[str, ...]
    categories: Ints
    category_names: tuple[str, ...] = ()
    brands: Ints = field(default_factory=lambda: NO_INTS)
    product_prices: Floats = field(default_factory=lambda: NO_FLOATS)
    prices: Floats = field(default_factory=lambda: NO_FLOATS)
    stores: Ints = field(default_factory=lambda: NO_INTS)
    channels: Ints = field(default_factory=lambda: NO_INTS)
    store_names: tuple[str, ...] = ()
    channel_names: tuple[str, ...] = ()

    @property
    def product_count(self) -> int:
        """How many products there are, those nobody touched included."""
        return len(self.product_ids)

    def where(self, rows: Flags) -> "Interactions":
        """Only some of the rows; customers and products keep their numbers."""
        return Interactions(
            customers=self.customers[rows],
            products=self.products[rows],
            kinds=self.kinds[rows],
            times=self.times[rows],
            customer_count=self.customer_count,
            product_ids=self.product_ids,
            categories=self.categories,
            category_names=self.category_names,
            brands=self.brands,
            product_prices=self.product_prices,
            prices=_some(self.prices, rows),
            stores=_some(self.stores, rows),
            channels=_some(self.channels, rows),
            store_names=self.store_names,
            channel_names=self.channel_names,
        )

    def weights(self) -> Floats:
        """What each row counts, seen from the moment of the last one."""
        if not len(self.times):
            return np.zeros(0)
        return decayed(self.kinds, ages=(self.times[-1] - self.times) / DAY)

    def visits(self) -> Ints:
        """A number for each row's visit: what one customer did without half an hour of silence. No order in them."""
        order = np.argsort(self.customers, kind="stable")
        customers, times = self.customers[order], self.times[order]
        begins = np.ones(len(order), np.int64)
        begins[1:] = (customers[1:] != customers[:-1]) | (times[1:] - times[:-1] > VISIT * DAY)
        visits = np.empty(len(order), np.int64)
        visits[order] = np.cumsum(begins) - 1
        return visits


def _some(values: NDArray[Any], rows: Flags) -> NDArray[Any]:
    return values[rows] if len(values) else values


# ------------------------------------------------------------------------------------------------- requests
@dataclass(frozen=True, slots=True)
class Asks:
    """Many requests. The history of request r are the rows `starts[r]:starts[r + 1]`, oldest first.

    A product the model does not know has a number past the last it knows. `ages` are days before the moment of asking;
    `visits` counts a customer's visits backwards, her latest being 0. `pairs` are each request's products once, in
    order, from `pair_starts[r]`; `place` is the pair of each row. `moments` are microseconds since 1970; `context` are
    the products looked at or in the basket; -1 is a store or channel nobody named.
    """

    starts: Ints
    products: Ints
    kinds: Ints
    ages: Floats
    rows: Ints
    visits: Ints
    pair_starts: Ints
    pairs: Ints
    pair_rows: Ints
    place: Ints
    moments: Ints
    context_starts: Ints
    context: Ints
    stores: Ints
    channels: Ints

    @classmethod
    def of(
        cls,
        starts: Ints,
        *,
        products: Ints,
        kinds: Ints,
        ages: Floats,
        moments: Ints | None = None,
        contexts: Sequence[Ints] | None = None,
        stores: Ints | None = None,
        channels: Ints | None = None,
    ) -> Self:
        """From histories laid end to end, each in any order."""
        count = len(starts) - 1
        rows = np.repeat(np.arange(count), np.diff(starts))
        if len(ages) and not _oldest_first(rows, ages):
            order = np.lexsort((-ages, rows))
            products, kinds, ages = products[order], kinds[order], ages[order]
        pair_keys, place = np.unique(rows * _span(products) + products, return_inverse=True)
        pair_rows = pair_keys // _span(products)
        contexts = contexts if contexts is not None else [NO_INTS] * count
        return cls(
            starts=starts,
            products=products,
            kinds=kinds,
            ages=ages,
            rows=rows,
            visits=_visits_back(starts, rows, ages=ages),
            pair_starts=np.searchsorted(pair_rows, np.arange(count + 1)),
            pairs=pair_keys % _span(products),
            pair_rows=pair_rows,
            place=place,
            moments=moments if moments is not None else np.zeros(count, np.int64),
            context_starts=offsets(np.array([len(each) for each in contexts], np.int64)),
            context=np.concatenate(contexts).astype(np.int64) if count else NO_INTS,
            stores=stores if stores is not None else np.full(count, -1),
            channels=channels if channels is not None else np.full(count, -1),
        )

    @property
    def count(self) -> int:
        """How many requests there are."""
        return len(self.starts) - 1

    @property
    def context_rows(self) -> Ints:
        """The request of each product of a context."""
        return np.repeat(np.arange(self.count), np.diff(self.context_starts))

    def steps(self) -> Ints:
        """How many rows of the same request came after each row."""
        found: Ints = self.starts[self.rows + 1] - 1 - np.arange(len(self.rows))
        return found

    def sums(self, weights: Floats) -> Floats:
        """The weights of all rows of each pair."""
        return np.bincount(self.place, weights=weights, minlength=len(self.pairs)).astype(np.float64)

    def counts(self, kind: Kind) -> Ints:
        """How many rows of a kind each pair has."""
        return np.bincount(self.place[self.kinds == kind], minlength=len(self.pairs))

    def strongest(self) -> Ints:
        """The strongest kind of interaction of each pair."""
        return np.where(self.counts(Kind.ORDER) > 0, Kind.ORDER, np.minimum(self.counts(Kind.ADD), Kind.ADD))

    def part(self, first: int, last: int) -> "Asks":
        """The requests from `first` until before `last`."""
        rows = slice(self.starts[first], self.starts[last])
        around = slice(self.context_starts[first], self.context_starts[last])
        pairs = slice(self.pair_starts[first], self.pair_starts[last])
        return Asks(
            starts=self.starts[first : last + 1] - self.starts[first],
            products=self.products[rows],
            kinds=self.kinds[rows],
            ages=self.ages[rows],
            rows=self.rows[rows] - first,
            visits=self.visits[rows],
            pair_starts=self.pair_starts[first : last + 1] - self.pair_starts[first],
            pairs=self.pairs[pairs],
            pair_rows=self.pair_rows[pairs] - first,
            place=self.place[rows] - self.pair_starts[first],
            moments=self.moments[first:last],
            context_starts=self.context_starts[first : last + 1] - self.context_starts[first],
            context=self.context[around],
            stores=self.stores[first:last],
            channels=self.channels[first:last],
        )


def _span(products: Ints) -> int:
    return int(products.max(initial=0)) + 1


def _oldest_first(rows: Ints, ages: Floats) -> bool:
    return bool(np.all((ages[1:] <= ages[:-1]) | (rows[1:] != rows[:-1])))


def _visits_back(starts: Ints, rows: Ints, *, ages: Floats) -> Ints:
    """How many visits of the same customer came after each row's."""
    later = np.zeros(len(rows) + 1, np.int64)
    later[1:-1] = (ages[:-1] - ages[1:] > VISIT) & (rows[1:] == rows[:-1])
    until = np.cumsum(later)
    back: Ints = until[starts[rows + 1] - 1] - until[:-1] if len(rows) else NO_INTS
    return back


# ----------------------------------------------------------------------------------------------- algorithms
@dataclass(frozen=True, slots=True)
class Candidates:
    """Products an algorithm proposes, best first within each request; those of request r begin at `starts[r]`.

    Scores are the algorithm's own: never to be compared with another's. `all_keys` and `all_scores` are everything
    that was scored before the best were taken, if that was little: request times `span` plus product, rising.
    """

    starts: Ints
    products: Ints
    scores: Floats
    all_keys: Ints | None = None
    all_scores: Floats | None = None
    span: int = 1


class Algorithm(Protocol):
    """One way to find products. Its state is plain arrays, so that an artefact needs no pickle."""

    name: ClassVar[str]
    serves: ClassVar[frozenset[Warmth]]

    @classmethod
    def fit(cls, interactions: Interactions, *, seed: int) -> Self:
        """Learns from everything given; the same rows and seed give the same arrays."""
        ...

    def candidates(self, asks: Asks, *, size: int, within: Flags | None = None) -> Candidates:
        """At most `size` products a request, of those flagged `within`, with a positive score."""
        ...

    def arrays(self) -> Arrays:
        """The fitted state."""
        ...

    @classmethod
    def load(cls, arrays: Arrays) -> Self:
        """The algorithm whose `arrays()` these are; they may be read-only, and mapped from a file."""
        ...


def nothing(count: int) -> Candidates:
    """No product for any request."""
    return Candidates(np.zeros(count + 1, np.int64), NO_INTS, NO_FLOATS)


def decayed(kinds: Ints, *, ages: Floats, half_life: float = HALF_LIFE) -> Floats:
    """What interactions of these kinds and ages count."""
    return np.asarray(WEIGHTS[kinds] * np.exp2(np.maximum(ages, 0) / -half_life))


def distinct(values: Ints) -> Ints:
    """Each value once, in order. `np.unique` hashes, and on a million values takes twenty times as long."""
    ordered = np.sort(values)
    return ordered[np.append(True, ordered[1:] != ordered[:-1])] if len(ordered) else ordered


def offsets(counts: Ints) -> Ints:
    """Where each run begins, and the last ends, when runs of these lengths lie end to end."""
    found = np.zeros(len(counts) + 1, np.int64)
    np.cumsum(counts, out=found[1:])
    return found


def runs(starts: Ints, wanted: Ints) -> tuple[Ints, Ints]:
    """The places of all members of the wanted runs, laid end to end, and which of the wanted each belongs to."""
    counts = starts[wanted + 1] - starts[wanted]
    owner = np.repeat(np.arange(len(wanted)), counts)
    begins = offsets(counts)[:-1]
    return np.arange(len(owner)) + (starts[wanted] - begins)[owner], owner


def best(rows: Ints, products: Ints, scores: NDArray[Any], *, count: int, size: int) -> Candidates:
    """The `size` best of each request with a positive score; of equals, the lower number first.

    :param rows: the request of each product; `rows` and, within a request, `products` never fall
    """
    wanted = np.flatnonzero(scores > 0)
    if len(wanted) < len(rows):
        rows, products, scores = rows[wanted], products[wanted], scores[wanted]
    starts = np.searchsorted(rows, np.arange(count + 1))
    order = descending(rows, scores, starts=starts)
    if len(rows) > size:
        place = np.arange(len(rows)) - starts[rows]
        order = order[place < size]
        starts = offsets(np.minimum(np.diff(starts), size))
    return Candidates(starts, products[order], scores[order].astype(np.float64))


_BITS = np.uint64(32)
_MOST = np.uint64((1 << 32) - 1)


def descending(rows: Ints, scores: NDArray[Any], *, starts: Ints) -> Ints:
    """The order in which each request's scores fall; of equals, the first comes first. Scores count as single floats.

    One number is made of request, score and place and these are sorted: sorting numbers takes a fifth of the time of
    sorting by several keys.
    """
    longest = int(np.diff(starts).max(initial=0))
    if (len(starts) - 1) * longest >= 1 << 32:
        return np.lexsort((-scores, rows))
    bits = (scores.astype(np.float32) + np.float32(0)).view(np.uint32)
    rising = np.where(bits >> 31, ~bits, bits | np.uint32(1 << 31))
    place = (np.arange(len(rows)) - starts[rows]).astype(np.uint64)
    room = np.uint64(max(longest, 1) - 1).item().bit_length()
    head = (rows << room).astype(np.uint64) << _BITS
    keys = head | (_MOST - rising) << np.uint64(room) | place
    keys.sort()
    order: Ints = (keys & np.uint64((1 << room) - 1)).astype(np.int64) + starts[rows]
    return order


def summed(rows: Ints, products: Ints, scores: NDArray[Any], *, span: int) -> tuple[Ints, Floats]:
    """The sum of the scores of each product of each request, by rising `row * span + product`.

    A request's sums are the same to the last bit whatever other requests there are.
    """
    if not len(rows):
        return NO_INTS, NO_FLOATS
    keys, order = ordered(rows * span + products)
    begins = firsts(keys)
    return keys[begins], np.add.reduceat(scores[order].astype(np.float64), begins)


def ordered(keys: Ints) -> tuple[Ints, Ints]:
    """The keys in rising order, and where each stood; equals stay in their order. None is negative."""
    room = max(len(keys) - 1, 0).bit_length()
    if int(keys.max(initial=0)).bit_length() + room > 63:
        order = np.argsort(keys, kind="stable")
        return keys[order], order
    joint = keys << room | np.arange(len(keys))
    joint.sort()
    return joint >> room, joint & ((1 << room) - 1)


def firsts(keys: Ints) -> Ints:
    """Where each run of equal keys begins."""
    new = np.empty(len(keys), bool)
    new[:1] = True
    np.not_equal(keys[1:], keys[:-1], out=new[1:])
    return np.flatnonzero(new)


def best_sums(
    rows: Ints, products: Ints, scores: NDArray[Any], *, span: int, count: int, size: int, within: Flags | None = None
) -> Candidates:
    """The best of the sums, and all of them beside.

    :param span: greater than every product
    """
    keys, sums = summed(rows, products, scores, span=span)
    found = keys % span
    wanted = sums if within is None else np.where(flagged(within, found), sums, 0)
    chosen = best(keys // span, found, wanted, count=count, size=size)
    return Candidates(chosen.starts, chosen.products, chosen.scores, keys, sums, span)


def best_of_all(products: Ints, scores: NDArray[Any], *, size: int) -> Candidates:
    """The `size` best of each row of scores, a column a product in rising order; of equals, the lower number first."""
    count, width = scores.shape
    if size >= width:
        kept = np.broadcast_to(np.arange(width), (count, width))
    else:
        kept = np.sort(np.argpartition(-scores, size - 1, axis=1)[:, :size], axis=1)
    rows = np.repeat(np.arange(count), kept.shape[1])
    flat = kept.ravel()
    return best(rows, products[flat], scores[rows, flat], count=count, size=size)


def joined(found: Sequence[Candidates]) -> Candidates:
    """The candidates of several batches, laid end to end."""
    if len(found) == 1:
        return found[0]
    counts = [np.diff(each.starts) for each in found]  # what was scored beside is let go
    return Candidates(
        offsets(np.concatenate([NO_INTS, *counts])),
        np.concatenate([NO_INTS, *(each.products for each in found)]),
        np.concatenate([NO_FLOATS, *(each.scores for each in found)]),
    )


def flagged(flags: Flags, products: Ints) -> Flags:
    """The flag of each product; False for one the model does not know."""
    found = np.zeros(len(products), bool)
    known = products < len(flags)
    found[known] = flags[products[known]]
    return found
