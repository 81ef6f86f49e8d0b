"""What the merchant decided about products: rules as typed values, and what they come to for one placement. Pure.

A rule that excludes is the merchant's word: what it names counts as not for sale there, and a slate may end up empty
because of it. Everything else only orders: caps, boosts and burials give way rather than leave a place empty.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

import numpy as np

from foundation.errors import Fault, Invalid
from recommender import placements
from recommender.algorithms.base import Flags, Floats, Ints
from recommender.goods import Goods
from shop import money
from shop.vocabulary import CHANNELS

SHOWN_ON = (*CHANNELS, "email", "push", "sms", "onsite")
"""Where a slate may be shown."""

MOST_NAMED = 1_000
LONGEST = 100


class Action(StrEnum):
    """What a rule does with the products it names."""

    PIN = "pin"  # shows them from a position on, in their order
    BOOST = "boost"  # lifts them
    BURY = "bury"  # lowers them
    EXCLUDE = "exclude"  # never shows them
    CAP_BRAND = "cap_brand"  # at most so many of a brand
    CAP_CATEGORY = "cap_category"  # at most so many of a category
    PRICE_BAND = "price_band"  # shows none outside these prices
    MARGIN_FLOOR = "margin_floor"  # shows none that earns less; an unknown margin passes
    AGAIN = "again"  # whether they are shown to one who just bought them, whatever was learned


@dataclass(frozen=True, slots=True)
class Rule:
    """One decision. Empty `placements`, `channels`, `categories`, `brands` or `products` mean any.

    Prices are in minor units. `strength` multiplies how well a product stands: above 1 for a boost, from 0 (last) to
    below 1 for a burial. `position` counts from 1. `margin` is a share of the price.
    """

    name: str
    action: Action
    enabled: bool = True
    placements: tuple[str, ...] = ()
    channels: tuple[str, ...] = ()
    starts_at: datetime | None = None
    ends_at: datetime | None = None
    categories: tuple[str, ...] = ()
    brands: tuple[str, ...] = ()
    products: tuple[str, ...] = ()
    price_from: int | None = None
    price_to: int | None = None
    strength: float | None = None
    position: int | None = None
    most: int | None = None
    margin: float | None = None
    again: bool | None = None

    def holds(self, placement: str, channel: str, now: datetime) -> bool:
        """Whether it is in force there and then."""
        return (
            self.enabled
            and (not self.placements or placement in self.placements)
            and (not self.channels or channel in self.channels)
            and (self.starts_at is None or self.starts_at <= now)
            and (self.ends_at is None or now < self.ends_at)
        )


@dataclass(frozen=True, slots=True)
class Cap:
    """At most so many products of one group; `groups` holds the group of each product, -1 where it does not count."""

    most: int
    groups: Ints


@dataclass(frozen=True, slots=True)
class Effect:
    """All rules of one placement and channel at a moment, as arrays by product number; None where no rule speaks.

    `pins` are positions from 0 with their product. `again` is 1 where a product may be shown to one who just bought
    it, -1 where it may not, 0 where what was learned counts. After `until` the rules must be looked at anew.
    """

    barred: Flags | None = None
    factors: Floats | None = None
    pins: tuple[tuple[int, int], ...] = ()
    caps: tuple[Cap, ...] = ()
    again: Ints | None = None
    until: datetime | None = None


NO_EFFECT = Effect()


def effect(rules: Sequence[Rule], goods: Goods, *, placement: str, channel: str, now: datetime) -> Effect:
    """What the rules come to. Made once and kept until `until`; of two rules about a product, factors multiply, and the
    first in order decides who is pinned at a position and whether it is shown again."""
    active = [rule for rule in rules if rule.holds(placement, channel, now)]
    borders = [at for rule in rules for at in (rule.starts_at, rule.ends_at) if rule.enabled and at and at > now]
    until = min(borders, default=None)
    if not active:
        return Effect(until=until)
    made = _Making(goods)
    for rule in active:
        made.add(rule)
    return Effect(made.barred, made.factors, tuple(sorted(made.pins.items())), tuple(made.caps), made.again, until)


@dataclass(slots=True)
class _Making:
    """An effect while rules are added to it."""

    goods: Goods
    barred: Flags | None = None
    factors: Floats | None = None
    again: Ints | None = None
    pins: dict[int, int] = field(default_factory=dict)
    caps: list[Cap] = field(default_factory=list)

    def add(self, rule: Rule) -> None:
        """The first rule decides where two cannot both."""
        if rule.action in (Action.BOOST, Action.BURY):
            self.factors = np.ones(len(self.goods)) if self.factors is None else self.factors
            self.factors[matching(rule, self.goods)] *= rule.strength or 0.0
        elif rule.action is Action.PIN:
            found = {self.goods.product_ids[n]: n for n in np.flatnonzero(matching(rule, self.goods)).tolist()}
            there = [found[product_id] for product_id in rule.products if product_id in found]
            for place, number in enumerate(there, start=(rule.position or 1) - 1):
                self.pins.setdefault(place, number)
        elif rule.action in (Action.CAP_BRAND, Action.CAP_CATEGORY):
            groups = self.goods.brands if rule.action is Action.CAP_BRAND else self.goods.categories
            self.caps.append(Cap(rule.most or 1, np.where(matching(rule, self.goods), groups, -1)))
        elif rule.action is Action.AGAIN:
            self.again = np.zeros(len(self.goods), np.int64) if self.again is None else self.again
            self.again[matching(rule, self.goods) & (self.again == 0)] = 1 if rule.again else -1
        else:
            out = _out(rule, self.goods)
            self.barred = out if self.barred is None else self.barred | out


def matching(rule: Rule, goods: Goods) -> Flags:
    """The products a rule is about."""
    found = _named(rule, goods)
    if rule.action is not Action.PRICE_BAND:
        found &= _priced(rule, goods)
    return found


def _named(rule: Rule, goods: Goods) -> Flags:
    found = np.ones(len(goods), bool)
    if rule.categories:
        found &= np.logical_or.reduce([goods.within(category) for category in rule.categories])
    if rule.brands:
        found &= np.logical_or.reduce([goods.branded(brand) for brand in rule.brands])
    if rule.products:
        wanted = set(rule.products)
        found &= np.fromiter((one in wanted for one in goods.product_ids), bool, len(goods))
    return found


def _priced(rule: Rule, goods: Goods) -> Flags:
    """Whether a price is within the rule's; a product without price only where the rule names none."""
    if rule.price_from is None and rule.price_to is None:
        return np.ones(len(goods), bool)
    low = 0 if rule.price_from is None else rule.price_from
    high = money.LARGEST if rule.price_to is None else rule.price_to
    return (goods.prices >= low) & (goods.prices <= high)


def _out(rule: Rule, goods: Goods) -> Flags:
    if rule.action is Action.PRICE_BAND:
        return _named(rule, goods) & ~_priced(rule, goods)
    found = matching(rule, goods)
    if rule.action is Action.MARGIN_FLOOR:
        found &= goods.margins < (rule.margin or 0.0)  # an unknown margin is below nothing
    return found


# ------------------------------------------------------------------------------------------------- as data
WANTED: Mapping[Action, tuple[str, ...]] = {
    Action.PIN: ("position", "products"),
    Action.BOOST: ("strength",),
    Action.BURY: ("strength",),
    Action.EXCLUDE: (),
    Action.CAP_BRAND: ("most",),
    Action.CAP_CATEGORY: ("most",),
    Action.PRICE_BAND: (),
    Action.MARGIN_FLOOR: ("margin",),
    Action.AGAIN: ("again",),
}
"""What a rule needs beside its conditions."""

_ALL_WANTED = ("position", "strength", "most", "margin", "again")
_LISTS: Mapping[str, tuple[str, ...] | None] = {
    "placements": tuple(placements.DEFAULTS),
    "channels": SHOWN_ON,
    "categories": None,
    "brands": None,
    "products": None,
}
_KEYS = frozenset(Rule.__dataclass_fields__)


def parse(value: object) -> Rule:
    """Reads a rule as it stands in a form, a file or the database; raises `Invalid` with a fault at each place.

    Prices are amounts in the shop's currency such as 19.99; times are ISO 8601 with their offset.
    """
    if not isinstance(value, Mapping):
        raise Invalid(Fault("", "must be an object"))
    reading = _Reading(value, [Fault(f"/{key}", "is not known") for key in value if key not in _KEYS])
    action = reading.action()
    read: dict[str, Any] = {key: reading.texts(key, allowed) for key, allowed in _LISTS.items()}
    read |= {key: reading.moment(key) for key in ("starts_at", "ends_at")}
    read |= {key: reading.price(key) for key in ("price_from", "price_to")}
    read |= reading.wanted(action)
    rule = Rule(reading.name(), action, reading.flag("enabled", default=True), **read)
    reading.faults.extend(_at_odds(rule))
    if reading.faults:
        raise Invalid(*reading.faults)
    return rule


def dump(rule: Rule) -> dict[str, Any]:
    """The rule as JSON; `parse(dump(rule)) == rule`."""
    found: dict[str, Any] = {"name": rule.name, "action": str(rule.action), "enabled": rule.enabled}
    found |= {key: list(getattr(rule, key)) for key in _LISTS if getattr(rule, key)}
    found |= {key: at.isoformat() for key in ("starts_at", "ends_at") if (at := getattr(rule, key))}
    for key in ("price_from", "price_to"):
        if (amount := getattr(rule, key)) is not None:
            found[key] = float(money.decimal(amount, None))
    return found | {key: given for key in _ALL_WANTED if (given := getattr(rule, key)) is not None}


def _at_odds(rule: Rule) -> list[Fault]:
    """What cannot stand together."""
    faults = []
    if rule.starts_at and rule.ends_at and rule.ends_at <= rule.starts_at:
        faults.append(Fault("/ends_at", "must be after the start"))
    if rule.price_from is not None and rule.price_to is not None and rule.price_to < rule.price_from:
        faults.append(Fault("/price_to", "must not be below the lowest price"))
    if rule.action is Action.PRICE_BAND and rule.price_from is None and rule.price_to is None:
        faults.append(Fault("/price_from", "or a highest price is needed"))
    return faults


@dataclass(frozen=True, slots=True)
class _Reading:
    """A rule being read, with the faults found so far."""

    given: Mapping[str, Any]
    faults: list[Fault]

    def fault(self, key: str, detail: str) -> None:
        self.faults.append(Fault(f"/{key}", detail))

    def name(self) -> str:
        name = self.given.get("name")
        if not isinstance(name, str) or not 0 < len(name.strip()) <= LONGEST or not name.isprintable():
            self.fault("name", f"must be a text of at most {LONGEST} characters")
            return ""
        return name.strip()

    def action(self) -> Action:
        given = self.given.get("action")
        if given not in list(Action):
            self.fault("action", f"must be one of: {', '.join(Action)}")
            return Action.EXCLUDE
        return Action(given)

    def flag(self, key: str, *, default: bool) -> bool:
        given = self.given.get(key, default)
        if not isinstance(given, bool):
            self.fault(key, "must be true or false")
            return default
        return given

    def texts(self, key: str, allowed: Sequence[str] | None) -> tuple[str, ...]:
        given = self.given.get(key) or []
        if not isinstance(given, list) or len(given) > MOST_NAMED or not all(_is_word(one) for one in given):
            self.fault(key, f"must be a list of at most {MOST_NAMED} texts")
            return ()
        unknown = [one for one in given if allowed is not None and one not in allowed]
        if unknown and allowed is not None:
            self.fault(key, f"must be one of: {', '.join(allowed)}")
        return tuple(dict.fromkeys(given))

    def moment(self, key: str) -> datetime | None:
        given = self.given.get(key)
        if given in (None, ""):
            return None
        try:
            at = datetime.fromisoformat(given)
        except (TypeError, ValueError):
            at = None
        if at is None or at.tzinfo is None:
            self.fault(key, "must be an ISO 8601 time")
            return None
        return at

    def price(self, key: str) -> int | None:
        given = self.given.get(key)
        if given in (None, ""):
            return None
        try:
            amount = money.minor(given, None)
        except ValueError:
            amount = -1
        if amount < 0:
            self.fault(key, "must be an amount such as 19.99")
            return None
        return amount

    def wanted(self, action: Action) -> dict[str, Any]:
        """What this action needs; what it does not need must not be given."""
        for key in _ALL_WANTED:
            if key not in WANTED[action] and self.given.get(key) not in (None, ""):
                self.fault(key, f"means nothing for {action}")
        if "products" in WANTED[action] and not self.given.get("products"):
            self.fault("products", "must name a product")
        return {key: self._value(key, action) for key in WANTED[action] if key != "products"}

    def _value(self, key: str, action: Action) -> object:
        if key == "again":
            return self.flag(key, default=True)
        check, said = _strength(action) if key == "strength" else _VALUES[key]
        given = self.given.get(key)
        if isinstance(given, bool) or not isinstance(given, int | float) or not check(given):
            self.fault(key, said)
            return None
        return given if key in ("position", "most") else float(given)


_VALUES: Mapping[str, tuple[Callable[[float], bool], str]] = {
    "position": (
        lambda given: isinstance(given, int) and 1 <= given <= placements.MOST,
        "must be a whole number from 1 to 100",
    ),
    "most": (
        lambda given: isinstance(given, int) and 1 <= given <= placements.MOST,
        "must be a whole number from 1 to 100",
    ),
    "margin": (lambda given: math.isfinite(given) and 0 <= given < 1, "must be a number from 0 to below 1"),
}


def _strength(action: Action) -> tuple[Callable[[float], bool], str]:
    if action is Action.BOOST:
        return lambda given: 1 < given <= 100, "must be a number above 1, at most 100"
    return lambda given: 0 <= given < 1, "must be a number from 0 to below 1"


def _is_word(one: object) -> bool:
    return isinstance(one, str) and 0 < len(one) <= 500 and "\0" not in one
