"""One journey, one person, every channel: on the shop's own pages, by notification, in an ad audience, by e-mail; and
what she buys in a shop ends it all.

The ready-made journey, a real browser with its real service worker, a real SMTP server, and Meta as its documentation
has it. Only the waiting is simulated: what was left or began is moved back by the hours that would have passed.
"""

import json
import os
import re
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import sqlalchemy as sa
from playwright.sync_api import BrowserContext, Page, expect

from app import parts
from campaigns import enrolments, files, messages, plans, policy, rules, tables
from campaigns.audiences import kept, syncing
from campaigns.audiences.tables import audiences
from campaigns.channels import carriers
from campaigns.channels.push import Push
from campaigns.channels.webpush import WebPush
from campaigns.sending import Sending
from foundation.config import Config
from foundation.database import Database
from shop import consent, inbox
from shop import tables as shop_tables
from tests import browser
from tests.app import storefront
from tests.app.test_push import BROWSER, SUBSCRIBED, _shown
from tests.campaigns import ad_platforms, sink, test_audiences
from tests.campaigns.ad_platforms import AUDIENCE, Peers
from tests.contracts import providers, test_messengers

pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.skipif(browser.executable() is None, reason="no Chromium and none could be installed"),
]
NAME, STORE = "basket-everywhere", "367"
CAMILLE = "camille@example.org"
PICTURES = os.environ.get("RELANCE_PICTURES")
"""A folder for pictures of each station, to be looked at."""


@dataclass
class Story:
    """A demo installation whose messages go to peers we can read, and a visitor of its shop."""

    installation: parts.Parts
    address: str
    sending: Sending
    mailbox: sink.Sink
    push_service: providers.Provider
    platforms: Peers
    context: BrowserContext

    @property
    def db(self) -> Database:
        return self.installation.db

    def timetable(self) -> None:
        """One round of what is due."""
        inbox.drain(self.db)
        now = datetime.now(UTC)
        enrolments.admit_due(self.db, now=now)
        enrolments.advance_due(self.db, now=now)
        messages.deliver_due(self.db, self.sending, now=now)

    def later(self, hours: float) -> None:
        """So much time passes for whoever waits, and the timetable goes round."""
        past = timedelta(hours=hours)
        held, inside = shop_tables.carts, tables.enrolments
        with self.db.begin() as conn:
            conn.execute(sa.update(held).values(touched_at=held.c.touched_at - past))
            conn.execute(
                sa.update(inside).values(wake_at=inside.c.wake_at - past, step_since=inside.c.step_since - past)
            )
        self.timetable()

    def said(self) -> dict[str, str]:
        """What became of each message, by its step."""
        with self.db.begin() as conn:
            return {
                step: state for step, state in conn.execute(sa.select(tables.messages.c.step, tables.messages.c.state))
            }


@pytest.fixture
def story(config: Config, db: Database, tmp_path: Path) -> Iterator[Story]:
    with ExitStack() as stack:
        mailbox, host = stack.enter_context(sink.listening())
        push_service = stack.enter_context(providers.speaking(test_messengers.GOOD["webpush"]))
        platforms = stack.enter_context(ad_platforms.both())
        mailed = replace(config, email_url=f"smtp://{host.name}:{host.port}")
        built, address = stack.enter_context(storefront.opened(mailed, db))
        web = WebPush(carriers.voice(built.config), transport=providers.Rerouted(push_service.url))
        stack.callback(web.close)
        channels = {name: built.channels[name] for name in ("email", "onsite")} | {"push": Push(web=web, app=None)}
        with db.begin() as conn:
            _launch(conn)
        context = stack.enter_context(
            storefront.visiting(tmp_path / "profile", viewport={"width": 1280, "height": 900})
        )
        context.set_default_timeout(90_000)  # a busy machine takes its time
        sending = replace(built.sending(), channels=channels)
        yield Story(built, address, sending, mailbox, push_service, platforms, context)


def _launch(conn: sa.Connection) -> None:
    """The journey as it comes, its audience at Meta, at any hour."""
    now = datetime.now(UTC)
    policy.save(conn, rules.Policy(quiet_from=None, quiet_until=None, cap_messages=20, holdout_percent=0), now=now)
    held = {"name": "left-a-basket", "title": "Left a basket", "platform": "meta", "external_id": AUDIENCE}
    kept.apply(conn, kept.parse(held), now=now)
    ready = next(one.file for one in files.ready_made() if one.name == NAME)
    files.apply(conn, ready.model_copy(update={"audiences": ()}), now=now)
    plans.launch(conn, NAME, now=now)


def _picture(page: Page, name: str) -> None:
    if PICTURES:
        page.screenshot(path=f"{PICTURES}/story-{name}.png", full_page=True)


def _agrees_and_leaves_a_basket(story: Story) -> Page:
    """Camille signs in, lets the shop notify her, and leaves soup in her basket."""
    story.context.grant_permissions(["notifications"], origin=story.address)
    known = BROWSER.subscription
    story.context.add_init_script(f"({SUBSCRIBED})({json.dumps([known.endpoint, known.p256dh, known.auth])})")
    page = story.context.new_page()
    page.goto(f"{story.address}/demo/")
    page.click("[data-consent=granted]")
    with page.expect_response("**/v1/push/subscriptions") as told:
        page.click("[data-notify]")
    assert told.value.status == 200
    page.goto(f"{story.address}/demo/sign-in")
    page.fill("#email", CAMILLE)
    page.click("section form .cta")
    page.goto(f"{story.address}/demo/product/1001")
    page.click(".pp .cta")
    expect(page.locator("#drawer")).to_be_visible(timeout=60_000)
    _picture(page, "1-basket")
    return page


def _arrived(story: Story, *, within: float = 60) -> None:
    """What the browser tells of the basket comes a moment after the page shows it."""
    until = time.monotonic() + within
    while time.monotonic() < until:
        inbox.drain(story.db)
        with story.db.begin() as conn:
            if conn.scalar(sa.select(sa.func.count()).select_from(shop_tables.carts)):
                return
        time.sleep(0.1)
    raise AssertionError("the basket was never told of")


def _agrees_to_mail(story: Story) -> int:
    _arrived(story)
    now = datetime.now(UTC)
    with story.db.begin() as conn:
        camille = conn.scalar(sa.select(shop_tables.customers.c.id).where(shop_tables.customers.c.email == CAMILLE))
        assert camille is not None
        for channel, purpose in (("email", "marketing"), ("ads", "marketing"), ("ads", "personalization")):
            said = {"channel": channel, "purpose": purpose, "state": "granted", "source": "checkout"}
            consent.record(conn, customer_id=camille, at=now, now=now, **said)
    return int(camille)


def test_one_journey_reaches_her_everywhere_and_a_purchase_in_a_shop_ends_it(story: Story) -> None:
    page = _agrees_and_leaves_a_basket(story)
    camille = _agrees_to_mail(story)

    story.later(0.6)
    assert story.said() == {"on_site": "accepted", "notification": "accepted"}
    _is_met_on_site(story, page)
    _is_notified(story, page)
    _is_in_the_audience(story, camille, inside=True)

    story.later(1.1)
    (mail,) = story.mailbox.kept
    _reads_her_mail(story, mail)

    _buys_in_a_shop(story)
    story.later(24)
    with story.db.begin() as conn:
        enrolment = conn.execute(sa.select(tables.enrolments)).mappings().one()
    assert (enrolment["state"], enrolment["reason"]) == ("left", "converted")
    assert set(story.said()) == {"on_site", "notification", "mail"}, "no text message follows"
    _is_in_the_audience(story, camille, inside=False)
    with story.db.begin() as conn:
        left = kept.get(conn, "left-a-basket")
    assert (left.size, left.avoided) == (0, 1), "advertising avoided"
    _is_left_in_peace(story, page)


def _is_met_on_site(story: Story, page: Page) -> None:
    page.goto(f"{story.address}/demo/")
    block = page.locator("[data-relance] h2").filter(has_text=re.compile("basket is waiting", re.I)).first
    expect(block).to_be_visible(timeout=60_000)
    expect(page.locator("[data-relance] .go")).to_have_text("Back to my basket", timeout=60_000)
    _picture(page, "2-on-site")


def _is_notified(story: Story, page: Page) -> None:
    """What left for the push service, opened with her browser's keys and shown by the shop's own service worker."""
    (asked,) = story.push_service.taken
    plain = BROWSER.read(asked.body)
    shown = _shown(page, json.dumps(plain), story.address)
    assert "basket is waiting" in shown["title"] and "Onion soup" in shown["body"]


def _is_in_the_audience(story: Story, camille: int, *, inside: bool) -> None:
    """At Meta, by the hash of her address, and nowhere else."""
    now = datetime.now(UTC)
    with story.db.begin() as conn:
        conn.execute(sa.update(audiences).values(due_at=now))  # five minutes have passed
    syncing.sync_due(story.db, story.platforms[0], now=now)
    held = story.platforms[1].held[AUDIENCE]
    assert held == ({test_audiences.hashed(CAMILLE)} if inside else set())


def _reads_her_mail(story: Story, mail: EmailMessage) -> None:
    body = mail.get_body(("html",))
    assert body is not None and mail["To"] == CAMILLE
    html: Any = body.get_content()
    phone = story.context.new_page()
    phone.set_viewport_size({"width": 390, "height": 844})
    phone.set_content(html)
    _picture(phone, "3-mail")
    link = phone.locator("a", has_text=re.compile("Back to my basket", re.I)).first.get_attribute("href")
    assert link and urlsplit(link).path.startswith("/c/")
    phone.goto(link)
    expect(phone.locator("main")).to_contain_text("Onion soup", timeout=60_000)
    phone.close()


def _buys_in_a_shop(story: Story) -> None:
    till = story.context.new_page()
    till.set_viewport_size({"width": 390, "height": 844})
    till.goto(f"{story.address}/demo/till?q={CAMILLE}")
    till.locator('a[href*="customer="]').first.click()
    _picture(till, "4-till")
    till.click("main form[action*=receipts] button")
    till.wait_for_url("**/receipts/**")
    till.close()


def _is_left_in_peace(story: Story, page: Page) -> None:
    with page.expect_response("**/v1/onsite**") as asked:
        page.goto(f"{story.address}/demo/")
    assert "basket is waiting" not in asked.value.text()
    _picture(page, "5-after")
