"""What rules of segments are made of in SQL: whom to look at, values held against values, and windows of time."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from campaigns.definitions import shapes
from campaigns.definitions.comparisons import Compared
from campaigns.definitions.conditions import Windowed
from shop import handles
from shop.tables import customers

Clause = sa.ColumnElement[bool]
Expression = sa.ColumnElement[Any]


@dataclass(frozen=True, slots=True)
class Scope:
    """When a rule is asked, and of whom: of these customers, or of all. `written` are traits they are supposed to have
    been given."""

    now: datetime
    ids: Sequence[int] | None = None
    written: Mapping[str, Any] = field(default_factory=dict)

    def people(self) -> sa.FromClause:
        """The rows of `customers`, at each call under another name, with what is supposed to be written there."""
        if not self.written:
            return customers.alias()
        columns, other = handles.described(self.written, {})
        said: dict[str, Expression] = {
            name: sa.literal(value, customers.c[name].type) for name, value in columns.items() if value is not None
        }
        said["traits"] = customers.c.traits.concat(sa.literal(other, postgresql.JSONB))
        return sa.select(*(said.get(one.name, one).label(one.name) for one in customers.c)).subquery()

    def of(self, column: Expression) -> list[Clause]:
        """The condition that keeps to these customers, if there is one."""
        return [] if self.ids is None else [column == sa.any_(self.array())]

    def array(self) -> Expression:
        """The customers asked about, as a bound array."""
        return sa.bindparam(None, list(self.ids or ()), postgresql.ARRAY(sa.BigInteger))


@dataclass(frozen=True, slots=True)
class OnRow:
    """A rule decided by the customer's own row: given `customers` under the name it has there, whether it holds and
    what it looks at."""

    holds: Callable[[sa.FromClause], Clause]
    value: Callable[[sa.FromClause], Expression]


@dataclass(frozen=True, slots=True)
class Measured:
    """A rule on a value found elsewhere.

    `rows` selects customer_id and value, grouped; `holds` is the test on the value; `none` says whether the rule holds
    for customers without any row. If being there is all that is asked, `holds` is None.
    """

    rows: "sa.Select[Any]"
    holds: Clause | None = None
    none: bool = False

    def found(self) -> "sa.Select[Any]":
        """Customers the rule holds for; if `none`, those it does not hold for."""
        customer = self.rows.selected_columns[0]
        ids = self.rows.with_only_columns(customer)
        if self.holds is None:
            return ids.group_by(None)
        return ids.having(sa.not_(self.holds) if self.none else self.holds)


Leaf = OnRow | Measured


# ------------------------------------------------------------------------------------------------- values
def at_path(json: Expression, name: str) -> Expression:
    """The member of a JSON object that a path such as `address.city` leads to."""
    return sa.func.jsonb_extract_path(json, *name.split("."))


def text_at(json: Expression, name: str) -> Expression:
    """The same as text; null and missing are NULL."""
    return sa.func.jsonb_extract_path_text(json, *name.split("."))


_NUMBER = "^-?[0-9]+([.][0-9]+)?$"
_DIGITS = 40
"""Longer texts of digits are no numbers: they are card numbers, or mischief."""


def number(words: Expression) -> Expression:
    """Text as a number; NULL if it is none."""
    is_number = words.bool_op("~")(sa.literal_column(f"'{_NUMBER}'")) & (sa.func.length(words) <= _DIGITS)
    return sa.case((is_number, sa.cast(words, sa.Numeric)))


def as_number(value: object) -> Decimal | None:
    """The same, of a value known already."""
    if isinstance(value, bool) or len(str(value)) > _DIGITS or not re.fullmatch(_NUMBER, str(value), re.ASCII):
        return None
    return Decimal(str(value))


def day(words: Expression) -> Expression:
    """Text that begins with a day, as that day written `2026-03-05`, which sorts as days do; NULL if it is none."""
    is_day = words.bool_op("~")(sa.literal_column(r"'^[0-9]{4}-[0-9]{2}-[0-9]{2}'"))
    return sa.case((is_day, sa.func.left(words, 10).collate("C")))


def same_text(words: Expression, rule: Compared) -> Clause:
    """`is`, `one_of`, `contains` and `starts`, without regard to capitals."""
    held = sa.func.lower(words)
    wanted = [sa.func.lower(sa.literal(one, sa.Text)) for one in _listed(rule.value)]
    if rule.op == "contains":
        return sa.func.strpos(held, wanted[0]) > 0
    if rule.op == "starts":
        return sa.func.starts_with(held, wanted[0])
    return held.in_(wanted)


def _listed(value: object) -> list[str]:
    return list(value) if isinstance(value, tuple) else [str(value)]


def _decimal(value: object) -> Expression:
    """Whole numbers stay whole: comparing them costs less."""
    return sa.literal(value, sa.BigInteger) if isinstance(value, int) else sa.literal(Decimal(str(value)), sa.Numeric)


def compared(value: Expression, rule: Compared) -> Clause:
    """A number held against numbers."""
    limit = _decimal(rule.value)
    match rule.op:
        case "is":
            return value == limit
        case "above":
            return value > limit
        case "at_least":
            return value >= limit
        case "below":
            return value < limit
        case "at_most":
            return value <= limit
    return value.between(limit, _decimal(rule.to))


def holds(rule: Compared, value: float) -> bool:
    """The same, of a number known already."""
    limit: Any = rule.value
    match rule.op:
        case "is":
            return bool(value == limit)
        case "above":
            return bool(value > limit)
        case "at_least":
            return bool(value >= limit)
        case "below":
            return bool(value < limit)
        case "at_most":
            return bool(value <= limit)
    upper: Any = rule.to
    return bool(limit <= value <= upper)


def measured(rows: "sa.Select[Any]", value: Expression, rule: Compared) -> Measured:
    """A number of which those without any row have 0; that there is one is asked without counting."""
    none = holds(rule, 0)
    counted = str(getattr(rule, "measure", "count")) == "count"
    simple = counted and all(holds(rule, n) != none for n in (1, 2, 10**15)) and rule.op != "between"
    return Measured(rows, None if simple else compared(value, rule), none)


def moment(value: Expression, rule: Compared, *, now: datetime) -> Clause:
    """A time held against days, or against days before now."""
    match rule.op:
        case "before":
            return value < _midnight(rule.value)
        case "after":
            return value >= _midnight(rule.value) + timedelta(days=1)
        case "in_last_days":
            return value > _ago(rule, now)
        case "over_days_ago":
            return value <= _ago(rule, now)
    return sa.and_(value >= _midnight(rule.value), value < _midnight(rule.to) + timedelta(days=1))


def _ago(rule: Compared, now: datetime) -> datetime:
    return now - timedelta(days=float(str(rule.value)))


def _midnight(written: object) -> datetime:
    return datetime.combine(date.fromisoformat(str(written)), time(), UTC)


def calendar(written: Expression, rule: Compared, *, now: datetime) -> Clause:
    """A day, as `day` gives it, held against days or against today."""
    today = now.astimezone(UTC).date()
    match rule.op:
        case "before":
            return written < str(rule.value)
        case "after":
            return written > str(rule.value)
        case "between":
            return written.between(str(rule.value), str(rule.to))
        case "anniversary_in_days":
            return _anniversary(written, int(str(rule.value)), today)
    other = timedelta(days=int(str(rule.value)))
    match rule.op:
        case "in_last_days":
            return written.between(str(today - other), str(today))
        case "in_next_days":
            return written.between(str(today), str(today + other))
    return written < str(today - other)


def _anniversary(written: Expression, ahead: int, today: date) -> Clause:
    if ahead >= 366:
        return written.is_not(None)
    days = {str(today + timedelta(days=n))[5:] for n in range(ahead + 1)}
    leap = today.year % 4 == 0 and (today.year % 100 != 0 or today.year % 400 == 0)
    if "02-28" in days and not (leap and today.month <= 2):
        days.add("02-29")
    return sa.func.substr(written, 6, 5).in_(sorted(days))


# ------------------------------------------------------------------------------------------------ windows
def since(window: Windowed, now: datetime) -> datetime | None:
    """When the window begins, exclusive for `within`."""
    return now - shapes.length(window.within) if window.within else None


def in_window(column: Expression, window: Windowed, *, now: datetime) -> list[Clause]:
    """The conditions that keep a time inside the window."""
    clauses = []
    if begins := since(window, now):
        clauses.append(column > begins)
    if window.since:
        clauses.append(column >= datetime.combine(window.since, time(), UTC))
    if window.until:
        clauses.append(column < datetime.combine(window.until, time(), UTC) + timedelta(days=1))
    return clauses


# --------------------------------------------------------------------------------------------- properties
def property_text(name: str, columns: Any, properties: Expression) -> Expression:
    """A property of an event as text: from its own column if it has one."""
    if name in ("product_id", "order_id", "cart_id", "store_id", "channel"):
        return sa.func.coalesce(columns[name], text_at(properties, name))
    return text_at(properties, name)


def passes(test: shapes.Test, words: Expression, json: Expression) -> Clause:
    """Whether a property passes its test, as `shapes.holds` says."""
    match test.test:
        case shapes.Op.EXISTS:
            return words.is_not(None)
        case shapes.Op.MISSING:
            return words.is_(None)
        case shapes.Op.IS:
            return _same(words, test.value)
        case shapes.Op.IS_NOT:
            return sa.not_(sa.func.coalesce(_same(words, test.value), sa.false()))
        case shapes.Op.ONE_OF:
            values = test.value if isinstance(test.value, tuple) else (test.value,)
            return sa.or_(sa.false(), *(_same(words, value) for value in values))
        case shapes.Op.CONTAINS:
            return sa.func.coalesce(_contains(words, json, test.value), sa.false())
    limit = as_number(test.value)
    if limit is None:
        return sa.false()
    at_least = test.test is shapes.Op.AT_LEAST
    held = number(words)
    return sa.func.coalesce(held >= _decimal(limit) if at_least else held <= _decimal(limit), sa.false())


def _same(words: Expression, value: object) -> Clause:
    """Numbers are compared as numbers, however they are written; true and false as these words."""
    found = as_number(value)
    if found is not None:
        return sa.func.coalesce(number(words) == _decimal(found), sa.false())
    wanted = str(value).lower() if isinstance(value, bool) else str(value)
    return sa.func.coalesce(words == wanted, sa.false())


def _contains(words: Expression, json: Expression, value: object) -> Clause:
    """A list by its members, a text by its letters."""
    members = sa.func.jsonb_array_elements_text(
        sa.case((sa.func.jsonb_typeof(json) == "array", json), else_=sa.literal_column("'[]'::jsonb"))
    ).table_valued("value")
    member = sa.exists(sa.select(members.c.value).where(_same(members.c.value, value)))
    return sa.case((sa.func.jsonb_typeof(json) == "array", member), else_=sa.func.strpos(words, str(value)) > 0)
