"""Files by hand: handed in, columns named, tried without storing, taken in, refused rows given back."""

import tempfile
import threading
from datetime import UTC, datetime
from pathlib import Path

from flask import Blueprint, Response, redirect, render_template, request, send_file, url_for
from werkzeug.wrappers import Response as BaseResponse

from app import change_log, file_imports, i18n, security
from app.console import roles, sentences, words
from app.file_imports import FileImport
from app.i18n import N_
from app.parts import current_parts
from foundation.errors import Conflict, Invalid, NotFound
from shop import imports

bp = Blueprint("imports", __name__, url_prefix="/sources/imports")

LAST = 20
KINDS = {
    "customers": N_("Customers"),
    "products": N_("Products"),
    "orders": N_("Orders"),
    "events": N_("Events"),
    "stores": N_("Stores"),
    "stock": N_("Stock"),
    "consents": N_("Consents"),
}


@bp.get("")
@security.require_role(*roles.READ)
def index() -> str:
    """The files handed in last, and another to hand in."""
    return _page()


@bp.post("")
@security.require_role(*roles.ADMIN)
def hand_in() -> BaseResponse | tuple[str, int]:
    """Keeps a file and reads its header; nothing of it is stored yet."""
    request.max_content_length = file_imports.LARGEST
    sent, kind, now = request.files.get("file"), request.form.get("kind", ""), datetime.now(UTC)
    if sent is None or not sent.filename or kind not in KINDS:
        return _page(fault=i18n.gettext("Choose a file, and what it holds.")), 422
    user, folder = security.current_user(), _folder()
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as draft:
        path = Path(draft) / f"file{Path(sent.filename).suffix.lower()[:10]}"
        sent.save(path)
        try:
            with current_parts().db.begin() as conn:
                by, name = (user.name or user.email) if user else "", Path(sent.filename).name
                number = file_imports.begin(conn, folder, kind, file=name, path=path, by=by, now=now)
                change_log.note(conn, user, "imports.hand_in", subject=name, detail={"kind": kind}, now=now)
        except Invalid as refused:
            said = " ".join(sentences.said(fault.detail) for fault in refused.faults)
            return _page(fault=i18n.gettext("This file %(fault)s.", fault=said)), 422
    return redirect(url_for(".show", number=number), code=303)


@bp.get("/<int:number>")
@security.require_role(*roles.READ)
def show(number: int) -> str:
    """One file: its columns and what they are, how far it is, what came of it."""
    with current_parts().db.begin() as conn:
        one = file_imports.get(conn, number)
    return _one(one)


@bp.get("/<int:number>/progress")
@security.require_role(*roles.READ)
def progress(number: int) -> Response:
    """How far it is, asked again every second while it is read; once it has ended, the page is asked to come anew, with
    what can be done next."""
    with current_parts().db.begin() as conn:
        one = file_imports.get(conn, number)
    shown = _shown(one)
    response = Response(render_template("console/imports/progress.html", **shown))
    if one.state != "running" or shown["stopped"]:
        response.headers["HX-Refresh"] = "true"
    return response


@bp.post("/<int:number>")
@security.require_role(*roles.ADMIN)
def go(number: int) -> BaseResponse | tuple[str, int]:
    """Reads it with these columns: to try, or to keep what it says."""
    now, dry = datetime.now(UTC), "dry" in request.form
    given = {name.removeprefix("column/"): ours for name, ours in request.form.items() if name.startswith("column/")}
    db, folder = current_parts().db, _folder()
    try:
        with db.begin() as conn:
            standing = file_imports.get(conn, number)
            if not (folder / standing.stored).exists():
                raise NotFound("the file is not kept any more")
            mapping = {column: given.get(str(n), "") for n, (column, _) in enumerate(standing.columns)}
            one = file_imports.start(conn, number, mapping=mapping, dry=dry, now=now)
            if not dry:
                change_log.note(conn, security.current_user(), "imports.go", subject=one.file, now=now)
    except Invalid as refused:
        faults = {fault.pointer.strip("/"): sentences.said(fault.detail) for fault in refused.faults}
        return _one(standing, mapping=mapping, faults=faults), 422
    except Conflict:  # sent twice, or by two people: one of them reads it, and both look on
        return redirect(url_for(".show", number=number), code=303)
    reading = threading.Thread(target=lambda: file_imports.run(db, folder, one, now=now), daemon=True)
    reading.start()
    return redirect(url_for(".show", number=number), code=303)


@bp.get("/<int:number>/refused.csv")
@security.require_role(*roles.READ)
def refused(number: int) -> Response:
    """The rows that were not taken, with line and reason; no spreadsheet runs what stands in them."""
    with current_parts().db.begin() as conn:
        one = file_imports.get(conn, number)
    path = file_imports.refused_file(_folder(), one)
    if not path.exists():
        raise NotFound("no row was refused, or the file is not kept any more")
    return send_file(path, mimetype="text/csv", as_attachment=True, download_name=f"{Path(one.file).stem}.refused.csv")


# --------------------------------------------------------------------------------------------------- page
def _page(*, fault: str = "") -> str:
    with current_parts().db.begin() as conn:
        last = file_imports.latest(conn, limit=LAST)
    return render_template(
        "console/imports/index.html", last=last, kinds=KINDS, fault=fault, now=datetime.now(UTC), words=words
    )


def _one(one: FileImport, *, mapping: dict[str, str] | None = None, faults: dict[str, str] | None = None) -> str:
    known, required = imports.columns(one.kind)
    return render_template(
        "console/imports/show.html",
        known=known,
        required=required,
        mapping=mapping if mapping is not None else one.mapping,
        faults=faults or {},
        **_shown(one),
    )


def _shown(one: FileImport) -> dict[str, object]:
    now = datetime.now(UTC)
    kept = file_imports.refused_file(_folder(), one).exists()
    return {"one": one, "now": now, "kinds": KINDS, "stopped": one.stopped(now), "has_refused": one.refused and kept}


def _folder() -> Path:
    return current_parts().config.var / "imports"
