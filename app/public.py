"""Pages without sign-in, opened by a signed link: click, open, unsubscribe, preferences, restored basket, barcode.

A link says which message it came from, never who holds it: nothing here shows a name or an address, and a `GET` never
changes what a customer receives. What may be recorded is recorded; the visitor is served whether or not that works.
"""

import logging
from base64 import b64decode
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NoReturn
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit
from uuid import UUID

import sqlalchemy as sa
from flask import Blueprint, Response, abort, current_app, redirect, render_template, request
from werkzeug.wrappers import Response as BaseResponse

from app import i18n, robots
from app.parts import current_parts
from campaigns import barcode, feedback, links, policy, surveys, wording
from campaigns.definitions import content
from shop import carts, consent

log = logging.getLogger(__name__)

bp = Blueprint("public", __name__)

PIXEL = b64decode("R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7")
"""The smallest transparent picture."""

PREFERENCES_FORM = "preferences/1"
"""The version of the form a consent was given in; changes with its words."""


@bp.after_request
def _private(response: Response) -> Response:
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
    found = current_parts().links.read_click(token) or _nowhere()
    target = _target(found)
    try:
        _count(found)
    except Exception:
        log.exception("click not recorded", extra={"message_id": str(found.message_id)})
    return redirect(_with(target, mt=token), code=302)


def _target(found: links.Click) -> str:
    with current_parts().db.begin() as conn:
        stored = feedback.destination(conn, found.message_id, found.n)
        hosts = policy.load(conn).link_hosts
    return links.leading(stored, base_url=current_parts().config.base_url, hosts=hosts) or _nowhere()


def _count(found: links.Click) -> None:
    with current_parts().db.begin() as conn:
        feedback.clicked(conn, found.message_id, found.n, machine=_by_machine(), now=datetime.now(UTC))


def _by_machine() -> bool:
    return robots.is_machine(request.method, request.user_agent.string, dict(request.headers))


@bp.get("/o/<token>")
def opened(token: str) -> Response:
    """A picture of one pixel, whatever the token says."""
    message_id = current_parts().links.read_open(token)
    if message_id is not None:
        try:
            with current_parts().db.begin() as conn:
                feedback.opened(conn, message_id, machine=_by_machine(), now=datetime.now(UTC))
        except Exception:
            log.exception("open not recorded", extra={"message_id": str(message_id)})
    return Response(PIXEL, mimetype="image/gif")


# ---------------------------------------------------------------------------------------- what she receives
@bp.get("/u/<token>")
def unsubscribe(token: str) -> str:
    """Asks. Scanners of mails open every link, so showing the page does nothing."""
    message_id = current_parts().links.read_unsubscribe(token) or _nowhere()
    return _page("unsubscribe", message_id, done=False)


@bp.post("/u/<token>")
def unsubscribe_now(token: str) -> str:
    """Acts at once (RFC 8058): no cookie, no redirect, and the same again changes nothing."""
    message_id = current_parts().links.read_unsubscribe(token) or _nowhere()
    with current_parts().db.begin() as conn:
        feedback.unsubscribed(conn, message_id, now=datetime.now(UTC))
    return _page("unsubscribe", message_id, done=True)


@dataclass(frozen=True, slots=True)
class Choice:
    """One thing a customer may agree to, in the words she reads."""

    channel: str
    purpose: str
    title: str
    text: str
    granted: bool

    @property
    def name(self) -> str:
        """Its field in the form."""
        return f"{self.channel}:{self.purpose}"


@bp.get("/preferences/<token>")
def preferences(token: str) -> str:
    """Shows what stands now."""
    message_id = current_parts().links.read_preferences(token) or _nowhere()
    with current_parts().db.begin() as conn:
        choices = _choices(conn, _customer(conn, message_id))
    return _page("preferences", message_id, choices=choices, saved=False)


@bp.post("/preferences/<token>")
def choose(token: str) -> str:
    """Keeps what changed, each with the words that were read."""
    message_id = current_parts().links.read_preferences(token) or _nowhere()
    wanted = set() if request.form.get("act") == "stop" else set(request.form)
    with current_parts().db.begin() as conn:
        customer_id = _customer(conn, message_id)
        _keep(conn, customer_id, wanted, message_id=message_id, now=datetime.now(UTC))
        choices = _choices(conn, customer_id)
    return _page("preferences", message_id, choices=choices, saved=True)


def _customer(conn: sa.Connection, message_id: UUID) -> int:
    return feedback.customer_of(conn, message_id) or _nowhere()


def _choices(conn: sa.Connection, customer_id: int) -> list[Choice]:
    standing = [
        (channel, purpose, consent.states(conn, [customer_id], channel=channel, purpose=purpose)[customer_id])
        for channel, purpose in CHOICES
    ]
    return [
        Choice(channel, purpose, *_words(channel, purpose), state == consent.State.GRANTED)
        for channel, purpose, state in standing
    ]


CHOICES = {
    ("email", "marketing"): (i18n.N_("E-mails"), i18n.N_("Offers, and a word when you left something in your basket.")),
    ("sms", "marketing"): (i18n.N_("Text messages"), i18n.N_("Rare, and never at night.")),
    ("push", "marketing"): (i18n.N_("Notifications"), i18n.N_("On the devices where you allowed them.")),
    ("ads", "marketing"): (i18n.N_("Advertising elsewhere"), i18n.N_("Showing you our products on other sites.")),
    ("any", "personalization"): (
        i18n.N_("Suggestions for you"),
        i18n.N_("Choosing products from what you viewed and bought."),
    ),
    ("email", "analytics"): (i18n.N_("Knowing whether you read"), i18n.N_("Noting that you opened our e-mails.")),
}


def _words(channel: str, purpose: str) -> tuple[str, str]:
    title, text = CHOICES[channel, purpose]
    return str(i18n.gettext(title)), str(i18n.gettext(text))


def _keep(conn: sa.Connection, customer_id: int, wanted: set[str], *, message_id: UUID, now: datetime) -> None:
    said = [
        consent.Said(
            customer_id,
            choice.channel,
            choice.purpose,
            consent.State.GRANTED if choice.name in wanted else consent.State.DENIED,
            now,
            "preferences",
            f"{choice.title}. {choice.text}",
            PREFERENCES_FORM,
            {"message": str(message_id)},
        )
        for choice in _choices(conn, customer_id)
        if (choice.name in wanted) != choice.granted or request.form.get("act") == "stop"
    ]
    consent.record_many(conn, said, now=now)


# ----------------------------------------------------------------------------------------------- a question
@bp.get("/s/<token>")
def survey(token: str) -> str:
    """Shows the question; the answer clicked in the message is chosen, and counts once it is sent."""
    message_id = current_parts().links.read_survey(token) or _nowhere()
    return _survey(_asked(message_id), done=False)


@bp.post("/s/<token>")
def answer(token: str) -> str | tuple[str, int]:
    """Keeps the answer; the same again changes nothing."""
    message_id = current_parts().links.read_survey(token) or _nowhere()
    asked, score = _asked(message_id), request.form.get("score", type=int)
    if score is None or score not in asked.scores:
        return _survey(asked, done=False), 422
    with current_parts().db.begin() as conn:
        comment = request.form.get("comment", "")
        surveys.answer(conn, asked, score=score, comment=comment, now=datetime.now(UTC))
    return _survey(asked, done=True)


def _asked(message_id: UUID) -> surveys.Question:
    with current_parts().db.begin() as conn:
        return surveys.question(conn, message_id) or _nowhere()


def _survey(asked: surveys.Question, *, done: bool) -> str:
    words = content.spoken(asked.step.words, i18n.locale())[1]
    return _page(
        "survey",
        asked.message_id,
        heading=wording.plain(words.heading),
        scores=asked.scores,
        chosen=request.args.get("score", type=int),
        comment=asked.step.comment,
        done=done or asked.answered is not None,
    )


# ------------------------------------------------------------------------------------------ basket and code
@bp.get("/r/<token>")
def restore(token: str) -> BaseResponse:
    """Leads to the shop's own page of the basket, which finds the cart's id and the code in its address."""
    found = current_parts().links.read_restore(token) or _nowhere()
    config = current_parts().config
    with current_parts().db.begin() as conn:
        cart = carts.get(conn, found.cart_ref)
        hosts = policy.load(conn).link_hosts
    pages = (cart.url if cart else None, "/demo/basket" if config.demo else None)
    known = (links.allowed(page, base_url=config.base_url, hosts=hosts) for page in pages)
    target = next((page for page in known if page), None)
    if cart is None or target is None:
        _nowhere()
    code = {"code": found.code} if found.code else {}
    return redirect(_with(target, cart=cart.cart_id, **code, **request.args.to_dict()), code=302)


@bp.get("/p/code/<token>")
def code_picture(token: str) -> Response:
    """The code as bars a till can read."""
    code = current_parts().links.read_code(token) or _nowhere()
    return Response(barcode.png(code), mimetype="image/png", headers={"Cache-Control": "public, max-age=31536000"})


def _with(address: str, **added: str) -> str:
    """The address with these parameters, each once."""
    parts = urlsplit(address)
    kept = [(name, value) for name, value in parse_qsl(parts.query, keep_blank_values=True) if name not in added]
    return urlunsplit(parts._replace(query=urlencode([*kept, *added.items()])))


def _page(name: str, message_id: UUID, **values: Any) -> str:
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


def _nowhere() -> NoReturn:
    """A link that was not made here, or no longer leads anywhere: a page that says nothing more."""
    abort(404)
