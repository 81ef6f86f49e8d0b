"""Offers as typed values: what is promised, to whom it holds, and where its codes come from. Pure.

Files, the API and the console say an offer in the same words, read by this one model.
"""

from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, Field

from campaigns.definitions import shapes
from campaigns.definitions.conditions import Channel
from campaigns.definitions.shapes import Line, Shape, like
from foundation.errors import Fault, Invalid

Kind = Literal["percentage", "amount", "free_shipping", "gift", "sample"]
Empty = Literal["skip", "fallback", "without"]
"""What becomes of a message when there is no code for it: not sent, sent with the shared code, or sent without."""


def _written(form: str) -> Any:
    return Field(json_schema_extra={"pattern": f"^{form}$"})


_CURRENCY, _PREFIX, _SHARED = "[A-Z]{3}", "[A-Za-z0-9]{0,12}", "[A-Za-z0-9][A-Za-z0-9 _-]{2,38}[A-Za-z0-9]"
Currency = Annotated[str, like(_CURRENCY, "must be a three-letter code such as EUR"), _written(_CURRENCY)]
Prefix = Annotated[str, like(_PREFIX, "must be at most 12 letters and digits"), _written(_PREFIX)]
Shared = Annotated[str, like(_SHARED, "must be 4 to 40 letters, digits, dashes, spaces"), _written(_SHARED)]
Minor = Annotated[int, Field(ge=0, le=10**12)]


class Offer(Shape):
    """What is promised. `value` is hundredths of a percent, or minor units; so are `margin_floor` and `minimum`.

    `minimum`, the discount and the categories count the pieces the offer is about: those of `categories`, else all.
    `product` is the gift. `budget` is what all its redemptions may take off together, in minor units. A code lasts
    `valid_days` from the day it is given, never beyond `ends_at`. `codes` are made here, or come from the shop's pool.
    """

    name: Annotated[Line, Field(max_length=60)]
    kind: Kind
    value: Minor = 0
    currency: Currency = "EUR"
    product: Line | None = None
    minimum: Minor = 0
    categories: Annotated[tuple[Line, ...], Field(max_length=100)] = ()
    stores: Annotated[tuple[Line, ...], Field(max_length=1000)] = ()
    channels: Annotated[tuple[Channel, ...], Field(max_length=5)] = ()
    starts_at: AwareDatetime | None = None
    ends_at: AwareDatetime | None = None
    valid_days: Annotated[int, Field(ge=1, le=730)] = 7
    once_per_customer: bool = True
    holder_only: bool = False
    stackable: bool = False
    budget: Annotated[int, Field(ge=1, le=10**14)] | None = None
    margin_floor: Annotated[int, Field(ge=0, lt=10_000)] | None = None
    codes: Literal["made", "pool"] = "made"
    prefix: Prefix = ""
    alert_below: Annotated[int, Field(ge=0, le=10**9)] = 100
    when_empty: Empty = "skip"
    fallback: Shared | None = None


CHANGEABLE = ("alert_below", "when_empty", "fallback", "prefix", "valid_days", "codes")
"""What may be changed whatever codes people hold: it is about codes still to be given."""

FREE = ("free_shipping",)
"""Kinds whose worth no basket tells."""
GIFTS = ("gift", "sample")


def parse(value: object) -> Offer:
    """An offer from JSON; raises `Invalid` with every fault and its place."""
    offer = shapes.read(Offer, value)
    faults = list(impossible(offer))
    if faults:
        raise Invalid(*faults)
    return offer


def dump(offer: Offer) -> dict[str, Any]:
    """As JSON says it; `parse` reads it back."""
    return offer.model_dump(mode="json", exclude_none=True)


def impossible(offer: Offer) -> Iterator[Fault]:
    """Combinations that cannot be kept, each at the place to change."""
    yield from _worth(offer)
    yield from _scope(offer)
    yield from _supply(offer)


def _worth(offer: Offer) -> Iterator[Fault]:
    if offer.kind == "percentage" and not 1 <= offer.value <= 10_000:
        yield Fault("/value", "must be from 1 to 10000")
    if offer.kind == "amount" and offer.value < 1:
        yield Fault("/value", "must be at least 1")
    if offer.kind not in ("percentage", "amount") and offer.value:
        yield Fault("/value", f"means nothing for {offer.kind}")
    if offer.kind in GIFTS and offer.product is None:
        yield Fault("/product", "is needed: the product_id of what is given")
    if offer.kind not in GIFTS and offer.product is not None:
        yield Fault("/product", f"means nothing for {offer.kind}")
    if offer.kind in FREE:
        limits = {"budget": offer.budget, "margin_floor": offer.margin_floor}
        yield from (Fault(f"/{name}", f"means nothing for {offer.kind}") for name, limit in limits.items() if limit)
    if offer.budget is not None and offer.kind == "amount" and 0 < offer.budget < offer.value:
        yield Fault("/budget", "is less than one redemption takes off")


def _scope(offer: Offer) -> Iterator[Fault]:
    if offer.starts_at and offer.ends_at and offer.ends_at <= offer.starts_at:
        yield Fault("/ends_at", "must follow starts_at")
    if offer.stores and offer.channels and "store" not in offer.channels:
        yield Fault("/stores", "can never hold: channels leave out store")
    for name in ("categories", "stores", "channels"):
        given: tuple[str, ...] = getattr(offer, name)
        for number, one in enumerate(given):
            if one in given[:number]:
                yield Fault(f"/{name}/{number}", f"is given twice: {one}")


def _supply(offer: Offer) -> Iterator[Fault]:
    if offer.codes == "pool" and offer.prefix:
        yield Fault("/prefix", "is for codes made here only")
    if (offer.when_empty == "fallback") != (offer.fallback is not None):
        yield Fault("/fallback", "is needed with when_empty fallback, and with it alone")


# -------------------------------------------------------------------------------------------------- changing
def changed(before: Offer, after: Offer) -> list[str]:
    """The fields in which two offers differ."""
    return [name for name in Offer.model_fields if getattr(before, name) != getattr(after, name)]


def broken(before: Offer, after: Offer) -> list[Fault]:
    """What a change would take from people who hold codes already; empty if they lose nothing."""
    return [
        Fault(f"/{name}", "would change what codes already given promise; make another offer")
        for name in changed(before, after)
        if name not in CHANGEABLE and not _kinder(name, before, after)
    ]


def _kinder(name: str, before: Offer, after: Offer) -> bool:
    """Whether holders of codes gain by it, or at least lose nothing."""
    old, new = getattr(before, name), getattr(after, name)
    match name:
        case "value":
            return bool(new > old)
        case "minimum":
            return bool(new < old)
        case "starts_at" | "margin_floor":
            return new is None or old is not None and new < old
        case "ends_at" | "budget":
            return new is None or old is not None and new > old
        case "categories" | "stores" | "channels":
            return not new or bool(old) and set(old) <= set(new)
    return bool(new) if name == "stackable" else name in ("once_per_customer", "holder_only") and not new
