"""What serves is kept fresh while requests are answered, and nothing that goes wrong with a new model reaches them."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
import sqlalchemy as sa

from foundation.database import Database
from recommender import artefact, merchandising, registry, rules, unfitted
from recommender.live import FRESH, IDLE
from recommender.rules import Action, Rule
from recommender.serving import Recommender, Request, Slate
from recommender.tables import model_parts, training_runs
from tests.recommender.conftest import Shop


@pytest.fixture
def files(tmp_path: Path) -> Path:
    return tmp_path / "models"


@pytest.fixture
def recommender(db: Database, files: Path) -> Iterator[Recommender]:
    made = Recommender(db, files=files)
    yield made
    made.close()


@pytest.fixture
def publish(shop: Shop) -> Callable[[], int]:
    """Publishes a small model; its id."""
    shop.product("pan")
    shop.order("ann", ["pan"], days_ago=40)

    def publish() -> int:
        with shop.db.begin() as conn:
            run = {"started_at": shop.now, "state": "running"}
            run_id = conn.execute(sa.insert(training_runs).values(run).returning(training_runs.c.id)).scalar_one()
            model = unfitted.counted(conn, now=shop.now - timedelta(days=30))
            return registry.publish(conn, model, run_id=run_id, manifest={"run": run_id}, now=shop.now)

    return publish


def ask(recommender: Recommender, now: datetime) -> Slate:
    return recommender.answer(Request("store", user_id="ann", record=False), now=now)


def refused(recommender: Recommender, db: Database, now: datetime) -> int | None:
    with db.begin() as conn:
        return recommender.refused(conn, now=now)


def eventually(holds: Callable[[], bool]) -> None:
    until = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < until
        time.sleep(0.01)


def test_an_answer_is_given_though_the_connection_died_meanwhile(
    recommender: Recommender, publish: Callable[[], int], now: datetime, db: Database
) -> None:
    model = str(publish())
    assert ask(recommender, now).model == model
    with db.begin() as conn:
        others = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()"
        conn.execute(sa.text(f"{others} AND pid <> pg_backend_pid()"))
    db.engine.dispose()  # the tests to come have connections that live
    assert ask(recommender, now + FRESH).model == model


class TestANewModel:
    def test_is_fetched_while_the_old_one_answers(
        self, recommender: Recommender, publish: Callable[[], int], now: datetime
    ) -> None:
        first = publish()
        assert ask(recommender, now).model == str(first)
        second = publish()
        assert ask(recommender, now + FRESH).model == str(first)
        eventually(lambda: ask(recommender, now + FRESH).model == str(second))

    def test_is_fetched_first_where_nobody_asked_for_long(
        self, recommender: Recommender, publish: Callable[[], int], now: datetime
    ) -> None:
        ask(recommender, now)
        published = publish()
        assert ask(recommender, now + IDLE).model == str(published)

    def test_replaces_the_old_one_without_a_failed_or_an_empty_answer(
        self, recommender: Recommender, publish: Callable[[], int], now: datetime, db: Database
    ) -> None:
        models, began, done = [publish(), publish()], time.monotonic(), threading.Event()

        def browse() -> set[str]:
            seen = set()
            while not done.is_set():
                slate = ask(recommender, now + 200 * timedelta(seconds=time.monotonic() - began))
                assert [item.product_id for item in slate.items] == ["pan"]
                seen.add(slate.model)
            return seen

        with ThreadPoolExecutor(8) as pool:
            browsers = [pool.submit(browse) for _ in range(8)]
            for turn in range(12):
                with db.begin() as conn:
                    registry.roll_back(conn, models[turn % 2], by="test", now=now)
                time.sleep(0.2)
            done.set()
            seen = set.union(*(each.result(10) for each in browsers))
        assert seen == {str(model) for model in models}


class TestDamage:
    def test_of_what_is_stored_is_refused_and_told(
        self, recommender: Recommender, publish: Callable[[], int], now: datetime, db: Database, files: Path
    ) -> None:
        good = publish()
        ask(recommender, now)
        bad = publish()
        with db.begin() as conn:
            spoilt = sa.func.set_byte(model_parts.c.bytes, 300, 7)
            conn.execute(sa.update(model_parts).where(model_parts.c.model_id == bad).values(bytes=spoilt))
            for path in files.iterdir():
                path.unlink()
        for turn in (1, 2, 3):
            assert ask(recommender, now + turn * IDLE).model == str(good)
            assert refused(recommender, db, now + turn * IDLE) == bad
        better = publish()
        assert ask(recommender, now + 4 * IDLE).model == str(better)
        assert refused(recommender, db, now + 4 * IDLE) is None

    def test_of_the_file_is_mended(
        self, db: Database, recommender: Recommender, publish: Callable[[], int], now: datetime, files: Path
    ) -> None:
        published = publish()
        ask(recommender, now)
        (path,) = files.iterdir()
        whole = path.read_bytes()
        path.unlink()
        path.write_bytes(b"\0" + whole[1:])
        other = Recommender(db, files=files)
        assert ask(other, now).model == str(published)
        assert path.read_bytes() == whole
        other.close()

    def test_of_a_first_model_leaves_what_is_popular(
        self, recommender: Recommender, publish: Callable[[], int], now: datetime, db: Database
    ) -> None:
        publish()
        with db.begin() as conn:
            conn.execute(sa.update(model_parts).values(bytes=b"nothing of ours"))
        slate = ask(recommender, now)
        assert slate.model == "popular" and [item.product_id for item in slate.items] == ["pan"]


class TestFiles:
    def test_are_one_a_machine_and_of_the_live_model_alone(
        self, db: Database, recommender: Recommender, publish: Callable[[], int], now: datetime, files: Path, shop: Shop
    ) -> None:
        publish()
        ask(recommender, now)
        first = [path.name for path in files.iterdir()]
        shop.product("pot")
        shop.order("ann", ["pot"], days_ago=41)
        publish()
        other = Recommender(db, files=files)
        ask(other, now)
        ask(recommender, now + IDLE)
        assert len(first) == 1 and len(list(files.iterdir())) == 1 and first != [path.name for path in files.iterdir()]
        other.close()

    def test_hold_factors_that_are_read_in_place(self, publish: Callable[[], int], db: Database, files: Path) -> None:
        with db.begin() as conn:
            model = registry.load(conn, publish(), files=files)
        (path,) = files.iterdir()
        array = artefact.read(memoryview(path.read_bytes()))["popularity/share"]
        assert np.array_equal(model.popularity.share, array) and not model.popularity.share.flags.owndata


def test_a_rule_counts_within_half_a_minute(
    recommender: Recommender, publish: Callable[[], int], now: datetime, db: Database, shop: Shop
) -> None:
    publish()
    shop.product("pot")
    assert {item.product_id for item in ask(recommender, now).items} == {"pan", "pot"}
    with db.begin() as conn:
        rule = Rule("no pots", Action.EXCLUDE, products=("pot",))
        merchandising.add_rule(conn, rules.parse(rules.dump(rule)), by="test", now=now)
    later = now + FRESH
    eventually(lambda: [item.product_id for item in ask(recommender, later).items] == ["pan"])
