"""The fields of every kind of step, of the entry and of the campaign itself: what the builder's drawer shows."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from app.i18n import N_
from campaigns.definitions import blocks, entries, steps
from campaigns.definitions.campaign import Campaign, Canary, Goal
from shop.vocabulary import Name

Choices = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a drawer. `name` is the place within the step, with dots; `kind` says how it is typed:

    text, area, lines, number, value, duration, clock, day, moment, url, choice, checks, switch, event, offer, segment,
    store, topic, rule, words, tests, ways, variants, exits.
    """

    name: str
    kind: str
    label: str
    hint: str = ""
    choices: Choices = ()
    suffix: str = ""
    optional: bool = False


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of step: its icon, its name in the menu, the key that adds it, its fields, and what it begins as."""

    type: str
    icon: str
    title: str
    key: str
    fields: tuple[Field, ...]
    start: Mapping[str, Any] = field(default_factory=dict)
    id: str = ""


CHANNELS: Choices = (
    ("email", N_("E-mail")),
    ("push", N_("Push")),
    ("sms", N_("SMS")),
    ("onsite", N_("On site")),
    ("whatsapp", N_("WhatsApp")),
    ("best", N_("The channel each answers best")),
    ("audience_in", N_("Add to an audience")),
    ("audience_out", N_("Remove from an audience")),
)
SPEAKING = tuple(one for one in CHANNELS if one[0] in ("email", "push", "sms", "onsite", "best"))
AUDIENCES = ("audience_in", "audience_out")
TEMPLATE = ("template.name", "template.values")
"""What a WhatsApp message has in the place of words."""
ZONES: Choices = (("customer", N_("the customer’s clock")), ("shop", N_("the shop’s clock")))
WEEKDAYS: Choices = (
    ("mon", N_("Monday")),
    ("tue", N_("Tuesday")),
    ("wed", N_("Wednesday")),
    ("thu", N_("Thursday")),
    ("fri", N_("Friday")),
    ("sat", N_("Saturday")),
    ("sun", N_("Sunday")),
)
ASKED: Choices = (
    ("nps", N_("would they recommend the shop, 0 to 10")),
    ("satisfaction", N_("how satisfied they are, 1 to 5")),
    ("stars", N_("how many stars they give, 1 to 5")),
)
KEYS: Choices = (
    ("none", N_("nothing: once at a time")),
    ("cart", N_("the basket it is about")),
    ("order", N_("the order it is about")),
    ("product", N_("the product it is about")),
    ("event", N_("every single event")),
)
SAME: Choices = (
    ("none", N_("whatever it is about")),
    ("cart", N_("about the same basket")),
    ("order", N_("about the same order")),
    ("product", N_("about the same product")),
)
TESTS: Choices = (
    ("is", N_("is")),
    ("is_not", N_("is not")),
    ("one_of", N_("is one of")),
    ("at_least", N_("at least")),
    ("at_most", N_("at most")),
    ("contains", N_("contains")),
    ("exists", N_("is given")),
    ("missing", N_("is missing")),
)
PLACEMENTS: Choices = (
    ("email", N_("E-mail")),
    ("cart", N_("Basket")),
    ("product", N_("Product page, similar")),
    ("together", N_("Product page, bought together")),
    ("buy_again", N_("Buy again")),
    ("trending", N_("Trending")),
    ("win_back", N_("Win back")),
    ("home", N_("Home page")),
)

WHERE = Field("where", "tests", N_("Only if"), N_("tests of the event’s properties"))
EVENT = Field("event", "event", N_("Event"))
EXPIRES = Field(
    "expires",
    "duration",
    N_("Too late after"),
    N_("Past this, the message is not sent and the customer goes on."),
)
AT = Field("at", "clock", N_("At"))
ZONE = Field("zone", "choice", N_("By"), choices=ZONES)

NO_CODE = Field(
    "no_code",
    "choice",
    N_("When there is no code"),
    choices=(
        ("", N_("as the offer says")),
        ("skip", N_("do not send")),
        ("fallback", N_("send the shared code")),
        ("without", N_("send without one")),
    ),
    optional=True,
)
GOALS: Choices = (
    ("buyers", N_("how many buy")),
    ("orders", N_("orders a person")),
    ("sales", N_("sales a person")),
    ("margin", N_("margin a person")),
    ("clicks", N_("how many click")),
)
TOPIC = Field("topic", "topic", N_("Topic"), N_("What it is about, so that customers may leave it out."), optional=True)
PROPERTIES = (
    "product_id",
    "name",
    "brand",
    "category",
    "price",
    "quantity",
    "value",
    "total",
    "revenue",
    "discount",
    "coupon",
    "currency",
    "order_id",
    "cart_id",
    "store_id",
    "query",
    "url",
)
"""Properties of the specification that tests are mostly about."""

KINDS: tuple[Kind, ...] = (
    Kind(
        "send",
        "mail",
        N_("Send a message"),
        "E",
        (
            Field("channel", "choice", N_("Channel"), choices=CHANNELS),
            Field("words", "words", N_("Words")),
            Field("template.name", "text", N_("Template"), N_("As the gateway names it.")),
            Field("template.values", "lines", N_("Places"), N_("One a line, in their order."), optional=True),
            Field("offer", "offer", N_("Offer"), N_("One code a customer, kept if they already hold one.")),
            NO_CODE,
            Field("products", "number", N_("Recommended products"), N_("None to leave the block out."), suffix="0–12"),
            Field("placement", "choice", N_("Chosen as for"), choices=PLACEMENTS),
            Field("reviews", "switch", N_("Add what others say of the product")),
            Field(
                "link", "url", N_("The button leads to"), N_("Empty: back to the basket or the product."), optional=True
            ),
            EXPIRES,
            Field("audience", "text", N_("Audience"), N_("For adding to an audience, or removing."), optional=True),
        ),
        {"channel": "email"},
        "message",
    ),
    Kind(
        "wait",
        "clock",
        N_("Wait"),
        "W",
        (Field("duration", "duration", N_("For")),),
        {"duration": "1d"},
        "wait",
    ),
    Kind(
        "wait_until",
        "calendar",
        N_("Wait for an hour"),
        "U",
        (AT, Field("weekdays", "checks", N_("On"), N_("None chosen: any day."), WEEKDAYS), ZONE),
        {"at": "09:00"},
        "hour",
    ),
    Kind(
        "wait_for",
        "hourglass",
        N_("Wait for an event"),
        "F",
        (EVENT, WHERE, Field("timeout", "duration", N_("At most"))),
        {"event": "Message Clicked", "timeout": "22h"},
        "event",
    ),
    Kind(
        "split",
        "split",
        N_("Go different ways"),
        "S",
        (Field("branches", "ways", N_("Ways")),),
        {"branches": [{"name": "", "when": {"type": "all", "of": []}}]},
        "split",
    ),
    Kind(
        "experiment",
        "flask-conical",
        N_("Try variants by chance"),
        "X",
        (
            Field("variants", "variants", N_("Variants")),
            Field("winner.goal", "choice", N_("The better one has more of"), choices=GOALS),
            Field("winner.people", "number", N_("Settled with at least"), suffix=N_("people each")),
            Field("winner.conversions", "number", N_("And at least"), suffix=N_("conversions each")),
            Field("winner.days", "number", N_("And after"), suffix=N_("days")),
            Field("winner.automatic", "switch", N_("Newcomers then go its way by themselves")),
        ),
        {"variants": [{"name": "a"}, {"name": "b"}]},
        "experiment",
    ),
    Kind(
        "ask",
        "star",
        N_("Ask a question"),
        "Q",
        (
            Field("kind", "choice", N_("Question"), choices=ASKED),
            Field("channel", "choice", N_("Channel"), choices=SPEAKING),
            Field("words", "words", N_("Words")),
            Field("comment", "switch", N_("Let them add a comment")),
            Field(
                "alert_at_most",
                "number",
                N_("Alert up to"),
                N_("An answer this low is shown on the home page."),
                optional=True,
            ),
            EXPIRES,
        ),
        {"kind": "nps", "words": {"en": {"intro": ""}, "fr": {"intro": ""}}},
        "question",
    ),
    Kind(
        "set_trait",
        "id-card",
        N_("Write a trait"),
        "T",
        (Field("trait", "text", N_("Trait")), Field("value", "value", N_("Value"))),
        {"trait": "", "value": ""},
        "trait",
    ),
    Kind(
        "webhook",
        "globe",
        N_("Tell another program"),
        "P",
        (Field("url", "url", N_("Address")), Field("note", "area", N_("Note passed on"), optional=True)),
        {"url": "https://"},
        "call",
    ),
    Kind("exit", "log-out", N_("End here"), "O", (), {}, "end"),
)
BY_TYPE = {kind.type: kind for kind in KINDS}

ENTRIES: tuple[Kind, ...] = (
    Kind(
        "cart_abandoned",
        "shopping-basket",
        N_("A basket is left behind"),
        "",
        (
            Field("delay", "duration", N_("Untouched for")),
            Field("within", "duration", N_("Not if longer ago than")),
        ),
    ),
    Kind(
        "product_abandoned",
        "eye",
        N_("A product is looked at and left"),
        "",
        (Field("delay", "duration", N_("Left for")), Field("views", "number", N_("Looked at so many times"))),
    ),
    Kind(
        "event",
        "activity",
        N_("Something happens"),
        "",
        (
            EVENT,
            WHERE,
            Field("key", "choice", N_("What tells two entries apart"), choices=KEYS),
            Field("reset", "switch", N_("Begin the first wait anew when it happens again")),
        ),
        {"event": str(Name.ORDER_COMPLETED)},
    ),
    Kind(
        "segment_entered",
        "log-in",
        N_("They come into a segment"),
        "",
        (Field("segment", "segment", N_("Segment")),),
        {"segment": ""},
    ),
    Kind(
        "segment_left",
        "log-out",
        N_("They leave a segment"),
        "",
        (Field("segment", "segment", N_("Segment")),),
        {"segment": ""},
    ),
    Kind(
        "back_in_stock",
        "package-check",
        N_("A product is back in stock"),
        "",
        (Field("interest", "duration", N_("Interested within")),),
    ),
    Kind(
        "price_dropped",
        "arrow-down",
        N_("A price drops"),
        "",
        (
            Field("percent", "number", N_("By at least"), suffix="%"),
            Field("interest", "duration", N_("Interested within")),
        ),
    ),
    Kind(
        "schedule",
        "calendar-days",
        N_("At a moment, for a whole audience"),
        "",
        (
            Field(
                "every",
                "choice",
                N_("How often"),
                choices=(
                    ("once", N_("once")),
                    ("day", N_("every day")),
                    ("week", N_("every week")),
                    ("month", N_("every month")),
                ),
            ),
            Field("on", "day", N_("First on")),
            AT,
            ZONE,
            Field("audience", "rule", N_("Audience")),
        ),
        {"on": "", "audience": {"type": "all", "of": []}},
    ),
    Kind(
        "date",
        "calendar",
        N_("Before or after a date of theirs"),
        "",
        (
            Field("trait", "text", N_("Trait that holds the date")),
            Field("days_before", "number", N_("Days before"), N_("Below zero: after it.")),
            Field("every", "choice", N_("How often"), choices=(("year", N_("every year")), ("once", N_("once")))),
            AT,
            ZONE,
            Field("audience", "rule", N_("Only these customers"), optional=True),
        ),
        {"trait": "birthday"},
    ),
)
ENTRY = {kind.type: kind for kind in ENTRIES}

SETTINGS: tuple[Field, ...] = (
    Field("title", "text", N_("Title")),
    Field(
        "holdout_percent",
        "number",
        N_("Left alone, to compare with"),
        N_("Drawn by chance: only against them can one say what the campaign causes."),
        suffix="%",
    ),
    Field(
        "reentry.rule",
        "choice",
        N_("May they come in again"),
        choices=(
            ("never", N_("never")),
            ("after", N_("after some days")),
            ("each_key", N_("for each basket, order, product or day")),
        ),
    ),
    Field("reentry.days", "number", N_("After so many days"), optional=True),
    Field("goal.event", "event", N_("Goal, which ends it at any time"), N_("Empty: no goal.")),
    Field(
        "goal.within", "duration", N_("Counted for"), N_("Empty: the attribution window of the house."), optional=True
    ),
    Field("goal.where", "tests", N_("Only if")),
    Field("goal.same", "choice", N_("Goal is"), choices=SAME),
    Field("exit_on", "exits", N_("It also ends when")),
    Field("starts_at", "moment", N_("Takes nobody in before"), optional=True),
    Field("ends_at", "moment", N_("Takes nobody in after"), optional=True),
    Field(
        "canary.messages",
        "number",
        N_("Messages that leave first, alone"),
        N_("The others follow if nothing went wrong with those. Empty: all at once."),
        suffix="10–5000",
        optional=True,
    ),
    Field("canary.wait", "duration", N_("The others wait"), optional=True),
    Field("priority", "number", N_("Priority"), N_("Where several want the same customer; 0 to 100."), suffix="0–100"),
    Field(
        "purpose",
        "choice",
        N_("Purpose"),
        choices=(("marketing", N_("offers and news")), ("transactional", N_("a service message"))),
    ),
    TOPIC,
)

MODELS: Mapping[str, Any] = {
    "wait": steps.Wait,
    "wait_until": steps.WaitUntil,
    "wait_for": steps.WaitFor,
    "split": steps.Split,
    "experiment": steps.Experiment,
    "send": steps.Send,
    "ask": steps.Ask,
    "set_trait": steps.SetTrait,
    "webhook": steps.Webhook,
    "exit": steps.Exit,
    "event": entries.EventEntry,
    "segment_entered": entries.SegmentEntry,
    "segment_left": entries.SegmentEntry,
    "cart_abandoned": entries.CartAbandoned,
    "product_abandoned": entries.ProductAbandoned,
    "back_in_stock": entries.BackInStock,
    "price_dropped": entries.PriceDropped,
    "schedule": entries.Schedule,
    "date": entries.DateEntry,
    "header": blocks.Header,
    "text": blocks.Written,
    "image": blocks.Image,
    "button": blocks.Button,
    "product": blocks.Product,
    "basket": blocks.Basket,
    "products": blocks.Products,
    "code": blocks.Code,
    "reviews": blocks.Reviews,
    "store": blocks.Store,
    "question": blocks.Question,
}


def value(of: Mapping[str, Any], name: str) -> Any:
    """What a field holds: what was typed, else what goes without saying; None when neither."""
    here: Any = of
    for part in name.split("."):
        here = here.get(part) if isinstance(here, Mapping) else None
    return default(of, name) if here is None else here


def default(of: Mapping[str, Any], name: str) -> Any:
    """What goes without saying; None where a field must be filled."""
    if name.startswith("goal."):
        return None if of.get("goal", "") is None else _of_model(Goal, name.removeprefix("goal."))
    if name.startswith("canary."):
        return _of_model(Canary, name.removeprefix("canary.")) if of.get("canary") is not None else None
    if name.startswith("reentry."):
        return _of_model(entries.Reentry, name.removeprefix("reentry."))
    if name.startswith("winner."):
        return _of_model(steps.Winner, name.removeprefix("winner."))
    return _of_model(MODELS.get(str(of.get("type")), Campaign), name)


def _of_model(model: Any, name: str) -> Any:
    found = model.model_fields.get(name)
    return None if found is None or found.is_required() else found.get_default()
