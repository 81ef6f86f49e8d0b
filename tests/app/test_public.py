"""Pages behind signed links: clicks, opens, unsubscribing, preferences, restored baskets, barcodes."""

import re
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import UUID

import pytest
import sqlalchemy as sa
from babel import support
from flask.testing import FlaskClient

import app as front
from app import i18n, parts, robots
from campaigns import links, mail_tables, policy, rules, tables, visits
from foundation.database import Database, new_id
from shop import catalogue, consent
from shop import tables as shop_tables

NOW = datetime.now(UTC)
FIREFOX = {"User-Agent": "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"}


WORDS = {"subject": "s", "heading": "How was it, {{ customer.first_name }}?", "intro": "i"}
ASK = {"type": "ask", "id": "mail", "kind": "stars", "words": {"en": WORDS}, "alert_at_most": 2}


@dataclass(frozen=True)
class Mail:
    """One mail in a customer's hands."""

    message_id: UUID
    customer_id: int
    cart_ref: int


@pytest.fixture
def mail(db: Database) -> Mail:
    """A mail with four links: the shop, another site, a script, and one of ours."""
    with db.begin() as conn:
        policy.save(conn, replace(policy.load(conn), link_hosts=("shop.example",)), now=NOW)
        return _mail(conn)


def _mail(conn: sa.Connection) -> Mail:
    person = {"user_id": "ada", "email": "ada@example.com", "traits": {}, "created_at": NOW, "updated_at": NOW}
    customer_id = _insert(conn, shop_tables.customers, person)
    handle = {"kind": "user_id", "value": "ada", "customer_id": customer_id, "origin_id": customer_id}
    conn.execute(sa.insert(shop_tables.identities).values(**handle, first_seen_at=NOW))
    cart = {"cart_id": "c-1", "customer_id": customer_id, "origin_id": customer_id, "state": "open", "lines": []}
    shown = {"value": 0, "channel": "web", "url": "https://www.shop.example/basket?x=1"}
    cart_ref = _insert(conn, shop_tables.carts, {**cart, **shown, "created_at": NOW, "touched_at": NOW})
    plan = {"name": "basket", "state": "sending", "created_at": NOW, "updated_at": NOW}
    campaign_id = _insert(conn, tables.campaigns, plan)
    asking = {"title": "t", "entry": {"type": "event", "event": "x"}, "steps": [ASK]}
    said = {"campaign_id": campaign_id, "version": 1, "definition": asking, "created_at": NOW}
    conn.execute(sa.insert(tables.campaign_versions).values(**said))
    message_id = new_id()
    message = {"campaign_id": campaign_id, "step": "mail", "channel": "email", "customer_id": customer_id}
    times = {"queued_at": NOW, "not_before": NOW, "expires_at": NOW, "accepted_at": NOW - timedelta(minutes=1)}
    message |= {"entry_key": "c-1", "state": "accepted", "version": 1}
    conn.execute(sa.insert(tables.messages).values(id=message_id, **message, **times))
    leads = ["https://shop.example/p/1?a=b", "https://evil.example/", "javascript:alert(1)", "/demo/"]
    content = {"address": "ada@example.com", "sender": "s@shop.example", "subject": "s", "html": "h", "text": "t"}
    content |= {"headers": {}, "links": leads, "rendered_at": NOW}
    conn.execute(sa.insert(tables.message_contents).values(message_id=message_id, **content))
    return Mail(message_id, customer_id, cart_ref)


def _insert(conn: sa.Connection, table: sa.Table, values: dict[str, Any]) -> int:
    return int(conn.execute(sa.insert(table).values(**values).returning(table.c.id)).scalar_one())


@pytest.fixture
def path(installation: parts.Parts) -> Callable[..., str]:
    """The path of a signed link: `path("click", message_id, 0)`."""

    def of(name: str, *values: Any, **named: Any) -> str:
        address = urlsplit(getattr(installation.links, name)(*values, **named))
        return address.path

    return of


def names(db: Database) -> list[str]:
    with db.begin() as conn:
        return list(conn.scalars(sa.select(shop_tables.events.c.name)))


def _stock(db: Database, url: str | None) -> None:
    """One product in the basket, with this page in the catalogue."""
    with db.begin() as conn:
        catalogue.put(conn, [{"product_id": "mug", "title": "Mug", "url": url}], now=NOW)
        lines = [{"product_id": "mug", "quantity": 1}]
        conn.execute(sa.update(shop_tables.carts).values(lines=lines))


def _lists(db: Database, *hosts: str) -> None:
    with db.begin() as conn:
        policy.save(conn, replace(policy.load(conn), link_hosts=hosts), now=NOW)


# --------------------------------------------------------------------------------------------------- clicks
def test_a_click_is_counted_and_leads_where_the_mail_said(
    client: FlaskClient, db: Database, mail: Mail, path: Callable[..., str]
) -> None:
    link = path("click", mail.message_id, 0)
    answer = client.get(link, headers=FIREFOX)
    target = urlsplit(answer.headers["Location"])
    assert (answer.status_code, target.netloc, target.path) == (302, "shop.example", "/p/1")
    assert parse_qs(target.query) == {"a": ["b"], "mt": [link.removeprefix("/c/")]}
    assert answer.headers["Referrer-Policy"] == "no-referrer" and "no-store" in answer.headers["Cache-Control"]
    assert "Set-Cookie" not in answer.headers
    visits.judge(db, now=datetime.now(UTC) + timedelta(seconds=11))
    assert names(db) == ["Message Clicked"]


@pytest.mark.parametrize("n", [1, 2, 4, 65_535])
def test_a_click_never_leads_to_a_site_that_is_not_the_shop_s(
    client: FlaskClient, mail: Mail, path: Callable[..., str], n: int
) -> None:
    answer = client.get(path("click", mail.message_id, n), headers=FIREFOX)
    assert answer.status_code == 404 and "Location" not in answer.headers


@pytest.mark.parametrize("hosts", [(), ("shop.example",), ("elsewhere.example",)])
def test_links_of_our_own_are_followed_whatever_the_merchant_lists(
    installation: parts.Parts, db: Database, mail: Mail, hosts: tuple[str, ...]
) -> None:
    config = replace(installation.config, tracking_url="https://news.brand.example")
    signed = links.Links(config.secret_keys, config.base_url, tracking_url=config.tracking_url)
    client = front.create_app(replace(installation, config=config, links=signed)).test_client()
    own = [signed.restore(mail.cart_ref, code=None, message_id=mail.message_id), signed.survey(mail.message_id)]
    own += ["https://www.openstreetmap.org/?mlat=47.2&mlon=-1.5", "https://lawyer.example/privacy"]
    _lists(db, *hosts)
    with db.begin() as conn:
        policy.save(conn, replace(policy.load(conn), privacy_url="https://lawyer.example/privacy"), now=NOW)
        conn.execute(sa.update(tables.message_contents).values(links=own))
    for n, address in enumerate(own):
        answer = client.get(urlsplit(signed.click(mail.message_id, n)).path, headers=FIREFOX)
        assert answer.status_code == 302 and answer.headers["Location"].startswith(address)


ODD = (
    "https://shop.example/p?q=a%20b&x=a/b:c",
    "https://shop.example/p?flag",
    "https://shop.example/p?flag&sign=%E9%e9",
    "https://shop.example/p?a[]=1&b={x}|y^z&c=%2B+~'(*)",
    "https://shop.example/p?a=1&&b=;c=2&",
    "https://shop.example/p?redirect=https://x.example/?y=1",
    "https://shop.example/a%2Fb/ c".replace(" ", "%20"),
    "https://shop.example/a/../b;v=1?x=",
    "https://shop.example:8443",
)


@pytest.mark.parametrize("address", ODD)
@pytest.mark.parametrize("fragment", ["", "#", "#/route?x=1"])
def test_what_stands_in_an_address_stays_to_the_letter(
    client: FlaskClient, db: Database, mail: Mail, path: Callable[..., str], address: str, fragment: str
) -> None:
    with db.begin() as conn:
        conn.execute(sa.update(tables.message_contents).values(links=[address + fragment]))
    link = path("click", mail.message_id, 0)
    joined = "&" if "?" in address else "?"
    expected = f"{address}{joined}mt={link.removeprefix('/c/')}{fragment}"
    assert client.get(link, headers=FIREFOX).headers["Location"] == expected


@pytest.mark.parametrize("address", ["https://a..shop.example/", "https://shop.example:99999/"])
def test_an_address_there_cannot_be_leads_nowhere(
    client: FlaskClient, db: Database, mail: Mail, path: Callable[..., str], address: str
) -> None:
    with db.begin() as conn:
        conn.execute(sa.update(tables.message_contents).values(links=[address]))
    assert client.get(path("click", mail.message_id, 0), headers=FIREFOX).status_code == 404


def test_letters_beyond_ascii_are_encoded_for_the_header(
    client: FlaskClient, db: Database, mail: Mail, path: Callable[..., str]
) -> None:
    with db.begin() as conn:
        conn.execute(sa.update(tables.message_contents).values(links=["https://shop.example/thé?q=é&flag"]))
    location = client.get(path("click", mail.message_id, 0), headers=FIREFOX).headers["Location"]
    assert location.startswith("https://shop.example/th%C3%A9?q=%C3%A9&flag&mt=")


def test_a_click_leads_on_even_when_it_cannot_be_recorded(
    client: FlaskClient, db: Database, mail: Mail, path: Callable[..., str]
) -> None:
    with db.begin() as conn:
        conn.execute(sa.text("ALTER TABLE messages RENAME COLUMN last_clicked_at TO gone"))
    try:
        assert client.get(path("click", mail.message_id, 0), headers=FIREFOX).status_code == 302
    finally:
        with db.begin() as conn:
            conn.execute(sa.text("ALTER TABLE messages RENAME COLUMN gone TO last_clicked_at"))


@pytest.mark.parametrize(
    "change", [lambda t: t[:-1], lambda t: t[1:], lambda t: t + "x", lambda t: "", lambda t: "%00"]
)
def test_a_changed_token_leads_nowhere(
    client: FlaskClient, mail: Mail, path: Callable[..., str], change: Callable[[str], str]
) -> None:
    for name, *values in (("click", mail.message_id, 0), ("unsubscribe", mail.message_id)):
        _, kind, token = path(name, *values).split("/")
        answer = client.get(f"/{kind}/{change(token)}", headers=FIREFOX)
        assert answer.status_code == 404 and "Location" not in answer.headers


def test_a_token_of_one_purpose_opens_no_other_door(client: FlaskClient, mail: Mail, path: Callable[..., str]) -> None:
    token = path("open", mail.message_id).removeprefix("/o/")
    assert client.post(f"/u/{token}").status_code == 404


def test_machines_are_led_on_but_not_counted(
    client: FlaskClient, db: Database, mail: Mail, path: Callable[..., str]
) -> None:
    link = path("click", mail.message_id, 0)
    assert client.head(link, headers=FIREFOX).status_code == 302
    assert client.get(link, headers={"User-Agent": "Mozilla/5.0 (compatible; Googlebot/2.1)"}).status_code == 302
    assert client.get(link, headers={**FIREFOX, "Sec-Purpose": "prefetch"}).status_code == 302
    with db.begin() as conn:
        assert conn.scalar(sa.select(tables.messages.c.first_clicked_at)) is None


def test_people_are_not_taken_for_machines() -> None:
    iphone = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 Version/18.5 Mobile Safari"
    assert not robots.is_machine("GET", iphone, {})
    assert not robots.is_machine("GET", FIREFOX["User-Agent"], {})


# ---------------------------------------------------------------------------------------------------- opens
@pytest.mark.parametrize(("agreed", "kept"), [(True, True), (False, False)])
def test_an_open_is_kept_only_with_consent(
    client: FlaskClient, db: Database, mail: Mail, path: Callable[..., str], agreed: bool, kept: bool
) -> None:
    if agreed:
        _say(db, mail, purpose="analytics", state="granted")
    answer = client.get(path("open", mail.message_id), headers=FIREFOX)
    assert (answer.status_code, answer.mimetype) == (200, "image/gif")
    with db.begin() as conn:
        assert (conn.scalar(sa.select(tables.messages.c.opened_at)) is not None) is kept


APPLE = {"User-Agent": "Mozilla/5.0"}
SCANNER = {"User-Agent": "Barracuda Link Protect"}


@pytest.mark.parametrize("mode", rules.OPENS)
@pytest.mark.parametrize("said", ["granted", "denied", None])
def test_what_the_picture_tells_is_kept_as_the_mode_and_she_allow(
    client: FlaskClient, db: Database, mail: Mail, path: Callable[..., str], mode: str, said: str | None
) -> None:
    """Of nobody; of hygiene one day and nothing else; the first open of who agreed. A scanner leaves neither."""
    with db.begin() as conn:
        policy.save(conn, replace(policy.load(conn), opens=mode), now=NOW)
    if said:
        _say(db, mail, purpose="analytics", state=said)
    for reader in (SCANNER, FIREFOX, FIREFOX):
        answer = client.get(path("open", mail.message_id), headers=reader)
        assert (answer.status_code, answer.mimetype) == (200, "image/gif")
    assert client.head(path("open", mail.message_id), headers=FIREFOX).status_code == 200
    today = datetime.now(UTC).date()
    with db.begin() as conn:
        days = [tuple(row) for row in conn.execute(sa.select(mail_tables.last_opens))]
        assert days == ([(mail.customer_id, today)] if mode == "hygiene" and said != "denied" else [])
        opened = conn.scalar(sa.select(tables.messages.c.opened_at))
        assert (opened is not None) is (mode == "consent" and said == "granted")
        noted = conn.scalar(sa.select(sa.func.count()).select_from(mail_tables.visits))
        assert noted == (2 if mode == "consent" and said == "granted" else 0), "the scanner's, and the HEAD"


@pytest.mark.parametrize(("reader", "kept"), [(APPLE, 1), (SCANNER, 0), ({"User-Agent": ""}, 0)])
def test_apple_s_relay_shows_that_a_mailbox_is_somebody_s_and_a_scanner_does_not(
    client: FlaskClient, db: Database, mail: Mail, path: Callable[..., str], reader: dict[str, str], kept: int
) -> None:
    with db.begin() as conn:
        policy.save(conn, replace(policy.load(conn), opens="hygiene"), now=NOW)
    client.get(path("open", mail.message_id), headers=reader)
    with db.begin() as conn:
        assert conn.scalar(sa.select(sa.func.count()).select_from(mail_tables.last_opens)) == kept


def test_a_withdrawal_ends_the_measuring_of_mails_already_sent(
    client: FlaskClient, db: Database, mail: Mail, path: Callable[..., str]
) -> None:
    _say(db, mail, purpose="analytics", state="granted")
    _say(db, mail, purpose="analytics", state="denied", at=NOW + timedelta(seconds=1))
    client.get(path("open", mail.message_id), headers=FIREFOX)
    with db.begin() as conn:
        policy.save(conn, replace(policy.load(conn), opens="hygiene"), now=NOW)
    client.get(path("open", mail.message_id), headers=FIREFOX)
    with db.begin() as conn:
        assert conn.scalar(sa.select(tables.messages.c.opened_at)) is None
        assert conn.scalar(sa.select(sa.func.count()).select_from(mail_tables.last_opens)) == 0


def test_the_picture_comes_whatever_the_token(client: FlaskClient) -> None:
    assert client.get("/o/nonsense", headers=FIREFOX).mimetype == "image/gif"


def _say(db: Database, mail: Mail, *, purpose: str, state: str, channel: str = "email", at: datetime = NOW) -> None:
    said = {"customer_id": mail.customer_id, "channel": channel, "purpose": purpose, "state": state}
    with db.begin() as conn:
        consent.record(conn, **said, at=at, source="test", now=NOW)


# ------------------------------------------------------------------------------------------- unsubscribing
def _state(db: Database, mail: Mail) -> str:
    with db.begin() as conn:
        return str(consent.states(conn, [mail.customer_id], channel="email")[mail.customer_id])


def test_looking_at_the_page_unsubscribes_nobody(
    client: FlaskClient, db: Database, mail: Mail, path: Callable[..., str]
) -> None:
    answer = client.get(path("unsubscribe", mail.message_id), headers=FIREFOX)
    assert answer.status_code == 200 and "<form" in answer.text
    assert "ada@example.com" not in answer.text
    assert _state(db, mail) == "unknown"


@pytest.mark.parametrize(
    "body",
    [
        {"data": "List-Unsubscribe=One-Click", "content_type": "application/x-www-form-urlencoded"},
        {"data": {"List-Unsubscribe": "One-Click"}, "content_type": "multipart/form-data"},
        {},
    ],
)
def test_a_post_unsubscribes_at_once(
    client: FlaskClient, db: Database, mail: Mail, path: Callable[..., str], body: dict[str, Any]
) -> None:
    took = []
    for _ in range(2):
        began = time.perf_counter()
        answer = client.post(path("unsubscribe", mail.message_id), **body)
        assert answer.status_code == 200 and _state(db, mail) == "denied"
        took.append(time.perf_counter() - began)
        assert "Set-Cookie" not in answer.headers and "Location" not in answer.headers
    assert min(took) < 1, "seconds until it is written; a busy machine may stop for longer, once"
    with db.begin() as conn:
        hashed = consent.address_hash(conn, "email", "ada@example.com")
        assert consent.suppressed(conn, "email", [hashed]) == {hashed}


# ---------------------------------------------------------------------------------------------- preferences
def test_choices_are_kept_with_the_words_that_were_read(
    client: FlaskClient, db: Database, mail: Mail, path: Callable[..., str]
) -> None:
    _say(db, mail, purpose="marketing", state="granted")
    page = path("preferences", mail.message_id)
    assert client.get(page).text.count(" checked") == 2
    ticked = {"sms:marketing": "granted", "onsite:marketing": "granted"}
    answer = client.post(page, data=ticked | {"nonsense": "1"})
    assert answer.status_code == 200 and answer.text.count(" checked") == 2
    with db.begin() as conn:
        log = {
            (said.channel, said.state): said
            for said in consent.history(conn, mail.customer_id)
            if said.source == "preferences"
        }
    assert set(log) == {("email", "denied"), ("sms", "granted")}
    assert log["sms", "granted"].text == "Text messages. Rare, and never at night."
    assert log["sms", "granted"].proof == {"message": str(mail.message_id)}


def test_stopping_everything_is_one_press(
    client: FlaskClient, db: Database, mail: Mail, path: Callable[..., str]
) -> None:
    _say(db, mail, purpose="marketing", state="granted")
    _say(db, mail, purpose="marketing", state="granted", channel="whatsapp")
    client.post(path("preferences", mail.message_id), data={"act": "stop", "email:marketing": "granted"})
    with db.begin() as conn:
        assert set(consent.standing(conn, mail.customer_id).values()) == {"denied"}


def test_who_unsubscribed_may_come_back(
    client: FlaskClient, db: Database, mail: Mail, path: Callable[..., str]
) -> None:
    client.post(path("unsubscribe", mail.message_id))
    client.post(path("preferences", mail.message_id), data={"email:marketing": "granted"})
    with db.begin() as conn:
        assert consent.suppressed(conn, "email", [consent.address_hash(conn, "email", "ada@example.com")]) == set()
    assert _state(db, mail) == "granted"


def test_pages_speak_the_language_of_the_browser(client: FlaskClient, mail: Mail, path: Callable[..., str]) -> None:
    page = path("unsubscribe", mail.message_id)
    assert 'lang="en"' in client.get(page, headers={"Accept-Language": "en"}).text
    french = client.get(page, headers={"Accept-Language": "fr-FR,fr;q=0.9"}).text
    assert 'lang="fr"' in french and "Se désinscrire" in french


# ------------------------------------------------------------------------------------------ basket and code
def test_a_restored_basket_opens_in_the_shop_with_its_code(
    client: FlaskClient, mail: Mail, path: Callable[..., str]
) -> None:
    link = path("restore", mail.cart_ref, code="TEN1234", message_id=mail.message_id)
    target = urlsplit(client.get(f"{link}?mt=abc").headers["Location"])
    assert (target.netloc, target.path) == ("www.shop.example", "/basket")
    assert parse_qs(target.query) == {"x": ["1"], "cart": ["c-1"], "code": ["TEN1234"], "mt": ["abc"]}
    changed = client.get(f"{link}?cart=c-9&code=MINE&address=x")
    asked = parse_qs(urlsplit(changed.headers["Location"]).query)
    assert (asked["cart"], asked["code"]) == (["c-1"], ["TEN1234"]), "what was signed is what counts"


def test_without_listed_hosts_a_basket_opens_where_the_catalogue_has_its_products(
    client: FlaskClient, db: Database, mail: Mail, path: Callable[..., str]
) -> None:
    _lists(db)
    link = path("restore", mail.cart_ref, code=None, message_id=mail.message_id)
    assert client.get(link).status_code == 404, "anybody may say where a basket is shown"
    _stock(db, "https://shop.example/p/mug")
    assert client.get(link).headers["Location"].startswith("https://www.shop.example/basket?")


@pytest.mark.parametrize("shown", ["https://evil.example/basket", "https://shop.example.evil.example/", None])
def test_a_basket_whose_page_is_not_the_shop_s_opens_on_what_is_in_it(
    client: FlaskClient, db: Database, mail: Mail, path: Callable[..., str], shown: str | None
) -> None:
    _stock(db, "https://shop.example/p/mug")
    with db.begin() as conn:
        conn.execute(sa.update(shop_tables.carts).values(url=shown))
    link = path("restore", mail.cart_ref, code="TEN1234", message_id=mail.message_id)
    for hosts in ((), ("shop.example",)):
        _lists(db, *hosts)
        assert client.get(link).headers["Location"] == "https://shop.example/p/mug?cart=c-1&code=TEN1234"
    _lists(db, "elsewhere.example")
    assert client.get(link).status_code == 404


def test_a_basket_without_a_page_of_its_own_opens_in_the_demo_or_nowhere(
    installation: parts.Parts, client: FlaskClient, db: Database, mail: Mail, path: Callable[..., str]
) -> None:
    with db.begin() as conn:
        conn.execute(sa.update(shop_tables.carts).values(url=None))
    link = path("restore", mail.cart_ref, code=None, message_id=mail.message_id)
    assert client.get(link).status_code == 404
    demo = front.create_app(replace(installation, config=replace(installation.config, demo=True)))
    assert demo.test_client().get(link).headers["Location"] == "http://localhost/demo/basket?cart=c-1"


def test_a_basket_that_is_gone_opens_nowhere(client: FlaskClient, mail: Mail, path: Callable[..., str]) -> None:
    assert client.get(path("restore", 10**6, code=None, message_id=mail.message_id)).status_code == 404


def test_a_code_is_drawn_for_tills(client: FlaskClient, path: Callable[..., str]) -> None:
    answer = client.get(path("code_image", "TEN-1234"))
    assert answer.mimetype == "image/png" and answer.data.startswith(b"\x89PNG")
    assert client.get("/p/code/nonsense.png").status_code == 404


def test_nothing_here_is_for_search_engines(client: FlaskClient) -> None:
    assert "Disallow: /" in client.get("/robots.txt").text


def test_the_bare_address_leads_to_the_console(client: FlaskClient) -> None:
    assert client.get("/").location == "/console/"


def test_every_word_of_these_pages_is_said_in_french() -> None:
    folder = Path(i18n.__file__).parent / "translations" / "fr" / "LC_MESSAGES"
    with (folder / "messages.mo").open("rb") as compiled:
        french = support.Translations(compiled)
    pages = Path(i18n.__file__).parent.parent / "templates" / "public"
    said = {word for page in pages.glob("*.html") for word in re.findall(r'_\("([^"]+)"\)', page.read_text())}
    assert {word for word in said if french.ugettext(word) == word} == set()


# ----------------------------------------------------------------------------------------------- a question
def test_a_question_is_answered_once_sent_and_not_by_opening_its_page(
    client: FlaskClient, path: Callable[..., str], mail: Mail, db: Database
) -> None:
    page = client.get(path("survey", mail.message_id) + "?score=2")
    assert page.status_code == 200 and 'value="2" required checked' in page.text and "How was it" in page.text
    assert "ada@example.com" not in page.text and _answers(db) == []
    assert client.post(path("survey", mail.message_id), data={"score": "9"}).status_code == 422
    done = client.post(path("survey", mail.message_id), data={"score": "2", "comment": "late"})
    assert done.status_code == 200 and _answers(db) == [(2, "late", True)]
    client.post(path("survey", mail.message_id), data={"score": "5"})
    assert _answers(db) == [(2, "late", True)], "once"


def test_a_question_nobody_asked_is_nowhere(client: FlaskClient, path: Callable[..., str], mail: Mail) -> None:
    assert client.get("/s/nothing").status_code == 404
    assert client.get(path("survey", UUID(int=3))).status_code == 404


def _answers(db: Database) -> list[tuple[object, ...]]:
    with db.begin() as conn:
        held = tables.survey_answers.c
        return [tuple(row) for row in conn.execute(sa.select(held.score, held.comment, held.alert))]
