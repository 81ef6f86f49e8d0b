"""What is answered for is durable, and is taken in once, in its order, whatever dies on the way."""

import random
import string
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest
import sqlalchemy as sa

from foundation.database import Database
from shop import carts, customers, inbox, ingest_queue, orders, privacy, sources, tables, vocabulary
from shop.inbox import Parcel
from shop.vocabulary import Event, Refusal, Source

NOW = datetime(2026, 11, 21, 10, 0, tzinfo=UTC)


@pytest.fixture
def shop(db: Database) -> Source:
    with db.begin() as conn:
        return sources.source(conn, "site", channel="web", now=NOW)


@pytest.fixture
def queue(db: Database) -> Iterator[ingest_queue.IngestQueue]:
    queue = ingest_queue.IngestQueue(db)
    yield queue
    queue.close()


def said(source: Source, name: str, message: str, *, at: datetime = NOW, **more: Any) -> Event:
    payload = {"type": "track", "event": name, "userId": "u", "messageId": message, **more}
    event = vocabulary.parse(payload, source=source, received_at=at)
    assert isinstance(event, Event), event
    return event


def added(source: Source, message: str, *, quantity: int = 1) -> Event:
    return said(
        source, "Product Added", message, properties={"product_id": "pot", "cart_id": "c", "quantity": quantity}
    )


def waiting(db: Database) -> int:
    with db.begin() as conn:
        return conn.scalar(sa.select(sa.func.coalesce(sa.func.sum(tables.inbox.c.events), 0))) or 0


def stored(db: Database) -> list[str]:
    with db.begin() as conn:
        return list(conn.scalars(sa.select(tables.events.c.message_id).order_by(tables.events.c.message_id)))


def append(db: Database, *events: Event, refused: tuple[Refusal, ...] = ()) -> None:
    parcel = Parcel(events, refused)
    with closing(inbox.Line(db)) as line:
        line.append([inbox.packed(parcel)], events=len(parcel), now=NOW)


def test_what_waits_is_taken_in_whole_and_once(db: Database, shop: Source) -> None:
    """As after a process was killed: all that is left of it is the row."""
    wrong = vocabulary.parse({"type": "track", "userId": "u"}, source=shop, received_at=NOW)
    assert isinstance(wrong, Refusal)
    event = said(
        shop,
        "Order Completed",
        "m1",
        anonymousId="a",
        timestamp=(NOW - timedelta(hours=1)).isoformat(),
        properties={
            "order_id": "o",
            "total": 12.5,
            "currency": "EUR",
            "products": [{"product_id": "pot", "price": 12.5}],
        },
        context={"page": {"url": "https://shop.example/"}, "device": {"token": "t"}},
    )
    append(db, event, refused=(wrong,))
    assert inbox.drain(db) == 2
    assert inbox.drain(db) == 0
    with db.begin() as conn:
        order = orders.get(conn, "o")
        assert order is not None
        assert (order.total, order.ordered_at, len(order.lines)) == (1250, NOW - timedelta(hours=1), 1)
        assert customers.find(conn, anonymous_id="a") == customers.find(conn, user_id="u")
        row = conn.execute(sa.select(tables.events)).mappings().one()
        assert (row["key"], row["properties"], row["context"]) == (event.key, event.properties, event.context)
        assert conn.scalars(sa.select(tables.refused_events.c.reason)).all() == ["no_name"]
    assert waiting(db) == 0


def test_what_is_sent_again_meanwhile_is_one_event(db: Database, shop: Source) -> None:
    for _ in range(3):
        append(db, added(shop, "m1"), added(shop, "m1"))
    inbox.drain(db)
    with db.begin() as conn:
        cart = carts.by_cart_id(conn, "c")
    assert cart is not None
    assert cart.lines[0].quantity == 1
    assert stored(db) == ["m1"]


def test_events_are_taken_in_as_they_came(db: Database, shop: Source) -> None:
    """More of them than one transaction takes; the last one said how many pots there are."""
    for number in range(30):
        batch = [added(shop, f"m{number}-{each}") for each in range(99)]
        seen = {"cart_id": "c", "products": [{"product_id": "pot", "quantity": number + 1}]}
        append(db, *batch, said(shop, "Cart Viewed", f"v{number}", properties=seen))
    inbox.drain(db)
    with db.begin() as conn:
        cart = carts.by_cart_id(conn, "c")
    assert cart is not None
    assert [line.quantity for line in cart.lines] == [30]
    assert len(stored(db)) == 3000


def test_an_event_that_cannot_be_stored_is_set_aside_and_the_rest_is_kept(db: Database, shop: Source) -> None:
    """A token longer than an index takes, which no parsing foresees."""
    letters = random.Random(1).choices(string.ascii_letters + string.digits, k=4096)
    poison = said(shop, "Product Viewed", "poison", context={"device": {"token": "".join(letters)}})
    append(db, *[said(shop, "Product Viewed", f"m{number}") for number in range(5)], poison)
    append(db, *[said(shop, "Product Viewed", f"m{number}") for number in range(5, 9)])
    assert inbox.drain(db) == 10
    assert stored(db) == [f"m{number}" for number in range(9)]
    with db.begin() as conn:
        kept = conn.execute(sa.select(tables.refused_events)).mappings().one()
    assert (kept["reason"], kept["source_id"]) == ("not_stored", shop.id)
    assert "poison" in kept["payload"]


def test_a_refusal_that_cannot_be_kept_as_sent_is_kept_without(db: Database, shop: Source) -> None:
    append(db, said(shop, "Product Viewed", "m"), refused=(Refusal(vocabulary.Reason.NO_NAME, (), shop.id, NOW, "\0"),))
    inbox.drain(db)
    assert stored(db) == ["m"]
    with db.begin() as conn:
        assert conn.scalars(sa.select(tables.refused_events.c.reason)).all() == ["no_name"]


def test_a_row_of_another_version_is_taken_in_as_far_as_it_can_be(db: Database, shop: Source) -> None:
    """A field that is gone and one that is missing do no harm; an event without its name is set aside."""
    named = orjson.loads(orjson.dumps(added(shop, "m1")))
    older = {name: value for name, value in named.items() if name != "trusted"} | {"colour": "red"}
    nameless = {name: value for name, value in named.items() if name != "name"}
    for held in (older, nameless):
        row = {"fields": list(held), "parcels": [{"events": [list(held.values())], "refused": []}]}
        with db.begin() as conn:
            conn.execute(sa.insert(tables.inbox).values(received_at=NOW, events=1, parcels=orjson.dumps(row)))
    append(db, added(shop, "m2"))
    inbox.drain(db)
    assert (waiting(db), stored(db)) == (0, ["m1", "m2"])
    with db.begin() as conn:
        kept = conn.execute(sa.select(tables.refused_events)).mappings().one()
    assert (kept["reason"], kept["source_id"]) == ("not_stored", shop.id)


def test_nothing_is_lost_when_taking_in_is_cut_short(db: Database, shop: Source) -> None:
    append(db, added(shop, "m1"))
    with db.engine.connect() as dying:
        inbox.settle(dying)
        dying.rollback()
    assert (waiting(db), stored(db)) == (1, [])
    inbox.drain(db)
    assert (waiting(db), stored(db)) == (0, ["m1"])


def test_several_processes_take_in_each_event_once(db: Database, shop: Source) -> None:
    queues = [ingest_queue.IngestQueue(db) for _ in range(3)]

    def put(number: int) -> None:
        for turn in range(20):
            queues[number % 3].put([added(shop, f"m{number}-{turn}")], now=NOW)

    threads = [threading.Thread(target=put, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for queue in queues:
        queue.close()
    with db.begin() as conn:
        cart = carts.by_cart_id(conn, "c")
    assert cart is not None
    assert (waiting(db), len(stored(db)), cart.lines[0].quantity) == (0, 120, 120)


def test_who_comes_alone_is_in_the_record_at_once(db: Database, shop: Source, queue: ingest_queue.IngestQueue) -> None:
    delays = []
    for number in range(5):
        queue.put([said(shop, "Product Viewed", f"m{number}")], now=NOW)
        began = time.monotonic()
        while len(stored(db)) <= number:
            assert time.monotonic() - began < 10
        delays.append(time.monotonic() - began)
    assert sorted(delays)[2] < 0.1


def test_too_much_waiting_is_turned_away_until_it_is_taken_in(
    db: Database, shop: Source, queue: ingest_queue.IngestQueue
) -> None:
    many = [said(shop, "Product Viewed", f"m{number}") for number in range(200)] * 251
    with db.begin() as elsewhere:
        elsewhere.execute(sa.text("SELECT pg_advisory_xact_lock(:key)"), {"key": inbox.TURN_LOCK})
        queue.put(many, now=NOW)
        with pytest.raises(ingest_queue.Overloaded):
            queue.put([said(shop, "Product Viewed", "late")], now=NOW)
    queue.drain()
    queue.put([said(shop, "Product Viewed", "late")], now=NOW)
    queue.drain()
    assert len(stored(db)) == 201


def test_what_waits_is_exported_and_erased_with_the_rest(db: Database, shop: Source) -> None:
    append(db, said(shop, "Product Viewed", "m1"))
    inbox.drain(db)
    append(db, said(shop, "Product Viewed", "m2", properties={"note": "canary"}))
    with db.begin() as conn:
        customer = customers.find(conn, user_id="u") or 0
        assert "canary" in str(privacy.export(conn, customer))
    append(db, said(shop, "Product Viewed", "m3", properties={"note": "canary"}))
    with db.begin() as conn:
        privacy.erase(conn, customer, now=NOW)
    assert (waiting(db), stored(db)) == (0, [])


def test_the_space_of_what_was_taken_in_is_used_again(db: Database, shop: Source) -> None:
    sizes = []
    for turn in range(4):
        for number in range(20):
            append(db, *[said(shop, "Product Viewed", f"{turn}-{number}-{each}") for each in range(50)])
        inbox.drain(db)
        inbox.tidy(db)
        with db.begin() as conn:
            sizes.append(conn.scalar(sa.text("SELECT pg_total_relation_size('inbox')")))
    assert sizes[-1] <= sizes[0]
