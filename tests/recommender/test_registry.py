"""Models in PostgreSQL: plain arrays, checked, published by moving a pointer."""

from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
import sqlalchemy as sa

from foundation.database import Database
from foundation.errors import NotFound
from recommender import registry, tuning
from recommender.artefact import Damaged
from recommender.model import ALGORITHMS, DEFAULT_BLEND, Model, Past
from recommender.tables import model_parts, models, training_runs
from tests.recommender.conftest import ORDER_ROWS, interactions


@pytest.fixture(scope="module")
def model() -> Model:
    return tuning.fitted_model(interactions(*ORDER_ROWS), ALGORITHMS, blend=DEFAULT_BLEND, seed=1)


@pytest.fixture
def run_id(db: Database, now: datetime) -> int:
    with db.begin() as conn:
        made = sa.insert(training_runs).values(started_at=now, state="running").returning(training_runs.c.id)
        number: int = conn.execute(made).scalar_one()
    return number


@pytest.mark.parametrize("kept", [True, False])
def test_what_is_published_ranks_as_what_was_fitted(
    db: Database, model: Model, run_id: int, now: datetime, tmp_path: Path, kept: bool
) -> None:
    with db.begin() as conn:
        model_id = registry.publish(conn, model, run_id=run_id, manifest={}, now=now)
        again = registry.load(conn, model_id, files=tmp_path if kept else None)
    past = Past(["p0", "p1"], [2, 2], [20.0, 30.0])
    ranked = [each.rank(each.asks([past]).asks, size=10) for each in (model, again)]
    assert ranked[0].products.tolist() == ranked[1].products.tolist() != []
    assert np.array_equal(ranked[0].scores, ranked[1].scores)
    assert len(list(tmp_path.iterdir())) == kept


class TestDamage:
    def test_of_a_single_byte_is_noticed(self, db: Database, model: Model, run_id: int, now: datetime) -> None:
        with db.begin() as conn:
            model_id = registry.publish(conn, model, run_id=run_id, manifest={}, now=now)
            conn.execute(sa.update(model_parts).values(bytes=sa.func.set_byte(model_parts.c.bytes, 500, 7)))
            with pytest.raises(Damaged):
                registry.load(conn, model_id)

    def test_by_a_part_that_is_missing_is_noticed(
        self, db: Database, model: Model, run_id: int, now: datetime, tmp_path: Path
    ) -> None:
        with db.begin() as conn:
            model_id = registry.publish(conn, model, run_id=run_id, manifest={}, now=now)
            conn.execute(sa.delete(model_parts))
            with pytest.raises(Damaged):
                registry.load(conn, model_id, files=tmp_path)


class TestPublishing:
    def test_moves_the_pointer_and_rolling_back_moves_it_back(
        self, db: Database, model: Model, run_id: int, now: datetime
    ) -> None:
        with db.begin() as conn:
            first, second = (
                registry.publish(conn, model, run_id=run_id, manifest={"number": number}, now=now) for number in (1, 2)
            )
            assert registry.live_id(conn) == second
            assert registry.roll_back(conn, by="ines", now=now) == first == registry.live_id(conn)
            told = [(each.id, each.manifest["number"], each.live) for each in registry.published(conn)]
            assert told == [(second, 2, False), (first, 1, True)]

    def test_back_from_the_first_is_refused(self, db: Database, model: Model, run_id: int, now: datetime) -> None:
        with db.begin() as conn:
            registry.publish(conn, model, run_id=run_id, manifest={}, now=now)
            with pytest.raises(NotFound):
                registry.roll_back(conn, by="ines", now=now)

    def test_keeps_the_last_few_and_no_part_of_any_other(
        self, db: Database, model: Model, run_id: int, now: datetime
    ) -> None:
        with db.begin() as conn:
            made = [registry.publish(conn, model, run_id=run_id, manifest={}, now=now) for _ in range(7)]
            assert [each.id for each in registry.published(conn)] == made[:1:-1]
            assert set(conn.scalars(sa.select(model_parts.c.model_id))) == set(conn.scalars(sa.select(models.c.id)))
