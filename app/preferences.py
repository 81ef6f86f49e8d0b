"""What a customer receives, chosen by herself without sign-in: unsubscribing, preferences, saying yes a second time.

Opened by a signed link that says which message it came from, never who holds it: nothing here shows a name or an
address, and a `GET` never changes anything, for scanners of mails open every link.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

import sqlalchemy as sa
from flask import Blueprint, request

from app import i18n
from app.parts import current_parts
from app.public import nowhere, page, private
from campaigns import feedback, intents, policy
from shop import consent

bp = Blueprint("preferences", __name__)
bp.after_request(private)

FORM = "preferences/2"
"""The version of the form a consent was given in; changes with its words."""
STOP, SAVE = "stop", "save"


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
@dataclass(frozen=True, slots=True)
class Choice:
    """One thing a customer may agree to, in the words she reads; `within` another that covers it."""

    channel: str
    purpose: str
    title: str
    text: str
    granted: bool
    within: bool = False

    @property
    def name(self) -> str:
        """Its field in the form."""
        return f"{self.channel}:{self.purpose}"


@bp.get("/preferences/<token>")
def preferences(token: str) -> str:
    """What she receives, to be changed."""
    message_id = current_parts().links.read_preferences(token) or nowhere()
    with current_parts().db.begin() as conn:
        choices = _choices(conn, _customer(conn, message_id))
    return page("preferences", message_id, choices=choices, saved=False)


@bp.post("/preferences/<token>")
def choose(token: str) -> str:
    """Keeps what changed, each with the words that were read."""
    message_id = current_parts().links.read_preferences(token) or nowhere()
    wanted = set() if request.form.get("act") == STOP else set(request.form)
    with current_parts().db.begin() as conn:
        customer_id = _customer(conn, message_id)
        intents.wait_for_people(conn, [customer_id])  # nothing begins once her choice is answered
        _keep(conn, customer_id, wanted, message_id=message_id, now=datetime.now(UTC))
        choices = _choices(conn, customer_id)
    return page("preferences", message_id, choices=choices, saved=True)


def _customer(conn: sa.Connection, message_id: UUID) -> int:
    return feedback.customer_of(conn, message_id) or nowhere()


def _choices(conn: sa.Connection, customer_id: int) -> list[Choice]:
    return list(_asked(consent.standing(conn, customer_id), policy.load(conn).topics))


def _asked(standing: dict[tuple[str, str], consent.State], topics: "policy.Topics") -> Iterator[Choice]:
    for (channel, purpose), (title, text) in CHOICES.items():
        said = (str(i18n.gettext(title)), str(i18n.gettext(text)))
        granted = _granted(standing, channel, purpose)
        yield Choice(channel, purpose, *said, granted)
        if (channel, purpose) == ("email", "marketing"):
            for name, topic in topics.items():
                denied = standing.get((channel, f"marketing/{name}")) == consent.State.DENIED
                about = str(i18n.gettext(i18n.N_("Among our e-mails.")))
                yield Choice(channel, f"marketing/{name}", topic, about, granted and not denied, within=True)


def _granted(standing: dict[tuple[str, str], consent.State], channel: str, purpose: str) -> bool:
    """A no anywhere that covers it outweighs every yes."""
    said = {standing.get((one, other)) for one in (channel, "any") for other in (purpose, "any")}
    return consent.State.GRANTED in said and consent.State.DENIED not in said


CHOICES = {
    ("email", "marketing"): (i18n.N_("E-mails"), i18n.N_("Offers, and a word when you left something in your basket.")),
    ("sms", "marketing"): (i18n.N_("Text messages"), i18n.N_("Rare, and never at night.")),
    ("whatsapp", "marketing"): (i18n.N_("WhatsApp"), i18n.N_("Rare, and never at night.")),
    ("push", "marketing"): (i18n.N_("Notifications"), i18n.N_("On the devices where you allowed them.")),
    ("ads", "marketing"): (i18n.N_("Advertising elsewhere"), i18n.N_("Showing you our products on other sites.")),
    ("any", "personalization"): (
        i18n.N_("Suggestions for you"),
        i18n.N_("Choosing products from what you viewed and bought."),
    ),
    ("email", "analytics"): (i18n.N_("Knowing whether you read"), i18n.N_("Noting that you opened our e-mails.")),
}


def _keep(conn: sa.Connection, customer_id: int, wanted: set[str], *, message_id: UUID, now: datetime) -> None:
    """A topic of mails that all end is not asked about: the no to all of them covers it."""
    ended = "email:marketing" not in wanted
    said = [
        consent.Said(
            customer_id,
            choice.channel,
            choice.purpose,
            consent.State.GRANTED if choice.name in wanted else consent.State.DENIED,
            now,
            "preferences",
            f"{choice.title}. {choice.text}",
            FORM,
            {"message": str(message_id)},
        )
        for choice in _choices(conn, customer_id)
        if not (choice.within and ended)
        and ((choice.name in wanted) != choice.granted or request.form.get("act") == STOP)
    ]
    consent.record_many(conn, said, now=now)


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
    now = datetime.now(UTC)
    with current_parts().db.begin() as conn:
        customer_id, topic = _customer(conn, message_id), feedback.topic_of_message(conn, message_id)
        purpose = f"marketing/{topic}" if topic else "marketing"
        if consent.standing(conn, customer_id).get(("email", purpose)) != consent.State.GRANTED:
            consent.record(
                conn,
                customer_id=customer_id,
                channel="email",
                purpose=purpose,
                state=consent.State.GRANTED,
                at=now,
                source=f"confirmed:{message_id}",
                text=_agreement(),
                form="confirm/1",
                proof={"message": str(message_id)},
                now=now,
            )
    return page("confirm", message_id, done=True, text=_agreement())


def _agreement() -> str:
    return str(i18n.gettext(i18n.N_("I agree to receive your offers by e-mail. I can change my mind at any time.")))
