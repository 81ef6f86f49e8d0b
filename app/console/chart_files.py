"""What the charts of every page but the reports' are drawn from, as tables for a spreadsheet. Each reads what its page
reads, so that both say the same."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from flask import Blueprint, Response, request

from app import security
from app.console import calendar, placements, quality, roles, segments, sheets, sources
from app.console.sheets import Row
from app.parts import current_parts
from campaigns import dry_runs, glances, members, offer_figures, offers, plans
from campaigns import segments as kept_segments
from campaigns.dry_runs import DryRun
from campaigns.glances import Glance
from campaigns.offer_figures import Figures
from foundation.errors import NotFound
from foundation.intervals import Interval
from recommender import results, runs
from recommender.predictions import expected
from recommender.results import Trial
from recommender.runs import RunLine
from shop import money

bp = Blueprint("chart_files", __name__, url_prefix="/charts")

LIFE = ("free", "reserved", "issued", "redeemed", "expired", "released", "leaked")


# ----------------------------------------------------------------------------------------------- campaigns
@bp.get("/campaign/<name>.csv")
@security.require_role(*roles.READ)
def campaign(name: str) -> Response:
    """A campaign at a glance: its steps, what it causes, and why messages did not leave."""
    with current_parts().db.begin() as conn:
        plan = plans.get(conn, name)
        glance = glances.of(conn, plan.id, now=datetime.now(UTC))
    return sheets.attached(_glance(glance), name)


def _glance(glance: Glance) -> Iterator[Row]:
    report, lift = glance.results, glance.results.lift
    yield "section", "what", "value", "low", "high"
    for what in ("enrolled", "planned", "sent", "clicked", "orders"):
        yield "step by step", what, getattr(report, what), None, None
    for what in ("treated", "treated_buyers", "held_out", "held_out_buyers"):
        yield "causes", what.replace("_", " "), getattr(lift, what), None, None
    yield "causes", "difference of the share of buyers", lift.difference, lift.low, lift.high
    for reason, number in glance.reasons:
        yield "not sent", reason or "no reason given", number, None, None


@bp.get("/dry-run/<name>/<int:number>.csv")
@security.require_role(*roles.READ)
def dry_run(name: str, number: int) -> Response:
    """What a dry run found: messages by hour and channel, people by step, and why messages and people did not go on."""
    with current_parts().db.begin() as conn:
        run = dry_runs.get(conn, plans.get(conn, name), number)
    return sheets.attached(_found(run), f"{name}-dry-run-{number}")


def _found(run: DryRun) -> Iterator[Row]:
    yield "section", "what", "channel", "number"
    yield from (("messages an hour", hour.isoformat(), channel, sends) for channel, hour, sends in run.hours)
    for section, part in (("step by step", "steps"), ("held back", "held"), ("ended", "left")):
        yield from ((section, what, "", number) for what, number in (run.outcome or {}).get(part, {}).items())


@bp.get("/calendar.csv")
@security.require_role(*roles.READ)
def month() -> Response:
    """A month of the calendar, a campaign and day a line: what left, what is expected, and moments to come."""
    found = calendar.asked(now=datetime.now(UTC))
    rows: list[Row] = [("day", "what", "campaign", "messages")]
    for day in found.days.values():
        rows += [(day.at.isoformat(), "left", plan.name, number) for plan, number in day.left]
        rows += [(day.at.isoformat(), "expected", plan.name, number) for plan, number in day.usual]
        rows += [(one.at.isoformat(), "moment to come", one.plan.name, None) for one in day.moments]
    return sheets.attached(rows, f"calendar-{found.first:%Y-%m}")


@bp.get("/pressure.csv")
@security.require_role(*roles.READ)
def pressure() -> Response:
    """What each segment told of got week by week, and what is planned for it."""
    found = calendar.pressed(request.args.get("segment", ""), now=datetime.now(UTC))
    rows: list[Row] = [("segment", "members", "week", "sent", "planned", "reached", "at the cap", "cap of a week")]
    for one in found.segments:
        for week in sorted(one.weeks.values(), key=lambda week: week.week):
            counts = (week.sent, week.planned, week.reached, week.at_cap, found.cap)
            rows.append((one.name, one.size, week.week.isoformat(), *counts))
    return sheets.attached(rows, "pressure")


# ------------------------------------------------------------------------------------------------ segments
@bp.get("/segment/<name>.csv")
@security.require_role(*roles.READ)
def segment_size(name: str) -> Response:
    """A segment's size of each day on which it changed, of the last thirty."""
    with current_parts().db.begin() as conn:
        found = members.sizes_since(conn, kept_segments.get(conn, name).id, since=segments.month_ago())
    return sheets.attached([("day", "customers"), *((day.isoformat(), size) for day, size in found)], name)


@bp.get("/overlap/<name>/<other>.csv")
@security.require_role(*roles.READ)
def overlap(name: str, other: str) -> Response:
    """Who is in one of two segments, in the other, in both."""
    with current_parts().db.begin() as conn:
        one, two = kept_segments.get(conn, name), kept_segments.get(conn, other)
        both = members.shared(conn, one.id, two.id)
    rows = ((f"{name} alone", (one.size or 0) - both), ("both", both), (f"{other} alone", (two.size or 0) - both))
    return sheets.attached([("part", "customers"), *rows], f"{name}-{other}")


# ---------------------------------------------------------------------------------- offers, events a minute
@bp.get("/offer/<name>.csv")
@security.require_role(*roles.EVERYONE)
def offer(name: str) -> Response:
    """The life of an offer's codes, and where they are used; money in units of its currency."""
    with current_parts().db.begin() as conn:
        kept = offers.get(conn, name)
        found, _ = offer_figures.of(conn, kept.id)
    return sheets.attached(_codes(found, kept.terms.currency), name)


def _codes(found: Figures, currency: str) -> Iterator[Row]:
    places = money.exponent(currency)
    yield "section", "what", "shop", "codes", "discount", "revenue"
    for stage in LIFE:
        yield "life", stage, None, int(getattr(found, stage)), None, None
    for place in found.places:
        amounts = (round(amount / 10**places, places) for amount in (place.discount, place.revenue))
        yield "used", place.channel, place.store_id, place.used, *amounts


@bp.get("/rates.csv")
@security.require_role(*roles.READ)
def rates() -> Response:
    """Events of the last hour, by source and minute."""
    names, counted = sources.last_hour()
    rows = (
        (one.minute.isoformat(), names.get(one.source_id, ""), one.accepted, one.repeated, one.refused)
        for one in counted
    )
    return sheets.attached([("minute", "source", "kept", "repeated", "refused"), *rows], "events-a-minute")


# -------------------------------------------------------------------------- predictions and recommendations
@bp.get("/predictions.csv")
@security.require_role(*roles.READ)
def predictions() -> Response:
    """What was foretold beside what came, a group of customers a line; amounts in minor units of the currency."""
    with current_parts().db.begin() as conn:
        run = expected.last_run(conn)
    rows: list[Row] = [("prediction", "customers", "foretold", "by day", "came")]
    for name, check in (run.calibration if run else {}).items():
        for group in check.get("groups", ()):
            rows.append((name, group["customers"], group.get("foretold"), group.get("by"), group["came"]))
    return sheets.attached(rows, "predictions")


@bp.get("/model/<int:run_id>.csv")
@security.require_role(*roles.READ)
def model(run_id: int) -> Response:
    """Everything a training run measured: each algorithm by each figure, what was compared, what each source found."""
    with current_parts().db.begin() as conn:
        found = runs.get(conn, run_id)
    if found is None:
        raise NotFound("There is no such run.")
    return sheets.attached(_measured(found), f"training-run-{run_id}")


def _measured(run: RunLine) -> Iterator[Row]:
    yield "section", "of", "figure", "value", "low", "high"
    for figure in quality.FIGURES:
        yield from _spans("everyone", figure, quality.rows(run, figure))
    for key, group in quality.groups(run).items():
        for figure in quality.IN_GROUPS:
            yield from _spans(key, figure, quality.group_rows(group, figure))
    for each in quality.compared(run):
        yield "compared", each.level, f"NDCG@10 beside {each.against}", each.mine - each.theirs, each.low, each.high
    for source in run.report.get("sources", ()):
        yield from (("sources", source["source"], part, source[part], None, None) for part in ("hits", "only", "reach"))


def _spans(section: str, figure: str, rows: Sequence[quality.Row]) -> Iterator[Row]:
    for row in rows:
        yield section, row.algorithm, figure, row.span.value, row.span.low, row.span.high


@bp.get("/placement/<name>.csv")
@security.require_role(*roles.READ)
def placement(name: str) -> Response:
    """The experiment of a placement that runs or ran last: both arms, and their difference."""
    with current_parts().db.begin() as conn:
        placements.known(conn, name)
        trials = [trial for trial in results.trials(conn, limit=100) if trial.placement == name]
    return sheets.attached(_arms(trials[:1]), name)


def _arms(trials: Sequence[Trial]) -> Iterator[Row]:
    yield "figure", "model", "popularity", "difference", "low", "high"
    for trial in trials:
        gaps: Mapping[str, Interval | None] = {
            "clickers": trial.clicks,
            "buyers": trial.buyers,
            "revenue": trial.revenue,
        }
        for what in ("customers", *gaps):
            gap: Any = gaps.get(what)
            apart = (gap.value, gap.low, gap.high) if gap else (None, None, None)
            yield what, getattr(trial.model, what), getattr(trial.popularity, what), *apart
