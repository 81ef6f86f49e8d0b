"""Promo codes on their way to a customer: reserved when a message is written, issued once a channel took it, given back
when none did.

A customer holds at most one code of an offer, whatever the journey, the step and the channel. A message that is written
while she holds one carries that one; the code is hers once any message that carries it was accepted, and goes back only
when none of them can have reached her.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from enum import StrEnum
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from campaigns import codes, given, tables
from campaigns.definitions.offers import Offer
from campaigns.offers import Kept
from campaigns.states import NOT_SENT, State
from shop import changes
from shop.changes import What
from shop.tables import customers

offers, promo_codes = tables.offers, tables.promo_codes
messages, contents = tables.messages, tables.message_contents

EXPIRED_AT_ONCE = 10_000
_TRIES = 5
"""Codes are drawn among 10^15; that one is taken happens once in a lifetime, twice never."""


class Lack(StrEnum):
    """Why there is no code for somebody."""

    OVER = "over"
    USED = "used"
    SPENT = "spent"
    EMPTY = "empty"


@dataclass(frozen=True, slots=True)
class Code:
    """One code in one customer's hands: as it is kept, as people read it, and as a till's scanner reads it."""

    code: str
    shown: str
    scanned: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Handed:
    """What a batch of customers got of one offer: a code each, or why there is none for them."""

    codes: Mapping[int, Code]
    lacking: Mapping[int, Lack]


# ------------------------------------------------------------------------------------------- from render to issue
def reserve(
    conn: sa.Connection, offer: Kept, wanted: Mapping[int, UUID], *, zone: tzinfo, now: datetime
) -> dict[int, Code]:
    """`hand` for who has no use for reasons."""
    return dict(hand(conn, offer, wanted, zone=zone, now=now).codes)


def hand(conn: sa.Connection, offer: Kept, wanted: Mapping[int, UUID], *, zone: tzinfo, now: datetime) -> Handed:
    """A code for each customer (to the message that will carry it): the one she holds, else a new one.

    Codes last to the end of a day, so that the date in a message is true. Customers are those of today: a code of a
    record that was merged into hers is hers.
    """
    if not wanted:
        return Handed({}, {})
    conn.execute(_TURNS, {"offer": offer.id, "ids": sorted(wanted)})
    held = _held(conn, offer, wanted, now=now)
    missing = {customer: message for customer, message in wanted.items() if customer not in held}
    lacking: dict[int, Lack] = {}
    if missing and (all_ := _nobody_gets(offer, now)):
        lacking = dict.fromkeys(missing, all_)
    elif missing:
        lacking = dict.fromkeys(_used(conn, offer, missing), Lack.USED)
        fresh = {customer: message for customer, message in missing.items() if customer not in lacking}
        draw = _from_pool if offer.terms.codes == "pool" else _made
        held |= draw(conn, offer, fresh, ends=_ends(offer.terms, zone, now), now=now)
        lacking |= {customer: Lack.EMPTY for customer in fresh if customer not in held}
    return Handed(held, lacking)


def shared(offer: Kept, *, zone: tzinfo, now: datetime) -> Code | None:
    """The code everybody gets when there is none of their own, if the offer has one; good at least until that day."""
    shown = offer.terms.fallback
    return Code(codes.normalise(shown), shown, shown, _ends(offer.terms, zone, now)) if shown else None


def dummy(offer: Offer, *, now: datetime) -> Code:
    """What previews and tests show: no till knows it, and none of the pool is used up."""
    text = codes.dummy(offer.prefix)
    return Code(text, codes.shown(text, offer.prefix), text, now + timedelta(days=offer.valid_days))


def _nobody_gets(offer: Kept, now: datetime) -> Lack | None:
    terms = offer.terms
    if terms.starts_at and now < terms.starts_at or terms.ends_at and terms.ends_at <= now:
        return Lack.OVER
    return Lack.SPENT if terms.budget is not None and offer.spent >= terms.budget else None


def _ends(terms: Offer, zone: tzinfo, now: datetime) -> datetime:
    day = (now + timedelta(days=terms.valid_days)).astimezone(zone)
    end = day.replace(hour=23, minute=59, second=59, microsecond=0)
    return min(end, terms.ends_at) if terms.ends_at else end


# One customer's codes of one offer are handed out by one worker at a time. In the order of their keys, so that two
# batches never wait for each other; the lock ends with the transaction.
_TURNS = sa.text(
    "SELECT pg_advisory_xact_lock(7267, key) FROM ("
    "SELECT DISTINCT hashint8(id # (CAST(:offer AS bigint) << 40)) AS key "
    "FROM unnest(CAST(:ids AS bigint[])) AS given (id) ORDER BY 1) AS keys"
)


def _held(conn: sa.Connection, offer: Kept, wanted: Mapping[int, UUID], *, now: datetime) -> dict[int, Code]:
    """The codes they hold; those that ran out are set aside. The message that comes now answers for the reserved."""
    holder = customers.alias("holder")
    who = sa.func.coalesce(holder.c.merged_into, holder.c.id)
    query = (
        sa.select(who.label("customer"), *(promo_codes.c[name] for name in ("code", "shown", "origin", "expires_at")))
        .join(holder, holder.c.id == promo_codes.c.customer_id)
        .where(
            promo_codes.c.offer_id == offer.id,
            promo_codes.c.state.in_(("reserved", "issued")),
            sa.or_(holder.c.id == given.any_of(list(wanted)), holder.c.merged_into == given.any_of(list(wanted))),
        )
        .order_by(promo_codes.c.code)
        .with_for_update(of=promo_codes)
    )
    rows = sorted(conn.execute(query), key=lambda row: row.expires_at)
    _set_aside(conn, [row.code for row in rows if row.expires_at <= now], now=now)
    kept = {row.customer: _read(row) for row in rows if row.expires_at > now}
    carried = [(code.code, wanted[customer]) for customer, code in kept.items()]
    if carried:
        columns: dict[str, given.Column] = {
            "code": (sa.Text(), [code for code, _ in carried]),
            "message_id": (postgresql.UUID(), [message for _, message in carried]),
        }
        by = given.rows("carried", columns)
        answers = (promo_codes.c.code == by.c.code) & (promo_codes.c.state == "reserved")
        conn.execute(sa.update(promo_codes).where(answers).values(message_id=by.c.message_id))
    return kept


def _set_aside(conn: sa.Connection, over: Sequence[str], *, now: datetime) -> None:
    if over:
        conn.execute(sa.update(promo_codes).where(promo_codes.c.code.in_(over)).values(state="expired", moved_at=now))


def _used(conn: sa.Connection, offer: Kept, wanted: Iterable[int]) -> list[int]:
    """Who has used a code of the offer already, where once is enough."""
    if not offer.terms.once_per_customer:
        return []
    holder, ids = customers.alias("holder"), list(wanted)
    query = (
        sa.select(sa.func.coalesce(holder.c.merged_into, holder.c.id))
        .join(promo_codes, promo_codes.c.customer_id == holder.c.id)
        .where(
            promo_codes.c.offer_id == offer.id,
            promo_codes.c.state == "redeemed",
            sa.or_(holder.c.id == given.any_of(ids), holder.c.merged_into == given.any_of(ids)),
        )
    )
    return list(conn.scalars(query))


def _made(
    conn: sa.Connection, offer: Kept, wanted: Mapping[int, UUID], *, ends: datetime, now: datetime
) -> dict[int, Code]:
    """New codes. The database says which were taken already, and those are drawn again."""
    found: dict[int, Code] = {}
    for _ in range(_TRIES):
        left = [customer for customer in sorted(wanted) if customer not in found]
        if not left:
            break
        drawn = {codes.new(offer.terms.prefix): customer for customer in left}
        rows = [
            {
                "code": code,
                "offer_id": offer.id,
                "shown": codes.shown(code, offer.terms.prefix),
                "origin": "made",
                "customer_id": customer,
                "state": "reserved",
                "message_id": wanted[customer],
                "reserved_at": now,
                "expires_at": ends,
                "moved_at": now,
            }
            for code, customer in drawn.items()
        ]
        insert = postgresql.insert(promo_codes).values(rows).on_conflict_do_nothing().returning(promo_codes.c.code)
        for code in conn.scalars(insert):
            found[drawn[code]] = Code(code, codes.shown(code, offer.terms.prefix), code, ends)
    return found


_TAKE = sa.text("""
    WITH free AS (
        SELECT code, row_number() OVER () AS place FROM (
            SELECT code FROM promo_codes
            WHERE offer_id = :offer AND state = 'free' AND coalesce(not_after > :now, true)
            ORDER BY code LIMIT :most FOR UPDATE SKIP LOCKED
        ) AS first
    ), wanted AS (
        SELECT * FROM unnest(CAST(:customers AS bigint[]), CAST(:messages AS uuid[]))
            WITH ORDINALITY AS given (customer_id, message_id, place)
    )
    UPDATE promo_codes SET state = 'reserved', customer_id = wanted.customer_id, message_id = wanted.message_id,
        reserved_at = :now, issued_at = NULL, expires_at = least(:ends, not_after), moved_at = :now
    FROM free JOIN wanted USING (place) WHERE promo_codes.code = free.code
    RETURNING promo_codes.customer_id, promo_codes.code, promo_codes.shown, origin, promo_codes.expires_at
""")


def _from_pool(
    conn: sa.Connection, offer: Kept, wanted: Mapping[int, UUID], *, ends: datetime, now: datetime
) -> dict[int, Code]:
    """Codes of the shop's pool, as many as there are; whoever else draws at this moment takes others."""
    if not wanted:
        return {}
    ids = sorted(wanted)
    asked = {"offer": offer.id, "most": len(ids), "customers": ids, "messages": [wanted[one] for one in ids]}
    taken = conn.execute(_TAKE, asked | {"ends": ends, "now": now})
    return {row.customer_id: _read(row) for row in taken}


def _read(row: "sa.Row[Any]") -> Code:
    """The shop's own codes are scanned as the shop wrote them."""
    return Code(row.code, row.shown, row.code if row.origin == "made" else row.shown, row.expires_at)


# ------------------------------------------------------------------------------------------------ what became of it
def issue(conn: sa.Connection, message_ids: Collection[UUID], *, now: datetime) -> None:
    """The messages that carry them were accepted: their codes are in customers' hands."""
    if message_ids:
        where = promo_codes.c.code.in_(_carried(message_ids)) & (promo_codes.c.state == "reserved")
        change(conn, sa.update(promo_codes).where(where).values(state="issued", issued_at=now, moved_at=now))


def release_reserved(conn: sa.Connection, message_ids: Collection[UUID], *, now: datetime) -> None:
    """The messages that carry them never left. Who is carried by no other message has not been seen: one of the pool
    goes back to it."""
    if not message_ids:
        return
    where = promo_codes.c.code.in_(_carried(message_ids)) & (promo_codes.c.state == "reserved")
    # Locked before it is asked who else carries them: whoever writes a message with one of them meanwhile waits.
    locked = sa.select(promo_codes.c.code).where(where).order_by(promo_codes.c.code).with_for_update()
    mine = list(conn.scalars(locked))
    elsewhere = (
        sa.exists()
        .where(contents.c.promo_code == promo_codes.c.code, messages.c.id == contents.c.message_id)
        .where(messages.c.state.not_in((*NOT_SENT, State.DROPPED)) | (messages.c.resends > 0))
        .where(messages.c.id.not_in(message_ids))
    )
    gone = promo_codes.c.code.in_(mine) & (promo_codes.c.state == "reserved") & ~elsewhere
    owners = list(conn.scalars(sa.select(promo_codes.c.customer_id).where(gone)))
    unseen = {"releases": promo_codes.c.releases + 1, "message_id": None, "moved_at": now}
    back = {"state": "free", "customer_id": None, "reserved_at": None, "expires_at": None, **unseen}
    from_pool = promo_codes.c.origin == "imported"
    conn.execute(sa.update(promo_codes).where(gone, ~from_pool).values(state="released", **unseen))
    conn.execute(sa.update(promo_codes).where(gone, from_pool).values(back))
    changes.note(conn, owners, What.CODES)


def _carried(message_ids: Collection[UUID]) -> "sa.CompoundSelect[str]":
    """The codes these messages carry, or were about to."""
    ids = sa.any_(sa.bindparam("carriers", list(message_ids), postgresql.ARRAY(postgresql.UUID), unique=True))
    written = sa.select(contents.c.promo_code).where(contents.c.message_id == ids, contents.c.promo_code.is_not(None))
    return written.union(
        sa.select(promo_codes.c.code).where(promo_codes.c.message_id == ids, promo_codes.c.state == "reserved")
    )


def expire(conn: sa.Connection, *, now: datetime) -> int:
    """Sets aside some of the codes whose time is over, and those of the pool the shop takes no more; says how many."""
    late = sa.select(promo_codes.c.code).where(
        promo_codes.c.state.in_(("reserved", "issued")), promo_codes.c.expires_at <= now
    )
    stale = sa.select(promo_codes.c.code).where(promo_codes.c.state == "free", promo_codes.c.not_after <= now)
    over = late.union_all(stale).limit(EXPIRED_AT_ONCE).subquery()
    locked = sa.select(promo_codes.c.code).where(promo_codes.c.code.in_(sa.select(over.c.code)))
    chosen = sa.func.array(locked.with_for_update(skip_locked=True).scalar_subquery())
    statement = sa.update(promo_codes).where(
        promo_codes.c.code == sa.any_(chosen), promo_codes.c.state.in_(("reserved", "issued", "free"))
    )
    return conn.execute(statement.values(state="expired", moved_at=now)).rowcount


def change(conn: sa.Connection, statement: sa.Update) -> int:
    """Changes codes and notes whose they are, so that segments follow; says how many."""
    owners = list(conn.scalars(statement.returning(promo_codes.c.customer_id)))
    changes.note(conn, [owner for owner in owners if owner is not None], What.CODES)
    return len(owners)
