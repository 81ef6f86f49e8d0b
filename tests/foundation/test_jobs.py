"""Timed jobs: one at a time, each outcome kept, an error never stops the timetable."""

import threading
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa

from foundation import jobs
from foundation.database import Database


def _ledger(db: Database) -> sa.RowMapping:
    with db.begin() as conn:
        return conn.execute(sa.select(jobs.job_runs)).mappings().one()


def test_a_job_already_running_elsewhere_is_passed_over(db: Database) -> None:
    inside, done = threading.Event(), threading.Event()

    def work(_: datetime) -> str:
        inside.set()
        done.wait(10)
        return "worked"

    first = threading.Thread(target=jobs.run, args=(db, "tick", work))
    first.start()
    inside.wait(10)
    assert jobs.run(db, "tick", work) is False
    done.set()
    first.join()
    assert _ledger(db)["outcome"] == "worked"


def test_failures_are_counted_until_the_next_success(db: Database) -> None:
    def fail(_: datetime) -> None:
        raise RuntimeError("no such luck")

    jobs.run(db, "tick", fail)
    jobs.run(db, "tick", fail)
    assert _ledger(db)["failures_in_a_row"] == 2 and "no such luck" in _ledger(db)["outcome"]
    jobs.run(db, "tick", lambda _: "fine")
    assert _ledger(db)["failures_in_a_row"] == 0


def test_the_last_beat_is_the_newest(db: Database) -> None:
    now = datetime.now(UTC)
    jobs.beat(db, "scheduler", started_at=now, now=now - timedelta(minutes=1))
    jobs.beat(db, "scheduler", started_at=now, now=now)
    with db.begin() as conn:
        assert jobs.last_beat(conn, "scheduler") == now
        assert jobs.last_beat(conn, "web") is None


def test_the_ledger_shows_the_last_run_of_each_job(db: Database) -> None:
    jobs.run(db, "deliver", lambda now: "3 messages")
    jobs.run(db, "train", lambda now: "done")
    jobs.run(db, "deliver", lambda now: None)

    with db.begin() as conn:
        runs = jobs.last_runs(conn)

    assert [(run.job, run.outcome) for run in runs] == [("deliver", None), ("train", "done")]
