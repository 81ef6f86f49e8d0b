"""What is forgotten at night: answers kept for repeats, ended sessions, old refusals and counts, silent browsers.

How long most of it is kept is a matter of the policy; what only serves this program has a fixed time.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from pathlib import Path

import sqlalchemy as sa

from app import file_imports, tables
from campaigns import frozen, onsite, policy, silence, subscriptions
from campaigns import tables as campaign_tables
from campaigns.audiences import tables as audience_tables
from campaigns.rules import KEPT, Policy
from foundation.database import Database
from recommender import tables as recommender_tables
from shop import tables as shop_tables

Kept = tuple[sa.Table, "sa.Column[datetime]", timedelta]
FIXED: tuple[Kept, ...] = (
    (tables.idempotency, tables.idempotency.c.created_at, timedelta(hours=24)),
    (tables.sessions, tables.sessions.c.created_at, timedelta(days=7)),
    (tables.invitations, tables.invitations.c.invited_at, timedelta(days=7)),
    (tables.file_imports, tables.file_imports.c.started_at, timedelta(days=90)),
    (tables.rate_limits, tables.rate_limits.c.started_at, timedelta(hours=1)),
)
"""Each table, the time its rows are judged by, and how long they are kept."""
CHOSEN: Mapping[str, tuple["sa.Column[datetime]", ...]] = {
    "refused_events": (shop_tables.refused_events.c.received_at,),
    "event_counts": (shop_tables.event_counts.c.minute,),
    "slates": (recommender_tables.slates.c.shown_at, recommender_tables.slate_clicks.c.shown_at),
    "segment_moves": (campaign_tables.segment_moves.c.at,),
    "calls": (campaign_tables.webhook_attempts.c.at, audience_tables.audience_syncs.c.started_at),
    "change_log": (tables.change_log.c.at,),
}
"""By the word of the policy: the times by which rows are judged."""


def prune(db: Database, imported: Path, *, now: datetime) -> str | None:
    """Deletes what is older than it is kept for, of the files `imported` too; says how much, or None if nothing was."""
    gone = 0
    with db.begin() as conn:
        rules = policy.load(conn)
    for table, time, kept in (*FIXED, *_chosen(rules)):
        with db.begin() as conn:
            gone += conn.execute(sa.delete(table).where(time < now - kept)).rowcount
    gone += file_imports.prune(imported, now=now)
    for forget in (subscriptions.prune, onsite.prune):
        with db.begin() as conn:
            gone += forget(conn, now=now)
    with db.begin() as conn:
        gone += frozen.prune(conn) + silence.prune(conn, rules)
    return f"{gone} old rows forgotten" if gone else None


def _chosen(rules: Policy) -> Iterator[Kept]:
    for word, columns in CHOSEN.items():
        kept = timedelta(days=rules.keep_days.get(word, KEPT[word]))
        for column in columns:
            yield column.table, column, kept
