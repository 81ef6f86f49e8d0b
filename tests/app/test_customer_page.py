"""One customer: where she is, what a campaign would say to her, her orders alone; nothing of hers is carried out."""

from datetime import timedelta
from html import unescape

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient

from app import parts
from app.console import maps
from campaigns import enrolments, experiments, timeline
from shop import stores
from tests.app import console_world
from tests.app.console_world import CAMPAIGN, NOW, post
from tests.campaigns import journey, world

LYON, PARIS = (45.764, 4.836), (48.857, 2.352)


def test_where_she_lives_and_buys_is_drawn_without_any_other_host(ines: FlaskClient, installation: parts.Parts) -> None:
    day = console_world.live(installation)
    with installation.db.begin() as conn:
        places = [("lyon", "Lyon <i>", LYON), ("paris", "Paris", PARIS)]
        rows = [{"store_id": id_, "name": name, "latitude": at[0], "longitude": at[1]} for id_, name, at in places]
        stores.put(conn, rows, now=NOW)
        hers = """UPDATE customers SET traits = traits || '{"latitude": 45.7, "longitude": 4.8}' WHERE id = :id"""
        conn.execute(sa.text(hers), {"id": day.camille})
        conn.execute(sa.text("UPDATE orders SET store_id = 'paris' WHERE customer_id = :id"), {"id": day.camille})
    raw = ines.get(f"/console/customers/{day.camille}").text
    page = unescape(raw)
    assert "Nearest shop: Lyon <i>, 7.6 km away" in page and "Lyon <i>" not in raw
    assert 'class="map-hers"' in page and "1 of her last orders" in page


def test_a_place_nobody_knows_is_no_map() -> None:
    assert maps.draw(None, [maps.Spot("Lyon", *LYON)]) is None
    assert maps.home({"latitude": "45", "longitude": 4}) is None
    assert maps.home({"address": {"latitude": 45, "longitude": 4}}) == (45.0, 4.0)
    assert maps.home({"latitude": 450, "longitude": 4}) is None


def test_distances_are_those_of_the_great_circle() -> None:
    assert 391 < maps.distance(LYON, PARIS) < 393


def test_what_a_campaign_would_say_to_her_is_asked_of_a_job(ines: FlaskClient, installation: parts.Parts) -> None:
    day = console_world.live(installation)
    page = f"/console/customers/{day.paul}"
    assert "What would Paul Delmas get?" in unescape(ines.get(page).text)
    asked = post(ines, f"{page}/rehearse", {"campaign": CAMPAIGN}, on=page)
    assert asked.status_code == 303 and f"/campaigns/{CAMPAIGN}/dry-run?run=" in asked.headers["Location"]
    with installation.db.begin() as conn:
        runs = conn.execute(sa.text("SELECT customer_id, state FROM campaign_dry_runs")).all()
    assert [tuple(row) for row in runs] == [(day.paul, "asked")]
    assert post(ines, f"{page}/rehearse", {"campaign": "nothing"}, on=page).status_code == 404


def test_campaigns_that_said_nothing_to_her_say_why(ines: FlaskClient, installation: parts.Parts) -> None:
    db, hour = installation.db, timedelta(hours=1)
    with db.begin() as conn:
        ada = world.make_customer(conn, "ada", at=NOW - 3 * hour)
    held = next(
        name
        for name in (f"held-{number}" for number in range(99))
        if experiments.assign(name, ada, holdout_percent=50, everywhere_percent=0) == experiments.HOLDOUT
    )
    signed = {"type": "event", "event": "Signed Up"}
    journey.launch(db, signed, [journey.send("hi")], now=NOW - 3 * hour, name=held, holdout_percent=50)
    journey.launch(db, signed | {"event": "Looked"}, [journey.send("hi")], now=NOW - 3 * hour, name="unknown")
    visitor = {"anonymousId": "browser"}
    told = [{"event": "Looked", **visitor}, {"type": "identify", "userId": "ada", "traits": {"a": 1}, **visitor}]
    for payload in (*told, {"event": "Signed Up", "userId": "ada"}):
        with db.begin() as conn:
            world.tell(conn, payload, at=NOW - hour)
        enrolments.admit_due(db, now=NOW)
    for tab in ("", "?tab=messages"):
        page = unescape(ines.get(f"/console/customers/{ada}{tab}").text)
        assert f"Entered “{held}”: left alone, drawn by chance, to compare with" in page
        assert "Did not enter “unknown”: no address to write to" in page
    assert "Did not enter" not in unescape(ines.get(f"/console/customers/{ada}?tab=orders").text)
    with db.begin() as conn:
        whole = timeline.page(conn, ada, kinds=("enrolment",))
    assert {(one.facts["campaign"], one.facts["reason"]) for one in whole} == {(held, None), ("unknown", "no_address")}


def test_orders_and_returns_can_be_read_alone(ines: FlaskClient, installation: parts.Parts) -> None:
    day = console_world.live(installation)
    page = unescape(ines.get(f"/console/customers/{day.camille}?tab=orders").text)
    assert "Order W-1" in page and "Clicked" not in page.split('class="timeline"')[1].split("</ol>")[0]
    messages = unescape(ines.get(f"/console/customers/{day.camille}?tab=messages").text)
    assert "Why this person" in messages and "planned on" in messages


@pytest.mark.parametrize(("state", "why"), [("delivered", 1), ("pending", 1), ("failed", 1), ("skipped", 0)])
def test_a_message_without_a_subject_has_its_why_too(
    ines: FlaskClient, installation: parts.Parts, state: str, why: int
) -> None:
    day = console_world.live(installation)
    with installation.db.begin() as conn:
        conn.execute(sa.text("UPDATE message_contents SET subject = ''"))
        conn.execute(sa.text("UPDATE messages SET channel = 'sms', state = :state"), {"state": state})
    shown = unescape(ines.get(f"/console/customers/{day.camille}?tab=messages").text)
    assert "SMS" in shown and shown.count("Why this person") == why


def test_who_takes_her_data_out_leaves_a_line_in_the_log(ines: FlaskClient, installation: parts.Parts) -> None:
    day = console_world.live(installation)
    assert ines.get(f"/console/customers/{day.camille}/export").status_code == 200
    post(ines, "/console/segments/draft", {"title": "Counted", "/type": "all"})
    assert ines.get("/console/customers/0/export").status_code == 404
    with installation.db.begin() as conn:
        lines = conn.execute(sa.text("SELECT act, subject FROM change_log")).all()
    assert [tuple(line) for line in lines] == [("customers.export", str(day.camille))]
    post(ines, "/console/preferences", {"locale": "fr"})
    assert "a exporté tout ce qui est conservé sur un client" in unescape(ines.get("/console/settings/log").text)


def test_a_message_nobody_told_of_is_shown_as_in_the_list_of_messages(
    ines: FlaskClient, installation: parts.Parts
) -> None:
    day = console_world.live(installation)
    with installation.db.begin() as conn:
        silent = "UPDATE messages SET accepted_at = :at, first_clicked_at = NULL, opened_at = NULL WHERE id = :id"
        conn.execute(sa.text(silent), {"at": NOW - timedelta(days=4), "id": day.message_id})
    for path in ("/console/messages", f"/console/customers/{day.camille}"):
        assert "Accepted, not followed</span>" in ines.get(path).text, path
