"""What a campaign would do: replayed on the last days by a job, for everybody or for one; and who moves to a newer
version."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa
from flask import Blueprint, flash, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from app import i18n, security
from app.console import charts, journey_words, roles, words
from app.console import customers as customer_pages
from app.parts import current_parts
from campaigns import drafts, dry_runs, experiments, moving, offer_forecast, plans
from campaigns.definitions import campaign as definitions
from campaigns.definitions import edits
from campaigns.dry_runs import DryRun
from foundation.errors import Conflict, Invalid
from shop import customers

bp = Blueprint("rehearsals", __name__, url_prefix="/campaigns")

DAYS = (7, 30, 90)
SERIES = ("c1", "c2", "c3", "c4", "c6")
WIDE, HIGH, LEFT, FOOT, NAME = 960, 180, 44, 22, 48
HOUR = timedelta(hours=1)
MOST_BARS = 24 * 8
"""Bars side by side; with more days each stands for several hours."""


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar of the chart: its channel's colour, and where it stands."""

    tone: str
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Chart:
    """Sends per hour, stacked by channel. `step` is how many hours a bar stands for, `rows` the same as figures."""

    bars: list[Bar]
    lines: list[tuple[float, int]]
    days: list[tuple[float, datetime]]
    channels: list[tuple[str, str, int]]
    step: int
    most: int
    most_at: datetime | None


@bp.get("/<name>/dry-run")
@security.require_role(*roles.READ)
def show(name: str) -> str:
    """The last run, or the one asked for; while it is being made the page asks again."""
    with current_parts().db.begin() as conn:
        plan = plans.get(conn, name)
        draft = drafts.of(conn, plan)
        run = _run(conn, plan)
        person = customers.get_many(conn, [run.customer_id]).get(run.customer_id) if run and run.customer_id else None
        needs = offer_forecast.compare(conn, dry_runs.codes_wanted(run))
    template = "dry-run-result" if request.headers.get("HX-Request") else "dry-run"
    said = _sentences(run.definition if run else draft.definition)
    return render_template(
        f"console/campaigns/{template}.html",
        plan=plan,
        run=run,
        outcome=run.outcome if run else None,
        fresh=run is not None and run.fingerprint == drafts.fingerprint(draft.definition),
        chart=chart(run.hours, since=run.asked_at - timedelta(days=run.days), until=run.asked_at) if run else None,
        choices=DAYS,
        person=person,
        person_name=customer_pages.name(person) if person else "",
        needs=needs,
        treated=experiments.TREATED,
        said=said,
        words=words,
    )


def _run(conn: sa.Connection, plan: plans.Plan) -> DryRun | None:
    number = request.args.get("run", type=int)
    return dry_runs.get(conn, plan, number) if number else dry_runs.last(conn, plan)


def _sentences(definition: dict[str, Any]) -> dict[str, str]:
    found = edits.walk(edits.trimmed(definition))
    return {one.step["id"]: journey_words.plain(journey_words.step(one.step)[1]) for one in found}


@bp.post("/<name>/dry-run")
@security.require_role(*roles.READ)
def ask(name: str) -> Response:
    """Asks for a run of what is written now; a job makes it."""
    user, days = security.current_user(), request.form.get("days", DAYS[0], type=int)
    with current_parts().db.begin() as conn:
        plan = plans.get(conn, name)
        try:
            written = definitions.parse(drafts.of(conn, plan).definition)
        except Invalid as refused:
            raise Conflict("faults", str(refused)) from None
        number = dry_runs.ask(
            conn,
            plan,
            written,
            days=days if days in DAYS else DAYS[0],
            customer_id=request.form.get("customer", type=int),
            by=user.email if user else "",
            now=datetime.now(UTC),
        )
    return redirect(url_for(".show", name=name, run=number), code=303)


@bp.get("/<name>/dry-run/of")
@security.require_role(*roles.READ)
def of_person(name: str) -> str:
    """Asks before a run for one customer is made, who was picked as one typed."""
    chosen = request.args.get("customer", type=int)
    with current_parts().db.begin() as conn:
        plan = plans.get(conn, name)
        person = customers.get_many(conn, [chosen]).get(chosen) if chosen else None
    return render_template(
        "console/campaigns/dry-run-person.html",
        plan=plan,
        person=person,
        person_name=customer_pages.name(person) if person else "",
        choices=DAYS,
        words=words,
    )


# --------------------------------------------------------------------------------------------------- chart
def chart(hours: Sequence[tuple[str, datetime, int]], *, since: datetime, until: datetime) -> Chart:
    """The bars of a run; hours are put together where there would be too many bars."""
    first = since.replace(minute=0, second=0, microsecond=0)
    span = max(1, int((max([until, *(hour for _, hour, _ in hours)]) - first) / HOUR) + 1)
    step = max(1, -(-span // MOST_BARS))
    totals: dict[str, int] = {}
    stacked: dict[int, dict[str, int]] = {}
    for channel, hour, number in hours:
        slot = stacked.setdefault(int((hour - first) / HOUR) // step, {})
        slot[channel] = slot.get(channel, 0) + number
        totals[channel] = totals.get(channel, 0) + number
    most = max((sum(slot.values()) for slot in stacked.values()), default=0)
    tones = {channel: SERIES[number % len(SERIES)] for number, channel in enumerate(sorted(totals))}
    up = charts.Scale(0, max(1, most), 0, HIGH - FOOT - 8)
    across = charts.Scale(0, -(-span // step), LEFT, WIDE)
    peak = max(stacked, key=lambda slot: sum(stacked[slot].values()), default=None)
    return Chart(
        bars=list(_bars(stacked, tones, across, up)),
        lines=[(HIGH - FOOT - up.at(value), value) for value in sorted({0, most // 2, most})],
        days=_days(first, until, step, across),
        channels=[(channel, tones[channel], totals[channel]) for channel in sorted(totals)],
        step=step,
        most=most,
        most_at=None if peak is None else first + peak * step * HOUR,
    )


def _bars(
    stacked: dict[int, dict[str, int]], tones: dict[str, str], across: charts.Scale, up: charts.Scale
) -> Sequence[Bar]:
    bars = []
    wide = max(1.5, across.at(1) - across.at(0) - 1)
    for slot, channels in sorted(stacked.items()):
        top: float = HIGH - FOOT
        for channel in sorted(channels):
            height = up.at(channels[channel])
            top -= height
            bars.append(Bar(tones[channel], across.at(slot), round(top, 1), round(wide, 1), height))
    return bars


def _days(first: datetime, until: datetime, step: int, across: charts.Scale) -> list[tuple[float, datetime]]:
    """Where a day is named: at most eight of them."""
    days = max(1, (until - first).days)
    every = max(1, -(-days // 7))
    named = [first + timedelta(days=n) for n in range(0, days + 1, every)]
    placed = [(across.at((day - first) / HOUR / step), day) for day in named]
    return [(x, day) for x, day in placed if x <= WIDE - NAME]


# --------------------------------------------------------------------------------------------------- moves
@bp.get("/<name>/move")
@security.require_role(*roles.READ)
def moves(name: str) -> str:
    """What moving those under way to the newest version would do to them."""
    with current_parts().db.begin() as conn:
        plan = plans.get(conn, name)
        preview = moving.preview(conn, plan)
    return render_template("console/campaigns/move.html", plan=plan, moves=preview, words=words)


@bp.post("/<name>/move")
@security.require_role(*roles.CHANGE)
def move(name: str) -> Response:
    """Moves them, as the preview said at this moment."""
    now = datetime.now(UTC)
    with current_parts().db.begin() as conn:
        plan = plans.get(conn, name)
        moved = moving.move(conn, plan, moving.preview(conn, plan), now=now)
    flash(i18n.ngettext("%(n)s customer was moved.", "%(n)s customers were moved.", moved))
    return redirect(url_for("console.campaigns.show", name=name), code=303)
