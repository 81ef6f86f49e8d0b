"""The console's rooms under `/console`, their guard, their error pages and their content policy."""

import logging
import secrets
from datetime import UTC, datetime

from flask import Blueprint, Flask, Response, render_template, request
from werkzeug.exceptions import HTTPException

from app import filters, i18n, security
from app.console import (
    account,
    audiences,
    backups,
    builder,
    calendar,
    campaign_list,
    campaigns,
    changes,
    channels,
    chart_files,
    customers,
    domain,
    editor,
    editor_looks,
    first_steps,
    frame,
    goods,
    health,
    imports,
    insights,
    launches,
    mailbox,
    messages,
    model,
    onsite,
    overview,
    placements,
    predictions,
    promotions,
    rehearsals,
    reports,
    roles,
    rules,
    segments,
    sentences,
    session,
    settings,
    sources,
    store,
    styleguide,
    team,
    webhooks,
)
from foundation.errors import Conflict, Invalid, NotFound

log = logging.getLogger(__name__)

ROOMS = (
    *(insights, store),
    *(audiences, webhooks),
    *(session, overview, customers, segments, campaigns, messages, mailbox, sources, promotions, health),
    *(channels, onsite, imports, goods, first_steps),
    *(settings, team, account, changes, backups, domain),
    *(model, placements, rules, predictions, rehearsals, reports, styleguide, builder, launches, campaign_list),
    *(calendar, chart_files),
    *(editor, editor_looks),
)

POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "font-src 'self'",
        "connect-src 'self'",
        "frame-src 'self'",
        "img-src 'self' data: http: https:",  # product pictures stand where the shop keeps them
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    )
)
"""Nothing inline runs and nothing inline styles: not a script, not an attribute."""
SCANS, SCANNING = "console.store.index", POLICY.replace("script-src 'self'", "script-src 'self' 'wasm-unsafe-eval'")
"""The page whose camera reads bars by a compiled program where the browser cannot; WebAssembly may run there alone."""


def register(app: Flask) -> None:
    """Opens the console in this application, with its languages and its filters."""
    i18n.register(app)
    filters.register(app)
    app.config.update(SESSION_COOKIE_NAME="relance-said", SESSION_COOKIE_SAMESITE="Lax")
    app.register_blueprint(_blueprint())


def _blueprint() -> Blueprint:
    bp = Blueprint("console", __name__, url_prefix="/console")
    security.protect(bp)
    for room in ROOMS:
        bp.register_blueprint(room.bp)
    bp.add_url_rule("/<path:anything>", "nowhere", _nowhere)
    bp.context_processor(frame.context)
    bp.context_processor(lambda: {"first_steps": first_steps.guide})
    bp.after_request(_hold_to_policy)
    bp.after_request(changes.note)
    bp.register_error_handler(HTTPException, _http)
    bp.register_error_handler(NotFound, lambda _: _page(404))
    bp.register_error_handler(Conflict, _conflict)
    bp.register_error_handler(Invalid, lambda _: _page(422))
    bp.register_error_handler(Exception, _bug)
    return bp


@security.require_role(*roles.EVERYONE)
def _nowhere(anything: str) -> Response:
    """An address of the console that leads nowhere is answered in the console's look."""
    return _page(404)


def _hold_to_policy(response: Response) -> Response:
    if response.mimetype == "text/html":
        response.headers.setdefault("Content-Security-Policy", SCANNING if request.endpoint == SCANS else POLICY)
    return response


def _http(error: HTTPException) -> Response | HTTPException:
    return error if error.response is not None else _page(error.code or 500)


def _conflict(error: Conflict) -> Response:
    return _page(409, detail=sentences.said(str(error)))


def _bug(error: Exception) -> Response:
    number = secrets.token_hex(4)
    log.error("page failed", extra={"error_id": number}, exc_info=error)
    return _page(500, number=number)


def _page(status: int, *, detail: str = "", number: str = "") -> Response:
    known = status != 500 and security.current_user() is not None
    page = render_template(
        "console/error.html", status=status, detail=detail, number=number, known=known, now=datetime.now(UTC)
    )
    return Response(page, status)
