"""Whether a code may be used on a basket, and what it takes off. Pure: everything known is handed in."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from campaigns.definitions.offers import GIFTS, Offer


class Reason(StrEnum):
    """Why a code is refused. Stable words, said to customers and cashiers in their language."""

    UNKNOWN = "unknown"
    USED = "used"
    EXPIRED = "expired"
    NOT_STARTED = "not_started"
    OTHER_CUSTOMER = "other_customer"
    ONCE = "once"
    CHANNEL = "channel"
    STORE = "store"
    CURRENCY = "currency"
    NOT_STACKABLE = "not_stackable"
    CATEGORY = "category"
    MINIMUM = "minimum"
    MARGIN = "margin"
    BUDGET = "budget"


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a basket, its price in minor units, of one piece."""

    product_id: str
    quantity: int
    price: int

    @property
    def total(self) -> int:
        return self.price * self.quantity


@dataclass(frozen=True, slots=True)
class Basket:
    """What is about to be paid, where, and the other codes that lie on it. `customer` is the shop's id of who pays."""

    currency: str
    lines: tuple[Line, ...]
    customer: str | None = None
    channel: str | None = None
    store_id: str | None = None
    codes: tuple[str, ...] = ()

    @property
    def total(self) -> int:
        return sum(line.total for line in self.lines)


@dataclass(frozen=True, slots=True)
class Goods:
    """What the catalogue says of a product; `cost` is what a piece costs the shop, in minor units."""

    category: str | None = None
    cost: float | None = None


@dataclass(frozen=True, slots=True)
class Held:
    """The code itself: whether it was used or ran out, whose it is, and whether it is everybody's."""

    used: bool
    expires_at: datetime | None
    holder: int | None
    shared: bool


@dataclass(frozen=True, slots=True)
class Around:
    """What is known around a redemption. `taken` is what other codes took off the same order already; `alone` says that
    one of them may not be used with others; `spent` is what the offer has cost so far."""

    customer_id: int | None = None
    used_another: bool = False
    others: bool = False
    alone: bool = False
    taken: int = 0
    spent: int = 0
    goods: Mapping[str, Goods] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a code may be used on a basket; `reason` says why not. `gift` is the product_id of what is given."""

    valid: bool
    reason: Reason | None
    offer: Offer | None = None
    discount: int = 0
    free_shipping: bool = False
    gift: str | None = None


def decide(offer: Offer, held: Held, basket: Basket, around: Around, *, now: datetime) -> Verdict:
    """The first refusal that applies, else the discount in minor units."""
    off = discount(offer, basket, around.goods, taken=around.taken)
    for reason, refuses in _RULES.items():
        if refuses(_Case(offer, held, basket, around, off, now)):
            return Verdict(False, reason, offer)
    return granted(offer, off)


def granted(offer: Offer, off: int) -> Verdict:
    """What the till is told once the code is, or may be, used."""
    return Verdict(True, None, offer, off, offer.kind == "free_shipping", offer.product)


@dataclass(frozen=True, slots=True)
class _Case:
    offer: Offer
    held: Held
    basket: Basket
    around: Around
    off: int
    now: datetime


_RULES: Mapping[Reason, Callable[[_Case], bool]] = {
    Reason.USED: lambda case: case.held.used,
    Reason.EXPIRED: lambda case: _over(case.held.expires_at, case.now) or _over(case.offer.ends_at, case.now),
    Reason.NOT_STARTED: lambda case: case.offer.starts_at is not None and case.now < case.offer.starts_at,
    Reason.OTHER_CUSTOMER: lambda case: (
        case.offer.holder_only and not case.held.shared and case.around.customer_id != case.held.holder
    ),
    Reason.ONCE: lambda case: case.offer.once_per_customer and case.around.used_another,
    Reason.CHANNEL: lambda case: _outside(case.basket.channel, case.offer.channels),
    Reason.STORE: lambda case: _elsewhere(case.offer, case.basket),
    Reason.CURRENCY: lambda case: case.basket.currency != case.offer.currency,
    Reason.NOT_STACKABLE: lambda case: case.around.others and (not case.offer.stackable or case.around.alone),
    Reason.CATEGORY: lambda case: (
        bool(case.offer.categories) and not _about(case.offer, case.basket, case.around.goods)
    ),
    Reason.MINIMUM: lambda case: _counted(case.offer, case.basket, case.around) < max(case.offer.minimum, 1),
    Reason.MARGIN: lambda case: _too_dear(case),
    Reason.BUDGET: lambda case: case.offer.budget is not None and case.around.spent + case.off > case.offer.budget,
}


def _over(ends: datetime | None, now: datetime) -> bool:
    return ends is not None and ends <= now


def _outside(channel: str | None, allowed: Sequence[str]) -> bool:
    return bool(allowed) and channel is not None and channel not in allowed


def _elsewhere(offer: Offer, basket: Basket) -> bool:
    """Only a basket at a till is in a store; with stores alone named, the offer holds nowhere else."""
    if not offer.stores or basket.channel is None or basket.channel != "store" and "store" in offer.channels:
        return False
    return basket.channel != "store" or basket.store_id not in offer.stores


# --------------------------------------------------------------------------------------------------- amounts
def saving(offer: Offer, basket: Basket, goods: Mapping[str, Goods]) -> int:
    """What a message may say a code takes off this basket: nothing where it is too small."""
    around = Around(goods=goods)
    return discount(offer, basket, goods) if _counted(offer, basket, around) >= max(offer.minimum, 1) else 0


def worth(offer: Offer, total: int) -> int:
    """The discount on pieces worth this much, in minor units, halves up, never more than they cost."""
    if offer.kind == "percentage":
        return (total * offer.value + 5_000) // 10_000
    return min(offer.value, total) if offer.kind == "amount" else 0


def discount(offer: Offer, basket: Basket, goods: Mapping[str, Goods], *, taken: int = 0) -> int:
    """What the offer takes off a basket it holds for: a gift that lies in it, or its share of the pieces it is about;
    never more than other codes have left to pay."""
    if offer.kind in GIFTS:
        given = min((line.price for line in basket.lines if line.product_id == offer.product), default=0)
    else:
        given = worth(offer, sum(line.total for line in _about(offer, basket, goods)))
    return max(min(given, basket.total - taken), 0)


def _about(offer: Offer, basket: Basket, goods: Mapping[str, Goods]) -> list[Line]:
    """The lines the offer is about; a category holds all beneath it."""
    return [line for line in basket.lines if not offer.categories or _within(line, offer.categories, goods)]


def _within(line: Line, categories: Sequence[str], goods: Mapping[str, Goods]) -> bool:
    category = goods.get(line.product_id, Goods()).category or ""
    return any(category == one or category.startswith(f"{one} > ") for one in categories)


def _counted(offer: Offer, basket: Basket, around: Around) -> int:
    """What counts for the minimum: what is paid for, the gift itself left out."""
    total = sum(line.total for line in _about(offer, basket, around.goods))
    return total - (discount(offer, basket, around.goods) if offer.kind in GIFTS else 0)


def _too_dear(case: _Case) -> bool:
    """Whether what remains to be paid would earn less than the floor; lines of unknown cost are left out of both."""
    floor = case.offer.margin_floor
    known = [(line, cost) for line in case.basket.lines if (cost := _cost(line, case.around.goods)) is not None]
    sold, total = sum(line.total for line, _ in known), case.basket.total
    if floor is None or not sold:
        return False
    paid = sold - (case.off + case.around.taken) * sold / total
    return paid - sum(cost for _, cost in known) < paid * floor / 10_000


def _cost(line: Line, goods: Mapping[str, Goods]) -> float | None:
    cost = goods.get(line.product_id, Goods()).cost
    return None if cost is None else cost * line.quantity
