"""A rule of a segment becomes SQL: one meaning, for one customer or for all. Values are bound, never text.

A rule that the customer's own row decides becomes a condition on it (`OnRow`); any other becomes a set: of those it
holds for, or of those it does not hold for (`_Set`). Groups join both, so that PostgreSQL sees joins of sets and never
a query for every row.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from campaigns import segment_history, segment_person
from campaigns.definitions.conditions import All, Any_, Condition, Not
from campaigns.segment_parts import Clause, Expression, Leaf, Measured, OnRow, Scope
from campaigns.supposing import Supposed
from shop.tables import customers

_RULES: dict[type, Callable[[Any, Scope], Leaf]] = {**segment_history.RULES, **segment_person.RULES}


@dataclass(frozen=True, slots=True)
class _Set:
    """Customers found elsewhere: those meant, or if `absent` those not meant. `people` if they are customers as they
    are now, each once."""

    ids: "sa.Select[Any] | sa.CompoundSelect[Any]"
    absent: bool = False
    people: bool = False


_Piece = OnRow | _Set


def select(
    condition: Condition | Supposed, *, now: datetime, ids: Sequence[int] | None = None
) -> "sa.Select[tuple[int]]":
    """The ids of the customers a rule holds for, of these or of all. Merged and erased ones are never among them."""
    scope = Scope(now, ids)
    piece = _piece(condition, scope)
    if isinstance(piece, _Set) and piece.people and not piece.absent and isinstance(piece.ids, sa.Select):
        return piece.ids
    return _members(scope, [piece])


def leaf(condition: Condition, scope: Scope) -> Leaf:
    """A rule that stands for itself, as SQL."""
    return _RULES[type(condition)](condition, scope)


def value(condition: Condition, *, now: datetime, customer_id: int) -> "sa.Select[Any]":
    """What a rule that stands for itself finds of one customer: one value, or no row."""
    found = leaf(condition, Scope(now, [customer_id]))
    if isinstance(found, Measured):
        return found.rows.with_only_columns(found.rows.selected_columns[1]).limit(1)
    person = customers.alias("person")
    return sa.select(found.value(person)).where(person.c.id == customer_id)


def _members(scope: Scope, pieces: Sequence[_Piece], *, any_of: bool = False) -> "sa.Select[tuple[int]]":
    """Customers for whom all these pieces hold; with `any_of`, at least one, which rows of `customers` decide alone."""
    person = scope.people()
    clauses = [_on(piece, person) for piece in pieces]
    return sa.select(person.c.id).where(
        person.c.merged_into.is_(None), *scope.of(person.c.id), *([sa.or_(*clauses)] if any_of else clauses)
    )


def _on(piece: _Piece, person: sa.FromClause) -> Clause:
    if isinstance(piece, OnRow):
        return piece.holds(person)
    if not piece.absent:
        return person.c.id.in_(piece.ids)
    others = piece.ids.subquery()
    return ~sa.exists(sa.select(sa.literal(1)).select_from(others).where(others.c[0] == person.c.id))


def _piece(condition: Condition | Supposed, scope: Scope) -> _Piece:
    if isinstance(condition, Supposed):
        scope = replace(scope, written=condition.traits)
        return _Set(_members(scope, [_piece(condition.rule, scope)]), people=True)
    if isinstance(condition, All):
        return _all([_piece(one, scope) for one in condition.of], scope)
    if isinstance(condition, Any_):
        return _any([_piece(one, scope) for one in condition.of], scope)
    if isinstance(condition, Not):
        return _not(_piece(condition.rule, scope))
    found = leaf(condition, scope)
    return found if isinstance(found, OnRow) else _Set(found.found(), absent=found.none)


def _all(pieces: Sequence[_Piece], scope: Scope) -> _Piece:
    rows = [piece for piece in pieces if isinstance(piece, OnRow)]
    if len(rows) == len(pieces):
        return _joined(rows, sa.and_)
    return _Set(_members(scope, pieces), people=True)


def _any(pieces: Sequence[_Piece], scope: Scope) -> _Piece:
    """Sets are put together; what rows decide is one set, what asks for absence one each."""
    rows = [piece for piece in pieces if isinstance(piece, OnRow)]
    if len(rows) == len(pieces):
        return _joined(rows, sa.or_)
    sets: list[Any] = [_members(scope, rows, any_of=True)] if rows else []
    for piece in pieces:
        if isinstance(piece, _Set):
            sets.append(_members(scope, [piece]) if piece.absent else piece.ids)
    return _Set(sa.union_all(*sets) if len(sets) > 1 else sets[0])


def _not(piece: _Piece) -> _Piece:
    if isinstance(piece, _Set):
        return replace(piece, absent=not piece.absent)
    holds = piece.holds
    return OnRow(holds=lambda row: sa.not_(sa.func.coalesce(holds(row), sa.false())), value=piece.value)


def _joined(rows: Sequence[OnRow], join: Callable[..., Clause]) -> OnRow:
    def holds(person: sa.FromClause) -> Clause:
        return join(*(row.holds(person) for row in rows))

    def nothing(_: sa.FromClause) -> Expression:
        return sa.null()

    return OnRow(holds, nothing)
