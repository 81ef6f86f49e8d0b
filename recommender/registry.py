"""Models in PostgreSQL: plain arrays in parts, with their checksum, never pickle; publishing moves one pointer."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from foundation.errors import NotFound
from recommender import artefact, model_files
from recommender import model as models_of
from recommender.artefact import Damaged, Seal
from recommender.model import Model
from recommender.tables import live_model, model_parts, models

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


def publish(conn: sa.Connection, model: Model, *, run_id: int, manifest: dict[str, Any], now: datetime) -> int:
    """Stores the model and makes it the live one; forgets all but the last few."""
    arrays = model.arrays()
    seal = Seal.of(artefact.parts(arrays))
    row = {"run_id": run_id, "created_at": now, "manifest": manifest, "sha256": seal.sha256, "size": seal.size}
    model_id: int = conn.execute(sa.insert(models).values(row).returning(models.c.id)).scalar_one()
    for number, part in enumerate(artefact.parts(arrays)):
        conn.execute(sa.insert(model_parts).values(model_id=model_id, part=number, bytes=part))
    _point(conn, model_id, now=now)
    recent = sa.select(models.c.id).order_by(models.c.id.desc()).limit(KEPT)
    conn.execute(sa.delete(models).where(models.c.id.not_in(recent)))
    return model_id


def roll_back(conn: sa.Connection, *, now: datetime) -> int:
    """Makes the model before the live one live again; its id. Raises `NotFound` if there is none."""
    earlier: int | None = conn.scalar(
        sa.select(sa.func.max(models.c.id)).where(models.c.id < sa.select(live_model.c.model_id).scalar_subquery())
    )
    if earlier is None:
        raise NotFound("There is no earlier model.")
    _point(conn, earlier, now=now)
    return earlier


def _point(conn: sa.Connection, model_id: int, *, now: datetime) -> None:
    row = {"model_id": model_id, "since": now}
    statement = postgresql.insert(live_model).values(one_row=True, **row)
    conn.execute(statement.on_conflict_do_update(index_elements=["one_row"], set_=row))


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


def load(conn: sa.Connection, model_id: int, *, files: Path | None = None) -> Model:
    """The model of this id; raises `Damaged` if its artefact is not what was published.

    :param files: a folder where models lie as files, from which all processes of this machine map the same memory; the
        file is made if it is missing or spoilt. Without one, or where it cannot be written, the model stays in memory.
    """
    row = conn.execute(sa.select(models.c.sha256, models.c.size).where(models.c.id == model_id)).one()
    whole = model_files.whole(lambda: _stored(conn, model_id), Seal(row.sha256, row.size), folder=files)
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
