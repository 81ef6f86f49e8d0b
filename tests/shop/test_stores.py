"""Places of sale and their stock."""

from datetime import datetime

import sqlalchemy as sa

from shop import stores


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
