"""What became of our own messages, told as events through the shop's one door."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from campaigns import given
from shop import ingest, sources, vocabulary
from shop.tables import customers, identities
from shop.vocabulary import Event, Name

SOURCE = "relance"


@dataclass(frozen=True, slots=True)
class Told:
    """One event about one customer; `key` makes its repeat nothing."""

    key: str
    name: str
    customer_id: int
    at: datetime
    properties: Mapping[str, Any] = field(default_factory=dict)


def sent(row: Mapping[Any, Any]) -> Told:
    """A message was accepted; `row` is its row in the ledger."""
    at = row["accepted_at"] or row["resolved_at"]
    return Told(f"sent:{row['id']}", Name.MESSAGE_SENT, row["customer_id"], at, about(row))


def about(row: Mapping[Any, Any]) -> dict[str, Any]:
    """What our events say of their message."""
    return {
        "message_id": str(row["id"]),
        "campaign_id": row["campaign_id"],
        "step": row["step"],
        "message_channel": row["channel"],
    }


@dataclass(frozen=True, slots=True)
class Written:
    """Traits a campaign gives a customer; `key` makes their repeat nothing."""

    key: str
    customer_id: int
    at: datetime
    traits: Mapping[str, Any]


def write(conn: sa.Connection, written: Sequence[Written], *, now: datetime) -> None:
    """Gives customers traits, by the door the shop's own come by."""
    _take_in(
        conn,
        [
            (one.customer_id, {"type": "identify", "messageId": one.key, "traits": one.traits}, one.at)
            for one in written
        ],
        now=now,
    )


def tell(conn: sa.Connection, told: Sequence[Told], *, now: datetime) -> None:
    """Takes them in; customers who can no longer be named, because they were erased, are passed over."""
    _take_in(
        conn,
        [
            (
                one.customer_id,
                {"type": "track", "event": one.name, "messageId": one.key, "properties": dict(one.properties)},
                one.at,
            )
            for one in told
        ],
        now=now,
    )


def _take_in(conn: sa.Connection, said: Sequence[tuple[int, dict[str, Any], datetime]], *, now: datetime) -> None:
    if not said:
        return
    source = sources.source(conn, SOURCE, channel="web", now=now, trusted=True)
    handles = _handles(conn, sorted({customer for customer, _, _ in said}))
    events = []
    for customer, body, at in said:
        named = handles.get(customer)
        if named is None:
            continue
        traits = {**named.get("traits", {}), **body.get("traits", {})}
        payload = {**named, **body, "timestamp": min(at, now).isoformat(), **({"traits": traits} if traits else {})}
        event = vocabulary.parse(payload, source=source, received_at=now, trusted=True)
        if isinstance(event, Event):
            events.append(event)
    ingest.ingest(conn, events, now=now)


def _handles(conn: sa.Connection, ids: Sequence[int]) -> dict[int, dict[str, Any]]:
    """How the shop's door recognises each customer: its own id, else a device, else the address."""
    held, person = customers.alias("held"), customers.alias("person")
    device = (
        sa.select(sa.func.min(identities.c.value))
        .where(
            identities.c.customer_id == person.c.id,
            identities.c.kind == "anonymous_id",
            identities.c.quarantined_at.is_(None),
        )
        .scalar_subquery()
    )
    query = (
        sa.select(held.c.id, person.c.user_id, person.c.email, device.label("device"))
        .join(person, person.c.id == sa.func.coalesce(held.c.merged_into, held.c.id))
        .where(held.c.id == given.any_of(ids))
    )
    named = {row["id"]: _named(row) for row in conn.execute(query).mappings()}
    return {customer: payload for customer, payload in named.items() if payload}


def _named(row: sa.RowMapping) -> dict[str, Any]:
    if row["user_id"]:
        return {"userId": row["user_id"]}
    if row["device"]:
        return {"anonymousId": row["device"]}
    return {"traits": {"email": row["email"]}} if row["email"] else {}
