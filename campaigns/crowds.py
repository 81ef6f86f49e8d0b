"""Crowds that come into a segment or leave it all at once, as after an import or a change of its rule: no campaign is
told of them before somebody said that it should be."""

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from campaigns import tables
from foundation import database
from shop.tables import customers

held, moves, members = tables.segment_crowds, tables.segment_moves, tables.segment_members

LEAST, SHARE = 5_000, 0.05
"""Together with a share of all customers: fewer at one time are a day's work."""


@dataclass(frozen=True, slots=True)
class Crowd:
    """So many came into a segment at one moment, or left it; their campaigns know nothing of it yet."""

    id: int
    segment: str
    title: str
    at: datetime
    entered: bool
    number: int


def hold(conn: sa.Connection, segment_id: int, *, entered: int, left: int, now: datetime) -> bool:
    """Keeps who moved at this moment untold, if they are a crowd."""
    found = [(way, number) for way, number in ((True, entered), (False, left)) if number > LEAST]
    most = max(LEAST, SHARE * (conn.scalar(sa.select(sa.func.count()).select_from(customers)) or 0)) if found else 0
    crowds = [(way, number) for way, number in found if number > most]
    for way, number in crowds:
        conn.execute(sa.update(moves).where(*_of(segment_id, now, way), moves.c.untold).values(untold=False))
        row = {"segment_id": segment_id, "at": now, "entered": way, "number": number, "state": "held"}
        conn.execute(sa.insert(held).values(row))
    return bool(crowds)


def waiting(conn: sa.Connection, *, segment_id: int | None = None) -> list[Crowd]:
    """Those nobody has decided on, the oldest first."""
    kept = tables.segments.c
    query = (
        sa.select(held.c.id, kept.name.label("segment"), kept.title, held.c.at, held.c.entered, held.c.number)
        .join(tables.segments, kept.id == held.c.segment_id)
        .where(held.c.state == "held")
        .order_by(held.c.id)
    )
    return database.read(conn, query if segment_id is None else query.where(kept.id == segment_id), Crowd)


def decide(conn: sa.Connection, segment_id: int, crowd_id: int, *, wanted: bool, now: datetime) -> bool:
    """Campaigns are told of them within seconds, of those for whom it is still so; or never. False if somebody decided
    already."""
    mine = (held.c.id == crowd_id) & (held.c.segment_id == segment_id) & (held.c.state == "held")
    changed = sa.update(held).where(mine).values(state="told" if wanted else "left", decided_at=now)
    crowd = conn.execute(changed.returning(held.c.at, held.c.entered)).one_or_none()
    if crowd is not None and wanted:
        inside = sa.exists().where(members.c.segment_id == segment_id, members.c.customer_id == moves.c.customer_id)
        # It happens to them now: what is heard of long after it happened would bring nobody in.
        told = sa.update(moves).where(*_of(segment_id, crowd.at, crowd.entered), inside if crowd.entered else ~inside)
        conn.execute(told.values(untold=True, at=now))
    return crowd is not None


def _of(segment_id: int, at: datetime, entered: bool) -> tuple[sa.ColumnElement[bool], ...]:
    return moves.c.segment_id == segment_id, moves.c.at == at, moves.c.entered.is_(entered)
