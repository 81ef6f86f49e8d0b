"""Who came too late to enter, because nobody looked in time: counted, kept, and let in or left as somebody decides."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from campaigns import entering, late_tables, policy, tables
from campaigns.definitions import shapes
from campaigns.definitions.entries import CartAbandoned, ProductAbandoned
from campaigns.entering import Newcomer
from campaigns.plans import Plan
from foundation import database
from foundation.errors import Conflict
from shop.tables import carts, customers

latecomers, late_days, looks = late_tables.latecomers, late_tables.late_days, late_tables.cart_looks
arrivals = tables.arrivals


@dataclass(frozen=True, slots=True)
class Late:
    """How many came too late to enter a campaign and wait for a decision; for the first, it happened at `oldest`.

    `kind` is what brought them: an event heard of too late, a cart or a product quiet for too long.
    """

    campaign: str
    kind: str
    number: int
    oldest: datetime


# ----------------------------------------------------------------------------------------------- who was late
def begun(plan: Plan) -> datetime:
    """Since when the campaign takes customers in: what happened before was never meant for it."""
    return max(filter(None, (plan.launched_at, plan.definition.starts_at)), default=plan.created_at)


def heard_late(conn: sa.Connection, plan: Plan, found: Sequence[Newcomer], *, now: datetime) -> None:
    """Events heard of too late; of those before the campaign began, as in a file of last year's, nothing is kept."""
    meant = [one for one in found if one.happened_at > begun(plan)]
    if meant:
        _keep(conn, plan, entering.named(meant), "event", now=now)


def left_carts(conn: sa.Connection, plan: Plan, entry: CartAbandoned, *, now: datetime) -> None:
    """Carts that were quiet long enough, and then for too long, since the last time anybody looked."""
    before = conn.scalar(sa.select(looks.c.at).where(looks.c.campaign_id == plan.id).with_for_update())
    looked = postgresql.insert(looks).values(campaign_id=plan.id, at=now)
    conn.execute(looked.on_conflict_do_update(index_elements=["campaign_id"], set_={"at": now}))
    delay, within = shapes.length(entry.delay), shapes.length(entry.within)
    if before is not None and now - before > within:
        unseen = entering.quiet_carts(since=before - delay, until=now - delay - within)
        _keep(conn, plan, unseen, "cart", now=now)


def left_products(conn: sa.Connection, plan: Plan, entry: ProductAbandoned, *, now: datetime) -> None:
    """Products looked at and left, found only when she had been quiet for too long."""
    stale = (
        sa.select(arrivals)
        .where(arrivals.c.campaign_id == plan.id, arrivals.c.due_at <= now)
        .where(arrivals.c.happened_at <= entering.too_late(entry, now=now))
    )
    if conn.scalar(sa.select(stale.exists())):
        _keep(conn, plan, entering.looked_at(stale.subquery("quiet"), entry), "product", now=now)


def _keep(conn: sa.Connection, plan: Plan, found: sa.Select[Any], kind: str, *, now: datetime) -> None:
    """Keeps and counts those who could have entered, each as often as she could: one statement."""
    entering.take_turn(conn, plan)
    names = ("campaign_id", "customer_id", "entry_key", "kind", "happened_at", "cart_ref", "context")
    rows = _new(plan, found.subquery("chosen"), kind, now=now)
    keep = postgresql.insert(latecomers).from_select(names, rows).on_conflict_do_nothing()
    kept = keep.returning(latecomers.c.happened_at).cte("kept")
    day = sa.cast(sa.func.timezone(policy.load(conn).timezone, kept.c.happened_at), sa.Date)
    number = sa.func.count()
    of = sa.literal(plan.id, sa.BigInteger), day, sa.literal(kind, sa.Text)
    counted = sa.select(*of, number, number, sa.func.min(kept.c.happened_at)).group_by(day)
    count = postgresql.insert(late_days).from_select(
        ("campaign_id", "day", "kind", "number", "waiting", "oldest"), counted
    )
    more = {name: late_days.c[name] + count.excluded[name] for name in ("number", "waiting")}
    first = {"oldest": sa.func.least(late_days.c.oldest, count.excluded.oldest)}
    conn.execute(count.on_conflict_do_update(index_elements=["campaign_id", "day", "kind"], set_=more | first))


def _new(plan: Plan, chosen: sa.FromClause, kind: str, *, now: datetime) -> sa.Select[Any]:
    """Of these, those who may enter and are not kept yet, with the first time of each."""
    apart = entering.distinct(plan, chosen)
    same = [latecomers.c[column.name] == column for column in apart if column.name != "customer_id"]
    none_kept = entering.none_of(latecomers, chosen.c.customer_id, latecomers.c.campaign_id == plan.id, *same)
    return (
        sa.select(
            sa.literal(plan.id, sa.BigInteger),
            chosen.c.customer_id,
            chosen.c.entry_key,
            sa.literal(kind, sa.Text),
            chosen.c.happened_at,
            chosen.c.cart_ref,
            chosen.c.context,
        )
        .join_from(chosen, customers, customers.c.id == chosen.c.customer_id)
        .where(*entering.may_enter(plan, chosen, now=now))
        .where(*none_kept)
        .ext(postgresql.distinct_on(*apart))
        .order_by(*apart, chosen.c.happened_at)
    )


# ------------------------------------------------------------------------------------------------- deciding
def counts(conn: sa.Connection, *, campaign_id: int | None = None) -> list[Late]:
    """Who waits for a decision, of campaigns that could still take them in, by campaign and kind, the most first."""
    held, number = tables.campaigns.c, sa.func.sum(late_days.c.waiting)
    query = (
        sa.select(
            held.name.label("campaign"),
            late_days.c.kind,
            sa.cast(number, sa.BigInteger).label("number"),
            sa.func.min(late_days.c.oldest).label("oldest"),
        )
        .join(tables.campaigns, held.id == late_days.c.campaign_id)
        .where(late_days.c.waiting > 0, held.state.in_(("sending", "paused")))
        .group_by(held.name, late_days.c.kind)
        .order_by(number.desc(), held.name)
    )
    if campaign_id is not None:
        query = query.where(late_days.c.campaign_id == campaign_id)
    return database.read(conn, query, Late)


def let_in(conn: sa.Connection, plan: Plan, *, now: datetime) -> int:
    """They are still wanted: those to whom it still applies come in. Gives how many.

    Whoever ordered her cart since, or took or bought the product, is left; so is everybody if the campaign takes in by
    something else by now. Raises `Conflict` while it does not run.
    """
    if plan.state != "sending":
        raise Conflict("not_sending", f"{plan.name} is {plan.state}: launch it first")
    entry = plan.definition.entry
    kind = {CartAbandoned: "cart", ProductAbandoned: "product"}.get(type(entry), "event")
    gone = sa.delete(latecomers).where(latecomers.c.campaign_id == plan.id).returning(latecomers).cte("gone")
    known = sa.select(
        sa.func.coalesce(customers.c.merged_into, customers.c.id).label("customer_id"),
        *(gone.c[name] for name in ("entry_key", "happened_at", "cart_ref", "context")),
    ).join_from(gone, customers, customers.c.id == gone.c.customer_id)
    found = known.where(gone.c.kind == kind).cte("found")
    chosen = sa.select(found)
    if isinstance(entry, CartAbandoned):
        quiet = (carts.c.id == found.c.cart_ref) & (carts.c.touched_at == found.c.happened_at)
        chosen = chosen.where(sa.exists().where(quiet, *entering.cart_left()))
    elif isinstance(entry, ProductAbandoned):
        chosen = chosen.where(*entering.product_left(found, entry))
    number = entering.enrol(conn, plan, chosen.subquery("chosen"), now=now)
    _decided(conn, plan)
    return number


def dismiss(conn: sa.Connection, plan: Plan) -> int:
    """They are not wanted any more. Gives how many."""
    entering.take_turn(conn, plan)
    number = conn.execute(sa.delete(latecomers).where(latecomers.c.campaign_id == plan.id)).rowcount
    _decided(conn, plan)
    return number


def _decided(conn: sa.Connection, plan: Plan) -> None:
    mine = (late_days.c.campaign_id == plan.id) & (late_days.c.waiting > 0)
    conn.execute(sa.update(late_days).where(mine).values(waiting=0))
