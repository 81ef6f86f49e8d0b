"""The blocks of an e-mail as the message editor shows them: icon, name, key, fields, and what each begins as."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from app.console.journey_fields import NO_CODE, PLACEMENTS, Field
from app.i18n import N_


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of block. `fields` are its own, `message` those of the message it depends on; `empty` says why it may
    show nothing, and what to do."""

    type: str
    icon: str
    title: str
    key: str
    fields: tuple[Field, ...] = ()
    message: tuple[Field, ...] = ()
    start: Mapping[str, Any] = field(default_factory=dict)
    hint: str = ""
    empty: str = ""


OFFER = Field("offer", "offer", N_("Offer"), N_("One code a customer, kept if they already hold one."))
PRODUCTS = Field("products", "number", N_("Recommended products"), N_("None to leave the block out."), suffix="0–12")
PLACEMENT = Field("placement", "choice", N_("Chosen as for"), choices=PLACEMENTS)
REVIEWS = Field("reviews", "switch", N_("Add what others say of the product"))
LINK = Field("link", "url", N_("The button leads to"), N_("Empty: back to the basket or the product."), optional=True)

KINDS: tuple[Kind, ...] = (
    Kind(
        "header",
        "heading",
        N_("Header"),
        "H",
        (Field("online", "switch", N_("A link to read it in a browser")),),
        hint=N_("The shop’s name, as in the rules of the house."),
    ),
    Kind(
        "text",
        "type",
        N_("Heading and text"),
        "T",
        (
            Field("heading", "area", N_("Heading"), optional=True),
            Field("body", "area", N_("Text"), N_("An empty line begins a paragraph."), optional=True),
        ),
        empty=N_("Nothing is written here yet."),
    ),
    Kind(
        "image",
        "scan-eye",
        N_("Picture"),
        "I",
        (
            Field("url", "url", N_("Address of the picture"), N_("By https; 1,056 pixels wide is sharp everywhere.")),
            Field("alt", "text", N_("What is on it"), N_("For who does not see it, or does not load pictures.")),
            Field("link", "url", N_("Leads to"), optional=True),
        ),
        start={"url": "", "alt": ""},
    ),
    Kind(
        "button",
        "mouse-pointer-click",
        N_("Button"),
        "B",
        (
            Field("label", "text", N_("What it says"), optional=True),
            Field("link", "url", N_("Leads to"), N_("Empty: back to the basket or the product."), optional=True),
        ),
        empty=N_("It leads nowhere: give it an address."),
    ),
    Kind(
        "product",
        "eye",
        N_("Product it is about"),
        "P",
        empty=N_("The campaign is about no single product."),
    ),
    Kind("basket", "shopping-basket", N_("Basket"), "K", empty=N_("The campaign is not about a basket.")),
    Kind(
        "products",
        "layout-grid",
        N_("Recommended products"),
        "R",
        (
            Field("title", "text", N_("Title"), optional=True),
            Field("first", "number", N_("From the number"), suffix="1–12"),
            Field(
                "most",
                "number",
                N_("At most"),
                N_("Empty: what other such blocks leave."),
                suffix="1–12",
                optional=True,
            ),
        ),
        (PRODUCTS, PLACEMENT),
        empty=N_("The message asks for no products: say how many."),
    ),
    Kind(
        "code",
        "ticket-percent",
        N_("Promo code"),
        "C",
        (
            Field(
                "drawn",
                "choice",
                N_("Drawn as"),
                choices=(
                    ("bars", N_("bars, for tills")),
                    ("square", N_("a square, for telephones")),
                    ("letters", N_("letters alone")),
                ),
            ),
        ),
        (OFFER, NO_CODE),
        empty=N_("The message has no offer: choose one."),
    ),
    Kind(
        "reviews",
        "star",
        N_("What others say"),
        "W",
        message=(REVIEWS,),
        empty=N_("Opinions are not asked for: switch them on."),
    ),
    Kind("store", "store", N_("Shop near by"), "S", (Field("store", "store", N_("Shop"), optional=True),)),
    Kind("question", "message-square", N_("Question"), "Q", empty=N_("The message asks nothing.")),
)
BY_TYPE = {kind.type: kind for kind in KINDS}

MESSAGE: tuple[Field, ...] = (OFFER, NO_CODE, PRODUCTS, PLACEMENT, REVIEWS, LINK)
"""What a message carries, whatever its blocks; shown while no block is selected."""
EXPIRES = Field(
    "expires",
    "duration",
    N_("Too late after"),
    N_("Past this, the message is not sent and the customer goes on."),
)

FIELDS = {
    "customer.first_name": N_("first name"),
    "customer.last_name": N_("last name"),
    "customer.predictions.next_order": N_("expected next order"),
    "customer.predictions.order_probability": N_("chance of an order"),
    "customer.predictions.churn_risk": N_("risk of leaving"),
    "customer.predictions.value": N_("value over a year"),
    "customer.predictions.category": N_("favourite category"),
    "customer.predictions.channel": N_("favourite channel"),
    "customer.predictions.hour": N_("favourite hour"),
    "customer.predictions.weekday": N_("favourite day"),
    "shop.name": N_("name of the shop"),
    "cart.value": N_("value of the basket"),
    "cart.count": N_("articles in the basket"),
    "cart.first_title": N_("first article"),
    "cart.lines": N_("articles"),
    "cart.left_on": N_("day it was left"),
    "product.title": N_("product"),
    "product.price": N_("price"),
    "product.previous_price": N_("previous price"),
    "product.lowest_price": N_("lowest price of 30 days"),
    "code.text": N_("code"),
    "code.offer": N_("what the code takes off"),
    "code.saving": N_("saving"),
    "code.expires": N_("end of the code"),
}
"""The merge fields as they are called on screen."""
