"""Offers: the list with what runs out, the page of one with the life of its codes, its editor, and its pool."""

import tempfile
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import sqlalchemy as sa
from flask import Blueprint, flash, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from app import code_words, filters, i18n, security
from app.console import forms, meanwhile, offer_forms, roles, words
from app.console.forms import Form
from app.parts import current_parts
from campaigns import code_book, offer_figures, offer_forecast, offers, pool_imports
from campaigns.definitions.offers import Offer
from campaigns.offer_figures import NONE, Figures
from campaigns.offers import Kept
from foundation.errors import Conflict, Fault, Invalid
from shop.tables import CHANNELS

bp = Blueprint("promotions", __name__, url_prefix="/promotions")

FORECAST_DAYS = 30
SHOWN = 30


@dataclass(frozen=True, slots=True)
class Stage:
    """A part of the life of codes: how many are there, and as a share of the largest part."""

    key: str
    number: int
    share: float


@bp.get("")
@security.require_role(*roles.EVERYONE)
def index() -> str:
    """Every offer with its codes, and the pools that run out."""
    now = datetime.now(UTC)
    with current_parts().db.begin() as conn:
        kept = offers.every(conn)
        found = offer_figures.of_all(conn)
        low = offer_figures.low(conn, now=now)
    figures = {offer.id: found[offer.id][0] if offer.id in found else NONE for offer in kept}
    return render_template(
        "console/promotions/index.html",
        kept=kept,
        figures=figures,
        low=low,
        used=sum(one.uses for one in figures.values()),
        given=sum(one.given for one in figures.values()),
        words=words,
        promise=promise,
        state=lambda offer: state(offer, now),
    )


@bp.route("/-/new", methods=["GET", "POST"])
@security.require_role(*roles.CHANGE)
def new() -> str | Response | tuple[str, int]:
    """An empty editor, and what was written in it."""
    if request.method == "GET":
        return _editor(None, offer_forms.empty(zone=i18n.zone()))
    return _save(None)


@bp.get("/<name>")
@security.require_role(*roles.EVERYONE)
def show(name: str) -> str:
    """One offer: the life of its codes, where they are used, what they cost and bring, and what went wrong. Who holds
    which code is for those who may see customers."""
    now, user = datetime.now(UTC), security.current_user()
    named = SHOWN if user and user.role in roles.READ else 0
    with current_parts().db.begin() as conn:
        offer = offers.get(conn, name)
        figures, found_at = offer_figures.of(conn, offer.id)
        latest = code_book.latest(conn, offer.id, limit=named)
        leaks = code_book.leaks(conn, offer.id, limit=named)
        refused = code_book.refused(conn, offer.id, limit=named)
        imports = pool_imports.latest(conn, offer.id)
        used_by = offers.used_by(conn).get(name, [])
    return render_template(
        "console/promotions/show.html",
        offer=offer,
        figures=figures,
        found_at=found_at,
        life=life(offer, figures),
        latest=latest,
        leaks=leaks,
        refused=refused,
        imports=imports,
        used_by=used_by,
        words=words,
        now=now,
        promise=promise,
        conditions=conditions(offer.terms),
        state=state(offer, now),
        title=title(offer, figures),
        refusal=code_words.said,
    )


@bp.route("/<name>/edit", methods=["GET", "POST"])
@security.require_role(*roles.CHANGE)
def edit(name: str) -> str | Response | tuple[str, int]:
    """The editor of an offer, and what was written in it."""
    with current_parts().db.begin() as conn:
        kept = offers.get(conn, name)
    if request.method == "GET":
        return _editor(kept, meanwhile.opened(offer_forms.of_offer(kept.terms, zone=i18n.zone())))
    return _save(kept)


@bp.post("/<name>/forecast")
@security.require_role(*roles.READ)
def forecast_asked(name: str) -> str:
    """Asks how many codes its campaigns would have used lately, which a job finds out; what is known of it by now."""
    user = security.current_user()
    with current_parts().db.begin() as conn:
        by = user.email if user else ""
        offer_forecast.ask(conn, offers.get(conn, name), days=FORECAST_DAYS, by=by, now=datetime.now(UTC))
    return forecast(name)


@bp.get("/<name>/forecast")
@security.require_role(*roles.READ)
def forecast(name: str) -> str:
    """How many codes its campaigns would have used lately, against what its pool has, as far as it was made."""
    with current_parts().db.begin() as conn:
        offer = offers.get(conn, name)
        found = offer_forecast.read(conn, offer, days=FORECAST_DAYS)
    return render_template("console/promotions/forecast.html", offer=offer, forecast=found)


@bp.post("/<name>/codes")
@security.require_role(*roles.CHANGE)
def upload(name: str) -> Response:
    """Takes a file of codes into the pool, beside this request; the offer's page shows how far it is."""
    sent, now, user = request.files.get("file"), datetime.now(UTC), security.current_user()
    if sent is None or not sent.filename:
        raise Invalid(Fault("/file", "is needed"))
    db = current_parts().db
    with db.begin() as conn:
        by = user.email if user else ""
        number = pool_imports.begin(conn, name, file=Path(sent.filename).name, by=by, now=now)
    folder = tempfile.TemporaryDirectory()
    path = Path(folder.name) / f"codes{Path(sent.filename).suffix.lower()}"
    sent.save(path)

    def take_in() -> None:
        with folder:
            pool_imports.run(db, number, name, path=path, now=now)

    threading.Thread(target=take_in, name=f"pool-import-{number}", daemon=True).start()
    return redirect(url_for(".show", name=name, _anchor="pool"), code=303)


@bp.get("/<name>/codes")
@security.require_role(*roles.READ)
def progress(name: str) -> str:
    """How far the files are."""
    with current_parts().db.begin() as conn:
        offer = offers.get(conn, name)
        imports = pool_imports.latest(conn, offer.id)
        free = offer_figures.of(conn, offer.id)[0].free
    return render_template(
        "console/promotions/imports.html", offer=offer, imports=imports, free=free, now=datetime.now(UTC)
    )


# ------------------------------------------------------------------------------------------------------- editing
def _editor(kept: Kept | None, form: Form) -> str:
    with current_parts().db.begin() as conn:
        given = kept is not None and offer_figures.of(conn, kept.id)[0].given > 0
    return render_template(
        "console/promotions/edit.html", kept=kept, form=form, given=given, channels=CHANNELS, words=words
    )


def _save(kept: Kept | None) -> Response | tuple[str, int]:
    sent = {name: text for name, text in request.form.items() if name.startswith("/") or name == meanwhile.SEEN}
    if kept is not None:
        sent["/name"] = kept.name
    try:
        offer = offer_forms.parse(sent, zone=i18n.zone())
        with current_parts().db.begin() as conn:
            if kept is None:
                offers.create(conn, offer, now=datetime.now(UTC))
            elif clash := _clash(conn, kept, sent):
                return _editor(kept, clash), 409
            else:
                offers.put(conn, offer, now=datetime.now(UTC))
    except Invalid as refused:
        return _editor(kept, forms.with_faults(sent, refused.faults)), 422
    except Conflict:
        taken = Fault("/name", "is the name of another offer already")
        return _editor(kept, forms.with_faults(sent, [taken])), 422
    flash(i18n.gettext("The offer is kept."))
    return redirect(url_for(".show", name=offer.name), code=303)


def _clash(conn: sa.Connection, kept: Kept, sent: dict[str, str]) -> Form | None:
    meanwhile.turn(conn, "offer", kept.name)
    return meanwhile.clash(offer_forms.of_offer(offers.get(conn, kept.name).terms, zone=i18n.zone()), sent)


# -------------------------------------------------------------------------------------------------------- saying
def promise(offer: Offer) -> str:
    """What an offer promises, in a few words."""
    off = _worth(offer)
    if not offer.minimum:
        return off
    return i18n.gettext("%(off)s from %(minimum)s", off=off, minimum=filters.money(offer.minimum, offer.currency))


def _worth(offer: Offer) -> str:
    if offer.kind == "percentage":
        digits = 0 if offer.value % 100 == 0 else 1
        return i18n.gettext("%(share)s off", share=filters.percent(offer.value / 10_000, digits))
    if offer.kind == "amount":
        return i18n.gettext("%(money)s off", money=filters.money(offer.value, offer.currency))
    if offer.kind == "free_shipping":
        return i18n.gettext("free delivery")
    if offer.kind == "gift":
        return i18n.gettext("the gift %(product)s", product=offer.product or "")
    return i18n.gettext("a sample of %(product)s", product=offer.product or "")


def conditions(offer: Offer) -> Sequence[tuple[str, str]]:
    """The terms of an offer beside what it takes off, each with its name; those that say nothing are left out."""
    last = offer.ends_at - timedelta(seconds=1) if offer.ends_at else None
    once = i18n.gettext("once") if offer.once_per_customer else i18n.gettext("again and again")
    said = [
        (i18n.gettext("Holds for"), i18n.ngettext("%(n)s day", "%(n)s days", offer.valid_days)),
        (i18n.gettext("On"), ", ".join(offer.categories)),
        (i18n.gettext("Where"), ", ".join(words.word(words.CHANNEL, one).word for one in offer.channels)),
        (i18n.gettext("In the shops"), ", ".join(offer.stores)),
        (i18n.gettext("From"), filters.day(offer.starts_at, "medium")),
        (i18n.gettext("Until"), filters.day(last, "medium")),
        (i18n.gettext("A customer"), once),
        (i18n.gettext("With other codes"), i18n.gettext("yes") if offer.stackable else i18n.gettext("no")),
        (i18n.gettext("For its holder alone"), i18n.gettext("yes") if offer.holder_only else ""),
        (i18n.gettext("Budget"), filters.money(offer.budget, offer.currency) if offer.budget else ""),
        (i18n.gettext("Least margin"), filters.percent(offer.margin_floor / 10_000) if offer.margin_floor else ""),
        (i18n.gettext("Without a code"), _without(offer)),
    ]
    return [(name, text) for name, text in said if text]


def _without(offer: Offer) -> str:
    if offer.when_empty == "fallback":
        return i18n.gettext("the shared code %(code)s", code=offer.fallback or "")
    if offer.when_empty == "without":
        return i18n.gettext("the message leaves without one")
    return i18n.gettext("the message does not leave")


def state(offer: Kept, now: datetime) -> words.Word:
    """Whether codes of it are given at this moment."""
    terms = offer.terms
    if terms.ends_at and terms.ends_at <= now:
        return words.Word(i18n.gettext("Over"), "hourglass")
    if terms.starts_at and now < terms.starts_at:
        return words.Word(i18n.gettext("Not begun"), "clock")
    if terms.budget is not None and offer.spent >= terms.budget:
        return words.Word(i18n.gettext("Budget used up"), "circle-slash", "warn")
    return words.Word(i18n.gettext("Runs"), "play", "ok")


def title(offer: Kept, figures: Figures) -> str:
    """What the offer brought, in one sentence."""
    if not figures.uses:
        return i18n.gettext("%(name)s: no code has been used yet.", name=offer.name)
    return i18n.gettext(
        "%(name)s: %(cost)s given, on orders of %(revenue)s.",
        name=offer.name,
        cost=filters.money(figures.discount, offer.terms.currency),
        revenue=filters.money(figures.revenue, offer.terms.currency),
    )


def life(offer: Kept, figures: Figures) -> list[Stage]:
    """The life of its codes, in the order they live it."""
    pool = ("free",) if offer.terms.codes == "pool" or figures.free else ()
    keys = (*pool, "reserved", "issued", "redeemed", "expired", "released", "leaked")
    numbers = {key: int(getattr(figures, key)) for key in keys}
    most = max(1, *numbers.values())
    return [Stage(key, number, number / most) for key, number in numbers.items()]
