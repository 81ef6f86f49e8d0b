"""Orders are credited to messages: decided anew whenever an order, a return, a click, a code or a merge comes to light.

What is decided depends on what is known alone, never on the order in which it came: deciding again changes nothing
unless something new is known.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from campaigns import attribution, policy, tables
from campaigns.attribution import Decision, Kind, Touch
from foundation.database import Database

attributions = tables.attributions

LATE = timedelta(days=30)
"""Orders of a till that was offline are still credited this long after the window."""
OVERLAP = timedelta(minutes=10)
"""Read again this far back: a transaction that began earlier may commit later."""
BATCH = 2_000
REMEMBERED = timedelta(days=90)
"""How far back a click is looked for, to say that it came too early."""


def credit_changed(conn: sa.Connection, *, now: datetime) -> int:
    """Decides anew on every order something came to light about since the last time. Gives how many credits moved."""
    days = timedelta(days=policy.load(conn).attribution_days)
    conn.execute(_BEGIN, {"start": now - days - LATE})
    since: datetime = conn.execute(sa.text("SELECT read_until FROM credit_reading FOR UPDATE")).scalar_one()
    asked = {"since": since - OVERLAP, "oldest": now - days - LATE, "window": days}
    moved = _decide_all(conn, list(conn.scalars(sa.text(_CHANGED), asked)), window=days, now=now)
    conn.execute(sa.text("UPDATE credit_reading SET read_until = :now WHERE read_until < :now"), {"now": now})
    return moved


def check(db: Database, *, now: datetime) -> str | None:
    """Decides anew on every recent order: what slipped past the reading of news, as events taken in long after
    they were received, is made good. Manages its own transaction."""
    with db.begin() as conn:
        days = timedelta(days=policy.load(conn).attribution_days)
        asked = {"since": now - days - LATE, "oldest": now - days - LATE, "window": days}
        moved = _decide_all(conn, list(conn.scalars(sa.text(_CHANGED), asked)), window=days, now=now)
    return f"{moved} credits moved" if moved else None


_BEGIN = sa.text("INSERT INTO credit_reading (read_until) VALUES (:start) ON CONFLICT DO NOTHING")

_CHANGED = """
SELECT orders.order_id FROM orders WHERE received_at > :since AND ordered_at > :oldest
UNION SELECT events.order_id FROM events
    WHERE received_at > :since AND order_id IS NOT NULL
        AND name IN ('Order Completed', 'Order Updated', 'Order Refunded', 'Order Cancelled')
UNION SELECT orders.order_id FROM events JOIN orders ON orders.customer_id = events.customer_id
        AND orders.ordered_at BETWEEN events.occurred_at AND events.occurred_at + :window
    WHERE events.received_at > :since AND events.name = 'Message Clicked'
UNION SELECT order_id FROM promo_redemptions WHERE at > :since
UNION SELECT orders.order_id FROM merges JOIN orders ON orders.customer_id IN (merges.winner_id, merges.loser_id)
    WHERE (merged_at > :since OR undone_at > :since) AND orders.ordered_at > :oldest
UNION SELECT attributions.order_id FROM attributions JOIN orders USING (order_id)
    WHERE attributions.kind = 'code' AND attributions.ordered_at > :oldest
        AND NOT EXISTS (SELECT FROM promo_redemptions AS used WHERE used.order_id = orders.order_id
            AND used.undone_at IS NULL)
ORDER BY 1
"""
"""Orders, returns, clicks, codes used and taken back, customers who turned out to be one."""


def _decide_all(conn: sa.Connection, order_ids: Sequence[str], *, window: timedelta, now: datetime) -> int:
    moved = 0
    for start in range(0, len(order_ids), BATCH):
        batch = order_ids[start : start + BATCH]
        found = decisions(conn, batch, window=window)
        moved += _keep(conn, batch, [one for one in found.values() if one.credited], now=now)
    return moved


@dataclass(frozen=True, slots=True)
class Credited:
    """What was decided of an order; `amount` is what the shop kept of it, in minor units."""

    order_id: str
    ordered_at: datetime
    amount: int
    currency: str | None
    cancelled: bool
    decision: Decision

    @property
    def credited(self) -> Touch | None:
        """The touch that earns; a cancelled order earns nobody anything."""
        return None if self.cancelled else self.decision.credited


def decisions(conn: sa.Connection, order_ids: Sequence[str], *, window: timedelta) -> dict[str, Credited]:
    """Whose each of these orders is and why, by what is known now."""
    asked = {"orders": list(order_ids), "remembered": REMEMBERED}
    touches: dict[str, list[Touch]] = defaultdict(list)
    for row in conn.execute(sa.text(_TOUCHES), asked).mappings():
        touches[row["order_id"]].append(Touch(row["message_id"], row["campaign_id"], row["at"], Kind(row["kind"])))
    return {
        row["order_id"]: Credited(
            **row, decision=attribution.decide(row["ordered_at"], touches[row["order_id"]], window=window)
        )
        for row in conn.execute(sa.text(_ORDERS), asked).mappings()
    }


_ORDERS = """
SELECT order_id, ordered_at, total - refunded AS amount, currency, state = 'cancelled' AS cancelled
FROM orders WHERE order_id = ANY(:orders)
"""

_TOUCHES = """
WITH asked AS (SELECT order_id, customer_id, ordered_at FROM orders WHERE order_id = ANY(:orders)),
clicks AS (
    SELECT asked.order_id, CAST(events.properties ->> 'message_id' AS uuid) AS message_id, events.occurred_at AS at
    FROM asked JOIN events ON events.customer_id = asked.customer_id AND events.name = 'Message Clicked'
        AND events.occurred_at BETWEEN asked.ordered_at - CAST(:remembered AS interval) AND asked.ordered_at
    WHERE coalesce(events.properties ->> 'machine', 'false') <> 'true'
        AND events.properties ->> 'message_id' ~ '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$'
)
SELECT clicks.order_id, messages.id AS message_id, messages.campaign_id, clicks.at, 'click' AS kind
FROM clicks JOIN messages ON messages.id = clicks.message_id
UNION ALL
SELECT asked.order_id, messages.id, messages.campaign_id, asked.ordered_at, 'code'
FROM asked JOIN promo_redemptions AS used ON used.order_id = asked.order_id AND used.undone_at IS NULL
JOIN promo_codes USING (code)
JOIN messages ON messages.id = (
    SELECT carrier.id FROM messages AS carrier JOIN message_contents ON message_contents.message_id = carrier.id
    WHERE carrier.customer_id = promo_codes.customer_id AND message_contents.promo_code = promo_codes.code
        AND carrier.accepted_at <= asked.ordered_at
    ORDER BY carrier.accepted_at DESC LIMIT 1)
"""
"""A code is credited to the last message that carried it before the order, whoever used it and wherever."""


def _keep(conn: sa.Connection, order_ids: Sequence[str], found: Sequence[Credited], *, now: datetime) -> int:
    """Puts what was decided in the place of what was; gives how many moved."""
    kept = [one.order_id for one in found]
    gone = sa.delete(attributions).where(
        attributions.c.order_id == sa.any_(sa.cast(list(order_ids), postgresql.ARRAY(sa.Text))),
        attributions.c.order_id != sa.all_(sa.cast(kept, postgresql.ARRAY(sa.Text))),
    )
    moved = conn.execute(gone, execution_options={"preserve_rowcount": True}).rowcount
    if not found:
        return moved
    insert = postgresql.insert(attributions)
    names = [name for name in _row(found[0], now) if name != "order_id"]
    same = [name for name in names if name != "decided_at"]
    differs = sa.tuple_(*(attributions.c[name] for name in same)).is_distinct_from(
        sa.tuple_(*(insert.excluded[name] for name in same))
    )
    upsert = insert.on_conflict_do_update(
        index_elements=["order_id"], set_={name: insert.excluded[name] for name in names}, where=differs
    ).returning(attributions.c.order_id)
    return moved + len(conn.execute(upsert, [_row(one, now) for one in found]).all())


def _row(one: Credited, now: datetime) -> dict[str, Any]:
    touch = one.credited
    if touch is None:
        raise ValueError(f"{one.order_id} is credited to nothing")
    return {
        "order_id": one.order_id,
        "message_id": touch.message_id,
        "campaign_id": touch.campaign_id,
        "kind": touch.kind,
        "touched_at": touch.at,
        "ordered_at": one.ordered_at,
        "amount": one.amount,
        "currency": one.currency,
        "decided_at": now,
    }
