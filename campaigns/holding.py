"""Holding everything back: nothing leaves from a database that may have forgotten what was sent, until somebody looked.

A database that was restored from a backup, or copied to another place, calls pending what has left long ago. It is
recognised by the cluster it lives in (its identifier and time line), and by the send journal, which lies outside it
and knows of hand-overs it does not. What the journal knows is written into the ledger first; then a person decides.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from campaigns import given, ledger_tables, tables
from campaigns.journal import Journal, Line, Refusal
from campaigns.states import Reason, State
from foundation import database, jobs
from shop import consent, pepper
from shop.tables import suppressions

installation, sent_before = ledger_tables.installation, ledger_tables.sent_before
messages, attempts = tables.messages, tables.attempts

CHUNK = 5_000
OVERLAP = timedelta(days=1)
"""How far before the last thing the database knows the journal is read: clocks differ."""


@dataclass(frozen=True, slots=True)
class Hold:
    """Why nothing leaves, since when, and what was found."""

    since: datetime
    reason: str
    detail: dict[str, Any]


def held(conn: sa.Connection) -> Hold | None:
    """The hold that stands, if one does."""
    row = conn.execute(sa.select(installation).where(installation.c.held_since.is_not(None))).one_or_none()
    return Hold(row.held_since, row.held_reason, row.held_detail or {}) if row is not None else None


def hold(conn: sa.Connection, reason: str, *, detail: dict[str, Any] | None = None, now: datetime) -> None:
    """Nothing is handed over once this is committed: `restored`, `moved`, `journal`, or an `operator`'s wish. The first
    reason stays."""
    _know(conn)
    free = installation.c.held_since.is_(None)
    values = {"held_since": now, "held_reason": reason, "held_detail": detail or {}}
    conn.execute(sa.update(installation).where(free).values(values))


def release(conn: sa.Connection, *, by: str, now: datetime) -> None:
    """Somebody looked and decided: this database is the one to send from."""
    _know(conn)
    values = {"held_since": None, "held_reason": None, "held_detail": None, "released_at": now, "released_by": by}
    conn.execute(sa.update(installation).values(**values, fingerprint=fingerprint(conn)))


def _know(conn: sa.Connection) -> None:
    database.insert_once(conn, installation, {"one_row": True})


def fingerprint(conn: sa.Connection) -> str:
    """The cluster this database lives in, and the time line it is on: both change when a backup is brought back
    elsewhere, the second when it is brought back to a moment (PostgreSQL, Control Data Functions)."""
    found = conn.execute(sa.text(
        "SELECT system_identifier::text, timeline_id FROM pg_control_system(), pg_control_checkpoint()"
    )).one()  # fmt: skip
    return f"{found[0]}:{found[1]}"


# ---------------------------------------------------------------------------------------------- at the start
def check(conn: sa.Connection, journal: Journal, *, now: datetime) -> Hold | None:
    """Compares this database with where it was and with the journal; holds everything if it has forgotten."""
    _know(conn)
    here, was = fingerprint(conn), conn.scalar(sa.select(installation.c.fingerprint))
    if was is None:
        conn.execute(sa.update(installation).values(fingerprint=here))
    since = _newest(conn)
    forgotten = _remember(conn, journal, since=since)
    if was not in (None, here):
        hold(conn, "moved", detail=forgotten, now=now)
    elif forgotten["messages"]:
        hold(conn, "journal", detail=forgotten, now=now)
    standing = held(conn)
    if standing is not None:
        if forgotten["messages"]:
            conn.execute(sa.update(installation).values(held_detail=standing.detail | forgotten))
        _refuse_again(conn, journal.refused(since=since - OVERLAP))
    return held(conn)


def watch(conn: sa.Connection, journal: Journal, *, now: datetime) -> None:
    """The same while senders run: what this process handed over last must still be known."""
    last = journal.last
    if last is None:
        return
    known = sa.exists().where(attempts.c.message_id == last.message_id, attempts.c.n >= last.attempt)
    if not conn.scalar(sa.select(known)) and _exists(conn, last):
        check(conn, journal, now=now)


def _exists(conn: sa.Connection, line: Line) -> bool:
    """Whether it is there without its attempt; or gone, though the database knows of nothing as young: not erased."""
    row = sa.exists().where(messages.c.id == line.message_id)
    return bool(conn.scalar(sa.select(row))) or _newest(conn) < line.at


def _newest(conn: sa.Connection) -> datetime:
    """The youngest thing this database knows: its last hand-over, the last sign of life of its scheduler, or when
    somebody last looked at what it had forgotten."""
    last = conn.scalar(sa.select(sa.func.max(attempts.c.started_at)))
    looked = conn.scalar(sa.select(installation.c.released_at))
    known = [at for at in (last, looked, jobs.last_beat(conn, "scheduler")) if at is not None]
    return max(known, default=datetime(1970, 1, 1, tzinfo=UTC))


def _remember(conn: sa.Connection, journal: Journal, *, since: datetime) -> dict[str, Any]:
    """Writes into the ledger what the journal knows and the database does not; gives how much that was, and since
    when."""
    number, first = 0, None
    lines = journal.sent(since=since - OVERLAP)
    while chunk := list(islice(lines, CHUNK)):
        for line in _unknown(conn, chunk, since=since):
            number, first = number + 1, min(first or line.at, line.at)
    return {"messages": number, "since": first.isoformat() if first else None}


def _unknown(conn: sa.Connection, chunk: Sequence[Line], *, since: datetime) -> Iterator[Line]:
    ids = sa.bindparam("ids", list({line.message_id for line in chunk}), postgresql.ARRAY(postgresql.UUID))
    known = {
        (row.message_id, row.n)
        for row in conn.execute(sa.select(attempts).where(attempts.c.message_id == sa.any_(ids)))
    }
    there = set(conn.scalars(sa.select(messages.c.id).where(messages.c.id == sa.any_(ids))))
    unknown = [line for line in chunk if (line.message_id, line.attempt) not in known]
    begun = [line for line in unknown if line.message_id in there]
    # A person erased since has no message any more; only what is younger than all that is known was forgotten.
    gone = [line for line in unknown if line.message_id not in there and line.at > since]
    _doubt(conn, begun)
    _keep(conn, gone)
    yield from begun
    yield from gone


def _doubt(conn: sa.Connection, lines: Sequence[Line]) -> None:
    """They left, and what came of it is not known: neither sent again nor called sent without proof."""
    last: dict[UUID, Line] = {}
    for line in sorted(lines, key=lambda line: line.attempt):
        last[line.message_id] = line
    if not last:
        return
    rows = given.rows(
        "lines",
        {
            "id": (postgresql.UUID(), list(last)),
            "attempt": (sa.Integer(), [line.attempt for line in last.values()]),
            "at": (given.Time, [line.at for line in last.values()]),
        },
    )
    states = (State.PENDING, State.HELD, State.CLAIMED, State.SUBMITTING, State.UNCERTAIN)
    waiting = messages.c.state.in_(states) & (messages.c.attempt < rows.c.attempt)
    values = {
        "state": State.UNCERTAIN,
        "reason": Reason.NO_ANSWER,
        "attempt": rows.c.attempt,
        "submitted_at": rows.c.at,
        "lease_until": None,
    }
    conn.execute(sa.update(messages).where(messages.c.id == rows.c.id, waiting).values(values))
    tried = sa.select(rows.c.id, rows.c.attempt, rows.c.at)
    insert = postgresql.insert(attempts).from_select(["message_id", "n", "started_at"], tried)
    conn.execute(insert.on_conflict_do_nothing())


def _keep(conn: sa.Connection, lines: Sequence[Line]) -> None:
    """Their rows are gone and will be made anew under other names: kept by campaign, step and address."""
    ids = {name: key for name, key in conn.execute(sa.select(tables.campaigns.c.name, tables.campaigns.c.id))}
    newest: dict[tuple[object, ...], dict[str, Any]] = {}
    for line in sorted(lines, key=lambda line: line.at):
        if line.campaign in ids:
            key = {"campaign_id": ids[line.campaign], "step": line.step, "channel": line.channel}
            hashed = _hash(conn, line)
            newest[line.campaign, line.step, line.channel, hashed] = {**key, "address_hash": hashed, "at": line.at}
    if not newest:
        return
    insert = postgresql.insert(sent_before)
    last = {"at": sa.func.greatest(sent_before.c.at, insert.excluded.at)}
    keyed = ["campaign_id", "step", "channel", "address_hash"]
    conn.execute(insert.on_conflict_do_update(index_elements=keyed, set_=last), list(newest.values()))


def _hash(conn: sa.Connection, written: Line | Refusal) -> bytes:
    return pepper.keyed(conn, written.address_hash) if written.bare else written.address_hash


# ------------------------------------------------------------------------------------------------ refusals
def keep_refusals(conn: sa.Connection, journal: Journal, *, now: datetime) -> int:
    """Copies to the journal which addresses were refused and are not in it yet; gives how many."""
    number = 0
    while found := consent.to_keep(conn, limit=CHUNK):
        journal.refuse([Refusal(now, one.channel, one.address_hash, one.reason) for one in found], now=now)
        number += len(found)
    return number


def _refuse_again(conn: sa.Connection, refusals: Iterator[Refusal]) -> None:
    """Who said no after the backup was made is not asked to say it twice."""
    while chunk := list(islice(refusals, CHUNK)):
        rows = [
            {"channel": one.channel, "address_hash": _hash(conn, one), "reason": one.reason, "since": one.at}
            for one in chunk
        ]
        conn.execute(postgresql.insert(suppressions).on_conflict_do_nothing(), rows)
