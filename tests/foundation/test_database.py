"""The connections of a database: which session somebody gets, and when it ends."""

from contextlib import closing

import sqlalchemy as sa

from foundation.database import Database

PID = sa.text("SELECT pg_backend_pid()")


def test_a_session_alone_was_nobodys_before_and_is_nobodys_after(db: Database) -> None:
    with db.begin() as conn:
        pooled = conn.scalar(PID)
    with db.alone() as conn, db.begin() as other:
        assert conn.scalar(PID) not in (pooled, other.scalar(PID))
        alone = conn.scalar(PID)
    with db.alone() as conn:
        assert conn.scalar(PID) != alone


def test_what_is_in_use_while_all_is_closed_ends_when_it_is_given_back(database_url: str) -> None:
    handle = Database(database_url)
    with closing(handle.engine.connect()) as conn:
        used = conn.connection.driver_connection
        handle.dispose()
        assert conn.scalar(sa.text("SELECT 1")) == 1
    assert used is not None
    assert used.closed


def test_a_database_that_was_closed_may_be_used_again(database_url: str) -> None:
    handle = Database(database_url)
    handle.dispose()
    with handle.begin() as conn:
        first = conn.scalar(PID)
    with handle.begin() as conn:
        assert conn.scalar(PID) == first  # kept in the pool as before
    handle.dispose()
