"""The demo shop's till: an assistant finds a customer, tries a code, and rings up a receipt with it.

What is on the receipt travels in the address, so a till that is reloaded or shared shows the same.
"""

import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import sqlalchemy as sa
from flask import Blueprint, abort, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as BaseResponse

from app import parts
from app.demo import baskets, checkout, pages, sales
from app.demo.baskets import Basket
from campaigns import code_book, codes
from foundation.errors import Conflict
from shop import consent, customers, finding, stores
from shop.baskets import Cart
from shop.customers import Customer
from shop.tables import order_lines, orders

MOST_FOUND = 8
MOST_LINES = 40
_RECEIPT = re.compile(r"S-[0-9A-F]{8}")

bp = Blueprint("till", __name__, url_prefix="/till")


@dataclass(frozen=True, slots=True)
class Standing:
    """What an assistant sees of a customer."""

    customer: Customer
    agreed: bool
    cart: Cart | None
    codes: Sequence[sa.RowMapping]

    @property
    def name(self) -> str:
        return " ".join(filter(None, (self.customer.first_name, self.customer.last_name))) or "?"

    @property
    def initials(self) -> str:
        return "".join(word[0] for word in self.name.split()[:2]).upper()

    @property
    def masked(self) -> str:
        """Enough of the address to ask “is it the one that begins with ca?”, not enough to write to it."""
        name, _, host = (self.customer.email or "").partition("@")
        return f"{name[:2]}•••@{host}" if host else ""


@bp.get("")
def till() -> str:
    """The one page: a field, one answer, the customer, what waits online."""
    now = datetime.now(UTC)
    asked = request.args.get("q", "").replace("\0", "").strip()[:100]
    with parts.current_parts().db.begin() as conn:
        code, holder = _code(conn, request.args.get("code") or asked)
        standing = _standing(conn, _customer_id(request.args.get("customer")) or holder, now=now)
        receipt = _receipt(conn, standing, code or (asked if _looks_like_code(asked) else None), now=now)
        found = [] if standing or receipt.code or not asked else finding.search(conn, asked, limit=MOST_FOUND).customers
        show = _to_show(conn, standing, now=now)
        here = _here(conn, receipt)
    return render_template(
        "demo/till.html",
        asked=asked,
        standing=standing,
        receipt=receipt,
        refused=checkout.why_not(receipt),
        found=found,
        show=show,
        here=here,
        on_receipt=[f"{line.product.product_id}:{line.quantity}" for line in receipt.lines],
        order_id=f"S-{secrets.token_hex(4).upper()}",
        shop=pages.find_store(request.args.get("store")),
    )


def _customer_id(text: str | None) -> int | None:
    return int(text) if text and re.fullmatch(r"[0-9]{1,15}", text) else None


def _looks_like_code(text: str) -> bool:
    return "@" not in text and " " not in text and sum(letter == "-" for letter in text) >= 2


def _code(conn: sa.Connection, text: str) -> tuple[str | None, int | None]:
    """The code as it was written, if there is such a code, and who holds it."""
    found = code_book.find(conn, codes.normalise(text))
    return (text, found.holder) if found else (None, None)


def _standing(conn: sa.Connection, customer_id: int | None, *, now: datetime) -> Standing | None:
    now_id = customers.canonical(conn, [customer_id]).get(customer_id) if customer_id else None
    known = customers.get_many(conn, [now_id]).get(now_id) if now_id else None
    if known is None:
        return None
    usable = [row for row in code_book.of_customer(conn, known.id) if _usable(row, now)]
    agreed = consent.states(conn, [known.id], channel="email")[known.id] == consent.State.GRANTED
    return Standing(known, agreed, checkout.waiting_cart(conn, known.id), usable)


def _usable(row: sa.RowMapping, now: datetime) -> bool:
    return row["state"] in ("reserved", "issued") and row["expires_at"] > now


def _receipt(conn: sa.Connection, standing: Standing | None, code: str | None, *, now: datetime) -> Basket:
    """What is rung up: the lines in the address, else the basket the customer left online."""
    pieces = _lines(request.args.getlist("line"))
    cart_id = None
    if not pieces and standing and standing.cart:
        cart_id = standing.cart.cart_id
        pieces = {line.product_id: line.quantity for line in standing.cart.lines}
    user_id = standing.customer.user_id if standing else None
    shop = pages.find_store(request.args.get("store"))
    return baskets.load(
        conn,
        pieces,
        now=now,
        cart_id=cart_id,
        code=code,
        customer=user_id,
        store_id=shop.store_id if shop else None,
        delivered=False,
    )


def _lines(given: Sequence[str]) -> dict[str, int]:
    """`product:quantity`, the same product twice added up."""
    pieces: dict[str, int] = {}
    for text in given[:MOST_LINES]:
        product_id, _, count = text.replace("\0", "").rpartition(":")
        if product_id and re.fullmatch(r"[1-9][0-9]?", count):
            pieces[product_id] = pieces.get(product_id, 0) + int(count)
    return pieces


def _here(conn: sa.Connection, receipt: Basket) -> set[str]:
    shop = pages.find_store(request.args.get("store"))
    wanted = [line.product.product_id for line in receipt.lines]
    return stores.in_stock(conn, wanted, store_id=shop.store_id if shop else None)


def _to_show(conn: sa.Connection, standing: Standing | None, *, now: datetime) -> list[pages.Card]:
    if standing is None:
        return []
    shop = pages.find_store(request.args.get("store"))
    return pages.slate(
        conn, "store", now=now, n=4, customer_id=standing.customer.id, store=shop.store_id if shop else None
    )


@bp.post("/receipts")
def sell() -> BaseResponse:
    """Rings up the receipt, with its code if there is one. A code used a moment ago elsewhere shows its refusal."""
    now, order_id = datetime.now(UTC), request.form.get("order_id", "")
    shop = pages.find_store(request.form.get("store"))
    if not _RECEIPT.fullmatch(order_id) or shop is None:
        abort(400)
    code = request.form.get("code", "").replace("\0", "") or None
    pieces = _lines(request.form.getlist("line"))
    with parts.current_parts().db.begin() as conn:
        standing = _standing(conn, _customer_id(request.form.get("customer")), now=now)
        if standing is None or not pieces:
            abort(400)
        user_id = standing.customer.user_id or f"till-{standing.customer.id}"
        receipt = baskets.load(
            conn, pieces, now=now, code=code, customer=user_id, store_id=shop.store_id, delivered=False
        )
    try:
        with parts.current_parts().db.begin() as conn:
            taken = replace(receipt, cart_id=request.form.get("cart") or None)
            sales.order(
                conn,
                taken,
                base_url=parts.current_parts().config.base_url,
                order_id=order_id,
                user_id=user_id,
                store_id=shop.store_id,
                now=now,
            )
    except Conflict as refusal:
        with parts.current_parts().db.begin() as conn:
            sales.code_refused(
                conn, receipt, refusal, order_id=order_id, user_id=user_id, store_id=shop.store_id, now=now
            )
        return redirect(url_for("demo.till.till", code=code, line=request.form.getlist("line")), code=303)
    return redirect(url_for("demo.till.receipt", order_id=order_id), code=303)


@bp.get("/receipts/<order_id>")
def receipt(order_id: str) -> str:
    """A receipt that was rung up."""
    with parts.current_parts().db.begin() as conn:
        row = conn.execute(sa.select(orders).where(orders.c.order_id == order_id.replace("\0", ""))).mappings().first()
        if row is None or row["channel"] != "store":
            abort(404)
        count = conn.scalar(
            sa.select(sa.func.coalesce(sa.func.sum(order_lines.c.quantity), 0)).where(
                order_lines.c.order_id == order_id
            )
        )
    return render_template("demo/receipt.html", order=row, count=count, shop=pages.find_store(row["store_id"]))
