"""The `flask audience` and `flask webhook` commands: audiences brought up to date and fetched, calls logged and made
again."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import click
from flask.cli import AppGroup

from app.parts import current_parts
from app.telling import told
from campaigns import webhooks
from campaigns.audiences import export, gates, kept, syncing

audience = AppGroup("audience", help="Audiences at ad platforms.")
webhook = AppGroup("webhook", help="Calls of other programs that journeys asked for.")


@audience.command("list")
@told
def list_audiences() -> None:
    """Every audience with its people, and every platform that is left alone."""
    with current_parts().db.begin() as conn:
        for one in kept.every(conn):
            click.echo(f"{one.name.ljust(32)}{one.platform.ljust(8)}{one.size:>10}  {one.fault or one.state}")
        for gate in gates.every(conn).values():
            click.echo(f"{gate.platform} is left alone until {gate.blocked_until:%H:%M}: {gate.reason}, {gate.detail}")


@audience.command("sync")
@click.argument("name")
@told
def sync(name: str) -> None:
    """Bring an audience up to date now, and say what changed."""
    parts, now = current_parts(), datetime.now(UTC)
    with parts.db.begin() as conn:
        found = kept.get(conn, name)
        gates.reopen(conn, found.platform)
    done = syncing.sync(parts.db, parts.platforms, found, now=now)
    stopped = f"; stopped: {done.stopped.detail}" if done.stopped else ""
    click.echo(f"{done.added} in, {done.removed} out, {done.avoided} of them on buying{stopped}")


@audience.command("export")
@click.argument("name")
@click.option("--out", type=click.Path(dir_okay=False, writable=True, path_type=Path), required=True)
@told
def export_file(name: str, out: Path) -> None:
    """Write an audience as a file of hashes, for a platform that takes files."""
    parts = current_parts()
    with parts.db.begin() as conn:
        found = kept.get(conn, name)
    with out.open("wb") as file:
        for part in export.lines(parts.db, found.id):
            file.write(part)
    click.echo(f"{found.size} people written to {out}")


@webhook.command("log")
@click.option("--state", type=click.Choice(webhooks.STATES), help="Of one state alone.")
@click.option("--last", default=20, show_default=True, help="How many, the latest first.")
@told
def show_log(state: str | None, last: int) -> None:
    """The latest calls, a line each."""
    with current_parts().db.begin() as conn:
        for call in webhooks.logged(conn, state=state, limit=last):
            answer = f"{call.status or ''} {call.detail or ''}".strip()
            click.echo(f"{call.queued_at:%Y-%m-%d %H:%M} {call.id} {call.state} {call.attempt}x {call.url} {answer}")


@webhook.command("replay")
@click.argument("call_id", type=click.UUID, required=False)
@click.option("--dead", is_flag=True, help="Every call that was given up, instead of one.")
@click.option("--days", default=7, show_default=True, help="With --dead: asked for within so many days.")
@click.option("--campaign", help="With --dead: of this campaign alone.")
@told
def replay(call_id: UUID | None, *, dead: bool, days: int, campaign: str | None) -> None:
    """Make a call again, under the same id; or with --dead all that were given up."""
    if (call_id is None) != dead:
        raise click.UsageError("Name one call, or say --dead.")
    now = datetime.now(UTC)
    with current_parts().db.begin() as conn:
        if call_id is not None:
            webhooks.replay(conn, call_id, now=now)
            again = 1
        else:
            again = webhooks.replay_dead(conn, since=now - timedelta(days=days), campaign=campaign, now=now)
    click.echo(f"{again} made again within seconds.")


@webhook.command("key")
@told
def key() -> None:
    """The key receivers check signatures with (Standard Webhooks)."""
    click.echo(webhooks.shown_key(current_parts().config.secret_keys[0]))
