"""The journey builder: every change is an operation on the draft, kept at once, and answered with what it changed."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from flask import Blueprint, Response, flash, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as BaseResponse

from app import i18n, security
from app.console import journey_fields, journey_forms, journey_layout, journey_words, launch_words, roles, words
from app.console import promotions as promotion_pages
from app.parts import current_parts
from campaigns import drafts, figures, launching, message_checks, offers, plans, policy, segments
from campaigns.definitions import content, edits
from campaigns.drafts import Draft
from campaigns.plans import Plan
from foundation.errors import Conflict, Invalid

bp = Blueprint("builder", __name__, url_prefix="/campaigns/<name>/edit")

ENTRY, SETTINGS = "entry", ""
"""What the panel shows besides steps."""

REDRAWS = ("type", "channel")
"""Fields that decide which others there are."""

Change = Callable[[sa.Connection, Plan, Draft], tuple[Draft, str]]


@dataclass(frozen=True, slots=True)
class Page:
    """Everything the builder shows of one campaign."""

    plan: Plan
    draft: Draft
    journey: journey_layout.Journey
    known: figures.Figures | None
    walked: figures.Walked
    readiness: launching.Readiness
    faults: Mapping[str, list[tuple[str, str]]]
    selected: str

    @property
    def step(self) -> dict[str, Any] | None:
        """The step the panel shows; None for the entry and the campaign itself."""
        for found in edits.walk(self.draft.definition):
            if found.step["id"] == self.selected:
                return found.step
        return None

    @property
    def shown(self) -> dict[str, Any]:
        """What the panel's form is about."""
        return self.step or (self.draft.definition["entry"] if self.selected == ENTRY else self.draft.definition)

    @property
    def mails(self) -> bool:
        """Whether a mail is among its messages."""
        return any(
            one.get("channel", "email") in ("email", "best") for one in message_checks.messages(self.draft.definition)
        )

    @property
    def fields(self) -> tuple[journey_fields.Field, ...]:
        """The fields of what the panel shows."""
        return _fields(self.shown, self.selected)


def _fields(of: Mapping[str, Any], selected: str) -> tuple[journey_fields.Field, ...]:
    if selected == SETTINGS:
        return journey_fields.SETTINGS
    kinds = journey_fields.ENTRY if selected == ENTRY else journey_fields.BY_TYPE
    found = kinds[str(of["type"])].fields
    if of["type"] != "send":
        return found
    return tuple(one for one in found if one.name == "channel" or _belongs(one.name, str(of.get("channel", "email"))))


def _belongs(field: str, channel: str) -> bool:
    """Whether a message by this channel has this field."""
    if channel in journey_fields.AUDIENCES or field == "audience":
        return field == "audience" and channel in journey_fields.AUDIENCES
    return (channel == "whatsapp") == field.startswith("template.") or field not in ("words", *journey_fields.TEMPLATE)


# ------------------------------------------------------------------------------------------------ reading
@bp.get("")
@security.require_role(*roles.READ)
def show(name: str) -> str:
    """The whole builder."""
    return _render("show", name, _asked())


@bp.get("/panel")
@security.require_role(*roles.READ)
def panel(name: str) -> str:
    """The panel alone, for another step."""
    return _render("panel", name, _asked())


@bp.get("/flow")
@security.require_role(*roles.READ)
def flow(name: str) -> str | Response:
    """The drawing alone, asked for again while one looks at it; nothing if the draft is another by now."""
    with current_parts().db.begin() as conn:
        page = _page(conn, plans.get(conn, name), _asked())
        if str(page.draft.revision) != request.args.get("revision"):
            by = page.draft.edited_by
            said = render_template("console/builder/behind.html", by=by, at=page.draft.edited_at, name=name)
            return Response(said, headers={"HX-Retarget": "#conflict", "HX-Reswap": "innerHTML"})
        return render_template("console/builder/flow.html", **_context(conn, page))


def _asked() -> str:
    return request.args.get("step", "")


# --------------------------------------------------------------------------------------------- changes
@bp.post("/add")
@security.require_role(*roles.CHANGE)
def add(name: str) -> BaseResponse | str:
    """A new step at a spot."""
    kind = journey_fields.BY_TYPE.get(request.form.get("kind", ""))
    if kind is None:
        raise Conflict("no_kind", "there is no such kind of step")

    def change(conn: sa.Connection, plan: Plan, draft: Draft) -> tuple[Draft, str]:
        made = {"type": kind.type, "id": edits.fresh(edits.ids(draft.definition), kind.id), **kind.start}
        written = edits.insert(draft.definition, made, edits.spot(request.form.get("at", "head::")))
        return _keep(conn, plan, written, what="inserted", step=made["id"]), made["id"]

    return _changed(name, change)


@bp.post("/move")
@security.require_role(*roles.CHANGE)
def move(name: str) -> BaseResponse | str:
    """A step to another spot, or one place further by keyboard."""
    step, way, at = (request.form.get(field, "") for field in ("step", "way", "at"))

    def change(conn: sa.Connection, plan: Plan, draft: Draft) -> tuple[Draft, str]:
        shift = way in ("up", "down", "in", "out")
        written = (
            edits.shift(draft.definition, step, way) if shift else edits.move(draft.definition, step, edits.spot(at))
        )
        return _keep(conn, plan, written, what="moved", step=step), step

    return _changed(name, change)


@bp.post("/copy")
@security.require_role(*roles.CHANGE)
def copy(name: str) -> BaseResponse | str:
    """A copy of a step, behind it or at a spot."""
    step, at = request.form.get("step", ""), request.form.get("at", "")

    def change(conn: sa.Connection, plan: Plan, draft: Draft) -> tuple[Draft, str]:
        written, made = edits.copy(draft.definition, step, edits.spot(at) if at else None)
        return _keep(conn, plan, written, what="copied", step=made), made

    return _changed(name, change)


@bp.post("/remove")
@security.require_role(*roles.CHANGE)
def remove(name: str) -> BaseResponse | str:
    """A step taken out, with its branches."""
    step = request.form.get("step", "")

    def change(conn: sa.Connection, plan: Plan, draft: Draft) -> tuple[Draft, str]:
        return _keep(conn, plan, edits.remove(draft.definition, step), what="removed", step=step), SETTINGS

    return _changed(name, change)


@bp.post("/write")
@security.require_role(*roles.CHANGE)
def write(name: str) -> BaseResponse | str:
    """The fields of a step, of the entry or of the campaign, as they stand in the panel."""
    step, form = request.form.get("step", ""), request.form.to_dict()

    def change(conn: sa.Connection, plan: Plan, draft: Draft) -> tuple[Draft, str]:
        written = _written(draft.definition, step, form)
        return _keep(conn, plan, written, what="changed" if step else "settings", step=step), step

    return _changed(name, change, panel="do" in form or form.get("changed") in REDRAWS)


@bp.post("/undo")
@security.require_role(*roles.CHANGE)
def undo(name: str) -> BaseResponse | str:
    """The last edit taken back."""
    return _changed(name, _stepping(drafts.undo))


@bp.post("/redo")
@security.require_role(*roles.CHANGE)
def redo(name: str) -> BaseResponse | str:
    """An edit made again."""
    return _changed(name, _stepping(drafts.redo))


def _stepping(act: Callable[..., Draft]) -> Change:
    selected = request.form.get("step", "")

    def change(conn: sa.Connection, plan: Plan, draft: Draft) -> tuple[Draft, str]:
        found = act(conn, plan, revision=_revision(), by=_who(), now=datetime.now(UTC))
        known = selected in (ENTRY, SETTINGS) or selected in edits.ids(found.definition)
        return found, selected if known else SETTINGS

    return change


@bp.post("/discard")
@security.require_role(*roles.CHANGE)
def discard(name: str) -> BaseResponse:
    """The draft thrown away."""
    with current_parts().db.begin() as conn:
        drafts.discard(conn, plans.get(conn, name), revision=_revision(), by=_who(), now=datetime.now(UTC))
    flash(i18n.gettext("The draft was thrown away; the campaign says what it said."))
    return redirect(url_for(".show", name=name), code=303)


def _written(definition: Mapping[str, Any], step: str, form: Mapping[str, str]) -> dict[str, Any]:
    """The definition with what a form of the panel holds."""
    if step in (ENTRY, SETTINGS):
        whole = edits.trimmed(definition)
        if step == SETTINGS:
            filled = journey_forms.read(whole, journey_fields.SETTINGS, form)
            return journey_forms.settled(_grown(filled, form))
        kind = journey_fields.ENTRY.get(form.get("type", ""))
        if kind and kind.type != whole["entry"]["type"]:
            whole["entry"] = {"type": kind.type, **kind.start}
        else:
            whole["entry"] = _grown(journey_forms.read(whole["entry"], _fields(whole["entry"], ENTRY), form), form)
        return whole
    stands = edits.find(edits.trimmed(definition), step).step
    return edits.replace(definition, step, _grown(journey_forms.read(stands, _fields(stands, step), form), form))


def _grown(of: dict[str, Any], form: Mapping[str, str]) -> dict[str, Any]:
    return journey_forms.grown(of, form["do"]) if form.get("do") else of


# ------------------------------------------------------------------------------------------------- answers
def _changed(name: str, change: Change, *, panel: bool = True) -> BaseResponse | str:
    """Makes a change of the draft; answers htmx with what it changed, others with the page. What was typed is never
    lost: if somebody was quicker, it comes back with theirs beside it."""
    asks = bool(request.headers.get("HX-Request"))
    try:
        with current_parts().db.begin() as conn:
            plan = plans.get(conn, name)
            draft = drafts.of(conn, plan)
            if draft.revision != _revision():
                raise drafts.Stale(draft)
            draft, selected = change(conn, plan, draft)
            page = _page(conn, plan, selected)
            context = _context(conn, page)
    except (drafts.Stale, Conflict, Invalid) as refused:
        return _refused(name, refused)
    if not asks:
        return redirect(url_for(".show", name=name, step=selected or None), code=303)
    answer = Response(render_template("console/builder/changed.html", panel=panel, **context))
    answer.headers["HX-Trigger-After-Settle"] = f'{{"step-focus": "{selected}"}}' if panel else "{}"
    return answer


def _refused(name: str, refused: Conflict | Invalid) -> Response:
    """What speaks against a change, with everything that was sent, so that it can be made again."""
    with current_parts().db.begin() as conn:
        draft = drafts.of(conn, plans.get(conn, name))
    sent = {field: text for field, text in request.form.items() if field not in ("revision", "csrf_token")}
    template = "conflict" if request.headers.get("HX-Request") else "conflict-page"
    page = render_template(
        f"console/builder/{template}.html",
        name=name,
        draft=draft,
        sent=sent,
        path=request.path,
        target="#flow",
        back=url_for(".show", name=name, step=sent.get("step", "")),
        stale=isinstance(refused, drafts.Stale),
        again=True,
        theirs=launch_words.edit_said(draft),
        detail=str(refused),
    )
    return Response(page, 409, {"HX-Retarget": "#conflict", "HX-Reswap": "innerHTML"})


def _render(template: str, name: str, selected: str) -> str:
    with current_parts().db.begin() as conn:
        page = _page(conn, plans.get(conn, name), selected)
        return render_template(f"console/builder/{template}.html", **_context(conn, page))


def _page(conn: sa.Connection, plan: Plan, selected: str) -> Page:
    draft = drafts.of(conn, plan)
    known = figures.of(conn, [plan.id]).get(plan.id)
    walked = known.walked(plan.version) if known else figures.Walked()
    readiness = launching.readiness(conn, plan, draft, press=current_parts().press(), now=datetime.now(UTC))
    return Page(
        plan=plan,
        draft=draft,
        journey=journey_layout.lay(draft.definition, walked if known else None),
        known=known,
        walked=walked,
        readiness=readiness,
        faults=journey_forms.by_step(draft.definition, readiness.faults),
        selected=selected if selected in (ENTRY, *edits.ids(draft.definition)) else SETTINGS,
    )


def _context(conn: sa.Connection, page: Page) -> dict[str, Any]:
    return {
        "page": page,
        "forms": journey_forms,
        "fields": journey_fields,
        "told": journey_words,
        "launch_words": launch_words,
        "words": words,
        "locales": content.LOCALES,
        "languages": {"en": i18n.gettext("English"), "fr": i18n.gettext("French")},
        "merge_fields": content.FIELDS,
        "offers": [(offer.name, promotion_pages.promise(offer.terms)) for offer in offers.every(conn)],
        "segment_names": [(one.name, one.title) for one in segments.every(conn)],
        "topics": list(policy.load(conn).topics.items()),
        "adding": request.args.get("add", ""),
        "field": request.args.get("field", ""),
        "now": datetime.now(UTC),
    }


def _keep(conn: sa.Connection, plan: Plan, definition: Mapping[str, Any], *, what: str, step: str) -> Draft:
    now = datetime.now(UTC)
    return drafts.change(conn, plan, definition, revision=_revision(), what=what, step=step, by=_who(), now=now)


def _revision() -> int:
    text = request.form.get("revision", "")
    return int(text) if text.isdecimal() else -1


def _who() -> str:
    user = security.current_user()
    return (user.name or user.email) if user else ""
