"""The policy, part by part: read as a sentence, changed in a form, never over what a colleague has just written."""

from datetime import UTC, datetime

import sqlalchemy as sa
from flask import Blueprint, flash, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from app import change_log, i18n, security
from app.console import policy_fields, policy_words, roles, words
from app.console.forms import Form
from app.console.policy_fields import Part
from app.parts import current_parts
from campaigns import policy, rules
from campaigns.rules import Policy
from foundation.errors import Invalid, NotFound

bp = Blueprint("settings", __name__, url_prefix="/settings")


@bp.get("")
@security.require_role(*roles.READ)
def index() -> Response:
    """The first part."""
    return redirect(url_for(".show", part=policy_fields.PARTS[0].name))


@bp.get("/policy/<part>")
@security.require_role(*roles.READ)
def show(part: str) -> str:
    """One part, as a form for who may change it."""
    chosen = _part(part)
    with current_parts().db.begin() as conn:
        standing = policy.load(conn)
    return _page(chosen, standing, policy_fields.of_policy(standing, chosen))


@bp.post("/policy/<part>")
@security.require_role(*roles.ADMIN)
def save(part: str) -> Response | tuple[str, int]:
    """Puts one part in force at once. What a colleague changed meanwhile is shown first, and nothing typed is lost."""
    chosen, now, given = _part(part), datetime.now(UTC), request.form.to_dict()
    with current_parts().db.begin() as conn:
        standing = policy.locked(conn)
        if given.get("seen") != policy_fields.fingerprint(standing, chosen):
            return _page(chosen, standing, Form(given), clash=True), 409
        try:
            wanted = rules.parse(rules.dump(standing) | policy_fields.asked(given, chosen))
        except Invalid as refused:
            return _page(chosen, standing, policy_fields.with_faults(given, refused.faults, chosen)), 422
        _keep(conn, chosen, wanted, now=now, standing=standing)
    flash(i18n.gettext("Saved. It holds for every message that has not left yet."))
    return redirect(url_for(".show", part=part), code=303)


def _keep(conn: sa.Connection, chosen: Part, wanted: Policy, *, standing: Policy, now: datetime) -> None:
    changed = policy_fields.changed(standing, wanted, chosen)
    if changed:
        policy.save(conn, wanted, now=now)
        change_log.note(
            conn, security.current_user(), "policy", subject=chosen.name, detail={"changed": changed}, now=now
        )


def _page(chosen: Part, standing: Policy, form: Form, *, clash: bool = False) -> str:
    return render_template(
        "console/settings/policy.html",
        part=chosen,
        sentence=policy_words.sentence(chosen.name, standing),
        form=form,
        stands=policy_fields.of_policy(standing, chosen) if clash else None,
        seen=policy_fields.fingerprint(standing, chosen),
        kept=policy_fields.KEPT,
        usual=rules.KEPT,
        topics=sum(name.endswith("/word") for name in form.values),
        channels=policy_fields.CHANNELS,
        hosts=policy_fields.HOSTS,
        words=words,
    )


def _part(name: str) -> Part:
    found = policy_fields.part(name)
    if found is None:
        raise NotFound(f"the policy has no part {name}")
    return found
