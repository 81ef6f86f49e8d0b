"""Models in PostgreSQL: plain arrays with their checksum, never pickle; publishing moves one pointer."""

import hashlib
import io
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zipfile import BadZipFile

import numpy as np
import orjson
import sqlalchemy as sa
from numpy.typing import NDArray
from sqlalchemy.dialects import postgresql

from foundation.errors import NotFound
from recommender import model as models_of
from recommender.algorithms.als import Als
from recommender.algorithms.history import OwnHistory
from recommender.algorithms.popularity import Popularity
from recommender.model import Model
from recommender.tables import live_model, models

KEPT = 5
"""How many models are kept to roll back to, the live one included."""

FORMAT = 1
"""Raised when an artefact of before could no longer be read."""


class Damaged(Exception):
    """An artefact is not what was published: it is refused, and whatever serves keeps serving."""


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
    artefact = pack(model)
    model_id: int = conn.execute(
        sa.insert(models)
        .values(
            run_id=run_id,
            created_at=now,
            manifest=manifest,
            sha256=hashlib.sha256(artefact).digest(),
            artefact=artefact,
        )
        .returning(models.c.id)
    ).scalar_one()
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


def load(conn: sa.Connection, model_id: int) -> Model:
    """The model of this id; raises `Damaged` if its artefact is not what was published."""
    row = conn.execute(sa.select(models.c.sha256, models.c.artefact).where(models.c.id == model_id)).one()
    if hashlib.sha256(row.artefact).digest() != row.sha256:
        raise Damaged(f"model {model_id} does not have its checksum")
    return unpack(row.artefact)


# --------------------------------------------------------------------------------------------------- artefacts
def pack(model: Model) -> bytes:
    """The model as one `.npz` of plain arrays."""
    arrays: dict[str, NDArray[Any]] = {
        "product_ids": _packed_json(model.product_ids),
        "about": _packed_json(
            {"format": FORMAT, "blend": dict(model.blend), "category_names": list(model.category_names)}
        ),
    }
    for algorithm in (model.popularity, model.history, model.als):
        arrays |= {f"{algorithm.name}/{name}": values for name, values in algorithm.arrays().items()}
    out = io.BytesIO()
    np.savez(out, allow_pickle=False, **arrays)
    return out.getvalue()


def unpack(artefact: bytes) -> Model:
    """The model that `pack` made these bytes of; raises `Damaged` for any other."""
    try:
        with np.load(io.BytesIO(artefact), allow_pickle=False) as arrays:
            about = orjson.loads(arrays["about"].tobytes())
            if about["format"] != FORMAT:
                raise Damaged(f"the artefact has format {about['format']}, this program reads {FORMAT}")
            return models_of.build(
                tuple(orjson.loads(arrays["product_ids"].tobytes())),
                category_names=tuple(about["category_names"]),
                popularity=Popularity.load(_of(Popularity.name, arrays)),
                history=OwnHistory.load(_of(OwnHistory.name, arrays)),
                als=Als.load(_of(Als.name, arrays)),
                blend=about["blend"],
            )
    except (KeyError, ValueError, EOFError, OSError, BadZipFile, orjson.JSONDecodeError) as error:
        raise Damaged(f"the artefact cannot be read: {error}") from error


def _of(algorithm: str, arrays: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    prefix = f"{algorithm}/"
    return {name.removeprefix(prefix): arrays[name] for name in arrays if name.startswith(prefix)}


def _packed_json(value: object) -> NDArray[np.uint8]:
    return np.frombuffer(orjson.dumps(value), np.uint8)
