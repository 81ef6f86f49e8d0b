"""Offers as they are kept: made, read, and changed as long as nobody who holds a code loses by it."""

from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any

import orjson
import sqlalchemy as sa

from campaigns import codes, promo_tables, tables
from campaigns.definitions import offers as definitions
from campaigns.definitions import shapes
from campaigns.definitions.offers import Offer
from foundation import database
from foundation.errors import Conflict, Fault, Invalid, NotFound
from shop.tables import products, stores

offers, promo_codes, redemptions = tables.offers, tables.promo_codes, promo_tables.promo_redemptions


@dataclass(frozen=True, slots=True)
class Kept:
    """An offer with where it stands. `spent` is what its budget has paid so far, in minor units."""

    id: int
    terms: Offer
    revision: int
    spent: int
    created_at: datetime
    updated_at: datetime

    @property
    def name(self) -> str:
        return self.terms.name


# ---------------------------------------------------------------------------------------------------- reading
def get(conn: sa.Connection, name: str) -> Kept:
    """The offer of that name; raises `NotFound`."""
    found = find(conn, name)
    if found is None:
        raise NotFound(f"no offer is named {name}")
    return found


def find(conn: sa.Connection, name: str) -> Kept | None:
    """The offer of that name, if there is one."""
    row = conn.execute(_KEPT.where(offers.c.name == name)).mappings().one_or_none()
    return _kept(row) if row else None


def every(conn: sa.Connection) -> list[Kept]:
    """All offers, the youngest first."""
    return [_kept(row) for row in conn.execute(_KEPT.order_by(offers.c.id.desc())).mappings()]


def read(text: str) -> Offer:
    """Terms as they are kept; they were checked when they were, and stay readable when the checks grow stricter."""
    return _read(text)


@lru_cache(maxsize=512)
def _read(text: str) -> Offer:
    return shapes.read(Offer, orjson.loads(text))


_COLUMNS = (offers.c.id, offers.c.revision, offers.c.spent, offers.c.created_at, offers.c.updated_at)
_KEPT = sa.select(*_COLUMNS, sa.cast(offers.c.terms, sa.Text).label("terms"))


def _kept(row: sa.RowMapping) -> Kept:
    return Kept(**{**row, "terms": _read(row["terms"])})


# ---------------------------------------------------------------------------------------------------- keeping
def create(conn: sa.Connection, offer: Offer, *, now: datetime) -> Kept:
    """A new offer; raises `Invalid` with its faults, `Conflict` if the name is taken."""
    _refuse_unsound(conn, offer, now=now)
    row = {"name": offer.name, "terms": definitions.dump(offer), "created_at": now, "updated_at": now}
    if not database.insert_once(conn, offers, row):
        raise Conflict("name_taken", f"an offer named {offer.name} exists already")
    kept = get(conn, offer.name)
    _share(conn, kept, now=now)
    return kept


def put(conn: sa.Connection, offer: Offer, *, now: datetime) -> tuple[Kept, bool]:
    """Creates it or changes it; says whether anything changed.

    Raises `Invalid` naming each term that cannot change any more because people hold codes that promise it.
    """
    before = find(conn, offer.name)
    if before is None:
        return create(conn, offer, now=now), True
    if before.terms == offer:
        return before, False
    # Redemptions under way hold this row until they are done, and look at the revision: none counts by old terms.
    conn.execute(sa.select(offers.c.id).where(offers.c.id == before.id).with_for_update())
    before = get(conn, offer.name)
    if faults := definitions.broken(before.terms, offer) if _given(conn, before.id) else []:
        raise Invalid(*faults)
    _refuse_unsound(conn, offer, now=now, before=before.terms)
    values: dict[str, Any] = {
        "terms": definitions.dump(offer),
        "revision": before.revision + 1,
        "spent": _spent(before.id) if offer.budget is not None else 0,
        "updated_at": now,
    }
    conn.execute(sa.update(offers).where(offers.c.id == before.id).values(values))
    after = get(conn, offer.name)
    _share(conn, after, now=now)
    return after, True


def _given(conn: sa.Connection, offer_id: int) -> bool:
    """Whether anybody holds one of its codes."""
    held = sa.exists().where(promo_codes.c.offer_id == offer_id, promo_codes.c.state.in_(("reserved", "issued")))
    return bool(conn.scalar(sa.select(held)))


def _spent(offer_id: int) -> "sa.ScalarSelect[int]":
    total = sa.cast(sa.func.coalesce(sa.func.sum(redemptions.c.discount), 0), sa.BigInteger)
    standing = (redemptions.c.offer_id == offer_id) & redemptions.c.undone_at.is_(None)
    return sa.select(total).where(standing).scalar_subquery()


def _share(conn: sa.Connection, kept: Kept, *, now: datetime) -> None:
    """The shared code becomes one of the offer's own, so that tills know it too. An earlier one stays good: it was
    printed."""
    shown = kept.terms.fallback
    if shown is None:
        return
    row = {"code": codes.normalise(shown), "offer_id": kept.id, "shown": shown, "origin": "shared", "state": "shared"}
    if not database.insert_once(conn, promo_codes, row | {"moved_at": now}):
        is_ours = sa.select(promo_codes.c.offer_id).where(promo_codes.c.code == row["code"])
        if conn.scalar(is_ours.where(promo_codes.c.origin == "shared")) != kept.id:
            raise Invalid(Fault("/fallback", "reads the same as a code there is already"))


# --------------------------------------------------------------------------------------------------- checking
def _refuse_unsound(conn: sa.Connection, offer: Offer, *, now: datetime, before: Offer | None = None) -> None:
    faults = list(definitions.impossible(offer))
    if offer.ends_at and offer.ends_at <= now and (before is None or before.ends_at != offer.ends_at):
        faults.append(Fault("/ends_at", "has passed already"))
    faults += _unknown(conn, offer)
    if faults:
        raise Invalid(*faults)


def _unknown(conn: sa.Connection, offer: Offer) -> list[Fault]:
    """Stores and products nobody knows."""
    known = set(conn.scalars(sa.select(stores.c.store_id).where(stores.c.store_id.in_(offer.stores))))
    faults = [
        Fault(f"/stores/{number}", f"is not the name of a store: {name}")
        for number, name in enumerate(offer.stores)
        if name not in known
    ]
    there = sa.exists().where(products.c.product_id == offer.product)
    if offer.product is not None and not conn.scalar(sa.select(there)):
        faults.append(Fault("/product", f"is not the product_id of a product: {offer.product}"))
    return faults


def used_by(conn: sa.Connection) -> dict[str, list[str]]:
    """The campaigns that are not over, by the name of each offer their newest version gives codes of."""
    query = sa.text("""
        SELECT DISTINCT offer #>> '{}', campaigns.name FROM campaigns
        JOIN campaign_versions ON campaign_id = campaigns.id AND campaign_versions.version = campaigns.version
        CROSS JOIN LATERAL jsonb_path_query(definition, '$.** ? (@.type == "send").offer') AS found (offer)
        WHERE state IN ('draft', 'sending', 'paused') AND jsonb_typeof(offer) = 'string' ORDER BY 2
    """)
    found: dict[str, list[str]] = {}
    for offer, campaign in conn.execute(query):
        found.setdefault(offer, []).append(campaign)
    return found
