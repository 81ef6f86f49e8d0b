"""A thousand messages at once, each with reports of its own: three times each, shuffled over all of them, before the
answer to the call or days after it, and every one ends where it would have ended by the book."""

import random
from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

import sqlalchemy as sa

from campaigns import feedback, moves, settling, tables
from campaigns.channels.base import Outcome, Receipt
from campaigns.feedback import Kind, Report
from foundation.database import Database, new_id
from tests.campaigns import world

SIZE, SETS = 1_000, 25
KINDS = (Kind.ACCEPTED, Kind.DELIVERED, Kind.DROPPED, Kind.BOUNCED, Kind.COMPLAINED, Kind.OTHER)


def test_a_thousand_sequences_end_where_single_ordered_ones_do(db: Database, now: datetime) -> None:
    dice = random.Random(4)
    ids = _handed_over(db, now=now)
    told = [report for one in ids for report in _reports(one, dice, now)]
    _answered(db, ids, now=now)
    for report_set in _sets(told, 1):
        _take(db, report_set, now=now)
    by_the_book = _states(db)
    assert {state for state, _ in by_the_book.values()} == {"accepted", *(str(kind) for kind in KINDS[1:-1])}
    _as_before(db, now=now)
    many = told * 3
    dice.shuffle(many)
    for number, report_set in enumerate(_sets(many, SETS)):
        if number == SETS // 3:
            _answered(db, ids, now=now)
        if number == 2 * SETS // 3:
            settling.sweep(db, now=now + timedelta(hours=26))
        _take(db, report_set, now=now + timedelta(hours=number))
    assert _states(db) == by_the_book


def _handed_over(db: Database, *, now: datetime) -> list[UUID]:
    ids = [new_id() for _ in range(SIZE)]
    with db.begin() as conn:
        world.stock_shop(conn, now=now)
        plan = world.launch(conn, now=now, offer=None, products=0)
        customer = world.make_customer(conn, "camille", at=now)
        fixed = {"campaign_id": plan.id, "version": 1, "step": "s", "channel": "email", "customer_id": customer}
        fixed |= {"state": "submitting", "attempt": 1, "provider": "p", "purpose": "marketing", "submitted_at": now}
        fixed |= {"queued_at": now, "not_before": now, "expires_at": now + timedelta(days=9)}
        rows = [fixed | {"id": one, "entry_key": str(one)} for one in ids]
        conn.execute(sa.insert(tables.messages), rows)
        conn.execute(sa.insert(tables.attempts), [{"message_id": one, "n": 1, "started_at": now} for one in ids])
    return ids


def _reports(message_id: UUID, dice: random.Random, now: datetime) -> list[Report]:
    kinds = dice.choices(KINDS, k=dice.randint(0, 6))
    return [Report(f"{message_id}:{n}", kind, now, message_id=message_id, attempt=1) for n, kind in enumerate(kinds)]


def _sets(told: Sequence[Report], number: int) -> list[Sequence[Report]]:
    return [told[start::number] for start in range(number)]


def _take(db: Database, told: Sequence[Report], *, now: datetime) -> None:
    with db.begin() as conn:
        feedback.reported(conn, "p", told, now=now)


def _answered(db: Database, ids: Sequence[UUID], *, now: datetime) -> None:
    """The provider's own yes to each call, taken in."""
    with db.begin() as conn:
        moves.record(conn, [(Receipt(one, Outcome.ACCEPTED), 1, now) for one in ids], now=now)


def _as_before(db: Database, *, now: datetime) -> None:
    with db.begin() as conn:
        conn.execute(sa.delete(tables.provider_events))
        empty = dict.fromkeys(("reason", "resolved_at", "settled_at", "accepted_at"))
        conn.execute(sa.update(tables.messages).values(state="submitting", submitted_at=now, **empty))


def _states(db: Database) -> dict[UUID, tuple[str, str | None]]:
    with db.begin() as conn:
        query = sa.select(tables.messages.c.id, tables.messages.c.state, tables.messages.c.reason)
        return {row.id: (row.state, row.reason) for row in conn.execute(query)}
