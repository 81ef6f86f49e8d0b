"""Banners, pop-ins and slots on the shop's own pages: made, looked at as visitors see them, shown and stopped."""

import re
from datetime import UTC, datetime, timedelta

import orjson
import sqlalchemy as sa
from flask import Blueprint, Response, flash, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as BaseResponse

from app import i18n, security
from app.api import onsite as interface
from app.console import forms, meanwhile, onsite_forms, roles
from app.console.forms import Form
from app.i18n import N_
from app.parts import current_parts
from campaigns import onsite, policy, segments
from campaigns.definitions.onsite import PUBLIC
from campaigns.onsite import Kept
from foundation.errors import Fault, Invalid
from recommender import serving

bp = Blueprint("onsite", __name__, url_prefix="/onsite")

COUNTED = timedelta(days=30)
NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
FORMS = (("banner", N_("Banner")), ("popin", N_("Pop-in")), ("slot", N_("Slot in the page")))
STATES = {"draft": N_("Draft"), "live": N_("Shown to visitors"), "paused": N_("Stopped")}
POLICY = "; ".join(
    (
        "sandbox allow-scripts",
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src http: https: data:",
        "frame-ancestors 'self'",
    )
)
"""The preview is a page without an origin: what is drawn in it can reach neither the console nor its cookies."""


@bp.get("")
@security.require_role(*roles.READ)
def index() -> str:
    """Every block with how often it was seen, followed and closed lately."""
    now = datetime.now(UTC)
    with current_parts().db.begin() as conn:
        kept = onsite.every(conn)
        figures = onsite.figures(conn, since=now - COUNTED)
    return render_template(
        "console/onsite/index.html",
        kept=kept,
        figures=figures,
        nothing=onsite.Figures(),
        forms=dict(FORMS),
        states=STATES,
    )


@bp.get("/-/new")
@security.require_role(*roles.READ)
def new() -> str:
    """An empty block."""
    return _page(None, onsite_forms.blank())


@bp.post("/-/new")
@security.require_role(*roles.CHANGE)
def add() -> BaseResponse | tuple[str, int]:
    """Keeps a new block as a draft; or says what is wrong."""
    name = request.form.get("name", "").strip()
    faults = [] if NAME.fullmatch(name) else [Fault("name", "must be small letters, digits and dashes, at most 63")]
    with current_parts().db.begin() as conn:
        if not faults and any(kept.name == name for kept in onsite.every(conn)):
            faults = [Fault("name", "is the name of another")]
    return _refused(None, faults) if faults else _save(None, name)


@bp.get("/<name>")
@security.require_role(*roles.READ)
def show(name: str) -> str:
    """One block, to change and to look at."""
    with current_parts().db.begin() as conn:
        kept, form = onsite.get(conn, name), _standing(conn, name)
    return _page(kept, meanwhile.opened(form))


@bp.post("/<name>")
@security.require_role(*roles.CHANGE)
def save(name: str) -> BaseResponse | tuple[str, int]:
    """Keeps the block as it was changed, in force at once where it is shown."""
    with current_parts().db.begin() as conn:
        kept = onsite.get(conn, name)
    return _save(kept, name)


@bp.post("/<name>/state")
@security.require_role(*roles.CHANGE)
def move(name: str) -> BaseResponse:
    """Shows it to visitors, or stops."""
    with current_parts().db.begin() as conn:
        onsite.move(conn, name, request.form.get("state", ""), now=datetime.now(UTC))
    flash(i18n.gettext("Done. Pages follow at their next load."))
    return redirect(url_for(".show", name=name), code=303)


@bp.post("/<name>/remove")
@security.require_role(*roles.CHANGE)
def remove(name: str) -> BaseResponse:
    """Takes it away, with what was counted of it."""
    with current_parts().db.begin() as conn:
        onsite.remove(conn, name)
    return redirect(url_for(".index"), code=303)


@bp.get("/<name>/preview")
@security.require_role(*roles.READ)
def preview(name: str) -> Response:
    """The block as a visitor's browser draws it, by the very same script; nothing is counted or recorded."""
    locale = "fr" if request.args.get("locale") == "fr" else "en"
    now = datetime.now(UTC)
    with current_parts().db.begin() as conn:
        kept = onsite.get(conn, name)
        reach = current_parts().links.reach(policy.load(conn))
        made = None
        if kept.block.products:
            asked = serving.Request(
                kept.block.placement, n=kept.block.products, locale=locale, record=False, public=True
            )
            made = current_parts().recommender.recommend(conn, asked, now=now)
    shown = interface.shown(kept, locale=locale, reach=reach, made=made)
    page = render_template("console/onsite/preview.html", block=orjson.dumps(shown.model_dump(mode="json")).decode())
    return Response(page, headers={"Content-Security-Policy": POLICY})


def _save(kept: Kept | None, name: str) -> BaseResponse | tuple[str, int]:
    try:
        with current_parts().db.begin() as conn:
            meanwhile.turn(conn, "block", name)
            if kept and (clash := meanwhile.clash(_standing(conn, name), request.form)):
                return _page(kept, clash), 409
            onsite.put(conn, name, onsite_forms.definition_of(request.form, i18n.zone()), now=datetime.now(UTC))
    except Invalid as refused:
        return _refused(kept, list(refused.faults))
    flash(i18n.gettext("Saved."))
    return redirect(url_for(".show", name=name), code=303)


def _standing(conn: sa.Connection, name: str) -> Form:
    shown = onsite_forms.form_of(name, onsite.get(conn, name).block, i18n.zone())
    return Form({field: text for field, text in shown.values.items() if field != "name"})


def _refused(kept: Kept | None, faults: list[Fault]) -> tuple[str, int]:
    values = {name: request.form.get(name, "") for name in (*onsite_forms.FIELDS, meanwhile.SEEN)}
    return _page(kept, forms.with_faults(values, faults)), 422


def _page(kept: Kept | None, form: Form) -> str:
    with current_parts().db.begin() as conn:
        names = [(one.name, one.title) for one in segments.every(conn)]
    return render_template(
        "console/onsite/edit.html",
        kept=kept,
        form=form,
        forms=[(value, i18n.gettext(word)) for value, word in FORMS],
        states=STATES,
        segments=[("", i18n.gettext("everybody")), *names],
        placements=[(name, name) for name in PUBLIC],
    )
