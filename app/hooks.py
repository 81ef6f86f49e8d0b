"""What providers post to us: SendGrid's signed event webhook, the signature checked before anything is read."""

import functools
import logging
from datetime import UTC, datetime

import sqlalchemy as sa
from flask import Blueprint, Response, abort, request

from app.parts import current_parts
from campaigns import feedback, sendgrid_events

bp = Blueprint("hooks", __name__, url_prefix="/hooks")

log = logging.getLogger(__name__)

MOST_BYTES = 5 * 1024 * 1024


@bp.post("/sendgrid")
def sendgrid() -> Response:
    """Answers 2xx only once every report is kept: anything else makes SendGrid send them again, for 24 hours."""
    key, now = current_parts().config.sendgrid_webhook_key, datetime.now(UTC)
    body = request.get_data(cache=False) if (request.content_length or 0) <= MOST_BYTES else abort(413)
    signature = request.headers.get("X-Twilio-Email-Event-Webhook-Signature", "")
    timestamp = request.headers.get("X-Twilio-Email-Event-Webhook-Timestamp", "")
    if not key or not sendgrid_events.signed(body, signature=signature, timestamp=timestamp, public_key=key):
        abort(403)
    if sendgrid_events.old(timestamp, now=now, other=_other_clock):
        log.warning("an old report was refused", extra={"reason": "signed more than ten minutes ago by both clocks"})
        abort(403)
    try:
        reports = sendgrid_events.read(body, now=now)
    except sendgrid_events.Unreadable:
        abort(400)
    with current_parts().db.begin() as conn:
        reader = functools.partial(sendgrid_events.reports, now=now)
        feedback.reported(conn, "sendgrid", reports, now=now, reader=reader)
    return Response(status=204)


def _other_clock() -> datetime:
    """The database's, often that of another machine."""
    with current_parts().db.begin() as conn:
        told: datetime = conn.execute(sa.select(sa.func.clock_timestamp())).scalar_one()
    return told
