"""Pages without sign-in, opened by a signed link: click, open, the message itself, survey, restored basket, code.

A link says which message it came from, never who holds it. What may be recorded is recorded; the visitor is served
whether or not that works. What a customer chooses to receive is in `preferences.py`.
"""

import logging
from base64 import b64decode
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NoReturn
from urllib.parse import unquote_plus, urlencode
from uuid import UUID

from flask import Blueprint, Response, abort, current_app, redirect, render_template, request
from werkzeug import utils
from werkzeug.datastructures import Headers
from werkzeug.wrappers import Response as BaseResponse

from app import i18n, robots
from app.console import mails
from app.parts import current_parts
from campaigns import barcode, basket_pages, feedback, ledger, links, policy, surveys, visits, wording
from campaigns.definitions import content
from shop import carts, consent

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

log = logging.getLogger(__name__)

bp = Blueprint("public", __name__)

PIXEL = b64decode("R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7")
"""The smallest transparent picture."""


@bp.after_request
def private(response: Response) -> Response:
    """The address is the secret: it must neither travel on as a referrer nor stay in a cache."""
    response.headers.setdefault("Referrer-Policy", "no-referrer")
    response.headers.setdefault("Cache-Control", "no-store")
    response.headers.setdefault("X-Robots-Tag", "noindex")
    return response


@bp.get("/")
def front_door() -> BaseResponse:
    """Who types the bare address is led to the demo shop if there is one, else to the console."""
    return redirect("/demo/" if current_parts().config.demo else "/console/")


@bp.get("/robots.txt")
def robots_txt() -> Response:
    """Nothing here is for search engines."""
    return Response("User-agent: *\nDisallow: /\n", mimetype="text/plain")


@bp.get("/tracker.js")
def tracker() -> Response:
    """The storefront's tracker, for a shop on any host."""
    return current_app.send_static_file("tracker.js")


# ---------------------------------------------------------------------------------------------- clicks, opens
@bp.get("/c/<token>")
def click(token: str) -> BaseResponse:
    """Counts the click, then leads where the message says; the visitor goes on even if counting fails."""
    found = current_parts().links.read_click(token) or nowhere()
    target = _target(found)
    try:
        _count(found)
    except Exception:
        log.exception("click not recorded", extra={"message_id": str(found.message_id)})
    return _onward(target, {"mt": token})


def _target(found: links.Click) -> str:
    with current_parts().db.begin() as conn:
        stored = feedback.destination(conn, found.message_id, found.n)
        reach = current_parts().links.reach(policy.load(conn))
    return reach.leading(stored) or nowhere()


def _count(found: links.Click) -> None:
    with current_parts().db.begin() as conn:
        visits.followed(conn, found.message_id, found.n, machine=_by_machine(), now=datetime.now(UTC))


def _by_her_program() -> bool:
    """Fetched for a reader all the same, unlike by a scanner, which looks into mailboxes nobody opens."""
    own = robots.is_readers_own(request.user_agent.string, address=request.remote_addr)
    return own and request.method == "GET"


def _by_machine(*, picture: bool = False) -> bool:
    headers, address = dict(request.headers), request.remote_addr
    return robots.is_machine(request.method, request.user_agent.string, headers, address=address, picture=picture)


@bp.get("/h/<token>")
def trap(token: str) -> tuple[str, int]:
    """A link nobody can see: whoever follows it opens every link there is. It leads nowhere."""
    message_id = current_parts().links.read_honeypot(token) or nowhere()
    with current_parts().db.begin() as conn:
        visits.trapped(conn, message_id, now=datetime.now(UTC))
    return "", 204


@bp.get("/o/<token>")
def opened(token: str) -> Response:
    """A picture of one pixel, whatever the token says."""
    message_id = current_parts().links.read_open(token)
    if message_id is not None:
        try:
            _seen(message_id, now=datetime.now(UTC))
        except Exception:
            log.exception("open not recorded", extra={"message_id": str(message_id)})
    return Response(PIXEL, mimetype="image/gif")


def _seen(message_id: UUID, *, now: datetime) -> None:
    """What the merchant's mode and the customer, as she says now, allow to be kept: a withdrawal holds for mails sent
    before it. Fetched by a machine, or before anybody could have looked, nothing is known of her."""
    with current_parts().db.begin() as conn:
        mode = policy.load(conn).opens
        if mode == "off":
            return
        unseen = _by_machine(picture=True) or feedback.too_soon(conn, message_id, now=now)
        if mode == "hygiene" and (not unseen or _by_her_program()):
            feedback.seen_on(conn, message_id, now=now)
        elif mode == "consent" and unseen:
            if feedback.measurable(conn, message_id) is consent.State.GRANTED:
                visits.fetched(conn, message_id, now=now)
        elif mode == "consent":
            feedback.opened(conn, message_id, now=now)


@bp.get("/v/<token>")
def view(token: str) -> Response:
    """The message as it was sent, in a sandbox: its links work, nothing of it runs."""
    message_id = current_parts().links.read_view(token) or nowhere()
    with current_parts().db.begin() as conn:
        sent = ledger.content(conn, message_id) or nowhere()
    return mails.answer(sent.html, clickable=True)


# ----------------------------------------------------------------------------------------------- a question
@bp.get("/s/<token>")
def survey(token: str) -> str:
    """Shows the question; the answer clicked in the message is chosen, and counts once it is sent."""
    message_id = current_parts().links.read_survey(token) or nowhere()
    return _survey(_asked(message_id), done=False)


@bp.post("/s/<token>")
def answer(token: str) -> str | tuple[str, int]:
    """Keeps the answer; the same again changes nothing."""
    message_id = current_parts().links.read_survey(token) or nowhere()
    asked, score = _asked(message_id), request.form.get("score", type=int)
    if score is None or score not in asked.scores:
        return _survey(asked, done=False), 422
    with current_parts().db.begin() as conn:
        comment = request.form.get("comment", "")
        surveys.answer(conn, asked, score=score, comment=comment, now=datetime.now(UTC))
    return _survey(asked, done=True)


def _asked(message_id: UUID) -> surveys.Question:
    with current_parts().db.begin() as conn:
        return surveys.question(conn, message_id) or nowhere()


def _survey(asked: surveys.Question, *, done: bool) -> str:
    words = content.spoken(asked.step.words, i18n.locale())[1]
    return page(
        "survey",
        asked.message_id,
        heading=wording.plain(words.heading or words.intro or words.subject),
        scores=asked.scores,
        chosen=request.args.get("score", type=int),
        comment=asked.step.comment,
        done=done or asked.answered is not None,
    )


# ------------------------------------------------------------------------------------------ basket and code
@bp.get("/r/<token>")
def restore(token: str) -> BaseResponse:
    """Leads to the shop's page of the basket, or of something in it; the cart's id and the code are in its address."""
    parts = current_parts()
    found = parts.links.read_restore(token) or nowhere()
    with parts.db.begin() as conn:
        cart = carts.get(conn, found.cart_ref) or nowhere()
        reach = parts.links.reach(policy.load(conn))
        demo = (reach.trusted(cart.url) or reach.trusted("/demo/basket")) if parts.config.demo else None
        target = demo or basket_pages.target(conn, cart, reach) or nowhere()
    code = {"code": found.code} if found.code else {}
    return _onward(target, {**request.args.to_dict(), "cart": cart.cart_id, **code})


@bp.get("/p/code/<token>")
def code_picture(token: str) -> Response:
    """The code as bars a till can read."""
    code = current_parts().links.read_code(token) or nowhere()
    return _picture(barcode.png(code))


@bp.get("/p/qr/<token>")
def code_square(token: str) -> Response:
    """The code as a square a telephone can read."""
    code = current_parts().links.read_code(token, kind="qr") or nowhere()
    return _picture(barcode.square(code))


def _picture(png: bytes) -> Response:
    return Response(png, mimetype="image/png", headers={"Cache-Control": "public, max-age=31536000"})


class _Unchanged(Response):
    """A redirect to an address as it is written: Flask would encode brackets and bars, which a signature may cover."""

    def get_wsgi_headers(self, environ: "WSGIEnvironment") -> Headers:
        headers = super().get_wsgi_headers(environ)
        address = self.headers["Location"]
        if address.isascii():
            headers["Location"] = address
        return headers


def _onward(address: str, added: Mapping[str, str]) -> BaseResponse:
    return utils.redirect(_with(address, added), code=302, Response=_Unchanged)


def _with(address: str, added: Mapping[str, str]) -> str:
    """The address with these parameters at the end of its query, each once. What else stands in it stays to the letter:
    shops sign their addresses."""
    before, hash_sign, fragment = address.partition("#")
    page, _, query = before.partition("?")
    kept = [part for part in query.split("&") if unquote_plus(part.partition("=")[0]) not in added] if query else []
    return f"{page}?{'&'.join([*kept, urlencode(added)])}{hash_sign}{fragment}"


def page(name: str, message_id: UUID, **values: Any) -> str:
    with current_parts().db.begin() as conn:
        rules = policy.load(conn)
    return render_template(
        f"public/{name}.html",
        language=i18n.locale(),
        shop=rules.shop_name,
        postal_address=rules.postal_address,
        preferences_url=current_parts().links.preferences(message_id),
        **values,
    )


def nowhere() -> NoReturn:
    """A link that was not made here, or no longer leads anywhere: a page that says nothing more."""
    abort(404)
