"""`/v1/products`: the shop's products, put in bulk."""

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from flask import Blueprint

from app import security
from app.api import feeds
from app.api.endpoint import operation
from shop import catalogue

bp = Blueprint("api_catalogue", __name__, url_prefix="/v1")
bp.before_request(security.require_key(security.Kind.SECRET))

PRODUCT_ROWS = feeds.rows_of(catalogue.FIELDS)


@bp.put("/products")
@operation(
    "Adds or changes up to 1,000 products; a field that is not given keeps its value.",
    tag="catalogue",
    body=PRODUCT_ROWS,
)
def put_products(conn: sa.Connection, *, body: list[dict[str, Any]], now: datetime) -> feeds.FeedReply:
    """Puts each good row, and says what is wrong with each other."""
    return feeds.reply(catalogue.put(conn, body, now=now))
