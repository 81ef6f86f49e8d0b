"""What may be said to Relance: event names of the e-commerce specification, and `parse` from sent JSON to an `Event`.

Pure. Names, ids and properties follow the Segment specification; any other name is a custom event, kept as sent.
What cannot be accepted comes back as a `Refusal` that names each fault by its JSON pointer.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID

import orjson

from foundation.errors import Fault
from shop import money

CHANNELS = ("web", "app", "store", "marketplace", "call_center")
EVENT_BYTES = 32 * 1024
DEPTH = 20
MESSAGE_ID_LENGTH = 100
ID_LENGTH = 255
PAYLOAD_KEPT = 4000
QUANTITY_MOST = 1_000_000
EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
FUTURE = timedelta(hours=24)
LATENCY = timedelta(seconds=5)
"""A sender's clock this close to ours is right, and the difference is the time the request took."""


class Name(StrEnum):
    """Event names of the specification, and those Relance itself writes."""

    PRODUCTS_SEARCHED = "Products Searched"
    PRODUCT_LIST_VIEWED = "Product List Viewed"
    PRODUCT_LIST_FILTERED = "Product List Filtered"
    PROMOTION_VIEWED = "Promotion Viewed"
    PROMOTION_CLICKED = "Promotion Clicked"
    PRODUCT_CLICKED = "Product Clicked"
    PRODUCT_VIEWED = "Product Viewed"
    PRODUCT_ADDED = "Product Added"
    PRODUCT_REMOVED = "Product Removed"
    CART_VIEWED = "Cart Viewed"
    CHECKOUT_STARTED = "Checkout Started"
    CHECKOUT_STEP_VIEWED = "Checkout Step Viewed"
    CHECKOUT_STEP_COMPLETED = "Checkout Step Completed"
    PAYMENT_INFO_ENTERED = "Payment Info Entered"
    ORDER_COMPLETED = "Order Completed"
    ORDER_UPDATED = "Order Updated"
    ORDER_REFUNDED = "Order Refunded"
    ORDER_CANCELLED = "Order Cancelled"
    COUPON_ENTERED = "Coupon Entered"
    COUPON_APPLIED = "Coupon Applied"
    COUPON_DENIED = "Coupon Denied"
    COUPON_REMOVED = "Coupon Removed"
    PRODUCT_WISHED = "Product Added to Wishlist"
    PRODUCT_UNWISHED = "Product Removed from Wishlist"
    WISH_ADDED_TO_CART = "Wishlist Product Added to Cart"
    PRODUCT_SHARED = "Product Shared"
    CART_SHARED = "Cart Shared"
    PRODUCT_REVIEWED = "Product Reviewed"
    EMAIL_DELIVERED = "Email Delivered"
    EMAIL_OPENED = "Email Opened"
    EMAIL_LINK_CLICKED = "Email Link Clicked"
    EMAIL_BOUNCED = "Email Bounced"
    UNSUBSCRIBED = "Unsubscribed"
    SUBSCRIPTION_REQUESTED = "Subscription Requested"
    SUBSCRIPTION_CONFIRMED = "Subscription Confirmed"
    MESSAGE_SENT = "Message Sent"
    MESSAGE_CLICKED = "Message Clicked"
    SURVEY_ANSWERED = "Survey Answered"
    SEGMENT_ENTERED = "Segment Entered"
    SEGMENT_LEFT = "Segment Left"
    PAGE_VIEWED = "Page Viewed"
    SCREEN_VIEWED = "Screen Viewed"
    IDENTIFIED = "Identified"
    ALIASED = "Aliased"
    GROUPED = "Grouped"


NAMED_BY_TYPE = {
    "page": Name.PAGE_VIEWED,
    "screen": Name.SCREEN_VIEWED,
    "identify": Name.IDENTIFIED,
    "alias": Name.ALIASED,
    "group": Name.GROUPED,
}
"""The name under which calls other than `track` are stored."""

TYPES = frozenset(("track", *NAMED_BY_TYPE))
CART_NAMES = frozenset(
    (
        Name.PRODUCT_ADDED,
        Name.PRODUCT_REMOVED,
        Name.CART_VIEWED,
        Name.CHECKOUT_STARTED,
        Name.COUPON_APPLIED,
        Name.COUPON_REMOVED,
        Name.WISH_ADDED_TO_CART,
    )
)
ORDER_NAMES = frozenset((Name.ORDER_COMPLETED, Name.ORDER_UPDATED, Name.ORDER_REFUNDED, Name.ORDER_CANCELLED))
SPECIFIED = frozenset(Name)
AMOUNTS = ("price", "value", "total", "revenue", "discount", "refund")
_NUMBERS = frozenset((int, float))
_PLAIN = 10**10
"""An amount in any currency if it is a number below this, so that nothing more need be asked of it."""


class Reason(StrEnum):
    """Why an event was refused."""

    NO_IDENTITY = "no_identity"
    NO_NAME = "no_name"
    UNKNOWN_TYPE = "unknown_type"
    WRONG_TYPE = "wrong_type"
    IMPOSSIBLE_TIME = "impossible_time"
    TOO_LARGE = "too_large"
    TOO_DEEP = "too_deep"
    BAD_TEXT = "bad_text"
    TWO_KNOWN_CUSTOMERS = "two_known_customers"
    NOT_STORED = "not_stored"


@dataclass(frozen=True, slots=True)
class Source:
    """Who speaks: a site, an app, a till, a file. Only one that holds a secret is `trusted` to say who is who."""

    id: int
    name: str
    channel: str
    trusted: bool = False


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened, once, at a time, on a channel."""

    key: UUID
    message_id: str
    type: str
    name: str
    occurred_at: datetime
    received_at: datetime
    source_id: int
    channel: str
    user_id: str | None = None
    anonymous_id: str | None = None
    previous_id: str | None = None
    product_id: str | None = None
    order_id: str | None = None
    cart_id: str | None = None
    store_id: str | None = None
    properties: dict[str, Any] = field(default_factory=dict)
    traits: dict[str, Any] = field(default_factory=dict)
    context: dict[str, Any] = field(default_factory=dict)
    trusted: bool = False


@dataclass(frozen=True, slots=True)
class Refusal:
    """Something sent that cannot be accepted: a stable word, each fault with its place, and what was sent."""

    reason: Reason
    faults: tuple[Fault, ...]
    source_id: int
    received_at: datetime
    payload: str = ""


class _Faults(list[tuple[Reason, Fault]]):
    """Everything found wrong with one event."""

    def add(self, reason: Reason, pointer: str, detail: str) -> None:
        self.append((reason, Fault(pointer, detail)))


def parse(
    payload: object,
    *,
    source: Source,
    received_at: datetime,
    sent_at: datetime | None = None,
    kind: str | None = None,
    trusted: bool | None = None,
) -> Event | Refusal:
    """One call as the SDKs send it. `kind` is the type the address names; `sent_at` the batch's own clock reading."""
    faults = _Faults()
    raw = _sound(payload, faults)
    if raw is not None and isinstance(payload, dict):
        event_type = kind or payload.get("type")
        if isinstance(event_type, str) and event_type in TYPES:
            sender = _Sender(source, source.trusted if trusted is None else trusted, received_at, sent_at)
            event = _event(payload, event_type, raw, sender=sender, faults=faults)
            _check(event, faults)
            if not faults:
                return event
        else:
            faults.add(Reason.UNKNOWN_TYPE, "/type", f"must be one of: {', '.join(sorted(TYPES))}")
    return refusal(payload, faults, source=source, received_at=received_at)


@dataclass(frozen=True, slots=True)
class _Sender:
    source: Source
    trusted: bool
    received_at: datetime
    sent_at: datetime | None


def _event(payload: dict[str, Any], event_type: str, raw: bytes, *, sender: _Sender, faults: _Faults) -> Event:
    context = _object(payload, "context", faults)
    properties = _object(payload, "properties", faults)
    occurred_at, own_time = _time(payload, sender.received_at, sender.sent_at, faults)
    message_id = _text(payload, "messageId", faults, limit=MESSAGE_ID_LENGTH)
    return Event(
        key=_key(sender.source.id, message_id or _fingerprint(raw, sender.received_at, own_time)),
        message_id=message_id or "",
        type=event_type,
        name=_name(payload, event_type, faults),
        occurred_at=occurred_at,
        received_at=sender.received_at,
        source_id=sender.source.id,
        channel=_channel(context, properties, sender.source),
        user_id=_text(payload, "userId", faults),
        anonymous_id=_text(payload, "anonymousId", faults),
        previous_id=_text(payload, "previousId", faults) if event_type == "alias" else None,
        product_id=_text(properties, "product_id", faults, "/properties")
        or _text(properties, "sku", faults, "/properties"),
        order_id=_text(properties, "order_id", faults, "/properties"),
        cart_id=_text(properties, "cart_id", faults, "/properties"),
        store_id=_text(properties, "store_id", faults, "/properties"),
        properties=_named_page(payload, event_type, properties),
        traits=_object(payload, "traits", faults) or _object(context, "traits", faults, "/context"),
        context=_without_traits(context),
        trusted=sender.trusted,
    )


def refusal(payload: object, faults: list[tuple[Reason, Fault]], *, source: Source, received_at: datetime) -> Refusal:
    """What was sent, with everything wrong with it; the first fault gives the reason."""
    try:
        text = json.dumps(payload)[:PAYLOAD_KEPT]
    except (ValueError, RecursionError):
        text = ""
    return Refusal(faults[0][0], tuple(fault for _, fault in faults), source.id, received_at, text)


def _sound(payload: object, faults: _Faults) -> bytes | None:
    """The payload's own JSON if PostgreSQL can hold it, else None: no NUL, no half characters, not huge, not deep."""
    if not isinstance(payload, dict):
        faults.add(Reason.WRONG_TYPE, "", "must be an object")
        return None
    try:
        raw = orjson.dumps(payload)
    except TypeError:  # a lone surrogate, a number beyond 64 bits, or nesting no reader survives
        faults.add(Reason.BAD_TEXT, "", "holds half a character, a number beyond 64 bits, or is nested too deep")
        return None
    if len(raw) > EVENT_BYTES:
        faults.add(Reason.TOO_LARGE, "", f"is {len(raw)} bytes; the limit is {EVENT_BYTES}")
    if b"\\u0000" in raw and _holds_nul(payload):
        faults.add(Reason.BAD_TEXT, "", "holds a NUL character")
    if raw.count(b"{") + raw.count(b"[") > DEPTH and _depth(payload) > DEPTH:
        faults.add(Reason.TOO_DEEP, "", f"is nested more than {DEPTH} deep")
    return None if faults else raw


def _holds_nul(value: object) -> bool:
    if isinstance(value, str):
        return "\0" in value
    if isinstance(value, dict):
        return any("\0" in name or _holds_nul(item) for name, item in value.items())
    return isinstance(value, list) and any(_holds_nul(item) for item in value)


def _depth(value: object) -> int:
    if isinstance(value, dict):
        return 1 + max(map(_depth, value.values()), default=0)
    if isinstance(value, list):
        return 1 + max(map(_depth, value), default=0)
    return 0


def _object(values: Mapping[str, Any], name: str, faults: _Faults, where: str = "") -> dict[str, Any]:
    value = values.get(name)
    if value is None:
        return {}
    if not isinstance(value, dict):
        faults.add(Reason.WRONG_TYPE, f"{where}/{name}", "must be an object")
        return {}
    return value


_CURRENCY = re.compile(r"[A-Za-z]{3}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def _text(
    values: Mapping[str, Any], name: str, faults: _Faults, where: str = "", *, limit: int = ID_LENGTH
) -> str | None:
    """An id. Numbers are taken as the text they are written as; empty means absent."""
    value = values.get(name)
    if value is None:
        return None
    if type(value) is str and len(value) <= limit and value.isprintable():  # what nearly all are
        return value.strip() or None
    if type(value) is int:
        return str(value)
    if not isinstance(value, str):
        faults.add(Reason.WRONG_TYPE, f"{where}/{name}", "must be text")
        return None
    if len(value) > limit:
        faults.add(Reason.TOO_LARGE, f"{where}/{name}", f"has {len(value)} characters; the limit is {limit}")
    elif not value.isprintable() and _CONTROL.search(value):
        faults.add(Reason.BAD_TEXT, f"{where}/{name}", "holds a control character")
    return value.strip() or None


def _name(payload: Mapping[str, Any], event_type: str, faults: _Faults) -> str:
    if event_type != "track":
        return NAMED_BY_TYPE[event_type]
    before = len(faults)
    name = _text(payload, "event", faults)
    if name is None and len(faults) == before:
        faults.add(Reason.NO_NAME, "/event", "is needed: what happened")
    return name or ""


def _named_page(payload: Mapping[str, Any], event_type: str, properties: dict[str, Any]) -> dict[str, Any]:
    """A page's name and category are sent beside its properties; they are kept among them."""
    if event_type not in ("page", "screen"):
        return properties
    return {name: payload[name] for name in ("name", "category") if payload.get(name)} | properties


def _without_traits(context: dict[str, Any]) -> dict[str, Any]:
    return {name: context[name] for name in context if name != "traits"} if "traits" in context else context


def _channel(context: Mapping[str, Any], properties: Mapping[str, Any], source: Source) -> str:
    for value in (context.get("channel"), properties.get("channel")):
        if isinstance(value, str) and value in CHANNELS:
            return value
    return source.channel


# -------------------------------------------------------------------------------------------------- times
def moment(value: object) -> datetime | None:
    """An ISO 8601 time, read as UTC when it names no zone; None for anything else."""
    if not isinstance(value, str) or len(value) < 10:
        return None
    try:
        parsed = datetime.fromisoformat(value)
        if parsed.tzinfo is UTC:
            return parsed
        return parsed.replace(tzinfo=UTC) if parsed.tzinfo is None else parsed.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _time(
    payload: Mapping[str, Any], received_at: datetime, sent_at: datetime | None, faults: _Faults
) -> tuple[datetime, bool]:
    """When it happened by our clock, and whether the sender said so: a wrong clock shows in what it says is now."""
    name = "originalTimestamp" if payload.get("originalTimestamp") is not None else "timestamp"
    if payload.get(name) is None:
        return received_at, False
    said = moment(payload[name])
    if said is None:
        faults.add(Reason.IMPOSSIBLE_TIME, f"/{name}", "must be an ISO 8601 time")
        return received_at, False
    sent = sent_at or moment(payload.get("sentAt"))
    try:
        occurred = said + (received_at - sent) if sent and abs(received_at - sent) > LATENCY else said
    except OverflowError:
        occurred = EARLIEST - FUTURE
    if not EARLIEST <= occurred <= received_at + FUTURE:
        faults.add(Reason.IMPOSSIBLE_TIME, f"/{name}", "is before the year 2000 or more than a day ahead")
        return received_at, False
    return occurred, True


def _key(source_id: int, message_id: str) -> UUID:
    """The same message from the same source has the same key, so a repeat meets itself."""
    digest = hashlib.blake2b(f"{source_id}\0{message_id}".encode(), digest_size=16).digest()
    return UUID(int=int.from_bytes(digest))


def _fingerprint(raw: bytes, received_at: datetime, own_time: bool) -> str:
    """Stands in for a missing messageId. What names no time of its own is another event each time it comes."""
    at = b"" if own_time else received_at.isoformat().encode()
    return hashlib.blake2b(raw + at, digest_size=16).hexdigest()


# ----------------------------------------------------------------------------------------------- contents
def _check(event: Event, faults: _Faults) -> None:
    if not (event.user_id or event.anonymous_id or (event.trusted and event.traits)):
        faults.add(Reason.NO_IDENTITY, "/userId", "is needed, or anonymousId: whose event it is")
    if event.type == "alias" and not event.previous_id:
        faults.add(Reason.NO_IDENTITY, "/previousId", "is needed: who it was before")
    if event.name in SPECIFIED and event.properties:
        _check_product(event.properties, "/properties", faults)
        products = event.properties.get("products")
        if products is not None:
            _check_products(products, faults)


def _check_products(products: object, faults: _Faults) -> None:
    if not isinstance(products, list):
        faults.add(Reason.WRONG_TYPE, "/properties/products", "must be a list")
        return
    for index, product in enumerate(products):
        where = f"/properties/products/{index}"
        if not isinstance(product, dict):
            faults.add(Reason.WRONG_TYPE, where, "must be an object")
            continue
        _check_product(product, where, faults)
        _text(product, "product_id", faults, where)
        _text(product, "sku", faults, where)


def _check_product(values: Mapping[str, Any], where: str, faults: _Faults) -> None:
    quantity_value = values.get("quantity")
    if quantity_value is not None and quantity(quantity_value) is None:
        faults.add(Reason.WRONG_TYPE, f"{where}/quantity", f"must be a whole number from 0 to {QUANTITY_MOST}")
    for name in AMOUNTS:
        value = values.get(name)
        if value is None or type(value) in _NUMBERS and -_PLAIN < value < _PLAIN:
            continue
        try:
            money.minor(value, None)
        except ValueError as error:
            faults.add(Reason.WRONG_TYPE, f"{where}/{name}", str(error))
    currency = values.get("currency")
    if currency is not None and not (isinstance(currency, str) and _CURRENCY.fullmatch(currency)):
        faults.add(Reason.WRONG_TYPE, f"{where}/currency", "must be a three-letter code such as EUR")


_AMPERSAND = re.compile(r"&(?:amp|#0*38|#x0*26);(?:amp;)*", re.IGNORECASE)


def unescaped(address: str) -> str:
    """A web address somebody copied out of HTML, with `&` where it stood as `&amp;`. No other entity is read: `&copy=2`
    is a parameter."""
    return _AMPERSAND.sub("&", address)


def quantity(value: object) -> int | None:
    """How many, as a number or its text; None if it is no whole number in range."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, str) and value.strip().isdecimal() and len(value) < 10:
        value = int(value)
    return value if type(value) is int and 0 <= value <= QUANTITY_MOST else None
