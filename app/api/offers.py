"""`/v1/offers`: offers as files say them, and codes of the shop's own for their pools."""

from datetime import datetime
from typing import Annotated, Any

import pydantic
import sqlalchemy as sa
from flask import Blueprint

from app import security
from app.api.endpoint import Body, Reply, Word, operation
from campaigns import code_pool, offer_figures, offers
from campaigns.definitions import offers as definitions
from foundation.errors import Fault, Invalid

bp = Blueprint("api_offers", __name__, url_prefix="/v1")
bp.before_request(security.require_key(security.Kind.SECRET))

Terms = Annotated[dict[str, Any], pydantic.Field(max_length=50)]


class Wanted(Body):
    """An offer as a campaign's file says it; its name is the address's."""

    offer: Terms


class Offers(Reply):
    """Offers as they may be sent back, the youngest first."""

    offers: list[dict[str, Any]]


class Standing(Reply):
    """An offer, what its budget has paid in minor units, and its codes by where they stand when they were counted."""

    offer: dict[str, Any]
    spent: int
    codes: dict[str, int]
    counted_at: datetime | None


class Codes(Body):
    """Codes of the shop's own, as it writes them."""

    codes: Annotated[list[Word], pydantic.Field(min_length=1, max_length=1000)]
    expires_at: pydantic.AwareDatetime | None = None


class Taken(Reply):
    """What became of them; `refused` names each by its place and says why."""

    accepted: int
    repeated: int
    refused: list[dict[str, Any]]


@bp.get("/offers")
@operation("Every offer, the youngest first.", tag="promo codes")
def every(conn: sa.Connection) -> Offers:
    """As files say them."""
    return Offers(offers=[definitions.dump(kept.terms) for kept in offers.every(conn)])


@bp.get("/offers/<name>")
@operation("One offer, and its codes by where they stand.", tag="promo codes")
def show(conn: sa.Connection, name: str) -> Standing:
    """Counted in the background, a few seconds ago at most."""
    return _standing(conn, offers.get(conn, name))


@bp.put("/offers/<name>")
@operation("Makes an offer, or changes it as long as no code already given loses by it.", tag="promo codes")
def put(conn: sa.Connection, name: str, *, body: Wanted, now: datetime) -> Standing:
    """A change that takes something from holders of codes is refused with its place."""
    if body.offer.get("name", name) != name:
        raise Invalid(Fault("/offer/name", "is not the name in the address"))
    try:
        offer = definitions.parse({**body.offer, "name": name})
        kept, _ = offers.put(conn, offer, now=now)
    except Invalid as refused:
        raise Invalid(*(Fault("/offer" + fault.pointer, fault.detail) for fault in refused.faults)) from None
    return _standing(conn, kept)


@bp.post("/offers/<name>/codes")
@operation("Puts codes of the shop's own into an offer's pool; codes that are there already change nothing.",
           tag="promo codes")  # fmt: skip
def fill(conn: sa.Connection, name: str, *, body: Codes, now: datetime) -> Taken:
    """Up to 1,000 a call; `flask promo import` takes files of any size."""
    taken = code_pool.add(conn, name, body.codes, until=body.expires_at, now=now)
    refused = [{"pointer": f"/codes/{row.line}", "detail": row.reason} for row in taken.refused]
    return Taken(accepted=taken.accepted, repeated=taken.repeated, refused=refused)


def _standing(conn: sa.Connection, kept: offers.Kept) -> Standing:
    figures, found_at = offer_figures.of(conn, kept.id)
    states = ("free", "reserved", "issued", "redeemed", "released", "expired", "leaked")
    codes = {state: int(getattr(figures, state)) for state in states}
    return Standing(offer=definitions.dump(kept.terms), spent=kept.spent, codes=codes, counted_at=found_at)
