"""The whole application over a database of its own, and programs that speak to it with a key."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

import app as front
from app import parts, security
from foundation.config import Config
from foundation.database import Database

ENVIRON = {"RELANCE_SECRET_KEY": "a secret of the tests that is long enough"}


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
    built.db.dispose()


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
