"""`make run`: prepares the installation, then keeps the web server and the scheduler running until Ctrl-C.

python -m app.running
"""

import ctypes
import multiprocessing
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

import click

from app import first_run
from app.demo import account
from app.parts import build
from foundation import postgres
from foundation.config import Config, environment
from foundation.errors import Invalid

ROOT = Path(__file__).resolve().parent.parent
READY_SECONDS = 60
_PR_SET_PDEATHSIG = 1


def main() -> int:
    """Prepares, starts, and waits; returns the exit code."""
    began = time.monotonic()
    _set_demo(environment())
    try:
        config = Config.from_env()
    except Invalid as wrong:
        for fault in wrong.faults:
            click.secho(f"{fault.pointer} {fault.detail}", fg="red", err=True)
        return 2
    if not _port_is_free(config.port):
        click.secho(f"Port {config.port} is taken. Try another: PORT=8080 make run", fg="red", err=True)
        return 2
    return _prepare(config) or _serve(config, began=began)


def _prepare(config: Config) -> int:
    """In a process of its own: loading a shop and training leave a memory behind that nobody needs afterwards."""
    try:
        postgres.url(config.database_url, config.var)  # joined here as well, so that it runs on in between
    except postgres.PostgresUnavailable as missing:
        click.secho(str(missing), fg="red", err=True)
        return 1
    preparing = multiprocessing.get_context("fork").Process(target=_prepare_here, args=(config,))
    preparing.start()
    try:
        preparing.join()
    except KeyboardInterrupt:
        preparing.join()
    return preparing.exitcode or 0


def _prepare_here(config: Config) -> None:
    try:
        first_run.prepare(build(config), track=track)
    except KeyboardInterrupt:
        click.echo("\nStopped. What was loaded stays; the next start goes on from there.")
        sys.exit(130)


def _set_demo(told: Mapping[str, str]) -> None:
    """The demo shop is shown unless someone said otherwise, and signs its own mail; the child processes inherit it."""
    os.environ.setdefault("RELANCE_DEMO", told.get("RELANCE_DEMO", "1"))
    if os.environ["RELANCE_DEMO"] == "1":
        os.environ.setdefault("RELANCE_EMAIL_FROM", told.get("RELANCE_EMAIL_FROM", account.SHOP))


def track(title: str) -> first_run.Progress:
    """A line on the terminal that says how far a long step is; silent dots where there is no terminal."""
    began = time.monotonic()
    shown = -1

    def move(done: int, total: int | None) -> None:
        nonlocal shown
        percent = int(100 * done / total) if total else 0
        if percent == shown:
            return
        shown = percent
        bar = "█" * (percent // 4) + "·" * (25 - percent // 4)
        ended = percent >= 100
        seconds = f"{time.monotonic() - began:.0f} s" if ended else ""
        if sys.stdout.isatty() or ended:
            click.echo(f"\r  {title:<28} {bar} {percent:3d} % {seconds}", nl=ended)

    move(0, 1)
    return move


def _port_is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


# --------------------------------------------------------------------------------------------- processes
@dataclass(slots=True)
class Child:
    """One process kept running, with its log under `var/log`."""

    name: str
    command: list[str]
    log: Path
    process: "subprocess.Popen[bytes] | None" = field(default=None)

    def start(self) -> None:
        """Starts it in a session of its own: Ctrl-C reaches us alone, and we end it in order."""
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(  # noqa: S603 - our own commands
                self.command,
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=_end_with_parent if sys.platform == "linux" else None,
            )

    def restart_if_ended(self) -> None:
        """A process that ended, killed or not, is started again: all it knew is in the database."""
        if self.process is not None and self.process.poll() is not None:
            click.secho(f"The {self.name} ended (code {self.process.returncode}); starting it again.", fg="yellow")
            self._end_orphans()
            self.start()

    def stop(self) -> None:
        """Asks it to finish what it is doing; insists after ten seconds."""
        if self.process is None:
            return
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self._end_orphans()

    def _end_orphans(self) -> None:
        """Workers of a server that was killed would serve on, and keep its port."""
        if self.process is not None:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self.process.pid, signal.SIGKILL)


def _end_with_parent() -> None:
    """Should this program be killed with -9, the kernel ends its children too."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def _children(config: Config) -> list[Child]:
    logs = config.var / "log"
    logs.mkdir(parents=True, exist_ok=True)
    programs = Path(sys.executable).parent
    web = [str(programs / "granian"), "--interface", "wsgi", "--host", "127.0.0.1", "--port", str(config.port)]
    web += ["--workers", "2", "--blocking-threads", "16", "--no-ws", "--respawn-failed-workers", "wsgi:app"]
    return [
        Child("web server", web, logs / "web.log"),
        Child("scheduler", [sys.executable, "scheduler.py"], logs / "scheduler.log"),
    ]


class _Stop(Exception):
    """Someone asked us to end."""


def _serve(config: Config, *, began: float) -> int:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _stop)
    children = _children(config)
    try:
        for child in children:
            child.start()
        if not _wait_until_healthy(config):
            click.secho(f"Relance did not become healthy; see {config.var}/log", fg="red", err=True)
            return 1
        _say_where(config, seconds=time.monotonic() - began)
        _watch(children)
    except _Stop:
        click.echo("\nStopping …")
    finally:
        for child in children:
            child.stop()
    return 0


def _stop(_number: int, _frame: FrameType | None) -> None:
    raise _Stop


def _watch(children: list[Child]) -> None:
    while True:
        time.sleep(1)
        for child in children:
            child.restart_if_ended()


def _wait_until_healthy(config: Config) -> bool:
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{config.port}/health", timeout=2):
                return True
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    return False


def _say_where(config: Config, *, seconds: float) -> None:
    click.secho(f"\nRelance is ready ({seconds:.0f} s).", bold=True)
    places = [("Console", "/console/"), ("API", "/docs/api")]
    if config.demo:
        places = [("Shop", "/demo/"), ("Till", "/demo/till"), *places, ("Mailbox", "/console/mailbox")]
    for name, path in places:
        click.echo(f"  {name:<9} {config.base_url}{path}")
    if config.demo:
        click.echo(f"  {'Sign in':<9} {account.USER}   password {account.password(config.var)}")
        click.echo("\nLeave a basket in the shop: a minute later its relaunch is in the mailbox.")
    else:
        click.echo("\nFirst user: .venv/bin/flask user create you@example.com --role admin")
    click.echo("Ctrl-C stops everything; what it stored stays.")


if __name__ == "__main__":
    os.chdir(ROOT)
    sys.exit(main())
