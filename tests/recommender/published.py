"""A small model of a shop's orders, published without a trial: for tests of what happens afterwards."""

from datetime import datetime

import sqlalchemy as sa

from foundation.database import Database
from recommender import interactions, registry, tuning
from recommender.algorithms.als import Als
from recommender.algorithms.history import OwnHistory
from recommender.algorithms.local import Local
from recommender.algorithms.popularity import Popularity
from recommender.tables import training_runs

BLEND = {"history": 1.0, "als": 0.2, "popularity": 0.01}


def publish(db: Database, *, now: datetime, local: bool = False) -> int:
    """Fits and publishes; the model's id.

    :param local: whether it is to know what is wanted in each store
    """
    data = interactions.load(db, now=now)
    kinds = [OwnHistory, Als, *([Local] if local else []), Popularity]
    fitted = tuning.fitted_model(data, kinds, blend=BLEND, seed=1, facts=False)
    made = sa.insert(training_runs).values(started_at=now, state="published").returning(training_runs.c.id)
    with db.begin() as conn:
        return registry.publish(conn, fitted, run_id=conn.execute(made).scalar_one(), manifest={}, now=now)
