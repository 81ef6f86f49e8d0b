"""Rules on what happened to a customer: events, sequences of them, orders, open carts, codes and messages."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from campaigns import segment_parts as parts
from campaigns import tables
from campaigns.definitions import conditions, shapes
from campaigns.definitions.conditions import Code, Goods, Happened, Message, OpenCart, Orders, Sequence, Step
from campaigns.segment_parts import Clause, Measured, Scope
from shop.tables import carts, customers, events, order_lines, orders, products


# ------------------------------------------------------------------------------------------------- events
def happened(rule: Happened, scope: Scope) -> Measured:
    """How many events of a name, or what they add up to."""
    value = _of_events(rule)
    rows = sa.select(events.c.customer_id, value.label("value")).where(
        *_named(events, Step(name=rule.name, where=rule.where)),
        *parts.in_window(events.c.occurred_at, rule, now=scope.now),
        *_whose(events.c.customer_id, scope),
    )
    return _tested(rows.group_by(events.c.customer_id), value, rule, now=scope.now)


def _of_events(rule: Happened) -> parts.Expression:
    match rule.measure:
        case "first":
            return sa.func.min(events.c.occurred_at)
        case "last":
            return sa.func.max(events.c.occurred_at)
        case "count":
            return sa.func.count()
    words = parts.property_text(str(rule.property), events.c, events.c.properties)
    if rule.measure == "distinct":
        return sa.func.count(words.distinct())
    return sa.func.coalesce(sa.func.sum(parts.number(words)), 0)


def _tested(rows: "sa.Select[Any]", value: parts.Expression, rule: Happened | Orders, *, now: datetime) -> Measured:
    if rule.measure in ("first", "last"):
        return Measured(rows, parts.moment(value, rule, now=now))
    if rule.measure == "average":
        return Measured(rows, parts.compared(value, rule))
    return parts.measured(rows, value, rule)


def _whose(column: parts.Expression, scope: Scope) -> list[Clause]:
    """Of these customers, or of anybody known."""
    return scope.of(column) or [column.is_not(None)]


def _named(table: sa.FromClause, step: Step) -> list[Clause]:
    """Events of this name whose properties pass."""
    properties = table.c.properties
    return [table.c.name == step.name] + [
        parts.passes(
            test,
            parts.property_text(test.property, table.c, properties),
            parts.at_path(properties, test.property),
        )
        for test in step.where
    ]


def sequence(rule: Sequence, scope: Scope) -> Measured:
    """She did the one, and then did or did not the other in time."""
    first, then = events.alias("first"), events.alias("followed")
    by = shapes.length(rule.by)
    followed = sa.exists(
        sa.select(then.c.key).where(
            then.c.customer_id == first.c.customer_id,
            *_named(then, rule.then),
            then.c.occurred_at > first.c.occurred_at,
            then.c.occurred_at <= first.c.occurred_at + by,
            *scope.of(then.c.customer_id),
        )
    )
    rows = sa.select(first.c.customer_id, sa.func.max(first.c.occurred_at).label("value")).where(
        *_named(first, rule.first),
        *parts.in_window(first.c.occurred_at, rule, now=scope.now),
        *_whose(first.c.customer_id, scope),
        followed if rule.happened else sa.and_(first.c.occurred_at <= scope.now - by, ~followed),
    )
    return Measured(rows.group_by(first.c.customer_id))


# ------------------------------------------------------------------------------------------------- orders
def ordered(rule: Orders, scope: Scope) -> Measured:
    """Orders that stand, or what was returned of them."""
    value = _of_orders(rule)
    rows = sa.select(orders.c.customer_id, value.label("value")).where(
        *standing(rule),
        *parts.in_window(orders.c.ordered_at, rule, now=scope.now),
        *scope.of(orders.c.customer_id),
    )
    if _by_line(rule):
        rows = rows.join(order_lines, order_lines.c.order_id == orders.c.order_id)
        rows = rows.where(_goods(order_lines.c.product_id, rule))
    elif not rule.any_product:
        holding = sa.select(order_lines.c.order_id).where(
            _goods(order_lines.c.product_id, rule), *scope.of(order_lines.c.customer_id)
        )
        rows = rows.where(orders.c.order_id.in_(holding))
    return _tested(rows.group_by(orders.c.customer_id), value, rule, now=scope.now)


def standing(rule: Orders) -> list[Clause]:
    """Which orders count."""
    clauses: list[Clause] = [orders.c.state != "cancelled"]
    if rule.channels:
        clauses.append(orders.c.channel.in_(rule.channels))
    if rule.stores:
        clauses.append(orders.c.store_id.in_(rule.stores))
    if rule.measure in ("returns", "refunded"):
        clauses.append(orders.c.refunded > 0)
    return clauses


def _by_line(rule: Orders) -> bool:
    """Whether money is that of lines, not of whole orders."""
    return rule.measure in ("value", "average") and not rule.any_product


def _of_orders(rule: Orders) -> parts.Expression:
    by_line = _by_line(rule)
    net = order_lines.c.quantity * order_lines.c.price if by_line else orders.c.total - orders.c.refunded
    number = sa.func.count(orders.c.order_id.distinct()) if by_line else sa.func.count()
    worth = sa.func.coalesce(sa.func.sum(net), 0)
    match rule.measure:
        case "count" | "returns":
            return number
        case "value":
            return worth
        case "average":
            return worth / number
        case "first":
            return sa.func.min(orders.c.ordered_at)
        case "last":
            return sa.func.max(orders.c.ordered_at)
    return sa.func.coalesce(sa.func.sum(orders.c.refunded), 0)


def _goods(product_id: parts.Expression, goods: Goods) -> Clause:
    """Whether a product is one of those asked for."""
    kinds: list[Clause] = [products.c.category == one for one in goods.categories]
    kinds += [sa.func.starts_with(products.c.category, f"{one} > ") for one in goods.categories]
    if goods.brands:
        kinds.append(products.c.brand.in_(goods.brands))
    asked: list[Clause] = [product_id.in_(goods.products)] if goods.products else []
    if kinds:
        asked.append(product_id.in_(sa.select(products.c.product_id).where(sa.or_(*kinds))))
    return sa.or_(*asked)


# -------------------------------------------------------------------------------- carts, codes, messages
def cart(rule: OpenCart, scope: Scope) -> Measured:
    """An open cart that fits."""
    clauses: list[Clause] = [carts.c.state == "open", *scope.of(carts.c.customer_id)]
    if rule.value_at_least is not None:
        clauses.append(carts.c.value >= rule.value_at_least)
    if rule.value_at_most is not None:
        clauses.append(carts.c.value <= rule.value_at_most)
    if rule.quiet_for:
        clauses.append(carts.c.touched_at <= scope.now - shapes.length(rule.quiet_for))
    if rule.touched_within:
        clauses.append(carts.c.touched_at > scope.now - shapes.length(rule.touched_within))
    if not rule.any_product:
        line = sa.func.jsonb_array_elements(carts.c.lines).table_valued("value").alias("line")
        product = sa.func.jsonb_extract_path_text(line.c.value, "product_id")
        clauses.append(sa.exists(sa.select(sa.literal(1)).select_from(line).where(_goods(product, rule))))
    rows = sa.select(carts.c.customer_id, sa.func.max(carts.c.value).label("value")).where(*clauses)
    return Measured(rows.group_by(carts.c.customer_id))


def code(rule: Code, scope: Scope) -> Measured:
    """A promo code that fits."""
    codes, now = tables.promo_codes, scope.now
    clauses: list[Clause] = []
    if rule.offer:
        offer = sa.select(tables.offers.c.id).where(tables.offers.c.name == rule.offer)
        clauses.append(codes.c.offer_id == offer.scalar_subquery())
    if rule.state in ("issued", "redeemed"):
        at = codes.c[f"{rule.state}_at"]
        clauses.append(at > now - shapes.length(rule.within) if rule.within else at.is_not(None))
    else:
        clauses += [codes.c.state == "issued", codes.c.expires_at > now]
    if rule.state == "expiring":
        clauses.append(codes.c.expires_at <= now + shapes.length(str(rule.within)))
    value = sa.func.max(codes.c.expires_at if rule.state in ("usable", "expiring") else codes.c[f"{rule.state}_at"])
    return Measured(_canonical(codes, value, scope).where(*clauses))


def message(rule: Message, scope: Scope) -> Measured:
    """Messages that left for her, or whose links she followed herself."""
    messages = tables.messages
    at = sent_or_clicked(rule)
    rows = _canonical(messages, sa.func.count(), scope).where(
        at.is_not(None), *parts.in_window(at, rule, now=scope.now)
    )
    if rule.channel:
        rows = rows.where(messages.c.channel == rule.channel)
    if rule.campaign:
        named = sa.select(tables.campaigns.c.id).where(tables.campaigns.c.name == rule.campaign)
        rows = rows.where(messages.c.campaign_id == named.scalar_subquery())
    return parts.measured(rows, sa.func.count(), rule)


def sent_or_clicked(rule: Message) -> "sa.Column[datetime]":
    """The time a rule on messages goes by. Scanners' clicks are never kept there."""
    return tables.messages.c.accepted_at if rule.did == "sent" else tables.messages.c.last_clicked_at


def _canonical(table: sa.Table, value: parts.Expression, scope: Scope) -> "sa.Select[Any]":
    """Rows that stay with the customer they were written for, by who that is now."""
    who = sa.func.coalesce(customers.c.merged_into, customers.c.id)
    rows = sa.select(who.label("customer_id"), value.label("value")).join_from(
        table, customers, customers.c.id == table.c.customer_id
    )
    if scope.ids is not None:
        asked = sa.or_(*scope.of(customers.c.id), *scope.of(customers.c.merged_into))
        rows = rows.where(asked)
    return rows.group_by(who)


RULES: dict[type, Callable[[Any, Scope], parts.Leaf]] = {
    conditions.Happened: happened,
    conditions.Sequence: sequence,
    conditions.Orders: ordered,
    conditions.OpenCart: cart,
    conditions.Code: code,
    conditions.Message: message,
}
