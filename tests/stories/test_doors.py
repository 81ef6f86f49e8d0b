"""The two front doors, as processes: what they need, what they refuse, and that a second one does no harm."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from foundation import jobs
from foundation.database import Database

ROOT = Path(__file__).resolve().parent.parent.parent


def _scheduler(url: str, var: Path, **settings: str) -> "subprocess.Popen[str]":
    environ = {**os.environ, "RELANCE_DATABASE_URL": url, "RELANCE_VAR": str(var), **settings}
    return subprocess.Popen(
        [sys.executable, "scheduler.py"],
        cwd=ROOT,
        env=environ,
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


@pytest.fixture
def forgetful(db: Database) -> Iterator[str]:
    """A database that confirms what it has not written."""
    name = sa.make_url(db.url).database
    admin = db.engine.execution_options(isolation_level="AUTOCOMMIT")
    with admin.connect() as conn:
        conn.execute(sa.text(f"ALTER DATABASE {name} SET synchronous_commit = off"))
    yield db.url
    with admin.connect() as conn:
        conn.execute(sa.text(f"ALTER DATABASE {name} RESET synchronous_commit"))


def test_the_scheduler_refuses_a_database_that_may_forget(forgetful: str, tmp_path: Path) -> None:
    door = _scheduler(forgetful, tmp_path)
    _, said = door.communicate(timeout=30)
    assert door.returncode != 0
    assert "synchronous_commit" in said


def test_wrong_settings_are_all_named_and_nothing_starts(db: Database, tmp_path: Path) -> None:
    door = _scheduler(db.url, tmp_path, RELANCE_EMAIL_URL="pigeon:", RELANCE_LOCALE="de")
    _, said = door.communicate(timeout=30)
    assert door.returncode != 0
    assert "RELANCE_EMAIL_URL" in said and "RELANCE_LOCALE" in said


def test_two_schedulers_share_the_timetable_and_end_when_asked(db: Database, tmp_path: Path) -> None:
    began = datetime.now(UTC)
    doors = [_scheduler(db.url, tmp_path) for _ in range(2)]
    try:
        until = time.monotonic() + 60
        while _beating(db, since=began) < 2:
            assert time.monotonic() < until, "the schedulers never came alive"
            time.sleep(0.2)
    finally:
        for door in doors:
            door.terminate()
        said = [door.communicate(timeout=30)[1] for door in doors]
    assert [door.returncode for door in doors] == [0, 0], said


def _beating(db: Database, *, since: datetime) -> int:
    query = sa.select(sa.func.count()).where(jobs.heartbeats.c.beat_at > since - timedelta(seconds=1))
    with db.begin() as conn:
        return conn.scalar(query) or 0
