"""The first ten minutes of an empty installation, by clicking: a source, files with columns of their own, a model, and
a relaunch in one's own mailbox."""

import csv
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
import sqlalchemy as sa
from playwright.sync_api import Page, expect

from campaigns import files as ready_made
from foundation.config import Config
from recommender import training
from recommender.tables import training_runs
from shop import inbox
from tests.app.console_world import EMAIL
from tests.campaigns import sink
from tests.console import Console, everyone, marks, spoken, too_wide
from tests.recommender.conftest import COFFEES, TEAS

pytestmark = marks


@pytest.fixture
def mailbox() -> Iterator[tuple[sink.Sink, str]]:
    with sink.listening() as (kept, host):
        yield kept, f"smtp://{host.name}:{host.port}"


@pytest.fixture
def config(config: Config, mailbox: tuple[sink.Sink, str]) -> Config:
    """Mails leave by a server of the test's own."""
    return replace(config, email_url=mailbox[1], email_from="Maison Aubier <bonjour@aubier.example>")


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    """What a shop has on its disk: customers, products, orders as its own programs write them, and a picture."""
    now, random = datetime.now(UTC), np.random.default_rng(5)
    people = [[f"c-{n}", f"c{n}@example.org", f"Prénom{n}"] for n in range(40)]
    goods = [[one, one.title(), "19.90", "EUR", f"https://aubier.example/{one}"] for one in (*TEAS, *COFFEES)]
    bought = []
    for n in range(40):
        favourites = random.choice(TEAS if n % 4 else COFFEES, 3, replace=False)
        for days in range(67, 1, -5):
            at = (now - timedelta(days=days)).isoformat()
            bought += [[f"o-{n}-{days}", f"c-{n}", at, one, "1"] for one in random.choice(favourites, 2, replace=False)]
    made = {
        "customers": _written(tmp_path / "clients.csv", ["id_client", "courriel", "prenom"], people),
        "products": _written(tmp_path / "goods.csv", ["sku", "name", "prix", "currency", "link"], goods),
        "orders": _written(tmp_path / "ventes.csv", ["numero", "client", "date", "sku", "qty"], bought),
        "picture": tmp_path / "picture.csv",
    }
    made["picture"].write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(range(256)))
    return made


def _written(path: Path, header: Sequence[str], rows: Sequence[Sequence[str]]) -> Path:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([header, *rows])
    return path


def _hand_in(page: Page, kind: str, path: Path) -> None:
    page.locator("select[name=kind]").select_option(kind)
    page.locator("input[name=file]").set_input_files(path)
    page.locator("main form.filters .btn-primary").click()


@everyone
def test_an_empty_installation_sends_its_first_relaunch(
    console: Console,
    files: dict[str, Path],
    mailbox: tuple[sink.Sink, str],
    locale: str,
    width: int,
) -> None:
    say = spoken(locale)
    with console.installation.db.begin() as conn:
        ready_made.ensure_demo(conn, now=datetime.now(UTC), demo=False)  # as the first start does
    page = console.open(locale=locale, width=width)
    guide = page.locator(".first-run")

    def done(steps: int) -> None:
        page.goto("/console/")
        expect(guide.get_by_role("progressbar")).to_have_attribute("value", str(steps))
        assert too_wide(page) == 0

    done(0)
    _connect(console, page)
    done(1)
    guide.get_by_role("link", name=say("Hand in a file")).click()
    _import(page, files, locale)
    done(2)
    guide.get_by_role("link", name=say("Train"), exact=True).click()
    page.get_by_role("button", name=say("Train now")).click()
    with console.installation.db.begin() as conn:
        assert conn.scalar(sa.select(training_runs.c.state)) == "asked"
    assert training.run(console.installation.db, now=datetime.now(UTC), budget=20).state == "published"
    done(3)
    guide.get_by_role("link", name=say("Send a test")).click()
    page.get_by_role("button", name=say("Send it to me")).click()
    expect(page.get_by_role("status").last).to_contain_text(EMAIL)
    (received,) = mailbox[0].kept
    assert received["To"] == EMAIL and received["Subject"]
    page.goto("/console/")
    expect(guide).to_have_count(0)


def _connect(console: Console, page: Page) -> None:
    """A key is made for the site, and the site sends a first event with it."""
    page.locator(".first-run").get_by_role("link").first.click()
    page.locator("#keys [name=name]").fill("boutique")
    page.locator("#keys form.filters button").click()
    key = page.locator("#new-key").inner_text()
    seen = {"anonymousId": "a browser", "event": "Product Viewed", "properties": {"product_id": TEAS[0]}}
    sent = page.request.post("/v1/track", data=seen, headers={"Authorization": f"Bearer {key}"})
    assert sent.ok, sent.text()
    inbox.drain(console.installation.db)


def _import(page: Page, files: dict[str, Path], locale: str) -> None:
    """A wrong file is refused; then each is tried and taken in, once its columns are named."""
    say, (tried, imported) = spoken(locale), {"en": ("Tried", "Imported"), "fr": ("Essai", "Importé")}[locale]
    _hand_in(page, "customers", files["picture"])
    expect(page.locator("#file-fault")).to_be_visible()
    for kind in ("customers", "products", "orders"):
        page.goto("/console/sources/imports")
        _hand_in(page, kind, files[kind])
        expect(page.locator("h1")).to_have_text(files[kind].name)
        if kind == "orders":
            page.get_by_role("button", name=say("Try it")).click()
            expect(page.locator("main .fault").first).to_contain_text("user_id")
            page.locator("tr", has=page.get_by_text("client", exact=True)).locator("select").select_option("user_id")
        page.get_by_role("button", name=say("Try it")).click()
        expect(page.locator("#progress .note-ok")).to_contain_text(tried)
        page.get_by_role("button", name=say("Import it")).click()
        expect(page.locator("#progress .note-ok")).to_contain_text(imported)
