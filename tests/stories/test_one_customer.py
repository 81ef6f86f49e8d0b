"""One customer, by clicking: two who became one are parted again, everything held is exported and erased, and why she
did not get a message is found out."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa
from playwright.sync_api import Page, expect

from shop import customers, ingest, sources, vocabulary
from shop.tables import events
from tests.app import console_world
from tests.app.console_world import Day
from tests.console import PHONE, Console, everyone, in_every_corner, marks, spoken, too_wide

pytestmark = marks


@pytest.fixture
def day(console: Console) -> Day:
    return console_world.live(console.installation)


def _search(page: Page, typed: str, *, found: str) -> None:
    """From wherever one is, to somebody's page."""
    if page.viewport_size and page.viewport_size["width"] == PHONE:
        page.locator(".phonebar > a.btn-icon").click()
    else:
        page.keyboard.press("Control+k")
        page.keyboard.type(typed)
        page.keyboard.press("Enter")
    page.locator("input[name=q][hx-get]").fill(typed)
    page.locator("#found").get_by_role("link", name=found).first.click()
    expect(page.locator("h1")).to_have_text(found)


def _visit_then_sign_in(conn: sa.Connection, user: str) -> None:
    """A browser looks at a product, and turns out to be hers."""
    now = datetime.now(UTC)
    site = sources.source(conn, "site", channel="web", now=now)
    looked = {"type": "track", "event": "Product Viewed", "anonymousId": "a browser", "messageId": "m1"}
    came_in = {"type": "identify", "userId": user, "anonymousId": "a browser", "messageId": "m2"}
    for payload in (looked, came_in):
        event = vocabulary.parse(payload, source=site, received_at=now)
        assert isinstance(event, vocabulary.Event)
        ingest.ingest(conn, [event], now=now)


@in_every_corner
def test_two_who_became_one_are_parted_again(console: Console, day: Day, locale: str, width: int) -> None:
    say = spoken(locale)
    with console.installation.db.begin() as conn:
        _visit_then_sign_in(conn, "paul")
    page = console.open(locale=locale, width=width)
    _search(page, "delmas", found="Paul Delmas")
    page.get_by_role("link", name=say("See the merge")).click()
    page.get_by_role("button", name=say("Undo this merge")).click()
    asked = page.get_by_role("dialog")
    expect(asked).to_contain_text("Paul Delmas")
    asked.get_by_role("button", name=say("Go back")).click()
    expect(asked).to_be_hidden()
    page.get_by_role("button", name=say("Undo this merge")).click()
    page.get_by_role("dialog").get_by_role("button", name=say("Undo the merge")).click()
    expect(page.get_by_role("status").last).to_contain_text(
        say("They are two customers again; each has what was theirs.")
    )
    expect(page.get_by_role("button", name=say("Undo this merge"))).to_have_count(0)
    assert too_wide(page) == 0
    with console.installation.db.begin() as conn:
        seen = conn.scalars(sa.select(events.c.customer_id).where(events.c.name == "Product Viewed")).all()
    assert len(seen) == 1 and seen != [day.paul], "what the browser saw is the browser's again"


@everyone
def test_everything_held_is_taken_out_then_erased(
    console: Console, day: Day, tmp_path: Path, locale: str, width: int
) -> None:
    say = spoken(locale)
    page = console.open(locale=locale, width=width)
    _search(page, "laurent", found="Camille Laurent")
    with page.expect_download() as started:
        page.get_by_role("link", name=say("Export")).click()
    started.value.save_as(tmp_path / "hers.json")
    held = json.loads((tmp_path / "hers.json").read_text())
    assert "camille@example.org" in json.dumps(held) and "W-1" in json.dumps(held)
    page.get_by_role("button", name=say("Erase"), exact=True).click()
    page.get_by_role("dialog").get_by_role("button", name=say("Erase this person")).click()
    expect(page.get_by_role("status").last).to_contain_text(say("Everything held on this person is erased."))
    page.locator("input[name=q][hx-get]").fill("laurent")
    expect(page.locator("#found").get_by_role("link", name="Camille Laurent")).to_have_count(0)
    assert page.request.get(f"/console/customers/{day.camille}").status == 404
    with console.installation.db.begin() as conn:
        assert customers.find(conn, user_id="camille") is None


@in_every_corner
def test_why_she_did_not_get_it_is_found_out(console: Console, day: Day, locale: str, width: int) -> None:
    say = spoken(locale)
    page = console.open(locale=locale, width=width)
    _search(page, "paul@", found="Paul Delmas")
    page.get_by_role("navigation", name=say("What to show")).get_by_role("link", name=say("Messages")).click()
    expect(page.locator(".timeline").first).to_contain_text(say("never agreed to be written to"))
    page.locator(".timeline .tl a").first.click()
    expect(page.locator("main .lede")).to_contain_text(say("never agreed to be written to"))
    expect(page.locator("main")).to_contain_text(say("It was never handed to a provider."))
    assert too_wide(page) == 0
