"""The sending domain: what its DNS says to those who receive our mail, asked when somebody looks."""

from dataclasses import dataclass

from flask import Blueprint, render_template

from app import doctor, i18n, security
from app.console import roles
from app.i18n import N_
from app.parts import current_parts
from campaigns.channels import mime

bp = Blueprint("domain", __name__, url_prefix="/settings/domain")

SAID = {
    "SPF": (N_("Receivers know who may send for it"), N_("Receivers do not know who may send for it")),
    "DKIM": (N_("What we send is signed"), N_("What we send is not signed")),
    "DMARC": (N_("Receivers know what to do with forgeries"), N_("Receivers do not know what to do with forgeries")),
    "alignment": (
        N_("Signature or return address are of the sender"),
        N_("Neither signature nor return address are of the sender"),
    ),
    "tracking host": (N_("Links lead by a name of yours"), N_("Links do not lead by a name of yours")),
    "reverse DNS": (N_("Our host has a name that leads back to it"), N_("Our host has no name that leads back to it")),
    "DNS": (N_("Name servers answer"), N_("No name server answered")),
}


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
    config = current_parts().config
    kind = config.email_url.partition(":")[0]
    return render_template(
        "console/settings/domain.html",
        domain=mime.sender_domain(config.email_from),
        sender=config.email_from,
        kind=kind,
    )


@bp.get("/checks")
@security.require_role(*roles.READ)
def checks() -> str:
    """Asks the name servers, as `flask doctor` does."""
    found = doctor.published(current_parts().config)
    return render_template("console/settings/domain-checks.html", checks=[_said(one) for one in found])


def _said(finding: doctor.Finding) -> Check:
    well, ill = SAID.get(finding.subject, (finding.subject, finding.subject))
    return Check(finding.subject, finding.good, i18n.gettext(well if finding.good else ill), finding.detail)
