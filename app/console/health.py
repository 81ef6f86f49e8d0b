"""Is everything well: the jobs' ledger, the scheduler's pulse, the database's promises, the channel, the settings."""

from dataclasses import dataclass
from datetime import UTC, datetime

from flask import Blueprint, render_template

from app import doctor, i18n, security
from app.console import finding_words, roles, sentences, words
from app.parts import current_parts
from campaigns import findings, ledger
from foundation import jobs

bp = Blueprint("health", __name__, url_prefix="/health")


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
    found = doctor.examine(parts, now=now)
    with parts.db.begin() as conn:
        asked = findings.last(conn, now=now)
        runs = jobs.last_runs(conn)
        closed = ledger.shut_gates(conn)
    found += [one for one in asked if one.subject not in {mine.subject for mine in found}]
    checks = [
        Check(one.good, finding_words.said(one.subject, good=one.good), sentences.said(one.detail)) for one in found
    ]
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
