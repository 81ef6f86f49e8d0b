"""What is written in the log names nobody: no address, no number, no name is in it, errors included."""

import decimal
import io
import json
import logging
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient

from campaigns import enrolments, messages, settling
from campaigns.channels.base import Outcome, Receipt
from campaigns.sending import Sending
from foundation import logs
from foundation.database import Database
from shop import consent
from tests.app.conftest import NOW
from tests.campaigns import world
from tests.campaigns.carriers import Carrier

ADDRESS, NUMBER, NAME = "canary.bird@nowhere.example", "+33698765432", "Canariette"
OUTCOMES = (Outcome.ACCEPTED, Outcome.REFUSED_FINAL, Outcome.REFUSED_RETRY, Outcome.AMBIGUOUS, Outcome.MISCONFIGURED)


@pytest.fixture
def written() -> Iterator[Callable[[], str]]:
    """All that is logged, down to the smallest detail, as it would stand in the log."""
    stream, root = io.StringIO(), logging.getLogger()
    handlers, level = root.handlers[:], root.level
    logs.configure("DEBUG", stream)
    yield stream.getvalue
    root.handlers[:] = handlers
    root.setLevel(level)


def names_nobody(text: str) -> bool:
    return not any(canary in text for canary in (ADDRESS, ADDRESS.upper(), NUMBER, NUMBER[3:], NAME, "canary.bird"))


def test_no_route_writes_down_who_came(client: FlaskClient, call: Any, make_key: Any, written: Any) -> None:
    key = make_key("write")
    person = {"userId": ADDRESS, "traits": {"email": ADDRESS, "phone": NUMBER, "first_name": NAME}}
    answers = [
        client.post("/v1/identify", json=person | {"writeKey": key}),
        client.post("/v1/track", json={"userId": ADDRESS, "event": ADDRESS * 99, "writeKey": key}),
        client.post("/v1/batch", data=ADDRESS.encode(), headers={"Authorization": f"Bearer {key}"}),
        client.get(f"/v1/customers/{ADDRESS}", headers={"Authorization": f"Bearer {ADDRESS}"}),
        client.get(f"/c/{ADDRESS}"),
        client.post(f"/u/{ADDRESS}", data={"email": ADDRESS}),
        client.post("/console/sign-in", data={"email": ADDRESS, "password": NUMBER}),
        client.post("/hooks/sms", data={"from": NUMBER, "text": ADDRESS}),
        client.post("/hooks/sendgrid", data=f'[{{"email": "{ADDRESS}"}}]'),
        call("GET", f"/v1/customers/{ADDRESS}"),
        call("POST", f"/v1/customers/{ADDRESS}/consents", {"channel": ADDRESS}),
        call("POST", f"/v1/promo-codes/{NAME}/validate", {"customer": ADDRESS}),
        call("PUT", "/v1/products", [{"product_id": ADDRESS, "price": NAME}]),
        call("GET", f"/{ADDRESS}?email={ADDRESS}"),
    ]
    assert {answer.status_code // 100 for answer in answers} <= {2, 3, 4}
    assert names_nobody(written()), written()


def test_no_message_writes_down_whom_it_was_for(db: Database, tmp_path: Path, written: Any) -> None:
    carrier = Carrier()
    outcomes = iter(OUTCOMES)
    carrier.answer = lambda mail: Receipt(mail.message_id, next(outcomes), f"550 {ADDRESS} {NUMBER}", bad_address=True)
    _send(db, world.sending(carrier, tmp_path, in_flight=1))
    assert len(carrier.handed) == len(OUTCOMES) and names_nobody(written()), written()


def _send(db: Database, sending: Sending) -> None:
    with db.begin() as conn:
        world.stock_shop(conn, now=NOW)
        world.launch(conn, now=NOW, offer=None, products=0)
        for number in range(len(OUTCOMES)):
            person = f"{number}.{ADDRESS.split('@')[0]}"
            world.make_customer(conn, person, at=NOW, phone=NUMBER[:-1] + str(number), first_name=NAME)
            world.leave_cart(conn, person, at=NOW)
    due = NOW + timedelta(hours=1, minutes=1)
    enrolments.admit_due(db, now=due)
    enrolments.advance_due(db, now=due)
    messages.deliver_due(db, sending, now=due)
    settling.sweep(db, now=due)


def test_an_error_of_the_database_is_told_without_its_values(db: Database, written: Any) -> None:
    with db.begin() as conn:
        hashed = consent.address_hash(conn, "email", ADDRESS)
    row = {"channel": ADDRESS, "address_hash": hashed, "reason": "complaint", "since": NOW}
    for _ in range(2):
        try:
            with db.begin() as conn:
                conn.execute(sa.text(
                    "INSERT INTO suppressions (channel, address_hash, reason, since) "
                    "VALUES (:channel, :address_hash, :reason, :since)"
                ), row)  # fmt: skip
        except sa.exc.IntegrityError:
            logging.getLogger(__name__).exception("refused")
    assert "suppressions_pkey" in written() and names_nobody(written()), written()


def test_an_error_is_told_without_what_it_quotes(db: Database, written: Any) -> None:
    """PostgreSQL and Python put a value they cannot read into the sentence itself."""

    def asked(text: str) -> None:
        with db.begin() as conn:
            conn.execute(sa.text(text), {"said": ADDRESS})

    ways: list[Callable[[], object]] = [
        lambda: asked("SELECT CAST(CAST(:said AS text) AS bigint)"),
        lambda: asked("SELECT CAST(CAST(:said AS text) AS timestamptz)"),
        lambda: asked(f"SELECT CAST('{NUMBER}00000000000' AS integer)"),
        lambda: int(NAME),
        lambda: {}[NAME],
        lambda: dict([ADDRESS]),
        lambda: decimal.Decimal(NAME),
        lambda: datetime.fromisoformat(NAME),
        lambda: json.loads(ADDRESS),
    ]
    for way in ways:
        try:
            way()
        except Exception:
            logging.getLogger(__name__).exception("refused")
    assert written().count("Traceback") >= len(ways) and names_nobody(written()), written()
    assert "invalid input syntax for type bigint" in written(), "what is wrong is still told"
