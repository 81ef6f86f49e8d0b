"""The pages of campaigns: read as sentences, changed by a form or a file, each fault at its place."""

import html
import re
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient

from app import parts
from app.console import forms
from campaigns import drafts, enrolments, figures, files, plans, tables
from campaigns.definitions import campaign as definitions
from foundation.errors import Fault
from tests.app import console_world
from tests.app.console_world import CAMPAIGN, Day, post
from tests.campaigns import journey, world

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


@pytest.fixture
def day(installation: parts.Parts) -> Day:
    return console_world.live(installation)


def _change(installation: parts.Parts, **changes: object) -> None:
    """Another version of the campaign."""
    with installation.db.begin() as conn:
        before = definitions.dump(plans.get(conn, CAMPAIGN).definition)
        plans.update(conn, CAMPAIGN, definition={**before, **changes}, now=console_world.NOW)


def test_a_missed_moment_is_asked_about_and_run_or_left(ines: FlaskClient, day: Day, installation: parts.Parts) -> None:
    db, now = installation.db, datetime.now(UTC)
    entry = {
        "type": "schedule", "every": "day", "on": f"{(now - 3 * DAY).date()}", "at": f"{now - HOUR:%H:%M}",
        "zone": "UTC", "audience": {"type": "trait", "name": "email", "op": "exists"},
    }  # fmt: skip
    journey.launch(db, entry, [journey.send("news")], now=now - 2.5 * DAY, reentry={"rule": "each_key"})
    enrolments.admit_timed(db, now=now - 20 * HOUR)
    assert "A moment was missed" in ines.get("/console").text
    page = "/console/campaigns/journey"
    asked = re.findall(r'name="day" value="([0-9-]+)"', ines.get(page).text)
    assert len(asked) == 2
    assert post(ines, f"{page}/missed", {"day": asked[0], "wanted": "no"}).status_code == 303
    assert post(ines, f"{page}/missed", {"day": asked[1], "wanted": "yes"}).status_code == 303
    assert post(ines, f"{page}/missed", {"day": "<b>", "wanted": "yes"}).status_code == 404
    assert post(ines, f"{page}/missed", {"day": asked[1], "wanted": "no"}).status_code == 303
    told = ines.get(page).text
    assert "Somebody decided on it already." in told and "Run it now" not in told
    enrolments.admit_timed(db, now=now - 19 * HOUR)
    with db.begin() as conn:
        runs = conn.execute(sa.select(tables.campaign_runs.c.state).order_by("due_at")).scalars().all()
    assert runs == ["left", "done"]


def test_who_came_too_late_to_enter_is_asked_about_and_let_in_or_left(
    ines: FlaskClient, day: Day, installation: parts.Parts
) -> None:
    db, now = installation.db, datetime.now(UTC)
    entry = {"type": "event", "event": "Signed Up", "key": "event"}
    journey.launch(db, entry, [journey.send("hi")], now=now - 5 * DAY, reentry={"rule": "each_key"})
    page = "/console/campaigns/journey"
    for ago, wanted, said in ((4 * DAY, "yes", "1 person was let in."), (2 * DAY, "no", "1 person was left.")):
        with db.begin() as conn:
            world.say(conn, "camille", "Signed Up", at=now - ago)
        enrolments.admit_due(db, now=now - HOUR)
        assert "1 person came too late to enter" in ines.get("/console").text
        told = ines.get(page).text
        assert "1 person came too late to enter" in told and "heard of more than a day later" in told
        assert post(ines, f"{page}/latecomers", {"wanted": wanted}, on=page).status_code == 303
        told = ines.get(page).text
        assert said in told and "came too late to enter" not in told
    with db.begin() as conn:
        entered = sa.select(sa.func.count()).where(tables.enrolments.c.happened_at == now - 4 * DAY)
        assert conn.scalar(entered) == 1


def test_faults_are_said_in_the_readers_language(ines: FlaskClient, day: Day) -> None:
    post(ines, "/console/preferences", {"locale": "fr"})
    edit = f"/console/campaigns/{CAMPAIGN}/edit"
    post(ines, f"{edit}/write", {"revision": "0", "step": "entry", "delay.n": "soon", "delay.unit": "h"}, on=edit)
    assert "Cette valeur doit être une durée telle que 30m, 20h, 3d ou 2w." in ines.get(f"{edit}?step=entry").text
    post(ines, f"{edit}/write", {"revision": "1", "step": "entry", "delay.n": "2", "delay.unit": "h"}, on=edit)
    said = {"revision": "2", "in": "fr", "part": "words", "fr.subject": "{{ nope }}"}
    post(ines, f"{edit}/message/cart_1/write", said, on=edit)
    page = ines.get(f"{edit}/message/cart_1?in=fr").text
    assert "emploie nope, qui n’est pas un champ" in page
    assert "must be" not in page and "which is not" not in page


def test_a_campaign_is_read_and_applied_as_a_file(ines: FlaskClient, day: Day, installation: parts.Parts) -> None:
    page = f"/console/campaigns/{CAMPAIGN}/file"
    text = html.unescape(re.search(r"<textarea[^>]*>(.*?)</textarea>", ines.get(page).text, re.DOTALL).group(1))  # type: ignore[union-attr]
    assert post(ines, page, {"file": text}).status_code == 303
    with installation.db.begin() as conn:
        assert plans.get(conn, CAMPAIGN).version == 2, "the same file again changes nothing"
    wrong = post(ines, page, {"file": text.replace('"60m"', '"0m"')})
    assert wrong.status_code == 422 and "/campaigns/0/entry/delay" in wrong.text
    assert "/edit" in post(ines, page, {"file": text.replace('"60m"', '"2h"')}).headers["Location"]
    with installation.db.begin() as conn:
        plan = plans.get(conn, CAMPAIGN)
        assert plan.definition.entry.delay == "60m", "it runs, and goes on as it was"
        assert drafts.of(conn, plan).definition["entry"]["delay"] == "2h"
        plans.pause(conn, CAMPAIGN, now=console_world.NOW)
    assert post(ines, page, {"file": text.replace('"60m"', '"3h"')}).status_code == 303
    with installation.db.begin() as conn:
        assert plans.get(conn, CAMPAIGN).definition.entry.delay == "3h"


def test_a_ready_made_campaign_becomes_a_draft(ines: FlaskClient, day: Day, installation: parts.Parts) -> None:
    assert "basket-relaunch" in ines.get("/console/campaigns/new").text
    assert post(ines, "/console/campaigns/start", {"from": "basket-relaunch"}).status_code == 303
    with installation.db.begin() as conn:
        plan = plans.get(conn, "basket-relaunch")
    assert plan.state == "draft" and len(plan.definition.steps) == 5
    assert ines.get("/console/campaigns/basket-relaunch?step=reviews").status_code == 200


def test_a_mail_that_cannot_be_written_says_so_in_its_place(
    ines: FlaskClient, day: Day, installation: parts.Parts
) -> None:
    unsaid = {"subject": "{{ customer.last_name }}", "heading": "H", "intro": "I"}
    _change(installation, steps=[{"type": "send", "id": "m", "words": {"en": unsaid}}])
    assert "cannot be written" in ines.get(f"/console/campaigns/{CAMPAIGN}/preview?in=en").text


def test_a_fault_that_concerns_no_field_is_said_above_them(web: Flask) -> None:
    with web.test_request_context("/console/"):
        form = forms.with_faults({"/products": "3"}, [Fault("/kind", "is odd"), Fault("/products", "is odd")])
    assert set(form.faults) == {"", "/products"}


@pytest.mark.parametrize("locale", ["en", "fr"])
def test_what_stands_around_a_campaign_is_said_in_both_languages(ines: FlaskClient, day: Day, locale: str) -> None:
    post(ines, "/console/preferences", {"locale": locale})
    for path in ("dry-run", "move", "file", "compare", "tests", "edit", f"dry-run/of?customer={day.camille}"):
        assert ines.get(f"/console/campaigns/{CAMPAIGN}/{path}").status_code == 200, path


def test_people_under_way_are_moved_after_seeing_what_it_does(
    ines: FlaskClient, day: Day, installation: parts.Parts
) -> None:
    _change(installation, title="Another")
    page = ines.get(f"/console/campaigns/{CAMPAIGN}/move")
    assert "the end" in page.text
    assert post(ines, f"/console/campaigns/{CAMPAIGN}/move").status_code == 303
    assert "Nobody follows an older version" in ines.get(f"/console/campaigns/{CAMPAIGN}/move").text


@pytest.mark.parametrize("ready", [ready.name for ready in files.ready_made()])
def test_every_ready_made_campaign_has_its_page(ines: FlaskClient, day: Day, ready: str) -> None:
    post(ines, "/console/campaigns/start", {"from": ready})
    page = ines.get(f"/console/campaigns/{ready}")
    assert page.status_code == 200 and 'class="journey"' in page.text
    mail = ines.get(f"/console/campaigns/{ready}/preview?customer={day.camille}")
    assert "cannot be written" not in mail.text, mail.text[:400]
    assert ines.get(f"/console/campaigns/{ready}/dry-run").status_code == 200


def test_messages_nobody_told_of_are_one_link_to_their_list(
    ines: FlaskClient, day: Day, installation: parts.Parts
) -> None:
    now = datetime.now(UTC)
    with installation.db.begin() as conn:
        silent = "UPDATE messages SET accepted_at = :at, first_clicked_at = NULL, provider = NULL WHERE id = :id"
        conn.execute(sa.text(silent), {"at": now - 4 * DAY, "id": day.message_id})
    figures.refresh(installation.db, now=now)
    page = ines.get(f"/console/campaigns/{CAMPAIGN}").text
    assert page.count("state=unfollowed") == 1 and "1 by a provider unknown</a>." in page
