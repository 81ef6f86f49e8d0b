"""The web application as it is run for real, for benchmarks: a database of its own, and one empty route beside it."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa
from flask import Response, jsonify

from foundation import postgres

ROOT = Path(__file__).resolve().parent.parent


def database(directory: Path, name: str) -> str:
    """A database of this name on the server of `RELANCE_DATABASE_URL`, else on an embedded one."""
    url = os.environ.get("RELANCE_DATABASE_URL") or postgres.attach(directory / "postgres")
    admin = sa.create_engine(url, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
    with admin.connect() as conn:
        conn.execute(sa.text(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)"))
        conn.execute(sa.text(f"CREATE DATABASE {name}"))
    return str(sa.make_url(url).set(database=name).render_as_string(hide_password=False))


@contextmanager
def server(database_url: str, directory: Path, *, workers: int = 2) -> Iterator[int]:
    """The port of a server with so many workers; `/empty` answers an empty JSON object."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    command = [str(Path(sys.executable).with_name("granian")), "--interface", "wsgi", "--host", "127.0.0.1"]
    command += ["--port", str(port), "--workers", str(workers), "--blocking-threads", "16", "--no-ws"]
    with open(directory / "server.log", "wb") as log:
        running = subprocess.Popen(
            [*command, "--factory", "bench.web:app_with_empty_route"],
            cwd=ROOT,
            env={**os.environ, "RELANCE_DATABASE_URL": database_url, "RELANCE_VAR": str(directory), "PORT": str(port)},
            stdout=log,
            stderr=log,
        )
    try:
        wait(port, log=directory / "server.log")
        yield port
    finally:
        running.terminate()
        running.wait(30)


def app_with_empty_route() -> object:
    """The application, and a route that does nothing: what Flask and the server cost by themselves."""
    from wsgi import app  # noqa: PLC0415 - building it opens the database of the server, not of the benchmark

    def empty() -> Response:
        return jsonify({})

    app.add_url_rule("/empty", view_func=empty)
    return app


def wait(port: int, *, log: Path | None = None) -> None:
    """Returns once somebody answers on the port; raises, with the end of its log, if nobody does within a minute."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            time.sleep(0.1)
    said = log.read_text(errors="replace")[-2000:] if log else ""
    raise RuntimeError(f"the server did not start\n{said}")
