"""What is forgotten at night: answers kept for repeats, ended sessions, old refusals and counts, silent browsers."""

from datetime import datetime, timedelta

import sqlalchemy as sa

from app import tables
from campaigns import onsite, subscriptions
from campaigns import tables as campaign_tables
from campaigns.audiences import tables as audience_tables
from foundation.database import Database
from recommender import tables as recommender_tables
from shop import tables as shop_tables

KEPT: tuple[tuple[sa.Table, "sa.Column[datetime]", timedelta], ...] = (
    (tables.idempotency, tables.idempotency.c.created_at, timedelta(hours=24)),
    (tables.sessions, tables.sessions.c.created_at, timedelta(days=7)),
    (tables.rate_limits, tables.rate_limits.c.started_at, timedelta(hours=1)),
    (shop_tables.refused_events, shop_tables.refused_events.c.received_at, timedelta(days=30)),
    (recommender_tables.slates, recommender_tables.slates.c.shown_at, timedelta(days=180)),
    (recommender_tables.slate_clicks, recommender_tables.slate_clicks.c.shown_at, timedelta(days=180)),
    (shop_tables.event_counts, shop_tables.event_counts.c.minute, timedelta(days=30)),
    (campaign_tables.segment_moves, campaign_tables.segment_moves.c.at, timedelta(days=400)),
    (campaign_tables.webhook_attempts, campaign_tables.webhook_attempts.c.at, timedelta(days=400)),
    (audience_tables.audience_syncs, audience_tables.audience_syncs.c.started_at, timedelta(days=400)),
)
"""Each table, the time its rows are judged by, and how long they are kept."""


def prune(db: Database, *, now: datetime) -> str | None:
    """Deletes what is older than it is kept for; says how much, or None if there was nothing."""
    gone = 0
    for table, time, kept in KEPT:
        with db.begin() as conn:
            gone += conn.execute(sa.delete(table).where(time < now - kept)).rowcount
    for forget in (subscriptions.prune, onsite.prune):
        with db.begin() as conn:
            gone += forget(conn, now=now)
    return f"{gone} old rows forgotten" if gone else None
