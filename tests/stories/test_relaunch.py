"""A relaunch of three steps with an experiment, by clicking: chosen, changed, tried on the past, launched, watched and
read in its report."""

from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa
from playwright.sync_api import Page, expect

from campaigns import conversions, dry_runs, enrolments, figures, messages, policy, rules
from campaigns import tables as campaign_tables
from shop.tables import customers
from tests.app import console_world
from tests.campaigns import world
from tests.console import Console, everyone, grave, marks, spoken, too_wide

pytestmark = marks
NOW = datetime.now(UTC)
NAME = "basket-relaunch"
LEFT = ("camille", "paul", "zoe", "ann", "bea", "cia")


@pytest.fixture(autouse=True)
def shop(console: Console) -> None:
    """Six customers, who left a basket yesterday; messages may leave at any hour."""
    with console.installation.db.begin() as conn:
        world.stock_shop(conn, now=NOW)
        policy.save(conn, rules.Policy(quiet_from=None, quiet_until=None), now=NOW)
        for user in LEFT:
            world.make_customer(conn, user, at=NOW - timedelta(days=3), first_name=user.title())
            world.leave_cart(conn, user, at=NOW - timedelta(days=1))


def _add(page: Page, at: int, kind: str, *, within: str = "#flow") -> None:
    """A step of a kind, at one of the places where there may be one."""
    page.locator(f"{within} .add").nth(at).click()
    page.locator(f"#adder [value={kind}]").click()


@everyone
def test_a_relaunch_is_built_tried_launched_watched_and_reported(console: Console, locale: str, width: int) -> None:
    say = spoken(locale)
    page = console.open("/console/campaigns", locale=locale, width=width)
    page.get_by_role("link", name=say("New campaign")).first.click()
    page.locator(".gallery li", has=page.locator(f"[name=from][value={NAME}]")).get_by_role("button").click()
    expect(page.locator("#flow .step[data-step]")).to_have_count(5)
    _put_an_experiment_first(page, locale)
    assert too_wide(page) == 0 and grave(page) == []
    _dry_run(console, page, locale)
    page.get_by_role("button", name=say("Launch"), exact=True).click()
    page.get_by_role("dialog").get_by_role("button", name=say("Launch it")).click()
    page.get_by_text(say("It runs."), exact=True).wait_for()
    _let_it_run(console)
    page.reload()
    expect(page.locator("#step-entry .step-n b")).not_to_have_text("0")
    expect(page.locator("#step-experiment .step-n b")).not_to_have_text("0")
    page.get_by_role("link", name=NAME).first.click()
    page.get_by_role("link", name=say("Full report")).click()
    expect(page.locator("#test-experiment")).to_contain_text("warm")
    expect(page.locator("main")).to_contain_text("189")
    assert too_wide(page) == 0 and grave(page) == []


def _put_an_experiment_first(page: Page, locale: str) -> None:
    """Two ways of saying the first word, in place of the one that stood there; its faults are said until written."""
    _add(page, 0, "experiment")
    for n, name in enumerate(("warm", "dry")):
        page.locator(f"[name='variants.{n}.name']").fill(name)
        page.locator(f"[name='variants.{n}.name']").press("Tab")
        expect(page.locator("#flow .way-name").nth(n)).to_contain_text(name)
    for n, step in enumerate(("message", "message-2")):
        _add(page, 0, "send", within=f"#flow .way >> nth={n} >> css=ol")
        _opened(page, step)
        expect(page.locator(f"#step-{step} .fault").first).to_be_visible()
        for part in ("subject", "heading", "intro"):
            page.locator(f"[name='words.{locale}.{part}']").fill(f"Word {n}")
            page.locator(f"[name='words.{locale}.{part}']").press("Tab")
        expect(page.locator(f"#step-{step} .fault")).to_have_count(0)
    page.locator("#step-reminder .step-i").click()
    _opened(page, "reminder")
    page.locator("#panel form[data-send=remove] button").click()
    expect(page.locator("#step-reminder")).to_have_count(0)
    expect(page.locator("#jb-bar .fault")).to_have_count(0)


def _opened(page: Page, step: str) -> None:
    expect(page.locator("#fields [name=step]")).to_have_value(step)


def _dry_run(console: Console, page: Page, locale: str) -> None:
    say = spoken(locale)
    page.get_by_role("link", name=say("Dry run")).first.click()
    page.locator(".filters button").first.click()
    expect(page.locator("#dry-run [aria-busy]")).to_be_visible()
    dry_runs.run_due(console.installation.db, now=datetime.now(UTC))
    expect(page.locator("#dry-run .figure dd").first).to_contain_text(str(len(LEFT)))
    assert too_wide(page) == 0
    page.goto(f"/console/campaigns/{NAME}/edit")


def _let_it_run(console: Console) -> None:
    """The timetable goes round: the first words are out, one of those who got them clicked and bought."""
    db, now = console.installation.db, datetime.now(UTC)
    for minutes in range(3):
        at = now + timedelta(minutes=minutes)
        enrolments.admit_due(db, now=at)
        enrolments.advance_due(db, now=at)
        messages.deliver_due(db, console.installation.sending(), now=at)
    ledger = sa.select(campaign_tables.messages.c.customer_id, campaign_tables.messages.c.state)
    with db.begin() as conn:
        written = conn.execute(ledger).all()
        users = dict(conn.execute(sa.select(customers.c.id, customers.c.user_id)).all())
    assert {state for _, state in written} == {"accepted"}, written
    console_world.clicked(console.installation, written[0][0])
    with db.begin() as conn:
        world.order(conn, users[written[0][0]], at=now, order_id="W-1")
    conversions.credit_new_orders(db, now=datetime.now(UTC))
    figures.refresh(db, now=datetime.now(UTC))
