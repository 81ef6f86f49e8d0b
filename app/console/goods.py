"""What the shop sells and where: the catalogue with its stock, and the stores."""

from flask import Blueprint, render_template, request

from app import security
from app.console import paging, roles
from app.parts import current_parts
from shop import catalogue as products
from shop import stores as places

bp = Blueprint("goods", __name__, url_prefix="/sources")

MOST_WORDS = 200


@bp.get("/catalogue")
@security.require_role(*roles.READ)
def catalogue() -> str:
    """A page of products by id, found by title or id, with how many pieces there are in all and in how many places."""
    key, text = paging.after(1), request.args.get("q", "")[:MOST_WORDS].replace("\0", "")
    with current_parts().db.begin() as conn:
        found = products.search(conn, text, active=None, after=key[0] if key else None, limit=paging.SIZE)
        stock = {one.product_id: one for one in places.held(conn, [one.product_id for one in found])}
    return render_template("console/goods/catalogue.html", found=found, stock=stock, q=text, paging=paging)


@bp.get("/stores")
@security.require_role(*roles.READ)
def stores() -> str:
    """Every store."""
    with current_parts().db.begin() as conn:
        found = places.list_all(conn)
    return render_template("console/goods/stores.html", found=found)
