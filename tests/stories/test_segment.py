"""A segment is built by clicking, counted as one writes, and kept; two tabs, a second press and the button back lose
nothing of it."""

from datetime import UTC, datetime

import pytest
import sqlalchemy as sa
from playwright.sync_api import Page, expect

from campaigns import membership, segments, tables
from tests.app import console_world
from tests.campaigns import world
from tests.console import Console, everyone, grave, marks, sign_in, slow, spoken, too_wide

pytestmark = marks
COUNT = ".seg-count .seg-big"


@pytest.fixture(autouse=True)
def people(console: Console) -> None:
    """Two in Lyon, one in Lille who left a basket, and two who gave no town."""
    console_world.live(console.installation)
    with console.installation.db.begin() as conn:
        for user, town in (("ann", "Lyon"), ("bea", "Lyon"), ("cia", "Lille")):
            world.make_customer(conn, user, at=console_world.NOW, city=town, first_name=user.title())


def _begun(page: Page, title: str, locale: str) -> None:
    say = spoken(locale)
    page.get_by_role("link", name=say("New segment")).first.click()
    page.locator("#title").fill(title)


def _lives_in(page: Page, town: str, locale: str) -> None:
    """A rule about a town, its name and value taken from what is offered."""
    say = spoken(locale)
    page.locator(".group-add select").last.select_option("trait")
    page.get_by_role("button", name=say("Add a rule")).last.click()
    name = page.locator("input[list=known-traits]").last
    assert page.locator("#known-traits option[value=city]").count() == 1, "names come from the shop's own data"
    name.fill("city")
    name.press("Tab")
    value = page.locator(".rule-text input[name$='.value']").last
    expect(value).to_have_attribute("hx-get", "/console/segments/-/values?of=trait&name=city")
    expect(page.locator("#builder")).to_have_attribute("aria-busy", "false")
    value.click()
    value.press_sequentially(town[:3])
    expect(page.locator(f"#values option[value='{town}']")).to_be_attached()
    value.fill(town)
    value.press("Tab")


@everyone
def test_a_segment_is_built_and_counted_as_one_writes(console: Console, locale: str, width: int) -> None:
    say = spoken(locale)
    page = console.open("/console/segments", locale=locale, width=width)
    _begun(page, "Around here", locale)
    _lives_in(page, "Lyon", locale)
    expect(page.locator(COUNT)).to_have_text("2")
    expect(page.locator("#builder")).to_contain_text("Ann")
    page.get_by_role("button", name=say("Add a group")).click()
    page.locator(".group .group .chip").select_option("any")
    expect(page.locator(".group .group .chip")).to_have_value("any")
    _remove(page, say("Remove this group"))
    page.locator(".group > .group-head .chip").select_option("any")
    _lives_in(page, "Lille", locale)
    expect(page.locator(COUNT)).to_have_text("3")
    page.locator(".tok-not").last.select_option("1")
    expect(page.locator(COUNT)).to_have_text("4")
    page.locator(".tok-not").last.select_option("")
    expect(page.locator(COUNT)).to_have_text("3")
    assert too_wide(page) == 0 and grave(page) == []
    page.get_by_role("button", name=say("Save")).click()
    expect(page.get_by_role("status").last).to_contain_text(say("Saved. Its members are found within seconds."))
    membership.refresh(console.installation.db, now=datetime.now(UTC))
    page.goto("/console/segments")
    expect(page.locator("main")).to_contain_text("Around here")
    with console.installation.db.begin() as conn:
        kept = segments.get(conn, "around-here")
    assert kept.size == 3


def _remove(page: Page, label: str) -> None:
    before = page.locator(".group").count()
    page.get_by_role("button", name=label).last.click()
    expect(page.locator(".group")).to_have_count(before - 1)


def test_two_tabs_at_once_lose_nothing(console: Console) -> None:
    _kept(console, "Lyon")
    page = console.open("/console/segments/lyon", heard=False)
    other = page.context.new_page()
    other.goto("/console/segments/lyon")
    page.locator("#title").fill("Theirs")
    page.get_by_role("button", name="Save").click()
    expect(page.locator("h1")).to_have_text("Theirs")
    other.locator("#title").fill("Mine")
    other.get_by_role("button", name="Save").click()
    other.get_by_text("Somebody was quicker.").wait_for()
    expect(other.locator("#title")).to_have_value("Mine")
    assert _titles(console) == ["Theirs"], "nothing of theirs is written over unasked"
    assert grave(other) == []
    other.get_by_role("button", name="Put mine on top").click()
    expect(other.locator("h1")).to_have_text("Mine")
    assert _titles(console) == ["Mine"]


@everyone
def test_what_was_written_outlives_the_session(console: Console, locale: str, width: int) -> None:
    say = spoken(locale)
    page = console.open("/console/segments", heard=False, locale=locale, width=width)
    _begun(page, "Typed for an hour", locale)
    _lives_in(page, "Lyon", locale)
    expect(page.locator(COUNT)).to_have_text("2")
    console.end_sessions()
    page.get_by_role("button", name=say("Save")).click()
    sign_in(page)
    expect(page.locator(COUNT)).to_have_text("2")
    expect(page.get_by_text(say("What you had typed is back. It is not saved yet."))).to_be_visible()
    expect(page.locator("#title")).to_have_value("Typed for an hour")
    page.get_by_role("button", name=say("Save")).click()
    expect(page.get_by_role("status").last).to_contain_text(say("Saved. Its members are found within seconds."))


def test_over_a_slow_line_a_second_press_and_the_button_back_make_no_second_segment(console: Console) -> None:
    page = console.open("/console/segments")
    _begun(page, "Hurried", "en")
    _lives_in(page, "Lyon", "en")
    expect(page.locator(COUNT)).to_have_text("2")
    slow(page.context, 2_000)
    page.get_by_role("button", name="Save").dblclick(no_wait_after=True)
    page.get_by_text("Saved. Its members are found within seconds.").wait_for()
    page.go_back()
    expect(page.locator("#title")).to_be_visible()
    assert _titles(console) == ["Hurried"]


def test_a_new_segment_takes_no_name_from_another(console: Console) -> None:
    _kept(console, "Lyon")
    page = console.open("/console/segments", heard=False)
    _begun(page, "Lyon", "en")
    _lives_in(page, "Lille", "en")
    expect(page.locator(COUNT)).to_have_text("1")
    page.get_by_role("button", name="Save").click()
    expect(page.locator(".seg-title .fault")).to_contain_text("There is a segment of this name already.")
    expect(page.locator(".rule-text input[name$='.value']")).to_have_value("Lille")


def test_over_a_slow_line_quick_hands_lose_no_rule(console: Console) -> None:
    page = console.open("/console/segments")
    _begun(page, "Hurried", "en")
    slow(page.context, 2_000, pages="**/segments/draft")
    page.locator(".group-add select").select_option("trait")
    page.get_by_role("button", name="Add a rule").click()
    page.locator(".group-add select").select_option("consent")
    page.get_by_role("button", name="Add a rule").click()
    expect(page.locator(".rule")).to_have_count(2)
    page.locator("input[list=known-traits]").fill("city")
    page.locator("input[list=known-traits]").press("Tab")
    page.keyboard.press("Tab")
    page.locator(".rule-text input[name$='.value']").fill("Lyon")
    page.keyboard.press("Tab")
    expect(page.locator(".rule-text input[hx-get*='name=city']")).to_have_value("Lyon")
    expect(page.locator(COUNT)).to_have_text("2")


def _kept(console: Console, town: str) -> None:
    rule = {"type": "all", "of": [{"type": "trait", "name": "city", "op": "is", "value": town}]}
    value = {"name": town.lower(), "title": town, "rule": rule}
    with console.installation.db.begin() as conn:
        segments.apply(conn, segments.parse(value), now=console_world.NOW)


def _titles(console: Console) -> list[str]:
    with console.installation.db.begin() as conn:
        return list(
            conn.scalars(sa.select(tables.segments.c.title).where(tables.segments.c.name.in_(("lyon", "hurried"))))
        )
