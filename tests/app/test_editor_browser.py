"""An e-mail written from blocks in a real browser: by keyboard, by pointer, in two tabs, over a slow line, and after
the session or the connection was gone."""

from typing import Any

import pytest
from playwright.sync_api import Page, expect

from campaigns import drafts, files, plans, wording
from campaigns.definitions import block_edits, edits
from tests.app import console_world
from tests.campaigns import world
from tests.console import Console, everyone, grave, marks, sign_in, slow, spoken, too_wide

pytestmark = marks
NAME, STEP = "basket-relaunch", "reminder"
PAGE = f"/console/campaigns/{NAME}/edit/message/{STEP}"
WAIT = 60_000


@pytest.fixture(autouse=True)
def begun(console: Console) -> None:
    """A campaign somebody began to write, and a shop to show."""
    with console.installation.db.begin() as conn:
        world.stock_shop(conn, now=console_world.NOW)
        files.start_from(conn, NAME, now=console_world.NOW)


def _kinds(page: Page) -> list[str]:
    names = page.locator(".mailcanvas .mblock-n").all_text_contents()
    return [name.removeprefix("Edit: ").strip() for name in names]


def _settled(page: Page, revision: int) -> None:
    expect(page.locator("#letter")).to_have_attribute("data-revision", str(revision), timeout=WAIT)
    expect(page.locator("#fields [name=revision]")).to_have_value(str(revision), timeout=WAIT)


def _words(console: Console, locale: str = "en") -> dict[str, Any]:
    with console.installation.db.begin() as conn:
        draft = drafts.of(conn, plans.get(conn, NAME))
    found: dict[str, Any] = edits.find(draft.definition, STEP).step["words"][locale]
    return found


def test_an_email_is_written_by_keyboard_alone(console: Console) -> None:
    page = console.open(PAGE)
    before = _kinds(page)
    page.locator("#block-en-0 [data-stop]").focus()
    page.keyboard.press("a")
    expect(page.locator("#adder")).to_be_visible(timeout=WAIT)
    page.keyboard.press("t")
    _settled(page, 1)
    assert _kinds(page) == [before[0], "Heading and text", *before[1:]]
    expect(page.locator("#block-en-1 [data-stop]")).to_be_focused(timeout=WAIT)
    page.keyboard.press("Enter")
    expect(page.locator("#f-heading")).to_be_focused(timeout=WAIT)
    page.keyboard.type("Hello ")
    page.get_by_text("Put in a field").press("Enter") if not page.locator(".inserts").is_visible() else None
    page.locator("[data-insert*=first_name]").first.press("Enter")
    expect(page.locator("#f-heading")).to_be_focused(timeout=WAIT)
    page.keyboard.type("you")
    page.keyboard.press("Tab")
    expect(page.locator("#block-en-1")).to_contain_text("first name", timeout=WAIT)
    page.locator("#block-en-1 [data-stop]").focus()
    page.keyboard.press("Alt+ArrowDown")
    expect(page.locator("#block-en-2 [data-stop]")).to_be_focused(timeout=WAIT)
    page.keyboard.press("c")
    page.keyboard.press("v")
    expect(page.locator("#block-en-3 [data-stop]")).to_be_focused(timeout=WAIT)
    page.keyboard.press("Delete")
    expect(page.locator(".mblock.is-on")).to_have_count(0, timeout=WAIT)
    page.keyboard.press("Control+z")
    expect(page.locator(".mblock")).to_have_count(len(before) + 2, timeout=WAIT)
    heading = _words(console)["blocks"][2]["heading"]
    assert wording.render(heading, {"customer": {}}) == "Hello you"
    assert block_edits.mark(_words(console)["blocks"][3]) == block_edits.mark(_words(console)["blocks"][2])
    assert len(_words(console, "fr")["blocks"]) == len(before) + 2, "both languages keep the same blocks"
    expect(page.locator("#ed-checks .checks")).to_be_visible(timeout=WAIT)
    assert grave(page) == []


def test_blocks_are_dragged_and_seen_as_a_customer_gets_them(console: Console) -> None:
    page = console.open(PAGE, heard=False)
    page.locator(".palette [value=image]").drag_to(page.locator("#block-en-0"), target_position={"x": 200, "y": 60})
    _settled(page, 1)
    assert _kinds(page)[1] == "Picture"
    page.locator("#f-url").fill("http://shop.example/a.png")
    page.locator("#f-alt").fill("A red pot")
    page.keyboard.press("Tab")
    expect(page.locator("#ed-checks")).to_contain_text("is not https", timeout=WAIT)
    page.locator("#f-url").fill("https://shop.example/a.png")
    page.keyboard.press("Tab")
    expect(page.locator("#ed-checks #ready")).to_be_visible(timeout=WAIT)
    expect(page.frame_locator("#look-frame").get_by_alt_text("A red pot")).to_be_attached(timeout=WAIT)
    page.locator("#block-en-1").drag_to(page.locator("#block-en-2"), target_position={"x": 200, "y": 150})
    expect(page.locator("#block-en-2")).to_contain_text("Picture", timeout=WAIT)
    assert [block["type"] for block in _words(console)["blocks"]][1:3] == ["text", "image"]
    page.get_by_role("button", name="As text").click()
    expect(page.frame_locator("#look-frame").locator("pre")).to_contain_text("A red pot", timeout=WAIT)
    page.get_by_role("button", name="On a screen").click()
    page.get_by_role("button", name="In the dark").click()
    night = page.frame_locator("#look-frame").locator(".msheet").first
    expect(night).to_have_css("background-color", "rgb(30, 27, 23)", timeout=WAIT)


def test_two_tabs_at_once_lose_nothing(console: Console) -> None:
    page = console.open(PAGE + "?block=1", heard=False)
    other = page.context.new_page()
    other.goto(PAGE + "?block=1")
    page.locator("#block-en-1 [data-stop]").focus()
    page.keyboard.press("Alt+ArrowUp")
    _settled(page, 1)
    other.locator("#f-heading").fill("Mine")
    other.keyboard.press("Tab")
    other.get_by_text("Somebody was quicker.").wait_for()
    expect(other.locator("#f-heading")).to_have_value("Mine", timeout=WAIT)
    other.get_by_role("button", name="Put mine on top").click()
    _settled(other, 2)
    found = _words(console)["blocks"]
    assert (found[0]["type"], found[0]["heading"]) == ("text", "Mine"), "it was found where it had been moved to"
    assert found[1]["type"] == "header"


@pytest.mark.timeout(600)
def test_over_a_slow_line_quick_hands_lose_nothing(console: Console) -> None:
    page = console.open(PAGE + "?block=1")
    slow(page.context, 2_000, pages="**/edit/message/**")
    page.locator(".med-env [name='en.subject']").fill("Typed in a hurry")
    page.locator("#f-heading").fill("And this too")
    page.locator("#block-en-1 [data-stop]").focus()
    page.keyboard.press("Alt+ArrowDown")
    page.keyboard.press("c")
    expect(page.locator("#block-en-2")).to_contain_text("And this too", timeout=3 * WAIT)
    words = _words(console)
    assert words["subject"] == "Typed in a hurry"
    assert words["blocks"][2]["heading"] == "And this too"
    assert page.get_by_text("Somebody was quicker.").count() == 0


def test_what_was_typed_outlives_the_session_and_the_connection(console: Console) -> None:
    page = console.open(PAGE + "?in=fr&block=1", locale="fr", width=390, heard=False)
    page.context.set_offline(True)
    page.locator("#f-heading").fill("Hors ligne")
    page.keyboard.press("Tab")
    expect(page.locator("#jb-toast")).to_be_visible(timeout=WAIT)
    page.locator("#f-body").fill("Toujours hors ligne")
    page.keyboard.press("Tab")
    page.context.set_offline(False)
    _settled(page, 2)
    console.end_sessions()
    page.locator(".med-env [name='fr.subject']").fill("Après la session")
    page.keyboard.press("Tab")
    page.get_by_role("link", name="Se reconnecter").click()
    sign_in(page)
    page.wait_for_url(f"**{PAGE}**")
    expect(page.locator(".jb-top h1")).to_have_text("Après la session", timeout=WAIT)
    kept = _words(console, "fr")["blocks"][1]
    assert (kept["heading"], kept["body"]) == ("Hors ligne", "Toujours hors ligne")
    assert too_wide(page) == 0
    assert grave(page) == []


@everyone
def test_an_email_is_written_by_clicking(console: Console, locale: str, width: int) -> None:
    say = spoken(locale)
    page = console.open(PAGE + f"?in={locale}", locale=locale, width=width)
    before = page.locator(".mblock").count()
    palette = page.locator(".palette [value=text]")
    if not palette.is_visible():
        page.locator(".palette-box summary").click()
    palette.click()
    _settled(page, 1)
    expect(page.locator(".mblock")).to_have_count(before + 1, timeout=WAIT)
    page.locator("#f-heading").fill("Écrit du pouce")
    page.locator("#f-heading").press("Tab")
    expect(page.locator(".mailcanvas")).to_contain_text("Écrit du pouce", timeout=WAIT)
    page.locator(".mblock.is-on").get_by_role("button", name=say("Move up")).click()
    expect(page.locator(".mblock.is-on")).to_have_attribute("data-block", str(before - 1), timeout=WAIT)
    page.locator(f".med-env [name='{locale}.subject']").fill("Votre panier vous attend")
    page.locator(f".med-env [name='{locale}.subject']").press("Tab")
    expect(page.locator(".jb-top h1")).to_have_text("Votre panier vous attend", timeout=WAIT)
    expect(page.locator("#ed-checks #ready")).to_be_visible(timeout=WAIT)
    page.reload()
    expect(page.locator(".mailcanvas")).to_contain_text("Écrit du pouce", timeout=WAIT)
    assert _words(console, locale)["subject"] == "Votre panier vous attend"
    assert too_wide(page) == 0 and grave(page) == []
