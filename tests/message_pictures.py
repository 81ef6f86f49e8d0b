"""What customers get, in pictures: every mail of the ready-made campaigns, and a message of each other channel.

python -m tests.message_pictures      into docs/screenshots/messages/, without an installation
"""

import base64
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from html import escape
from pathlib import Path
from typing import Any

import flask_babel
from flask import Flask, render_template
from playwright.sync_api import Browser, Page

from app import filters, i18n
from app.api import onsite as interface
from app.api.onsite import Shown
from campaigns import barcode, content, eligibility, files, notes, onsite, previews, promotions
from campaigns.content import Subject
from campaigns.definitions import entries, flow, shapes
from campaigns.definitions.steps import Ask, Send
from campaigns.links import Links
from shop.baskets import CartLine
from shop.catalogue import Product
from shop.events import Review
from tests import browser, serving
from tests.campaigns import letters

ROOT = Path(__file__).resolve().parent.parent
OUT = ROOT / "docs" / "screenshots" / "messages"
LOCALES = ("fr", "en")
WIDTHS = (390, 700)
SCALE = {390: 0.44, 700: 0.3}
"""How much smaller a mail is on its sheet."""
QUALITY = 58
MOST_BYTES = 1_500_000
BY_NIGHT = ("basket-relaunch", "review-request", "welcome")
CSS = ("tokens", "base", "frame", "components", "pages", "journeys", "messages")
GOODS = {
    "cocotte": (18900, "Cocotte en fonte 24 cm", "Cast-iron casserole, 24 cm"),
    "linen": (3200, "Torchon en lin lavé, lot de 2", "Washed linen tea towels, set of 2"),
    "spices": (950, "Fleur de sel de Guérande 125 g", "Guérande sea salt, 125 g"),
    "oil": (2490, "Huile d'olive Aglandau", "Aglandau olive oil"),
    "tea": (1400, "Thé noir de Ceylan", "Black Ceylon tea"),
    "jam": (780, "Confiture d'abricots du Roussillon", "Roussillon apricot jam"),
    "candle": (2900, "Bougie parfumée, figuier", "Scented candle, fig tree"),
    "chocolate": (1150, "Chocolat noir 72 %", "Dark chocolate, 72%"),
    "coffee": (1690, "Café en grains, torréfié à Nantes", "Coffee beans, roasted in Nantes"),
}
HELD = ("cocotte", "linen", "spices")
WHY = {"fr": "souvent choisi avec", "en": "often chosen with it"}
OPINIONS = {
    "fr": [Review("cocotte", 5, "Elle ne quitte plus ma cuisinière."), Review("cocotte", 4, "Lourde, et belle.")],
    "en": [Review("cocotte", 5, "It never leaves my cooker."), Review("cocotte", 4, "Heavy, and beautiful.")],
}
TEMPLATE = {"type": "send", "id": "w", "channel": "whatsapp", "template": {"name": "basket_waiting"}}
CODE = "AUBIER7K2MQX"
BANNER = {
    "fr": ("Livraison offerte dès 60 €", "Jusqu'à dimanche, partout en France.", "J'en profite"),
    "en": ("Free delivery from €60", "Until Sunday, all over France.", "Have a look"),
}


@dataclass(frozen=True, slots=True)
class Piece:
    """One message as a page: which campaign's, what stands beneath its picture."""

    campaign: str
    label: str
    html: str


def main() -> int:
    """Takes all of them; returns the exit code."""
    if browser.executable() is None:
        print("No Chromium found: python -m tests.browser installs one.")
        return 1
    shutil.rmtree(OUT, ignore_errors=True)
    OUT.mkdir(parents=True)
    shop = bare_shop()
    with serving.served(shop) as base, browser.launched() as chromium:
        for locale in LOCALES:
            written, others = list(mails(base, locale)), list(_others(shop, base, locale))
            for width in WIDTHS:
                _sheet(chromium, _taken(chromium, base, written, width), f"mails-{locale}-{width}", SCALE[width])
            dark = [mail for mail in written if mail.campaign in BY_NIGHT]
            _sheet(chromium, _taken(chromium, base, dark, 390, look="dark"), f"mails-{locale}-night", SCALE[390])
            _sheet(chromium, _taken(chromium, base, others, 390), f"others-{locale}", 0.7)
    size = sum(path.stat().st_size for path in OUT.iterdir())
    print(f"{size / 1e6:.2f} MB in {OUT.relative_to(ROOT)}")
    return 0 if size < MOST_BYTES else 1


# --------------------------------------------------------------------------------------------- what is said
def mails(base: str, locale: str) -> Iterator[Piece]:
    """Every mail of the ready-made campaigns, as it would be sent."""
    signed = Links(["a secret of these pictures, long enough"], base)
    for ready in files.ready_made():
        for step, told in _messages(ready, base, locale):
            if getattr(step, "channel", "email") == "email":
                row = content.render(told, signed)
                yield Piece(ready.name, f"{ready.name}: {row['subject']}", row["body"].html)


def _messages(ready: files.Ready, base: str, locale: str) -> Iterator[tuple[Send | Ask, content.Occasion]]:
    campaign = ready.file.campaigns[0]
    told = {"entry": campaign.entry, "offers": {offer.name: offer for offer in ready.file.offers}}
    for _, step in flow.walk(campaign.steps):
        if isinstance(step, Send | Ask) and step.words:
            wanted = campaign.purpose == eligibility.TRANSACTIONAL
            yield step, replace(_occasion(step, told, base=base, locale=locale), wanted=wanted)


def _occasion(says: Send | Ask, told: Mapping[str, Any], *, base: str, locale: str) -> content.Occasion:
    about, goods = entries.keyed(told["entry"]), _goods(base, locale)
    offer = told["offers"].get(says.offer) if isinstance(says, Send) else None
    lines = tuple(CartLine(name, 1, goods[name].price) for name in HELD)
    fell = (23900, 21900) if isinstance(told["entry"], entries.PriceDropped) else ()
    subject = Subject("cocotte", *fell) if about == "product" else None
    n = says.products or 0 if isinstance(says, Send) else 0
    return letters.occasion(
        base,
        says=says,
        locale=locale,
        cart=replace(letters.cart(), lines=lines, value=sum(line.price or 0 for line in lines))
        if about == "cart"
        else None,
        subject=subject,
        catalogue=goods,
        reviews=OPINIONS[locale] if isinstance(says, Send) and says.reviews else [],
        items=[letters.item(one, WHY[locale]) for name, one in goods.items() if name not in HELD][:n],
        offer=offer,
        code=_code() if offer else None,
        count_opens=False,
    )


def _code() -> promotions.Code:
    return promotions.Code(CODE, "AUBIER-7K2M-QX", CODE, letters.NOW + timedelta(days=7))


def _goods(base: str, locale: str) -> dict[str, Product]:
    made = {}
    for name, (price, french, english) in GOODS.items():
        known = letters.product(name, french if locale == "fr" else english, price, base)
        made[name] = replace(known, image_url=f"{base}/static/demo/images/{name}.png")
    return made


# -------------------------------------------------------------------------------------------- other channels
def _others(shop: Flask, base: str, locale: str) -> Iterator[Piece]:
    """A message of every other channel, as the console and the shop's pages draw it."""
    signed = Links(["a secret of these pictures, long enough"], "https://r.aubier.example")
    ready = next(one for one in files.ready_made() if one.name == "basket-everywhere")
    said = {getattr(step, "channel", "email"): told for step, told in _messages(ready, base, locale)}
    values = ["{{ customer.first_name }}", "{{ cart.value }}"]
    step = shapes.read(Send, {**TEMPLATE, "template": {"name": "basket_waiting", "values": values}})
    said["whatsapp"] = replace(said["sms"], says=step.model_copy(update={"words": said["sms"].says.words}))
    for channel in ("push", "sms", "whatsapp"):
        row = notes.render(said[channel], signed, channel=channel)
        yield Piece(channel, channel, _drawn(shop, locale, row, channel))
    row = notes.render(said["onsite"], signed, channel="onsite")
    told, label = row["headers"], row["headers"]["actions"][0]["label"]
    waiting = onsite.Note(previews.NOBODY, row["subject"], row["body"].text, told["url"], told["image"], label)
    popin = interface.noted(waiting, locale)
    yield Piece("onsite", "a pop-in", _on_site(shop, locale, popin))
    heading, text, button = BANNER[locale]
    changes = {"form": "banner", "position": "top", "heading": heading, "text": text, "button": button, "image": None}
    yield Piece("onsite", "a banner", _on_site(shop, locale, popin.model_copy(update=changes)))


def _drawn(shop: Flask, locale: str, row: Mapping[str, Any], channel: str) -> str:
    with shop.test_request_context(), flask_babel.force_locale(locale):
        values = {"row": row, "why": "", "shop": "Maison Aubier", "now": letters.NOW, "page": {"shape": channel}}
        drawn = render_template("console/editor/note.html", **values)
    sheets = "".join(f'<link rel="stylesheet" href="/static/css/{name}.css">' for name in CSS)
    return f'<!doctype html><html lang="{locale}"><meta charset="utf-8">{sheets}<body style="padding:20px">{drawn}'


def _on_site(shop: Flask, locale: str, shown: Shown) -> str:
    with shop.test_request_context(), flask_babel.force_locale(locale):
        return render_template("console/onsite/preview.html", block=shown.model_dump_json())


# ---------------------------------------------------------------------------------------------- in Chromium
def bare_shop() -> Flask:
    """What the templates need, and nothing that would need a database."""
    shop = Flask("app", root_path=str(ROOT / "app"), template_folder="../templates", static_folder="static")
    i18n.register(shop)
    filters.register(shop)
    return shop


def _taken(
    chromium: Browser, base: str, pieces: Sequence[Piece], width: int, *, look: str = "light"
) -> list[tuple[str, bytes]]:
    """Each one's label and picture."""
    found = []
    with easel(chromium, base, width, look=look) as show:
        for piece in pieces:
            page = show(piece.html)
            page.wait_for_load_state("networkidle")
            if page.evaluate("document.documentElement.scrollWidth") > width:
                raise RuntimeError(f"{piece.label} is wider than {width} px")
            found.append((piece.label, page.screenshot(full_page=True, animations="disabled")))
    return found


@contextmanager
def easel(
    chromium: Browser, base: str, width: int, *, look: str = "light", scale: int = 1
) -> Iterator[Callable[[str], Page]]:
    """Shows HTML as a page of the shop's own address, so that its pictures have a host; `scale` is how many pixels of
    the screen make one of the page."""
    page = chromium.new_page(
        viewport={"width": width, "height": 600},
        color_scheme=look,
        device_scale_factor=scale,  # type: ignore[arg-type]
    )
    page.route(f"{base}/shown", lambda route: route.fulfill(content_type="text/html", body=""))
    page.route(f"{base}/p/**", lambda route: route.fulfill(content_type="image/png", body=barcode.png(CODE)))

    page.goto(f"{base}/shown")

    def show(html: str) -> Page:
        page.set_content(html, wait_until="load")
        return page

    yield show
    page.close()


def _sheet(chromium: Browser, pictures: Sequence[tuple[str, bytes]], name: str, scale: float) -> None:
    """One picture of many, side by side, each with its label."""
    figures = "".join(
        f'<figure><img style="zoom:{scale}" src="data:image/png;base64,{base64.b64encode(png).decode()}">'
        f"<figcaption>{escape(label)}</figcaption></figure>"
        for label, png in pictures
    )
    style = (
        "body{margin:0;padding:12px;background:#999;display:flex;flex-wrap:wrap;gap:12px;align-items:flex-start}"
        "figure{margin:0;width:min-content}img{display:block}figcaption{font:11px/14px sans-serif;padding-top:3px}"
    )
    page = chromium.new_page(viewport={"width": 1340, "height": 400})
    page.set_content(f"<!doctype html><meta charset=utf-8><style>{style}</style>{figures}", wait_until="load")
    page.screenshot(path=OUT / f"{name}.jpg", type="jpeg", quality=QUALITY, full_page=True)
    page.close()


if __name__ == "__main__":
    sys.exit(main())
