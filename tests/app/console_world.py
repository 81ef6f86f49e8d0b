"""A shop in the middle of its day, for the console's tests: baskets left, mails sent, one clicked, one order."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

import sqlalchemy as sa
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from app import parts, users
from campaigns import conversions, enrolments, files, messages, own_events, tables
from campaigns.own_events import Told
from foundation import jobs
from shop import ingest, sources, vocabulary
from shop.vocabulary import Name
from tests.campaigns import world

EMAIL, PASSWORD = "ines@aubier.example", "a basket left behind"
NOW = datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Day:
    """What the tests ask about."""

    camille: int
    paul: int
    message_id: UUID


def make_user(installation: parts.Parts, *, role: str = "admin", email: str = EMAIL, name: str = "Inès Moreau") -> None:
    """Someone who may sign in."""
    with installation.db.begin() as conn:
        users.create(conn, email=email, role=role, password=PASSWORD, name=name, now=NOW)


def live(installation: parts.Parts) -> Day:
    """Lets the day happen: two baskets left two hours ago, one mail sent and clicked, one order, one event refused."""
    then, now = NOW - timedelta(hours=2), NOW
    with installation.db.begin() as conn:
        world.stock_shop(conn, now=then)
        camille = world.make_customer(conn, "camille", at=then, first_name="Camille", last_name="Laurent")
        paul = world.make_customer(conn, "paul", at=then, consents=False, first_name="Paul", last_name="Delmas")
        world.leave_cart(conn, "camille", at=then)
        world.leave_cart(conn, "paul", at=then)
        world.launch(conn, now=then)
    enrolments.admit_due(installation.db, now=now)
    enrolments.advance_due(installation.db, now=now)
    messages.deliver_due(installation.db, installation.sending(), now=now)
    message_id = clicked(installation, camille)
    with installation.db.begin() as conn:
        world.order(conn, "camille", at=now, order_id="W-1", channel="store")
        source = sources.source(conn, "site", channel="web", now=now)
        refused = vocabulary.parse({"type": "track", "event": "<b>Bad</b>"}, source=source, received_at=now)
        assert isinstance(refused, vocabulary.Refusal)
        ingest.ingest(conn, [], refused=[refused], now=now)
    conversions.credit_new_orders(installation.db, now=now)
    jobs.run(installation.db, "deliver", lambda _: "1 accepted")
    return Day(camille, paul, message_id)


def clicked(installation: parts.Parts, customer_id: int) -> UUID:
    """A customer clicked in the message she got; gives that message."""
    touched = {"first_clicked_at": NOW, "last_clicked_at": NOW}
    with installation.db.begin() as conn:
        mine = tables.messages.c.customer_id == customer_id
        row = conn.execute(sa.update(tables.messages).where(mine).values(touched).returning(tables.messages))
        message = row.mappings().one()
        clicked = Told("clicked:1", Name.MESSAGE_CLICKED, customer_id, NOW, own_events.about(message))
        own_events.tell(conn, [clicked], now=NOW)
        return UUID(str(message["id"]))


CAMPAIGN = files.DEMO


def post(
    client: FlaskClient, path: str, data: dict[str, str] | None = None, *, on: str = "/console/customers"
) -> TestResponse:
    """Sends a form as its page would, with the token that page carries."""
    found = re.search(r'name="csrf_token" value="(\w+)"', client.get(on).text)
    assert found
    return client.post(path, data={"csrf_token": found[1], **(data or {})})
