"""What campaigns will do next, by the calendar: the moments of schedules and dates to come, each day in its order."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, tzinfo

from campaigns import eligibility, timing
from campaigns.definitions.entries import Schedule, place
from campaigns.plans import Plan


@dataclass(frozen=True, slots=True)
class Moment:
    """A campaign takes its audience in: the day, the hour, and whose clock that is (empty: the one of the house)."""

    plan: Plan
    at: datetime
    zone: str


def moments(plans: Sequence[Plan], *, zone: str, now: datetime, until: datetime) -> list[Moment]:
    """Every moment from now on of these campaigns, in the order of time. Campaigns by a date of each customer's have
    one every day."""
    found = [one for plan in plans for one in _of(plan, eligibility.zone(zone), now=now, until=until)]
    return sorted(found, key=lambda one: one.at)


def following(plan: Plan, *, zone: str, now: datetime, until: datetime) -> Moment | None:
    """The next of them, if there is one."""
    return next(iter(moments([plan], zone=zone, now=now, until=until)), None)


def _of(plan: Plan, house: tzinfo, *, now: datetime, until: datetime) -> Iterator[Moment]:
    entry = plan.definition.entry
    if not isinstance(entry, Schedule) or plan.state not in ("sending", "draft", "paused"):
        return
    zone = house if entry.zone in ("shop", "customer") else place(entry.zone)
    first = max(now.astimezone(zone).date(), date.fromisoformat(entry.on))
    for day in _days(first, until.astimezone(zone).date()):
        at = datetime.combine(day, time.fromisoformat(entry.at), tzinfo=zone)
        over = plan.definition.ends_at is not None and at >= plan.definition.ends_at
        early = plan.definition.starts_at is not None and at < plan.definition.starts_at
        if at >= now and timing.falls(entry, day) and not over and not early:
            yield Moment(plan, at, "" if entry.zone == "shop" else entry.zone)


def _days(first: date, last: date) -> Iterator[date]:
    while first <= last:
        yield first
        first += timedelta(days=1)
