"""Reading promo codes: how many of each offer stand where, and which moved last."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from campaigns import tables
from foundation import database
from shop.tables import customers

offers, promo_codes = tables.offers, tables.promo_codes


@dataclass(frozen=True, slots=True)
class Counts:
    """The codes of one offer by where they stand, and what the used ones took off."""

    offer_id: int
    reserved: int
    issued: int
    redeemed: int
    released: int
    expired: int
    discount: int


@dataclass(frozen=True, slots=True)
class CodeLine:
    """One code as a list shows it."""

    code: str
    prefix: str
    offer: str
    currency: str
    customer_id: int
    customer: str | None
    state: str
    expires_at: datetime
    moved_at: datetime
    order_id: str | None
    channel: str | None
    discount: int | None


def counts(conn: sa.Connection, *, now: datetime) -> dict[int, Counts]:
    """By offer. A code in someone's hands whose time is over counts as expired."""
    over = promo_codes.c.state.in_(("reserved", "issued")) & (promo_codes.c.expires_at <= now)

    def number(state: str) -> "sa.Label[int]":
        return sa.func.count().filter((promo_codes.c.state == state) & ~over).label(state)

    states = [number(state) for state in ("reserved", "issued", "redeemed", "released")]
    taken_off = sa.cast(sa.func.coalesce(sa.func.sum(promo_codes.c.discount), 0), sa.BigInteger).label("discount")
    counted = sa.select(promo_codes.c.offer_id, *states, sa.func.count().filter(over).label("expired"), taken_off)
    found = database.read(conn, counted.group_by(promo_codes.c.offer_id), Counts)
    return {one.offer_id: one for one in found}


def latest(conn: sa.Connection, *, limit: int) -> Sequence[CodeLine]:
    """The codes that moved last, newest first."""
    name = sa.func.nullif(sa.func.concat_ws(" ", customers.c.first_name, customers.c.last_name), "")
    moved = sa.func.coalesce(promo_codes.c.redeemed_at, promo_codes.c.issued_at, promo_codes.c.reserved_at)
    wanted = (
        sa.select(
            promo_codes.c.code,
            offers.c.prefix,
            offers.c.name.label("offer"),
            offers.c.currency,
            promo_codes.c.customer_id,
            sa.func.coalesce(name, customers.c.email, customers.c.user_id).label("customer"),
            promo_codes.c.state,
            promo_codes.c.expires_at,
            moved.label("moved_at"),
            promo_codes.c.order_id,
            promo_codes.c.channel,
            promo_codes.c.discount,
        )
        .join(offers, offers.c.id == promo_codes.c.offer_id)
        .join(customers, customers.c.id == promo_codes.c.customer_id)
        .where(promo_codes.c.state != "released")
        .order_by(moved.desc(), promo_codes.c.code)
        .limit(limit)
    )
    return database.read(conn, wanted, CodeLine)
