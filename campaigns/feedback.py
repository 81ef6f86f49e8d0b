"""What came back: providers' reports, clicks, opens, unsubscribes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from campaigns import own_events, tables
from campaigns.states import Reason, State, before
from foundation import database
from recommender import shown
from shop import consent, customers
from shop.vocabulary import Name

messages, contents, provider_events = tables.messages, tables.message_contents, tables.provider_events


class Kind(StrEnum):
    """What a provider may report of a message."""

    ACCEPTED = "accepted"
    DELIVERED = "delivered"
    DROPPED = "dropped"
    BOUNCED = "bounced"
    COMPLAINED = "complained"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Report:
    """One report of a provider. `bad_address` if the address does not exist; `raw` is kept as it came."""

    event_id: str
    kind: Kind
    at: datetime
    message_id: UUID | None = None
    attempt: int | None = None
    bad_address: bool = False
    detail: str | None = None
    raw: Mapping[str, Any] | None = None


_STATES = {
    Kind.ACCEPTED: State.ACCEPTED,
    Kind.DELIVERED: State.DELIVERED,
    Kind.DROPPED: State.DROPPED,
    Kind.BOUNCED: State.BOUNCED,
    Kind.COMPLAINED: State.COMPLAINED,
}


def reported(conn: sa.Connection, provider: str, reports: Sequence[Report], *, now: datetime) -> int:
    """T10: takes in reports, in any order and however often they come. Gives how many were new.

    They are found by our own message id and attempt, so one may arrive before the answer to the call itself.
    """
    new = 0
    for report in reports:
        if _first_time(conn, provider, report, now):
            new += 1
            _apply(conn, report, now)
    return new


def _first_time(conn: sa.Connection, provider: str, report: Report, now: datetime) -> bool:
    row = {
        "provider": provider,
        "event_id": report.event_id,
        "message_id": report.message_id,
        "attempt": report.attempt,
        "type": report.kind,
        "at": report.at,
        "received_at": now,
        "raw": report.raw or {},
    }
    return database.insert_once(conn, provider_events, row)


def _apply(conn: sa.Connection, report: Report, now: datetime) -> None:
    target = _STATES.get(report.kind)
    if target is None or report.message_id is None:
        return
    mine = messages.c.id == report.message_id
    if report.attempt is not None:
        mine &= messages.c.attempt == report.attempt
    values: dict[str, Any] = {
        "state": target,
        "reason": _reason(report),
        "detail": report.detail,
        "lease_until": None,
        "accepted_at": sa.func.coalesce(messages.c.accepted_at, report.at),
        "resolved_at": sa.func.coalesce(messages.c.resolved_at, now),
        "resolved_by": "webhook",
        # What was thought unsure, and settled as such, has consequences after all.
        "settled_at": sa.case((messages.c.state == State.UNCONFIRMED, None), else_=messages.c.settled_at),
    }
    conn.execute(sa.update(messages).where(mine, messages.c.state.in_(before(target))).values(values))
    if report.bad_address or report.kind is Kind.COMPLAINED:
        reason = "complaint" if report.kind is Kind.COMPLAINED else "hard_bounce"
        _suppress(conn, report.message_id, reason=reason, now=now)


def _reason(report: Report) -> Reason | None:
    if report.kind is Kind.COMPLAINED:
        return Reason.COMPLAINT
    if report.kind in (Kind.BOUNCED, Kind.DROPPED):
        return Reason.HARD_BOUNCE if report.bad_address else Reason.SOFT_BOUNCE
    return None


def _suppress(conn: sa.Connection, message_id: UUID, *, reason: str, now: datetime) -> None:
    row = conn.execute(
        sa.select(messages.c.channel, contents.c.address)
        .join(contents, contents.c.message_id == messages.c.id)
        .where(messages.c.id == message_id)
    ).one_or_none()
    if row is not None:
        consent.suppress(conn, channel=row.channel, address=row.address, reason=reason, now=now)


# ---------------------------------------------------------------------------------------------- customers
def destination(conn: sa.Connection, message_id: UUID, n: int) -> str | None:
    """Where link `n` of a message leads, as frozen when it was rendered."""
    addresses = conn.scalar(sa.select(contents.c.links).where(contents.c.message_id == message_id))
    return addresses[n] if addresses and 0 <= n < len(addresses) else None


def clicked(conn: sa.Connection, message_id: UUID, n: int, *, machine: bool, now: datetime) -> None:
    """A link was followed. What a scanner follows is told as an event, but never counts as the customer's click."""
    row = _message(conn, message_id)
    if row is None:
        return
    if not machine:
        _touch(conn, message_id, now)
    properties = own_events.about(row) | {"link": n, "machine": machine} | _recommended(conn, message_id, n)
    key = f"clicked:{message_id.hex}:{n}:{now:%Y%m%d%H%M%S}"
    told = own_events.Told(key, Name.MESSAGE_CLICKED, row["customer_id"], now, properties)
    own_events.tell(conn, [told], now=now)


def _recommended(conn: sa.Connection, message_id: UUID, n: int) -> dict[str, str]:
    """The slate and the product, if the link leads to a product recommended in the message."""
    kept = sa.select(contents.c.slate_id, contents.c.links).where(contents.c.message_id == message_id)
    row = conn.execute(kept).one_or_none()
    if row is None or row.slate_id is None or not 0 <= n < len(row.links):
        return {}
    product_id = shown.product_at(conn, row.slate_id, row.links[n])
    return {"slate_id": str(row.slate_id), "product_id": product_id} if product_id else {}


def _touch(conn: sa.Connection, message_id: UUID, now: datetime) -> None:
    conn.execute(
        sa.update(messages)
        .where(messages.c.id == message_id)
        .values(first_clicked_at=sa.func.coalesce(messages.c.first_clicked_at, now), last_clicked_at=now)
    )


def opened(conn: sa.Connection, message_id: UUID, *, machine: bool, now: datetime) -> None:
    """The picture of a mail was fetched. Kept only while its customer lets us measure: she may have said no since."""
    row = _message(conn, message_id)
    if row is None or machine:
        return
    allowed = consent.states(conn, [row["person"]], channel="email", purpose="analytics")[row["person"]]
    if allowed == consent.State.GRANTED:
        first = (messages.c.id == message_id) & messages.c.opened_at.is_(None)
        conn.execute(sa.update(messages).where(first).values(opened_at=now))


def unsubscribed(conn: sa.Connection, message_id: UUID, *, now: datetime) -> bool:
    """No more marketing to this person and this address, from the commit on; again is nothing. False if unknown."""
    row = _message(conn, message_id)
    if row is None:
        return False
    if consent.standing(conn, row["person"]).get((row["channel"], "marketing")) != consent.State.DENIED:
        consent.withdraw(conn, row["person"], channel=row["channel"], source=f"unsubscribe:{message_id}", now=now)
    _suppress(conn, message_id, reason="unsubscribed", now=now)
    told = own_events.Told(
        f"unsubscribed:{message_id}", Name.UNSUBSCRIBED, row["customer_id"], now, own_events.about(row)
    )
    own_events.tell(conn, [told], now=now)
    return True


def customer_of(conn: sa.Connection, message_id: UUID) -> int | None:
    """Who a message was for, as she is known now."""
    row = _message(conn, message_id)
    return row["person"] if row else None


def _message(conn: sa.Connection, message_id: UUID) -> dict[str, Any] | None:
    row = conn.execute(sa.select(messages).where(messages.c.id == message_id)).mappings().one_or_none()
    if row is None:
        return None
    return {**row, "person": customers.canonical(conn, [row["customer_id"]])[row["customer_id"]]}
