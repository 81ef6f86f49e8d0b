"""What a page says of a file that is being read: it goes on by itself, and leaves alone what somebody does there."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from campaigns import list_imports
from tests.app import console_world
from tests.console import Console, marks

pytestmark = marks
WATCHED = """
addEventListener("htmx:beforeRequest", (event) => {
  if (event.defaultPrevented) event.target.dataset.kept = "";
});
"""
"""Marks what a page did not ask for."""
LOOKED_AWAY = "Object.defineProperty(document, 'hidden', { value: true, configurable: true });"
"""A browser without a screen has no tabs to change between."""
LOOKED_AT = "() => { delete document.hidden; document.dispatchEvent(new Event('visibilitychange')); }"


@pytest.fixture
def reading(console: Console, tmp_path: Path) -> int:
    """The number of a file of which nobody has read a line yet."""
    console_world.live(console.installation)
    (file := tmp_path / "guests.csv").write_text("user_id\ncamille\n")
    with console.installation.db.begin() as conn:
        now = datetime.now(UTC)
        return list_imports.begin(conn, "guests", title="Guests", path=file, file="guests.csv", by="ines", now=now)


def _read(console: Console, number: int, tmp_path: Path) -> None:
    db, now = console.installation.db, datetime.now(UTC)
    list_imports.run(db, number, "guests", title="Guests", path=tmp_path / "guests.csv", now=now)


def test_a_page_that_was_looked_away_from_says_that_the_file_is_read(
    console: Console, reading: int, tmp_path: Path
) -> None:
    page = console.open()
    page.add_init_script(WATCHED + LOOKED_AWAY)
    page.goto("/console/segments")
    page.locator("#lists[data-kept]").wait_for()
    _read(console, reading, tmp_path)
    page.evaluate(LOOKED_AT)
    expect(page.get_by_text("1 customer is on the list.")).to_be_visible()


def test_what_is_typed_while_a_file_is_read_stays(console: Console, reading: int, tmp_path: Path) -> None:
    page = console.open("/console/segments")
    page.get_by_role("button", name="List from a file").click()
    page.get_by_label("Name").fill("Their friends")
    _read(console, reading, tmp_path)
    expect(page.locator("#lists")).to_contain_text("1 customer is on the list.")
    expect(page.get_by_label("Name")).to_have_value("Their friends")
    page.keyboard.press("Escape")
    page.locator("#lists").get_by_role("link", name="Guests").click()
    page.wait_for_url("**/console/segments/guests")


def test_what_is_asked_for_once_is_asked_for_when_somebody_looks(console: Console) -> None:
    page: Page = console.open()
    console_world.live(console.installation)
    page.add_init_script(WATCHED + LOOKED_AWAY)
    page.goto("/console/promotions/WELCOME-BACK")
    page.locator("[hx-post$=forecast][data-kept]").wait_for()
    with page.expect_response("**/promotions/WELCOME-BACK/forecast"):
        page.evaluate(LOOKED_AT)
