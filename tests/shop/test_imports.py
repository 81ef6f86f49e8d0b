"""Imports of every kind: what is stored, what is refused by line, and that repeating adds nothing."""

import csv
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pytest
import sqlalchemy as sa

from foundation.database import Database
from foundation.errors import Invalid
from shop import consent, customers, imports, tables

Import = Callable[[str, str], imports.Report]

FILES = {
    "products": "product_id,title,price,active\np1,Pot,19.99,yes\np2,Cup,3,\n",
    "stores": "store_id,name,latitude\n17,Lyon,45.7\n",
    "stock": "store_id,product_id,quantity\n17,p1,3\nweb,p1,0\n",
    "customers": 'user_id,email,first_name,traits\nu1,Ana@Example.com ,Ana,"{""size"": ""M""}"\nu2,,,\n',
    "consents": "user_id,channel,purpose,state,timestamp,source,text\nu1,email,marketing,granted,2026-01-02,form,Yes\n",
    "events": "event,user_id,timestamp,product_id\nProduct Viewed,u1,2026-03-01T10:00:00Z,p1\n",
    "orders": (
        "order_id,user_id,timestamp,product_id,quantity,price\no1,u1,2026-03-02,p1,2,5.00\no1,u1,2026-03-02,p2,1,3\n"
    ),
}


@pytest.fixture
def import_(db: Database, tmp_path: Path, now: datetime) -> Import:
    """Imports a text as a CSV file."""

    def run(kind: str, text: str) -> imports.Report:
        path = tmp_path / f"{kind}.csv"
        path.write_text(text, encoding="utf-8")
        return imports.run(db, kind, path=path, now=now, progress=lambda done, total: None)

    return run


def rows(db: Database, query: str) -> list[tuple[Any, ...]]:
    with db.begin() as conn:
        return [tuple(row) for row in conn.execute(sa.text(query))]


def everything(db: Database) -> dict[str, list[str]]:
    """All that imports write, without the moments of writing."""
    names = "customers identities profiles products stores stock events carts orders order_lines consent_log consents"
    skipped = "'updated_at', 'received_at', 'created_at', 'recorded_at', 'first_seen_at'"
    return {
        name: [row[0] for row in rows(db, f"SELECT (to_jsonb(t) - ARRAY[{skipped}])::text FROM {name} t ORDER BY 1")]
        for name in names.split()
    }


@pytest.mark.parametrize("kind", imports.KINDS)
def test_a_file_imported_twice_adds_nothing(db: Database, import_: Import, kind: str) -> None:
    first = import_(kind, FILES[kind])
    stored = everything(db)
    second = import_(kind, FILES[kind])
    assert (first.repeated, first.refused, second.accepted) == (0, 0, 0)
    assert second.repeated == first.accepted == FILES[kind].count("\n") - 1
    assert everything(db) == stored


def test_rows_of_one_order_become_one_order_with_a_line_each(db: Database, import_: Import) -> None:
    import_("orders", FILES["orders"])
    assert rows(db, "SELECT order_id, total, currency, channel, state FROM orders") == [
        ("o1", 1300, "EUR", "web", "completed")
    ]
    assert rows(db, "SELECT line, product_id, quantity, price FROM order_lines ORDER BY line") == [
        (1, "p1", 2, 500),
        (2, "p2", 1, 300),
    ]
    ((properties,),) = rows(db, "SELECT properties FROM events")
    assert properties["products"] == [
        {"product_id": "p1", "quantity": 2, "price": 5.0},
        {"product_id": "p2", "quantity": 1, "price": 3.0},
    ]
    assert rows(db, "SELECT events, orders, spent FROM profiles") == [(1, 1, 1300)]


def test_rows_of_one_order_may_stand_far_apart(db: Database, tmp_path: Path, now: datetime) -> None:
    table = pa.table(
        {
            "order_id": [f"o{n % 1000}" for n in range(150_000)],
            "user_id": [f"u{n % 1000}" for n in range(150_000)],
            "timestamp": ["2026-03-02T10:00:00Z"] * 150_000,
            "product_id": [f"p{n // 1000}" for n in range(150_000)],
            "price": ["1.50"] * 150_000,
            "attic": ["x" * 40] * 150_000,
        }
    )
    path = tmp_path / "orders.csv"
    pyarrow.csv.write_csv(table, path)
    report = imports.run(db, "orders", path=path, now=now, progress=lambda done, total: None)
    assert (report.accepted, report.unknown_columns) == (150_000, ("attic",))
    assert rows(db, "SELECT count(*), min(total), max(total) FROM orders") == [(1000, 22_500, 22_500)]
    lines = "SELECT count(*), count(DISTINCT product_id), max(line) FROM order_lines WHERE order_id = 'o7'"
    assert rows(db, lines) == [(150, 150, 150)]
    assert rows(db, "SELECT product_id FROM order_lines WHERE order_id = 'o7' AND line = 150") == [("p149",)]


def test_a_line_of_a_stored_order_is_a_repeat(db: Database, import_: Import) -> None:
    import_("orders", FILES["orders"])
    report = import_("orders", FILES["orders"] + "o1,u1,2026-03-02,p9,1,9\n")
    assert (report.accepted, report.repeated) == (0, 3)
    assert rows(db, "SELECT total FROM orders") == [(1300,)]


def test_one_product_twice_in_an_order_is_one_line(db: Database, import_: Import) -> None:
    import_("orders", FILES["orders"] + "o1,u1,2026-03-02,p1,3,5.00\no1,u1,2026-03-02,p0,0,1\n")
    assert rows(db, "SELECT line, product_id, quantity FROM order_lines ORDER BY line") == [(1, "p1", 5), (2, "p2", 1)]


def test_ids_with_quotes_backslashes_and_sql_come_back_as_they_were(db: Database, import_: Import) -> None:
    wanted = ['a"b', "a\\b", "a,b", "{NULL}", "NULL", "'; DROP TABLE orders; --", "é€😀"]
    cells = ['"' + name.replace('"', '""') + '"' for name in wanted]
    import_("orders", "order_id,user_id,timestamp,product_id\n" + "".join(f"o1,u1,2026-01-01,{c}\n" for c in cells))
    assert [row[0] for row in rows(db, "SELECT product_id FROM order_lines ORDER BY line")] == wanted
    ((products,),) = rows(db, "SELECT properties->'products' FROM events")
    assert [product["product_id"] for product in products] == wanted


def test_bad_rows_are_refused_by_line_column_and_reason_and_the_rest_kept(
    import_: Import, db: Database, tmp_path: Path
) -> None:
    report = import_(
        "events",
        "event,user_id,timestamp,quantity,price,currency,channel,properties,message_id\n"
        ",u1,2026-01-01,,,,,,\n"
        "View,,2026-01-01,,,,,,\n"
        'View,u1,yesterday,,,,,,"spans\ntwo lines"\n'
        "View,u1,1999-12-31,,,,,,\n"
        "View,u1,2026-11-23,,,,,,\n"
        "View,u1,2026-01-01,-1,,,,,\n"
        "View,u1,2026-01-01,1.5,,,,,\n"
        "View,u1,2026-01-01,,cheap,,,,\n"
        "View,u1,2026-01-01,,-1,,,,\n"
        "View,u1,2026-01-01,,1,euros,,,\n"
        "View,u1,2026-01-01,,,,shop,,\n"
        "View,u1,2026-01-01,,,,,[1],\n"
        "Order Completed,u1,2026-01-01,,,,,,\n"
        f"View,{'u' * 256},2026-01-01,,,,,,\n"
        "View,u1\n"
        "View,u1,2026-01-01,2,1.50,eur,app,{},\n",
    )
    assert (report.accepted, report.refused) == (1, 15)
    assert report.refused_file == tmp_path / "events.csv.refused.csv"
    with report.refused_file.open(newline="") as file:
        refused = {int(row["line"]): row["reason"].split(":")[0] for row in csv.DictReader(file)}
    assert refused == {
        2: "event",
        3: "user_id",
        4: "timestamp",
        6: "timestamp",
        7: "timestamp",
        8: "quantity",
        9: "quantity",
        10: "price",
        11: "price",
        12: "currency",
        13: "channel",
        14: "properties",
        15: "order_id",
        16: "user_id",
        17: "has 2 cells where the header has 9",
    }


def test_consents_and_customers_name_their_faults(import_: Import) -> None:
    consents = import_("consents", FILES["consents"] + "u1,email,marketing,maybe,2026-01-01,form,\nu1,fax,,,,,\n")
    people = import_("customers", "user_id,email,birth_year\nu1,not an address,\n,a@b.example,\nu2,,1066\nu3,,1980\n")
    assert (consents.accepted, consents.refused) == (1, 2)
    assert (people.accepted, people.refused) == (1, 3)


def test_formula_cells_are_made_harmless_in_the_refused_file(import_: Import) -> None:
    report = import_("stores", "store_id,name,latitude\n=1+1,@SUM(A1),north\n-1,+1,north\n")
    assert report.refused_file is not None
    lines = report.refused_file.read_text().splitlines()
    assert [line.split(",", 1)[1].rpartition(" 90,")[2] for line in lines[1:]] == [
        "'=1+1,'@SUM(A1),north",
        "'-1,'+1,north",
    ]


def test_a_clean_second_run_leaves_no_refused_file(import_: Import, tmp_path: Path) -> None:
    import_("stores", "store_id,latitude\n1,north\n")
    report = import_("stores", "store_id,latitude\n1,45\n")
    assert report.refused_file is None
    assert not (tmp_path / "stores.csv.refused.csv").exists()


def test_a_file_without_a_required_column_is_invalid(import_: Import) -> None:
    with pytest.raises(Invalid) as caught:
        import_("orders", "order_id,timestamp\no1,2026-01-01\n")
    assert [fault.pointer for fault in caught.value.faults] == ["user_id", "product_id"]


def test_customers_keep_what_the_file_does_not_say(db: Database, import_: Import) -> None:
    import_("customers", FILES["customers"])
    again = import_("customers", "user_id,email,first_name,traits\nu1,,Anna,\n")
    assert again.accepted == 1
    with db.begin() as conn:
        customer = customers.record(conn, customers.find(conn, email="ana@example.com") or 0).customer
    assert (customer.first_name, customer.email, customer.traits) == ("Anna", "ana@example.com", {"size": "M"})


def test_the_newest_consent_stands_whatever_the_order_of_the_file(db: Database, import_: Import) -> None:
    header = "user_id,channel,purpose,state,timestamp,source\n"
    import_(
        "consents", header + "u1,email,marketing,denied,2026-05-01,form\nu1,email,marketing,granted,2026-01-01,form\n"
    )
    with db.begin() as conn:
        customer = customers.find(conn, user_id="u1") or 0
        assert consent.states(conn, [customer], channel="email")[customer] == consent.State.DENIED
        assert len(consent.history(conn, customer)) == 2


def test_progress_reaches_the_whole_file(db: Database, tmp_path: Path, now: datetime) -> None:
    for kind, text in FILES.items():
        path = tmp_path / f"{kind}.csv"
        path.write_text(text)
        seen: list[tuple[int, int | None]] = []
        imports.run(db, kind, path=path, now=now, progress=lambda done, total, seen=seen: seen.append((done, total)))
        assert seen[-1] == (path.stat().st_size, path.stat().st_size)
        assert [done for done, _ in seen] == sorted(done for done, _ in seen)


def test_times_are_read_in_every_iso_form(db: Database, import_: Import) -> None:
    forms = ["2026-03-02T10:00:00Z", "2026-03-02 12:00:00+02:00", "2026-03-02T10:00", "2026-03-02T05:00:00.123-0500"]
    import_("events", "event,user_id,timestamp\n" + "".join(f"E{n},u1,{form}\n" for n, form in enumerate(forms)))
    expected = datetime(2026, 3, 2, 10, tzinfo=UTC)
    moments = [row[0] for row in rows(db, "SELECT occurred_at FROM events ORDER BY name")]
    assert [abs(moment - expected) < timedelta(seconds=1) for moment in moments] == [True] * 4
    assert rows(db, "SELECT sum(accepted) FROM event_counts") == [(4,)]
    assert rows(db, f"SELECT count(*) FROM {tables.sources.name} WHERE name = 'import'") == [(1,)]
