"""Members of segments follow what changed, time that passed, and merges; who moved is told where somebody listens."""

import itertools
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from campaigns import crowds, membership, offers, promotions, redeeming, segments, tables
from campaigns.definitions.offers import Offer
from campaigns.verdicts import Basket, Line
from foundation.database import Database, new_id
from foundation.errors import Conflict, Invalid
from shop import consent, customers, ingest, privacy, sources, vocabulary
from shop import tables as shop

_numbers = itertools.count()
BOUGHT = {"type": "orders", "within": "30d"}
TIER_IS_GOLD = {"type": "trait", "name": "tier", "value": "gold"}
VIEWED_TWICE = {"type": "event", "name": "Product Viewed", "value": 2, "within": "7d"}


def keep(db: Database, name: str, rule: dict[str, Any], *, now: datetime) -> None:
    """A segment, kept and filled."""
    with db.begin() as conn:
        segments.apply(conn, segments.parse({"name": name, "title": name.title(), "rule": rule}), now=now)
    membership.refresh(db, now=now)


def send(db: Database, *payloads: dict[str, Any], now: datetime) -> None:
    """Events through the one door."""
    with db.begin() as conn:
        source = sources.source(conn, "server", channel="web", now=now, trusted=True)
        events = [
            vocabulary.parse(
                {"messageId": f"m{next(_numbers)}", "type": "track", **payload}, source=source, received_at=now
            )
            for payload in payloads
        ]
        assert all(isinstance(event, vocabulary.Event) for event in events), events
        ingest.ingest(conn, events, now=now)  # type: ignore[arg-type]


def tier(db: Database, value: str, *users: str, now: datetime) -> None:
    """Their tier is this from now on, and segments follow."""
    send(db, *({"type": "identify", "userId": user, "traits": {"tier": value}} for user in users), now=now)
    membership.refresh(db, now=now)


def view(user: str) -> dict[str, Any]:
    return {"userId": user, "event": "Product Viewed", "properties": {"product_id": "pot"}}


def order(user: str, number: str) -> dict[str, Any]:
    products = [{"product_id": "pot", "quantity": 1, "price": 10}]
    return {
        "userId": user,
        "event": "Order Completed",
        "properties": {"order_id": number, "total": 10, "currency": "EUR", "products": products},
    }


def inside(db: Database, name: str) -> set[str]:
    """The user ids of a segment's members; they must be as many as the segment says."""
    with db.begin() as conn:
        kept = segments.get(conn, name)
        query = (
            sa.select(shop.customers.c.user_id)
            .join(tables.segment_members, tables.segment_members.c.customer_id == shop.customers.c.id)
            .where(tables.segment_members.c.segment_id == kept.id)
        )
        found = list(conn.scalars(query))
        assert kept.size == len(found)
        return {user for user in found if user}


def told(db: Database) -> list[tuple[str, str]]:
    """What was told of entering and leaving."""
    with db.begin() as conn:
        rows = conn.execute(
            sa.select(shop.events.c.name, shop.events.c.properties)
            .where(shop.events.c.name.like("Segment %"))
            .order_by(shop.events.c.occurred_at, shop.events.c.name)
        )
        return [(row.name, row.properties["segment"]) for row in rows]


def test_an_event_moves_its_customer_alone(db: Database, now: datetime) -> None:
    send(db, view("ann"), view("bea"), now=now)
    keep(db, "curious", VIEWED_TWICE, now=now)
    assert inside(db, "curious") == set()
    send(db, view("ann"), now=now + timedelta(seconds=1))
    assert membership.refresh(db, now=now + timedelta(seconds=2)) == "1 entered"
    assert inside(db, "curious") == {"ann"}
    assert membership.refresh(db, now=now + timedelta(seconds=3)) is None


def test_time_alone_moves_customers(db: Database, now: datetime) -> None:
    send(db, view("ann"), view("ann"), now=now)
    keep(db, "curious", VIEWED_TWICE, now=now + timedelta(minutes=1))
    assert inside(db, "curious") == {"ann"}
    membership.refresh(db, now=now + timedelta(days=6, hours=23))
    assert inside(db, "curious") == {"ann"}
    membership.refresh(db, now=now + timedelta(days=7))
    assert inside(db, "curious") == set()


def test_a_new_customer_is_in_segments_of_those_who_did_not(db: Database, now: datetime) -> None:
    keep(db, "not-yet", {"type": "not", "rule": BOUGHT}, now=now)
    send(db, view("ann"), order("bea", "o1"), now=now + timedelta(seconds=1))
    membership.refresh(db, now=now + timedelta(seconds=2))
    assert inside(db, "not-yet") == {"ann"}


def test_consent_and_traits_move_customers(db: Database, now: datetime) -> None:
    rule = {
        "type": "all",
        "of": [{"type": "consent", "channel": "email"}, {"type": "trait", "name": "city", "value": "Lyon"}],
    }
    send(db, {"type": "identify", "userId": "ann", "traits": {"city": "Lyon"}}, now=now)
    keep(db, "lyon", rule, now=now)
    with db.begin() as conn:
        ann = customers.find(conn, user_id="ann") or 0
        consent.record(
            conn, customer_id=ann, channel="email", purpose="marketing", state="granted", at=now, source="form", now=now
        )
    membership.refresh(db, now=now + timedelta(seconds=1))
    assert inside(db, "lyon") == {"ann"}
    send(db, {"type": "identify", "userId": "ann", "traits": {"city": "Nantes"}}, now=now + timedelta(seconds=2))
    membership.refresh(db, now=now + timedelta(seconds=3))
    assert inside(db, "lyon") == set()


def test_entering_and_leaving_is_told_once_where_somebody_listens(db: Database, now: datetime) -> None:
    send(db, view("ann"), now=now)
    keep(db, "curious", VIEWED_TWICE, now=now)
    keep(db, "buyers", BOUGHT, now=now)
    with db.begin() as conn:
        membership.announce(conn, ["curious"])
    send(db, view("ann"), order("ann", "o1"), now=now + timedelta(seconds=1))
    membership.refresh(db, now=now + timedelta(seconds=2))
    membership.refresh(db, now=now + timedelta(seconds=3))
    membership.refresh(db, now=now + timedelta(days=8))
    assert told(db) == [("Segment Entered", "curious"), ("Segment Left", "curious")]


def test_who_is_there_at_the_first_filling_did_not_enter(db: Database, now: datetime) -> None:
    send(db, order("ann", "o1"), now=now)
    keep(db, "buyers", BOUGHT, now=now)
    with db.begin() as conn:
        assert conn.scalar(sa.select(sa.func.count()).select_from(tables.segment_moves)) == 0


def test_a_segment_that_names_another_follows_it_in_the_same_refresh(db: Database, now: datetime) -> None:
    send(db, view("ann"), now=now)
    keep(db, "buyers", BOUGHT, now=now)
    both = {"type": "all", "of": [{"type": "segment", "name": "buyers"}, {"type": "event", "name": "Product Viewed"}]}
    keep(db, "a-both", both, now=now)
    send(db, order("ann", "o1"), now=now + timedelta(seconds=1))
    membership.refresh(db, now=now + timedelta(seconds=2))
    assert inside(db, "a-both") == {"ann"}


def test_a_merged_visitor_stays_in_her_segments_without_entering(db: Database, now: datetime) -> None:
    send(db, {"anonymousId": "browser", "event": "Product Viewed", "properties": {"product_id": "pot"}}, now=now)
    keep(db, "viewers", {"type": "event", "name": "Product Viewed"}, now=now)
    with db.begin() as conn:
        membership.announce(conn, ["viewers"])
    later = now + timedelta(seconds=1)
    send(db, {"type": "identify", "userId": "ann", "anonymousId": "browser", "traits": {"a": 1}}, now=later)
    membership.refresh(db, now=now + timedelta(seconds=2))
    assert inside(db, "viewers") == {"ann"}
    assert told(db) == []


def test_the_erased_are_gone(db: Database, now: datetime) -> None:
    send(db, order("ann", "o1"), order("bea", "o2"), now=now)
    keep(db, "buyers", BOUGHT, now=now)
    with db.begin() as conn:
        privacy.erase(conn, customers.find(conn, user_id="ann") or 0, now=now)
    assert membership.check(db, now=now + timedelta(seconds=1)) == "1 checked, no drift"
    assert inside(db, "buyers") == {"bea"}


def test_the_full_check_reports_drift_and_puts_it_right(db: Database, now: datetime) -> None:
    send(db, order("ann", "o1"), order("bea", "o2"), view("eve"), now=now)
    keep(db, "buyers", BOUGHT, now=now)
    with db.begin() as conn:
        ann, eve = (customers.find(conn, user_id=user) for user in ("ann", "eve"))
        conn.execute(sa.delete(tables.segment_members).where(tables.segment_members.c.customer_id == ann))
        conn.execute(sa.insert(tables.segment_members).values(segment_id=1, customer_id=eve, since=now))
    assert membership.check(db, now=now + timedelta(minutes=1)) == "1 checked, drift: buyers 2"
    assert inside(db, "buyers") == {"ann", "bea"}
    with db.begin() as conn:
        drift = segments.get(conn, "buyers").drift
    assert drift is not None and (drift["missing"], drift["surplus"]) == (1, 1)


def test_more_news_than_can_be_followed_one_by_one_is_a_look_at_everybody(db: Database, now: datetime) -> None:
    keep(db, "buyers", BOUGHT, now=now)
    send(db, *(order(f"user{n}", f"o{n}") for n in range(5)), now=now)
    membership.refresh(db, now=now + timedelta(seconds=1), most=2)
    assert len(inside(db, "buyers")) == 5


def test_a_changed_rule_is_in_force_with_the_next_refresh(db: Database, now: datetime) -> None:
    send(db, order("ann", "o1"), view("bea"), now=now)
    keep(db, "them", BOUGHT, now=now)
    keep(db, "them", {"type": "event", "name": "Product Viewed"}, now=now + timedelta(seconds=1))
    assert inside(db, "them") == {"bea"}


def test_saying_the_same_again_changes_nothing(db: Database, now: datetime) -> None:
    keep(db, "them", BOUGHT, now=now)
    with db.begin() as conn:
        definition = segments.parse(segments.dump(segments.get(conn, "them")))
        assert not segments.apply(conn, definition, now=now + timedelta(days=1))


@pytest.mark.parametrize(
    ("rule", "fault"),
    [
        ({"type": "segment", "name": "nobody"}, "/rule/name: is not the name of a segment: nobody"),
        ({"type": "not", "rule": {"type": "segment", "name": "b"}}, "/rule/rule/name: goes in a circle: a > b > a"),
        ({"type": "segment", "name": "a"}, "/rule/name: goes in a circle: a > a"),
        ({"type": "code", "state": "usable", "offer": "X"}, "/rule/offer: is not the name of an offer: X"),
        ({"type": "message", "did": "sent", "campaign": "X"}, "/rule/campaign: is not the name of a campaign: X"),
        ({"type": "distance", "km": 5, "store": "X"}, "/rule/store: is not the name of a store: X"),
    ],
)
def test_a_rule_that_names_nothing_or_itself_is_refused(
    db: Database, now: datetime, rule: dict[str, Any], fault: str
) -> None:
    keep(db, "a", BOUGHT, now=now)
    keep(db, "b", {"type": "segment", "name": "a"}, now=now)
    with pytest.raises(Invalid) as refused:
        keep(db, "a", rule, now=now)
    assert str(refused.value) == fault


def test_a_segment_in_use_is_not_deleted(db: Database, now: datetime) -> None:
    keep(db, "a", BOUGHT, now=now)
    keep(db, "b", {"type": "segment", "name": "a"}, now=now)
    with db.begin() as conn, pytest.raises(Conflict, match="a is used by B"):
        segments.remove(conn, "a")
    with db.begin() as conn:
        segments.remove(conn, "b")
        segments.remove(conn, "a")


def test_a_code_that_is_used_moves_its_customer(db: Database, now: datetime) -> None:
    send(db, view("ann"), now=now)
    with db.begin() as conn:
        terms = Offer(name="TEN", kind="percentage", value=1000, prefix="TEN")
        offer = offers.create(conn, terms, now=now)
        message_id, ann = new_id(), customers.find(conn, user_id="ann") or 0
        held = promotions.reserve(conn, offer, {ann: message_id}, zone=UTC, now=now)[ann]
    keep(db, "usable", {"type": "code", "state": "usable", "offer": "TEN"}, now=now)
    with db.begin() as conn:
        promotions.issue(conn, [message_id], now=now)
    membership.refresh(db, now=now + timedelta(seconds=1))
    assert inside(db, "usable") == {"ann"}
    with db.begin() as conn:
        basket = Basket("EUR", (Line("pot", 1, 1000),), "ann")
        redeeming.redeem(conn, held.code, basket, order_id="o1", channel="store", now=now)
    membership.refresh(db, now=now + timedelta(seconds=2))
    assert inside(db, "usable") == set()


def test_a_crowd_is_told_to_campaigns_only_once_somebody_said_so(
    db: Database, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after an import that changes traits of very many: campaigns hear of it when it is wanted, or never."""
    monkeypatch.setattr(crowds, "LEAST", 3)
    send(db, *({"type": "identify", "userId": f"u{n}", "traits": {"tier": "none"}} for n in range(8)), now=now)
    keep(db, "gold", {"type": "trait", "name": "tier", "value": "gold"}, now=now)
    with db.begin() as conn:
        membership.announce(conn, ["gold"])
    at = now + timedelta(minutes=1)
    send(db, *({"type": "identify", "userId": f"u{n}", "traits": {"tier": "gold"}} for n in range(6)), now=at)
    membership.refresh(db, now=at)
    assert len(inside(db, "gold")) == 6 and told(db) == []
    later = now + timedelta(days=3)
    send(db, {"type": "identify", "userId": "u0", "traits": {"tier": "none"}}, now=later)
    membership.refresh(db, now=later)
    assert told(db) == [("Segment Left", "gold")], "what is no crowd is told at once"
    with db.begin() as conn:
        gold = segments.get(conn, "gold")
        (held,) = crowds.waiting(conn, segment_id=gold.id)
        assert (held.segment, held.entered, held.number) == ("gold", True, 6)
        assert crowds.decide(conn, gold.id, held.id, wanted=True, now=later)
        assert not crowds.decide(conn, gold.id, held.id, wanted=False, now=later), "a second click is nothing"
    membership.refresh(db, now=later)
    assert told(db).count(("Segment Entered", "gold")) == 5, "who is out again did not enter"
    with db.begin() as conn:
        newest = sa.select(sa.func.min(shop.events.c.occurred_at)).where(shop.events.c.name == "Segment Entered")
        assert conn.scalar(newest) == later, "it happens to them now"
    gone = later + timedelta(minutes=1)
    send(db, *({"type": "identify", "userId": f"u{n}", "traits": {"tier": "none"}} for n in range(1, 6)), now=gone)
    membership.refresh(db, now=gone)
    with db.begin() as conn:
        (held,) = crowds.waiting(conn)
        assert not held.entered and crowds.decide(conn, gold.id, held.id, wanted=False, now=gone)
    membership.refresh(db, now=gone)
    assert len(told(db)) == 6, "left as it is"


def test_a_crowd_that_comes_in_slices_is_one_crowd(
    db: Database, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As an import does, whose rows are committed some at a time while segments follow every few seconds."""
    monkeypatch.setattr(crowds, "LEAST", 10)
    everybody = [f"u{n}" for n in range(60)]
    send(db, *({"type": "identify", "userId": user, "traits": {"tier": "none"}} for user in everybody), now=now)
    keep(db, "gold", TIER_IS_GOLD, now=now)
    with db.begin() as conn:
        membership.announce(conn, ["gold"])
    start = now + timedelta(minutes=1)
    for n in range(0, 40, 4):
        tier(db, "gold", *everybody[n : n + 4], now=start + timedelta(seconds=3 * n))
    assert len(inside(db, "gold")) == 40 and len(told(db)) == 8, "what had come before it was one"
    tier(db, "none", "u9", "u10", now=start + timedelta(minutes=3))
    tier(db, "gold", "u10", now=start + timedelta(minutes=4))
    with db.begin() as conn:
        gold = segments.get(conn, "gold")
        (held,) = crowds.waiting(conn)
        assert (held.at, held.entered, held.number) == (start + timedelta(seconds=24), True, 33)
        decided = start + timedelta(minutes=5)
        assert crowds.decide(conn, gold.id, held.id, wanted=True, now=decided)
    tier(db, "gold", "u41", "u42", now=decided + timedelta(seconds=3))
    news = [name for name, _ in told(db)]
    assert news.count("Segment Left") == 2 and news.count("Segment Entered") == 8 + 31 + 2, "each once; u9 is out again"
    with db.begin() as conn:
        assert crowds.waiting(conn) == [], "who comes after the decision is judged anew"


def test_as_many_in_the_course_of_a_day_are_no_crowd(
    db: Database, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(crowds, "LEAST", 10)
    everybody = [f"u{n}" for n in range(24)]
    send(db, *({"type": "identify", "userId": user, "traits": {"tier": "none"}} for user in everybody), now=now)
    keep(db, "gold", TIER_IS_GOLD, now=now)
    with db.begin() as conn:
        membership.announce(conn, ["gold"])
    for n in range(0, 24, 4):
        tier(db, "gold", *everybody[n : n + 4], now=now + timedelta(minutes=1 + 8 * n))
    assert len(told(db)) == 24


def test_of_many_customers_a_crowd_is_a_twentieth(db: Database, now: datetime, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crowds, "LEAST", 2)
    everybody = [f"u{n}" for n in range(100)]
    send(db, *({"type": "identify", "userId": user, "traits": {"tier": "none"}} for user in everybody), now=now)
    keep(db, "gold", TIER_IS_GOLD, now=now)
    with db.begin() as conn:
        membership.announce(conn, ["gold"])
    tier(db, "gold", *everybody[:5], now=now + timedelta(minutes=1))
    assert len(told(db)) == 5
    tier(db, "gold", *everybody[5:7], now=now + timedelta(minutes=2))
    with db.begin() as conn:
        (held,) = crowds.waiting(conn)
    assert held.number == 2 and len(told(db)) == 5


def test_nobody_is_a_crowd_where_nobody_listens(db: Database, now: datetime, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crowds, "LEAST", 1)
    keep(db, "viewers", VIEWED_TWICE, now=now)
    at = now + timedelta(minutes=1)
    send(db, *(view(f"u{n}") for n in range(4) for _ in range(2)), now=at)
    membership.refresh(db, now=at)
    assert len(inside(db, "viewers")) == 4
    with db.begin() as conn:
        assert crowds.waiting(conn) == []
