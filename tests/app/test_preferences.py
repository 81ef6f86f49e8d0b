"""What a customer chooses without sign-in: unsubscribing to the letter of RFC 8058, topics, a yes said twice."""

import random
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient
from playwright.sync_api import Browser, expect

from app import choices
from campaigns import intents, links, mail_tables, onsite, policy, tables, visits
from campaigns.channels.tables import onsite_notes
from campaigns.links import Links
from foundation.database import Database
from shop import consent
from shop import tables as shop_tables
from tests import serving
from tests.app import test_public
from tests.app.test_public import FIREFOX, Mail
from tests.campaigns import ad_platforms, test_audiences

NOW = datetime.now(UTC)
mail, path = test_public.mail, test_public.path
TOPICS = {"news": "Nouveautés", "kitchen": "Recettes"}


@pytest.fixture
def about_news(db: Database, mail: Mail) -> Mail:
    """The same mail of a campaign about news, in a shop that sorts its mails by topic."""
    with db.begin() as conn:
        policy.save(conn, replace(policy.load(conn), topics=TOPICS), now=NOW)
        said = conn.scalar(sa.select(tables.campaign_versions.c.definition))
        conn.execute(sa.update(tables.campaign_versions).values(definition=said | {"topic": "news"}))
        given = {"customer_id": mail.customer_id, "channel": "email", "purpose": "marketing", "source": "form"}
        consent.record(conn, **given, state="granted", at=NOW - timedelta(days=1), now=NOW)
    return mail


def stands(db: Database, mail: Mail, purpose: str) -> str:
    with db.begin() as conn:
        return str(consent.states(conn, [mail.customer_id], channel="email", purpose=purpose)[mail.customer_id])


def rows(db: Database) -> int:
    """Every row of everything that could say something of a customer."""
    counted = (shop_tables.consent_log, shop_tables.suppressions, shop_tables.events, mail_tables.visits)
    with db.begin() as conn:
        return sum(conn.scalar(sa.select(sa.func.count()).select_from(table)) or 0 for table in counted)


def test_no_get_changes_anything(client: FlaskClient, db: Database, mail: Mail, path: Callable[..., str]) -> None:
    before = rows(db)
    for name in ("unsubscribe", "preferences", "confirm", "view", "survey"):
        for method in (client.get, client.head):
            answer = method(path(name, mail.message_id), headers=FIREFOX)
            assert answer.status_code == 200 and "Set-Cookie" not in answer.headers
    assert rows(db) == before


def test_a_changed_token_unsubscribes_nobody(
    client: FlaskClient, db: Database, mail: Mail, path: Callable[..., str]
) -> None:
    good = path("unsubscribe", mail.message_id)
    before, chance = rows(db), random.Random(3)
    for _ in range(50):
        place = chance.randrange(3, len(good))
        changed = good[:place] + chance.choice("AbZ9-_%") + good[place + 1 :]
        if changed != good:
            assert client.post(changed, data="List-Unsubscribe=One-Click").status_code == 404
    assert rows(db) == before


def test_a_choice_is_answered_once_no_mail_to_her_is_just_beginning(
    client: FlaskClient, db: Database, mail: Mail, path: Callable[..., str]
) -> None:
    address = path("preferences", mail.message_id)
    choosing = threading.Thread(target=lambda: client.post(address, data={"act": "stop"}))
    with db.begin() as conn:
        intents.wait_for_people(conn, [mail.customer_id])
        choosing.start()
        choosing.join(0.5)
        assert choosing.is_alive()
    choosing.join(10)
    assert not choosing.is_alive()


def test_one_press_ends_the_topic_and_a_second_everything(
    client: FlaskClient, db: Database, about_news: Mail, path: Callable[..., str]
) -> None:
    address = path("unsubscribe", about_news.message_id)
    assert "Nouveautés" in client.get(address).text
    answer = client.post(address, data={"List-Unsubscribe": "One-Click"})
    assert answer.status_code == 200 and "Nouveautés" in answer.text and "Location" not in answer.headers
    assert (stands(db, about_news, "marketing/news"), stands(db, about_news, "marketing/kitchen")) == (
        "denied",
        "granted",
    )
    assert stands(db, about_news, "marketing") == "granted"
    client.post(address, data={"act": "stop"})
    assert (stands(db, about_news, "marketing"), stands(db, about_news, "marketing/kitchen")) == ("denied", "denied")
    with db.begin() as conn:
        hashed = consent.address_hash(conn, "email", "ada@example.com")
        assert consent.suppressed(conn, "email", [hashed]) == {hashed}


def test_topics_are_chosen_among_the_others(
    client: FlaskClient, db: Database, about_news: Mail, path: Callable[..., str]
) -> None:
    page = path("preferences", about_news.message_id)
    assert client.get(page).text.count(" checked") == 4, "a yes to mails is a yes to each topic"
    client.post(page, data={"email:marketing": "granted", "email:marketing/kitchen": "granted"})
    assert (stands(db, about_news, "marketing/news"), stands(db, about_news, "marketing/kitchen")) == (
        "denied",
        "granted",
    )
    client.post(page, data={"email:marketing/news": "granted"})
    assert stands(db, about_news, "marketing/kitchen") == "denied", "no mails is no topic either"


def test_a_yes_counts_once_it_was_said_twice(
    client: FlaskClient, db: Database, mail: Mail, path: Callable[..., str]
) -> None:
    page = path("confirm", mail.message_id)
    assert client.get(page, headers=FIREFOX).status_code == 200 and stands(db, mail, "marketing") == "unknown"
    for _ in range(2):
        assert client.post(page).status_code == 200
    assert stands(db, mail, "marketing") == "granted"
    with db.begin() as conn:
        said = consent.history(conn, mail.customer_id)
    assert len(said) == 1 and said[0].text and said[0].form == "confirm/1"
    assert said[0].proof == {"message": str(mail.message_id)}


def test_the_message_can_be_read_in_a_browser_where_nothing_of_it_runs(
    client: FlaskClient, mail: Mail, path: Callable[..., str]
) -> None:
    answer = client.get(path("view", mail.message_id), headers=FIREFOX)
    assert answer.status_code == 200 and answer.text.endswith("h")
    assert answer.headers["Content-Security-Policy"].startswith("sandbox")
    assert client.get("/v/AAAA").status_code == 404


def test_who_follows_the_link_nobody_sees_is_a_machine(
    client: FlaskClient, db: Database, mail: Mail, path: Callable[..., str]
) -> None:
    assert client.get(path("honeypot", mail.message_id), headers=FIREFOX).status_code == 204
    assert client.get(path("click", mail.message_id, 0), headers=FIREFOX).status_code == 302
    assert visits.judge(db, now=datetime.now(UTC) + timedelta(seconds=11)) == "0 by people, 1 by machines"


def test_what_is_kept_of_an_open_after_a_withdrawal_is_nothing(
    client: FlaskClient, db: Database, mail: Mail, path: Callable[..., str]
) -> None:
    test_public._say(db, mail, purpose="analytics", state="granted")
    with db.begin() as conn:
        given = {"customer_id": mail.customer_id, "channel": "email", "purpose": "analytics", "source": "preferences"}
        consent.record(conn, **given, state="denied", at=NOW + timedelta(seconds=1), now=NOW)
    for agent in (FIREFOX, {"User-Agent": "Mozilla/5.0"}):
        assert client.get(path("open", mail.message_id), headers=agent).mimetype == "image/gif"
    with db.begin() as conn:
        assert conn.scalar(sa.select(tables.messages.c.opened_at)) is None
        assert conn.scalar(sa.select(sa.func.count()).select_from(mail_tables.visits)) == 0


def test_her_no_to_messages_on_our_pages_is_obeyed_and_can_be_taken_back(
    client: FlaskClient, db: Database, mail: Mail, path: Callable[..., str]
) -> None:
    """No yes is asked for: the tracker that shows them has its own consent."""
    page = path("preferences", mail.message_id)
    tick = 'name="onsite:marketing" value="granted"'
    assert f"{tick} checked" in client.get(page).text
    client.post(page, data={"onsite:marketing": "granted"})
    with db.begin() as conn:
        assert [one for one in consent.history(conn, mail.customer_id) if one.channel == "onsite"] == []
        said = {"title": "Your basket waits", "text": "x", "url": None, "image": None, "button": None}
        note = {"message_id": mail.message_id, "customer_id": mail.customer_id, "said": said}
        conn.execute(sa.insert(onsite_notes), note | {"expires_at": NOW + timedelta(days=1)})
        assert onsite.waiting(conn, mail.customer_id, now=NOW) is not None
    assert f"{tick} checked" not in client.post(page, data={}).text
    with db.begin() as conn:
        (last,) = [one for one in consent.history(conn, mail.customer_id) if one.channel == "onsite"]
        assert (last.state, last.form) == ("denied", "preferences/4") and last.text
        assert onsite.waiting(conn, mail.customer_id, now=NOW) is None
    assert f"{tick} checked" in client.post(page, data={"onsite:marketing": "granted"}).text
    with db.begin() as conn:
        assert onsite.waiting(conn, mail.customer_id, now=NOW) is not None


# ---------------------------------------------------------------------------------- two consents behind one tick
def test_one_tick_says_both_things_an_ad_audience_asks_for(
    client: FlaskClient, db: Database, mail: Mail, path: Callable[..., str]
) -> None:
    page = path("preferences", mail.message_id)
    with db.begin() as conn:
        gold = sa.update(shop_tables.customers).where(shop_tables.customers.c.id == mail.customer_id)
        conn.execute(gold.values(traits={"tier": "gold"}))
    with ad_platforms.both() as peers:
        test_audiences.gold(db, now=NOW)
        assert test_audiences.run(db, peers, NOW) is None, "nothing said, nothing told"
        client.post(page, data={"ads:marketing": "granted"})
        assert test_audiences.run(db, peers, NOW + timedelta(minutes=6)) == "gold-meta +1 -0"
        client.post(page, data={"email:marketing": "granted"})
        assert test_audiences.run(db, peers, NOW + timedelta(minutes=12)) == "gold-meta +0 -1"
    with db.begin() as conn:
        said = [one for one in consent.history(conn, mail.customer_id) if one.channel == "ads"]
    assert sorted((one.purpose, one.state) for one in said) == [
        ("marketing", "denied"),
        ("marketing", "granted"),
        ("personalization", "denied"),
        ("personalization", "granted"),
    ]
    assert all("on other sites" in (one.text or "") and one.form == choices.FORM for one in said)


def test_half_a_yes_to_advertising_is_not_shown_as_one_and_ends_with_the_next_save(
    client: FlaskClient, db: Database, mail: Mail, path: Callable[..., str]
) -> None:
    test_public._say(db, mail, purpose="marketing", state="granted", channel="ads")
    page = path("preferences", mail.message_id)
    assert client.get(page).text.count(" checked") == 1, "but for our own pages, which ask for no yes"
    client.post(page)
    with db.begin() as conn:
        assert consent.standing(conn, mail.customer_id)["ads", "marketing"] == "denied"


def test_a_yes_that_another_choice_outweighs_says_so(
    client: FlaskClient, db: Database, mail: Mail, path: Callable[..., str]
) -> None:
    page = path("preferences", mail.message_id)
    test_public._say(db, mail, purpose="personalization", state="denied", channel="any")
    shown = client.post(page, data={"ads:marketing": "granted"}).text
    assert shown.count(" checked") == 1 and "Without effect while suggestions" in shown
    shown = client.post(page, data={"ads:marketing": "granted", "any:personalization": "granted"}).text
    assert shown.count(" checked") == 2 and "Without effect" not in shown


@pytest.mark.parametrize("channel", ["sms", "whatsapp", "push"])
def test_topics_are_chosen_on_every_channel(
    client: FlaskClient, db: Database, about_news: Mail, path: Callable[..., str], channel: str
) -> None:
    page = path("preferences", about_news.message_id)
    client.post(page, data={f"{channel}:marketing": "granted"})
    client.post(page, data={f"{channel}:marketing": "granted", f"{channel}:marketing/news": "granted"})
    with db.begin() as conn:
        said = {
            topic: consent.states(conn, [about_news.customer_id], channel=channel, purpose=f"marketing/{topic}")
            for topic in TOPICS
        }
    assert said == {"news": {about_news.customer_id: "granted"}, "kitchen": {about_news.customer_id: "denied"}}


@pytest.mark.browser
@pytest.mark.parametrize("locale", ["en", "fr"])
def test_the_page_is_used_on_a_telephone(
    chromium: Browser, web: Flask, db: Database, about_news: Mail, path: Callable[..., str], locale: str
) -> None:
    with serving.served(web) as address:
        page = chromium.new_context(viewport={"width": 390, "height": 844}, locale=locale).new_page()
        page.goto(address + path("preferences", about_news.message_id))
        assert page.evaluate("document.documentElement.scrollWidth") == 390, "nothing is wider than the screen"
        page.locator("input[name='whatsapp:marketing']").check()
        page.locator("button[value=save]").click()
        expect(page.get_by_role("status")).to_be_visible(timeout=20_000)
        expect(page.locator("input[name='whatsapp:marketing']")).to_be_checked(timeout=20_000)
        page.locator("input[name='whatsapp:marketing'] >> xpath=../following-sibling::details[1]/summary").click()
        page.locator("input[name='whatsapp:marketing/news']").uncheck(timeout=20_000)
        page.locator("button[value=save]").click()
        expect(page.locator("input[name='whatsapp:marketing/news']")).not_to_be_checked(timeout=20_000)
        expect(page.locator("input[name='whatsapp:marketing/news']")).to_be_visible(timeout=20_000)
        page.context.close()
    with db.begin() as conn:
        stand = consent.standing(conn, about_news.customer_id)
    assert (stand["whatsapp", "marketing"], stand["whatsapp", "marketing/news"]) == ("granted", "denied")


# --------------------------------------------------------------------------------------------- the links
def test_of_ten_thousand_changed_tokens_none_is_read() -> None:
    signed, chance = Links(["a secret of these tests, long enough"], "https://r.example"), random.Random(5)
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    token = signed.click(test_public.new_id(), 3).rsplit("/", 1)[1]
    for _ in range(10_000):
        changed = list(token)
        for _ in range(chance.randrange(1, 4)):
            changed[chance.randrange(len(changed))] = chance.choice(letters)
        made = "".join(changed)
        assert made == token or signed.read_click(made) is None
    for odd in ("", "=", "é", token + "=", token + "\n", " " + token, token.replace("A", "+"), "//evil.example"):
        assert signed.read_click(odd) is None


@pytest.mark.parametrize(
    "address",
    [
        "javascript:alert(1)",
        "//evil.example/x",
        "https:evil.example",
        "https://shop.example@evil.example/",
        "https://evil.example\\@shop.example/",
        "https://shop.example.evil.example/",
        "data:text/html,x",
        "https://shop.example/\r\nLocation: https://evil.example",
        "h\x00ttps://shop.example",
        "https://[::1",
        "&#104;ttps://evil.example/",
    ],
)
def test_no_address_leads_off_the_list(address: str) -> None:
    reach = links.Reach("https://r.example", frozenset({"r.example"}), ("shop.example",))
    found: Any = reach.leading(address)
    assert found is None or found.startswith(("https://r.example/", "https://shop.example/"))


def test_links_go_by_the_merchants_own_sub_domain() -> None:
    signed = Links(
        ["a secret of these tests, long enough"], "https://app.example", tracking_url="https://news.shop.example/"
    )
    assert signed.click(test_public.new_id(), 0).startswith("https://news.shop.example/c/")
