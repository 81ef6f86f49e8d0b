"""How money, numbers, shares, dates and sentences are written for people, in French and in English.

Spaces in the results are the typographer's: U+202F before `: ; ! ? % €` and between thousands in French, U+00A0
between a number and its unit; a minus is a real minus. Callers write plain text and never add them by hand. What was
written once is remembered: a campaign writes the same few prices and days a million times.
"""

import re
from datetime import date as Date
from datetime import datetime, tzinfo
from decimal import Decimal
from functools import lru_cache

from babel import dates, numbers

NARROW = "\u202f"
HARD = "\u00a0"
MINUS = "\u2212"

_BEFORE = re.compile(r"[ \u00a0\u202f]+([:;!?%€»])(?!\w*//)")
_AFTER = re.compile(r"«[ \u00a0\u202f]*")
_APOSTROPHE = re.compile(r"(?<=\w)'(?=\w)")
_UNIT = re.compile(r"(?<=\d) (?=(?:cm|mm|kg|g|h|min|s|j|L|ml|cl|pts?|Mo|Go|ms)\b)")

_DATES = {
    "short": "d MMM",
    "medium": "d MMM y",
    "long": "d MMMM y",
    "full": "EEEE d MMMM y",
    "weekday": "EEEE",
    "weekday_long": "EEEE d MMMM",
    "weekday_day": "EEE d MMM",
}


@lru_cache(maxsize=16_384)
def money(minor: int, currency: str | None, locale: str) -> str:
    """`123450, EUR` → `1 234,50 €` or `€1,234.50`. Without a currency, euros are meant."""
    code = currency or "EUR"
    exponent = numbers.get_currency_precision(code)
    amount = Decimal(abs(minor)).scaleb(-exponent)
    text = numbers.format_currency(amount, code, locale=_locale(locale))
    return _signed(_spaced(text, locale), negative=minor < 0)


def short_money(minor: int, currency: str | None, locale: str) -> str:
    """`12345678, EUR` → `123 k€` or `€123k`: for the axis of a chart."""
    code = currency or "EUR"
    amount = abs(minor) / 10 ** numbers.get_currency_precision(code)
    sign = numbers.get_currency_symbol(code, locale=_locale(locale))
    thousands = amount >= 10_000
    text = number(round(amount / 1000) if thousands else round(amount), locale)
    unit = "k" if thousands else ""
    said = f"{text}{NARROW}{unit}{sign}" if locale.startswith("fr") else f"{sign}{text}{unit}"
    return _signed(said, negative=minor < 0)


@lru_cache(maxsize=16_384)
def number(value: int | float | Decimal, locale: str, *, digits: int = 0) -> str:
    """`12480` → `12 480` or `12,480`."""
    pattern = "#,##0" + ("." + "0" * digits if digits else "")
    size: int | float | Decimal = -value if value < 0 else value
    text = numbers.format_decimal(size, format=pattern, locale=_locale(locale))
    return _signed(_spaced(text, locale), negative=value < 0)


def percent(share: float | Decimal, locale: str, *, digits: int = 1) -> str:
    """`0.987` → `98,7 %` or `98.7%`."""
    text = number(share * 100, locale, digits=digits)
    return f"{text}{NARROW}%" if locale.startswith("fr") else f"{text}%"


def date(value: Date | datetime, locale: str, *, style: str = "short", zone: tzinfo | None = None) -> str:
    """A day: short `21 nov.`, medium `21 nov. 2026`, long `21 novembre 2026`, full `samedi 21 novembre 2026`.

    `weekday` is `samedi`; `weekday_long` is `samedi 21 novembre`, `weekday_day` `sam. 21 nov.`.
    """
    return _day(value.astimezone(zone).date() if isinstance(value, datetime) else value, locale, style)


@lru_cache(maxsize=4_096)
def _day(day: Date, locale: str, style: str) -> str:
    text = dates.format_date(day, _DATES[style], locale=_locale(locale))
    first = day.day == 1 and locale.startswith("fr")
    return re.sub(r"\b1 ", "1er ", text, count=1) if first else text


def time(value: datetime, locale: str, *, zone: tzinfo | None = None) -> str:
    """An hour of the day: `18 h 37`, or `18:37` in English."""
    moment = value.astimezone(zone)
    if locale.startswith("fr"):
        return f"{moment.hour}{HARD}h{HARD}{moment.minute:02}"
    return f"{moment.hour:02}:{moment.minute:02}"


def moment(value: datetime, locale: str, *, zone: tzinfo | None = None) -> str:
    """A day and an hour: `21 nov., 18 h 37`, or `21 Nov, 18:37`."""
    return f"{date(value, locale, zone=zone)}, {time(value, locale, zone=zone)}"


@lru_cache(maxsize=16_384)
def typeset(text: str, locale: str) -> str:
    """A sentence with the spaces and apostrophes its language wants; other languages are left as they are."""
    if not locale.startswith("fr"):
        return text
    spaced = _BEFORE.sub(NARROW + r"\1", text)
    return _UNIT.sub(HARD, _APOSTROPHE.sub("’", _AFTER.sub("«" + NARROW, spaced)))


def _locale(locale: str) -> str:
    """Babel's name: English here is written as in Britain, day before month."""
    return "fr_FR" if locale.startswith("fr") else "en_GB"


def _spaced(text: str, locale: str) -> str:
    return re.sub(r"[ \u00a0]", NARROW, text) if locale.startswith("fr") else text


def _signed(text: str, *, negative: bool) -> str:
    return f"{MINUS}{text}" if negative else text
