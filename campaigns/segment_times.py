"""What may change a rule's answer: what customers do and are told of, by name, and the mere passing of time."""

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from campaigns import segment_history, tables
from campaigns.definitions import comparisons, conditions, shapes
from campaigns.definitions.conditions import (
    Code,
    Condition,
    Consent,
    Distance,
    Happened,
    Identity,
    InSegment,
    Message,
    OpenCart,
    Orders,
    Prediction,
    Rfm,
    Sequence,
    Trait,
    Used,
)
from shop.changes import What
from shop.tables import carts, customers, events, orders
from shop.vocabulary import CART_NAMES, Name

ANYTHING = "*"
"""Any news of a customer may change the answer."""
ALWAYS = frozenset((What.NEW, What.MERGED, What.IMPORTED))


def inputs(condition: Condition) -> frozenset[str]:
    """The names of changes that a rule is asked again after; `ANYTHING` for any, `segment:NAME` for another's moves."""
    return ALWAYS.union(*(_inputs(rule) for _, rule in conditions.walk(condition)))


def _inputs(rule: Condition) -> frozenset[str]:
    """What a rule that stands for itself looks at; a group looks at nothing of its own."""
    look = _INPUTS.get(type(rule))
    return frozenset(look(rule)) if look else frozenset()


_INPUTS: dict[type, Callable[[Any], Iterable[str]]] = {
    Trait: lambda rule: (ANYTHING if rule.name == "user_id" else What.TRAITS,),
    Identity: lambda rule: (ANYTHING,),
    Consent: lambda rule: (What.CONSENTS,),
    Used: lambda rule: (ANYTHING,),
    Happened: lambda rule: (rule.name,),
    Sequence: lambda rule: (rule.first.name, rule.then.name),
    Orders: lambda rule: (What.ORDERS,),
    Rfm: lambda rule: (What.ORDERS, What.FIFTHS),
    OpenCart: lambda rule: (*CART_NAMES, Name.ORDER_COMPLETED, What.CARTS),
    Code: lambda rule: (What.CODES,),
    Message: lambda rule: (Name.MESSAGE_SENT, Name.MESSAGE_CLICKED),
    Prediction: lambda rule: (What.PREDICTIONS,),
    Distance: lambda rule: (What.TRAITS, What.STORES),
    InSegment: lambda rule: (of_segment(rule.name),),
}


def of_segment(name: str) -> str:
    """The name of the change that moves into and out of a segment are."""
    return f"segment:{name}"


def daily(condition: Condition) -> bool:
    """Whether the answer hangs on what day it is."""
    return any(_daily(rule) for _, rule in conditions.walk(condition))


def _daily(rule: Condition) -> bool:
    if isinstance(rule, Trait | Prediction):
        return rule.op in comparisons.FROM_TODAY
    return isinstance(rule, Used) and rule.in_last_days is not None


# ---------------------------------------------------------------------------------------------- crossings
def crossings(condition: Condition, *, since: datetime, until: datetime) -> "list[sa.Select[Any]]":
    """Who may have come to be meant, or not to be any more, between two moments, though nothing happened: something of
    theirs grew older than the rule asks about. More may be found, none is left out."""
    return [found for _, rule in conditions.walk(condition) for found in _crossing(rule, since, until)]


def _crossing(rule: Condition, since: datetime, until: datetime) -> "Iterator[sa.Select[Any]]":
    ages = _AGES.get(type(rule))
    for at, age in ages(rule) if ages else ():
        owner = at.table.c.customer_id
        yield sa.select(owner).where(at > since - age, at <= until - age, *_narrowed(rule))


def _narrowed(rule: Condition) -> list[sa.ColumnElement[bool]]:
    """What makes an index of use."""
    if isinstance(rule, Happened):
        return [events.c.name == rule.name]
    if isinstance(rule, Sequence):
        return [events.c.name == rule.first.name]
    return [carts.c.state == "open"] if isinstance(rule, OpenCart) else []


Ages = Iterable[tuple["sa.Column[Any]", timedelta]]
"""The time something counts from, and how old it then is; what lies ahead has a negative age."""


def _at_ages(at: "sa.Column[Any]", *durations: str | None) -> Ages:
    return [(at, shapes.length(duration)) for duration in durations if duration]


def _at_days(at: "sa.Column[Any]", rule: Happened | Orders) -> Ages:
    counted = rule.op in ("in_last_days", "over_days_ago")
    return [(at, timedelta(days=int(str(rule.value))))] if counted else []


def _of_code(rule: Code) -> Ages:
    codes = tables.promo_codes.c
    if rule.state in ("issued", "redeemed"):
        return _at_ages(codes[f"{rule.state}_at"], rule.within)
    ahead = [(codes.expires_at, -age) for _, age in _at_ages(codes.expires_at, rule.within)]
    return [(codes.expires_at, timedelta(0)), *ahead]


_AGES: dict[type, Callable[[Any], Ages]] = {
    Happened: lambda rule: (*_at_ages(events.c.occurred_at, rule.within), *_at_days(events.c.occurred_at, rule)),
    Sequence: lambda rule: _at_ages(events.c.occurred_at, rule.within, None if rule.happened else rule.by),
    Orders: lambda rule: (*_at_ages(orders.c.ordered_at, rule.within), *_at_days(orders.c.ordered_at, rule)),
    OpenCart: lambda rule: _at_ages(carts.c.touched_at, rule.quiet_for, rule.touched_within),
    Message: lambda rule: _at_ages(segment_history.sent_or_clicked(rule), rule.within),
    Code: _of_code,
}


def canonical(found: "list[sa.Select[Any]]") -> "sa.Select[Any]":
    """Those found, each once, by who they are now."""
    ids = sa.union_all(*found).subquery()
    return (
        sa.select(sa.func.coalesce(customers.c.merged_into, customers.c.id))
        .where(customers.c.id.in_(sa.select(ids.c[0])))
        .distinct()
    )
