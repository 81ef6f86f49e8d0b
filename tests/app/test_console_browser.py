"""The console in a real browser, as somebody works in it: finding, deciding, reading, changing the look."""

import pytest
from playwright.sync_api import Route

from tests.app import console_world
from tests.app.console_world import CAMPAIGN, Day
from tests.console import Console, marks

pytestmark = marks


@pytest.fixture
def day(console: Console) -> Day:
    return console_world.live(console.installation)


def test_customers_are_found_as_one_types(console: Console, day: Day) -> None:
    page = console.open()
    page.keyboard.press("Control+k")
    page.keyboard.type("Delmas")
    page.keyboard.press("Enter")
    page.get_by_role("link", name="Paul Delmas").wait_for()
    page.fill("input[hx-get]", "laur")
    page.get_by_role("link", name="Camille Laurent").click()
    assert page.locator("h1").inner_text() == "Camille Laurent"


def test_what_is_typed_before_the_scripts_have_come_is_searched_as_well(console: Console, day: Day) -> None:
    page = console.open()
    held: list[Route] = []
    page.route("**/htmx*.js*", lambda script: held.append(script))
    with page.expect_request("**/htmx*.js*"):
        page.goto("/console/customers?q=Delmas", wait_until="commit")
    page.fill("main input[name=q]", "laur")
    for script in held:
        script.continue_()
    page.get_by_role("link", name="Camille Laurent").click()
    assert page.locator("h1").inner_text() == "Camille Laurent"


def test_a_decision_is_asked_before_it_is_taken(console: Console, day: Day) -> None:
    page = console.open()
    page.goto(f"/console/campaigns/{CAMPAIGN}")
    page.get_by_role("button", name="Pause").click()
    assert "2 customers are on their way" in page.get_by_role("dialog").inner_text()
    page.keyboard.press("Escape")
    assert page.get_by_role("dialog").count() == 0
    page.get_by_role("button", name="Pause").click()
    page.get_by_role("button", name="Pause it").click()
    page.get_by_text("Paused. Nothing is on its way.").wait_for()


def test_new_mail_arrives_by_itself_and_is_read_beside_the_list(console: Console, day: Day) -> None:
    page = console.open()
    page.goto("/console/mailbox")
    page.wait_for_event("response", lambda answer: "/console/mailbox/list" in answer.url)
    page.locator(".mail-row").click()
    mail = page.frame_locator(".mail-frame")
    mail.get_by_text("Camille, your basket").or_(mail.get_by_text("Camille, votre panier")).first.wait_for()
    with page.context.expect_page() as opened:
        mail.locator("a[href*='/c/']").first.click()
    assert opened.value.url != page.url


def test_the_look_and_the_language_change_from_the_menu(console: Console, day: Day) -> None:
    page = console.open()
    page.locator(".profile summary").click()
    page.get_by_role("button", name="Français").click()
    page.get_by_text("Bonjour Inès.").wait_for()
    page.locator(".profile summary").click()
    page.get_by_role("button", name="Sombre").click()
    page.locator("html[data-theme=dark]").wait_for()
