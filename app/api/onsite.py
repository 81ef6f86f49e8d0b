"""What the shop's own pages show a visitor: `/v1/onsite`. Called by the storefront's tracker with the public key."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

import pydantic
import sqlalchemy as sa
from flask import Blueprint

from app import security
from app.api import cors
from app.api.endpoint import Body, Query, Reply, Word, operation
from app.parts import current_parts
from campaigns import links, onsite, policy
from campaigns.definitions import onsite as definitions
from campaigns.onsite import Kept
from foundation import format
from foundation.errors import NotFound
from recommender import serving, slate

KINDS = (security.Kind.SECRET, security.Kind.WRITE)
CLOSE = {"en": "Close", "fr": "Fermer"}

bp = Blueprint("api_onsite", __name__, url_prefix="/v1")
bp.before_request(security.require_key(*KINDS))
bp.after_request(cors.any_origin)


class Visit(Query):
    """Who looks at which page. Without `anonymous` nobody is looked up."""

    anonymous: Word | None = None
    page: Annotated[str, pydantic.Field(max_length=2000)] = "/"
    locale: Annotated[str, pydantic.Field(pattern=r"^[A-Za-z]{2}([-_][A-Za-z0-9]{2,8})*$")] = "en"


class Product(Reply):
    """A recommended product, its price as people write it."""

    product_id: str
    title: str
    url: str | None
    image_url: str | None
    price: str
    reason: str


class When(Reply):
    """When it appears."""

    page_views: int = 1
    after_seconds: int = 0
    scrolled: int = 0
    leaving: bool = False


class Often(Reply):
    """How often one browser shows it."""

    times: int = 1
    days: int = 1
    closed_days: int = 0


class Shown(Reply):
    """One thing to show. `name` or `message_id` says which when the browser tells what became of it."""

    name: str | None
    message_id: UUID | None
    form: str
    position: str
    slot: str | None
    heading: str
    text: str
    button: str | None
    url: str | None
    image: str | None
    action: str
    close: str
    slate_id: UUID | None = None
    products: list[Product] = []
    moment: When = When()
    cap: Often = Often()


class Due(Reply):
    """What this page shows this visitor; at most one thing in each place."""

    blocks: list[Shown]


class Told(Body):
    """What a browser did with a block or a message."""

    what: Literal["shown", "clicked", "closed"]
    name: Word | None = None
    message_id: UUID | None = None
    anonymous: Word | None = None

    model_config = pydantic.ConfigDict(extra="forbid", strict=False)


@bp.get("/onsite")
@operation("What this page shows this visitor", tag="onsite", kinds=KINDS)
def due(conn: sa.Connection, query: Visit, now: datetime) -> Due:
    """Banners, pop-ins and slots due here, and a message of a journey that waits for her."""
    found = onsite.due(conn, onsite.live(conn), anonymous_id=query.anonymous, page=query.page, now=now)
    reach = current_parts().links.reach(policy.load(conn))
    blocks = [_block(one, query, reach=reach, now=now) for one in found.blocks]
    language = _language(query.locale)
    taken = any(one.form == "popin" for one in blocks)
    if found.note is not None and not taken:
        blocks.append(noted(found.note, language))
    return Due(blocks=blocks)


@bp.post("/onsite/told")
@operation("What became of it", tag="onsite", kinds=KINDS)
def told(conn: sa.Connection, body: Told, now: datetime) -> None:
    """Counts it, for the caps of this visitor and the figures of the block."""
    if body.message_id is not None:
        known = onsite.told_of_note(conn, body.message_id, body.what, anonymous_id=body.anonymous, now=now)
    else:
        known = onsite.told(conn, body.name or "", body.what, anonymous_id=body.anonymous, now=now)
    if not known:
        raise NotFound("Nothing of this name is shown to this visitor.")


def shown(one: Kept, *, locale: str, reach: links.Reach, made: serving.Slate | None) -> Shown:
    """A block as browsers get it; its links lead where the merchant allows, or nowhere."""
    block = one.block
    language, words = definitions.spoken(block, locale)
    url = reach.leading(block.link)
    return Shown(
        name=one.name,
        message_id=None,
        form=block.form,
        position=block.position,
        slot=block.slot,
        heading=words.heading,
        text=words.text,
        button=words.button if url or block.action == "notify" else None,
        url=url,
        image=links.absolute(block.image, reach.base_url),
        action=block.action,
        close=CLOSE[language],
        slate_id=made.slate_id if made else None,
        products=[_product(item, language) for item in made.items] if made else [],
        moment=When(**block.moment.model_dump()),
        cap=Often(**block.cap.model_dump()),
    )


def _block(one: Kept, query: Visit, *, reach: links.Reach, now: datetime) -> Shown:
    made = None
    if one.block.products:
        request = serving.Request(
            placement=one.block.placement,
            anonymous_id=query.anonymous,
            n=one.block.products,
            locale=_language(query.locale),
            public=True,
        )
        made = current_parts().recommender.answer(request, now=now)
    return shown(one, locale=query.locale, reach=reach, made=made)


def _language(locale: str) -> str:
    return "fr" if locale.lower().startswith("fr") else "en"


def _product(item: slate.SlateItem, language: str) -> Product:
    return Product(
        product_id=item.product_id,
        title=item.title,
        url=item.url,
        image_url=item.image_url,
        price="" if item.price is None else format.money(item.price, item.currency, language),
        reason=item.reason,
    )


def noted(note: onsite.Note, language: str) -> Shown:
    """A message of a journey: a pop-in that stays until it is followed or closed."""
    return Shown(
        name=None,
        message_id=note.message_id,
        form="popin",
        position="bottom",
        slot=None,
        heading=note.title,
        text=note.text,
        button=(note.button or SEE[language]) if note.url else None,
        url=note.url,
        image=note.image,
        action="link",
        close=CLOSE[language],
        cap=Often(times=100, days=1),
    )


SEE = {"en": "Have a look", "fr": "Voir"}
