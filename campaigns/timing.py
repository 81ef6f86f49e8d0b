"""Moments of campaigns that go by the calendar: which day of which zone is due, each once; pure but for `run_due`."""

from calendar import monthrange
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, tzinfo
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from campaigns import eligibility, entering, policy, segments, tables
from campaigns.definitions.entries import DateEntry, Schedule, place
from campaigns.plans import Plan
from foundation import database
from shop.tables import customers

CATCH_UP = timedelta(hours=2)
"""A moment missed by more than this is not made up for: it is kept as missed, and shown."""
LOOK_BACK = 2
"""Days in which a moment may still be due somewhere."""


@dataclass(frozen=True, slots=True)
class Slot:
    """One day's moment in one zone. `raw` are the time zones of customers it is for; None: everybody."""

    day: date
    zone: str
    at: datetime
    raw: tuple[str | None, ...] | None


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
    """The slots of this campaign that have come and were not dealt with yet."""
    found_in = zones(conn, entry.zone)
    since = max(filter(None, (plan.launched_at, plan.definition.starts_at)), default=now)
    found = slots(entry, found_in, since=since, now=now)
    if not found:
        return []
    runs = tables.campaign_runs
    names = [_name(slot) for slot in found]
    dealt = set(conn.scalars(sa.select(runs.c.slot).where(runs.c.campaign_id == plan.id, runs.c.slot.in_(names))))
    return [slot for slot in found if _name(slot) not in dealt]


def take_in(conn: sa.Connection, plan: Plan, entry: Schedule | DateEntry, slot: Slot, *, now: datetime) -> int:
    """The audience as it is at this instant, frozen and enrolled by one statement; the same slot again is nothing."""
    late = now - slot.at > CATCH_UP
    row = {"campaign_id": plan.id, "slot": _name(slot), "due_at": slot.at, "ran_at": now}
    if not database.insert_once(conn, tables.campaign_runs, row | {"state": "missed" if late else "done"}) or late:
        return 0
    chosen = audience(entry, slot, now=now)
    number = entering.enrol(conn, plan, chosen.subquery("chosen"), once=True, now=now)
    runs = tables.campaign_runs
    mine = (runs.c.campaign_id == plan.id) & (runs.c.slot == _name(slot))
    conn.execute(sa.update(runs).where(mine).values(enrolled=number))
    return number


def missed(conn: sa.Connection, campaign_id: int) -> Sequence[sa.RowMapping]:
    """Moments nobody was there for, the youngest first: a person decides whether they are still wanted."""
    runs = tables.campaign_runs
    query = sa.select(runs).where(runs.c.campaign_id == campaign_id, runs.c.state == "missed")
    return conn.execute(query.order_by(runs.c.due_at.desc()).limit(20)).mappings().all()


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
