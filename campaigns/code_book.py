"""Reading promo codes: those that moved last, a customer's own, and what went wrong with them at tills."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from campaigns import promo_tables, tables
from foundation import database
from shop.tables import customers

offers, promo_codes = tables.offers, tables.promo_codes
redemptions, refusals = promo_tables.promo_redemptions, promo_tables.promo_refusals


@dataclass(frozen=True, slots=True)
class CodeLine:
    """One code as a list shows it, with the order that used it if one did."""

    code: str
    shown: str
    offer: str
    currency: str
    customer_id: int | None
    customer: str | None
    state: str
    expires_at: datetime | None
    moved_at: datetime
    order_id: str | None
    channel: str | None
    store_id: str | None
    discount: int | None


@dataclass(frozen=True, slots=True)
class Leak:
    """A code used by somebody it was not given to."""

    shown: str
    holder_id: int | None
    holder: str | None
    payer_id: int | None
    payer: str | None
    order_id: str
    channel: str
    store_id: str | None
    discount: int
    at: datetime


@dataclass(frozen=True, slots=True)
class Refusal:
    """A code somebody tried to use and could not. `given`: the shop took the discount off all the same."""

    shown: str
    reason: str
    order_id: str
    channel: str
    store_id: str | None
    customer_id: int | None
    customer: str | None
    times: int
    given: bool
    last_at: datetime


def _name(person: "sa.FromClause") -> "sa.ColumnElement[str]":
    full = sa.func.nullif(sa.func.concat_ws(" ", person.c.first_name, person.c.last_name), "")
    return sa.func.coalesce(full, person.c.email, person.c.user_id)


def latest(conn: sa.Connection, offer_id: int, *, limit: int) -> Sequence[CodeLine]:
    """An offer's codes that moved last, newest first; what lies in the pool does not count as moved."""
    moving = sa.select(promo_codes).where(promo_codes.c.offer_id == offer_id, sa.text(tables.IN_HANDS))
    some = moving.order_by(promo_codes.c.moved_at.desc(), promo_codes.c.code).limit(limit).subquery("some")
    used = (redemptions.c.code == some.c.code) & redemptions.c.undone_at.is_(None)
    wanted = (
        sa.select(
            some.c.code,
            some.c.shown,
            offers.c.name.label("offer"),
            offers.c.currency,
            some.c.customer_id,
            _name(customers).label("customer"),
            some.c.state,
            some.c.expires_at,
            some.c.moved_at,
            redemptions.c.order_id,
            redemptions.c.channel,
            redemptions.c.store_id,
            redemptions.c.discount,
        )
        .join(offers, offers.c.id == some.c.offer_id)
        .outerjoin(customers, customers.c.id == some.c.customer_id)
        .outerjoin(redemptions, used)
        .order_by(some.c.moved_at.desc(), some.c.code)
    )
    return database.read(conn, wanted, CodeLine)


def of_customer(conn: sa.Connection, customer_id: int) -> Sequence[sa.RowMapping]:
    """Every code a customer was given, the youngest first; those of records merged into hers too."""
    holder = customers.alias("holder")
    query = (
        sa.select(promo_codes, offers.c.name.label("offer"))
        .join(offers, offers.c.id == promo_codes.c.offer_id)
        .join(holder, holder.c.id == promo_codes.c.customer_id)
        .where(sa.or_(holder.c.id == customer_id, holder.c.merged_into == customer_id))
        .where(promo_codes.c.state != "released")
        .order_by(promo_codes.c.reserved_at.desc())
    )
    return conn.execute(query).mappings().all()


@dataclass(frozen=True, slots=True)
class Known:
    """A code there is: how people read it, and who holds it today; shared ones have no holder."""

    shown: str
    holder: int | None


def find(conn: sa.Connection, plain: str) -> Known | None:
    """The code, if there is one; what nobody holds is none."""
    query = (
        sa.select(promo_codes.c.shown, sa.func.coalesce(customers.c.merged_into, customers.c.id).label("holder"))
        .outerjoin(customers, promo_codes.c.customer_id == customers.c.id)
        .where(promo_codes.c.code == plain, promo_codes.c.state.not_in(("free", "released")))
    )
    return next(iter(database.read(conn, query, Known)), None)


def leaks(conn: sa.Connection, offer_id: int, *, limit: int) -> Sequence[Leak]:
    """The latest uses of an offer's codes by somebody else than their holders."""
    holder, payer = customers.alias("holder"), customers.alias("payer")
    wanted = (
        sa.select(
            promo_codes.c.shown,
            holder.c.id.label("holder_id"),
            _name(holder).label("holder"),
            payer.c.id.label("payer_id"),
            _name(payer).label("payer"),
            redemptions.c.order_id,
            redemptions.c.channel,
            redemptions.c.store_id,
            redemptions.c.discount,
            redemptions.c.at,
        )
        .join(promo_codes, promo_codes.c.code == redemptions.c.code)
        .outerjoin(holder, holder.c.id == promo_codes.c.customer_id)
        .outerjoin(payer, payer.c.id == redemptions.c.customer_id)
        .where(redemptions.c.offer_id == offer_id, redemptions.c.leaked, redemptions.c.undone_at.is_(None))
        .order_by(redemptions.c.at.desc())
        .limit(limit)
    )
    return database.read(conn, wanted, Leak)


def refused(conn: sa.Connection, offer_id: int, *, limit: int) -> Sequence[Refusal]:
    """The latest refusals of an offer's codes."""
    wanted = (
        sa.select(
            promo_codes.c.shown,
            *(refusals.c[name] for name in ("reason", "order_id", "channel", "store_id", "customer_id")),
            _name(customers).label("customer"),
            *(refusals.c[name] for name in ("times", "given", "last_at")),
        )
        .join(promo_codes, promo_codes.c.code == refusals.c.code)
        .outerjoin(customers, customers.c.id == refusals.c.customer_id)
        .where(refusals.c.offer_id == offer_id)
        .order_by(refusals.c.last_at.desc(), refusals.c.code)
        .limit(limit)
    )
    return database.read(conn, wanted, Refusal)
