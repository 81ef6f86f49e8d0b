"""Customers and consents from files, by the doors `identify` and consent forms use."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from foundation.errors import Fault
from shop import consent, customers, rows, vocabulary
from shop.consent import Said, State
from shop.feeds import RowResult
from shop.tables import consent_log
from shop.tables import customers as customer_rows
from shop.vocabulary import Event, Name

CUSTOMER_FIELDS = (
    rows.Field("user_id", rows.identifier, required=True),
    rows.Field("email", rows.email),
    rows.Field("phone", rows.short),
    rows.Field("first_name", rows.short),
    rows.Field("last_name", rows.short),
    rows.Field("locale", rows.short),
    rows.Field("timezone", rows.timezone),
    rows.Field("birth_year", rows.year),
    rows.Field("traits", rows.json_object),
)
CONSENT_FIELDS = (
    rows.Field("user_id", rows.identifier, required=True),
    rows.Field("channel", rows.one_of(consent.CHANNELS), required=True),
    rows.Field("purpose", rows.one_of(consent.PURPOSES), required=True),
    rows.Field("state", rows.one_of((State.GRANTED, State.DENIED)), required=True),
    rows.Field("timestamp", rows.moment, required=True),
    rows.Field("source", rows.short, required=True),
    rows.Field("text", rows.text),
)


def put_customers(conn: sa.Connection, given: Sequence[Mapping[str, object]], /, *, now: datetime) -> list[RowResult]:
    """What the file says of each customer, merged into what is known; empty cells say nothing."""
    results, told = _read(given, CUSTOMER_FIELDS)
    before = _versions(conn, told)
    customers.resolve(conn, [_told(values["user_id"], _traits(values), now=now) for values in told.values()], now=now)
    after = _versions(conn, told)
    for index, values in told.items():
        user_id = values["user_id"]
        results[index] = RowResult(index=index, ok=True, changed=before.get(user_id) != after[user_id])
        before[user_id] = after[user_id]
    return results


def put_consents(conn: sa.Connection, given: Sequence[Mapping[str, object]], /, *, now: datetime) -> list[RowResult]:
    """Every yes and no joins the log with its proof; customers not known yet are made, so that none is lost."""
    results, told = _read(given, CONSENT_FIELDS)
    for index, values in list(told.items()):
        if values["timestamp"] > now + vocabulary.FUTURE:
            fault = Fault("/timestamp", "is more than a day ahead")
            results[index] = RowResult(index=index, ok=False, faults=(fault,))
            del told[index]
    placed = customers.resolve(conn, [_told(values["user_id"], {}, now=now) for values in told.values()], now=now)
    before = _known(conn, [place.customer for place in placed])
    said = [_said(values, place.customer) for values, place in zip(told.values(), placed, strict=True)]
    consent.record_many(conn, said, now=now)
    for index, one in zip(told, said, strict=True):
        results[index] = RowResult(index=index, ok=True, changed=_word(one) not in before)
        before.add(_word(one))
    return results


def _said(values: Mapping[str, Any], customer: int) -> Said:
    return Said(
        customer_id=customer,
        channel=values["channel"],
        purpose=values["purpose"],
        state=values["state"],
        at=values["timestamp"],
        source=values["source"],
        text=values.get("text"),
    )


def _word(one: Said) -> tuple[object, ...]:
    return (one.customer_id, one.channel, one.purpose, str(one.state), one.at, one.source)


def _known(conn: sa.Connection, customer_ids: Sequence[int]) -> set[tuple[object, ...]]:
    """What these customers are already on record as having said."""
    log = consent_log.c
    query = sa.select(log.origin_id, log.channel, log.purpose, log.state, log.at, log.source)
    return {tuple(row) for row in conn.execute(query.where(log.origin_id.in_(set(customer_ids))))}


# -------------------------------------------------------------------------------------------------- shared
def _read(
    given: Sequence[Mapping[str, object]], fields: Sequence[rows.Field]
) -> tuple[list[RowResult], dict[int, dict[str, Any]]]:
    """A result for each row, and the values of the good ones by their index."""
    results: list[RowResult] = []
    good: dict[int, dict[str, Any]] = {}
    for index, row in enumerate(given):
        values, faults = rows.read(fields, row)
        results.append(RowResult(index=index, ok=not faults, faults=tuple(faults)))
        if not faults:
            good[index] = values
    return results, good


def _traits(values: Mapping[str, Any]) -> dict[str, Any]:
    named = {name: value for name, value in values.items() if name not in ("user_id", "traits") and value is not None}
    return {**(values.get("traits") or {}), **named}


def _told(user_id: str, traits: dict[str, Any], *, now: datetime) -> Event:
    """What an `identify` call would have said; it is not stored as an event."""
    return Event(
        key=UUID(int=0),
        message_id="",
        type="identify",
        name=Name.IDENTIFIED,
        occurred_at=now,
        received_at=now,
        source_id=0,
        channel="web",
        user_id=user_id,
        traits=traits,
        trusted=True,
    )


def _versions(conn: sa.Connection, told: Mapping[int, Mapping[str, Any]]) -> dict[str, str]:
    """A mark of all that is known of each customer named, to see whether a row told anything new."""
    known = customer_rows.c
    said = sa.func.row(
        *(known.email, known.phone, known.first_name, known.last_name, known.locale, known.timezone),
        *(known.birth_year, known.traits),
    )
    query = sa.select(known.user_id, sa.func.md5(sa.cast(said, sa.Text)))
    named = {values["user_id"] for values in told.values()}
    return {user_id: mark for user_id, mark in conn.execute(query.where(known.user_id.in_(named)))}
