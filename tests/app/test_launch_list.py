"""What the list before launching says of the messages: faults hold the launch back, warnings do not."""

from dataclasses import replace
from typing import Any

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient

from campaigns import drafts, files, launching, message_checks, plans, policy
from campaigns.launching import Check
from foundation.database import Database
from foundation.errors import Conflict
from tests.app.console_world import post
from tests.campaigns import world
from tests.conftest import NOW

NAME = "win-back"
PAGE = f"/console/campaigns/{NAME}/edit"
PRESS = message_checks.Press(world.Shelf(), world.LINKS, "Maison Aubier <bonjour@aubier.example>")
LONG = [{"type": "text", "heading": "Hello", "body": "word " * 1_900}] * 14


def written(conn: sa.Connection, **words: Any) -> plans.Plan:
    """The ready-made campaign, its first message said in other words in both languages."""
    plan = files.start_from(conn, NAME, now=NOW)
    definition = drafts.of(conn, plan).definition
    for said in definition["steps"][0]["words"].values():
        said |= words
    drafts.change(conn, plan, definition, revision=0, what="changed", step="we-miss-you", by="Inès", now=NOW)
    return plan


def lines(conn: sa.Connection, plan: plans.Plan, state: str) -> list[tuple[str, str, tuple[str, ...]]]:
    found = launching.readiness(conn, plan, drafts.of(conn, plan), press=PRESS, now=NOW).checks
    return [_line(check) for check in found if check.word == launching.MESSAGE and check.state == state]


def _line(check: Check) -> tuple[str, str, tuple[str, ...]]:
    return check.step, check.values["check"].word, check.values["locales"]


@pytest.mark.parametrize("name", [ready.name for ready in files.ready_made()])
def test_no_ready_made_campaign_is_held_back_by_its_messages(conn: sa.Connection, name: str) -> None:
    world.stock_shop(conn, now=NOW)
    world.make_customer(conn, "ada", at=NOW, first_name="Ada")
    plan = files.start_from(conn, name, now=NOW)
    draft = drafts.of(conn, plan)
    out = launching.rendered(conn, plan, draft, press=PRESS, now=NOW)
    assert lines(conn, plan, "bad") == [] and [_line(check) for check in out if check.state == "bad"] == []


def test_a_link_that_is_not_https_holds_the_launch_back(conn: sa.Connection) -> None:
    plan = written(conn, blocks=[{"type": "button", "label": "Go", "link": "http://elsewhere.example/"}])
    assert lines(conn, plan, "bad") == [("we-miss-you", "link_http", ("en", "fr"))]
    with pytest.raises(Conflict, match="message we-miss-you link_http"):
        launching.launch(conn, plan, revision=1, press=PRESS, now=NOW)


def test_baskets_whose_button_would_lead_nowhere_are_told_before_the_launch(conn: sa.Connection) -> None:
    world.make_customer(conn, "ada", at=NOW)
    world.leave_cart(conn, "ada", at=NOW, products=["cocotte"])
    plan = files.start_from(conn, files.DEMO, now=NOW)
    assert _baskets(conn, plan) == [("basket_nowhere", {"n": 1})], "nothing of it is in the catalogue"
    world.stock_shop(conn, now=NOW)
    assert _baskets(conn, plan) == []
    page = {"cart_id": "cart-of-ada", "cart_url": "https://elsewhere.example/cart"}
    world.say(conn, "ada", "Cart Viewed", at=NOW, **page)
    assert _baskets(conn, plan) == [("basket_host", {"host": "elsewhere.example"})]
    policy.save(conn, replace(policy.load(conn), link_hosts=("elsewhere.example",)), now=NOW)
    assert _baskets(conn, plan) == []


def _baskets(conn: sa.Connection, plan: plans.Plan) -> list[tuple[str, dict[str, Any]]]:
    found = launching.readiness(conn, plan, drafts.of(conn, plan), press=PRESS, now=NOW).checks
    return [(check.word, dict(check.values)) for check in found if check.word.startswith("basket")]


def test_a_mail_that_readers_would_cut_off_holds_the_launch_back(conn: sa.Connection) -> None:
    plan = written(conn, blocks=LONG)
    assert lines(conn, plan, "bad") == []
    with pytest.raises(Conflict, match="message we-miss-you weight"):
        launching.launch(conn, plan, revision=1, press=PRESS, now=NOW)


def test_a_warning_is_told_and_holds_nothing_back(conn: sa.Connection) -> None:
    plan = written(conn, subject="Re: a subject")
    assert ("we-miss-you", "subject_pretends", ("en", "fr")) in lines(conn, plan, "warn")
    assert launching.launch(conn, plan, revision=1, press=PRESS, now=NOW)[0].state == "sending"


def test_each_fault_leads_to_its_message(db: Database, ines: FlaskClient) -> None:
    with db.begin() as conn:
        written(conn, subject="")
    page = ines.get(PAGE).text
    assert "It has no subject" in page and f"{PAGE}/message/we-miss-you?" in page
    assert "How the mails come out is being looked at" in page
    assert "The mails come out well" in ines.get(f"{PAGE}/mails").text


def test_a_launch_that_is_refused_leads_back_to_the_list(db: Database, ines: FlaskClient) -> None:
    with db.begin() as conn:
        written(conn, blocks=LONG)
    answer = post(ines, f"{PAGE}/launch", {"revision": "1"})
    assert answer.status_code == 303 and answer.location.endswith(PAGE)
    assert "It cannot be launched yet: the list says why." in ines.get(PAGE).text
    assert "readers cut off" in ines.get(f"{PAGE}/mails").text
