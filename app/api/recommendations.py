"""Products for a customer, a visitor or a page: `GET /v1/recommendations`."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

import pydantic
import sqlalchemy as sa
from flask import Blueprint, abort

from app import security
from app.api import cors
from app.api.endpoint import Amount, Query, Reply, Word, operation
from app.parts import current_parts
from recommender import serving, slate
from shop import money

bp = Blueprint("api_recommendations", __name__)
bp.before_request(security.require_key(security.Kind.SECRET, security.Kind.WRITE))
bp.after_request(cors.any_origin)

PUBLIC_PLACEMENTS = ("home", "product", "cart")
"""Where a write key, which every visitor can read, may ask for a slate."""


class Wanted(Query):
    """For whom, where, and around which products."""

    customer: Word | None = None
    anonymous: Word | None = None
    placement: Annotated[str, pydantic.Field(pattern=r"^[a-z][a-z0-9_-]{0,49}$")] = "home"
    product: Annotated[list[Word], pydantic.Field(max_length=50)] = []
    n: Annotated[int, pydantic.Field(ge=1, le=100)] | None = None
    store: Word | None = None
    category: Word | None = None
    exclude: Annotated[list[Word], pydantic.Field(max_length=500)] = []
    locale: Literal["en", "fr"] = "en"


class Item(Reply):
    """One product and why it is shown."""

    product_id: str
    title: str
    url: str | None
    image_url: str | None
    price: Amount | None
    currency: str | None
    reason: str
    source: str
    score: float


class Slate(Reply):
    """Products in the order to show them. Send `slate_id` back with clicks."""

    slate_id: UUID
    model: str
    items: list[Item]


@bp.get("/v1/recommendations")
@operation("Products for a customer", tag="recommendations", kinds=(security.Kind.SECRET, security.Kind.WRITE))
def recommend(conn: sa.Connection, query: Wanted, now: datetime) -> Slate:
    """Never empty while one product is for sale. A write key gets home, product and cart slates of the visitor it names
    by anonymous id; what would tell of a customer's past is left out, and `customer` with it is not looked up."""
    public = security.current_key().kind == security.Kind.WRITE
    if public and query.placement not in PUBLIC_PLACEMENTS:
        abort(403, f"A write key may ask for these placements: {', '.join(PUBLIC_PLACEMENTS)}.")
    request = serving.Request(
        placement=query.placement,
        user_id=None if public else query.customer,
        anonymous_id=query.anonymous,
        products=tuple(query.product),
        n=query.n,
        store_id=query.store,
        category=query.category,
        exclude=tuple(query.exclude),
        locale=query.locale,
        public=public,
    )
    made = current_parts().recommender.answer(request, now=now)
    return Slate(slate_id=made.slate_id, model=made.model, items=[_item(item) for item in made.items])


def _item(item: slate.SlateItem) -> Item:
    price = None if item.price is None else money.decimal(item.price, item.currency)
    return Item(
        product_id=item.product_id,
        title=item.title,
        url=item.url,
        image_url=item.image_url,
        price=price,
        currency=item.currency,
        reason=item.reason,
        source=item.source,
        score=item.score,
    )
