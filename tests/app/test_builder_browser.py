"""A journey built in a real browser: by keyboard and by pointer, in two tabs at once, over the end of a session."""

import pytest
from playwright.sync_api import Page, expect

from campaigns import drafts, files, plans
from campaigns.definitions import edits
from tests.app import console_world
from tests.console import Console, grave, marks, sign_in, slow, too_wide

pytestmark = marks
NAME = "basket-relaunch"
PAGE = f"/console/campaigns/{NAME}/edit"


@pytest.fixture(autouse=True)
def begun(console: Console) -> None:
    """A campaign somebody began to write."""
    with console.installation.db.begin() as conn:
        files.start_from(conn, NAME, now=console_world.NOW)


def _steps(page: Page) -> list[str]:
    return [card.get_attribute("data-step") or "" for card in page.locator(".step[data-step]").all()]


def _settled(page: Page, revision: int) -> None:
    expect(page.locator("#flow")).to_have_attribute("data-revision", str(revision))
    expect(page.locator("#fields [name=revision]")).to_have_value(str(revision))


def test_a_journey_is_built_by_keyboard_alone(console: Console) -> None:
    page = console.open(PAGE)
    page.locator("#step-reminder [data-stop]").focus()
    page.keyboard.press("a")
    expect(page.locator("#adder")).to_be_visible()
    page.keyboard.press("f")
    _settled(page, 1)
    assert _steps(page)[:3] == ["reminder", "event", "a-day"]
    expect(page.locator("#step-event [data-stop]")).to_be_focused()
    page.keyboard.press("Alt+ArrowUp")
    _settled(page, 2)
    assert _steps(page)[:2] == ["event", "reminder"]
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Alt+ArrowRight")
    _settled(page, 3)
    assert page.locator(".way [data-step=reminder]").count() == 1, "the reminder went into the first way"
    page.keyboard.press("c")
    page.keyboard.press("v")
    _settled(page, 4)
    page.keyboard.press("Delete")
    _settled(page, 5)
    page.keyboard.press("Control+z")
    _settled(page, 6)
    assert "reminder-2" in _steps(page)
    page.locator("#step-a-day [data-stop]").focus()
    page.keyboard.press("Enter")
    page.locator("[id='f-duration']").fill("3")
    page.keyboard.press("Tab")
    _settled(page, 7)
    expect(page.locator("#step-a-day")).to_contain_text("Wait 3 hours")
    assert grave(page) == []
    with console.installation.db.begin() as conn:
        draft = drafts.of(conn, plans.get(conn, NAME))
    assert edits.find(draft.definition, "reminder").branch == "then"


def test_a_step_is_dragged_and_its_fault_is_corrected_where_it_stands(console: Console) -> None:
    page = console.open(PAGE)
    page.locator("#step-code").drag_to(page.locator(".edge").first)
    _settled(page, 1)
    assert _steps(page)[0] == "code"
    page.locator("#step-a-day .tok").click()
    expect(page.locator("[id='f-duration']")).to_be_focused()
    page.keyboard.type("x")
    page.keyboard.press("Tab")
    _settled(page, 2)
    expect(page.locator("#step-a-day .fault")).to_contain_text("must be a length of time")
    expect(page.locator("[id='f-duration-fault']")).to_be_visible()
    expect(page.locator("#jb-bar")).to_contain_text("1 fault to correct")
    page.locator("[id='f-duration']").fill("2")
    page.keyboard.press("Tab")
    _settled(page, 3)
    expect(page.locator("[id='f-duration-fault']")).to_be_hidden()
    page.get_by_role("button", name="Launch").click()
    page.get_by_role("dialog").get_by_role("button", name="Launch it").click()
    page.get_by_text("It runs.", exact=True).wait_for()


def test_two_tabs_at_once_lose_nothing(console: Console) -> None:
    page = console.open(PAGE, heard=False)
    other = page.context.new_page()
    other.goto(PAGE + "?step=two-days")
    page.goto(PAGE + "?step=a-day")
    page.locator("[id='f-duration']").fill("5")
    page.keyboard.press("Tab")
    _settled(page, 1)
    other.locator("[id='f-duration']").fill("9")
    other.keyboard.press("Tab")
    other.get_by_text("Somebody was quicker.").wait_for()
    expect(other.locator("[id='f-duration']")).to_have_value("9")
    other.get_by_role("button", name="Put mine on top").click()
    _settled(other, 2)
    expect(other.locator("#step-a-day")).to_contain_text("5 hours")
    expect(other.locator("#step-two-days")).to_contain_text("9 days")


@pytest.mark.parametrize("first", ["the act itself", "something looked at", "figures by themselves"])
def test_what_was_typed_outlives_the_session(console: Console, first: str) -> None:
    page = console.open(PAGE, locale="fr", width=390, heard=False)
    page.locator("#step-a-day .tok").click()
    page.locator("[id='f-duration']").fill("7")
    console.end_sessions()
    if first == "the act itself":
        page.keyboard.press("Tab")
    elif first == "something looked at":
        page.locator("#step-code .tok").first.click()
    else:
        page.evaluate("htmx.ajax('GET', `${base}/flow?step=a-day&revision=0`, { target: '#flow', swap: 'outerHTML' })")
    page.get_by_role("link", name="Se reconnecter").click()
    sign_in(page)
    page.wait_for_url(f"**{PAGE}**")
    expect(page.locator("#step-a-day")).to_contain_text("7 heures")
    assert too_wide(page) == 0


def test_a_menu_stays_open_while_what_was_typed_is_kept(console: Console) -> None:
    page = console.open(PAGE)
    slow(page.context, 1_000, pages="**/edit/**")
    page.locator("#step-a-day .tok").click()
    page.locator("[id='f-duration']").fill("7")
    page.locator("#flow .add").nth(1).click()
    page.keyboard.press("ArrowDown")
    chosen = page.evaluate("document.activeElement.value")
    expect(page.locator("#step-a-day")).to_contain_text("7 hours")
    expect(page.locator("#adder")).to_be_visible()
    assert page.evaluate("document.activeElement.value") == chosen, "where she was in it"
    page.keyboard.press("Escape")
    expect(page.locator("#adder")).to_be_hidden()


@pytest.mark.timeout(600)
def test_over_a_slow_line_quick_hands_and_the_button_back_lose_nothing(console: Console) -> None:
    page = console.open(PAGE)
    slow(page.context, 2_000, pages="**/edit/**")
    page.locator("#step-a-day .tok").click()
    page.locator("[id='f-duration']").fill("7")
    page.keyboard.press("Tab")
    page.locator("#step-reminder [data-stop]").focus()
    page.keyboard.press("c")
    page.keyboard.press("v")
    expect(page.locator("#step-reminder-2")).to_be_visible(timeout=60_000)
    expect(page.locator("#step-a-day")).to_contain_text("7 hours")
    page.get_by_role("link", name="Compare").click()
    page.locator("h1").wait_for()
    page.go_back()
    expect(page.locator("#step-reminder-2")).to_be_visible(timeout=60_000)
    expect(page.locator("#step-a-day")).to_contain_text("7 hours")
    assert page.get_by_text("Somebody was quicker.").count() == 0
