"""Campaigns at a glance: what each does next and how it fares, and the gallery to begin from."""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa
from flask import Blueprint, flash, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as BaseResponse

from app import filters, i18n, security
from app.console import forms, journey_words, journeys, paging, roles, words
from app.console.forms import Form
from app.console.words import Word
from app.i18n import ngettext_later as ngettext
from app.parts import current_parts
from campaigns import drafts, figures, files, plans, policy, upcoming
from campaigns.definitions import campaign as definitions
from campaigns.definitions import flow
from campaigns.plans import Plan
from foundation.errors import Conflict, Fault, Invalid

bp = Blueprint("campaign_list", __name__, url_prefix="/campaigns")

AHEAD = timedelta(days=400)
STATES = ("sending", "paused", "draft", "done", "cancelled")
LONGEST_TITLE = 200
BLANK = "blank"
RESERVED = ("new", "calendar", "start")
"""Words that are addresses of this room."""
TROUBLE = {
    "failed": ngettext("%(n)s failed", "%(n)s failed"),
    "uncertain": ngettext("%(n)s uncertain", "%(n)s uncertain"),
    "not_connected": ngettext("%(n)s without a provider", "%(n)s without a provider"),
    "missed": ngettext("%(n)s moment missed", "%(n)s moments missed"),
    "calls": ngettext("%(n)s call given up", "%(n)s calls given up"),
    "alerts": ngettext("%(n)s low score", "%(n)s low scores"),
}
START = {"type": "wait", "id": "wait", "duration": "1h"}
"""What an empty journey begins as: a step that does nothing."""


@dataclass(frozen=True, slots=True)
class Row:
    """One campaign of the list."""

    plan: Plan
    figures: figures.Figures | None
    next: str
    writing: datetime | None
    health: list[Word]

    @property
    def id(self) -> int:
        """What the list is ordered by."""
        return self.plan.id


def page() -> str:
    """The list, narrowed as one types; nothing is counted for it. htmx asks for the rows alone."""
    text, state = request.args.get("q", "").strip(), request.args.get("state", "")
    state = state if state in STATES else ""
    key, now = paging.after(1), datetime.now(UTC)
    after = int(key[0]) if key and key[0].isdecimal() else None
    with current_parts().db.begin() as conn:
        found = plans.page(conn, text=text, state=state, after=after, limit=paging.SIZE)
        rows = _rows(conn, found, now=now)
        running = len(plans.running(conn, now=now))
    template = "rows" if request.headers.get("HX-Target") == "found" else "index"
    return render_template(
        f"console/campaigns/{template}.html",
        rows=rows,
        running=running,
        text=text,
        state=state,
        states=STATES,
        entry=journeys.entry,
        paging=paging,
        words=words,
    )


def _rows(conn: sa.Connection, found: Sequence[Plan], *, now: datetime) -> list[Row]:
    ids = [plan.id for plan in found]
    known, written, zone = figures.of(conn, ids), drafts.written(conn, ids), policy.load(conn).timezone
    return [
        Row(
            plan,
            known.get(plan.id),
            _next(plan, zone, now=now),
            written.get(plan.id),
            _health(plan, known.get(plan.id)),
        )
        for plan in found
    ]


def _next(plan: Plan, zone: str, *, now: datetime) -> str:
    """What happens next, in half a sentence."""
    match plan.state:
        case "draft":
            return i18n.gettext("to be launched")
        case "paused":
            return i18n.gettext("waits to be launched again")
        case "cancelled" | "done":
            return i18n.gettext("over")
    if plan.definition.ends_at and plan.definition.ends_at <= now:
        return i18n.gettext("takes nobody in any more")
    if plan.definition.starts_at and plan.definition.starts_at > now:
        return i18n.gettext("takes customers in from %(when)s", when=filters.moment(plan.definition.starts_at))
    moment = upcoming.following(plan, zone=zone, now=now, until=now + AHEAD)
    if moment:
        return i18n.gettext("next on %(when)s", when=filters.moment(moment.at))
    if plan.definition.entry.type == "schedule":
        return i18n.gettext("no moment to come")
    return i18n.gettext("takes customers in as they come")


def _health(plan: Plan, known: figures.Figures | None) -> list[Word]:
    """What somebody should look at; one good word if there is nothing."""
    if known is None or not plan.launched_at:
        return []
    found = [
        Word(i18n.ngettext(*TROUBLE[word], number), "triangle-alert", "unsure" if word == "uncertain" else "bad")
        for word, number in known.trouble.items()
        if word in TROUBLE
    ]
    return found or [Word(i18n.gettext("Nothing to see to"), "check", "ok")]


# ------------------------------------------------------------------------------------------------- gallery
@bp.get("/new")
@security.require_role(*roles.CHANGE)
def gallery() -> str:
    """The campaigns one may begin from, and an empty one."""
    return _gallery(Form({}))


def _gallery(form: Form) -> str:
    with current_parts().db.begin() as conn:
        taken = {plan.name for plan in plans.every(conn)}
    return render_template(
        "console/campaigns/gallery.html",
        ready=[(one, journeys.ready_title(one.name), _told(one), one.name in taken) for one in files.ready_made()],
        form=form,
        words=words,
    )


@dataclass(frozen=True, slots=True)
class _Told:
    """A ready-made campaign in short: how it is entered, its steps as icons, and how many messages it says."""

    entry: str
    icons: list[tuple[str, str]]
    messages: int
    steps: int


def _told(ready: files.Ready) -> _Told:
    definition = definitions.dump(ready.file.campaigns[0])
    walked = [step for _, step in flow.walk(ready.file.campaigns[0].steps)]
    said = [journey_words.step(step.model_dump(mode="json")) for step in walked]
    return _Told(
        journey_words.plain(journey_words.entry(definition["entry"])),
        [(icon, journey_words.plain(sentence)) for icon, sentence in said][:8],
        sum(step.type in ("send", "ask") for step in walked),
        len(walked),
    )


@bp.post("/start")
@security.require_role(*roles.CHANGE)
def start() -> BaseResponse | tuple[str, int]:
    """Makes a draft of a ready-made campaign, or an empty one under the title that was typed."""
    now, chosen = datetime.now(UTC), request.form.get("from", "")
    typed = {"title": request.form.get("title", "")}
    try:
        with current_parts().db.begin() as conn:
            plan = _empty(conn, now=now) if chosen == BLANK else files.start_from(conn, chosen, now=now)
    except Invalid as refused:
        return _gallery(forms.with_faults(typed, refused.faults)), 422
    except Conflict:
        return _gallery(Form(typed, {"title": i18n.gettext("There is a campaign of this name already.")})), 409
    flash(i18n.gettext("A draft was made. Read it, change what you like, then launch it."))
    return redirect(url_for("console.builder.show", name=plan.name), code=303)


def _empty(conn: sa.Connection, *, now: datetime) -> Plan:
    title = request.form.get("title", "").strip()
    name = _slug(title)
    name = f"{name}-campaign" if name in RESERVED else name
    if not name:
        raise Invalid(Fault("/title", "is needed"))
    if len(title) > LONGEST_TITLE:
        raise Invalid(Fault("/title", f"must be a text on one line, at most {LONGEST_TITLE} characters"))
    taken = {plan.name for plan in plans.every(conn)}
    if name in taken:
        raise Conflict("name_taken", f"a campaign named {name} exists already")
    definition = {"title": title, "entry": {"type": "cart_abandoned"}, "reentry": {"rule": "each_key"}}
    return plans.create(conn, name, definition={**definition, "steps": [START], "holdout_percent": 10}, now=now)


def _slug(title: str) -> str:
    letters = unicodedata.normalize("NFKD", title.lower())
    plain = "".join(letter for letter in letters if not unicodedata.combining(letter))
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:63]
