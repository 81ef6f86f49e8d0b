"""The demo shop's data: real purchases, readable words, and files our own import takes whole."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
import sqlalchemy as sa

from app.demo import invented, purchases
from foundation.database import Database
from shop import catalogue, consent, finding, imports, stores

NOW = datetime(2026, 11, 21, 10, 0, tzinfo=UTC)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return purchases.write(tmp_path_factory.mktemp("demo"), base_url="http://shop.example", now=NOW)


def test_the_last_purchase_is_of_today_and_none_is_in_the_future(files: dict[str, Path]) -> None:
    times = pq.read_table(files["orders"], columns=["timestamp"])["timestamp"]
    assert len(times) == 1_469_307
    assert pc.max(times).as_py().date() == NOW.date()
    assert pc.max(times).as_py().replace(tzinfo=UTC) < NOW


def test_the_same_household_is_always_the_same_person(files: dict[str, Path], tmp_path: Path) -> None:
    again = purchases.write(tmp_path, base_url="http://shop.example", now=NOW + timedelta(hours=1))
    for kind in ("customers", "consents", "stores", "stock", "products"):
        assert pq.read_table(files[kind]).equals(pq.read_table(again[kind])), kind


def test_everything_but_the_orders_is_imported_without_a_refusal(db: Database, files: dict[str, Path]) -> None:
    for kind in purchases.ORDER_OF_IMPORT[:-1]:
        report = imports.run(db, kind, path=files[kind], now=NOW, progress=lambda done, total: None)
        assert (report.refused, report.repeated, report.unknown_columns) == (0, 0, ()), kind
    with db.begin() as conn:
        banana = catalogue.search(conn, "bananas", limit=1)[0]
        assert not catalogue.search(conn, "gasoline", limit=1)
        assert (banana.category, banana.currency, banana.active) == (
            "Fruit and vegetables > Tropical fruit",
            "EUR",
            True,
        )
        assert banana.url == f"http://shop.example/demo/product/{banana.product_id}"
        shops = stores.list_all(conn)
        assert len(shops) == 457
        assert all(shop.hours and shop.latitude and shop.longitude for shop in shops), "a customer may find each, open"
        assert len({shop.hours for shop in shops}) == 4
        people = finding.search(conn, "", limit=3000).customers
        said = consent.states(conn, [person.id for person in people], channel="email")
        granted = sum(state == consent.State.GRANTED for state in said.values())
    assert len(people) == 2469
    assert 0.75 < granted / len(people) < 0.85


def test_orders_name_their_store_unless_they_came_by_web_or_app(files: dict[str, Path]) -> None:
    orders = pq.read_table(files["orders"], columns=["channel", "store_id", "coupon"])
    channel, store = orders["channel"].cast("string"), orders["store_id"]
    assert pc.all(pc.equal(pc.equal(channel, "store"), pc.is_valid(store))).as_py()
    assert set(pc.unique(channel).to_pylist()) == {"store", "web", "app"}
    assert pc.sum(pc.is_valid(orders["coupon"])).as_py() > 1000


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (("ICE - CRUSHED/CUBED", "FRZN ICE", "22 LB"), "Ice, crushed/cubed 22 LB"),
        (("BREAD:ITALIAN/FRENCH", "BREAD", None), "Bread, italian/french"),
        (("TEA BAGS & BULK TEA (SUPPLEMEN", "TEAS", "20 CT"), "Tea bags and bulk tea 20 CT"),
        ((None, "SALD DRSNG/SNDWCH SPRD", None), "Salad dressing/sandwich spread"),
    ],
)
def test_titles_are_readable(given: tuple[str | None, str, str | None], expected: str) -> None:
    product_type, category, size = given
    assert invented.title(product_type, category, size=size) == expected


def test_the_shop_moves_with_its_address(conn: sa.Connection, now: datetime) -> None:
    row = {"product_id": "1", "title": "Rye bread", "url": "http://localhost:8000/demo/product/1"}
    catalogue.put(conn, [row | {"image_url": "http://localhost:8000/demo/images/bread.png"}], now=now)
    purchases.rehome(conn, "http://localhost:8080")
    moved = catalogue.get_many(conn, ["1"])["1"]
    assert (moved.url, moved.image_url) == (
        "http://localhost:8080/demo/product/1",
        "http://localhost:8080/demo/images/bread.png",
    )
