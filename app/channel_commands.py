"""The `flask channels` commands: who carries each channel, and connecting another."""

import sys
from datetime import UTC, datetime

import click
from flask.cli import AppGroup

from app.parts import current_parts
from app.telling import told
from campaigns import connections
from campaigns.channels import carriers

group = AppGroup("channels", help="Who carries text messages, WhatsApp templates and notifications in apps.")


@group.command("list")
@told
def list_() -> None:
    """Every channel and who carries it; secrets are never shown."""
    with current_parts().db.begin() as conn:
        kept = {one.channel: one for one in connections.every(conn)}
    for channel in (*sorted(connections.ALWAYS), *connections.CHANNELS):
        one = kept.get(channel)
        carried = "always" if channel in connections.ALWAYS else "not connected"
        click.echo(f"{channel:10} {f'{one.kind}, by {one.origin}' if one else carried}")
    click.echo(f"Gateways report to {carriers.report_url(current_parts().config)}", err=True)


@group.command("connect")
@click.argument("channel", type=click.Choice(connections.CHANNELS))
@told
def connect(channel: str) -> None:
    """Connect CHANNEL to the address read from standard input, so that its secrets stand in no history."""
    address = sys.stdin.read().strip()
    config = current_parts().config
    with current_parts().db.begin() as conn:
        now = datetime.now(UTC)
        connections.connect(conn, channel, address, keys=config.secret_keys, origin="command line", now=now)
    click.echo(f"{channel} is carried by {connections.kind(channel, address)} from now on.", err=True)


@group.command("disconnect")
@click.argument("channel", type=click.Choice(connections.CHANNELS))
@told
def disconnect(channel: str) -> None:
    """Nobody carries CHANNEL any more."""
    with current_parts().db.begin() as conn:
        gone = connections.disconnect(conn, channel)
    click.echo("Disconnected." if gone else "Nobody carried it.", err=True)
