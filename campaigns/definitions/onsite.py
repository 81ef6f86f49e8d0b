"""What marketers put on the shop's own pages: a banner, a pop-in or a slot, as typed values. Pure."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import Field

from campaigns.definitions import shapes
from campaigns.definitions.shapes import Line, Shape, Word, like
from foundation.errors import Fault, Invalid
from recommender import placements

PUBLIC = tuple(placement.name for placement in placements.DEFAULTS.values() if placement.public)
"""Placements whose slates tell nothing of a customer's past: whoever holds the public key may see them."""

Address = Annotated[str, like(r"(https?://|/)[^\s\x00-\x1f]{0,2000}", "must be a web address")]
Pattern = Annotated[str, like(r"/[^\s\x00-\x1f?#]{0,300}", "must be a path such as /product/*")]
"""A path of the shop; `*` stands for anything."""


Locale = Literal["en", "fr"]


class Said(Shape):
    """One language's words."""

    heading: Line
    text: Annotated[str, like(r"[^\x00-\x09\x0b-\x1f\x7f]{0,2000}", "must be a text of at most 2,000 letters")] = ""
    button: Line | None = None


class Moment(Shape):
    """When it appears, once all of this holds; `leaving` is when the pointer leaves the page for another."""

    page_views: Annotated[int, Field(ge=1, le=50)] = 1
    after_seconds: Annotated[int, Field(ge=0, le=600)] = 0
    scrolled: Annotated[int, Field(ge=0, le=100)] = 0
    leaving: bool = False


class Cap(Shape):
    """How often one visitor sees it: `times` in `days`, and not again for `closed_days` once it was closed."""

    times: Annotated[int, Field(ge=1, le=100)] = 3
    days: Annotated[int, Field(ge=1, le=365)] = 7
    closed_days: Annotated[int, Field(ge=0, le=365)] = 30


class Block(Shape):
    """One thing shown on the shop's pages.

    A banner lies over the top or the bottom of the page, a pop-in in the middle of it; a slot fills the place a page
    keeps for it under that name. Its button leads to `link`, or asks the browser's leave to notify. `products` are
    recommendations of `placement`. Without `segment` it is for everybody, visitors nobody knows yet included.
    """

    title: Line
    form: Literal["banner", "popin", "slot"]
    position: Literal["top", "bottom"] = "bottom"
    slot: Word | None = None
    words: Annotated[Mapping[Locale, Said], Field(min_length=1)]
    image: Address | None = None
    action: Literal["link", "notify"] = "link"
    link: Address | None = None
    products: Annotated[int, Field(ge=0, le=12)] = 0
    placement: Literal[PUBLIC] = "home"  # type: ignore[valid-type]
    segment: Word | None = None
    visitors: Literal["everyone", "known", "unknown"] = "everyone"
    pages: Annotated[tuple[Pattern, ...], Field(max_length=20)] = ()
    except_pages: Annotated[tuple[Pattern, ...], Field(max_length=20)] = ()
    moment: Moment = Moment()
    cap: Cap = Cap()
    priority: Annotated[int, Field(ge=0, le=100)] = 50
    starts_at: datetime | None = None
    ends_at: datetime | None = None


def parse(value: object) -> Block:
    """Reads a block; raises `Invalid` with the place of every fault."""
    block = shapes.read(Block, value)
    if found := list(_faults(block)):
        raise Invalid(*found)
    return block


def dump(block: Block) -> dict[str, Any]:
    """The block as JSON, without what stands at its default."""
    return block.model_dump(mode="json", exclude_defaults=True)


def _faults(block: Block) -> Iterator[Fault]:
    if (block.form == "slot") != (block.slot is not None):
        yield Fault("/slot", "is needed for a slot, and for a slot alone")
    if block.segment and block.visitors == "unknown":
        yield Fault("/visitors", "nobody unknown is in a segment")
    yield from _actions(block)
    yield from _times(block)


def _actions(block: Block) -> Iterator[Fault]:
    for locale, words in block.words.items():
        if words.button and block.action == "link" and not block.link:
            yield Fault(f"/words/{locale}/button", "leads nowhere: give a link")
        if block.action == "notify" and not words.button:
            yield Fault(f"/words/{locale}/button", "is needed: browsers are asked by a click alone")
    if block.action == "notify" and block.link:
        yield Fault("/link", "is not for a block that asks to notify")


def _times(block: Block) -> Iterator[Fault]:
    for name, moment in (("starts_at", block.starts_at), ("ends_at", block.ends_at)):
        if moment is not None and moment.tzinfo is None:
            yield Fault(f"/{name}", "needs a time zone, such as 2026-11-22T08:00:00+01:00")
            return
    if block.starts_at and block.ends_at and block.ends_at <= block.starts_at:
        yield Fault("/ends_at", "must follow starts_at")


# --------------------------------------------------------------------------------------------------- choosing
def shown_on(block: Block, page: str) -> bool:
    """Whether it belongs on the page of this address, by its path."""
    path = path_of(page)
    if any(_fits(pattern, path) for pattern in block.except_pages):
        return False
    return not block.pages or any(_fits(pattern, path) for pattern in block.pages)


def path_of(page: str) -> str:
    """The path of a page's address; `/` for what is none."""
    try:
        path = urlsplit(page).path
    except ValueError:
        return "/"
    return path if path.startswith("/") else "/"


def _fits(pattern: str, path: str) -> bool:
    """Stars stand for anything. Each part is looked for once, from left to right, so that no pattern takes long."""
    first, *rest = pattern.split("*")
    if not rest or not path.startswith(first):
        return path == pattern
    *middle, last = rest
    at = len(first)
    for part in middle:
        found = path.find(part, at)
        if found < 0:
            return False
        at = found + len(part)
    return len(path) - len(last) >= at and path.endswith(last)


def running(block: Block, now: datetime) -> bool:
    """Whether its time has come and is not over."""
    return (block.starts_at is None or block.starts_at <= now) and (block.ends_at is None or now < block.ends_at)


def spoken(block: Block, locale: str) -> tuple[Locale, Said]:
    """The words in the visitor's language, else in the first there is."""
    chosen: Locale = "fr" if locale.lower().startswith("fr") else "en"
    language = chosen if chosen in block.words else next(iter(block.words))
    return language, block.words[language]


def in_place(block: Block) -> str:
    """Where it stands: of all that want one place only the most important is shown."""
    return {"popin": "popin", "banner": f"banner {block.position}"}.get(block.form, f"slot {block.slot}")
