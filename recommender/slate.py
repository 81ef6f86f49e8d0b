"""Ranked products in, slate out: what may be shown, what the merchant wants of it, and not too much of one thing. Pure.

One request at a time: numpy works on its few hundred candidates, a plain loop takes the first that fit.
"""

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from recommender.algorithms.base import NO_INTS, UNCATEGORISED, Flags, Floats, Ints
from recommender.goods import Goods
from recommender.placements import Mode, Placement
from recommender.rules import NO_EFFECT, Cap, Effect


@dataclass(frozen=True, slots=True)
class Product:
    """What a slate shows of a product for sale. `price` is in minor units of `currency`."""

    product_id: str
    title: str
    category: str | None
    price: int | None
    currency: str | None
    url: str | None
    image_url: str | None


@dataclass(frozen=True, slots=True)
class SlateItem:
    """One product shown, where it came from and why."""

    product_id: str
    title: str
    url: str | None
    image_url: str | None
    price: int | None
    currency: str | None
    reason: str
    source: str
    score: float
    personal: bool


class Mark(StrEnum):
    """How a product came to its place."""

    RANKED = "ranked"
    PINNED = "pinned"
    EXPLORED = "explored"


class Hindrance(IntEnum):
    """Why a candidate may not be shown."""

    NONE = 0
    NOT_FOR_SALE = 1  # gone, out of stock where asked, or of another category than asked
    RULE = 2  # the merchant does not want it here
    BOUGHT = 3  # bought too lately
    EXCLUDED = 4  # in the basket, being looked at, or left out by the caller


@dataclass(frozen=True, slots=True)
class Choices:
    """The candidates of one request as parallel arrays, best first.

    `last_ages` and `first_ages` are days since she last and first ordered each, infinite and 0 if she never did, and
    `days` the number of days on which she did. `shown`: it was on one of her latest slates of this placement, so
    others come first.
    """

    products: Ints
    last_ages: Floats
    first_ages: Floats
    days: Ints
    shown: Flags

    def at(self, rows: Ints) -> "Choices":
        """Only some of them."""
        return Choices(
            self.products[rows], self.last_ages[rows], self.first_ages[rows], self.days[rows], self.shown[rows]
        )


@dataclass(frozen=True, slots=True)
class Pick:
    """A product chosen: its number, its place among the candidates (-1 if it was none), and how it came in."""

    product: int
    row: int
    mark: Mark


WAITS = 0.25
"""Days for which what is bought regularly is not proposed again after an order. On grocery data a whole day would cost
more than it gives: what was bought today is often bought again within the week."""

_WORTH = 1 / np.log2(2 + np.arange(1_000_000))
"""What a place in the ranking is worth, whatever the scale of its score."""


DUE = 0.75
"""A thing bought regularly is due after this share of its usual gap."""

COMPETING = 60
"""So many of the best are weighed against each other for diversity."""


DRAWN_FROM = 200
"""So many new products take part in one lot."""


def seed(slate_id: UUID) -> int:
    """What decides the exploration of a slate: from its id, so it can be made again."""
    return slate_id.int >> 65


def choose(
    choices: Choices,
    goods: Goods,
    *,
    placement: Placement,
    n: int,
    seed: int,
    there: Flags,
    replenished: Flags,
    effect: Effect = NO_EFFECT,
    without: frozenset[int] = frozenset(),
    fresh: Ints = NO_INTS,
) -> list[Pick]:
    """The products to show, in order: exactly `n` while so many candidates may be shown.

    :param there: by product number, what is for sale where the slate is shown
    :param replenished: by product number, what people buy again and again
    :param without: products being looked at, in the basket, or left out by the caller
    :param fresh: new products for sale, of which some are tried
    """
    rows = np.flatnonzero(_allowed(choices, placement=placement, there=there, replenished=replenished, effect=effect))
    rows = rows[_ordered(choices.at(rows), goods, placement=placement, effect=effect)]
    pinned = _pinned(effect, n=n, there=there, without=without)
    without = without.union(pinned.values())
    count = min(_how_many(placement.explore * n, seed), n - len(pinned))
    tried: list[int] = []
    if count and len(fresh):
        untried = _untried(_some(fresh, seed), effect=effect, there=there)
        anyway = without.union(choices.products[rows[:n]].tolist())
        tried = _tried(choices, goods, pool=untried, seed=seed, count=count, without=anyway)
    products = choices.products[rows]
    taken = _taken(
        products,
        _caps(placement, effect, goods),
        wanted=n - len(pinned) - len(tried),
        without=without.union(tried),
    )
    ranked = [Pick(int(products[at]), int(rows[at]), Mark.RANKED) for at in taken]
    return _placed(ranked, pinned=pinned, tried=tried, n=n, seed=seed)


def hindrances(
    choices: Choices,
    *,
    placement: Placement,
    there: Flags,
    replenished: Flags,
    effect: Effect = NO_EFFECT,
    without: frozenset[int] = frozenset(),
) -> NDArray[np.int8]:
    """For each candidate why it may not be shown, as a `Hindrance`; the first that holds."""
    known = choices.products < len(there)
    inside = choices.at(np.flatnonzero(known))
    found = np.zeros(len(inside.products), np.int8)
    found[_waiting(inside, placement, replenished=replenished, again=effect.again)] = Hindrance.BOUGHT
    if effect.barred is not None:
        found[effect.barred[inside.products]] = Hindrance.RULE
    found[~there[inside.products]] = Hindrance.NOT_FOR_SALE
    found[np.array([number in without for number in inside.products.tolist()], bool)] = Hindrance.EXCLUDED
    every = np.full(len(choices.products), Hindrance.NOT_FOR_SALE, np.int8)
    every[known] = found
    return every


def _allowed(choices: Choices, *, placement: Placement, there: Flags, replenished: Flags, effect: Effect) -> Flags:
    """Which candidates have no hindrance, those the caller leaves out aside."""
    products = choices.products
    if products.max(initial=-1) >= len(there):
        known = products < len(there)
        allowed = np.zeros(len(products), bool)
        inside = choices.at(np.flatnonzero(known))
        allowed[known] = _allowed(inside, placement=placement, there=there, replenished=replenished, effect=effect)
        return allowed
    allowed = there[products]
    if effect.barred is not None:
        allowed &= ~effect.barred[products]
    if placement.bought_days is not None and (choices.last_ages < placement.bought_days).any():
        allowed &= ~_waiting(choices, placement, replenished=replenished, again=effect.again)
    return allowed


def _waiting(choices: Choices, placement: Placement, *, replenished: Flags, again: Ints | None) -> Flags:
    """What was bought too lately: for days, or hours if it is a thing that people, or she, buy again and again."""
    if placement.bought_days is None:
        return np.zeros(len(choices.products), bool)
    regular = replenished[choices.products] | (choices.first_ages - choices.last_ages >= 1)
    if again is not None:
        decided = again[choices.products]
        regular = np.where(decided == 0, regular, decided > 0)
    return np.asarray(choices.last_ages < np.where(regular, WAITS, placement.bought_days))


# ------------------------------------------------------------------------------------------------- the order
def _ordered(choices: Choices, goods: Goods, *, placement: Placement, effect: Effect) -> Ints:
    """The candidates' places in the order in which they are taken."""
    worth = _WORTH[: len(choices.products)]
    if effect.factors is not None:
        worth = worth * effect.factors[choices.products]
    if placement.discover != 0.5:
        again, anew = min(1.0, 2 - 2 * placement.discover), min(1.0, 2 * placement.discover)
        worth = worth * np.where(choices.last_ages < np.inf, again, anew)
    if placement.diversity:
        worth = _varied(worth, goods.categories[choices.products], diversity=placement.diversity)
    tiers = choices.shown.astype(np.int64)
    if placement.mode is Mode.DUE:
        tiers += 2 * _not_due(choices)
    return np.lexsort((-worth, tiers))


def _not_due(choices: Choices) -> Ints:
    """0 for what she buys regularly when it is time, 1 for what she bought, 2 for the others."""
    regular = choices.days >= 2
    every = (choices.first_ages - choices.last_ages) / np.maximum(choices.days - 1, 1)
    due = regular & (choices.last_ages >= DUE * every)
    return np.asarray(np.where(due, 0, np.where(choices.days > 0, 1, 2)))


def _varied(worth: Floats, categories: Ints, *, diversity: float) -> Floats:
    """What each is worth after those of its category that are worth more, each of which takes a share of it away.

    Taking at each step the best of what is left, weighed by how many of its category were taken, comes to this order:
    within a category they are taken by worth.
    """
    order = np.argsort(-worth, kind="stable")[:COMPETING]
    seen: dict[int, int] = {}
    earlier = []
    for category in categories[order].tolist():
        count = seen.get(category, 0)
        earlier.append(count)
        if category != UNCATEGORISED:
            seen[category] = count + 1
    found = worth.copy()
    found[order] = worth[order] * _powers(1 - diversity)[earlier]
    return found


@functools.cache
def _powers(share: float) -> Floats:
    return np.asarray(share ** np.arange(COMPETING))


def _caps(placement: Placement, effect: Effect, goods: Goods) -> list[Cap]:
    found = list(effect.caps)
    if placement.per_category is not None:
        found.append(Cap(placement.per_category, goods.categories))
    if placement.per_brand is not None:
        found.append(Cap(placement.per_brand, goods.brands))
    return found


def _taken(products: Ints, caps: Sequence[Cap], *, wanted: int, without: frozenset[int]) -> list[int]:
    """Places of the first that fit, each product once; if caps leave fewer than wanted, the others in their turn."""
    groups = [cap.groups[products].tolist() for cap in caps]
    counts: list[dict[int, int]] = [{} for _ in caps]
    taken: list[int] = []
    passed: list[int] = []
    for place, product in enumerate(products.tolist()):
        if len(taken) >= wanted:
            break
        if product in without:
            continue
        if not caps or _fits(caps, groups, counts, place):
            taken.append(place)
        else:
            passed.append(place)
    return taken + passed[: wanted - len(taken)]


def _fits(caps: Sequence[Cap], groups: list[list[int]], counts: list[dict[int, int]], place: int) -> bool:
    """Whether no cap is reached; if so, it is counted."""
    for cap, group, count in zip(caps, groups, counts, strict=True):
        if group[place] != UNCATEGORISED and count.get(group[place], 0) >= cap.most:
            return False
    for group, count in zip(groups, counts, strict=True):
        count[group[place]] = count.get(group[place], 0) + 1
    return True


# ------------------------------------------------------------------------------------- pins and exploration
def _pinned(effect: Effect, *, n: int, there: Flags, without: frozenset[int]) -> dict[int, int]:
    """The products the merchant put at a place, by place, if they may be shown; none twice."""
    found: dict[int, int] = {}
    for place, product in effect.pins:
        barred = effect.barred is not None and bool(effect.barred[product])
        if place < n and there[product] and not barred and product not in without and product not in found.values():
            found[place] = product
    return found


def _how_many(share: float, seed: int) -> int:
    """A whole number of places whose mean over many slates is this share."""
    if not share:
        return 0
    return int(share) + bool(_lots(np.zeros(1, np.int64), seed)[0] < share % 1)


def _some(fresh: Ints, seed: int) -> Ints:
    """As many as are weighed against each other, from a place that the seed decides on."""
    if len(fresh) <= DRAWN_FROM:
        return fresh
    return np.take(fresh, np.arange(DRAWN_FROM) + seed % len(fresh), mode="wrap")


def _untried(fresh: Ints, *, effect: Effect, there: Flags) -> Ints:
    """The new products that may be shown here."""
    allowed = there[fresh]
    return fresh[allowed if effect.barred is None else allowed & ~effect.barred[fresh]]


def _tried(choices: Choices, goods: Goods, *, pool: Ints, seed: int, count: int, without: frozenset[int]) -> list[int]:
    """New products by lot, those like what is ranked highest more often: of the same category, of the same brand."""
    liked = choices.products[:50]
    liked = liked[liked < len(goods)]
    alike = _shared(goods.categories, pool, liked, groups=len(goods.category_names))
    alike += _shared(goods.brands, pool, liked, groups=len(goods.brand_names))
    order = np.argsort(-np.log(_lots(pool + 1, seed)) / (1 + 4 * alike), kind="stable")
    drawn = [int(number) for number in pool[order[: count + len(without)]]]
    return [number for number in drawn if number not in without][:count]


def _shared(of: Ints, pool: Ints, liked: Ints, *, groups: int) -> Ints:
    """How many of the liked are of the group of each of the pool."""
    counts = np.bincount(of[liked] + 1, minlength=groups + 1)
    counts[0] = 0
    return np.asarray(counts[of[pool] + 1])


def _lots(numbers: Ints, seed: int) -> Floats:
    """A number between 0 and 1 for each, by the seed alone (splitmix64)."""
    mixed = numbers.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(seed)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed ^= mixed >> np.uint64(31)
    return np.asarray(((mixed >> np.uint64(11)).astype(np.float64) + 0.5) / 2.0**53)


def _placed(ranked: list[Pick], *, pinned: Mapping[int, int], tried: Sequence[int], n: int, seed: int) -> list[Pick]:
    """Pins at their places, what is tried in the second half, the ranked around them in their order."""
    fixed = {place: Pick(product, -1, Mark.PINNED) for place, product in pinned.items()}
    free = [place for place in range(n // 2, n) if place not in fixed] or [p for p in range(n) if p not in fixed]
    for turn, product in enumerate(tried):
        if free:
            fixed[free.pop((seed + turn) % len(free))] = Pick(product, -1, Mark.EXPLORED)
    rest = iter(ranked)
    row = [fixed.get(place) or next(rest, None) for place in range(n)]
    return [pick for pick in row if pick is not None]
