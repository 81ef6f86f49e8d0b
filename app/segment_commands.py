"""The `flask segment` commands: lists of customers from files, and the full check on demand."""

from datetime import UTC, datetime
from pathlib import Path

import click
from flask.cli import AppGroup

from app.parts import current_parts
from app.telling import told
from campaigns import membership, segment_lists

group = AppGroup("segment", help="Lists of customers, and whether segments' members are right.")


@group.command("list")
@click.argument("name")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--title", help="What the console calls it; the name if not given.")
@told
def list_(name: str, file: Path, title: str | None) -> None:
    """Make NAME the customers that FILE names by user_id, email or phone, one a line."""
    done = segment_lists.put(current_parts().db, name, title=title or name, path=file, now=datetime.now(UTC))
    click.echo(f"{done.found} customers on the list, {done.unknown} lines named nobody.")


@group.command("check")
@told
def check() -> None:
    """Hold every segment against its rule for everybody; what had drifted is put right and named."""
    click.echo(membership.check(current_parts().db, now=datetime.now(UTC)))
