"""The sending domain: what its DNS says to those who receive our mail, asked when somebody looks."""

from dataclasses import dataclass

from flask import Blueprint, render_template

from app import doctor, security
from app.console import finding_words, roles
from app.parts import current_parts
from campaigns.channels import mime

bp = Blueprint("domain", __name__, url_prefix="/settings/domain")


@dataclass(frozen=True, slots=True)
class Check:
    """One thing examined, as a sentence, with what was found or what to publish."""

    subject: str
    good: bool
    sentence: str
    found: str


@bp.get("")
@security.require_role(*roles.READ)
def index() -> str:
    """Who sends, and the checks, which come a moment later: name servers take their time."""
    parts = current_parts()
    with parts.db.begin() as conn:
        sender = parts.sender(conn)
    return render_template(
        "console/settings/domain.html",
        domain=mime.sender_domain(sender),
        sender=sender,
        kind=parts.config.email_url.partition(":")[0],
    )


@bp.get("/checks")
@security.require_role(*roles.READ)
def checks() -> str:
    """Asks the name servers, as `flask doctor` does."""
    parts = current_parts()
    with parts.db.begin() as conn:
        sender = parts.sender(conn)
    found = doctor.published(parts.config, sender=sender)
    return render_template("console/settings/domain-checks.html", checks=[_said(one) for one in found])


def _said(finding: doctor.Finding) -> Check:
    said = finding_words.said(finding.subject, good=finding.good)
    return Check(finding.subject, finding.good, said, finding.detail)
