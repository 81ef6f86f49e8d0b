"""The journey builder over HTTP: every change kept, conflicts shown and nothing lost, faults at their place, launch."""

import re
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from html import unescape

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from app import parts
from app.console import journey_words
from campaigns import (
    code_pool,
    connections,
    drafts,
    dry_runs,
    figures,
    files,
    launching,
    offer_figures,
    offers,
    plans,
    policy,
    pressure,
    samples,
)
from campaigns.definitions import edits
from campaigns.definitions import offers as offer_definitions
from foundation.errors import Conflict
from tests.app import console_world
from tests.app.console_world import CAMPAIGN, Day, post
from tests.campaigns import journey

NAME = "basket-relaunch"
PAGE = f"/console/campaigns/{NAME}/edit"
NOW = datetime.now(UTC)


@pytest.fixture
def day(installation: parts.Parts) -> Day:
    found = console_world.live(installation)
    with installation.db.begin() as conn:
        files.start_from(conn, NAME, now=NOW)
    return found


def _draft(installation: parts.Parts) -> drafts.Draft:
    with installation.db.begin() as conn:
        return drafts.of(conn, plans.get(conn, NAME))


def _act(client: FlaskClient, path: str, revision: int, **values: str) -> TestResponse:
    return post(client, f"{PAGE}/{path}", {"revision": str(revision), **values}, on=PAGE)


def _ids(installation: parts.Parts) -> list[str]:
    return [found.step["id"] for found in edits.walk(_draft(installation).definition)]


def test_steps_are_put_in_moved_copied_taken_out_undone_and_redone(
    ines: FlaskClient, day: Day, installation: parts.Parts
) -> None:
    assert _act(ines, "add", 0, kind="wait", at="head::").status_code == 303
    assert _ids(installation)[0] == "wait"
    _act(ines, "move", 1, step="wait", way="down")
    assert _ids(installation)[:2] == ["reminder", "wait"]
    _act(ines, "copy", 2, step="reminder", at="after:code")
    assert _ids(installation)[-1] == "reminder-2"
    _act(ines, "remove", 3, step="a-day")
    assert "a-day" not in _ids(installation)
    _act(ines, "undo", 4)
    assert "a-day" in _ids(installation) and _draft(installation).redoable
    _act(ines, "redo", 5)
    assert "a-day" not in _ids(installation)
    with installation.db.begin() as conn:
        assert plans.get(conn, NAME).version == 1, "a draft is no version yet"


def test_fields_are_kept_as_typed_and_faults_stand_at_field_and_step(
    ines: FlaskClient, day: Day, installation: parts.Parts
) -> None:
    _act(ines, "write", 0, step="a-day", **{"duration.n": "soon", "duration.unit": "h"})
    assert edits.find(_draft(installation).definition, "a-day").step["duration"] == "soonh"
    page = ines.get(f"{PAGE}?step=a-day").text
    assert "must be a length of time" in page and "has-fault" in page and "1 fault to correct" in page
    assert _act(ines, "launch", 1).status_code == 422
    _act(ines, "write", 1, step="a-day", **{"duration.n": "2", "duration.unit": "d"})
    page = ines.get(f"{PAGE}?step=a-day").text
    assert "2 days" in page and "fault to correct" not in page


def test_a_second_tab_is_told_and_nothing_is_lost(ines: FlaskClient, day: Day, installation: parts.Parts) -> None:
    _act(ines, "add", 0, kind="exit", at="after:code")
    late = _act(ines, "write", 0, step="a-day", **{"duration.n": "3", "duration.unit": "d"})
    assert late.status_code == 409 and "Somebody was quicker." in late.text
    assert "put in the step end" in late.text
    kept = dict(re.findall(r'<textarea hidden name="([^"]+)"[^>]*>([^<]*)</textarea>', late.text))
    assert kept == {"step": "a-day", "duration.n": "3", "duration.unit": "d"}
    assert _act(ines, "write", 1, **kept).status_code == 303
    assert edits.find(_draft(installation).definition, "a-day").step["duration"] == "3d"
    assert "end" in _ids(installation)


def test_htmx_gets_what_changed_and_where_to_go(ines: FlaskClient, day: Day) -> None:
    token = re.search(r'name="csrf_token" value="(\w+)"', ines.get(PAGE).text)
    assert token
    sent = {"csrf_token": token[1], "revision": "0", "kind": "split", "at": "after:reminder"}
    answer = ines.post(f"{PAGE}/add", data=sent, headers={"HX-Request": "true"})
    assert answer.status_code == 200 and answer.headers["HX-Trigger-After-Settle"] == '{"step-focus": "split"}'
    for part in ('id="flow"', 'id="jb-bar" hx-swap-oob', 'id="panel"', 'id="conflict" hx-swap-oob'):
        assert part in answer.text, part
    assert "has-fault" in answer.text, "the new split has no way yet"
    behind = ines.get(f"{PAGE}/flow?revision=0", headers={"HX-Request": "true"})
    assert behind.headers["HX-Retarget"] == "#conflict"


KINDS = ["send", "wait", "wait_until", "wait_for", "split", "experiment", "ask", "set_trait", "webhook", "exit"]


@pytest.mark.parametrize("locale", ["en", "fr"])
def test_every_kind_of_step_and_entry_has_its_sentence_and_its_fields(
    ines: FlaskClient, day: Day, installation: parts.Parts, locale: str
) -> None:
    post(ines, "/console/preferences", {"locale": locale})
    for number, kind in enumerate(KINDS):
        _act(ines, "add", number, kind=kind, at="after:reminder")
    names = _ids(installation)
    for name in names:
        assert ines.get(f"{PAGE}/panel?step={name}").status_code == 200, name
    revision = _draft(installation).revision
    for kind in ("event", "segment_entered", "schedule", "date", "product_abandoned", "back_in_stock", "price_dropped"):
        assert _act(ines, "write", revision, step="entry", type=kind).status_code == 303, kind
        revision += 1
        assert ines.get(f"{PAGE}?step=entry").status_code == 200, kind


def test_a_draft_is_published_launched_and_thrown_away(ines: FlaskClient, day: Day, installation: parts.Parts) -> None:
    given = {"goal.event": "", "canary.messages": "50", "canary.wait.n": "1", "canary.wait.unit": "h"}
    _act(ines, "write", 0, step="", title="A new title", holdout_percent="12,5", **given)
    assert _act(ines, "launch", 1).status_code == 303
    with installation.db.begin() as conn:
        plan = plans.get(conn, NAME)
    assert (plan.state, plan.version, plan.definition.title) == ("sending", 2, "A new title")
    assert plan.definition.holdout_percent == 12.5 and plan.definition.goal is None
    assert plan.definition.canary and (plan.definition.canary.messages, plan.definition.canary.wait) == (50, "1h")
    _act(ines, "remove", 0, step="code")
    page = ines.get(f"/console/campaigns/{NAME}/compare").text
    assert "Taken out" in page and "Draft" in page
    _act(ines, "discard", 1)
    assert "code" in _ids(installation)


def test_a_campaign_that_reaches_many_needs_a_second_person(
    ines: FlaskClient, day: Day, installation: parts.Parts
) -> None:
    with installation.db.begin() as conn:
        policy.save(conn, replace(policy.load(conn), approval_above=1), now=NOW)
    assert _act(ines, "launch", 0).status_code == 409, "nobody knows how many it reaches"
    with installation.db.begin() as conn:
        plan = plans.get(conn, NAME)
        dry_runs.ask(conn, plan, plan.definition, days=7, customer_id=None, by="ines", now=NOW)
    dry_runs.run_due(installation.db, now=NOW)
    with installation.db.begin() as conn:
        run = dry_runs.last(conn, plans.get(conn, NAME))
        assert run is not None and run.state == "done" and run.of >= 1
        policy.save(conn, replace(policy.load(conn), approval_above=max(1, run.most_in_a_day - 1)), now=NOW)
    if run.most_in_a_day > 1:
        assert _act(ines, "launch", 0).status_code == 409
        _act(ines, "approval", 0)
        assert _act(ines, "approve", 0).status_code == 409, "whoever asks does not answer"
        with installation.db.begin() as conn:
            plan = plans.get(conn, NAME)
            launching.approve(conn, plan, drafts.of(conn, plan).definition, by="hugo", now=NOW)
    assert _act(ines, "launch", 0).status_code == 303


def test_approval_is_of_what_was_looked_at(installation: parts.Parts, day: Day) -> None:
    with installation.db.begin() as conn:
        plan = plans.get(conn, NAME)
        said = drafts.of(conn, plan).definition
        with pytest.raises(Conflict, match="nobody asked"):
            launching.approve(conn, plan, said, by="hugo", now=NOW)
        launching.ask(conn, plan, said, by="ines", now=NOW)
        launching.approve(conn, plan, said, by="hugo", now=NOW)
        assert launching.approved(conn, plan.id, said)
        assert launching.approved(conn, plan.id, edits.remove(said, "code")) is None


def test_a_dry_run_is_a_job_that_says_how_far_it_is(ines: FlaskClient, day: Day, installation: parts.Parts) -> None:
    page = f"/console/campaigns/{CAMPAIGN}/dry-run"
    assert "No dry run yet" in ines.get(page).text
    asked = post(ines, page, {"days": "30"})
    assert asked.status_code == 303 and 'hx-trigger="every 1s"' in ines.get(asked.location).text
    assert dry_runs.run_due(installation.db, now=datetime.now(UTC)) == "1 dry run"
    done = ines.get(asked.location).text
    assert "Sends per hour" in done and 'hx-trigger="every 1s"' not in done
    mine = post(ines, page, {"days": "30", "customer": str(day.camille)})
    dry_runs.run_due(installation.db, now=datetime.now(UTC))
    page = ines.get(mine.location).text
    assert "Camille" in page and "cart-of-camille" in page
    assert dry_runs.run_due(installation.db, now=datetime.now(UTC)) is None


def test_a_dry_run_and_the_list_before_launching_say_what_the_pool_lacks(
    ines: FlaskClient, day: Day, installation: parts.Parts
) -> None:
    terms = {"name": "POOLED", "kind": "percentage", "value": 1000, "codes": "pool", "prefix": ""}
    entry = {"type": "cart_abandoned", "delay": "1h"}
    said = {"title": "Pooled", "entry": entry, "steps": [journey.send("code", offer="POOLED")]}
    with installation.db.begin() as conn:
        pool, _ = offers.put(conn, offer_definitions.parse(terms), now=NOW)
        plan = plans.create(conn, "pooled", definition=said, now=NOW)
    checks, page = "/console/campaigns/pooled/edit", "/console/campaigns/pooled/dry-run"
    assert "How many codes of POOLED it needs" in ines.get(checks).text
    with installation.db.begin() as conn:
        dry_runs.ask(conn, plan, plan.definition, days=7, customer_id=None, by="ines", now=datetime.now(UTC))
    dry_runs.run_due(installation.db, now=datetime.now(UTC))
    lacks = "Needs about 1 codes of POOLED, the pool has 0"
    assert lacks in ines.get(page).text and lacks in ines.get(checks).text
    with installation.db.begin() as conn:
        code_pool.add(conn, "POOLED", ["FIRST-CODE", "SECOND-CODE"], until=None, now=NOW)
        offer_figures.count(conn, pool.id, now=NOW)
    has = "Needs about 1 codes of POOLED, the pool has 2"
    assert has in ines.get(page).text and has in ines.get(checks).text
    cut_off(installation, plan)
    assert "Needs more than 1 codes of POOLED, the pool has 2" in ines.get(checks).text
    assert re.search(r"Dry run: more than \d come in", ines.get(checks).text)


def cut_off(installation: parts.Parts, plan: plans.Plan) -> None:
    """As if more had come in than a dry run looks at."""
    runs = dry_runs.runs
    with installation.db.begin() as conn:
        outcome = conn.scalar(sa.select(runs.c.outcome).where(runs.c.campaign_id == plan.id))
        conn.execute(sa.update(runs).where(runs.c.campaign_id == plan.id).values(outcome=outcome | {"cut": True}))


def test_a_message_is_sent_to_oneself_alone(ines: FlaskClient, day: Day) -> None:
    page = f"/console/campaigns/{NAME}/tests"
    assert "ines@aubier.example" in ines.get(page).text
    assert post(ines, page, {"step": "reminder", "customer": str(day.camille)}).status_code == 303
    listed = ines.get(page).text
    kept = re.search(rf"{page}/([0-9a-f-]{{36}})", listed)
    assert kept and ines.get(f"{page}/{kept[1]}").status_code == 200
    assert "Test sent to ines@aubier.example" in ines.get(PAGE).text


def test_a_tests_form_sent_twice_sends_one(ines: FlaskClient, day: Day, installation: parts.Parts) -> None:
    page = f"/console/campaigns/{NAME}/tests"
    (form,) = re.findall(r'name="form_id" value="([0-9a-f-]{36})"', ines.get(page).text)
    filled = {"step": "reminder", "customer": str(day.camille), "form_id": form}

    def sent() -> int:
        with installation.db.begin() as conn:
            outcomes = list(conn.scalars(sa.select(samples.samples.c.outcome)))
        assert set(outcomes) == {"accepted"}
        return len(outcomes)

    for _ in range(2):
        assert post(ines, page, filled).status_code == 303
        assert sent() == 1
    assert post(ines, page, filled | {"customer": ""}).status_code == 303
    assert sent() == 2, "filled in otherwise it is another"
    assert post(ines, page, filled | {"form_id": "no identifier"}).status_code == 303
    assert sent() == 3


@pytest.mark.parametrize(("channel", "sent"), [("sms", "+33612345678"), ("best", "+33612345678"), ("push", "")])
def test_a_message_of_any_channel_is_sent_to_oneself_alone(
    ines: FlaskClient, day: Day, channel: str, sent: str, installation: parts.Parts
) -> None:
    with installation.db.begin() as conn:
        keys = installation.config.secret_keys
        connections.connect(conn, "sms", connections.OUTBOX, keys=keys, origin="console", now=NOW)
    installation.channels.look()
    _act(ines, "write", 0, step="reminder", channel=channel)
    page = f"/console/campaigns/{NAME}/tests"
    shown = ines.get(page).text
    assert ("Your number" in shown) == bool(sent)
    told = {"step": "reminder", "channel": "push" if channel == "push" else "sms"}
    wrong = post(ines, page, told | {"phone": "06"})
    assert wrong.status_code == 409 and ("begins with +" in wrong.text or "no device takes" in wrong.text)
    if sent:
        assert post(ines, page, told | {"phone": "+33 6 12 34 56 78"}).status_code == 303
        listed = ines.get(page).text
        assert sent in listed
        kept = re.search(rf"{page}/([0-9a-f-]{{36}})", listed)
        assert kept and "STOP" in ines.get(f"{page}/{kept[1]}").text
    assert post(ines, page, told | {"channel": "email"}).status_code == (303 if channel == "best" else 409)


def test_figures_stand_at_each_step_and_on_the_list(ines: FlaskClient, day: Day, installation: parts.Parts) -> None:
    figures.refresh(installation.db, now=datetime.now(UTC))
    pressure.count(installation.db, now=datetime.now(UTC))
    with installation.db.begin() as conn:
        plan = plans.get(conn, CAMPAIGN)
        known = figures.of(conn, [plan.id])[plan.id]
    walked = known.walked(plan.version)
    step = plan.definition.steps[0].id
    assert walked.entered == walked.arrived(step) == 2
    assert sum(walked.sent[step].values()) == 2
    page = ines.get(f"/console/campaigns/{CAMPAIGN}/edit").text
    assert "accepted of 2" in page and '<path class="sp"' in page
    listed = ines.get("/console/campaigns?q=relaunch").text
    assert "takes customers in as they come" in listed and "to be launched" in listed
    assert "to be launched" not in ines.get("/console/campaigns?state=sending").text
    assert "No campaign like this" in ines.get("/console/campaigns?q=zzz").text


def test_one_begins_from_the_gallery_or_from_nothing(ines: FlaskClient, day: Day, installation: parts.Parts) -> None:
    page = ines.get("/console/campaigns/new").text
    assert "Open yours" in page and "Start from it" in page
    made = post(
        ines, "/console/campaigns/start", {"from": "blank", "title": "Été, à l’essai"}, on="/console/campaigns/new"
    )
    assert made.location.endswith("/console/campaigns/ete-a-l-essai/edit")
    again = post(
        ines, "/console/campaigns/start", {"from": "blank", "title": "Été à l’essai"}, on="/console/campaigns/new"
    )
    assert again.status_code == 409 and "There is a campaign of this name already." in again.text
    assert 'value="Été à l’essai"' in unescape(again.text), "what was typed stands where it was typed"
    nameless = post(ines, "/console/campaigns/start", {"from": "blank", "title": "…?"}, on="/console/campaigns/new")
    assert nameless.status_code == 422 and 'id="title-fault"' in nameless.text and 'value="…?"' in nameless.text
    assert ines.get("/console/campaigns/calendar").status_code == 200
    assert ines.get("/console/campaigns/calendar?month=2031-02").status_code == 200


def test_an_analyst_looks_and_changes_nothing(enter: object, day: Day, installation: parts.Parts) -> None:
    client: FlaskClient = enter("analyst")  # type: ignore[operator]
    page = client.get(PAGE)
    assert page.status_code == 200 and "Add a step here" not in page.text
    assert _act(client, "add", 0, kind="wait", at="head::").status_code == 403


HOSTILE = "<script>alert(1)</script> \u202eعربي 🍲 =1+1"


def test_hostile_words_are_shown_as_words(ines: FlaskClient, day: Day) -> None:
    _act(ines, "write", 0, step="", title=HOSTILE)
    _act(ines, "add", 1, kind="set_trait", at="after:code")
    _act(ines, "write", 2, step="trait", trait=HOSTILE, value=HOSTILE * 100)
    for path in (PAGE, f"{PAGE}?step=trait", "/console/campaigns", f"/console/campaigns/{NAME}/compare"):
        assert "<script>alert" not in ines.get(path).text, path


@pytest.mark.parametrize(("locale", "named"), [("en", "first article"), ("fr", "premier article")])
def test_a_subject_is_read_with_its_fields_by_name(web: Flask, locale: str, named: str) -> None:
    subject = "{% if code %}{{ code.text }}: {% endif %}To go with “{{ cart.first_title | upper }}”"
    with web.test_request_context(headers={"Accept-Language": locale}):
        assert journey_words.message({"en": {"subject": subject}}) == f"To go with “[{named}]”"


@pytest.fixture
def _server_in_paris() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as environ:
        environ.setenv("TZ", "Europe/Paris")
        time.tzset()
        yield
    time.tzset()


@pytest.mark.usefixtures("_server_in_paris")
@pytest.mark.parametrize(
    ("locale", "said"),
    [
        ("en", "Every week from 1 Jan 2026 at 09:30, everybody in “in Lyon”"),
        ("fr", "Chaque semaine à partir du 1er janv. 2026 à 9 h 30, tous ceux de « in Lyon »"),
    ],
)
def test_who_comes_in_and_when_is_said_as_the_language_does(web: Flask, locale: str, said: str) -> None:
    weekly = {"type": "schedule", "every": "week", "on": "2026-01-01", "at": "09:30", "audience": "in Lyon"}
    dropped = {"type": "price_dropped", "percent": 15}
    with web.test_request_context(headers={"Accept-Language": locale}):
        spaced = re.sub("[\xa0\u202f]", " ", journey_words.plain(journey_words.entry(weekly)))
        assert spaced == said
        shown = journey_words.plain(journey_words.entry(dropped))
        assert ("15\u202f%" if locale == "fr" else "15%") in shown
