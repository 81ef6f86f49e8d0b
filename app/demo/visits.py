"""What the demo shop remembers of a visitor: one signed cookie of its own, as a small retailer would keep it."""

import secrets
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, cast
from urllib.parse import urlsplit

import itsdangerous
from flask import Response, abort, g, request

from app import parts
from app.demo import phrases

COOKIE = "maison-aubier"
KEPT_SECONDS = 90 * 86400
Change = Callable[[int], int]
"""How many pieces there will be, from how many there are."""

MOST_LINES = 40
MOST_PIECES = 99


@dataclass(frozen=True, slots=True)
class Visit:
    """Who is in the shop, as far as the shop knows, and the basket in hand."""

    user_id: str | None = None
    first_name: str = ""
    last_name: str = ""
    email: str = ""
    locale: str | None = None
    cart_id: str | None = None
    lines: Mapping[str, int] = field(default_factory=dict)
    code: str | None = None
    ordered: tuple[str, ...] = ()

    def with_line(self, product_id: str, change: Change) -> "Visit":
        """The same with another number of pieces of a product; a basket is named when its first piece is added."""
        pieces = min(max(change(self.lines.get(product_id, 0)), 0), MOST_PIECES)
        lines = {known: count for known, count in self.lines.items() if known != product_id or pieces}
        if pieces and (product_id in lines or len(lines) < MOST_LINES):
            lines[product_id] = pieces
        return replace(self, lines=lines, cart_id=self.cart_id or secrets.token_urlsafe(9))

    def without_basket(self) -> "Visit":
        """The same after an order: the next basket is another one; what was ordered is kept for the page of thanks."""
        return replace(self, cart_id=None, lines={}, code=None, ordered=tuple(self.lines))


def admit() -> None:
    """A blueprint's `before_request`: reads the cookie, turns away forms that came from another site."""
    g.visit = _read(request.cookies.get(COOKIE))
    g.visit_changed = False
    origin = request.headers.get("Origin")
    if request.method == "POST" and origin is not None and urlsplit(origin).netloc != request.host:
        abort(403)


def current() -> Visit:
    """The visit of the current request."""
    return cast("Visit", g.visit)


def remember(visit: Visit) -> Visit:
    """Keeps this visit from now on."""
    g.visit, g.visit_changed = visit, True
    return visit


def speaking(chosen: str) -> Visit:
    """The current visit in another language; in the same one if it is none of ours."""
    visit = current()
    return replace(visit, locale=chosen) if chosen in phrases.LOCALES else visit


def write_cookie(response: Response) -> Response:
    """A blueprint's `after_request`: the cookie is written when something was put in it, never before."""
    if g.get("visit_changed"):
        response.set_cookie(
            COOKIE,
            _signer().dumps(asdict(g.visit)),
            max_age=KEPT_SECONDS,
            httponly=True,
            samesite="Lax",
            secure=request.is_secure,
            path="/demo",
        )
    return response


def locale() -> str:
    """The language the visitor chose, else the browser's, else the installation's."""
    chosen = current().locale or request.accept_languages.best_match(phrases.LOCALES)
    return chosen if chosen in phrases.LOCALES else parts.current_parts().config.locale


def agreed() -> bool:
    """Whether the visitor agreed to be followed; the tracker keeps the answer."""
    return request.cookies.get("relance-consent") == "granted"


def anonymous_id() -> str | None:
    """The tracker's name for this browser, if the visitor agreed to have one."""
    return request.cookies.get("relance-visitor") if agreed() else None


def _read(text: str | None) -> Visit:
    try:
        kept: dict[str, Any] = _signer().loads(text or "")
    except itsdangerous.BadData:
        return Visit()
    return Visit(**{name.name: kept[name.name] for name in fields(Visit) if name.name in kept})


def _signer() -> itsdangerous.URLSafeSerializer:
    """Signs with the newest key and still reads what older ones signed."""
    keys = parts.current_parts().config.secret_keys
    return itsdangerous.URLSafeSerializer(list(reversed(keys)), salt="demo shop visit")
