"""The moves of a message, each one a compare-and-set UPDATE that a single worker can win.

Leases are counted by the clock of the database alone; what the merchant's world sees (due, too late) by `now`.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from campaigns import gates, tables
from campaigns.channels.base import Outcome, Receipt
from campaigns.states import COUNTED, NOT_SENT, SENT, Reason, State, before
from foundation import database
from shop.tables import carts, consents, customers, orders, suppressions

messages, attempts = tables.messages, tables.attempts

CONFIRMABLE = timedelta(hours=25)
"""Providers repeat their reports for 24 hours; after that an uncertain message stays unconfirmed."""
MOST_REFUSALS = 8


@dataclass(frozen=True, slots=True)
class Claimed:
    """A message this worker holds, as long as its lease token stands."""

    id: UUID
    campaign_id: int
    version: int
    step: str
    channel: str
    customer_id: int
    entry_key: str
    cart_ref: int | None
    attempt: int
    lease_token: int
    expires_at: datetime
    queued_at: datetime


@dataclass(frozen=True, slots=True)
class Change:
    """What becomes of a claimed message that does not go out now."""

    message: Claimed
    state: State
    reason: Reason
    detail: str | None = None
    not_before: datetime | None = None


def claim(conn: sa.Connection, *, owner: str, lease: timedelta, limit: int, now: datetime) -> list[Claimed]:
    """T1: takes due messages of campaigns that are sending."""
    running = sa.select(tables.campaigns.c.id).where(tables.campaigns.c.state == "sending")
    due = (
        (messages.c.state == State.PENDING)
        & (messages.c.not_before <= now)
        & (messages.c.expires_at > now)
        & messages.c.campaign_id.in_(running)
    )
    values = {
        "state": State.CLAIMED,
        "lease_token": messages.c.lease_token + 1,
        "lease_owner": owner,
        "lease_until": _lease(lease),
    }
    rows = database.claim(conn, messages, due=due, order_by=[messages.c.not_before], values=values, limit=limit)
    return [Claimed(**{name: row[name] for name in Claimed.__slots__}) for row in rows]


def change(conn: sa.Connection, changes: Iterable[Change], *, now: datetime) -> None:
    """T2, and back to waiting: skipped, failed, expired, or pending until later. Lost leases change nothing."""
    for one in changes:
        waiting = one.state is State.PENDING
        values: dict[str, Any] = {"state": one.state, "reason": one.reason, "detail": one.detail, "lease_until": None}
        if one.not_before is not None:
            values["not_before"] = one.not_before
        if not waiting:
            values |= {"resolved_at": now, "resolved_by": "worker"}
        conn.execute(sa.update(messages).where(*_mine(one.message)).values(values))


def freeze(conn: sa.Connection, message: Claimed, *, address_hash: bytes, content: Mapping[str, Any]) -> bool:
    """Keeps what will be sent, if the lease still stands and no other profile of this mailbox has the same step."""
    other = messages.alias("other")
    twin = sa.exists().where(
        other.c.campaign_id == message.campaign_id,
        other.c.step == message.step,
        other.c.channel == message.channel,
        other.c.entry_key == message.entry_key,
        other.c.address_hash == address_hash,
        other.c.id != message.id,
    )
    values = {"address_hash": address_hash, "payload_hash": content["payload_hash"]}
    if not conn.execute(sa.update(messages).where(*_mine(message), ~twin).values(values)).rowcount:
        return False
    row = {name: value for name, value in content.items() if name != "payload_hash"} | {"message_id": message.id}
    database.upsert(conn, tables.message_contents, [row], key=["message_id"])
    return True


# --------------------------------------------------------------------------------------------- the intent
@dataclass(frozen=True, slots=True)
class Conditions:
    """What the last-second check needs to know beside the message."""

    provider: str
    probe: bool
    cart_seen_at: datetime | None
    cap_messages: int
    cap_since: datetime


def commit_intent(
    conn: sa.Connection, message: Claimed, conditions: Conditions, *, lease: timedelta, now: datetime
) -> int | None:
    """T4: the promise to hand this message over, durable once the caller commits. Gives the attempt, or None.

    One customer's intents take turns, so that two campaigns at once cannot exceed the cap together.
    """
    conn.execute(_TURN, {"customer": message.customer_id % 2**31})
    attempt: int | None = conn.scalar(_intent(conditions.probe), {**_given(message, conditions, now), "lease": lease})
    if attempt is not None:
        conn.execute(sa.insert(attempts), {"message_id": message.id, "n": attempt, "started_at": now})
    return attempt


def why_not(conn: sa.Connection, message: Claimed, conditions: Conditions, *, now: datetime) -> Reason | None:
    """Which check stopped the intent; None if the lease was lost and the message is no longer ours."""
    checks = {Reason.TOO_LATE: messages.c.expires_at <= _NOW} | _forbidding(conditions.probe)
    first = sa.case(*((check, reason.value) for reason, check in checks.items()))
    row = conn.execute(sa.select(first).where(*_HELD), _given(message, conditions, now)).one_or_none()
    return Reason(row[0]) if row is not None and row[0] else None


_TURN = sa.text("SELECT pg_advisory_xact_lock(7264, :customer)")
_NOW = sa.bindparam("now_", type_=messages.c.expires_at.type)
_HELD = (
    messages.c.id == sa.bindparam("message", type_=messages.c.id.type),
    messages.c.state == State.CLAIMED,
    messages.c.lease_token == sa.bindparam("token", type_=sa.BigInteger),
)


def _given(message: Claimed, conditions: Conditions, now: datetime) -> dict[str, Any]:
    return {
        "message": message.id,
        "token": message.lease_token,
        "now_": now,
        "provider_": conditions.provider,
        "cart_seen_at": conditions.cart_seen_at,
        "cap": conditions.cap_messages,
        "cap_since": conditions.cap_since,
    }


@lru_cache(maxsize=2)
def _intent(probe: bool) -> sa.Executable:
    """The statement of T4, written once: it is run for every message."""
    return (
        sa.update(messages)
        .where(*_HELD, messages.c.expires_at > _NOW, ~sa.or_(*_forbidding(probe).values()))
        .values(
            state=State.SUBMITTING,
            attempt=messages.c.attempt + 1,
            lease_until=sa.func.clock_timestamp() + sa.bindparam("lease", type_=sa.Interval),
            submitted_at=_NOW,
            provider=sa.bindparam("provider_", type_=sa.Text),
            reason=None,
            detail=None,
        )
        .returning(messages.c.attempt)
    )


def _forbidding(probe: bool) -> dict[Reason, sa.ColumnElement[bool]]:
    """What may have changed since the message was decided on, each as a condition on its row."""
    who = (
        sa.select(sa.func.coalesce(customers.c.merged_into, customers.c.id))
        .where(customers.c.id == messages.c.customer_id)
        .correlate(messages)
        .scalar_subquery()
    )
    said = sa.exists().where(
        consents.c.customer_id == who,
        consents.c.channel.in_((messages.c.channel, "any")),
        consents.c.purpose.in_(("marketing", "any")),
    )
    cart = sa.exists().where(carts.c.id == messages.c.cart_ref)
    bought = sa.exists().where(
        carts.c.id == messages.c.cart_ref,
        orders.c.customer_id == who,
        orders.c.ordered_at >= carts.c.touched_at,
        orders.c.state != "cancelled",
    )
    checks = {
        Reason.CAMPAIGN_PAUSED: ~sa.exists().where(
            tables.campaigns.c.id == messages.c.campaign_id, tables.campaigns.c.state == "sending"
        ),
        Reason.UNSUBSCRIBED: said.where(consents.c.state == "denied"),
        Reason.SUPPRESSED: sa.exists().where(
            suppressions.c.channel == messages.c.channel, suppressions.c.address_hash == messages.c.address_hash
        ),
        Reason.NO_CONSENT: ~said.where(consents.c.state == "granted"),
        Reason.BOUGHT: cart.where(carts.c.state == "ordered") | bought,
        Reason.CART_EMPTIED: cart.where(carts.c.state != "open"),
        Reason.CART_CHANGED: cart.where(
            carts.c.touched_at > sa.bindparam("cart_seen_at", type_=carts.c.touched_at.type)
        ),
        Reason.CAP: _received() >= sa.bindparam("cap", type_=sa.Integer),
    }
    if not probe:
        checks[Reason.PROVIDER_DOWN] = gates.shut(sa.bindparam("provider_", type_=sa.Text), now=_NOW)
    return checks


def _received() -> sa.ScalarSelect[int]:
    """How many messages of all campaigns this message's customer got, or may have got."""
    other = messages.alias("others")
    return (
        sa.select(sa.func.count())
        .where(
            other.c.customer_id == messages.c.customer_id,
            other.c.state.in_(COUNTED),
            other.c.submitted_at > sa.bindparam("cap_since", type_=messages.c.submitted_at.type),
            other.c.id != messages.c.id,
        )
        .correlate(messages)
        .scalar_subquery()
    )


# ---------------------------------------------------------------------------------------------- the answer
def record(
    conn: sa.Connection, message_id: UUID, receipt: Receipt, *, attempt: int, wait: timedelta, now: datetime
) -> None:
    """T5, T6, T7, T9: what the provider said of this attempt. A report that came first is not taken back."""
    target, values = _answer(receipt, wait, now)
    moved = (messages.c.id == message_id) & (messages.c.attempt == attempt) & messages.c.state.in_(before(target))
    conn.execute(sa.update(messages).where(moved).values(state=target, lease_until=None, **values))
    told = (attempts.c.message_id == message_id) & (attempts.c.n == attempt)
    values = {"ended_at": now, "outcome": receipt.outcome, "detail": _clean(receipt.detail)}
    conn.execute(sa.update(attempts).where(told).values(values))


def _answer(receipt: Receipt, wait: timedelta, now: datetime) -> tuple[State, dict[str, Any]]:
    detail = _clean(receipt.detail)
    resolved = {"resolved_at": now, "resolved_by": "reply"}
    match receipt.outcome:
        case Outcome.ACCEPTED:
            return State.ACCEPTED, {
                **resolved,
                "accepted_at": now,
                "provider_ref": receipt.provider_ref,
                "reason": None,
            }
        case Outcome.REFUSED_FINAL:
            return State.FAILED, {**resolved, "reason": Reason.REFUSED, "detail": detail}
        case Outcome.AMBIGUOUS:
            return State.UNCERTAIN, {"reason": Reason.NO_ANSWER, "detail": detail}
        case Outcome.MISCONFIGURED:
            reason = Reason.PROVIDER_MISCONFIGURED
        case Outcome.UNSENT:
            reason = Reason.PROVIDER_DOWN
        case Outcome.REFUSED_RETRY:
            reason = Reason.PROVIDER_BUSY
    counts = receipt.outcome is Outcome.REFUSED_RETRY and not receipt.busy
    values: dict[str, Any] = {"reason": reason, "detail": detail, "not_before": now + wait}
    if counts:
        values["refusals"] = messages.c.refusals + 1
    return State.PENDING, values


def _clean(text: str) -> str:
    """Other people's words, as PostgreSQL can keep them."""
    return text.replace("\0", "").encode(errors="replace").decode()[:500]


# ------------------------------------------------------------------------------------------------ sweeping
def reopen(conn: sa.Connection) -> int:
    """T3: messages whose worker died before the intent wait again."""
    lost = (messages.c.state == State.CLAIMED) & (messages.c.lease_until < sa.func.clock_timestamp())
    return conn.execute(sa.update(messages).where(lost).values(state=State.PENDING, lease_until=None)).rowcount


def doubt(conn: sa.Connection) -> int:
    """T9: messages whose worker died after the intent may or may not have left."""
    lost = (messages.c.state == State.SUBMITTING) & (messages.c.lease_until < sa.func.clock_timestamp())
    values = {"state": State.UNCERTAIN, "reason": Reason.WORKER_LOST, "lease_until": None}
    return conn.execute(sa.update(messages).where(lost).values(values)).rowcount


def give_up(conn: sa.Connection, *, now: datetime) -> int:
    """T11: nobody can confirm these any more; a late report still may."""
    old = (messages.c.state == State.UNCERTAIN) & (messages.c.submitted_at < now - CONFIRMABLE)
    values = {"state": State.UNCONFIRMED, "resolved_at": now, "resolved_by": "deadline"}
    return conn.execute(sa.update(messages).where(old).values(values)).rowcount


def expire(conn: sa.Connection, *, now: datetime) -> int:
    """T12: too late to be welcome; or refused too often."""
    worn = messages.c.refusals >= MOST_REFUSALS
    over = (messages.c.state == State.PENDING) & ((messages.c.expires_at <= now) | worn)
    values = {
        "state": State.EXPIRED,
        "detail": sa.func.coalesce(messages.c.reason, messages.c.detail),
        "reason": sa.case((worn, Reason.RETRIES_EXHAUSTED.value), else_=Reason.TOO_LATE.value),
        "resolved_at": now,
        "resolved_by": "deadline",
    }
    return conn.execute(sa.update(messages).where(over).values(values)).rowcount


def unsettled(conn: sa.Connection, *, limit: int) -> Sequence[sa.RowMapping]:
    """Messages that came to an end whose consequences are still to be drawn; locked for the caller."""
    ended = (messages.c.resolved_at.is_not(None)) & (messages.c.settled_at.is_(None))
    query = sa.select(messages).where(ended).order_by(messages.c.resolved_at).limit(limit)
    return conn.execute(query.with_for_update(skip_locked=True)).mappings().all()


def settle(conn: sa.Connection, ids: Sequence[UUID], *, now: datetime) -> None:
    """Their consequences are drawn, in this same transaction."""
    chosen = messages.c.id == sa.any_(sa.bindparam("ids", list(ids), postgresql.ARRAY(postgresql.UUID)))
    conn.execute(sa.update(messages).where(chosen).values(settled_at=now))


def was_sent(state: str) -> bool:
    """Whether the customer was reached, as far as is known."""
    return state in SENT and state != State.DROPPED


def never_left(state: str) -> bool:
    """Whether it is certain that the customer got nothing."""
    return state in NOT_SENT or state == State.DROPPED


def _mine(message: Claimed) -> tuple[sa.ColumnElement[bool], ...]:
    return (
        messages.c.id == message.id,
        messages.c.state == State.CLAIMED,
        messages.c.lease_token == message.lease_token,
    )


def _lease(length: timedelta) -> sa.ColumnElement[datetime]:
    return sa.func.clock_timestamp() + sa.literal(length, sa.Interval)
