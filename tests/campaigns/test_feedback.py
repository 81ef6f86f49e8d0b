"""Providers' reports, in any order and however often; clicks, opens and goodbyes; the signed webhook."""

import base64
import json
import types
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
import sqlalchemy as sa
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from flask import Flask
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app import hooks
from campaigns import enrolments, feedback, messages, sendgrid_events, settling, tables
from campaigns.feedback import Kind, Report
from foundation.database import Database
from recommender import results, shown
from recommender.shown import Shown
from shop import consent
from shop.tables import consent_log, consents, products, suppressions
from shop.tables import events as event_rows
from tests.campaigns import world
from tests.campaigns.carriers import Carrier
from tests.campaigns.test_sendgrid import in_doubt

HOUR = timedelta(hours=1)
KINDS = [Kind.ACCEPTED, Kind.DELIVERED, Kind.DROPPED, Kind.BOUNCED, Kind.COMPLAINED, Kind.OTHER]


@pytest.fixture
def sent(db: Database, tmp_path: Path, now: datetime) -> UUID:
    """A message accepted by its provider."""
    with db.begin() as conn:
        world.stock_shop(conn, now=now)
        world.launch(conn, now=now)
        world.make_customer(conn, "camille", at=now)
        world.leave_cart(conn, "camille", at=now)
    due = now + HOUR
    enrolments.admit_due(db, now=due)
    enrolments.advance_due(db, now=due)
    messages.deliver_due(db, world.sending(Carrier(), tmp_path), now=due)
    with db.begin() as conn:
        found = conn.scalar(sa.select(tables.messages.c.id))
    assert found is not None
    return found


def row(db: Database, message_id: UUID) -> sa.RowMapping:
    with db.begin() as conn:
        return conn.execute(sa.select(tables.messages).where(tables.messages.c.id == message_id)).mappings().one()


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    kinds=st.lists(st.sampled_from(KINDS), min_size=1, max_size=6),
    order=st.randoms(use_true_random=False),
    start=st.sampled_from(["submitting", "uncertain", "unconfirmed", "accepted"]),
)
def test_reports_three_times_and_shuffled_end_where_once_in_order_would(
    db: Database, sent: UUID, now: datetime, kinds: list[Kind], order: Any, start: str
) -> None:
    ends = []
    for shuffled in (False, True):
        with db.begin() as conn:
            conn.execute(sa.delete(tables.provider_events))
            conn.execute(sa.update(tables.messages).values(state=start))
            reports = [Report(f"{n}", kind, now, message_id=sent, attempt=1) for n, kind in enumerate(kinds)]
            if shuffled:
                reports = reports * 3
                order.shuffle(reports)
            feedback.reported(conn, "p", reports, now=now)
        ends.append(row(db, sent)["state"])
    assert ends[0] == ends[1]


def test_a_report_of_another_attempt_or_of_nobody_changes_nothing(db: Database, sent: UUID, now: datetime) -> None:
    with db.begin() as conn:
        strange = [
            Report("1", Kind.BOUNCED, now, message_id=sent, attempt=2, bad_address=False),
            Report("2", Kind.BOUNCED, now, message_id=uuid4(), attempt=1, bad_address=True),
            Report("3", Kind.COMPLAINED, now),
        ]
        assert feedback.reported(conn, "p", strange, now=now) == 3
    assert row(db, sent)["state"] == "accepted"


def test_a_late_report_confirms_what_was_given_up_and_issues_its_code(db: Database, sent: UUID, now: datetime) -> None:
    with db.begin() as conn:
        conn.execute(sa.update(tables.messages).values(state="unconfirmed", settled_at=now))
        conn.execute(sa.update(tables.promo_codes).values(state="reserved"))
        feedback.reported(conn, "p", [Report("1", Kind.DELIVERED, now, message_id=sent, attempt=1)], now=now)
    settling.sweep(db, now=now)
    with db.begin() as conn:
        assert conn.scalar(sa.select(tables.promo_codes.c.state)) == "issued"
    assert row(db, sent)["state"] == "delivered"


def test_clicks_keep_first_and_last(db: Database, sent: UUID, now: datetime) -> None:
    with db.begin() as conn:
        feedback.clicked(conn, sent, 0, now=now + 2 * HOUR)
        feedback.clicked(conn, sent, 1, now=now + 3 * HOUR)
        feedback.clicked(conn, uuid4(), 1, now=now)
        assert feedback.destination(conn, sent, 99) is None and feedback.destination(conn, sent, -1) is None
    found = row(db, sent)
    assert (found["first_clicked_at"], found["last_clicked_at"]) == (now + 2 * HOUR, now + 3 * HOUR)


def test_a_click_on_a_product_recommended_names_its_slate(db: Database, sent: UUID, now: datetime) -> None:
    url, slate_id = "https://shop.example/other", uuid4()
    product = {"product_id": "other", "title": "Other", "url": url, "created_at": now, "updated_at": now}
    contents = tables.message_contents
    with db.begin() as conn:
        conn.execute(sa.insert(products).values(product))
        held = conn.scalar(sa.select(contents.c.links).where(contents.c.message_id == sent))
        links = [*(held or []), url]
        conn.execute(sa.update(contents).where(contents.c.message_id == sent).values(slate_id=slate_id, links=links))
    items = [{"product_id": "other", "source": "als", "score": 1.0}]
    shown.write(db, [Shown(slate_id, now, None, "email", None, items)])
    with db.begin() as conn:
        feedback.clicked(conn, sent, len(links) - 1, now=now)
        feedback.clicked(conn, sent, 0, now=now)
        clicked = sa.select(event_rows.c.product_id, event_rows.c.properties["slate_id"].astext)
        found = conn.execute(
            clicked.where(event_rows.c.name == "Message Clicked").order_by(event_rows.c.product_id)
        ).all()
    assert [tuple(row) for row in found] == [("other", str(slate_id)), (None, None)]
    assert results.meet(db, now=now + HOUR) == "1 clicks"


def test_an_open_counts_only_while_the_customer_lets_us_measure(db: Database, sent: UUID, now: datetime) -> None:
    with db.begin() as conn:
        feedback.opened(conn, sent, now=now)
    assert row(db, sent)["opened_at"] is None
    with db.begin() as conn:
        customer = feedback.customer_of(conn, sent) or 0
        said = {"customer_id": customer, "channel": "email", "purpose": "analytics", "source": "form"}
        consent.record(conn, **said, state="granted", at=now, now=now)
        feedback.opened(conn, sent, now=now + HOUR)
    assert row(db, sent)["opened_at"] == now + HOUR


def test_unsubscribing_twice_is_once(db: Database, sent: UUID, now: datetime) -> None:
    for later in (1, 2):
        with db.begin() as conn:
            assert feedback.unsubscribed(conn, sent, now=now + later * HOUR)
    with db.begin() as conn:
        assert not feedback.unsubscribed(conn, uuid4(), now=now)
        hashed = consent.address_hash(conn, "email", "camille@example.org")
        assert consent.suppressed(conn, "email", [hashed]) == {hashed}
        said = sa.select(consent_log.c.at).where(consent_log.c.source == f"unsubscribe:{sent}")
        assert conn.scalars(said).all() == [now + HOUR]


def test_many_goodbyes_of_one_post_are_as_many_statements_as_a_few(db: Database, now: datetime) -> None:
    counted: list[int] = []
    for turn, size in enumerate((3, 40)):
        left = [in_doubt(db, f"u{turn}-{number}", at=now) for number in range(size)]
        reports = [Report(f"g{one}", Kind.UNSUBSCRIBED, now, message_id=one, attempt=1) for one in left]
        said: list[str] = []

        def note(conn: Any, cursor: Any, statement: str, *_: Any, said: list[str] = said) -> None:
            said.append(statement)

        sa.event.listen(db.engine, "before_cursor_execute", note)
        with db.begin() as conn:
            assert feedback.reported(conn, "sendgrid", reports, now=now + HOUR) == size
        sa.event.remove(db.engine, "before_cursor_execute", note)
        counted.append(len(said))
        with db.begin() as conn:
            denied = sa.select(sa.func.count()).where(consent_log.c.state == "denied", consent_log.c.at == now + HOUR)
            assert conn.scalar(denied) == sum((3, 40)[: turn + 1])
            gone = [consent.address_hash(conn, "email", f"u{turn}-{number}@example.org") for number in range(size)]
            assert consent.suppressed(conn, "email", gone) == set(gone)
    assert counted[1] <= counted[0], counted


# ------------------------------------------------------------------------------------------------ webhook
@pytest.fixture
def key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


@pytest.fixture
def client(db: Database, key: ec.EllipticCurvePrivateKey) -> Iterator[FlaskClient]:
    public = key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    web = Flask("hooks")
    web.register_blueprint(hooks.bp)
    config = types.SimpleNamespace(sendgrid_webhook_key=base64.b64encode(public).decode())
    web.extensions["relance"] = types.SimpleNamespace(db=db, config=config)
    yield web.test_client()


def post(
    client: FlaskClient, key: ec.EllipticCurvePrivateKey, body: bytes, *, altered: bytes = b"", age: int = 0
) -> int:
    timestamp = str(int(datetime.now(UTC).timestamp()) - age)
    signature = base64.b64encode(key.sign(timestamp.encode() + body, ec.ECDSA(hashes.SHA256()))).decode()
    name = "X-Twilio-Email-Event-Webhook-"
    headers = {f"{name}Signature": signature, f"{name}Timestamp": timestamp, "Content-Type": "application/json"}
    return client.post("/hooks/sendgrid", data=body + altered, headers=headers).status_code


def events(message_id: UUID, **more: Any) -> bytes:
    event = {"sg_event_id": "e1", "event": "bounce", "mid": str(message_id), "attempt": "1", "timestamp": 1700000000}
    return json.dumps([event | {"email": "camille@example.org", "type": "bounce"} | more]).encode() + b"\r\n"


def test_a_signed_hard_bounce_settles_the_message_and_suppresses_the_address(
    client: FlaskClient, key: ec.EllipticCurvePrivateKey, db: Database, sent: UUID
) -> None:
    for _ in range(2):
        assert post(client, key, events(sent, bounce_classification="Invalid Address")) == 204
    assert row(db, sent)["state"] == "bounced" and row(db, sent)["reason"] == "hard_bounce"
    with db.begin() as conn:
        hashed = consent.address_hash(conn, "email", "camille@example.org")
        assert consent.suppressed(conn, "email", [hashed]) == {hashed}
        kept = conn.execute(sa.select(tables.provider_events.c.raw)).scalars().all()
    assert len(kept) == 1 and "email" not in kept[0]


def test_a_blocked_mail_is_not_the_persons_fault(
    client: FlaskClient, key: ec.EllipticCurvePrivateKey, db: Database, sent: UUID
) -> None:
    assert post(client, key, events(sent, type="blocked", bounce_classification="Reputation")) == 204
    with db.begin() as conn:
        assert not consent.suppressed(conn, "email", [consent.address_hash(conn, "email", "camille@example.org")])
    assert row(db, sent)["reason"] == "soft_bounce"


def test_what_is_not_signed_by_the_provider_is_refused(
    client: FlaskClient, key: ec.EllipticCurvePrivateKey, db: Database, sent: UUID
) -> None:
    other = ec.generate_private_key(ec.SECP256R1())
    assert post(client, other, events(sent)) == 403
    assert post(client, key, events(sent), altered=b" ") == 403
    assert post(client, key, events(sent), age=3600) == 403
    assert client.post("/hooks/sendgrid", data=events(sent)).status_code == 403
    odd = {"X-Twilio-Email-Event-Webhook-Signature": "é!", "X-Twilio-Email-Event-Webhook-Timestamp": "x"}
    assert client.post("/hooks/sendgrid", data=b"\xff", headers=odd).status_code == 403
    assert row(db, sent)["state"] == "accepted"


def test_a_wrong_clock_of_ours_loses_no_report(
    client: FlaskClient, key: ec.EllipticCurvePrivateKey, db: Database, sent: UUID, now: datetime
) -> None:
    """Whoever can sign tells the time: what was signed later than now shows that our clock is behind."""
    assert post(client, key, events(sent), age=-3600) == 204
    assert row(db, sent)["state"] == "bounced"
    signed_at, hour = str(int(now.timestamp())), timedelta(hours=1)
    right, ahead, behind = now + timedelta(seconds=3), now + hour, now - hour
    clocks = {"both right": (right, right), "ours ahead": (ahead, right), "theirs ahead": (right, ahead)}
    clocks |= {"ours behind": (behind, right), "both behind": (behind, behind), "both ahead": (ahead, ahead)}
    refused = [who for who, (ours, other) in clocks.items() if _too_old(signed_at, ours, other)]
    assert refused == ["both ahead"]


def _too_old(signed_at: str, ours: datetime, other: datetime) -> bool:
    return sendgrid_events.old(signed_at, now=ours, other=lambda: other)


def test_a_complaint_without_our_ids_counts_once_another_report_of_its_mail_says_whose_it_is(
    client: FlaskClient, key: ec.EllipticCurvePrivateKey, db: Database, sent: UUID
) -> None:
    """SendGrid names the mail; many such reports are found again by as many statements as one."""
    lost = {"event": "spamreport", "timestamp": 1700000100, "email": "camille@example.org"}
    complaints = [lost | {"sg_event_id": f"c{n}", "sg_message_id": f"mail-{n}.recvd"} for n in range(40)]
    assert post(client, key, json.dumps(complaints).encode()) == 204
    assert row(db, sent)["state"] == "accepted" and _whose(db) == {None: 40}
    delivered = {"type": None, "event": "delivered", "sg_event_id": "d1", "sg_message_id": "mail-7.recvd"}
    assert post(client, key, events(sent, **delivered)) == 204
    assert row(db, sent)["state"] == "complained" and _whose(db) == {None: 39, sent: 2}
    with db.begin() as conn:
        hashed = consent.address_hash(conn, "email", "camille@example.org")
        assert consent.suppressed(conn, "email", [hashed]) == {hashed}
        found = sa.select(tables.provider_events.c.ref, tables.provider_events.c.attempt)
        kept = conn.execute(found.where(tables.provider_events.c.message_id == sent)).all()
    assert kept == [("mail-7.recvd", 1), ("mail-7.recvd", 1)]
    assert post(client, key, events(sent, **delivered)) == 204 and _whose(db) == {None: 39, sent: 2}


def test_a_complaint_that_comes_after_finds_its_mail_by_the_providers_name(
    client: FlaskClient, key: ec.EllipticCurvePrivateKey, db: Database, sent: UUID
) -> None:
    assert post(client, key, events(sent, event="delivered", sg_message_id="mail-1.recvd")) == 204
    late = {"event": "spamreport", "sg_event_id": "c1", "sg_message_id": "mail-1.recvd"}
    other = {"event": "spamreport", "sg_event_id": "c2", "sg_message_id": "mail-2.recvd"}
    assert post(client, key, json.dumps([late, other]).encode()) == 204
    assert row(db, sent)["state"] == "complained" and _whose(db) == {None: 1, sent: 2}


def _whose(db: Database) -> dict[UUID | None, int]:
    """How many reports are kept of each message."""
    with db.begin() as conn:
        whose = tables.provider_events.c.message_id
        return {one: number for one, number in conn.execute(sa.select(whose, sa.func.count()).group_by(whose))}


@pytest.mark.parametrize("body", [b"{}", b"[", b'"x"'])
def test_a_signed_body_that_is_no_list_is_refused(
    client: FlaskClient, key: ec.EllipticCurvePrivateKey, body: bytes
) -> None:
    assert post(client, key, body) == 400


DROPPED = [
    ("Bounced Address", "hard_bounce", "hard_bounce"),
    ("Invalid", "hard_bounce", "hard_bounce"),
    ("Spam Reporting Address", "complaint", "complaint"),
    ("Unsubscribed Address", "unsubscribed", "unsubscribed"),
    ("Spam Content", "refused", None),
    ("Invalid SMTPAPI header", "refused", None),
    ("Recipient List over Package Quota", "refused", None),
    ("Something else, spam or invalid", "refused", None),
    ("", "refused", None),
]


@pytest.mark.parametrize(("said", "reason", "suppressed"), DROPPED)
def test_what_was_dropped_ends_an_address_only_where_she_is_the_reason(
    client: FlaskClient,
    key: ec.EllipticCurvePrivateKey,
    db: Database,
    sent: UUID,
    said: str,
    reason: str,
    suppressed: str | None,
) -> None:
    _long_agreed(db)
    dropped = events(sent, event="dropped", type=None, reason=said)
    assert post(client, key, dropped) == 204
    assert (row(db, sent)["state"], row(db, sent)["reason"]) == ("dropped", reason)
    assert _suppressed(db) == suppressed


BOUNCES = [
    ("bounce", "Invalid Address", "hard_bounce", "hard_bounce"),
    ("bounce", "Unclassified", "hard_bounce", "hard_bounce"),
    ("bounce", "Technical Failure", "soft_bounce", None),
    ("bounce", "Content", "soft_bounce", None),
    ("bounce", "Reputation", "soft_bounce", None),
    ("bounce", "Frequency or Volume Too High", "soft_bounce", None),
    ("bounce", "Mailbox Unavailable", "soft_bounce", None),
    ("blocked", "Invalid Address", "soft_bounce", None),
    ("blocked", "Unclassified", "soft_bounce", None),
    ("blocked", "Reputation", "soft_bounce", None),
]


@pytest.mark.parametrize(("kind", "group", "reason", "suppressed"), BOUNCES)
def test_a_bounce_of_each_class_ends_an_address_only_where_it_does_not_exist(
    client: FlaskClient,
    key: ec.EllipticCurvePrivateKey,
    db: Database,
    sent: UUID,
    kind: str,
    group: str,
    reason: str,
    suppressed: str | None,
) -> None:
    assert post(client, key, events(sent, type=kind, bounce_classification=group)) == 204
    assert (row(db, sent)["state"], row(db, sent)["reason"]) == ("bounced", reason)
    assert _suppressed(db) == suppressed


def test_who_said_yes_since_the_lists_were_compared_is_not_ended_by_the_older_of_them(
    client: FlaskClient, key: ec.EllipticCurvePrivateKey, db: Database, sent: UUID
) -> None:
    with db.begin() as conn:
        conn.execute(sa.update(consents).values(at=datetime.now(UTC) - timedelta(hours=3)))
    assert post(client, key, events(sent, event="dropped", reason="Unsubscribed Address")) == 204
    assert row(db, sent)["reason"] == "unsubscribed" and _suppressed(db) is None


def _long_agreed(db: Database) -> None:
    with db.begin() as conn:
        conn.execute(sa.update(consents).values(at=datetime.now(UTC) - timedelta(days=30)))


def _suppressed(db: Database) -> str | None:
    with db.begin() as conn:
        return conn.scalar(sa.select(suppressions.c.reason))


def test_odd_events_in_a_signed_list_do_no_harm(
    client: FlaskClient, key: ec.EllipticCurvePrivateKey, db: Database, sent: UUID
) -> None:
    odd = [
        1,
        None,
        {"sg_event_id": 7},
        {"sg_event_id": "a\0b", "event": "delivered", "mid": str(sent)},
        {"sg_event_id": "b", "event": "delivered", "mid": "not one", "timestamp": "x", "attempt": "9" * 30},
        {"sg_event_id": "c", "event": "delivered", "mid": str(sent), "reason": "x\0y", "attempt": 1},
        {"sg_event_id": "d" * 500, "event": ["x"], "timestamp": 10**30},
    ]
    assert post(client, key, json.dumps(odd).encode()) == 204
    assert row(db, sent)["state"] == "delivered"
