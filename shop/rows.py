"""Reads one row of a feed, field by field: each reader gives a clean value or says what is wrong. Pure."""

import math
import zoneinfo
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from urllib.parse import urlsplit

import orjson

from foundation.errors import Fault
from shop import handles, money, vocabulary

LONGEST_ID = 255
LONGEST_TEXT = 32 * 1024
LARGEST_QUANTITY = 2**31 - 1

Reader = Callable[[object], object]
"""Takes what was given, never None; raises `ValueError` with the rest of a sentence: "must be a number"."""


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a row and how it is read."""

    name: str
    reader: Reader
    required: bool = False


def read(fields: Sequence[Field], row: Mapping[str, object]) -> tuple[dict[str, object], list[Fault]]:
    """The clean values of the fields that were given, and every fault. A name no field has is a fault."""
    known = {field.name for field in fields}
    faults = [Fault(f"/{name}", "is not a known field") for name in row if name not in known]
    values: dict[str, object] = {}
    for field in fields:
        given = row.get(field.name)
        if given is None or given == "":
            if field.required:
                faults.append(Fault(f"/{field.name}", "is required"))
            elif field.name in row:
                values[field.name] = None
            continue
        try:
            values[field.name] = field.reader(given)
        except ValueError as error:
            faults.append(Fault(f"/{field.name}", str(error)))
    return values, faults


def text(value: object) -> str:
    """Text a database takes, trimmed: no NUL, no half of a surrogate pair, at most 32 KB."""
    if not isinstance(value, str):
        raise ValueError("must be text")
    if "\0" in value:
        raise ValueError("contains a NUL character")
    try:
        length = len(value.encode())
    except UnicodeEncodeError:
        raise ValueError("is not valid Unicode") from None
    if length > LONGEST_TEXT:
        raise ValueError("is longer than 32 KB")
    return value.strip()


def identifier(value: object) -> str:
    """An id as the shop writes it; whole numbers are taken for their digits."""
    if isinstance(value, int | float) and not isinstance(value, bool) and value == math.floor(value):
        value = str(int(value))
    clean = text(value)
    if not clean or len(clean) > LONGEST_ID:
        raise ValueError(f"must have 1 to {LONGEST_ID} characters")
    if not clean.isprintable() and any(character < " " or character == "\x7f" for character in clean):
        raise ValueError("holds a control character")
    return clean


def short(value: object) -> str:
    """A name or title: one line of at most 1,000 characters."""
    clean = " ".join(text(value).split())
    if len(clean) > 1000:
        raise ValueError("is longer than 1,000 characters")
    return clean


def whole(value: object) -> int:
    """A whole number that fits a quantity, as a number or as text; `2.0` is 2."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError("must be a whole number")
    try:
        number = float(value)
    except (ValueError, OverflowError):
        raise ValueError("must be a whole number") from None
    if not math.isfinite(number) or number != math.floor(number):
        raise ValueError("must be a whole number")
    if not -LARGEST_QUANTITY <= number <= LARGEST_QUANTITY:
        raise ValueError("is too large a number")
    return int(number)


def quantity(value: object) -> int:
    """A whole number of pieces, 0 or more."""
    number = whole(value)
    if number < 0:
        raise ValueError("must not be negative")
    return number


def between(lowest: float, highest: float) -> Reader:
    """A reader of decimal numbers within bounds."""

    def number(value: object) -> float:
        try:
            given = float(value) if isinstance(value, int | float | str) else math.nan
        except (ValueError, OverflowError):
            given = math.nan
        if not lowest <= given <= highest:
            raise ValueError(f"must be a number from {lowest:g} to {highest:g}")
        return given

    return number


def amount(value: object) -> str:
    """A price with a decimal point, 0 or more; kept as text until its currency is known."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError("must be an amount such as 19.99")
    if money.minor(str(value), None) < 0:
        raise ValueError("must not be negative")
    return str(value)


def currency(value: object) -> str:
    """An ISO 4217 code."""
    code = text(value).upper()
    if len(code) != 3 or not code.isascii() or not code.isalpha():
        raise ValueError("must be a currency code such as EUR")
    return code


def one_of(words: Iterable[str]) -> Reader:
    """A reader of words from a closed list."""
    known = tuple(words)

    def word(value: object) -> str:
        given = text(value).lower()
        if given not in known:
            raise ValueError(f"must be one of: {', '.join(known)}")
        return given

    return word


def moment(value: object) -> datetime:
    """A time in ISO 8601, UTC unless it says otherwise, not before the year 2000."""
    given = value.replace(tzinfo=value.tzinfo or UTC) if isinstance(value, datetime) else vocabulary.moment(value)
    if given is None:
        raise ValueError("is not an ISO 8601 time")
    if given < vocabulary.EARLIEST:
        raise ValueError("is before the year 2000")
    return given


def email(value: object) -> str:
    """An e-mail address in its one form."""
    address = handles.email(value)
    if address is None:
        raise ValueError("must be an e-mail address")
    return address


def year(value: object) -> int:
    """A year of birth."""
    number = whole(value)
    if not 1850 <= number <= 2100:
        raise ValueError("must be a year")
    return number


def flag(value: object) -> bool:
    """Yes or no, in the ways feeds write it."""
    if isinstance(value, bool):
        return value
    word = str(value).strip().lower()
    if word in ("true", "t", "1", "yes", "y"):
        return True
    if word in ("false", "f", "0", "no", "n"):
        return False
    raise ValueError("must be true or false")


def json_object(value: object) -> dict[str, object]:
    """A JSON object, given as one or as text."""
    try:
        given = orjson.loads(value) if isinstance(value, str) else value
        packed = orjson.dumps(given)
    except (orjson.JSONDecodeError, orjson.JSONEncodeError):
        raise ValueError("must be a JSON object") from None
    if not isinstance(given, dict):
        raise ValueError("must be a JSON object")
    if b"\\u0000" in packed:
        raise ValueError("contains a NUL character")
    if len(packed) > LONGEST_TEXT:
        raise ValueError("is longer than 32 KB")
    return given


def link(value: object) -> str:
    """A web address, or a path on the shop's own site. Nothing that a browser would run."""
    address = vocabulary.unescaped(text(value))
    try:
        parts = urlsplit(address)
    except ValueError:
        raise ValueError("must be a web address") from None
    relative = not parts.scheme and not parts.netloc and address.startswith("/")
    if not relative and not (parts.scheme in ("http", "https") and parts.netloc):
        raise ValueError("must be a web address starting with https:// or http://")
    return address


def path(value: object) -> str:
    """A category path: its parts between `>`, written with single spaces."""
    parts = [" ".join(part.split()) for part in text(value).split(">")]
    return " > ".join(part for part in parts if part)[:1000]


def timezone(value: object) -> str:
    """The IANA name of a time zone."""
    name = text(value)
    if name not in _zones():
        raise ValueError("must be a time zone such as Europe/Paris")
    return name


@cache
def _zones() -> frozenset[str]:
    return frozenset(zoneinfo.available_timezones())


def json_text(value: str) -> str:
    """The text as a JSON string."""
    return orjson.dumps(value).decode()
