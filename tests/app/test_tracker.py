"""The storefront's tracker in a real browser: silent until it may speak, and losing nothing once it does."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from playwright.sync_api import Page

from foundation.config import Config
from foundation.database import Database
from shop.tables import events
from tests import browser
from tests.app import storefront
from tests.app.storefront import own_page

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(browser.executable() is None, reason="no Chromium"),
]

KEPT = "() => [document.cookie, Object.keys(localStorage), Object.keys(sessionStorage)]"


@pytest.fixture
def shop(config: Config, db: Database, tmp_path: Path) -> Iterator[tuple[str, Page]]:
    with storefront.opened(config, db) as (_, address), storefront.visiting(tmp_path / "profile") as context:
        yield address, context.new_page()


@contextmanager
def asked(page: Page) -> Iterator[list[Any]]:
    """The calls of our interface the page makes meanwhile."""
    found: list[Any] = []
    page.on("request", lambda request: found.append(request) if "/v1/" in request.url else None)
    yield found


def sent(requests: list[Any]) -> list[dict[str, Any]]:
    """The events in these calls."""
    bodies = [json.loads(one.post_data) for one in requests if one.url.endswith("/v1/batch") or "/beacon/" in one.url]
    return [event for body in bodies for event in body["batch"]]


def test_nothing_is_kept_or_asked_before_consent_nor_after_refusal(shop: tuple[str, Page]) -> None:
    address, page = shop
    with asked(page) as calls:
        page.goto(f"{address}/demo/product/1001")
        page.wait_for_timeout(700)
        assert page.evaluate(KEPT) == ["", [], []] and calls == []
        page.click("[data-consent=refused]")
        page.wait_for_timeout(700)
        assert page.evaluate(KEPT) == ["relance-consent=refused", [], []] and calls == []
        page.evaluate("() => { relance.track('X'); relance.identify('u'); relance.recommend({}); relance.onsite(); }")
        page.wait_for_timeout(700)
        assert page.evaluate(KEPT) == ["relance-consent=refused", [], []] and calls == []


def test_a_withdrawal_empties_the_browser_and_ends_all_calls(shop: tuple[str, Page]) -> None:
    address, page = shop
    page.goto(f"{address}/demo/product/1001")
    with page.expect_request("**/v1/batch"):
        page.click("[data-consent=granted]")
    assert "relance-visitor" in page.evaluate("() => document.cookie")
    page.evaluate("() => relance.consent('refused')")
    with asked(page) as calls:
        page.evaluate("() => relance.track('X')")
        page.wait_for_timeout(700)
        assert page.evaluate(KEPT) == ["relance-consent=refused", [], []] and calls == []


def test_googles_consent_mode_is_followed(shop: tuple[str, Page]) -> None:
    address, page = shop
    layer = "window.dataLayer = []; function gtag() { dataLayer.push(arguments); }"
    before = f"{layer} gtag('consent', 'default', {{analytics_storage: 'denied'}});"
    own_page(page, address, attributes='data-consent="google"', before=before)
    assert page.evaluate("() => relance.consent()") == "pending"
    page.evaluate("() => gtag('consent', 'update', {ad_storage: 'granted'})")
    assert page.evaluate("() => relance.consent()") == "pending"
    page.evaluate("() => gtag('consent', 'update', {analytics_storage: 'granted'})")
    assert page.evaluate("() => [relance.consent(), typeof relance.anonymousId()]") == ["granted", "string"]
    page.evaluate("() => gtag('consent', 'update', {analytics_storage: 'denied'})")
    assert page.evaluate("() => [relance.consent(), relance.anonymousId()]") == ["refused", None]
    assert page.evaluate("() => dataLayer.length") == 4


@pytest.mark.parametrize(
    ("told", "stands"),
    [
        ({"eventStatus": "cmpuishown"}, "pending"),
        ({"eventStatus": "tcloaded", "gdprApplies": True, "purpose": {"consents": {"1": True}}}, "refused"),
        ({"eventStatus": "tcloaded", "gdprApplies": True, "purpose": {"consents": {"1": True, "8": True}}}, "granted"),
        ({"eventStatus": "useractioncomplete", "gdprApplies": True, "purpose": {"consents": {}}}, "refused"),
        ({"eventStatus": "tcloaded", "gdprApplies": False}, "granted"),
    ],
)
def test_the_tcf_is_followed(shop: tuple[str, Page], told: dict[str, Any], stands: str) -> None:
    address, page = shop
    before = f"window.__tcfapi = (name, version, back) => back({json.dumps(told)}, true);"
    own_page(page, address, attributes='data-consent="tcf"', before=before)
    assert page.evaluate("() => relance.consent()") == stands


def test_a_single_page_application_is_followed_and_calls_made_early_are_not_lost(shop: tuple[str, Page]) -> None:
    address, page = shop
    before = "window.relance = []; relance.push(['track', 'Early', {n: 1}]); relance.push(['nonsense']);"
    with asked(page) as calls:
        own_page(page, address, attributes='data-consent="granted" data-spa', before=before)
        page.wait_for_timeout(800)
        page.evaluate("() => { history.pushState({}, '', '/own/two'); }")
        page.wait_for_timeout(50)
        page.evaluate("() => { history.replaceState({}, '', '/own/two'); history.pushState({}, '', '/own/three'); }")
        page.wait_for_timeout(50)
        page.evaluate("() => { history.back(); }")
        page.wait_for_timeout(1200)
        told = sent(calls)
    assert [one["event"] for one in told if one["type"] == "track"] == ["Early"]
    paths = [one["properties"]["path"] for one in told if one["type"] == "page"]
    assert paths == ["/own/two", "/own/three", "/own/two"]


def test_what_cannot_be_sent_waits_and_leaves_with_the_page_at_the_latest(shop: tuple[str, Page], db: Database) -> None:
    address, page = shop
    own_page(page, address, attributes='data-consent="granted"')
    page.wait_for_timeout(700)
    page.context.set_offline(True)
    page.evaluate("() => { relance.track('Offline'); return relance.flush(); }")
    page.wait_for_timeout(700)
    assert page.evaluate("() => JSON.parse(localStorage['relance-queue']).map(m => m.event)") == ["Offline"]
    with asked(page) as calls:
        page.context.set_offline(False)
        page.wait_for_timeout(2500)
        assert [one["event"] for one in sent(calls)] == ["Offline"]
    page.evaluate("() => { relance.track('Leaving'); }")
    page.goto("about:blank")  # no tracker there that would send it again
    for _ in range(50):
        with db.begin() as conn:
            if conn.scalar(sa.select(events.c.name).where(events.c.name == "Leaving")):
                return
        page.wait_for_timeout(100)
    raise AssertionError("what was waiting did not leave with the page")


def test_two_ids_become_one_person_and_groups_are_told(shop: tuple[str, Page]) -> None:
    address, page = shop
    with asked(page) as calls:
        own_page(page, address, attributes='data-consent="granted"')
        page.evaluate("() => { relance.group('club', {plan: 'gold'}); relance.alias('u-2'); relance.track('After'); }")
        page.wait_for_timeout(900)
        told = {one["type"]: one for one in sent(calls)}
    assert told["group"]["groupId"] == "club" and told["alias"]["userId"] == "u-2"
    assert told["alias"]["previousId"] == told["track"]["anonymousId"] and told["track"]["userId"] == "u-2"
