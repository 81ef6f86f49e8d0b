"""Events as an SDK would send them, taken in by the one door."""

import itertools
from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest
import sqlalchemy as sa

from shop import customers, ingest, sources, vocabulary
from shop.ingest import Outcome
from shop.vocabulary import Event, Source

_numbers = itertools.count(1)


@pytest.fixture
def site(conn: sa.Connection, now: datetime) -> Source:
    """A web shop with a public write key."""
    return sources.source(conn, "site", channel="web", now=now)


@pytest.fixture
def server(conn: sa.Connection, now: datetime) -> Source:
    """The shop's own server, which holds a secret key."""
    return sources.source(conn, "server", channel="web", now=now, trusted=True)


def parsed(source: Source, now: datetime, payload: dict[str, Any]) -> Event:
    """An event from a payload that must be sound."""
    payload = {"messageId": f"m{next(_numbers)}", "type": "track", **payload}
    event = vocabulary.parse(payload, source=source, received_at=now)
    assert isinstance(event, Event), event
    return event


@pytest.fixture
def send(conn: sa.Connection, site: Source, now: datetime) -> Callable[..., Outcome]:
    """Sends payloads in one batch."""

    def send(*payloads: dict[str, Any], source: Source = site) -> Outcome:
        return ingest.ingest(conn, [parsed(source, now, payload) for payload in payloads], now=now)

    return send


@pytest.fixture
def who(conn: sa.Connection) -> Callable[..., int | None]:
    """Whom a handle names."""
    return lambda **handle: customers.find(conn, **handle)
