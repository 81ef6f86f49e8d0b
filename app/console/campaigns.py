"""The campaigns: what each does, what it earned, and how its mail looks for a given customer."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from functools import partial
from typing import Any
from uuid import UUID

import orjson
import sqlalchemy as sa
from flask import Blueprint, Response, flash, redirect, render_template, request, url_for
from markupsafe import escape
from werkzeug.wrappers import Response as BaseResponse

from app import filters, i18n, security
from app.console import campaign_list, charts, journeys, mails, meanwhile, roles, sentences, words
from app.console import customers as customer_pages
from app.console.forms import Form
from app.parts import current_parts
from campaigns import (
    audit,
    drafts,
    figures,
    files,
    glances,
    guards,
    latecomers,
    launching,
    layouts,
    overdue,
    plans,
    policy,
    previews,
    reports,
    surveys,
    timing,
    webhooks,
)
from campaigns.definitions import flow
from campaigns.definitions.steps import Ask, Send
from campaigns.experiments import Lift
from campaigns.plans import Plan
from campaigns.wording import WordingError
from foundation import format
from foundation.errors import Conflict, Fault, Invalid, NotFound
from shop import customers

bp = Blueprint("campaigns", __name__, url_prefix="/campaigns")


@dataclass(frozen=True, slots=True)
class Stage:
    """One line of the funnel: how many came so far, as a number and as a share of those treated."""

    word: str
    number: int
    share: float


@bp.get("")
@security.require_role(*roles.READ)
def index() -> str:
    """A page of campaigns with what each will do next and how it does."""
    return campaign_list.page()


@bp.get("/<name>")
@security.require_role(*roles.READ)
def show(name: str) -> str:
    """One campaign: its results first, then what it says, and its messages as a customer gets them."""
    return _page(name)


@bp.get("/<name>/file")
@security.require_role(*roles.READ)
def as_file(name: str) -> str:
    """The campaign as a file says it."""
    with current_parts().db.begin() as conn:
        said = _file(conn, plans.get(conn, name))
    return _file_page(name, meanwhile.opened(said))


@bp.post("/<name>/file")
@security.require_role(*roles.CHANGE)
def apply_file(name: str) -> BaseResponse | tuple[str, int]:
    """Applies what was written, all of it or nothing; each fault is shown with its place."""
    text, sent, user = request.form.get("file", ""), request.form.to_dict(), security.current_user()
    by = (user.name or user.email) if user else ""
    try:
        with current_parts().db.begin() as conn:
            meanwhile.turn(conn, "campaign", name)
            plan, put = plans.get(conn, name), partial(drafts.put, by=by)
            if clash := meanwhile.clash(_file(conn, plan), sent):
                return _file_page(name, clash), 409
            before = drafts.of(conn, plan).revision
            changed = files.apply(conn, files.read(text.encode()), put=put, now=datetime.now(UTC))
            drafted = drafts.of(conn, plan).revision != before
    except Invalid as refused:
        return _file_page(name, Form(sent), refused.faults), 422
    if drafted:
        flash(i18n.gettext("It runs: what you wrote is its draft, to be launched once you have looked at it."))
        return redirect(url_for("console.builder.show", name=name), code=303)
    flash(i18n.gettext("Applied.") if changed else i18n.gettext("It says what stood already: nothing changed."))
    return redirect(url_for(".as_file", name=name), code=303)


def _file(conn: sa.Connection, plan: Plan) -> Form:
    """What stands now; of one that runs, its draft, for that is what a file would change."""
    said = files.dump(plan)
    if plan.state == "sending" and (draft := drafts.of(conn, plan)).revision:
        said = {"campaigns": [{"name": plan.name, **draft.definition}]}
    return Form({"file": orjson.dumps(said, option=orjson.OPT_INDENT_2).decode()})


def _file_page(name: str, form: Form, faults: Sequence[Fault] = ()) -> str:
    said = [(fault.pointer, sentences.said(fault.detail)) for fault in faults]
    with current_parts().db.begin() as conn:
        plan = plans.get(conn, name)
    return render_template("console/campaigns/file.html", plan=plan, form=form, faults=said, words=words)


@bp.post("/<name>/launch")
@security.require_role(*roles.CHANGE)
def launch(name: str) -> BaseResponse:
    """Starts it, or takes it up again."""
    parts, now = current_parts(), datetime.now(UTC)
    with parts.db.begin() as conn:
        launching.launch(conn, plans.get(conn, name), press=parts.press(), now=now)
    flash(i18n.gettext("It runs."))
    return redirect(url_for(".show", name=name), code=303)


@bp.post("/<name>/pause")
@security.require_role(*roles.CHANGE)
def pause(name: str) -> BaseResponse:
    """Nothing more leaves until it is taken up again."""
    with current_parts().db.begin() as conn:
        flying = plans.pause(conn, name, now=datetime.now(UTC))
    flash(_stopped(i18n.gettext("Paused."), flying))
    return redirect(url_for(".show", name=name), code=303)


@bp.post("/<name>/overdue")
@security.require_role(*roles.CHANGE)
def decide_overdue(name: str) -> BaseResponse:
    """What should have gone out long ago is still wanted, or not any more."""
    now, wanted = datetime.now(UTC), request.form.get("wanted") == "yes"
    with current_parts().db.begin() as conn:
        plan = plans.get(conn, name)
        number = overdue.send(conn, plan.id, now=now) if wanted else overdue.drop(conn, plan.id, now=now)
    if wanted:
        flash(i18n.ngettext("%(n)s message goes out now.", "%(n)s messages go out now.", number))
    else:
        flash(i18n.ngettext("%(n)s message was dropped.", "%(n)s messages were dropped.", number))
    return redirect(url_for(".show", name=name), code=303)


@bp.post("/<name>/missed")
@security.require_role(*roles.CHANGE)
def decide_missed(name: str) -> BaseResponse:
    """A moment nobody was there for is still wanted, or is left."""
    now, wanted = datetime.now(UTC), request.form.get("wanted") == "yes"
    try:
        day = date.fromisoformat(request.form.get("day", ""))
    except ValueError:
        raise NotFound("no such day") from None
    with current_parts().db.begin() as conn:
        decided = timing.decide(conn, plans.get(conn, name), day, wanted=wanted, now=now)
    if not decided:
        flash(i18n.gettext("Somebody decided on it already."))
    else:
        flash(i18n.gettext("It runs within seconds, for who is meant now.") if wanted else i18n.gettext("It is left."))
    return redirect(url_for(".show", name=name), code=303)


@bp.post("/<name>/latecomers")
@security.require_role(*roles.CHANGE)
def decide_latecomers(name: str) -> BaseResponse:
    """Who came too late to enter is let in all the same, or is left."""
    now, wanted = datetime.now(UTC), request.form.get("wanted") == "yes"
    with current_parts().db.begin() as conn:
        plan = plans.get(conn, name)
        number = latecomers.let_in(conn, plan, now=now) if wanted else latecomers.dismiss(conn, plan)
    if wanted:
        flash(i18n.ngettext("%(n)s person was let in.", "%(n)s people were let in.", number))
    else:
        flash(i18n.ngettext("%(n)s person was left.", "%(n)s people were left.", number))
    return redirect(url_for(".show", name=name), code=303)


@bp.post("/<name>/cancel")
@security.require_role(*roles.CHANGE)
def cancel(name: str) -> BaseResponse:
    """Ends it for good."""
    with current_parts().db.begin() as conn:
        flying = plans.cancel(conn, name, now=datetime.now(UTC))
    flash(_stopped(i18n.gettext("Cancelled."), flying))
    return redirect(url_for(".show", name=name), code=303)


@bp.post("/<name>/answers/<uuid:message_id>/seen")
@security.require_role(*roles.CHANGE)
def saw(name: str, message_id: UUID) -> BaseResponse:
    """Somebody dealt with a low score."""
    user = security.current_user()
    with current_parts().db.begin() as conn:
        surveys.saw(conn, message_id, by=user.email if user else "", now=datetime.now(UTC))
    return redirect(url_for(".show", name=name, _anchor="answers"), code=303)


@bp.get("/<name>/preview")
@security.require_role(*roles.READ)
def preview(name: str) -> Response:
    """The mail as the chosen customer would get it; nothing is kept, counted or sent."""
    parts, now = current_parts(), datetime.now(UTC)
    try:
        with parts.db.begin() as conn:
            shown = previews.render(
                conn,
                plans.get(conn, name),
                request.args.get("customer", type=int),
                step=request.args.get("step"),
                recommender=parts.recommender,
                links=parts.links,
                sender=parts.config.email_from,
                locale=request.args.get("in"),
                now=now,
            )
    except (WordingError, Conflict) as refused:
        said = i18n.gettext("This mail cannot be written:")
        return mails.answer(f"<p>{escape(said)} {escape(str(refused))}</p>", clickable=False)
    return mails.answer(shown.html, clickable=False, warning=_heavy(shown.html))


def _heavy(html: str) -> str | None:
    """What to know of a mail that readers will not see whole."""
    size = len(html.encode())
    if size <= layouts.CLIPPED:
        return None
    said = i18n.gettext("This mail weighs %(size)s kB: mail readers cut off what is beyond 100 kB.", size=size // 1024)
    return str(said)


def verdict(lift: Lift) -> words.Word:
    """What the holdout allows to say: more, less, or nothing yet."""
    if not lift.held_out:
        return words.Word(i18n.gettext("No holdout to compare with"), "minus")
    if lift.difference is None or not lift.conclusive:
        return words.Word(i18n.gettext("Not conclusive yet"), "hourglass")
    return words.Word(i18n.gettext("Established"), "check", "ok" if lift.difference > 0 else "bad")


def headline(lift: Lift) -> str:
    """The one true sentence at the top: what the campaign is proved to do, or that nothing is proved."""
    if not lift.treated and not lift.held_out:
        return i18n.gettext("Nobody’s time is over yet, so nothing can be said.")
    if not lift.held_out:
        return i18n.gettext("Nobody is held out, so what it causes cannot be said.")
    if lift.difference is None or not lift.conclusive:
        return i18n.gettext("Whether it makes people buy is not proved yet.")
    points = filters.number(abs(lift.difference) * 100, 1)
    if lift.difference > 0:
        return i18n.gettext("It makes people buy: %(points)s points more than those left alone.", points=points)
    return i18n.gettext("It makes people buy less: %(points)s points below those left alone.", points=points)


def explained(lift: Lift) -> str:
    """The figures behind the headline."""
    if not lift.treated:
        return i18n.gettext("Results appear here as soon as it has written to someone.")
    bought = filters.percent(lift.treated_buyers / lift.treated)
    treated = filters.number(lift.treated)
    said = i18n.gettext("Of %(n)s customers written to, %(share)s bought within the window", n=treated, share=bought)
    if not lift.held_out:
        return said + "."
    left = filters.percent(lift.held_out_buyers / lift.held_out)
    held = filters.number(lift.held_out)
    return said + i18n.gettext(", against %(share)s of the %(n)s left alone.", share=left, n=held)


def _stopped(said: str, flying: int) -> str:
    if not flying:
        return said + " " + i18n.gettext("Nothing is on its way.")
    return (
        said
        + " "
        + i18n.ngettext("%(n)s message was already on its way.", "%(n)s messages were already on their way.", flying)
    )


def _page(name: str) -> str:
    chosen = request.args.get("customer", type=int)
    with current_parts().db.begin() as conn:
        plan = plans.get(conn, name)
        glance = glances.of(conn, plan.id, now=datetime.now(UTC))
        person = customers.get_many(conn, [chosen]).get(chosen) if chosen else None
        context = _context_of(conn, plan, glance)
    report = glance.results
    return render_template(
        "console/campaigns/show.html",
        words=words,
        sentences=journeys.told(plan.definition),
        saying=_saying(plan),
        step_said=journeys.step_said,
        shown_step=_shown_step(plan),
        stages=_stages(report),
        verdict=verdict(report.lift),
        headline=headline(report.lift),
        explained=explained(report.lift),
        whisker=_whisker(report.lift),
        person=person,
        person_name=customer_pages.name(person) if person else "",
        **context,
    )


def _context_of(conn: sa.Connection, plan: plans.Plan, glance: glances.Glance) -> dict[str, Any]:
    return {
        "plan": plan,
        "report": glance.results,
        "total": glance.total,
        "reasons": glance.reasons,
        "counted_at": glance.at,
        "unfollowed": known.unfollowed if (known := figures.of(conn, [plan.id]).get(plan.id)) else {},
        "policy": policy.load(conn),
        "waiting": glance.waiting,
        "canary": guards.out(conn, plan),
        "answers": surveys.results(conn, plan.id),
        "alerts": surveys.alerts(conn, campaign_id=plan.id),
        "missed": timing.missed(conn, campaign_id=plan.id),
        "overdue": overdue.counts(conn, campaign_id=plan.id),
        "latecomers": latecomers.counts(conn, campaign_id=plan.id),
        "sums": audit.last(conn, campaign_id=plan.id),
        "dead_calls": webhooks.dead(conn, plan.id),
    }


def _saying(plan: plans.Plan) -> list[Send | Ask]:
    """The steps that say something, in reading order."""
    return [step for _, step in flow.walk(plan.definition.steps) if isinstance(step, Send | Ask) and step.words]


def _shown_step(plan: plans.Plan) -> str | None:
    """The message the preview shows: the one asked for, else the first."""
    names = [step.id for step in _saying(plan)]
    asked = request.args.get("step")
    return asked if asked in names else next(iter(names), None)


def _stages(report: reports.Results) -> list[Stage]:
    """The way from a basket left behind to an order, each a part of the one before."""
    counted = (
        (i18n.gettext("Came in"), report.enrolled),
        (i18n.gettext("Messages planned"), report.planned),
        (i18n.gettext("Sent, accepted"), report.sent),
        (i18n.gettext("Clicks"), report.clicked),
        (i18n.gettext("Attributed orders"), report.orders),
    )
    most = max(1, report.enrolled, report.planned)
    return [Stage(word, number, number / most) for word, number in counted]


def _whisker(lift: Lift) -> charts.Whisker | None:
    if lift.difference is None or lift.low is None or lift.high is None:
        return None
    return charts.whisker(lift.low, lift.difference, lift.high, width=540)


def too_late(kind: str) -> str:
    """Why somebody came too late, and what letting them in does."""
    match kind:
        case "cart":
            return i18n.gettext("Their baskets were quiet for too long while nothing ran. Who still has one comes in.")
        case "product":
            return i18n.gettext(
                "They left a product, found more than a day too late. Who did not buy it since comes in."
            )
    return i18n.gettext("What they did was heard of more than a day later. Waits count from when they did it.")


@bp.context_processor
def _context() -> dict[str, Any]:
    return {"hour": hour, "too_late": too_late}


def hour(at: time) -> str:
    """An hour of a rule, which belongs to no day: `22 h 00`."""
    return format.time(datetime(2000, 1, 1, at.hour, at.minute, tzinfo=UTC), i18n.locale(), zone=UTC)
