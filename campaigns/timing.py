"""Moments of campaigns that go by the calendar: which day of which zone is due, each once; pure but for `run_due`."""

from calendar import monthrange
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta, tzinfo
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from campaigns import eligibility, entering, plans, policy, segments, tables
from campaigns.definitions.entries import DateEntry, Schedule, place
from campaigns.plans import Plan
from foundation import database
from foundation.errors import Conflict
from shop.tables import customers

runs = tables.campaign_runs

CATCH_UP = timedelta(hours=2)
"""A moment missed by more than this is not made up for: it is kept as missed, and shown."""
LOOK_BACK = 7
"""Days of which a moment is still missed, and asked about. Longer ago nobody wants it any more."""
EDITED = timedelta(days=2)
"""What a version says of days before it was written is not missed; but a moment just gone by still is."""


@dataclass(frozen=True, slots=True)
class Slot:
    """One day's moment in one zone. `raw` are the time zones of customers it is for; None: everybody. `wanted_at`: it
    was missed, and somebody said then that it is wanted all the same."""

    day: date
    zone: str
    at: datetime
    raw: tuple[str | None, ...] | None
    wanted_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Missed:
    """A day on which nobody was there for a campaign's moment, in one zone or more; the first was due at `due_at`."""

    campaign: str
    day: date
    due_at: datetime


def slots(
    entry: Schedule | DateEntry,
    zones: Mapping[str, tuple[str | None, ...] | None],
    *,
    since: datetime,
    now: datetime,
    look_back: int = LOOK_BACK,
) -> list[Slot]:
    """The moments that have come, counted from `since` (the launch), in any of these zones."""
    found = []
    for name, raw in zones.items():
        zone = place(name)
        today = now.astimezone(zone).date()
        for back in range(look_back, -1, -1):
            day = today - timedelta(days=back)
            at = _moment(day, entry.at, zone)
            if since <= at <= now and falls(entry, day):
                found.append(Slot(day, name, at, raw))
    return found


def _moment(day: date, at: str, zone: tzinfo) -> datetime:
    """An hour that the change to summer time leaves out comes an hour later; one that comes twice, the first time."""
    return datetime.combine(day, time.fromisoformat(at), tzinfo=zone)


def falls(entry: Schedule | DateEntry, day: date) -> bool:
    """Whether it happens on this day; the 31st of a short month is its last day."""
    if isinstance(entry, DateEntry):
        return True
    first = date.fromisoformat(entry.on)
    if day < first:
        return False
    match entry.every:
        case "once":
            return day == first
        case "day":
            return True
        case "week":
            return (day - first).days % 7 == 0
    return day.day == min(first.day, monthrange(day.year, day.month)[1])


# --------------------------------------------------------------------------------------------- taking in
def due(conn: sa.Connection, plan: Plan, entry: Schedule | DateEntry, *, now: datetime) -> list[Slot]:
    """The slots of this campaign that have come and were not dealt with yet, and those missed that are wanted after
    all."""
    found_in = zones(conn, entry.zone)
    written = plans.written_at(conn, plan)
    since = max(
        filter(None, (plan.launched_at, plan.definition.starts_at, min(written, now - EDITED))), default=now
    )  # fmt: skip
    found = slots(entry, found_in, since=since, now=now)
    names = [_name(slot) for slot in found]
    mine = sa.select(runs.c.slot).where(runs.c.campaign_id == plan.id)
    dealt = set(conn.scalars(mine.where(runs.c.slot.in_(names)))) if names else set()
    return [*_wanted(conn, plan, found_in), *(slot for slot in found if _name(slot) not in dealt)]


def _wanted(conn: sa.Connection, plan: Plan, found_in: Mapping[str, tuple[str | None, ...] | None]) -> Iterator[Slot]:
    query = sa.select(runs).where(runs.c.campaign_id == plan.id, runs.c.state == "wanted")
    for row in conn.execute(query.order_by(runs.c.due_at)):
        day, _, zone = row.slot.partition(" ")
        yield Slot(date.fromisoformat(day), zone, row.due_at, found_in.get(zone, ()), row.ran_at)


def take_in(conn: sa.Connection, plan: Plan, entry: Schedule | DateEntry, slot: Slot, *, now: datetime) -> int:
    """The audience as it is at this instant, frozen and enrolled by one statement; the same slot again is nothing."""
    if not _begun(conn, plan, slot, now=now):
        return 0
    # Of a moment made up for, what happened since the hour it should have had is none of its doing.
    chosen = audience(entry, replace(slot, at=now) if slot.wanted_at else slot, now=now)
    conn.execute(_IN_SETS)
    number = entering.enrol(conn, plan, chosen.subquery("chosen"), once=True, now=now)
    conn.execute(_AS_USUAL)
    conn.execute(sa.update(runs).where(_of(plan, slot)).values(enrolled=number))
    return number


_IN_SETS = sa.text("SET LOCAL enable_nestloop = off; SET LOCAL work_mem = '64MB'")
_AS_USUAL = sa.text("SET LOCAL enable_nestloop TO DEFAULT; SET LOCAL work_mem TO DEFAULT")
"""Whoever is in already is found by one set, not looked for once for each of a million: the planner, seeing an empty
table, would read it again for every row, while it fills."""


def _begun(conn: sa.Connection, plan: Plan, slot: Slot, *, now: datetime) -> bool:
    """Writes down that this process takes it in, or that it is too late for that; false for all others."""
    late = now - (slot.wanted_at or slot.at) > CATCH_UP
    state = "missed" if late else "done"
    if slot.wanted_at is not None:
        wanted = _of(plan, slot) & (runs.c.state == "wanted")
        return bool(conn.execute(sa.update(runs).where(wanted).values(state=state, ran_at=now)).rowcount) and not late
    row = {"campaign_id": plan.id, "slot": _name(slot), "due_at": slot.at, "ran_at": now, "state": state}
    return database.insert_once(conn, runs, row) and not late


def _of(plan: Plan, slot: Slot) -> sa.ColumnElement[bool]:
    return (runs.c.campaign_id == plan.id) & (runs.c.slot == _name(slot))


# ------------------------------------------------------------------------------------------ what was missed
def missed(conn: sa.Connection, *, campaign_id: int | None = None) -> list[Missed]:
    """Moments nobody was there for, of campaigns that could still have them, the oldest first: a person decides
    whether they are still wanted."""
    held = tables.campaigns.c
    day = sa.cast(sa.func.left(runs.c.slot, 10), sa.Date)
    query = (
        sa.select(held.name.label("campaign"), day.label("day"), sa.func.min(runs.c.due_at).label("due_at"))
        .join(tables.campaigns, held.id == runs.c.campaign_id)
        .where(runs.c.state == "missed", held.state.in_(("sending", "paused")))
        .group_by(held.name, day)
        .order_by(day, held.name)
    )
    if campaign_id is not None:
        query = query.where(runs.c.campaign_id == campaign_id)
    return database.read(conn, query, Missed)


def decide(conn: sa.Connection, plan: Plan, day: date, *, wanted: bool, now: datetime) -> bool:
    """A missed moment is still wanted: the audience as it is then comes in within seconds. Or it is left. False if
    somebody decided already. Raises `Conflict` while the campaign does not run."""
    if wanted and plan.state != "sending":
        raise Conflict("not_sending", f"{plan.name} is {plan.state}: launch it first")
    of_day = (runs.c.campaign_id == plan.id) & runs.c.slot.startswith(f"{day.isoformat()} ", autoescape=True)
    state = "wanted" if wanted else "left"
    changed = sa.update(runs).where(of_day, runs.c.state == "missed").values(state=state, ran_at=now)
    return bool(conn.execute(changed).rowcount)


def _name(slot: Slot) -> str:
    return f"{slot.day.isoformat()} {slot.zone}"


def zones(conn: sa.Connection, zone: str) -> dict[str, tuple[str | None, ...] | None]:
    """The zones to look at, each with the values customers have for it; those of no known zone live in the shop's."""
    shop = policy.load(conn).timezone
    if zone != "customer":
        return {shop if zone == "shop" else zone: None}
    grouped: dict[str, list[str | None]] = defaultdict(list)
    for raw in conn.scalars(sa.select(customers.c.timezone).distinct()):
        grouped[str(eligibility.zone(raw, shop))].append(raw)
    return {name: tuple(raws) for name, raws in grouped.items()}


def audience(entry: Schedule | DateEntry, slot: Slot, *, now: datetime) -> sa.Select[Any]:
    """Whom a moment concerns, as `entering.enrol` wants them."""
    target = slot.day + timedelta(days=entry.days_before) if isinstance(entry, DateEntry) else slot.day
    query = sa.select(
        customers.c.id.label("customer_id"),
        sa.literal(target.isoformat(), sa.Text).label("entry_key"),
        sa.literal(slot.at, sa.DateTime(timezone=True)).label("happened_at"),
        sa.cast(sa.null(), sa.BigInteger).label("cart_ref"),
        sa.cast(sa.literal("{}", sa.Text), postgresql.JSONB).label("context"),
    ).where(customers.c.merged_into.is_(None), *_where(slot), *(_dated(entry, target)))
    if entry.audience is not None:
        query = query.where(customers.c.id.in_(segments.select(entry.audience, now=now)))
    return query


def _where(slot: Slot) -> Iterator[sa.ColumnElement[bool]]:
    if slot.raw is not None:
        named = [raw for raw in slot.raw if raw is not None]
        unknown = customers.c.timezone.is_(None) if None in slot.raw else sa.false()
        yield customers.c.timezone.in_(named) | unknown


def _dated(entry: Schedule | DateEntry, target: date) -> Iterator[sa.ColumnElement[bool]]:
    """Her trait holds this date; the 29th of February is kept on the 28th where there is none."""
    if not isinstance(entry, DateEntry):
        return
    held = customers.c.traits[entry.trait].astext
    if entry.every == "once":
        yield sa.func.left(held, 10) == target.isoformat()
        return
    days = [f"{target:%m-%d}"]
    if days == ["02-28"] and monthrange(target.year, 2)[1] == 28:
        days.append("02-29")
    yield sa.func.substring(held, r"^(?:[0-9]{4}-|--)?([0-9]{2}-[0-9]{2})").in_(days)
