"""Around a launch: versions side by side, tests sent to oneself, a second person's approval, and the launch itself."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from flask import Blueprint, Response, flash, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as BaseResponse

from app import doctor, i18n, security
from app.console import customers as customer_pages
from app.console import journey_words, launch_words, mails, roles, trials, words
from app.i18n import N_
from app.parts import current_parts
from campaigns import drafts, launching, plans, samples
from campaigns.definitions import campaign as definitions
from campaigns.definitions import edits
from campaigns.plans import Plan
from campaigns.wording import WordingError
from foundation.errors import Conflict, Invalid
from shop import customers

bp = Blueprint("launches", __name__, url_prefix="/campaigns/<name>")

DRAFT = "draft"
SHOWN = 30
"""Versions one may choose from."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a version: how deep it stands, its icon and sentence, and how it differs from the other side."""

    depth: int
    icon: str
    text: str
    change: str = edits.Change.SAME


# ------------------------------------------------------------------------------------------------ versions
@bp.get("/compare")
@security.require_role(*roles.READ)
def compare(name: str) -> str:
    """Two versions side by side, what differs marked by a word."""
    with current_parts().db.begin() as conn:
        plan = plans.get(conn, name)
        draft = drafts.of(conn, plan)
        numbers = [str(n) for n in range(plan.version, max(0, plan.version - SHOWN), -1)]
        choices = [DRAFT, *numbers] if draft.revision else numbers
        right = _chosen("right", choices, choices[0])
        left = _chosen("left", choices, choices[1] if len(choices) > 1 else choices[0])
        sides = [_definition(conn, plan, draft, chosen) for chosen in (left, right)]
    marks = edits.compared(*sides)
    return render_template(
        "console/campaigns/compare.html",
        plan=plan,
        choices=choices,
        chosen=(left, right),
        sides=[_lines(side, mark) for side, mark in zip(sides, marks, strict=True)],
        changes=CHANGES,
        same=sides[0] == sides[1],
        draft=DRAFT,
        words=words,
    )


def _chosen(name: str, choices: list[str], usual: str) -> str:
    asked = request.args.get(name, usual)
    return asked if asked in choices else usual


def _definition(conn: sa.Connection, plan: Plan, draft: drafts.Draft, chosen: str) -> dict[str, Any]:
    if chosen == DRAFT:
        return edits.trimmed(draft.definition)
    return definitions.dump(plans.version(conn, plan.id, int(chosen)))


def _lines(definition: Mapping[str, Any], marks: Mapping[str, edits.Change]) -> list[Line]:
    entry = journey_words.plain(journey_words.entry(definition["entry"]))
    lines = [Line(0, "log-in", f"{entry}. {journey_words.settings(definition)}.")]
    held = definition.get("holdout_percent", 0)
    lines.append(Line(0, "users", i18n.gettext("%(percent)s %% are left alone, to compare with", percent=f"{held:g}")))
    for found in edits.walk(edits.trimmed(definition)):
        icon, said = journey_words.step(found.step)
        depth = found.pointer.replace("/branches", "").replace("/variants", "").count("/") // 3
        lines.append(Line(depth, icon, journey_words.plain(said), marks[found.step["id"]]))
    return [*lines, Line(0, "log-out", journey_words.ending(definition))]


CHANGES = {
    edits.Change.ADDED: words.Word(N_("Added"), "plus", "ok"),
    edits.Change.REMOVED: words.Word(N_("Taken out"), "minus", "bad"),
    edits.Change.CHANGED: words.Word(N_("Changed"), "type", "accent"),
    edits.Change.MOVED: words.Word(N_("Moved"), "arrow-up", "warn"),
}


# --------------------------------------------------------------------------------------------------- tests
@bp.get("/tests")
@security.require_role(*roles.READ)
def tests(name: str) -> str:
    """Each message as a chosen customer would get it, and a button that sends it to oneself."""
    chosen = request.args.get("customer", type=int)
    with current_parts().db.begin() as conn:
        plan = plans.get(conn, name)
        draft = drafts.of(conn, plan)
        sent = samples.some(conn, plan)
        person = customers.get_many(conn, [chosen]).get(chosen) if chosen else None
    saying = [
        found.step for found in edits.walk(draft.definition) if found.step.get("words") or found.step.get("template")
    ]
    known = {one["id"]: one for one in saying}
    step = request.args.get("step", "")
    step = step if step in known else next(iter(known), "")
    return render_template(
        "console/campaigns/tests.html",
        plan=plan,
        saying=[(one["id"], journey_words.plain(journey_words.step(one)[1])) for one in saying],
        step=step,
        channels=trials.channels(known[step]) if step else (),
        shown_by=known[step].get("channel", trials.EMAIL) if step else "",
        channel_word=journey_words.channel,
        sent=sent,
        person=person,
        person_name=customer_pages.name(person) if person else "",
        address=_address(),
        keeps=current_parts().email.provider == samples.NOWHERE,
        words=words,
    )


@bp.post("/tests")
@security.require_role(*roles.CHANGE)
def test(name: str) -> BaseResponse:
    """Sends a message of the draft to whoever is signed in; the form sent twice sends one."""
    form = request.form
    customer = form.get("customer", type=int)
    asked = trials.Asked(
        step=form.get("step", ""),
        customer=customer,
        channel=form.get("channel", trials.EMAIL),
        locale="" if customer else form.get("in", i18n.locale()),
        phone=form.get("phone", ""),
        form=form.get("form_id", type=UUID),
    )
    try:
        sent = trials.send(name, asked, to=_address())
    except (WordingError, Invalid) as refused:
        raise Conflict("unwritten", str(refused)) from None
    flash(i18n.gettext("Sent to %(address)s.", address=sent.sent_to))
    return redirect(url_for(".tests", name=name, step=asked.step, customer=customer), code=303)


@bp.get("/tests/<uuid:sample_id>")
@security.require_role(*roles.READ)
def sample(name: str, sample_id: UUID) -> Response:
    """A test as it was sent."""
    with current_parts().db.begin() as conn:
        found = samples.get(conn, plans.get(conn, name), sample_id)
    return mails.answer(found.html, clickable=False)


def _address() -> str:
    user = security.current_user()
    return user.email if user else ""


# ------------------------------------------------------------------------------------------------- launching
@bp.post("/edit/launch")
@security.require_role(*roles.CHANGE)
def launch(name: str) -> BaseResponse:
    """Publishes the draft and starts the campaign, unless something prevents it."""
    revision = request.form.get("revision", -1, type=int)
    with current_parts().db.begin() as conn:
        plan = plans.get(conn, name)
        try:
            plan, started = launching.launch(
                conn, plan, revision=revision, press=current_parts().press(), now=datetime.now(UTC)
            )
        except drafts.Stale as stale:
            raise Conflict("draft_changed", str(launch_words.edit_said(stale.now))) from None
        except Conflict as refused:
            if refused.reason != launching.MAILS_WRONG:
                raise
            flash(i18n.gettext("It cannot be launched yet: the list says why."), "bad")
            return redirect(url_for("console.builder.show", name=name), code=303)
    flash(i18n.gettext("It runs.") if started else i18n.gettext("Version %(n)s is published.", n=plan.version))
    return redirect(url_for("console.builder.show", name=name), code=303)


@bp.get("/edit/mails")
@security.require_role(*roles.READ)
def mails_out(name: str) -> str:
    """The lines of the list that say how the mails come out; asked for when the page is there, for they take longer."""
    with current_parts().db.begin() as conn:
        plan = plans.get(conn, name)
        draft = drafts.of(conn, plan)
        found = launching.rendered(conn, plan, draft, press=current_parts().press(), now=datetime.now(UTC))
    checks = found or [launching.Check("messages_out", "ok")]
    return render_template(
        "console/builder/mails.html", checks=checks, plan=plan, draft=draft, launch_words=launch_words
    )


@bp.post("/edit/examine")
@security.require_role(*roles.CHANGE)
def examine(name: str) -> BaseResponse:
    """Looks again at what the doctor found red, name servers too."""
    red = [one for one in doctor.look(current_parts(), now=datetime.now(UTC)) if not one.good]
    said = i18n.ngettext("%(n)s thing is still to be mended.", "%(n)s things are still to be mended.", len(red))
    flash(said if red else i18n.gettext("Everything is in order."))
    return redirect(url_for("console.builder.show", name=name), code=303)


@bp.post("/edit/approval")
@security.require_role(*roles.CHANGE)
def ask(name: str) -> BaseResponse:
    """Asks a second person to approve what is written."""
    with current_parts().db.begin() as conn:
        plan = plans.get(conn, name)
        launching.ask(conn, plan, drafts.of(conn, plan).definition, by=_address(), now=datetime.now(UTC))
    flash(i18n.gettext("Asked. Somebody else who may launch approves it here."))
    return redirect(url_for("console.builder.show", name=name), code=303)


@bp.post("/edit/approve")
@security.require_role(*roles.CHANGE)
def approve(name: str) -> BaseResponse:
    """The second yes."""
    with current_parts().db.begin() as conn:
        plan = plans.get(conn, name)
        launching.approve(conn, plan, drafts.of(conn, plan).definition, by=_address(), now=datetime.now(UTC))
    flash(i18n.gettext("Approved. It may be launched."))
    return redirect(url_for("console.builder.show", name=name), code=303)
