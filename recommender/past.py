"""What a customer did lately, and who she is, read in one query."""

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from recommender.algorithms.base import Kind
from recommender.model import RECENT, Past
from shop.tables import events, identities, order_lines, orders


@dataclass(frozen=True, slots=True)
class Known:
    """A customer, if she is known, and her latest interactions."""

    customer_id: int | None
    past: Past


def read(
    conn: sa.Connection,
    *,
    customer_id: int | None,
    user_id: str | None = None,
    anonymous_id: str | None = None,
    now: datetime,
) -> Known:
    """The customer of this id, else of this handle. A handle nobody has, or too many have, is nobody's."""
    if customer_id is None and user_id is None and anonymous_id is None:
        return Known(None, Past())
    kind = "user_id" if user_id is not None else "anonymous_id"
    handle = user_id if user_id is not None else anonymous_id
    row = conn.execute(_READ, {"customer": customer_id, "kind": kind, "value": handle or "", "now": now}).one()
    if row.product_ids is None:
        return Known(row.customer_id, Past())
    return Known(row.customer_id, Past(row.product_ids, row.kinds, row.ages))


def _statement() -> sa.Select[tuple[int | None, list[str] | None, list[int] | None, list[float] | None]]:
    """Built once. Arrays instead of rows: half the time for five hundred of them."""
    now = sa.bindparam("now", type_=sa.DateTime(timezone=True))
    handle = (
        sa.select(identities.c.customer_id)
        .where(
            identities.c.kind == sa.bindparam("kind", type_=sa.Text),
            identities.c.value == sa.bindparam("value", type_=sa.Text),
            identities.c.quarantined_at.is_(None),
        )
        .scalar_subquery()
    )
    who = sa.select(sa.func.coalesce(sa.bindparam("customer", type_=sa.BigInteger), handle).label("customer_id")).cte(
        "who"
    )
    customer = sa.select(who.c.customer_id).scalar_subquery()
    undone = sa.select(orders.c.order_id).where(orders.c.customer_id == customer, orders.c.state != "completed")
    bought = (
        sa.select(
            order_lines.c.product_id, sa.literal(int(Kind.ORDER)).label("kind"), order_lines.c.ordered_at.label("at")
        )
        .where(
            order_lines.c.customer_id == customer,
            order_lines.c.ordered_at <= now,
            order_lines.c.quantity > 0,
            order_lines.c.order_id != sa.all_(sa.func.array(undone.scalar_subquery())),
        )
        .order_by(order_lines.c.ordered_at.desc())
        .limit(RECENT)
    )
    looked = (
        sa.select(
            events.c.product_id,
            sa.case((events.c.name == "Product Added", int(Kind.ADD)), else_=int(Kind.VIEW)).label("kind"),
            events.c.occurred_at.label("at"),
        )
        .where(
            events.c.customer_id == customer,
            events.c.occurred_at <= now,
            events.c.product_id.is_not(None),
            events.c.name.in_(["Product Viewed", "Product Added"]),
        )
        .order_by(events.c.occurred_at.desc())
        .limit(RECENT)
    )
    both = sa.union_all(bought, looked).subquery()
    latest = sa.select(both).order_by(both.c.at.desc()).limit(RECENT).subquery()
    age = sa.extract("epoch", now - latest.c.at).cast(sa.Float) / 86_400
    return sa.select(
        customer.label("customer_id"),
        sa.func.array_agg(postgresql.aggregate_order_by(latest.c.product_id, latest.c.at)).label("product_ids"),
        sa.func.array_agg(postgresql.aggregate_order_by(latest.c.kind, latest.c.at)).label("kinds"),
        sa.func.array_agg(postgresql.aggregate_order_by(age, latest.c.at)).label("ages"),
    )


_READ = _statement()
