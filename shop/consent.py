"""May we contact them: consent per channel and purpose with its proof, and addresses never to be used again.

The log is only ever added to; `consents` holds what it says now. A suppressed address is kept as a hash alone.
"""

import hashlib
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

import orjson
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from foundation import database
from foundation.errors import Fault, Invalid
from shop import changes, handles, pepper
from shop.changes import What
from shop.tables import consent_log, consents, customers, suppressions

CHANNELS = ("email", "push", "sms", "whatsapp", "onsite", "ads", "any")
PURPOSES = ("marketing", "analytics", "personalization", "any")
"""Beside these, `marketing/news` is marketing about one topic: a no to marketing covers it, a yes does too."""
SOFT, SOFT_KEPT = "soft_bounces", timedelta(days=90)
"""The one reason to leave an address alone that passes with time."""


class State(StrEnum):
    """What a customer said; `UNKNOWN` if nothing."""

    GRANTED = "granted"
    DENIED = "denied"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Said:
    """One yes or no of one customer, with its proof."""

    customer_id: int
    channel: str
    purpose: str
    state: str
    at: datetime
    source: str
    text: str | None = None
    form: str | None = None
    proof: Mapping[str, Any] | None = None


def record(
    conn: sa.Connection,
    *,
    customer_id: int,
    channel: str,
    purpose: str,
    state: str,
    at: datetime,
    source: str,
    text: str | None = None,
    form: str | None = None,
    proof: Mapping[str, Any] | None = None,
    now: datetime,
) -> bool:
    """Keeps one yes or no. True if it was new; the same said again at the same moment is nothing."""
    said = Said(customer_id, channel, purpose, state, at, source, text, form, proof)
    return record_many(conn, [said], now=now) == 1


def record_many(conn: sa.Connection, said: Sequence[Said], *, now: datetime) -> int:
    """Keeps many at once; returns how many were new. What is newest by its own time stands."""
    faults = [fault for index, one in enumerate(said) for fault in _faults(one, f"/{index}" if len(said) > 1 else "")]
    if faults:
        raise Invalid(*faults)
    if not said:
        return 0
    fresh = database.driver(conn).execute(_RECORD, _columns(said, now)).fetchall()
    newest: dict[tuple[int, str, str], Said] = {}
    for one in sorted((said[int(row[0]) - 1] for row in fresh), key=lambda one: (one.at, one.state != State.GRANTED)):
        newest[(one.customer_id, one.channel, one.purpose)] = one
    current = [newest[key] for key in sorted(newest)]
    statement = postgresql.insert(consents)
    if current:
        conn.execute(
            statement.on_conflict_do_update(
                index_elements=["customer_id", "channel", "purpose"],
                set_={"state": statement.excluded.state, "at": statement.excluded.at},
                where=consents.c.at <= statement.excluded.at,
            ),
            [
                {"customer_id": one.customer_id, "channel": one.channel, "purpose": one.purpose}
                | {"state": one.state, "at": one.at}
                for one in current
            ],
        )
    _welcome_back(conn, [one for one in current if one.state == State.GRANTED])
    changes.note(conn, [one.customer_id for one in current], What.CONSENTS)
    return len(fresh)


def _welcome_back(conn: sa.Connection, granted: Sequence[Said]) -> None:
    """Who unsubscribed and later says yes again may be written to: only that block ends, no complaint or bounce."""
    asked = [
        one for one in granted if one.channel in ADDRESSES and one.purpose.partition("/")[0] in ("marketing", "any")
    ]
    if not asked:
        return
    ids = sorted({one.customer_id for one in asked})
    query = sa.select(customers.c.id, customers.c.email, customers.c.phone).where(
        customers.c.id == sa.any_(sa.bindparam("ids", ids, postgresql.ARRAY(sa.BigInteger)))
    )
    known = {row["id"]: row for row in conn.execute(query).mappings()}
    ended = [
        {"channel_": one.channel, "hash": address_hash(conn, one.channel, address), "said_at": one.at}
        for one in asked
        if one.customer_id in known and (address := known[one.customer_id][ADDRESSES[one.channel]])
    ]
    if ended:
        conn.execute(
            sa.delete(suppressions).where(
                suppressions.c.channel == sa.bindparam("channel_"),
                suppressions.c.reason == "unsubscribed",
                suppressions.c.address_hash == sa.bindparam("hash"),
                suppressions.c.since < sa.bindparam("said_at"),
            ),
            ended,
        )


ADDRESSES = {"email": "email", "sms": "phone", "whatsapp": "phone"}
"""Channels that go to an address of hers, and the column it is in."""


_RECORD = """
WITH said AS (
    SELECT * FROM unnest(%b::bigint[], %b::text[], %b::text[], %b::text[], %b::timestamptz[], %b::text[], %b::text[],
        %b::text[], %b::text[]) WITH ORDINALITY
        AS s (customer_id, channel, purpose, state, at, source, text, form, proof, n)
), kept AS (
    INSERT INTO consent_log
        (customer_id, origin_id, channel, purpose, state, at, source, text, form, proof, recorded_at)
    SELECT customer_id, customer_id, channel, purpose, state, at, source, text, form, proof::jsonb, %b::timestamptz
    FROM said ORDER BY n
    ON CONFLICT DO NOTHING
    RETURNING origin_id, channel, purpose, state, at, source
)
SELECT min(n) FROM said JOIN kept ON origin_id = customer_id
    AND (said.channel, said.purpose, said.state, said.at, said.source)
      = (kept.channel, kept.purpose, kept.state, kept.at, kept.source)
GROUP BY origin_id, kept.channel, kept.purpose, kept.state, kept.at, kept.source
"""


def _columns(said: Sequence[Said], now: datetime) -> list[object]:
    return [
        [one.customer_id for one in said],
        [one.channel for one in said],
        [one.purpose for one in said],
        [str(one.state) for one in said],
        [one.at for one in said],
        [one.source for one in said],
        [one.text for one in said],
        [one.form for one in said],
        [orjson.dumps(one.proof or {}).decode() for one in said],
        now,
    ]


_TOPIC = re.compile(r"marketing/[a-z0-9][a-z0-9_-]{0,40}")


def _faults(said: Said, where: str) -> Iterable[Fault]:
    if said.channel not in CHANNELS:
        yield Fault(f"{where}/channel", f"must be one of: {', '.join(CHANNELS)}")
    if said.purpose not in PURPOSES and not _TOPIC.fullmatch(said.purpose):
        yield Fault(f"{where}/purpose", f"must be one of: {', '.join(PURPOSES)}")
    if said.state not in (State.GRANTED, State.DENIED):
        yield Fault(f"{where}/state", "must be granted or denied")
    if not said.source or "\0" in f"{said.source}{said.text or ''}{said.form or ''}":
        yield Fault(f"{where}/source", "is needed, without NUL characters: where it was said")


def withdraw(
    conn: sa.Connection, customer_id: int, *, channel: str, purpose: str = "marketing", source: str, now: datetime
) -> None:
    """The customer wants no more of this. Stands from the moment the caller's transaction commits."""
    record(
        conn,
        customer_id=customer_id,
        channel=channel,
        purpose=purpose,
        state=State.DENIED,
        at=now,
        source=source,
        now=now,
    )


def states(
    conn: sa.Connection, customer_ids: Sequence[int], *, channel: str, purpose: str = "marketing"
) -> dict[int, State]:
    """What each customer says of a channel and purpose: a no anywhere that covers it outweighs every yes."""
    query = sa.select(consents.c.customer_id, sa.func.bool_or(consents.c.state == State.DENIED)).where(
        consents.c.customer_id == sa.any_(sa.bindparam("ids", list(customer_ids), postgresql.ARRAY(sa.BigInteger))),
        consents.c.channel.in_([channel, "any"]),
        consents.c.purpose.in_({purpose, purpose.partition("/")[0], "any"}),
    )
    denied = {customer: no for customer, no in conn.execute(query.group_by(consents.c.customer_id))}
    return {
        customer: State.UNKNOWN if customer not in denied else State.DENIED if denied[customer] else State.GRANTED
        for customer in customer_ids
    }


def left_topic(conn: sa.Connection, customer_ids: Sequence[int], *, channel: str, purpose: str) -> set[int]:
    """Who said no to this topic and to nothing beyond it; nobody for a purpose without a topic."""
    about, _, topic = purpose.partition("/")
    if not topic:
        return set()
    wider = consents.c.purpose.in_((about, "any"))
    query = sa.select(consents.c.customer_id).where(
        consents.c.customer_id == sa.any_(sa.bindparam("ids", list(customer_ids), postgresql.ARRAY(sa.BigInteger))),
        consents.c.channel.in_([channel, "any"]),
        consents.c.purpose.in_((purpose, about, "any")),
        consents.c.state == State.DENIED,
    )
    query = query.group_by(consents.c.customer_id).having(sa.not_(sa.func.bool_or(wider)))
    return set(conn.scalars(query))


def history(conn: sa.Connection, customer_id: int) -> Sequence[Said]:
    """Everything a customer said, newest first, with its proof."""
    query = sa.select(consent_log).where(consent_log.c.customer_id == customer_id)
    return database.read(conn, query.order_by(consent_log.c.at.desc(), consent_log.c.id.desc()), Said)


def standing(conn: sa.Connection, customer_id: int) -> dict[tuple[str, str], State]:
    """What stands now, by channel and purpose."""
    return standing_of(conn, [customer_id])[customer_id]


def standing_of(conn: sa.Connection, customer_ids: Collection[int]) -> dict[int, dict[tuple[str, str], State]]:
    """The same of many."""
    found: dict[int, dict[tuple[str, str], State]] = {customer: {} for customer in customer_ids}
    ids = sa.bindparam("ids", list(found), postgresql.ARRAY(sa.BigInteger))
    for row in conn.execute(sa.select(consents).where(consents.c.customer_id == sa.any_(ids))):
        found[row.customer_id][row.channel, row.purpose] = State(row.state)
    return found


# ------------------------------------------------------------------------------------------ merged customers
def combine(conn: sa.Connection, customer_ids: Sequence[int]) -> None:
    """Sets what stands for merged customers from the log: the last word of each person they were, a no before a yes.

    A yes said to the merged customer later replaces the no of the one who was merged.
    """
    if customer_ids:
        ids = {"ids": sorted(customer_ids)}
        conn.execute(sa.text("DELETE FROM consents WHERE customer_id = ANY(:ids)"), ids)
        conn.execute(sa.text(_COMBINE), ids)


_COMBINE = """
WITH last_words AS (
    SELECT DISTINCT ON (customer_id, origin_id, channel, purpose) customer_id, origin_id, channel, purpose, state, at,
        recorded_at
    FROM consent_log WHERE customer_id = ANY(:ids)
    ORDER BY customer_id, origin_id, channel, purpose, at DESC, state, id DESC
), standing AS (
    SELECT word.* FROM last_words word WHERE NOT EXISTS (
        SELECT FROM last_words later
        JOIN merges ON merges.loser_id = word.origin_id AND merges.undone_at IS NULL
            AND later.recorded_at > merges.merged_at
        WHERE later.customer_id = word.customer_id AND later.origin_id <> word.origin_id AND later.at > word.at
            AND (later.channel, later.purpose) = (word.channel, word.purpose))
)
INSERT INTO consents (customer_id, channel, purpose, state, at)
SELECT DISTINCT ON (customer_id, channel, purpose) customer_id, channel, purpose, state, at
FROM standing ORDER BY customer_id, channel, purpose, state, at DESC
"""
"""`denied` sorts before `granted`."""


# ------------------------------------------------------------------------------------------------ addresses
def address_hash(conn: sa.Connection, channel: str, address: str) -> bytes:
    """One-way, of the address in its one form, keyed with the pepper: enough for us to recognise it, for nobody to
    write to it."""
    if channel == "email":
        address = handles.email(address) or address.strip().lower()
    elif channel in ("sms", "whatsapp"):
        address = handles.phone(address) or address
    digest = hashlib.sha256(f"relance address\0{channel}\0{address}".encode(errors="replace")).digest()
    return pepper.keyed(conn, digest)


def suppress(conn: sa.Connection, *, channel: str, address: str, reason: str, now: datetime) -> None:
    """This address is not to be used any more, whoever claims it. The first reason stays, unless another lasts longer:
    a complaint is not forgotten with the soft bounces before it, nor lifted with an unsubscription."""
    suppress_many(conn, [(channel, address)], reason=reason, now=now)


def suppress_many(conn: sa.Connection, addresses: Sequence[tuple[str, str]], *, reason: str, now: datetime) -> None:
    """The same for many, each a channel and an address. Raises `pepper.WrongPepper` rather than keep what nobody would
    recognise."""
    if not addresses:
        return
    pepper.require(conn)
    hashed = {(channel, address_hash(conn, channel, address)) for channel, address in addresses}
    rows = [
        {"channel": channel, "address_hash": found, "reason": reason, "since": now} for channel, found in sorted(hashed)
    ]
    insert = postgresql.insert(suppressions)
    final = (insert.excluded.reason != SOFT) & (insert.excluded.reason != "unsubscribed")
    stronger = (suppressions.c.reason == SOFT) & (insert.excluded.reason != SOFT)
    stronger |= (suppressions.c.reason == "unsubscribed") & final
    replaced: dict[str, Any] = {name: insert.excluded[name] for name in ("reason", "since")}
    replaced["kept"] = False
    conn.execute(
        insert.on_conflict_do_update(index_elements=["channel", "address_hash"], set_=replaced, where=stronger), rows
    )


@dataclass(frozen=True, slots=True)
class Refused:
    """An address that must not be used, and why."""

    channel: str
    address_hash: bytes
    reason: str


def to_keep(conn: sa.Connection, *, limit: int) -> list[Refused]:
    """Some of the addresses not to be used that are not yet kept outside the database as well. The caller keeps them
    before this transaction ends: they are marked in it."""
    table = suppressions
    some = sa.select(table.c.channel, table.c.address_hash).where(~table.c.kept).limit(limit)
    locked = some.with_for_update(skip_locked=True).subquery()
    mine = (table.c.channel == locked.c.channel) & (table.c.address_hash == locked.c.address_hash)
    marked = sa.update(table).where(mine).values(kept=True)
    found = conn.execute(marked.returning(table.c.channel, table.c.address_hash, table.c.reason))
    return [Refused(row.channel, bytes(row.address_hash), row.reason) for row in found]


def suppressed(conn: sa.Connection, channel: str, hashes: Iterable[bytes]) -> set[bytes]:
    """Which of these addresses must not be used."""
    query = sa.select(suppressions.c.address_hash).where(
        suppressions.c.channel == channel,
        suppressions.c.address_hash == sa.any_(sa.bindparam("hashes", list(hashes), postgresql.ARRAY(sa.LargeBinary))),
    )
    return {bytes(found) for found in conn.scalars(query)}
