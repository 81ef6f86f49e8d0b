"""Sources in the console: keys rolled, refused events mended and sent again, files with their columns named, goods."""

import io
import re
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import orjson
import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient

from app import file_imports, parts, security
from foundation.database import Database
from foundation.errors import Conflict
from shop import ingest, replays, sources, tables, vocabulary
from shop.vocabulary import PAYLOAD_KEPT
from tests.app import console_world

NOW = datetime.now(UTC)
GOOD = {"type": "track", "event": "Product Viewed", "userId": "ada", "properties": {"product_id": "p-1"}}


def _refuse(db: Database, payload: dict[str, object]) -> int:
    """An event turned away, as the tracking API does."""
    with db.begin() as conn:
        source = sources.source(conn, "site", channel="web", now=NOW)
        refused = vocabulary.parse(payload, source=source, received_at=NOW)
        assert isinstance(refused, vocabulary.Refusal)
        ingest.ingest(conn, [], refused=[refused], now=NOW)
        return int(conn.scalar(sa.select(sa.func.max(tables.refused_events.c.id))) or 0)


def _kept(db: Database, table: sa.Table) -> int:
    with db.begin() as conn:
        return int(conn.scalar(sa.select(sa.func.count()).select_from(table)) or 0)


# ---------------------------------------------------------------------------------------------- refused events
def test_a_mended_event_is_taken_in_once(ines: FlaskClient, db: Database) -> None:
    number = _refuse(db, {**GOOD, "event": ""})
    mended = {"payload": orjson.dumps({**GOOD, "messageId": "m-1"}).decode()}
    page = console_world.post(ines, f"/console/sources/refused/{number}/replay", mended, on="/console/account")
    assert page.status_code == 200 and "The event is taken in." in page.text
    assert (_kept(db, tables.events), _kept(db, tables.refused_events)) == (1, 0)
    again = console_world.post(ines, f"/console/sources/refused/{number}/replay", mended, on="/console/account")
    assert again.status_code == 404
    assert _kept(db, tables.events) == 1


@pytest.mark.parametrize("payload", ['{"type": "track"', '{"type": "track", "event": "<b>"}', "[]"])
def test_what_is_refused_again_stays_and_keeps_what_was_typed(ines: FlaskClient, db: Database, payload: str) -> None:
    number = _refuse(db, {**GOOD, "event": ""})
    sent = {"payload": payload}
    page = console_world.post(ines, f"/console/sources/refused/{number}/replay", sent, on="/console/account")
    assert page.status_code == 422 and 'id="tried-fault"' in page.text
    assert (_kept(db, tables.events), _kept(db, tables.refused_events)) == (0, 1)


def test_all_are_tried_again_and_those_still_wrong_or_cut_stay(db: Database) -> None:
    good = {"payload": orjson.dumps(GOOD).decode()}
    for _ in range(3):
        _refuse(db, {**GOOD, "event": ""})
    with db.begin() as conn:
        lowest = conn.scalar(sa.select(sa.func.min(tables.refused_events.c.id)))
        conn.execute(sa.update(tables.refused_events).where(tables.refused_events.c.id > lowest).values(good))
        cut = {"payload": "x" * PAYLOAD_KEPT}
        conn.execute(sa.update(tables.refused_events).where(tables.refused_events.c.id == lowest + 1).values(cut))
    with db.begin() as conn:
        assert replays.replay_all(conn, now=NOW) == (1, None)
    assert (_kept(db, tables.events), _kept(db, tables.refused_events)) == (1, 2)


# ---------------------------------------------------------------------------------------------------- keys
def test_a_rolled_key_leaves_the_old_one_at_work(ines: FlaskClient, db: Database, make_key: Callable[..., str]) -> None:
    old = make_key("write", name="site")
    page = ines.get("/console/sources").text
    (number,) = re.findall(r"/keys/(\d+)/roll", page)
    shown = console_world.post(ines, f"/console/sources/keys/{number}/roll", on="/console/account").text
    (new,) = re.findall(r'id="new-key">([^<]+)<', shown)
    assert new != old and f"{old[:9]}…" in shown
    with ines.application.app_context():
        found = [security.find_key(db, text) for text in (old, new)]
    assert found[0] and found[1] and found[0].source == found[1].source


# --------------------------------------------------------------------------------------------------- files
def _hand_in(client: FlaskClient, kind: str, name: str, content: bytes) -> str:
    token = re.findall(r'name="csrf_token" value="(\w+)"', client.get("/console/sources/imports").text)[0]
    data = {"csrf_token": token, "kind": kind, "file": (io.BytesIO(content), name)}
    answer = client.post("/console/sources/imports", data=data, content_type="multipart/form-data")
    return str(answer.headers.get("Location") or answer.text)


def _read(client: FlaskClient, path: str, columns: dict[str, str], *, dry: bool) -> str:
    """Reads a file with these columns, and waits for its report."""
    given = {f"column/{n}": ours for n, ours in columns.items()} | ({"dry": "1"} if dry else {})
    assert console_world.post(client, path, given, on="/console/account").status_code == 303
    for _ in range(300):
        page = client.get(f"{path}/progress").text
        if "hx-get" not in page:
            return page
        time.sleep(0.05)
    raise AssertionError("it never ended")


CUSTOMERS = "Client;rien,Adresse mail,Prénom\n1,ada@shop.example,Ada\n2,not an address,Bob\n=1+1,,Eve\n".encode()


def test_a_file_is_tried_then_imported_with_its_columns_named(ines: FlaskClient, db: Database) -> None:
    path = _hand_in(ines, "customers", "clients.csv", CUSTOMERS)
    page = ines.get(path).text
    assert "Adresse mail" in page and "ada@shop.example" in page
    assert re.search(r'<option value="first_name" selected>', page), "a usual name is guessed"
    columns = {"0": "user_id", "1": "email", "2": "first_name"}
    tried = _read(ines, path, columns, dry=True)
    assert "Tried: 2 rows would be taken" in tried and "1 refused" in tried
    assert _kept(db, tables.customers) == 0
    done = _read(ines, path, columns, dry=False)
    assert "Imported: 2 rows are new or changed" in done
    with ines.get(f"{path}/refused.csv") as answer:
        refused = answer.text.splitlines()
    assert len(refused) == 2 and refused[1].startswith("3,") and "not an address" in refused[1]
    with db.begin() as conn:
        names = set(conn.scalars(sa.select(tables.customers.c.first_name)))
    assert names == {"Ada", "Eve"}
    again = _read(ines, path, columns, dry=False)
    assert "2 are known already" in again


def test_a_file_that_is_being_read_is_not_begun_twice(ines: FlaskClient, installation: parts.Parts) -> None:
    path = _hand_in(ines, "customers", "clients.csv", CUSTOMERS)
    number, now = int(path.rsplit("/", 1)[1]), datetime.now(UTC)
    mapping = {"Client;rien": "user_id"}
    with installation.db.begin() as conn:
        file_imports.start(conn, number, mapping=mapping, dry=False, now=now)
    with pytest.raises(Conflict, match="is being read already"), installation.db.begin() as conn:
        file_imports.start(conn, number, mapping=mapping, dry=True, now=now)
    answer = console_world.post(ines, path, {"column/0": "user_id"}, on="/console/account")
    assert answer.status_code == 303 and answer.headers["Location"].endswith(path)
    with installation.db.begin() as conn:
        standing = file_imports.get(conn, number)
        assert (standing.state, standing.dry, standing.mapping["Adresse mail"]) == ("running", False, "")
        later = now + file_imports.STALE + timedelta(seconds=1)
        assert file_imports.start(conn, number, mapping=mapping, dry=True, now=later).dry, "its process is gone"


def test_of_two_who_begin_a_file_at_once_one_does(ines: FlaskClient, installation: parts.Parts) -> None:
    number = int(_hand_in(ines, "customers", "clients.csv", CUSTOMERS).rsplit("/", 1)[1])
    together = threading.Barrier(2)

    def begin(_: int) -> str:
        together.wait()
        try:
            with installation.db.begin() as conn:
                file_imports.start(conn, number, mapping={"Client;rien": "user_id"}, dry=False, now=datetime.now(UTC))
        except Conflict as late:
            return late.reason
        return "begun"

    with ThreadPoolExecutor(2) as two:
        assert sorted(two.map(begin, range(2))) == ["begun", "import_running"]


def test_orders_are_tried_without_storing_any(ines: FlaskClient, db: Database) -> None:
    content = b"Commande,client,date,sku,prix\nC-1,ada,2026-11-01T10:00:00Z,p-1,12.50\nC-2,ada,yesterday,p-1,3\n"
    path = _hand_in(ines, "orders", "orders.csv", content)
    columns = {"0": "order_id", "1": "user_id", "2": "timestamp", "3": "product_id", "4": "price"}
    assert _step(ines, path) == "Try it"
    assert "Tried: 1 row would be taken" in _read(ines, path, columns, dry=True)
    assert _step(ines, path) == "Import it"
    assert _kept(db, tables.orders) == 0
    assert "Imported: 1 row is new or changed" in _read(ines, path, columns, dry=False)
    assert _kept(db, tables.orders) == 1
    assert _step(ines, path) == "", "every step is done"


def _step(client: FlaskClient, path: str) -> str:
    """The step of an import that is next."""
    found = re.search(r'aria-current="step"><span class="n">\d</span>([^<]+)<', client.get(path).text)
    return found[1] if found else ""


def test_json_lines_have_their_columns_named_too(ines: FlaskClient, db: Database) -> None:
    path = _hand_in(
        ines, "products", "feed.jsonl", b'{"sku": "p-1", "nom": "Cocotte"}\n{"sku": "p-2", "nom": "Fleur"}\n'
    )
    page = ines.get(path).text
    assert page.count(" selected>") == 2, "both columns are guessed"
    assert "Imported: 2 rows are new or changed" in _read(ines, path, {"0": "product_id", "1": "title"}, dry=False)
    shown = ines.get("/console/sources/catalogue?q=cocotte").text
    assert "Cocotte" in shown and "Fleur" not in shown


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("clients.pdf", b"%PDF-1.7", "is no .csv"),
        ("clients.csv", b"\xff\xfe\x00", "cannot be read"),
        ("clients.csv", b"", "has no header row"),
        ("clients.parquet", b"PAR1", "cannot be read"),
    ],
)
def test_a_wrong_file_is_refused_with_its_reason(
    ines: FlaskClient, db: Database, name: str, content: bytes, said: str
) -> None:
    page = _hand_in(ines, "customers", name, content)
    assert said in page and 'id="file-fault"' in page


def test_a_column_it_must_have_is_asked_for(ines: FlaskClient, installation: parts.Parts) -> None:
    path = _hand_in(ines, "products", "feed.csv", b"sku,nom\np-1,Cocotte\n")
    answer = console_world.post(ines, path, {"column/0": "product_id", "column/1": ""}, on="/console/account")
    assert answer.status_code == 422 and "is a required column" in answer.text
    twice = {"column/0": "title", "column/1": "title"}
    assert console_world.post(ines, path, twice, on="/console/account").status_code == 422
    with installation.db.begin() as conn:
        (one,) = file_imports.latest(conn, limit=5)
    assert one.state == "mapping"


def test_a_marketer_reads_imports_and_begins_none(enter: Callable[[str], FlaskClient]) -> None:
    client = enter("marketer")
    assert client.get("/console/sources/imports").status_code == 200
    assert console_world.post(client, "/console/sources/imports", {}, on="/console/account").status_code == 403


def test_stock_and_stores_are_shown(ines: FlaskClient, db: Database) -> None:
    with db.begin() as conn:
        product = {"product_id": "p-1", "title": "<script>Cocotte", "created_at": NOW, "updated_at": NOW}
        conn.execute(sa.insert(tables.products).values(**product))
        conn.execute(sa.insert(tables.stores).values(store_id="s-1", name="Nantes", updated_at=NOW))
        for store, quantity in (("s-1", 3), ("s-2", 0), ("s-3", -1)):
            held = {"product_id": "p-1", "store_id": store, "quantity": quantity, "updated_at": NOW}
            conn.execute(sa.insert(tables.stock).values(**held))
    page = ines.get("/console/sources/catalogue").text
    assert "&lt;script&gt;Cocotte" in page and "in 1 place" in page
    assert "Nantes" in ines.get("/console/sources/stores").text
