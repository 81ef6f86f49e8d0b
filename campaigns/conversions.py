"""New orders meet what led to them: codes are used up, messages are credited."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from campaigns import crediting, promotions, tables
from campaigns.crediting import LATE
from foundation.database import Database
from shop.tables import orders

promo_codes = tables.promo_codes


def credit_new_orders(db: Database, *, now: datetime) -> str | None:
    """Everything an order brings about beyond the shop's own mirror. Manages its own transaction."""
    with db.begin() as conn:
        used = redeem_from_orders(conn, now=now)
        undone = release_cancelled(conn)
        credited = crediting.credit_changed(conn, now=now)
    parts = {"credits moved": credited, "codes used": used, "codes given back": undone}
    return ", ".join(f"{number} {word}" for word, number in parts.items() if number) or None


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
