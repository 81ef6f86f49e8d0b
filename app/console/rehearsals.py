"""What a campaign would do: replayed on the last days, for everybody or for one; and who moves to a newer version."""

from datetime import UTC, datetime

from flask import Blueprint, flash, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from app import i18n, security
from app.console import customers as customer_pages
from app.console import journeys, roles, words
from app.parts import current_parts
from campaigns import dry_run, moving, plans
from shop import customers

bp = Blueprint("rehearsals", __name__, url_prefix="/campaigns")

DAYS = (7, 30, 90)


@bp.get("/<name>/dry-run")
@security.require_role(*roles.READ)
def show(name: str) -> str:
    """The last days as they would have been with this campaign; nothing is kept, counted or sent."""
    now, chosen = datetime.now(UTC), request.args.get("customer", type=int)
    days = request.args.get("days", 7, type=int)
    days = days if days in DAYS else DAYS[0]
    with current_parts().db.begin() as conn:
        plan = plans.get(conn, name)
        outcome = dry_run.run(conn, plan, days=days, now=now)
        person = customers.get_many(conn, [chosen]).get(chosen) if chosen else None
        ways = dry_run.person(conn, plan, person.id, days=days, now=now) if person else []
    said = {sentence.step: sentence.text for sentence in journeys.told(plan.definition) if sentence.step}
    return render_template(
        "console/campaigns/dry-run.html",
        plan=plan,
        outcome=outcome,
        days=days,
        choices=DAYS,
        person=person,
        person_name=customer_pages.name(person) if person else "",
        ways=ways,
        said=said,
        words=words,
    )


@bp.get("/<name>/move")
@security.require_role(*roles.READ)
def moves(name: str) -> str:
    """What moving those under way to the newest version would do to them."""
    with current_parts().db.begin() as conn:
        plan = plans.get(conn, name)
        preview = moving.preview(conn, plan)
    return render_template("console/campaigns/move.html", plan=plan, moves=preview, words=words)


@bp.post("/<name>/move")
@security.require_role(*roles.CHANGE)
def move(name: str) -> Response:
    """Moves them, as the preview said at this moment."""
    now = datetime.now(UTC)
    with current_parts().db.begin() as conn:
        plan = plans.get(conn, name)
        moved = moving.move(conn, plan, moving.preview(conn, plan), now=now)
    flash(i18n.ngettext("%(n)s customer was moved.", "%(n)s customers were moved.", moved))
    return redirect(url_for("console.campaigns.show", name=name), code=303)
