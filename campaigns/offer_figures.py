"""What pages and alerts say of an offer: the life of its codes, where they are used, what they cost and bring.

Counted in the background for offers whose codes have moved, so that no page ever counts a million of them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from campaigns import offers, promo_tables, promotions
from campaigns.offers import Kept
from foundation import database
from foundation.database import Database

kept_figures = promo_tables.offer_figures

OVERLAP = timedelta(minutes=2)
"""Transactions that were still under way at the last count are looked at again."""
PACE_DAYS = 7


@dataclass(frozen=True, slots=True)
class Place:
    """Redemptions in one channel and, in stores, one of them; amounts in minor units, revenue net of refunds."""

    channel: str
    store_id: str | None
    used: int
    discount: int
    revenue: int


@dataclass(frozen=True, slots=True)
class Figures:
    """One offer's codes by where they stand, and what became of them. `released` counts goings back, not codes; `given`
    those that reached somebody; `pace` those handed out in the last seven days."""

    free: int = 0
    reserved: int = 0
    issued: int = 0
    redeemed: int = 0
    released: int = 0
    expired: int = 0
    imported: int = 0
    pace: int = 0
    uses: int = 0
    undone: int = 0
    discount: int = 0
    revenue: int = 0
    leaked: int = 0
    double: int = 0
    places: Sequence[Place] = field(default_factory=tuple)
    refusals: Mapping[str, int] = field(default_factory=dict)

    @property
    def given(self) -> int:
        return self.issued + self.redeemed + self.expired


@dataclass(frozen=True, slots=True)
class Low:
    """A pool that runs out: what it has left, and how many days that lasts at the pace of the last week."""

    offer: str
    free: int
    alert_below: int
    days: float | None


NONE = Figures()


def of_all(conn: sa.Connection) -> dict[int, tuple[Figures, datetime]]:
    """The figures of every offer that has any, with when they were found."""
    return {row.offer_id: (_figures(row.figures), row.found_at) for row in conn.execute(sa.select(kept_figures))}


def of(conn: sa.Connection, offer_id: int) -> tuple[Figures, datetime | None]:
    """The figures of one offer, with when they were found."""
    row = conn.execute(sa.select(kept_figures).where(kept_figures.c.offer_id == offer_id)).one_or_none()
    return (_figures(row.figures), row.found_at) if row else (NONE, None)


def _figures(kept: Mapping[str, Any]) -> Figures:
    return Figures(**{**kept, "places": tuple(Place(**place) for place in kept["places"])})


# -------------------------------------------------------------------------------------------------------- counting
def keep_up(db: Database, *, now: datetime) -> str | None:
    """Sets aside codes whose time is over, and counts the offers something happened to. Manages its own transactions:
    each offer is counted by itself."""
    expired = 0
    while True:
        with db.begin() as conn:
            some = promotions.expire(conn, now=now)
        expired += some
        if some < promotions.EXPIRED_AT_ONCE:
            break
    with db.begin() as conn:
        moved = list(conn.scalars(_MOVED, {"overlap": OVERLAP}))
    for offer_id in moved:
        with db.begin() as conn:
            count(conn, offer_id, now=now)
    return f"{expired} codes expired" if expired else None


_MOVED = sa.text("""
    SELECT offers.id FROM offers LEFT JOIN offer_figures ON offer_id = offers.id
    WHERE found_at IS NULL
        OR EXISTS (SELECT FROM promo_codes WHERE promo_codes.offer_id = offers.id AND moved_at > found_at - :overlap)
        OR EXISTS (SELECT FROM promo_redemptions AS used WHERE used.offer_id = offers.id
            AND greatest(at, undone_at) > found_at - :overlap)
        OR EXISTS (SELECT FROM promo_refusals AS no WHERE no.offer_id = offers.id AND last_at > found_at - :overlap)
    ORDER BY offers.id
""")


def count(conn: sa.Connection, offer_id: int, *, now: datetime) -> Figures:
    """Counts one offer, and keeps what it found."""
    asked = {"offer": offer_id, "week": now - timedelta(days=PACE_DAYS)}
    codes = conn.execute(_CODES, asked).mappings().one()
    places = [Place(**row) for row in conn.execute(_PLACES, asked).mappings()]
    refusals = {reason: number for reason, number in conn.execute(_REFUSALS, asked)}
    totals = conn.execute(_TOTALS, asked).mappings().one()
    found = Figures(
        **codes,
        **totals,
        uses=sum(place.used for place in places),
        discount=sum(place.discount for place in places),
        revenue=sum(place.revenue for place in places),
        double=refusals.get("used", 0),
        places=places,
        refusals=refusals,
    )
    row = {"offer_id": offer_id, "figures": asdict(found), "found_at": now}
    database.upsert(conn, kept_figures, [row], key=["offer_id"])
    return found


_CODES = sa.text("""
    SELECT count(*) FILTER (WHERE state = 'free') AS free, count(*) FILTER (WHERE state = 'reserved') AS reserved,
        count(*) FILTER (WHERE state = 'issued') AS issued, count(*) FILTER (WHERE state = 'redeemed') AS redeemed,
        count(*) FILTER (WHERE state = 'expired') AS expired, coalesce(sum(releases), 0)::bigint AS released,
        count(*) FILTER (WHERE origin = 'imported') AS imported,
        count(*) FILTER (WHERE reserved_at > :week) AS pace
    FROM promo_codes WHERE offer_id = :offer
""")
_PLACES = sa.text("""
    SELECT used.channel, used.store_id, count(*) AS used, sum(used.discount)::bigint AS discount,
        coalesce(sum(orders.total - orders.refunded) FILTER (WHERE orders.state <> 'cancelled'), 0)::bigint AS revenue
    FROM promo_redemptions AS used LEFT JOIN orders USING (order_id)
    WHERE used.offer_id = :offer AND used.undone_at IS NULL GROUP BY 1, 2 ORDER BY 3 DESC, 1, 2
""")
_TOTALS = sa.text("""
    SELECT count(*) FILTER (WHERE undone_at IS NOT NULL) AS undone,
        count(*) FILTER (WHERE leaked AND undone_at IS NULL) AS leaked
    FROM promo_redemptions WHERE offer_id = :offer
""")
_REFUSALS = sa.text("SELECT reason, count(*) FROM promo_refusals WHERE offer_id = :offer GROUP BY 1 ORDER BY 2 DESC, 1")


# ----------------------------------------------------------------------------------------------------------- alert
def low(conn: sa.Connection, *, now: datetime) -> list[Low]:
    """The pools that are about to run out, or have, of offers that are not over."""
    figures = of_all(conn)
    found = []
    for offer in offers.every(conn):
        free = figures[offer.id][0].free if offer.id in figures else 0
        if _runs_out(offer, free, now):
            pace = figures[offer.id][0].pace / PACE_DAYS if offer.id in figures else 0
            found.append(Low(offer.name, free, offer.terms.alert_below, free / pace if pace else None))
    return found


def _runs_out(offer: Kept, free: int, now: datetime) -> bool:
    running = offer.terms.ends_at is None or now < offer.terms.ends_at
    return offer.terms.codes == "pool" and running and free < offer.terms.alert_below
