"""One embedded PostgreSQL a session, migrated once into a template; each worker works on a clone of it.

`conn` gives a transaction that is rolled back, for functions that join their caller's. `db` gives the database
itself, emptied afterwards, for those that manage their own transactions.
"""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa
from playwright.sync_api import Browser, expect

import app.tables  # noqa: F401 - all tables must be known before the metadata is used
import campaigns.audiences.tables
import campaigns.channels.tables
import campaigns.late_tables
import campaigns.ledger_tables
import campaigns.list_tables
import campaigns.mail_tables
import campaigns.pressure_tables
import campaigns.promo_tables
import campaigns.tables  # noqa: F401
import recommender.tables  # noqa: F401
import shop.tables  # noqa: F401
from foundation import postgres
from foundation.config import Config
from foundation.database import Database
from tests import browser, emptying
from tests.app import console_world
from tests.campaigns.carriers import Carrier
from tests.console import Console, installed

NOW = datetime(2026, 11, 21, 10, 0, tzinfo=UTC)
PEPPER = "a pepper of the tests"
os.environ["RELANCE_PEPPER"] = PEPPER  # for the programs tests start

expect.set_options(timeout=20_000)  # a page under test shares the machine with the rest of the suite


@pytest.fixture(scope="session")
def server_url() -> str:
    """The URL of one server shared by all workers; `RELANCE_TEST_DATABASE_URL` names another."""
    shared = (
        Path(tempfile.gettempdir())
        / f"relance-tests-{os.getuid()}-{os.environ.get('PYTEST_XDIST_TESTRUNUID', os.getpid())}"
    )
    return os.environ.get("RELANCE_TEST_DATABASE_URL") or postgres.attach(shared, temporary=True)


@pytest.fixture(scope="session")
def database_url(server_url: str, worker_id: str) -> Iterator[str]:
    """A database of this worker's own, cloned from the migrated template."""
    admin = sa.create_engine(server_url, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
    name = f"test_{worker_id}"
    with admin.connect() as conn:
        conn.execute(sa.text("SELECT pg_advisory_lock(1)"))
        if not conn.scalar(sa.text("SELECT count(*) FROM pg_database WHERE datname = 'test_template'")):
            conn.execute(sa.text("CREATE DATABASE test_template"))
            template = Database(_database(server_url, "test_template"))
            template.migrate()
            template.dispose()
        conn.execute(sa.text(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)"))
        conn.execute(sa.text(f"CREATE DATABASE {name} TEMPLATE test_template"))
        conn.execute(sa.text("SELECT pg_advisory_unlock(1)"))
    yield _database(server_url, name)
    with admin.connect() as conn:
        conn.execute(sa.text(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)"))


def _database(server_url: str, name: str) -> str:
    return str(sa.make_url(server_url).set(database=name).render_as_string(hide_password=False))


@pytest.fixture(scope="session")
def _database_handle(database_url: str) -> Iterator[Database]:
    handle = Database(database_url, pepper=PEPPER)
    yield handle
    handle.dispose()


@pytest.fixture
def db(_database_handle: Database) -> Iterator[Database]:
    """The database itself; every table is emptied after the test."""
    with _emptied(_database_handle) as handle:
        yield handle


@pytest.fixture(scope="module")
def kept_db(_database_handle: Database) -> Iterator[Database]:
    """The same, emptied after the last test of a file: for worlds that many tests only look at."""
    with _emptied(_database_handle) as handle:
        yield handle


@contextmanager
def _emptied(handle: Database) -> Iterator[Database]:
    yield handle
    with handle.begin() as conn:
        emptying.empty(conn)


@pytest.fixture
def conn(_database_handle: Database) -> Iterator[sa.Connection]:
    """A transaction that is rolled back after the test."""
    with _database_handle.engine.connect() as connection:
        transaction = connection.begin()
        yield connection
        transaction.rollback()


@pytest.fixture
def now() -> datetime:
    """A moment for decisions: a Saturday morning."""
    return NOW


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """One browser for the tests of a file; each opens windows of its own."""
    with browser.launched() as started:
        yield started


@pytest.fixture
def console(config: Config, db: Database, chromium: Browser) -> Iterator[Console]:
    """The console of an installation that has an administrator and nothing else, open to browsers."""
    with installed(config) as built:
        console_world.make_user(built)
        opened = Console(chromium, built)
        yield opened
        opened.close()


@pytest.fixture
def carrier() -> Carrier:
    """A provider that takes what it is handed, unless a test tells it otherwise."""
    return Carrier()
