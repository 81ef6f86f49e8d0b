"""A real browser in the demo shop, and the server it visits."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from playwright.sync_api import BrowserContext, Page, sync_playwright

import app as front
from app import parts
from app.demo import storefront as shop
from foundation.config import Config
from foundation.database import Database
from shop import catalogue, stores
from tests import browser
from tests.app.conftest import NOW
from tests.serving import Server

PRODUCTS = (
    ("1001", "Onion soup 11 oz", "Grocery > Soup", "24.90", "soup"),
    ("1002", "Rye bread 20 oz", "Grocery > Bread", "3.50", "bread"),
    ("1003", "Carrots 2 lb", "Fruit and vegetables > Carrots", "1.99", "vegetables"),
)


@contextmanager
def opened(config: Config, db: Database) -> Iterator[tuple[parts.Parts, str]]:
    """The shop with three products, served at an address of its own until the end of the block."""
    server = Server()
    address = server.address
    built = parts.build(replace(config, demo=True, base_url=address))
    with db.begin() as conn:
        shop.ensure(conn, config.var, now=NOW)
        feed = [
            {
                "product_id": one,
                "title": title,
                "category": category,
                "price": price,
                "url": f"{address}/demo/product/{one}",
            }
            | {"image_url": f"{address}/demo/images/{picture}.png", "currency": "EUR"}
            for one, title, category, price, picture in PRODUCTS
        ]
        catalogue.put(conn, feed, now=NOW)
        stores.put(conn, [{"store_id": "367", "name": "Nantes Crébillon"}], now=NOW)
    server.serve(front.create_app(built))
    try:
        yield built, address
    finally:
        server.close()
        built.close()


@contextmanager
def visiting(folder: Path, **options: object) -> Iterator[BrowserContext]:
    """A browser with a profile of its own: notifications are refused to those that keep nothing."""
    hosts = "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE localhost"
    with sync_playwright() as play:
        context = play.chromium.launch_persistent_context(
            str(folder),
            executable_path=browser.executable(),
            args=["--no-sandbox", hosts],
            **{"locale": "en-GB", **options},  # type: ignore[arg-type]
        )
        context.set_default_timeout(30_000)
        yield context
        context.close()


STRICT = "default-src 'self'"
"""A content policy that allows nothing inline."""


def own_page(
    page: Page,
    address: str,
    *,
    attributes: str = "",
    before: str = "",
    body: str = "<p>Hello</p>",
    policy: str = STRICT,
) -> None:
    """A page of a shop that has nothing but the tracker."""
    key = page.request.get(f"{address}/demo/").text().split('data-write-key="')[1].split('"')[0]
    html = '<!doctype html><html lang="en"><title>Own</title><link rel="stylesheet" href="/own.css">'
    html += f'<script src="/own.js"></script><script src="/tracker.js" data-write-key="{key}" {attributes}></script>'
    headers = {"Content-Security-Policy": policy}
    whole = f"{html}<body>{body}</body></html>"
    page.route("**/own/**", lambda route: route.fulfill(body=whole, content_type="text/html", headers=headers))
    page.route("**/own.js", lambda route: route.fulfill(body=before or ";", content_type="text/javascript"))
    page.route("**/own.css", lambda route: route.fulfill(body=ROOM, content_type="text/css"))
    page.goto(f"{address}/own/one")


ROOM = "[data-relance-slot] { min-height: 320px }"
"""What a shop's own style keeps for a slot."""
