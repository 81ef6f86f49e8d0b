"""From pending to accepted: claim, decide, render, commit the intent, hand over, record.

Nothing is handed over inside a transaction, and nothing leaves before its intent is durable. Whoever dies in
between leaves a row that `sweep` can read: before the intent it waits again, after it the message is in doubt and
is never sent a second time.
"""

import logging
import os
import random
import socket
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from campaigns import (
    content,
    eligibility,
    gates,
    given,
    moves,
    offers,
    own_events,
    policy,
    promotions,
    standing,
    tables,
    wording,
)
from campaigns.channels import base
from campaigns.channels.base import Mail, Outcome, Receipt
from campaigns.definitions import content as words
from campaigns.definitions.offers import Empty
from campaigns.definitions.steps import Send
from campaigns.journal import Journal
from campaigns.links import Links
from campaigns.moves import Change, Claimed, Conditions
from campaigns.offers import Kept
from campaigns.rules import Policy
from campaigns.standing import Case
from campaigns.states import Reason, State
from foundation import database
from foundation.database import Database
from foundation.errors import RelanceError
from recommender import serving
from recommender.predictions import expected
from shop import catalogue, consent, events, inbox, stores

log = logging.getLogger(__name__)


CONNECTED = ("email",)
"""Channels somebody carries."""


class UnsafeDatabase(RelanceError):
    """The database may forget what it confirmed; sending from it could mail someone twice."""


class Recommends(Protocol):
    """Who fills the product slot: `recommender.serving.Recommender`."""

    def recommend_many(
        self, conn: sa.Connection, requests: Sequence[serving.Request], *, now: datetime
    ) -> Sequence[serving.Slate]: ...


def passing(point: str) -> None:
    """Nothing happens at a checkpoint, unless a test of crashes puts something there."""


@dataclass(frozen=True, slots=True)
class Sending:
    """What sending needs beside the database. `lease` is at least three times what a provider call may take; `locale`
    is spoken to customers of whom no language is known."""

    email: base.Channel
    recommender: Recommends
    links: Links
    journal: Journal
    sender: str
    locale: str = "en"
    lease: timedelta = timedelta(seconds=60)
    batch: int = 50
    seconds: float = 20.0
    checkpoint: Callable[[str], None] = passing


@dataclass(frozen=True, slots=True)
class Wanted:
    """One message to queue."""

    campaign_id: int
    version: int
    step: str
    channel: str
    customer_id: int
    entry_key: str
    enrolment_id: int
    cart_ref: int | None
    expires_at: datetime


def queue(conn: sa.Connection, wanted: Sequence[Wanted], *, now: datetime) -> None:
    """Puts messages in the ledger, each once: the same step of the same entry again is nothing.

    Those for a channel nobody carries are in it too, as not sent, with that reason.
    """
    if not wanted:
        return
    carried = [one.channel in CONNECTED for one in wanted]
    columns: dict[str, given.Column] = {
        name: (tables.messages.c[name].type, [getattr(one, name) for one in wanted]) for name in Wanted.__slots__
    }
    columns |= {
        "id": (tables.messages.c.id.type, [database.new_id() for _ in wanted]),
        "state": (sa.Text(), [State.PENDING if known else State.SKIPPED for known in carried]),
        "reason": (sa.Text(), [None if known else Reason.CHANNEL_NOT_CONNECTED for known in carried]),
        "resolved_at": (given.Time, [None if known else now for known in carried]),
        "resolved_by": (sa.Text(), [None if known else "worker" for known in carried]),
        "queued_at": (given.Time, [now] * len(wanted)),
        "not_before": (given.Time, [now] * len(wanted)),
    }
    rows = given.rows("wanted", columns)
    insert = postgresql.insert(tables.messages).from_select(list(columns), sa.select(*rows.c))
    conn.execute(insert.on_conflict_do_nothing())


def refuse_unsafe(conn: sa.Connection) -> None:
    """Raises `UnsafeDatabase` unless what PostgreSQL confirms survives its death."""
    for name in ("fsync", "synchronous_commit"):
        value = conn.scalar(sa.text(f"SELECT current_setting('{name}')"))
        if value == "off":
            raise UnsafeDatabase(f"PostgreSQL runs with {name} = off; nothing is sent until it is on")


# ---------------------------------------------------------------------------------------------- delivering
def deliver_due(db: Database, sending: Sending, *, now: datetime) -> str | None:
    """Hands over what is due, in batches, for at most `sending.seconds`. Manages its own transactions, because
    nothing may be sent inside one."""
    until, told = time.monotonic() + sending.seconds, Counter[str]()
    while time.monotonic() < until:
        with db.begin() as conn:
            permit = gates.permit(conn, sending.email.provider, now=now)
        batch = _claim(db, sending, limit=1 if permit.probe else sending.batch, now=now) if permit.allowed else []
        if not batch:
            break
        sending.checkpoint("claimed")
        inbox.drain(db)  # an order, a withdrawal answered for but not yet in the record counts as well
        for prepared in _prepare(db, batch, sending=sending, now=now):
            told[_hand_over(db, prepared, sending=sending, probe=permit.probe, now=now)] += 1
        if permit.probe:
            break
    settle(db, now=now)
    return ", ".join(f"{number} {word}" for word, number in sorted(told.items())) or None


def _claim(db: Database, sending: Sending, *, limit: int, now: datetime) -> list[Claimed]:
    owner = f"{socket.gethostname()}:{os.getpid()}"
    with db.begin() as conn:
        return moves.claim(conn, owner=owner, lease=sending.lease, limit=limit, now=now)


@dataclass(frozen=True, slots=True)
class _Prepared:
    """A message that may go out, frozen."""

    message: Claimed
    frozen: Mapping[str, Any]
    cart_seen_at: datetime | None
    policy: Policy


def _prepare(db: Database, batch: Sequence[Claimed], *, sending: Sending, now: datetime) -> list[_Prepared]:
    """Decides on each and renders those that may go, in one short transaction that is over before any is sent."""
    with db.begin() as conn:
        rules = policy.load(conn)
        cases = standing.load(conn, batch, policy=rules, now=now)
        going, changes = [], []
        for case in cases:
            match eligibility.decide(case.standing, policy=rules, now=now):
                case eligibility.Send():
                    going.append(case)
                case eligibility.Hold(until, reason):
                    changes.append(Change(case.message, State.PENDING, reason, not_before=until))
                case eligibility.Skip(reason):
                    changes.append(Change(case.message, State.SKIPPED, reason))
        prepared = _freeze(conn, going, changes, rules=rules, sending=sending, now=now)
        moves.change(conn, changes, now=now)
    return prepared


def _freeze(
    conn: sa.Connection, going: Sequence[Case], changes: list[Change], *, rules: Policy, sending: Sending, now: datetime
) -> list[_Prepared]:
    """The content of each: as it was if there was an attempt, else rendered now. What fails goes to `changes`."""
    before = _frozen_before(conn, [case.message for case in going if case.message.attempt])
    fresh = [case for case in going if case.message.id not in before]
    rendered = _render(conn, fresh, changes, rules=rules, sending=sending, now=now)
    prepared = []
    for case in going:
        message = case.message
        frozen = before.get(message.id) or rendered.get(message.id)
        if frozen is None:
            continue
        if message.id not in before:
            address_hash = consent.address_hash("email", frozen["address"])
            if not moves.freeze(conn, message, address_hash=address_hash, content=frozen):
                changes.append(Change(message, State.SKIPPED, Reason.DUPLICATE_ADDRESS))
                continue
        prepared.append(_Prepared(message, frozen, case.standing.cart_touched_at, rules))
    return prepared


def _frozen_before(conn: sa.Connection, messages: Sequence[Claimed]) -> dict[UUID, Mapping[str, Any]]:
    if not messages:
        return {}
    contents = tables.message_contents
    query = sa.select(contents).where(contents.c.message_id.in_([message.id for message in messages]))
    return {row["message_id"]: dict(row) for row in conn.execute(query).mappings()}


def _render(
    conn: sa.Connection, cases: Sequence[Case], changes: list[Change], *, rules: Policy, sending: Sending, now: datetime
) -> dict[UUID, dict[str, Any]]:
    """Everything the batch's mails need is fetched together: codes by offer, slates, products."""
    if not cases:
        return {}
    known = _gathered(conn, cases, rules=rules, sending=sending, now=now)
    rendered = {}
    for case in cases:
        lack = known.lacking.get(case.message.id)
        if lack and _no_code(case, known.offers[case.offer or ""]) != "without":
            changes.append(Change(case.message, State.SKIPPED, Reason.NO_CODE, lack))
            continue
        try:
            rendered[case.message.id] = content.render(_occasion(case, known), sending.links)
        except wording.WordingError as error:
            state, reason = (State.SKIPPED, Reason.NO_CODE) if lack else (State.FAILED, Reason.CONTENT)
            changes.append(Change(case.message, state, reason, str(error)[:500]))
    return rendered


def _no_code(case: Case, offer: Kept) -> Empty:
    """What becomes of a message without a code: as its step says, else as its offer does."""
    step = case.said.step
    return (step.no_code if isinstance(step, Send) else None) or offer.terms.when_empty


@dataclass(frozen=True, slots=True)
class _Gathered:
    """What a batch's messages are made of beside their cases."""

    rules: Policy
    sender: str
    locale: str
    offers: Mapping[str, Kept]
    held: Mapping[tuple[int, int], promotions.Code]
    lacking: Mapping[UUID, promotions.Lack]
    slates: Mapping[UUID, serving.Slate]
    products: Mapping[str, catalogue.Product]
    likely: Mapping[int, expected.Expected]
    opinions: Mapping[str, list[events.Review]]
    stores: Mapping[str, stores.Store]
    now: datetime


def _gathered(
    conn: sa.Connection, cases: Sequence[Case], *, rules: Policy, sending: Sending, now: datetime
) -> _Gathered:
    offered, held, lacking = _codes(conn, cases, rules=rules, now=now)
    given = {offer.terms.product for offer in offered.values() if offer.terms.product}
    return _Gathered(
        rules=rules,
        sender=rules.sender or sending.sender,
        locale=sending.locale,
        offers=offered,
        held=held,
        lacking=lacking,
        slates=_slates(conn, cases, sending, now=now),
        products=catalogue.get_many(conn, {product for case in cases for product in case.about} | given),
        likely=expected.of_customers(conn, [case.customer_id for case in cases]),
        stores=stores.get_many(conn, {store for case in cases for store in case.stores}),
        opinions=events.reviews(conn, {product for case in cases if case.reviewed for product in case.about}),
        now=now,
    )


def _occasion(case: Case, known: _Gathered) -> content.Occasion:
    if case.standing.address is None:
        raise RuntimeError("only who has an address is decided to go")
    slate, offer = known.slates.get(case.message.id), known.offers.get(case.offer or "")
    return content.Occasion(
        message_id=case.message.id,
        campaign=case.campaign,
        says=case.said.step,
        policy=known.rules,
        sender=known.sender,
        address=case.standing.address,
        first_name=case.first_name,
        last_name=case.last_name,
        expected=known.likely.get(case.customer_id),
        locale=case.locale or known.locale,
        zone=eligibility.zone(case.standing.timezone, known.rules.timezone),
        cart=case.cart,
        subject=case.subject,
        reviews=case.among(known.opinions),
        catalogue=known.products,
        slate_id=slate.slate_id if slate else None,
        items=slate.items if slate else (),
        offer=offer.terms if offer else None,
        code=known.held.get((offer.id, case.customer_id)) if offer else None,
        consented_at=case.consented_at,
        count_opens=case.count_opens,
        count_clicks=case.count_clicks,
        stores=known.stores,
        now=known.now,
    )


def _codes(
    conn: sa.Connection, cases: Sequence[Case], *, rules: Policy, now: datetime
) -> tuple[dict[str, Kept], dict[tuple[int, int], promotions.Code], dict[UUID, promotions.Lack]]:
    """The offers, the code of each customer by offer, and for each message without one why there is none.

    Where the pool is empty, the shared code stands in if that was chosen.
    """
    zone = eligibility.zone(rules.timezone)
    offered, held, lacking = {}, {}, {}
    for name in sorted({case.offer for case in cases if case.offer}):
        offer = offered[name] = offers.get(conn, name)
        mine = [case for case in cases if case.offer == name]
        handed = promotions.hand(conn, offer, {case.customer_id: case.message.id for case in mine}, zone=zone, now=now)
        held |= {(offer.id, customer): code for customer, code in handed.codes.items()}
        shared = promotions.shared(offer, zone=zone, now=now)
        for case in mine:
            lack = handed.lacking.get(case.customer_id)
            if lack is promotions.Lack.EMPTY and shared and _no_code(case, offer) == "fallback":
                held[offer.id, case.customer_id] = shared
            elif lack:
                lacking[case.message.id] = lack
    return offered, held, lacking


def _slates(
    conn: sa.Connection, cases: Sequence[Case], sending: Sending, *, now: datetime
) -> dict[UUID, serving.Slate]:
    asking = [(case, case.said.step) for case in cases if isinstance(case.said.step, Send) and case.said.step.products]
    requests = [
        serving.Request(
            customer_id=case.customer_id,
            placement=step.placement,
            products=case.about,
            exclude=case.about,
            n=step.products,
            locale=words.spoken(step.words or {}, case.locale or sending.locale)[0],
        )
        for case, step in asking
    ]
    slates = sending.recommender.recommend_many(conn, requests, now=now) if requests else []
    return {case.message.id: slate for (case, _), slate in zip(asking, slates, strict=True)}


# ------------------------------------------------------------------------------------------ one hand-over
def _hand_over(db: Database, prepared: _Prepared, *, sending: Sending, probe: bool, now: datetime) -> str:
    """T4, the call, and what came of it. The word it returns is for the log."""
    message, channel = prepared.message, sending.email
    conditions = Conditions(
        provider=channel.provider,
        probe=probe,
        cart_seen_at=prepared.cart_seen_at,
        cap_messages=prepared.policy.cap_messages,
        cap_since=now - timedelta(days=prepared.policy.cap_days),
    )
    deadline = time.monotonic() + sending.lease.total_seconds() / 2
    with db.begin() as conn:
        attempt = moves.commit_intent(conn, message, conditions, lease=sending.lease, now=now)
        if attempt is None:
            return _stopped(conn, message, conditions, now=now)
    sending.journal.write(message.id, attempt=attempt, now=now)
    sending.checkpoint("intent")
    receipt = channel.deliver([_mail(prepared, attempt=attempt, deadline=deadline)])[0]
    sending.checkpoint("answered")
    with db.begin() as conn:
        moves.record(conn, message.id, receipt, attempt=attempt, wait=_wait(receipt, attempt), now=now)
        gates.heard(conn, channel.provider, receipt, probe=probe, now=now)
        if receipt.bad_address:
            address = prepared.frozen["address"]
            consent.suppress(conn, channel=message.channel, address=address, reason="hard_bounce", now=now)
    sending.checkpoint("recorded")
    log.info("message handed over", extra={"message_id": str(message.id), "outcome": receipt.outcome})
    return str(receipt.outcome)


def _stopped(conn: sa.Connection, message: Claimed, conditions: Conditions, *, now: datetime) -> str:
    """The last-second check said no: what was merely in the way waits again, the rest is skipped."""
    reason = moves.why_not(conn, message, conditions, now=now)
    if reason is None:
        return "lease lost"
    waits = (Reason.CAMPAIGN_PAUSED, Reason.PROVIDER_DOWN, Reason.CART_CHANGED, Reason.CAP)
    state = State.PENDING if reason in waits else State.EXPIRED if reason is Reason.TOO_LATE else State.SKIPPED
    moves.change(conn, [Change(message, state, reason)], now=now)
    return str(reason)


def _mail(prepared: _Prepared, *, attempt: int, deadline: float) -> Mail:
    names = ("sender", "address", "subject", "html", "text", "headers")
    parts = {name: prepared.frozen[name] for name in names}
    return Mail(message_id=prepared.message.id, attempt=attempt, deadline=deadline, **parts)


def _wait(receipt: Receipt, attempt: int) -> timedelta:
    """Before the next attempt: what the provider asked for, else full jitter from half a minute up to an hour."""
    if receipt.retry_after is not None:
        return timedelta(seconds=receipt.retry_after)
    if receipt.outcome is not Outcome.REFUSED_RETRY or receipt.busy:
        return timedelta(0)
    return timedelta(seconds=random.uniform(1, min(3600, 30 * 2 ** min(attempt, 7))))


# ------------------------------------------------------------------------------------------- afterwards
def sweep(db: Database, *, now: datetime, checkpoint: Callable[[str], None] = passing) -> str | None:
    """What dead workers, silent providers and time left behind: each rule one UPDATE that may be repeated."""
    swept = {}
    for word, rule in _RULES.items():
        with db.begin() as conn:
            swept[word] = rule(conn, now)
        checkpoint("swept")
    settle(db, now=now)
    return ", ".join(f"{number} {word}" for word, number in swept.items() if number) or None


_RULES: Mapping[str, Callable[[sa.Connection, datetime], int]] = {
    "waiting again": lambda conn, now: moves.reopen(conn),
    "in doubt": lambda conn, now: moves.doubt(conn),
    "unconfirmed": lambda conn, now: moves.give_up(conn, now=now),
    "too late": lambda conn, now: moves.expire(conn, now=now),
}


def settle(db: Database, *, now: datetime) -> None:
    """Draws the consequences of messages that ended: their codes are issued or released, and `Message Sent` told."""
    while True:
        with db.begin() as conn:
            rows = moves.unsettled(conn, limit=500)
            if not rows:
                return
            sent = [row for row in rows if moves.was_sent(row["state"])]
            promotions.issue(conn, _ids(sent), now=now)
            promotions.release_reserved(conn, _ids(row for row in rows if moves.never_left(row["state"])), now=now)
            own_events.tell(conn, [own_events.sent(dict(row)) for row in sent], now=now)
            moves.settle(conn, _ids(rows), now=now)


def _ids(rows: Iterable[sa.RowMapping]) -> list[UUID]:
    return [row["id"] for row in rows]
