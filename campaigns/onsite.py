"""Blocks on the shop's pages as they are kept: which are due for a visitor, and what became of them."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from campaigns import segments, tables
from campaigns.channels.tables import onsite_blocks, onsite_days, onsite_notes, onsite_views
from campaigns.definitions import onsite as definitions
from campaigns.definitions.onsite import Block
from foundation.errors import Conflict, Fault, Invalid, NotFound
from shop import consent, customers
from shop import tables as shop_tables

STATES = ("draft", "live", "paused")
WHATS = ("shown", "clicked", "closed")
"""What a browser tells of a block."""
LONGEST_CAP = timedelta(days=365)


@dataclass(frozen=True, slots=True)
class Kept:
    """A block under its name."""

    id: int
    name: str
    state: str
    block: Block
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class Note:
    """A message of a journey that waits for her on these pages."""

    message_id: UUID
    title: str
    text: str
    url: str | None
    image: str | None
    button: str | None = None


@dataclass(frozen=True, slots=True)
class Due:
    """What a page shows its visitor now."""

    blocks: Sequence[Kept]
    note: Note | None = None


# ------------------------------------------------------------------------------------------------- keeping
def every(conn: sa.Connection) -> list[Kept]:
    """All blocks, by name."""
    rows = conn.execute(sa.select(onsite_blocks).order_by(onsite_blocks.c.name)).mappings()
    return [_kept(row) for row in rows]


def live(conn: sa.Connection) -> list[Kept]:
    """Those shown to visitors."""
    query = sa.select(onsite_blocks).where(onsite_blocks.c.state == "live")
    return [_kept(row) for row in conn.execute(query).mappings()]


def get(conn: sa.Connection, name: str) -> Kept:
    """A block; raises `NotFound`."""
    row = conn.execute(sa.select(onsite_blocks).where(onsite_blocks.c.name == name)).mappings().one_or_none()
    if row is None:
        raise NotFound(f"no block {name}")
    return _kept(row)


def put(conn: sa.Connection, name: str, value: object, *, now: datetime) -> Kept:
    """Makes a block or changes it, in force at once where it is live; raises `Invalid` naming every fault."""
    block = definitions.parse(value)
    if block.segment and segments.find(conn, block.segment) is None:
        raise Invalid(Fault("/segment", f"is not known: {block.segment}"))
    row = {"name": name, "state": "draft", "definition": definitions.dump(block), "created_at": now, "updated_at": now}
    statement = postgresql.insert(onsite_blocks).values(row)
    changed = {name: statement.excluded[name] for name in ("definition", "updated_at")}
    conn.execute(statement.on_conflict_do_update(index_elements=["name"], set_=changed))
    return get(conn, name)


def move(conn: sa.Connection, name: str, state: str, *, now: datetime) -> None:
    """Shows a block to visitors, or stops showing it; raises `NotFound` and `Conflict`."""
    if state not in STATES:
        raise Conflict(f"a block cannot be {state}")
    moved = sa.update(onsite_blocks).where(onsite_blocks.c.name == name).values(state=state, updated_at=now)
    if conn.execute(moved).rowcount == 0:
        raise NotFound(f"no block {name}")


def remove(conn: sa.Connection, name: str) -> None:
    """Takes a block away with what was counted; raises `NotFound`."""
    if conn.execute(sa.delete(onsite_blocks).where(onsite_blocks.c.name == name)).rowcount == 0:
        raise NotFound(f"no block {name}")


def _kept(row: sa.RowMapping) -> Kept:
    names = ("id", "name", "state", "updated_at")
    return Kept(**{name: row[name] for name in names}, block=definitions.parse(row["definition"]))


# ------------------------------------------------------------------------------------------------ choosing
def due(conn: sa.Connection, known: Sequence[Kept], *, anonymous_id: str | None, page: str, now: datetime) -> Due:
    """What stands on this page for this visitor: of each place the most important block she may still see.

    :param known: the live blocks
    """
    person = customers.find(conn, anonymous_id=anonymous_id) if anonymous_id else None
    wanted = [one for one in known if definitions.running(one.block, now) and definitions.shown_on(one.block, page)]
    named = customers.get_many(conn, [person])[person].user_id is not None if person else False
    wanted = [one for one in wanted if one.block.visitors in ("everyone", "known" if named else "unknown")]
    member = _segments(conn, person, {one.block.segment for one in wanted if one.block.segment})
    wanted = [one for one in wanted if one.block.segment is None or one.block.segment in member]
    worn = _worn(conn, person, wanted, now=now)
    free = sorted((one for one in wanted if one.id not in worn), key=lambda one: (-one.block.priority, one.name))
    first: dict[str, Kept] = {}
    for one in free:
        first.setdefault(definitions.in_place(one.block), one)
    return Due(list(first.values()), waiting(conn, person, now=now) if person else None)


def _people(person: int) -> sa.ScalarSelect[int]:
    """Her and everybody who was merged into her."""
    known = shop_tables.customers.c
    return sa.select(known.id).where((known.id == person) | (known.merged_into == person)).scalar_subquery()


def _segments(conn: sa.Connection, person: int | None, names: Collection[str]) -> set[str]:
    if person is None or not names:
        return set()
    query = (
        sa.select(tables.segments.c.name)
        .join(tables.segment_members, tables.segment_members.c.segment_id == tables.segments.c.id)
        .where(tables.segment_members.c.customer_id == person, tables.segments.c.name.in_(names))
    )
    return set(conn.scalars(query))


def _worn(conn: sa.Connection, person: int | None, wanted: Sequence[Kept], *, now: datetime) -> set[int]:
    """Blocks she has seen often enough, or closed not long ago. Of a visitor nobody knows the browser keeps count."""
    if person is None or not wanted:
        return set()
    views = onsite_views
    query = sa.select(views.c.block_id, views.c.day, views.c.shown, views.c.closed).where(
        views.c.customer_id.in_(_people(person)),
        views.c.block_id.in_([one.id for one in wanted]),
        views.c.day > (now - LONGEST_CAP).date(),
    )
    caps = {one.id: one.block.cap for one in wanted}
    seen: dict[int, int] = {}
    worn = set()
    for block, day, shown, closed in conn.execute(query):
        ago = (now.date() - day).days
        if ago < caps[block].days:
            seen[block] = seen.get(block, 0) + shown
        if closed and ago < caps[block].closed_days:
            worn.add(block)
    return worn | {block for block, times in seen.items() if times >= caps[block].times}


def waiting(conn: sa.Connection, person: int, *, now: datetime) -> Note | None:
    """The oldest message waiting for her that still has its reason; none once she said no to them."""
    if consent.states(conn, [person], channel="onsite")[person] == consent.State.DENIED:
        return None
    query = (
        sa.select(onsite_notes.c.message_id, onsite_notes.c.said)
        .where(
            onsite_notes.c.customer_id.in_(_people(person)),
            onsite_notes.c.done_at.is_(None),
            onsite_notes.c.expires_at > now,
            ~_pointless(),
        )
        .order_by(onsite_notes.c.expires_at, onsite_notes.c.message_id)
        .limit(1)
    )
    row = conn.execute(query).one_or_none()
    return Note(row.message_id, **row.said) if row else None


def _pointless() -> sa.ColumnElement[bool]:
    """Its journey has reached its goal, or the basket it is about was bought or emptied: on whatever channel."""
    messages, enrolments, carts = tables.messages, tables.enrolments, shop_tables.carts
    gone = sa.select(messages.c.id).where(messages.c.id == onsite_notes.c.message_id)
    gone = gone.outerjoin(enrolments, enrolments.c.id == messages.c.enrolment_id)
    gone = gone.outerjoin(carts, carts.c.id == messages.c.cart_ref)
    over = (enrolments.c.state == "left") & enrolments.c.reason.in_(("converted", "emptied"))
    return gone.where(over | (carts.c.state != "open")).exists()


# ------------------------------------------------------------------------------------------------- telling
def told(conn: sa.Connection, name: str, what: str, *, anonymous_id: str | None, now: datetime) -> bool:
    """A browser showed, followed or closed a block. False if no such block is there."""
    block_id = conn.scalar(sa.select(onsite_blocks.c.id).where(onsite_blocks.c.name == name))
    if block_id is None:
        return False
    person = customers.find(conn, anonymous_id=anonymous_id) if anonymous_id else None
    _count(conn, onsite_days, {"block_id": block_id, "day": now.date()}, what)
    if person is not None:
        _count(conn, onsite_views, {"block_id": block_id, "customer_id": person, "day": now.date()}, what)
    return True


def _count(conn: sa.Connection, table: sa.Table, key: Mapping[str, Any], what: str) -> None:
    statement = postgresql.insert(table).values({**key, what: 1})
    conn.execute(
        statement.on_conflict_do_update(index_elements=list(key), set_={what: table.c[what] + statement.excluded[what]})
    )


def told_of_note(conn: sa.Connection, message_id: UUID, what: str, *, anonymous_id: str | None, now: datetime) -> bool:
    """A browser showed, followed or closed a message of a journey. False if it is not this visitor's."""
    person = customers.find(conn, anonymous_id=anonymous_id) if anonymous_id else None
    if person is None:
        return False
    values = {"shown_at": sa.func.coalesce(onsite_notes.c.shown_at, now)}
    if what != "shown":
        values["done_at"] = sa.func.coalesce(onsite_notes.c.done_at, now)
    mine = (onsite_notes.c.message_id == message_id) & onsite_notes.c.customer_id.in_(_people(person))
    return conn.execute(sa.update(onsite_notes).where(mine).values(values)).rowcount == 1


@dataclass(frozen=True, slots=True)
class Figures:
    """How often a block was seen, followed and closed lately."""

    shown: int = 0
    clicked: int = 0
    closed: int = 0


def figures(conn: sa.Connection, *, since: datetime) -> dict[int, Figures]:
    """The figures of every block since a day, from one row a day."""
    days = onsite_days
    sums = [sa.cast(sa.func.sum(days.c[what]), sa.BigInteger) for what in WHATS]
    query = sa.select(days.c.block_id, *sums).where(days.c.day >= since.date()).group_by(days.c.block_id)
    return {block: Figures(*counted) for block, *counted in conn.execute(query)}


def prune(conn: sa.Connection, *, now: datetime) -> int:
    """Forgets what no cap looks at any more, and messages whose time is over."""
    gone = conn.execute(sa.delete(onsite_views).where(onsite_views.c.day < (now - LONGEST_CAP).date())).rowcount
    old = onsite_notes.c.expires_at < now - timedelta(days=30)
    return gone + conn.execute(sa.delete(onsite_notes).where(old)).rowcount
