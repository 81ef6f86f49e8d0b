"""`/v1/stores` and `/v1/stock`: where the merchant sells and what is there, put in bulk."""

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from flask import Blueprint

from app import security
from app.api import feeds
from app.api.endpoint import operation
from shop import stores

bp = Blueprint("api_stores", __name__, url_prefix="/v1")
bp.before_request(security.require_key(security.Kind.SECRET))

STORE_ROWS = feeds.rows_of(stores.STORE_FIELDS)
STOCK_ROWS = feeds.rows_of(stores.STOCK_FIELDS)


@bp.put("/stores")
@operation("Adds or changes up to 1,000 places of sale.", tag="catalogue", body=STORE_ROWS)
def put_stores(conn: sa.Connection, *, body: list[dict[str, Any]], now: datetime) -> feeds.FeedReply:
    """Puts each good row, and says what is wrong with each other."""
    return feeds.reply(stores.put(conn, body, now=now))


@bp.put("/stock")
@operation("Sets how many pieces of up to 1,000 products a store has.", tag="catalogue", body=STOCK_ROWS)
def put_stock(conn: sa.Connection, *, body: list[dict[str, Any]], now: datetime) -> feeds.FeedReply:
    """Puts each good row, and says what is wrong with each other."""
    return feeds.reply(stores.put_stock(conn, body, now=now))
