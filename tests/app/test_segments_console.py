"""Segments in the console: written by form, counted as one writes, explained for one person, listed from a file."""

import re
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from html import unescape
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient

from app import parts
from app.console import segment_fields, segment_forms
from campaigns import crowds, list_imports, membership, segments
from campaigns.definitions import conditions
from tests.app import console_world
from tests.app.console_world import Day, post
from tests.campaigns import world

LYON = {"type": "trait", "name": "city", "op": "is", "value": "Lyon"}
BASKET = {
    "type": "all",
    "of": [
        {"type": "cart", "value_at_least": 5000},
        {
            "type": "not",
            "rule": {"type": "any", "of": [{"type": "orders", "value": 2}, {"type": "consent", "channel": "sms"}]},
        },
    ],
}


@pytest.fixture
def day(installation: parts.Parts, enter: Callable[..., FlaskClient]) -> Day:
    enter("admin")
    return console_world.live(installation)


def fields(rule: dict[str, Any], place: str = "r") -> dict[str, str]:
    """The form that shows a rule, as a browser would send it."""
    inner, turned = segment_forms.opened(rule)
    form = {f"{place}.type": inner["type"], f"{place}.not": "1" if turned else ""}
    for n, one in enumerate(inner.get("of", ())):
        form |= fields(one, f"{place}.of.{n}")
    if inner["type"] in segment_fields.BY_TYPE:
        kind = segment_fields.BY_TYPE[inner["type"]]
        form |= {f"{place}.{one.name}": segment_forms.shown(inner, one) for one in kind.fields}
    for n, test in enumerate(inner.get("where", ())):
        form |= {f"{place}.where.{n}.{name}": str(value) for name, value in test.items()}
    return form


@pytest.mark.parametrize("kind", segment_fields.KINDS, ids=lambda kind: kind.type)
def test_every_kind_of_rule_goes_through_the_form_unchanged(kind: segment_fields.Kind) -> None:
    start = {"type": kind.type, **kind.start}
    if kind.type in ("trait", "segment"):
        start |= {"name": "city", "value": "Lyon"} if kind.type == "trait" else {"name": "buyers"}
    rule = conditions.parse({"type": "all", "of": [start]})
    assert conditions.parse(segment_forms.read(fields(conditions.dump(rule)))) == rule


def test_groups_exceptions_and_property_tests_go_through_the_form() -> None:
    viewed = {
        "type": "event",
        "name": "Product Viewed",
        "measure": "sum",
        "property": "price",
        "op": "between",
        "value": 10,
        "to": 20,
        "within": "30d",
        "where": [{"property": "price", "test": "at_least", "value": 5}, {"property": "brand", "test": "exists"}],
    }
    rule = conditions.parse({"type": "any", "of": [BASKET, viewed]})
    assert conditions.parse(segment_forms.read(fields(conditions.dump(rule)))) == rule


@pytest.mark.parametrize("locale", ["en", "fr"])
def test_the_builder_counts_shows_people_and_keeps_what_is_saved(
    installation: parts.Parts, client: FlaskClient, day: Day, locale: str
) -> None:
    client.set_cookie("locale", locale)
    rule = {"type": "all", "of": [{"type": "cart", "value_at_least": 100}]}
    drawn = post(client, "/console/segments/draft", {"title": "Baskets", **fields(rule)}, on="/console/segments/-/new")
    assert drawn.status_code == 200 and "Paul Delmas" in drawn.text
    saved = post(client, "/console/segments", {"title": "Paniers d’été", **fields(rule)}, on="/console/segments/-/new")
    assert saved.headers["Location"] == "/console/segments/paniers-d-ete"
    membership.refresh(installation.db, now=datetime.now(UTC))
    assert "paniers-d-ete" in client.get("/console/segments").text
    assert client.get("/console/segments/paniers-d-ete").status_code == 200


def test_buttons_add_and_remove_rules_and_groups(client: FlaskClient, day: Day) -> None:
    on = "/console/segments/-/new"
    form = {"title": "T", **fields({"type": "all", "of": [LYON]})}
    added = post(client, "/console/segments/draft", {**form, "do": "add:r", "kindr": "orders"}, on=on).text
    assert 'name="r.of.1.type" value="orders"' in added
    grouped = post(client, "/console/segments/draft", {**form, "do": "group:r"}, on=on).text
    assert 'name="r.of.1.type"' in grouped
    removed = post(client, "/console/segments/draft", {**form, "do": "remove:r.of.0"}, on=on).text
    assert "r.of.0.type" not in removed


def test_a_fault_stands_beside_its_rule_and_nothing_is_kept(
    installation: parts.Parts, client: FlaskClient, day: Day
) -> None:
    wrong = {"type": "all", "of": [{"type": "event", "name": "Product Viewed", "value": "many"}]}
    refused = post(client, "/console/segments", {"title": "Wrong", **fields(wrong)}, on="/console/segments/-/new")
    assert refused.status_code == 422 and 'class="fault"' in refused.text
    with installation.db.begin() as conn:
        assert segments.find(conn, "wrong") is None


def test_why_is_he_out_names_the_rule_and_what_was_found(
    installation: parts.Parts, client: FlaskClient, day: Day
) -> None:
    rule = {"type": "all", "of": [{"type": "orders", "value": 1}, {"type": "consent", "channel": "email"}]}
    with installation.db.begin() as conn:
        segments.apply(conn, segments.parse({"name": "buyers", "title": "Buyers", "rule": rule}), now=datetime.now(UTC))
    membership.refresh(installation.db, now=datetime.now(UTC))
    out = client.get(f"/console/segments/buyers?customer={day.paul}").text
    assert "Paul Delmas is not in" in out and "2 rules are not met." in out
    inside = client.get(f"/console/segments/buyers?customer={day.camille}").text
    assert "Camille Laurent is in" in inside and "found: 1" in inside
    assert "Buyers" in client.get(f"/console/customers/{day.camille}").text


def _read(client: FlaskClient) -> str:
    """What is said of the files handed in, once they are read."""
    for _ in range(400):
        answer = client.get("/console/segments/-/lists")
        if "hx-get" not in answer.text:
            assert "HX-Refresh" not in answer.headers, "what is typed on the page is its reader's"
            return unescape(answer.text)
        time.sleep(0.05)
    raise AssertionError("a file is still being read")


def test_a_list_from_a_file_is_a_segment(installation: parts.Parts, client: FlaskClient, day: Day) -> None:
    sent = {"title": "Invités", "file": (BytesIO(b"user_id,email\ncamille,\n,nobody@nowhere.example\n"), "guests.csv")}
    kept = post(client, "/console/segments/-/lists", sent, on="/console/segments")
    assert kept.status_code == 303 and kept.headers["Location"] == "/console/segments"
    told = _read(client)
    assert "1 customer is on the list." in told and "1 line named nobody." in told and "hx-trigger" not in told
    with installation.db.begin() as conn:
        found = segments.get(conn, "invites")
        assert (found.size, found.rule) == (1, None)
        assert [one["name"] for one in segments.of_customer(conn, day.camille)] == ["invites"]
    assert client.get("/console/segments/invites").status_code == 200


def test_a_file_that_names_nobody_after_its_header_is_told_where_it_was_handed_in(
    client: FlaskClient, day: Day, installation: parts.Parts
) -> None:
    sent = {"title": "Nobody", "file": (BytesIO(b"user_id\n"), "empty.csv")}
    assert post(client, "/console/segments/-/lists", sent, on="/console/segments").status_code == 303
    assert "empty.csv" in (told := _read(client)) and "names no customer" in told
    assert "empty.csv" in client.get("/console/segments").text
    with installation.db.begin() as conn:
        assert segments.find(conn, "nobody") is None


def test_of_two_files_of_a_list_the_one_handed_in_last_stays(
    client: FlaskClient, day: Day, installation: parts.Parts, tmp_path: Path
) -> None:
    """Each has a thread of its own; the first may be the larger, and be read for longer."""
    now, db, begun = datetime.now(UTC), installation.db, dict[str, int]()
    for name, said in (("old", "user_id\nnobody\n"), ("new", "user_id\ncamille\n"), ("wrong", "user_id\n")):
        (tmp_path / f"{name}.csv").write_text(said)
        with db.begin() as conn:
            path, file = tmp_path / f"{name}.csv", f"{name}.csv"
            begun[name] = list_imports.begin(conn, "guests", title=name, path=path, file=file, by="ines", now=now)
    for name in ("wrong", "new", "old"):
        list_imports.run(db, begun[name], "guests", title=name, path=tmp_path / f"{name}.csv", now=now)
    with db.begin() as conn:
        kept = segments.get(conn, "guests")
        assert (kept.title, kept.size) == ("new", 1), "a later file that was none replaces nothing"
        found = {one.file: (one.state, one.detail) for one in list_imports.latest(conn, now=now)}
        assert found["new.csv"] == ("done", None)
        assert found["old.csv"] == ("failed", "was replaced by a later file")
    assert "was replaced by a later file" in client.get("/console/segments").text


def test_a_file_whose_reader_was_killed_is_said_to_be_cut_short(
    client: FlaskClient, day: Day, installation: parts.Parts, tmp_path: Path
) -> None:
    (file := tmp_path / "guests.csv").write_text("user_id\ncamille\n")
    with installation.db.begin() as conn:
        now = datetime.now(UTC)
        list_imports.begin(conn, "guests", title="Guests", path=file, file="guests.csv", by="ines", now=now)
    page = client.get("/console/segments").text
    assert "guests.csv is being read" in page and 'hx-get="/console/segments/-/lists"' in page
    with installation.db.begin() as conn:
        conn.execute(sa.update(list_imports.imports).values(started_at=now - 2 * list_imports.STALE))
    assert "was cut short" in client.get("/console/segments").text


def test_whoever_may_look_at_segments_sees_how_far_a_file_is(
    installation: parts.Parts, tmp_path: Path, enter: Callable[..., FlaskClient]
) -> None:
    console_world.live(installation)
    (file := tmp_path / "guests.csv").write_text("user_id\ncamille\n")
    with installation.db.begin() as conn:
        now = datetime.now(UTC)
        list_imports.begin(conn, "guests", title="Guests", path=file, file="guests.csv", by="ines", now=now)
    analyst = enter("analyst")
    polled = re.search(r'hx-get="(/console/segments/[^"]+)"', analyst.get("/console/segments").text)
    assert polled and "is being read" in analyst.get(polled[1]).text


@pytest.mark.parametrize("title", ["Lists", "New", "Values"])
def test_a_segment_of_any_title_can_be_opened(client: FlaskClient, day: Day, title: str) -> None:
    rule = {"type": "all", "of": [LYON]}
    saved = post(client, "/console/segments", {"title": title, **fields(rule)}, on="/console/segments/-/new")
    page = client.get(saved.headers["Location"])
    assert page.status_code == 200 and f'name="title" value="{title}"' in page.text


@pytest.mark.parametrize(
    ("title", "file", "status", "field", "said"),
    [
        ("Guests", b"colour\nred\n", 422, "file", "names no customer; it needs a column user_id"),
        ("Guests", b"", 422, "file", "has no header row"),
        ("!!!", b"user_id\ncamille\n", 422, "title", "This value"),
        ("Rule <b>", b"user_id\ncamille\n", 409, "title", "it is a rule"),
    ],
)
def test_a_wrong_file_is_told_where_it_was_named_and_its_title_stays(
    installation: parts.Parts,
    client: FlaskClient,
    day: Day,
    title: str,
    file: bytes,
    status: int,
    field: str,
    said: str,
) -> None:
    rule = {"type": "orders", "value": 1}
    with installation.db.begin() as conn:
        segments.apply(conn, segments.parse({"name": "rule-b", "title": "R", "rule": rule}), now=datetime.now(UTC))
    sent = {"title": title, "file": (BytesIO(file), "guests.csv")}
    answer = post(client, "/console/segments/-/lists", sent, on="/console/segments")
    shown = unescape(answer.text)
    assert answer.status_code == status and "<dialog" in shown and 'aria-labelledby="upload-title" open' in shown
    fault = shown.split(f'id="{field}-fault"')[1].split("</p>")[0]
    assert said in fault and f'value="{title}"' in shown and "<b>" not in answer.text.split('id="title"')[1][:200]


def test_a_list_and_a_check_from_the_command_line(web: Flask, tmp_path: Path, day: Day) -> None:
    file = tmp_path / "guests.csv"
    file.write_text("user_id\ncamille\nnobody\n")
    runner = web.test_cli_runner()
    assert runner.invoke(args=["segment", "list", "guests", str(file)]).output == (
        "1 customers on the list, 1 lines named nobody.\n"
    )
    assert runner.invoke(args=["segment", "check"]).output == "0 checked, no drift\n"
    refused = runner.invoke(args=["segment", "list", "Not a name", str(file)])
    assert refused.exit_code == 1 and "/name" in refused.output


def test_the_builder_works_without_scripts(installation: parts.Parts, client: FlaskClient, day: Day) -> None:
    form = {"title": "Plain", **fields({"type": "all", "of": [LYON]}), "do": "add:r", "kindr": "cart"}
    drawn = post(client, "/console/segments", form, on="/console/segments/-/new")
    assert drawn.status_code == 200 and 'name="r.of.1.type" value="cart"' in drawn.text
    with installation.db.begin() as conn:
        assert segments.find(conn, "plain") is None


def test_a_crowd_is_asked_about_on_the_page_of_its_segment(
    ines: FlaskClient, installation: parts.Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(crowds, "LEAST", 2)
    db, now = installation.db, datetime.now(UTC)
    rule = {"type": "trait", "name": "tier", "value": "gold"}
    with db.begin() as conn:
        for n in range(4):
            world.make_customer(conn, f"u{n}", at=now)
        segments.apply(conn, segments.parse({"name": "gold", "title": "Gold", "rule": rule}), now=now)
    membership.refresh(db, now=now)
    with db.begin() as conn:
        membership.announce(conn, ["gold"])
        for n in range(4):
            world.say(conn, f"u{n}", "", at=now, traits={"tier": "gold"})
    membership.refresh(db, now=now + timedelta(seconds=3))
    page = "/console/segments/gold"
    found = re.search(r'name="crowd" value="([0-9]+)"', ines.get(page).text)
    assert found and "4 customers came in at once" in ines.get(page).text
    told = ines.application.test_cli_runner().invoke(args=["segment", "crowds", "gold"])
    assert told.output.startswith("4 came in") and f"--tell {found[1]}" in told.output, told.output
    assert post(ines, f"{page}/crowds", {"crowd": found[1], "wanted": "yes"}).status_code == 303
    assert post(ines, f"{page}/crowds", {"crowd": found[1], "wanted": "no"}).status_code == 303
    shown = ines.get(page).text
    assert "Somebody decided on it already." in shown and "came in at once" not in shown
    with db.begin() as conn:
        assert crowds.waiting(conn) == []
