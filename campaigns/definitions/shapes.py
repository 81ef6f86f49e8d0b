"""What every definition is made of: the base of its models, lengths of time, property tests, and faults with places."""

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from enum import StrEnum
from typing import Annotated, Any, TypeVar

import orjson
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, ValidationError
from pydantic_core import ErrorDetails

from foundation.errors import Fault, Invalid

DEPTH = 60
"""How deep a definition may be nested, counted in objects and lists."""
LONGEST = timedelta(days=400)
LONGEST_SCALAR = 500
"""Characters a value may have that is written or compared with."""
_UNITS = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}

M = TypeVar("M", bound="Shape")


class Shape(BaseModel):
    """A part of a definition: frozen, and nothing in it that is not known."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


def like(pattern: str, sentence: str) -> AfterValidator:
    """A text of this form, else the sentence: nobody should have to read a pattern."""

    def check(text: str) -> str:
        if not re.fullmatch(pattern, text):
            raise ValueError(sentence)
        return text

    return AfterValidator(check)


def _length(text: str) -> str:
    if not timedelta(0) < length(text) <= LONGEST:
        raise ValueError("must be from 1m to 400d")
    return text


def _schema(pattern: str, **more: Any) -> Any:
    return Field(json_schema_extra={"pattern": f"^{pattern}$", **more})


_DURATION, _LINE, _WORD = "[0-9]{1,6}[mhdw]", r"[^\x00-\x1f\x7f]{1,200}", "[a-z0-9][a-z0-9_-]{0,62}"
_CLOCK = "([01][0-9]|2[0-3]):[0-5][0-9]"

Duration = Annotated[
    str,
    like(_DURATION, "must be a length of time such as 30m, 20h, 3d or 2w"),
    AfterValidator(_length),
    _schema(_DURATION, description="a length of time: 30m, 20h, 3d or 2w"),
]
"""A length of time as people write it; `length` reads it."""

Line = Annotated[str, like(_LINE, "must be a text on one line, at most 200 characters"), _schema(_LINE)]
"""A text on one line."""
Word = Annotated[str, like(_WORD, "must be small letters, digits and dashes, at most 63"), _schema(_WORD)]
"""A short name: small letters, digits, dashes."""
Clock = Annotated[str, like(_CLOCK, "must be an hour such as 09:30"), _schema(_CLOCK)]
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


def _scalar(value: object) -> object:
    """Said here, for pydantic would say only what of four kinds it tried first."""
    if not isinstance(value, bool | int | float | str):
        raise ValueError("must be a text, a number, true or false")
    if isinstance(value, str) and len(value) > LONGEST_SCALAR:
        raise ValueError(f"must be a text of at most {LONGEST_SCALAR} characters")
    return value


Scalar = Annotated[
    bool | int | float | Annotated[str, StringConstraints(max_length=LONGEST_SCALAR)], BeforeValidator(_scalar)
]


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
            return _same(found, test.value)
        case Op.IS_NOT:
            return not _same(found, test.value)
        case Op.ONE_OF:
            return any(_same(found, value) for value in _listed(test.value))
        case Op.CONTAINS if isinstance(found, list):
            return any(_same(one, test.value) for one in found)
        case Op.CONTAINS:
            return _text(test.value) in _text(found)
    number, limit = _number(found), _number(test.value)
    if number is None or limit is None:
        return False
    return number >= limit if test.test is Op.AT_LEAST else number <= limit


def _listed(value: object) -> Sequence[object]:
    return value if isinstance(value, tuple) else (value,)


def _same(found: object, value: object) -> bool:
    """`1`, `1.0` and "1" are the same to a shop."""
    number, other = _number(found), _number(value)
    return number == other if number is not None and other is not None else _text(found) == _text(value)


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _number(value: object) -> float | None:
    if isinstance(value, bool):
        return None
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
        pointer = _pointer(one["loc"], value, named=one["type"] in ("missing", "extra_forbidden"))
        found.setdefault(pointer, Fault(pointer, _sentence(one)))
    # A list whose only element is refused counts as empty: the element's own fault says enough.
    return [one for one in found.values() if not (one.detail.startswith("must hold") and _beneath(one, found))]


def _beneath(fault: Fault, found: Mapping[str, Fault]) -> bool:
    return any(pointer.startswith(f"{fault.pointer}/") for pointer in found)


def _pointer(place: Sequence[int | str], value: object, *, named: bool) -> str:
    """Only what is a key or an index of the value itself: pydantic also names the kind it took a step for.

    `named`: the last part names what is not there.
    """
    pointer, here = "", value
    for position, part in enumerate(place):
        inside = isinstance(here, Mapping) and part in here
        inside |= isinstance(here, list | tuple) and isinstance(part, int) and part < len(here)
        if inside or named and position == len(place) - 1:
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
        return (
            f"must be one of: {context['expected_tags']}".replace("'", "")
            if "expected_tags" in context
            else "is needed"
        )
    for shape, sentence in _SENTENCES.items():
        if re.fullmatch(shape, kind):
            return sentence.format(**context).replace("'", "")
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
