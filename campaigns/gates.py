"""The gate before each provider: shut while it fails or asks for silence, opened again by one probe."""

from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from campaigns import tables
from campaigns.channels.base import Outcome, Receipt
from campaigns.states import Reason

gates = tables.provider_gates

IN_A_ROW = 5
FIRST_PAUSE, LONGEST_PAUSE = 30, 600
BUSY_PAUSE = 30.0
PROBE_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Permit:
    """What may be begun now: any number, one probe, or nothing until `until`."""

    allowed: bool
    probe: bool = False
    until: datetime | None = None
    reason: str | None = None


def permit(conn: sa.Connection, provider: str, *, now: datetime) -> Permit:
    """Looks at the gate; when its pause is over, exactly one caller gets the probe."""
    conn.execute(postgresql.insert(gates).values(provider=provider, breaker="closed").on_conflict_do_nothing())
    row = conn.execute(sa.select(gates).where(gates.c.provider == provider)).one()
    if row.blocked_until is not None and row.blocked_until > now:
        return Permit(False, until=row.blocked_until, reason=row.reason)
    if row.breaker == "closed":
        return Permit(True)
    mine = (gates.c.provider == provider) & (gates.c.breaker != "closed") & (gates.c.blocked_until <= now)
    taken = sa.update(gates).where(mine).values(breaker="half", blocked_until=now + timedelta(seconds=PROBE_SECONDS))
    return Permit(conn.execute(taken).rowcount == 1, probe=True, until=row.blocked_until, reason=row.reason)


def shut(provider: sa.ColumnElement[str], *, now: sa.ColumnElement[datetime]) -> sa.ColumnElement[bool]:
    """Whether nothing may be begun, for the WHERE of the intent."""
    closed = (gates.c.breaker != "closed") | (gates.c.blocked_until > now)
    return sa.exists().where(gates.c.provider == provider, closed)


def heard(conn: sa.Connection, provider: str, receipt: Receipt, *, probe: bool, now: datetime) -> None:
    """What an answer, or its absence, means for everything that waits behind it."""
    if receipt.outcome is Outcome.AMBIGUOUS:
        _doubt(conn, provider, probe=probe, now=now)
    elif receipt.outcome is Outcome.MISCONFIGURED:
        _open(conn, provider, reason=Reason.PROVIDER_MISCONFIGURED, now=now)
    elif receipt.outcome is Outcome.UNSENT and probe:
        _open(conn, provider, reason=Reason.PROVIDER_DOWN, now=now)
    else:
        wait = (receipt.retry_after if receipt.retry_after is not None else BUSY_PAUSE) if receipt.busy else None
        reason = Reason.PROVIDER_DOWN if receipt.outcome is Outcome.UNSENT else Reason.PROVIDER_BUSY
        _answered(conn, provider, probe=probe, until=now + timedelta(seconds=wait) if wait else None, reason=reason)


def _answered(conn: sa.Connection, provider: str, *, probe: bool, until: datetime | None, reason: Reason) -> None:
    """It answered: doubts end, a probe closes the breaker, a wish for silence is kept."""
    row = gates.c.provider == provider
    if probe:
        closed = {"breaker": "closed", "opened_at": None, "openings_in_a_row": 0, "ambiguous_in_a_row": 0}
        conn.execute(sa.update(gates).where(row).values(**closed, blocked_until=None, reason=None))
    else:
        conn.execute(sa.update(gates).where(row, gates.c.ambiguous_in_a_row > 0).values(ambiguous_in_a_row=0))
    if until is not None:
        longest = sa.func.greatest(gates.c.blocked_until, until)
        conn.execute(sa.update(gates).where(row).values(blocked_until=longest, reason=reason))


def _doubt(conn: sa.Connection, provider: str, *, probe: bool, now: datetime) -> None:
    counted = (
        sa.update(gates)
        .where(gates.c.provider == provider)
        .values(ambiguous_in_a_row=gates.c.ambiguous_in_a_row + 1)
        .returning(gates.c.ambiguous_in_a_row)
    )
    in_a_row = conn.scalar(counted) or 0
    if probe or in_a_row >= IN_A_ROW or _mostly_doubt(conn, provider, now=now):
        _open(conn, provider, reason=Reason.PROVIDER_DOWN, now=now)


def _mostly_doubt(conn: sa.Connection, provider: str, *, now: datetime) -> bool:
    """At least half of at least twenty answers of the last half minute were none."""
    attempts, messages = tables.attempts, tables.messages
    doubtful = sa.func.count().filter(attempts.c.outcome == Outcome.AMBIGUOUS)
    recent = (
        sa.select(sa.func.count(), doubtful)
        .join(messages, messages.c.id == attempts.c.message_id)
        .where(
            messages.c.submitted_at >= now - timedelta(seconds=30),
            messages.c.provider == provider,
            attempts.c.outcome.is_not(None),
            attempts.c.ended_at >= now - timedelta(seconds=30),
        )
    )
    answers, doubts = conn.execute(recent).one()
    return bool(answers >= 20 and doubts * 2 >= answers)


def _open(conn: sa.Connection, provider: str, *, reason: Reason, now: datetime) -> None:
    pause = sa.func.least(FIRST_PAUSE * sa.func.power(2, gates.c.openings_in_a_row), LONGEST_PAUSE)
    values = {
        "breaker": "open",
        "reason": reason,
        "opened_at": now,
        "blocked_until": sa.literal(now) + pause * sa.text("interval '1 second'"),
        "openings_in_a_row": sa.func.least(gates.c.openings_in_a_row + 1, 10),
        "ambiguous_in_a_row": 0,
    }
    conn.execute(sa.update(gates).where(gates.c.provider == provider).values(**values))
