"""Training dies, the disk is full, the database goes away: the live model serves on, and the run tells what came."""

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime

import pytest
import sqlalchemy as sa

from foundation.database import Database
from foundation.errors import Conflict
from recommender import registry, runs, training
from tests.recommender.conftest import Shop

TRAINER = """
import sys, time
from datetime import datetime
from foundation.database import Database
from recommender import training

def told(done, of):
    print(training.STEPS[done] if done < of else "done", flush=True)
    if len(sys.argv) > 3 and done < of and training.STEPS[done] == sys.argv[3]:
        time.sleep(60)

training.run(Database(sys.argv[1]), now=datetime.fromisoformat(sys.argv[2]), progress=told)
"""


@contextmanager
def trainer(db: Database, now: datetime, *stops_at: str) -> Iterator["subprocess.Popen[str]"]:
    """A process that trains, and stands still at a step if told to."""
    command = [sys.executable, "-c", TRAINER, db.url, now.isoformat(), *stops_at]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def waits_for(process: "subprocess.Popen[str]", step: str) -> None:
    """Returns once the process has come to a step."""
    assert process.stdout is not None
    for line in process.stdout:
        if line.strip() == step:
            return
    pytest.fail(f"the trainer never came to {step}")


def eventually(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def state(db: Database) -> tuple[int | None, list[str]]:
    """The live model, and what became of every run."""
    with db.begin() as conn:
        return registry.live_id(conn), [run.state for run in reversed(runs.latest(conn))]


@contextmanager
def nobody_may_publish(db: Database) -> Iterator[sa.Connection]:
    """Whoever publishes waits for the pointer, its model written and not committed."""
    with db.engine.connect() as holder, holder.begin():
        holder.execute(sa.text("LOCK TABLE live_model IN EXCLUSIVE MODE"))
        yield holder


_WAITING = sa.text(
    "SELECT count(*) FROM pg_locks WHERE relation = 'live_model'::regclass AND NOT granted"
    " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
)


@pytest.fixture
def live(db: Database, tea_and_coffee: Shop, now: datetime) -> int:
    """A shop with a live model."""
    model_id = training.run(db, now=now).model_id
    assert model_id is not None
    return model_id


@pytest.mark.parametrize("step", training.STEPS)
def test_a_run_killed_at_any_step_leaves_the_live_model_and_is_seen_at_once(
    db: Database, live: int, now: datetime, step: str
) -> None:
    with trainer(db, now, step) as process:
        waits_for(process, step)
        assert state(db) == (live, ["published", "running"])
        process.kill()
        process.wait()
        eventually(lambda: state(db) == (live, ["published", "failed"]))
    with db.begin() as conn:
        assert runs.latest(conn)[0].reason == runs.KILLED
    assert training.run(db, now=now).state == "published"
    assert state(db)[1] == ["published", "failed", "published"]


def test_a_run_killed_while_it_publishes_leaves_the_live_model(db: Database, live: int, now: datetime) -> None:
    with trainer(db, now) as process:
        with nobody_may_publish(db) as holder:
            waits_for(process, "publishing")
            eventually(lambda: holder.scalar(_WAITING) == 1)
            process.kill()
            process.wait()
    eventually(lambda: state(db) == (live, ["published", "failed"]))
    with db.begin() as conn:
        assert len(registry.published(conn)) == 1


def test_a_disk_that_is_full_at_publishing_leaves_the_live_model(db: Database, live: int, now: datetime) -> None:
    with db.begin() as conn:
        conn.execute(
            sa.text(
                "CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
                " RAISE disk_full USING MESSAGE = 'could not extend file: No space left on device'; END $$"
            )
        )
        conn.execute(
            sa.text("CREATE TRIGGER full_disk AFTER INSERT ON model_parts FOR EACH ROW EXECUTE FUNCTION full_disk()")
        )
    try:
        with pytest.raises(sa.exc.OperationalError):
            training.run(db, now=now)
    finally:
        with db.begin() as conn:
            conn.execute(sa.text("DROP FUNCTION full_disk CASCADE"))
    assert state(db) == (live, ["published", "failed"])
    with db.begin() as conn:
        assert "No space left on device" in (runs.latest(conn)[0].reason or "")


def test_a_database_away_for_a_moment_ends_no_run(db: Database, live: int, now: datetime) -> None:
    def cut(done: int, of: int | None) -> None:
        if done == training.STEPS.index("judging"):
            with db.engine.connect() as conn:
                conn.execute(
                    sa.text(
                        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                        " WHERE datname = current_database() AND pid <> pg_backend_pid()"
                    )
                )

    run = training.run(db, now=now, progress=cut)
    db.engine.dispose()  # the tests to come have connections that live
    assert state(db) == (run.model_id, ["published", "published"])


def test_a_database_away_at_publishing_leaves_the_live_model(db: Database, live: int, now: datetime) -> None:
    failed: list[BaseException] = []

    def train() -> None:
        try:
            training.run(db, now=now)
        except sa.exc.OperationalError as error:
            failed.append(error)

    with nobody_may_publish(db) as holder:
        thread = threading.Thread(target=train)
        thread.start()
        eventually(lambda: holder.scalar(_WAITING) == 1)
        holder.execute(sa.text("SELECT pg_terminate_backend(pid) FROM pg_locks WHERE NOT granted"))
    thread.join()
    assert failed and state(db) == (live, ["published", "failed"])


def test_two_never_train_at_once(db: Database, live: int, now: datetime) -> None:
    with trainer(db, now, "fitting") as process:
        waits_for(process, "fitting")
        with pytest.raises(Conflict, match="Another training run"):
            training.run(db, now=now)
        assert state(db)[1] == ["published", "running"]


class TestAskedFor:
    def test_a_run_is_due_once_however_often_it_is_asked_for(self, db: Database, live: int, now: datetime) -> None:
        with db.begin() as conn:
            assert not runs.is_due(conn)
            for _ in range(2):
                runs.ask(conn, by="ines@aubier.example", now=now)
            assert runs.is_due(conn)
        run = training.run(db, now=now)
        with db.begin() as conn:
            assert not runs.is_due(conn)
            found = runs.latest(conn)
        assert [each.asked_by for each in found] == ["ines@aubier.example", None]
        assert found[0].id == run.id and found[0].state == "published"

    def test_a_run_waits_while_another_goes_on(self, db: Database, live: int, now: datetime) -> None:
        with trainer(db, now, "fitting") as process:
            waits_for(process, "fitting")
            with db.begin() as conn:
                runs.ask(conn, by="ines", now=now)
                assert not runs.is_due(conn)
