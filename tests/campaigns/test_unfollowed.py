"""Messages a provider took and nothing was heard of since: shown as such, counted, and told of where it is unusual."""

from datetime import datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from campaigns import figures, ledger, plans, tables, unfollowed
from campaigns.insights import due, followed
from campaigns.unfollowed import Followed
from foundation.database import Database, new_id
from tests.campaigns import journey, world

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
SIGNED_UP = {"type": "event", "event": "Signed Up"}


@pytest.fixture(name="take")
def _take(shop: Database, now: datetime) -> Any:
    """Writes down messages a provider took so long ago."""
    plan = journey.launch(shop, SIGNED_UP, [journey.send("hi")], now=now - 60 * DAY)
    with shop.begin() as conn:
        person = world.make_customer(conn, "eve", at=now - 60 * DAY)

    def take(number: int, *, ago: timedelta, provider: str = "sendgrid", state: str = "accepted", **more: Any) -> None:
        row = {
            "campaign_id": plan.id, "version": 1, "step": "hi", "channel": "email", "customer_id": person,
            "state": state, "provider": provider, "queued_at": now - ago, "not_before": now - ago,
            "expires_at": now, "submitted_at": now - ago, "accepted_at": now - ago, "attempt": 1,
        }  # fmt: skip
        rows = [row | {"id": (key := new_id()), "entry_key": str(key)} | more for _ in range(number)]
        with shop.begin() as conn:
            conn.execute(sa.insert(tables.messages), rows)

    return take


def tells(db: Database, provider: str, *, now: datetime) -> None:
    with db.begin() as conn:
        gate = {"provider": provider, "breaker": "closed", "heard_until": now}
        conn.execute(sa.insert(tables.provider_gates).values(gate))


def test_only_what_was_accepted_long_ago_and_never_heard_of_is_shown_so(
    shop: Database, take: Any, now: datetime
) -> None:
    take(1, ago=73 * HOUR)
    take(1, ago=71 * HOUR)
    take(1, ago=73 * HOUR, state="delivered")
    take(1, ago=73 * HOUR, first_clicked_at=now)
    take(1, ago=73 * HOUR, opened_at=now)
    with shop.begin() as conn:
        lines = ledger.page(conn)
        asked = ledger.page(conn, unheard=now)
        row = ledger.get(conn, asked[0].id).line
    assert sorted(line.shown(now) for line in lines) == ["accepted"] * 3 + ["delivered", "unfollowed"]
    assert [line.id for line in asked] == [line.id for line in lines if line.shown(now) == "unfollowed"]
    assert row.state == "accepted" and row.shown(now + 100 * DAY) == "unfollowed"


def test_they_are_counted_by_campaign_and_provider(shop: Database, take: Any, now: datetime) -> None:
    take(3, ago=4 * DAY)
    take(2, ago=4 * DAY, provider="smtp")
    take(5, ago=4 * DAY, state="delivered")
    figures.refresh(shop, now=now)
    with shop.begin() as conn:
        plan = plans.get(conn, "journey")
        assert figures.of(conn, [plan.id])[plan.id].unfollowed == {"sendgrid": 3, "smtp": 2}


def test_a_provider_that_tells_less_than_it_used_to_is_found(shop: Database, take: Any, now: datetime) -> None:
    """A tenth was its usual share; smtp never tells; push took too few to say anything."""
    tells(shop, "sendgrid", now=now)
    tells(shop, "push", now=now)
    take(10, ago=20 * DAY)
    take(90, ago=20 * DAY, state="delivered")
    take(16, ago=4 * DAY)
    take(64, ago=4 * DAY, state="delivered")
    take(200, ago=4 * DAY, provider="smtp")
    take(unfollowed.FEWEST - 1, ago=4 * DAY, provider="push")
    take(40, ago=HOUR)
    due.refresh(shop, now=now)
    with shop.begin() as conn:
        found = {one.provider: one for one in followed.read(conn)}
    assert found["sendgrid"] == Followed("sendgrid", True, 80, 16, 100, 10)
    assert [name for name, one in found.items() if one.unusual] == [], "twice as many may be chance"
    take(1, ago=4 * DAY)
    followed.refresh(shop, now=now)
    with shop.begin() as conn:
        assert [one.provider for one in followed.read(conn) if one.unusual] == ["sendgrid"]


@pytest.mark.parametrize(
    ("told", "unusual"),
    [
        (Followed("a", True, 100, 5, 0, 0), False),
        (Followed("a", True, 100, 6, 0, 0), True),
        (Followed("a", False, 100, 100, 0, 0), False),
        (Followed("a", True, 100, 100, 100, 60), False),
        (Followed("a", True, 49, 49, 100, 0), False),
        (Followed("a", True, 100, 6, 49, 49), True),
    ],
)
def test_what_is_unusual_is_measured_against_what_was_usual(told: Followed, unusual: bool) -> None:
    assert told.unusual is unusual
