"""The offers, and the promo codes of each by where they stand."""

from datetime import UTC, datetime

from flask import Blueprint, render_template

from app import filters, i18n, security
from app.console import roles, words
from app.parts import current_parts
from campaigns import code_book, codes, promotions

bp = Blueprint("promotions", __name__, url_prefix="/promotions")


@bp.get("")
@security.require_role(*roles.EVERYONE)
def index() -> str:
    """Every offer with its codes, and the codes last moved."""
    now = datetime.now(UTC)
    with current_parts().db.begin() as conn:
        offers = promotions.every_offer(conn)
        counts = code_book.counts(conn, now=now)
        latest = code_book.latest(conn, limit=50)
    return render_template(
        "console/promotions.html",
        offers=offers,
        counts=counts,
        latest=latest,
        words=words,
        now=now,
        promise=promise,
        shown=codes.shown,
    )


def promise(offer: promotions.OfferTerms) -> str:
    """What an offer promises, in a few words."""
    if offer.kind == "percentage":
        off = i18n.gettext(
            "%(share)s off", share=filters.percent(offer.value / 10_000, 0 if offer.value % 100 == 0 else 1)
        )
    elif offer.kind == "amount":
        off = i18n.gettext("%(money)s off", money=filters.money(offer.value, offer.currency))
    else:
        off = i18n.gettext("free delivery")
    if not offer.minimum:
        return off
    return i18n.gettext("%(off)s from %(minimum)s", off=off, minimum=filters.money(offer.minimum, offer.currency))
