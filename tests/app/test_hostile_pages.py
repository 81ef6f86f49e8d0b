"""A hundred ways to bring a script into a page, as what customers, feeds, visitors and marketers say: none runs.

Each is in names, products, pages visited and words of a mail, and looked at in Chromium.
"""

from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from playwright.sync_api import Browser, Page, Route, expect

from campaigns import enrolments, messages, onsite
from foundation.config import Config
from foundation.database import Database
from shop import catalogue
from shop.tables import products
from tests.app import storefront
from tests.app.console_world import NOW
from tests.campaigns import world
from tests.campaigns.carriers import Carrier
from tests.console import Console, marks

pytestmark = marks
RUN = "top.__xss=(top.__xss||0)+1"
ELEMENTS = (
    f"<script>{RUN}</script>",
    f"<ScRiPt x>{RUN}</sCrIpT >",
    f"<img src=x onerror={RUN}>",
    f"<img/src='x'/onerror='{RUN}'>",
    f"<svg onload={RUN}>",
    f"<svg><script>{RUN}</script></svg>",
    f"<svg><animate onbegin={RUN} attributeName=x dur=1s>",
    f"<body onload={RUN}>",
    f"<iframe srcdoc='<script>{RUN}</script>'></iframe>",
    f"<iframe src=javascript:{RUN}></iframe>",
    f"<details open ontoggle={RUN}>x</details>",
    f"<video><source onerror={RUN}></video>",
    f"<audio src=x onerror={RUN}></audio>",
    f"<input autofocus onfocus={RUN}>",
    f"<select autofocus onfocus={RUN}></select>",
    f"<object data=javascript:{RUN}></object>",
    f"<embed src=javascript:{RUN}>",
    f"<math><mtext></mtext><img src=x onerror={RUN}></math>",
    f"<meta http-equiv=refresh content='0;url=javascript:{RUN}'>",
    f"<a autofocus onfocus={RUN} href=javascript:{RUN}>x</a>",
)
WAYS_OUT = ("", '">', "'>", "</title></style></textarea>", "--></script>")
VECTORS = [out + element for out in WAYS_OUT for element in ELEMENTS]


def ran(page: Page) -> object:
    """How many ran: those of a frame say so at the top."""
    page.wait_for_load_state("networkidle")
    return page.evaluate("() => window.__xss ?? null")


def test_there_are_a_hundred_and_a_page_that_trusts_them_runs_them(chromium: Browser) -> None:
    """Else the tests below would pass for nothing."""
    assert len(set(VECTORS)) == 100
    page = chromium.new_page()
    page.route("**/*", lambda route: route.fulfill(body="<!doctype html><div id=here></div>", content_type="text/html"))
    page.goto("http://localhost/")
    lively = 0
    for vector in ELEMENTS:
        page.set_content(f"<!doctype html><p>{vector}</p>")
        lively += bool(ran(page))
        page.goto("http://localhost/")
    page.close()
    assert lively >= 8, "the others need another browser, or another moment"


@pytest.mark.parametrize("path", ["/console/customers", "/console/customers/{id}", "/console/sources/catalogue"])
def test_none_runs_in_the_console(console: Console, path: str) -> None:
    with console.installation.db.begin() as conn:
        person = world.make_customer(conn, "mallory", at=NOW)
        for number, vector in enumerate(VECTORS):
            world.make_customer(conn, f"u{number}", at=NOW, first_name=vector, last_name=vector, city=vector)
            visited = {"url": f"https://shop.example/{vector}", "title": vector, "path": vector, "referrer": vector}
            world.say(conn, "mallory", "Page Viewed", at=NOW + timedelta(seconds=number), **visited)
        fed = catalogue.put(conn, [_product(number, vector) for number, vector in enumerate(VECTORS)], now=NOW)
        assert all(one.ok for one in fed)
    page = console.open(path.format(id=person))
    assert "onerror" in page.content(), "they are on the page, as words"
    assert ran(page) is None


def _product(number: int, vector: str) -> dict[str, object]:
    said = dict.fromkeys(("title", "brand"), vector)
    return {"product_id": f"x{number}", "price": "9.00", "currency": "EUR"} | said


def test_none_runs_in_what_the_tracker_puts_on_a_page_that_allows_everything(
    config: Config, db: Database, chromium: Browser
) -> None:
    """Slots, a pop-in and a banner by the real tracker, of what marketers wrote and feeds brought; the shop's page has
    no content policy that would stop anything."""
    places = "".join(f"<div data-relance-slot='place-{number}'></div>" for number in range(len(VECTORS)))
    with storefront.opened(config, db) as (_, address), closing(chromium.new_context(locale="en-GB")) as context:
        with db.begin() as conn:
            for n, (product,) in enumerate(conn.execute(sa.select(products.c.product_id)).all()):
                fed = {
                    "title": VECTORS[n],
                    "url": f"javascript:{RUN}",
                    "image_url": f"https://x.example/'{VECTORS[20]}",
                }
                conn.execute(sa.update(products).where(products.c.product_id == product).values(fed))
            for number, vector in enumerate(VECTORS):
                _put(conn, f"slot-{number}", vector, form="slot", slot=f"place-{number}", products=2 * (number == 0))
            _put(conn, "popin", VECTORS[2], form="popin")
            _put(conn, "banner", VECTORS[22], form="banner")
        page = context.new_page()
        storefront.own_page(page, address, attributes='data-consent="granted"', body=places, policy="")
        expect(page.locator("[data-relance=slot] h2")).to_have_count(len(VECTORS), timeout=20_000)
        expect(page.locator("[data-relance=slot] li")).to_have_count(2, timeout=20_000)
        expect(page.locator("[data-relance=popin] dialog")).to_be_visible(timeout=20_000)
        expect(page.locator("[data-relance=banner] h2")).to_have_text(VECTORS[22], timeout=20_000)
        assert page.locator("[data-relance=slot] h2").all_text_contents() == VECTORS, "all are there, as words"
        assert page.locator("[data-relance] [href^=javascript]").count() == 0
        page.locator("[data-relance=slot] li").first.dispatch_event("click")
        assert ran(page) is None
        page.evaluate("(html) => document.body.insertAdjacentHTML('beforeend', html)", VECTORS[2])
        page.wait_for_function("() => window.__xss === 1")  # the page itself lets everything run


def _put(conn: sa.Connection, name: str, vector: str, **changes: object) -> None:
    words = {"heading": vector, "text": "\n".join([vector, *VECTORS[:20]])[:2000], "button": vector}
    block = {"title": vector, "words": {"en": words}, "link": "https://shop.example/", **changes}
    onsite.put(conn, name, block, now=NOW)
    onsite.move(conn, name, "live", now=NOW)


def test_none_runs_in_a_mail_even_where_nothing_shuts_it_in(db: Database, chromium: Browser, tmp_path: Path) -> None:
    """The mail's own HTML, as a page of an origin with a cookie, without the sandbox our previews have."""
    carrier = Carrier()
    with db.begin() as conn:
        world.stock_shop(conn, now=NOW)
        assert all(one.ok for one in catalogue.put(conn, [_product(n, v) for n, v in enumerate(VECTORS)], now=NOW))
        words = {"fr": {"subject": "x", "heading": VECTORS[2], "intro": "\n\n".join(VECTORS)}}
        world.launch(conn, now=NOW, offer=None, products=0, words=words)
        for number in range(0, len(VECTORS), 4):
            user = f"u{number}"
            world.make_customer(conn, user, at=NOW, first_name=VECTORS[number])
            for one in range(number, number + 4):
                line = {"cart_id": f"cart-of-{user}", "product_id": f"x{one}", "name": VECTORS[one], "price": "9.00"}
                world.say(conn, user, "Product Added", at=NOW, quantity=1, currency="EUR", **line)
    due = NOW + timedelta(hours=1, minutes=1)
    enrolments.admit_due(db, now=due)
    enrolments.advance_due(db, now=due)
    messages.deliver_due(db, world.sending(carrier, tmp_path), now=due)
    assert len(carrier.handed) == len(VECTORS) // 4
    page, shown = chromium.new_page(), iter([mail.html for mail in carrier.handed])

    def answer(route: Route) -> None:
        mail = route.request.url.endswith("/mail")
        route.fulfill(body=next(shown) if mail else "", content_type="text/html; charset=utf-8")

    page.route("**/*", answer)
    for _ in carrier.handed:
        page.goto("http://localhost/mail")
        assert ran(page) is None
        text = " ".join(page.inner_text("body").split())
        assert [one for one in VECTORS if " ".join(one.split()) not in text] == [], "all are there, as words"
    page.close()
