"""Merchandising rules put in order in a real browser: by dragging, and by the arrow keys."""

import pytest
from playwright.sync_api import Page, expect

from recommender import merchandising
from recommender.rules import Rule
from tests.app.console_world import NOW
from tests.console import Console, marks

pytestmark = marks


@pytest.fixture
def page(console: Console) -> Page:
    """The rules of a shop that has three."""
    with console.installation.db.begin() as conn:
        for name in ("one", "two", "three"):
            rule = Rule(name=name, action="boost", brands=("Aubier",), strength=2)
            merchandising.add_rule(conn, rule, by="Inès", now=NOW)
    return console.open("/console/rules")


def order(page: Page, names: list[str]) -> None:
    expect(page.locator("[data-place] a.link")).to_have_text(names, timeout=60_000)


def test_a_rule_is_dragged_to_its_place(page: Page) -> None:
    order(page, ["one", "two", "three"])
    grip, last = page.locator(".grip").first, page.locator("[data-place]").last
    held, to = grip.bounding_box(), last.bounding_box()
    assert held and to
    page.mouse.move(held["x"] + 5, held["y"] + 5)
    page.mouse.down()
    page.mouse.move(held["x"] + 5, to["y"] + to["height"] - 4, steps=6)
    expect(last).to_have_class("drop-below")
    page.mouse.up()
    order(page, ["two", "three", "one"])


def test_a_rule_is_moved_by_the_arrow_keys_and_keeps_the_focus(page: Page) -> None:
    page.locator(".grip").last.focus()
    page.keyboard.press("ArrowUp")
    order(page, ["one", "three", "two"])
    expect(page.locator("[data-place]").nth(1).locator(".grip")).to_be_focused()
    page.keyboard.press("ArrowUp")
    order(page, ["three", "one", "two"])


def test_a_rule_let_go_where_it_was_stays_there(page: Page) -> None:
    page.locator(".grip").nth(1).hover()
    page.mouse.down()
    page.mouse.up()
    page.reload()
    order(page, ["one", "two", "three"])
