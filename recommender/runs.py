"""Reading training runs, for people: the last ones, and which of them is live."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from foundation import database
from recommender.tables import live_model, models, training_runs


@dataclass(frozen=True, slots=True)
class RunLine:
    """One run as it was recorded. `live` says whether its model serves now, `kept` whether it still could."""

    id: int
    started_at: datetime
    finished_at: datetime | None
    state: str
    reason: str | None
    window: dict[str, Any]
    results: list[dict[str, Any]]
    model_id: int | None
    live: bool
    kept: bool

    @property
    def took(self) -> timedelta | None:
        """How long it lasted; None while it lasts."""
        return self.finished_at - self.started_at if self.finished_at else None

    def figure(self, algorithm: str, name: str) -> float | None:
        """One figure of one algorithm, if the run came that far."""
        for result in self.results:
            if result["algorithm"] == algorithm:
                found: float | None = result.get(name)
                return found
        return None


def latest(conn: sa.Connection, *, limit: int = 20) -> list[RunLine]:
    """The last runs, newest first."""
    serving = sa.select(live_model.c.model_id).scalar_subquery()
    kept = sa.exists().where(models.c.id == training_runs.c.model_id)
    wanted = (
        sa.select(
            training_runs,
            sa.func.coalesce(training_runs.c.model_id == serving, sa.false()).label("live"),
            kept.label("kept"),
        )
        .order_by(training_runs.c.id.desc())
        .limit(limit)
    )
    return database.read(conn, wanted, RunLine)
