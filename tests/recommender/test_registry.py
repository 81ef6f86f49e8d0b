"""Models in PostgreSQL: plain arrays, checked, published by moving a pointer."""

import io
from datetime import datetime

import numpy as np
import pytest
import sqlalchemy as sa

from foundation.database import Database
from foundation.errors import NotFound
from recommender import registry, training
from recommender.algorithms.base import Ask
from recommender.model import DEFAULT_BLEND, Model, Past
from recommender.tables import models, training_runs
from tests.recommender.conftest import ORDER_ROWS, interactions


@pytest.fixture(scope="module")
def model() -> Model:
    return training.fit(interactions(*ORDER_ROWS), blend=DEFAULT_BLEND, seed=1)[0]


@pytest.fixture
def run_id(db: Database, now: datetime) -> int:
    with db.begin() as conn:
        made = sa.insert(training_runs).values(started_at=now, state="running").returning(training_runs.c.id)
        number: int = conn.execute(made).scalar_one()
    return number


def test_what_is_stored_ranks_as_what_was_fitted(model: Model) -> None:
    again = registry.unpack(registry.pack(model))
    past = Past(["p0", "p1"], [2, 2], [20.0, 30.0])
    ranked = [each.rank(each.visit(past), Ask(np.zeros(0, np.int64))) for each in (model, again)]
    assert ranked[0].products.tolist() == ranked[1].products.tolist() != []
    assert np.allclose(ranked[0].scores, ranked[1].scores)


class TestDamage:
    def test_of_a_single_byte_is_noticed(self, db: Database, model: Model, run_id: int, now: datetime) -> None:
        with db.begin() as conn:
            model_id = registry.publish(conn, model, run_id=run_id, manifest={}, now=now)
            conn.execute(sa.update(models).values(artefact=sa.func.set_byte(models.c.artefact, 500, 7)))
            with pytest.raises(registry.Damaged):
                registry.load(conn, model_id)

    def test_is_anything_that_is_no_artefact_of_ours(self, model: Model) -> None:
        pickled = io.BytesIO()
        np.savez(pickled, about=np.array([{"a": 1}], dtype=object))
        for bytes_ in (b"", b"PK\x03\x04rest", registry.pack(model)[:2000], pickled.getvalue()):
            with pytest.raises(registry.Damaged):
                registry.unpack(bytes_)


class TestPublishing:
    def test_moves_the_pointer_and_rolling_back_moves_it_back(
        self, db: Database, model: Model, run_id: int, now: datetime
    ) -> None:
        with db.begin() as conn:
            first, second = (
                registry.publish(conn, model, run_id=run_id, manifest={"number": number}, now=now) for number in (1, 2)
            )
            assert registry.live_id(conn) == second
            assert registry.roll_back(conn, now=now) == first == registry.live_id(conn)
            told = [(each.id, each.manifest["number"], each.live) for each in registry.published(conn)]
            assert told == [(second, 2, False), (first, 1, True)]

    def test_back_from_the_first_is_refused(self, db: Database, model: Model, run_id: int, now: datetime) -> None:
        with db.begin() as conn:
            registry.publish(conn, model, run_id=run_id, manifest={}, now=now)
            with pytest.raises(NotFound):
                registry.roll_back(conn, now=now)

    def test_keeps_the_last_few(self, db: Database, model: Model, run_id: int, now: datetime) -> None:
        with db.begin() as conn:
            made = [registry.publish(conn, model, run_id=run_id, manifest={}, now=now) for _ in range(7)]
            assert [each.id for each in registry.published(conn)] == made[:1:-1]
