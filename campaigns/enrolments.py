"""Customers on their way through campaigns: admitted, advanced, and out again."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from campaigns import experiments, journeys, messages, plans, policy, tables
from campaigns.definitions import campaign as definitions
from campaigns.definitions.campaign import CartAbandonment
from campaigns.journeys import Facts, Turn
from campaigns.plans import Plan
from foundation.database import Database
from shop.tables import carts, customers, orders

enrolments = tables.enrolments

BATCH = 500


def admit_due(db: Database, *, now: datetime, checkpoint: Callable[[str], None] = messages.passing) -> str | None:
    """Enrols the customers of carts gone quiet. Manages its own transactions: one a campaign."""
    with db.begin() as conn:
        running = [plan for plan in plans.every(conn) if plan.state == "sending"]
    admitted = {}
    for plan in running:
        with db.begin() as conn:
            admitted[plan.name] = admit(conn, plan, now=now)
            checkpoint("enrolling")
    checkpoint("enrolled")
    return ", ".join(f"{number} into {name}" for name, number in admitted.items() if number) or None


def admit(conn: sa.Connection, plan: Plan, *, now: datetime) -> int:
    """One statement, whatever their number: carts quiet long enough and not for too long, that can be written to.

    A cart enters once, whoever it belongs to by then; carts that went quiet while nobody was looking, longer ago
    than the message would still be welcome, are left in peace.
    """
    definition = plan.definition
    quiet_since = now - timedelta(minutes=definition.delay_minutes)
    too_old = quiet_since - timedelta(hours=definition.expires_hours)
    known = enrolments.alias("known")
    chosen = (
        sa.select(
            sa.literal(plan.id, sa.BigInteger),
            carts.c.customer_id,
            sa.cast(carts.c.id, sa.Text),
            _arm(plan, carts.c.customer_id),
            sa.literal("waiting", sa.Text),
            sa.literal(now, enrolments.c.entered_at.type),
            sa.literal(now, enrolments.c.wake_at.type),
            carts.c.id,
        )
        .join(customers, customers.c.id == carts.c.customer_id)
        .where(
            carts.c.state == "open",
            carts.c.touched_at <= quiet_since,
            carts.c.touched_at > too_old,
            sa.func.jsonb_array_length(carts.c.lines) > 0,
            customers.c.email.is_not(None),
            ~_bought(carts.c.touched_at),
            ~sa.exists().where(known.c.campaign_id == plan.id, known.c.entry_key == sa.cast(carts.c.id, sa.Text)),
        )
    )
    names = ("campaign_id", "customer_id", "entry_key", "arm", "state", "entered_at", "wake_at", "cart_ref")
    insert = postgresql.insert(enrolments).from_select(names, chosen).on_conflict_do_nothing()
    return conn.execute(insert, execution_options={"preserve_rowcount": True}).rowcount


def _arm(plan: Plan, customer: sa.ColumnElement[int]) -> sa.ColumnElement[str]:
    """`experiments.assign`, for every customer at once."""
    digest = sa.func.md5(sa.func.concat(f"{plan.name}:", customer))
    number = sa.cast(sa.cast(sa.func.concat("x", sa.func.left(digest, 8)), postgresql.BIT(32)), sa.BigInteger)
    held_out = sa.func.mod(number, experiments.SHARES) < plan.definition.holdout_percent * experiments.SHARES / 100
    return sa.case((held_out, experiments.HOLDOUT), else_=experiments.TREATED)


def _bought(since: sa.ColumnElement[datetime]) -> sa.ColumnElement[bool]:
    """Whether the cart's customer ordered anything since, on any channel."""
    return sa.exists().where(
        orders.c.customer_id == carts.c.customer_id, orders.c.ordered_at >= since, orders.c.state != "cancelled"
    )


# ---------------------------------------------------------------------------------------------- advancing
def advance_due(db: Database, *, now: datetime) -> str | None:
    """Takes everyone whose turn it is one turn further. Manages its own transactions: one a batch."""
    moved = 0
    while True:
        with db.begin() as conn:
            taken = _advance_batch(conn, now=now)
        moved += taken
        if taken < BATCH:
            return f"{moved} advanced" if moved else None


def _advance_batch(conn: sa.Connection, *, now: datetime) -> int:
    """Turns and the messages they queue are kept together or not at all."""
    rows = _due(conn, now)
    window = timedelta(days=policy.load(conn).attribution_days)
    definitions_: dict[int, CartAbandonment] = {}
    turns = []
    for row in rows:
        if row["campaign_id"] not in definitions_:
            definitions_[row["campaign_id"]] = definitions.parse(row["definition"])
        facts = Facts(
            arm=row["arm"],
            position=row["position"],
            entered_at=row["entered_at"],
            bought=row["bought"],
            cart_open=row["cart_state"] == "open",
        )
        turns.append((row, journeys.advance(definitions_[row["campaign_id"]], facts, window=window, now=now)))
    messages.queue(conn, [_message(row, turn) for row, turn in turns if turn.send], now=now)
    _store(conn, [_stored(row, turn, now) for row, turn in turns])
    return len(rows)


def _due(conn: sa.Connection, now: datetime) -> Sequence[sa.RowMapping]:
    """A batch of enrolments with their facts, locked. Whoever is paused waits until the campaign goes on."""
    since = sa.case((enrolments.c.position == 0, carts.c.touched_at), else_=enrolments.c.entered_at)
    query = (
        sa.select(
            enrolments,
            tables.campaigns.c.definition,
            carts.c.state.label("cart_state"),
            ((carts.c.state == "ordered") | _bought(since)).label("bought"),
        )
        .join(tables.campaigns, tables.campaigns.c.id == enrolments.c.campaign_id)
        .join(carts, carts.c.id == enrolments.c.cart_ref)
        .where(
            enrolments.c.state == "waiting",
            enrolments.c.wake_at <= now,
            (tables.campaigns.c.state == "sending") | (enrolments.c.position > 0),
        )
        .order_by(enrolments.c.wake_at)
        .limit(BATCH)
        .with_for_update(of=enrolments, skip_locked=True)
    )
    return conn.execute(query).mappings().all()


def _message(row: sa.RowMapping, turn: Turn) -> messages.Wanted:
    if turn.send is None:
        raise ValueError("this turn sends nothing")
    return messages.Wanted(
        campaign_id=row["campaign_id"],
        step=turn.send.step,
        channel=turn.send.channel,
        customer_id=row["customer_id"],
        entry_key=row["entry_key"],
        enrolment_id=row["id"],
        cart_ref=row["cart_ref"],
        expires_at=turn.send.expires_at,
    )


def _stored(row: sa.RowMapping, turn: Turn, now: datetime) -> dict[str, Any]:
    return {
        "key": row["id"],
        "new_position": turn.position,
        "new_state": "left" if turn.leave else "waiting",
        "new_wake_at": turn.wake_at,
        "new_left_at": now if turn.leave else None,
        "new_reason": turn.leave,
    }


def _store(conn: sa.Connection, rows: Sequence[Mapping[str, Any]]) -> None:
    if rows:
        names = ("position", "state", "wake_at", "left_at", "reason")
        values: dict[str, Any] = {name: sa.bindparam(f"new_{name}") for name in names}
        conn.execute(sa.update(enrolments).where(enrolments.c.id == sa.bindparam("key")).values(values), rows)
