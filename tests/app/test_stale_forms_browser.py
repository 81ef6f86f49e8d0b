"""What a form of the first tab becomes once somebody signed in again in another, or while the server fails."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import sqlalchemy as sa
from playwright.sync_api import Page, expect

from campaigns import files
from tests.app import console_world
from tests.console import Console, everyone, grave, marks, sign_in, spoken, too_wide

pytestmark = marks
BUILDER = "/console/campaigns/basket-relaunch/edit"
OFFER = "/console/promotions/-/new"


@pytest.fixture(autouse=True)
def begun(console: Console) -> None:
    """A campaign somebody began to write, and customers to count."""
    console_world.live(console.installation)
    with console.installation.db.begin() as conn:
        files.start_from(conn, "basket-relaunch", now=console_world.NOW)


def signs_in_elsewhere(console: Console, page: Page) -> None:
    """The session ends; in another tab of the same browser she signs in again."""
    console.end_sessions()
    other = page.context.new_page()
    other.goto("/console/sign-in")
    sign_in(other)
    other.wait_for_url(lambda url: "/sign-in" not in url)
    other.close()


@contextmanager
def failing(page: Page, pages: str, status: int = 503) -> Iterator[None]:
    """The server answers these with a failure, as while it is put up anew."""
    page.route(pages, lambda route: route.fulfill(status=status, body="down"))
    yield
    page.unroute(pages)


def steps(page: Page) -> list[str]:
    return [card.get_attribute("data-step") or "" for card in page.locator(".step[data-step]").all()]


def adds(page: Page, key: str) -> None:
    """A step, by keyboard, behind the first."""
    page.locator("#step-reminder [data-stop]").focus()
    page.keyboard.press("a")
    expect(page.locator("#adder")).to_be_visible()
    page.keyboard.press(key)


def test_a_journey_goes_on_after_a_sign_in_in_another_tab(console: Console) -> None:
    page = console.open(BUILDER, heard=False)
    signs_in_elsewhere(console, page)
    adds(page, "f")
    expect(page.locator("#step-event")).to_be_visible(timeout=20_000)
    expect(page.locator("#flow")).to_have_attribute("data-revision", "1")
    page.locator("#step-event [data-stop]").focus()
    page.keyboard.press("Alt+ArrowUp")
    expect(page.locator("#flow")).to_have_attribute("data-revision", "2", timeout=20_000)
    assert steps(page)[:2] == ["event", "reminder"], "the next act goes at once"


@everyone
def test_what_was_done_while_the_server_failed_is_done_when_it_is_back(
    console: Console, locale: str, width: int
) -> None:
    say = spoken(locale)
    page = console.open(BUILDER, heard=False, locale=locale, width=width)
    with failing(page, "**/edit/add"):
        adds(page, "f")
        told = say("The server does not answer: your change is kept here and sent again.")
        expect(page.locator("#jb-toast")).to_have_text(told, timeout=20_000)
        assert too_wide(page) == 0
    expect(page.locator("#step-event")).to_be_visible(timeout=20_000)
    expect(page.locator("#jb-toast")).to_have_text(say("What you wrote before is in its place."), timeout=20_000)
    with failing(page, "**/edit/add", status=403):
        adds(page, "f")
        expect(page.locator("#jb-toast")).to_have_text(
            say("This change could not be kept: the server refused it."), timeout=20_000
        )
    page.locator("#step-event [data-stop]").focus()
    page.keyboard.press("Alt+ArrowUp")
    expect(page.locator("#flow")).to_have_attribute("data-revision", "2", timeout=20_000)
    assert steps(page)[:2] == ["event", "reminder"], "what was refused holds up nothing"


@everyone
def test_a_segment_is_written_on_over_a_failing_server_and_a_new_session(
    console: Console, locale: str, width: int
) -> None:
    say = spoken(locale)
    page = console.open("/console/segments/-/new", heard=False, locale=locale, width=width)
    rules = page.locator(".rule-text")
    with failing(page, "**/segments/draft"):
        page.get_by_role("button", name=say("Add a rule")).last.click()
        expect(page.locator("#mute")).to_be_visible(timeout=20_000)
        assert too_wide(page) == 0 and grave(page) == []
    expect(rules).to_have_count(1, timeout=20_000)
    expect(page.locator("#mute")).to_be_hidden()
    signs_in_elsewhere(console, page)
    page.get_by_role("button", name=say("Add a rule")).last.click()
    expect(rules).to_have_count(2, timeout=20_000)


@everyone
def test_a_form_that_is_too_old_is_found_again_with_what_was_typed(console: Console, locale: str, width: int) -> None:
    say = spoken(locale)
    page = console.open(OFFER, heard=False, locale=locale, width=width)
    page.locator("[name='/name']").fill("autumn")
    page.locator("[name='/value']").fill("12")
    signs_in_elsewhere(console, page)
    page.get_by_role("button", name=say("Save the offer")).click()
    expect(page.locator("h1")).to_have_text(say("The form is too old"))
    assert too_wide(page) == 0 and grave(page) == []
    page.get_by_role("link", name=say("Back to what you typed")).click()
    expect(page.locator("[name='/value']")).to_have_value("12")
    expect(page.get_by_text(say("What you had typed is back. It is not saved yet."))).to_be_visible()
    page.get_by_role("button", name=say("Save the offer")).click()
    expect(page.locator("h1")).to_contain_text("autumn")


def test_a_form_the_server_failed_at_is_found_again_with_what_was_typed(console: Console) -> None:
    page = console.open(OFFER, heard=False)
    page.locator("[name='/name']").fill("autumn")
    page.locator("[name='/value']").fill("12")
    with console.installation.db.begin() as conn:
        conn.execute(sa.text("ALTER TABLE offers RENAME TO away"))
    try:
        page.get_by_role("button", name="Save the offer").click()
        expect(page.locator("h1")).to_have_text("Something went wrong here")
    finally:
        with console.installation.db.begin() as conn:
            conn.execute(sa.text("ALTER TABLE away RENAME TO offers"))
    page.get_by_role("link", name="Back to what you typed").click()
    expect(page.locator("[name='/value']")).to_have_value("12")
    page.get_by_role("button", name="Save the offer").click()
    expect(page.locator("h1")).to_contain_text("autumn")


def test_a_page_that_is_not_there_offers_nothing_back_to_who_typed_nothing(console: Console) -> None:
    page = console.open("/console/nowhere", heard=False)
    expect(page.get_by_role("link", name="Back to the overview")).to_be_visible()
    expect(page.get_by_role("link", name="Back to what you typed")).to_have_count(0)
