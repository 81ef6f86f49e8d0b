"""How a message of a draft looks and what speaks against it, for a chosen customer; and its source, to be edited."""

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

import orjson
import sqlalchemy as sa
from flask import Blueprint, Response, flash, redirect, render_template, request, url_for
from markupsafe import escape
from werkzeug.wrappers import Response as BaseResponse

from app import i18n, security
from app.api import onsite as interface
from app.console import editor_page, editor_words, journey_words, launch_words, mails, onsite, roles, sentences
from app.console.editor_page import Page
from app.parts import current_parts
from campaigns import drafts, mail_checks, plans, policy, previews
from campaigns import onsite as notes_on_site
from campaigns.definitions import campaign as definitions
from campaigns.definitions import content, edits, json_places
from campaigns.mail_checks import Check
from campaigns.plans import Plan
from campaigns.wording import WordingError
from foundation.errors import Conflict, Fault, Invalid

bp = Blueprint("looks", __name__, url_prefix="/campaigns/<name>/edit/message/<step>")

Unwritten = (WordingError, Conflict, Invalid)


# ------------------------------------------------------------------------------------------------ previews
@bp.get("/preview")
@security.require_role(*roles.READ)
def preview(name: str, step: str) -> Response:
    """The mail as the chosen customer would get it, by day or by night, or its text; nothing is kept or counted."""
    with current_parts().db.begin() as conn:
        page = _page(conn, name, step)
        try:
            shown, sender = _mail(conn, page), policy.load(conn).sender or current_parts().config.email_from
        except Unwritten as refused:
            return mails.answer(_said(str(refused)), clickable=False, scrolls=True)
    if request.args.get("part") == "text":
        return mails.answer(_as_text(shown.text), clickable=False, scrolls=True)
    dark = request.args.get("look") == "dark"
    html = mails.headed(mails.lit(shown.html, dark=dark), sender=sender, subject=shown.subject, dark=dark)
    return mails.answer(html, clickable=False, scrolls=True)


@bp.get("/note")
@security.require_role(*roles.READ)
def note(name: str, step: str) -> str:
    """A notification, text message or note on the shop's pages, as the chosen customer would get it."""
    with current_parts().db.begin() as conn:
        page = _page(conn, name, step)
        try:
            row, why = _note(conn, page), ""
        except Unwritten as refused:
            row, why = None, str(refused)
        shop = policy.load(conn).shop_name
    return render_template(
        "console/editor/note.html", page=page, row=row, why=why, shop=shop, now=datetime.now(UTC), told=journey_words
    )


@bp.get("/onsite")
@security.require_role(*roles.READ)
def on_site(name: str, step: str) -> Response:
    """A note on the shop's pages as a visitor's browser draws it, by the very same script."""
    with current_parts().db.begin() as conn:
        page = _page(conn, name, step)
        row = _note(conn, page)
    said = row["headers"]
    label = said["actions"][0]["label"] if said["actions"] else None
    waiting = notes_on_site.Note(previews.NOBODY, row["subject"], row["body"].text, said["url"], said["image"], label)
    shown = interface.noted(waiting, page.locale)
    drawn = render_template("console/onsite/preview.html", block=orjson.dumps(shown.model_dump(mode="json")).decode())
    return Response(drawn, headers={"Content-Security-Policy": onsite.POLICY})


def _page(conn: sa.Connection, name: str, step: str) -> Page:
    plan = plans.get(conn, name)
    return editor_page.page_of(conn, plan, drafts.of(conn, plan), step, selected="")


def _alone(page: Page) -> Plan:
    return previews.alone(page.plan, page.draft.definition, page.step, locale=page.locale)


def _mail(conn: sa.Connection, page: Page) -> previews.Preview:
    parts = current_parts()
    return previews.render(
        conn,
        _alone(page),
        page.customer.id if page.customer else None,
        step=page.step["id"],
        recommender=parts.recommender,
        links=parts.links,
        sender=parts.config.email_from,
        locale=page.locale,
        now=datetime.now(UTC),
    )


def _note(conn: sa.Connection, page: Page) -> dict[str, Any]:
    parts = current_parts()
    return previews.note(
        conn,
        _alone(page),
        page.customer.id if page.customer else None,
        channel=page.shape,
        step=page.step["id"],
        recommender=parts.recommender,
        links=parts.links,
        locale=page.locale,
        now=datetime.now(UTC),
    )


def _said(why: str) -> str:
    said = i18n.gettext("This mail cannot be written:")
    return f"<body style='font:15px/22px sans-serif;padding:20px'><p>{escape(said)} {escape(sentences.said(why))}</p>"


def _as_text(text: str) -> str:
    look = "font:13px/20px monospace;padding:16px;white-space:pre-wrap;overflow-wrap:anywhere"
    return f'<body style="margin:0;background:#fff;color:#111"><pre style="{look}">{escape(text)}</pre>'


# -------------------------------------------------------------------------------------------------- checks
@bp.get("/checks")
@security.require_role(*roles.READ)
def checks(name: str, step: str) -> str:
    """What speaks against the message in one language, as it is written and as it comes out for the customer."""
    with current_parts().db.begin() as conn:
        page = _page(conn, name, step)
        found = list(_checks(conn, page))
    return render_template(
        "console/editor/checks.html", page=page, checks=found, said_here=editor_words, launch_words=launch_words
    )


def _checks(conn: sa.Connection, page: Page) -> Iterator[Check]:
    rules = policy.load(conn)
    setting = mail_checks.Setting(
        about=page.about,
        fields=content.usable(page.step["type"], page.about),
        reach=current_parts().links.reach(rules),
    )
    try:
        if page.shape == editor_page.EMAIL:
            yield from mail_checks.written(page.step, page.locale, setting)
            made = _mail(conn, page)
            yield from mail_checks.sent(mail_checks.Sent(made.html, made.text, made.headers))
        else:
            yield from mail_checks.noted(page.step, page.locale, setting, channel=page.shape)
            _note(conn, page)
    except Unwritten as refused:
        yield Check("unwritten", "bad", {"why": sentences.said(str(refused))})


# -------------------------------------------------------------------------------------------------- source
@bp.get("/source")
@security.require_role(*roles.READ)
def source(name: str, step: str) -> str:
    """The message as a file says it."""
    with current_parts().db.begin() as conn:
        page = _page(conn, name, step)
    text = orjson.dumps(edits.trimmed({"steps": [page.step]})["steps"][0], option=orjson.OPT_INDENT_2).decode()
    return _source_page(page, text)


@bp.post("/source")
@security.require_role(*roles.CHANGE)
def write_source(name: str, step: str) -> BaseResponse | tuple[str, int]:
    """Keeps what was written in the draft; or each fault with the line it is in, and nothing is kept."""
    text, now = request.form.get("source", ""), datetime.now(UTC)
    revision = request.form.get("revision", -1, type=int)
    with current_parts().db.begin() as conn:
        page = _page(conn, name, step)
        try:
            written = _parsed(page, text)
            definition = edits.replace(page.draft.definition, step, written)
            user = security.current_user()
            drafts.change(
                conn, page.plan, definition, revision=revision, what="changed", step=step,
                by=(user.name or user.email) if user else "", now=now,
            )  # fmt: skip
        except Invalid as refused:
            return _source_page(page, text, json_places.lines(text, refused.faults)), 422
        except drafts.Stale as stale:
            return _source_page(page, text, stale=stale), 409
    flash(i18n.gettext("Kept in the draft."))
    return redirect(url_for("console.editor.show", name=name, step=step), code=303)


def _parsed(page: Page, text: str) -> dict[str, Any]:
    """The step that was written; raises `Invalid` with its own faults alone, whatever is wrong elsewhere."""
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise Invalid(Fault(f"/@{error.lineno}", f"is no JSON: {error.msg}")) from None
    if not isinstance(value, dict) or value.get("id") != page.step["id"] or value.get("type") != page.step["type"]:
        raise Invalid(Fault("/id", "cannot be changed here, nor can type: the journey names the step by them"))
    entry = {name: one for name, one in page.draft.definition["entry"].items() if name != "reset"}
    try:
        definitions.parse({"title": page.plan.name, "entry": entry, "steps": [value]})
    except Invalid as refused:
        own = [fault for fault in refused.faults if fault.pointer.startswith("/steps/0")]
        if own:
            raise Invalid(*(Fault(re.sub("^/steps/0", "", one.pointer), one.detail) for one in own)) from None
    return value


def _source_page(
    page: Page, text: str, faults: Mapping[int, list[Fault]] | None = None, *, stale: drafts.Stale | None = None
) -> str:
    told = [
        (line, fault.pointer, sentences.said(fault.detail))
        for line, found in sorted((faults or {}).items())
        for fault in found
    ]
    return render_template(
        "console/editor/source.html",
        page=page,
        text=text,
        faults=told,
        stale=launch_words.edit_said(stale.now) if stale else "",
        revision=stale.now.revision if stale else page.draft.revision,
        told=journey_words,
    )
