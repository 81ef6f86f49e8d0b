"""The recommender tried: what a customer would be shown beside what she did, and what is shown around a product."""

from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from flask import Blueprint, render_template, request

from app import i18n, security
from app.console import customers as customer_pages
from app.console import roles, words
from app.parts import current_parts
from foundation.errors import NotFound
from recommender import placements, serving
from shop import catalogue, customers, touched

bp = Blueprint("trying", __name__)

AROUND = ("product", "together")
"""The placements around a product."""


@bp.get("/try")
@security.require_role(*roles.READ)
def customer() -> str:
    """What a customer would be shown now at each placement, beside what she did."""
    placement = _placement()
    with current_parts().db.begin() as conn:
        tried = _tried(conn, request.args.get("customer", type=int), placement=placement)
    return render_template(
        "console/model/try.html",
        tried=tried,
        placement=placement,
        placements=[name for name in placements.DEFAULTS if name not in AROUND],
        words=words,
    )


@bp.get("/products")
@security.require_role(*roles.READ)
def product() -> str:
    """The products that go with one, looked at with it and bought with it; and a search to find it."""
    asked, said = request.args.get("product"), request.args.get("q", "").strip()
    with current_parts().db.begin() as conn:
        known = catalogue.get_many(conn, [asked])[asked] if asked and catalogue.get_many(conn, [asked]) else None
        found = catalogue.search(conn, said, limit=8) if said else []
        around = {name: _around(conn, known.product_id, placement=name) for name in AROUND} if known else {}
    return render_template(
        "console/model/product.html", product=known, around=around, found=found, said=said, words=words
    )


def _placement() -> str:
    asked = request.args.get("placement", "home")
    return asked if asked in placements.DEFAULTS and asked not in AROUND else "home"


def _tried(conn: sa.Connection, customer_id: int | None, *, placement: str) -> dict[str, Any] | None:
    """Looking is not recorded as showing."""
    if customer_id is None:
        return None
    try:
        person = customers.record(conn, customer_id).customer
    except NotFound:
        return None
    asked = serving.Request(placement, customer_id=person.id, record=False, locale=i18n.locale())
    return {
        "person": person,
        "name": customer_pages.name(person),
        "slate": _slate(conn, asked),
        "left_out": current_parts().recommender.left_out(conn, asked, now=datetime.now(UTC)),
        "history": touched.by_product(conn, person.id, limit=20),
    }


def _around(conn: sa.Connection, product_id: str, *, placement: str) -> serving.Slate:
    return _slate(conn, serving.Request(placement, products=(product_id,), record=False, locale=i18n.locale()))


def _slate(conn: sa.Connection, asked: serving.Request) -> serving.Slate:
    return current_parts().recommender.recommend(conn, asked, now=datetime.now(UTC))
