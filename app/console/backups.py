"""Backups, and holding everything back: when the last one was made, why nothing leaves, and letting it leave again."""

from datetime import UTC, datetime, timedelta

import sqlalchemy as sa
from flask import Blueprint, flash, redirect, render_template, url_for
from werkzeug.wrappers import Response

from app import change_log, i18n, security, tables
from app.console import roles
from app.i18n import N_
from app.parts import current_parts
from campaigns import holding

bp = Blueprint("backups", __name__, url_prefix="/settings/backups")

FRESH = timedelta(days=2)
WHY = {
    "restored": N_("This database was brought back from a backup."),
    "moved": N_("This database lives in another place than before: it is a copy, or was brought back to a moment."),
    "journal": N_("The send journal knows of messages that this database has forgotten."),
    "operator": N_("Somebody asked for it."),
}


@bp.get("")
@security.require_role(*roles.READ)
def index() -> str:
    """What holds sending, and the backups that were made."""
    now = datetime.now(UTC)
    with current_parts().db.begin() as conn:
        held = holding.held(conn)
        made = conn.execute(sa.select(tables.backups).order_by(tables.backups.c.id.desc()).limit(10)).all()
    return render_template(
        "console/settings/backups.html",
        held=held,
        made=made,
        why=WHY,
        now=now,
        stale=not made or now - made[0].made_at > FRESH,
    )


@bp.post("/hold")
@security.require_role(*roles.ADMIN)
def hold() -> Response:
    """Nothing more is handed over once this is answered."""
    user, now = security.current_user(), datetime.now(UTC)
    with current_parts().db.begin() as conn:
        holding.hold(conn, "operator", detail={"by": user.email if user else ""}, now=now)
        change_log.note(conn, user, "backups.hold", now=now)
    flash(i18n.gettext("Nothing leaves from now on. What is on its way already cannot be called back."))
    return redirect(url_for(".index"), code=303)


@bp.post("/release")
@security.require_role(*roles.ADMIN)
def release() -> Response:
    """Somebody looked, and decided that this database is the one to send from."""
    user, now = security.current_user(), datetime.now(UTC)
    with current_parts().db.begin() as conn:
        holding.release(conn, by=user.email if user else "console", now=now)
        change_log.note(conn, user, "backups.release", now=now)
    flash(i18n.gettext("Messages leave again."))
    return redirect(url_for(".index"), code=303)
