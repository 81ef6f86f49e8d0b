"""The return mailbox becomes reports: bounces, complaints and goodbyes of any SMTP host, as a provider tells them."""

from collections.abc import Sequence
from datetime import datetime

from campaigns import feedback
from campaigns.bounces import Fault
from campaigns.channels import returned
from campaigns.channels.mailboxes import Arrived, Mailbox
from campaigns.channels.returned import Kind, Returned
from campaigns.feedback import Report
from campaigns.links import Links
from foundation.database import Database

PROVIDER = "mailbox"
BATCH = 100
OURS = (Fault.REPUTATION, Fault.AUTHENTICATION, Fault.CONTENT, Fault.VOLUME, Fault.TECHNICAL, Fault.UNKNOWN)
"""Faults that say nothing of the mailbox written to."""

_KINDS = {
    Kind.BOUNCED: feedback.Kind.BOUNCED,
    Kind.DELAYED: feedback.Kind.ACCEPTED,
    Kind.COMPLAINED: feedback.Kind.COMPLAINED,
    Kind.UNSUBSCRIBED: feedback.Kind.UNSUBSCRIBED,
}


def collect(db: Database, box: Mailbox | None, links: Links, *, now: datetime) -> str | None:
    """Reads what came back, a hundred mails a transaction, and puts it away. Manages its own transactions: a mail is
    put away only once what it says is kept. Raises `mailboxes.Unreachable`."""
    if box is None:
        return None
    read = told = 0

    def handle(mails: Sequence[Arrived]) -> None:
        nonlocal told
        reports = [report(found, now) for mail in mails if (found := returned.read(mail.raw, links)) is not None]
        with db.begin() as conn:
            told += feedback.reported(conn, PROVIDER, reports, now=now, by="mailbox")

    while (taken := box.read(handle, limit=BATCH)) == BATCH:
        read += taken
    read += taken
    return f"{told} reports in {read} mails" if read else None


def report(found: Returned, now: datetime) -> Report:
    """What a returned mail says, as any provider's report."""
    return Report(
        event_id=found.event_id,
        kind=_KINDS[found.kind],
        at=now,
        message_id=found.message_id,
        bad_address=found.fault is Fault.INVALID and found.kind is Kind.BOUNCED,
        ours=found.fault in OURS,
        detail=found.detail,
        raw={"fault": found.fault, "kind": found.kind},
    )
