"""The team: who may sign in and as what, links for newcomers and for who forgot a password, second factors."""

from datetime import UTC, datetime

import sqlalchemy as sa
from flask import Blueprint, flash, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from app import change_log, console_settings, i18n, invitations, second_factor, security, users
from app.console import roles, sentences, words
from app.console.forms import Form
from app.i18n import N_
from app.parts import current_parts
from foundation.errors import Conflict, Invalid, NotFound

bp = Blueprint("team", __name__)

MAY = {
    "admin": N_("everything, with keys, people and settings"),
    "marketer": N_("build, send and read everything"),
    "analyst": N_("read everything, change nothing"),
    "store": N_("find a customer at the counter, redeem codes"),
}


@bp.get("/settings/team")
@security.require_role(*roles.READ)
def index() -> str:
    """Everybody, and the links still open."""
    return _page()


@bp.post("/settings/team/invite")
@security.require_role(*roles.ADMIN)
def invite() -> str | tuple[str, int]:
    """Makes a link by which somebody new chooses a password; it is on this one page and nowhere else."""
    email, role, user, now = request.form.get("email", ""), request.form.get("role", ""), _me(), datetime.now(UTC)
    try:
        with current_parts().db.begin() as conn:
            token = invitations.invite(conn, email=email, role=role, by=user.name or user.email, now=now)
            detail = {"role": role}
            change_log.note(conn, user, "team.invite", subject=users.normalised(email), detail=detail, now=now)
    except Invalid as refused:
        faults = {fault.pointer: _said(fault.pointer) for fault in refused.faults}
        return _page(form=Form(_typed(), faults)), 422
    except Conflict:
        return _page(form=Form(_typed(), {"/email": i18n.gettext("This address already has an account.")})), 422
    return _page(link=_link(token), meant=users.normalised(email))


def _typed() -> dict[str, str]:
    return {"/email": request.form.get("email", ""), "/role": request.form.get("role", "")}


def _said(pointer: str) -> str:
    if pointer == "/email":
        return i18n.gettext("This is no e-mail address.")
    return i18n.gettext("Choose one of the roles.")


@bp.post("/settings/team/<int:user_id>/password")
@security.require_role(*roles.ADMIN)
def renew(user_id: int) -> str:
    """Makes a link by which a colleague chooses a new password. The old one works until she has."""
    user, now = _me(), datetime.now(UTC)
    with current_parts().db.begin() as conn:
        meant = _person(conn, user_id)
        token = invitations.renew(conn, user_id, by=user.name or user.email, now=now)
        change_log.note(conn, user, "team.password_link", subject=meant.email, now=now)
    return _page(link=_link(token), meant=meant.email)


@bp.post("/settings/team/invitations/<int:number>/withdraw")
@security.require_role(*roles.ADMIN)
def withdraw(number: int) -> Response:
    """A link that leads nowhere from now on."""
    with current_parts().db.begin() as conn:
        invitations.withdraw(conn, number)
        change_log.note(conn, _me(), "team.withdraw", subject=str(number), now=datetime.now(UTC))
    return _back(i18n.gettext("The link leads nowhere now."))


@bp.post("/settings/team/<int:user_id>/role")
@security.require_role(*roles.ADMIN)
def change_role(user_id: int) -> Response:
    """What somebody may do from the next page on."""
    asked = request.form.get("role", "")
    if asked not in list(users.Role):
        raise NotFound("no such role")
    with current_parts().db.begin() as conn:
        meant = _person(conn, user_id)
        users.change_role(conn, user_id, role=users.Role(asked))
        changed = {"role": [str(meant.role), asked]}
        change_log.note(
            conn, _me(), "team.role", subject=meant.email, detail={"changed": changed}, now=datetime.now(UTC)
        )
    return _back(i18n.gettext("%(who)s: %(role)s.", who=meant.name or meant.email, role=_role(asked)))


@bp.post("/settings/team/<int:user_id>/disable")
@security.require_role(*roles.ADMIN)
def disable(user_id: int) -> Response:
    """Closes an account, and signs its owner out everywhere."""
    now = datetime.now(UTC)
    with current_parts().db.begin() as conn:
        meant = _person(conn, user_id)
        users.disable(conn, user_id, now=now)
        change_log.note(conn, _me(), "team.disable", subject=meant.email, now=now)
    return _back(i18n.gettext("%(who)s is signed out everywhere and cannot come back.", who=meant.name or meant.email))


@bp.post("/settings/team/<int:user_id>/enable")
@security.require_role(*roles.ADMIN)
def enable(user_id: int) -> Response:
    """Opens an account again."""
    with current_parts().db.begin() as conn:
        meant = _person(conn, user_id)
        users.enable(conn, user_id)
        change_log.note(conn, _me(), "team.enable", subject=meant.email, now=datetime.now(UTC))
    return _back(i18n.gettext("%(who)s may sign in again.", who=meant.name or meant.email))


@bp.post("/settings/team/<int:user_id>/second-factor")
@security.require_role(*roles.ADMIN)
def drop_factor(user_id: int) -> Response:
    """For who lost the telephone and the recovery codes: the password alone is asked until she sets it up again."""
    with current_parts().db.begin() as conn:
        meant = _person(conn, user_id)
        second_factor.remove(conn, user_id)
        change_log.note(conn, _me(), "team.drop_factor", subject=meant.email, now=datetime.now(UTC))
    return _back(i18n.gettext("The second factor of %(who)s is taken away.", who=meant.name or meant.email))


@bp.post("/settings/team/rule")
@security.require_role(*roles.ADMIN)
def require_factor() -> Response:
    """Who must have a second factor."""
    asked = request.form.get("who", "")
    if asked not in console_settings.WHO:
        raise NotFound("no such rule")
    with current_parts().db.begin() as conn:
        changed = {"second_factor": [console_settings.second_factor(conn), asked]}
        console_settings.require_second_factor(conn, asked)
        change_log.note(conn, _me(), "team.rule", detail={"changed": changed}, now=datetime.now(UTC))
    return _back(i18n.gettext("Saved. Who is meant and has none is asked for it on the next page."))


# ----------------------------------------------------------------------------------------------- the link
@bp.get("/join/<token>")
@security.anyone
def join(token: str) -> str | tuple[str, int]:
    """Where a link leads: somebody chooses a password."""
    with current_parts().db.begin() as conn:
        found = invitations.find(conn, token, now=datetime.now(UTC))
    if found is None:
        return render_template("console/settings/join.html", found=None, form=Form({})), 404
    return render_template("console/settings/join.html", found=found, form=Form({}))


@bp.post("/join/<token>")
@security.anyone
def accept(token: str) -> Response | tuple[str, int]:
    """Makes the account, or changes its password, and signs its owner in."""
    now, name = datetime.now(UTC), request.form.get("name", "").strip()
    with current_parts().db.begin() as conn:
        found = invitations.find(conn, token, now=now)
    if found is None:
        return render_template("console/settings/join.html", found=None, form=Form({})), 404
    try:
        with current_parts().db.begin() as conn:
            user_id = invitations.accept(conn, found, name=name, password=request.form.get("password", ""), now=now)
            change_log.note(conn, users.get(conn, user_id), "team.joined", subject=found.email, now=now)
            security.welcome(conn, user_id, now=now)
    except Invalid as refused:
        faults = {
            one.pointer: i18n.gettext("This value %(fault)s.", fault=sentences.said(one.detail))
            for one in refused.faults
        }
        return render_template("console/settings/join.html", found=found, form=Form({"/name": name}, faults)), 422
    return redirect(url_for("console.overview.index"), code=303)


# --------------------------------------------------------------------------------------------------- page
def _page(*, form: Form | None = None, link: str = "", meant: str = "") -> str:
    now = datetime.now(UTC)
    with current_parts().db.begin() as conn:
        team = users.team(conn)
        waiting = invitations.waiting(conn, now=now)
        rule = console_settings.second_factor(conn)
    return render_template(
        "console/settings/team.html",
        team=team,
        waiting=waiting,
        rule=rule,
        form=form or Form({"/role": str(users.Role.MARKETER)}),
        link=link,
        meant=meant,
        may=MAY,
        roles=list(users.Role),
        valid=invitations.VALID,
        words=words,
    )


def _link(token: str) -> str:
    return current_parts().config.base_url + url_for("console.team.join", token=token)


def _me() -> users.User:
    user = security.current_user()
    if user is None:
        raise NotFound("nobody is signed in")
    return user


def _person(conn: sa.Connection, user_id: int) -> users.User:
    user = users.get(conn, user_id)
    if user is None:
        raise NotFound("no such person")
    return user


def _role(name: str) -> str:
    return i18n.gettext(words.ROLES[name])


def _back(said: str) -> Response:
    flash(said)
    return redirect(url_for(".index"), code=303)
