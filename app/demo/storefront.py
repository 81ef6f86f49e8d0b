"""The demo shop, Maison Aubier: a retailer's storefront at `/demo/` as Relance meets them, with its tracker inside."""

import hashlib
import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import NoReturn

import sqlalchemy as sa
from flask import Blueprint, Flask, Response, abort, redirect, render_template, request, send_from_directory, url_for
from werkzeug.exceptions import NotFound
from werkzeug.wrappers import Response as BaseResponse

from app import parts, security
from app.demo import baskets, checkout, pages, sales, till, visits
from app.tables import api_keys
from campaigns import timeline
from shop import catalogue, customers, stores

PAGE = 25
MOST_CARDS = 20
IMAGES = Path(__file__).parent.parent / "static" / "demo" / "images"

bp = Blueprint("demo", __name__, url_prefix="/demo")
bp.before_request(visits.admit)
bp.after_request(visits.write_cookie)
bp.after_request(pages.harden)
bp.context_processor(pages.context)
bp.register_blueprint(checkout.bp)
bp.register_blueprint(till.bp)


def register(app: Flask) -> None:
    """Opens the shop; called in demo mode only."""
    app.register_blueprint(bp)


def ensure(conn: sa.Connection, var_dir: Path, *, now: datetime) -> str:
    """The write key of the shop's tracker: the one it has if it still works, else a new one, kept under `var/`."""
    path = pages.key_path(var_dir)
    if path.exists():
        key = str(json.loads(path.read_text())["write_key"])
        works = (api_keys.c.key_hash == hashlib.sha256(key.encode()).digest()) & api_keys.c.revoked_at.is_(None)
        if conn.scalar(sa.select(sa.func.count()).where(works)):
            return key
    key = security.create_key(conn, kind=security.Kind.WRITE, name=sales.SHOP, channel="web", now=now)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(mode=0o600)
    os.chmod(path, 0o600)
    path.write_text(json.dumps({"write_key": key}))
    return key


# ------------------------------------------------------------------------------------------------- pages
@bp.get("/")
def home() -> str:
    """The front page."""
    now, there, visit = datetime.now(UTC), parts.current_parts(), visits.current()
    with there.db.begin() as conn:
        basket = baskets.load(conn, visit.lines, now=now)
        loved = [] if visits.agreed() else pages.slate(conn, "home", now=now, n=10)
        near = pages.slate(conn, "trending", now=now, n=10, store=pages.store_id())
        again = pages.buy_again(conn, now=now, n=10)
    return render_template("demo/home.html", basket=basket, loved=loved, near=near, again=again)


@bp.get("/department/<slug>")
def department(slug: str) -> str:
    """The products of a department or of one of its categories, a page at a time."""
    found = next((one for one in pages.departments() if one.slug == slug), None)
    if found is None:
        abort(404)
    category = request.args.get("category", "")
    if category and category not in dict(found.categories):
        abort(404)
    path = f"{found.name} > {category}" if category else found.name
    with parts.current_parts().db.begin() as conn:
        products = catalogue.search(conn, category=path, after=_after(), limit=PAGE + 1)
    return render_template("demo/department.html", found=found, category=category, **_page(products))


@bp.get("/search")
def search() -> str:
    """The products whose name holds every word."""
    words = request.args.get("q", "").replace("\0", "")[:100].strip()
    with parts.current_parts().db.begin() as conn:
        products = catalogue.search(conn, words, after=_after(), limit=PAGE + 1) if words else []
    return render_template("demo/search.html", words=words, **_page(products))


def _after() -> str | None:
    return request.args.get("after", "").replace("\0", "") or None


def _page(products: list[catalogue.Product]) -> dict[str, object]:
    """One more than a page was asked for, to know whether another follows."""
    shown = [pages.Card(product, product.brand or "") for product in products[:PAGE]]
    return {"cards": shown, "more": shown[-1].product.product_id if len(products) > PAGE else None}


@bp.get("/product/<product_id>")
def product(product_id: str) -> str:
    """One product, whether it is on the shelf here, and what goes with it."""
    now = datetime.now(UTC)
    with parts.current_parts().db.begin() as conn:
        found = catalogue.get_many(conn, [product_id.replace("\0", "")]).get(product_id)
        if found is None:
            abort(404)
        here = product_id in stores.in_stock(conn, [product_id], store_id=pages.store_id())
        similar, together = (
            [] if visits.agreed() else pages.slate(conn, placement, now=now, n=10, products=[product_id])
            for placement in ("product", "together")
        )
    return render_template("demo/product.html", product=found, here=here, similar=similar, together=together)


@bp.post("/cards")
def cards() -> str:
    """The cards of a slate the browser asked Relance for, as this shop draws them."""
    given = request.get_json(silent=True)
    slate = given if isinstance(given, dict) else {}
    items = slate.get("items")
    wanted = [
        (str(one.get("product_id")).replace("\0", ""), str(one.get("reason") or "")[:200])
        for one in (items if isinstance(items, list) else [])[:MOST_CARDS]
        if isinstance(one, dict)
    ]
    slate_id = str(slate.get("slate_id") or "")[:36]
    with parts.current_parts().db.begin() as conn:
        return render_template("demo/cards.html", cards=pages.cards(conn, wanted, slate_id=slate_id))


@bp.post("/language")
def language() -> BaseResponse:
    """The visitor's choice of language, and back to the page it was made on."""
    visits.remember(visits.speaking(request.form.get("locale", "")))
    back = request.form.get("back", "")
    return redirect(back if back.startswith("/demo/") else url_for("demo.home"), code=303)


@bp.get("/behind")
def behind() -> str:
    """What Relance has just heard of this visitor: an aid for whoever tries the demo, not part of a shop."""
    visit = visits.current()
    with parts.current_parts().db.begin() as conn:
        customer_id = customers.find(conn, user_id=visit.user_id, anonymous_id=visits.anonymous_id())
        moments = timeline.page(conn, customer_id, limit=3) if customer_id else []
    return render_template("demo/behind.html", customer_id=customer_id, moments=moments)


@bp.get("/relance-worker.js")
def worker() -> Response:
    """The one file notifications need on a shop's own host, at the scope they are for."""
    line = f'importScripts("{url_for("worker.push_worker")}");\n'
    return Response(line, mimetype="text/javascript", headers={"Cache-Control": "no-cache"})


@bp.get("/<path:anything>")
def nowhere(anything: str) -> NoReturn:
    """An address of the shop that leads nowhere is answered in the shop's look."""
    abort(404)


@bp.errorhandler(404)
def missing(_: NotFound) -> tuple[str, int]:
    """What the shop does not have."""
    return render_template("demo/missing.html"), 404


@bp.get("/images/<name>")
def image(name: str) -> Response:
    """A drawing: `.svg` for pages, `.png` for mail."""
    return send_from_directory(IMAGES, name, max_age=86400)
