"""The log of changes: who did what in the console, and what the values were before."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from flask import Blueprint, Response, render_template, request

from app import change_log, filters, i18n, security, users
from app.console import paging, policy_fields, roles
from app.i18n import N_
from app.parts import current_parts

bp = Blueprint("changes", __name__, url_prefix="/settings/log")

SAID = {
    "policy": N_("changed the policy: %(subject)s"),
    "team.invite": N_("invited %(subject)s"),
    "team.password_link": N_("made a new password link for %(subject)s"),
    "team.withdraw": N_("withdrew an invitation"),
    "team.role": N_("changed the role of %(subject)s"),
    "team.disable": N_("closed the account of %(subject)s"),
    "team.enable": N_("opened the account of %(subject)s again"),
    "team.drop_factor": N_("took the second factor of %(subject)s away"),
    "team.rule": N_("decided who needs a second factor"),
    "team.joined": N_("chose a password by a link"),
    "account.password": N_("changed the own password"),
    "account.second_factor": N_("set up the second factor"),
    "account.no_second_factor": N_("took the own second factor away"),
    "account.recovery": N_("made new recovery codes"),
    "sources.add_key": N_("made a key"),
    "sources.revoke_key": N_("revoked a key"),
    "sources.roll_key": N_("rolled a key"),
    "sources.replay": N_("sent a refused event again"),
    "sources.replay_all": N_("sent refused events again"),
    "imports.hand_in": N_("handed in a file"),
    "imports.go": N_("imported a file"),
    "backups.hold": N_("held everything back"),
    "backups.release": N_("let messages leave again"),
    "campaigns.pause": N_("paused a campaign"),
    "campaigns.cancel": N_("cancelled a campaign"),
    "campaigns.launch": N_("launched a campaign"),
    "launches.launch": N_("launched a campaign"),
    "looks.write_source": N_("wrote the source of a message"),
    "launches.approve": N_("approved a campaign"),
    "customers.erase": N_("erased a customer"),
    "customers.export": N_("exported all that is held on a customer"),
    "audiences.download": N_("downloaded an audience"),
    "imports.refused": N_("downloaded the refused rows of a file"),
    "customers.undo_merge": N_("undid a merge"),
    "segments.save": N_("changed a segment"),
    "segments.delete": N_("deleted a segment"),
    "segments.upload": N_("made a segment from a file"),
    "segments.decide_crowd": N_("decided about a crowd at a segment’s door"),
    "campaigns.apply_file": N_("changed a campaign by its file"),
    "campaigns.decide_overdue": N_("decided about late messages"),
    "campaigns.decide_missed": N_("decided about a missed moment"),
    "campaigns.decide_latecomers": N_("decided about people who came too late"),
    "campaigns.saw": N_("saw an answer"),
    "campaign_list.start": N_("began a campaign"),
    "launches.ask": N_("asked for approval of a campaign"),
    "launches.test": N_("sent a test message"),
    "reports.settle": N_("named the better variant of an experiment"),
    "reports.unsettle": N_("let an experiment go on"),
    "audiences.add": N_("made an audience"),
    "audiences.sync": N_("brought an audience into step"),
    "audiences.end": N_("ended an audience"),
    "audiences.retry": N_("tried an ad platform again"),
    "onsite.add": N_("made a block of the site"),
    "onsite.save": N_("changed a block of the site"),
    "onsite.move": N_("showed or hid a block of the site"),
    "onsite.remove": N_("removed a block of the site"),
    "store.redeem": N_("used a code at the counter"),
    "store.agree": N_("noted a consent at the counter"),
    "channels.connect": N_("connected a channel"),
    "channels.disconnect": N_("disconnected a channel"),
    "model.train": N_("asked for a training run"),
    "model.roll_back": N_("put an earlier model in service"),
    "webhooks.replay": N_("made a call again"),
    "webhooks.replay_dead": N_("made the calls again that were given up"),
    "promotions.edit": N_("changed an offer"),
    "promotions.new": N_("made an offer"),
    "promotions.upload": N_("handed in codes"),
    "rules.add": N_("made a rule"),
    "rules.save": N_("changed a rule"),
    "rules.switch": N_("switched a rule on or off"),
    "rules.move": N_("changed the order of rules"),
    "rules.remove": N_("removed a rule"),
    "placements.save": N_("changed a placement"),
    "placements.experiment": N_("began an experiment at a placement"),
    "placements.end": N_("ended an experiment at a placement"),
}
"""What each act is called in a sentence that begins with a name."""
TAKEN_OUT = ("customers.export", "audiences.download", "imports.refused")
"""Views that change nothing, and by which what is held on people leaves the house."""
QUIET = (
    *("session.", "account.", "team.", "settings.", "backups.", "first_steps.", "mailbox.", "trying.", "rehearsals."),
    *("builder.", "editor."),
)
"""Rooms whose acts are noted where they happen (every edit of a draft is one of its own), or that change nothing others
see."""
UNCHANGED = (
    *("preview", "count", "check", "try", "sample", "search", "forecast", "probe", "why", "overlap", "draw"),
    *("draft", "examine", "attempt", "rehearse", "here"),
)
"""Views that are asked by POST because they are asked much, and change nothing."""


@bp.get("")
@security.require_role(*roles.ADMIN)
def index() -> str:
    """A page of it, of one person if asked."""
    key, person = paging.after(1), request.args.get("person", type=int)
    before = int(key[0]) if key and key[0].isdecimal() else None
    with current_parts().db.begin() as conn:
        lines = change_log.read(conn, user_id=person, before=before, limit=paging.SIZE)
        team = users.team(conn)
    return render_template(
        "console/settings/log.html",
        lines=lines,
        team=team,
        person=person,
        sentence=sentence,
        differences=differences,
        paging=paging,
    )


def note(response: Response) -> Response:
    """After each request that changed something or took people's data out: who, and which view with which of its
    names. What a view has written itself, in the transaction of the change, is not said twice."""
    act = (request.endpoint or "").removeprefix("console.")
    told = noted(act) if request.method == "POST" else request.method == "GET" and act in TAKEN_OUT
    user = security.current_user() if told and response.status_code < 400 else None
    if user is None:
        return response
    subject = " ".join(str(value) for value in (request.view_args or {}).values())
    with current_parts().db.begin() as conn:
        change_log.note(conn, user, act, subject=subject, now=datetime.now(UTC))
    return response


def noted(act: str) -> bool:
    """Whether an act, named by its room and view, leaves a line of its own."""
    return not act.startswith(QUIET) and not act.rpartition(".")[2].startswith(UNCHANGED)


def sentence(line: change_log.Line) -> str:
    """What was done, to follow a name."""
    if line.act not in SAID:
        return line.act.replace(".", ": ").replace("_", " ")
    part = policy_fields.part(line.subject) if line.act == "policy" else None
    return i18n.gettext(SAID[line.act], subject=i18n.gettext(part.title) if part else line.subject)


def differences(detail: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """Each value that was changed: its name as the form has it, what it was, what it is."""
    names = {one.name: one.label for part in policy_fields.PARTS for one in part.fields}
    changed = detail.get("changed")
    if not isinstance(changed, dict):
        return []
    return [
        (i18n.gettext(str(names.get(name, name))).strip(), _shown(pair[0]), _shown(pair[1]))
        for name, pair in changed.items()
    ]


def _shown(value: Any) -> str:
    if value in (None, "", [], {}):
        return "–"
    if isinstance(value, bool):
        return i18n.gettext("yes") if value else i18n.gettext("no")
    if isinstance(value, dict):
        return ", ".join(f"{name}: {_shown(one)}" for name, one in value.items())
    if isinstance(value, list):
        return ", ".join(map(_shown, value))
    return filters.number(value, 1 if isinstance(value, float) else 0) if isinstance(value, int | float) else str(value)
