"""Consent with its proof, suppression, access and erasure."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from foundation.database import metadata
from foundation.errors import Invalid, NotFound
from shop import consent, customers, privacy, tables
from shop.vocabulary import Source

CANARY = "canary7731"
Send = Callable[..., Any]


@pytest.fixture
def customer(send: Send, conn: sa.Connection) -> int:
    send({"type": "identify", "userId": "u", "traits": {"email": "ann@example.com"}})
    return customers.find(conn, user_id="u") or 0


def say(conn: sa.Connection, customer: int, state: str, at: datetime, **more: Any) -> bool:
    said = {"channel": "email", "purpose": "marketing", "source": "form", **more}
    return consent.record(conn, customer_id=customer, state=state, at=at, now=at, **said)


def test_nothing_said_is_unknown(conn: sa.Connection, customer: int) -> None:
    assert consent.states(conn, [customer], channel="email") == {customer: "unknown"}


def test_the_last_word_stands_whatever_the_order_it_comes_in(conn: sa.Connection, customer: int, now: datetime) -> None:
    say(conn, customer, "denied", now)
    say(conn, customer, "granted", now - timedelta(days=1))
    assert consent.states(conn, [customer], channel="email") == {customer: "denied"}
    assert [said.state for said in consent.history(conn, customer)] == ["denied", "granted"]


def test_a_no_to_any_channel_or_purpose_covers_each(conn: sa.Connection, customer: int, now: datetime) -> None:
    say(conn, customer, "granted", now)
    say(conn, customer, "denied", now, channel="any", purpose="any")
    assert consent.states(conn, [customer], channel="email") == {customer: "denied"}


def test_the_proof_is_kept_as_it_was_given(conn: sa.Connection, customer: int, now: datetime) -> None:
    assert say(conn, customer, "granted", now, text="Yes, write to me", form="checkout 3", proof={"ip": "10.0.0.0"})
    assert not say(conn, customer, "granted", now, text="Yes, write to me", form="checkout 3")
    (said,) = consent.history(conn, customer)
    assert (said.text, said.form, said.proof) == ("Yes, write to me", "checkout 3", {"ip": "10.0.0.0"})


def test_what_makes_no_sense_is_refused_by_name(conn: sa.Connection, customer: int, now: datetime) -> None:
    with pytest.raises(Invalid) as refused:
        say(conn, customer, "maybe", now, channel="pigeon")
    assert [fault.pointer for fault in refused.value.faults] == ["/channel", "/state"]


def test_a_complaint_outlasts_the_soft_bounces_and_the_goodbye_before_it(conn: sa.Connection, now: datetime) -> None:
    for before in (consent.SOFT, "unsubscribed"):
        for reason in (before, "complaint", "unsubscribed", consent.SOFT):
            both = [("email", f"{before}@example.com"), ("email", f"{before}@example.org")]
            consent.suppress_many(conn, both, reason=reason, now=now)
    assert set(conn.scalars(sa.select(tables.suppressions.c.reason))) == {"complaint"}


def test_a_suppressed_address_is_known_however_it_is_written(conn: sa.Connection, now: datetime) -> None:
    consent.suppress(conn, channel="email", address="Ann@Example.com ", reason="complaint", now=now)
    known, other = (consent.address_hash(conn, "email", address) for address in ("ann@example.com", "bob@example.com"))
    assert consent.suppressed(conn, "email", [known, other]) == {known}


def everything(conn: sa.Connection) -> str:
    return " ".join(
        str(row)
        for table in metadata.sorted_tables
        for row in conn.execute(sa.text(f"SELECT t::text FROM {table.name} t"))
    )


def live(send: Send, conn: sa.Connection, server: Source, now: datetime) -> int:
    """A customer who left traces everywhere the shop keeps any."""
    who = {"userId": CANARY, "anonymousId": f"{CANARY}-a", "context": {"device": {"token": f"{CANARY}-t"}}}
    added = {"product_id": "p", "cart_id": f"{CANARY}-cart", "price": 3}
    traits = {
        "email": f"{CANARY}@example.com",
        "phone": "+33612345678",
        "firstName": CANARY,
        "likes": CANARY,
        "card": CANARY,
    }
    send({"event": "Product Viewed", "anonymousId": f"{CANARY}-before", "properties": {"note": CANARY}})
    send({**who, "type": "identify", "traits": traits}, {**who, "event": "Product Added", "properties": added})
    send(
        {
            **who,
            "event": "Order Completed",
            "properties": {"order_id": f"{CANARY}-o", "products": [{"product_id": "p"}]},
        }
    )
    send({**who, "anonymousId": f"{CANARY}-before", "event": "Product Viewed"})
    send({"type": "identify", "userId": "other"})
    send({"type": "alias", "userId": "other", "previousId": CANARY})
    customer = customers.find(conn, user_id=CANARY) or 0
    say(conn, customer, "granted", now, text=CANARY)
    return customer


def test_an_export_holds_everything(send: Send, conn: sa.Connection, server: Source, now: datetime) -> None:
    held = privacy.export(conn, live(send, conn, server, now))
    assert {"customers", "identities", "events", "carts", "orders", "order_lines", "profiles", "consents"} <= set(held)
    assert {"consent_log", "merges"} <= set(held)
    assert len(held["customers"]) == 2


def test_nothing_is_left_of_an_erased_customer_but_a_hash(
    send: Send, conn: sa.Connection, server: Source, now: datetime
) -> None:
    customer = live(send, conn, server, now)
    assert CANARY in everything(conn)
    privacy.erase(conn, customer, now=now)
    assert CANARY not in everything(conn)
    assert "33612345678" not in everything(conn)
    erased = {"email": f"{CANARY}@example.com", "sms": "+33612345678"}
    hashes = [consent.address_hash(conn, channel, address) for channel, address in erased.items()]
    assert consent.suppressed(conn, "email", hashes[:1]) | consent.suppressed(conn, "sms", hashes[1:]) == set(hashes)
    assert customers.find(conn, user_id="other") is not None


def test_whoever_is_not_there_cannot_be_erased(conn: sa.Connection, now: datetime) -> None:
    with pytest.raises(NotFound):
        privacy.erase(conn, 4711, now=now)


def test_every_column_that_names_a_customer_can_be_found(conn: sa.Connection) -> None:
    held = privacy._held([1])
    missing = [table.name for table in metadata.sorted_tables if "customer_id" in table.c and table not in held]
    assert missing == []


def test_what_was_erased_may_come_back_as_somebody_new(
    send: Send, conn: sa.Connection, server: Source, now: datetime
) -> None:
    customer = live(send, conn, server, now)
    privacy.erase(conn, customer, now=now)
    send({"type": "identify", "userId": CANARY})
    assert customers.find(conn, user_id=CANARY) not in (None, customer)
    assert set(conn.scalars(sa.select(tables.suppressions.c.channel))) == {"email", "sms", "whatsapp"}
