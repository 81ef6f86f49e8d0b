"""Dry runs as they are kept: asked for in the console, made by a job that says how far it is, and read when done."""

import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from campaigns import drafts, dry_run, plans, tables
from campaigns.definitions import campaign as definitions
from campaigns.definitions import shapes
from campaigns.definitions.campaign import Campaign
from campaigns.definitions.entries import Schedule
from campaigns.dry_run import Outcome
from campaigns.dry_sends import Left
from campaigns.eligibility import Skip
from foundation import database
from foundation.database import Database
from foundation.errors import NotFound

log = logging.getLogger(__name__)
runs = tables.campaign_dry_runs

ABANDONED = timedelta(minutes=30)
"""A run that was begun so long ago and is not over was killed: it is begun again."""
KEPT = 20
"""Runs of a campaign that stay."""
FRESH = timedelta(hours=1)
"""How long a forecast is not made again."""
KEPT_FORECASTS = 3
"""Of a campaign: the one that is shown, and one being made."""


@dataclass(frozen=True, slots=True)
class Told:
    """One thing that would have happened to one person: at a step, or why she left. Of a message, when it would have
    gone and by which channel, or what would have kept it back."""

    at: datetime
    step: str
    leave: str | None
    sent_at: datetime | None = None
    channel: str = ""
    held: str = ""


@dataclass(frozen=True, slots=True)
class Way:
    """One time a person would have come in, whether she would have been left alone, and what followed."""

    key: str
    at: datetime
    arm: str
    lines: tuple[Told, ...]


@dataclass(frozen=True, slots=True)
class DryRun:
    """One run: what was tried, how far it is, and what came of it. `hours` counts messages by channel and hour."""

    id: int
    campaign_id: int
    customer_id: int | None
    definition: dict[str, Any]
    days: int
    state: str
    done: int
    of: int
    outcome: dict[str, Any] | None
    asked_by: str
    asked_at: datetime
    begun_at: datetime | None
    finished_at: datetime | None

    @property
    def pending(self) -> bool:
        """Whether it is still to end."""
        return self.state in ("asked", "running")

    @property
    def fingerprint(self) -> str:
        """A short word for what was tried."""
        return drafts.fingerprint(self.definition)

    @property
    def hours(self) -> list[tuple[str, datetime, int]]:
        """Messages by channel and hour, in the order of time."""
        found = (self.outcome or {}).get("sends", ())
        return [(channel, datetime.fromisoformat(hour), number) for channel, hour, number in found]

    @property
    def most_in_a_day(self) -> int:
        """Messages of the busiest day."""
        days: dict[str, int] = {}
        for _, hour, number in self.hours:
            days[f"{hour:%F}"] = days.get(f"{hour:%F}", 0) + number
        return max(days.values(), default=0)

    @property
    def cut(self) -> bool:
        """Whether more came in than were looked at: every figure is then a least."""
        return bool((self.outcome or {}).get("cut"))

    @property
    def ways(self) -> list[Way]:
        """The ways of the person asked about."""
        return [
            Way(
                key,
                datetime.fromisoformat(at),
                arm,
                tuple(_read(line) for line in lines),
            )
            for key, at, arm, lines in (self.outcome or {}).get("ways", ())
        ]


def ask(
    conn: sa.Connection,
    plan: plans.Plan,
    definition: Campaign,
    *,
    days: int,
    customer_id: int | None,
    by: str,
    now: datetime,
) -> int:
    """Asks for a run, which the scheduler takes up, and forgets the oldest; gives its number."""
    row = {
        "campaign_id": plan.id,
        "customer_id": customer_id,
        "definition": definitions.dump(definition),
        "days": days,
        "state": "asked",
        "asked_by": by,
        "asked_at": now,
    }
    number: int = conn.execute(sa.insert(runs).values(row).returning(runs.c.id)).scalar_one()
    _forget(conn, (runs.c.campaign_id == plan.id) & ~runs.c.forecast, KEPT)
    return number


def foretell(conn: sa.Connection, plan: plans.Plan, *, days: int, by: str, now: datetime) -> None:
    """Asks for a run of a campaign as it stands, to tell the codes it will need; nothing if there is one of the last
    hour, or one is being made."""
    mine, written = (runs.c.campaign_id == plan.id) & runs.c.forecast, definitions.dump(plan.definition)
    fresh = sa.select(runs.c.definition).where(
        mine, runs.c.asked_at > now - FRESH, runs.c.days == days, runs.c.state != "failed"
    )
    if any(drafts.fingerprint(one) == drafts.fingerprint(written) for one in conn.scalars(fresh)):
        return
    row = {"campaign_id": plan.id, "definition": written, "days": days, "state": "asked", "forecast": True}
    asked = postgresql.insert(runs).values(**row, asked_by=by, asked_at=now)
    conn.execute(asked.on_conflict_do_nothing())
    _forget(conn, mine, KEPT_FORECASTS)


def forecasts(conn: sa.Connection, campaign_ids: Collection[int]) -> list[DryRun]:
    """The runs that tell the codes these campaigns will need, newest first; few of each."""
    query = sa.select(runs).where(runs.c.campaign_id.in_(campaign_ids), runs.c.forecast)
    return database.read(conn, query.order_by(runs.c.id.desc()), DryRun)


def _forget(conn: sa.Connection, which: sa.ColumnElement[bool], kept: int) -> None:
    newest = sa.select(runs.c.id).where(which).order_by(runs.c.id.desc()).limit(kept)
    conn.execute(sa.delete(runs).where(which, runs.c.id.not_in(newest)))


def get(conn: sa.Connection, plan: plans.Plan, number: int) -> DryRun:
    """A run of a campaign; raises `NotFound`."""
    found = database.read(conn, sa.select(runs).where(runs.c.campaign_id == plan.id, runs.c.id == number), DryRun)
    if not found:
        raise NotFound(f"there is no dry run {number}")
    return found[0]


def last(conn: sa.Connection, plan: plans.Plan) -> DryRun | None:
    """The newest run of a campaign for everybody."""
    query = sa.select(runs).where(runs.c.campaign_id == plan.id, runs.c.customer_id.is_(None), ~runs.c.forecast)
    return next(iter(database.read(conn, query.order_by(runs.c.id.desc()).limit(1), DryRun)), None)


def run_due(db: Database, *, now: datetime) -> str | None:
    """Makes the oldest run asked for. Manages its own transactions: what it counts is read in one, its progress is
    written in others."""
    with db.begin() as conn:
        due = _taken(conn, now=now)
    if due is None:
        return None
    try:
        outcome = _made(db, due, now=now)
    except Exception:
        log.exception("dry run failed", extra={"run": due.id})
        _note(db, due.id, state="failed", finished_at=now)
        raise
    _note(db, due.id, state="done", finished_at=now, outcome=outcome)
    return "1 dry run"


def _taken(conn: sa.Connection, *, now: datetime) -> DryRun | None:
    killed = (runs.c.state == "running") & (runs.c.begun_at < now - ABANDONED)
    oldest = (
        sa.select(runs.c.id)
        .where((runs.c.state == "asked") | killed)
        .order_by(runs.c.asked_at)
        .limit(1)
        .with_for_update(skip_locked=True)
    )
    begun = sa.update(runs).where(runs.c.id.in_(oldest)).values(state="running", begun_at=now, done=0)
    return next(iter(database.read(conn, begun.returning(runs), DryRun)), None)


def _made(db: Database, due: DryRun, *, now: datetime) -> dict[str, Any]:
    with db.begin() as conn:
        name = conn.scalar(sa.select(tables.campaigns.c.name).where(tables.campaigns.c.id == due.campaign_id))
        definition = _as_if_past(shapes.read(Campaign, due.definition), now=now)
        plan = replace(plans.get(conn, name or ""), definition=definition)
        if due.customer_id is not None:
            found = dry_run.person(conn, plan, due.customer_id, days=due.days, now=now)
            return {"ways": [[way.entrant.key, way.entrant.at, way.arm, _lines(way)] for way in found]}
        outcome = dry_run.run(
            conn, plan, days=due.days, now=now, note=lambda done, of: _note(db, due.id, done=done, of=of)
        )
    return _told(outcome)


def _lines(way: dry_run.Way) -> list[list[Any]]:
    """What followed, as `_read` reads it."""
    return [
        [
            line.at,
            line.step,
            line.leave,
            left.at if isinstance(left, Left) else None,
            left.channel if isinstance(left, Left) else "",
            left.reason if isinstance(left, Skip) else "",
        ]
        for line, left in way.lines
    ]


def _read(line: Sequence[Any]) -> Told:
    at, step, leave, sent_at, channel, held = line
    return Told(
        datetime.fromisoformat(at), step, leave, datetime.fromisoformat(sent_at) if sent_at else None, channel, held
    )


def _as_if_past(definition: Campaign, *, now: datetime) -> Campaign:
    """A moment still to come is tried as if it had been yesterday."""
    entry = definition.entry
    if not isinstance(entry, Schedule) or date.fromisoformat(entry.on) < now.date():
        return definition
    yesterday = (now - timedelta(days=1)).date().isoformat()
    return definition.model_copy(update={"entry": entry.model_copy(update={"on": yesterday})})


def _told(outcome: Outcome) -> dict[str, Any]:
    """What a run found, as JSON."""
    sends = sorted(outcome.sends.items(), key=lambda item: (item[0][1], item[0][0]))
    return {
        "entered": outcome.entered,
        "held_out": outcome.held_out,
        "everywhere": outcome.everywhere,
        "cut": outcome.cut,
        "replayable": outcome.replayable,
        "steps": dict(outcome.steps),
        "sends": [[channel, hour, number] for (channel, hour), number in sends],
        "held": dict(outcome.held.most_common()),
        "left": dict(outcome.left.most_common()),
        "codes": outcome.codes_needed,
        "cost": outcome.cost,
    }


def _note(db: Database, number: int, **values: object) -> None:
    with db.begin() as conn:
        conn.execute(sa.update(runs).where(runs.c.id == number).values(values))


def codes_wanted(run: DryRun | None) -> Mapping[str, int]:
    """The codes a run says are needed, by offer, in its days."""
    return (run.outcome or {}).get("codes", {}) if run else {}
