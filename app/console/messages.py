"""The message ledger: what was sent, to whom, and for each message why it was or was not."""

from datetime import UTC, datetime
from uuid import UUID

from flask import Blueprint, Response, render_template, request

from app import security
from app.console import journeys, mails, paging, roles, words
from app.parts import current_parts
from campaigns import ledger, plans
from campaigns.insights import house
from foundation.errors import NotFound

bp = Blueprint("messages", __name__, url_prefix="/messages")


@bp.get("")
@security.require_role(*roles.READ)
def index() -> str:
    """The ledger, by state, campaign or reason."""
    args = request.args
    key = paging.after(2)
    before = (moment, UUID(key[1])) if key and (moment := paging.moment(key[0])) and _is_id(key[1]) else None
    now, asked = datetime.now(UTC), args.get("state") if args.get("state") in words.MESSAGE else None
    with current_parts().db.begin() as conn:
        lines = ledger.page(
            conn,
            state=asked if asked != ledger.UNFOLLOWED else None,
            unheard=now if asked == ledger.UNFOLLOWED else None,
            campaign=args.get("campaign") or None,
            reason=args.get("reason") or None,
            before=before,
            limit=paging.SIZE,
        )
        known = house.read(conn)
        campaigns = list(plans.titles(conn).values())
    return render_template(
        "console/messages/index.html",
        lines=lines,
        known=known,
        campaigns=campaigns,
        words=words,
        paging=paging,
        now=now,
    )


@bp.get("/<uuid:message_id>")
@security.require_role(*roles.READ)
def show(message_id: UUID) -> str:
    """One message: every attempt, the reason, the code, the links, the mail itself; in a drawer without the mail."""
    with current_parts().db.begin() as conn:
        message = ledger.get(conn, message_id)
        entry = plans.get(conn, message.line.campaign).definition.entry
    now, entered = datetime.now(UTC), journeys.entry(entry)
    shape = "drawer" if request.headers.get("HX-Target") == "drawer" else "show"
    return render_template(f"console/messages/{shape}.html", message=message, entry=entered, words=words, now=now)


@bp.get("/<uuid:message_id>/mail")
@security.require_role(*roles.READ)
def mail(message_id: UUID) -> Response:
    """The mail as it was sent; looking at it here counts for nothing, and its links lead nowhere."""
    parts = current_parts()
    with parts.db.begin() as conn:
        content = ledger.content(conn, message_id)
    if content is None:
        raise NotFound("nothing was rendered")
    return mails.answer(content.html.replace(parts.links.open(message_id), "data:,"), clickable=False)


def _is_id(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True
