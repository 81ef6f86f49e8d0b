"""Audiences as they are kept: made, changed, ended and looked up."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Literal

import sqlalchemy as sa
from pydantic import Field

from campaigns import segments
from campaigns.audiences import tables
from campaigns.definitions import shapes
from campaigns.definitions.shapes import Shape
from foundation import database
from foundation.errors import Conflict, Fault, Invalid, NotFound

audiences, syncs = tables.audiences, tables.audience_syncs

PLATFORMS = ("meta", "google", "csv")


class Definition(Shape):
    """An audience as files and the console write it. `external_id` is the platform's own id of it; a file has none.

    Without a segment only journeys fill it. `until_purchase`: whoever buys, on whatever channel, is taken out.
    """

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")]
    title: shapes.Line
    platform: Literal["meta", "google", "csv"]
    external_id: Annotated[str, Field(pattern=r"^[0-9]{1,20}$")] | None = None
    segment: shapes.Line | None = None
    until_purchase: bool = True


@dataclass(frozen=True, slots=True)
class Audience:
    """An audience as it is kept. `size` and `avoided` count people; `segment` is its segment's name."""

    id: int
    name: str
    title: str
    platform: str
    external_id: str | None
    segment_id: int | None
    segment: str | None
    segment_title: str | None
    until_purchase: bool
    state: str
    fault: str | None
    due_at: datetime
    synced_at: datetime | None
    size: int
    avoided: int
    created_at: datetime


def parse(value: object) -> Definition:
    """Reads an audience as it stands in a file; raises `Invalid` with every fault and its place."""
    return checked(shapes.read(Definition, value))


def checked(definition: Definition) -> Definition:
    """The same, when it says where it is held; raises `Invalid`."""
    if (definition.platform == "csv") == (definition.external_id is not None):
        no = "has no id: it is a file"
        detail = no if definition.platform == "csv" else "is needed: the platform's own id of the audience"
        raise Invalid(Fault("/external_id", detail))
    return definition


def apply(conn: sa.Connection, definition: Definition, *, now: datetime) -> bool:
    """Makes the audience, or changes the one of that name. False if it says what is kept already.

    Where it is held cannot change: people taken in there would stay there for ever.
    """
    segment_id = _segment_id(conn, definition)
    said = {"title": definition.title, "segment_id": segment_id, "until_purchase": definition.until_purchase}
    current = find(conn, definition.name)
    if current is None:
        held = {"name": definition.name, "platform": definition.platform, "external_id": definition.external_id}
        times = {"due_at": now, "created_at": now, "updated_at": now}
        return database.insert_once(conn, audiences, held | said | times | {"state": "live"})
    if (current.platform, current.external_id) != (definition.platform, definition.external_id):
        raise Conflict("other_place", f"{definition.name} is held elsewhere; end it, or take another name")
    if current.state == "ending":
        raise Conflict("ending", f"{definition.name} is being ended")
    if all(getattr(current, name) == value for name, value in said.items()):
        return False
    conn.execute(
        sa.update(audiences).where(audiences.c.id == current.id).values(**said, due_at=now, updated_at=now, fault=None)
    )
    return True


def _segment_id(conn: sa.Connection, definition: Definition) -> int | None:
    if definition.segment is None:
        return None
    segment = segments.find(conn, definition.segment)
    if segment is None:
        raise Invalid(Fault("/segment", f"is not the name of a segment: {definition.segment}"))
    return segment.id


def _all() -> "sa.Select[tuple[object, ...]]":
    kept = segments.segments
    return sa.select(audiences, kept.c.name.label("segment"), kept.c.title.label("segment_title")).outerjoin(
        kept, kept.c.id == audiences.c.segment_id
    )


def every(conn: sa.Connection) -> list[Audience]:
    """All audiences, by title."""
    return database.read(conn, _all().order_by(audiences.c.title, audiences.c.id), Audience)


def find(conn: sa.Connection, name: str) -> Audience | None:
    """The audience of that name, if there is one."""
    found = database.read(conn, _all().where(audiences.c.name == name), Audience)
    return found[0] if found else None


def get(conn: sa.Connection, name: str) -> Audience:
    """The audience of that name; raises `NotFound`."""
    found = find(conn, name)
    if found is None:
        raise NotFound(f"no audience is named {name}")
    return found


def due(conn: sa.Connection, *, now: datetime, next_at: datetime) -> list[Audience]:
    """Takes the audiences whose time has come; each is due again at `next_at`, whatever becomes of this time."""
    taken = sa.update(audiences).where(audiences.c.due_at <= now).values(due_at=next_at).returning(audiences.c.id)
    ids = list(conn.scalars(taken))
    return database.read(conn, _all().where(audiences.c.id.in_(ids)).order_by(audiences.c.id), Audience)


def hasten(conn: sa.Connection, name: str, *, now: datetime) -> None:
    """Brings it up to date within seconds, whatever the platform said of it last."""
    conn.execute(sa.update(audiences).where(audiences.c.id == get(conn, name).id).values(due_at=now, fault=None))


def end(conn: sa.Connection, name: str, *, now: datetime) -> None:
    """Takes everybody out at the platform; when that is confirmed the audience is gone, at once if nobody is in.

    Raises `Conflict` while a campaign names it.
    """
    current = get(conn, name)
    if users := used_by(conn, name):
        raise Conflict("in_use", f"{name} is used by {', '.join(users)}")
    members = tables.audience_members
    held = sa.exists().where(members.c.audience_id == current.id, members.c.state != "out")
    nobody = sa.delete(audiences).where(audiences.c.id == current.id, ~held)
    if conn.execute(nobody).rowcount:
        return
    values = {"state": "ending", "due_at": now, "updated_at": now, "fault": None}
    conn.execute(sa.update(audiences).where(audiences.c.id == current.id).values(values))


_USED_BY = """
SELECT name FROM campaigns JOIN campaign_versions ON campaign_id = id AND campaign_versions.version = campaigns.version
WHERE state NOT IN ('cancelled', 'done') AND jsonb_path_exists(definition,
    '$.** ? (@.channel like_regex "^audience" && @.audience == $n)', jsonb_build_object('n', CAST(:name AS text)))
ORDER BY name
"""


def used_by(conn: sa.Connection, name: str) -> list[str]:
    """The campaigns that take people in or out of it."""
    return list(conn.scalars(sa.text(_USED_BY), {"name": name}))


@dataclass(frozen=True, slots=True)
class Sync:
    """Once that something was changed at the platform, or could not be; `stopped` says why it ended early."""

    id: int
    started_at: datetime
    seconds: float
    added: int
    removed: int
    avoided: int
    refused: int
    stopped: str | None


def history(conn: sa.Connection, audience_id: int, *, before: int | None = None, limit: int = 50) -> Sequence[Sync]:
    """What was done, the latest first."""
    query = sa.select(syncs).where(syncs.c.audience_id == audience_id).order_by(syncs.c.id.desc()).limit(limit)
    return database.read(conn, query.where(syncs.c.id < before) if before is not None else query, Sync)
