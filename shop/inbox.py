"""Events answered for and durable, on their way into the record: put down in one cheap append, taken in by large sets.

A transaction that works out customers, carts, orders and profiles costs milliseconds whatever it holds, and a sender
should not wait for it. So what is sent is first kept as it is, in one row for all who sent at that moment. Whoever has
time takes the oldest rows through the one door for events, and removes them in the same transaction: a process that
dies, at any moment, leaves each event either here or there, never in both and never in neither.
"""

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import datetime
from operator import attrgetter
from typing import Any, Protocol
from uuid import UUID

import orjson
import psycopg
import sqlalchemy as sa
from psycopg.pq import ExecStatus
from psycopg.pq.abc import PGresult

from foundation import database
from foundation.database import Database
from foundation.errors import Fault
from shop import arrays, ingest
from shop.tables import inbox
from shop.vocabulary import PAYLOAD_KEPT, Event, Reason, Refusal

log = logging.getLogger(__name__)

TURN_LOCK = 7263003
"""Whoever takes rows out holds this advisory lock, so that they are taken in the order they came."""
EVENTS_TOGETHER = 2_000
"""So many share a transaction. More cost little less each, and would keep the customers concerned locked for longer."""
TRIES = 5


# ------------------------------------------------------------------------------------------------- parcels
@dataclass(frozen=True, slots=True)
class Parcel:
    """What one request brought: events, and what was refused of it."""

    events: Sequence[Event] = ()
    refused: Sequence[Refusal] = ()

    def __len__(self) -> int:
        return len(self.events) + len(self.refused)


def together(parcels: Sequence[Parcel]) -> Parcel:
    """Parcels as one, in their order. Pure."""
    if len(parcels) == 1:
        return parcels[0]
    return Parcel(
        [event for parcel in parcels for event in parcel.events],
        [refusal for parcel in parcels for refusal in parcel.refused],
    )


_FIELDS = tuple(field.name for field in fields(Event))
_VALUES = attrgetter(*_FIELDS)


def packed(parcel: Parcel) -> bytes:
    """A parcel as JSON: of each event the values of its fields, whose names `row` puts before them. Pure."""
    return orjson.dumps({"events": [_VALUES(event) for event in parcel.events], "refused": parcel.refused})


def row(parcels: Sequence[bytes]) -> bytes:
    """Packed parcels as one row of the inbox, which says itself what each value is called. Pure."""
    return _NAMES + b",".join(parcels) + b"]}"


_NAMES = b'{"fields":' + orjson.dumps(_FIELDS) + b',"parcels":['


def _unpacked(held: bytes) -> Parcel:
    """All parcels of a row as one. Pure.

    Whoever put it down may have been another version of this program: fields that are gone are passed over, and what
    makes no event any more is refused instead of holding up what comes behind it.
    """
    told = orjson.loads(held)
    names = tuple(told["fields"])
    events: list[Event] = []
    refused: list[Refusal] = []
    for parcel in told["parcels"]:
        for values in parcel["events"]:
            try:
                events.append(_event(names, values))
            except (KeyError, TypeError, ValueError) as error:
                refused.append(_unreadable(dict(zip(names, values, strict=False)), error))
        refused += [_refusal(one) for one in parcel["refused"]]
    return Parcel(events, refused)


def _event(names: Sequence[str], values: list[Any]) -> Event:
    if names == _FIELDS:
        values[_KEY] = UUID(int=int(values[_KEY].replace("-", ""), 16))
        values[_OCCURRED] = datetime.fromisoformat(values[_OCCURRED])
        values[_RECEIVED] = datetime.fromisoformat(values[_RECEIVED])
        return Event(*values)
    held = dict(zip(names, values, strict=True))
    named = {name: held[name] for name in _FIELDS if name in held}
    times = {name: datetime.fromisoformat(held[name]) for name in ("occurred_at", "received_at")}
    return Event(**named | times | {"key": UUID(held["key"])})


_KEY, _OCCURRED, _RECEIVED = map(_FIELDS.index, ("key", "occurred_at", "received_at"))


def _unreadable(held: dict[str, Any], error: Exception) -> Refusal:
    return Refusal(
        reason=Reason.NOT_STORED,
        faults=(Fault("", f"was put down by another version and cannot be read: {type(error).__name__}"),),
        source_id=int(held["source_id"]),
        received_at=datetime.fromisoformat(held["received_at"]),
        payload=orjson.dumps(held).decode()[:PAYLOAD_KEPT],
    )


def _refusal(held: dict[str, Any]) -> Refusal:
    held["reason"] = Reason(held["reason"])
    held["faults"] = tuple(Fault(**fault) for fault in held["faults"])
    held["received_at"] = datetime.fromisoformat(held["received_at"])
    return Refusal(**held)


# ---------------------------------------------------------------------------------------------- putting in
_APPEND = b"INSERT INTO inbox (received_at, events, parcels) VALUES ($1, $2, $3) RETURNING id"
_NAME = b"append_to_inbox"
_TEXT, _BINARY = 0, 1


class Line:
    """A connection for putting rows down, kept open, with its one statement prepared.

    It speaks to libpq itself: taking out a connection and a cursor each time costs more processor time than the row.
    """

    def __init__(self, db: Database) -> None:
        self._conn = db.engine.connect().execution_options(isolation_level="AUTOCOMMIT")
        self._pgconn = database.driver(self._conn).pgconn
        try:
            _checked(self._pgconn.prepare(_NAME, _APPEND))
        except BaseException:
            self.close()
            raise

    def append(self, parcels: Sequence[bytes], *, events: int, now: datetime) -> int:
        """Makes packed parcels that hold so many events durable, in one row. Returns its number; they rise.

        Raises `psycopg.OperationalError` if they are not; the line is of no use any more.
        """
        values = [now.isoformat().encode(), b"%d" % events, row(parcels)]
        done = _checked(self._pgconn.exec_prepared(_NAME, values, [_TEXT, _TEXT, _BINARY]))
        return int(done.get_value(0, 0) or 0)

    def close(self) -> None:
        """Ends the connection: with its statement it is of no use to anyone else."""
        self._conn.invalidate()
        self._conn.close()


def _checked(result: PGresult) -> PGresult:
    if result.status not in (ExecStatus.COMMAND_OK, ExecStatus.TUPLES_OK):
        raise psycopg.OperationalError(result.get_error_message())
    return result


# ----------------------------------------------------------------------------------------------- taking in
@dataclass(frozen=True, slots=True)
class Taken:
    """How many events were taken in, and the last row they came from; None if there was none."""

    events: int
    through: int | None


def drain(db: Database) -> int:
    """Takes in everything that waits when it is called; returns how many events that was."""
    with db.begin() as conn:
        last = conn.scalar(sa.select(sa.func.max(inbox.c.id)))
    events = 0
    while last is not None:
        taken = take(db)
        events += taken.events
        last = last if taken.through is not None and taken.through < last else None
    return events


def settle(conn: sa.Connection) -> None:
    """Takes in everything that waits within the caller's transaction: for whoever must see or forget all of it."""
    while _take(conn, _sift, {}).through is not None:
        pass


def take(db: Database, *, known: Mapping[int, Parcel] | None = None) -> Taken:
    """Takes in the oldest rows, in one transaction. What it raises may be over when it is tried again.

    `known` are rows by number whose contents the caller still has, so that they need not be read.
    """
    known = known or {}
    for attempt in range(1, TRIES):
        try:
            with db.begin() as conn:
                return _take(conn, ingest.ingest, known)
        except Exception as error:
            if not _passing(error):
                log.warning("together they failed; taken in apart", exc_info=True)
                break
            if not _rivalry(error):
                raise
        time.sleep(0.01 * attempt)
    with db.begin() as conn:
        return _take(conn, _sift, known)


class _Door(Protocol):
    """`ingest.ingest`, or what does the same."""

    def __call__(
        self, conn: sa.Connection, events: Sequence[Event], *, refused: Sequence[Refusal], now: datetime
    ) -> object: ...


_TURN = "SELECT pg_advisory_xact_lock(%s)"
_OLDEST = """
SELECT id, received_at, CASE WHEN id <> ALL(%s::bigint[]) THEN parcels END
FROM (
    SELECT id, received_at, parcels, sum(events) OVER (ORDER BY id) - events AS before FROM inbox ORDER BY id LIMIT %s
) AS oldest
WHERE before < %s ORDER BY id
"""
_REMOVE = "DELETE FROM inbox WHERE id = ANY(%s::bigint[])"


def _take(conn: sa.Connection, door: _Door, known: Mapping[int, Parcel]) -> Taken:
    """What was received at different moments is taken in as of the last of them."""
    driver = database.driver(conn)
    with driver.pipeline():
        driver.execute(_TURN, [TURN_LOCK])
        asked = [arrays.numbers(known), EVENTS_TOGETHER, EVENTS_TOGETHER]
        rows = driver.execute(_OLDEST, asked, binary=True).fetchall()
        if not rows:
            return Taken(0, None)
        driver.execute(_REMOVE, [arrays.numbers(number for number, _, _ in rows)])
    parcel = together([known[number] if held is None else _unpacked(held) for number, _, held in rows])
    door(conn, parcel.events, refused=parcel.refused, now=max(at for _, at, _ in rows))
    return Taken(len(parcel), rows[-1][0])


def tidy(db: Database) -> None:
    """Lets PostgreSQL use again the space of rows taken in, sooner than it would by itself."""
    with db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as conn:
        conn.execute(sa.text("VACUUM inbox"))


# ------------------------------------------------------------------------------------------- what goes wrong
_RIVALRY = "40"
_AWAY = frozenset(("08", "53", "55", "57", "58"))
"""Classes of SQLSTATE: PostgreSQL ended one of two transactions in each other's way; it is away, full or stopping."""


def _passing(error: Exception) -> bool:
    """Whether it was the moment's fault and not the events'."""
    return _rivalry(error) or _class(error) in _AWAY


def _rivalry(error: Exception) -> bool:
    return _class(error) == _RIVALRY


def _class(error: Exception) -> str:
    """The class of a database error's SQLSTATE; that of a lost connection if there is no connection."""
    cause = getattr(error, "orig", None) or error
    if isinstance(cause, psycopg.errors.PipelineAborted):
        return ""
    if isinstance(cause, psycopg.OperationalError | psycopg.InterfaceError):
        return (cause.sqlstate or "08")[:2]
    return "08" if isinstance(cause, sa.exc.TimeoutError) else ""


def _sift(conn: sa.Connection, events: Sequence[Event], *, refused: Sequence[Refusal], now: datetime) -> None:
    """Takes in what can be, in the order it came, halving what fails until one event is left: that one is refused."""
    for refusal in refused:
        if _fault(conn, [], refused=[refusal], now=now):
            _fault(conn, [], refused=[replace(refusal, faults=(), payload="")], now=now)
    waiting = [list(events)]
    while waiting:
        some = waiting.pop()
        fault = _fault(conn, some, now=now)
        if fault and len(some) == 1:
            ingest.ingest(conn, [], refused=[_unstorable(some[0], fault)], now=now)
        elif fault:
            middle = len(some) // 2
            waiting += [some[middle:], some[:middle]]


def _fault(
    conn: sa.Connection, events: Sequence[Event], *, refused: Sequence[Refusal] = (), now: datetime
) -> Fault | None:
    """Takes these in, or nothing of them and says why not."""
    try:
        with conn.begin_nested():
            ingest.ingest(conn, events, refused=refused, now=now)
    except Exception as error:
        if _passing(error):
            raise
        return Fault("", f"cannot be stored: {type(error).__name__}")
    return None


def _unstorable(event: Event, fault: Fault) -> Refusal:
    return Refusal(
        reason=Reason.NOT_STORED,
        faults=(fault,),
        source_id=event.source_id,
        received_at=event.received_at,
        payload=orjson.dumps(event).decode()[:PAYLOAD_KEPT],
    )
