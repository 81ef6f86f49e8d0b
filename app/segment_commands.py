"""The `flask segment` commands: lists of customers from files, and the full check on demand."""

from datetime import UTC, datetime
from pathlib import Path

import click
from flask.cli import AppGroup

from app.parts import current_parts
from app.telling import told
from campaigns import crowds, membership, segment_lists, segments
from foundation.errors import NotFound

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


@group.command("crowds")
@click.argument("name")
@click.option("--tell", type=int, metavar="NUMBER", help="Campaigns are told of these.")
@click.option("--leave", type=int, metavar="NUMBER", help="Campaigns are never told of these.")
@told
def crowds_(name: str, *, tell: int | None, leave: int | None) -> None:
    """Tell of very many who came into NAME or left it at once, whom no campaign knows of yet; or decide."""
    now = datetime.now(UTC)
    with current_parts().db.begin() as conn:
        kept = segments.get(conn, name)
        for number, wanted in ((tell, True), (leave, False)):
            if number is not None and not crowds.decide(conn, kept.id, number, wanted=wanted, now=now):
                raise NotFound(f"nothing waits under {number}, or somebody decided on it already")
        for one in () if tell or leave else crowds.waiting(conn, segment_id=kept.id):
            way = "came in" if one.entered else "left"
            click.echo(f"{one.number:,} {way} at {one.at:%Y-%m-%d %H:%M} UTC: --tell {one.id} or --leave {one.id}")


@group.command("check")
@told
def check() -> None:
    """Hold every segment against its rule for everybody; what had drifted is put right and named."""
    click.echo(membership.check(current_parts().db, now=datetime.now(UTC)))
