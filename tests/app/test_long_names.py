"""Names of ten thousand characters: refused by name where they are typed, never wider than the page where they come."""

from datetime import timedelta

import pytest
from flask.testing import FlaskClient
from playwright.sync_api import Page, expect

from app import parts
from campaigns import plans, segments
from campaigns.definitions import offers
from foundation.errors import Invalid
from shop import catalogue
from tests.app.console_world import NOW, post
from tests.campaigns import world
from tests.console import Console, beyond, everyone, marks, too_wide

pytestmark = marks
LONG = "Écharpe" * 1_429
assert len(LONG) > 10_000


@pytest.mark.parametrize(("locale", "fault"), [("en", "at most 200 characters"), ("fr", "200 caractères")])
def test_a_campaigns_title_is_refused_and_stands_in_the_form(
    ines: FlaskClient, installation: parts.Parts, locale: str, fault: str
) -> None:
    ines.set_cookie("locale", locale)
    typed = {"from": "blank", "title": LONG}
    answer = post(ines, "/console/campaigns/start", typed, on="/console/campaigns/new")
    assert answer.status_code == 422 and LONG in answer.text
    assert fault in answer.text.replace("\xa0", " ")
    with installation.db.begin() as conn:
        assert plans.every(conn) == []


def test_titles_of_segments_offers_and_products_are_refused_by_name(installation: parts.Parts) -> None:
    with pytest.raises(Invalid, match="/title: must be a text on one line, at most 200 characters"):
        segments.parse({"name": "buyers", "title": LONG})
    with pytest.raises(Invalid, match="/name"):
        offers.parse({"name": LONG, "kind": "percentage", "value": 1000})
    with installation.db.begin() as conn:
        (row,) = catalogue.put(conn, [{"product_id": "p", "title": LONG}], now=NOW)
    assert not row.ok and "title" in str(row) and "longer than 1,000 characters" in str(row)


@everyone
def test_the_longest_that_come_stay_within_the_page(console: Console, locale: str, width: int) -> None:
    with console.installation.db.begin() as conn:
        world.stock_shop(conn, now=NOW)
        person = world.make_customer(conn, "ada", at=NOW, first_name="Ada", last_name=LONG[:250])
        product = {"product_id": "long", "title": LONG[:1_000], "price": "9.00", "currency": "EUR"}
        (fed,) = catalogue.put(conn, [product], now=NOW)
        assert fed.ok
        visited = {"url": "https://shop.example/long", "title": LONG, "path": "/long"}
        world.say(conn, "ada", "Page Viewed", at=NOW - timedelta(minutes=1), **visited)
        world.say(conn, "ada", "Product Viewed", at=NOW, product_id="long", name=LONG)
    page: Page = console.open(locale=locale, width=width)
    for path in (f"/console/customers/{person}", "/console/sources/catalogue"):
        page.goto(path)
        expect(page.locator("main").get_by_text("Écharpe").first).to_be_visible(timeout=20_000)
        assert too_wide(page) == 0, (path, beyond(page))
