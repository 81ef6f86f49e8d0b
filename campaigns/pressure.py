"""How much the members of each segment are written to, against the cap: what they got week by week, and what is planned
for them. Counted by a job and kept; pages only read it."""

import math
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import psycopg.errors
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from campaigns import (
    entering,
    figures,
    lately,
    plans,
    policy,
    pressure_tables,
    segment_preview,
    segments,
    tables,
    timing,
    upcoming,
)
from campaigns.definitions import campaign as definitions
from campaigns.definitions import edits
from campaigns.definitions.edits import Json
from campaigns.definitions.entries import Schedule
from campaigns.figures import Figures
from campaigns.plans import Plan
from campaigns.rules import Policy
from foundation.database import Database
from shop.tables import customers

LATELY = timedelta(days=7)
WEEK = timedelta(weeks=1)
BACK, AHEAD = 4, 3
"""Weeks before and after this one that are told."""
SHOWN = 12
"""Segments told of together; any other is told of by itself."""
TRIED = 100
"""From so many who came in, what a campaign says to each is known from them."""
MESSAGES = ("send", "ask")
weeks = pressure_tables.segment_weeks


@dataclass(frozen=True, slots=True)
class Week:
    """One week of a segment: messages its members got, how many members got any, how many as many as the cap allows in
    a week; and how many more are planned, None for a week that is over."""

    week: date
    sent: int
    reached: int
    at_cap: int
    planned: int | None

    @property
    def messages(self) -> int:
        """All that were and are to be sent in it."""
        return self.sent + (self.planned or 0)


@dataclass(frozen=True, slots=True)
class Pressure:
    """How much the members of a segment were written to in the last seven days, and week by week."""

    id: int
    name: str
    title: str
    size: int
    messages: int
    reached: int
    at_cap: int
    at: datetime
    weeks: Mapping[date, Week] = field(default_factory=dict)

    def each(self, week: date) -> float | None:
        """Messages a member in a week, planned ones among them; None of a week that was not counted."""
        found = self.weeks.get(week)
        return None if found is None or not self.size else found.messages / self.size


def weekly_cap(rules: Policy) -> float:
    """Messages somebody may have in a week."""
    return rules.cap_messages * 7 / (rules.cap_days or 7)


def told(rules: Policy, *, now: datetime) -> list[date]:
    """The Mondays of the weeks that are told of, where the shop is: those before, this one, those to come."""
    today = now.astimezone(ZoneInfo(rules.timezone)).date()
    monday = today - timedelta(days=today.weekday())
    return [monday + n * WEEK for n in range(-BACK, AHEAD + 1)]


# ----------------------------------------------------------------------------------------------- reading
def most(conn: sa.Connection, *, since: date, also: str = "") -> list[Pressure]:
    """The segments whose members are most pressed, as last counted, at most twelve, and the one named `also`."""
    found = [Pressure(**row) for row in conn.execute(_lines().limit(SHOWN)).mappings()]
    if also and also not in {one.name for one in found}:
        asked = _lines().where(tables.segments.c.name == also)
        found += [Pressure(**row) for row in conn.execute(asked).mappings()]
    by_segment = _weeks(conn, [one.id for one in found], since=since)
    return [replace(one, weeks=by_segment.get(one.id, {})) for one in found]


def _lines() -> "sa.Select[Any]":
    kept, pressed = tables.segments, pressure_tables.segment_pressure
    columns = (kept.c.id, kept.c.name, kept.c.title, sa.func.coalesce(kept.c.size, 0).label("size"))
    lately = (pressed.c.messages, pressed.c.reached, pressed.c.at_cap, pressed.c.at)
    query = sa.select(*columns, *lately).join(pressed, pressed.c.segment_id == kept.c.id)
    return query.order_by(pressed.c.at_cap.desc(), pressed.c.messages.desc(), kept.c.name)


def _weeks(conn: sa.Connection, ids: Collection[int], *, since: date) -> dict[int, dict[date, Week]]:
    query = sa.select(weeks).where(weeks.c.segment_id.in_(ids), weeks.c.week >= since)
    found: dict[int, dict[date, Week]] = defaultdict(dict)
    for row in conn.execute(query):
        found[row.segment_id][row.week] = Week(row.week, row.sent, row.reached, row.at_cap, row.planned)
    return found


# ---------------------------------------------------------------------------------------------- counting
def count(db: Database, *, now: datetime) -> str | None:
    """Counts the last seven days, this week, one week of the past that is not counted to its end, and what is planned;
    each by a few statements, in transactions of their own, whatever the number of segments."""
    with db.begin() as conn:
        rules, found = policy.load(conn), plans.running(conn, now=now)
        kept = [one.id for one in segments.every(conn)]
        known = figures.of(conn, [plan.id for plan in found])
    if not kept:
        return None
    days = told(rules, now=now)
    flowing, to_come = _told_apart(found, known)
    with db.begin() as conn:
        span = {"since": now - LATELY, "until": now, "flowing": flowing, "now": now}
        conn.execute(_LATELY, {**span, **_cap(rules)})
    with db.begin() as conn:
        for week in _due(conn, days[: BACK + 1], rules, now=now):
            _count_week(conn, week, rules, now=now)
    expected = _expected(db, to_come, days[BACK:], known=known, rules=rules, now=now)
    with db.begin() as conn:
        planned = _planned(conn, kept, days[BACK:], expected=expected, rules=rules, now=now)
        waiting = _waiting(conn, [plan.id for plan in to_come], days[BACK:], rules, now=now)
        _keep(conn, {at: planned[at] + waiting.get(at, 0) for at in planned}, now=now)
    return f"{len(kept)} counted"


def _cap(rules: Policy) -> dict[str, Any]:
    return {**lately.CAP, "cap": math.ceil(weekly_cap(rules))}


_WRITTEN = f"""
WITH written AS (
    SELECT coalesce(merged_into, customers.id) AS customer_id, count(*) AS n,
        count(*) FILTER (WHERE {lately.UNDER_CAP}) AS under_cap,
        count(*) FILTER (WHERE campaign_id = ANY(:flowing)) AS flowing
    FROM messages JOIN customers ON customers.id = messages.customer_id
    WHERE submitted_at >= :since AND submitted_at < :until AND messages.state = ANY(:counted) GROUP BY 1
), pressed AS (
    SELECT segment_id, sum(n) AS messages, count(*) AS reached, count(*) FILTER (WHERE under_cap >= :cap) AS at_cap,
        sum(flowing) AS flowing
    FROM written JOIN segment_members USING (customer_id) GROUP BY segment_id
)
"""
"""What each got, under whatever record it was written; at the cap is who may have no more by the rules for sending."""
_LATELY = sa.text(
    _WRITTEN
    + """
INSERT INTO segment_pressure (segment_id, messages, reached, at_cap, flowing, at)
SELECT id, coalesce(messages, 0), coalesce(reached, 0), coalesce(at_cap, 0), coalesce(flowing, 0), :now
FROM segments LEFT JOIN pressed ON segment_id = id
ON CONFLICT (segment_id) DO UPDATE SET messages = excluded.messages, reached = excluded.reached,
    at_cap = excluded.at_cap, flowing = excluded.flowing, at = excluded.at
"""
)
_OF_WEEK = sa.text(
    _WRITTEN
    + """
INSERT INTO segment_weeks (segment_id, week, sent, reached, at_cap, planned, at)
SELECT id, :week, coalesce(messages, 0), coalesce(reached, 0), coalesce(at_cap, 0), NULL, :now
FROM segments LEFT JOIN pressed ON segment_id = id
ON CONFLICT (segment_id, week) DO UPDATE SET sent = excluded.sent, reached = excluded.reached,
    at_cap = excluded.at_cap, planned = excluded.planned, at = excluded.at
"""
)


def _due(conn: sa.Connection, days: Sequence[date], rules: Policy, *, now: datetime) -> list[date]:
    """This week, and the latest week before it that some segment has not to its end."""
    last = sa.select(weeks.c.week, sa.func.min(weeks.c.at), sa.func.count()).where(weeks.c.week.in_(days))
    found = {week: (at, rows) for week, at, rows in conn.execute(last.group_by(weeks.c.week))}
    every = len(segments.every(conn))
    open_ = [
        week
        for week in days[:-1]
        if week not in found or found[week][1] < every or found[week][0] < _begins(week + WEEK, rules)
    ]
    return [*open_[-1:], days[-1]]


def _begins(day: date, rules: Policy) -> datetime:
    return datetime.combine(day, time(), tzinfo=ZoneInfo(rules.timezone))


def _count_week(conn: sa.Connection, week: date, rules: Policy, *, now: datetime) -> None:
    since, until = _begins(week, rules), _begins(week + WEEK, rules)
    span = {"week": week, "since": since, "until": until, "flowing": [], "now": now}
    conn.execute(_OF_WEEK, {**span, **_cap(rules)})


# ---------------------------------------------------------------------------------------------- planned
Planned = Mapping[tuple[int, date], float]


def _told_apart(found: Sequence[Plan], known: Mapping[int, Figures]) -> tuple[list[int], list[Plan]]:
    """Those that go on as they did in the last seven days: all whose customers come by themselves or at a moment of
    their own, and those of every day or week once they have begun. And those of whom one has to ask what is to come."""
    begun = {number for number, one in known.items() if one.enrolled}
    flowing: list[Plan] = []
    to_come: list[Plan] = []
    for plan in found:
        entry = plan.definition.entry
        asked = isinstance(entry, Schedule) and (entry.every not in ("day", "week") or plan.id not in begun)
        (to_come if asked else flowing).append(plan)
    return [plan.id for plan in flowing], to_come


def _expected(
    db: Database,
    found: Sequence[Plan],
    days: Sequence[date],
    *,
    known: Mapping[int, Figures],
    rules: Policy,
    now: datetime,
) -> Planned:
    """By segment and week, the messages of audiences whose moment is to come. An audience is counted once, as it is
    now, without those who by its first moment may not come in again; one that cannot be counted within a patience is
    left out."""
    until = _begins(days[-1] + WEEK, rules)
    expected: dict[tuple[int, date], float] = defaultdict(float)
    for plan in found:
        moments = upcoming.moments([plan], zone=rules.timezone, now=now, until=until)
        if not moments or not isinstance(plan.definition.entry, Schedule):
            continue
        members = _audience(db, plan, plan.definition.entry, first=moments[0].at, now=now)
        each = _said(plan, known.get(plan.id))
        for day in _entered(plan, [moment.at.date() for moment in moments]):
            week = day - timedelta(days=day.weekday())
            for segment, people in members.items():
                expected[segment, week] += people * each
    return expected


def _entered(plan: Plan, days: Sequence[date]) -> Iterator[date]:
    """The days on which the audience comes in: all of them, or those its re-entry allows after each other."""
    again = plan.definition.reentry
    last: date | None = None
    for day in days:
        free = last is None or again.rule == "each_key"
        if free or (last and again.rule == "after" and (day - last).days >= (again.days or 0)):
            last = day
            yield day


def _audience(db: Database, plan: Plan, entry: Schedule, *, first: datetime, now: datetime) -> dict[int, int]:
    """How many of those who may enter at that moment are in each segment."""
    member, slot = tables.segment_members, timing.Slot(first.date(), "", first, None)
    chosen = timing.audience(entry, slot, now=now).subquery("chosen")
    query = (
        sa.select(member.c.segment_id, sa.func.count())
        .join_from(chosen, customers, customers.c.id == chosen.c.customer_id)
        .join(member, member.c.customer_id == chosen.c.customer_id)
        .where(*entering.may_enter(plan, chosen, now=first))
        .group_by(member.c.segment_id)
    )
    try:
        with db.begin() as conn:
            segment_preview.prepare(conn, segment_preview.PATIENCE)
            return {segment: people for segment, people in conn.execute(query)}
    except sa.exc.OperationalError as error:
        if isinstance(error.orig, psycopg.errors.QueryCanceled):
            return {}
        raise


def _said(plan: Plan, known: Figures | None) -> float:
    """Messages to each of an audience: as many as those before them got, else as its longest way says."""
    if known is not None and known.enrolled >= TRIED:
        return known.sent / known.enrolled
    written = definitions.dump(plan.definition)
    return _longest(written["steps"]) * (1 - plan.definition.holdout_percent / 100)


def _longest(steps: Sequence[Json]) -> int:
    """The messages of the way that says most."""
    return sum(
        (step["type"] in MESSAGES) + max((_longest(inner) for _, inner in edits.branches(step)), default=0)
        for step in steps
    )


def _planned(
    conn: sa.Connection, kept: Sequence[int], days: Sequence[date], *, expected: Planned, rules: Policy, now: datetime
) -> dict[tuple[int, date], float]:
    """Audiences to come, and what goes on as in the last seven days: for the rest of this week, and for those after."""
    usual, left = _usual(conn), (_begins(days[0] + WEEK, rules) - now) / WEEK
    return {
        (segment, week): expected.get((segment, week), 0) + usual.get(segment, 0) * (left if week == days[0] else 1)
        for segment in kept
        for week in days
    }


def _waiting(
    conn: sa.Connection, campaigns: Sequence[int], days: Sequence[date], rules: Policy, *, now: datetime
) -> dict[tuple[int, date], int]:
    """Messages of audiences that came in already and have not left, by segment and week; those of campaigns that go on
    as they did are among what is usual."""
    messages, member = tables.messages.c, tables.segment_members.c
    at = sa.func.greatest(messages.not_before, sa.literal(now, sa.DateTime(timezone=True)))
    week = sa.cast(sa.func.date_trunc("week", sa.func.timezone(rules.timezone, at)), sa.Date)
    query = (
        sa.select(member.segment_id, week, sa.func.count())
        .select_from(tables.messages)
        .join(customers, customers.c.id == messages.customer_id)
        .join(tables.segment_members, member.customer_id == sa.func.coalesce(customers.c.merged_into, customers.c.id))
        .where(messages.state == "pending", messages.campaign_id.in_(campaigns))
        .where(messages.not_before < _begins(days[-1] + WEEK, rules))
        .group_by(member.segment_id, week)
    )
    return {(segment, monday): number for segment, monday, number in conn.execute(query)}


def _keep(conn: sa.Connection, planned: Planned, *, now: datetime) -> None:
    rows = [
        {"segment_id": segment, "week": week, "planned": round(number), "at": now}
        for (segment, week), number in planned.items()
    ]
    statement = postgresql.insert(weeks)
    changed = {"planned": statement.excluded.planned, "at": statement.excluded.at}
    conn.execute(statement.on_conflict_do_update(index_elements=["segment_id", "week"], set_=changed), rows)


def _usual(conn: sa.Connection) -> dict[int, int]:
    pressed = pressure_tables.segment_pressure.c
    return {segment: number for segment, number in conn.execute(sa.select(pressed.segment_id, pressed.flowing))}
