"""Orders told to ad platforms, so that they can count what their ads brought: only of people who agreed, once each.

Every new order gets a row for each platform that is connected, with what its customer says at that moment; a yes said
later changes nothing about it. The measuring needs her consent to `marketing` on the channel `ads`; whether she agreed
to personalised ads too is passed on as it is.
"""

import logging
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from campaigns.audiences import gates, normalising, tables, wanted
from campaigns.audiences.platforms.base import Answer, Person, Platform, Reply, Sale
from campaigns.audiences.syncing import Platforms
from foundation import database
from foundation.database import Database
from shop import arrays, money

log = logging.getLogger(__name__)
told = tables.ad_conversions

LOOKED_BACK = timedelta(days=2)
"""Orders that came in longer ago have their row already, or came in before the platform was connected."""
ORDERS = "{} orders"
"""The gate of a platform's orders alone."""
MARGIN = timedelta(hours=1)
"""Nothing is told that the platform would find too old an hour later."""


def tell_due(db: Database, platforms: Platforms, *, now: datetime) -> str | None:
    """Notes new orders and tells each platform of those it may know. Manages its own transactions, a batch each."""
    words = []
    for name in sorted(platforms):
        platform = platforms[name]
        if platform.sales_batch:
            with db.begin() as conn:
                _note(conn, platform, now=now)
            sent = _tell(db, platform, now=now)
            words += [f"{sent} to {name}"] if sent else []
    return ", ".join(words) or None


def _note(conn: sa.Connection, platform: Platform, *, now: datetime) -> None:
    """A row for each new order: to be told, or withheld with the reason."""
    given = {
        "platform": platform.name,
        "now": now,
        "since": now - LOOKED_BACK,
        "oldest": now - timedelta(days=platform.sales_days) + MARGIN,
        "adult": now.year - wanted.AGE,
    }
    conn.execute(sa.text(_NOTE), given)


def _tell(db: Database, platform: Platform, *, now: datetime) -> int:
    sent = 0
    while True:
        with db.begin() as conn:
            if any(gates.shut(conn, name, now=now) for name in (platform.name, ORDERS.format(platform.name))):
                return sent
            given = {"platform": platform.name, "limit": platform.sales_batch}
            rows = conn.execute(sa.text(_PENDING), given).all()
        if not rows:
            return sent
        waiting = [list(rows)]
        while waiting:
            some = waiting.pop()
            reply = platform.tell([_sale(platform, row) for row in some], now=now)
            if reply.answer is Answer.ROWS and len(some) > 1:
                waiting += [some[: len(some) // 2], some[len(some) // 2 :]]
                continue
            with db.begin() as conn:
                if not _kept(conn, platform, some, reply, now=now):
                    log.warning("orders not told", extra={"platform": platform.name, "answer": reply.answer})
                    return sent
            sent += len(some) if reply.answer is Answer.TAKEN else 0


def _kept(conn: sa.Connection, platform: Platform, rows: Sequence[Any], reply: Reply, *, now: datetime) -> bool:
    """Records what became of them; False when nothing more can be told now."""
    if reply.answer is Answer.AUDIENCE:  # the data set or conversion action is at fault, not the platform
        gates.heard(conn, ORDERS.format(platform.name), Reply(Answer.KEY, reply.detail), now=now)
        return False
    gates.heard(conn, platform.name, reply, now=now)
    if reply.answer not in (Answer.TAKEN, Answer.ROWS):
        return False
    gates.reopen(conn, ORDERS.format(platform.name))
    state, reason = ("sent", None) if reply.answer is Answer.TAKEN else ("refused", reply.detail)
    ids = arrays.texts(row.order_id for row in rows)
    database.driver(conn).execute(_SETTLED, [state, reason, now, platform.name, ids])
    return True


def _sale(platform: Platform, row: Any) -> Sale:
    page = row.context.get("page") if row.context else None
    url = page.get("url") if isinstance(page, dict) else None
    agent = row.context.get("userAgent") if row.context else None
    rules = platform.rules
    return Sale(
        order_id=row.order_id,
        ordered_at=row.ordered_at,
        channel=row.channel,
        total=float(money.decimal(row.total, row.currency)),
        currency=row.currency or money.DEFAULT_CURRENCY,
        person=Person(normalising.digest(rules.email, row.email), normalising.digest(rules.phone, row.phone)),
        product_ids=row.product_ids or (),
        personal=row.personal,
        url=url if isinstance(url, str) else None,
        user_agent=agent if isinstance(agent, str) else None,
    )


_SAID = """
    SELECT bool_and(state = 'granted') FROM consents WHERE consents.customer_id = orders.customer_id
        AND consents.channel IN ('ads', 'any') AND purpose IN ('{purpose}', 'any')
"""
_NOTE = f"""
INSERT INTO ad_conversions (platform, order_id, state, reason, choices, noted_at)
SELECT :platform, order_id, CASE WHEN reason IS NULL THEN 'pending' ELSE 'withheld' END, reason,
    jsonb_build_object('personal', personal), :now
FROM (SELECT order_id, coalesce(({_SAID.format(purpose="personalization")}), false) AS personal, CASE
    WHEN state = 'cancelled' THEN 'cancelled' WHEN ordered_at < :oldest THEN 'old'
    WHEN ({_SAID.format(purpose="marketing")}) IS NOT TRUE THEN 'consent'
    WHEN person.birth_year >= :adult THEN 'minor'
    WHEN person.email IS NULL AND person.phone IS NULL THEN 'address' END AS reason
    FROM orders JOIN customers AS person ON person.id = orders.customer_id WHERE received_at > :since) AS fresh
ON CONFLICT DO NOTHING
"""
_PENDING = """
SELECT orders.order_id, orders.ordered_at, orders.channel, orders.total, orders.currency, person.email, person.phone,
    CAST(choices ->> 'personal' AS boolean) AS personal, happened.context,
    (SELECT array_agg(product_id ORDER BY line) FROM order_lines WHERE order_lines.order_id = orders.order_id)
        AS product_ids
FROM ad_conversions JOIN orders USING (order_id) JOIN customers AS person ON person.id = orders.customer_id
LEFT JOIN LATERAL (SELECT context FROM events WHERE events.customer_id = orders.customer_id
    AND events.occurred_at = orders.ordered_at AND events.order_id = orders.order_id LIMIT 1) AS happened ON true
WHERE platform = :platform AND ad_conversions.state = 'pending' ORDER BY noted_at, order_id LIMIT :limit
"""
_SETTLED = """
UPDATE ad_conversions SET state = %b, reason = %b, sent_at = %b
WHERE platform = %b AND order_id = ANY(%b::text[]) AND state = 'pending'
"""
