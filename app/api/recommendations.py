"""Products for a customer, a visitor or a page: `GET /v1/recommendations`."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Literal
from urllib.parse import parse_qs
from uuid import UUID

import pydantic
import sqlalchemy as sa
from flask import Blueprint, Flask, abort

from app import security, security_headers
from app.api import cors, endpoint
from app.api.endpoint import Amount, Query, Word, operation
from app.parts import Parts, current_parts
from foundation.errors import RelanceError
from recommender import placements, serving, slate
from shop import money

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

KINDS = (security.Kind.SECRET, security.Kind.WRITE)

bp = Blueprint("api_recommendations", __name__)
bp.before_request(security.require_key(*KINDS))
bp.after_request(cors.any_origin)

PATH = "/v1/recommendations"

PUBLIC_PLACEMENTS = tuple(placement.name for placement in placements.DEFAULTS.values() if placement.public)
"""Where a write key, which every visitor can read, may ask for a slate."""


class Wanted(Query):
    """For whom, where, and around which products."""

    customer: Word | None = None
    anonymous: Word | None = None
    placement: Annotated[str, pydantic.Field(pattern=r"^[a-z][a-z0-9_-]{0,49}$")] = "home"
    product: Annotated[list[Word], pydantic.Field(max_length=50)] = []
    n: Annotated[int, pydantic.Field(ge=1, le=100)] | None = None
    store: Word | None = None
    category: Word | None = None
    exclude: Annotated[list[Word], pydantic.Field(max_length=500)] = []
    locale: Literal["en", "fr"] = "en"


@dataclass(slots=True)
class Item:
    """One product and why it is shown."""

    product_id: str
    title: str
    url: str | None
    image_url: str | None
    price: Amount | None
    currency: str | None
    reason: str
    source: str
    score: float


@dataclass(slots=True)
class Slate:
    """Products in the order to show them. Send `slate_id` back with clicks."""

    slate_id: UUID
    model: str
    items: list[Item]


@bp.get(PATH)
@operation("Products for a customer", tag="recommendations", kinds=KINDS)
def recommend(conn: sa.Connection, query: Wanted, now: datetime) -> Slate:
    """Never empty while one product is for sale. A write key gets the slates a page of the shop shows, of the visitor
    it names by anonymous id; what would tell of a customer's past is left out, and `customer` with it is not looked up.
    """
    kind = security.current_key().kind
    if not _may(query, kind):
        abort(403, f"A write key may ask for these placements: {', '.join(PUBLIC_PLACEMENTS)}.")
    return _answer(current_parts(), query, kind=kind, now=now)


def _may(query: Wanted, kind: str) -> bool:
    return kind == security.Kind.SECRET or query.placement in PUBLIC_PLACEMENTS


def _answer(parts: Parts, query: Wanted, *, kind: str, now: datetime) -> Slate:
    public = kind == security.Kind.WRITE
    request = serving.Request(
        placement=query.placement,
        user_id=None if public else query.customer,
        anonymous_id=query.anonymous,
        products=tuple(query.product),
        n=query.n,
        store_id=query.store,
        category=query.category,
        exclude=tuple(query.exclude),
        locale=query.locale,
        public=public,
    )
    made = parts.recommender.answer(request, now=now)
    return Slate(made.slate_id, made.model, [_item(item) for item in made.items])


def _item(item: slate.SlateItem) -> Item:
    return Item(
        product_id=item.product_id,
        title=item.title,
        url=item.url,
        image_url=item.image_url,
        price=None if item.price is None else money.decimal(item.price, item.currency),
        currency=item.currency,
        reason=item.reason,
        source=item.source,
        score=item.score,
    )


# ------------------------------------------------------------------------------------------------- the door
def register(app: Flask) -> None:
    """Opens the interface: slates at a door before Flask, everything else as an ordinary view."""
    app.register_blueprint(bp)
    app.wsgi_app = Door(app, app.wsgi_app)  # type: ignore[method-assign]


class Door:
    """Answers what is asked as it should be, before Flask sees it: its request and routing cost as much as a slate.

    Whatever is out of order in the least, a missing key, a misspelt field, goes on to the view and is answered there,
    so that there is one place where anything is refused.
    """

    def __init__(self, app: Flask, inner: "WSGIApplication") -> None:
        self._app = app
        self._inner = inner
        self._parts: Parts = app.extensions["relance"]
        self._reply = pydantic.TypeAdapter(Slate)

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        query = self._wanted(environ)
        kind = None if query is None else self._kind(environ)
        if query is None or kind is None or not _may(query, kind):
            return self._inner(environ, start_response)
        try:
            made = _answer(self._parts, query, kind=kind, now=datetime.now(UTC))
        except Exception:  # tried once more by the view, which answers what goes wrong as every view does
            return self._inner(environ, start_response)
        body = self._reply.dump_json(made)
        headers = [
            ("Content-Type", "application/json"),
            ("Content-Length", str(len(body))),
            *cors.granted(environ.get("HTTP_ORIGIN")),
            *security_headers.common(self._parts.config),
        ]
        start_response("200 OK", headers)
        return [body]

    def _wanted(self, environ: "WSGIEnvironment") -> Wanted | None:
        text = environ.get("QUERY_STRING", "")
        if environ["PATH_INFO"] != PATH or environ["REQUEST_METHOD"] != "GET" or not text.isascii():
            return None
        try:
            given = parse_qs(text, keep_blank_values=True, errors="strict")
            return endpoint.parse(Wanted, endpoint.arguments(Wanted, given.items()))
        except (RelanceError, ValueError):
            return None

    def _kind(self, environ: "WSGIEnvironment") -> str | None:
        """The kind of the key, if it may ask."""
        scheme, _, text = environ.get("HTTP_AUTHORIZATION", "").partition(" ")
        if scheme.lower() != "bearer" or not text:
            return None
        with self._app.app_context():
            key = security.find_key(self._parts.db, text.strip())
            return key.kind if key is not None and key.kind in KINDS and security.may_ask(key) else None
