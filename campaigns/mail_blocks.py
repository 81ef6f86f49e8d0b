"""What each block of an e-mail shows to one reader; a block that has nothing to show is None, and left out."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from urllib.parse import urlencode

from campaigns import barcode, wording
from campaigns.channels.pieces import Fixed, Same
from campaigns.definitions import blocks
from campaigns.definitions.blocks import Block
from foundation import format
from shop.stores import Store

MAPS = "https://www.openstreetmap.org/"
_GAPS = {2: ("0 6px 14px 0", "0 0 14px 6px"), 3: ("0 8px 14px 0", "0 4px 14px 4px", "0 0 14px 8px")}


@dataclass(frozen=True, slots=True)
class Sheet:
    """What blocks are filled from: the values of the page, and how words, links and pictures are made.

    `say` fills a marketer's text; `lead` makes the tracked address of a page; `picture` the address of an image;
    `draw` the picture of the code, by how it is drawn.
    """

    page: Mapping[str, Any]
    say: Callable[[str], str]
    lead: Callable[[str | None], str | None]
    picture: Callable[[str | None], str | None]
    draw: Callable[[str], str | None]
    stores: Mapping[str, Store]


def show(chosen: Sequence[Block], sheet: Sheet) -> list[dict[str, Any] | None]:
    """The values of each block, in order."""
    shares = blocks.shares(chosen, len(sheet.page["products"]))
    return [
        _products(block, sheet, shares[place])
        if isinstance(block, blocks.Products)
        else _MAKERS[type(block)](block, sheet)
        for place, block in enumerate(chosen)
    ]


def _header(block: blocks.Header, sheet: Sheet) -> dict[str, Any]:
    return {"online": block.online}


def _written(block: blocks.Written, sheet: Sheet) -> dict[str, Any] | None:
    if wording.has_fields(block.heading) or wording.has_fields(block.body):
        parts = [sheet.say(part) for part in _parts(block.body)]
        return _paragraphs(sheet.say(block.heading), [one for part in parts for one in _lines(part)])
    return _same(block.heading, block.body, sheet.page["locale"])


@lru_cache(maxsize=512)
def _parts(body: str) -> Sequence[str]:
    """A text by its paragraphs, so that those without a field stay the same for all; as a whole where one of its marks
    might reach over several."""
    parts = body.split("\n\n")
    closed = all(part.count("{{") == part.count("}}") for part in parts)
    return parts if closed and "{%" not in body and "{#" not in body else [body]


def _lines(text: str) -> Sequence[str]:
    """The paragraphs of a text as it is said."""
    if isinstance(text, Fixed) and "\n\n" not in text:
        return [text] if text else []
    return [line for part in text.split("\n\n") if (line := part.strip())]


def _paragraphs(heading: str, paragraphs: Sequence[str]) -> dict[str, Any] | None:
    return {"heading": heading, "paragraphs": list(paragraphs)} if heading or paragraphs else None


@lru_cache(maxsize=512)
def _same(heading: str, body: str, locale: str) -> Same | None:
    said, body = (format.typeset(text.strip(), locale) for text in (heading, body))
    shown = _paragraphs(said, _lines(body))
    return Same(shown) if shown else None


def _image(block: blocks.Image, sheet: Sheet) -> dict[str, Any] | None:
    image = sheet.picture(block.url)
    return {"image": Fixed(image), "alt": Fixed(block.alt), "url": sheet.lead(block.link)} if image else None


def _button(block: blocks.Button, sheet: Sheet) -> dict[str, Any] | None:
    usual = sheet.page["button"]
    url = sheet.lead(block.link) if block.link else usual["url"] if usual else None
    label = sheet.say(block.label) if block.label else usual["label"] if usual else Fixed(sheet.page["say"].visit)
    return {"url": url, "label": label} if url else None


def _products(block: blocks.Products, sheet: Sheet, share: Sequence[int]) -> dict[str, Any] | None:
    """Three in a row, or two where that leaves none alone; what the last row lacks leaves its place empty."""
    shown = [sheet.page["products"][number] for number in share]
    if not shown:
        return None
    columns = 2 if len(shown) in (2, 4) else 3
    places = [{"padding": Fixed(gap), "width": Fixed(f"{100 // columns}%")} for gap in _GAPS[columns]]
    placed = [one | places[index % columns] for index, one in enumerate(shown)]
    rows = [placed[start : start + columns] for start in range(0, len(placed), columns)]
    rows[-1] += [_NOTHING | place for place in places[len(rows[-1]) :]]
    return {"title": sheet.say(block.title) if block.title else sheet.page["products_title"], "rows": rows}


_NOTHING: dict[str, Any] = {"title": "", "reason": "", "price": "", "url": None, "image": None}


def _code(block: blocks.Code, sheet: Sheet) -> dict[str, Any] | None:
    code = sheet.page["code"]
    if not code:
        return None
    square = block.drawn == "square"
    return {
        "image": sheet.draw(block.drawn) if block.drawn != "letters" else None,
        "width": Fixed(132) if square else code["width"],
        "height": Fixed(132 if square else barcode.SHOWN_HEIGHT),
        "alt": Fixed(sheet.page["say"].square if square else sheet.page["say"].barcode),
    }


def _store(block: blocks.Store, sheet: Sheet) -> dict[str, Any] | None:
    store = sheet.stores.get(block.store)
    if store is None:
        return None
    where = None
    if store.latitude is not None and store.longitude is not None:
        marked = urlencode({"mlat": store.latitude, "mlon": store.longitude})
        where = f"{MAPS}?{marked}#map=17/{store.latitude}/{store.longitude}"
    return {
        "name": store.name or store.store_id,
        "address": store.address or "",
        "hours": store.hours,
        "map": sheet.lead(where),
    }


def _if_any(name: str) -> Callable[[Block, Sheet], dict[str, Any] | None]:
    """A block that shows a part of the page as it is."""
    return lambda block, sheet: {"shown": True} if sheet.page[name] else None


_MAKERS: Mapping[type, Callable[..., dict[str, Any] | None]] = {
    blocks.Header: _header,
    blocks.Written: _written,
    blocks.Image: _image,
    blocks.Button: _button,
    blocks.Question: _if_any("question"),
    blocks.Product: _if_any("about"),
    blocks.Basket: _if_any("lines"),
    blocks.Code: _code,
    blocks.Reviews: _if_any("reviews"),
    blocks.Store: _store,
}
