"""Places of sale and their stock."""

from datetime import datetime, timedelta

import pytest
import sqlalchemy as sa

from shop import stores
from shop.tables import customers, orders


def test_a_store_is_kept_with_its_place(conn: sa.Connection, now: datetime) -> None:
    row = {"store_id": "17", "name": "Lyon", "latitude": "45.76", "longitude": 4.83, "timezone": "Europe/Paris"}
    assert [result.ok for result in stores.put(conn, [row], now=now)] == [True]
    store = stores.get(conn, "17")
    assert store is not None
    assert (store.latitude, store.timezone) == (45.76, "Europe/Paris")
    assert stores.list_all(conn) == [store]


def test_a_place_off_the_map_and_an_unknown_time_zone_are_refused(conn: sa.Connection, now: datetime) -> None:
    bad = {"store_id": "17", "latitude": 91, "longitude": "nan", "timezone": "Mars/Olympus"}
    (result,) = stores.put(conn, [bad], now=now)
    assert {fault.pointer for fault in result.faults} == {"/latitude", "/longitude", "/timezone"}


def test_a_product_is_in_stock_where_some_are_left_or_nobody_counts(conn: sa.Connection, now: datetime) -> None:
    rows = [
        {"store_id": "lyon", "product_id": "pot", "quantity": 2},
        {"store_id": "web", "product_id": "pot", "quantity": "0"},
        {"store_id": "web", "product_id": "cup", "quantity": 0},
    ]
    stores.put_stock(conn, rows, now=now)
    wanted = ["pot", "cup", "uncounted"]
    assert stores.in_stock(conn, wanted) == {"pot", "uncounted"}
    assert stores.in_stock(conn, wanted, store_id="lyon") == {"pot", "uncounted"}
    assert stores.in_stock(conn, wanted, store_id="web") == {"uncounted"}


def test_a_negative_or_broken_quantity_is_refused(conn: sa.Connection, now: datetime) -> None:
    rows = [{"store_id": "web", "product_id": "pot", "quantity": given} for given in (-1, "1.5", "many", 3_000_000_000)]
    results = stores.put_stock(conn, rows, now=now)
    assert [[fault.pointer for fault in result.faults] for result in results] == [["/quantity"]] * 4


# ------------------------------------------------------------------------------------------------ her own
PARIS = {"latitude": 48.86, "longitude": 2.35}


def person(conn: sa.Connection, user: str, now: datetime, **traits: object) -> int:
    values = {"user_id": user, "traits": traits, "created_at": now, "updated_at": now}
    return int(conn.execute(sa.insert(customers).values(**values).returning(customers.c.id)).scalar_one())


def bought(conn: sa.Connection, customer: int, at: datetime, *where: str, state: str = "placed") -> None:
    """One order in each of these stores."""
    for number, store in enumerate(where):
        order = {"order_id": f"{customer}-{store}-{number}-{state}", "customer_id": customer, "origin_id": customer}
        money = {"channel": "store", "store_id": store, "state": state, "total": 100, "currency": "EUR"}
        conn.execute(sa.insert(orders).values(**order, **money, ordered_at=at, received_at=at))


@pytest.fixture
def three(conn: sa.Connection, now: datetime) -> None:
    places = (("paris", 48.85, 2.34), ("lyon", 45.76, 4.84), ("lille", 50.63, 3.06))
    rows = [{"store_id": name, "latitude": lat, "longitude": lon} for name, lat, lon in places]
    assert all(result.ok for result in stores.put(conn, [*rows, {"store_id": "web"}], now=now))


@pytest.mark.parametrize(
    ("traits", "orders_in", "own"),
    [
        ({"favorite_store": "lille", **PARIS}, ("lyon", "lyon"), "lille"),
        ({"favorite_store": "closed", **PARIS}, ("lyon", "lyon", "paris"), "lyon"),
        (PARIS, (), "paris"),
        ({"latitude": "48.86", "longitude": "2.35"}, ("closed",), "paris"),
        ({"latitude": 43.3, "longitude": 5.37}, (), None),
        ({"latitude": "1e400", "longitude": ["x"]}, (), None),
        ({"latitude": 48.86}, (), None),
        ({}, (), None),
    ],
)
def test_her_own_store_is_her_favourite_else_where_she_buys_else_the_nearest(
    conn: sa.Connection, now: datetime, three: None, traits: dict[str, object], orders_in: tuple[str, ...], own: str
) -> None:
    ada = person(conn, "ada", now, **traits)
    bought(conn, ada, now, *orders_in)
    found = stores.hers(conn, [ada, ada])
    assert {customer: store.store_id for customer, store in found.items()} == ({ada: own} if own else {})


def test_a_cancelled_order_makes_no_store_hers_and_of_two_alike_the_later_is(
    conn: sa.Connection, now: datetime, three: None
) -> None:
    ada, bea = person(conn, "ada", now, **PARIS), person(conn, "bea", now)
    bought(conn, ada, now, "lyon", "lyon", state="cancelled")
    bought(conn, bea, now - timedelta(days=1), "lille")
    bought(conn, bea, now, "lyon")
    assert {key: one.store_id for key, one in stores.hers(conn, [ada, bea]).items()} == {ada: "paris", bea: "lyon"}
    assert stores.hers(conn, []) == {}
