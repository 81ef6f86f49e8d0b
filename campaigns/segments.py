"""Segments as they are kept: made, changed and looked up; and the two questions others ask of a rule."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any

import sqlalchemy as sa
from pydantic import Field

from campaigns import segment_sql, tables
from campaigns.definitions import conditions, shapes
from campaigns.definitions.conditions import Condition
from campaigns.definitions.shapes import Shape
from campaigns.supposing import Supposed
from foundation import database
from foundation.errors import Conflict, Fault, Invalid, NotFound
from shop.tables import stores

segments, members = tables.segments, tables.segment_members
select = segment_sql.select


def matching(
    conn: sa.Connection, condition: Condition | Supposed, customer_ids: Collection[int], *, now: datetime
) -> set[int]:
    """Which of these customers the rule holds for: one statement for all of them.

    Merged customers are nobody: ask for who they are now.
    """
    if not customer_ids:
        return set()
    return set(conn.scalars(select(condition, now=now, ids=sorted(customer_ids))))


# --------------------------------------------------------------------------------------------------- kept
class Definition(Shape):
    """A segment as files, the API and the console write it. Without a rule it is a list of customers, kept by hand."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")]
    title: shapes.Line
    rule: Condition | None = None


@dataclass(frozen=True, slots=True)
class Segment:
    """A segment as it is kept. `size` is None until it was filled once; `drift` is what the last full check found."""

    id: int
    name: str
    title: str
    rule: Condition | None
    size: int | None
    checked_at: datetime | None
    announced: bool
    fault: str | None
    drift: dict[str, Any] | None
    created_at: datetime
    updated_at: datetime


def parse(value: object) -> Definition:
    """Reads a segment as it stands in a file; raises `Invalid` with every fault and its place."""
    found = shapes.read(Definition, value)
    if found.rule is not None and (faults := conditions.too_big(found.rule)):
        raise Invalid(*(Fault(f"/rule{fault.pointer}", fault.detail) for fault in faults))
    return found


def dump(segment: Segment) -> dict[str, Any]:
    """The segment as a file says it; applying it again changes nothing."""
    rule = {"rule": conditions.dump(segment.rule)} if segment.rule else {}
    return {"name": segment.name, "title": segment.title, **rule}


def apply(conn: sa.Connection, definition: Definition, *, now: datetime) -> bool:
    """Makes the segment, or changes the one of that name. False if it says what is kept already.

    A changed rule is in force with the next refresh; what was a rule cannot become a list, nor the other way round.
    """
    _refuse(conn, definition)
    current = find(conn, definition.name)
    if current is None:
        row = _row(definition) | {"created_at": now, "updated_at": now}
        return database.insert_once(conn, segments, row | ({} if definition.rule else {"size": 0, "checked_at": now}))
    if (current.rule is None) != (definition.rule is None):
        raise Conflict("other_kind", f"{definition.name} is a {'list' if current.rule is None else 'rule'}")
    if (current.title, current.rule) == (definition.title, definition.rule):
        return False
    again = {"checked_at": None, "fault": None} if current.rule != definition.rule else {}
    conn.execute(
        sa.update(segments).where(segments.c.id == current.id).values(**_row(definition), **again, updated_at=now)
    )
    return True


def _row(definition: Definition) -> dict[str, Any]:
    rule = conditions.dump(definition.rule) if definition.rule else None
    return {"name": definition.name, "title": definition.title, "rule": sa.null() if rule is None else rule}


def _refuse(conn: sa.Connection, definition: Definition) -> None:
    if definition.rule is None:
        return
    faults = check(conn, definition.rule, name=definition.name)
    if faults:
        raise Invalid(*(Fault(f"/rule{fault.pointer}", fault.detail) for fault in faults))


def find(conn: sa.Connection, name: str, *, held: bool = False) -> Segment | None:
    """The segment of that name, if there is one; `held`, nobody else changes it until the transaction ends."""
    query = sa.select(segments).where(segments.c.name == name)
    row = conn.execute(query.with_for_update() if held else query).mappings().one_or_none()
    return _segment(row) if row else None


def get(conn: sa.Connection, name: str) -> Segment:
    """The segment of that name; raises `NotFound`."""
    found = find(conn, name)
    if found is None:
        raise NotFound(f"no segment is named {name}")
    return found


def every(conn: sa.Connection) -> list[Segment]:
    """All segments, by title."""
    rows = conn.execute(sa.select(segments).order_by(segments.c.title, segments.c.id)).mappings()
    return [_segment(row) for row in rows]


def _segment(row: sa.RowMapping) -> Segment:
    return Segment(**{**row, "rule": conditions.parse(row["rule"]) if row["rule"] is not None else None})


def remove(conn: sa.Connection, name: str) -> None:
    """Deletes a segment and its members; refused while a segment or a campaign names it."""
    current = get(conn, name)
    if users := used_by(conn, name):
        raise Conflict("in_use", f"{name} is used by {', '.join(users)}")
    conn.execute(sa.delete(segments).where(segments.c.id == current.id))


def used_by(conn: sa.Connection, name: str) -> list[str]:
    """The titles of segments and the names of campaigns that are not cancelled whose definitions name it."""
    return list(conn.scalars(sa.text(_USED_BY), {"name": name}))


@dataclass(frozen=True, slots=True)
class Use:
    """Something that names a segment: another segment, a campaign, or an audience of an ad platform."""

    kind: str
    name: str
    title: str


def uses(conn: sa.Connection, name: str) -> list[Use]:
    """What names a segment, as it stands now; a campaign that is over or cancelled no longer does."""
    return [Use(row.kind, row.name, row.title) for row in conn.execute(sa.text(_USES), {"name": name})]


_NAMING = (
    """'$.** ? (@.type == "segment" && @.name == $n || @.segment == $n)', """
    "jsonb_build_object('n', CAST(:name AS text))"
)
_USED_BY = f"""
SELECT title FROM segments WHERE name <> :name AND jsonb_path_exists(rule, {_NAMING})
UNION ALL
SELECT name FROM campaigns JOIN campaign_versions ON campaign_id = id AND campaign_versions.version = campaigns.version
WHERE state <> 'cancelled' AND jsonb_path_exists(definition, {_NAMING})
"""


_USES = f"""
SELECT 'segment' AS kind, name, title FROM segments
WHERE name <> :name AND jsonb_path_exists(rule, {_NAMING})
UNION ALL
SELECT 'campaign', name, coalesce(nullif(definition ->> 'title', ''), name)
FROM campaigns JOIN campaign_versions ON campaign_id = id AND campaign_versions.version = campaigns.version
WHERE state NOT IN ('cancelled', 'done') AND jsonb_path_exists(definition, {_NAMING})
ORDER BY 1, 3
"""


def of_customer(conn: sa.Connection, customer_id: int) -> Sequence[sa.RowMapping]:
    """The segments a customer is in: name, title and since when, by title."""
    query = (
        sa.select(segments.c.name, segments.c.title, members.c.since)
        .join(members, members.c.segment_id == segments.c.id)
        .where(members.c.customer_id == customer_id)
        .order_by(segments.c.title)
    )
    return conn.execute(query).mappings().all()


# --------------------------------------------------------------------------------------------- what is named
def check(conn: sa.Connection, condition: Condition, *, name: str | None = None) -> list[Fault]:
    """Every name in a rule that names nothing, and every circle back to the segment `name`, with its place."""
    places = list(conditions.walk(condition))
    faults = [fault for named in _NAMED for fault in _unknown(conn, places, named)]
    circles = list(_circles(conn, places, name))
    return [fault for fault in faults if fault.pointer not in {circle.pointer for circle in circles}] + circles


Places = Sequence[tuple[str, Condition]]


@dataclass(frozen=True, slots=True)
class _Named:
    """A field of a rule that names a row of ours."""

    kind: type
    field: str
    column: "sa.Column[str]"
    what: str


_NAMED = (
    _Named(conditions.Code, "offer", tables.offers.c.name, "an offer"),
    _Named(conditions.Message, "campaign", tables.campaigns.c.name, "a campaign"),
    _Named(conditions.Distance, "store", stores.c.store_id, "a store"),
    _Named(conditions.InSegment, "name", segments.c.name, "a segment"),
)


def _unknown(conn: sa.Connection, places: Places, named: _Named) -> Iterator[Fault]:
    words = {
        f"{pointer}/{named.field}": str(getattr(rule, named.field))
        for pointer, rule in places
        if isinstance(rule, named.kind) and getattr(rule, named.field) is not None
    }
    if not words:
        return
    known = set(conn.scalars(sa.select(named.column).where(named.column.in_(sorted(set(words.values()))))))
    for pointer, word in words.items():
        if word not in known:
            yield Fault(pointer, f"is not the name of {named.what}: {word}")


def _circles(conn: sa.Connection, places: Places, name: str | None) -> Iterator[Fault]:
    asked = [(pointer, rule.name) for pointer, rule in places if isinstance(rule, conditions.InSegment)]
    if name is None or not asked:
        return
    known = {segment.name: references(segment.rule) for segment in every(conn) if segment.rule}
    for pointer, first in asked:
        if way := _way(known, first, name):
            yield Fault(f"{pointer}/name", f"goes in a circle: {' > '.join((name, *way))}")


def references(condition: Condition | None) -> frozenset[str]:
    """The segments a rule names."""
    rules = conditions.walk(condition) if condition else ()
    return frozenset(rule.name for _, rule in rules if isinstance(rule, conditions.InSegment))


def _way(known: Mapping[str, frozenset[str]], start: str, target: str) -> tuple[str, ...] | None:
    """A way from one segment to another along what they name; None if there is none."""
    ways: list[tuple[str, ...]] = [(start,)]
    seen: set[str] = set()
    while ways:
        way = ways.pop()
        if way[-1] == target:
            return way
        if way[-1] not in seen:
            seen.add(way[-1])
            ways.extend((*way, following) for following in sorted(known.get(way[-1], ())))
    return None


def in_order(kept: Sequence[Segment]) -> list[Segment]:
    """Segments so that each comes after those it names."""
    by_name = {segment.name: segment for segment in kept}
    placed: dict[str, Segment] = {}

    def place(segment: Segment) -> None:
        for name in sorted(references(segment.rule)):
            if name in by_name and name not in placed:
                place(by_name[name])
        placed[segment.name] = segment

    for segment in kept:
        if segment.name not in placed:
            place(segment)
    return list(placed.values())
