"""The demo shop's basket, checkout and sign-in."""

import hashlib
import re
import secrets
from dataclasses import replace
from datetime import UTC, datetime

import sqlalchemy as sa
from flask import Blueprint, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as BaseResponse

from app import parts
from app.demo import baskets, pages, phrases, sales, visits
from app.demo.baskets import Basket
from app.demo.sales import Person
from foundation import format
from foundation.errors import Conflict
from shop import carts, consent, customers
from shop.baskets import Cart
from shop.tables import consents, profiles
from shop.tables import customers as customer_rows

REGULARS = 8
_ADDRESS = re.compile(r"[^@\s\x00]{1,64}@[^@\s\x00]+\.[^@\s\x00]{2,}")

bp = Blueprint("checkout", __name__)


def _basket(conn: sa.Connection, *, now: datetime) -> Basket:
    visit = visits.current()
    return baskets.load(conn, visit.lines, now=now, cart_id=visit.cart_id, code=visit.code, customer=visit.user_id)


# ------------------------------------------------------------------------------------------------- basket
@bp.get("/basket")
def basket() -> str | BaseResponse:
    """The basket; with `cart` in the address, the one Relance holds is taken up here, on whatever device."""
    if request.args.get("cart"):
        return _restore(request.args["cart"].replace("\0", ""))
    now = datetime.now(UTC)
    visit = visits.current()
    with parts.current_parts().db.begin() as conn:
        held = _basket(conn, now=now)
        last = []
        if held.lines and not visits.agreed():
            last = pages.slate(conn, "cart", now=now, n=5, products=list(visit.lines))
    if held.verdict and held.verdict.reason not in (None, "minimum", "category"):
        visits.remember(replace(visit, code=None))  # said once; only a fuller basket could make a code good
    said = request.args.get("restored", "")
    return render_template("demo/basket.html", basket=held, last=last, refused=why_not(held), restored=said)


def _restore(cart_id: str) -> BaseResponse:
    """The code comes along if it is given; the message token too, for the tracker."""
    visit = visits.current()
    with parts.current_parts().db.begin() as conn:
        cart = carts.by_cart_id(conn, cart_id)
    open_there = cart is not None and cart.state == "open"
    if cart is not None and open_there:
        pieces = {line.product_id: line.quantity for line in cart.lines if line.product_id}
        code = request.args.get("code") or cart.coupon
        visits.remember(replace(visit, cart_id=cart.cart_id, lines=pieces, code=code))
    elif visit.cart_id != cart_id and request.args.get("code"):
        visits.remember(replace(visit, code=request.args["code"]))
    said = ("code" if request.args.get("code") else "yes") if open_there else "gone"
    return redirect(url_for("demo.checkout.basket", restored=said, mt=request.args.get("mt")), code=303)


@bp.post("/basket/add")
def add() -> str | BaseResponse:
    """A piece of a product into the basket."""
    return _changed(lambda pieces: pieces + 1)


@bp.post("/basket/remove")
def remove() -> str | BaseResponse:
    """A piece out of it."""
    return _changed(lambda pieces: pieces - 1)


def _changed(change: visits.Change) -> str | BaseResponse:
    """Answers the drawer when the page asked for it, else goes to the basket."""
    product_id = request.form.get("product_id", "").replace("\0", "")
    visits.remember(visits.current().with_line(product_id, change))
    if request.headers.get("X-Fragment") != "drawer":
        return redirect(url_for("demo.checkout.basket"), code=303)
    with parts.current_parts().db.begin() as conn:
        held = _basket(conn, now=datetime.now(UTC))
    return render_template("demo/drawer.html", basket=held)


@bp.post("/basket/code")
def code() -> BaseResponse:
    """A promo code is tried, or with an empty one taken away."""
    given = request.form.get("code", "").replace("\0", "").strip()[:60]
    visits.remember(replace(visits.current(), code=given or None))
    return redirect(url_for("demo.checkout.basket"), code=303)


def why_not(held: Basket) -> str:
    """Why the code in the basket takes nothing off, in the visitor's language; empty if it does."""
    verdict, locale = held.verdict, visits.locale()
    if verdict is None or verdict.valid:
        return ""
    minimum = verdict.offer.minimum if verdict.offer else 0
    return phrases.say(
        f"code.{verdict.reason}",
        locale,
        missing=format.money(max(minimum - held.subtotal, 0), baskets.CURRENCY, locale),
        minimum=format.money(minimum, baskets.CURRENCY, locale),
    )


# ----------------------------------------------------------------------------------------------- checkout
@bp.get("/checkout")
def details() -> str | BaseResponse:
    """First step: who it is for, and whether we may write."""
    with parts.current_parts().db.begin() as conn:
        held = _basket(conn, now=datetime.now(UTC))
        agreed = _agreed_to_email(conn)
    if not held.lines:
        return redirect(url_for("demo.checkout.basket"), code=303)
    return render_template("demo/details.html", basket=held, faults={}, given=visits.current(), agreed_email=agreed)


@bp.post("/checkout")
def keep_details() -> str | BaseResponse:
    """Keeps who it is and, if the box was ticked, the agreement with its proof."""
    now, visit = datetime.now(UTC), visits.current()
    first_name, last_name, email = (request.form.get(n, "").replace("\0", "").strip()[:100] for n in NAMES)
    given = replace(visit, first_name=first_name, last_name=last_name, email=email)
    faults = {}
    if not given.first_name:
        faults["first_name"] = "name.fault"
    if not _ADDRESS.fullmatch(given.email):
        faults["email"] = "email.fault"
    with parts.current_parts().db.begin() as conn:
        if faults:
            page = render_template("demo/details.html", basket=_basket(conn, now=now), faults=faults, given=given)
            return _again(page)
        person = _person(conn, given)
        _identify(conn, person, now=now)
        if request.form.get("consent"):
            _keep_agreement(conn, person, now=now)
    visits.remember(replace(given, user_id=person.user_id))
    return redirect(url_for("demo.checkout.pay"), code=303)


NAMES = ("first_name", "last_name", "email")


def _again(page: str) -> BaseResponse:
    """A form that comes back with its faults."""
    return BaseResponse(page, status=422, mimetype="text/html")


def _person(conn: sa.Connection, given: visits.Visit) -> Person:
    """The account of this address; the one signed in keeps theirs if the address is the same."""
    known = sales.account(conn, given.email)
    user_id = known.user_id if known else sales.new_account_id(given.email)
    return Person(user_id, given.email, given.first_name, given.last_name)


def _identify(conn: sa.Connection, person: Person, *, now: datetime) -> None:
    sales.identify(
        conn,
        person,
        anonymous_id=visits.anonymous_id(),
        locale=visits.locale(),
        base_url=parts.current_parts().config.base_url,
        now=now,
    )


def _keep_agreement(conn: sa.Connection, person: Person, *, now: datetime) -> None:
    text = phrases.say("consent.email", visits.locale())
    address = (request.remote_addr or "").rpartition(".")[0]
    proof = {
        "url": request.base_url,
        "locale": visits.locale(),
        "user_agent": request.user_agent.string[:200],
        "network": address,
        "box": "unticked before",
        "request": hashlib.sha256(request.get_data()).hexdigest(),
    }
    sales.agree_to_email(conn, person, text=text, proof=proof, now=now)


def _agreed_to_email(conn: sa.Connection) -> bool:
    user_id = visits.current().user_id
    customer_id = customers.find(conn, user_id=user_id) if user_id else None
    if customer_id is None:
        return False
    return consent.states(conn, [customer_id], channel="email")[customer_id] == consent.State.GRANTED


@bp.get("/checkout/pay")
def pay() -> str | BaseResponse:
    """Second step: one last look."""
    if not visits.current().user_id:
        return redirect(url_for("demo.checkout.details"), code=303)
    with parts.current_parts().db.begin() as conn:
        held = _basket(conn, now=datetime.now(UTC))
    if not held.lines:
        return redirect(url_for("demo.checkout.basket"), code=303)
    order_id = f"W-{secrets.token_hex(4).upper()}"
    return render_template("demo/pay.html", basket=held, order_id=order_id)


@bp.post("/checkout/pay")
def place() -> BaseResponse:
    """The order. A code that was used a moment ago elsewhere sends the visitor back to the basket, told why."""
    now, visit = datetime.now(UTC), visits.current()
    order_id = request.form.get("order_id", "")
    if not visit.user_id or not re.fullmatch(r"W-[0-9A-F]{8}", order_id):
        return redirect(url_for("demo.checkout.details"), code=303)
    try:
        with parts.current_parts().db.begin() as conn:
            held = _basket(conn, now=now)
            if held.lines:
                _order(conn, held if held.valid else replace(held, code=None, verdict=None), order_id, now=now)
    except Conflict as refusal:
        with parts.current_parts().db.begin() as conn:
            sales.code_refused(conn, held, refusal, order_id=order_id, user_id=visit.user_id, now=now)
        return redirect(url_for("demo.checkout.basket"), code=303)
    if held.lines:
        visits.remember(visit.without_basket())
    return redirect(url_for("demo.checkout.thanks", order=order_id), code=303)


def _order(conn: sa.Connection, held: Basket, order_id: str, *, now: datetime) -> None:
    sales.order(
        conn,
        held,
        order_id=order_id,
        user_id=visits.current().user_id or "",
        anonymous_id=visits.anonymous_id(),
        base_url=parts.current_parts().config.base_url,
        now=now,
    )


@bp.get("/thanks")
def thanks() -> str:
    """The order is in."""
    order_id, now = request.args.get("order", ""), datetime.now(UTC)
    beside: list[pages.Card] = []
    ordered = list(visits.current().ordered)
    if ordered and not visits.agreed():
        with parts.current_parts().db.begin() as conn:
            beside = pages.slate(conn, "order", now=now, n=6, products=ordered)
    known = order_id if re.fullmatch(r"W-[0-9A-F]{8}", order_id) else ""
    return render_template("demo/thanks.html", order=known, ordered=ordered, beside=beside)


# ------------------------------------------------------------------------------------------------ sign-in
@bp.get("/sign-in")
def sign_in() -> str:
    """Who is at the door: a regular of the data, or anybody with an address."""
    with parts.current_parts().db.begin() as conn:
        regulars = _regulars(conn)
    return render_template("demo/sign_in.html", regulars=regulars, fault="")


@bp.post("/sign-in")
def enter() -> str | BaseResponse:
    """Takes on an account of the shop. Its own visits before are joined to it, if the visitor agreed to be known."""
    now = datetime.now(UTC)
    address = request.form.get("email", "").strip()
    with parts.current_parts().db.begin() as conn:
        if not _ADDRESS.fullmatch(address):
            page = render_template("demo/sign_in.html", regulars=_regulars(conn), fault="email.fault")
            return _again(page)
        person = sales.account(conn, address) or Person(
            sales.new_account_id(address), address, address.partition("@")[0].capitalize()
        )
        _identify(conn, person, now=now)
        found = customers.find(conn, user_id=person.user_id)
        waiting = waiting_cart(conn, found) if found else None
    visits.remember(_taken_up(visits.current(), person, waiting))
    return redirect(url_for("demo.home"), code=303)


def waiting_cart(conn: sa.Connection, customer_id: int) -> Cart | None:
    """The basket a customer left open last, on whatever device."""
    held = carts.of_customer(conn, customer_id)
    return next((cart for cart in held if cart.state == "open" and cart.lines), None)


def _taken_up(visit: visits.Visit, person: Person, waiting: Cart | None) -> visits.Visit:
    """The visit of this person; an empty-handed one takes up the basket left on another device."""
    visit = replace(
        visit,
        user_id=person.user_id,
        email=person.email,
        first_name=person.first_name,
        last_name=person.last_name,
    )
    if visit.lines or waiting is None:
        return visit
    return replace(visit, cart_id=waiting.cart_id, lines={line.product_id: line.quantity for line in waiting.lines})


@bp.post("/sign-out")
def leave() -> BaseResponse:
    """Back to nobody; the page that follows tells the tracker."""
    visits.remember(visits.Visit(locale=visits.current().locale))
    return redirect(url_for("demo.home", left=1), code=303)


def _regulars(conn: sa.Connection) -> list[sa.RowMapping]:
    """Customers who came lately and agreed to be written to."""
    agreed = sa.exists().where(
        consents.c.customer_id == customer_rows.c.id, consents.c.channel == "email", consents.c.state == "granted"
    )
    query = (
        sa.select(customer_rows.c.email, customer_rows.c.first_name, customer_rows.c.last_name, profiles.c.orders)
        .join(profiles, profiles.c.customer_id == customer_rows.c.id)
        .where(customer_rows.c.email.is_not(None), customer_rows.c.user_id.is_not(None))
        .where(customer_rows.c.merged_into.is_(None), agreed)
        .order_by(profiles.c.last_order_at.desc().nulls_last(), customer_rows.c.id)
        .limit(REGULARS)
    )
    return list(conn.execute(query).mappings())
