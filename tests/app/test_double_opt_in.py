"""The ready-made double opt-in, end to end: asked for on the site, mailed over SMTP, said again, and proved."""

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from urllib.parse import urlsplit

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient

import app as front
from app import parts
from campaigns import enrolments, files, messages, plans
from foundation.config import Config
from foundation.database import Database
from shop import consent, inbox
from shop import tables as shop_tables
from tests.app.test_public import FIREFOX
from tests.campaigns import sink

MINUTE = timedelta(minutes=1)
Shop = tuple[parts.Parts, sink.Sink]


@pytest.fixture
def sending_shop(config: Config, db: Database) -> Iterator[Shop]:
    """An installation whose mail leaves over SMTP, with the campaign launched."""
    with sink.listening() as (kept, host):
        built = parts.build(replace(config, email_url=f"smtp://{host.name}:{host.port}"))
        now = datetime.now(UTC)
        with db.begin() as conn:
            files.start_from(conn, "double-opt-in", now=now)
            plans.launch(conn, "double-opt-in", now=now)
        yield built, kept
        built.close()


def asks(client: FlaskClient, make_key: Callable[..., str], address: str) -> None:
    """Somebody types an address into the form of the site."""
    headers = {"Authorization": f"Bearer {make_key('secret', name=address)}"}
    said = {"type": "track", "event": "Subscription Requested", "anonymousId": f"browser of {address}"}
    traits = {"type": "identify", "anonymousId": f"browser of {address}", "traits": {"email": address, "locale": "en"}}
    answer = client.post("/v1/batch", json={"batch": [traits, said]}, headers=headers)
    assert answer.status_code == 200, answer.text


def run(shop: parts.Parts, db: Database, now: datetime) -> None:
    """What the timetable does with it."""
    inbox.drain(db)
    enrolments.admit_due(db, now=now)
    enrolments.advance_due(db, now=now)
    messages.deliver_due(db, shop.sending(), now=now)


def written(mail: EmailMessage, kind: str) -> str:
    body = mail.get_body((kind,))
    assert body is not None
    return str(body.get_content())


def page_of(mail: EmailMessage) -> str:
    """Where the mail's button leads."""
    (address,) = set(re.findall(r'href="(http://localhost/k/[^"]+)"', written(mail, "html")))
    assert address in written(mail, "plain")
    return urlsplit(address).path


def person(db: Database, address: str) -> int:
    with db.begin() as conn:
        return int(conn.scalar(sa.select(shop_tables.customers.c.id).where(shop_tables.customers.c.email == address)))


def stands(db: Database, address: str) -> str:
    with db.begin() as conn:
        return str(consent.states(conn, [person(db, address)], channel="email")[person(db, address)])


def test_a_yes_is_said_twice_over_real_mail_and_proved(
    sending_shop: Shop, db: Database, make_key: Callable[..., str]
) -> None:
    shop, mailbox = sending_shop
    client = front.create_app(shop).test_client()
    asks(client, make_key, "ada@example.com")
    run(shop, db, datetime.now(UTC) + MINUTE)
    (mail,) = mailbox.kept
    assert mail["To"] == "ada@example.com" and "asked for with your address" in written(mail, "html")
    assert "accepted our offers" not in written(mail, "html"), "she has not accepted anything yet"
    assert client.get(page_of(mail), headers=FIREFOX).status_code == 200
    assert stands(db, "ada@example.com") == "unknown", "scanners of mails open every link"
    for _ in range(2):
        assert client.post(page_of(mail), headers=FIREFOX).status_code == 200
    assert stands(db, "ada@example.com") == "granted"
    with db.begin() as conn:
        (said,) = consent.history(conn, person(db, "ada@example.com"))
        told = conn.scalars(sa.text("SELECT name FROM events WHERE name LIKE 'Subscription%' ORDER BY name")).all()
    assert said.text == "I agree to receive your offers by e-mail. I can change my mind at any time."
    assert said.form == "confirm/1" and said.proof is not None
    assert set(said.proof) == {"message", "asked_at", "sent_at"} and said.source == f"confirmed:{said.proof['message']}"
    assert told == ["Subscription Confirmed", "Subscription Requested"], "once, so that a welcome may follow"


def test_who_says_nothing_gets_nothing_else_and_one_mail_a_day_at_most(
    sending_shop: Shop, db: Database, make_key: Callable[..., str]
) -> None:
    shop, mailbox = sending_shop
    client = front.create_app(shop).test_client()
    for minutes in (1, 2, 3):
        asks(client, make_key, "bea@example.com")
        run(shop, db, datetime.now(UTC) + minutes * MINUTE)
    assert len(mailbox.kept) == 1 and stands(db, "bea@example.com") == "unknown"


def test_who_unsubscribed_once_may_ask_again(sending_shop: Shop, db: Database, make_key: Callable[..., str]) -> None:
    shop, mailbox = sending_shop
    client = front.create_app(shop).test_client()
    asks(client, make_key, "cleo@example.com")
    inbox.drain(db)
    with db.begin() as conn:
        now, customer = datetime.now(UTC), person(db, "cleo@example.com")
        consent.withdraw(conn, customer, channel="email", source="unsubscribe", now=now)
        consent.suppress(conn, channel="email", address="cleo@example.com", reason="unsubscribed", now=now)
    run(shop, db, datetime.now(UTC) + MINUTE)
    client.post(page_of(mailbox.kept[0]), headers=FIREFOX)
    assert stands(db, "cleo@example.com") == "granted"
    with db.begin() as conn:
        hashed = consent.address_hash(conn, "email", "cleo@example.com")
        assert consent.suppressed(conn, "email", [hashed]) == set()


def test_a_mail_to_an_address_she_no_longer_has_proves_nothing(
    sending_shop: Shop, db: Database, make_key: Callable[..., str]
) -> None:
    shop, mailbox = sending_shop
    client = front.create_app(shop).test_client()
    asks(client, make_key, "dora@example.com")
    run(shop, db, datetime.now(UTC) + MINUTE)
    with db.begin() as conn:
        moved = sa.update(shop_tables.customers).where(shop_tables.customers.c.email == "dora@example.com")
        conn.execute(moved.values(email="dora@elsewhere.example"))
    assert client.post(page_of(mailbox.kept[0]), headers=FIREFOX).status_code == 404
    assert stands(db, "dora@elsewhere.example") == "unknown"
