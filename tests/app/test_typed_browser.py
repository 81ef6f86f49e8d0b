"""Whatever is typed over an ended session stands where it was, once who typed it has signed in again."""

from pathlib import Path

from playwright.sync_api import Page, expect

from campaigns import files
from tests.app import console_world
from tests.app.console_world import CAMPAIGN
from tests.console import Console, marks, sign_in

pytestmark = marks
BACK = "What you had typed is back. It is not saved yet."
FIELDS = (
    ("/console/campaigns/new", "#title", "An hour's work"),
    (f"/console/campaigns/{CAMPAIGN}/file", "#file", '{"campaigns": []}'),
    ("/console/campaigns/basket-relaunch/edit/message/reminder/source", "#source", '{"type": "send"}'),
    ("/console/audiences", "[name=title]", "Best customers"),
    ("/console/settings/team", "#email", "new@aubier.example"),
    ("/console/placements/home", "[name=percent]", "12"),
    ("/console/sources", "[name=payload]", '{"type": "track", "event": "Mended"}'),
    ("/console/store?q=camille%40example.org", "[name=shown]", ""),
)
"""Pages, a field on each, and what is typed in it; a box is ticked instead."""


WHO = tuple(f"ines+{n}@aubier.example" for n in range(3))
"""She has several accounts, for five tries a minute are all one has."""


def submits(console: Console, page: Page, field: str, *, who: str) -> None:
    """The session ends, the form is sent, and she signs in again at the door it led to."""
    form = page.locator("form").filter(has=page.locator(field)).first
    console.end_sessions()
    form.locator("button:not([type=button])").last.click()
    page.wait_for_url("**/sign-in**")
    sign_in(page, email=who)
    expect(page.get_by_text(BACK)).to_be_visible(timeout=20_000)


def test_what_was_typed_outlives_the_session_on_every_page_one_types_on(console: Console, tmp_path: Path) -> None:
    console_world.live(console.installation)
    with console.installation.db.begin() as conn:
        files.start_from(conn, "basket-relaunch", now=console_world.NOW)
    page = console.open("/console/sources", heard=False)
    for who in WHO:
        console_world.make_user(console.installation, email=who)
    for number, (address, field, text) in enumerate(FIELDS):
        page.goto(address)
        one = page.locator(field).first
        if not one.is_visible():
            page.locator("details").filter(has=page.locator(field)).first.locator("summary").click()
        if text:
            one.fill(text)
        else:
            one.check()
        submits(console, page, field, who=WHO[number % 3])
        assert address in page.url
        if text:
            expect(page.locator(field).first).to_have_value(text)
        else:
            expect(page.locator(field).first).to_be_checked()
        expect(page.locator(field).first).to_be_visible()

    sent = tmp_path / "people.csv"
    sent.write_text("id,mail\nada,ada@example.org\n")
    page.goto("/console/sources/imports")
    page.locator("[name=file]").set_input_files(sent)
    page.get_by_role("button", name="Hand it in").click()
    column = page.locator("[name='column/0']")
    chosen = column.locator("option").nth(2).get_attribute("value") or ""
    column.select_option(chosen)
    submits(console, page, "[name='column/0']", who=WHO[2])
    expect(column).to_have_value(chosen)
