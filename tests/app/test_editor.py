"""The message editor over HTTP: what is kept, faults in their place, the source, every channel's preview, roles."""

import json
from html import unescape
from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from app import parts
from campaigns import drafts, files, plans
from campaigns.definitions import edits
from tests.app import console_world
from tests.app.console_world import Day, post

NAME, STEP = "basket-relaunch", "reminder"
EDIT = f"/console/campaigns/{NAME}/edit"
PAGE = f"{EDIT}/message/{STEP}"
LANGUAGES = {"en": "English", "fr": "French"}


@pytest.fixture
def day(installation: parts.Parts) -> Day:
    found = console_world.live(installation)
    with installation.db.begin() as conn:
        files.start_from(conn, NAME, now=console_world.NOW)
    return found


def _step(installation: parts.Parts) -> dict[str, Any]:
    with installation.db.begin() as conn:
        found = edits.find(drafts.of(conn, plans.get(conn, NAME)).definition, STEP).step
    return found


def _act(client: FlaskClient, path: str, revision: int, **values: str) -> TestResponse:
    return post(client, f"{PAGE}/{path}", {"revision": str(revision), "in": "en", **values}, on=PAGE)


def _kinds(installation: parts.Parts) -> list[str]:
    return [block["type"] for block in _step(installation)["words"]["en"]["blocks"]]


def test_without_scripts_blocks_are_added_moved_copied_and_taken_out(
    ines: FlaskClient, day: Day, installation: parts.Parts
) -> None:
    assert _act(ines, "add", 0, kind="image", at="1").status_code == 303
    assert _kinds(installation)[:2] == ["header", "image"]
    _act(ines, "move", 1, number="1", at="3")
    assert _kinds(installation)[2] == "image"
    _act(ines, "copy", 2, number="2")
    _act(ines, "remove", 3, number="0")
    assert _kinds(installation)[:3] == ["text", "image", "image"]
    _act(ines, "undo", 4)
    assert _kinds(installation)[0] == "header"
    _act(ines, "redo", 5)
    assert _kinds(installation)[0] == "text"


def test_what_is_typed_is_kept_and_its_fault_stands_at_its_block(
    ines: FlaskClient, day: Day, installation: parts.Parts
) -> None:
    _act(ines, "add", 0, kind="image", at="1")
    page = ines.get(f"{PAGE}?in=en&block=1").text
    assert "must be a web address" in page and "has-fault" in page
    _act(ines, "write", 1, part="block", number="1", kind="image", url="https://x.example/a.png", alt="A pot")
    assert _step(installation)["words"]["fr"]["blocks"][1]["url"] == "https://x.example/a.png"
    assert "has-fault" not in ines.get(f"{PAGE}?in=en&block=1").text
    words = {"part": "words", "en.subject": " Hi\r\n", "en.preheader": "Soon", "fr.subject": ""}
    _act(ines, "write", 2, **words)
    kept = _step(installation)["words"]
    assert (kept["en"]["subject"], kept["en"]["preheader"]) == ("Hi", "Soon") and "subject" not in kept["fr"]
    assert "Soon" in ines.get(f"{PAGE}/preview?in=en").text, "the preview text is in the mail"


def test_the_message_s_own_fields_stand_beside_its_blocks(
    ines: FlaskClient, day: Day, installation: parts.Parts
) -> None:
    _act(ines, "write", 0, part="message", products="2", placement="cart", offer="", **{"expires.n": "5"})
    step = _step(installation)
    assert (step["products"], step["placement"], step["expires"]) == (2, "cart", "5h")
    late = _act(ines, "write", 0, part="words", **{"en.subject": "<b>Mine</b>"})
    assert late.status_code == 409 and "&lt;b&gt;Mine&lt;/b&gt;" in late.text


@pytest.mark.parametrize("tongue", ["en", "fr"])
def test_the_languages_stand_side_by_side_each_with_its_own_words(
    ines: FlaskClient, day: Day, installation: parts.Parts, tongue: str
) -> None:
    written = _step(installation)["words"].items()
    subjects = {one: words["subject"].rpartition("%}")[2].strip() for one, words in written}
    assert len(set(subjects.values())) == 2
    alone = unescape(ines.get(f"{PAGE}?in={tongue}").text)
    assert alone.count('<section class="letter"') == 1
    other = next(one for one in subjects if one != tongue)
    assert f"The mail in {LANGUAGES[tongue]}" in alone and f"The mail in {LANGUAGES[other]}" not in alone
    beside = unescape(ines.get(f"{PAGE}?in={tongue}&beside=1").text)
    assert beside.count('<section class="letter"') == 2
    assert all(subject in beside for subject in subjects.values())
    assert all(f"The mail in {language}" in beside for language in LANGUAGES.values())


def test_the_source_says_each_fault_at_its_line(ines: FlaskClient, day: Day, installation: parts.Parts) -> None:
    step = _step(installation)
    step["words"]["en"]["blocks"] = [{"type": "header"}, {"type": "image", "url": "x", "alt": "<i>A</i>"}]
    text = json.dumps(step, indent=2)
    line = text.split("\n").index('          "url": "x",') + 1
    refused = post(ines, f"{PAGE}/source", {"revision": "0", "source": text}, on=PAGE)
    assert refused.status_code == 422 and f'data-line="{line}"' in refused.text and "&lt;i&gt;A" in refused.text
    assert post(ines, f"{PAGE}/source", {"revision": "0", "source": "{"}, on=PAGE).status_code == 422
    stolen = {**step, "id": "code"}
    assert post(ines, f"{PAGE}/source", {"revision": "0", "source": json.dumps(stolen)}, on=PAGE).status_code == 422
    step["words"]["en"]["blocks"][1]["url"] = "https://x.example/a.png"
    assert post(ines, f"{PAGE}/source", {"revision": "0", "source": json.dumps(step)}, on=PAGE).status_code == 303
    assert _kinds(installation) == ["header", "image"]
    stale = post(ines, f"{PAGE}/source", {"revision": "0", "source": text}, on=PAGE)
    assert stale.status_code == 422, "a fault is told before a conflict"
    assert post(ines, f"{PAGE}/source", {"revision": "0", "source": json.dumps(step)}, on=PAGE).status_code == 409


def test_faults_elsewhere_do_not_hide_the_preview(ines: FlaskClient, day: Day) -> None:
    wrong = {"revision": "0", "step": "a-day", "duration.n": "soon", "duration.unit": "h"}
    post(ines, f"{EDIT}/write", wrong, on=EDIT)
    seen = ines.get(f"{PAGE}/preview?in=en&look=dark&customer={day.camille}")
    assert "Camille" in seen.text and "prefers-color-scheme" not in seen.text
    assert "sandbox" in seen.headers["Content-Security-Policy"]
    assert "<pre" in ines.get(f"{PAGE}/preview?in=fr&part=text").text
    checks = ines.get(f"{PAGE}/checks?in=en").text
    assert "Ready to go out" in checks and "One click unsubscribes" in checks


@pytest.mark.parametrize(
    ("channel", "seen"), [("sms", "1 part"), ("push", "pushed-desk"), ("onsite", "look-onsite"), ("best", "look-frame")]
)
def test_every_channel_has_its_form_and_its_preview(
    ines: FlaskClient, day: Day, channel: str, seen: str, installation: parts.Parts
) -> None:
    post(ines, f"{EDIT}/write", {"revision": "0", "step": STEP, "channel": channel}, on=EDIT)
    words = {
        f"{tongue}.{name}": f"Hello <{name}>" for tongue in ("en", "fr") for name in ("heading", "intro", "button")
    }
    _act(ines, "write", 1, part="words", **words)
    page = ines.get(f"{PAGE}?in=en").text
    note = ines.get(f"{PAGE}/note?in=en&as=push").text
    assert seen in page + note
    assert "Hello &lt;intro&gt;" in (page if channel == "onsite" else note)
    assert ines.get(f"{PAGE}/checks?in=en").status_code == 200
    if channel == "sms":
        assert 'id="weight-en"' in page and "GSM-7" in page
    if channel == "onsite":
        drawn = ines.get(f"{PAGE}/onsite?in=en")
        assert "script-src 'self'" in drawn.headers["Content-Security-Policy"]
        assert "Hello &lt;button&gt;" in drawn.text, "the merchant's own label"


def test_a_step_that_says_nothing_has_no_editor(ines: FlaskClient, day: Day) -> None:
    assert ines.get(f"{EDIT}/message/a-day").status_code == 404
    assert ines.get(f"{EDIT}/message/gone").status_code == 404


def test_an_analyst_looks_and_changes_nothing(enter: Any, day: Day, installation: parts.Parts) -> None:
    ana = enter("analyst")
    assert 'data-may=""' in ana.get(PAGE).text
    assert post(ana, f"{PAGE}/add", {"revision": "0", "kind": "text"}, on=PAGE).status_code == 403
    assert "blocks" not in _step(installation)["words"]["en"]
