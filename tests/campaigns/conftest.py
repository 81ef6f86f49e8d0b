"""The shop most journeys are tried in."""

from datetime import datetime

import pytest

from foundation.database import Database
from tests.campaigns import world


@pytest.fixture
def shop(db: Database, now: datetime) -> Database:
    """Two customers who agreed to marketing, and something for sale."""
    with db.begin() as conn:
        world.stock_shop(conn, now=now)
        for user in ("ada", "bob"):
            world.make_customer(conn, user, at=now)
    return db
