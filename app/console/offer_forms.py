"""An offer as a form, and a form as an offer: amounts as people write them, lists a line each, days of the calendar.

A field is named by the JSON pointer of what it holds, so that each fault finds its field.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, time, timedelta, tzinfo
from decimal import Decimal
from typing import Any

from app.console import forms
from app.console.forms import Form
from campaigns.definitions import offers as definitions
from campaigns.definitions.offers import Offer
from shop import money
from shop.tables import CHANNELS

AMOUNTS = ("minimum", "budget")
LISTS = ("categories", "stores")
TEXTS = ("name", "kind", "currency", "product", "codes", "prefix", "when_empty", "fallback")
WHOLE = ("valid_days", "alert_below")
TICKS = ("once_per_customer", "holder_only", "stackable")
DAYS = ("starts_at", "ends_at")

NEW = Offer(name="x", kind="percentage", value=1000)
"""What an empty form begins with; its name is left out."""


def of_offer(offer: Offer, *, zone: tzinfo) -> Form:
    """The form of an offer as it stands; days are those of the reader's clock."""
    values = {f"/{name}": str(getattr(offer, name) or "") for name in (*TEXTS, *WHOLE)}
    values |= {f"/{name}": "on" if getattr(offer, name) else "" for name in TICKS}
    values |= {f"/{name}": "\n".join(getattr(offer, name)) for name in LISTS}
    values |= {f"/{name}": _amount(getattr(offer, name), offer.currency) for name in AMOUNTS}
    values |= {f"/channels/{name}": "on" if name in offer.channels else "" for name in CHANNELS}
    values["/value"] = _percent(offer.value) if offer.kind == "percentage" else _amount(offer.value, offer.currency)
    values["/margin_floor"] = _percent(offer.margin_floor)
    values["/starts_at"] = offer.starts_at.astimezone(zone).date().isoformat() if offer.starts_at else ""
    last = offer.ends_at - timedelta(seconds=1) if offer.ends_at else None
    values["/ends_at"] = last.astimezone(zone).date().isoformat() if last else ""
    return Form(values)


def empty(*, zone: tzinfo) -> Form:
    """The form of a new offer."""
    return Form({**of_offer(NEW, zone=zone).values, "/name": ""})


def definition_of(given: Mapping[str, str], *, zone: tzinfo) -> dict[str, Any]:
    """What a form asks for, as JSON; what is no number or day stays text, so that its fault is found too."""
    values = {name.removeprefix("/"): text.replace("\r\n", "\n").strip() for name, text in given.items()}
    currency = values.get("currency", "").upper()
    asked: dict[str, Any] = {name: values[name] for name in TEXTS if values.get(name)}
    asked |= {"currency": currency} if currency else {}
    asked |= {name: forms.number(values[name]) for name in WHOLE if values.get(name)}
    asked |= {name: values.get(name) == "on" for name in TICKS}
    asked |= {name: _lines(values[name]) for name in LISTS if values.get(name)}
    asked |= {name: _minor(values[name], currency) for name in AMOUNTS if values.get(name)}
    asked["channels"] = [name for name in CHANNELS if values.get(f"channels/{name}") == "on"]
    if values.get("value"):
        percent = values.get("kind") == "percentage"
        asked["value"] = _hundredths(values["value"]) if percent else _minor(values["value"], currency)
    if values.get("margin_floor"):
        asked["margin_floor"] = _hundredths(values["margin_floor"])
    asked |= {name: _moment(values[name], zone, end=name == "ends_at") for name in DAYS if values.get(name)}
    return asked


def parse(given: Mapping[str, str], *, zone: tzinfo) -> Offer:
    """The offer a form asks for; raises `Invalid` with each fault at its field."""
    return definitions.parse(definition_of(given, zone=zone))


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text.split("\n") if line.strip()]


def _amount(minor: int | None, currency: str) -> str:
    return f"{money.decimal(minor, currency):f}" if minor else ""


def _percent(hundredths: int | None) -> str:
    return f"{Decimal(hundredths) / 100:f}" if hundredths else ""


def _minor(text: str, currency: str) -> int | str:
    try:
        return money.minor(_plain(text), currency)
    except ValueError:
        return text


def _hundredths(text: str) -> int | str:
    try:
        return money.minor(_plain(text).removesuffix("%"), "EUR")
    except ValueError:
        return text


def _plain(text: str) -> str:
    return re.sub(r"\s", "", text).replace(",", ".")


def _moment(text: str, zone: tzinfo, *, end: bool) -> str:
    """The first moment of a day, or the first that no longer belongs to it."""
    try:
        day = datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC).date()
    except ValueError:
        return text
    midnight = datetime.combine(day + timedelta(days=1) if end else day, time(), tzinfo=zone)
    return midnight.astimezone(UTC).isoformat()
