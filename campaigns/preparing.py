"""What a claimed batch becomes before any of it leaves: decided on, rendered, frozen; one short transaction."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from campaigns import (
    content,
    eligibility,
    frozen,
    moves,
    notes,
    offers,
    policy,
    promotions,
    reachable,
    standing,
    tables,
    warming,
    wording,
)
from campaigns.definitions import content as words
from campaigns.definitions.entries import TIMED, SegmentEntry
from campaigns.definitions.offers import Empty
from campaigns.definitions.steps import Send
from campaigns.intents import Asked
from campaigns.moves import Change, Claimed
from campaigns.offers import Kept
from campaigns.rules import Policy
from campaigns.sending import Sending
from campaigns.standing import Case
from campaigns.states import Reason, State
from foundation.database import Database
from recommender import serving
from recommender.predictions import expected
from shop import catalogue, consent, events, stores


@dataclass(frozen=True, slots=True)
class Prepared:
    """A message that may go out, frozen. `broadcast`: its like goes to many at once."""

    asked: Asked
    frozen: Mapping[str, Any]
    address_hash: bytes
    campaign: str
    broadcast: bool

    @property
    def message(self) -> Claimed:
        """The row of the ledger it is."""
        return self.asked.message


def prepare(
    db: Database, batch: Sequence[Claimed], *, sending: Sending, now: datetime
) -> tuple[list[Prepared], Policy]:
    """Decides on each and renders those that may go; the transaction is over before any is sent. With the rules it
    was decided by."""
    with db.begin() as conn:
        rules = policy.load(conn)
        cases = standing.load(conn, batch, policy=rules, now=now)
        going, changes = [], list[Change]()
        for case in cases:
            match eligibility.decide(case.standing, policy=rules, now=now):
                case eligibility.Send():
                    going.append(case)
                case eligibility.Hold(until, reason, detail):
                    changes.append(Change(case.message, State.PENDING, reason, detail, not_before=until))
                case eligibility.Skip(reason, detail):
                    changes.append(Change(case.message, State.SKIPPED, reason, detail))
        going = _within_rates(conn, going, changes, rules=rules, now=now)
        going = _within_warm_up(conn, going, changes, rules=rules, now=now)
        prepared = _freeze(conn, going, changes, rules=rules, sending=sending, now=now)
        moves.change(conn, changes, now=now)
    return prepared, rules


def _within_rates(
    conn: sa.Connection, going: Sequence[Case], changes: list[Change], *, rules: Policy, now: datetime
) -> list[Case]:
    """Those whose mailbox hosts take them now; the others wait a moment each."""
    if not rules.host_rates:
        return list(going)
    mails = [
        (case.message.id, case.standing.address)
        for case in going
        if case.message.channel == "email" and case.standing.address
    ]
    waits = warming.too_fast(conn, mails, rules=rules)
    changes += [
        Change(case.message, State.PENDING, Reason.HOST_RATE, not_before=now + waits[case.message.id])
        for case in going
        if case.message.id in waits
    ]
    return [case for case in going if case.message.id not in waits]


def _within_warm_up(
    conn: sa.Connection, going: Sequence[Case], changes: list[Change], *, rules: Policy, now: datetime
) -> list[Case]:
    """Those a new sender may send today; a retry has its place already. The others wait for tomorrow."""
    mails = [
        (case.message.id, case.standing.address)
        for case in going
        if case.message.channel == "email" and case.standing.address and not case.message.attempt
    ]
    waiting = warming.over(conn, mails, rules=rules, now=now)
    later = warming.tomorrow(rules, now=now)
    changes += [
        Change(case.message, State.PENDING, Reason.WARM_UP, not_before=later)
        for case in going
        if case.message.id in waiting
    ]
    return [case for case in going if case.message.id not in waiting]


def _freeze(
    conn: sa.Connection, going: Sequence[Case], changes: list[Change], *, rules: Policy, sending: Sending, now: datetime
) -> list[Prepared]:
    """The content of each: as it was if there was an attempt, else rendered now. What fails goes to `changes`."""
    before = _frozen_before(conn, [case.message for case in going if case.message.attempt], changes)
    spoilt = {change.message.id for change in changes}
    fresh = [case for case in going if case.message.id not in before and case.message.id not in spoilt]
    rendered = _render(conn, fresh, changes, rules=rules, sending=sending, now=now)
    written = {case.message.id: case for case in fresh if case.message.id in rendered}
    kept = moves.freeze(
        conn, {key: (case.message, _hash(conn, case, rendered[key]), rendered[key]) for key, case in written.items()}
    )
    twins = [case for key, case in written.items() if key not in kept]
    changes += [Change(case.message, State.SKIPPED, Reason.DUPLICATE_ADDRESS) for case in twins]
    words = before | {key: rendered[key] for key in kept}
    ready = [case for case in going if case.message.id in words]
    told = standing.told_before(conn, [case.message for case in ready])
    gone = [case.message for case in ready if case.message.id in told]
    changes += [Change(message, State.SKIPPED, Reason.SENT_BEFORE_RESTORE) for message in gone]
    return [_prepared(conn, case, words[case.message.id]) for case in ready if case.message.id not in told]


def _hash(conn: sa.Connection, case: Case, frozen: Mapping[str, Any]) -> bytes:
    named = reachable.named(case.message.channel, frozen["address"], case.customer_id)
    return consent.address_hash(conn, case.message.channel, named)


def _prepared(conn: sa.Connection, case: Case, frozen: Mapping[str, Any]) -> Prepared:
    asked = Asked(case.message, case.customer_id, case.standing.cart_touched_at, case.bought_since)
    broadcast = isinstance(case.said.campaign.entry, (*TIMED, SegmentEntry))
    return Prepared(asked, frozen, _hash(conn, case, frozen), case.campaign, broadcast)


def _frozen_before(
    conn: sa.Connection, messages: Sequence[Claimed], changes: list[Change]
) -> dict[UUID, Mapping[str, Any]]:
    """What was frozen before an earlier attempt. Whatever is no longer the same to the letter goes to `changes`."""
    if not messages:
        return {}
    contents, hashes = tables.message_contents, tables.messages.c.payload_hash
    query = sa.select(contents, hashes).join(tables.messages, tables.messages.c.id == contents.c.message_id)
    rows = conn.execute(query.where(contents.c.message_id.in_([message.id for message in messages]))).mappings().all()
    bodies = frozen.bodies(conn, rows)
    good: dict[UUID, Mapping[str, Any]] = {
        row["message_id"]: dict(row) | {"body": bodies[row["message_id"]]}
        for row in rows
        if frozen.unchanged(row, bodies[row["message_id"]], row["payload_hash"])
    }
    known = {row["message_id"] for row in rows}
    other = [message for message in messages if message.id in known - good.keys()]
    changes += [Change(message, State.FAILED, Reason.CONTENT, "is not what was frozen") for message in other]
    return good


def _render(
    conn: sa.Connection, cases: Sequence[Case], changes: list[Change], *, rules: Policy, sending: Sending, now: datetime
) -> dict[UUID, dict[str, Any]]:
    """Everything the batch's messages need is fetched together: codes by offer, slates, products."""
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
            rendered[case.message.id] = _written(case, _occasion(case, known), sending)
        except wording.WordingError as error:
            state, reason = (State.SKIPPED, Reason.NO_CODE) if lack else (State.FAILED, Reason.CONTENT)
            changes.append(Change(case.message, state, reason, str(error)[:500]))
    return rendered


def _no_code(case: Case, offer: Kept) -> Empty:
    """What becomes of a message without a code: as its step says, else as its offer does."""
    step = case.said.step
    return (step.no_code if isinstance(step, Send) else None) or offer.terms.when_empty


def _written(case: Case, occasion: content.Occasion, sending: Sending) -> dict[str, Any]:
    """As its channel says it."""
    if case.message.channel == "email":
        return content.render(occasion, sending.links)
    return notes.render(occasion, sending.links, channel=case.message.channel)


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
    own_stores: Mapping[int, stores.Store]
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
        stores=stores.get_many(conn, {store for case in cases for store in case.stores}),
        own_stores=stores.hers(conn, [case.customer_id for case in cases if "" in case.stores]),
        likely=expected.of_customers(conn, [case.customer_id for case in cases]),
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
        wanted=case.standing.wanted,
        stores=_stores(case, known),
        now=known.now,
    )


def _stores(case: Case, known: _Gathered) -> Mapping[str, stores.Store]:
    hers = known.own_stores.get(case.customer_id)
    return {**known.stores, "": hers} if hers else known.stores


def _codes(
    conn: sa.Connection, cases: Sequence[Case], *, rules: Policy, now: datetime
) -> tuple[dict[str, Kept], dict[tuple[int, int], promotions.Code], dict[UUID, promotions.Lack]]:
    """The offers, the code of each customer by offer, and for each message without one why there is none.

    Where the pool is empty, the shared code stands in if that was chosen.
    """
    zone = eligibility.zone(rules.timezone)
    offered: dict[str, Kept] = {}
    held: dict[tuple[int, int], promotions.Code] = {}
    lacking: dict[UUID, promotions.Lack] = {}
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
