"""The campaigns: what each does, what it earned, its settings, and how its mail looks for a given customer."""

from datetime import UTC, datetime
from typing import Any

from flask import Blueprint, Response, flash, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as BaseResponse

from app import filters, i18n, security
from app.console import customers as customer_pages
from app.console import forms, mails, roles, words
from app.parts import current_parts
from campaigns import definitions, ledger, plans, policy, previews, promotions, reports
from foundation.errors import Conflict, Invalid, NotFound
from shop import customers

bp = Blueprint("campaigns", __name__, url_prefix="/campaigns")


@bp.get("")
@security.require_role(*roles.READ)
def index() -> str:
    """Every campaign with what it earned."""
    with current_parts().db.begin() as conn:
        found = [(plan, reports.campaign(conn, plan.id)) for plan in plans.every(conn)]
    return render_template("console/campaigns/index.html", found=found, words=words, lift_sentence=lift_sentence)


@bp.get("/<name>")
@security.require_role(*roles.READ)
def show(name: str) -> str:
    """One campaign: its results first, then its settings beside the mail they make."""
    with current_parts().db.begin() as conn:
        plan = plans.get(conn, name)
    return _page(name, forms.of_definition(plan.definition))


@bp.post("/<name>")
@security.require_role(*roles.CHANGE)
def save(name: str) -> BaseResponse | tuple[str, int]:
    """Keeps the settings, or shows each fault beside its field and changes nothing."""
    try:
        with current_parts().db.begin() as conn:
            placement = plans.get(conn, name).definition.placement
            given = forms.definition_of(request.form, placement=placement)
            plans.update(conn, name, definition=given, now=datetime.now(UTC))
    except Invalid as refused:
        return _page(name, forms.with_faults(request.form, refused.faults)), 422
    flash(i18n.gettext("Saved. Messages not yet written will use it."))
    return redirect(url_for(".show", name=name, _anchor="settings"), code=303)


@bp.post("/<name>/launch")
@security.require_role(*roles.CHANGE)
def launch(name: str) -> BaseResponse:
    """Starts it, or takes it up again."""
    with current_parts().db.begin() as conn:
        plans.launch(conn, name, now=datetime.now(UTC))
    flash(i18n.gettext("It runs. The first baskets are taken up within seconds."))
    return redirect(url_for(".show", name=name), code=303)


@bp.post("/<name>/pause")
@security.require_role(*roles.CHANGE)
def pause(name: str) -> BaseResponse:
    """Nothing more leaves until it is taken up again."""
    with current_parts().db.begin() as conn:
        flying = plans.pause(conn, name, now=datetime.now(UTC))
    flash(_stopped(i18n.gettext("Paused."), flying))
    return redirect(url_for(".show", name=name), code=303)


@bp.post("/<name>/cancel")
@security.require_role(*roles.CHANGE)
def cancel(name: str) -> BaseResponse:
    """Ends it for good."""
    with current_parts().db.begin() as conn:
        flying = plans.cancel(conn, name, now=datetime.now(UTC))
    flash(_stopped(i18n.gettext("Cancelled."), flying))
    return redirect(url_for(".show", name=name), code=303)


@bp.get("/<name>/preview")
@security.require_role(*roles.READ)
def preview(name: str) -> Response:
    """The mail as the chosen customer would get it; nothing is kept, counted or sent."""
    now, parts = datetime.now(UTC), current_parts()
    with parts.db.begin() as conn:
        shown = previews.render(
            conn, plans.get(conn, name), request.args.get("customer", type=int), parts=parts, now=now
        )
    return mails.answer(shown.html, clickable=False)


def _stopped(said: str, flying: int) -> str:
    if not flying:
        return said + " " + i18n.gettext("Nothing is on its way.")
    return (
        said
        + " "
        + i18n.ngettext("%(n)s message was already on its way.", "%(n)s messages were already on their way.", flying)
    )


def _page(name: str, form: forms.Form) -> str:
    now, parts = datetime.now(UTC), current_parts()
    with parts.db.begin() as conn:
        plan = plans.get(conn, name)
        context: dict[str, Any] = {
            "plan": plan,
            "report": reports.campaign(conn, plan.id),
            "total": ledger.total(ledger.sums(conn, campaign_id=plan.id)),
            "reasons": ledger.reasons(conn, campaign_id=plan.id),
            "offers": promotions.every_offer(conn),
            "policy": policy.load(conn),
        }
    return render_template(
        "console/campaigns/show.html", form=form, words=words, fields=definitions.FIELDS, now=now, **context
    )
