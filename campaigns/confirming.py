"""A yes said twice (double opt-in): who asked for our e-mails presses a button that only her own mailbox was sent.

What is kept as proof: the message and when it left, what had been asked and when, the words read on the page.
"""

from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from campaigns import feedback, own_events, tables
from campaigns.tables import enrolments, messages
from shop import consent, customers
from shop.vocabulary import Name

FORM = "confirm/1"
"""The version of the page; changes with its words."""


def confirmed(conn: sa.Connection, message_id: UUID, *, text: str, now: datetime) -> bool:
    """She agrees to e-mails about what the message's campaign is about; the same again changes nothing. `text` is what
    she read. False if the message was not to the address she has now: it proves nothing of that one."""
    row = conn.execute(_ASKED.where(messages.c.id == message_id)).mappings().one_or_none()
    person = feedback.customer_of(conn, message_id)
    if row is None or person is None or not _still_hers(conn, person, row["address"]):
        return False
    topic = feedback.topic_of_message(conn, message_id)
    purpose = f"marketing/{topic}" if topic else "marketing"
    if consent.standing(conn, person).get(("email", purpose)) == consent.State.GRANTED:
        return True
    consent.record(
        conn,
        customer_id=person,
        channel="email",
        purpose=purpose,
        state=consent.State.GRANTED,
        at=now,
        source=f"confirmed:{message_id}",
        text=text,
        form=FORM,
        proof=_proof(row, message_id),
        now=now,
    )
    properties = own_events.about({"id": message_id, **row}) | ({"topic": topic} if topic else {})
    told = own_events.Told(f"confirmed:{message_id}", Name.SUBSCRIPTION_CONFIRMED, person, now, properties)
    own_events.tell(conn, [told], now=now)
    return True


_ASKED = (
    sa.select(
        messages.c.campaign_id,
        messages.c.step,
        messages.c.channel,
        messages.c.submitted_at,
        enrolments.c.happened_at,
        tables.message_contents.c.address,
    )
    .outerjoin(enrolments, enrolments.c.id == messages.c.enrolment_id)
    .join(tables.message_contents, tables.message_contents.c.message_id == messages.c.id)
)


def _still_hers(conn: sa.Connection, person: int, address: str) -> bool:
    known = customers.get_many(conn, [person]).get(person)
    mine = known.email if known else None
    return mine is not None and _hash(conn, mine) == _hash(conn, address)


def _hash(conn: sa.Connection, address: str) -> bytes:
    return consent.address_hash(conn, "email", address)


def _proof(row: sa.RowMapping, message_id: UUID) -> dict[str, Any]:
    moments = {"asked_at": row["happened_at"], "sent_at": row["submitted_at"]}
    return {"message": str(message_id)} | {name: at.isoformat() for name, at in moments.items() if at is not None}
