"""Interactions from the database and from files."""

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import orjson
import pyarrow as pa
import pytest
from pyarrow import csv, parquet

from foundation.database import Database
from foundation.errors import Invalid
from recommender import interaction_files, interactions
from recommender.algorithms.base import Kind
from tests.recommender.conftest import Shop


class TestTheDatabase:
    def test_gives_views_baskets_and_orders_of_every_channel_oldest_first(
        self, db: Database, shop: Shop, now: datetime
    ) -> None:
        shop.product("pan", category="Kitchen > Pans")
        shop.order("ann", ["pan"], days_ago=1)
        shop.event("ann", "Product Viewed", "pan", days_ago=3)
        shop.event("bob", "Product Added", "pan", days_ago=2)
        found = interactions.load(db, now=now)
        assert found.kinds.tolist() == [Kind.VIEW, Kind.ADD, Kind.ORDER]
        assert found.product_ids == ("pan",) and found.category_names == ("Kitchen > Pans",)
        assert found.customers[0] == found.customers[2] != found.customers[1]
        assert found.times[-1] == int((now.timestamp() - 86_400) * 1e6)

    def test_leaves_out_what_was_undone_what_is_to_come_and_what_the_catalogue_does_not_hold(
        self, db: Database, shop: Shop, now: datetime
    ) -> None:
        shop.product("pan")
        shop.order("ann", ["pan"], days_ago=1, state="cancelled")
        shop.order("ann", ["pan"], days_ago=1, quantity=-1)
        shop.order("ann", ["pan"], days_ago=-1)
        shop.order("ann", ["unknown"], days_ago=1)
        shop.event("ann", "Cart Viewed", "pan")
        assert len(interactions.load(db, now=now).times) == 0

    def test_leaves_out_machines_which_look_at_everything_and_order_nothing(
        self, db: Database, shop: Shop, now: datetime
    ) -> None:
        shop.product("pan")
        for name in ("crawler", "ann"):
            shop.event(name, "Product Viewed", "pan")
        shop.repeat_events(interactions.MACHINE)
        shop.order("ann", ["pan"], days_ago=1)
        found = interactions.load(db, now=now)
        assert len(set(found.customers.tolist())) == 1
        assert len(found.times) == interactions.MACHINE + 2

    def test_say_where_and_for_how_much_and_what_the_products_are(
        self, db: Database, shop: Shop, now: datetime
    ) -> None:
        shop.product("pan", brand="Mauviel")
        shop.product("tea", price=None)
        shop.store("lyon")
        shop.order("ann", ["pan"], days_ago=2, store_id="lyon", price=1750)
        shop.event("ann", "Product Viewed", "tea", days_ago=1)
        found = interactions.load(db, now=now)
        assert [found.channel_names[code] for code in found.channels] == ["store", "web"]
        assert found.stores.tolist() == [0, -1] and found.store_names == ("lyon",)
        assert found.prices[0] == 17.5 and np.isnan(found.prices[1])
        assert found.product_prices[0] == 19.9 and np.isnan(found.product_prices[1])
        assert found.brands.tolist() == [0, -1]

    def test_that_nobody_told_are_empty(self, db: Database, shop: Shop, now: datetime) -> None:
        shop.product("pan", price=None)
        shop.order("ann", ["pan"], days_ago=2)
        found = interactions.load(db, now=now)
        assert [len(column) for column in (found.stores, found.prices, found.brands, found.product_prices)] == [0] * 4

    def test_count_a_repeated_order_line_once_and_repeated_orders_each_time(
        self, db: Database, shop: Shop, now: datetime
    ) -> None:
        shop.product("pan")
        shop.order("ann", ["pan", "pan"], days_ago=3)
        shop.order("ann", ["pan"], days_ago=1)
        assert len(interactions.load(db, now=now).times) == 2

    def test_larger_than_one_read_are_read_whole(
        self, db: Database, shop: Shop, now: datetime, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        shop.product("pan")
        shop.event("ann", "Product Viewed", "pan")
        shop.repeat_events(1_000)
        monkeypatch.setattr(interactions, "PAGES", 2)
        assert len(interactions.load(db, now=now).times) == 1_001

    def test_of_an_empty_shop_are_none(self, db: Database, now: datetime) -> None:
        assert len(interactions.load(db, now=now).times) == 0


ROWS = [
    {"user_id": "u1", "product_id": "b", "timestamp": "2026-01-02T10:00:00+01:00", "event": "Product Viewed"},
    {"user_id": "u1", "product_id": "a", "timestamp": "2026-01-02T08:00:00", "event": "Order Completed"},
    {"user_id": "u2", "product_id": "a", "timestamp": "2026-01-03T08:00:00Z", "event": "Wiped"},
    {"user_id": "u2", "product_id": "a", "timestamp": None, "event": "Order Completed"},
]


class TestAFile:
    def test_reads_the_same_from_csv_json_lines_and_parquet(self, tmp_path: Path) -> None:
        table = pa.Table.from_pylist(ROWS)
        parquet.write_table(table, tmp_path / "rows.parquet")
        csv.write_csv(table, tmp_path / "rows.csv")
        (tmp_path / "rows.jsonl").write_text("\n".join(orjson.dumps(row).decode() for row in ROWS))
        for name in ("rows.parquet", "rows.csv", "rows.jsonl"):
            found = interaction_files.read(tmp_path / name).interactions
            assert [found.product_ids[number] for number in found.products] == ["a", "b"], name
            assert found.kinds.tolist() == [Kind.ORDER, Kind.VIEW]
            assert (found.times[1] - found.times[0]) / 3.6e9 == 1  # 08:00 UTC, then 10:00 in Paris

    def test_knows_its_test_rows_and_visits(self, tmp_path: Path) -> None:
        rows = [row | {"session_id": "s", "set": "test"} for row in ROWS[:2]]
        parquet.write_table(pa.Table.from_pylist(rows), tmp_path / "rows.parquet")
        found = interaction_files.read(tmp_path / "rows.parquet")
        assert found.visits and found.marked is not None and found.marked.all()

    def test_without_an_event_is_of_orders(self, tmp_path: Path) -> None:
        (tmp_path / "rows.csv").write_text("user_id,product_id,timestamp,extra\n1,2,2026-01-01T00:00:00Z,x\n")
        assert interaction_files.read(tmp_path / "rows.csv").interactions.kinds.tolist() == [Kind.ORDER]

    def test_may_say_where_for_how_much_and_what_the_products_are(self, tmp_path: Path) -> None:
        (tmp_path / "rows.csv").write_text(
            "user_id,product_id,timestamp,category,brand,price,channel,store_id\n"
            "1,a,2026-01-01,Tea,Kusmi,4.5,web,\n1,a,2026-01-03,Tea > Green,,5,store,lyon\n1,b,2026-01-02,,,,,\n"
        )
        found = interaction_files.read(tmp_path / "rows.csv").interactions
        assert [found.category_names[code] if code >= 0 else None for code in found.categories] == ["Tea > Green", None]
        assert found.brands.tolist() == [0, -1]
        assert found.product_prices[0] == 5 and np.isnan(found.product_prices[1])
        assert [found.channel_names[code] if code >= 0 else None for code in found.channels] == ["web", None, "store"]
        assert found.stores.tolist() == [-1, -1, 0]

    def test_reads_times_with_and_without_a_zone_beside_each_other(self, tmp_path: Path) -> None:
        (tmp_path / "rows.csv").write_text(
            "user_id,product_id,timestamp\n1,a,2026-01-01T02:00:00+02:00\n2,b,2026-01-01 00:00:00\n"
        )
        times = interaction_files.read(tmp_path / "rows.csv").interactions.times
        assert times[0] == times[1]

    def test_counts_a_repeated_order_line_once(self, tmp_path: Path) -> None:
        (tmp_path / "rows.csv").write_text("user_id,product_id,timestamp\n" + "1,a,2026-01-01T10:00:00Z\n" * 3)
        assert len(interaction_files.read(tmp_path / "rows.csv").interactions.times) == 1

    def test_leaves_out_what_came_later_or_was_no_purchase_and_counts_it(self, tmp_path: Path) -> None:
        rows = ["1,a,2026-01-01T10:00:00Z,1", "1,a,2026-01-02T10:00:00Z,-1", "2,b,2090-01-01T00:00:00Z,1"]
        (tmp_path / "rows.csv").write_text("\n".join(["user_id,product_id,timestamp,quantity", *rows]))
        every = interaction_files.read(tmp_path / "rows.csv")
        known = interaction_files.read(tmp_path / "rows.csv", until=datetime(2026, 7, 1, tzinfo=UTC))
        assert (every.left_out, known.left_out) == (1, 2)
        assert (every.interactions.customer_count, known.interactions.customer_count) == (2, 1)

    def test_takes_an_empty_cell_as_nothing_said(self, tmp_path: Path) -> None:
        head = "user_id,product_id,timestamp,event,order_id,quantity,session_id,set"
        (tmp_path / "rows.csv").write_text(f"{head}\n1,2,2026-01-01,,,,,\n,2,2026-01-01,,,,,\n")
        found = interaction_files.read(tmp_path / "rows.csv")
        assert found.interactions.kinds.tolist() == [Kind.ORDER]
        assert not found.visits and found.marked is None

    @pytest.mark.parametrize(
        ("name", "text", "named"),
        [
            ("rows.csv", "user_id,when\n1,2\n", ["product_id", "timestamp"]),
            ("rows.csv", "user_id,product_id,timestamp\n1,2,yesterday\n", ["timestamp"]),
            ("rows.csv", "user_id,product_id,timestamp,quantity\n1,2,2026-01-01,many\n", ["quantity"]),
            ("rows.csv", "user_id,product_id,timestamp,price\n1,2,2026-01-01,dear\n", ["price"]),
            ("rows.txt", "", ["rows.txt"]),
            ("rows.parquet", "no parquet", ["rows.parquet"]),
            ("rows.jsonl", "{not json", ["rows.jsonl"]),
        ],
    )
    def test_that_cannot_be_read_is_refused_by_name(
        self, tmp_path: Path, name: str, text: str, named: list[str]
    ) -> None:
        (tmp_path / name).write_text(text)
        with pytest.raises(Invalid) as refused:
            interaction_files.read(tmp_path / name)
        assert [fault.pointer for fault in refused.value.faults] == named
