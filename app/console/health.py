"""Is everything well: the jobs' ledger, the scheduler's pulse, the database's promises, the channel, the settings."""

from dataclasses import dataclass
from datetime import UTC, datetime

from flask import Blueprint, render_template

from app import doctor, i18n, security
from app.console import roles, sentences, words
from app.i18n import N_
from app.parts import current_parts
from campaigns import ledger
from foundation import jobs

bp = Blueprint("health", __name__, url_prefix="/health")

SAID = {
    "settings": (N_("The settings are sound"), N_("A setting is wrong")),
    "database": (N_("The database answers"), N_("The database does not answer")),
    "fsync": (N_("What is written reaches the disk"), N_("What is written may not reach the disk: nothing is sent")),
    "synchronous_commit": (
        N_("A commit is on disk before it is answered"),
        N_("A commit may be lost in a crash: nothing is sent"),
    ),
    "scheduler": (N_("The scheduler is alive"), N_("The scheduler is silent: nothing is planned or sent")),
    "recommender": (N_("The model that was published serves"), N_("The model that was published is damaged")),
    "write keys": (N_("Sources have a key to send events with"), N_("No source can send events: there is no key")),
    "e-mail": (N_("E-mail has a channel"), N_("E-mail has no channel")),
    "sending": (N_("Nothing holds sending back"), N_("Everything is held: nothing is sent")),
    "ledger": (N_("The ledger adds up"), N_("The ledger of a campaign does not add up")),
    "sending domain": (N_("Mail comes from a name of the shop"), N_("Mail comes from a name nobody knows")),
}


@dataclass(frozen=True, slots=True)
class Check:
    """One thing examined, as a sentence, with what was found."""

    good: bool
    sentence: str
    found: str


@bp.get("")
@security.require_role(*roles.READ)
def index() -> str:
    """One sentence, the checks, every job's last run."""
    now, parts = datetime.now(UTC), current_parts()
    findings = doctor.examine(parts, now=now)
    checks = [Check(one.good, _said(one), sentences.said(one.detail)) for one in findings]
    with parts.db.begin() as conn:
        runs = jobs.last_runs(conn)
        closed = ledger.shut_gates(conn)
    failing = [run for run in runs if run.failed]
    config = parts.config
    settings = {
        "RELANCE_BASE_URL": config.base_url,
        "RELANCE_EMAIL_URL": config.email_url.split(":", 1)[0] + ":",
        "RELANCE_EMAIL_FROM": config.email_from,
        "RELANCE_LOCALE": config.locale,
        "RELANCE_DATABASE_URL": i18n.gettext("another server") if config.database_url else i18n.gettext("embedded"),
        "RELANCE_SENDGRID_WEBHOOK_KEY": i18n.gettext("set") if config.sendgrid_webhook_key else i18n.gettext("not set"),
    }
    return render_template(
        "console/health.html",
        checks=checks,
        runs=runs,
        bad=sum(not check.good for check in checks) + len(failing),
        gates=closed,
        settings=settings,
        words=words,
        now=now,
    )


def _said(finding: doctor.Finding) -> str:
    well, ill = SAID.get(finding.subject, (finding.subject, finding.subject))
    return i18n.gettext(well if finding.good else ill)
