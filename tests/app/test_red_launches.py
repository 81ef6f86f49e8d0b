"""What `flask doctor` finds red keeps a campaign for many from being launched, and says what to do."""

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient, FlaskCliRunner

import app as front
import scheduler
from app import parts
from campaigns import dry_runs, files, findings, launching, message_checks, plans, tables
from campaigns.findings import Finding
from foundation.database import Database
from foundation.errors import Conflict
from tests.app.console_world import post
from tests.campaigns import world

NAME = "win-back"
PAGE = f"/console/campaigns/{NAME}/edit"
PRESS = message_checks.Press(world.Shelf(), world.LINKS, "s@aubier.example")
NOW = datetime.now(UTC)
SPF = Finding("SPF", False, "aubier.example has none: publish v=spf1 … -all as TXT")


@pytest.fixture
def found(db: Database) -> Callable[..., None]:
    """What was found, so long ago."""
    with db.begin() as conn:
        files.start_from(conn, NAME, now=NOW)

    def keep(*all_found: Finding, ago: timedelta = timedelta(0)) -> None:
        with db.begin() as conn:
            findings.keep(conn, all_found, now=NOW - ago)

    return keep


def tried(db: Database, a_day: int) -> None:
    """A dry run of so many messages on its busiest day."""
    with db.begin() as conn:
        plan = plans.get(conn, NAME)
        dry_runs.ask(conn, plan, plan.definition, days=7, customer_id=None, by="ines", now=NOW)
        sends = [["email", f"{NOW:%Y-%m-%dT%H}:00:00+00:00", a_day]]
        made: dict[str, Any] = {"entered": a_day, "sends": sends}
        conn.execute(sa.update(tables.campaign_dry_runs).values(state="done", outcome=made))


def launch(db: Database) -> str:
    with db.begin() as conn:
        return launching.launch(conn, plans.get(conn, NAME), press=PRESS, now=NOW)[0].state


def many(db: Database) -> None:
    """More customers than a shop may write to without being taken for a bulk sender."""
    with db.begin() as conn:
        added = "INSERT INTO customers (created_at, updated_at) SELECT now(), now() FROM generate_series(1, :n)"
        conn.execute(sa.text(added), {"n": findings.BULK + 1})


def test_a_shop_of_few_customers_is_only_warned(db: Database, found: Callable[..., None], ines: FlaskClient) -> None:
    found(SPF)
    assert "before the shop sends more than" in ines.get(PAGE).text
    assert launch(db) == "sending"


def test_a_red_domain_keeps_back_a_campaign_of_unknown_size(
    db: Database, found: Callable[..., None], ines: FlaskClient
) -> None:
    many(db)
    found(SPF, Finding("DKIM", True, "s1"))
    with pytest.raises(Conflict, match="SPF .*publish v=spf1"):
        launch(db)
    page = ines.get(PAGE).text
    assert "Receivers do not know who may send for it: to be mended above 5,000 messages" in page
    assert "a dry run says" in page and "Look again" in page and "publish v=spf1" in ines.get("/console/health").text


@pytest.mark.parametrize(("a_day", "launched"), [(5_000, True), (5_001, False)])
def test_small_campaigns_are_warned_and_large_ones_wait(
    db: Database, found: Callable[..., None], ines: FlaskClient, a_day: int, launched: bool
) -> None:
    found(SPF)
    tried(db, a_day)
    said = "before the shop sends more than" if launched else "to be mended before 5,001 messages leave in a day"
    assert said in ines.get(PAGE).text
    with nullcontext() if launched else pytest.raises(Conflict, match="not.* be launched yet: red SPF"):
        assert launch(db) == "sending"


def test_the_command_line_refuses_as_the_console_does(
    db: Database, found: Callable[..., None], installation: parts.Parts
) -> None:
    many(db)
    found(SPF)
    runner: FlaskCliRunner = front.create_app(installation).test_cli_runner()
    refused = runner.invoke(args=["campaign", "launch", NAME])
    assert refused.exit_code == 1 and "publish v=spf1" in refused.stderr


@pytest.mark.parametrize(
    ("said", "ago"),
    [
        (SPF, timedelta(hours=3)),
        (Finding("write keys", False, "none"), timedelta(0)),
        (Finding("DNS", False, "no name server answered"), timedelta(0)),
    ],
)
def test_what_is_old_unanswered_or_mere_advice_keeps_nothing_back(
    db: Database, found: Callable[..., None], said: Finding, ago: timedelta
) -> None:
    found(said, ago=ago)
    assert launch(db) == "sending"


def test_what_was_mended_is_forgotten_when_somebody_looks_again(
    db: Database, found: Callable[..., None], ines: FlaskClient, installation: parts.Parts
) -> None:
    found(SPF, Finding("ledger", False, "does not add up"))
    answer = post(ines, f"{PAGE}/examine", {}, on=PAGE)
    assert answer.status_code == 303
    with db.begin() as conn:
        subjects = {one.subject: one.good for one in findings.last(conn, now=datetime.now(UTC))}
    assert "SPF" not in subjects and subjects["ledger"], "nothing leaves this installation: the DNS has no say"
    assert launch(db) == "sending"


def test_the_timetable_looks_by_itself(db: Database, installation: parts.Parts) -> None:
    sending = replace(installation, config=replace(installation.config, email_url="smtp://127.0.0.1:25"))
    told = scheduler.examined(sending, now=NOW)
    assert told and told.startswith("red: ") and "sending domain" in told
    with db.begin() as conn:
        assert "sending domain" in {one.subject for one in findings.harmful(conn, now=NOW)}
