"""Refused events sent again: as they were kept, or as somebody mended them. What is taken leaves the refused, in the
transaction that stores it."""

from collections.abc import Sequence
from datetime import datetime

import orjson
import sqlalchemy as sa

from foundation.errors import Fault, NotFound
from shop import ingest, vocabulary
from shop.tables import refused_events, sources
from shop.vocabulary import PAYLOAD_KEPT, Event, Refusal, Source

CHUNK = 500


def replay(conn: sa.Connection, number: int, payload: str, *, now: datetime) -> Sequence[Fault]:
    """Takes one refused event in as it reads now; gives its faults, and keeps it as it was, if it is refused again.
    Its time is when it first came, unless it names one. Raises `NotFound`."""
    wanted = _select().where(refused_events.c.id == number).with_for_update(of=refused_events)
    row = conn.execute(wanted).one_or_none()
    if row is None:
        raise NotFound("no such refused event")
    read = _read(row, payload)
    if isinstance(read, Event):
        conn.execute(sa.delete(refused_events).where(refused_events.c.id == number))
        ingest.ingest(conn, [read], now=now)
        return ()
    return read.faults


def replay_all(conn: sa.Connection, *, before: int | None = None, now: datetime) -> tuple[int, int | None]:
    """Tries a chunk of the refused events as they were kept, the newest first; how many were taken, and the id below
    which the next chunk begins, None at the end. Those that were cut stay."""
    wanted = _select().order_by(refused_events.c.id.desc()).limit(CHUNK).with_for_update(of=refused_events)
    if before is not None:
        wanted = wanted.where(refused_events.c.id < before)
    rows = conn.execute(wanted).all()
    read = {row.id: _read(row, row.payload) for row in rows if len(row.payload) < PAYLOAD_KEPT}
    taken = {number: event for number, event in read.items() if isinstance(event, Event)}
    conn.execute(sa.delete(refused_events).where(refused_events.c.id.in_(list(taken))))
    if taken:
        ingest.ingest(conn, list(taken.values()), now=now)
    return len(taken), rows[-1].id if len(rows) == CHUNK else None


def _select() -> "sa.Select[tuple[object, ...]]":
    columns = (refused_events.c.id, refused_events.c.payload, refused_events.c.received_at, refused_events.c.source_id)
    return sa.select(*columns, sources.c.name, sources.c.channel).join(
        sources, sources.c.id == refused_events.c.source_id
    )


def _read(row: "sa.Row[tuple[object, ...]]", payload: str) -> Event | Refusal:
    found = row._mapping
    source = Source(found["source_id"], found["name"], found["channel"], False)
    try:
        given = orjson.loads(payload)
    except orjson.JSONDecodeError as error:
        fault = Fault("", f"is no JSON: {error}")
        return Refusal(vocabulary.Reason.WRONG_TYPE, (fault,), source.id, found["received_at"], payload)
    return vocabulary.parse(given, source=source, received_at=found["received_at"])
