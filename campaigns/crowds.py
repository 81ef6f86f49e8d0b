"""Crowds that come into a segment or leave it all at once, as after an import or a change of its rule: no campaign is
told of them before somebody said that it should be. An import comes in slices, so an hour is judged as one moment."""

from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa

from campaigns import tables
from foundation import database
from shop.tables import customers

held, moves, members = tables.segment_crowds, tables.segment_moves, tables.segment_members

LEAST, SHARE = 5_000, 0.05
"""Together with a share of all customers: fewer at one time are a day's work."""
AT_ONCE = timedelta(hours=1)
"""Who moved within it moved at once."""


@dataclass(frozen=True, slots=True)
class Crowd:
    """So many came into a segment at once from a moment on, or left it; their campaigns know nothing of it yet."""

    id: int
    segment: str
    title: str
    at: datetime
    entered: bool
    number: int


def hold(conn: sa.Connection, segment_id: int, *, entered: int, left: int, now: datetime) -> bool:
    """Keeps who moved at this moment untold, if with those shortly before them they are a crowd."""
    found = [way for way, number in ((True, entered), (False, left)) if number]
    crowds = [way for way in found if _many(conn, segment_id, way, now)]
    for way in crowds:
        mine = moves.c.segment_id == segment_id, moves.c.at == now, moves.c.entered.is_(way), moves.c.untold
        number = entered if way else left
        crowd_id = _growing(conn, segment_id, way, number, now=now) or _begun(conn, segment_id, way, number, now=now)
        conn.execute(sa.update(moves).where(*mine).values(untold=False, crowd_id=crowd_id))
    return bool(crowds)


def _many(conn: sa.Connection, segment_id: int, entered: bool, now: datetime) -> bool:
    """Whether those who moved lately are a crowd. Whom campaigns were told of by a decision counts no more.

    Asked every few seconds: nobody is counted beyond what decides it, and all customers only where there are many.
    """
    told = held.c.segment_id == segment_id, held.c.entered.is_(entered), held.c.state == "told"
    since = max(now - AT_ONCE, conn.scalar(sa.select(sa.func.max(held.c.decided_at)).where(*told)) or now - AT_ONCE)
    mine = moves.c.segment_id == segment_id, moves.c.entered.is_(entered), moves.c.at > since

    def more_than(most: int) -> bool:
        lately = sa.select(sa.literal(1)).where(*mine).limit(most + 1)
        return (conn.scalar(sa.select(sa.func.count()).select_from(lately.subquery())) or 0) > most

    everybody = sa.select(sa.func.count()).select_from(customers)
    return more_than(LEAST) and more_than(int(SHARE * (conn.scalar(everybody) or 0)))


def _growing(conn: sa.Connection, segment_id: int, entered: bool, number: int, *, now: datetime) -> int | None:
    """The crowd these belong to, if one that began shortly before still waits."""
    begun = held.c.segment_id == segment_id, held.c.entered.is_(entered), held.c.at > now - AT_ONCE
    grown = sa.update(held).where(*begun, held.c.state == "held").values(number=held.c.number + number)
    crowd_id: int | None = conn.scalar(grown.returning(held.c.id))
    return crowd_id


def _begun(conn: sa.Connection, segment_id: int, entered: bool, number: int, *, now: datetime) -> int:
    row = {"segment_id": segment_id, "at": now, "entered": entered, "number": number, "state": "held"}
    crowd_id: int = conn.execute(sa.insert(held).values(row).returning(held.c.id)).scalar_one()
    return crowd_id


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
    entered = conn.scalar(changed.returning(held.c.entered))
    if entered is not None and wanted:
        inside = sa.exists().where(members.c.segment_id == segment_id, members.c.customer_id == moves.c.customer_id)
        # It happens to them now: what is heard of long after it happened would bring nobody in.
        later = sa.alias(moves)
        again = sa.exists().where(later.c.customer_id == moves.c.customer_id, later.c.crowd_id == crowd_id)
        last = ~again.where(later.c.segment_id == segment_id, later.c.id > moves.c.id)
        told = sa.update(moves).where(moves.c.crowd_id == crowd_id, inside if entered else ~inside, last)
        conn.execute(told.values(untold=True, at=now))
    return entered is not None
