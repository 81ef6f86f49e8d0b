"""The rules of segments as typed values: a tree of all, any and not over what is known of a customer. Pure.

The same shapes serve files, the API and the console; each says what it means, and `campaigns/segment_sql.py` turns it
into SQL. Amounts of money are whole minor units. Days are days of UTC.
"""

from collections.abc import Iterator
from datetime import date
from typing import Annotated, Any, Literal

import pydantic
from pydantic import AfterValidator, Field

from campaigns.definitions import comparisons, shapes
from campaigns.definitions.comparisons import MOMENTS, MOST_DAYS, TEXTS, Compared, Op, Text, Texts, Value
from campaigns.definitions.shapes import Duration, Shape, Test
from foundation.errors import Fault, Invalid

DEEPEST = 8
MOST = 100

Whole = Annotated[int, Field(strict=True, ge=0, le=10**15)]
Channel = Literal["web", "app", "store", "marketplace", "call_center"]
MessageChannel = Literal["email", "push", "sms", "whatsapp", "onsite", "ads"]
Purpose = Literal["marketing", "analytics", "personalization"]


class Windowed(Shape):
    """When: within so long before now, or from one day to another, both included; else ever."""

    within: Duration | None = None
    since: date | None = None
    until: date | None = None

    @pydantic.model_validator(mode="after")
    def _possible(self) -> "Windowed":
        if self.within is not None and (self.since or self.until):
            raise ValueError("cannot have within together with since or until")
        if self.since and self.until and self.until < self.since:
            raise ValueError("cannot end (until) before it begins (since)")
        return self


# ------------------------------------------------------------------------------------------------- rules
def _some(rules: tuple[Any, ...]) -> tuple[Any, ...]:
    if not rules:
        raise ValueError("needs at least one rule")
    return rules


class All(Shape):
    """Every one of these holds."""

    type: Literal["all"]
    of: Annotated[tuple["Condition", ...], AfterValidator(_some)]


class Any_(Shape):
    """At least one of these holds."""

    type: Literal["any"]
    of: Annotated[tuple["Condition", ...], AfterValidator(_some)]


class Not(Shape):
    """This does not hold."""

    type: Literal["not"]
    rule: "Condition"


class Trait(Compared):
    """What the shop told us of her. A list holds a text if one of its members does; `name` may be a path."""

    type: Literal["trait"]
    name: Text
    op: Op = "is"
    value: Value = None


class Identity(Shape):
    """She has a handle of this kind."""

    type: Literal["identity"]
    kind: Literal["user_id", "anonymous_id", "email", "phone", "card", "device"]


class Consent(Shape):
    """What she says of a channel and purpose; a no that covers it outweighs every yes."""

    type: Literal["consent"]
    channel: MessageChannel
    purpose: Purpose = "marketing"
    state: Literal["granted", "denied", "unknown"] = "granted"


class Used(Shape):
    """Something of hers happened on this source channel: ever, or today and the days before."""

    type: Literal["channel"]
    channel: Channel
    in_last_days: Annotated[int, Field(ge=0, le=MOST_DAYS)] | None = None


class Happened(Compared, Windowed):
    """Events of a name: how many, the sum or the number of different values of a property, the first or the last."""

    type: Literal["event"]
    name: Text
    measure: Literal["count", "sum", "distinct", "first", "last"] = "count"
    property: Text | None = None
    where: Annotated[tuple[Test, ...], Field(max_length=20)] = ()

    @pydantic.model_validator(mode="after")
    def _sound(self) -> "Happened":
        if (self.measure in ("sum", "distinct")) != (self.property is not None):
            raise ValueError("needs a property for sum and distinct, and for these alone")
        comparisons.of_kind(self, moment=self.measure in ("first", "last"), what=self.measure)
        return self


class Step(Shape):
    """An event of a sequence."""

    name: Text
    where: Annotated[tuple[Test, ...], Field(max_length=20)] = ()


class Sequence(Windowed):
    """She did the one, and then did (or did not) the other within a time. The window is for the first.

    `happened` false holds once the time has passed without it.
    """

    type: Literal["sequence"]
    first: Step
    then: Step
    by: Duration
    happened: bool = True

    @pydantic.model_validator(mode="after")
    def _sound(self) -> "Sequence":
        if self.within and not self.happened and shapes.length(self.within) <= shapes.length(self.by):
            raise ValueError("can never hold: within must be longer than by")
        return self


class Goods(Shape):
    """Which products; a category holds all beneath it. Empty: any."""

    products: Texts = ()
    categories: Texts = ()
    brands: Texts = ()

    @property
    def any_product(self) -> bool:
        """Whether no product is asked for."""
        return not (self.products or self.categories or self.brands)


class Orders(Compared, Windowed, Goods):
    """Orders that stand (not cancelled): how many, their value net of refunds, the average, the first or last, how many
    were returned in part or whole, and what was refunded. With products, the value is that of their lines."""

    type: Literal["orders"]
    measure: Literal["count", "value", "average", "first", "last", "returns", "refunded"] = "count"
    channels: Annotated[tuple[Channel, ...], Field(max_length=5)] = ()
    stores: Texts = ()

    @pydantic.model_validator(mode="after")
    def _sound(self) -> "Orders":
        comparisons.of_kind(self, moment=self.measure in ("first", "last"), what=self.measure)
        return self


class Rfm(Shape):
    """Her fifth of all who ever ordered, 5 the best: by recency, number of orders, or what they were worth.

    The bounds are found anew every night."""

    type: Literal["rfm"]
    measure: Literal["recency", "frequency", "value"]
    quintiles: Annotated[tuple[Annotated[int, Field(ge=1, le=5)], ...], Field(min_length=1, max_length=5)]


class OpenCart(Goods):
    """An open cart with something in it: its value, how long it lies untouched, what it contains."""

    type: Literal["cart"]
    value_at_least: Whole | None = None
    value_at_most: Whole | None = None
    quiet_for: Duration | None = None
    touched_within: Duration | None = None

    @pydantic.model_validator(mode="after")
    def _possible(self) -> "OpenCart":
        quiet, touched = self.quiet_for, self.touched_within
        if quiet and touched and shapes.length(touched) <= shapes.length(quiet):
            raise ValueError("can never hold: touched_within must be longer than quiet_for")
        low, high = self.value_at_least, self.value_at_most
        if low is not None and high is not None and high < low:
            raise ValueError("can never hold: value_at_most is less than value_at_least")
        return self


class Code(Shape):
    """A promo code of hers: issued, redeemed (ever or lately), still usable, or usable and expiring soon."""

    type: Literal["code"]
    state: Literal["issued", "redeemed", "usable", "expiring"]
    offer: Text | None = None
    within: Duration | None = None

    @pydantic.model_validator(mode="after")
    def _possible(self) -> "Code":
        if (self.state == "expiring" and self.within is None) or (self.state == "usable" and self.within):
            raise ValueError("needs within for expiring, and has none for usable")
        return self


class Message(Compared, Windowed):
    """Messages that left for her, or those she followed a link of herself: scanners and robots do not count."""

    type: Literal["message"]
    did: Literal["sent", "clicked"]
    channel: MessageChannel | None = None
    campaign: Text | None = None

    @pydantic.model_validator(mode="after")
    def _sound(self) -> "Message":
        comparisons.of_kind(self, moment=False, what="messages")
        return self


PREDICTED = {
    "next_order_at": "moment",
    "order_probability_30d": "number",
    "churn_risk": "number",
    "expected_value_12m": "number",
    "favourite_category": "text",
    "favourite_channel": "text",
    "favourite_hour": "number",
    "favourite_weekday": "number",
}


class Prediction(Compared):
    """What is expected of her. Nobody without predictions is meant."""

    type: Literal["prediction"]
    name: Literal[
        "next_order_at",
        "order_probability_30d",
        "churn_risk",
        "expected_value_12m",
        "favourite_category",
        "favourite_channel",
        "favourite_hour",
        "favourite_weekday",
    ]

    @pydantic.model_validator(mode="after")
    def _sound(self) -> "Prediction":
        kind = PREDICTED[self.name]
        if kind == "moment":
            comparisons.only(self, (*MOMENTS, "in_next_days", "exists"), what=self.name)
        elif kind == "number":
            comparisons.of_kind(self, moment=False, what=self.name)
        else:
            comparisons.only(self, TEXTS, what=self.name)
        return self


class Distance(Shape):
    """She lives within so many kilometres of a store, as the crow flies; without one, of any. Where she lives is said
    by two traits, in degrees."""

    type: Literal["distance"]
    km: Annotated[float, Field(gt=0, le=20_000)]
    store: Text | None = None
    latitude: Text = "latitude"
    longitude: Text = "longitude"


class InSegment(Shape):
    """She is in another segment, as it was last brought up to date."""

    type: Literal["segment"]
    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")]


Condition = Annotated[
    All
    | Any_
    | Not
    | Trait
    | Identity
    | Consent
    | Used
    | Happened
    | Sequence
    | Orders
    | Rfm
    | OpenCart
    | Code
    | Message
    | Prediction
    | Distance
    | InSegment,
    Field(discriminator="type"),
]
for _model in (All, Any_, Not):
    _model.model_rebuild()


class Rule(Shape):
    """A rule as a part of something else: a segment, a split."""

    rule: Condition


def parse(value: object) -> Condition:
    """Reads a rule as it stands in a file, a form or the database; raises `Invalid` with every fault and its place."""
    try:
        found = shapes.read(Rule, {"rule": value}).rule
    except Invalid as error:
        raise Invalid(*(Fault(fault.pointer.removeprefix("/rule"), fault.detail) for fault in error.faults)) from None
    if faults := too_big(found):
        raise Invalid(*faults)
    return found


def dump(condition: Condition) -> dict[str, Any]:
    """The rule as JSON, what goes without saying left out; `parse(dump(c)) == c`."""
    return condition.model_dump(mode="json", exclude_defaults=True)


def children(condition: Condition) -> tuple[Condition, ...]:
    """The rules a group is made of; none for a rule that stands for itself."""
    if isinstance(condition, All | Any_):
        return condition.of
    return (condition.rule,) if isinstance(condition, Not) else ()


def walk(condition: Condition, pointer: str = "") -> Iterator[tuple[str, Condition]]:
    """Every rule of the tree with its JSON pointer, a group before its own."""
    yield pointer, condition
    for index, child in enumerate(children(condition)):
        yield from walk(child, f"{pointer}/rule" if isinstance(condition, Not) else f"{pointer}/of/{index}")


def too_big(condition: Condition) -> list[Fault]:
    """Whether a tree is larger or deeper than anyone can read, with the place."""
    places = [pointer for pointer, _ in walk(condition)]
    faults = []
    if len(places) > MOST:
        faults.append(Fault("", f"holds more than {MOST} rules; make part of it a segment of its own and name that"))
    deep = [pointer for pointer in places if pointer.count("/of/") + pointer.count("/rule") > DEEPEST]
    if deep:
        faults.append(Fault(deep[0], f"is nested more than {DEEPEST} deep; make it a segment of its own and name that"))
    return faults
