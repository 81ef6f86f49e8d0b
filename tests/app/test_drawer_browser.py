"""Why a message went or did not, in a drawer beside the list it stands in: the page stays."""

import pytest
from playwright.sync_api import Route, expect

from tests.app import console_world
from tests.console import Console, grave, in_every_corner, marks, spoken, too_wide

pytestmark = marks


@in_every_corner
def test_a_message_is_explained_beside_the_list(console: Console, locale: str, width: int) -> None:
    console_world.live(console.installation)
    say = spoken(locale)
    page = console.open("/console/messages", locale=locale, width=width)
    link = page.locator("a[data-drawer]").first
    link.focus()
    page.keyboard.press("Enter")
    drawer = page.get_by_role("dialog")
    expect(drawer.get_by_role("heading", level=2).first).to_be_visible()
    expect(drawer.get_by_role("link", name=say("Open the message"))).to_have_attribute(
        "href", link.get_attribute("href") or ""
    )
    assert page.url.endswith("/console/messages"), "the list stays"
    assert too_wide(page) == 0
    assert grave(page) == []
    page.keyboard.press("Escape")
    expect(drawer).to_be_hidden()
    expect(link).to_be_focused()


def test_a_customers_messages_are_explained_beside_her_days(console: Console) -> None:
    day = console_world.live(console.installation)
    page = console.open(f"/console/messages/{day.message_id}")
    page.locator("dl.facts a").first.click()
    page.wait_for_url("**/console/customers/*")
    page.locator("a[data-drawer]").first.click()
    drawer = page.get_by_role("dialog")
    expect(drawer.get_by_text("Camille Laurent")).to_be_visible()
    drawer.get_by_role("link", name="Open the message").click()
    page.wait_for_url(f"**/console/messages/{day.message_id}")
    expect(page.locator("iframe")).to_be_visible()


@pytest.mark.parametrize("answered", [True, False], ids=["an-error", "nothing"])
def test_whoever_gets_no_drawer_gets_the_page(console: Console, *, answered: bool) -> None:
    def fail(drawer: Route) -> None:
        if "hx-target" not in drawer.request.headers:
            drawer.continue_()
        elif answered:
            drawer.fulfill(status=500, body="<p>Broken</p>")
        else:
            drawer.abort()

    console_world.live(console.installation)
    page = console.open("/console/messages", heard=False)
    page.locator("a[data-drawer]").first.click()
    drawer = page.get_by_role("dialog")
    expect(drawer).to_be_visible()
    page.keyboard.press("Escape")
    page.route("**/console/messages/*", fail)
    page.locator("a[data-drawer]").first.click()
    page.wait_for_url("**/console/messages/*")
    expect(drawer).to_be_hidden()


def test_a_drawer_asked_for_twice_opens_once_it_has_come(console: Console) -> None:
    console_world.live(console.installation)
    page = console.open("/console/messages")
    held: list[Route] = []
    page.route("**/console/messages/*", lambda drawer: held.append(drawer))
    link, drawer = page.locator("a[data-drawer]").first, page.locator("#drawer")
    with page.expect_request("**/console/messages/*"):
        link.click()
    link.click()
    expect(drawer).to_be_hidden()
    held[0].continue_()
    expect(drawer.get_by_role("link", name="Open the message")).to_be_visible()
    assert len(held) == 1
