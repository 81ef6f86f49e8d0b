"""From pending to accepted: claim, decide, render, commit the intent, hand over, record.

Nothing is handed over inside a transaction, and nothing leaves before its intent is durable. Whoever dies in
between leaves a row that `settling.sweep` can read: before the intent it waits again, after it the message is in
doubt.
"""

import logging
import os
import random
import socket
import time
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from campaigns import (
    connections,
    gates,
    given,
    holding,
    intents,
    moves,
    notes,
    policy,
    preparing,
    reachable,
    settling,
    tables,
)
from campaigns.channels import base
from campaigns.channels.base import Mail, Outcome, Parcel, Receipt
from campaigns.journal import Line
from campaigns.moves import Change, Claimed
from campaigns.preparing import Prepared
from campaigns.rules import Policy
from campaigns.sending import Sending
from campaigns.states import Reason, State
from foundation import database
from foundation.database import Database
from foundation.errors import RelanceError
from shop import consent, inbox

log = logging.getLogger(__name__)

SETTLE_SECONDS = 1.0
AHEAD_SECONDS = 5
"""No more is claimed than what leaves in this time at the provider's rate."""
AT_ONCE = 5
"""How many times what leaves together is prepared at once, at most."""


class UnsafeDatabase(RelanceError):
    """The database may forget what it confirmed; sending from it could mail someone twice."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """One message to queue; `due_at` is when it was to go, which may have passed while nobody was there."""

    campaign_id: int
    version: int
    step: str
    channel: str
    purpose: str
    priority: int
    customer_id: int
    entry_key: str
    enrolment_id: int
    cart_ref: int | None
    due_at: datetime
    expires_at: datetime


def queue(conn: sa.Connection, wanted: Sequence[Wanted], *, now: datetime) -> Counter[int]:
    """Puts messages in the ledger, each once: the same step of the same entry again is nothing. Gives how many were
    new, by enrolment.

    Those for a channel nobody carries are in it too, as not sent, with that reason.
    """
    if not wanted:
        return Counter()
    connected = connections.connected(conn)
    carried = [one.channel in connected for one in wanted]
    names = [name for name in Wanted.__slots__ if name != "due_at"]
    columns: dict[str, given.Column] = {
        name: (tables.messages.c[name].type, [getattr(one, name) for one in wanted]) for name in names
    }
    columns |= {
        "id": (tables.messages.c.id.type, [database.new_id() for _ in wanted]),
        "state": (sa.Text(), [State.PENDING if known else State.SKIPPED for known in carried]),
        "reason": (sa.Text(), [None if known else Reason.CHANNEL_NOT_CONNECTED for known in carried]),
        "resolved_at": (given.Time, [None if known else now for known in carried]),
        "resolved_by": (sa.Text(), [None if known else "worker" for known in carried]),
        "queued_at": (given.Time, [now] * len(wanted)),
        "not_before": (given.Time, [min(one.due_at, now) for one in wanted]),
    }
    rows = given.rows("wanted", columns)
    insert = postgresql.insert(tables.messages).from_select(list(columns), sa.select(*rows.c))
    return Counter(conn.scalars(insert.on_conflict_do_nothing().returning(tables.messages.c.enrolment_id)))


def refuse_unsafe(conn: sa.Connection) -> None:
    """Raises `UnsafeDatabase` unless what PostgreSQL confirms survives its death."""
    for name in ("fsync", "synchronous_commit"):
        value = conn.scalar(sa.text(f"SELECT current_setting('{name}')"))
        if value == "off":
            raise UnsafeDatabase(f"PostgreSQL runs with {name} = off; nothing is sent until it is on")


# ---------------------------------------------------------------------------------------------- delivering
def deliver_due(
    db: Database, sending: Sending, *, channels: Collection[str] | None = None, now: datetime
) -> str | None:
    """Hands over what is due on these channels, by default on all, in batches, for at most `sending.seconds`. Manages
    its own transactions, because nothing may be sent inside one."""
    run, told = _Run(now, time.monotonic(), sending.seconds), Counter[str]()
    for name in sending.channels if channels is None else [name for name in channels if name in sending.channels]:
        lane = _Lane(name, sending.channels[name])
        if sending.hands == 1:
            _deliver(db, lane, sending=sending, told=told, run=run)
        else:
            _by_hands(db, lane, sending=sending, told=told, run=run)
    settling.settle(db, now=run.moment())
    return ", ".join(f"{number} {word}" for word, number in sorted(told.items())) or None


@dataclass(frozen=True, slots=True)
class _Run:
    """One run of sending. All it takes and decides is of `now`, when it began; what comes back has the time at which it
    came, for a provider may be slow, and a pause or a reader counts from then. `began` is a reading of
    `time.monotonic()`, so that a run played in another time goes on in that time."""

    now: datetime
    began: float
    seconds: float

    def moment(self) -> datetime:
        """What time it has become."""
        return self.now + timedelta(seconds=time.monotonic() - self.began)

    def over(self) -> bool:
        """Whether nothing more is begun."""
        return time.monotonic() >= self.began + self.seconds


@dataclass(frozen=True, slots=True)
class _Lane:
    """A channel by its word, with who carries it."""

    name: str
    channel: base.Carrier[Any]


def _by_hands(db: Database, lane: _Lane, *, sending: Sending, told: Counter[str], run: _Run) -> None:
    """Several at once, each with batches of its own: while PostgreSQL works for one, the words of another are made.
    Beside them the consequences are drawn of what has ended."""
    with ThreadPoolExecutor(sending.hands, thread_name_prefix=f"deliver-{lane.name}") as pool:
        own = [Counter[str]() for _ in range(sending.hands)]
        working = [pool.submit(_deliver, db, lane, sending=sending, told=mine, run=run) for mine in own]
        while wait(working, timeout=SETTLE_SECONDS).not_done:
            settling.settle(db, now=run.moment())
        for one, mine in zip(working, own, strict=True):
            one.result()
            told.update(mine)


def _deliver(db: Database, lane: _Lane, *, sending: Sending, told: Counter[str], run: _Run) -> None:
    batch = sending.batch
    while not run.over():
        with db.begin() as conn:
            holding.watch(conn, sending.journal, now=run.now)
            held = holding.held(conn) is not None
            permit = gates.permit(conn, lane.channel.provider, now=run.now)
            rate = policy.load(conn).channel_rates.get(lane.name)
        if held or not permit.allowed:
            return
        most, began = 1 if permit.probe else min(batch, rate * AHEAD_SECONDS if rate else batch), time.monotonic()
        prepared, rules = _ready(db, lane, most=most, sending=sending, run=run)
        if not prepared:
            return
        for handful in _handfuls(prepared, sending):
            told.update(_hand_over(db, lane, handful, sending=sending, rules=rules, probe=permit.probe, run=run))
        if permit.probe:
            return
        batch = _next_batch(sending, len(prepared) / (time.monotonic() - began))


def _next_batch(sending: Sending, a_second: float) -> int:
    """Larger batches cost less a message; none so large that the last of it waits long for the first, or that much
    stands in memory. What leaves together is less: only that a crash can leave in doubt."""
    return min(max(sending.batch, int(a_second * AHEAD_SECONDS)), max(sending.batch, AT_ONCE * sending.together))


def _ready(db: Database, lane: _Lane, *, most: int, sending: Sending, run: _Run) -> tuple[list[Prepared], Policy]:
    """The next that may go out; none once nothing is due, or the time is over. What does not go out is passed over, for
    a probe must not be spent on it."""
    prepared, rules = list[Prepared](), Policy()
    while not prepared and not run.over():
        batch = _claim(db, lane.name, sending, limit=most, now=run.now)
        if not batch:
            break
        sending.checkpoint("claimed")
        inbox.drain(db)  # an order, a withdrawal answered for but not yet in the record counts as well
        prepared, rules = preparing.prepare(db, batch, sending=sending, now=run.now)
    return prepared, rules


def _claim(db: Database, channel: str, sending: Sending, *, limit: int, now: datetime) -> list[Claimed]:
    owner = f"{socket.gethostname()}:{os.getpid()}"
    with db.begin() as conn:
        late = timedelta(hours=policy.load(conn).late_hours)
        return moves.claim(conn, channel=channel, owner=owner, lease=sending.lease, limit=limit, late=late, now=now)


def _handfuls(prepared: Sequence[Prepared], sending: Sending) -> Iterator[list[Prepared]]:
    """As many as may be on their way at once, no two of them to the same person; what goes to many at once apart from
    what goes to one."""
    for broadcast, most in ((False, sending.in_flight), (True, max(sending.together, sending.in_flight))):
        left = [one for one in prepared if one.broadcast is broadcast]
        while left:
            chosen: dict[int, Prepared] = {}
            for one in left:
                if len(chosen) < most:
                    chosen.setdefault(one.asked.person, one)
            taken = {one.message.id for one in chosen.values()}
            left = [one for one in left if one.message.id not in taken]
            yield list(chosen.values())


# ------------------------------------------------------------------------------------------ one hand-over
def _hand_over(
    db: Database,
    lane: _Lane,
    handful: Sequence[Prepared],
    *,
    sending: Sending,
    rules: Policy,
    probe: bool,
    run: _Run,
) -> Iterator[str]:
    """T4, the call, and what came of it, for as many at a time as the provider's rate allows. The words are for the
    log."""
    left = list(handful)
    while left:
        with db.begin() as conn:
            rate = rules.channel_rates.get(lane.name)
            granted = gates.take(conn, lane.channel.provider, wanted=len(left), per_second=rate)
        if not granted:
            time.sleep(1 / (rate or 1))
            continue
        going, left = left[:granted], left[granted:]
        yield from _submit(db, lane, going, sending=sending, rules=rules, probe=probe, run=run)


def _submit(
    db: Database,
    lane: _Lane,
    going: Sequence[Prepared],
    *,
    sending: Sending,
    rules: Policy,
    probe: bool,
    run: _Run,
) -> list[str]:
    provider, deadline = lane.channel.provider, time.monotonic() + sending.lease.total_seconds() / 2
    with db.begin() as conn:
        verdicts = intents.commit(
            conn,
            [one.asked for one in going],
            provider=provider,
            probe=probe,
            policy=rules,
            lease=sending.lease,
            now=run.now,
        )
        stopped = _stopped(going, verdicts)
        moves.change(conn, stopped, now=run.now)
    meant = [(one, attempt) for one in going if (attempt := _attempt(one, verdicts)) is not None]
    words = [str(change.reason) for change in stopped]
    words += ["lease lost"] * (len(going) - len(meant) - len(stopped))
    if not meant:
        return words
    sending.journal.write([_line(one, attempt, run.now) for one, attempt in meant])
    sending.checkpoint("intent")
    receipts = lane.channel.deliver([_parcel(one, attempt=attempt, deadline=deadline) for one, attempt in meant])
    sending.checkpoint("answered")
    _record(db, provider, meant, receipts, probe=probe, run=run)
    sending.checkpoint("recorded")
    log.info("messages handed over", extra={"ids": [str(one.message.id) for one, _ in meant], "provider": provider})
    return words + [str(receipt.outcome) for receipt in receipts]


def _attempt(one: Prepared, verdicts: Mapping[UUID, intents.Verdict]) -> int | None:
    verdict = verdicts.get(one.message.id)
    return verdict.attempt if verdict else None


_WAITS = (*(Reason.CAMPAIGN_PAUSED, Reason.PROVIDER_DOWN, Reason.CART_CHANGED, Reason.CAP, Reason.SENDING_HELD),)
"""What was merely in the way: the message waits again."""


def _stopped(going: Sequence[Prepared], verdicts: Mapping[UUID, intents.Verdict]) -> list[Change]:
    """The last-second check said no: what was merely in the way waits again, the rest is skipped."""
    changes = []
    for one in going:
        verdict = verdicts.get(one.message.id)
        if verdict is None or verdict.reason is None:
            continue
        state = State.PENDING if verdict.reason in _WAITS else State.SKIPPED
        state = State.EXPIRED if verdict.reason is Reason.TOO_LATE else state
        changes.append(Change(one.message, state, verdict.reason))
    return changes


def _record(
    db: Database,
    provider: str,
    meant: Sequence[tuple[Prepared, int]],
    receipts: Sequence[Receipt],
    *,
    probe: bool,
    run: _Run,
) -> None:
    now = run.moment()
    answers = [
        (receipt, attempt, _again(receipt, attempt, run, now=now))
        for receipt, (_, attempt) in zip(receipts, meant, strict=True)
    ]
    with db.begin() as conn:
        moves.record(conn, answers, now=now)
        gates.heard(conn, provider, receipts, probe=probe, now=now)
        for receipt, (one, _) in zip(receipts, meant, strict=True):
            _believe(conn, one, receipt, now=now)


def _believe(conn: sa.Connection, one: Prepared, receipt: Receipt, *, now: datetime) -> None:
    """What the provider knows of the address: that there is none, that she said stop to it, that devices are gone."""
    channel = one.message.channel
    if receipt.stopped:
        source = f"stop:{one.message.id}"
        consent.withdraw(conn, one.asked.person, channel=channel, source=source, now=now)
    if receipt.bad_address or receipt.stopped:
        reason = "unsubscribed" if receipt.stopped else "hard_bounce"
        consent.suppress(conn, channel=channel, address=one.frozen["address"], reason=reason, now=now)
    reachable.forget(conn, channel, receipt.dead)


def _line(one: Prepared, attempt: int, now: datetime) -> Line:
    message = one.message
    return Line(now, message.id, attempt, one.campaign, message.step, message.channel, one.address_hash)


def _parcel(prepared: Prepared, *, attempt: int, deadline: float) -> Parcel:
    message, frozen = prepared.message, prepared.frozen
    if message.channel != "email":
        return notes.parcel(
            message.id,
            frozen,
            channel=message.channel,
            attempt=attempt,
            expires_at=message.expires_at,
            deadline=deadline,
        )
    names = ("sender", "address", "subject", "body", "headers")
    return Mail(
        message_id=message.id,
        attempt=attempt,
        deadline=deadline,
        campaign=prepared.campaign,
        broadcast=prepared.broadcast,
        **{name: frozen[name] for name in names},
    )


def _again(receipt: Receipt, attempt: int, run: _Run, *, now: datetime) -> datetime:
    """When it may be tried again at the earliest: what need not wait may be by this same run."""
    wait = _wait(receipt, attempt)
    return now + wait if wait else run.now


def _wait(receipt: Receipt, attempt: int) -> timedelta:
    """Before the next attempt: what the provider asked for, else full jitter from half a minute up to an hour."""
    if receipt.retry_after is not None:
        return timedelta(seconds=receipt.retry_after)
    if receipt.outcome is not Outcome.REFUSED_RETRY or receipt.busy:
        return timedelta(0)
    return timedelta(seconds=random.uniform(1, min(3600, 30 * 2 ** min(attempt, 7))))
