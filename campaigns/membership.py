"""Who is in which segment, kept up to date by what changed: after customers' news, after time passed, and in full.

Whoever enters or leaves is recorded with the change itself, and told as an event where a campaign listens. Functions
that take `db` work in one transaction a segment or batch, so that nothing waits for a long refresh.
"""

import logging
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from campaigns import crowds, own_events, segment_fifths, segment_times, segments, tables
from campaigns.definitions.conditions import Condition
from campaigns.own_events import Told
from campaigns.segment_parts import Scope
from campaigns.segments import Segment
from foundation import database
from foundation.database import Database
from foundation.errors import Conflict
from shop import changes
from shop import customers as shop_customers
from shop.changes import What
from shop.tables import changes as changes_table
from shop.tables import customers
from shop.vocabulary import Name

log = logging.getLogger(__name__)
kept, members, moves, sizes = tables.segments, tables.segment_members, tables.segment_moves, tables.segment_sizes

LOCK = 7263004
"""Held by whoever moves members, until the transaction ends."""
NOTES = 20_000
"""So many customers are followed one by one; where there are more, everybody is looked at instead."""
AT_ONCE = 5_000
"""Customers asked about in one statement."""
TOLD_AT_ONCE = 500


News = dict[str, set[int] | None]
"""Customers of whom there is news, by what it is; None: it may concern anybody."""


@dataclass(frozen=True, slots=True)
class Moved:
    """How many came into a segment, how many went, and who they are; `ids` is None where there are too many to name.

    `missing` and `surplus` are those of them whom no pending news explains.
    """

    entered: int = 0
    left: int = 0
    missing: int = 0
    surplus: int = 0
    ids: frozenset[int] | None = frozenset()

    def __bool__(self) -> bool:
        return bool(self.entered or self.left)

    def __add__(self, other: "Moved") -> "Moved":
        return Moved(
            self.entered + other.entered,
            self.left + other.left,
            self.missing + other.missing,
            self.surplus + other.surplus,
            None if self.ids is None or other.ids is None else self.ids | other.ids,
        )


def refresh(db: Database, *, now: datetime, most: int = NOTES) -> str | None:
    """Brings every segment up to date with what changed since the last time, and tells who moved.

    With `most` notes of changes or more waiting, everybody is looked at instead of those they name.
    """
    filled = _fill(db, now=now)
    with db.begin() as conn:
        take_turn(conn)
        moved = _follow(conn, now=now, most=most)
    told = tell(db, now=now)
    words = ((filled, "filled"), (moved.entered, "entered"), (moved.left, "left"), (told, "told"))
    return ", ".join(f"{count} {word}" for count, word in words if count) or None


def take_turn(conn: sa.Connection) -> None:
    """Waits until nobody else moves members, to the end of the transaction."""
    conn.execute(sa.select(sa.func.pg_advisory_xact_lock(LOCK)))


# ------------------------------------------------------------------------------------------------ filling
def _fill(db: Database, *, now: datetime) -> int:
    """Segments that are new, or whose rule was changed, are filled from everybody. The first time nobody enters: they
    were in it from the beginning."""
    with db.begin() as conn:
        waiting = [one for one in _refreshed(segments.every(conn)) if one.checked_at is None]
    for segment in segments.in_order(waiting):
        with db.begin() as conn:
            take_turn(conn)
            segment_fifths.find(conn, now=now, missing_only=True)
            _carefully(conn, segment, None, now=now)
    return len(waiting)


def _refreshed(every: Iterable[Segment]) -> list[Segment]:
    return [segment for segment in every if segment.rule is not None and segment.fault is None]


def _carefully(conn: sa.Connection, segment: Segment, ids: Sequence[int] | None, *, now: datetime) -> Moved:
    """Moves members; a rule that PostgreSQL refuses to answer stops with its reason, and no other with it."""
    try:
        with conn.begin_nested():
            return _move(conn, segment, ids, now=now)
    except sa.exc.DBAPIError as error:
        log.exception("segment not refreshed", extra={"segment": segment.name})
        reason = str(error.orig).splitlines()[0][:500]
        conn.execute(sa.update(kept).where(kept.c.id == segment.id).values(fault=reason))
        return Moved()


# ---------------------------------------------------------------------------------------------- following
def _follow(conn: sa.Connection, *, now: datetime, most: int) -> Moved:
    """Every segment, for the customers of whom its rule may say something else than before."""
    notes, everybody = changes.take(conn, limit=most)
    if everybody:
        changes.forget(conn)
    _carry(conn, [customer for customer, what in notes if what == What.MERGED and customer is not None])
    news = _news(conn, notes)
    every = [one for one in _refreshed(segments.every(conn)) if one.checked_at is not None and one.checked_at < now]
    total = Moved()
    for segment in segments.in_order(every):
        ids = None if everybody else _concerned(conn, segment, news, now=now)
        if ids is None or ids:
            moved = _carefully(conn, segment, ids, now=now)
            if moved:
                news[segment_times.of_segment(segment.name)] = None if moved.ids is None else set(moved.ids)
            total += moved
    done = [segment.id for segment in every]
    conn.execute(sa.update(kept).where(kept.c.id.in_(done)).values(checked_at=now))
    return total


def _news(conn: sa.Connection, notes: Sequence[tuple[int | None, str]]) -> News:
    """The notes by what they say, of each customer as she is known now; the erased are no news."""
    ids = [customer for customer, _ in notes if customer is not None]
    now_known = shop_customers.canonical(conn, ids) if ids else {}
    news: News = {}
    for customer, what in notes:
        if customer is None:
            news[what] = None
        elif customer in now_known and (said := news.setdefault(what, set())) is not None:
            said.add(now_known[customer])
    return news


def _concerned(conn: sa.Connection, segment: Segment, news: News, *, now: datetime) -> list[int] | None:
    """Whom to ask the rule about again; None for everybody."""
    rule, since = segment.rule, segment.checked_at
    if rule is None or since is None or (segment_times.daily(rule) and _day(since) != _day(now)):
        return None
    inputs = segment_times.inputs(rule)
    ids: set[int] = set()
    for what, said in news.items():
        if said is None and what in inputs:
            return None
        if said is not None and (what in inputs or segment_times.ANYTHING in inputs):
            ids |= said
    if found := segment_times.crossings(rule, since=since, until=now):
        ids.update(conn.scalars(segment_times.canonical(found).limit(NOTES)))
    return sorted(ids) if len(ids) < NOTES else None


def _day(at: datetime) -> date:
    return at.astimezone(UTC).date()


_CARRY = """
WITH gone AS (
    DELETE FROM segment_members USING customers
    WHERE customers.id = segment_members.customer_id AND customers.id = ANY(:ids) AND merged_into IS NOT NULL
    RETURNING segment_id, merged_into, since
), come AS (
    INSERT INTO segment_members (segment_id, customer_id, since)
    SELECT segment_id, merged_into, min(since) FROM gone GROUP BY segment_id, merged_into ORDER BY merged_into
    ON CONFLICT DO NOTHING RETURNING segment_id
), fewer AS (
    SELECT segment_id, sum(n) AS n FROM (
        SELECT segment_id, -1 AS n FROM gone UNION ALL SELECT segment_id, 1 FROM come) AS each GROUP BY segment_id
)
UPDATE segments SET size = size + fewer.n FROM fewer WHERE segments.id = fewer.segment_id
"""


def _carry(conn: sa.Connection, ids: Collection[int]) -> None:
    """Who was merged is in her segments as who she is now: she neither left nor entered."""
    if ids:
        conn.execute(sa.text(_CARRY), {"ids": sorted(ids)})


# ------------------------------------------------------------------------------------------------- moving
def _move(conn: sa.Connection, segment: Segment, ids: Sequence[int] | None, *, now: datetime) -> Moved:
    """Asks the rule about these customers, or all, and moves them in and out. Records it, except of a first filling."""
    moved = Moved()
    for part in [None] if ids is None else [ids[n : n + AT_ONCE] for n in range(0, len(ids), AT_ONCE)]:
        row = conn.execute(_moving(segment, part, now=now)).one()
        ids_named = frozenset(row.ids) if len(row.ids) < NOTES else None
        moved += Moved(row.entered, row.left, row.missing, row.surplus, ids_named)
    if moved or ids is None:
        _resized(conn, segment, moved, now=now)
    if segment.announced and segment.size is not None:
        crowds.hold(conn, segment.id, entered=moved.entered, left=moved.left, now=now)
    return moved


def _resized(conn: sa.Connection, segment: Segment, moved: Moved, *, now: datetime) -> None:
    """Keeps how many there are now, and that it was so today."""
    size = sa.func.coalesce(kept.c.size, 0) + moved.entered - moved.left
    changed = sa.update(kept).where(kept.c.id == segment.id).values(size=size, checked_at=now)
    row = {
        "segment_id": segment.id,
        "day": _day(now),
        "size": conn.execute(changed.returning(kept.c.size)).scalar_one(),
    }
    database.upsert(conn, sizes, [row], key=("segment_id", "day"))


def _moving(segment: Segment, ids: Sequence[int] | None, *, now: datetime) -> "sa.Select[Any]":
    """One statement: those the rule holds for who are no members yet come, members it does not hold for go."""
    return _moved_to(segment, segments.select(_rule(segment), now=now, ids=ids).cte("found"), Scope(now, ids))


def _moved_to(segment: Segment, found: sa.CTE, scope: Scope) -> "sa.Select[Any]":
    now = scope.now
    listed = sa.select(sa.literal(segment.id, sa.BigInteger), found.c.id, sa.literal(now)).order_by(found.c.id)
    came = postgresql.insert(members).from_select(["segment_id", "customer_id", "since"], listed)
    come = came.on_conflict_do_nothing().returning(members.c.customer_id).cte("come")
    gone = (
        sa.delete(members)
        .where(
            members.c.segment_id == segment.id,
            *scope.of(members.c.customer_id),
            ~sa.exists(sa.select(found.c.id).where(found.c.id == members.c.customer_id)),
        )
        .returning(members.c.customer_id)
        .cte("gone")
    )
    both = sa.union_all(
        sa.select(come.c.customer_id, sa.true().label("entered")),
        sa.select(gone.c.customer_id, sa.false().label("entered")),
    ).cte("both")
    told = (sa.literal(segment.id, sa.BigInteger), both.c.customer_id, both.c.entered, sa.literal(now))
    silent = segment.size is None
    logged = sa.insert(moves).from_select(
        ["segment_id", "customer_id", "entered", "at", "untold"],
        sa.select(*told, sa.literal(segment.announced)).where(sa.literal(not silent)),
    )
    return _counted(both).add_cte(logged.cte("logged"))


def _counted(both: sa.CTE) -> "sa.Select[Any]":
    number, entered = sa.func.count(), both.c.entered
    pending = sa.select(changes_table.c.customer_id).where(
        sa.or_(changes_table.c.customer_id == both.c.customer_id, changes_table.c.customer_id.is_(None))
    )
    unexplained = ~sa.exists(pending)
    some = sa.select(both.c.customer_id).limit(NOTES)
    return sa.select(
        number.filter(entered).label("entered"),
        number.filter(~entered).label("left"),
        number.filter(entered & unexplained).label("missing"),
        number.filter(~entered & unexplained).label("surplus"),
        sa.func.array(some.scalar_subquery()).label("ids"),
    ).select_from(both)


def _rule(segment: Segment) -> Condition:
    if segment.rule is None:
        raise Conflict("other_kind", f"{segment.name} is a list and has no rule")
    return segment.rule


# ------------------------------------------------------------------------------------------ the full check
def check(db: Database, *, now: datetime) -> str | None:
    """Every night: the fifths anew, then every segment against its rule for everybody, as of its last refresh.

    What is found wrong is put right and reported with the segment; there should be nothing.
    """
    with db.begin() as conn:
        take_turn(conn)
        segment_fifths.find(conn, now=now)
        conn.execute(sa.update(kept).where(kept.c.fault.is_not(None)).values(fault=None, checked_at=None))
        every = segments.every(conn)
        changes.everybody(conn, What.FIFTHS)
    refresh(db, now=now)
    checked = [_check(db, segment.name, now=now) for segment in every if segment.rule]
    drifted = [
        f"{name} {found}" for name, found in zip([s.name for s in every if s.rule], checked, strict=True) if found
    ]
    return f"{len(checked)} checked, " + (f"drift: {', '.join(drifted)}" if drifted else "no drift")


def _check(db: Database, name: str, *, now: datetime) -> int:
    """How many members were wrong."""
    with db.begin() as conn:
        take_turn(conn)
        segment = segments.find(conn, name)
        if segment is None or segment.checked_at is None or segment.fault is not None:
            return 0
        moved = _carefully(conn, segment, None, now=segment.checked_at)
        drift = {"at": now.isoformat(), "missing": moved.missing, "surplus": moved.surplus}
        size = sa.select(sa.func.count()).where(members.c.segment_id == segment.id).scalar_subquery()
        changed = sa.update(kept).where(kept.c.id == segment.id).values(drift=drift, size=size)
        conn.execute(changed)
        return moved.missing + moved.surplus


# --------------------------------------------------------------------------------------------------- lists
def replace(conn: sa.Connection, name: str, customer_ids: Sequence[int], *, now: datetime) -> None:
    """Makes these customers, and no others, the members of a list."""
    take_turn(conn)
    segment = segments.get(conn, name)
    if segment.rule is not None:
        raise Conflict("other_kind", f"{name} is a rule and finds its members itself")
    ids = sa.bindparam("ids", list(customer_ids), postgresql.ARRAY(sa.BigInteger))
    listed = sa.select(customers.c.id).where(customers.c.id == sa.any_(ids), customers.c.merged_into.is_(None))
    row = conn.execute(_moved_to(segment, listed.cte("found"), Scope(now))).one()
    _resized(conn, segment, Moved(row.entered, row.left), now=now)
    changes.everybody(conn, segment_times.of_segment(name))


# ------------------------------------------------------------------------------------------------ telling
def announce(conn: sa.Connection, names: Collection[str]) -> None:
    """From now on entering and leaving these segments, and no others, are told as events."""
    conn.execute(sa.update(kept).values(announced=kept.c.name.in_(sorted(names))))


def tell(db: Database, *, now: datetime) -> int:
    """Tells who entered and left through the one door for events; says how many. Told again, it is nothing."""
    total = 0
    while True:
        with db.begin() as conn:
            told = _untold(conn)
            own_events.tell(conn, list(told.values()), now=now)
            conn.execute(sa.update(moves).where(moves.c.id.in_(list(told))).values(untold=False))
        total += len(told)
        if len(told) < TOLD_AT_ONCE:
            return total


def _untold(conn: sa.Connection) -> dict[int, Told]:
    query = (
        sa.select(moves.c.id, moves.c.customer_id, moves.c.entered, moves.c.at, kept.c.name)
        .join(kept, kept.c.id == moves.c.segment_id)
        .where(moves.c.untold)
        .order_by(moves.c.id)
        .limit(TOLD_AT_ONCE)
        .with_for_update(of=moves, skip_locked=True)
    )
    return {
        row.id: Told(
            f"segment:{row.id}",
            Name.SEGMENT_ENTERED if row.entered else Name.SEGMENT_LEFT,
            row.customer_id,
            row.at,
            {"segment": row.name},
        )
        for row in conn.execute(query)
    }
