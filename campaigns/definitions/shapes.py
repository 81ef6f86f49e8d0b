"""What every definition is made of: the base of its models, lengths of time, property tests, and faults with places."""

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from enum import StrEnum
from typing import Annotated, Any, TypeVar

import orjson
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, ValidationError
from pydantic_core import ErrorDetails

from foundation.errors import Fault, Invalid

DEPTH = 60
"""How deep a definition may be nested, counted in objects and lists."""
LONGEST = timedelta(days=400)
_UNITS = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}

M = TypeVar("M", bound="Shape")


class Shape(BaseModel):
    """A part of a definition: frozen, and nothing in it that is not known."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


def _length(text: str) -> str:
    if not timedelta(0) < length(text) <= LONGEST:
        raise ValueError("must be from 1m to 400d")
    return text


Duration = Annotated[
    str,
    StringConstraints(pattern=r"^[0-9]{1,6}[mhdw]$"),
    AfterValidator(_length),
    Field(description="a length of time: 30m, 20h, 3d or 2w", examples=["30m", "20h", "3d"]),
]
"""A length of time as people write it; `length` reads it."""

Line = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$")]
"""A text on one line."""
Word = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$")]
"""A short name: small letters, digits, dashes."""
Clock = Annotated[str, StringConstraints(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$")]
"""An hour of the day, as 09:30."""


def length(duration: str) -> timedelta:
    """The time a `Duration` stands for."""
    return int(duration[:-1]) * _UNITS[duration[-1]]


# --------------------------------------------------------------------------------------- property tests
class Op(StrEnum):
    """How a property is compared."""

    IS = "is"
    IS_NOT = "is_not"
    ONE_OF = "one_of"
    AT_LEAST = "at_least"
    AT_MOST = "at_most"
    CONTAINS = "contains"
    EXISTS = "exists"
    MISSING = "missing"


Scalar = bool | int | float | Annotated[str, StringConstraints(max_length=500)]


class Test(Shape):
    """One condition on a property of an event; `property` may lead into objects with dots."""

    property: Annotated[str, StringConstraints(min_length=1, max_length=200)]
    test: Op = Op.IS
    value: Scalar | tuple[Scalar, ...] | None = None


def holds(test: Test, properties: Mapping[str, Any]) -> bool:
    """Whether an event with these properties passes. What is missing passes only `missing` and `is_not`."""
    found: Any = properties
    for name in test.property.split("."):
        found = found.get(name) if isinstance(found, Mapping) else None
    if test.test in (Op.EXISTS, Op.MISSING):
        return (found is None) == (test.test is Op.MISSING)
    if found is None:
        return test.test is Op.IS_NOT
    return _compared(test, found)


def _compared(test: Test, found: Any) -> bool:
    match test.test:
        case Op.IS:
            return _text(found) == _text(test.value)
        case Op.IS_NOT:
            return _text(found) != _text(test.value)
        case Op.ONE_OF:
            return _text(found) in [_text(value) for value in _listed(test.value)]
        case Op.CONTAINS:
            held = [_text(one) for one in found] if isinstance(found, list) else str(found)
            return _text(test.value) in held
    number, limit = _number(found), _number(test.value)
    if number is None or limit is None:
        return False
    return number >= limit if test.test is Op.AT_LEAST else number <= limit


def _listed(value: object) -> Sequence[object]:
    return value if isinstance(value, tuple) else (value,)


def _text(value: object) -> str:
    """`1`, `1.0` and "1" are the same to a shop."""
    number = None if isinstance(value, bool) else _number(value)
    return f"{number:g}" if number is not None else str(value).lower() if isinstance(value, bool) else str(value)


def _number(value: object) -> float | None:
    try:
        return float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return None


# ------------------------------------------------------------------------------------------------ faults
def read(model: type[M], value: object) -> M:
    """The value as this model; raises `Invalid` with every fault, each with its JSON pointer."""
    odd = list(_odd(value))
    if odd:
        raise Invalid(*odd)
    try:
        return model.model_validate_json(orjson.dumps(value))
    except ValidationError as error:
        raise Invalid(*faults(error, value)) from None
    except TypeError:
        raise Invalid(Fault("", "must be JSON: objects, lists, texts, numbers")) from None


def faults(error: ValidationError, value: object) -> list[Fault]:
    """What pydantic found, one fault a place; `value` is what was given."""
    found: dict[str, Fault] = {}
    for one in error.errors(include_url=False, include_context=True):
        pointer = _pointer(one["loc"], value)
        found.setdefault(pointer, Fault(pointer, _sentence(one)))
    return list(found.values())


def _pointer(place: Sequence[int | str], value: object) -> str:
    """Only what is a key or an index of the value itself: pydantic also names the kind it took a step for."""
    pointer, here = "", value
    for position, part in enumerate(place):
        inside = isinstance(here, Mapping) and part in here
        inside |= isinstance(here, list | tuple) and isinstance(part, int) and part < len(here)
        if not inside and position < len(place) - 1:
            continue
        if not inside and (not isinstance(here, Mapping) or not isinstance(part, str) or "[" in part):
            continue
        pointer += "/" + escape(part)
        here = here[part] if inside else None  # type: ignore[index]
    return pointer


def escape(part: object) -> str:
    """A key as a JSON pointer writes it."""
    return str(part).replace("~", "~0").replace("/", "~1")


def _sentence(error: ErrorDetails) -> str:
    kind, context = error["type"], error.get("ctx", {})
    if kind == "value_error":
        return str(context["error"])
    if kind in ("union_tag_invalid", "union_tag_not_found"):
        return f"must be one of: {context['expected_tags']}" if "expected_tags" in context else "is needed"
    for shape, sentence in _SENTENCES.items():
        if re.fullmatch(shape, kind):
            return sentence.format(**context)
    return error["msg"][0].lower() + error["msg"][1:]


_SENTENCES = {
    "missing": "is needed",
    "extra_forbidden": "is not known",
    "literal_error|enum": "must be one of: {expected}",
    "string_type": "must be a text",
    "string_too_long": "must be a text of at most {max_length} characters",
    "string_too_short": "must be a text",
    "int_type|int_from_float|int_parsing": "must be a whole number",
    "float_type|float_parsing|finite_number": "must be a number",
    "bool_type": "must be true or false",
    "greater_than_equal": "must be at least {ge}",
    "less_than_equal": "must be at most {le}",
    "too_long": "must hold at most {max_length}",
    "too_short": "must hold at least {min_length}",
    "model_type|model_attributes_type|dict_type": "must be an object",
    "tuple_type|list_type": "must be a list",
    "string_pattern_mismatch": "must be written as {pattern}",
    "timezone_aware": "must name its time zone, as 2026-11-22T09:00:00+01:00",
    "datetime.*": "must be an ISO 8601 time",
}


def _odd(value: object, pointer: str = "", depth: int = 0) -> Iterator[Fault]:
    """Texts that no database keeps, and nesting that no reader follows."""
    if depth > DEPTH:
        yield Fault(pointer, "is nested too deep")
    elif isinstance(value, str):
        if any(letter == "\0" or "\ud800" <= letter <= "\udfff" for letter in value):
            yield Fault(pointer, "holds a character that cannot be shown")
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _odd(inner, f"{pointer}/{escape(key)}", depth + 1)
    elif isinstance(value, list | tuple):
        for position, inner in enumerate(value):
            yield from _odd(inner, f"{pointer}/{position}", depth + 1)
