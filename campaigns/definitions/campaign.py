"""Campaigns as typed values: parsing what a marketer wrote, and every fault with its place."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from campaigns import wording
from foundation.errors import Fault, Invalid

LOCALES = ("en", "fr")
KIND = "cart_abandonment"

FIELDS = (
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
    "cart.value",
    "cart.count",
    "cart.first_title",
    "cart.lines",
    "cart.left_on",
    "code.text",
    "code.offer",
    "code.saving",
    "code.expires",
    "shop.name",
)
"""What a marketer may write between double braces."""


@dataclass(frozen=True, slots=True)
class Words:
    """One language's version of the message, with merge fields."""

    subject: str
    heading: str
    intro: str


@dataclass(frozen=True, slots=True)
class CartAbandonment:
    """A cart gone quiet is followed by one e-mail, unless it was bought meanwhile."""

    delay_minutes: int
    expires_hours: int
    holdout_percent: float
    offer: str | None
    placement: str
    products: int
    words: Mapping[str, Words]

    def words_for(self, locale: str | None) -> tuple[str, Words]:
        """The version in the customer's language, else in the first there is."""
        language = (locale or "")[:2].lower()
        chosen = language if language in self.words else next(iter(self.words))
        return chosen, self.words[chosen]


_KEYS = ("kind", "delay_minutes", "expires_hours", "holdout_percent", "offer", "placement", "products", "words")


def parse(value: object) -> CartAbandonment:
    """Reads a definition as it stands in a file, a form or the database; raises `Invalid` with every fault."""
    if not isinstance(value, Mapping):
        raise Invalid(Fault("", "must be an object"))
    faults = [Fault(f"/{name}", "is not known") for name in value if name not in _KEYS]
    if value.get("kind", KIND) != KIND:
        faults.append(Fault("/kind", f"must be {KIND}"))
    definition = CartAbandonment(
        delay_minutes=_whole(value, "delay_minutes", low=1, high=7 * 24 * 60, default=60, faults=faults),
        expires_hours=_whole(value, "expires_hours", low=1, high=30 * 24, default=48, faults=faults),
        holdout_percent=_share(value, "holdout_percent", faults),
        offer=_text(value, "offer", faults),
        placement=_text(value, "placement", faults) or "email",
        products=_whole(value, "products", low=0, high=12, default=3, faults=faults),
        words=_words(value.get("words"), faults),
    )
    if faults:
        raise Invalid(*faults)
    return definition


def dump(definition: CartAbandonment) -> dict[str, Any]:
    """The definition as JSON; `parse(dump(d)) == d`."""
    return {
        "kind": KIND,
        "delay_minutes": definition.delay_minutes,
        "expires_hours": definition.expires_hours,
        "holdout_percent": definition.holdout_percent,
        "offer": definition.offer,
        "placement": definition.placement,
        "products": definition.products,
        "words": {
            locale: {"subject": words.subject, "heading": words.heading, "intro": words.intro}
            for locale, words in definition.words.items()
        },
    }


def _whole(value: Mapping[str, Any], name: str, *, low: int, high: int, default: int, faults: list[Fault]) -> int:
    given = value.get(name, default)
    if isinstance(given, bool) or not isinstance(given, int) or not low <= given <= high:
        faults.append(Fault(f"/{name}", f"must be a whole number from {low} to {high}"))
        return default
    return given


def _share(value: Mapping[str, Any], name: str, faults: list[Fault]) -> float:
    given = value.get(name, 0)
    if isinstance(given, bool) or not isinstance(given, int | float) or not 0 <= given <= 50:
        faults.append(Fault(f"/{name}", "must be a number from 0 to 50"))
        return 0.0
    return float(given)


def _text(value: Mapping[str, Any], name: str, faults: list[Fault]) -> str | None:
    given = value.get(name)
    if given is None or given == "":
        return None
    if not isinstance(given, str) or len(given) > 100 or not given.isprintable():
        faults.append(Fault(f"/{name}", "must be a text of at most 100 characters"))
        return None
    return given


def _words(value: object, faults: list[Fault]) -> dict[str, Words]:
    if not isinstance(value, Mapping) or not value:
        faults.append(Fault("/words", "must hold at least one language"))
        return {}
    versions: dict[str, Words] = {}
    for locale, version in value.items():
        if locale not in LOCALES:
            faults.append(Fault(f"/words/{_escape(locale)}", f"must be one of: {', '.join(LOCALES)}"))
        else:
            versions[locale] = _version(version, f"/words/{locale}", faults)
    return versions


def _version(value: object, place: str, faults: list[Fault]) -> Words:
    given = value if isinstance(value, Mapping) else {}
    faults.extend(
        Fault(f"{place}/{_escape(name)}", "is not known")
        for name in given
        if name not in ("subject", "heading", "intro")
    )
    return Words(*(_wording(given.get(name), f"{place}/{name}", faults) for name in ("subject", "heading", "intro")))


def _wording(text: object, place: str, faults: list[Fault]) -> str:
    if not isinstance(text, str) or not text.strip():
        faults.append(Fault(place, "must be a text"))
        return ""
    if any(not (letter.isprintable() or letter in "\n\t") for letter in text):
        faults.append(Fault(place, "holds a character that cannot be shown"))
        return ""
    if place.endswith("/subject") and "\n" in text:
        faults.append(Fault(place, "must stand on one line"))
    faults.extend(Fault(place, sentence) for sentence in wording.check(text, fields=FIELDS))
    return text


def _escape(name: object) -> str:
    return str(name).replace("~", "~0").replace("/", "~1")
