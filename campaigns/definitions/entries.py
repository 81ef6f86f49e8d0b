"""How customers come into a campaign: each way as a typed value."""

from collections.abc import Mapping
from datetime import date, tzinfo
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, Field

from campaigns.definitions.conditions import Condition
from campaigns.definitions.shapes import Clock, Duration, Line, Shape, Test, like

Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
WEEKDAYS: tuple[Weekday, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
"""As `date.weekday()` counts them."""


def _zone(name: str) -> str:
    try:
        return name if name in ("customer", "shop") else ZoneInfo(name).key
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError("must be customer, shop, or a time zone such as Europe/Paris") from None


Zone = Annotated[str, AfterValidator(_zone)]
"""Whose clock counts: the customer's own (the shop's for those of no known zone), the shop's, or a place's."""


def _day(text: str) -> str:
    try:
        if date.fromisoformat(text).isoformat() == text:
            return text
    except ValueError:
        pass
    raise ValueError("must be a day of the calendar such as 2026-03-05")


Day = Annotated[str, AfterValidator(_day), Field(json_schema_extra={"format": "date"})]
TraitName = Annotated[str, like("[A-Za-z0-9_ .-]{1,100}", "must be the name of a trait")]

Tests = Annotated[tuple[Test, ...], Field(max_length=20)]
Key = Literal["none", "cart", "order", "product", "event"]
"""What makes two entries of one customer different: nothing, or the cart, order, product or event it is about."""


class Watch(Shape):
    """An event to listen for. `same` asks that it concern the same cart, order or product as the entry."""

    event: Line
    where: Tests = ()
    same: Literal["none", "cart", "order", "product"] = "none"


class EventEntry(Shape):
    """Enters when the event happens. `reset` begins her first wait anew whenever it happens again."""

    type: Literal["event"]
    event: Line
    where: Tests = ()
    key: Key = "none"
    reset: bool = False


class SegmentEntry(Shape):
    """Enters when she comes into the segment, or leaves it."""

    type: Literal["segment_entered", "segment_left"]
    segment: Line


class CartAbandoned(Shape):
    """Enters when a cart with something in it was not touched for `delay` and not bought on any channel.

    `within`: carts gone quiet longer ago than that, while nobody was looking, are left in peace.
    """

    type: Literal["cart_abandoned"]
    delay: Duration = "1h"
    within: Duration = "48h"


class ProductAbandoned(Shape):
    """Enters when she viewed a product and then, for `delay`, neither viewed it again, put it in a cart nor bought."""

    type: Literal["product_abandoned"]
    delay: Duration = "2h"
    views: Annotated[int, Field(ge=1, le=20)] = 1


class BackInStock(Shape):
    """Enters when a product can be had again which she viewed, wished for or left in a cart while it was not."""

    type: Literal["back_in_stock"]
    interest: Duration = "60d"


class PriceDropped(Shape):
    """Enters when a product she was interested in costs at least `percent` less than its lowest price of 30 days."""

    type: Literal["price_dropped"]
    percent: Annotated[int, Field(ge=1, le=90)] = 5
    interest: Duration = "60d"


class Schedule(Shape):
    """Enters everybody of the audience at a moment: once, or every day, week or month.

    `on` is the moment of `once`, and the first one of the others. `zone` says whose clock counts.
    """

    type: Literal["schedule"]
    every: Literal["once", "day", "week", "month"] = "once"
    on: Day
    at: Clock = "09:00"
    zone: Zone = "shop"
    audience: Condition


class DateEntry(Shape):
    """Enters so many days before the date a trait holds (negative: after it), each year or once."""

    type: Literal["date"]
    trait: TraitName
    days_before: Annotated[int, Field(ge=-365, le=365)] = 0
    every: Literal["year", "once"] = "year"
    at: Clock = "09:00"
    zone: Zone = "customer"
    audience: Condition | None = None


Entry = Annotated[
    EventEntry | SegmentEntry | CartAbandoned | ProductAbandoned | BackInStock | PriceDropped | Schedule | DateEntry,
    Field(discriminator="type"),
]

OF_CARTS = (CartAbandoned,)
OF_PRODUCTS = (ProductAbandoned, BackInStock, PriceDropped)
TIMED = (Schedule, DateEntry)


class Reentry(Shape):
    """Whether she may come in again: never, `days` after she last entered, or once for each new key."""

    rule: Literal["never", "after", "each_key"] = "never"
    days: Annotated[int, Field(ge=1, le=730)] | None = None


def place(zone: str) -> tzinfo:
    """The zone of that name; `customer` and `shop` are not names of places."""
    return ZoneInfo(zone)


def keyed(entry: Entry) -> str:
    """What its entries are keyed by; `none` if nothing tells two of them apart but time."""
    if isinstance(entry, EventEntry):
        return entry.key
    if isinstance(entry, OF_CARTS):
        return "cart"
    return "product" if isinstance(entry, OF_PRODUCTS) else "event"


def about(entry: Mapping[str, Any]) -> str:
    """What an entry is about as it is written, perhaps with faults, in the words of `keyed`."""
    kind = entry.get("type")
    if kind == "event":
        return str(entry.get("key", "none"))
    if kind == "cart_abandoned":
        return "cart"
    return "product" if kind in ("product_abandoned", "back_in_stock", "price_dropped") else "event"
