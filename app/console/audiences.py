"""Audiences: what ad platforms hold for us, whether they may be spoken to, and the catalogue as they fetch it."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from flask import Blueprint, Response, flash, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as BaseResponse

from app import i18n, product_feeds, security
from app.console import paging, roles, sentences, words
from app.i18n import N_
from app.parts import current_parts
from campaigns import segments
from campaigns.audiences import export, feeds, gates, kept
from foundation.errors import Invalid

log = logging.getLogger(__name__)
bp = Blueprint("audiences", __name__, url_prefix="/audiences")

PLATFORMS = {"meta": "Meta", "google": "Google", "csv": N_("A file")}
HINDRANCES = {
    "price": N_("no price"),
    "page": N_("no page"),
    "picture": N_("no picture"),
    "id": N_("an id too long for Google"),
}
REASONS = {
    "key": N_("its key is refused"),
    "busy": N_("it asked for silence"),
    "down": N_("it does not answer"),
}
LEFT_OUT = 20


@dataclass(frozen=True, slots=True)
class Form:
    """What somebody wrote, and what is wrong with it, by field."""

    given: dict[str, str] = field(default_factory=dict)
    faults: dict[str, str] = field(default_factory=dict)

    def value(self, name: str) -> str:
        return self.given.get(name, "")


@bp.get("")
@security.require_role(*roles.READ)
def index() -> str:
    """Every audience, every platform, and the feeds."""
    return _index(Form({"until_purchase": "1", "platform": "meta"}))


@bp.post("")
@security.require_role(*roles.CHANGE)
def add() -> BaseResponse | tuple[str, int]:
    """Makes an audience; every fault comes back beside its field."""
    form = request.form.to_dict()
    given = {name: form.get(name, "").strip() or None for name in ("title", "platform", "external_id", "segment")}
    value = given | {"name": form.get("name", "").strip(), "until_purchase": "until_purchase" in form}
    if given["platform"] == "csv":
        value["external_id"] = None
    try:
        definition = kept.parse(value)
        with current_parts().db.begin() as conn:
            kept.apply(conn, definition, now=datetime.now(UTC))
    except Invalid as wrong:
        said = {
            fault.pointer.strip("/"): i18n.gettext("This value %(fault)s.", fault=sentences.said(fault.detail))
            for fault in wrong.faults
        }
        return _index(Form(form, said)), 422
    flash(i18n.gettext("The audience is made. Whoever belongs in it is handed over within a minute."))
    return redirect(url_for(".show", name=definition.name), code=303)


@bp.get("/<name>")
@security.require_role(*roles.READ)
def show(name: str) -> str:
    """One audience and what was done at its platform."""
    key = paging.after(1)
    before = int(key[0]) if key and key[0].isdecimal() else None
    with current_parts().db.begin() as conn:
        audience = kept.get(conn, name)
        history = kept.history(conn, audience.id, before=before)
        used_by = kept.used_by(conn, name)
        gate = gates.every(conn).get(audience.platform)
    return _page("show", audience=audience, history=history, used_by=used_by, gate=gate)


@bp.post("/<name>/sync")
@security.require_role(*roles.CHANGE)
def sync(name: str) -> BaseResponse:
    """Asks for it now; a platform that is left alone is tried again."""
    with current_parts().db.begin() as conn:
        kept.hasten(conn, name, now=datetime.now(UTC))
        gates.reopen(conn, kept.get(conn, name).platform)
    flash(i18n.gettext("It is brought up to date within seconds."))
    return redirect(url_for(".show", name=name), code=303)


@bp.post("/<name>/end")
@security.require_role(*roles.CHANGE)
def end(name: str) -> BaseResponse:
    """Takes everybody out at the platform, then forgets the audience."""
    with current_parts().db.begin() as conn:
        kept.end(conn, name, now=datetime.now(UTC))
    flash(i18n.gettext("Everybody is taken out at the platform; then the audience is gone."))
    return redirect(url_for(".index"), code=303)


@bp.post("/platforms/<platform>/retry")
@security.require_role(*roles.CHANGE)
def retry(platform: str) -> BaseResponse:
    """The key was put right: the platform is spoken to again with the next sync."""
    with current_parts().db.begin() as conn:
        gates.reopen(conn, platform)
        gates.reopen(conn, f"{platform} orders")
    flash(i18n.gettext("It is tried again with the next sync."))
    return redirect(url_for(".index"), code=303)


@bp.get("/<name>.csv")
@security.require_role(*roles.CHANGE)
def download(name: str) -> Response:
    """The audience as a file of hashes, written while it is read."""
    user = security.current_user()
    with current_parts().db.begin() as conn:
        audience = kept.get(conn, name)
    log.info("audience exported", extra={"audience": name, "user": user.id if user else None})
    written: Iterator[bytes] = export.lines(current_parts().db, audience.id)
    headers = {"Content-Disposition": f'attachment; filename="{name}.csv"', "Cache-Control": "no-store"}
    return Response(written, mimetype="text/csv", headers=headers)


# -------------------------------------------------------------------------------------------------- parts
def _index(form: Form) -> str:
    parts = current_parts()
    key = paging.after(1)
    with parts.db.begin() as conn:
        every = kept.every(conn)
        shut = gates.every(conn)
        left_out = feeds.left_out(conn, after=key[0] if key else "", limit=LEFT_OUT)
        choices = _segments(conn)
    return _page(
        "index",
        audiences=every,
        gates=shut,
        connected=parts.platforms,
        left_out=left_out,
        older=paging.here(after=paging.cursor(left_out[-1][0].product_id)) if len(left_out) == LEFT_OUT else "",
        feeds=product_feeds.addresses(parts.config.secret_keys, parts.config.base_url),
        segments=choices,
        form=form,
    )


def _segments(conn: sa.Connection) -> list[tuple[str, str]]:
    nobody = ("", i18n.gettext("none: journeys alone fill it"))
    return [nobody, *((segment.name, segment.title) for segment in segments.every(conn))]


def _page(name: str, **values: Any) -> str:
    return render_template(
        f"console/audiences/{name}.html",
        **values,
        platforms={key: i18n.gettext(word) for key, word in PLATFORMS.items()},
        reasons={key: i18n.gettext(word) for key, word in REASONS.items()},
        hindrances={key: i18n.gettext(word) for key, word in HINDRANCES.items()},
        now=datetime.now(UTC),
        paging=paging,
        words=words,
    )
