"""What events teach of one customer, as sums, minima and maxima, so that neither order nor batching matters. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass, fields
from datetime import datetime

from shop.vocabulary import CHANNELS, Event, Name


@dataclass(slots=True)
class Profile:
    """What is to be added to the profile of one customer. Times that never came are None."""

    first_seen_at: datetime
    last_seen_at: datetime
    events: int = 0
    product_views: int = 0
    cart_adds: int = 0
    orders: int = 0
    spent: int = 0
    first_order_at: datetime | None = None
    last_order_at: datetime | None = None
    web_last_at: datetime | None = None
    app_last_at: datetime | None = None
    store_last_at: datetime | None = None
    marketplace_last_at: datetime | None = None
    call_center_last_at: datetime | None = None


SUMS = ("events", "product_views", "cart_adds", "orders", "spent")
FIRSTS = ("first_seen_at", "first_order_at")
COLUMNS = tuple(column.name for column in fields(Profile))
LASTS = tuple(name for name in COLUMNS if name not in SUMS + FIRSTS)
GAIN = ", ".join(
    [f"{name} = mine.{name} + excluded.{name}" for name in SUMS]
    + [f"{name} = least(mine.{name}, excluded.{name})" for name in FIRSTS]
    + [f"{name} = greatest(mine.{name}, excluded.{name})" for name in LASTS]
)
"""How a stored profile, `mine`, takes in what is added to it; SQL's least and greatest pass over NULL."""

_CHANNEL_COLUMN = {channel: f"{channel}_last_at" for channel in CHANNELS}


@dataclass(frozen=True, slots=True)
class OrderChange:
    """What an order became: how many orders more (or fewer) it makes, and how much money."""

    customer_id: int
    ordered_at: datetime
    orders: int
    spent: int


def fold(happened: Iterable[tuple[int, Event]], changes: Iterable[OrderChange]) -> dict[int, Profile]:
    """What each customer's profile gains by these events and changed orders."""
    profiles: dict[int, Profile] = {}
    for customer, event in happened:
        at = event.occurred_at
        profile = profiles.get(customer)
        if profile is None:
            profile = profiles[customer] = Profile(at, at)
        elif at < profile.first_seen_at:
            profile.first_seen_at = at
        elif at > profile.last_seen_at:
            profile.last_seen_at = at
        profile.events += 1
        if event.name == Name.PRODUCT_VIEWED:
            profile.product_views += 1
        elif event.name == Name.PRODUCT_ADDED:
            profile.cart_adds += 1
        _channel_seen(profile, _CHANNEL_COLUMN[event.channel], at)
    for change in changes:
        _order(profiles, change)
    return profiles


def _channel_seen(profile: Profile, column: str, at: datetime) -> None:
    last = getattr(profile, column)
    if last is None or at > last:
        setattr(profile, column, at)


def _order(profiles: dict[int, Profile], change: OrderChange) -> None:
    at = change.ordered_at
    profile = profiles.setdefault(change.customer_id, Profile(at, at))
    profile.orders += change.orders
    profile.spent += change.spent
    if profile.first_order_at is None or at < profile.first_order_at:
        profile.first_order_at = at
    if profile.last_order_at is None or at > profile.last_order_at:
        profile.last_order_at = at
