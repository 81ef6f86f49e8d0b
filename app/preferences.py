"""What a customer receives, chosen by herself without sign-in: unsubscribing, preferences, saying yes a second time.

Opened by a signed link that says which message it came from, never who holds it: nothing here shows a name or an
address, and a `GET` never changes anything, for scanners of mails open every link.
"""

from datetime import UTC, datetime
from uuid import UUID

import sqlalchemy as sa
from flask import Blueprint, request

from app import choices, i18n
from app.parts import current_parts
from app.public import nowhere, page, private
from campaigns import confirming, feedback, intents, policy
from shop import consent

bp = Blueprint("preferences", __name__)
bp.after_request(private)

STOP = "stop"


# -------------------------------------------------------------------------------------------- unsubscribing
@bp.get("/u/<token>")
def unsubscribe(token: str) -> str:
    """Asks. Scanners of mails open every link, so showing the page does nothing."""
    message_id = current_parts().links.read_unsubscribe(token) or nowhere()
    return _unsubscribe(message_id, done=False)


@bp.post("/u/<token>")
def unsubscribe_now(token: str) -> str:
    """Acts at once (RFC 8058): no cookie, no redirect, and the same again changes nothing.

    Who presses the button of a mail program wants no more of this; who then presses ours, no more of anything.
    """
    message_id = current_parts().links.read_unsubscribe(token) or nowhere()
    everything = request.form.get("act") == STOP
    with current_parts().db.begin() as conn:
        feedback.unsubscribed(conn, message_id, everything=everything, now=datetime.now(UTC))
    return _unsubscribe(message_id, done=True, everything=everything)


def _unsubscribe(message_id: UUID, *, done: bool, everything: bool = False) -> str:
    with current_parts().db.begin() as conn:
        name = feedback.topic_of_message(conn, message_id)
        topic = policy.load(conn).topics.get(name, name) if name and not everything else None
    return page("unsubscribe", message_id, done=done, topic=topic)


# ---------------------------------------------------------------------------------------------- preferences
@bp.get("/preferences/<token>")
def preferences(token: str) -> str:
    """What she receives, to be changed."""
    message_id = current_parts().links.read_preferences(token) or nowhere()
    with current_parts().db.begin() as conn:
        offered = _offered(conn, _customer(conn, message_id))
    return page("preferences", message_id, choices=offered, saved=False)


@bp.post("/preferences/<token>")
def choose(token: str) -> str:
    """Keeps what changed, each with the words that were read."""
    message_id = current_parts().links.read_preferences(token) or nowhere()
    stop, now = request.form.get("act") == STOP, datetime.now(UTC)
    wanted = set() if stop else set(request.form)
    proof = {"message": str(message_id)}
    with current_parts().db.begin() as conn:
        customer_id = _customer(conn, message_id)
        intents.wait_for_people(conn, [customer_id])  # nothing begins once her choice is answered
        before = _offered(conn, customer_id)
        said = choices.said(before, wanted, customer_id=customer_id, proof=proof, everything=stop, now=now)
        consent.record_many(conn, said, now=now)
        offered = _offered(conn, customer_id)
    return page("preferences", message_id, choices=offered, saved=True)


def _customer(conn: sa.Connection, message_id: UUID) -> int:
    return feedback.customer_of(conn, message_id) or nowhere()


def _offered(conn: sa.Connection, customer_id: int) -> list[choices.Choice]:
    return choices.offered(consent.standing(conn, customer_id), policy.load(conn).topics)


# ------------------------------------------------------------------------------------ a yes said twice
@bp.get("/k/<token>")
def confirm(token: str) -> str:
    """Asks whether she meant it: only her own mailbox knows this address."""
    message_id = current_parts().links.read_confirm(token) or nowhere()
    return page("confirm", message_id, done=False, text=_agreement())


@bp.post("/k/<token>")
def confirmed(token: str) -> str:
    """She agrees to e-mails; the same again changes nothing. The message and the words she read are the proof."""
    message_id = current_parts().links.read_confirm(token) or nowhere()
    with current_parts().db.begin() as conn:
        counts = confirming.confirmed(conn, message_id, text=_agreement(), now=datetime.now(UTC))
    return page("confirm", message_id, done=True, text=_agreement()) if counts else nowhere()


def _agreement() -> str:
    return str(i18n.gettext(i18n.N_("I agree to receive your offers by e-mail. I can change my mind at any time.")))
