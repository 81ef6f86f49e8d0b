"""New orders meet what led to them: codes are used up, messages are credited."""

from collections.abc import Mapping
from datetime import datetime

import sqlalchemy as sa

from campaigns import crediting, promo_tables, redeeming
from campaigns.crediting import LATE, OVERLAP
from foundation.database import Database
from shop.tables import orders

redemptions = promo_tables.promo_redemptions


def credit_new_orders(db: Database, *, now: datetime) -> str | None:
    """Everything an order brings about beyond the shop's own mirror. Manages its own transaction."""
    with db.begin() as conn:
        since = _since(conn, now=now)
        used, undone = redeem_from_orders(conn, since=since, now=now), release_undone(conn, since=since, now=now)
        credited = crediting.credit_changed(conn, now=now)
    return _told({"credits moved": credited, "codes used": used, "codes given back": undone})


def look_again(db: Database, *, now: datetime) -> str | None:
    """The same of codes for every recent order: a pool may have been filled with codes that were used before, and an
    event may have been taken in long after it was received. Manages its own transaction."""
    with db.begin() as conn:
        oldest = now - LATE
        used, undone = redeem_from_orders(conn, since=oldest, now=now), release_undone(conn, since=oldest, now=now)
    return _told({"codes used": used, "codes given back": undone})


def _told(parts: Mapping[str, int]) -> str | None:
    return ", ".join(f"{number} {word}" for word, number in parts.items() if number) or None


def _since(conn: sa.Connection, *, now: datetime) -> datetime:
    """From when on orders are news. All recent ones are where a code was given back since: another may name it."""
    read_until: datetime | None = conn.scalar(sa.text("SELECT read_until FROM credit_reading"))
    if read_until is None:
        return now - LATE
    since = max(read_until - OVERLAP, now - LATE)
    reopened = sa.exists().where(redemptions.c.undone_at > since)
    return now - LATE if conn.scalar(sa.select(reopened)) else since


def redeem_from_orders(conn: sa.Connection, *, since: datetime, now: datetime) -> int:
    """Orders told of since then that name a code have used it, whether or not the till asked us first; says how many
    uses were new.

    A second order that names the same code is kept as a refusal that was given all the same.
    """
    asked = _asked(since, now) | {"oldest": now - LATE}
    rows = conn.execute(_NAMED, asked).mappings().all()
    won = redeeming.mark_used(conn, {row["code"]: row["at"] for row in rows if row["origin"] != "shared"}, now=now)
    uses = [row for row in rows if row["code"] in won or row["origin"] == "shared"]
    used = redeeming.use_afterwards(conn, uses)
    conn.execute(_TWICE, asked)
    conn.execute(_WHO, asked)
    conn.execute(_SAME_AFTER_ALL)
    return used


def release_undone(conn: sa.Connection, *, since: datetime, now: datetime) -> int:
    """An order of which we were told since then that it was cancelled, or returned to the last cent, gives its codes
    back; one returned in part has used them."""
    news = sa.text(_NEWS).bindparams(**_asked(since, now)).columns(sa.column("order_id", sa.Text)).subquery("news")
    undone = sa.exists().where(
        orders.c.order_id == redemptions.c.order_id,
        orders.c.state != "completed",
        orders.c.order_id.in_(sa.select(news.c.order_id)),
    )
    return redeeming.undo(conn, undone, now=now)


def _asked(since: datetime, now: datetime) -> dict[str, datetime]:
    """Where all recent orders are news, nothing told of them adds any."""
    oldest = now - LATE
    return {"since": since, "told_since": since if since > oldest else now}


_PLAIN = "translate(regexp_replace(upper(left(coupon, 64)), '[^0-9A-Z]', '', 'g'), 'OIL', '011')"
"""As `codes.normalise` reads it."""

_NEWS = """
    SELECT order_id FROM orders WHERE received_at > :since
    UNION SELECT order_id FROM events WHERE received_at > :told_since AND order_id IS NOT NULL
        AND name IN ('Order Completed', 'Order Updated', 'Order Cancelled', 'Order Refunded')
"""
"""An update may bring a code, a cancellation or a return gives it back, long after the order came."""

_ORDERS = f"""
    SELECT order_id, customer_id, channel, store_id, discount, total + discount AS basket, ordered_at, received_at,
        {_PLAIN} AS code
    FROM orders JOIN ({_NEWS}) AS news USING (order_id)
    WHERE coupon IS NOT NULL AND state = 'completed' AND received_at > :oldest
"""

_NAMED = sa.text(f"""
    WITH named AS ({_ORDERS})
    SELECT DISTINCT ON (code, CASE WHEN origin = 'shared' THEN order_id END)
        code, offer_id, origin, order_id, named.customer_id, channel, store_id, discount, basket, ordered_at AS at,
        origin <> 'shared' AND named.customer_id IS DISTINCT FROM coalesce(holder.merged_into, holder.id) AS leaked
    FROM named JOIN promo_codes AS held USING (code) LEFT JOIN customers AS holder ON holder.id = held.customer_id
    WHERE held.state IN ('free', 'reserved', 'issued', 'expired', 'shared')
        AND coalesce(received_at >= reserved_at, true)
        AND NOT EXISTS (SELECT FROM promo_redemptions AS used WHERE used.code = held.code
            AND used.order_id = named.order_id)
    ORDER BY code, CASE WHEN origin = 'shared' THEN order_id END, ordered_at
""")

_TWICE = sa.text(f"""
    WITH named AS ({_ORDERS})
    INSERT INTO promo_refusals AS kept
        (code, order_id, reason, offer_id, channel, store_id, customer_id, given, first_at, last_at)
    SELECT code, named.order_id, 'used', held.offer_id, named.channel, named.store_id, named.customer_id, true,
        ordered_at, ordered_at
    FROM named JOIN promo_codes AS held USING (code)
    WHERE held.state = 'redeemed' AND NOT EXISTS (SELECT FROM promo_redemptions AS used WHERE used.code = held.code
        AND used.order_id = named.order_id)
    ON CONFLICT (code, order_id, reason) DO UPDATE SET given = true WHERE NOT kept.given
""")

_WHO = sa.text("""
    UPDATE promo_redemptions AS used SET customer_id = orders.customer_id,
        leaked = held.origin <> 'shared'
            AND orders.customer_id IS DISTINCT FROM coalesce(holder.merged_into, holder.id)
    FROM orders, promo_codes AS held LEFT JOIN customers AS holder ON holder.id = held.customer_id
    WHERE used.customer_id IS NULL AND orders.order_id = used.order_id AND held.code = used.code
""")
"""Who used it is known once the order is there."""

_SAME_AFTER_ALL = sa.text("""
    UPDATE promo_redemptions AS used SET leaked = false
    FROM promo_codes AS held, customers AS holder, customers AS payer
    WHERE used.leaked AND held.code = used.code AND holder.id = held.customer_id AND payer.id = used.customer_id
        AND coalesce(holder.merged_into, holder.id) = coalesce(payer.merged_into, payer.id)
""")
"""Two records that turned out to be one person."""
