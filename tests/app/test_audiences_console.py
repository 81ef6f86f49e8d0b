"""Audiences and webhooks in the console and by command: what stands there, who may do what, and what it does."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient

import app as front
from app import parts
from campaigns import tables, webhooks
from campaigns.audiences import gates, kept, syncing
from campaigns.audiences.platforms.base import Answer, Reply
from foundation.outward import Answer as Outcome
from tests.app.console_world import post
from tests.campaigns import ad_platforms, journey, world
from tests.campaigns.ad_platforms import AUDIENCE, Peers
from tests.campaigns.test_audiences import gold, person
from tests.campaigns.test_webhooks import URL, Other

NOW = datetime.now(UTC)
LOCALES = pytest.mark.parametrize("locale", ["en", "fr"])


@pytest.fixture
def peers() -> Iterator[Peers]:
    with ad_platforms.both() as connected:
        yield connected


@pytest.fixture
def installation(installation: parts.Parts, peers: Peers) -> parts.Parts:
    """An installation with every ad platform connected."""
    return replace(installation, platforms=peers[0])


@pytest.fixture
def web(installation: parts.Parts) -> Flask:
    return front.create_app(installation)


@pytest.fixture
def filled(installation: parts.Parts, peers: Peers) -> None:
    """Two people in an audience at Meta and in a file."""
    for user in ("ada", "bea"):
        person(installation.db, user, at=NOW - timedelta(days=1))
    for platform in ("meta", "csv"):
        gold(installation.db, now=NOW, platform=platform)
    journey.tick(installation.db, NOW)
    syncing.sync_due(installation.db, peers[0], now=NOW)


@LOCALES
def test_the_pages_stand_in_both_languages(
    ines: FlaskClient, filled: None, installation: parts.Parts, locale: str
) -> None:
    post(ines, "/console/preferences", {"locale": locale, "next": "/console/"})
    with installation.db.begin() as conn:
        world.stock_shop(conn, now=NOW)
        gates.heard(conn, "google", Reply(Answer.KEY, "invalid_grant: Token has been expired or revoked."), now=NOW)
    page = ines.get("/console/audiences").text
    assert "gold-meta" in page and AUDIENCE in page and "invalid_grant" in page and "/google.xml" in page
    assert ("Paused until" if locale == "en" else "En pause jusqu") in page
    shown = ines.get("/console/audiences/gold-meta").text
    assert ("2 people at Meta." if locale == "en" else "2 personnes chez Meta.") in shown
    assert ines.get("/console/audiences/nobody").status_code == 404


def test_an_audience_is_made_and_its_faults_stand_beside_their_fields(
    ines: FlaskClient, installation: parts.Parts
) -> None:
    written = {
        "title": "Everybody",
        "name": "every body",
        "platform": "meta",
        "external_id": "act_1",
        "segment": "none",
    }
    answer = post(ines, "/console/audiences", written, on="/console/audiences")
    assert answer.status_code == 422 and all(f'id="{name}-fault"' in answer.text for name in ("name", "external_id"))
    good = written | {"name": "everybody", "external_id": "77", "segment": "", "until_purchase": "on"}
    assert post(ines, "/console/audiences", good, on="/console/audiences").status_code == 303
    with installation.db.begin() as conn:
        made = kept.get(conn, "everybody")
    assert (made.external_id, made.segment_id, made.until_purchase) == ("77", None, True)


def test_it_is_brought_up_to_date_and_ended_when_somebody_asks(
    ines: FlaskClient, filled: None, installation: parts.Parts, peers: Peers
) -> None:
    with installation.db.begin() as conn:
        gates.heard(conn, "meta", Reply(Answer.DOWN, "no answer"), now=NOW)
    later = datetime.now(UTC) + timedelta(seconds=1)
    assert post(ines, "/console/audiences/gold-meta/sync").status_code == 303
    with installation.db.begin() as conn:
        assert kept.get(conn, "gold-meta").due_at < later and not gates.every(conn)
    assert post(ines, "/console/audiences/gold-meta/end").status_code == 303
    syncing.sync_due(installation.db, peers[0], now=later)
    assert not peers[1].held[AUDIENCE] and ines.get("/console/audiences/gold-meta").status_code == 404


def test_a_paused_platform_is_tried_again_when_somebody_says_so(ines: FlaskClient, installation: parts.Parts) -> None:
    with installation.db.begin() as conn:
        gates.heard(conn, "meta", Reply(Answer.KEY, "190"), now=NOW)
    post(ines, "/console/audiences/platforms/meta/retry")
    with installation.db.begin() as conn:
        assert not gates.shut(conn, "meta", now=NOW)


def test_the_file_holds_whoever_is_in_by_hashes(ines: FlaskClient, filled: None) -> None:
    answer = ines.get("/console/audiences/gold-csv.csv")
    assert answer.mimetype == "text/csv" and "attachment" in answer.headers["Content-Disposition"]
    lines = answer.text.splitlines()
    assert lines[0] == "email_sha256,phone_sha256" and len(lines) == 3 and "@" not in answer.text


def test_an_analyst_reads_and_changes_nothing(enter: Callable[[str], FlaskClient], filled: None) -> None:
    client = enter("analyst")
    assert client.get("/console/audiences").status_code == 200
    assert client.get("/console/audiences/gold-csv.csv").status_code == 403
    assert post(client, "/console/audiences/gold-meta/end").status_code == 403
    assert "whsec_" not in client.get("/console/webhooks").text


# ------------------------------------------------------------------------------------------------- webhooks
@pytest.fixture
def failed(installation: parts.Parts) -> webhooks.Call:
    """A call that was given up."""
    with installation.db.begin() as conn:
        world.make_customer(conn, "ada", at=NOW)
    steps = [{"type": "webhook", "id": "tell", "url": URL, "note": "<b>hello</b>"}]
    journey.launch(installation.db, {"type": "event", "event": "Order Completed", "key": "order"}, steps, now=NOW)
    with installation.db.begin() as conn:
        world.order(conn, "ada", at=NOW, order_id="o1")
    journey.tick(installation.db, NOW)
    other = Other(installation.db, Outcome(404, "Not Found", hopeless=True))
    webhooks.deliver_due(installation.db, webhooks.Caller(other, ("s",)), now=NOW)
    with installation.db.begin() as conn:
        return webhooks.logged(conn)[0]


def states(installation: parts.Parts) -> list[str]:
    with installation.db.begin() as conn:
        return list(conn.scalars(sa.select(tables.webhook_calls.c.state)))


@LOCALES
def test_the_log_shows_every_call_with_its_answers(ines: FlaskClient, failed: webhooks.Call, locale: str) -> None:
    post(ines, "/console/preferences", {"locale": locale, "next": "/console/"})
    page = ines.get("/console/webhooks").text
    assert URL in page and "Not Found" in page and "<b>hello</b>" not in page and "whsec_" in page
    assert URL in ines.get("/console/webhooks?state=dead").text
    assert URL not in ines.get("/console/webhooks?state=delivered").text
    assert URL in ines.get("/console/webhooks?state=nonsense&after=nonsense").text


def test_a_call_is_made_again_from_the_log(ines: FlaskClient, failed: webhooks.Call, installation: parts.Parts) -> None:
    assert post(ines, f"/console/webhooks/{failed.id}/replay", on="/console/webhooks").status_code == 303
    assert states(installation) == ["pending"]
    assert post(ines, f"/console/webhooks/{failed.id}/replay", on="/console/webhooks").status_code == 409


def test_everything_given_up_is_made_again_at_once(
    ines: FlaskClient, failed: webhooks.Call, installation: parts.Parts
) -> None:
    assert post(ines, "/console/webhooks/replay", on="/console/webhooks").status_code == 303
    assert states(installation) == ["pending"]


# ------------------------------------------------------------------------------------------------- commands
def test_the_commands_say_and_do_the_same(web: Flask, filled: None, tmp_path: object) -> None:
    run = web.test_cli_runner().invoke
    listed = run(args=["audience", "list"]).output
    assert "gold-meta" in listed and "live" in listed
    assert "0 in, 0 out" in run(args=["audience", "sync", "gold-meta"]).output
    out = f"{tmp_path}/gold.csv"
    assert "2 people" in run(args=["audience", "export", "gold-csv", "--out", out]).output
    with open(out) as file:
        assert len(file.readlines()) == 3
    assert run(args=["audience", "sync", "nobody"]).exit_code == 1


def test_calls_are_listed_and_made_again_by_command(
    web: Flask, failed: webhooks.Call, installation: parts.Parts
) -> None:
    run = web.test_cli_runner().invoke
    assert f"{failed.id} dead 1x {URL} 404 Not Found" in run(args=["webhook", "log", "--state", "dead"]).output
    assert run(args=["webhook", "replay"]).exit_code == 2
    assert "0 made again" in run(args=["webhook", "replay", "--dead", "--campaign", "other"]).output
    assert "1 made again" in run(args=["webhook", "replay", str(failed.id)]).output
    assert run(args=["webhook", "replay", str(failed.id)]).exit_code == 1 and states(installation) == ["pending"]
    assert run(args=["webhook", "key"]).output.startswith("whsec_")
