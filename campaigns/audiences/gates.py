"""Whether a platform may be spoken to: not while its token is refused, it asked for silence, or does not answer.

A platform without a row is spoken to. After the pause one sync tries again, and a call that is taken opens the gate;
each failure in a row doubles the pause, up to an hour.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from campaigns.audiences import tables
from campaigns.audiences.platforms.base import Answer, Reply
from foundation import database

gates = tables.ad_gates

FIRST = {Answer.KEY: 600.0, Answer.BUSY: 60.0, Answer.DOWN: 60.0}
"""Seconds of the first pause, when the platform named none."""
LONGEST = 3600.0


@dataclass(frozen=True, slots=True)
class Gate:
    """A platform that is left alone until then, and why; `detail` is its own words."""

    platform: str
    reason: str
    detail: str
    since: datetime
    blocked_until: datetime
    in_a_row: int


def every(conn: sa.Connection) -> dict[str, Gate]:
    """Every platform that has a reason to be left alone, by name."""
    return {gate.platform: gate for gate in database.read(conn, sa.select(gates), Gate)}


def shut(conn: sa.Connection, platform: str, *, now: datetime) -> bool:
    """Whether it is to be left alone now."""
    where = (gates.c.platform == platform) & (gates.c.blocked_until > now)
    return conn.scalar(sa.select(sa.exists().where(where))) or False


def heard(conn: sa.Connection, platform: str, reply: Reply, *, now: datetime) -> None:
    """What an answer means for the calls to come."""
    if reply.answer not in FIRST:
        reopen(conn, platform)
        return
    before = conn.execute(sa.select(gates).where(gates.c.platform == platform)).one_or_none()
    in_a_row = before.in_a_row + 1 if before and before.reason == reply.answer else 1
    pause = reply.retry_after or min(FIRST[reply.answer] * 2 ** (in_a_row - 1), LONGEST)
    row = {
        "platform": platform,
        "reason": reply.answer,
        "detail": reply.detail,
        "since": before.since if before and before.reason == reply.answer else now,
        "blocked_until": now + timedelta(seconds=pause),
        "in_a_row": in_a_row,
    }
    insert = postgresql.insert(gates).values(row)
    conn.execute(insert.on_conflict_do_update(index_elements=["platform"], set_=row))


def reopen(conn: sa.Connection, platform: str) -> None:
    """It may be spoken to at once: it answered, or somebody says its key was put right."""
    conn.execute(sa.delete(gates).where(gates.c.platform == platform))
