"""The embedded server: starts, is shared, outlives a killed user, and stops with the last one."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
import sqlalchemy as sa

from foundation import postgres

HOLDER = (
    "import sys, time, pathlib; from foundation import postgres;"
    "print(postgres.attach(pathlib.Path(sys.argv[1]), temporary='temporary' in sys.argv), flush=True); time.sleep(60)"
)


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "postgres"


def _holder(directory: Path, *said: str, env: dict[str, str] | None = None) -> "subprocess.Popen[str]":
    command = [sys.executable, "-c", HOLDER, str(directory), *said]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=env)


def _url(process: "subprocess.Popen[str]") -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def _kill(process: "subprocess.Popen[str]") -> None:
    process.kill()
    process.communicate()


def _postmaster(directory: Path) -> int:
    return int((directory / "data" / "postmaster.pid").read_text().split("\n", 1)[0])


def _gone(pid: int, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.05)
    return False


def _write(url: str, statement: str) -> None:
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    with engine.begin() as conn:
        conn.execute(sa.text(statement))


def test_a_killed_user_neither_stops_the_server_nor_is_needed_to_stop_it(directory: Path) -> None:
    first, second = _holder(directory), _holder(directory)
    url = _url(first)
    assert _url(second) == url
    server = _postmaster(directory)

    _kill(first)
    time.sleep(1)
    _write(url, "CREATE TABLE kept (n int)")
    assert not _gone(server, 0.1)

    _kill(second)
    assert _gone(server, 10)


def test_a_temporary_server_leaves_nothing_behind(directory: Path) -> None:
    first, second = _holder(directory, "temporary"), _holder(directory, "temporary")
    url = _url(first)
    assert _url(second) == url
    _kill(first)
    time.sleep(1)
    _write(url, "CREATE TABLE kept (n int)")
    _kill(second)
    until = time.monotonic() + 20
    while directory.exists():
        assert time.monotonic() < until, sorted(directory.iterdir())
        time.sleep(0.05)


def test_the_server_returns_after_its_own_death_with_what_was_committed(directory: Path) -> None:
    holder = _holder(directory)
    url = _url(holder)
    _write(url, "CREATE TABLE kept AS SELECT 1 AS n")
    os.kill(_postmaster(directory), signal.SIGKILL)
    deadline = time.monotonic() + 20
    while True:
        try:
            _write(_current(directory), "INSERT INTO kept VALUES (2)")
            break
        except sa.exc.OperationalError:
            assert time.monotonic() < deadline, "the server did not come back"
            time.sleep(0.2)
    _kill(holder)


def _current(directory: Path) -> str:
    return postgres._url(directory)


def test_only_its_owner_can_read_the_password(directory: Path) -> None:
    holder = _holder(directory)
    _url(holder)
    assert (directory / "password").stat().st_mode & 0o077 == 0
    assert (directory / "data").stat().st_mode & 0o077 == 0
    _kill(holder)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root must give the data away")
def test_without_user_namespaces_root_gives_the_data_to_nobody(tmp_path: Path) -> None:
    refusing = tmp_path / "unshare"
    refusing.write_text("#!/bin/sh\nexit 1\n")
    refusing.chmod(0o755)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        Path(name).chmod(0o755)  # nobody must be able to reach it
        environ = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
        holder = _holder(Path(name) / "postgres", env=environ)
        assert _url(holder).startswith("postgresql+psycopg://")
        assert (Path(name) / "postgres" / "data").stat().st_uid == postgres.NOBODY
        server = _postmaster(Path(name) / "postgres")
        _kill(holder)
        assert _gone(server, 10)
