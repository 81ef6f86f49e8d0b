"""Signing in and out, and what one prefers: language and look."""

from datetime import UTC, datetime, timedelta

from flask import Blueprint, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from app import i18n, security, users
from app.console import frame
from app.demo import account
from app.parts import current_parts
from foundation.config import LOCALES

bp = Blueprint("session", __name__)

LONG = timedelta(days=365)


@bp.get("/sign-in")
@security.anyone
def ask() -> str | Response:
    """The door. Whoever is inside already is sent on."""
    if security.current_user():
        return redirect(_onward())
    if "again" not in request.args and security.waiting():
        return redirect(url_for(".ask_code", next=request.args.get("next")))
    return _door()


@bp.post("/sign-in")
@security.anyone
def enter() -> Response | tuple[str, int]:
    """Checks the password; a wrong one says so without saying which half was wrong."""
    email, password = request.form.get("email", ""), request.form.get("password", "")
    answer = security.sign_in(email, password, now=datetime.now(UTC))
    if answer is security.Refusal.SECOND:
        return redirect(url_for(".ask_code", next=request.form.get("next") or None), code=303)
    if answer is security.Refusal.TOO_MANY:
        return _door(fault=i18n.gettext("Too many tries. Wait a minute, then try again.")), 429
    if isinstance(answer, security.Refusal):
        return _door(fault=i18n.gettext("This address and this password do not go together.")), 401
    return redirect(_onward(), code=303)


@bp.get("/sign-in/code")
@security.anyone
def ask_code() -> str | Response:
    """The second factor, for who has just given the right password."""
    who = security.waiting()
    if who is None:
        return redirect(url_for(".ask"))
    return render_template("console/second-factor.html", who=who, fault="")


@bp.post("/sign-in/code")
@security.anyone
def enter_code() -> Response | tuple[str, int]:
    """Checks the code, or a recovery code; after ten minutes the password is asked again."""
    who = security.waiting()
    if who is None:
        return redirect(url_for(".ask"), code=303)
    answer = security.pass_second(who, request.form.get("code", ""), now=datetime.now(UTC))
    if isinstance(answer, users.User):
        return redirect(_onward(), code=303)
    fault = i18n.gettext("This is not the code of this moment. Type the next one.")
    if answer is security.Refusal.TOO_MANY:
        fault = i18n.gettext("Too many tries. Wait a minute, then try again.")
    status = 429 if answer is security.Refusal.TOO_MANY else 401
    return render_template("console/second-factor.html", who=who, fault=fault), status


@bp.post("/sign-out")
@security.anyone
def leave() -> Response:
    """Ends the session here and on the server."""
    security.sign_out()
    return redirect(url_for("console.session.ask"), code=303)


@bp.post("/preferences")
@security.anyone
def prefer() -> Response:
    """Remembers a language (with the person, and in this browser) or a look (in this browser)."""
    response = redirect(_onward(), code=303)
    chosen, theme, user = request.form.get("locale"), request.form.get("theme"), security.current_user()
    if chosen in LOCALES:
        response.set_cookie("locale", chosen, max_age=LONG, path="/console", samesite="Lax")
        if user:
            with current_parts().db.begin() as conn:
                users.choose_locale(conn, user.id, locale=chosen)
    if theme in frame.THEMES:
        response.set_cookie("theme", theme, max_age=LONG, path="/console", samesite="Lax")
    elif theme:
        response.delete_cookie("theme", path="/console")
    return response


def _onward() -> str:
    return security.safe_next(request.values.get("next"), url_for("console.overview.index"))


def _door(*, fault: str = "") -> str:
    config = current_parts().config
    demo = (account.USER, account.password(config.var)) if config.demo else None
    return render_template("console/sign-in.html", fault=fault, demo=demo, email=request.form.get("email", ""))
