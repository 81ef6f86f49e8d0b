"""A message's words as a marketer writes them, and the merge fields each kind of entry has to offer."""

from collections.abc import Collection, Mapping
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, StringConstraints

from campaigns.definitions import blocks
from campaigns.definitions.blocks import Blocks, Text
from campaigns.definitions.shapes import Line, Shape
from foundation.errors import Fault

LOCALES = ("en", "fr")
Locale = Literal["en", "fr"]

CUSTOMER_FIELDS = (
    "customer.first_name",
    "customer.last_name",
    "customer.predictions.next_order",
    "customer.predictions.order_probability",
    "customer.predictions.churn_risk",
    "customer.predictions.value",
    "customer.predictions.category",
    "customer.predictions.channel",
    "customer.predictions.hour",
    "customer.predictions.weekday",
    "shop.name",
)
CART_FIELDS = ("cart.value", "cart.count", "cart.first_title", "cart.lines", "cart.left_on")
PRODUCT_FIELDS = ("product.title", "product.price", "product.previous_price", "product.lowest_price")
CODE_FIELDS = ("code.text", "code.offer", "code.saving", "code.expires")
FIELDS = (*CUSTOMER_FIELDS, *CART_FIELDS, *PRODUCT_FIELDS, *CODE_FIELDS)
"""What a marketer may write between double braces, whatever the campaign."""


def usable(kind: str, about: str) -> tuple[str, ...]:
    """Those the words of a step of this kind may use, in a campaign about carts, products or neither."""
    own = {"cart": CART_FIELDS, "product": PRODUCT_FIELDS}.get(about, ())
    return (*CUSTOMER_FIELDS, *own, *(CODE_FIELDS if kind == "send" else ()))


Subject = Annotated[str, StringConstraints(max_length=2_000, pattern=r"^[^\r\n]*$"), AfterValidator(blocks.shown)]


class Words(Shape):
    """One language's version of a message, with merge fields. An SMS is its intro, a notification heading and intro.

    `blocks` are what an e-mail shows, in order; without them, heading, intro and whatever the message is about.
    `preheader` is what mail readers show beside the subject; without one, the first words.
    """

    subject: Subject = ""
    preheader: Subject = ""
    heading: Text = ""
    intro: Text = ""
    button: Line | None = None
    blocks: Blocks = ()


TEXTS = ("subject", "preheader", "heading", "intro")
"""The texts of a version that may hold merge fields, besides its blocks."""

Versions = Annotated[Mapping[Locale, Words], Field(min_length=1)]

NEEDED: Mapping[str, tuple[str, ...]] = {
    "email": ("subject", "heading", "intro"),
    "push": ("heading", "intro"),
    "sms": ("intro",),
    "whatsapp": (),
    "onsite": ("heading", "intro"),
    "best": ("subject", "heading", "intro"),
}
"""The texts each channel cannot do without."""


def spoken(versions: Mapping[Locale, Words], locale: str | None) -> tuple[str, Words]:
    """The version in the customer's language, else in the first there is."""
    language = (locale or "")[:2].lower()
    chosen = next((known for known in versions if known == language), next(iter(versions)))
    return chosen, versions[chosen]


def lacking(versions: Mapping[Locale, Words], *, channel: str, place: str) -> list[Fault]:
    """The texts this channel needs and that are empty."""
    return [
        Fault(f"{place}/{locale}/{name}", "must be a text")
        for locale, words in versions.items()
        for name in NEEDED.get(channel, ())
        if not getattr(words, name).strip() and not (words.blocks and channel == "email" and name != "subject")
    ]


def stores(versions: Mapping[Locale, Words]) -> frozenset[str]:
    """The stores any version names; an empty name is her own."""
    return frozenset(
        block.store for words in versions.values() for block in words.blocks if isinstance(block, blocks.Store)
    )


def texts(versions: Mapping[Locale, Words], *, place: str) -> Collection[tuple[str, str]]:
    """Every text with merge fields, with its place."""
    found = []
    for locale, words in versions.items():
        found += [(f"{place}/{locale}/{name}", getattr(words, name)) for name in TEXTS]
        found += [(f"{place}/{locale}/blocks/{where}", text) for where, text in blocks.texts(words.blocks)]
    return found
