"""Products: rows checked one by one, merged together."""

from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from shop import baskets, catalogue

POT = {"product_id": "pot-1", "title": "Cast-iron pot", "price": "189.00", "category": "Kitchen>Pots  "}


def put(conn: sa.Connection, *rows: dict[str, Any], now: datetime) -> list[catalogue.RowResult]:
    return catalogue.put(conn, rows, now=now)


def test_a_product_is_stored_with_its_price_in_minor_units(conn: sa.Connection, now: datetime) -> None:
    results = put(conn, POT, now=now)
    pot = catalogue.get_many(conn, ["pot-1", "unknown"])["pot-1"]
    assert results == [catalogue.RowResult(index=0, ok=True, changed=True)]
    assert (pot.price, pot.currency, pot.category, pot.active) == (18900, "EUR", "Kitchen > Pots", True)


def test_a_yen_price_has_no_decimals(conn: sa.Connection, now: datetime) -> None:
    put(conn, POT | {"price": 1200, "currency": "jpy"}, now=now)
    assert catalogue.get_many(conn, ["pot-1"])["pot-1"].price == 1200


def test_the_same_row_again_changes_nothing(conn: sa.Connection, now: datetime) -> None:
    put(conn, POT, now=now)
    again = put(conn, POT, now=now + timedelta(days=1))
    assert again == [catalogue.RowResult(index=0, ok=True, changed=False)]


def test_an_address_copied_out_of_html_is_kept_as_it_is_meant(conn: sa.Connection, now: datetime) -> None:
    for written, meant in (
        ("https://x.example/p?a=1&amp;b=2&amp;amp;c=3&#038;d=4", "https://x.example/p?a=1&b=2&c=3&d=4"),
        ("https://x.example/p?a=1&copy=2&lt=3#amp;", "https://x.example/p?a=1&copy=2&lt=3#amp;"),
    ):
        put(conn, POT | {"url": written, "image_url": written}, now=now)
        pot = catalogue.get_many(conn, ["pot-1"])["pot-1"]
        assert (pot.url, pot.image_url, baskets.web_address(written)) == (meant, meant, meant)


def test_fields_that_are_not_given_stay_and_null_empties_them(conn: sa.Connection, now: datetime) -> None:
    put(conn, POT | {"brand": "Aubier"}, now=now)
    put(conn, {"product_id": "pot-1", "title": "Pot", "brand": None}, now=now)
    pot = catalogue.get_many(conn, ["pot-1"])["pot-1"]
    assert (pot.title, pot.price, pot.brand) == ("Pot", 18900, None)


def test_bad_rows_are_named_and_good_ones_kept(conn: sa.Connection, now: datetime) -> None:
    results = put(
        conn,
        {"title": "No id"},
        POT,
        POT | {"product_id": "x", "price": "-1", "url": "javascript:alert(1)", "colour": "red", "title": "a\0b"},
        now=now,
    )
    assert [result.ok for result in results] == [False, True, False]
    assert [fault.pointer for fault in results[0].faults] == ["/product_id"]
    assert {fault.pointer for fault in results[2].faults} == {"/price", "/url", "/colour", "/title"}


def test_the_later_of_two_rows_with_one_id_counts(conn: sa.Connection, now: datetime) -> None:
    results = put(conn, POT, POT | {"title": "Later"}, now=now)
    assert [result.ok for result in results] == [True, True]
    assert catalogue.get_many(conn, ["pot-1"])["pot-1"].title == "Later"


def test_search_finds_words_within_a_category_and_pages_by_id(conn: sa.Connection, now: datetime) -> None:
    many = [{"product_id": f"p{n}", "title": f"Blue cup {n}%", "category": "Kitchen > Cups"} for n in range(3)]
    put(conn, POT, *many, {"product_id": "off", "title": "Blue cup", "active": "no"}, now=now)
    first = catalogue.search(conn, "cup blue", category="Kitchen", limit=2)
    second = catalogue.search(conn, "cup blue", category="Kitchen", limit=2, after=first[-1].product_id)
    assert [p.product_id for p in first + second] == ["p0", "p1", "p2"]
    assert catalogue.search(conn, "2%")[0].product_id == "p2"
    assert catalogue.categories(conn) == {"Kitchen > Cups": 3, "Kitchen > Pots": 1}
