"""Campaigns as files on the command line: applied all or nothing, launched, paused, reported, cancelled."""

from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from pathlib import Path

import orjson
import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient, FlaskCliRunner
from jsonschema import Draft202012Validator

from app import parts
from campaigns import drafts, dry_runs, enrolments, files, launching, plans, policy
from foundation.database import Database
from tests.app import console_world
from tests.campaigns import journey, world


@pytest.fixture(name="command_line")
def _command_line(web: Flask) -> FlaskCliRunner:
    return web.test_cli_runner()


ALL = {"type": "trait", "name": "email", "op": "exists"}
READY = sorted(files.READY.glob("*.json"))


@pytest.mark.parametrize("path", READY, ids=lambda path: path.stem)
def test_a_ready_made_file_is_applied_once_and_launched(command_line: FlaskCliRunner, db: Database, path: Path) -> None:
    first = command_line.invoke(args=["campaign", "apply", str(path)])
    assert first.exit_code == 0 and f"campaign {path.stem} created" in first.output, first.output
    again = command_line.invoke(args=["campaign", "apply", str(path)])
    assert again.output == "Nothing changed.\n"
    launched = command_line.invoke(args=["campaign", "launch", path.stem])
    assert launched.exit_code == 0 and "runs, version 1" in launched.output, launched.output


def test_a_campaign_is_paused_reported_and_cancelled(command_line: FlaskCliRunner, db: Database) -> None:
    command_line.invoke(args=["campaign", "apply", str(files.READY / "basket-relaunch.json")])
    command_line.invoke(args=["campaign", "launch", "basket-relaunch"])
    assert command_line.invoke(args=["campaign", "pause", "basket-relaunch"]).exit_code == 0
    told = command_line.invoke(args=["campaign", "report", "basket-relaunch", "--json"])
    report = orjson.loads(told.stdout)
    assert (report["state"], report["enrolled"], report["waiting"]) == ("paused", 0, 0)
    assert "enrolled" in command_line.invoke(args=["campaign", "report", "basket-relaunch"]).output
    assert command_line.invoke(args=["campaign", "cancel", "basket-relaunch"]).exit_code == 0
    refused = command_line.invoke(args=["campaign", "launch", "basket-relaunch"])
    assert refused.exit_code == 1 and "cannot be launched again" in refused.stderr


def test_a_launch_by_command_is_held_to_the_list_before_launching(
    command_line: FlaskCliRunner, installation: parts.Parts
) -> None:
    db, now = installation.db, datetime.now(UTC)
    console_world.live(installation)
    console_world.make_user(installation, role="marketer", email="hugo@aubier.example")
    console_world.make_user(installation, role="analyst", email="ana@aubier.example")
    said = {"title": "x", "steps": [journey.send("hello")], "entry": {"type": "cart_abandoned", "delay": "1h"}}
    with db.begin() as conn:
        policy.save(conn, replace(policy.load(conn), approval_above=1, cap_messages=99), now=now)
        plan = plans.create(conn, "held", definition=said, now=now)

    def launched(*more: str) -> str:
        done = command_line.invoke(args=["campaign", "launch", "held", *more])
        return done.output if done.exit_code == 0 else f"refused: {done.stderr}"

    assert "size_unknown" in launched(), "nobody knows how many it reaches"
    tried = command_line.invoke(args=["campaign", "dry-run", "held", "--days", "7"])
    assert tried.exit_code == 0 and "most in a day" in tried.output, tried.output
    with db.begin() as conn:
        mine = dry_runs.runs.c.campaign_id == plan.id
        hour = now.replace(minute=0, second=0, microsecond=0).isoformat()
        many = conn.scalar(sa.select(dry_runs.runs.c.outcome).where(mine)) | {"sends": [["email", hour, 5_000]]}
        conn.execute(sa.update(dry_runs.runs).where(mine).values(outcome=many | {"cut": True}))
        policy.save(conn, replace(policy.load(conn), approval_above=6_000), now=now)
    assert "refused" in launched() and "approval" in launched(), "of more than were looked at nobody knows how many"
    with db.begin() as conn:
        conn.execute(sa.update(dry_runs.runs).where(mine).values(outcome=many))
        policy.save(conn, replace(policy.load(conn), approval_above=1), now=now)
    assert "refused" in launched() and "approval" in launched()
    assert "may launch campaigns" in launched("--approve", "ana@aubier.example")
    assert "may launch campaigns" in launched("--approve", "nobody@aubier.example")
    with db.begin() as conn:
        assert plans.get(conn, "held").state == "draft"
        launching.ask(conn, plan, drafts.of(conn, plan).definition, by="hugo@aubier.example", now=now)
    assert "cannot give it" in launched("--approve", "hugo@aubier.example"), "whoever asks does not answer"
    console_world.make_user(installation, role="admin", email="ines@aubier.example")
    assert launched("--approve", "ines@aubier.example") == "held runs, version 1.\n"


def test_a_dry_run_by_command_is_told_to_programs(command_line: FlaskCliRunner, installation: parts.Parts) -> None:
    console_world.live(installation)
    told = command_line.invoke(args=["campaign", "dry-run", files.DEMO, "--json"])
    assert orjson.loads(told.stdout)["entered"] == 2, told.output


def test_a_missed_moment_is_told_and_decided_on(command_line: FlaskCliRunner, db: Database) -> None:
    now = datetime.now(UTC)
    yesterday = (now - timedelta(days=1)).date()
    entry = {"type": "schedule", "every": "day", "on": f"{yesterday}", "at": "00:00", "zone": "UTC", "audience": ALL}
    journey.launch(db, entry, [journey.send("news")], now=now - timedelta(days=2), reentry={"rule": "each_key"})
    enrolments.admit_timed(db, now=datetime.combine(yesterday, time(12), tzinfo=UTC))
    told = command_line.invoke(args=["campaign", "missed", "journey"])
    assert told.exit_code == 0 and f"--run {yesterday}" in told.output, told.output
    assert "is no day" in command_line.invoke(args=["campaign", "missed", "journey", "--run", "monday"]).stderr
    assert command_line.invoke(args=["campaign", "missed", "journey", "--run", f"{yesterday}"]).exit_code == 0
    again = command_line.invoke(args=["campaign", "missed", "journey", "--leave", f"{yesterday}"])
    assert again.exit_code == 1 and "decided on it already" in again.stderr
    assert command_line.invoke(args=["campaign", "missed", "journey"]).output == ""


def test_a_file_with_faults_changes_nothing_and_says_every_place(
    command_line: FlaskCliRunner, db: Database, tmp_path: Path
) -> None:
    file = orjson.loads((files.READY / "basket-relaunch.json").read_bytes())
    file["campaigns"][0]["steps"][0]["words"]["fr"]["subject"] = "{{ customer.password }}"
    file["campaigns"][0]["steps"][4]["offer"] = "NONE"
    path = tmp_path / "wrong.json"
    path.write_bytes(orjson.dumps(file))
    done = command_line.invoke(args=["campaign", "apply", str(path)])
    assert done.exit_code == 1 and "/campaigns/0/steps/0/words/fr/subject" in done.stderr
    path.write_text("{nothing")
    assert "is no JSON" in command_line.invoke(args=["campaign", "apply", str(path)]).stderr
    with db.begin() as conn:
        assert plans.every(conn) == []


def test_names_nobody_gave_are_refused(command_line: FlaskCliRunner, db: Database) -> None:
    for act in ("launch", "pause", "cancel", "report"):
        done = command_line.invoke(args=["campaign", act, "nobody"])
        assert done.exit_code == 1 and "no campaign is named nobody" in done.stderr


def test_the_schema_served_is_sound_and_accepts_every_ready_made_file(client: FlaskClient) -> None:
    schema = client.get("/v1/schemas/campaign.json").get_json()
    Draft202012Validator.check_schema(schema)
    judge = Draft202012Validator(schema)
    for path in READY:
        assert list(judge.iter_errors(orjson.loads(path.read_bytes()))) == [], path.stem
    broken = orjson.loads(READY[0].read_bytes())
    broken["campaigns"][0]["surprise"] = 1
    assert list(judge.iter_errors(broken))


def test_who_came_too_late_to_enter_is_told_and_decided_on(command_line: FlaskCliRunner, db: Database) -> None:
    now = datetime.now(UTC)
    journey.launch(db, {"type": "event", "event": "Signed Up"}, [journey.send("hi")], now=now - timedelta(days=5))
    with db.begin() as conn:
        for user in ("ada", "bob"):
            world.make_customer(conn, user, at=now - timedelta(days=5))
        world.say(conn, "ada", "Signed Up", at=now - timedelta(days=3))
    enrolments.admit_due(db, now=now)

    def told(*words: str) -> str:
        return command_line.invoke(args=["campaign", "latecomers", "journey", *words]).output

    assert "1 people by event, the first at" in told() and "--let-in or --leave" in told()
    assert told("--let-in") == "1 people came in.\n" and told() == ""
    with db.begin() as conn:
        world.say(conn, "bob", "Signed Up", at=now - timedelta(days=2))
    enrolments.admit_due(db, now=now)
    assert told("--leave") == "1 people were left.\n" and told() == ""
    assert journey.people(db) == [("ada", "waiting", None, "once")]
