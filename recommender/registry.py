"""Models in PostgreSQL: plain arrays in parts, with their checksum, never pickle; publishing moves one pointer."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from foundation import database
from foundation.errors import NotFound
from recommender import artefact, model_files
from recommender import model as models_of
from recommender.artefact import Damaged, Seal
from recommender.model import Model
from recommender.tables import live_model, model_moves, model_parts, models

KEPT = 5
"""How many models are kept to roll back to, the live one included."""


@dataclass(frozen=True, slots=True)
class Published:
    """A model that may be served, without its artefact."""

    id: int
    run_id: int
    created_at: datetime
    manifest: dict[str, Any]
    live: bool


def publish(
    conn: sa.Connection, model: Model, *, run_id: int, manifest: dict[str, Any], by: str = "training", now: datetime
) -> int:
    """Stores the model and makes it the live one; forgets all but the last few."""
    arrays = model.arrays()
    seal = Seal.of(artefact.parts(arrays))
    row = {"run_id": run_id, "created_at": now, "manifest": manifest, "sha256": seal.sha256, "size": seal.size}
    model_id: int = conn.execute(sa.insert(models).values(row).returning(models.c.id)).scalar_one()
    for number, part in enumerate(artefact.parts(arrays)):
        conn.execute(sa.insert(model_parts).values(model_id=model_id, part=number, bytes=part))
    _point(conn, model_id, why="published", by=by, now=now)
    recent = sa.select(models.c.id).order_by(models.c.id.desc()).limit(KEPT)
    conn.execute(sa.delete(models).where(models.c.id.not_in(recent)))
    return model_id


def roll_back(conn: sa.Connection, model_id: int | None = None, *, by: str, now: datetime) -> int:
    """Makes a model kept live again: the one named, else the one before the live one; its id.

    Naming the live one changes nothing, so that a second click does not go one step further. Raises `NotFound` if there
    is no such model.
    """
    live = _live_locked(conn)
    if model_id is None:
        model_id = conn.scalar(sa.select(sa.func.max(models.c.id)).where(models.c.id < live))
    kept: int | None = conn.scalar(sa.select(models.c.id).where(models.c.id == model_id))
    if kept is None:
        raise NotFound("There is no earlier model." if model_id is None else f"Model {model_id} is not kept.")
    if kept != live:
        _point(conn, kept, why="chosen", by=by, now=now)
    return kept


def _live_locked(conn: sa.Connection) -> int | None:
    """The live model; nobody else moves the pointer until this transaction ends."""
    found: int | None = conn.scalar(sa.select(live_model.c.model_id).with_for_update())
    return found


def _point(conn: sa.Connection, model_id: int, *, why: str, by: str, now: datetime) -> None:
    before = _live_locked(conn)
    row = {"model_id": model_id, "since": now}
    statement = postgresql.insert(live_model).values(one_row=True, **row)
    conn.execute(statement.on_conflict_do_update(index_elements=["one_row"], set_=row))
    conn.execute(sa.insert(model_moves).values(at=now, model_id=model_id, before_id=before, why=why, by=by))


@dataclass(frozen=True, slots=True)
class Move:
    """One move of the pointer: when, to which model, from which, why and by whom."""

    at: datetime
    model_id: int
    before_id: int | None
    why: str
    by: str


def moves(conn: sa.Connection, *, limit: int = 10) -> list[Move]:
    """The last moves, newest first."""
    return database.read(conn, sa.select(model_moves).order_by(model_moves.c.id.desc()).limit(limit), Move)


def live_id(conn: sa.Connection) -> int | None:
    """Which model is live, if any."""
    found: int | None = conn.scalar(sa.select(live_model.c.model_id))
    return found


def published(conn: sa.Connection) -> list[Published]:
    """The models kept, newest first."""
    columns = (models.c.id, models.c.run_id, models.c.created_at, models.c.manifest)
    rows = conn.execute(sa.select(*columns).order_by(models.c.id.desc())).all()
    live = live_id(conn)
    return [Published(*row, live=row.id == live) for row in rows]


def manifest(conn: sa.Connection, model_id: int) -> dict[str, Any]:
    """What is known of a model besides its arrays."""
    found: dict[str, Any] = conn.execute(sa.select(models.c.manifest).where(models.c.id == model_id)).scalar_one()
    return found


def load(conn: sa.Connection, model_id: int, *, files: Path | None = None) -> Model:
    """The model of this id; raises `Damaged` if its artefact is not what was published.

    :param files: a folder where models lie as files, from which all processes of this machine map the same memory; the
        file is made if it is missing or spoilt, and those of other models are removed. Without one, or where it cannot
        be written, the model stays in memory.
    """
    row = conn.execute(sa.select(models.c.sha256, models.c.size).where(models.c.id == model_id)).one()
    seal = Seal(row.sha256, row.size)
    whole = model_files.whole(lambda: _stored(conn, model_id), seal, folder=files)
    if files is not None:
        model_files.tidy(files, keep=seal)
    try:
        return models_of.load(artefact.read(whole))
    except (KeyError, TypeError, ValueError) as error:
        raise Damaged(f"the artefact is of no model: {error}") from error


def _stored(conn: sa.Connection, model_id: int) -> Iterator[bytes]:
    """The parts of an artefact as they are stored, one at a time."""
    number = 0
    asked = sa.select(model_parts.c.bytes).where(model_parts.c.model_id == model_id)
    while (part := conn.scalar(asked.where(model_parts.c.part == number))) is not None:
        yield part
        number += 1
