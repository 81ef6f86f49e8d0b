"""Reading what came in: how many events a minute, and what was refused and why."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from foundation import database
from shop.tables import event_counts, refused_events, sources


@dataclass(frozen=True, slots=True)
class Minute:
    """What one source sent in one minute."""

    source_id: int
    minute: datetime
    accepted: int
    repeated: int
    refused: int


@dataclass(frozen=True, slots=True)
class Refused:
    """One event that was turned away: why, where it was wrong, and what was sent."""

    id: int
    source_id: int
    source: str
    received_at: datetime
    reason: str
    faults: list[dict[str, Any]]
    payload: str


def per_minute(conn: sa.Connection, since: datetime) -> Sequence[Minute]:
    """Counts by minute and source from `since` on, oldest first; minutes without events are left out."""
    counts = event_counts.c
    query = (
        sa.select(
            counts.source_id,
            counts.minute,
            sa.func.sum(counts.accepted).label("accepted"),
            sa.func.sum(counts.repeated).label("repeated"),
            sa.func.sum(counts.refused).label("refused"),
        )
        .where(counts.minute >= since)
        .group_by(counts.source_id, counts.minute)
        .order_by(counts.minute, counts.source_id)
    )
    return database.read(conn, query, Minute)


def refused(conn: sa.Connection, *, before: int | None = None, limit: int = 50) -> Sequence[Refused]:
    """Refused events, newest first, from below id `before`."""
    query = sa.select(refused_events, sources.c.name.label("source")).join(
        sources, sources.c.id == refused_events.c.source_id
    )
    if before is not None:
        query = query.where(refused_events.c.id < before)
    return database.read(conn, query.order_by(refused_events.c.id.desc()).limit(limit), Refused)
