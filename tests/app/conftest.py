"""The whole application over a database of its own, and programs that speak to it with a key."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient
from playwright.sync_api import Browser

import app as front
from app import parts, security
from campaigns import offers, promotions
from campaigns.definitions.offers import Offer
from foundation.config import Config
from foundation.database import Database, new_id
from shop import tables
from tests.app import console_world
from tests.conftest import PEPPER
from tests.console import Console, installed

NOW = datetime.now(UTC)
ENVIRON = {"RELANCE_SECRET_KEY": "a secret of the tests that is long enough", "RELANCE_PEPPER": PEPPER}


@pytest.fixture
def config(database_url: str, tmp_path: Path) -> Config:
    """Settings of an installation at http://localhost."""
    environ = {**ENVIRON, "RELANCE_DATABASE_URL": database_url, "RELANCE_VAR": str(tmp_path)}
    return replace(Config.from_env(environ), base_url="http://localhost")


@pytest.fixture
def installation(config: Config, db: Database) -> Iterator[parts.Parts]:
    """Every part of an installation; its database is emptied afterwards."""
    built = parts.build(config)
    yield built
    built.close()


@pytest.fixture(scope="module")
def kept_console(
    kept_db: Database, database_url: str, chromium: Browser, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Console]:
    """The console of one installation of the demo shop for all tests of a file, empty before the first."""
    var = str(tmp_path_factory.mktemp("kept"))
    config = Config.from_env({**ENVIRON, "RELANCE_DATABASE_URL": database_url, "RELANCE_VAR": var})
    with installed(config, demo=True) as built:
        yield Console(chromium, built)


@pytest.fixture
def web(installation: parts.Parts) -> Flask:
    """The application."""
    return front.create_app(installation)


@pytest.fixture
def client(web: Flask) -> FlaskClient:
    """A visitor without any key."""
    return web.test_client()


@pytest.fixture
def make_key(db: Database) -> Callable[..., str]:
    """Makes a key of a kind."""

    def make(kind: str, *, name: str = "shop", channel: str = "web") -> str:
        with db.begin() as conn:
            return security.create_key(conn, kind=kind, name=name, channel=channel, now=datetime.now(UTC))

    return make


@pytest.fixture
def call(client: FlaskClient, make_key: Callable[..., str]) -> Callable[..., Any]:
    """Calls the API with a secret key: `call("PUT", "/v1/products", [...])`."""
    secret = make_key("secret", name="back office")

    def ask(method: str, path: str, body: object = None, **options: Any) -> Any:
        headers = {"Authorization": f"Bearer {secret}", **options.pop("headers", {})}
        if body is not None:
            options["json"] = body
        return client.open(path, method=method, headers=headers, **options)

    return ask


@pytest.fixture
def ada(db: Database) -> int:
    """A customer the shop calls `ada`."""
    with db.begin() as conn:
        person = {"user_id": "ada", "email": "ada@example.com", "traits": {"vip": True}}
        made = conn.execute(
            sa.insert(tables.customers)
            .values(**person, created_at=NOW, updated_at=NOW)
            .returning(tables.customers.c.id)
        ).scalar_one()
        handle = {"kind": "user_id", "value": "ada", "customer_id": made, "origin_id": made, "first_seen_at": NOW}
        conn.execute(sa.insert(tables.identities).values(**handle))
        return int(made)


@pytest.fixture
def code(db: Database, ada: int) -> str:
    """A code of ten percent in her hands."""
    with db.begin() as conn:
        terms = Offer(name="ten", kind="percentage", value=1000, prefix="TEN")
        offer = offers.create(conn, terms, now=NOW)
        message_id = new_id()
        held = promotions.reserve(conn, offer, {ada: message_id}, zone=UTC, now=NOW)
        promotions.issue(conn, [message_id], now=NOW)
        return held[ada].shown


@pytest.fixture
def enter(client: FlaskClient, installation: parts.Parts) -> Callable[[str], FlaskClient]:
    """Signs in as someone of a role."""

    def sign_in(role: str = "admin") -> FlaskClient:
        console_world.make_user(installation, role=role)
        login = {"email": console_world.EMAIL, "password": console_world.PASSWORD}
        answer = console_world.post(client, "/console/sign-in", login, on="/console/sign-in")
        assert answer.status_code == 303, answer.text
        return client

    return sign_in


@pytest.fixture
def ines(enter: Callable[[str], FlaskClient]) -> FlaskClient:
    """An administrator, signed in."""
    return enter("admin")
