"""Banners, pop-ins and slots on the shop's pages: what a visitor is shown, and how it looks to her browser."""

import gzip
import re
import uuid
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from axe_playwright_python.sync_playwright import Axe
from flask.testing import FlaskClient
from playwright.sync_api import Page, expect

from campaigns import onsite, segments, tables
from campaigns.channels.onsite import OnsiteChannel
from campaigns.channels.tables import onsite_days, onsite_views
from campaigns.definitions import onsite as definitions
from foundation.config import Config
from foundation.database import Database
from foundation.errors import Invalid
from shop import customers
from shop.tables import products
from tests import browser
from tests.app import storefront
from tests.app.conftest import NOW
from tests.campaigns import world
from tests.contracts import test_messengers

WORDS = {
    "en": {"heading": "Collect in 2 hours", "text": "Your basket waits."},
    "fr": {"heading": "Retrait en 2 heures"},
}
BANNER: dict[str, Any] = {"title": "Collect", "form": "banner", "words": WORDS}


def _live(db: Database, name: str = "collect", **changes: Any) -> None:
    with db.begin() as conn:
        onsite.put(conn, name, BANNER | changes, now=NOW)
        onsite.move(conn, name, "live", now=NOW)


def _get(client: FlaskClient, key: str, **query: str) -> list[dict[str, Any]]:
    answer = client.get("/v1/onsite", query_string=query, headers={"Authorization": f"Bearer {key}"})
    assert answer.status_code == 200, answer.text
    return list(answer.get_json()["blocks"])


def _tell(client: FlaskClient, key: str, **told: Any) -> int:
    return client.post("/v1/onsite/told", json=told, headers={"Authorization": f"Bearer {key}"}).status_code


def _visitor(db: Database, anonymous_id: str, user: str | None = None) -> int:
    """Somebody whose browser we know."""
    with db.begin() as conn:
        event = world.event_of(conn, user or "x", "Home Viewed", at=NOW)
        payload = {
            "type": "track",
            "event": "Home Viewed",
            "anonymousId": anonymous_id,
            "messageId": f"v{anonymous_id}",
        }
        if user:
            payload["userId"] = user
        source = world.sources.source(conn, "test web", channel="web", now=NOW, trusted=True)
        parsed = world.vocabulary.parse(payload, source=source, received_at=NOW)
        assert isinstance(parsed, type(event))
        world.ingest.ingest(conn, [parsed], now=NOW)
        found = customers.find(conn, anonymous_id=anonymous_id)
    assert found is not None
    return found


# --------------------------------------------------------------------------------------------------- definitions
@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"form": "slot"}, "/slot"),
        ({"slot": "home"}, "/slot"),
        ({"form": "popup"}, "/form"),
        ({"words": {}}, "/words"),
        ({"words": {"de": {"heading": "x"}}}, "/words/de"),
        ({"words": {"en": {"heading": "x\ny"}}}, "/words/en/heading"),
        ({"words": {"en": {"heading": "x", "button": "Go"}}}, "/words/en/button"),
        ({"action": "notify"}, "/words/en/button"),
        ({"link": "javascript:alert(1)"}, "/link"),
        ({"image": "data:image/svg+xml,x"}, "/image"),
        ({"placement": "buy_again", "products": 3}, "/placement"),
        ({"pages": ["product"]}, "/pages/0"),
        ({"cap": {"times": 0}}, "/cap/times"),
        ({"moment": {"scrolled": 101}}, "/moment/scrolled"),
        ({"segment": "gold", "visitors": "unknown"}, "/visitors"),
        ({"colour": "red"}, "/colour"),
    ],
)
def test_a_block_that_cannot_be_is_refused_by_name(changes: dict[str, Any], pointer: str) -> None:
    with pytest.raises(Invalid) as refused:
        definitions.parse(BANNER | changes)
    assert any(fault.pointer.startswith(pointer) for fault in refused.value.faults), refused.value.faults


def test_a_segment_nobody_made_is_refused(db: Database) -> None:
    with pytest.raises(Invalid), db.begin() as conn:
        onsite.put(conn, "x", BANNER | {"segment": "nobody"}, now=NOW)


@pytest.mark.parametrize(
    ("pages", "never", "page", "fits"),
    [
        ([], [], "https://shop.example/anything?x=1", True),
        (["/product/*"], [], "https://shop.example/product/1001?mt=t", True),
        (["/product/*"], [], "https://shop.example/products", False),
        (["/product/*"], ["/product/1001"], "/product/1001", False),
        (["/"], [], "https://shop.example/", True),
        (["/"], [], "https://shop.example/x", False),
        (["/*/sale/*.html"], [], "/fr/sale/x.html", True),
        (["/*a*a*a*a*a*a*a*a*b"], [], "/" + "a" * 280, False),
        (["/x"], [], "https://[", False),
        (["/"], [], "not an address", True),
    ],
)
def test_a_block_knows_its_pages(pages: list[str], never: list[str], page: str, fits: bool) -> None:
    block = definitions.parse(BANNER | {"pages": pages, "except_pages": never})
    assert definitions.shown_on(block, page) is fits


# ------------------------------------------------------------------------------------------------ the interface
def test_a_visitor_nobody_knows_is_shown_what_is_for_everybody(
    client: FlaskClient, make_key: Any, db: Database
) -> None:
    _live(db)
    _live(db, "paused")
    with db.begin() as conn:
        onsite.move(conn, "paused", "paused", now=NOW)
    key = make_key("write")
    (shown,) = _get(client, key, page="https://shop.example/", locale="fr-FR")
    assert (shown["heading"], shown["close"], shown["form"]) == ("Retrait en 2 heures", "Fermer", "banner")
    assert _get(client, key, anonymous="never-seen", page="/") != []


def test_of_one_place_only_the_most_important_is_shown(client: FlaskClient, make_key: Any, db: Database) -> None:
    _live(db, "quiet", priority=10)
    _live(db, "loud", priority=90)
    _live(db, "above", position="top", priority=1)
    names = [one["name"] for one in _get(client, make_key("write"), page="/")]
    assert names == ["loud", "above"]


def test_a_block_for_a_segment_is_for_its_members(client: FlaskClient, make_key: Any, db: Database) -> None:
    person = _visitor(db, "a-1", "ada")
    with db.begin() as conn:
        world.segments_of(conn, now=NOW)
        segment = segments.get(conn, "gold")
    _live(db, segment="gold")
    key = make_key("write")
    assert _get(client, key, anonymous="a-1", page="/") == []
    with db.begin() as conn:
        row = {"segment_id": segment.id, "customer_id": person, "since": NOW}
        conn.execute(sa.insert(tables.segment_members).values(row))
    assert len(_get(client, key, anonymous="a-1", page="/")) == 1
    assert _get(client, key, anonymous="a-2", page="/") == [] and _get(client, key, page="/") == []


def test_known_and_unknown_visitors_are_told_apart(client: FlaskClient, make_key: Any, db: Database) -> None:
    _visitor(db, "a-1", "ada")
    _live(db, "hello", visitors="known")
    _live(db, "who", visitors="unknown", position="top")
    key = make_key("write")
    assert [one["name"] for one in _get(client, key, anonymous="a-1", page="/")] == ["hello"]
    assert [one["name"] for one in _get(client, key, anonymous="b-1", page="/")] == ["who"]


def test_a_cap_holds_on_every_device_and_a_closed_block_stays_away(
    client: FlaskClient, make_key: Any, db: Database
) -> None:
    _visitor(db, "laptop", "ada")
    _visitor(db, "phone", "ada")
    _live(db, cap={"times": 2, "days": 7, "closed_days": 30})
    key = make_key("write")
    for device in ("laptop", "phone"):
        assert len(_get(client, key, anonymous=device, page="/")) == 1
        assert _tell(client, key, what="shown", name="collect", anonymous=device) == 204
    assert _get(client, key, anonymous="laptop", page="/") == []
    with db.begin() as conn:
        conn.execute(sa.update(onsite_views).values(day=(NOW - timedelta(days=8)).date()))
    assert len(_get(client, key, anonymous="laptop", page="/")) == 1
    _tell(client, key, what="closed", name="collect", anonymous="phone")
    assert _get(client, key, anonymous="laptop", page="/") == []


def test_what_browsers_tell_is_counted_once_a_word(client: FlaskClient, make_key: Any, db: Database) -> None:
    _live(db)
    key = make_key("write")
    for what in ("shown", "shown", "clicked", "closed"):
        _tell(client, key, what=what, name="collect", anonymous="nobody-yet")
    with db.begin() as conn:
        (found,) = onsite.figures(conn, since=NOW - timedelta(days=1)).values()
        assert conn.scalar(sa.select(sa.func.count()).select_from(onsite_days)) == 1
    assert found == onsite.Figures(2, 1, 1)
    assert _tell(client, key, what="shown", name="unknown") == 404
    assert _tell(client, key, what="eaten", name="collect") == 422


def test_recommendations_are_shown_where_a_block_asks_for_them(
    client: FlaskClient, call: Any, make_key: Any, db: Database
) -> None:
    feed = [{"product_id": f"p{n}", "title": f"Product {n}", "price": "9.50", "currency": "EUR"} for n in range(5)]
    assert call("PUT", "/v1/products", feed).status_code == 200
    _live(db, "picks", form="slot", slot="home", products=3)
    (shown,) = _get(client, make_key("write"), anonymous="a-1", page="/")
    assert len(shown["products"]) == 3 and shown["slate_id"]
    assert shown["products"][0]["price"] == "€9.50"


def test_a_message_of_a_journey_waits_for_her_until_she_follows_it(
    client: FlaskClient, make_key: Any, db: Database
) -> None:
    trial = test_messengers.Trial(OnsiteChannel(db), ("1",), lambda: 0, channel="onsite")
    note = test_messengers.a_note(db, trial)
    trial.carrier.deliver([note])
    with db.begin() as conn:
        (name,) = conn.execute(
            sa.text("SELECT user_id FROM customers WHERE id = :id"), {"id": int(note.addresses[0])}
        ).one()
    _visitor(db, "hers", name)
    key = make_key("write")
    (shown,) = _get(client, key, anonymous="hers", page="/")
    assert (shown["message_id"], shown["heading"], shown["url"]) == (str(note.message_id), note.title, note.url)
    assert _get(client, key, anonymous="somebody-else", page="/") == []
    assert _tell(client, key, what="clicked", message_id=str(note.message_id), anonymous="somebody-else") == 404
    assert _tell(client, key, what="shown", message_id=str(note.message_id), anonymous="hers") == 204
    assert len(_get(client, key, anonymous="hers", page="/")) == 1
    assert _tell(client, key, what="clicked", message_id=str(note.message_id), anonymous="hers") == 204
    assert _get(client, key, anonymous="hers", page="/") == []
    assert _tell(client, key, what="shown", message_id=str(uuid.uuid4()), anonymous="hers") == 404


# -------------------------------------------------------------------------------------------------- the browser
SHIFTS = """() => { window.__shift = 0;
  new PerformanceObserver(list => list.getEntries().forEach(e => { if (!e.hadRecentInput) window.__shift += e.value; }))
    .observe({type: "layout-shift", buffered: true}); }"""

HOSTILE = "<img src=x onerror=window.__xss=1>\"'><script>window.__xss=1</script>"


BODY = "<h1>A shop</h1><button id='own'>Own</button>" + "<p>Words of the shop.</p>" * 40
BODY = BODY.replace("</h1>", "</h1><div data-relance-slot='home'></div>")


@pytest.mark.browser
@pytest.mark.skipif(browser.executable() is None, reason="no Chromium")
def test_banner_pop_in_and_slot_appear_without_moving_the_page(config: Config, db: Database, tmp_path: Path) -> None:
    with storefront.opened(config, db) as (_, address), storefront.visiting(tmp_path / "profile") as context:
        bar = {"heading": HOSTILE, "text": HOSTILE, "button": "See"}
        _live(db, "bar", words={"en": bar}, link="/demo/basket")
        popin = {"heading": "A word", "text": "x", "button": "See"}
        _live(db, "pop", form="popin", words={"en": popin}, link="/demo/basket", moment={"after_seconds": 1})
        _live(db, "place", form="slot", slot="home", products=2, pages=["/own/*"])
        page = context.new_page()
        page.add_init_script(f"({SHIFTS})()")
        storefront.own_page(page, address, attributes='data-consent="granted"', body=BODY)
        page.wait_for_selector("[data-relance=slot] li")
        page.wait_for_selector("[data-relance=popin] dialog[open]")
        assert page.inner_text("[data-relance=banner] h2") == HOSTILE
        assert page.evaluate("() => window.__xss") is None
        assert page.evaluate("() => window.__shift") == 0
        assert _shuts_out(page) == [], "while the pop-in is open"
        _keyboard(page)
        assert _shuts_out(page) == []
        _keyboard_of_the_banner(page)
        page.reload()
        page.wait_for_selector("[data-relance=slot] li")
        page.wait_for_timeout(1500)
        assert page.query_selector("[data-relance=popin]") is None
        assert page.query_selector("[data-relance=banner]") is None
        assert page.evaluate("() => window.__shift") == 0
        with db.begin() as conn:
            counted = onsite.figures(conn, since=NOW - timedelta(days=1))
            ids = {one.name: one.id for one in onsite.every(conn)}
        for one in (counted[ids["pop"]], counted[ids["bar"]]):
            assert (one.shown, one.closed) == (1, 1)


@pytest.mark.browser
@pytest.mark.skipif(browser.executable() is None, reason="no Chromium")
def test_a_picture_that_does_not_come_leaves_no_torn_one(config: Config, db: Database, tmp_path: Path) -> None:
    with storefront.opened(config, db) as (_, address), storefront.visiting(tmp_path / "profile") as context:
        with db.begin() as conn:
            conn.execute(sa.update(products).values(image_url=f"{address}/demo/images/nowhere.png"))
        _live(db, "place", form="slot", slot="home", products=2, pages=["/own/*"])
        page = context.new_page()
        storefront.own_page(page, address, attributes='data-consent="granted"', body=BODY)
        expect(page.locator("[data-relance=slot] li")).to_have_count(2, timeout=20_000)
        expect(page.locator("[data-relance=slot] li i")).to_have_count(2, timeout=20_000)
        expect(page.locator("[data-relance=slot] li img")).to_have_count(0, timeout=20_000)
        page.goto(f"{address}/demo/product/1001")
        expect(page.locator(".pp img.gone")).to_be_visible(timeout=20_000)


def _shuts_out(page: Page) -> list[Any]:
    """What of ours would shut somebody out."""
    found = Axe().run(page, options={"runOnly": ["wcag2a", "wcag2aa"]})
    return [one for one in found.response["violations"] if "data-relance" in str(one["nodes"])]


def _keyboard_of_the_banner(page: Page) -> None:
    """The banner takes no focus by itself; it is reached behind the page, its parts in order, and closes with Enter."""
    focused = """() => { const holder = document.querySelector('[data-relance=banner]');
        const at = document.activeElement === holder ? holder.shadowRoot.activeElement : null;
        return at && [at.className, getComputedStyle(at).outlineStyle !== 'none']; }"""
    page.focus("#own")
    met: list[Any] = []
    for _ in range(12):
        page.keyboard.press("Tab")
        if told := page.evaluate(focused):
            met.append(told)
        if told and told[0] == "x":
            break
    assert met == [["go", True], ["x", True]]
    page.keyboard.press("Enter")
    page.wait_for_function("() => !document.querySelector('[data-relance=banner]')")
    page.keyboard.press("Tab")
    assert page.evaluate("() => document.activeElement !== null")


def _keyboard(page: Page) -> None:
    """The pop-in has the focus, keeps it, closes with Escape, and the page goes on."""
    inside = "() => document.querySelector('[data-relance=popin]').shadowRoot.activeElement !== null"
    assert page.evaluate(inside)
    for _ in range(4):
        page.keyboard.press("Tab")
        assert page.evaluate(
            "() => document.activeElement.dataset.relance === 'popin' || document.activeElement === document.body"
        )
    page.keyboard.press("Escape")
    page.wait_for_function("() => !document.querySelector('[data-relance=popin]')")


# -------------------------------------------------------------------------------------------------- the tracker
def test_the_tracker_is_small() -> None:
    script = (Path(__file__).parents[2] / "app" / "static" / "tracker.js").read_bytes()
    assert len(gzip.compress(script, 9)) < 12 * 1024
    assert not re.search(rb"https?://(?!relance|www\.w3)", script.split(b"*/", 1)[1])
