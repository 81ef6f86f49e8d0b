"""Reports: what a campaign did, earned and caused, each figure with how sure it is; and what to do about it."""

from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from flask import Blueprint, Response, flash, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as BaseResponse

from app import filters, i18n, security
from app.console import paging, report_charts, report_file, report_words, roles, sheets, words
from app.parts import current_parts
from campaigns import figures, glances, ledger, plans, reports
from campaigns.evidence import sequences, verdicts, winners
from campaigns.evidence.measures import Scope
from campaigns.evidence.verdicts import Lift
from campaigns.evidence.winners import Standing
from campaigns.insights import house
from campaigns.reports import Report
from foundation import format
from foundation.intervals import Interval

bp = Blueprint("reports", __name__, url_prefix="/reports")


@bp.get("")
@security.require_role(*roles.READ)
def index() -> str:
    """Every campaign that was launched, and what all of them together cause, as it was counted last."""
    with current_parts().db.begin() as conn:
        launched = [plan for plan in plans.every(conn) if plan.launched_at]
        known = figures.of(conn, [plan.id for plan in launched])
        all_ = house.read(conn)
    currency = all_.currency if all_ else None
    return render_template(
        "console/reports/index.html",
        plans=launched,
        known=known,
        house=all_,
        lift=all_.everyone if all_ else verdicts.Lift(),
        words=words,
        currency=currency,
        **_said(currency),
    )


@bp.get("/campaigns.csv")
@security.require_role(*roles.READ)
def every_as_csv() -> Response:
    """Each launched campaign as it was counted last, for a spreadsheet."""
    with current_parts().db.begin() as conn:
        launched = [plan for plan in plans.every(conn) if plan.launched_at]
        known = figures.of(conn, [plan.id for plan in launched])
    rows = report_file.compared((plan.name, plan.state, known.get(plan.id)) for plan in launched)
    return sheets.attached(rows, "campaigns")


@bp.get("/<name>")
@security.require_role(*roles.READ)
def show(name: str) -> str:
    """One campaign's report. That of a large one comes after its page, which says that it is being worked out."""
    now, scope = datetime.now(UTC), _scope()
    with current_parts().db.begin() as conn:
        plan = plans.get(conn, name)
        if "whole" not in request.args and glances.large(conn, plan.id):
            asked: dict[str, Any] = paging.asked() | {"whole": "1"}
            whole = url_for(".show", name=name, **asked)
            return render_template("console/reports/counting.html", plan=plan, whole=whole)
        report = reports.full(conn, plan, scope=scope, now=now)
        total = ledger.total(ledger.sums(conn, campaign_id=plan.id))
    return render_template(
        "console/reports/show.html",
        plan=plan,
        report=report,
        total=total,
        words=words,
        now=now,
        bought=_shares(report.lift),
        gaps=_gaps(report),
        tests=[_test(one, report, now=now) for one in report.experiments],
        days=report_charts.days([(day.day, day.net) for day in report.earned.days]),
        channels=_channels(report),
        tones=report_charts.CHANNELS,
        currency=report.earned.currency,
        **_said(report.earned.currency),
        asked=paging.asked(),
    )


@bp.get("/<name>/report.csv")
@security.require_role(*roles.READ)
def as_csv(name: str) -> Response:
    """The same figures for a spreadsheet."""
    with current_parts().db.begin() as conn:
        plan = plans.get(conn, name)
        report = reports.full(conn, plan, scope=_scope(), now=datetime.now(UTC))
    return sheets.attached(report_file.table(report, plan.name), name)


@bp.post("/<name>/experiments/<step>/winner")
@security.require_role(*roles.CHANGE)
def settle(name: str, step: str) -> BaseResponse:
    """Leads newcomers to a variant from now on."""
    user, variant = security.current_user(), request.form.get("variant", "")
    with current_parts().db.begin() as conn:
        plan = plans.get(conn, name)
        winners.name(conn, plan, step, variant, by=user.email if user else "", now=datetime.now(UTC))
    said = i18n.gettext(
        "Newcomers get “%(variant)s” from now on. Who was drawn already goes on as before.", variant=variant
    )
    flash(said)
    return redirect(url_for(".show", name=name, _anchor=f"test-{step}"), code=303)


@bp.post("/<name>/experiments/<step>/undo")
@security.require_role(*roles.CHANGE)
def unsettle(name: str, step: str) -> BaseResponse:
    """Draws newcomers again."""
    user = security.current_user()
    with current_parts().db.begin() as conn:
        plan = plans.get(conn, name)
        winners.undo(conn, plan, step, by=user.email if user else "", now=datetime.now(UTC))
    flash(i18n.gettext("Newcomers are drawn by chance again."))
    return redirect(url_for(".show", name=name, _anchor=f"test-{step}"), code=303)


def _scope() -> Scope:
    """The entries asked for, by day on the reader's clock; what is no day or number is as if it were not asked."""
    since, until = _day("from"), _day("until")
    version = request.args.get("version", type=int)
    return Scope(since, until + timedelta(days=1) if until else None, version)


def _day(name: str) -> datetime | None:
    try:
        day = datetime.fromisoformat(request.args.get(name, "")).date()
    except ValueError:
        return None
    return datetime.combine(day, time(), tzinfo=i18n.zone())


def _said(currency: str | None) -> Mapping[str, Any]:
    """What the templates say figures with."""
    return {
        "say": report_words,
        "least": sequences.LEAST_BUYERS,
        "day_of": _day_of,
        "reach": lambda gap: _reach(gap, "sales", currency),
        "tell": lambda goal, value: report_words.Amounts(goal, currency).said(value),
    }


def _day_of(day: date) -> str:
    return format.date(datetime.combine(day, time(12), tzinfo=UTC), i18n.locale(), style="short", zone=UTC)


def _reach(gap: Interval | None, goal: str, currency: str | None) -> str:
    """From where to where an interval runs; what is missing if there is none."""
    if gap is None:
        return i18n.gettext("not conclusive yet")
    tell = report_words.Amounts(goal, currency)
    return i18n.gettext("from %(low)s to %(high)s, at 95%%", low=tell.said(gap.low), high=tell.said(gap.high))


def _shares(lift: Lift) -> report_charts.Panel | None:
    """Buyers of both groups on one axis, as percentages."""
    arms = ((i18n.gettext("Written to"), lift.treated, "c1"), (i18n.gettext("Left alone"), lift.held_out, "c5"))
    found = []
    for name, arm, tone in arms:
        share = sequences.mean(arm.bought)
        if share:
            low, high = max(0.0, share.low), min(1.0, share.high)
            people = i18n.ngettext("%(n)s customer", "%(n)s customers", arm.people)
            found.append((name, people, Interval(low, share.value, high), tone))
    return report_charts.panel(found, start=110, end=528)


def _gaps(report: Report) -> list[dict[str, Any]]:
    """Each difference as a line: its name, drawn, said, judged."""
    lift, currency = report.lift, report.earned.currency
    names = (
        ("bought", i18n.gettext("Buyers")),
        ("orders", i18n.gettext("Orders")),
        ("sales", i18n.gettext("Sales")),
        ("margin", i18n.gettext("Margin")),
    )
    lines = []
    for figure, name in names:
        gap: Interval | None = getattr(lift, figure)
        tell = report_words.Amounts(figure, currency)
        lines.append(
            {
                "name": name,
                "gap": gap,
                "drawn": report_charts.zeroed(gap, start=54, end=226) if gap else None,
                "value": tell.said(gap.value, signed=True) if gap else "",
                "low": tell.said(gap.low, signed=True) if gap else "",
                "high": tell.said(gap.high, signed=True) if gap else "",
                "verdict": report_words.verdict(gap),
            }
        )
    return lines


def _test(one: Standing, report: Report, *, now: datetime) -> dict[str, Any]:
    """An experiment as the page shows it."""
    measure, currency = verdicts.MEASURE[one.verdict.goal], report.earned.currency
    found = []
    for number, (name, arm) in enumerate(one.arms.items()):
        interval = sequences.mean(getattr(arm, measure))
        if interval:
            buyers = i18n.gettext(
                "%(people)s customers, %(buyers)s buyers (%(share)s)",
                people=filters.number(arm.people),
                buyers=filters.number(arm.buyers),
                share=filters.percent(arm.share),
            )
            found.append((name, buyers, interval, f"c{1 + number % 5}"))
    return {
        "one": one,
        "panel": report_charts.panel(found, start=210, end=610),
        "goal": i18n.gettext(report_words.GOALS[one.verdict.goal]),
        "settled": report_words.settled(one),
        "lacking": report_words.lacking(one.verdict, report_words.pace(report, now=now)),
        "differences": report_words.differences(one, money=currency),
        "tell": report_words.Amounts(one.verdict.goal, currency).said,
    }


def _channels(report: Report) -> list[dict[str, Any]]:
    """Orders credited by source channel, shops beneath theirs."""
    found: dict[str, dict[str, Any]] = {}
    for place in report.earned.places:
        line = found.setdefault(
            place.channel, {"channel": place.channel, "orders": 0, "gross": 0, "returned": 0, "net": 0, "stores": []}
        )
        for name in ("orders", "gross", "returned", "net"):
            line[name] += getattr(place, name)
        if place.store:
            line["stores"].append(place)
    total = sum(line["net"] for line in found.values()) or 1
    ordered = sorted(found.values(), key=lambda line: -int(line["net"]))
    return [line | {"share": line["net"] / total} for line in ordered]
