"""What people write back to text messages: stop ends all marketing to their number, start ends the stop."""

import dataclasses
from datetime import datetime

import sqlalchemy as sa

from campaigns import intents, sms_words, tables
from campaigns.feedback import Report
from campaigns.sms_words import Wish
from shop import consent, handles
from shop.tables import customers, identities, suppressions

SOURCE = "text message"


def heard(conn: sa.Connection, number: str, text: str, *, channel: str, now: datetime) -> Wish:
    """Takes a reply in; the same again is nothing. A number nobody has is suppressed all the same."""
    meant, known = sms_words.wish(text), handles.phone(number)
    if known is None or meant is Wish.OTHER:
        return meant
    holders = _holders(conn, known)
    intents.wait_for_people(conn, holders)
    state = consent.State.DENIED if meant is Wish.STOP else consent.State.GRANTED
    if meant is Wish.STOP:
        consent.suppress(conn, channel=channel, address=known, reason="unsubscribed", now=now)
    else:
        _welcome_back(conn, known, channel)
    said = [
        consent.Said(person, channel, "marketing", state, now, SOURCE, text[:200], None, {"number": known[-4:]})
        for person in holders
    ]
    consent.record_many(conn, said, now=now)
    return meant


def placed(conn: sa.Connection, provider: str, report: Report) -> Report:
    """A report that names the gateway's id alone, with the message that has it."""
    reference = (report.raw or {}).get("id")
    ledger = tables.messages
    query = sa.select(ledger.c.id, ledger.c.attempt).where(
        ledger.c.provider_ref == str(reference), ledger.c.provider == provider
    )
    found = conn.execute(query.limit(1)).one_or_none() if reference else None
    return dataclasses.replace(report, message_id=found.id, attempt=found.attempt) if found else report


def _welcome_back(conn: sa.Connection, number: str, channel: str) -> None:
    """Only her own stop ends; a complaint or an erasure does not."""
    gone = (
        (suppressions.c.channel == channel)
        & (suppressions.c.address_hash == consent.address_hash(conn, channel, number))
        & (suppressions.c.reason == "unsubscribed")
    )
    conn.execute(sa.delete(suppressions).where(gone))


def _holders(conn: sa.Connection, number: str) -> list[int]:
    """Everybody this number is known of, as they are known now."""
    told = sa.select(customers.c.id).where(customers.c.phone == number, customers.c.merged_into.is_(None))
    named = sa.select(identities.c.customer_id).where(identities.c.kind == "phone", identities.c.value == number)
    return sorted(set(conn.scalars(told)) | set(conn.scalars(named)))
