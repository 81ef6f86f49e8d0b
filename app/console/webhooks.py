"""Webhooks: the log of calls to other programs, each attempt with its answer, and making them again."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import orjson
from flask import Blueprint, flash, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from app import i18n, security
from app.console import paging, roles, words
from app.parts import current_parts
from campaigns import webhooks

bp = Blueprint("webhooks", __name__, url_prefix="/webhooks")

LOOKED_BACK = timedelta(days=7)


@bp.get("")
@security.require_role(*roles.READ)
def index() -> str:
    """A page of the log, of one state if asked."""
    asked = request.args.get("state", "")
    state = asked if asked in webhooks.STATES else None
    with current_parts().db.begin() as conn:
        calls = webhooks.logged(conn, state=state, before=_before(), limit=paging.SIZE)
        attempts = webhooks.attempts_of(conn, [call.id for call in calls])
    user = security.current_user()
    key = webhooks.shown_key(current_parts().config.secret_keys[0]) if user and user.role == "admin" else None
    return render_template(
        "console/webhooks/index.html",
        calls=calls,
        attempts=attempts,
        state=state,
        states=webhooks.STATES,
        key=key,
        written=lambda body: orjson.dumps(body, option=orjson.OPT_INDENT_2).decode(),
        words=words,
        paging=paging,
    )


@bp.post("/<uuid:call_id>/replay")
@security.require_role(*roles.CHANGE)
def replay(call_id: UUID) -> Response:
    """Makes one call again."""
    with current_parts().db.begin() as conn:
        webhooks.replay(conn, call_id, now=datetime.now(UTC))
    flash(i18n.gettext("The call is made again within seconds."))
    return redirect(url_for(".index"), code=303)


@bp.post("/replay")
@security.require_role(*roles.CHANGE)
def replay_dead() -> Response:
    """Makes every call again that was given up within a week."""
    now = datetime.now(UTC)
    with current_parts().db.begin() as conn:
        again = webhooks.replay_dead(conn, since=now - LOOKED_BACK, now=now)
    flash(i18n.ngettext("%(n)s call is made again.", "%(n)s calls are made again.", again))
    return redirect(url_for(".index"), code=303)


def _before() -> tuple[datetime, UUID] | None:
    key = paging.after(2)
    at = paging.moment(key[0]) if key else None
    try:
        return (at, UUID(key[1])) if key and at else None
    except ValueError:
        return None
