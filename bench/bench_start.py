"""How long a person waits: `make run` from a fresh clone to the open page, and the second start."""

import os
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PATIENCE = 600


def run() -> list[dict[str, object]]:
    """Clones the checkout's last commit and starts it twice. Wheels may come from pip's cache."""
    with tempfile.TemporaryDirectory(prefix="relance-bench-", ignore_cleanup_errors=True) as directory:
        clone = Path(directory) / "relance"
        subprocess.run(["git", "clone", "-q", str(ROOT), str(clone)], check=True)
        port = _free_port()
        first = _seconds_until_open(clone, port)
        second = _seconds_until_open(clone, port)
    return [
        {"benchmark": "make run, fresh clone", "seconds": round(first, 1), "aim": 120},
        {"benchmark": "make run, second start", "seconds": round(second, 1), "aim": 10},
    ]


def _seconds_until_open(clone: Path, port: int) -> float:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RELANCE_")}
    environment["PORT"] = str(port)
    began = time.monotonic()
    process = subprocess.Popen(
        ["make", "run"], cwd=clone, env=environment, stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    assert process.stdout is not None
    try:
        for line in process.stdout:
            if "Relance is ready" in line:
                return time.monotonic() - began
            if time.monotonic() - began > PATIENCE:
                break
        raise RuntimeError("make run did not become ready")
    finally:
        os.killpg(process.pid, signal.SIGINT)
        process.communicate(timeout=60)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
