"""What needs somebody's attention, the gravest first: each thing with what it means, since when, and what to do."""

from datetime import datetime

import sqlalchemy as sa

from app.console import attention_campaigns, attention_works
from app.console.pointing import Point
from campaigns import figures, plans
from campaigns.insights.house import House

GRAVITY = ("bad", "warn", "unsure", "accent")
"""From what stops messages or loses money to what merely waits for somebody."""


def points(conn: sa.Connection, house: House | None, *, now: datetime) -> list[Point]:
    """Everything that needs attention; nothing large is counted to find it."""
    every = plans.every(conn)
    known = figures.of(conn, [plan.id for plan in every])
    found = [
        *attention_works.stopped(conn, now=now),
        *attention_campaigns.points(conn, every, known, house, now=now),
        *attention_works.worrying(conn, now=now),
    ]
    return sorted(found, key=lambda point: GRAVITY.index(point.tone))
