"""Offers and the ledger of promo codes: reserved at render, issued once accepted, redeemed at most once."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import datetime, timedelta, tzinfo
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from campaigns import codes, tables
from foundation import database
from foundation.errors import Conflict, Fault, Invalid, NotFound
from shop import changes
from shop.changes import What

offers, promo_codes = tables.offers, tables.promo_codes

KINDS = ("percentage", "amount", "free_shipping")


@dataclass(frozen=True, slots=True, kw_only=True)
class OfferTerms:
    """What is promised. `value` is hundredths of a percent, or minor units; `minimum` the smallest basket."""

    name: str
    kind: str
    value: int = 0
    currency: str = "EUR"
    minimum: int = 0
    prefix: str = ""
    valid_days: int = 7
    starts_at: datetime | None = None
    ends_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer(OfferTerms):
    """An offer as it is kept."""

    id: int
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Code:
    """One code in one customer's hands; `shown` is how people read it."""

    code: str
    shown: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a basket, its price in minor units."""

    product_id: str
    quantity: int
    price: int


@dataclass(frozen=True, slots=True)
class Basket:
    """What is about to be paid."""

    currency: str
    lines: tuple[Line, ...]
    customer: str | None = None

    @property
    def total(self) -> int:
        return sum(line.price * line.quantity for line in self.lines)


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a code may be used on a basket; `reason` is a stable word when it may not."""

    valid: bool
    reason: str | None
    offer: Offer | None = None
    discount: int = 0
    free_shipping: bool = False


# ------------------------------------------------------------------------------------------------- offers
def create_offer(conn: sa.Connection, terms: OfferTerms, *, now: datetime) -> Offer:
    """Keeps a new offer; raises `Invalid` with its faults, `Conflict` if the name is taken."""
    faults = _faults(terms)
    if faults:
        raise Invalid(*faults)
    if not database.insert_once(conn, offers, asdict(terms) | {"created_at": now}):
        raise Conflict("name_taken", f"an offer named {terms.name} exists already")
    return get_offer(conn, terms.name)


def get_offer(conn: sa.Connection, name: str) -> Offer:
    """The offer of that name; raises `NotFound`."""
    found = find_offer(conn, name)
    if found is None:
        raise NotFound(f"no offer is named {name}")
    return found


def find_offer(conn: sa.Connection, name: str) -> Offer | None:
    """The offer of that name, if there is one."""
    found = database.read(conn, sa.select(offers).where(offers.c.name == name), Offer)
    return found[0] if found else None


def every_offer(conn: sa.Connection) -> list[Offer]:
    """All offers, the youngest first."""
    return database.read(conn, sa.select(offers).order_by(offers.c.id.desc()), Offer)


def _faults(terms: OfferTerms) -> list[Fault]:
    rules = {
        "/name": (0 < len(terms.name) <= 60 and terms.name.isprintable(), "must be a text of at most 60 characters"),
        "/kind": (terms.kind in KINDS, f"must be one of: {', '.join(KINDS)}"),
        "/value": (_sound_value(terms), "must be from 1 to 10000 for a percentage, above 0 for an amount"),
        "/currency": (len(terms.currency) == 3 and terms.currency.isalpha(), "must be three letters such as EUR"),
        "/minimum": (0 <= terms.minimum <= 10**12, "must not be negative"),
        "/prefix": (
            len(terms.prefix) <= 12 and (not terms.prefix or terms.prefix.isascii() and terms.prefix.isalnum()),
            "must be at most 12 letters and digits",
        ),
        "/valid_days": (1 <= terms.valid_days <= 730, "must be from 1 to 730"),
        "/ends_at": (
            not (terms.starts_at and terms.ends_at) or terms.starts_at < terms.ends_at,
            "must follow starts_at",
        ),
    }
    return [Fault(place, detail) for place, (sound, detail) in rules.items() if not sound]


def _sound_value(terms: OfferTerms) -> bool:
    if terms.kind == "percentage":
        return 0 < terms.value <= 10_000
    return terms.kind == "free_shipping" or 0 < terms.value <= 10**12


def worth(offer: OfferTerms, total: int) -> int:
    """The discount on a basket of this total, in minor units, halves up, never more than the basket."""
    if offer.kind == "percentage":
        return (total * offer.value + 5_000) // 10_000
    return min(offer.value, total) if offer.kind == "amount" else 0


# ----------------------------------------------------------------------------------- from render to issue
def reserve(
    conn: sa.Connection, offer: Offer, wanted: Mapping[int, UUID], *, zone: tzinfo, now: datetime
) -> dict[int, Code]:
    """A code for each customer (to the message that will carry it): the one she holds, else a new one.

    Who has used hers already gets none. Codes last to the end of a day, so that the date in the mail is true.
    """
    if not wanted or not _running(offer, now):
        return {}
    expires_at = _end_of_day(now + timedelta(days=offer.valid_days), zone)
    expires_at = min(expires_at, offer.ends_at) if offer.ends_at else expires_at
    rows = [
        {
            "code": codes.new(offer.prefix),
            "offer_id": offer.id,
            "customer_id": customer_id,
            "state": "reserved",
            "message_id": message_id,
            "reserved_at": now,
            "issued_at": None,
            "expires_at": expires_at,
        }
        for customer_id, message_id in sorted(wanted.items())
    ]
    insert = postgresql.insert(promo_codes)
    fresh = {name: insert.excluded[name] for name in rows[0] if name not in ("offer_id", "customer_id")}
    stale = (promo_codes.c.state != "redeemed") & (promo_codes.c.expires_at <= now) | (
        promo_codes.c.state == "released"
    )
    insert = insert.on_conflict_do_update(index_elements=["offer_id", "customer_id"], set_=fresh, where=stale)
    conn.execute(insert, rows)
    held = sa.select(promo_codes.c.customer_id, promo_codes.c.code, promo_codes.c.expires_at).where(
        promo_codes.c.offer_id == offer.id,
        promo_codes.c.customer_id.in_(wanted),
        promo_codes.c.state.in_(("reserved", "issued")),
    )
    return {
        row.customer_id: Code(row.code, codes.shown(row.code, offer.prefix), row.expires_at)
        for row in conn.execute(held)
    }


def issue(conn: sa.Connection, message_ids: Collection[UUID], *, now: datetime) -> None:
    """The messages that carry them were accepted: their codes are in customers' hands."""
    where = promo_codes.c.message_id.in_(message_ids) & (promo_codes.c.state == "reserved")
    change(conn, sa.update(promo_codes).where(where).values(state="issued", issued_at=now))


def release_reserved(conn: sa.Connection, message_ids: Collection[UUID]) -> None:
    """The messages that carry them never left: nobody has seen these codes."""
    where = promo_codes.c.message_id.in_(message_ids) & (promo_codes.c.state == "reserved")
    change(conn, sa.update(promo_codes).where(where).values(state="released"))


def change(conn: sa.Connection, statement: sa.Update) -> int:
    """Changes codes and notes whose they are, so that segments follow; says how many."""
    owners = list(conn.scalars(statement.returning(promo_codes.c.customer_id)))
    changes.note(conn, owners, What.CODES)
    return len(owners)


def _running(offer: OfferTerms, now: datetime) -> bool:
    return (offer.starts_at is None or offer.starts_at <= now) and (offer.ends_at is None or now < offer.ends_at)


def _end_of_day(at: datetime, zone: tzinfo) -> datetime:
    return at.astimezone(zone).replace(hour=23, minute=59, second=59, microsecond=0)


# ------------------------------------------------------------------------------------------------ at tills
def validate(conn: sa.Connection, code: str, basket: Basket, *, now: datetime) -> Verdict:
    """Whether the code may be used on this basket, and what it takes off; changes nothing."""
    row = _row(conn, code)
    return _verdict(row, basket, now) if row is not None else Verdict(False, "unknown")


def redeem(conn: sa.Connection, code: str, basket: Basket, *, order_id: str, channel: str, now: datetime) -> Verdict:
    """Uses the code for this order, at most once whatever happens at the same moment; `Conflict` says why not.

    The same order again gets the same answer.
    """
    row = _row(conn, code)
    if row is None:
        raise Conflict("unknown")
    verdict = _verdict(row, basket, now)
    if verdict.valid:
        taken = sa.update(promo_codes).where(
            promo_codes.c.code == row["code"],
            promo_codes.c.state.in_(("reserved", "issued")),
            promo_codes.c.expires_at > now,
        )
        values = {
            "state": "redeemed",
            "redeemed_at": now,
            "order_id": order_id,
            "channel": channel,
            "discount": verdict.discount,
            "redeemed_by": basket.customer,
        }
        if change(conn, taken.values(values)):
            return verdict
        row = _row(conn, code) or row
    if row["state"] == "redeemed" and row["order_id"] == order_id:
        offer = _offer(row)
        return Verdict(True, None, offer, row["discount"] or 0, offer.kind == "free_shipping")
    raise Conflict("used" if row["state"] == "redeemed" else verdict.reason or "used")


def release(conn: sa.Connection, code: str, *, order_id: str) -> None:
    """The order was cancelled: its code may be used again. A second call changes nothing."""
    row = _row(conn, code)
    if row is None:
        raise NotFound("no such code")
    if row["state"] == "redeemed" and row["order_id"] != order_id:
        raise Conflict("other_order", "the code was used for another order")
    where = (promo_codes.c.code == row["code"]) & (promo_codes.c.order_id == order_id)
    change(conn, sa.update(promo_codes).where(where).values(**RELEASED))


RELEASED: Mapping[str, Any] = {
    "state": "issued",
    "redeemed_at": None,
    "order_id": None,
    "channel": None,
    "discount": None,
    "redeemed_by": None,
}
"""What a redeemed code becomes when its order is undone."""


def of_customer(conn: sa.Connection, customer_id: int) -> Sequence[sa.RowMapping]:
    """Every code a customer was given, the youngest first."""
    query = (
        sa.select(promo_codes, offers.c.name.label("offer"), offers.c.prefix)
        .join(offers, offers.c.id == promo_codes.c.offer_id)
        .where(promo_codes.c.customer_id == customer_id)
        .order_by(promo_codes.c.reserved_at.desc())
    )
    return conn.execute(query).mappings().all()


def _row(conn: sa.Connection, code: str) -> sa.RowMapping | None:
    """The code with its offer; what nobody holds is as unknown as what never was."""
    query = (
        sa.select(promo_codes, *(offers.c[field.name].label(f"its_{field.name}") for field in fields(Offer)))
        .join(offers, offers.c.id == promo_codes.c.offer_id)
        .where(promo_codes.c.code == codes.normalise(code), promo_codes.c.state != "released")
    )
    return conn.execute(query).mappings().one_or_none()


def _offer(row: sa.RowMapping) -> Offer:
    return Offer(**{field.name: row[f"its_{field.name}"] for field in fields(Offer)})


def _verdict(row: sa.RowMapping, basket: Basket, now: datetime) -> Verdict:
    offer = _offer(row)
    refusals = {
        "used": row["state"] == "redeemed",
        "expired": row["expires_at"] <= now or (offer.ends_at is not None and offer.ends_at <= now),
        "not_started": offer.starts_at is not None and now < offer.starts_at,
        "currency": basket.currency != offer.currency,
        "minimum": basket.total < max(offer.minimum, 1),
    }
    reason = next((word for word, refused in refusals.items() if refused), None)
    if reason:
        return Verdict(False, reason, offer)
    return Verdict(True, None, offer, worth(offer, basket.total), offer.kind == "free_shipping")
