"""E7: many clients use the same codes at the same moment, and one tries very many that do not exist."""

import http.client
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import orjson
import sqlalchemy as sa

from app import security
from campaigns import offers, promotions
from campaigns.definitions import offers as definitions
from campaigns.promo_tables import promo_redemptions
from foundation.database import Database
from tests.campaigns import world
from tests.prove import senders

BASKET = {"currency": "EUR", "lines": [{"product_id": "p1", "quantity": 2, "price": 25.5}]}


@dataclass(slots=True)
class Told:
    """Every answer by status and reason, the redemptions in the record, and what guessing came to: how many guesses
    were looked at within the first minute, and how many answered with 429."""

    answers: Counter[tuple[int, str | None]] = field(default_factory=Counter)
    redeemed: int = 0
    codes: int = 0
    looked_at: int = 0
    refused: int = 0


class Client:
    """One client of the interface, over a kept connection."""

    def __init__(self, port: int, key: str) -> None:
        self._wire = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
        self._headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}

    def say(self, path: str, body: object) -> tuple[int, str | None]:
        """The status and the reason of the answer. A line the server closed meanwhile is opened anew."""
        try:
            self._wire.request("POST", path, orjson.dumps(body), self._headers)
            answer = self._wire.getresponse()
        except (ConnectionError, http.client.RemoteDisconnected):
            self._wire.close()
            self._wire.request("POST", path, orjson.dumps(body), self._headers)
            answer = self._wire.getresponse()
        return answer.status, orjson.loads(answer.read()).get("reason")


def race(db: Database, folder: Path, *, clients: int, codes: int, guesses: int) -> Told:
    """Each client tries every code for an order of its own; then one guesses."""
    told, now, port = Told(codes=codes), datetime.now(UTC), senders.free_port()
    with db.begin() as conn:
        key = security.create_key(conn, kind="secret", name="prove", now=now)
        offer = offers.create(conn, definitions.parse({"name": "FIVE", "kind": "amount", "value": 500}), now=now)
        people = [world.make_customer(conn, f"u{n}", at=now) for n in range(codes)]
        handed = promotions.reserve(conn, offer, {one: uuid4() for one in people}, zone=UTC, now=now)
    shown = [code.shown for code in handed.values()]
    with senders.server(db, folder, port):
        senders.wait_for(port)
        _race(told, lambda: Client(port, key), shown, clients)
        _guess(told, Client(port, key), guesses)
    with db.begin() as conn:
        told.redeemed = conn.scalar(sa.select(sa.func.count()).select_from(promo_redemptions)) or 0
    return told


def _race(told: Told, client: Callable[[], Client], codes: list[str], clients: int) -> None:
    lock, start = threading.Lock(), threading.Barrier(clients)

    def one(number: int) -> None:
        mine, speaks = Counter[tuple[int, str | None]](), client()
        start.wait()
        for place, code in enumerate(codes):
            order = {**BASKET, "order_id": f"{number}-{place}", "channel": "store" if number % 2 else "web"}
            mine[speaks.say(f"/v1/promo-codes/{code}/redeem", order)] += 1
        with lock:
            told.answers.update(mine)

    threads = [threading.Thread(target=one, args=(number,)) for number in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _guess(told: Told, client: Client, guesses: int) -> None:
    began = time.monotonic()
    for number in range(guesses):
        status, _ = client.say(f"/v1/promo-codes/GUESS-{number}/validate", BASKET)
        told.refused += status == 429
        told.looked_at += status != 429 and time.monotonic() - began < 60
