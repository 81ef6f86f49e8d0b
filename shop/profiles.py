"""What events teach of one customer, as sums, minima and maxima, so that neither order nor batching matters. Pure.

The rules are SQL, for they are applied where the events are: to new ones as they are stored, to all when a merge is
undone.
"""

from dataclasses import dataclass, fields
from datetime import datetime

from shop.vocabulary import CHANNELS, Name


@dataclass(frozen=True, slots=True)
class Profile:
    """What events have taught us of one customer. Times that never came are None; `spent` is net of refunds."""

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

OF_EVENTS = {
    "first_seen_at": "min(occurred_at)",
    "last_seen_at": "max(occurred_at)",
    "events": "count(*)",
    "product_views": f"count(*) FILTER (WHERE name = '{Name.PRODUCT_VIEWED}')",
    "cart_adds": f"count(*) FILTER (WHERE name = '{Name.PRODUCT_ADDED}')",
    **{f"{channel}_last_at": f"max(occurred_at) FILTER (WHERE channel = '{channel}')" for channel in CHANNELS},
}
"""What rows of `events`, grouped by customer, make of a profile."""

OF_ORDERS = {
    "orders": "count(*) FILTER (WHERE state <> 'cancelled')",
    "spent": "coalesce(sum(total - refunded) FILTER (WHERE state <> 'cancelled'), 0)",
    "first_order_at": "min(ordered_at)",
    "last_order_at": "max(ordered_at)",
}
"""What rows of `orders`, grouped by customer, make of a profile."""


@dataclass(frozen=True, slots=True)
class OrderChange:
    """What an order became: how many orders more (or fewer) it makes, and how much money."""

    customer_id: int
    ordered_at: datetime
    orders: int
    spent: int
