"""The `flask` command line: what it prints, what it leaves behind, and how it ends."""

import os
import subprocess
import sys
from pathlib import Path

import orjson
import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskCliRunner

from foundation.config import ROOT
from foundation.database import Database
from recommender import registry, runs
from recommender.tables import live_model, models
from tests.conftest import NOW

FLASK = [sys.executable, "-m", "flask"]


@pytest.fixture(name="command_line")
def _command_line(web: Flask) -> FlaskCliRunner:
    return web.test_cli_runner()


@pytest.fixture(name="purchases")
def _purchases(tmp_path: Path) -> Path:
    rows = [f"c{who},p{(who + day) % 7},2026-01-{day:02}T10:00:00Z,red" for who in range(20) for day in range(1, 29)]
    path = tmp_path / "purchases.csv"
    path.write_text("\n".join(["user_id,product_id,timestamp,colour", *rows]))
    return path


def test_a_key_is_printed_alone(command_line: FlaskCliRunner) -> None:
    made = command_line.invoke(args=["key", "create", "--kind", "write", "--name", "site"])
    assert made.exit_code == 0
    assert made.stdout.strip().startswith("wk_") and len(made.stdout.split()) == 1


def test_everything_held_on_a_customer_is_written_to_a_file(
    command_line: FlaskCliRunner, ada: int, tmp_path: Path
) -> None:
    out = tmp_path / "ada.json"
    done = command_line.invoke(args=["export", "customer", "ada", "--out", str(out)])
    assert done.exit_code == 0, done.output
    assert orjson.loads(out.read_bytes())["customers"][0]["user_id"] == "ada"


def test_a_customer_is_erased_when_one_says_yes(command_line: FlaskCliRunner, ada: int) -> None:
    assert command_line.invoke(args=["erase", "customer", "ada"], input="n\n").exit_code == 1
    assert command_line.invoke(args=["erase", "customer", "ada", "--yes"]).exit_code == 0
    assert command_line.invoke(args=["erase", "customer", "ada", "--yes"]).exit_code == 1


def test_a_run_tells_its_figures_and_ends_with_what_became_of_it(web: Flask, command_line: FlaskCliRunner) -> None:
    with web.app_context():
        done = command_line.invoke(args=["train", "--budget", "20"])
    assert done.exit_code == 0, done.output
    assert done.stdout.startswith("algorithm") and done.stdout.splitlines()[-1].startswith("refused in ")


def test_models_are_listed_and_put_back_as_often_as_one_says(command_line: FlaskCliRunner, db: Database) -> None:
    with db.begin() as conn:
        run_id = runs.begin(conn, now=NOW)
        for number in (1, 2):
            made = sa.insert(models).values(run_id=run_id, created_at=NOW, manifest={}, sha256=b"", size=number)
            conn.execute(made)
        conn.execute(sa.insert(live_model).values(model_id=2, since=NOW))
    for _ in range(2):
        back = command_line.invoke(args=["model", "rollback", "1"])
        assert (back.exit_code, back.stdout) == (0, "Model 1 is live; every process follows within half a minute.\n")
    listed = command_line.invoke(args=["model", "list"]).stdout.splitlines()
    assert ["live" in line for line in listed] == [False, True]
    with db.begin() as conn:
        (move,) = registry.moves(conn)
    assert move.by.startswith("command of ")
    for wrong in ([], ["9"]):
        assert command_line.invoke(args=["model", "rollback", *wrong]).exit_code == 1


def test_evaluating_a_file_writes_every_figure_and_starts_no_database(purchases: Path, tmp_path: Path) -> None:
    out, var = tmp_path / "figures.json", tmp_path / "var"
    environ = {**os.environ, "RELANCE_VAR": str(var)}
    command = [*FLASK, "evaluate", str(purchases), "--split", "last-basket", "--k", "5,10", "--json", str(out)]
    done = subprocess.run(command, cwd=ROOT, env=environ, check=True, capture_output=True, text=True, timeout=120)
    assert done.stdout.endswith("Ignored columns: colour\n")
    assert not (var / "postgres").exists()
    figures = orjson.loads(out.read_bytes())
    assert (figures["dataset"], figures["split"], figures["users"]) == ("purchases", "last-basket", 20)
    assert {"popularity", "als", "served"} <= {result["algorithm"] for result in figures["results"]}
    named = {f"{figure}@{k}" for figure in ("recall", "ndcg", "ndcg_all", "mrr", "hit_rate") for k in (5, 10)}
    assert all(named | {"fit_seconds"} <= result.keys() for result in figures["results"])


def test_wrong_settings_end_a_command_with_a_line_each(tmp_path: Path) -> None:
    wrong = {"RELANCE_VAR": str(tmp_path), "RELANCE_LOCALE": "de", "RELANCE_EMAIL_URL": "ftp://x"}
    ended = subprocess.run(
        [*FLASK, "doctor"],
        cwd=ROOT,
        env={**os.environ, **wrong},
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ended.returncode == 1
    assert [line.split()[0] for line in ended.stderr.splitlines()] == ["RELANCE_EMAIL_URL", "RELANCE_LOCALE"]


def test_predicting_for_a_young_shop_says_what_is_missing(web: Flask, command_line: FlaskCliRunner, ada: int) -> None:
    with web.app_context():
        done = command_line.invoke(args=["predict"])
    assert done.exit_code == 0, done.output
    assert done.output.splitlines()[-1] == (
        "0 customers, 0 rows written: too little data to say anything; customers: 0 of 30; days: 0 of 30."
    )
