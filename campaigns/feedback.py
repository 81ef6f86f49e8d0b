"""What came back: providers' reports, clicks, opens, unsubscribes. Everything is taken in as a set."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID

import orjson
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from campaigns import gates, given, intents, mail_tables, own_events, plans, tables
from campaigns.states import FACTS, Reason, State, before
from foundation import database
from recommender import shown
from shop import consent, customers
from shop.tables import consents
from shop.vocabulary import Name

messages, contents, provider_events = tables.messages, tables.message_contents, tables.provider_events

SOFT_DAYS, SOFT_WITHIN = 3, timedelta(days=30)
"""A mailbox that took nothing on so many days within so long is left alone."""
COMPARED = timedelta(days=2)
"""Within so long a provider's lists have been compared with ours, which happens every night."""
AT_ONCE = timedelta(seconds=2)
"""Nobody reads a mail so soon after it was delivered."""


class Kind(StrEnum):
    """What a provider may report of a message."""

    ACCEPTED = "accepted"
    DELIVERED = "delivered"
    DROPPED = "dropped"
    BOUNCED = "bounced"
    COMPLAINED = "complained"
    UNSUBSCRIBED = "unsubscribed"
    OTHER = "other"


class Listed(StrEnum):
    """Why a provider leaves an address of its lists alone, in the words we keep for such addresses."""

    COMPLAINT = "complaint"
    UNSUBSCRIBED = "unsubscribed"


@dataclass(frozen=True, slots=True)
class Report:
    """One report of a provider. `bad_address` if the address does not exist; `ours` if the fault was not hers at all;
    `listed` if the provider would not write to her; `ref` is the provider's name of the message, for reports that lack
    ours; `raw` is kept as it came."""

    event_id: str
    kind: Kind
    at: datetime
    message_id: UUID | None = None
    attempt: int | None = None
    bad_address: bool = False
    ours: bool = False
    listed: Listed | None = None
    detail: str | None = None
    ref: str | None = None
    raw: Mapping[str, Any] | None = None


_STATES = {
    State.ACCEPTED: Kind.ACCEPTED,
    State.DELIVERED: Kind.DELIVERED,
    State.DROPPED: Kind.DROPPED,
    State.BOUNCED: Kind.BOUNCED,
    State.COMPLAINED: Kind.COMPLAINED,
}


Reader = Callable[[Iterable[object]], Iterable[Report]]
"""How a provider's own words are read: what was kept without a message is read again once it is known whose it is."""


def reported(
    conn: sa.Connection,
    provider: str,
    reports: Sequence[Report],
    *,
    now: datetime,
    by: str = "webhook",
    reader: Reader | None = None,
) -> int:
    """T10: takes in reports, in any order and however often they come. Gives how many were new.

    They are found by our own message id and attempt, so one may arrive before the answer to the call itself. One
    without them counts as soon as another of the same `ref` has said whose it is. The number of statements does not
    grow with theirs.
    """
    once = {report.event_id: report for report in reports}
    told = _with_messages(conn, provider, list(once.values()))
    kept = _keep(conn, provider, told, now)
    fresh = [report for report in told if report.event_id in kept]
    if reader is not None:
        fresh += _found_again(conn, provider, fresh, reader)
    _take_turns(conn, fresh)
    for state in FACTS:  # weakest first: each takes what it may from those before it
        _move(conn, state, [one for one in fresh if one.kind is _STATES[state] and one.message_id], by=by, now=now)
    _consequences(conn, fresh, now=now)
    gates.told(conn, provider, [one.message_id for one in fresh if one.message_id])
    return len(kept)


def _take_turns(conn: sa.Connection, reports: Sequence[Report]) -> None:
    """Locks as senders do, people before messages and each in one order, so that nobody waits in a circle."""
    leaving = [one.message_id for one in reports if one.kind is Kind.UNSUBSCRIBED and one.message_id]
    if leaving:
        intents.wait_for_people(conn, [row["person"] for row in _rows(conn, leaving)])
    named = {one.message_id for one in reports if one.message_id}
    if named:
        conn.execute(
            sa.select(messages.c.id).where(messages.c.id == _any(named)).order_by(messages.c.id).with_for_update()
        )


def _with_messages(conn: sa.Connection, provider: str, reports: Sequence[Report]) -> list[Report]:
    """Complaints may come without what we sent along: an earlier report of the same mail says whose it is."""
    lost = {report.ref for report in reports if report.message_id is None and report.ref}
    if not lost:
        return list(reports)
    query = sa.select(provider_events.c.ref, provider_events.c.message_id, provider_events.c.attempt).where(
        provider_events.c.provider == provider,
        provider_events.c.ref == sa.any_(sa.bindparam("refs", sorted(lost), postgresql.ARRAY(sa.Text))),
        provider_events.c.message_id.is_not(None),
    )
    found = {row.ref: (row.message_id, row.attempt) for row in conn.execute(query)}
    found |= {report.ref: (report.message_id, report.attempt) for report in reports if report.message_id and report.ref}
    return [
        replace(report, message_id=found[report.ref][0], attempt=found[report.ref][1])
        if report.message_id is None and report.ref in found
        else report
        for report in reports
    ]


def _found_again(conn: sa.Connection, provider: str, reports: Sequence[Report], reader: Reader) -> list[Report]:
    """Reports kept before without a message, now that these say whose they are."""
    known = {report.ref: report for report in reports if report.message_id and report.ref}
    if not known:
        return []
    table = provider_events.c
    columns: dict[str, given.Column] = {
        "ref": (sa.Text(), list(known)),
        "message_id": (table.message_id.type, [one.message_id for one in known.values()]),
        "attempt": (sa.Integer(), [one.attempt for one in known.values()]),
    }
    rows = given.rows("known", columns)
    named = (
        sa.update(provider_events)
        .where(table.provider == provider, table.ref == rows.c.ref, table.message_id.is_(None))
        .values(message_id=rows.c.message_id, attempt=rows.c.attempt)
        .returning(table.event_id, table.message_id, table.attempt, table.raw)
    )
    found = {row.event_id: row for row in conn.execute(named)}
    return [
        replace(report, message_id=found[report.event_id].message_id, attempt=found[report.event_id].attempt)
        for report in reader([row.raw for row in found.values()])
        if report.event_id in found
    ]


def _keep(conn: sa.Connection, provider: str, reports: Sequence[Report], now: datetime) -> set[str]:
    """Keeps each once; the ids of those that are new."""
    if not reports:
        return set()
    table = provider_events.c
    columns: dict[str, given.Column] = {
        "event_id": (sa.Text(), [one.event_id for one in reports]),
        "message_id": (table.message_id.type, [one.message_id for one in reports]),
        "attempt": (sa.Integer(), [one.attempt for one in reports]),
        "type": (sa.Text(), [str(one.kind) for one in reports]),
        "at": (given.Time, [one.at for one in reports]),
        "ref": (sa.Text(), [one.ref for one in reports]),
        "raw": (sa.Text(), [orjson.dumps(one.raw or {}, default=str).decode() for one in reports]),
    }
    rows = given.rows("told", columns)
    chosen = [rows.c[name] if name != "raw" else sa.cast(rows.c.raw, postgresql.JSONB) for name in columns]
    fixed = [sa.literal(provider), sa.literal(now, given.Time)]
    statement = (
        postgresql.insert(provider_events)
        .from_select([*columns, "provider", "received_at"], sa.select(*chosen, *fixed))
        .on_conflict_do_nothing()
        .returning(table.event_id)
    )
    return set(conn.scalars(statement))


def _move(conn: sa.Connection, state: State, reports: Sequence[Report], *, by: str, now: datetime) -> None:
    if not reports:
        return
    first = {report.message_id: report for report in reversed(reports)}
    rows = given.rows(
        "told",
        {
            "message_id": (messages.c.id.type, list(first)),
            "attempt": (sa.Integer(), [one.attempt for one in first.values()]),
            "at": (given.Time, [one.at for one in first.values()]),
            "reason": (sa.Text(), [_reason(one) for one in first.values()]),
            "detail": (sa.Text(), [one.detail for one in first.values()]),
        },
    )
    values: dict[str, Any] = {
        "state": state,
        "reason": rows.c.reason,
        "detail": rows.c.detail,
        "lease_until": None,
        "accepted_at": sa.func.coalesce(messages.c.accepted_at, rows.c.at),
        "resolved_at": sa.func.coalesce(messages.c.resolved_at, now),
        "resolved_by": by,
        # What was thought unsure, and settled as such, has consequences after all.
        "settled_at": sa.case((messages.c.state == State.UNCONFIRMED, None), else_=messages.c.settled_at),
    }
    mine = (
        messages.c.id == rows.c.message_id,
        messages.c.attempt == sa.func.coalesce(rows.c.attempt, messages.c.attempt),
        messages.c.attempt > 0,
        messages.c.state.in_(before(state)),
    )
    conn.execute(sa.update(messages).where(*mine).values(values))


def _reason(report: Report) -> Reason | None:
    if report.kind is Kind.COMPLAINED:
        return Reason.COMPLAINT
    if report.listed:
        return Reason(report.listed)
    if report.kind is Kind.DROPPED and report.ours:
        return Reason.REFUSED
    if report.kind in (Kind.BOUNCED, Kind.DROPPED):
        return Reason.HARD_BOUNCE if report.bad_address else Reason.SOFT_BOUNCE
    return None


def _consequences(conn: sa.Connection, reports: Sequence[Report], *, now: datetime) -> None:
    """Addresses that must not be used any more, and mailboxes that took nothing once too often."""
    addresses = _addresses(conn, {one.message_id for one in reports if one.message_id})
    known = [(one, addresses[one.message_id]) for one in reports if one.message_id in addresses]
    complained = [address for one, address in known if one.kind is Kind.COMPLAINED or one.listed is Listed.COMPLAINT]
    consent.suppress_many(conn, complained, reason="complaint", now=now)
    gone = [one.message_id for one in reports if one.listed is Listed.UNSUBSCRIBED and one.message_id]
    _take_over(conn, gone, now=now)
    consent.suppress_many(conn, [address for one, address in known if one.bad_address], reason="hard_bounce", now=now)
    _soft(conn, [(*address, one.at) for one, address in known if _soft_bounce(one)], now=now)
    leaving = [one.message_id for one in reports if one.kind is Kind.UNSUBSCRIBED and one.message_id]
    unsubscribed_many(conn, leaving, now=now)


def _take_over(conn: sa.Connection, ids: Collection[UUID], *, now: datetime) -> None:
    """Who unsubscribed at the provider is left alone here too, unless she said yes so lately that its list may be the
    older of the two: when the lists are compared at night it is known when she was put on it."""
    rows = _rows(conn, ids) if ids else []
    yes = sa.select(consents.c.customer_id).where(
        consents.c.customer_id == sa.any_(sa.bindparam("people", [row["person"] for row in rows])),
        consents.c.channel.in_(("email", "any")),
        consents.c.purpose.in_(("marketing", "any")),
        consents.c.state == consent.State.GRANTED,
        consents.c.at > now - COMPARED,
    )
    lately = set(conn.scalars(yes)) if rows else set()
    addresses = _addresses(conn, [row["id"] for row in rows if row["person"] not in lately])
    consent.suppress_many(conn, list(addresses.values()), reason=Listed.UNSUBSCRIBED, now=now)


def _soft_bounce(report: Report) -> bool:
    return report.kind is Kind.BOUNCED and not report.bad_address and not report.ours


def _addresses(conn: sa.Connection, ids: Collection[UUID]) -> dict[UUID, tuple[str, str]]:
    """The channel and address each message went to."""
    if not ids:
        return {}
    query = (
        sa.select(messages.c.id, messages.c.channel, contents.c.address)
        .join(contents, contents.c.message_id == messages.c.id)
        .where(messages.c.id == _any(ids))
    )
    return {row.id: (row.channel, row.address) for row in conn.execute(query)}


def _soft(conn: sa.Connection, bounced: Sequence[tuple[str, str, datetime]], *, now: datetime) -> None:
    if not bounced:
        return
    table = mail_tables.soft_bounces
    hashed = {(channel, consent.address_hash(conn, channel, address)): address for channel, address, _ in bounced}
    rows = [
        {"channel": channel, "address_hash": consent.address_hash(conn, channel, address), "day": at.date()}
        for channel, address, at in bounced
    ]
    conn.execute(postgresql.insert(table).on_conflict_do_nothing(), rows)
    often = (
        sa.select(table.c.channel, table.c.address_hash)
        .where(
            sa.tuple_(table.c.channel, table.c.address_hash).in_(list(hashed)),
            table.c.day > (now - SOFT_WITHIN).date(),
        )
        .group_by(table.c.channel, table.c.address_hash)
        .having(sa.func.count() >= SOFT_DAYS)
    )
    full = [(channel, hashed[channel, bytes(found)]) for channel, found in conn.execute(often)]
    consent.suppress_many(conn, full, reason=consent.SOFT, now=now)


# ---------------------------------------------------------------------------------------------- customers
def destination(conn: sa.Connection, message_id: UUID, n: int) -> str | None:
    """Where link `n` of a message leads, as frozen when it was rendered."""
    addresses = conn.scalar(sa.select(contents.c.links).where(contents.c.message_id == message_id))
    return addresses[n] if addresses and 0 <= n < len(addresses) else None


def clicked(conn: sa.Connection, message_id: UUID, n: int, *, now: datetime) -> None:
    """A person followed a link."""
    clicked_many(conn, [(message_id, n, now)], now=now)


def clicked_many(conn: sa.Connection, followed: Sequence[tuple[UUID, int, datetime]], *, now: datetime) -> None:
    """People followed links: each a message, the number of its link, and when."""
    if not followed:
        return
    rows = {row["id"]: row for row in _rows(conn, {message_id for message_id, _, _ in followed})}
    known = [(rows[message_id], n, at) for message_id, n, at in followed if message_id in rows]
    _touch(conn, [(row["id"], at) for row, _, at in known])
    products = _recommended(conn, {(row["id"], n) for row, n, _ in known})
    told = [
        own_events.Told(
            f"clicked:{row['id'].hex}:{n}:{at:%Y%m%d%H%M%S}",
            Name.MESSAGE_CLICKED,
            row["customer_id"],
            at,
            own_events.about(row) | {"link": n} | products.get((row["id"], n), {}),
        )
        for row, n, at in known
    ]
    own_events.tell(conn, told, now=now)


def _recommended(conn: sa.Connection, links: Collection[tuple[UUID, int]]) -> dict[tuple[UUID, int], dict[str, str]]:
    """The slate and the product of each link that leads to a product recommended in its message."""
    query = sa.select(contents.c.message_id, contents.c.slate_id, contents.c.links).where(
        contents.c.message_id == _any({message_id for message_id, _ in links}), contents.c.slate_id.is_not(None)
    )
    kept = {row.message_id: row for row in conn.execute(query)}
    pages = {
        (message_id, n): (kept[message_id].slate_id, kept[message_id].links[n])
        for message_id, n in links
        if message_id in kept and 0 <= n < len(kept[message_id].links)
    }
    products = shown.products_at(conn, set(pages.values()))
    return {
        link: {"slate_id": str(page[0]), "product_id": products[page]}
        for link, page in pages.items()
        if page in products
    }


def _touch(conn: sa.Connection, clicks: Sequence[tuple[UUID, datetime]]) -> None:
    columns: dict[str, given.Column] = {
        "id": (messages.c.id.type, [message_id for message_id, _ in clicks]),
        "at": (given.Time, [at for _, at in clicks]),
    }
    rows = given.rows("followed", columns)
    times = sa.select(rows.c.id, sa.func.min(rows.c.at).label("first"), sa.func.max(rows.c.at).label("last"))
    seen = times.group_by(rows.c.id).subquery()
    values = {
        "first_clicked_at": sa.func.least(messages.c.first_clicked_at, seen.c.first),
        "last_clicked_at": sa.func.greatest(messages.c.last_clicked_at, seen.c.last),
    }
    conn.execute(sa.update(messages).where(messages.c.id == seen.c.id).values(values))


def opened(conn: sa.Connection, message_id: UUID, *, now: datetime) -> None:
    """A person opened it. Kept only while she lets us measure: she may have said no since."""
    if measurable(conn, message_id) is consent.State.GRANTED:
        first = (messages.c.id == message_id) & messages.c.opened_at.is_(None)
        conn.execute(sa.update(messages).where(first).values(opened_at=now))


def too_soon(conn: sa.Connection, message_id: UUID, *, now: datetime) -> bool:
    """Whether it was only just delivered: what looks into a mail at once is a scanner."""
    query = sa.select(messages.c.state, messages.c.accepted_at).where(messages.c.id == message_id)
    row = conn.execute(query).one_or_none()
    if row is None:
        return False
    # Its host may have it, and look into it, before it has answered us.
    return row.state == State.SUBMITTING or (row.accepted_at is not None and now < row.accepted_at + AT_ONCE)


def measurable(conn: sa.Connection, message_id: UUID) -> consent.State:
    """What she says, now, of measuring whether she reads."""
    person = customer_of(conn, message_id)
    if person is None:
        return consent.State.DENIED
    return consent.states(conn, [person], channel="email", purpose="analytics")[person]


def seen_on(conn: sa.Connection, message_id: UUID, *, now: datetime) -> None:
    """For the hygiene of lists alone: the day a picture of hers was last fetched, written over the one before; nothing
    once she objects."""
    person = customer_of(conn, message_id)
    if person is not None and measurable(conn, message_id) is not consent.State.DENIED:
        kept = {"customer_id": person, "day": now.date()}
        database.upsert(conn, mail_tables.last_opens, [kept], key=["customer_id"])


def unsubscribed(conn: sa.Connection, message_id: UUID, *, now: datetime, everything: bool = False) -> bool:
    """No more of this to this person, from the commit on; again is nothing. False if unknown.

    Of a campaign with a topic, no more of its topic; of any other, or if she wants `everything` to end, no more
    marketing at all, to this address either.
    """
    return unsubscribed_many(conn, [message_id], now=now, everything=everything) == 1


def unsubscribed_many(conn: sa.Connection, ids: Collection[UUID], *, now: datetime, everything: bool = False) -> int:
    """The same for many messages; the number of statements does not grow with theirs. How many were known."""
    rows = _rows(conn, ids) if ids else []
    if not rows:
        return 0
    intents.wait_for_people(conn, [row["person"] for row in rows])
    topics = dict.fromkeys([row["id"] for row in rows]) if everything else _topics(conn, rows)
    _withdraw(conn, rows, topics, now=now)
    everywhere = [row["id"] for row in rows if topics[row["id"]] is None]
    consent.suppress_many(conn, list(_addresses(conn, everywhere).values()), reason="unsubscribed", now=now)
    told = [_goodbye(row, topics[row["id"]], now) for row in rows]
    own_events.tell(conn, told, now=now)
    return len(rows)


def _withdraw(
    conn: sa.Connection, rows: Sequence[Mapping[str, Any]], topics: Mapping[UUID, str | None], *, now: datetime
) -> None:
    """What was withdrawn before stays as it was said then."""
    stood = consent.standing_of(conn, {row["person"] for row in rows})
    said: dict[tuple[int, str, str], consent.Said] = {}
    for row in rows:
        topic, source = topics[row["id"]], f"unsubscribe:{row['id']}"
        purpose = f"marketing/{topic}" if topic else "marketing"
        key = (row["person"], row["channel"], purpose)
        if stood[row["person"]].get((row["channel"], purpose)) != consent.State.DENIED:
            said.setdefault(key, consent.Said(*key, consent.State.DENIED, now, source))
    consent.record_many(conn, list(said.values()), now=now)


def _goodbye(row: Mapping[str, Any], topic: str | None, now: datetime) -> own_events.Told:
    key = f"unsubscribed:{row['id']}" + (f":{topic}" if topic else "")
    properties = own_events.about(row) | ({"topic": topic} if topic else {})
    return own_events.Told(key, Name.UNSUBSCRIBED, row["customer_id"], now, properties)


def _topics(conn: sa.Connection, rows: Sequence[Mapping[str, Any]]) -> dict[UUID, str | None]:
    """What the campaign of each is about, if the merchant sorts mails by topic."""
    keys = {row["id"]: (row["campaign_id"], row["version"], row["step"]) for row in rows}
    said = plans.said(conn, set(keys.values()))
    return {one: said[key].campaign.topic if key in said else None for one, key in keys.items()}


def topic_of_message(conn: sa.Connection, message_id: UUID) -> str | None:
    """The same of a message by its id; None if it is not known."""
    row = _message(conn, message_id)
    return _topics(conn, [row])[message_id] if row else None


def customer_of(conn: sa.Connection, message_id: UUID) -> int | None:
    """Who a message was for, as she is known now."""
    row = _message(conn, message_id)
    return row["person"] if row else None


def _message(conn: sa.Connection, message_id: UUID) -> dict[str, Any] | None:
    found = _rows(conn, [message_id])
    return found[0] if found else None


def _rows(conn: sa.Connection, ids: Collection[UUID]) -> list[dict[str, Any]]:
    """Messages, and who each is for as she is known now."""
    found = conn.execute(sa.select(messages).where(messages.c.id == _any(ids))).mappings().all()
    people = customers.canonical(conn, [row["customer_id"] for row in found])
    return [{**row, "person": people[row["customer_id"]]} for row in found]


def _any(ids: Collection[UUID]) -> sa.ColumnElement[Any]:
    return sa.any_(sa.bindparam(None, list(ids), postgresql.ARRAY(postgresql.UUID)))
