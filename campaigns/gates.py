"""The gate before each provider: shut while it fails or asks for silence, opened again by one probe; and the buckets
that keep all senders together under its rate."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from campaigns import ledger_tables, tables
from campaigns.channels.base import Outcome, Receipt
from campaigns.states import Reason

gates, buckets = tables.provider_gates, ledger_tables.buckets

IN_A_ROW = 5
FIRST_PAUSE, LONGEST_PAUSE = 30, 600
BUSY_PAUSE = 30.0
PROBE_SECONDS = 60
LATELY = timedelta(seconds=30)
RUN = timedelta(minutes=1)
"""All that one run hands over was submitted when it began; no answer comes later than this after that."""
ALL = "all"
"""The bucket every message of a provider draws from."""
BURST = 0.05
"""Seconds of its rate a bucket holds. No second may see more than a tenth above the rate; half of that is left for
messages that left apart and arrive together, as while a connection is being opened."""


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


def take(
    conn: sa.Connection,
    provider: str,
    *,
    wanted: int,
    per_second: int | None,
    name: str = ALL,
    burst: float = BURST,
) -> int:
    """How many of so many may leave right now: all of them without a rate, else as many as the bucket holds, which is
    at most `burst` seconds of its rate.

    Counted by the clock of the database; every sender draws from the same bucket.
    """
    if per_second is None:
        return wanted
    given = {"provider": provider, "name": name, "rate": per_second, "most": max(1.0, per_second * burst)}
    conn.execute(_BUCKET, given)
    return int(conn.scalar(_TAKE, given | {"wanted": wanted}) or 0)


_BUCKET = sa.text("""
INSERT INTO buckets (provider, name, tokens, filled_at) VALUES (:provider, :name, :most, clock_timestamp())
ON CONFLICT DO NOTHING
""")
_TAKE = sa.text("""
WITH held AS (
    SELECT greatest(clock_timestamp(), filled_at) AS at, least(:most,
        tokens + :rate * greatest(0, extract(epoch FROM clock_timestamp() - filled_at)::float8)) AS tokens
    FROM buckets WHERE provider = :provider AND name = :name FOR UPDATE
)
UPDATE buckets SET tokens = held.tokens - least(:wanted, floor(held.tokens)), filled_at = held.at
FROM held WHERE provider = :provider AND name = :name
RETURNING least(:wanted, floor(held.tokens))
""").bindparams(
    sa.bindparam("most", type_=sa.Double),
    sa.bindparam("rate", type_=sa.Double),
    sa.bindparam("wanted", type_=sa.Double),
)


def heard(conn: sa.Connection, provider: str, receipts: Sequence[Receipt], *, probe: bool, now: datetime) -> None:
    """What answers, or their absence, mean for everything that waits behind them."""
    for receipt in receipts:
        if receipt.outcome is not Outcome.ACCEPTED:
            _heard(conn, provider, receipt, probe=probe, now=now)
    if any(receipt.outcome is Outcome.ACCEPTED for receipt in receipts):
        _answered(conn, provider, probe=probe)


def told(conn: sa.Connection, provider: str, message_ids: Collection[UUID]) -> None:
    """It reported on these: up to the youngest of them it has shown that it tells of what it takes."""
    if not message_ids:
        return
    messages = tables.messages
    ids = sa.bindparam("ids", list(message_ids), postgresql.ARRAY(postgresql.UUID))
    mine = (messages.c.id == sa.any_(ids)) & (messages.c.provider == provider)
    youngest = sa.select(sa.func.max(messages.c.submitted_at)).where(mine).scalar_subquery()
    until = sa.func.greatest(gates.c.heard_until, youngest)
    conn.execute(sa.update(gates).where(gates.c.provider == provider).values(heard_until=until))


def _heard(conn: sa.Connection, provider: str, receipt: Receipt, *, probe: bool, now: datetime) -> None:
    if receipt.outcome is Outcome.AMBIGUOUS:
        _doubt(conn, provider, probe=probe, now=now)
    elif receipt.outcome is Outcome.MISCONFIGURED:
        _open(conn, provider, reason=Reason.PROVIDER_MISCONFIGURED, now=now)
    elif receipt.outcome is Outcome.UNSENT:
        if probe:
            _open(conn, provider, reason=Reason.PROVIDER_DOWN, now=now)
        elif receipt.busy:
            _rest(conn, provider, receipt, reason=Reason.PROVIDER_DOWN, now=now)
    else:
        _answered(conn, provider, probe=probe)
        if receipt.busy:
            _rest(conn, provider, receipt, reason=Reason.PROVIDER_BUSY, now=now)


def _answered(conn: sa.Connection, provider: str, *, probe: bool) -> None:
    """It answered: doubts end, a probe closes the breaker."""
    row = gates.c.provider == provider
    if probe:
        closed = {"breaker": "closed", "opened_at": None, "openings_in_a_row": 0, "ambiguous_in_a_row": 0}
        conn.execute(sa.update(gates).where(row).values(**closed, blocked_until=None, reason=None))
    else:
        conn.execute(sa.update(gates).where(row, gates.c.ambiguous_in_a_row > 0).values(ambiguous_in_a_row=0))


def _rest(conn: sa.Connection, provider: str, receipt: Receipt, *, reason: Reason, now: datetime) -> None:
    """A wish for silence is kept; so is the time in which there is no way to it."""
    wait = receipt.retry_after if receipt.retry_after is not None else BUSY_PAUSE
    longest = sa.func.greatest(gates.c.blocked_until, now + timedelta(seconds=wait))
    conn.execute(sa.update(gates).where(gates.c.provider == provider).values(blocked_until=longest, reason=reason))


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
            messages.c.submitted_at >= now - RUN - LATELY,
            messages.c.provider == provider,
            attempts.c.outcome.is_not(None),
            attempts.c.ended_at >= now - LATELY,
        )
    )
    answers, doubts = conn.execute(recent).one()
    return bool(answers >= 20 and doubts * 2 >= answers)


def _open(conn: sa.Connection, provider: str, *, reason: Reason, now: datetime) -> None:
    """Once for all that was under way together: only another failure, that of a probe, makes the pause longer."""
    pause = sa.func.least(FIRST_PAUSE * sa.func.power(2, gates.c.openings_in_a_row), LONGEST_PAUSE)
    values = {
        "breaker": "open",
        "reason": reason,
        "opened_at": now,
        "blocked_until": sa.literal(now) + pause * sa.text("interval '1 second'"),
        "openings_in_a_row": sa.func.least(gates.c.openings_in_a_row + 1, 10),
        "ambiguous_in_a_row": 0,
    }
    conn.execute(sa.update(gates).where(gates.c.provider == provider, gates.c.breaker != "open").values(**values))
