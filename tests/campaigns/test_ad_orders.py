"""Orders told to ad platforms: of people who agreed, once each, with what they agreed to."""

from collections.abc import Iterator
from datetime import datetime, timedelta

import pytest
import sqlalchemy as sa

from campaigns.audiences import conversions, gates, tables
from foundation.database import Database
from tests.campaigns import ad_platforms, world
from tests.campaigns.ad_platforms import Peers, google_error, meta_error
from tests.campaigns.test_audiences import hashed, person, say

MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)


@pytest.fixture
def peers() -> Iterator[Peers]:
    with ad_platforms.both() as connected:
        yield connected


def buy(
    db: Database, user: str, order_id: str, *, at: datetime, received: datetime | None = None, **more: object
) -> None:
    with db.begin() as conn:
        world.order(conn, user, at=at, order_id=order_id, **more)  # type: ignore[arg-type]
        if received:
            conn.execute(sa.text("UPDATE orders SET received_at = :at"), {"at": received})


def held(db: Database) -> list[tuple[str, str, str | None]]:
    rows = tables.ad_conversions.c
    with db.begin() as conn:
        return [
            tuple(row)
            for row in conn.execute(sa.select(rows.platform, rows.state, rows.reason).order_by(rows.platform))
        ]


def test_an_order_is_told_to_both_in_their_own_words(db: Database, now: datetime, peers: Peers) -> None:
    person(db, "ada", at=now - DAY)
    buy(db, "ada", "o1", at=now, channel="store")
    assert conversions.tell_due(db, peers[0], now=now) == "1 to google, 1 to meta"
    told, other = peers[1].orders["o1"], peers[2].orders["o1"]
    assert told["action_source"] == "physical_store" and told["opt_out"] is False
    assert told["user_data"] == {"em": [hashed("ada@example.org")]}
    assert told["custom_data"] == {
        "currency": "EUR", "value": 189.0, "order_id": "o1", "content_type": "product", "content_ids": ["cocotte"],
    }  # fmt: skip
    assert (other["eventSource"], other["conversionValue"], other["currency"]) == ("IN_STORE", 189.0, "EUR")
    assert other["consent"] == {"adUserData": "CONSENT_GRANTED", "adPersonalization": "CONSENT_GRANTED"}
    assert conversions.tell_due(db, peers[0], now=now + MINUTE) is None


def test_what_she_agreed_to_is_passed_on_as_it_is(db: Database, now: datetime, peers: Peers) -> None:
    person(db, "ada", at=now - DAY, agreed=("marketing",))
    buy(db, "ada", "o1", at=now)
    conversions.tell_due(db, peers[0], now=now)
    assert peers[1].orders["o1"]["opt_out"] is True
    assert peers[2].orders["o1"]["consent"]["adPersonalization"] == "CONSENT_DENIED"


def test_of_an_order_on_the_site_the_page_and_the_browser_are_told(db: Database, now: datetime, peers: Peers) -> None:
    person(db, "ada", at=now - DAY)
    buy(db, "ada", "o1", at=now)
    context = '{"page": {"url": "https://aubier.example/thanks"}, "userAgent": "Mozilla/5.0"}'
    with db.begin() as conn:
        conn.execute(sa.text("UPDATE events SET context = CAST(:c AS jsonb) WHERE order_id = 'o1'"), {"c": context})
    conversions.tell_due(db, peers[0], now=now)
    told = peers[1].orders["o1"]
    assert told["action_source"] == "website" and told["event_source_url"] == "https://aubier.example/thanks"
    assert told["user_data"]["client_user_agent"] == "Mozilla/5.0"


def test_nothing_is_told_of_who_did_not_agree_even_when_she_does_later(
    db: Database, now: datetime, peers: Peers
) -> None:
    ada = person(db, "ada", at=now - DAY, agreed=("personalization",))
    buy(db, "ada", "o1", at=now)
    assert conversions.tell_due(db, peers[0], now=now) is None
    with db.begin() as conn:
        say(conn, ada, "granted", purpose="marketing", at=now + MINUTE)
    assert conversions.tell_due(db, peers[0], now=now + MINUTE) is None
    assert held(db) == [("google", "withheld", "consent"), ("meta", "withheld", "consent")] and not peers[1].orders


def test_of_minors_nothing_is_told(db: Database, now: datetime, peers: Peers) -> None:
    person(db, "ada", at=now - DAY, birth_year=2010)
    buy(db, "ada", "o1", at=now)
    assert conversions.tell_due(db, peers[0], now=now) is None
    assert {reason for _, _, reason in held(db)} == {"minor"}


def test_what_a_platform_would_find_too_old_is_not_sent(db: Database, now: datetime, peers: Peers) -> None:
    """One order too old would have the whole call refused."""
    person(db, "ada", at=now - 30 * DAY)
    buy(db, "ada", "o1", at=now - 10 * DAY, received=now)
    assert conversions.tell_due(db, peers[0], now=now) == "1 to google"
    assert held(db)[1] == ("meta", "withheld", "old")


def test_a_call_without_an_answer_is_made_again_and_counts_once(db: Database, now: datetime, peers: Peers) -> None:
    person(db, "ada", at=now - DAY)
    buy(db, "ada", "o1", at=now)
    peers[1].canned = [meta_error(2, "Service temporarily unavailable", status=503)]
    assert conversions.tell_due(db, peers[0], now=now) == "1 to google"
    assert conversions.tell_due(db, peers[0], now=now + 5 * MINUTE) == "1 to meta" and len(peers[1].orders) == 1


@pytest.mark.parametrize(("platform", "name"), [("meta", "token"), ("google", "refresh_token")])
def test_a_refused_key_loses_no_order(db: Database, now: datetime, peers: Peers, platform: str, name: str) -> None:
    peer, one = peers[1] if platform == "meta" else peers[2], {platform: peers[0][platform]}
    good = getattr(peer, name)
    setattr(peer, name, "another")
    person(db, "ada", at=now - DAY)
    for number in range(3):
        buy(db, "ada", f"o{number}", at=now)
    assert conversions.tell_due(db, one, now=now) is None
    calls = len(peer.calls)
    assert conversions.tell_due(db, one, now=now + MINUTE) is None and len(peer.calls) == calls
    with db.begin() as conn:
        assert gates.every(conn)[platform].reason == "key"
    assert held(db) == [(platform, "pending", None)] * 3
    setattr(peer, name, good)
    assert conversions.tell_due(db, one, now=now + 11 * MINUTE) == f"3 to {platform}"
    assert set(peer.orders) == {"o0", "o1", "o2"} and held(db) == [(platform, "sent", None)] * 3


def test_one_order_a_platform_refuses_holds_back_no_other(db: Database, now: datetime, peers: Peers) -> None:
    for user in ("ada", "bea", "cleo"):
        person(db, user, at=now - DAY)
        buy(db, user, f"of-{user}", at=now)
    peers[1].refused_hashes = {hashed("bea@example.org")}
    assert conversions.tell_due(db, peers[0], now=now) == "3 to google, 2 to meta"
    assert set(peers[1].orders) == {"of-ada", "of-cleo"}
    assert [one for one in held(db) if one[1] == "refused"] == [("meta", "refused", "100: Invalid parameter")]


def test_a_conversion_there_is_not_pauses_the_orders_and_no_audience(db: Database, now: datetime, peers: Peers) -> None:
    person(db, "ada", at=now - DAY)
    buy(db, "ada", "o1", at=now)
    peers[2].canned = [google_error(400, "INVALID_ARGUMENT", "No.", "INVALID_CONVERSION_ACTION_ID")]
    conversions.tell_due(db, peers[0], now=now)
    with db.begin() as conn:
        assert not gates.shut(conn, "google", now=now) and "INVALID_CONV" in gates.every(conn)["google orders"].detail
    calls = len(peers[2].calls)
    conversions.tell_due(db, peers[0], now=now + MINUTE)
    assert len(peers[2].calls) == calls
    assert conversions.tell_due(db, peers[0], now=now + DAY) == "1 to google"
    with db.begin() as conn:
        assert not gates.every(conn)
