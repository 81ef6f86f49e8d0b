"""What `make run` keeps running: a process that is killed comes back, and nothing of it stays behind."""

import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from app import running

SERVER = """
import subprocess, sys, time
worker = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
print(worker.pid, flush=True)
time.sleep(60)
"""


@pytest.fixture(name="server")
def _server(tmp_path: Path) -> Iterator[running.Child]:
    """A server with one worker, whose number is in its log."""
    child = running.Child("server", [sys.executable, "-c", SERVER], tmp_path / "log")
    child.start()
    yield child
    child.stop()


def _worker(server: running.Child, number: int = 1) -> int:
    for _ in range(200):
        if len(lines := server.log.read_text().split()) >= number:
            return int(lines[number - 1])
        time.sleep(0.05)
    raise AssertionError("no worker was started")


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def _ends(pid: int) -> bool:
    return any(not _alive(pid) or time.sleep(0.05) for _ in range(100))


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks for processes where Linux shows them")
def test_a_killed_server_comes_back_and_its_workers_end(server: running.Child) -> None:
    orphan = _worker(server)
    assert server.process is not None
    server.process.kill()
    server.process.wait()
    assert _alive(orphan)
    server.restart_if_ended()
    second = _worker(server, 2)
    assert _ends(orphan) and _alive(second)
    server.stop()
    assert _ends(second)
