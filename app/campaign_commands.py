"""The `flask campaign` commands: campaigns as files, launched, paused, cancelled and reported."""

import time
from dataclasses import asdict
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import click
import orjson
import sqlalchemy as sa
from flask.cli import AppGroup

from app import users
from app.console import report_file
from app.parts import current_parts
from app.telling import told
from campaigns import audit, dry_runs, files, latecomers, launching, ledger, overdue, plans, reports, resending, timing
from campaigns.dry_runs import DryRun
from foundation.database import Database
from foundation.errors import Fault, Invalid, NotFound

group = AppGroup("campaign", help="Campaigns as files, and what they do.")


@group.command("apply")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@told
def apply(file: Path) -> None:
    """Put the campaigns, segments and offers of a file in their place; a second time changes nothing."""
    with current_parts().db.begin() as conn:
        changed = files.apply(conn, files.read(file.read_bytes()), now=datetime.now(UTC))
    for line in changed or ["Nothing changed."]:
        click.echo(line)


@group.command("launch")
@click.argument("name")
@click.option("--approve", metavar="EMAIL", help="Give the second yes that is asked for, in the name of this account.")
@told
def launch(name: str, *, approve: str | None) -> None:
    """Start a campaign, or take it up again, unless the list before launching prevents it."""
    now = datetime.now(UTC)
    with current_parts().db.begin() as conn:
        plan = plans.get(conn, name)
        if approve is not None:
            launching.approve_published(conn, plan, by=_may_launch(conn, approve), now=now)
        plan, _ = launching.launch(conn, plan, press=current_parts().press(), now=now)
    click.echo(f"{plan.name} runs, version {plan.version}.")


def _may_launch(conn: sa.Connection, email: str) -> str:
    """The address of an account that may launch campaigns."""
    mine = [one for one in users.team(conn) if one.email == users.normalised(email) and one.disabled_at is None]
    if not mine or mine[0].role not in (users.Role.ADMIN, users.Role.MARKETER):
        raise NotFound(f"no account of {email} may launch campaigns")
    return mine[0].email


@group.command("dry-run")
@click.argument("name")
@click.option("--days", type=click.IntRange(1, 90), default=7, show_default=True, help="How far back is replayed.")
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@told
def dry_run(name: str, *, days: int, as_json: bool) -> None:
    """Tell what a campaign would have done in the last days; the list before launching knows of it. Nothing is sent."""
    db, now = current_parts().db, datetime.now(UTC)
    with db.begin() as conn:
        plan = plans.get(conn, name)
        number = dry_runs.ask(
            conn, plan, plan.definition, days=days, customer_id=None, by="flask campaign dry-run", now=now
        )
    while (run := _run(db, name, number)).pending:
        if dry_runs.run_due(db, now=datetime.now(UTC)) is None:
            time.sleep(0.5)  # somebody else is making it
    found = run.outcome or {}
    if as_json:
        click.echo(orjson.dumps(found, option=orjson.OPT_INDENT_2).decode())
        return
    for word in ("entered", "held_out", "everywhere"):
        click.echo(word.replace("_", " ").ljust(24) + f"{found[word]:,}")
    for title in ("steps", "held", "left", "codes"):
        for key, count in found[title].items():
            click.echo(f"{title}, {key}".ljust(24) + f"{count:,}")
    click.echo("most in a day".ljust(24) + f"{run.most_in_a_day:,}")


def _run(db: Database, name: str, number: int) -> DryRun:
    with db.begin() as conn:
        return dry_runs.get(conn, plans.get(conn, name), number)


@group.command("pause")
@click.argument("name")
@told
def pause(name: str) -> None:
    """Hold everything that has not left yet."""
    with current_parts().db.begin() as conn:
        flying = plans.pause(conn, name, now=datetime.now(UTC))
    click.echo(f"{name} is paused; {flying} on their way already.")


@group.command("cancel")
@click.argument("name")
@told
def cancel(name: str) -> None:
    """End a campaign for good."""
    with current_parts().db.begin() as conn:
        flying = plans.cancel(conn, name, now=datetime.now(UTC))
    click.echo(f"{name} is cancelled; {flying} on their way already.")


@group.command("overdue")
@click.argument("name")
@click.option("--send", "choice", flag_value="send", help="They are still wanted: they go out now.")
@click.option("--drop", "choice", flag_value="drop", help="They are not wanted any more.")
@told
def late(name: str, *, choice: str | None) -> None:
    """Tell what should have gone out long ago and waits for a decision; or decide."""
    now = datetime.now(UTC)
    with current_parts().db.begin() as conn:
        plan = plans.get(conn, name)
        if choice == "send":
            click.echo(f"{overdue.send(conn, plan.id, now=now):,} messages go out now.")
        elif choice == "drop":
            click.echo(f"{overdue.drop(conn, plan.id, now=now):,} messages were dropped.")
        for one in () if choice else overdue.counts(conn, campaign_id=plan.id):
            click.echo(f"{one.number:,} messages, the first due at {one.oldest:%Y-%m-%d %H:%M} UTC: --send or --drop")


@group.command("missed")
@click.argument("name")
@click.option("--run", "run", metavar="DAY", help="This day's moment is still wanted: it runs now.")
@click.option("--leave", "leave", metavar="DAY", help="This day's moment is not wanted any more.")
@told
def gone_by(name: str, *, run: str | None, leave: str | None) -> None:
    """Tell the moments nobody was there for, which wait for a decision; or decide on one, such as 2026-11-23."""
    with current_parts().db.begin() as conn:
        plan = plans.get(conn, name)
        for day, wanted in ((run, True), (leave, False)):
            if day is not None and not timing.decide(conn, plan, _day(day), wanted=wanted, now=datetime.now(UTC)):
                raise NotFound(f"{name} missed nothing on {day}, or somebody decided on it already")
        if run:
            click.echo(f"{run} runs within seconds, for who is meant now.")
        for one in () if run or leave else timing.missed(conn, campaign_id=plan.id):
            click.echo(f"{one.day}, due at {one.due_at:%H:%M} UTC: --run {one.day} or --leave {one.day}")


@group.command("latecomers")
@click.argument("name")
@click.option("--let-in", "choice", flag_value="let-in", help="They are still wanted: they come in now.")
@click.option("--leave", "choice", flag_value="leave", help="They are not wanted any more.")
@told
def too_late(name: str, *, choice: str | None) -> None:
    """Tell who came too late to enter while nothing ran, and waits for a decision; or decide."""
    now = datetime.now(UTC)
    with current_parts().db.begin() as conn:
        plan = plans.get(conn, name)
        if choice == "let-in":
            click.echo(f"{latecomers.let_in(conn, plan, now=now):,} people came in.")
        elif choice == "leave":
            click.echo(f"{latecomers.dismiss(conn, plan):,} people were left.")
        for one in () if choice else latecomers.counts(conn, campaign_id=plan.id):
            since = f"{one.oldest:%Y-%m-%d %H:%M} UTC"
            click.echo(f"{one.number:,} people by {one.kind}, the first at {since}: --let-in or --leave")


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise Invalid(Fault("/day", f"{text} is no day such as 2026-11-23")) from None


@group.command("resend")
@click.argument("name")
@told
def resend(name: str) -> None:
    """Send the uncertain again of which a provider that reports has said nothing: a second one may arrive."""
    parts = current_parts()
    telling = {carrier.provider for carrier in parts.channels.values() if carrier.tells}
    with parts.db.begin() as conn:
        plan = plans.get(conn, name)
        number = resending.of_campaign(conn, plan.id, telling, now=datetime.now(UTC))
    click.echo(f"{number:,} messages are handed over once more.")


@group.command("report")
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@told
def report(name: str, *, as_json: bool) -> None:
    """Tell what a campaign did, earned and caused: the figures of its report in the console."""
    now = datetime.now(UTC)
    with current_parts().db.begin() as conn:
        plan = plans.get(conn, name)
        found = _facts(plan, reports.campaign(conn, plan.id, now=now))
        found["waiting"] = ledger.waiting(conn, plan.id)
        found["reasons"] = dict(ledger.reasons(conn, campaign_id=plan.id))
        sums = audit.keep(conn, plan.id, now=now)
        found["ledger"] = _added_up(sums)
        lines = list(report_file.rows(reports.full(conn, plan, now=now)))
    if as_json:
        found["report"] = [dict(zip(report_file.COLUMNS, line, strict=True)) for line in lines]
        click.echo(orjson.dumps(found, option=orjson.OPT_INDENT_2, default=str).decode())
        return
    for word in ("campaign", "state", "version", "enrolled", "waiting"):
        click.echo(word.ljust(44) + f"{found[word]}")
    for word, number in found["ledger"].items():
        click.echo(f"ledger, {word}".ljust(44) + f"{number:,}")
    for section, what, part, value, low, high in lines:
        said = "not conclusive yet" if value is None else f"{value:,}"
        between = f"  ({low:,} to {high:,}, at 95 %)" if low is not None and high is not None else ""
        click.echo(f"{section}, {what} {part}".strip().ljust(44) + said + between)


def _added_up(sums: audit.Figures) -> dict[str, int]:
    """The invariant: what came in is what went on and what left; what was wanted is what stands in the ledger."""
    return {
        "entered": sums.entered,
        "held out": sums.held_out,
        "wanted": sums.wanted,
        "in the ledger": sums.planned,
        "duplicates": sums.duplicates,
        "lost": sums.lost,
        "uncertain": sums.uncertain,
    }


def _facts(plan: plans.Plan, results: reports.Results) -> dict[str, Any]:
    return {"campaign": plan.name, "state": plan.state, "version": plan.version, **asdict(results)}
