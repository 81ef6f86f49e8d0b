"""The console: who may enter, what each page says, and what each decision does."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from app import parts
from app.console import campaign_list, charts, paging, sentences
from app.tables import api_keys
from campaigns import plans, tables
from campaigns.insights import due
from shop import customers
from tests.app import console_world
from tests.app.console_world import CAMPAIGN, EMAIL, PASSWORD, Day, post

PAGES = (
    "/console/",
    "/console/live",
    "/console/customers",
    "/console/campaigns",
    "/console/messages",
    "/console/mailbox",
    "/console/mailbox/list",
    "/console/store",
    "/console/insights/channels",
    "/console/insights/paths",
    "/console/insights/retention",
    "/console/insights/stages",
    "/console/sources",
    "/console/sources/rates",
    "/console/model",
    "/console/model/runs",
    "/console/model/try",
    "/console/model/products",
    "/console/promotions",
    "/console/audiences",
    "/console/webhooks",
    "/console/health",
)
Post = Callable[..., TestResponse]


@pytest.fixture
def day(installation: parts.Parts) -> Day:
    return console_world.live(installation)


# ----------------------------------------------------------------------------------------------- who may enter
def test_a_stranger_is_led_to_the_door_and_back(client: FlaskClient, installation: parts.Parts) -> None:
    console_world.make_user(installation)
    asked = client.get("/console/messages?state=failed")
    assert asked.status_code == 303
    target = "/console/messages?state=failed"
    data = {"email": EMAIL, "password": PASSWORD, "next": target}
    entered = post(client, "/console/sign-in", data, on=asked.headers["Location"])
    assert entered.headers["Location"] == target
    assert client.get(target).status_code == 200


def test_a_wrong_password_says_no_more_than_that(client: FlaskClient, installation: parts.Parts) -> None:
    console_world.make_user(installation)
    wrong = post(client, "/console/sign-in", {"email": EMAIL, "password": "guess"}, on="/console/sign-in")
    unknown = post(client, "/console/sign-in", {"email": "x@y.example", "password": "guess"}, on="/console/sign-in")
    assert wrong.status_code == unknown.status_code == 401
    assert "do not go together" in wrong.text and "do not go together" in unknown.text


def test_the_demo_login_is_shown_in_demo_mode_alone(client: FlaskClient) -> None:
    assert "demo@" not in client.get("/console/sign-in").text


def test_every_view_names_its_role(web: Flask) -> None:
    console = {name: view for name, view in web.view_functions.items() if name.startswith("console.")}
    assert len(console) > 25
    assert [name for name, view in console.items() if not hasattr(view, "roles")] == []


def test_a_shop_assistant_sees_the_counter_and_codes_and_no_list_of_customers(
    enter: Callable[[str], FlaskClient], day: Day
) -> None:
    assistant = enter("store")
    assert assistant.get("/console/").headers["Location"] == "/console/store"
    assert assistant.get("/console/promotions").status_code == 200
    for path in ("customers", "customers?q=a", f"customers/{day.camille}", "customers/hits?who=a", "campaigns", "live"):
        assert assistant.get(f"/console/{path}").status_code == 403, path
    page = assistant.get("/console/store").text
    assert "/console/customers" not in page


def test_an_analyst_reads_and_changes_nothing(enter: Callable[[str], FlaskClient], day: Day) -> None:
    analyst = enter("analyst")
    page = analyst.get(f"/console/campaigns/{CAMPAIGN}")
    assert page.status_code == 200 and "/pause" not in page.text
    assert post(analyst, f"/console/campaigns/{CAMPAIGN}/pause").status_code == 403
    assert analyst.get(f"/console/customers/{day.camille}/export").status_code == 403


def test_signing_out_ends_it(ines: FlaskClient) -> None:
    post(ines, "/console/sign-out")
    assert ines.get("/console/").status_code == 303


def test_the_language_one_chooses_stays_with_the_person(ines: FlaskClient) -> None:
    post(ines, "/console/preferences", {"locale": "fr", "next": "/console/"})
    page = ines.get("/console/", headers={"Accept-Language": "en"})
    assert '<html lang="fr"' in page.text and "Bonjour Inès." in page.text


def test_the_look_one_chooses_stays_in_the_browser(ines: FlaskClient) -> None:
    post(ines, "/console/preferences", {"theme": "dark", "next": "/console/"})
    assert 'data-theme="dark"' in ines.get("/console/").text
    post(ines, "/console/preferences", {"theme": "system", "next": "/console/"})
    assert "data-theme" not in ines.get("/console/").text


# ------------------------------------------------------------------------------------------------------- pages
@pytest.mark.parametrize("path", PAGES)
def test_a_page_stands_before_anything_has_happened(ines: FlaskClient, path: str) -> None:
    assert ines.get(path).status_code == 200


@pytest.mark.parametrize("path", PAGES)
@pytest.mark.parametrize("locale", ["en", "fr"])
def test_a_page_stands_in_the_middle_of_the_day(ines: FlaskClient, day: Day, path: str, locale: str) -> None:
    answer = ines.get(path, headers={"Accept-Language": locale})
    assert answer.status_code == 200


def test_pages_allow_nothing_inline_and_are_kept_nowhere(ines: FlaskClient) -> None:
    answer = ines.get("/console/")
    assert "unsafe-inline" not in answer.headers["Content-Security-Policy"]
    assert answer.headers["Cache-Control"] == "no-store"
    assert " style=" not in answer.text and "<script>" not in answer.text


def test_an_address_that_leads_nowhere_says_so_in_the_console(ines: FlaskClient) -> None:
    for path in ("/console/nothing", "/console/customers/999999", "/console/campaigns/nothing"):
        answer = ines.get(path)
        assert answer.status_code == 404 and "There is nothing at this address" in answer.text, path


def test_an_address_with_a_slash_too_many_is_the_same_address(ines: FlaskClient) -> None:
    for path in ("/console/customers/", "/console/health/", "/console"):
        assert ines.get(path).status_code == 200, path


def test_the_overview_says_what_needs_attention_and_adds_up(
    ines: FlaskClient, day: Day, installation: parts.Parts
) -> None:
    due.refresh(installation.db, now=console_world.NOW + timedelta(seconds=1))
    page = ines.get("/console/").text
    assert "The scheduler is silent" in page and "1 event was refused" in page
    assert "<strong>€189.00</strong>, 1 order" in page
    assert "2 planned = 1 accepted + 1 not sent, with its reason + 0 failed + 0 uncertain + 0 waiting" in page


def test_customers_are_found_as_one_types(ines: FlaskClient, day: Day) -> None:
    rows = ines.get("/console/customers?q=laur", headers={"HX-Request": "true", "HX-Target": "found"}).text
    assert "Camille Laurent" in rows and "Paul" not in rows and "<html" not in rows
    for name in ("camille laur", "Laurent C"):
        assert "Camille Laurent" in ines.get(f"/console/customers?q={name}").text, name
    assert "Nobody found" in ines.get("/console/customers?q=nobody").text
    assert f"customer={day.paul}" in ines.get("/console/customers/hits?who=delmas&to=/console/model/try").text


def test_a_customer_is_told_in_one_line_of_time(ines: FlaskClient, day: Day) -> None:
    page = ines.get(f"/console/customers/{day.camille}").text
    for told in ("Camille Laurent", "€189.00", "Why this person", "Order W-1", "Added to basket", "Said yes: E-mail"):
        assert told in page, told
    assert "never agreed to be written to" in ines.get(f"/console/customers/{day.paul}?tab=messages").text


def test_older_moments_follow_without_gap_or_repeat(ines: FlaskClient, day: Day, installation: parts.Parts) -> None:
    with installation.db.begin() as conn:
        for _ in range(40):
            console_world.world.say(conn, "camille", "Product Viewed", at=datetime.now(UTC), product_id="sel")
    page, seen = ines.get(f"/console/customers/{day.camille}?tab=events").text, 0
    while True:
        seen += page.count('<li class="tl">')
        older = re.search(r'hx-get="([^"]+)"[^>]*hx-target="#older"', page)
        if older is None:
            break
        page = ines.get(older[1].replace("&amp;", "&")).text
    assert seen == 40 + 1 + 2 + 1 + 1  # viewed, recognised, put in the basket, clicked, ordered


def test_a_message_says_why(ines: FlaskClient, day: Day) -> None:
    page = ines.get(f"/console/messages/{day.message_id}").text
    for told in ("The provider took it", "Attempts", "AUBIER-", "€189.00", "in the group written to"):
        assert told in page, told


def test_an_attempt_shows_the_providers_answer_and_its_name_for_it(
    ines: FlaskClient, installation: parts.Parts, day: Day
) -> None:
    with installation.db.begin() as conn:
        said = {"code": 202, "request_id": "RQ-<7>", "detail": "taken"}
        conn.execute(sa.update(tables.attempts).where(tables.attempts.c.message_id == day.message_id).values(said))
    page = ines.get(f"/console/messages/{day.message_id}").text
    assert '<span class="tnum">202</span>, taken' in page and "RQ-&lt;7&gt;" in page


def test_messages_are_filtered_by_state_and_reason(ines: FlaskClient, day: Day) -> None:
    skipped = ines.get("/console/messages?state=skipped").text
    assert "Paul Delmas" in skipped and "Camille Laurent" not in skipped
    assert "Paul Delmas" in ines.get("/console/messages?reason=no_consent").text
    assert "Nothing matches these filters" in ines.get("/console/messages?state=failed").text


def test_a_mail_is_read_in_a_sandbox(ines: FlaskClient, day: Day) -> None:
    assert "is-new" in ines.get("/console/mailbox").text
    page = ines.get(f"/console/mailbox/{day.message_id}").text
    assert 'sandbox="allow-popups allow-popups-to-escape-sandbox"' in page
    assert "is-new" not in ines.get("/console/mailbox/list").text
    mail = ines.get(f"/console/mailbox/{day.message_id}/mail")
    policy = mail.headers["Content-Security-Policy"]
    assert policy.startswith("sandbox allow-popups") and "allow-scripts" not in policy and "script-src" not in policy
    assert '<base target="_blank">' in mail.text
    assert "cocotte" in ines.get(f"/console/mailbox/{day.message_id}?view=text").text.lower()
    assert "List-Unsubscribe" in ines.get(f"/console/mailbox/{day.message_id}?view=headers").text


def test_looking_at_a_message_in_the_ledger_counts_for_nothing(ines: FlaskClient, day: Day) -> None:
    mail = ines.get(f"/console/messages/{day.message_id}/mail")
    assert mail.headers["Content-Security-Policy"].startswith("sandbox;")
    assert "/o/" not in mail.text


def test_refused_events_are_shown_with_what_was_sent_and_never_run(ines: FlaskClient, day: Day) -> None:
    page = ines.get("/console/sources").text
    assert "says neither who nor which browser" in page
    assert "&lt;b&gt;Bad&lt;/b&gt;" in page and "<b>Bad</b>" not in page


def test_the_model_is_tried_on_a_customer_without_recording(ines: FlaskClient, day: Day) -> None:
    assert "No model is live yet" in ines.get("/console/model").text
    page = ines.get(f"/console/model/try?customer={day.camille}&placement=email").text
    assert "these are best-sellers" in page and "Looking here is not recorded" in page
    done, shown = page.split("What they would be shown")
    assert "put in a basket" in done.lower() and shown.count('class="product"') > 1


def test_health_names_what_is_not_as_it_must_be(ines: FlaskClient, day: Day) -> None:
    page = ines.get("/console/health").text
    assert "The scheduler is silent: nothing is planned or sent" in page
    assert "Hands messages over" in page and "1 accepted" in page
    assert "a secret of the tests" not in page


# --------------------------------------------------------------------------------------------------- decisions
def test_a_sentence_of_no_known_shape_stays_as_it_came(web: Flask) -> None:
    with web.test_request_context("/console/"):
        assert sentences.said("550 5.1.1 no such user") == "550 5.1.1 no such user"


def test_a_campaign_is_paused_launched_and_cancelled(ines: FlaskClient, day: Day, installation: parts.Parts) -> None:
    for act, state in (("pause", "paused"), ("launch", "sending"), ("cancel", "cancelled")):
        assert post(ines, f"/console/campaigns/{CAMPAIGN}/{act}").status_code == 303
        with installation.db.begin() as conn:
            assert plans.get(conn, CAMPAIGN).state == state
    again = post(ines, f"/console/campaigns/{CAMPAIGN}/launch")
    assert again.status_code == 409 and "cannot be launched again" in again.text


def test_a_decision_without_its_token_does_nothing(ines: FlaskClient, day: Day, installation: parts.Parts) -> None:
    assert ines.post(f"/console/campaigns/{CAMPAIGN}/cancel").status_code == 400
    with installation.db.begin() as conn:
        assert plans.get(conn, CAMPAIGN).state == "sending"


def test_the_preview_is_a_chosen_customers_mail(ines: FlaskClient, day: Day) -> None:
    mail = ines.get(f"/console/campaigns/{CAMPAIGN}/preview?customer={day.camille}")
    assert "Camille" in mail.text and mail.headers["Content-Security-Policy"].startswith("sandbox;")


def test_a_key_is_shown_once_and_revoked(ines: FlaskClient, installation: parts.Parts) -> None:
    made = post(ines, "/console/sources/keys", {"name": "till", "kind": "secret", "channel": "store"})
    key = re.search(r'id="new-key">(sk_[^<]+)<', made.text)
    assert key and key[1] not in ines.get("/console/sources").text
    with installation.db.begin() as conn:
        key_id = conn.scalar(sa.select(api_keys.c.id))
    assert post(ines, f"/console/sources/keys/{key_id}/revoke").status_code == 303
    assert "Revoked" in ines.get("/console/sources").text


def test_a_keys_form_sent_twice_makes_one_key(ines: FlaskClient, installation: parts.Parts) -> None:
    page = ines.get("/console/sources").text
    ids = re.findall(r'name="form_id" value="([0-9a-f-]{36})"', page)
    assert len(ids) == 1 and ids[0] not in ines.get("/console/sources").text
    filled = {"name": "till", "kind": "secret", "channel": "store", "form_id": ids[0]}

    def made(**changed: str) -> str:
        return re.findall(r'id="new-key">(sk_[^<]+)<', post(ines, "/console/sources/keys", filled | changed).text)[0]

    first = made()
    assert made() == first and made(name="shop") != first
    with installation.db.begin() as conn:
        assert conn.scalar(sa.select(sa.func.count()).select_from(api_keys)) == 2
        conn.execute(sa.update(api_keys).values(revoked_at=datetime.now(UTC)))
    ines.set_cookie("locale", "fr")
    again = post(ines, "/console/sources/keys", filled)
    assert again.status_code == 409 and "est révoquée" in again.text


def test_a_key_needs_a_name(ines: FlaskClient) -> None:
    post(ines, "/console/sources/keys", {"name": " ", "kind": "write", "channel": "web"})
    assert "Give the source a name" in ines.get("/console/sources").text


def test_a_person_is_given_out_and_erased(ines: FlaskClient, day: Day, installation: parts.Parts) -> None:
    export = ines.get(f"/console/customers/{day.camille}/export")
    assert "camille@example.org" in export.text and "attachment" in export.headers["Content-Disposition"]
    assert post(ines, f"/console/customers/{day.camille}/erase").status_code == 303
    assert ines.get(f"/console/customers/{day.camille}").status_code == 404


def test_a_merge_is_undone(ines: FlaskClient, day: Day, installation: parts.Parts) -> None:
    with installation.db.begin() as conn:
        console_world.world.say(conn, "zoe", "", at=datetime.now(UTC), traits={"email": "zoe@example.org"})
        zoe = customers.find(conn, user_id="zoe")
        _visit_then_sign_in(conn, "zoe")
    page = ines.get(f"/console/customers/{zoe}").text
    undo = re.search(rf'action="(/console/customers/{zoe}/merges/\d+/undo)"', page)
    assert undo
    assert post(ines, undo[1]).status_code == 303
    assert "They are two customers again" in ines.get(f"/console/customers/{zoe}").text


def _visit_then_sign_in(conn: sa.Connection, user: str) -> None:
    from_browser = console_world.sources.source(conn, "test web", channel="web", now=datetime.now(UTC))
    payloads = (
        {"type": "track", "event": "Product Viewed", "anonymousId": "a browser", "messageId": "m1"},
        {"type": "identify", "userId": user, "anonymousId": "a browser", "messageId": "m2"},
    )
    for payload in payloads:
        event = console_world.vocabulary.parse(payload, source=from_browser, received_at=datetime.now(UTC))
        assert isinstance(event, console_world.vocabulary.Event)
        console_world.ingest.ingest(conn, [event], now=datetime.now(UTC))


# ---------------------------------------------------------------------------------------------------- geometry
def test_the_parts_of_a_drawn_sum_fill_it_and_none_is_too_thin_to_see() -> None:
    placed = charts.shares([1000, 0, 1], width=100)
    assert placed[1][1] == 0 and placed[2][1] >= 5
    assert placed[2][0] + placed[2][1] == pytest.approx(100, abs=0.2)


def test_an_interval_is_drawn_with_zero_in_sight() -> None:
    drawn = charts.whisker(0.01, 0.03, 0.05, width=230)
    assert drawn.zero < drawn.low < drawn.middle < drawn.high


def test_a_line_of_nothing_lies_at_the_bottom() -> None:
    assert charts.spark([0, 0]) == "1.0,30.0 191.0,30.0"


@pytest.mark.parametrize("text", ["", "nonsense", "WzFd", "////", "W10"])
def test_a_cursor_nobody_gave_is_the_first_page(web: Flask, text: str) -> None:
    with web.test_request_context(f"/console/messages?after={text}"):
        assert paging.after(2) is None


def test_no_page_stands_where_that_of_a_named_thing_would(web: Flask) -> None:
    """What is of no single one stands beneath `-`: two steps deep, where no name leads."""
    pages = [rule.rule for rule in web.url_map.iter_rules() if "GET" in (rule.methods or ())]
    homes = {path.removesuffix("/<name>") for path in pages if path.endswith("/<name>")}
    places = (path.rpartition("/") for path in pages)
    hiding = {
        f"{home}/{last}" for home, _, last in places if home in homes and re.fullmatch("[a-z0-9][a-z0-9_-]*", last)
    }
    assert len(homes) > 4 and hiding <= {f"/console/campaigns/{name}" for name in campaign_list.RESERVED}
