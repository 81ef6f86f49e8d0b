"""Values held against values, as rules of segments write it: an op, a value, and for a span its upper end. Pure."""

from datetime import date
from typing import Annotated, Literal

import pydantic
from pydantic import Field

from campaigns.definitions.shapes import Shape

MOST_DAYS = 3660

Text = Annotated[str, Field(min_length=1, max_length=255, pattern=r"^[^\x00]*$")]
Texts = Annotated[tuple[Text, ...], Field(max_length=200)]
Value = bool | int | float | str | Texts | None

Op = Literal[
    "exists",
    "is",
    "one_of",
    "contains",
    "starts",
    "above",
    "at_least",
    "below",
    "at_most",
    "between",
    "before",
    "after",
    "in_last_days",
    "in_next_days",
    "over_days_ago",
    "anniversary_in_days",
]
"""What a value is held against: nothing (it is there), text, a number, a day, or a number of days from today.

Text is compared without regard to capitals. `anniversary_in_days` holds from that many days before the same day of each
year until the day itself; the 29th of February is the 28th where there is none.
"""

NUMBERS = ("is", "above", "at_least", "below", "at_most", "between")
TEXTS = ("is", "one_of", "contains", "starts")
DAYS = ("before", "after", "between")
FROM_TODAY = ("in_last_days", "in_next_days", "over_days_ago", "anniversary_in_days")
MOMENTS = (*DAYS, "in_last_days", "over_days_ago")


def _day(value: object) -> bool:
    try:
        return isinstance(value, str) and date.fromisoformat(value).isoformat() == value
    except ValueError:
        return False


def _number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= 1e15


def _wrong(op: str, value: object) -> str | None:
    """What is wrong with a value for this comparison, as the end of a sentence."""
    if op == "exists":
        return None if value is None else "must be empty: nothing is compared"
    if op in FROM_TODAY:
        whole = isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MOST_DAYS
        return None if whole else f"must be a whole number of days, at most {MOST_DAYS}"
    if op in ("before", "after"):
        return None if _day(value) else "must be a day such as 2026-03-05"
    if op == "between":
        return None if _day(value) or _number(value) else "must be a number, or a day such as 2026-03-05"
    if op in ("above", "at_least", "below", "at_most"):
        return None if _number(value) else "must be a number"
    if op == "one_of":
        return None if isinstance(value, tuple) and value else "must be a list of texts"
    fits = isinstance(value, str) and 0 < len(value) <= 255 and "\0" not in value
    if op == "is":
        return None if fits or isinstance(value, bool) or _number(value) else "must be a text, a number, true or false"
    return None if fits else "must be a text of 1 to 255 characters"


class Compared(Shape):
    """A value held against another. `to` is the upper end of `between`, both ends included."""

    op: Op = "at_least"
    value: Value = 1
    to: int | float | str | None = None

    @pydantic.field_validator("value")
    @classmethod
    def _fits(cls, value: Value, info: pydantic.ValidationInfo) -> Value:
        if "op" in info.data and (wrong := _wrong(info.data["op"], value)):
            raise ValueError(wrong)
        return value

    @pydantic.field_validator("to")
    @classmethod
    def _ends(cls, to: int | float | str | None, info: pydantic.ValidationInfo) -> int | float | str | None:
        if "op" not in info.data or "value" not in info.data:
            return to
        value = info.data["value"]
        if info.data["op"] != "between":
            wrong = None if to is None else "is for between only"
        elif _day(value) != _day(to) or _number(value) != _number(to):
            wrong = "must be of the same kind as value"
        else:
            wrong = None if to >= value else "must not be less than value"
        if wrong:
            raise ValueError(wrong)
        return to

    @pydantic.model_validator(mode="after")
    def _has_both_ends(self) -> "Compared":
        if self.op == "between" and self.to is None:
            raise ValueError("needs to: the upper end")
        return self

    @property
    def of_days(self) -> bool:
        """Whether it compares days."""
        return self.op in ("before", "after", *FROM_TODAY) or (self.op == "between" and _day(self.value))


def only(self: Compared, allowed: tuple[str, ...], *, what: str) -> None:
    """Refuses comparisons that have no meaning for what is measured."""
    if self.op not in allowed:
        raise ValueError(f"cannot be {self.op} for {what}: op must be one of {', '.join(allowed)}")


def of_kind(self: Compared, *, moment: bool, what: str) -> None:
    """A number is held against numbers, a moment against days."""
    only(self, MOMENTS if moment else NUMBERS, what=what)
    if self.of_days is not moment or isinstance(self.value, bool | str) and not moment:
        raise ValueError(f"needs a {'day' if moment else 'number'} as value for {what}")
