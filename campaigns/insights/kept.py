"""Answers about the whole house that take long to count: found by a job, kept by name, read in a blink."""

from datetime import datetime
from typing import Any

import sqlalchemy as sa

from campaigns import tables
from foundation import database

insights = tables.insights


def read(conn: sa.Connection, name: str) -> tuple[dict[str, Any], datetime] | None:
    """What was found last, and when; None before the first time."""
    row = conn.execute(sa.select(insights).where(insights.c.name == name)).one_or_none()
    return (row.figures, row.at) if row else None


def keep(conn: sa.Connection, name: str, figures: dict[str, Any], *, now: datetime) -> None:
    """Keeps an answer in the place of the one before."""
    database.upsert(conn, insights, [{"name": name, "figures": figures, "at": now}], key=["name"])


def at(conn: sa.Connection, name: str) -> datetime | None:
    """When an answer was found last."""
    found: datetime | None = conn.scalar(sa.select(insights.c.at).where(insights.c.name == name))
    return found
