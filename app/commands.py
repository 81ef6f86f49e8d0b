"""The `flask` commands: what the engineer who runs Relance types."""

import getpass
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import click
import orjson
from flask import Flask, current_app
from flask.cli import AppGroup

from app import (
    ad_commands,
    backup_commands,
    campaign_commands,
    channel_commands,
    doctor,
    promo_commands,
    security,
    segment_commands,
    telling,
    users,
)
from app.parts import current_parts
from campaigns import policy
from recommender import ahead, registry, training, trial
from recommender.predictions import nightly
from shop import customers, imports, privacy, tables

KINDS = ("products", "customers", "events", "orders", "stores", "stock", "consents")


def register(app: Flask) -> None:
    """Puts every command on the application's command line."""
    for command in (migrate, user, key, import_file, train, predict, prepare, model, evaluate, export, erase, check):
        app.cli.add_command(command)
    for command in (
        backup_commands.backup,
        backup_commands.restore,
        backup_commands.hold,
        backup_commands.new_pepper,
        backup_commands.release_hold,
    ):
        app.cli.add_command(command)
    app.cli.add_command(campaign_commands.group)
    app.cli.add_command(segment_commands.group)
    app.cli.add_command(channel_commands.group)
    app.cli.add_command(promo_commands.group)
    app.cli.add_command(ad_commands.audience)
    app.cli.add_command(ad_commands.webhook)


def _now() -> datetime:
    return datetime.now(UTC)


# ------------------------------------------------------------------------------------ schema, users, keys
@click.command()
def migrate() -> None:
    """Bring the database's schema up to date."""
    with current_app.app_context():
        current_parts().db.migrate()
    click.echo("The schema is up to date.")


user = AppGroup("user", help="People who may sign in to the console.")


@user.command("create")
@click.argument("email")
@click.option("--role", type=click.Choice([role.value for role in users.Role]), required=True)
@click.option("--name", help="How the console addresses them.")
@click.option("--password-stdin", is_flag=True, help="Read the password from standard input.")
@telling.told
def create_user(*, email: str, role: str, name: str | None, password_stdin: bool) -> None:
    """Add a person; asks for the password unless it comes on standard input."""
    password = (
        sys.stdin.readline().rstrip("\n")
        if password_stdin
        else click.prompt("Password", hide_input=True, confirmation_prompt=True)
    )
    with current_parts().db.begin() as conn:
        users.create(conn, email=email, role=role, name=name, password=password, now=_now())
    click.echo(f"{email} may sign in as {role}.", err=True)


key = AppGroup("key", help="Keys programs present to the API.")


@key.command("create")
@click.option("--kind", type=click.Choice([kind.value for kind in security.Kind]), required=True)
@click.option("--name", required=True, help="Who will use it; shown under Sources.")
@click.option("--channel", type=click.Choice(tables.CHANNELS), default="web", show_default=True)
@telling.told
def create_key(kind: str, name: str, channel: str) -> None:
    """Make an API key and print it, once: only its hash is kept."""
    with current_parts().db.begin() as conn:
        made = security.create_key(conn, kind=kind, name=name, channel=channel, now=_now())
    click.echo(made)


# ------------------------------------------------------------------------------------------------- import
def _tell_ignored(columns: Sequence[str]) -> None:
    if columns:
        click.echo(f"Ignored columns: {', '.join(columns)}")


@click.command("import")
@click.argument("kind", type=click.Choice(KINDS))
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@telling.told
def import_file(kind: str, file: Path) -> None:
    """Load a CSV, JSON lines or Parquet file; running it twice adds nothing."""
    with telling.bar(f"Importing {kind}") as progress:
        report = imports.run(current_parts().db, kind, path=file, now=_now(), progress=progress)
    click.echo(f"{report.accepted:,} accepted, {report.repeated:,} repeated, {report.refused:,} refused")
    _tell_ignored(report.unknown_columns)
    if report.refused_file:
        click.secho(f"Refused rows, with line number and reason: {report.refused_file}", fg="yellow")
    if report.accepted + report.repeated == 0:
        click.secho("Nothing could be read.", fg="red", err=True)
        sys.exit(1)


# -------------------------------------------------------------------------------------------- recommender
BUDGET = click.option(
    "--budget", type=click.FloatRange(min=1), default=trial.BUDGET, show_default=True, help="Seconds it may take."
)


@click.command()
@BUDGET
@telling.told
def train(budget: float) -> None:
    """Train once; prints the evaluation, and whether the model was published and why."""
    with telling.bar("Training") as progress:
        run = training.run(current_parts().db, now=_now(), progress=progress, budget=budget)
    click.echo(training.told(run))


@click.command()
@telling.told
def predict() -> None:
    """Say anew what is expected of every customer; prints how such predictions held on a later period."""
    db = current_parts().db
    with db.begin() as conn:
        zone = policy.load(conn).timezone
    click.echo(nightly.told(nightly.run(db, zone=zone, now=_now())))


@click.command()
@telling.told
def prepare() -> None:
    """Rank ahead for every customer for whom it is due, so that asking for her costs little."""
    parts = current_parts()
    with telling.bar("Ranking ahead") as progress:
        count = ahead.run(parts.db, files=parts.config.var / "models", now=_now(), progress=progress)
    click.echo(f"{count:,} rankings made ahead")


model = AppGroup("model", help="Models that serve or have served.")


@model.command("list")
@telling.told
def list_models() -> None:
    """The models kept, newest first; the live one is marked."""
    with current_parts().db.begin() as conn:
        kept = registry.published(conn)
    for each in kept:
        mark = "live" if each.live else "    "
        click.echo(f"{each.id:>6}  {mark}  {each.created_at:%Y-%m-%d %H:%M}  {each.manifest.get('level', '')}")


@model.command("rollback")
@click.argument("number", type=int, required=False)
@telling.told
def roll_back(number: int | None) -> None:
    """Make model NUMBER live, or the one before the live one. Naming the live one changes nothing."""
    with current_parts().db.begin() as conn:
        live = registry.roll_back(conn, number, by=f"command of {getpass.getuser()}", now=_now())
    click.echo(f"Model {live} is live; every process follows within half a minute.")


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--split", type=click.Choice(["time", "last-basket"]), default="time", show_default=True)
@click.option("--test-days", type=click.IntRange(1, 365), default=7, show_default=True)
@click.option("--k", "ks", default="10,20", show_default=True, help="Lengths of list to score, comma-separated.")
@click.option("--json", "json_file", type=click.Path(dir_okay=False, path_type=Path), help="Write the figures here.")
@BUDGET
@telling.told
def evaluate(*, file: Path, split: str, test_days: int, ks: str, json_file: Path | None, budget: float) -> None:
    """Score the algorithms on an interactions file, as `train` does; touches no database."""
    lengths = tuple(int(k) for k in ks.split(",") if k.strip().isdecimal())
    if not lengths or 0 in lengths:
        raise click.BadParameter("give whole numbers such as 10,20", param_hint="--k")
    scored = trial.evaluate_file(file, split=split, test_days=test_days, ks=lengths, budget=budget, now=_now())
    click.echo(scored.table())
    _tell_ignored(scored.unknown_columns)
    if scored.left_out:
        click.echo(f"left out: {scored.left_out:,} rows that say nothing that counts, or of times to come", err=True)
    if json_file:
        json_file.write_bytes(orjson.dumps(scored.json(), option=orjson.OPT_INDENT_2))


# ------------------------------------------------------------------------------------------------ privacy
export = AppGroup("export", help="What is held on someone.")


@export.command("customer")
@click.argument("customer")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), required=True)
@telling.told
def export_customer(customer: str, out: Path) -> None:
    """Write everything held on one customer, as JSON."""
    with current_parts().db.begin() as conn:
        held = privacy.export(conn, customers.require(conn, customer))
    out.write_bytes(orjson.dumps(held, option=orjson.OPT_INDENT_2, default=str))
    click.echo(f"Written to {out}")


erase = AppGroup("erase", help="Forgetting someone.")


@erase.command("customer")
@click.argument("customer")
@click.option("--yes", is_flag=True, help="Do not ask.")
@telling.told
def erase_customer(customer: str, yes: bool) -> None:
    """Erase one customer; only hashes of the addresses remain, so that they are never written to again."""
    if not yes:
        click.confirm(f"Erase everything held on {customer}? This cannot be undone.", abort=True)
    with current_parts().db.begin() as conn:
        privacy.erase(conn, customers.require(conn, customer), now=_now())
    click.echo("Erased.")


# ------------------------------------------------------------------------------------------------- doctor
@click.command("doctor")
@telling.told
def check() -> None:
    """Check settings, database, scheduler, channel, keys and the sender's DNS: a line each; exit 1 if any is red."""
    findings = doctor.look(current_parts(), now=_now())
    for finding in findings:
        mark, colour = ("ok  ", "green") if finding.good else ("FAIL", "red")
        click.echo(f"{click.style(mark, fg=colour)}  {finding.subject:<14} {finding.detail}")
    sys.exit(0 if all(finding.good for finding in findings) else 1)
