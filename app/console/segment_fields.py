"""The rules of segments as a marketer reads and fills them: for each kind a sentence, with the fields it holds."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from app.i18n import N_
from shop.vocabulary import Name

Choices = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a rule: how it is filled in, and what it is called where it stands beside the sentence."""

    name: str
    kind: str
    label: str
    choices: Choices = ()
    default: Any = None


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of rule. `sentence` names the fields it holds as `{name}`; those it does not name stand under "More"."""

    type: str
    icon: str
    title: str
    sentence: str
    fields: tuple[Field, ...]
    start: Mapping[str, Any]

    def field(self, name: str) -> Field:
        """The field of that name."""
        return next(field for field in self.fields if field.name == name)


_NUMBERS: Choices = (
    ("at_least", N_("at least")),
    ("at_most", N_("at most")),
    ("is", N_("exactly")),
    ("above", N_("more than")),
    ("below", N_("less than")),
    ("between", N_("between")),
)
_MOMENTS: Choices = (
    ("in_last_days", N_("in the last … days")),
    ("over_days_ago", N_("more than … days ago")),
    ("before", N_("before")),
    ("after", N_("after")),
)
_ANY: Choices = (
    ("is", N_("is")),
    ("one_of", N_("is one of")),
    ("contains", N_("contains")),
    ("starts", N_("starts with")),
    ("exists", N_("is known")),
    *_NUMBERS[:2],
    *_NUMBERS[3:],
    *_MOMENTS,
    ("in_next_days", N_("in the next … days")),
    ("anniversary_in_days", N_("has its anniversary in the next … days")),
)
_WITHIN: Choices = (
    ("", N_("ever")),
    ("1h", N_("in the last hour")),
    ("1d", N_("in the last day")),
    ("7d", N_("in the last 7 days")),
    ("14d", N_("in the last 14 days")),
    ("30d", N_("in the last 30 days")),
    ("90d", N_("in the last 90 days")),
    ("180d", N_("in the last 6 months")),
    ("365d", N_("in the last 12 months")),
)
_LENGTH: Choices = (
    ("", N_("any time")),
    ("1h", N_("1 hour")),
    ("1d", N_("1 day")),
    ("2d", N_("2 days")),
    ("7d", N_("7 days")),
    ("14d", N_("14 days")),
    ("30d", N_("30 days")),
)
_CHANNELS: Choices = (
    ("web", N_("the site")),
    ("app", N_("the app")),
    ("store", N_("a store")),
    ("marketplace", N_("a marketplace")),
    ("call_center", N_("the call centre")),
)
_BY: Choices = (
    ("email", N_("e-mail")),
    ("push", N_("push")),
    ("sms", N_("SMS")),
    ("onsite", N_("on the site")),
    ("ads", N_("advertising")),
)

NAME = Field("name", "text", N_("Name"))
OP = Field("op", "choice", N_("Comparison"), _NUMBERS, "at_least")
VALUE = Field("value", "value", N_("Value"), default=1)
TO = Field("to", "value", N_("To"))
WITHIN = Field("within", "choice", N_("When"), _WITHIN)
WINDOW = (WITHIN, Field("since", "day", N_("From")), Field("until", "day", N_("Until")))
GOODS = (
    Field("categories", "list", N_("Categories, and all beneath them")),
    Field("brands", "list", N_("Brands")),
    Field("products", "list", N_("Product numbers")),
)
EVENT = Field("name", "event", N_("Event"))

KINDS = (
    Kind(
        "trait",
        "id-card",
        N_("What the shop told us"),
        N_("{name} {op} {value}"),
        (NAME, Field("op", "choice", N_("Comparison"), _ANY, "is"), Field("value", "value", N_("Value")), TO),
        {"name": "city", "op": "is", "value": ""},
    ),
    Kind(
        "event",
        "activity",
        N_("What they did"),
        N_("{name}: {measure} {op} {value}, {within}"),
        (
            EVENT,
            Field(
                "measure",
                "choice",
                N_("Measure"),
                (
                    ("count", N_("number of times")),
                    ("sum", N_("sum of a property")),
                    ("distinct", N_("different values of a property")),
                    ("first", N_("first time")),
                    ("last", N_("last time")),
                ),
                "count",
            ),
            Field("op", "choice", N_("Comparison"), (*_NUMBERS, *_MOMENTS), "at_least"),
            VALUE,
            TO,
            *WINDOW,
            Field("property", "text", N_("Property for a sum or different values")),
        ),
        {"name": str(Name.PRODUCT_VIEWED), "value": 1, "within": "30d"},
    ),
    Kind(
        "sequence",
        "route",
        N_("One thing, then another"),
        N_("{first.name}, {happened} {then.name} within {by} after"),
        (
            Field("first.name", "event", N_("First")),
            Field(
                "happened",
                "choice",
                N_("Followed"),
                (("true", N_("then")), ("false", N_("but not"))),
                True,
            ),
            Field("then.name", "event", N_("Then")),
            Field("by", "choice", N_("Within"), _LENGTH[1:]),
            *WINDOW,
        ),
        {
            "first": {"name": str(Name.PRODUCT_ADDED)},
            "then": {"name": str(Name.ORDER_COMPLETED)},
            "by": "2d",
            "happened": False,
            "within": "30d",
        },
    ),
    Kind(
        "orders",
        "shopping-bag",
        N_("Orders and returns"),
        N_("Orders: {measure} {op} {value}, {within}"),
        (
            Field(
                "measure",
                "choice",
                N_("Measure"),
                (
                    ("count", N_("number")),
                    ("value", N_("value, net of refunds")),
                    ("average", N_("average basket")),
                    ("first", N_("the first")),
                    ("last", N_("the last")),
                    ("returns", N_("number with a return")),
                    ("refunded", N_("amount refunded")),
                ),
                "count",
            ),
            Field("op", "choice", N_("Comparison"), (*_NUMBERS, *_MOMENTS), "at_least"),
            VALUE,
            TO,
            *WINDOW,
            *GOODS,
            Field("channels", "list", N_("Source channels: web, app, store, marketplace, call_center")),
            Field("stores", "list", N_("Store numbers")),
        ),
        {"value": 1, "within": "365d"},
    ),
    Kind(
        "rfm",
        "star",
        N_("Best customers, by fifths"),
        N_("Among all who ordered, by {measure}, in fifths {quintiles} (5 is the best)"),
        (
            Field(
                "measure",
                "choice",
                N_("By"),
                (("recency", N_("recency")), ("frequency", N_("number of orders")), ("value", N_("value"))),
            ),
            Field("quintiles", "numbers", N_("Fifths")),
        ),
        {"measure": "value", "quintiles": [5]},
    ),
    Kind(
        "cart",
        "shopping-basket",
        N_("An open basket"),
        N_("Has an open basket of at least {value_at_least} untouched for {quiet_for}"),
        (
            Field("value_at_least", "money", N_("Value at least")),
            Field("quiet_for", "choice", N_("Untouched for"), _LENGTH),
            Field("value_at_most", "money", N_("Value at most")),
            Field("touched_within", "choice", N_("Touched within"), _LENGTH),
            *GOODS,
        ),
        {"value_at_least": 5000, "quiet_for": "1h"},
    ),
    Kind(
        "consent",
        "mail-check",
        N_("Consent"),
        N_("Consent for {channel}, {purpose}: {state}"),
        (
            Field("channel", "choice", N_("Channel"), _BY),
            Field(
                "purpose",
                "choice",
                N_("Purpose"),
                (
                    ("marketing", N_("offers and news")),
                    ("analytics", N_("measuring visits")),
                    ("personalization", N_("personal recommendations")),
                ),
                "marketing",
            ),
            Field(
                "state",
                "choice",
                N_("Said"),
                (("granted", N_("yes")), ("denied", N_("no")), ("unknown", N_("never asked"))),
                "granted",
            ),
        ),
        {"channel": "email"},
    ),
    Kind(
        "identity",
        "user-check",
        N_("How they can be recognised"),
        N_("Is known by {kind}"),
        (
            Field(
                "kind",
                "choice",
                N_("Handle"),
                (
                    ("email", N_("an e-mail address")),
                    ("phone", N_("a phone number")),
                    ("card", N_("a loyalty card")),
                    ("user_id", N_("a customer number")),
                    ("device", N_("a device of the app")),
                    ("anonymous_id", N_("a browser")),
                ),
            ),
        ),
        {"kind": "email"},
    ),
    Kind(
        "channel",
        "store",
        N_("Channels used"),
        N_("Was seen on {channel} in the last {in_last_days} days"),
        (
            Field("channel", "choice", N_("Channel"), _CHANNELS),
            Field("in_last_days", "number", N_("Days; empty for ever")),
        ),
        {"channel": "store"},
    ),
    Kind(
        "message",
        "send",
        N_("Our messages"),
        N_("Messages {did}: {op} {value}, {within}"),
        (
            Field(
                "did",
                "choice",
                N_("What"),
                (("sent", N_("received")), ("clicked", N_("clicked, by themselves"))),
            ),
            OP,
            VALUE,
            TO,
            *WINDOW,
            Field("channel", "choice", N_("Channel"), (("", N_("every channel")), *_BY)),
            Field("campaign", "text", N_("Campaign")),
        ),
        {"did": "clicked", "value": 1, "within": "30d"},
    ),
    Kind(
        "code",
        "ticket-percent",
        N_("Promo codes"),
        N_("Has a code {state} of offer {offer}, {within}"),
        (
            Field(
                "state",
                "choice",
                N_("State"),
                (
                    ("issued", N_("received")),
                    ("redeemed", N_("used")),
                    ("usable", N_("still usable")),
                    ("expiring", N_("about to expire")),
                ),
            ),
            Field("offer", "text", N_("Offer; empty for any")),
            Field("within", "choice", N_("Within"), _LENGTH),
        ),
        {"state": "usable"},
    ),
    Kind(
        "prediction",
        "calendar-days",
        N_("Predictions"),
        N_("Expected: {name} {op} {value}"),
        (
            Field(
                "name",
                "choice",
                N_("What"),
                (
                    ("churn_risk", N_("risk of no order for a year, from 0 to 1")),
                    ("order_probability_30d", N_("chance of an order within 30 days, from 0 to 1")),
                    ("expected_value_12m", N_("worth over 12 months")),
                    ("next_order_at", N_("next order")),
                    ("favourite_category", N_("favourite category")),
                    ("favourite_channel", N_("favourite channel")),
                    ("favourite_hour", N_("favourite hour")),
                    ("favourite_weekday", N_("favourite weekday, 1 is Monday")),
                ),
            ),
            Field("op", "choice", N_("Comparison"), _ANY, "at_least"),
            VALUE,
            TO,
        ),
        {"name": "churn_risk", "value": 0.5},
    ),
    Kind(
        "distance",
        "compass",
        N_("Near a store"),
        N_("Lives within {km} km of store {store}"),
        (
            Field("km", "number", N_("Kilometres")),
            Field("store", "text", N_("Store number; empty for any")),
            Field("latitude", "text", N_("Trait with the latitude"), default="latitude"),
            Field("longitude", "text", N_("Trait with the longitude"), default="longitude"),
        ),
        {"km": 20},
    ),
    Kind(
        "segment",
        "blend",
        N_("Another segment"),
        N_("Is in segment {name}"),
        (Field("name", "segment", N_("Segment")),),
        {"name": ""},
    ),
)
BY_TYPE = {kind.type: kind for kind in KINDS}
MONEY = frozenset(
    (("orders", "value"), ("orders", "average"), ("orders", "refunded"), ("prediction", "expected_value_12m"))
)
"""Kinds of rule, with what they measure, whose value is an amount."""


ASKS = {
    ("trait", "value"): "trait",
    ("event", "property"): "property",
    **{(kind.type, field.name): field.name for kind in KINDS for field in kind.fields if field.kind == "list"},
    ("message", "campaign"): "campaign",
    ("code", "offer"): "offer",
    ("distance", "store"): "stores",
}
"""What the shop's own data can offer for a field, by kind of rule and field."""


def is_money(rule: Mapping[str, Any]) -> bool:
    """Whether the value of a rule is an amount."""
    return (rule.get("type"), rule.get("measure") or rule.get("name")) in MONEY
