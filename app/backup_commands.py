"""The `flask` commands about the database as a whole: backups, bringing one back, and holding everything back."""

import getpass
from datetime import UTC, datetime
from pathlib import Path

import click
import sqlalchemy as sa

from app import tables
from app.parts import Parts, current_parts
from app.telling import told
from campaigns import holding, rehashing
from campaigns.holding import Hold
from foundation import backups, jobs
from shop import pepper


@click.command("backup")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@told
def backup(file: Path) -> None:
    """Write the whole database into FILE, as it is at this instant. Sending may go on."""
    size = backups.dump(current_parts().db.url, file)
    with current_parts().db.begin() as conn:
        made = {"file": str(file.absolute()), "bytes": size, "made_at": datetime.now(UTC)}
        conn.execute(sa.insert(tables.backups).values(**made))
    click.echo(f"{size:,} bytes in {file}. The send journal lies beside it, under var/journal: keep that too.")


@click.command("restore")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--yes", is_flag=True, help="Do not ask.")
@told
def restore(file: Path, yes: bool) -> None:
    """Put the database back as FILE says. Nothing is sent from it until it is released."""
    parts, now = current_parts(), datetime.now(UTC)
    with parts.db.begin() as conn:
        beat = jobs.last_beat(conn, "scheduler")
    if beat is not None and now - beat <= jobs.STALE:
        raise click.ClickException("the scheduler runs: stop it first")
    if not yes:
        click.confirm("Everything that is in the database now is replaced. Go on?", abort=True)
    backups.load(parts.db.url, file)
    parts.db.migrate()
    _tell(_hold(parts, file, now))


def _hold(parts: Parts, file: Path, now: datetime) -> Hold | None:
    """In force before anything is sent from it; then what the send journal knows is written into the ledger."""
    with parts.db.begin() as conn:
        holding.hold(conn, "restored", detail={"file": file.name}, now=now)
        return holding.check(conn, parts.sending().journal, now=now)


@click.command("hold")
@told
def hold() -> None:
    """Stop everything: nothing more is handed over, on any channel, until it is released."""
    with current_parts().db.begin() as conn:
        holding.hold(conn, "operator", detail={"by": getpass.getuser()}, now=datetime.now(UTC))
    click.echo("Nothing leaves from now on. What is on its way already cannot be called back.")


@click.command("release-hold")
@click.option("--yes", is_flag=True, help="Do not ask.")
@told
def release_hold(yes: bool) -> None:
    """Let messages leave again, once you have read why they were held."""
    with current_parts().db.begin() as conn:
        standing = holding.held(conn)
    if standing is None:
        click.echo("Nothing is held.")
        return
    _tell(standing)
    if not yes:
        click.confirm("Is this the database to send from?", abort=True)
    with current_parts().db.begin() as conn:
        holding.release(conn, by=f"command of {getpass.getuser()}", now=datetime.now(UTC))
    click.echo("Released: messages leave again.")


@click.command("new-pepper")
@click.option("--yes", is_flag=True, help="Do not ask.")
@told
def new_pepper(yes: bool) -> None:
    """Go on without the pepper that was lost: hashes are made with the present one."""
    parts, now = current_parts(), datetime.now(UTC)
    with parts.db.begin() as conn:
        fits, beat = pepper.fits(conn), jobs.last_beat(conn, "scheduler")
    if fits:
        click.echo("The pepper is the one the hashes were made with: nothing to do.")
        return
    if beat is not None and now - beat <= jobs.STALE:
        raise click.ClickException("the scheduler runs: stop it first")
    if not yes:
        click.confirm("Refused addresses that no kept mail names are forgotten for good. Go on?", abort=True)
    with parts.db.begin() as conn:
        done = rehashing.begin_anew(conn)
    click.echo(f"{done.kept:,} refused addresses are recognised again, {done.lost:,} are not.")


def _tell(standing: Hold | None) -> None:
    if standing is None:
        return
    number = int(standing.detail.get("messages") or 0)
    click.echo(f"Held since {standing.since:%Y-%m-%d %H:%M} UTC ({standing.reason}): nothing is sent.")
    if number:
        since = standing.detail.get("since")
        click.echo(f"{number:,} messages left after this backup was made, the first at {since}. The send journal has")
        click.echo("been written into the ledger: none of them is sent again.")
