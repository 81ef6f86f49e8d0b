"""The `flask promo` commands: the shop's own codes into pools, how offers stand, and what campaigns will need."""

import sys
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

import click
import orjson
from flask.cli import AppGroup

from app.parts import current_parts
from app.telling import bar, told
from campaigns import code_pool, offer_figures, offer_forecast, offers

group = AppGroup("promo", help="Offers, and the codes they give.")


@group.command("import")
@click.argument("offer")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@told
def import_(offer: str, file: Path) -> None:
    """Put the codes of FILE into the pool of OFFER; running it twice adds nothing."""
    now, db = datetime.now(UTC), current_parts().db
    with bar("Importing codes") as progress:
        report = code_pool.fill(db, offer, path=file, now=now, progress=progress)
    with db.begin() as conn:
        offer_figures.count(conn, offers.get(conn, offer).id, now=now)
    click.echo(f"{report.accepted:,} accepted, {report.repeated:,} repeated, {report.refused:,} refused")
    if report.refused_file:
        click.secho(f"Refused lines, with number and reason: {report.refused_file}", fg="yellow")
    if report.accepted + report.repeated == 0:
        click.secho("No code could be used.", fg="red", err=True)
        sys.exit(1)


@group.command("report")
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@told
def report(*, as_json: bool) -> None:
    """Tell how every offer stands: the life of its codes, what they cost and brought."""
    now = datetime.now(UTC)
    offer_figures.keep_up(current_parts().db, now=now)
    with current_parts().db.begin() as conn:
        found = {kept.name: asdict(offer_figures.of(conn, kept.id)[0]) for kept in offers.every(conn)}
    if as_json:
        click.echo(orjson.dumps(found, option=orjson.OPT_INDENT_2).decode())
        return
    for name, figures in found.items():
        states = ", ".join(f"{figures[state]:,} {state}" for state in ("free", "issued", "redeemed", "expired"))
        click.echo(f"{name.ljust(24)}{states}; {figures['leaked']:,} leaked, {figures['double']:,} used twice")


@group.command("forecast")
@click.argument("offer")
@click.option("--days", type=click.IntRange(1, 90), default=30, show_default=True, help="How far back is replayed.")
@told
def forecast(offer: str, days: int) -> None:
    """Tell how many codes the campaigns of OFFER would have used; exit 1 if its pool has fewer."""
    with current_parts().db.begin() as conn:
        found = offer_forecast.of(conn, offers.get(conn, offer), days=days, now=datetime.now(UTC))
    for name, number in found.campaigns.items():
        click.echo(f"{name.ljust(40)}{number:,}")
    need = found.whole
    has = "they are made here" if need.has is None else f"the pool has {need.has:,}"
    click.echo(f"needs about {need.needed:,}, {has}")
    if need.short:
        sys.exit(1)
