"""The shop's own page, for a telephone at the counter: one customer or one code at a time, and no list of anybody.

Whoever is shown was named to the letter: by card, address, telephone, customer number, or a code in her hands. Every
step names her that way again, so no number of ours stands in an address to be guessed at.
"""

import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from flask import Blueprint, flash, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as BaseResponse

from app import code_words, filters, i18n, security
from app.console import customers as customer_pages
from app.console import promotions, roles, words
from app.i18n import N_
from app.parts import current_parts
from campaigns import code_book, codes, redeeming
from campaigns.verdicts import Basket, Line, Reason, Verdict
from foundation.errors import Conflict, Fault, Invalid
from recommender import serving
from shop import baskets, carts, consent, customers, money, stores
from shop.baskets import Cart
from shop.customers import Customer
from shop.stores import Store

bp = Blueprint("store", __name__, url_prefix="/store")

COOKIE = "store"
SHOWN = 4
LONGEST = 254
SIZES = re.compile(r"size|taille|pointure|shoe", re.IGNORECASE)
"""Traits that say what fits."""
TICKET = re.compile(r"[A-Za-z0-9._/-]{1,64}")
SAID = {
    "email": N_("I agree to receive offers and news by e-mail. I can stop at any time."),
    "sms": N_("I agree to receive offers by text message. I can stop at any time."),
}
"""What is asked at the counter, by channel: these words are kept with the answer."""
FORM = "store/1"


@dataclass(frozen=True, slots=True)
class Person:
    """What is known of somebody at the counter, and no more than is of use there."""

    customer: Customer
    consents: Mapping[tuple[str, str], consent.State]
    cart: Cart | None
    here: frozenset[str]
    sizes: Mapping[str, str]
    codes: Sequence[sa.RowMapping]
    slate: Sequence[Any]

    @property
    def masked(self) -> str:
        """Enough of the address to ask “the one that begins with ca?”, not enough to write to it."""
        name, _, host = (self.customer.email or "").partition("@")
        return f"{name[:2]}•••@{host}" if host else ""


@bp.get("")
@security.require_role(*roles.EVERYONE)
def index() -> str | BaseResponse:
    """A field, one answer, then who is at the counter."""
    now, asked = datetime.now(UTC), request.args.get("q", "").replace("\0", "").strip()[:LONGEST]
    ticket, total = request.args.get("ticket", "").strip(), request.args.get("total", "").strip()
    with current_parts().db.begin() as conn:
        shops = stores.list_all(conn)
        shop = _shop(shops)
        code, holder = _code(conn, asked)
        person = _person(conn, holder or _named(conn, asked), shop, now=now) if asked else None
        basket = _basket(person, shop, total)
        verdict = redeeming.validate(conn, asked, basket, now=now) if code else None
    return render_template(
        "console/store/index.html",
        shops=shops,
        shop=shop,
        asked=asked,
        ticket=ticket,
        total=total,
        basket=basket,
        code=code,
        verdict=verdict,
        lacking=_lacking(verdict, basket),
        asking=_untold(verdict, basket),
        person=person,
        said=SAID,
        words=words,
        name=customer_pages.name,
        promise=promotions.promise,
        refused=code_words.said,
    )


@bp.post("/here")
@security.require_role(*roles.EVERYONE)
def here() -> BaseResponse:
    """In which shop this telephone is; it remembers."""
    answer = redirect(url_for(".index"), code=303)
    answer.set_cookie(COOKIE, request.form.get("store", "")[:200], max_age=31_536_000, path="/console", samesite="Lax")
    return answer


@bp.post("/redeem")
@security.require_role(*roles.EVERYONE)
def redeem() -> BaseResponse:
    """Uses a code for a ticket, once; the same ticket again gets the same answer."""
    now, code = datetime.now(UTC), request.form.get("q", "").replace("\0", "").strip()[:LONGEST]
    ticket, total = request.form.get("ticket", "").strip(), request.form.get("total", "").strip()
    if not TICKET.fullmatch(ticket):
        raise Invalid(Fault("/ticket", "is needed"))
    with current_parts().db.begin() as conn:
        shop = _shop(stores.list_all(conn))
        _, holder = _code(conn, code)
        basket = _basket(_person(conn, holder, shop, now=now), shop, total)
    back = redirect(url_for(".index", q=code, ticket=ticket, total=total), code=303)
    try:
        with current_parts().db.begin() as conn:
            done = redeeming.redeem(conn, code, basket, order_id=ticket, channel="store", now=now)
    except Conflict as refusal:
        with current_parts().db.begin() as conn:
            why = refusal.reason
            redeeming.refused(conn, code, basket, order_id=ticket, channel="store", reason=why, now=now)
        flash(code_words.said(why))
        return back
    flash(i18n.gettext("Used for ticket %(ticket)s: take %(money)s off.", ticket=ticket, money=_money(done, basket)))
    return redirect(url_for(".index"), code=303)


@bp.post("/consent")
@security.require_role(*roles.EVERYONE)
def agree() -> BaseResponse:
    """Keeps a yes or a no said at the counter, with the words that were shown, the shop and who asked."""
    now, user = datetime.now(UTC), security.current_user()
    asked, channel = request.form.get("q", "").replace("\0", "").strip()[:LONGEST], request.form.get("channel", "")
    state = request.form.get("state", "")
    if channel not in SAID or state not in ("granted", "denied") or request.form.get("shown") != "yes":
        raise Invalid(Fault("/shown", "is needed"))
    with current_parts().db.begin() as conn:
        shop = _shop(stores.list_all(conn))
        customer = _code(conn, asked)[1] or _named(conn, asked)
        if customer is None:
            raise Invalid(Fault("/q", "names nobody"))
        proof = {"store": shop.store_id if shop else None, "asked_by": user.email if user else None}
        consent.record(
            conn,
            customer_id=customer,
            channel=channel,
            purpose="marketing",
            state=state,
            at=now,
            source="store",
            text=i18n.gettext(SAID[channel]),
            form=FORM,
            proof=proof,
            now=now,
        )
    flash(i18n.gettext("Kept, with the words that were shown."))
    return redirect(url_for(".index", q=asked), code=303)


# ------------------------------------------------------------------------------------------------- who and what
def _shop(every: Sequence[Store]) -> Store | None:
    """The shop this telephone said it is in; the only one, if there is only one."""
    known = {shop.store_id: shop for shop in every}
    return known.get(request.cookies.get(COOKIE, "")) or (every[0] if len(every) == 1 else None)


def _code(conn: sa.Connection, text: str) -> tuple[str | None, int | None]:
    """The code as people read it, if there is such a code, and who holds it."""
    plain = codes.normalise(text)
    found = code_book.find(conn, plain) if plain else None
    return (found.shown, found.holder) if found else (None, None)


def _named(conn: sa.Connection, text: str) -> int | None:
    """Whom this names to the letter; a telephone as the shop's country writes it too."""
    for phone in (text, f"+33{text[1:]}" if text.startswith("0") else ""):
        found = customers.find(conn, card=text, email=text, user_id=text, phone=phone or None)
        if found is not None:
            return customers.canonical(conn, [found]).get(found)
    return None


def _person(conn: sa.Connection, customer_id: int | None, shop: Store | None, *, now: datetime) -> Person | None:
    if customer_id is None:
        return None
    known = customers.get_many(conn, [customer_id])[customer_id]
    held = [cart for cart in carts.of_customer(conn, customer_id) if cart.state == baskets.State.OPEN and cart.lines]
    cart, store_id = (held[0] if held else None), shop.store_id if shop else None
    wanted = [line.product_id for line in cart.lines if line.product_id] if cart else []
    asked = serving.Request(
        "home", customer_id=customer_id, n=SHOWN, store_id=store_id, record=False, locale=i18n.locale()
    )
    usable = [
        row
        for row in code_book.of_customer(conn, customer_id)
        if row["state"] in ("reserved", "issued") and row["expires_at"] > now
    ]
    return Person(
        known,
        consent.standing(conn, customer_id),
        cart,
        frozenset(stores.in_stock(conn, wanted, store_id=store_id)),
        {key: str(value) for key, value in known.traits.items() if SIZES.search(key) and isinstance(value, str | int)},
        usable,
        current_parts().recommender.recommend(conn, asked, now=now).items,
    )


def _basket(person: Person | None, shop: Store | None, total: str) -> Basket:
    """The ticket: what was typed of its total, else the basket she left online."""
    cart = person.cart if person else None
    currency = (cart.currency if cart else None) or money.DEFAULT_CURRENCY
    lines: tuple[Line, ...] = ()
    if typed := _amount(total, currency):
        lines = (Line("", 1, typed),)
    elif cart:
        lines = tuple(Line(line.product_id or "", line.quantity, line.price or 0) for line in cart.lines)
    user_id = person.customer.user_id if person else None
    return Basket(currency, lines, user_id, "store", shop.store_id if shop else None)


def _amount(text: str, currency: str) -> int | None:
    """What was typed as money, in minor units; None if it is none."""
    plain = re.sub(r"[\s\u00a0\u202f€]", "", text).replace(",", ".")
    return max(0, money.minor(plain, currency)) if re.fullmatch(r"\d{1,9}(\.\d{1,3})?", plain) else None


def _lacking(verdict: Verdict | None, basket: Basket) -> int:
    """How much is missing on the ticket before the code holds."""
    if verdict is None or verdict.reason != Reason.MINIMUM or verdict.offer is None:
        return 0
    return max(0, (verdict.offer.minimum or 0) - basket.total)


def _untold(verdict: Verdict | None, basket: Basket) -> bool:
    """Whether the code waits for the total alone: nothing was typed, and nothing left online."""
    return verdict is not None and verdict.reason == Reason.MINIMUM and not basket.total


def _money(verdict: Verdict, basket: Basket) -> str:
    return filters.money(verdict.discount, basket.currency)


@bp.context_processor
def _context() -> dict[str, Any]:
    return {"ticket_number": lambda: f"T-{secrets.token_hex(3).upper()}"}
