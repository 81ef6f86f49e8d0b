"""The whole story: a basket left in the shop, a relaunch by e-mail, its code used at the till, the order credited.

Real purchases, a model trained on them, real PostgreSQL, a real SMTP server, a real browser. Only the waiting is
simulated: the jobs of the timetable are run for a moment two minutes later.
"""

import re
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from pathlib import Path
from urllib.parse import urlsplit

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
import sqlalchemy as sa
from playwright.sync_api import Browser, Page, expect

import app as front
from app import parts, users
from app.demo import account, purchases, storefront
from campaigns import conversions, enrolments, files, messages, visits
from campaigns import tables as campaign_tables
from campaigns.channels import smtp
from foundation.config import Config
from foundation.database import Database
from recommender import training
from shop import imports
from shop import tables as shop_tables
from tests import browser
from tests.campaigns import sink
from tests.serving import Server

pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.skipif(browser.executable() is None, reason="no Chromium and none could be installed"),
]

HOUSEHOLDS = 60
PASSWORD = "a password of the story"
SHOPPER = "hh-1@example.com"
LATER = timedelta(minutes=2)


def _some_households(directory: Path, base_url: str, now: datetime) -> dict[str, Path]:
    """The demo's import files, cut down to the purchases of a few households."""
    files = purchases.write(directory, base_url=base_url, now=now)
    customers = pq.read_table(files["customers"]).slice(0, HOUSEHOLDS)
    orders = _only(pq.read_table(files["orders"]), "user_id", customers["user_id"])
    kept = {
        "customers": customers,
        "orders": orders,
        "consents": _only(pq.read_table(files["consents"]), "user_id", customers["user_id"]),
        "products": _only(pq.read_table(files["products"]), "product_id", orders["product_id"].cast(pa.string())),
    }
    for kind, table in kept.items():
        pq.write_table(table, files[kind])
    return files


def _only(table: pa.Table, column: str, values: pa.ChunkedArray) -> pa.Table:
    return table.filter(pc.is_in(table[column], value_set=values.combine_chunks()))


@pytest.fixture
def mail() -> Iterator[tuple[sink.Sink, smtp.Host]]:
    with sink.listening() as listening:
        yield listening


@pytest.fixture
def installation(
    database_url: str, db: Database, tmp_path: Path, mail: tuple[sink.Sink, smtp.Host]
) -> Iterator[parts.Parts]:
    """A demo installation over a few households' year, its model trained, its web server answering."""
    now = datetime.now(UTC)
    server = Server("127.0.0.1")
    base_url = server.address
    environ = {"RELANCE_DATABASE_URL": database_url, "RELANCE_VAR": str(tmp_path), "RELANCE_BASE_URL": base_url}
    environ["RELANCE_EMAIL_URL"] = f"smtp://{mail[1].name}:{mail[1].port}"
    environ["RELANCE_DEMO"] = "1"
    built = parts.build(Config.from_env(environ))
    households = _some_households(tmp_path, base_url, now)
    for kind in purchases.ORDER_OF_IMPORT:
        imports.run(built.db, kind, path=households[kind], now=now, progress=lambda *_: None)
    assert training.run(built.db, now=now, progress=lambda *_: None).state == "published"
    with built.db.begin() as conn:
        storefront.ensure(conn, built.config.var, now=now)
        files.ensure_demo(conn, now=now, demo=True)
        users.create(conn, email=account.USER, role="admin", password=PASSWORD, name="Inès Moreau", now=now)
    server.serve(front.create_app(built))
    yield built
    server.close()
    built.close()


def _page(chromium: Browser, installation: parts.Parts, *, wide: bool = True) -> Page:
    viewport = {"width": 1280, "height": 900} if wide else {"width": 390, "height": 844}
    context = chromium.new_context(base_url=installation.config.base_url, viewport=viewport, locale="fr-FR")
    page = context.new_page()
    page.on("pageerror", lambda error: pytest.fail(f"a script failed: {error}"))
    return page


def _eventually(found: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + 15
    while not found():
        assert time.monotonic() < deadline, f"never came: {what}"
        time.sleep(0.1)


def _one(db: Database, query: sa.Select[tuple[object]]) -> object:
    with db.begin() as conn:
        return conn.scalar(query)


def _leave_a_basket(page: Page, installation: parts.Parts) -> None:
    page.goto("/demo/")
    page.click('[data-consent="granted"]')
    page.goto("/demo/sign-in")
    page.fill("#email", SHOPPER)
    page.click("section form .cta")
    page.goto("/demo/")
    links = page.locator('.slot a[href*="/demo/product/"]')
    products = list(dict.fromkeys(links.evaluate_all("them => them.map(one => one.getAttribute('href'))")))[:2]
    assert len(products) == 2
    for product in products:
        page.goto(product)
        page.click(".pp .cta")
        expect(page.locator("#drawer")).to_be_visible()
    open_carts = sa.select(sa.func.max(sa.func.jsonb_array_length(shop_tables.carts.c.lines))).where(
        shop_tables.carts.c.state == "open"
    )
    _eventually(lambda: _one(installation.db, open_carts) == 2, "the basket of two lines")


def _two_minutes_later(installation: parts.Parts) -> None:
    """One round of the timetable, as it would be after the customer has been away."""
    later = datetime.now(UTC) + LATER
    enrolments.admit_due(installation.db, now=later)
    enrolments.advance_due(installation.db, now=later)
    messages.deliver_due(installation.db, installation.sending(), now=later)
    sent = campaign_tables.messages.c.accepted_at
    with installation.db.begin() as conn:  # pages live by the real clock: for them the mail came two minutes ago
        conn.execute(sa.update(campaign_tables.messages).values(accepted_at=sent - 2 * LATER))


def _part(mail: EmailMessage, kind: str) -> str:
    body = mail.get_body((kind,))
    assert body is not None
    return str(body.get_content())


def test_a_basket_left_behind_comes_back_by_mail_and_is_bought_at_the_till(
    installation: parts.Parts, chromium: Browser, mail: tuple[sink.Sink, smtp.Host]
) -> None:
    shopper = _page(chromium, installation)
    _leave_a_basket(shopper, installation)

    _two_minutes_later(installation)
    (received,) = mail[0].kept
    html, text = _part(received, "html"), _part(received, "plain")
    (code,) = set(re.findall(r"AUBIER(?:-[0-9A-Z]+)+", html))
    assert code in text
    assert SHOPPER in received["To"]
    assert received["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert _shown_products(html) >= 4, "two lines of the basket and the recommended products"

    phone = _page(chromium, installation, wide=False)
    phone.set_content(html)
    link = phone.locator("a", has_text=re.compile("panier|basket", re.I)).first.get_attribute("href")
    assert link and urlsplit(link).path.startswith("/c/")
    phone.goto(link)
    expect(phone.get_by_text(code).first).to_be_visible()
    assert "/demo/basket" in phone.url

    till = _page(chromium, installation, wide=False)
    till.goto(f"/demo/till?q={code}")
    till.click(".st-ok .cta")
    till.wait_for_url("**/receipts/**")

    visits.judge(installation.db, now=datetime.now(UTC) + LATER)
    conversions.credit_new_orders(installation.db, now=datetime.now(UTC) + LATER)
    _is_told_everywhere(installation, chromium, code)
    till.goto(f"/demo/till?q={code}")
    expect(till.locator(".st-no")).to_be_visible()


def _shown_products(html: str) -> int:
    return len(re.findall(r"<img[^>]+/demo/images/", html))


def _is_told_everywhere(installation: parts.Parts, chromium: Browser, code: str) -> None:
    """The ledger, the credit, and what the marketer reads in the console."""
    assert _one(installation.db, sa.select(campaign_tables.messages.c.state)) == "accepted"
    assert _one(installation.db, sa.select(campaign_tables.promo_codes.c.state)) == "redeemed"
    assert _one(installation.db, sa.select(shop_tables.orders.c.channel).where(_last_order())) == "store"
    assert _one(installation.db, sa.select(sa.func.count()).select_from(campaign_tables.attributions)) == 1
    console = _page(chromium, installation)
    console.goto("/console/")
    console.fill("[name=email]", account.USER)
    console.fill("[type=password]", PASSWORD)
    console.press("[type=password]", "Enter")
    console.wait_for_url(lambda url: "sign-in" not in url)
    console.goto("/console/messages")
    expect(console.locator("main table")).to_contain_text("Léa Masson")
    console.goto("/console/campaigns/cart-relaunch")
    expect(console.locator("main")).to_contain_text("1 commande")


def _last_order() -> sa.ColumnElement[bool]:
    newest = sa.select(sa.func.max(shop_tables.orders.c.received_at)).scalar_subquery()
    return shop_tables.orders.c.received_at == newest


def test_a_basket_bought_in_a_shop_a_moment_ago_is_not_relaunched(
    installation: parts.Parts, chromium: Browser, mail: tuple[sink.Sink, smtp.Host]
) -> None:
    _leave_a_basket(_page(chromium, installation), installation)
    later = datetime.now(UTC) + LATER
    enrolments.admit_due(installation.db, now=later)
    enrolments.advance_due(installation.db, now=later)

    till = _page(chromium, installation, wide=False)
    till.goto(f"/demo/till?q={SHOPPER}")
    till.locator('a[href*="customer="]').first.click()
    till.click("main form[action*=receipts] button")
    till.wait_for_url("**/receipts/**")
    messages.deliver_due(installation.db, installation.sending(), now=later)

    assert mail[0].kept == []
    assert _one(installation.db, sa.select(campaign_tables.messages.c.state)) == "skipped"
    assert _one(installation.db, sa.select(campaign_tables.messages.c.reason)) == "bought"
