"""One's own account: name, password, where one is signed in, and the second factor."""

from datetime import UTC, datetime

import segno
from flask import Blueprint, flash, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from app import change_log, console_settings, i18n, second_factor, security, sessions, users
from app.console import roles, sentences, words
from app.console.forms import Form
from app.parts import current_parts
from foundation.errors import Invalid, NotFound

bp = Blueprint("account", __name__, url_prefix="/account")


@bp.get("")
@security.require_role(*roles.EVERYONE)
def index() -> str:
    """All of it on one page."""
    return _page()


@bp.post("/name")
@security.require_role(*roles.EVERYONE)
def rename() -> Response | tuple[str, int]:
    """How the console addresses one."""
    name = request.form.get("/name", "").strip()
    try:
        with current_parts().db.begin() as conn:
            users.rename(conn, _me().id, name=name)
    except Invalid as refused:
        return _page(form=_faults(refused, {"/name": name})), 422
    flash(i18n.gettext("Saved."))
    return redirect(url_for(".index"), code=303)


@bp.post("/password")
@security.require_role(*roles.EVERYONE)
def change_password() -> Response | tuple[str, int]:
    """A new password; every other browser is signed out, this one stays."""
    user, now = _me(), datetime.now(UTC)
    try:
        if not security.knows_password(user, request.form.get("/current", ""), now=now):
            wrong = {"/current": i18n.gettext("This is not your password. Five tries a minute.")}
            return _page(form=Form({}, wrong)), 422
        with current_parts().db.begin() as conn:
            users.change_password(conn, user.id, password=request.form.get("/password", ""))
            change_log.note(conn, user, "account.password", subject=user.email, now=now)
            security.restart(conn, user, now=now)
    except Invalid as refused:
        return _page(form=_faults(refused, {})), 422
    flash(i18n.gettext("Your password is changed, and every other browser is signed out."))
    return redirect(url_for(".index"), code=303)


@bp.post("/sessions/<int:number>/end")
@security.require_role(*roles.EVERYONE)
def end_session(number: int) -> Response:
    """Signs one of one's own browsers out."""
    with current_parts().db.begin() as conn:
        sessions.end_number(conn, _me().id, number)
    flash(i18n.gettext("That browser is signed out."))
    return redirect(url_for(".index", _anchor="sessions"), code=303)


@bp.post("/sessions/end")
@security.require_role(*roles.EVERYONE)
def end_sessions() -> Response:
    """Signs every other browser out."""
    with current_parts().db.begin() as conn:
        ended = sessions.end_others(conn, _me().id, keep=security.this_session())
    flash(i18n.ngettext("%(n)s browser is signed out.", "%(n)s browsers are signed out.", ended))
    return redirect(url_for(".index", _anchor="sessions"), code=303)


# ------------------------------------------------------------------------------------------ second factor
@bp.get("/second-factor")
@security.require_role(*roles.EVERYONE)
def enrol() -> str | Response:
    """The secret as a square for the telephone, and the first code asked for."""
    if _me().second_factor:
        return redirect(url_for(".index", _anchor="second-factor"))
    return _enrolling()


@bp.post("/second-factor")
@security.require_role(*roles.EVERYONE)
def confirm() -> str | Response | tuple[str, int]:
    """In force once the telephone has shown that it makes the right codes."""
    user, now = _me(), datetime.now(UTC)
    if user.second_factor:
        return redirect(url_for(".index", _anchor="second-factor"), code=303)
    if not security.may_try_code(user, now=now):
        return _enrolling(fault=i18n.gettext("Too many tries. Wait a minute, then try again.")), 429
    with current_parts().db.begin() as conn:
        keys, code = current_parts().config.secret_keys, request.form.get("code", "")
        codes = second_factor.confirm(conn, user.id, code, keys=keys, now=now)
        if codes is not None:
            change_log.note(conn, user, "account.second_factor", subject=user.email, now=now)
    if codes is None:
        return _enrolling(fault=i18n.gettext("This is not the code of this moment. Type the next one.")), 422
    return render_template("console/account/recovery.html", codes=codes)


@bp.post("/second-factor/recovery")
@security.require_role(*roles.EVERYONE)
def renew_recovery() -> str | Response:
    """New recovery codes, shown this once."""
    user, now = _me(), datetime.now(UTC)
    if not _code_is_right(user, now):
        return _wrong_code()
    with current_parts().db.begin() as conn:
        codes = second_factor.renew_recovery(conn, user.id)
        change_log.note(conn, user, "account.recovery", subject=user.email, now=now)
    return render_template("console/account/recovery.html", codes=codes)


@bp.post("/second-factor/remove")
@security.require_role(*roles.EVERYONE)
def remove() -> Response:
    """The password alone from now on; it takes a code to say so."""
    user, now = _me(), datetime.now(UTC)
    if not _code_is_right(user, now):
        return _wrong_code()
    with current_parts().db.begin() as conn:
        second_factor.remove(conn, user.id)
        change_log.note(conn, user, "account.no_second_factor", subject=user.email, now=now)
    flash(i18n.gettext("The password alone is asked from now on."))
    return redirect(url_for(".index", _anchor="second-factor"), code=303)


def _code_is_right(user: users.User, now: datetime) -> bool:
    if not security.may_try_code(user, now=now):
        return False
    with current_parts().db.begin() as conn:
        keys = current_parts().config.secret_keys
        return second_factor.check(conn, user.id, request.form.get("code", ""), keys=keys, now=now)


def _wrong_code() -> Response:
    flash(i18n.gettext("This is not the code of this moment. Type the next one."))
    return redirect(url_for(".index", _anchor="second-factor"), code=303)


def _enrolling(*, fault: str = "") -> str:
    user = _me()
    with current_parts().db.begin() as conn:
        secret = second_factor.begin(conn, user.id, keys=current_parts().config.secret_keys)
        must = console_settings.must_enrol(conn, user)
    square = segno.make_qr(second_factor.address(secret, email=user.email), error="m")
    return render_template(
        "console/account/enrol.html",
        secret=" ".join(secret[at : at + 4] for at in range(0, len(secret), 4)),
        square=square.svg_data_uri(scale=4, border=4, dark="#1c1a17", light="#ffffff"),
        must=must,
        fault=fault,
    )


# --------------------------------------------------------------------------------------------------- page
def _page(*, form: Form | None = None) -> str:
    user, now = _me(), datetime.now(UTC)
    with current_parts().db.begin() as conn:
        signed_in = sessions.of(conn, user.id, now=now)
        left = second_factor.left(conn, user.id)
        must = console_settings.second_factor(conn)
    return render_template(
        "console/account/index.html",
        form=form or Form({"/name": user.name or ""}),
        signed_in=signed_in,
        here=security.this_session(),
        left=left,
        must=must == "everyone" or must == "admins" and user.role == users.Role.ADMIN,
        browser=browser,
        words=words,
    )


BROWSERS = (("Edg", "Edge"), ("OPR", "Opera"), ("Firefox", "Firefox"), ("Chrome", "Chrome"), ("Safari", "Safari"))
SYSTEMS = (
    *(("iPhone", "iPhone"), ("iPad", "iPad"), ("Android", "Android")),
    *(("Windows", "Windows"), ("Mac OS", "macOS"), ("Linux", "Linux")),
)


def browser(agent: str) -> str:
    """What a browser calls itself, as people know it: `Firefox, Windows`."""
    named = [next((name for mark, name in kinds if mark in agent), "") for kinds in (BROWSERS, SYSTEMS)]
    return ", ".join(filter(None, named)) or i18n.gettext("Another program")


def _faults(refused: Invalid, values: dict[str, str]) -> Form:
    said = {one.pointer: sentences.said(one.detail) for one in refused.faults}
    return Form(values, {where: i18n.gettext("This value %(fault)s.", fault=fault) for where, fault in said.items()})


def _me() -> users.User:
    user = security.current_user()
    if user is None:
        raise NotFound("nobody is signed in")
    return user
