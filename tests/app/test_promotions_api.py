"""Promo codes over HTTP: the real server, many tills at once, reasons in both languages, offers and pools by API."""

import http.client
import os
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import orjson
import pytest
import sqlalchemy as sa

from app import code_words, doctor, parts
from campaigns import code_book, offers, promotions, tables
from campaigns.definitions import offers as definitions
from campaigns.promo_tables import promo_redemptions, promo_refusals
from campaigns.verdicts import Reason
from foundation.database import Database
from tests.app.conftest import ENVIRON, NOW
from tests.campaigns import world

ROOT = Path(__file__).resolve().parent.parent.parent
Call = Callable[..., Any]
BASKET = {"currency": "EUR", "lines": [{"product_id": "p1", "quantity": 2, "price": 25.5}]}
CLIENTS, CODES = 50, 40


@pytest.fixture(name="port")
def _port(db: Database, tmp_path: Path) -> Iterator[int]:
    """The web server as it is run, two processes, over the database of the test."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    environ = {**os.environ, **ENVIRON, "RELANCE_DATABASE_URL": db.url, "RELANCE_VAR": str(tmp_path)}
    command = [str(Path(sys.executable).with_name("granian")), "--interface", "wsgi", "--host", "127.0.0.1", "--no-ws"]
    command += ["--port", str(port), "--workers", "2", "--blocking-threads", "16", "wsgi:app"]
    running = subprocess.Popen(command, cwd=ROOT, env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            break
        except OSError:
            time.sleep(0.1)
    yield port
    running.terminate()
    running.wait(30)


def test_fifty_clients_at_once_use_each_code_once(db: Database, port: int, make_key: Call) -> None:
    """Each client tries every code for an order of its own; half of them are tills, half the site."""
    headers = {"Authorization": f"Bearer {make_key('secret', name='tills')}", "Content-Type": "application/json"}
    with db.begin() as conn:
        terms = {"name": "FIVE", "kind": "amount", "value": 500, "budget": 500 * (CODES - 10)}
        offer = offers.create(conn, definitions.parse(terms), now=NOW)
        people = [world.make_customer(conn, f"u{n}", at=NOW) for n in range(CODES)]
        handed = promotions.reserve(conn, offer, {one: uuid4() for one in people}, zone=UTC, now=NOW)
    answers: Counter[tuple[int, str | None]] = Counter()
    lock, start = threading.Lock(), threading.Barrier(CLIENTS)

    def client(number: int) -> None:
        wire = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        mine: Counter[tuple[int, str | None]] = Counter()
        start.wait()
        for place, code in enumerate(handed.values()):
            body = {**BASKET, "order_id": f"{number}-{place}", "channel": "store" if number % 2 else "web"}
            wire.request("POST", f"/v1/promo-codes/{code.shown}/redeem", orjson.dumps(body), headers)
            answer = wire.getresponse()
            mine[answer.status, orjson.loads(answer.read()).get("reason")] += 1
        wire.close()
        with lock:
            answers.update(mine)

    clients = [threading.Thread(target=client, args=(n,)) for n in range(CLIENTS)]
    for one in clients:
        one.start()
    for one in clients:
        one.join()
    assert set(answers) == {(200, None), (409, "used"), (409, "budget")}
    assert answers[200, None] == CODES - 10 and answers.total() == CLIENTS * CODES
    with db.begin() as conn:
        assert conn.scalar(sa.select(sa.func.count()).select_from(promo_redemptions)) == CODES - 10
        assert offers.get(conn, "FIVE").spent == 500 * (CODES - 10)
        kept = conn.scalar(sa.select(sa.func.count()).select_from(promo_refusals))
        assert kept == CLIENTS * CODES - (CODES - 10), "every refusal is in the record"


def test_how_soon_a_refusal_comes_does_not_tell_why(call: Call, code: str, db: Database, ada: int) -> None:
    """Used, expired and unknown codes are tried in turn. What the machine does beside it only ever adds, so the
    quickest answers are compared, and a difference that is there is in every series of them."""
    order = {**BASKET, "order_id": "o1", "channel": "web"}
    assert call("POST", f"/v1/promo-codes/{code}/redeem", order).status_code == 200
    codes = {"used": code, "expired": _expired(db, ada), "unknown": "XXXX-YYYY"}
    found = []
    for series in range(3):
        found.append(
            _widest(lambda turn, at=series: _answered(call, codes, guesser=f"10.{at}.0.{turn // 5}", turn=turn))
        )
        if found[-1] <= 0.005:
            return
    raise AssertionError(f"the quickest differ by {found} seconds")


def _expired(db: Database, customer: int) -> str:
    """A code of two days, given to her a month ago."""
    with db.begin() as conn:
        terms = {"name": "BRIEF", "kind": "percentage", "value": 1000, "valid_days": 2}
        offer, then = offers.create(conn, definitions.parse(terms), now=NOW), NOW - timedelta(days=30)
        message = uuid4()
        held = promotions.reserve(conn, offer, {customer: message}, zone=UTC, now=then)
        promotions.issue(conn, [message], now=then)
        return held[customer].shown


def _answered(call: Call, codes: dict[str, str], *, guesser: str, turn: int) -> dict[str, float]:
    """How many seconds each code was looked at, each turn another first."""
    took, reasons = {}, list(codes)
    for reason in reasons[turn % 3 :] + reasons[: turn % 3]:
        began = time.perf_counter()
        said = call("POST", f"/v1/promo-codes/{codes[reason]}/validate", BASKET, environ_base={"REMOTE_ADDR": guesser})
        took[reason] = time.perf_counter() - began
        assert said.json["reason"] == reason, said.text
    return took


def _widest(answered: Callable[[int], dict[str, float]], *, turns: int = 60) -> float:
    """The widest difference between the quickest answers of three reasons."""
    took = [answered(turn) for turn in range(turns)]
    quickest = [min(one[reason] for one in took) for reason in took[0]]
    return max(quickest) - min(quickest)


def test_a_refusal_is_said_in_the_cashiers_language_and_kept(call: Call, code: str, db: Database) -> None:
    order = {**BASKET, "order_id": "o1", "channel": "web"}
    call("POST", f"/v1/promo-codes/{code}/redeem", order)
    for language, said in (("fr", "Ce code a déjà servi."), ("en", "This code has been used already.")):
        again = call("POST", f"/v1/promo-codes/{code}/redeem", {**order, "order_id": "o2", "store_id": "lyon"},
                     headers={"Accept-Language": language})  # fmt: skip
        assert (again.status_code, again.json["reason"], again.json["detail"]) == (409, "used", said)
    with db.begin() as conn:
        (kept,) = code_book.refused(conn, offers.get(conn, "ten").id, limit=5)
    assert (kept.order_id, kept.store_id, kept.times) == ("o2", "lyon", 2)


def test_every_reason_has_a_sentence() -> None:
    assert set(code_words.REFUSED) == set(Reason)


def test_an_offer_by_api_is_the_offer_of_a_file(call: Call) -> None:
    terms = {"kind": "amount", "value": 500, "minimum": 3000, "channels": ["store"]}
    made = call("PUT", "/v1/offers/FIVE", {"offer": terms})
    assert made.status_code == 200 and made.json["codes"]["issued"] == 0
    assert call("PUT", "/v1/offers/FIVE", {"offer": terms}).data == made.data
    assert call("GET", "/v1/offers").json["offers"] == [made.json["offer"]]
    wrong = call("PUT", "/v1/offers/FIVE", {"offer": {**terms, "value": 0, "stores": ["nowhere"]}})
    assert (wrong.status_code, [fault["pointer"] for fault in wrong.json["faults"]]) == (422, ["/offer/value"])
    assert call("GET", "/v1/offers/SIX").status_code == 404


def test_codes_of_the_shop_come_by_api(call: Call, db: Database) -> None:
    call("PUT", "/v1/offers/SUN", {"offer": {"kind": "percentage", "value": 1000, "codes": "pool"}})
    taken = call("POST", "/v1/offers/SUN/codes", {"codes": ["soleil-1", "soleil-2", "x"]}).json
    assert (taken["accepted"], taken["repeated"]) == (2, 0)
    assert taken["refused"] == [{"pointer": "/codes/2", "detail": "code: must have at least 4 letters and digits"}]
    assert call("POST", "/v1/offers/SUN/codes", {"codes": ["soleil-1"]}).json["repeated"] == 1
    with db.begin() as conn:
        assert conn.scalar(sa.select(sa.func.count()).select_from(tables.promo_codes)) == 2


def test_a_basket_says_where_it_is_and_what_lies_beside_the_code(call: Call, code: str) -> None:
    beside = {**BASKET, "codes": ["BLACKFRIDAY"], "channel": "store", "store_id": "lyon", "customer": "ada"}
    said = call("POST", f"/v1/promo-codes/{code}/validate", beside).json
    assert (said["valid"], said["reason"]) == (False, "not_stackable")


def test_a_pool_is_filled_and_told_of_on_the_command_line(
    web: Any, installation: parts.Parts, db: Database, tmp_path: Path
) -> None:
    runner = web.test_cli_runner()
    with db.begin() as conn:
        offers.create(conn, definitions.parse({"name": "SUN", "kind": "amount", "value": 1, "codes": "pool"}), now=NOW)
    path = tmp_path / "codes.csv"
    path.write_text("code\n" + "\n".join(f"SUN-{n:04}" for n in range(120)) + "\nno\n")
    done = runner.invoke(args=["promo", "import", "SUN", str(path)])
    assert done.exit_code == 0 and "120 accepted, 0 repeated, 1 refused" in done.output, done.output
    assert "120 free" in runner.invoke(args=["promo", "report"]).output
    forecast = runner.invoke(args=["promo", "forecast", "SUN"])
    assert forecast.exit_code == 0 and "needs about 0, the pool has 120" in forecast.output
    assert runner.invoke(args=["promo", "import", "MOON", str(path)]).exit_code == 1
    with db.begin() as conn:
        offers.put(conn, definitions.parse({"name": "SUN", "kind": "amount", "value": 1, "codes": "pool",
                                            "alert_below": 500}), now=datetime.now(UTC))  # fmt: skip
    (found,) = [one for one in doctor.examine(installation, now=NOW) if one.subject == "promo codes"]
    assert (found.good, found.detail) == (False, "running out: SUN has 120")
