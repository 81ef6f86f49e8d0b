"""The mailbox: what the outbox channel keeps instead of sending, read as one reads mail."""

from datetime import UTC, datetime
from uuid import UUID

from flask import Blueprint, Response, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as BaseResponse

from app import security
from app.console import mails, paging, roles
from app.parts import current_parts
from campaigns import ledger
from foundation.errors import NotFound

bp = Blueprint("mailbox", __name__, url_prefix="/mailbox")

VIEWS = ("mail", "text", "headers")


@bp.get("")
@security.require_role(*roles.READ)
def index() -> str:
    """The list, and room for the mail one chooses."""
    return render_template("console/mailbox/index.html", **_list(), mail=None, outbox=_is_outbox())


@bp.get("/list")
@security.require_role(*roles.READ)
def rows() -> str:
    """The list alone, asked for again every few seconds."""
    chosen = request.args.get("open", "")
    return render_template("console/mailbox/rows.html", **_list(), chosen=chosen)


@bp.post("/read")
@security.require_role(*roles.CHANGE)
def read() -> BaseResponse:
    """Nothing in it is new any more."""
    with current_parts().db.begin() as conn:
        ledger.open_all(conn, now=datetime.now(UTC))
    return redirect(url_for(".index"), code=303)


@bp.get("/<uuid:message_id>")
@security.require_role(*roles.READ)
def show(message_id: UUID) -> str:
    """One mail beside the list; it is no longer new."""
    now = datetime.now(UTC)
    with current_parts().db.begin() as conn:
        mail = ledger.open_mail(conn, message_id, now=now)
        content = ledger.content(conn, message_id)
    view = request.args.get("view")
    return render_template(
        "console/mailbox/index.html",
        **_list(),
        mail=mail,
        content=content,
        view=view if view in VIEWS else VIEWS[0],
        sandbox=mails.SANDBOX,
        outbox=_is_outbox(),
    )


@bp.get("/<uuid:message_id>/mail")
@security.require_role(*roles.READ)
def mail(message_id: UUID) -> Response:
    """The mail as its reader sees it: pictures load, links open, and both are counted as the customer's own."""
    with current_parts().db.begin() as conn:
        content = ledger.content(conn, message_id)
    if content is None:
        raise NotFound("no such mail")
    return mails.answer(content.html, clickable=True)


def _list() -> dict[str, object]:
    key = paging.after(1)
    with current_parts().db.begin() as conn:
        found = ledger.mails(conn, before=paging.moment(key[0]) if key else None, limit=paging.SIZE)
        return {"mails": found, "unread": ledger.unread(conn), "paging": paging}


def _is_outbox() -> bool:
    return current_parts().config.email_url == "outbox:"
