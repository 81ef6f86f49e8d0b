"""The console's pages of channels and of what the shop's own pages show, and the commands beside them."""

from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient
from playwright.sync_api import Browser

import app as front
from app import parts
from campaigns import connections, onsite, tables
from campaigns.channels import carriers
from campaigns.channels.push import Push
from campaigns.channels.sms import SmsGateway
from campaigns.channels.tables import connections as kept
from foundation import sealing
from foundation.config import Config
from foundation.database import Database
from foundation.errors import Invalid
from tests import console
from tests.app import console_world, test_hostile_pages, test_onsite
from tests.app.conftest import NOW
from tests.contracts import test_messengers

TWILIO = "twilio+https://AC1:very-secret-token@api.twilio.com?from=%2B33644601234"


def _post(client: FlaskClient, path: str, form: dict[str, str], *, on: str) -> Any:
    return console_world.post(client, path, form, on=on)


# ---------------------------------------------------------------------------------------------------- channels
def test_a_gateway_is_connected_and_its_secret_never_seen_again(ines: FlaskClient, db: Database) -> None:
    page = "/console/channels"
    assert _post(ines, f"{page}/sms", {"address": TWILIO}, on=page).status_code == 303
    shown = ines.get(page).text
    assert "twilio" in shown and "very-secret-token" not in shown and "AC1" not in shown
    with db.begin() as conn:
        sealed = conn.scalar(sa.select(kept.c.sealed))
    assert b"secret" not in bytes(sealed or b"")
    assert _post(ines, f"{page}/sms/disconnect", {}, on=page).status_code == 303
    with db.begin() as conn:
        assert connections.connected(conn) == connections.ALWAYS


@pytest.mark.parametrize(
    ("channel", "address"),
    [
        ("sms", "twilio+https://a:b@127.0.0.1?from=x"),
        ("sms", "generic+http://gateway.example/send"),
        ("sms", "generic+https://a:b@localhost/send"),
        ("sms", "generic+https://[::1]/send"),
        ("sms", "carrier-pigeon+https://a:b@api.example"),
        ("sms", ""),
        ("push_app", "{}"),
        ("push_app", '{"type": "service_account", "project_id": "p", "client_email": "e", "private_key": "x"}'),
        ("email", "outbox:"),
    ],
)
def test_an_address_that_cannot_be_is_refused_in_its_place(ines: FlaskClient, channel: str, address: str) -> None:
    answer = _post(ines, f"/console/channels/{channel}", {"address": address}, on="/console/channels")
    assert answer.status_code == 422


def test_only_administrators_connect(enter: Any) -> None:
    marketer = enter("marketer")
    assert marketer.get("/console/channels").status_code == 200
    answer = _post(marketer, "/console/channels/sms", {"address": TWILIO}, on="/console/channels")
    assert answer.status_code == 403


def test_what_is_connected_carries_within_seconds_and_the_settings_come_first(
    installation: parts.Parts, db: Database
) -> None:
    config, email = installation.config, installation.email
    made = carriers.Carriers(config, db, email=email)
    assert set(made) == {"email", "push", "onsite"} and isinstance(made["push"], Push)
    with db.begin() as conn:
        connections.connect(conn, "sms", TWILIO, keys=config.secret_keys, origin="test", now=NOW)
        connections.connect(
            conn, "push_app", test_messengers.account("https://x"), keys=config.secret_keys, origin="t", now=NOW
        )
    made.look()
    assert isinstance(made["sms"], SmsGateway) and made["sms"].provider == "sms:twilio"
    made.close()


@pytest.mark.parametrize(
    ("email", "provider", "channels"),
    [
        ("smtp://mail.example:2525", "smtp:mail.example", ["email"]),
        ("sendgrid:SG.key", "sendgrid", ["email"]),
        ("outbox:", "outbox", ["email", "whatsapp"]),
        ("outbox:", "push", ["push", "push_app"]),
        ("outbox:", "sms:twilio", ["sms"]),
        ("outbox:", "onsite", ["onsite"]),
    ],
)
def test_a_channel_whose_provider_is_not_spoken_to_says_so(
    config: Config, db: Database, email: str, provider: str, channels: list[str]
) -> None:
    with console.installed(config, email_url=email) as built:
        carried = {"sms": TWILIO, "whatsapp": "outbox:", "push_app": test_messengers.account("https://x")}
        with db.begin() as conn:
            for channel, address in carried.items():
                connections.connect(conn, channel, address, keys=config.secret_keys, origin="test", now=NOW)
            shut = {"provider": provider, "breaker": "open", "reason": "provider_down"}
            conn.execute(sa.insert(tables.provider_gates).values(shut))
        built.channels.look()
        console_world.make_user(built)
        client = front.create_app(built).test_client()
        login = {"email": console_world.EMAIL, "password": console_world.PASSWORD}
        console_world.post(client, "/console/sign-in", login, on="/console/sign-in")
        sections = client.get("/console/channels").text.split('<section class="section" id="')[1:]
    said = {section.partition('"')[0]: section for section in sections}
    assert [name for name, text in said.items() if f"{provider} is not spoken to for now" in text] == channels
    assert all("state-ok" not in said[name] for name in channels)


def test_the_settings_outweigh_the_console(installation: parts.Parts, db: Database) -> None:
    config = installation.config
    named = type(config)(**{name: getattr(config, name) for name in config.__slots__} | {"sms_url": "outbox:"})
    with db.begin() as conn:
        connections.connect(conn, "sms", TWILIO, keys=config.secret_keys, origin="test", now=NOW)
        connections.take_settings(conn, named, now=NOW)
        assert [(one.kind, one.origin) for one in connections.every(conn)] == [("outbox", "settings")]
        connections.take_settings(conn, config, now=NOW)
        assert connections.every(conn) == []


def test_a_secret_is_opened_by_the_keys_it_was_sealed_with_for_its_own_use_alone() -> None:
    sealed = sealing.seal("token", purpose="sms", keys=["new key of sixteen letters", "old"])
    assert sealing.unseal(sealed, purpose="sms", keys=["newest", "new key of sixteen letters"]) == "token"
    assert sealing.seal("token", purpose="sms", keys=["k"]) != sealing.seal("token", purpose="sms", keys=["k"])
    for purpose, keys in (("whatsapp", ["new key of sixteen letters"]), ("sms", ["other"])):
        with pytest.raises(sealing.Unsealed):
            sealing.unseal(sealed, purpose=purpose, keys=keys)
    with pytest.raises(sealing.Unsealed):
        sealing.unseal(sealed[:-1] + bytes([sealed[-1] ^ 1]), purpose="sms", keys=["new key of sixteen letters"])


def test_the_command_line_connects_from_standard_input(web: Flask, db: Database) -> None:
    runner = web.test_cli_runner()
    assert runner.invoke(args=["channels", "connect", "sms"], input=TWILIO).exit_code == 0
    listed = runner.invoke(args=["channels", "list"])
    assert "twilio, by command line" in listed.output and "very-secret" not in listed.output
    assert runner.invoke(args=["channels", "connect", "sms"], input="nonsense").exit_code == 1
    assert runner.invoke(args=["channels", "disconnect", "sms"]).exit_code == 0


def test_an_unknown_channel_is_refused(db: Database) -> None:
    with pytest.raises(Invalid), db.begin() as conn:
        connections.connect(conn, "fax", "outbox:", keys=["k" * 16], origin="t", now=NOW)


# ----------------------------------------------------------------------------------------------------- on site
FORM = {
    "name": "free-delivery",
    "/title": "Free delivery",
    "/form": "banner",
    "/words/fr/heading": "Livraison offerte",
    "/words/en/heading": "Free delivery",
    "/pages": "/demo/*\n/basket",
    "/cap/times": "2",
    "/starts_at": "2026-11-22T08:00",
}


def test_a_block_is_made_changed_shown_and_stopped(ines: FlaskClient, db: Database) -> None:
    page = "/console/onsite/-/new"
    assert _post(ines, page, FORM, on=page).status_code == 303
    with db.begin() as conn:
        made = onsite.get(conn, "free-delivery")
    assert (made.state, made.block.pages, made.block.cap.times) == ("draft", ("/demo/*", "/basket"), 2)
    there = "/console/onsite/free-delivery"
    assert "Livraison offerte" in ines.get(there).text
    assert _post(ines, there, FORM | {"/cap/times": "5"}, on=there).status_code == 303
    assert _post(ines, f"{there}/state", {"state": "live"}, on=there).status_code == 303
    with db.begin() as conn:
        assert [one.block.cap.times for one in onsite.live(conn)] == [5]
    assert "Free delivery" in ines.get("/console/onsite").text
    assert _post(ines, f"{there}/state", {"state": "paused"}, on=there).status_code == 303
    assert _post(ines, f"{there}/remove", {}, on=there).status_code == 303
    assert ines.get(there).status_code == 404


@pytest.mark.parametrize(
    "changes",
    [
        {"name": "Not A Word"},
        {"/form": "slot"},
        {"/products": "many"},
        {"/link": "javascript:x"},
        {"/starts_at": "soon"},
    ],
)
def test_a_form_with_a_fault_comes_back_as_it_was_sent(
    ines: FlaskClient, db: Database, changes: dict[str, str]
) -> None:
    answer = _post(ines, "/console/onsite/-/new", FORM | changes, on="/console/onsite/-/new")
    assert answer.status_code == 422 and "Livraison offerte" in answer.text
    with db.begin() as conn:
        assert onsite.every(conn) == []


def test_two_blocks_never_have_one_name(ines: FlaskClient) -> None:
    _post(ines, "/console/onsite/-/new", FORM, on="/console/onsite/-/new")
    assert _post(ines, "/console/onsite/-/new", FORM, on="/console/onsite/-/new").status_code == 422


def test_the_preview_is_a_page_without_an_origin(ines: FlaskClient, db: Database) -> None:
    with db.begin() as conn:
        words = {"en": {"heading": test_onsite.HOSTILE}}
        onsite.put(conn, "x", test_onsite.BANNER | {"words": words}, now=NOW)
    page = ines.get("/console/onsite/x/preview")
    assert page.headers["Content-Security-Policy"].startswith("sandbox allow-scripts;")
    assert (
        "<script>window" not in page.text
        and "onerror=window" not in page.text.replace("&#34;", '"').split("data-block")[0]
    )


@pytest.mark.browser
@pytest.mark.parametrize("first", range(0, 100, 20))
def test_a_hostile_block_runs_nothing_in_the_preview(
    ines: FlaskClient, db: Database, chromium: Browser, first: int
) -> None:
    said = test_hostile_pages.VECTORS[first : first + 20]
    with db.begin() as conn:
        words = {"en": {"heading": said[0], "text": " ".join(said[1:])}}
        onsite.put(conn, "x", test_onsite.BANNER | {"words": words}, now=NOW)
    answer = ines.get("/console/onsite/x/preview")
    page = chromium.new_page()
    static = Path(__file__).parents[2] / "app" / "static"

    def serve(route: Any) -> None:
        path = route.request.url.split("/static/")[-1]
        if "/static/" in route.request.url:
            route.fulfill(path=static / path.split("?")[0])
        else:
            headers = {"Content-Security-Policy": answer.headers["Content-Security-Policy"]}
            route.fulfill(body=answer.text, content_type="text/html", headers=headers)

    page.route("**/*", serve)
    page.goto("http://localhost/console/onsite/x/preview")
    page.wait_for_selector("[data-relance=banner] h2")
    shown = " ".join(page.locator("[data-relance=banner] :is(h2, p)").all_inner_texts())
    assert [one for one in said if one not in shown] == [], "all are there, as words"
    assert page.evaluate("() => window.__xss") is None
    assert page.evaluate("() => { try { return document.cookie } catch (e) { return e.name } }") == "SecurityError"
    page.close()
