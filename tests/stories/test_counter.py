"""An offer is made at a desk, and its code redeemed by shop staff on a telephone, with a camera or without one."""

from datetime import UTC, datetime

import pytest
import sqlalchemy as sa
from playwright.sync_api import Page, expect

from campaigns import offer_figures, offers, promotions
from campaigns.promo_tables import promo_redemptions
from foundation.database import new_id
from shop import stores
from tests.app import console_world
from tests.app.console_world import Day
from tests.console import PHONE, Console, grave, marks, sign_in, spoken, too_wide

pytestmark = marks
STAFF = "lea@aubier.example"
REFUSED = """
navigator.mediaDevices.enumerateDevices = async () => [{ kind: "videoinput" }];
navigator.mediaDevices.getUserMedia = async () => { throw new DOMException("no", "NotAllowedError"); };
"""
"""There is a camera, and who holds the telephone does not let it be used."""
both = pytest.mark.parametrize("locale", ["fr", "en"])


@pytest.fixture
def day(console: Console) -> Day:
    """A shop in Nantes, and somebody who works there and may do nothing else."""
    with console.installation.db.begin() as conn:
        stores.put(conn, [{"store_id": "367", "name": "Nantes Crébillon"}], now=console_world.NOW)
    console_world.make_user(console.installation, role="store", email=STAFF, name="Léa Petit")
    return console_world.live(console.installation)


def _make_offer(page: Page, locale: str) -> None:
    """Writes the amount in words at first: the fault stands beside it, and what was typed is still there."""
    say = spoken(locale)
    page.goto("/console/promotions")
    page.get_by_role("link", name=say("New offer")).first.click()
    page.locator("[name='/name']").fill("autumn")
    page.locator("[name='/prefix']").fill("AUBIER")
    page.locator("[name='/valid_days']").fill("30")
    page.locator("[name='/value']").fill("beaucoup")
    page.get_by_role("button", name=say("Save the offer")).click()
    expect(page.locator("main .note-bad[role=alert]")).to_be_visible()
    expect(page.locator("[name='/name']")).to_have_value("autumn")
    page.locator("[name='/value']").fill("10")
    page.get_by_role("button", name=say("Save the offer")).click()
    expect(page.get_by_role("status").last).to_contain_text(say("The offer is kept."))


def _given(console: Console, customer: int) -> str:
    """The code a campaign put into her message."""
    now = datetime.now(UTC)
    with console.installation.db.begin() as conn:
        offer = offers.find(conn, "autumn")
        assert offer
        message_id = new_id()
        held = promotions.reserve(conn, offer, {customer: message_id}, zone=UTC, now=now)
        promotions.issue(conn, [message_id], now=now)
        return held[customer].shown


@both
def test_an_offer_is_made_and_its_code_redeemed_at_the_counter(console: Console, day: Day, locale: str) -> None:
    say = spoken(locale)
    desk = console.open(locale=locale)
    _make_offer(desk, locale)
    code = _given(console, day.paul)

    counter = console.open("/console/store", locale=locale, width=PHONE, email=STAFF)
    counter.locator("#here, #q").first.wait_for()
    counter.locator("#q").fill(code.lower())
    counter.get_by_role("button", name=say("Find")).click()
    expect(counter.locator(".st-ok")).to_contain_text(say("Valid code"))
    counter.locator("#total").fill("100")
    counter.get_by_role("button", name=say("Work it out")).click()
    expect(counter.locator(".bill .tot").last).to_contain_text("90")
    counter.locator("#ticket").fill("T-1")
    counter.get_by_role("button", name=say("Use the code on this ticket")).dblclick()
    expect(counter.get_by_role("status").last).to_contain_text("T-1")
    assert too_wide(counter) == 0 and grave(counter) == []
    counter.go_back()
    counter.locator("#q").fill(code)
    counter.get_by_role("button", name=say("Find")).click()
    expect(counter.locator(".st-no")).to_be_visible()
    assert counter.request.get("/console/customers").status == 403, "shop staff see no list of anybody"

    with console.installation.db.begin() as conn:
        used = conn.execute(sa.select(promo_redemptions.c.order_id, promo_redemptions.c.channel)).all()
    assert [tuple(one) for one in used] == [("T-1", "store")], "a double press is one use"
    offer_figures.keep_up(console.installation.db, now=datetime.now(UTC))
    desk.goto("/console/promotions/autumn")
    expect(desk.locator("main")).to_contain_text("T-1")


@both
def test_where_there_is_no_camera_the_number_is_typed(console: Console, day: Day, locale: str) -> None:
    say = spoken(locale)
    page = console.open("/console/store", locale=locale, width=PHONE, email=STAFF)
    expect(page.locator("[data-scan]")).to_be_hidden()
    expect(page.locator("#q")).to_be_focused()
    page.add_init_script(REFUSED)
    page.reload()
    page.get_by_role("button", name=say("Scan a card or a code")).click()
    expect(page.locator("[data-blind]")).to_contain_text(
        say("The camera cannot be used here. Type the number instead.")
    )
    expect(page.locator("[data-eye]")).to_be_hidden()
    expect(page.locator("#q")).to_be_focused()
    page.locator("#q").fill("camille@example.org")
    page.locator("#q").press("Enter")
    expect(page.locator(".st-who h2")).to_have_text("Camille Laurent")
    assert too_wide(page) == 0 and grave(page) == []


def test_an_offer_typed_while_the_session_ended_is_not_typed_again(console: Console) -> None:
    page = console.open("/console/promotions/-/new", heard=False)
    page.locator("[name='/name']").fill("autumn")
    page.locator("[name='/value']").fill("12")
    page.locator("[name='/once_per_customer']").check()
    console.end_sessions()
    page.get_by_role("button", name="Save the offer").click()
    sign_in(page)
    expect(page.locator("[name='/value']")).to_have_value("12")
    expect(page.locator("[name='/once_per_customer']")).to_be_checked()
    page.get_by_role("button", name="Save the offer").click()
    expect(page.locator("h1")).to_contain_text("autumn")
