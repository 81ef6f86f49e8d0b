"""Browsers that may be notified: `/v1/push`. Called by the storefront's tracker and its service worker."""

import hashlib
from datetime import datetime
from typing import Annotated, Any

import pydantic
import sqlalchemy as sa
from flask import Blueprint, request

from app import security
from app.api import cors
from app.api.endpoint import Body, Reply, Text, Word, operation
from app.parts import current_parts
from campaigns import subscriptions
from campaigns.channels import carriers
from campaigns.channels.webpush import Subscription
from foundation.errors import Fault, Invalid
from shop import consent, customers, ingest, vocabulary
from shop.vocabulary import Event

KINDS = (security.Kind.SECRET, security.Kind.WRITE)
EVENT = "Push Subscribed"

bp = Blueprint("api_push", __name__, url_prefix="/v1/push")
bp.before_request(security.require_key(*KINDS))
bp.after_request(cors.any_origin)

Key = Annotated[str, pydantic.Field(min_length=1, max_length=200)]
Address = Annotated[str, pydantic.Field(max_length=2000)]


class Keys(Body):
    """What lets the browser alone read what it is told."""

    p256dh: Key
    auth: Key


class BrowserSubscription(Body):
    """A `PushSubscription` as browsers write it."""

    endpoint: Address
    keys: Keys
    expirationTime: float | None = None


class Subscribing(Body):
    """A browser that may be notified: of the visitor `anonymous_id`, or of whoever had the one it `replaces`.

    `text` are the words she agreed to just now; without them nothing is agreed.
    """

    subscription: BrowserSubscription
    anonymous_id: Word | None = None
    replaces: Address | None = None
    text: Text | None = None
    form: Word | None = None
    page: Text | None = None


class Endpoint(Body):
    """A browser by its endpoint, which only it and we know."""

    endpoint: Address


class PublicKey(Reply):
    """The applicationServerKey browsers subscribe with."""

    public_key: str


class Kept(Reply):
    """`new` if the browser was not known."""

    new: bool


@bp.get("/key")
@operation("The key browsers subscribe with", tag="push", kinds=KINDS)
def public_key(conn: sa.Connection) -> PublicKey:
    """The same for every browser, as long as the installation keeps its private key."""
    return PublicKey(public_key=carriers.voice(current_parts().config).public)


@bp.post("/subscriptions")
@operation("A browser may be notified", tag="push", kinds=KINDS)
def subscribe(conn: sa.Connection, body: Subscribing, now: datetime) -> Kept:
    """Keeps the browser, and her yes with the words she saw; the same again says it is still there."""
    given, voice = body.subscription, carriers.voice(current_parts().config)
    known = Subscription(given.endpoint, given.keys.p256dh, given.keys.auth, voice.public)
    subscriptions.check(known)
    agent = request.user_agent.string
    if body.replaces is not None:
        return Kept(new=_moved(conn, body, body.replaces, known, user_agent=agent, now=now))
    if body.anonymous_id is None:
        raise Invalid(Fault("/anonymous_id", "is missing, and so is the endpoint this one replaces"))
    person = _person(conn, body, body.anonymous_id, now=now)
    new = subscriptions.keep(conn, person, known, user_agent=agent, now=now)
    if body.text:
        _agreed(conn, person, body, now=now)
    return Kept(new=new)


@bp.delete("/subscriptions")
@operation("A browser is notified no more", tag="push", kinds=KINDS)
def unsubscribe(conn: sa.Connection, body: Endpoint) -> None:
    """Forgets it; what she said of notifications elsewhere stands."""
    subscriptions.forget(conn, [body.endpoint])


@bp.post("/seen")
@operation("A browser showed a notification", tag="push", kinds=KINDS)
def seen(conn: sa.Connection, body: Endpoint, now: datetime) -> None:
    """It is still there: browsers that are silent for three months are forgotten."""
    subscriptions.seen(conn, body.endpoint, now=now)


def _moved(
    conn: sa.Connection, body: Subscribing, old: str, known: Subscription, *, user_agent: str, now: datetime
) -> bool:
    """A browser whose push service gave it another address says so by itself: nobody is there to agree to anything."""
    if body.anonymous_id is not None or body.text:
        raise Invalid(Fault("/replaces", "stands alone: whose browser it is, and what she agreed to, stay as they are"))
    new = subscriptions.replace(conn, old, known, user_agent=user_agent, now=now)
    if new is None:
        raise Invalid(Fault("/replaces", "is no browser we know"))
    return new


def _person(conn: sa.Connection, body: Subscribing, anonymous_id: str, *, now: datetime) -> int:
    """Whose browser it is: known by her anonymous id, made known by the event if it is the first we hear of her."""
    found = customers.find(conn, anonymous_id=anonymous_id)
    if found is None or body.text:
        payload: dict[str, Any] = {"type": "track", "event": EVENT, "anonymousId": anonymous_id}
        payload |= {"messageId": f"push:{_digest(body)}:{now:%Y%m%d}", "timestamp": now.isoformat()}
        event = vocabulary.parse(payload, source=security.current_key().source, received_at=now)
        if isinstance(event, Event):
            ingest.ingest(conn, [event], now=now)
        found = customers.find(conn, anonymous_id=anonymous_id)
    if found is None:
        raise Invalid(Fault("/anonymous_id", "names nobody"))
    return found


def _agreed(conn: sa.Connection, person: int, body: Subscribing, *, now: datetime) -> None:
    proof = {
        "endpoint_sha256": _digest(body),
        "user_agent": request.user_agent.string[:300],
        "page": body.page,
        "text_sha256": hashlib.sha256((body.text or "").encode()).hexdigest(),
    }
    consent.record(
        conn,
        customer_id=person,
        channel="push",
        purpose="marketing",
        state=consent.State.GRANTED,
        at=now,
        source="browser prompt",
        text=body.text,
        form=body.form,
        proof=proof,
        now=now,
    )


def _digest(body: Subscribing) -> str:
    return hashlib.sha256(body.subscription.endpoint.encode(errors="replace")).hexdigest()
