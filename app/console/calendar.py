"""The calendar of sends: what left each day, what will, and how pressed the segments are."""

import re
from calendar import monthcalendar
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from flask import Blueprint, render_template, request

from app import i18n, security
from app.console import pressure_charts, roles, words
from app.i18n import N_
from app.parts import current_parts
from campaigns import figures, plans, policy, segments, upcoming
from campaigns import pressure as campaign_pressure
from campaigns.plans import Plan
from campaigns.pressure import Pressure
from foundation import format

bp = Blueprint("calendar", __name__, url_prefix="/campaigns/calendar")


@dataclass(slots=True)
class Day:
    """One day of the calendar: what left, by campaign, and what will."""

    at: date
    left: list[tuple[Plan, int]] = field(default_factory=list)
    usual: list[tuple[Plan, int]] = field(default_factory=list)
    moments: list[upcoming.Moment] = field(default_factory=list)

    @property
    def total(self) -> int:
        """Messages that left."""
        return sum(number for _, number in self.left)

    @property
    def expected(self) -> int:
        """Messages of campaigns that run all the time, if the day is like others."""
        return sum(number for _, number in self.usual)


@dataclass(frozen=True, slots=True)
class Month:
    """A month, its first day, its days by their number, and the day it is now where the shop is."""

    first: date
    days: Mapping[int, Day]
    today: date


@bp.get("")
@security.require_role(*roles.READ)
def show() -> str:
    """A month: what left each day, what will, and how pressed the segments are."""
    month = asked(now=datetime.now(UTC))
    first, days = month.first, month.days
    return render_template(
        "console/campaigns/calendar.html",
        weeks=[[days.get(number) for number in week] for week in monthcalendar(first.year, first.month)],
        heads=[format.date(date(2024, 1, day), i18n.locale(), style="weekday") for day in range(1, 8)],
        first=first,
        before=(first - timedelta(days=1)).strftime("%Y-%m"),
        after=(first + timedelta(days=32)).strftime("%Y-%m"),
        most=max([1, *(max(day.total, day.expected) for day in days.values())]),
        today=month.today,
        words=words,
        **_pressure(now=datetime.now(UTC)),
    )


@bp.get("/pressure")
@security.require_role(*roles.READ)
def pressure() -> str:
    """The weeks of one segment, which was chosen."""
    return render_template("console/campaigns/pressure.html", words=words, **_pressure(now=datetime.now(UTC)))


@dataclass(frozen=True, slots=True)
class Pressed:
    """The segments told of, the name of the one asked for, what is told of it once it was counted, the weeks, this one,
    and the messages a week the cap allows."""

    segments: Sequence[Pressure]
    asked: str
    chosen: Pressure | None
    weeks: Sequence[date]
    this: date
    cap: float


def pressed(name: str, *, now: datetime) -> Pressed:
    """The most pressed segments, and the one of this name, or the first if there is none; from kept figures alone."""
    with current_parts().db.begin() as conn:
        rules = policy.load(conn)
        weeks = campaign_pressure.told(rules, now=now)
        found = campaign_pressure.most(conn, since=weeks[0], also=name)
        known = segments.find(conn, name) is not None
    asked = name if known or not found else found[0].name
    chosen = next((one for one in found if one.name == asked), None)
    return Pressed(found, asked, chosen, weeks, weeks[campaign_pressure.BACK], campaign_pressure.weekly_cap(rules))


def _pressure(*, now: datetime) -> dict[str, Any]:
    found = pressed(request.args.get("segment", ""), now=now)
    with current_parts().db.begin() as conn:
        rules = policy.load(conn)
        every = [(one.name, one.title) for one in segments.every(conn)]
    return {
        "pressed": found,
        "drawn_weeks": pressure_charts.draw(found.chosen, found.weeks, cap=found.cap) if found.chosen else None,
        "shade": pressure_charts.shade,
        "cap": rules,
        "every_segment": every,
    }


def asked(*, now: datetime) -> Month:
    """The month the address line asks for, else this one; from kept figures alone."""
    with current_parts().db.begin() as conn:
        zone = policy.load(conn).timezone
        found = plans.every(conn)
        known = figures.of(conn, [plan.id for plan in found])
    today = now.astimezone(ZoneInfo(zone)).date()
    first = _month(request.args.get("month", ""), today)
    return Month(first, _days(found, known, first, today=today, zone=zone, now=now), today)


def _month(text: str, today: date) -> date:
    found = re.fullmatch(r"(20\d\d)-(0[1-9]|1[0-2])", text)
    return date(int(found[1]), int(found[2]), 1) if found else today.replace(day=1)


def _days(
    found: Sequence[Plan],
    known: Mapping[int, figures.Figures],
    first: date,
    *,
    today: date,
    zone: str,
    now: datetime,
) -> dict[int, Day]:
    """The days of a month by their number."""
    end = (first + timedelta(days=32)).replace(day=1)
    days = {n + 1: Day(first + timedelta(days=n)) for n in range((end - first).days)}
    for plan in found:
        counted = known[plan.id].days if plan.id in known else {}
        for day in days.values():
            if left := counted.get(day.at.isoformat(), 0):
                day.left.append((plan, left))
            elif day.at > today and plan.state == "sending" and plan.definition.entry.type != "schedule":
                day.usual.append((plan, usual(counted, today)))
    until = datetime(end.year, end.month, 1, tzinfo=ZoneInfo(zone))
    for moment in upcoming.moments(found, zone=zone, now=now, until=until):
        local = moment.at.date()
        if first <= local < end:
            days[local.day].moments.append(moment)
    return days


def usual(counted: Mapping[str, int], today: date) -> int:
    """Messages of a usual day: the mean of the last seven."""
    return round(sum(counted.get((today - timedelta(days=back)).isoformat(), 0) for back in range(1, 8)) / 7)


@bp.context_processor
def _context() -> dict[str, Any]:
    return {
        "short_day": lambda day: format.date(datetime.combine(day, time(12)), i18n.locale(), style="short", zone=UTC),
        "long_day": lambda day: format.date(day, i18n.locale(), style="weekday_long"),
        "month_name": _month_name,
    }


def _month_name(first: date) -> str:
    months = (
        *(N_("January"), N_("February"), N_("March"), N_("April"), N_("May"), N_("June")),
        *(N_("July"), N_("August"), N_("September"), N_("October"), N_("November"), N_("December")),
    )
    return f"{i18n.gettext(months[first.month - 1])} {first.year}"
