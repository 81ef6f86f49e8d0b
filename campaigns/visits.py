"""Who follows links: people count, machines do not. Each visit is noted at once, and judged beside its neighbours.

Scanners of mail hosts open every link within seconds of delivery, under the names of browsers. One visit alone says
little; a moment later, the visits of one message together say much: several links in two seconds, a link before anybody
could have read, the link nobody can see. Until then a visit starts nothing. Events are judged, people never.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from campaigns import feedback, mail_tables
from foundation.database import Database

visits = mail_tables.visits

QUIET = timedelta(seconds=10)
"""A visit is judged once its neighbours of so long have been noted too."""
BATCH = 1_000


@dataclass(frozen=True, slots=True)
class Visit:
    """A link followed: number `n` of a message, at that time."""

    message_id: UUID
    n: int
    at: datetime


def followed(conn: sa.Connection, message_id: UUID, n: int, *, machine: bool, now: datetime) -> None:
    """A link was followed; `machine` if the request alone says so."""
    _note(conn, message_id, "click", n=n, machine=True if machine else None, now=now)


def trapped(conn: sa.Connection, message_id: UUID, *, now: datetime) -> None:
    """The link nobody can see was followed."""
    _note(conn, message_id, "trap", n=None, machine=True, now=now)


def fetched(conn: sa.Connection, message_id: UUID, *, now: datetime) -> None:
    """A machine fetched the picture, before or instead of its reader."""
    _note(conn, message_id, "open", n=None, machine=True, now=now)


def _note(
    conn: sa.Connection, message_id: UUID, kind: str, *, n: int | None, machine: bool | None, now: datetime
) -> None:
    """Nothing if the message is no longer known: its customer was erased."""
    conn.execute(_NOTE, {"message_id": message_id, "kind": kind, "n": n, "machine": machine, "at": now})


_NOTE = sa.text("""
INSERT INTO visits (message_id, kind, n, machine, at)
SELECT id, :kind, CAST(:n AS integer), CAST(:machine AS boolean), :at FROM messages WHERE id = :message_id
""").bindparams(sa.bindparam("message_id", type_=visits.c.message_id.type))


def judge(db: Database, *, now: datetime) -> str | None:
    """Judges what waits, a set a transaction, and draws the consequences of what people did."""
    people = machines = 0
    while True:
        with db.begin() as conn:
            judged = conn.execute(_JUDGE, {"before": now - QUIET, "limit": BATCH}).all()
            human = [Visit(row.message_id, row.n, row.at) for row in judged if not row.machine]
            feedback.clicked_many(conn, _once(human), now=now)
        people, machines = people + len(human), machines + len(judged) - len(human)
        if len(judged) < BATCH:
            break
    return f"{people} by people, {machines} by machines" if people or machines else None


def _once(human: Sequence[Visit]) -> list[tuple[UUID, int, datetime]]:
    return [(visit.message_id, visit.n, visit.at) for visit in sorted(human, key=lambda one: one.at)]


_JUDGE: Any = sa.text("""
WITH due AS (
    SELECT id, message_id, n, at FROM visits WHERE machine IS NULL AND at <= :before
        AND NOT EXISTS (SELECT FROM messages WHERE messages.id = visits.message_id AND state || '' = 'submitting')
    ORDER BY at LIMIT :limit FOR UPDATE SKIP LOCKED
), told AS (
    SELECT due.id,
        due.at < messages.accepted_at + interval '2 seconds'
        OR EXISTS (SELECT FROM visits trap WHERE trap.message_id = due.message_id AND trap.kind = 'trap'
            AND trap.at BETWEEN due.at - interval '10 seconds' AND due.at + interval '10 seconds')
        OR EXISTS (SELECT FROM visits first WHERE first.message_id = due.message_id AND first.kind = 'click'
            AND first.at BETWEEN due.at - interval '2 seconds' AND due.at
            AND (SELECT count(DISTINCT near.n) FROM visits near
                WHERE near.message_id = due.message_id AND near.kind = 'click'
                AND near.at BETWEEN first.at AND first.at + interval '2 seconds') >= 3) AS machine
    FROM due JOIN messages ON messages.id = due.message_id
)
UPDATE visits SET machine = coalesce(told.machine, false) FROM told WHERE visits.id = told.id
RETURNING visits.message_id, visits.n, visits.at, visits.machine
""")
"""While a message is being handed over it is not known yet when it was delivered: its visits wait. By its id, for the
reason at the end of `moves.change`."""
