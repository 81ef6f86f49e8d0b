"""What tells one person from another: the handles an event carries, each in the one form we compare. Pure."""

import re
from collections.abc import Mapping
from datetime import date
from enum import StrEnum
from typing import Any, NamedTuple

import phonenumbers

from shop.vocabulary import Event

LONGEST = 255


class Kind(StrEnum):
    """Kinds of handle. A user id is the shop's own word and outweighs all others."""

    USER_ID = "user_id"
    ANONYMOUS_ID = "anonymous_id"
    EMAIL = "email"
    PHONE = "phone"
    CARD = "card"
    DEVICE = "device"


class Handle(NamedTuple):
    """One way to name one person."""

    kind: str
    value: str


_EMAIL = re.compile(
    r"[^@\s\x00-\x1f<>\",;:()\[\]\\]{1,64}@[^@\s\x00-\x1f<>\",;:()\[\]\\/]+\.[^@\s\x00-\x1f<>\",;:()\[\]\\/.]{2,}"
)
_CARD_TRAITS = ("loyalty_card", "loyaltyCard", "card")


def email(value: object) -> str | None:
    """An address as we compare it: lower case, no spaces around. None if it is none."""
    text = value.strip().lower() if isinstance(value, str) else ""
    return text if len(text) <= 254 and _EMAIL.fullmatch(text) else None


def phone(value: object, *, region: str | None = None) -> str | None:
    """A number in E.164. One without its country needs the `region` it was written in. None if it cannot be."""
    if not isinstance(value, str) or not 4 <= len(value) <= 40:
        return None
    try:
        number = phonenumbers.parse(value, region)
    except phonenumbers.NumberParseException:
        return None
    if not phonenumbers.is_possible_number(number):
        return None
    return str(phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164))


def card(traits: Mapping[str, Any]) -> str | None:
    """A loyalty card's number without its spaces and dashes."""
    for name in _CARD_TRAITS:
        value = traits.get(name)
        if isinstance(value, str | int) and not isinstance(value, bool):
            text = re.sub(r"[\s-]", "", str(value)).upper()
            if text and len(text) <= LONGEST and text.isprintable():
                return text
    return None


def device(event: Event) -> str | None:
    """The token by which an app on this device is reached."""
    described = event.context.get("device") if event.context else None
    token = described.get("token") if isinstance(described, dict) else None
    return token if isinstance(token, str) and 0 < len(token) <= 4096 and token.isprintable() else None


def weak(event: Event) -> list[Handle]:
    """Handles of a browser or device: several people may use one."""
    found = [Handle(Kind.ANONYMOUS_ID, event.anonymous_id)] if event.anonymous_id else []
    token = device(event)
    return [*found, Handle(Kind.DEVICE, token)] if token else found


def describes_customer(event: Event) -> bool:
    """Whether its traits say who the customer is. Some SDKs repeat them on every call; a group's are the group's."""
    return bool(event.traits) and (event.type == "identify" or not (event.user_id or event.anonymous_id))


def strong(event: Event) -> list[Handle]:
    """Handles given in traits, which one person holds."""
    if not describes_customer(event):
        return []
    found = (
        (Kind.EMAIL, email(event.traits.get("email"))),
        (Kind.PHONE, phone(event.traits.get("phone"), region=_region(event.traits, event.context))),
        (Kind.CARD, card(event.traits)),
    )
    return [Handle(kind, value) for kind, value in found if value]


def _region(traits: Mapping[str, Any], context: Mapping[str, Any]) -> str | None:
    address = traits.get("address")
    country = address.get("country") if isinstance(address, dict) else traits.get("country")
    if isinstance(country, str) and len(country) == 2:
        return country.upper()
    locale = traits.get("locale") or context.get("locale")
    match = re.fullmatch(r"[a-z]{2}[-_]([A-Z]{2})", locale) if isinstance(locale, str) else None
    return match.group(1) if match else None


# ------------------------------------------------------------------------------------------------- traits
COLUMNS = ("email", "phone", "first_name", "last_name", "locale", "timezone", "birth_year")
"""Traits with a column of their own; the rest is kept together as sent."""


def columns(event: Event) -> tuple[dict[str, Any], dict[str, Any]]:
    """What an event says of its customer: values of `COLUMNS` (None if unsaid), and all other traits."""
    return described(event.traits, event.context)


def described(traits: Mapping[str, Any], context: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The same of traits, and of what was sent along with them."""
    first, last = _names(traits)
    known = {
        "email": email(traits.get("email")),
        "phone": phone(traits.get("phone"), region=_region(traits, context)),
        "first_name": first,
        "last_name": last,
        "locale": _word(traits.get("locale")) or _word(context.get("locale")),
        "timezone": _word(traits.get("timezone")) or _word(context.get("timezone")),
        "birth_year": _birth_year(traits),
    }
    other = {
        name: value
        for name, value in traits.items()
        if value is not None and (name not in _OWN_COLUMN or (name in known and known[name] is None))
    }
    if day := _birth_day(traits.get("birthday")):
        other["birthday"] = day
    return known, other


_OWN_COLUMN = frozenset((*COLUMNS, "firstName", "lastName", "birthday", "birthYear"))


def _names(traits: Mapping[str, Any]) -> tuple[str | None, str | None]:
    first = _word(traits.get("first_name") or traits.get("firstName"))
    last = _word(traits.get("last_name") or traits.get("lastName"))
    whole = _word(traits.get("name"))
    if whole and not (first or last):
        first, _, last = (part or None for part in whole.partition(" "))
    return first, last


def _word(value: object) -> str | None:
    text = value.strip() if isinstance(value, str) else ""
    return text if 0 < len(text) <= LONGEST else None


def _birth_day(value: object) -> str | None:
    """Month and day, as 11-23: enough to wish her well, and the year has a column of its own."""
    found = re.match(r"(?:\d{4}-|--)?(\d{2}-\d{2})(?!\d)", value) if isinstance(value, str) else None
    try:
        return date.fromisoformat(f"2000-{found[1]}").strftime("%m-%d") if found else None
    except ValueError:
        return None


def _birth_year(traits: Mapping[str, Any]) -> int | None:
    value = traits.get("birth_year") or traits.get("birthYear") or traits.get("birthday")
    try:
        year = date.fromisoformat(value[:10]).year if isinstance(value, str) and "-" in value else int(str(value))
    except ValueError:
        return None
    return year if 1850 <= year <= 2100 else None
