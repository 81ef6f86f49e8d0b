"""A run reads, fits, scores, and publishes only what passes; whatever happens is on record."""

from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import orjson
import pytest
import sqlalchemy as sa

from foundation.database import Database
from recommender import registry, report, training, trial
from recommender.gate import Level
from recommender.tables import models, training_runs
from tests.recommender.conftest import Shop


def runs(db: Database) -> list[sa.RowMapping]:
    with db.begin() as conn:
        return list(conn.execute(sa.select(training_runs).order_by(training_runs.c.id)).mappings())


class TestARun:
    def test_publishes_a_model_that_beats_popularity(self, db: Database, tea_and_coffee: Shop, now: datetime) -> None:
        steps: list[tuple[int, int | None]] = []
        run = training.run(db, now=now, progress=lambda done, of: steps.append((done, of)))
        assert run.state == "published" and run.model_id is not None
        assert steps[-1][0] == steps[-1][1]
        (row,) = runs(db)
        assert (row["state"], row["model_id"]) == ("published", run.model_id)
        assert row["window"]["customers"] == 40 and row["finished_at"] > row["started_at"]
        assert {"popularity", "history", "served"} <= {entry["algorithm"] for entry in row["results"]}
        with db.begin() as conn:
            assert registry.live_id(conn) == run.model_id

    def test_says_in_its_last_line_what_became_of_it(self, db: Database, tea_and_coffee: Shop, now: datetime) -> None:
        report = training.told(training.run(db, now=now))
        assert "popularity" in report and report.splitlines()[-1].startswith("published as model")

    def test_of_a_shop_without_orders_is_refused_and_says_why(self, db: Database, shop: Shop, now: datetime) -> None:
        shop.product("pan")
        run = training.run(db, now=now)
        assert run.state == "refused" and "Too few customers" in run.reason
        assert runs(db)[0]["reason"] == run.reason
        with db.begin() as conn:
            assert registry.live_id(conn) is None

    def test_that_is_worse_than_the_live_model_is_refused_and_leaves_it_live(
        self, db: Database, tea_and_coffee: Shop, now: datetime
    ) -> None:
        """The tracking breaks: every order of the last weeks but the very last ones is attributed to strangers."""
        live = training.run(db, now=now).model_id
        with db.begin() as conn:
            conn.execute(
                sa.text("UPDATE order_lines SET product_id = 'lost' WHERE ordered_at < :since"),
                {"since": now - timedelta(days=7)},
            )
        run = training.run(db, now=now)
        assert run.state == "refused"
        with db.begin() as conn:
            assert registry.live_id(conn) == live

    def test_that_fails_is_on_record_and_leaves_the_live_model(
        self, db: Database, tea_and_coffee: Shop, now: datetime
    ) -> None:
        live = training.run(db, now=now).model_id

        def out_of_memory(done: int, of: int | None) -> None:
            if done == 3:
                raise MemoryError("no room")

        with pytest.raises(MemoryError):
            training.run(db, now=now, progress=out_of_memory)
        assert [row["state"] for row in runs(db)] == ["published", "failed"]
        assert runs(db)[1]["reason"] == "MemoryError: no room"
        with db.begin() as conn:
            assert registry.live_id(conn) == live

    def test_closes_those_that_were_killed(self, db: Database, shop: Shop, now: datetime) -> None:
        with db.begin() as conn:
            conn.execute(sa.insert(training_runs).values(started_at=now - timedelta(days=1), state="running"))
        training.run(db, now=now)
        assert [row["state"] for row in runs(db)] == ["failed", "refused"]

    def test_gives_the_same_figures_and_the_same_model_again(
        self, db: Database, tea_and_coffee: Shop, now: datetime
    ) -> None:
        first, second = (training.run(db, now=now, seed=5) for _ in range(2))
        assert [score.figures for score in first.scores] == [score.figures for score in second.scores]
        with db.begin() as conn:
            checksums = conn.scalars(sa.select(models.c.sha256)).all()
        assert checksums[0] == checksums[1]


def test_where_the_ranker_is_refused_a_simpler_level_is_published() -> None:
    """Frequency and the ranker find about the same, twice what popularity finds."""
    rng = np.random.default_rng(1)
    often = rng.random(300)
    found = {Level.RANKER: often + rng.normal(0, 0.2, 300), Level.FREQUENCY: often, Level.POPULARITY: often / 2}
    verdicts = training.judged(found, {}, seed=1)
    assert [(verdict.level, verdict.passed) for verdict in verdicts] == [
        (Level.RANKER, False),
        (Level.FREQUENCY, True),
    ]
    assert report.sentence(verdicts).startswith("Frequency instead of ranker: ")


class TestOddShops:
    """Each gives a clear result, and none an error."""

    @staticmethod
    def result(db: Database, now: datetime) -> str:
        run = training.run(db, now=now)
        assert run.state in ("published", "refused") and run.reason
        (row,) = runs(db)
        assert (row["state"], row["reason"]) == (run.state, run.reason)
        assert all(0 <= entry["coverage@10"] <= 1 for entry in row["results"])
        return run.reason

    def test_one_customer_with_one_event(self, db: Database, shop: Shop, now: datetime) -> None:
        shop.product("pan", category="Pans")
        shop.event("ann", "Product Viewed", "pan")
        assert "Too few customers" in self.result(db, now)

    def test_only_views(self, db: Database, tea_and_coffee: Shop, now: datetime) -> None:
        with tea_and_coffee.at_once():
            for number in range(40):
                for days in range(1, 30, 3):
                    tea_and_coffee.event(f"v{number}", "Product Viewed", f"tea-{number % 6}", days_ago=days)
        with db.begin() as conn:
            conn.execute(sa.text("DELETE FROM orders"))
        self.result(db, now)

    def test_everything_in_one_second(self, db: Database, tea_and_coffee: Shop, now: datetime) -> None:
        moment = {"at": now - timedelta(days=1)}
        with db.begin() as conn:
            conn.execute(sa.text("UPDATE order_lines SET ordered_at = :at"), moment)
            conn.execute(sa.text("UPDATE orders SET ordered_at = :at"), moment)
        self.result(db, now)

    def test_one_customer_with_a_hundred_thousand_events(
        self, db: Database, tea_and_coffee: Shop, now: datetime
    ) -> None:
        tea_and_coffee.order("ann", ["tea-1"], days_ago=2)
        tea_and_coffee.event("ann", "Product Viewed", "tea-1", days_ago=3)
        tea_and_coffee.repeat_events(100_000)
        self.result(db, now)

    def test_nothing_that_is_ordered_is_in_the_catalogue(
        self, db: Database, tea_and_coffee: Shop, now: datetime
    ) -> None:
        with db.begin() as conn:
            conn.execute(sa.text("DELETE FROM products"))
        assert "Too few customers" in self.result(db, now)


class TestAFile:
    @pytest.fixture
    def purchases(self, tmp_path: Path) -> Path:
        """Thirty customers who each buy the same thing every two days, each a thing of their own."""
        lines = ["user_id,product_id,timestamp,order_id"]
        lines += [
            f"u{user},p{user},2026-01-{day:02}T10:00:00Z,o{user}-{day}" for user in range(30) for day in range(1, 30, 2)
        ]
        path = tmp_path / "purchases.csv"
        path.write_text("\n".join(lines))
        return path

    @pytest.mark.parametrize("split", ["time", "last-basket"])
    def test_is_scored_by_every_algorithm_and_by_what_would_be_served(self, purchases: Path, split: str) -> None:
        found = trial.evaluate_file(purchases, split=split, ks=(5, 10))
        told = found.json()
        assert (told["dataset"], told["split"], told["users"]) == ("purchases", split, 30)
        by_name = {entry["algorithm"]: entry for entry in told["results"]}
        assert {"popularity", "history", "als", "served"} <= by_name.keys()
        assert by_name["history"]["recall@5"] == by_name["served"]["recall@10"] == 1
        assert by_name["popularity"]["recall@5"] < 0.5
        assert {"ndcg@5", "ndcg_all@5", "mrr@10", "hit_rate@10", "coverage@5", "fit_seconds"} <= by_name["als"].keys()
        assert orjson.loads(orjson.dumps(told)) == told
        assert "served" in found.table()

    def test_with_test_rows_of_its_own_is_split_by_them(self, tmp_path: Path) -> None:
        path = tmp_path / "marked.csv"
        path.write_text(
            "user_id,product_id,timestamp,set\n"
            "u,a,2026-01-01T00:00:00Z,train\nv,b,2026-01-02T00:00:00Z,train\nu,b,2026-01-03T00:00:00Z,test\n"
        )
        told = trial.evaluate_file(path).json()
        assert (told["split"], told["users"]) == ("set", 1)

    def test_of_visits_is_asked_for_each_next_click(self, tmp_path: Path) -> None:
        path = tmp_path / "clicks.csv"
        rows = [
            f"u,p{click},2026-01-{day:02}T10:0{click}:00Z,Product Viewed,s{day}"
            for day in range(1, 21)
            for click in range(3)
        ]
        path.write_text("\n".join(["user_id,product_id,timestamp,event,session_id", *rows]))
        told = trial.evaluate_file(path, test_days=2).json()
        assert told["split"] == "next-click" and told["users"] == 2 * 2
