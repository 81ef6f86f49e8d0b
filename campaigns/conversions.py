"""New orders meet what led to them: codes are used up, clicks are credited."""

from collections import defaultdict
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from campaigns import attribution, policy, promotions, tables
from campaigns.attribution import Touch
from foundation.database import Database
from shop.tables import customers, orders

messages, attributions, promo_codes = tables.messages, tables.attributions, tables.promo_codes

LATE = timedelta(days=30)
"""Orders of a till that was offline are still credited this long after the window."""


def credit_new_orders(db: Database, *, now: datetime) -> str | None:
    """Everything an order brings about beyond the shop's own mirror. Manages its own transaction."""
    with db.begin() as conn:
        used = redeem_from_orders(conn, now=now)
        undone = release_cancelled(conn)
        credited = credit(conn, now=now)
    parts = {"credited": credited, "codes used": used, "codes given back": undone}
    return ", ".join(f"{number} {word}" for word, number in parts.items() if number) or None


def credit(conn: sa.Connection, *, now: datetime) -> int:
    """Gives each new order to the last message its customer clicked, if there is one; once per order."""
    window = timedelta(days=policy.load(conn).attribution_days)
    rows = conn.execute(_clicked_orders(window, now)).mappings().all()
    touches: dict[str, list[Touch]] = defaultdict(list)
    for row in rows:
        for at in (row["first_clicked_at"], row["last_clicked_at"]):
            touches[row["order_id"]].append(Touch(row["message_id"], row["campaign_id"], at))
    credited = []
    for row in {row["order_id"]: row for row in rows}.values():
        touch = attribution.credit(row["ordered_at"], touches[row["order_id"]], window=window)
        if touch is not None:
            credited.append(_credit(row, touch))
    if not credited:
        return 0
    insert = postgresql.insert(attributions).on_conflict_do_nothing().returning(attributions.c.order_id)
    return len(conn.execute(insert, credited).all())


def _clicked_orders(window: timedelta, now: datetime) -> sa.Select[Any]:
    """Orders not yet credited whose customer clicked a message in the window before; few click, so it starts there."""
    held = customers.alias("held")
    return (
        sa.select(
            orders.c.order_id,
            orders.c.ordered_at,
            (orders.c.total - orders.c.refunded).label("amount"),
            orders.c.currency,
            messages.c.id.label("message_id"),
            messages.c.campaign_id,
            messages.c.first_clicked_at,
            messages.c.last_clicked_at,
        )
        .select_from(messages)
        .join(held, held.c.id == messages.c.customer_id)
        .join(orders, orders.c.customer_id == sa.func.coalesce(held.c.merged_into, held.c.id))
        .where(
            messages.c.last_clicked_at > now - window - LATE,
            orders.c.ordered_at >= messages.c.first_clicked_at,
            orders.c.ordered_at <= messages.c.last_clicked_at + window,
            orders.c.state != "cancelled",
            ~sa.exists().where(attributions.c.order_id == orders.c.order_id),
        )
    )


def _credit(row: sa.RowMapping, touch: Touch) -> dict[str, Any]:
    return {
        "order_id": row["order_id"],
        "message_id": touch.message_id,
        "campaign_id": touch.campaign_id,
        "touched_at": touch.at,
        "ordered_at": row["ordered_at"],
        "amount": row["amount"],
        "currency": row["currency"],
    }


def redeem_from_orders(conn: sa.Connection, *, now: datetime) -> int:
    """Orders that name a code have used it, whether or not the till asked us first."""
    plain = sa.func.regexp_replace(sa.func.upper(orders.c.coupon), "[^0-9A-Z]", "", "g")
    written = sa.func.translate(plain, "OIL", "011")
    named = (
        sa.update(promo_codes)
        .where(
            promo_codes.c.code == written,
            promo_codes.c.state.in_(("reserved", "issued")),
            orders.c.coupon.is_not(None),
            orders.c.state != "cancelled",
            orders.c.received_at >= promo_codes.c.reserved_at,
            orders.c.received_at > now - LATE,
        )
        .values(
            state="redeemed",
            redeemed_at=orders.c.ordered_at,
            order_id=orders.c.order_id,
            channel=orders.c.channel,
            discount=orders.c.discount,
        )
    )
    return promotions.change(conn, named)


def release_cancelled(conn: sa.Connection) -> int:
    """A cancelled order gives its code back."""
    values: Mapping[str, Any] = promotions.RELEASED
    undone = (
        sa.update(promo_codes)
        .where(
            promo_codes.c.state == "redeemed",
            promo_codes.c.order_id == orders.c.order_id,
            orders.c.state == "cancelled",
        )
        .values(**values)
    )
    return promotions.change(conn, undone)
