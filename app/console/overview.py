"""The first page: what needs attention, what the campaigns caused and earned, what happens now and what leaves next."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta

import sqlalchemy as sa
from flask import Blueprint, redirect, render_template, url_for
from werkzeug.wrappers import Response

from app import i18n, security, users
from app.console import attention, calendar, roles, time_charts, words
from app.console import customers as customer_pages
from app.console.time_charts import Series
from app.parts import current_parts
from campaigns import figures, plans, policy, upcoming
from campaigns.definitions import flow
from campaigns.definitions.steps import Ask, Send
from campaigns.insights import house
from campaigns.insights.house import House
from campaigns.plans import Plan
from shop import customers, events

bp = Blueprint("overview", __name__)

AHEAD = timedelta(days=7)
SHOWN = 8


@dataclass(frozen=True, slots=True)
class Next:
    """What leaves next: a moment of the calendar, or all day long (`at` is None), with about how many messages."""

    plan: Plan
    at: datetime | None
    channels: Sequence[str]
    about: int | None


@bp.get("/")
@security.require_role(*roles.EVERYONE)
def index() -> str | Response:
    """What a marketer sees first; a shop assistant is led to the shop's own page. Nothing is counted for it."""
    user, now = security.current_user(), datetime.now(UTC)
    if user and user.role == users.Role.STORE:
        return redirect(url_for("console.store.index"))
    with current_parts().db.begin() as conn:
        known = house.read(conn)
        points = attention.points(conn, known, now=now)
        coming = _coming(conn, now=now)
    return render_template(
        "console/overview/index.html",
        greeting=_greeting(user.name if user and user.name else "", len(points)),
        points=points,
        house=known,
        chart=_chart(known),
        coming=coming,
        now=now,
        words=words,
        **_live(),
    )


@bp.get("/live")
@security.require_role(*roles.READ)
def live() -> str:
    """The last events, asked for again every few seconds."""
    return render_template("console/overview/live.html", words=words, **_live())


def _live() -> dict[str, object]:
    with current_parts().db.begin() as conn:
        latest = events.latest(conn, limit=SHOWN)
        people = customers.get_many(conn, {event.customer_id for event in latest if event.customer_id})
    return {"latest": latest, "people": people, "name": customer_pages.name}


def _greeting(name: str, points: int) -> str:
    hello = i18n.gettext("Hello %(name)s.", name=name.split(" ")[0]) if name else i18n.gettext("Hello.")
    if not points:
        return f"{hello} " + i18n.gettext("Nothing needs your attention.")
    return f"{hello} " + i18n.ngettext("%(n)s thing needs your attention.", "%(n)s things need your attention.", points)


# ------------------------------------------------------------------------------------------------ what was earned
def _chart(known: House | None) -> time_charts.Chart | None:
    """Money credited and caused, evening after evening; None until two evenings are known."""
    if known is None or not known.days:
        return None
    days = [day.day for day in known.days] + [known.at.astimezone(i18n.zone()).date()]
    caused = [day.caused for day in known.days] + [known.caused]
    told = [gap for gap in caused if gap]
    credited = [day.attributed for day in known.days] + [known.attributed]
    series = [Series(i18n.gettext("Attributed"), "c5 dash", credited)]
    if told:
        middle = [gap.value if gap else None for gap in caused]
        band = [(gap.low, gap.high) if gap else None for gap in caused]
        series.append(Series(i18n.gettext("Caused"), "c1", middle, band))
    return time_charts.draw(days, series)


# ------------------------------------------------------------------------------------------------ what leaves next
def _coming(conn: sa.Connection, *, now: datetime) -> list[Next]:
    """Campaigns that run all the time with their usual day, then the moments of the calendar, in order."""
    running = plans.running(conn, now=now)
    known, zone = figures.of(conn, [plan.id for plan in running]), policy.load(conn).timezone
    today = now.astimezone(i18n.zone()).date()
    all_day = [
        Next(plan, None, _channels(plan), calendar.usual(known[plan.id].days, today) if plan.id in known else None)
        for plan in running
        if plan.definition.entry.type != "schedule"
    ]
    moments = upcoming.moments(running, zone=zone, now=now, until=datetime.combine(today + AHEAD, time(), tzinfo=UTC))
    dated = [Next(one.plan, one.at, _channels(one.plan), None) for one in moments]
    return [*sorted(all_day, key=lambda one: -(one.about or 0))[:SHOWN], *dated[:SHOWN]]


def _channels(plan: Plan) -> list[str]:
    """The channels a campaign says something on, each once, in the order of its steps."""
    steps = [step for _, step in flow.walk(plan.definition.steps) if isinstance(step, Send | Ask)]
    return list(dict.fromkeys(str(getattr(step, "channel", "email")) for step in steps))
