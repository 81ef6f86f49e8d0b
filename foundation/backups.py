"""A database into a file and back, by PostgreSQL's own pg_dump and pg_restore: all of it or nothing."""

import os
import subprocess
from pathlib import Path

import sqlalchemy as sa

from foundation import postgres
from foundation.errors import RelanceError


class BackupFailed(RelanceError):
    """PostgreSQL's program refused; the message is its own."""


def dump(url: str, path: Path) -> int:
    """Writes the database as it is at this instant, readable by its owner alone; gives the bytes. What stood there is
    replaced once the new file is whole and on the disk."""
    draft = path.with_name(f".{path.name}.part")
    draft.unlink(missing_ok=True)
    draft.touch(mode=0o600)
    try:
        _run("pg_dump", url, "--format=custom", "--no-owner", "--no-privileges", f"--file={draft}")
        with open(draft, "rb") as file:
            os.fsync(file.fileno())
        draft.rename(path)
    finally:
        draft.unlink(missing_ok=True)
    return path.stat().st_size


def load(url: str, path: Path) -> None:
    """Puts the database back as the file says, in one transaction; what was there is gone."""
    _run(
        "pg_restore",
        url,
        *("--clean", "--if-exists", "--no-owner", "--no-privileges", "--single-transaction", "--exit-on-error"),
        str(path),
    )


def _run(program: str, url: str, *arguments: str) -> None:
    where = sa.make_url(url).set(drivername="postgresql")
    secret = {"PGPASSWORD": str(where.password)} if where.password else {}
    plain = where.set(password=None).render_as_string(hide_password=False)
    command = [postgres.program(program), f"--dbname={plain}", *arguments]
    done = subprocess.run(command, env={**os.environ, **secret}, capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode != 0:
        raise BackupFailed(f"{program}: {done.stderr.strip()[-600:]}")
