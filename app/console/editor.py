"""The message editor: an e-mail from blocks, and the words of every other channel, kept in the campaign's draft."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from flask import Blueprint, Response, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as BaseResponse

from app import i18n, security
from app.console import block_fields, editor_page, journey_forms, launch_words, roles
from app.parts import current_parts
from campaigns import drafts, plans
from campaigns.definitions import block_edits, content, edits, entries
from campaigns.drafts import Draft
from campaigns.plans import Plan
from foundation.errors import Conflict, Invalid

bp = Blueprint("editor", __name__, url_prefix="/campaigns/<name>/edit/message/<step>")

Json = dict[str, Any]
Change = Callable[[Json, str, str], tuple[Json, str]]
"""Takes the step, a language and what the entry is about; gives the step as it is then, and the block selected."""
REDRAWS = ("offer", "products", "reviews", "link", "store")
"""Fields that decide what the panel says of a block."""


# ------------------------------------------------------------------------------------------------ reading
@bp.get("")
@security.require_role(*roles.READ)
def show(name: str, step: str) -> str:
    """The whole editor."""
    return _render("show", name, step)


@bp.get("/panel")
@security.require_role(*roles.READ)
def panel(name: str, step: str) -> str:
    """The panel alone, for another block."""
    return _render("panel", name, step)


def _render(template: str, name: str, step: str) -> str:
    with current_parts().db.begin() as conn:
        plan = plans.get(conn, name)
        page = editor_page.page_of(conn, plan, drafts.of(conn, plan), step, selected=request.args.get("block", ""))
        return render_template(f"console/editor/{template}.html", **editor_page.context(conn, page))


# --------------------------------------------------------------------------------------------- changes
@bp.post("/add")
@security.require_role(*roles.CHANGE)
def add(name: str, step: str) -> BaseResponse | str:
    """A new block."""
    kind = block_fields.BY_TYPE.get(request.form.get("kind", ""))
    if kind is None:
        raise Conflict("no_kind", "there is no such kind of block")
    at = _number("at")

    def change(of: Json, locale: str, about: str) -> tuple[Json, str]:
        place = len(block_edits.shown(of, locale, about=about)) if at < 0 else at
        block = {"type": kind.type, **kind.start}
        return block_edits.insert(of, locale, block, at=place, about=about), str(place)

    return _changed(name, step, change)


@bp.post("/move")
@security.require_role(*roles.CHANGE)
def move(name: str, step: str) -> BaseResponse | str:
    """A block to another place."""
    number, at = _number("number"), _number("at")

    def change(of: Json, locale: str, about: str) -> tuple[Json, str]:
        last = len(block_edits.shown(of, locale, about=about)) - 1
        written = block_edits.move(of, locale, number=number, at=at, about=about)
        return written, str(max(0, min(at - (at > number), last)))

    return _changed(name, step, change)


@bp.post("/copy")
@security.require_role(*roles.CHANGE)
def copy(name: str, step: str) -> BaseResponse | str:
    """A copy of a block, behind it or at a place."""
    number, at = _number("number"), _number("at")
    place = number + 1 if at < 0 else at

    def change(of: Json, locale: str, about: str) -> tuple[Json, str]:
        return block_edits.copy(of, locale, number=number, at=place, about=about), str(place)

    return _changed(name, step, change)


@bp.post("/remove")
@security.require_role(*roles.CHANGE)
def remove(name: str, step: str) -> BaseResponse | str:
    """A block taken out."""
    number = _number("number")

    def change(of: Json, locale: str, about: str) -> tuple[Json, str]:
        return block_edits.remove(of, locale, number=number, about=about), ""

    return _changed(name, step, change)


@bp.post("/follow")
@security.require_role(*roles.CHANGE)
def follow(name: str, step: str) -> BaseResponse | str:
    """This language with the blocks of another, in its order."""
    other = request.form.get("other", "")

    def change(of: Json, locale: str, about: str) -> tuple[Json, str]:
        if other not in content.LOCALES:
            raise Conflict("no_language", "there is no such language")
        return block_edits.follow(of, locale, other=other, about=about), ""

    return _changed(name, step, change)


@bp.post("/write")
@security.require_role(*roles.CHANGE)
def write(name: str, step: str) -> BaseResponse | str:
    """The fields of a block, of the message, or its texts, as they stand in their form."""
    form = request.form.to_dict()
    part, redraws = form.get("part"), "do" in form or form.get("changed") in REDRAWS

    def change(of: Json, locale: str, about: str) -> tuple[Json, str]:
        if part == "words":
            return _with_words(of, form), form.get("block", "")
        if part == "block":
            return _with_block(of, locale, about, form)
        return _cleared(journey_forms.read(of, editor_page.message_fields(of), form)), ""

    return _changed(name, step, change, panel=redraws)


def _with_words(step: Json, form: Mapping[str, str]) -> Json:
    """The step with the texts that were sent; a language in which nothing is said any more is left out."""
    changed = {**step, "words": {locale: dict(said) for locale, said in (step.get("words") or {}).items()}}
    for locale in content.LOCALES:
        for text in content.TEXTS + ("button",):
            if (typed := form.get(f"{locale}.{text}")) is None:
                continue
            words = changed["words"].setdefault(locale, {})
            words.pop(text, None)
            words |= {text: cleaned} if (cleaned := typed.replace("\r\n", "\n").strip()) else {}
        if not any(changed["words"].get(locale, {"": ""}).values()):
            changed["words"].pop(locale)
    return _with_template(changed, form)


def _with_template(step: Json, form: Mapping[str, str]) -> Json:
    """A WhatsApp message is a template of the gateway's, and a line for each of its places."""
    if "template.name" in form:
        values = [line.strip() for line in form.get("template.values", "").splitlines() if line.strip()]
        step["template"] = {"name": form["template.name"].strip(), **({"values": values} if values else {})}
    return step


def _with_block(step: Json, locale: str, about: str, form: Mapping[str, str]) -> tuple[Json, str]:
    shown = block_edits.shown(step, locale, about=about)
    number = block_edits.locate(shown, _number("number"), kind=form.get("kind", ""), was=form.get("was", ""))
    kind = block_fields.BY_TYPE[str(shown[number]["type"])]
    changed = _cleared(journey_forms.read(step, kind.message, form))
    block = journey_forms.read(shown[number], kind.fields, form)
    return block_edits.write(changed, locale, block, number=number, about=about), str(number)


def _cleared(step: Json) -> Json:
    """Without what only holds for messages with an offer, where there is none."""
    if not step.get("offer"):
        step.pop("no_code", None)
        step.pop("offer", None)
    return step


@bp.post("/undo")
@security.require_role(*roles.CHANGE)
def undo(name: str, step: str) -> BaseResponse | str:
    """The last edit taken back."""
    return _stepped(name, step, drafts.undo)


@bp.post("/redo")
@security.require_role(*roles.CHANGE)
def redo(name: str, step: str) -> BaseResponse | str:
    """An edit made again."""
    return _stepped(name, step, drafts.redo)


def _stepped(name: str, step: str, act: Callable[..., Draft]) -> BaseResponse | str:
    def change(conn: sa.Connection, plan: Plan, draft: Draft) -> tuple[Draft, str]:
        found = act(conn, plan, revision=_number("revision"), by=_who(), now=datetime.now(UTC))
        return found, request.form.get("block", "")

    return _answered(name, step, change, panel=True)


# ------------------------------------------------------------------------------------------------- answers
def _changed(name: str, step: str, change: Change, *, panel: bool = True) -> BaseResponse | str:
    """Changes the message in the draft."""

    def kept(conn: sa.Connection, plan: Plan, draft: Draft) -> tuple[Draft, str]:
        locale = request.form.get("in", "")
        found = editor_page.message(draft.definition, step)
        locale = locale if locale in content.LOCALES else i18n.locale()
        written, selected = change(found, locale, entries.about(draft.definition["entry"]))
        definition = edits.replace(draft.definition, step, written)
        saved = drafts.change(
            conn,
            plan,
            definition,
            revision=_number("revision"),
            what="changed",
            step=step,
            by=_who(),
            now=datetime.now(UTC),
        )
        return saved, selected

    return _answered(name, step, kept, panel=panel)


def _answered(
    name: str, step: str, change: Callable[[sa.Connection, Plan, Draft], tuple[Draft, str]], *, panel: bool
) -> BaseResponse | str:
    """Makes a change; answers htmx with what it changed, others with the page. What was typed is never lost: if
    somebody was quicker, it comes back with theirs beside it."""
    try:
        with current_parts().db.begin() as conn:
            plan = plans.get(conn, name)
            draft = drafts.of(conn, plan)
            if draft.revision != _number("revision"):
                raise drafts.Stale(draft)
            draft, selected = change(conn, plan, draft)
            page = editor_page.page_of(conn, plan, draft, step, selected=selected)
            shown = editor_page.context(conn, page)
    except (drafts.Stale, Conflict, Invalid) as refused:
        return _refused(name, step, refused)
    if not request.headers.get("HX-Request"):
        return redirect(url_for(".show", **page.asked()), code=303)
    answer = Response(render_template("console/editor/changed.html", panel=panel, **shown))
    if panel:
        answer.headers["HX-Trigger-After-Settle"] = f'{{"block-focus": "{page.selected}"}}'
    return answer


def _refused(name: str, step: str, refused: Conflict | Invalid) -> Response:
    """What speaks against a change, with everything that was sent, so that it can be made again."""
    with current_parts().db.begin() as conn:
        draft = drafts.of(conn, plans.get(conn, name))
    sent = {field: text for field, text in request.form.items() if field not in ("revision", "csrf_token")}
    template = "conflict" if request.headers.get("HX-Request") else "conflict-page"
    said = render_template(
        f"console/builder/{template}.html",
        name=name,
        draft=draft,
        sent=sent,
        path=request.path,
        target="#letter",
        back=_back(name, step, sent),
        stale=isinstance(refused, drafts.Stale),
        again=sent.get("part") is not None,
        theirs=launch_words.edit_said(draft),
        detail=str(refused),
    )
    return Response(said, 409, {"HX-Retarget": "#conflict", "HX-Reswap": "innerHTML"})


def _back(name: str, step: str, sent: Mapping[str, str]) -> str:
    """The page the act came from."""
    where: dict[str, Any] = {"in": sent.get("in"), "block": sent.get("block")}
    return url_for(".show", name=name, step=step, **where)


def _number(name: str) -> int:
    text = request.form.get(name, "")
    return int(text) if text.isdecimal() else -1


def _who() -> str:
    user = security.current_user()
    return (user.name or user.email) if user else ""
