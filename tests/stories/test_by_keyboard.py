"""The console by keyboard alone: each flow is Tab, arrows, Enter and typing, and nothing is clicked. Every stop on the
way is seen to have the focus, and neither what is drawn anew nor a dialog takes it away."""

from datetime import UTC, datetime

import sqlalchemy as sa
from playwright.sync_api import Page, expect

from campaigns import files, offers, plans, promotions, segments
from foundation.database import new_id
from recommender import merchandising
from recommender.rules import Rule
from shop import ingest, sources, stores, vocabulary
from tests.app import console_world
from tests.app.console_world import EMAIL, NOW, PASSWORD
from tests.campaigns import world
from tests.console import PHONE, Console, marks, spoken

pytestmark = marks
NAME, STEP = "basket-relaunch", "reminder"


# ----------------------------------------------------------------------------------------------- hands and eyes
FOCUS = """(wanted) => {
  const at = document.activeElement;
  if (!at || at === document.body || at.tagName === "IFRAME") return { there: false, wrong: [] };
  const accent = document.createElement("i");
  accent.style.color = "var(--accent)";
  at.parentElement.append(accent);
  const blue = getComputedStyle(accent).color;
  accent.remove();
  const ringed = (one) => {
    const { boxShadow, outlineStyle, outlineColor, outlineWidth } = getComputedStyle(one);
    const outlined = outlineStyle !== "none" && parseFloat(outlineWidth) >= 2 && !outlineColor.endsWith(", 0)");
    return outlined || boxShadow.includes(blue);
  };
  const ring = at.closest(".input, .nav-search") || at;
  const box = ring.getBoundingClientRect();
  const [x, y] = [(box.left + box.right) / 2, (Math.max(box.top, 0) + Math.min(box.bottom, innerHeight)) / 2];
  const over = document.elementFromPoint(x, y);
  const wrong = [];
  if (!ringed(ring)) wrong.push("nothing shows that it has the focus");
  if (!over) wrong.push("it is off the screen");
  else if (!ring.contains(over) && !over.contains(ring)) wrong.push("it is covered by " + over.outerHTML.slice(0, 80));
  if (wrong.length) wrong.push(at.outerHTML.slice(0, 160));
  return { there: at.matches(wanted), wrong };
}"""
"""Whether what has the focus is what is wanted, and what keeps anybody from seeing that it has it."""


def _reach(page: Page, wanted: str, *, back: bool = False, most: int = 90) -> None:
    """Presses Tab until something has the focus; every stop on the way shows that it has it."""
    for _ in range(most):
        page.keyboard.press("Shift+Tab" if back else "Tab")
        seen = page.evaluate(FOCUS, wanted)
        assert not seen["wrong"], seen["wrong"]
        if seen["there"]:
            return
    raise AssertionError(f"{wanted} is never reached")


def _press(page: Page, wanted: str, *, back: bool = False, key: str = "Enter") -> None:
    _reach(page, wanted, back=back)
    page.keyboard.press(key)


def _follow(page: Page, wanted: str, *, back: bool = False) -> None:
    """Reaches what leads to another page, and goes there."""
    _reach(page, wanted, back=back)
    _enter(page)


def _enter(page: Page) -> None:
    """Enter, where it leads to another page."""
    with page.expect_navigation():
        page.keyboard.press("Enter")


def _into_the_page(page: Page) -> None:
    """Past the navigation, by the first stop of every page."""
    _press(page, ".skip")
    expect(page.locator("main")).to_be_focused()


def _choose(page: Page, value: str) -> None:
    """Takes a choice of the list that has the focus, by arrow keys."""
    chosen = page.locator("select:focus")
    page.keyboard.press("Home")
    for _ in range(chosen.locator("option").count()):
        if chosen.input_value() == value:
            return
        page.keyboard.press("ArrowDown")
    raise AssertionError(f"{value} cannot be chosen")


def _kept_inside(page: Page, opener: str) -> None:
    """A dialog keeps the focus however often Tab is pressed; Escape shuts it, and who opened it has the focus again."""
    expect(page.get_by_role("dialog")).to_be_visible()
    for _ in range(4):
        assert page.evaluate("document.activeElement.matches('body, dialog *')"), "on the page behind the dialog"
        page.keyboard.press("Tab")
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_be_hidden()
    expect(page.locator(opener)).to_be_focused()


def _settled(page: Page, drawn: str, revision: int) -> None:
    expect(page.locator(drawn)).to_have_attribute("data-revision", str(revision))
    expect(page.locator("#fields [name=revision]")).to_have_value(str(revision))


def _stands(page: Page, wanted: str) -> None:
    """Something comes to have the focus, and shows it."""
    expect(page.locator(wanted)).to_be_focused()
    seen = page.evaluate(FOCUS, wanted)
    assert not seen["wrong"], seen["wrong"]


# --------------------------------------------------------------------------------------------------- stories
def test_somebody_signs_in_and_builds_a_segment(console: Console) -> None:
    console_world.live(console.installation)
    with console.installation.db.begin() as conn:
        world.make_customer(conn, "ann", at=NOW, city="Lyon")
    page = console.window()
    page.goto("/console/sign-in?next=/console/segments")
    _stands(page, "#email")
    page.keyboard.type(EMAIL)
    _reach(page, "#password")
    page.keyboard.type(PASSWORD)
    _enter(page)
    _into_the_page(page)
    _follow(page, "a[href='/console/segments/-/new']")
    _reach(page, "#title")
    page.keyboard.type("Around here")
    _reach(page, ".group-add select")
    _choose(page, "trait")
    _press(page, ".group-add button[value^=add]")
    expect(page.locator(".rule")).to_have_count(1)
    _stands(page, ".group-add button[value^=add]")
    _reach(page, "input[list=known-traits]", back=True)
    page.keyboard.type("city")
    _reach(page, "input[name$='.value']")
    expect(page.locator("input[name$='.value']")).to_have_attribute(
        "hx-get", "/console/segments/-/values?of=trait&name=city"
    )
    expect(page.locator("#builder")).to_have_attribute("aria-busy", "false")
    _stands(page, "input[name$='.value']")
    page.keyboard.type("Lyon")
    _reach(page, ".group-add select")
    expect(page.locator(".seg-count .seg-big")).to_have_text("1")
    _stands(page, ".group-add select")
    _press(page, ".group-add button[value^=add]")
    expect(page.locator(".rule")).to_have_count(2)
    _press(page, ".rule:last-child button[value^=remove]", back=True)
    expect(page.locator(".rule")).to_have_count(1)
    expect(page.locator("#builder")).to_have_attribute("aria-busy", "false")
    _stands(page, "#builder")
    _follow(page, "header .btn-primary[form=rule]", back=True)
    page.get_by_text("Saved. Its members are found within seconds.").wait_for()
    with console.installation.db.begin() as conn:
        assert segments.get(conn, "around-here").title == "Around here"
    _into_the_page(page)
    _press(page, "[data-dialog=delete]")
    _kept_inside(page, "[data-dialog=delete]")


def test_a_journey_is_begun_changed_and_launched(console: Console) -> None:
    page = console.open("/console/campaigns")
    _into_the_page(page)
    _follow(page, "a[href='/console/campaigns/new']")
    _follow(page, f"form:has([value={NAME}]) button")
    _into_the_page(page)
    _reach(page, "#step-entry [data-stop]")
    page.keyboard.press("ArrowDown")
    _stands(page, f"#step-{STEP} [data-stop]")
    page.keyboard.press("a")
    _stands(page, "#adder li:first-child button")
    letters = page.locator("#adder kbd").all_text_contents()
    assert len(set(letters)) == len(letters), "a letter adds one kind of step"
    page.keyboard.press("Escape")
    expect(page.locator("#adder")).to_be_hidden()
    _stands(page, f"#step-{STEP} [data-stop]")
    page.keyboard.press("a")
    page.keyboard.press("w")
    _settled(page, "#flow", 1)
    _stands(page, "#step-wait [data-stop]")
    page.keyboard.press("Enter")
    _stands(page, "[id='f-duration']")
    page.keyboard.press("Control+a")
    page.keyboard.type("3")
    _reach(page, "[name='duration.unit']")
    _settled(page, "#flow", 2)
    expect(page.locator("#step-wait")).to_contain_text("Wait 3 days")
    _stands(page, "[name='duration.unit']")
    page.keyboard.press("Escape")
    _stands(page, "#step-wait [data-stop]")
    page.keyboard.press("Alt+ArrowUp")
    _settled(page, "#flow", 3)
    assert _steps(page)[:2] == ["wait", STEP]
    page.keyboard.press("Control+z")
    _settled(page, "#flow", 4)
    assert _steps(page)[:2] == [STEP, "wait"]
    _press(page, ".add", key=" ")
    expect(page.locator("#adder")).to_be_visible()
    page.keyboard.press("Shift+Tab")
    expect(page.locator("#adder")).to_be_hidden()
    _stands(page, ".add:focus")
    _press(page, "[data-shuts]")
    expect(page.locator("#panel [name=step]").first).to_have_value("")
    _stands(page, "#step-wait [data-stop]")
    _press(page, "[data-dialog=launch]", back=True)
    _kept_inside(page, "[data-dialog=launch]")
    page.keyboard.press("Enter")
    _follow(page, "#launch .btn-primary")
    page.get_by_text("It runs.", exact=True).wait_for()
    with console.installation.db.begin() as conn:
        assert plans.get(conn, NAME).state == "sending"


def _steps(page: Page) -> list[str]:
    return [card.get_attribute("data-step") or "" for card in page.locator(".step[data-step]").all()]


def test_a_message_is_written_and_looked_at(console: Console) -> None:
    with console.installation.db.begin() as conn:
        world.stock_shop(conn, now=NOW)
        files.start_from(conn, NAME, now=NOW)
        world.make_customer(conn, "ann", at=NOW, first_name="Ann", last_name="Martin")
    page = console.open(f"/console/campaigns/{NAME}/edit/message/{STEP}")
    blocks = page.locator(".mblock").count()
    _into_the_page(page)
    _reach(page, "#block-en-0 [data-stop]")
    page.keyboard.press("a")
    _stands(page, "#adder li:first-child button")
    page.keyboard.press("Escape")
    _stands(page, "#block-en-0 [data-stop]")
    page.keyboard.press("a")
    page.keyboard.press("t")
    _settled(page, "#letter", 1)
    _stands(page, "#block-en-1 [data-stop]")
    page.keyboard.press("Enter")
    _stands(page, "#f-heading")
    page.keyboard.type("Hello ")
    _press(page, "[data-insert*=first_name]")
    _stands(page, "#f-heading")
    page.keyboard.type("you")
    page.keyboard.press("Escape")
    _stands(page, "#block-en-1 [data-stop]")
    expect(page.locator("#block-en-1")).to_contain_text("first name")
    page.keyboard.press("Alt+ArrowDown")
    _stands(page, "#block-en-2 [data-stop]")
    expect(page.locator("#block-en-2")).to_contain_text("first name")
    page.keyboard.press("Control+z")
    expect(page.locator("#block-en-1")).to_contain_text("first name")
    page.keyboard.press("Delete")
    expect(page.locator(".mblock")).to_have_count(blocks)
    expect(page.locator(":focus")).to_have_count(1)
    _reach(page, "[name=who]")
    page.keyboard.type("mart")
    page.locator(".hits a").wait_for()
    _reach(page, ".hits a")
    page.keyboard.press("Escape")
    expect(page.locator(".hits a")).to_have_count(0)
    _stands(page, "[name=who]")
    _press(page, "[data-look=desk]")
    _stands(page, "[data-look=desk][aria-pressed=true]")
    _press(page, "[data-look=phone]", back=True)
    _press(page, "[data-dark]")
    night = page.frame_locator("#look-frame").locator(".msheet").first
    expect(night).to_have_css("background-color", "rgb(30, 27, 23)")
    _stands(page, "[data-dark][aria-pressed=true]")


def test_an_offer_is_made_and_its_code_used_at_the_counter_in_french(console: Console) -> None:
    day, say = console_world.live(console.installation), spoken("fr")
    with console.installation.db.begin() as conn:
        shops = [{"store_id": "367", "name": "Nantes Crébillon"}, {"store_id": "368", "name": "Lyon Terreaux"}]
        stores.put(conn, shops, now=NOW)
    page = console.open("/console/promotions", locale="fr")
    _into_the_page(page)
    _follow(page, "a[href='/console/promotions/-/new']")
    _reach(page, "[name='/name']")
    page.keyboard.type("automne")
    _reach(page, "[name='/value']")
    page.keyboard.type("beaucoup")
    _follow(page, ".rule-form .btn-primary")
    expect(page.locator("main .note-bad[role=alert]")).to_be_visible()
    _into_the_page(page)
    _reach(page, "[name='/value']")
    page.keyboard.type("10")
    _enter(page)
    expect(page.get_by_role("status").last).to_contain_text(say("The offer is kept."))
    code = _given(console, "automne", day.paul)

    _follow(page, "a[href='/console/store']")
    _stands(page, "#q")
    _reach(page, "#here", back=True)
    _choose(page, "368")
    _enter(page)
    expect(page.locator("h1")).to_have_text("Lyon Terreaux")
    _stands(page, "#q")
    page.keyboard.type("camille@example.org")
    _enter(page)
    expect(page.locator(".st-who h2")).to_have_text("Camille Laurent")
    _into_the_page(page)
    _reach(page, "#q")
    page.keyboard.press("Control+a")
    page.keyboard.type(code.lower())
    _enter(page)
    expect(page.locator(".st-ok")).to_contain_text(say("Valid code"))
    _into_the_page(page)
    _reach(page, "#total")
    page.keyboard.type("100")
    _enter(page)
    expect(page.locator(".bill .tot").last).to_contain_text("90")
    _into_the_page(page)
    _reach(page, "#ticket")
    page.keyboard.type("T-1")
    _enter(page)
    expect(page.get_by_role("status").last).to_contain_text("T-1")


def _given(console: Console, offer: str, customer: int) -> str:
    """The code a campaign put into her message."""
    with console.installation.db.begin() as conn:
        found = offers.find(conn, offer)
        assert found
        message_id = new_id()
        held = promotions.reserve(conn, found, {customer: message_id}, zone=UTC, now=datetime.now(UTC))
        promotions.issue(conn, [message_id], now=datetime.now(UTC))
        return held[customer].shown


def test_a_customer_is_found_parted_taken_out_and_understood(console: Console) -> None:
    console_world.live(console.installation)
    with console.installation.db.begin() as conn:
        _paul_signs_in_and_looks_around(conn)
    page = console.open()
    page.keyboard.press("Control+k")
    _stands(page, "[data-hotkey=k]")
    page.keyboard.type("laurent")
    _enter(page)
    page.get_by_role("link", name="Camille Laurent").wait_for()
    _stands(page, "input[hx-get]")
    page.keyboard.press("Control+a")
    page.keyboard.type("delm")
    page.get_by_role("link", name="Paul Delmas").wait_for()
    _stands(page, "input[hx-get]")
    _follow(page, "#found a.plain")
    expect(page.locator("h1")).to_have_text("Paul Delmas")
    with page.expect_download() as started:
        _into_the_page(page)
        _press(page, "a[download]")
    assert started.value.suggested_filename.endswith(".json")
    _press(page, "#older a")
    expect(page.locator("#older")).to_have_count(0)
    expect(page.locator(":focus")).to_have_count(1)
    _press(page, "[data-dialog^=undo-]")
    _kept_inside(page, "[data-dialog^=undo-]")
    page.keyboard.press("Enter")
    _follow(page, "dialog[open] .btn-primary")
    page.get_by_text("They are two customers again; each has what was theirs.").wait_for()
    _into_the_page(page)
    _follow(page, ".tabs a[href*='tab=messages']")
    expect(page.locator(".timeline").first).to_contain_text("never agreed to be written to")
    _into_the_page(page)
    _press(page, ".timeline a")
    expect(page.locator("#drawer .lede")).to_contain_text("never agreed to be written to")
    _follow(page, "#drawer .drawer-foot .btn")
    expect(page.locator("main .lede")).to_contain_text("never agreed to be written to")


def _paul_signs_in_and_looks_around(conn: sa.Connection) -> None:
    """A browser looks at products, more than a page shows, and turns out to be Paul's."""
    site = sources.source(conn, "site", channel="web", now=NOW)
    looked = [{"type": "track", "event": "Product Viewed", "messageId": f"m{n}"} for n in range(32)]
    for payload in (*looked, {"type": "identify", "userId": "paul", "messageId": "m"}):
        event = vocabulary.parse({"anonymousId": "a browser", **payload}, source=site, received_at=NOW)
        assert isinstance(event, vocabulary.Event)
        ingest.ingest(conn, [event], now=NOW)


def test_rules_are_put_in_order_in_the_dark(console: Console) -> None:
    with console.installation.db.begin() as conn:
        for name in ("one", "two", "three"):
            rule = Rule(name=name, action="boost", brands=("Aubier",), strength=2)
            merchandising.add_rule(conn, rule, by="Inès", now=NOW)
    page = console.open("/console/rules")
    _press(page, ".profile summary")
    expect(page.locator(".profile .menu")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator(".profile .menu")).to_be_hidden()
    _stands(page, ".profile summary")
    page.keyboard.press("Enter")
    _follow(page, ".profile button[value=dark]")
    page.locator("html[data-theme=dark]").wait_for()
    _into_the_page(page)
    _reach(page, ".grip")
    page.keyboard.press("ArrowDown")
    _in_order(page, ["two", "one", "three"])
    expect(page.locator("[data-place]").nth(1).locator(".grip")).to_be_focused()
    _follow(page, "[data-place]:nth-child(2) button[value=down]")
    _in_order(page, ["two", "three", "one"])
    expect(page.locator("[data-place]").nth(2).locator(".grip")).to_be_focused()


def test_beside_a_telephone_s_screen_nothing_that_has_the_focus_is_hidden(console: Console) -> None:
    page = console.open("/console/promotions/-/new", locale="fr", width=PHONE, look="dark")
    _reach(page, ".form-foot .btn-primary")
    _reach(page, ".skip", back=True)
    _press(page, ".phonebar summary")
    expect(page.locator(".phonenav")).to_be_visible()
    _follow(page, ".phonenav a[href='/console/sources']")
    _reach(page, ".tabs a:last-child")
    _reach(page, ".skip", back=True)


def _in_order(page: Page, names: list[str]) -> None:
    expect(page.locator("[data-place] a.link")).to_have_text(names)
