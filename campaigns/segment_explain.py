"""Why somebody is in a segment or is not: every rule of the tree, what it found of her, and whether it holds."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from campaigns import segment_sql
from campaigns.definitions import conditions
from campaigns.definitions.conditions import All, Any_, Condition, Not


@dataclass(frozen=True, slots=True)
class Explained:
    """One rule for one customer. `value` is what it looks at (a number, a text, a time), None for groups and where
    there is nothing; `rules` are a group's own."""

    pointer: str
    condition: Condition
    holds: bool
    value: Any
    rules: tuple["Explained", ...] = ()


def explain(conn: sa.Connection, condition: Condition, customer_id: int, *, now: datetime) -> Explained:
    """The whole tree for one customer, from one statement: nothing moves between two answers."""
    alone = [(pointer, rule) for pointer, rule in conditions.walk(condition) if not conditions.children(rule)]
    asked: list[sa.ColumnElement[Any]] = []
    for _, rule in alone:
        asked.append(sa.exists(segment_sql.select(rule, now=now, ids=[customer_id])))
        asked.append(segment_sql.value(rule, now=now, customer_id=customer_id).scalar_subquery())
    row = conn.execute(sa.select(*(column.label(f"c{n}") for n, column in enumerate(asked)))).one()
    found = {pointer: (bool(row[2 * n]), row[2 * n + 1]) for n, (pointer, _) in enumerate(alone)}
    return _explained(condition, "", found)


def _explained(condition: Condition, pointer: str, found: dict[str, tuple[bool, Any]]) -> Explained:
    if isinstance(condition, Not):
        inner = _explained(condition.rule, f"{pointer}/rule", found)
        return Explained(pointer, condition, not inner.holds, None, (inner,))
    if isinstance(condition, All | Any_):
        rules = tuple(_explained(rule, f"{pointer}/of/{n}", found) for n, rule in enumerate(condition.of))
        return Explained(pointer, condition, _together(condition, rules), None, rules)
    holds, value = found[pointer]
    return Explained(pointer, condition, holds, value)


def _together(condition: All | Any_, rules: Sequence[Explained]) -> bool:
    join = all if isinstance(condition, All) else any
    return join(rule.holds for rule in rules)
