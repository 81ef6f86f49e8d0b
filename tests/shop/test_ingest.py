"""The one door: each event once, everything that follows from it, and the same whichever way they come."""

import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from foundation.database import Database
from shop import carts, customers, events, ingest, ingest_queue, orders, sources, tables, vocabulary
from shop.vocabulary import Event, Refusal, Source
from tests.conftest import NOW

Send = Callable[..., Any]


def track(
    name: str, user: str | None = "u", /, *, visitor: str | None = None, minutes: int = 0, **more: Any
) -> dict[str, Any]:
    context = {key: more.pop(key) for key in ("channel",) if key in more}
    return {
        "event": name,
        "userId": user,
        "anonymousId": visitor,
        "timestamp": (NOW - timedelta(hours=1) + timedelta(minutes=minutes)).isoformat(),
        "properties": more,
        "context": context,
    }


def pot(**more: Any) -> dict[str, Any]:
    return {"product_id": "pot", "name": "Pot", "price": 20, **more}


# --------------------------------------------------------------------------------------------------- carts
def test_a_cart_takes_and_loses_lines(send: Send, conn: sa.Connection) -> None:
    send(
        track("Product Added", cart_id="c", **pot(quantity=2)),
        track("Product Added", cart_id="c", **pot()),
        track("Product Added", cart_id="c", product_id="lid", price="5.50"),
        track("Product Removed", cart_id="c", product_id="pot", quantity=1),
    )
    cart = carts.by_cart_id(conn, "c")
    assert cart is not None
    assert [(line.product_id, line.quantity, line.price) for line in cart.lines] == [("pot", 2, 2000), ("lid", 1, 550)]
    assert (cart.state, cart.value) == ("open", 4550)


def test_a_cart_that_lost_everything_is_emptied(send: Send, conn: sa.Connection) -> None:
    send(
        track("Product Added", cart_id="c", **pot(quantity=3)), track("Product Removed", cart_id="c", product_id="pot")
    )
    cart = carts.by_cart_id(conn, "c")
    assert cart is not None and cart.state == "emptied"


def test_without_a_cart_id_the_open_cart_goes_on(send: Send, conn: sa.Connection) -> None:
    send(track("Product Added", **pot()))
    send(track("Product Added", minutes=1, product_id="lid"))
    (cart,) = carts.of_customer(conn, customers.find(conn, user_id="u") or 0)
    assert [line.product_id for line in cart.lines] == ["pot", "lid"]


def test_a_viewed_cart_is_as_it_was_seen(send: Send, conn: sa.Connection) -> None:
    send(track("Product Added", cart_id="c", **pot()))
    send(track("Cart Viewed", minutes=1, cart_id="c", products=[{"product_id": "lid", "price": 5, "quantity": 2}]))
    cart = carts.by_cart_id(conn, "c")
    assert cart is not None and [(line.product_id, line.quantity) for line in cart.lines] == [("lid", 2)]


def test_a_cart_is_continued_on_another_device(send: Send, conn: sa.Connection) -> None:
    send(track("Product Added", None, visitor="laptop", cart_id="c", **pot()))
    send(track("Product Added", "u", visitor="phone", cart_id="c", product_id="lid", channel="app", minutes=5))
    cart = carts.by_cart_id(conn, "c")
    assert cart is not None
    assert (cart.customer_id, cart.channel, len(cart.lines)) == (customers.find(conn, user_id="u"), "app", 2)


def test_a_script_in_a_carts_address_is_not_kept(send: Send, conn: sa.Connection) -> None:
    send(track("Product Added", cart_id="c", **pot(url="javascript:alert(1)", image_url="https://shop.example/p.png")))
    cart = carts.by_cart_id(conn, "c")
    assert cart is not None and cart.lines[0].url is None
    assert cart.lines[0].image_url == "https://shop.example/p.png"


@pytest.mark.parametrize(
    ("order", "state"),
    [
        ({"cart_id": "c"}, "ordered"),
        ({}, "ordered"),
        ({"channel": "app"}, "ordered"),
        ({"channel": "store", "products": [{"product_id": "pot"}]}, "ordered"),
        ({"channel": "store", "products": [{"product_id": "bread"}]}, "open"),
    ],
)
def test_an_order_of_any_channel_closes_the_cart_it_ends(
    send: Send, conn: sa.Connection, order: dict[str, Any], state: str
) -> None:
    send(track("Product Added", cart_id="c", **pot()))
    send(track("Order Completed", minutes=1, order_id="o", total=20, **order))
    cart = carts.by_cart_id(conn, "c")
    assert cart is not None and cart.state == state


def test_an_event_that_comes_late_does_not_reopen_an_ordered_cart(send: Send, conn: sa.Connection) -> None:
    send(track("Product Added", cart_id="c", **pot()), track("Order Completed", minutes=9, order_id="o", cart_id="c"))
    send(track("Product Added", minutes=5, cart_id="c", product_id="lid"))
    cart = carts.by_cart_id(conn, "c")
    assert cart is not None and (cart.state, len(cart.lines)) == ("ordered", 1)


def test_quiet_carts_are_the_open_ones_not_touched_lately(send: Send, conn: sa.Connection) -> None:
    send(
        track("Product Added", "a", cart_id="old", **pot()),
        track("Product Added", "b", minutes=50, cart_id="new", **pot()),
    )
    found = carts.quiet(conn, before=NOW - timedelta(minutes=30), after=NOW - timedelta(days=1), limit=10)
    assert [cart.cart_id for cart in found] == ["old"]


# -------------------------------------------------------------------------------------------------- orders
def bought(order_id: str = "o", **more: Any) -> dict[str, Any]:
    lines = [{"product_id": "pot", "quantity": 2, "price": 20}, {"product_id": "lid", "price": "5.5"}]
    return track("Order Completed", order_id=order_id, **{"total": 45.5, "products": lines, "currency": "eur", **more})


def profile(conn: sa.Connection) -> Any:
    customer = customers.find(conn, user_id="u") or 0
    return customers.profiles_of(conn, [customer])[customer]


def test_an_order_is_kept_with_its_lines(send: Send, conn: sa.Connection) -> None:
    send(bought(channel="store", store_id="paris"))
    order = orders.get(conn, "o")
    assert order is not None
    assert (order.total, order.currency, order.channel, order.store_id) == (4550, "EUR", "store", "paris")
    assert [(line.product_id, line.quantity, line.price) for line in order.lines] == [("pot", 2, 2000), ("lid", 1, 550)]


def test_an_order_told_twice_is_one_order(send: Send, conn: sa.Connection) -> None:
    send(bought(), bought())
    send(bought())
    assert (profile(conn).orders, profile(conn).spent) == (1, 4550)


@pytest.mark.parametrize(
    ("event", "more", "state", "orders_", "spent"),
    [
        ("Order Refunded", {}, "refunded", 1, 0),
        ("Order Refunded", {"total": 10}, "completed", 1, 3550),
        ("Order Refunded", {"products": [{"product_id": "pot", "quantity": 1, "price": 20}]}, "completed", 1, 2550),
        ("Order Refunded", {"total": 1000}, "refunded", 1, 0),
        ("Order Cancelled", {}, "cancelled", 0, 0),
        ("Order Updated", {"total": 50}, "completed", 1, 5000),
        ("Order Updated", {"products": [{"product_id": "x", "price": 1}]}, "completed", 1, 100),
    ],
)
def test_what_happens_to_an_order_happens_to_the_profile(
    send: Send, conn: sa.Connection, event: str, more: dict[str, Any], state: str, orders_: int, spent: int
) -> None:
    send(bought())
    send(track(event, minutes=1, order_id="o", **more))
    order = orders.get(conn, "o")
    assert order is not None and order.state == state
    assert (profile(conn).orders, profile(conn).spent) == (orders_, spent)


def test_a_refund_repeated_is_refunded_once(send: Send, conn: sa.Connection) -> None:
    send(bought())
    refund = {**track("Order Refunded", minutes=1, order_id="o", total=10), "messageId": "r"}
    send(refund, refund)
    send(refund)
    assert profile(conn).spent == 3550


def test_who_bought_since(send: Send, conn: sa.Connection) -> None:
    send(bought())
    customer = customers.find(conn, user_id="u") or 0
    assert orders.bought_since(conn, {customer: NOW - timedelta(hours=2)}) == {customer}
    assert orders.bought_since(conn, {customer: NOW}) == set()


# ------------------------------------------------------------------------------------------------- counting
def test_everything_is_counted_by_minute(send: Send, conn: sa.Connection, site: Source, now: datetime) -> None:
    view = {**track("Product Viewed", product_id="p"), "messageId": "m"}
    send(view, view, track("Product Viewed", product_id="p"))
    wrong = vocabulary.parse({"type": "track"}, source=site, received_at=now)
    assert isinstance(wrong, Refusal)
    ingest.ingest(conn, [], refused=[wrong], now=now)
    (minute,) = events.per_minute(conn, now - timedelta(minutes=1))
    assert (minute.accepted, minute.repeated, minute.refused) == (2, 1, 1)
    (kept,) = events.refused(conn)
    assert (kept.source, kept.reason) == ("site", "no_name")


# --------------------------------------------------------------------------------- batches and single calls
_PEOPLE = st.sampled_from(["u1", "u2", "u3", None])
_VISITORS = st.sampled_from(["a1", "a2", "a3", None])
_CALLS = st.builds(
    lambda kind, user, visitor, previous, address, token, thing, number: {
        "type": kind,
        "event": thing,
        "userId": user,
        "anonymousId": visitor if user or visitor else "a1",
        "previousId": previous,
        "traits": {"email": address, "last_name": address} if address else {},
        "context": {"device": {"token": token}} if token else {},
        "properties": {
            "product_id": f"p{number}",
            "cart_id": f"c{number}",
            "order_id": f"o{number}" if thing.startswith("Order") else None,
            "total": number,
            "price": 1,
        },
        "timestamp": (NOW - timedelta(hours=1) + timedelta(minutes=number)).isoformat(),
    },
    st.sampled_from(["track", "track", "identify", "alias"]),
    _PEOPLE,
    _VISITORS,
    st.sampled_from(["a1", "a2", "u1"]),
    st.sampled_from([None, "x@example.com", "y@example.com"]),
    st.sampled_from([None, None, "t1", "t2"]),
    st.sampled_from(["Product Added", "Product Viewed", "Order Completed", "Order Refunded", "Product Removed"]),
    st.integers(1, 3),
)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(calls=st.lists(_CALLS, min_size=1, max_size=10), trusted=st.booleans())
def test_a_batch_ends_where_single_calls_would_have(
    conn: sa.Connection, calls: list[dict[str, Any]], trusted: bool
) -> None:
    """Carts have ids here: who is who is settled for a whole batch before a cart is sought by its customer."""
    outcomes = []
    for size in (1, len(calls)):
        with conn.begin_nested() as savepoint:
            source = sources.source(conn, "site", channel="web", now=NOW, trusted=trusted)
            heard = [_event(source, call, number) for number, call in enumerate(calls)]
            for start in range(0, len(heard), size):
                ingest.ingest(conn, heard[start : start + size], now=NOW)
            outcomes.append(_world(conn))
            savepoint.rollback()
    assert outcomes[0] == outcomes[1]


def _event(source: Source, call: dict[str, Any], number: int) -> Event:
    event = vocabulary.parse({**call, "messageId": f"m{number}"}, source=source, received_at=NOW)
    assert isinstance(event, Event), event
    return event


def _world(conn: sa.Connection) -> dict[str, Any]:
    """Everything that is stored, with customers named by the first handle they hold instead of by number."""
    named = {
        row.id: row.handles
        for row in conn.execute(
            sa.text(
                "SELECT c.id, coalesce(string_agg(kind || ':' || value, ' ' ORDER BY kind, value), '') AS handles "
                "FROM customers c LEFT JOIN identities i ON i.customer_id = c.id GROUP BY c.id"
            )
        )
    }
    world: dict[str, Any] = {}
    for table, columns in {
        "identities": "kind, value, quarantined_at IS NOT NULL",
        "identity_claims": "kind, value",
        "events": "message_id, name",
        "carts": "cart_id, state, lines::text, value, order_id",
        "orders": "order_id, state, total, refunded",
        "order_lines": "order_id, line, product_id, quantity",
        "profiles": "events, product_views, cart_adds, orders, spent, first_order_at, last_order_at, web_last_at",
    }.items():
        rows = conn.execute(sa.text(f"SELECT customer_id, {columns} FROM {table}"))
        world[table] = sorted((named[row[0]], *map(str, row[1:])) for row in rows)
    people = conn.execute(
        sa.text("SELECT id, user_id, email, last_name, traits::text FROM customers WHERE merged_into IS NULL")
    )
    world["customers"] = sorted((named[row[0]], *map(str, row[1:])) for row in people)
    world["merges"] = sorted(conn.scalars(sa.text("SELECT concat(evidence->>'kind', evidence->>'value') FROM merges")))
    world["refused"] = conn.scalar(sa.text("SELECT count(*) FROM refused_events"))
    return world


# ---------------------------------------------------------------------------------------------- concurrency
def test_writers_of_the_same_people_lose_nothing(db: Database) -> None:
    with db.begin() as conn:
        source = sources.source(conn, "site", channel="web", now=NOW)
    queues = [ingest_queue.IngestQueue(db) for _ in range(3)]
    faults: list[Exception] = []

    def write(number: int) -> None:
        try:
            for turn in range(15):
                heard = [
                    _event(
                        source,
                        {
                            "type": "identify" if (turn + person) % 5 == 0 else "track",
                            **track(
                                "Product Added", f"u{person}", visitor=f"a{person % 4}", cart_id=f"c{person}", **pot()
                            ),
                        },
                        10_000 * number + 100 * turn + person,
                    )
                    for person in range(8)
                ]
                queues[number % 3].put(heard, now=NOW)
        except Exception as error:
            faults.append(error)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for queue in queues:
        queue.close()
    assert faults == []
    with db.begin() as conn:
        assert conn.scalar(sa.select(sa.func.sum(tables.profiles.c.events))) == 6 * 15 * 8
        added = conn.scalar(sa.select(sa.func.sum(tables.profiles.c.cart_adds)))
        assert conn.scalar(sa.text("SELECT sum((lines->0->>'quantity')::int) FROM carts")) == added
        assert len({customers.find(conn, user_id=f"u{person}") for person in range(8)}) == 8
