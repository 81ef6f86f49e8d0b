"""The scheduler and sender: one timetable, any number of which may run at once.

    python scheduler.py

Every job is a public function and takes an advisory lock, so a second scheduler is harmless. Nothing is kept in
memory between two ticks: what is due is a row in PostgreSQL, so killing this process loses nothing.
"""

import logging
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from apscheduler.schedulers.blocking import BlockingScheduler
from apscheduler.triggers.cron import CronTrigger
from apscheduler.triggers.interval import IntervalTrigger

from app import doctor, pruning
from app.parts import Parts, build
from campaigns import (
    audit,
    conversions,
    crediting,
    dry_runs,
    enrolments,
    figures,
    guards,
    holding,
    membership,
    messages,
    offer_figures,
    pressure,
    returns,
    sendgrid_account,
    settling,
    visits,
    webhooks,
)
from campaigns.audiences import conversions as ad_orders
from campaigns.audiences import syncing
from campaigns.evidence import winners
from campaigns.insights import due
from campaigns.sending import Sending
from foundation import jobs, logs
from foundation.config import Config
from foundation.database import Database
from foundation.errors import RelanceError
from recommender import results, runs
from shop import inbox, pepper

log = logging.getLogger(__name__)
CHANNELS = ("email", "push", "sms", "whatsapp", "onsite")
"""Each is delivered by a job of its own; those nobody carries have nothing to do."""
Trigger = IntervalTrigger | CronTrigger


@dataclass(frozen=True, slots=True)
class Job:
    """One line of the timetable: its name in the ledger, when, and the function that does it."""

    name: str
    when: Trigger
    work: Callable[[datetime], str | None]


def timetable(parts: Parts) -> list[Job]:
    """What runs when. The names are those of the console's health page."""
    db, sending, returned = parts.db, parts.sending(), parts.return_mailbox()
    return [
        Job("admit", every(5), lambda now: enrolments.admit_due(db, now=now)),
        Job("advance", every(5), lambda now: enrolments.advance_due(db, now=now)),
        Job("calendar", every(15), lambda now: enrolments.admit_timed(db, now=now)),
        Job("shelf", every(60), lambda now: enrolments.admit_for_products(db, now=now)),
        Job("call", every(5), lambda now: webhooks.deliver_due(db, parts.caller(), now=now)),
        *(Job(f"deliver {name}", every(2), delivering(db, sending, name)) for name in CHANNELS),
        Job("inbox", every(2), lambda now: taken_in(db)),
        Job("audiences", every(15), lambda now: syncing.sync_due(db, parts.platforms, now=now)),
        Job("ad-orders", every(60), lambda now: ad_orders.tell_due(db, parts.platforms, now=now)),
        Job("sweep", every(10), lambda now: settling.sweep(db, channels=sending.channels, now=now)),
        Job("guard", every(5), lambda now: guards.watch(db, now=now)),
        Job("audit", every(60), lambda now: audit.add_up(db, now=now)),
        Job("refusals", every(10), lambda now: keep_refusals(db, sending, now=now)),
        Job("segments", every(3), lambda now: membership.refresh(db, now=now)),
        Job("segments-check", nightly(hour=4, minute=40), lambda now: membership.check(db, now=now)),
        Job("visits", every(5), lambda now: visits.judge(db, now=now)),
        Job("returns", every(60), lambda now: returns.collect(db, returned, parts.links, now=now)),
        Job("provider-log", every(300), lambda now: sendgrid_account.reconcile(db, parts.email, now=now)),
        Job("provider-lists", nightly(hour=3, minute=0), lambda now: sendgrid_account.agree(db, parts.email, now=now)),
        Job("credit", every(15), lambda now: conversions.credit_new_orders(db, now=now)),
        Job("credit-again", every(600), lambda now: conversions.look_again(db, now=now)),
        Job("credit-check", nightly(hour=4, minute=30), lambda now: crediting.check(db, now=now)),
        Job("winners", every(600), lambda now: winners.decide(db, now=now)),
        Job("codes", every(15), lambda now: offer_figures.keep_up(db, now=now)),
        Job("slates", every(60), lambda now: results.meet(db, now=now)),
        Job("rehearse", every(2), lambda now: dry_runs.run_due(db, now=now)),
        Job("figures", every(30), lambda now: figures.refresh(db, now=now)),
        Job("insights", every(30), lambda now: due.refresh(db, now=now)),
        Job("pressure", every(1800), lambda now: pressure.count(db, now=now)),
        Job("train", nightly(hour=3, minute=10), lambda now: apart("train")),
        Job("train-asked", every(3), lambda now: train_if_asked(parts)),
        Job("prepare", every(600), lambda now: apart("prepare")),
        Job("predict", nightly(hour=3, minute=40), lambda now: apart("predict")),
        Job("doctor", every(600), lambda now: examined(parts, now=now)),
        Job("prune", nightly(hour=4, minute=20), lambda now: pruning.prune(db, parts.config.var / "imports", now=now)),
    ]


def delivering(db: Database, sending: Sending, channel: str) -> Callable[[datetime], str | None]:
    """One job a channel: a provider that does not answer keeps nobody else waiting."""
    return lambda now: messages.deliver_due(db, sending, channels=[channel], now=now)


def keep_refusals(db: Database, sending: Sending, *, now: datetime) -> str | None:
    """Who said no is written down outside PostgreSQL as well, so that no restored backup forgets it."""
    with db.begin() as conn:
        holding.keep_refusals(conn, sending.journal, now=now)
    return None


def every(seconds: int) -> Trigger:
    return IntervalTrigger(seconds=seconds)


def nightly(*, hour: int, minute: int) -> Trigger:
    return CronTrigger(hour=hour, minute=minute, timezone=UTC)


def apart(name: str) -> str:
    """Runs a `flask` command in a process of its own, so that sending never waits for it; its last line."""
    command = [sys.executable, "-m", "flask", name]
    done = subprocess.run(  # noqa: S603 - our own command
        command, cwd=Path(__file__).parent, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise RuntimeError(done.stderr.strip()[-400:])
    return done.stdout.strip().splitlines()[-1]


def taken_in(db: Database) -> str | None:
    """A web server takes in what it receives; here, what one had received when it was ended."""
    events = inbox.drain(db)
    return f"{events} events" if events else None


def examined(parts: Parts, *, now: datetime) -> str | None:
    """What the doctor finds red, as the list before a launch reads it."""
    red = [finding.subject for finding in doctor.look(parts, now=now) if not finding.good]
    return f"red: {', '.join(red)}" if red else None


def train_if_asked(parts: Parts) -> str | None:
    """The run someone asked for in the console."""
    with parts.db.begin() as conn:
        due = runs.is_due(conn)
    return apart("train") if due else None


def main() -> None:
    """Runs the timetable until told to stop; lets what is running finish."""
    logs.configure()
    parts = build(Config.of_program())
    with parts.db.begin() as conn:
        messages.refuse_unsafe(conn)
        pepper.require(conn)
        held = holding.check(conn, parts.sending().journal, now=datetime.now(UTC))
    if held:
        log.warning("nothing is sent until it is released", extra={"reason": held.reason, **held.detail})
    started_at = datetime.now(UTC)
    defaults = {"coalesce": True, "max_instances": 1, "misfire_grace_time": None}
    scheduler = BlockingScheduler(timezone=UTC, job_defaults=defaults)
    for job in timetable(parts):
        scheduler.add_job(jobs.run, job.when, args=(parts.db, job.name, job.work), id=job.name)
    scheduler.add_job(
        lambda: jobs.beat(parts.db, "scheduler", started_at=started_at, now=datetime.now(UTC)),
        every(5),
        id="beat",
        next_run_time=started_at,
    )
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: scheduler.shutdown(wait=False))
    log.info("scheduler started", extra={"jobs": [job.name for job in timetable(parts)]})
    try:
        scheduler.start()
    finally:
        parts.close()


if __name__ == "__main__":
    try:
        main()
    except RelanceError as refused:
        sys.exit(f"The scheduler does not start: {refused}")
