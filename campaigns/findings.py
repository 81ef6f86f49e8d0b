"""What `flask doctor` last found, kept so that the list before a launch reads it without asking name servers."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from campaigns.mail_tables import doctor_findings
from foundation import database
from shop.tables import customers

BULK = 5_000
"""Messages in a day from which Google and Microsoft take a sender for a bulk sender and refuse what is not signed."""
FRESH = timedelta(hours=2)
"""Older findings say nothing of today."""
ADVICE = frozenset({"write keys", "promo codes", "scheduler", "DNS", "reports"})
"""What is red without harm to what is sent: told elsewhere, or no answer at all."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing examined, whether it is as it must be, and what was found."""

    subject: str
    good: bool
    detail: str


def keep(conn: sa.Connection, found: Sequence[Finding], *, now: datetime) -> None:
    """These are the findings from now on; none means that nothing is known."""
    rows = [{"subject": one.subject, "good": one.good, "detail": one.detail, "found_at": now} for one in found]
    subjects = postgresql.array([one.subject for one in found], type_=sa.Text)
    conn.execute(sa.delete(doctor_findings).where(doctor_findings.c.subject != sa.all_(subjects)))
    if rows:
        database.upsert(conn, doctor_findings, rows, key=["subject"])


def last(conn: sa.Connection, *, now: datetime) -> list[Finding]:
    """What was lately found."""
    columns = (doctor_findings.c.subject, doctor_findings.c.good, doctor_findings.c.detail)
    fresh = doctor_findings.c.found_at > now - FRESH
    return database.read(conn, sa.select(*columns).where(fresh).order_by(doctor_findings.c.subject), Finding)


def harmful(conn: sa.Connection, *, now: datetime) -> list[Finding]:
    """What was lately found red, and would do harm to many messages."""
    return [one for one in last(conn, now=now) if not one.good and one.subject not in ADVICE]


def few(conn: sa.Connection) -> int | None:
    """How many customers there are if that is no bulk; None if there may be more. Counts no further than it needs."""
    some = sa.select(customers.c.id).limit(BULK + 1).subquery()
    number = conn.execute(sa.select(sa.func.count()).select_from(some)).scalar_one()
    return number if number <= BULK else None
