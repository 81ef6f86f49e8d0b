"""What lists and journeys show of every campaign, counted by a job and kept: nobody who looks makes anything count."""

import time
from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from campaigns import experiments, glances, pacing, plans, policy, surveys, tables, timing, unfollowed, webhooks
from campaigns.states import COUNTED, Reason, State
from foundation import database
from foundation.database import Database

kept = tables.campaign_figures
DAYS = timedelta(days=42)
"""How far back messages are counted by day."""
LATELY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Walked:
    """One version of a journey in numbers. `passed` counts by step and branch, `left` by step and reason, `standing`
    who waits at a step now; `sent` what became of messages, by step and state, those skipped by reason as well."""

    entered: int = 0
    held_out: int = 0
    passed: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    left: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    standing: Mapping[str, int] = field(default_factory=dict)
    sent: Mapping[str, Mapping[str, int]] = field(default_factory=dict)

    def arrived(self, step: str) -> int:
        """Who came as far as this step, whatever became of them there."""
        here = sum(self.passed.get(step, {}).values()) + sum(self.left.get(step, {}).values())
        return here + self.standing.get(step, 0)


@dataclass(frozen=True, slots=True)
class Caused:
    """Points more buyers than among those left alone, with the interval; None while it cannot be said."""

    difference: float | None
    low: float | None
    high: float | None
    conclusive: bool


@dataclass(frozen=True, slots=True)
class Figures:
    """A campaign in numbers, as they were at `at`. `trouble` counts what somebody should look at, by a stable word;
    `days` the messages that left, by day; `unfollowed` those nothing was heard of since they were accepted, by
    provider."""

    at: datetime
    enrolled: int
    sent: int
    clicked: int
    orders: int
    revenue: int
    currency: str
    caused: Caused
    trouble: Mapping[str, int]
    days: Mapping[str, int]
    versions: Mapping[str, Walked]
    unfollowed: Mapping[str, int] = field(default_factory=dict)

    def walked(self, version: int) -> Walked:
        """The numbers of one version."""
        return self.versions.get(str(version), Walked())


def of(conn: sa.Connection, campaign_ids: Collection[int]) -> dict[int, Figures]:
    """What is kept of these campaigns; one never counted is left out."""
    query = sa.select(kept).where(kept.c.campaign_id.in_(campaign_ids))
    return {row["campaign_id"]: _read(row["figures"], row["at"]) for row in conn.execute(query).mappings()}


def _read(figures: dict[str, Any], at: datetime) -> Figures:
    versions = {number: Walked(**walked) for number, walked in figures["versions"].items()}
    own = {name: value for name, value in figures.items() if name != "glance"}
    return Figures(**{**own, "at": at, "caused": Caused(**figures["caused"]), "versions": versions})


def refresh(db: Database, *, now: datetime) -> str | None:
    """Counts every campaign that was ever launched, one transaction each, as often as its size allows."""
    with db.begin() as conn:
        resting = set(conn.scalars(sa.select(kept.c.campaign_id).where(kept.c.at + kept.c.rest > now)))
        begun = [plan for plan in plans.every(conn) if plan.launched_at and plan.id not in resting]
    for plan in begun:
        with db.begin() as conn:
            began = time.monotonic()
            row = {"campaign_id": plan.id, "figures": _counted(conn, plan, now=now), "at": now}
            row["rest"] = pacing.rest(time.monotonic() - began)
            database.upsert(conn, kept, [row], key=["campaign_id"])
    return f"{len(begun)} counted" if begun else None


def _counted(conn: sa.Connection, plan: plans.Plan, *, now: datetime) -> dict[str, Any]:
    glance = glances.count(conn, plan.id, now=now)
    report, lift = glance.results, glance.results.lift
    return {
        "enrolled": report.enrolled,
        "sent": report.sent,
        "clicked": report.clicked,
        "orders": report.orders,
        "revenue": report.revenue,
        "currency": report.currency,
        "caused": asdict(Caused(lift.difference, lift.low, lift.high, lift.conclusive)),
        "trouble": _trouble(conn, plan, now=now),
        "days": _days(conn, plan.id, now=now),
        "unfollowed": unfollowed.by_provider(conn, plan.id, now=now),
        "glance": glances.dump(glance),
        "versions": {str(number): asdict(walked) for number, walked in _walked(conn, plan.id).items()},
    }


def _trouble(conn: sa.Connection, plan: plans.Plan, *, now: datetime) -> dict[str, int]:
    """Messages of the last day that failed or are in doubt, and what waits for somebody."""
    messages = tables.messages.c
    late = (messages.campaign_id == plan.id) & (messages.queued_at > now - LATELY)
    counted: dict[str, int] = dict(
        conn.execute(
            sa.select(messages.state, sa.func.count())
            .where(late, messages.state.in_((State.FAILED, State.UNCERTAIN)))
            .group_by(messages.state)
        ).all()
    )
    silent = late & (messages.reason == Reason.CHANNEL_NOT_CONNECTED)
    found = {
        "failed": counted.get(State.FAILED, 0),
        "uncertain": counted.get(State.UNCERTAIN, 0),
        "not_connected": conn.scalar(sa.select(sa.func.count()).where(silent)) or 0,
        "missed": len(timing.missed(conn, campaign_id=plan.id)),
        "calls": webhooks.dead(conn, plan.id),
        "alerts": len(surveys.alerts(conn, campaign_id=plan.id)),
    }
    return {word: number for word, number in found.items() if number}


def _days(conn: sa.Connection, campaign_id: int, *, now: datetime) -> dict[str, int]:
    messages, zone = tables.messages.c, policy.load(conn).timezone
    day = sa.func.date(sa.func.timezone(zone, messages.submitted_at))
    query = (
        sa.select(day, sa.func.count())
        .where(messages.campaign_id == campaign_id, messages.submitted_at > now - DAYS, messages.state.in_(COUNTED))
        .group_by(day)
    )
    return {at.isoformat(): number for at, number in conn.execute(query)}


def _walked(conn: sa.Connection, campaign_id: int) -> dict[int, Walked]:
    """Each version in numbers: who went where, who stands where, and what became of the messages of each step."""
    passed, left = _passages(conn, campaign_id)
    standing, held_out = _standing(conn, campaign_id)
    sent = _messages(conn, campaign_id)
    return {
        number: Walked(
            entered=sum(sum(ways.values()) for ways in left[number].values()) + sum(standing[number].values()),
            held_out=held_out[number],
            passed=passed[number],
            left=left[number],
            standing=standing[number],
            sent=sent[number],
        )
        for number in {*passed, *left, *standing, *held_out, *sent}
    }


Numbers = defaultdict[int, dict[str, dict[str, int]]]


def _passages(conn: sa.Connection, campaign_id: int) -> tuple[Numbers, Numbers]:
    rows = tables.campaign_passages.c
    passed: Numbers = defaultdict(dict)
    left: Numbers = defaultdict(dict)
    query = sa.select(rows.version, rows.step, rows.way, rows.people).where(rows.campaign_id == campaign_id)
    for version, step, way, people in conn.execute(query):
        (passed if way.isdecimal() else left)[version].setdefault(step, {})[way] = people
    return passed, left


def _standing(conn: sa.Connection, campaign_id: int) -> tuple[defaultdict[int, dict[str, int]], defaultdict[int, int]]:
    rows = tables.enrolments.c
    standing: defaultdict[int, dict[str, int]] = defaultdict(dict)
    held_out: defaultdict[int, int] = defaultdict(int)
    waiting = (
        sa.select(rows.version, rows.step, sa.func.count())
        .where(rows.campaign_id == campaign_id, rows.state == "waiting", rows.arm == experiments.TREATED)
        .group_by(rows.version, rows.step)
    )
    for version, step, people in conn.execute(waiting):
        standing[version][step] = people
    alone = sa.select(rows.version, sa.func.count()).where(
        rows.campaign_id == campaign_id, rows.arm != experiments.TREATED
    )
    for version, people in conn.execute(alone.group_by(rows.version)):
        held_out[version] = people
    return standing, held_out


def _messages(conn: sa.Connection, campaign_id: int) -> Numbers:
    rows = tables.messages.c
    why = sa.func.coalesce(sa.func.nullif(rows.reason, ""), rows.state)
    word = sa.case((rows.state == State.SKIPPED, why), else_=rows.state)
    query = (
        sa.select(rows.version, rows.step, word, sa.func.count())
        .where(rows.campaign_id == campaign_id)
        .group_by(rows.version, rows.step, word)
    )
    found: Numbers = defaultdict(dict)
    for version, step, state, number in conn.execute(query):
        found[version].setdefault(step, {})[state] = number
    return found
