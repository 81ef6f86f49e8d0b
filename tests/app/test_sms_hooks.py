"""What gateways tell and people answer, as it comes over HTTP: only from whom it may come, and at once."""

import base64
import hashlib
import hmac
import time
import uuid
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient

from app import parts
from campaigns import connections, replies, tables
from campaigns.channels import carriers
from campaigns.sms_words import Wish
from foundation.database import Database
from shop import consent, customers
from shop.tables import consent_log, suppressions
from tests.app.conftest import NOW
from tests.campaigns import world

NUMBER = "+33612345678"


@pytest.fixture
def camille(db: Database) -> int:
    """Somebody who agreed to text messages."""
    with db.begin() as conn:
        made = world.make_customer(conn, "camille", at=NOW, phone=NUMBER)
        said = consent.Said(made, "sms", "marketing", consent.State.GRANTED, NOW, "checkout")
        consent.record_many(conn, [said], now=NOW)
    return made


@pytest.fixture
def hook(installation: parts.Parts) -> str:
    """The address a gateway was given."""
    return carriers.report_url(installation.config).removeprefix(installation.config.base_url)


def _message(db: Database, customer: int, *, provider: str, ref: str = "") -> str:
    """A text message that was accepted; what the gateway gives back of it."""
    message_id = uuid.uuid4()
    with db.begin() as conn:
        plan = world.launch(conn, now=NOW)
        row = {"id": message_id, "campaign_id": plan.id, "version": 1, "step": "s", "channel": "sms"}
        row |= {"customer_id": customer, "entry_key": "1", "state": "accepted", "attempt": 1, "provider": provider}
        row |= {
            "queued_at": NOW,
            "not_before": NOW,
            "expires_at": NOW,
            "submitted_at": NOW,
            "provider_ref": ref or None,
        }
        conn.execute(sa.insert(tables.messages), row)
    return f"{message_id.hex}.1"


def _state(db: Database) -> tuple[str, str | None]:
    with db.begin() as conn:
        row = conn.execute(sa.select(tables.messages.c.state, tables.messages.c.reason)).one()
        return row.state, row.reason


def _standing(db: Database, customer: int) -> str:
    with db.begin() as conn:
        return consent.states(conn, [customer], channel="sms")[customer]


@pytest.mark.parametrize("way", ["form", "json", "query"])
def test_a_stop_ends_text_messages_within_a_second(
    client: FlaskClient, hook: str, db: Database, camille: int, way: str
) -> None:
    said = {"from": "06 12 34 56 78".replace(" ", "").replace("06", "+336", 1), "text": "Stop !"}
    began = time.monotonic()
    if way == "query":
        answer = client.get("/hooks/sms", query_string={"t": hook.split("t=")[1], **said})
    else:
        answer = client.post(hook, **({"data": said} if way == "form" else {"json": said}))
    assert answer.status_code == 204 and time.monotonic() - began < 1
    assert _standing(db, camille) == "denied"
    with db.begin() as conn:
        found = conn.execute(sa.select(suppressions)).mappings().one()
        assert found["address_hash"] == consent.address_hash(conn, "sms", NUMBER)
        proof = conn.execute(sa.select(consent_log).where(consent_log.c.state == "denied")).mappings().one()
    assert (found["channel"], found["reason"]) == ("sms", "unsubscribed")
    assert proof["text"] == "Stop !" and proof["proof"] == {"number": "5678"}


def test_a_stop_of_a_number_nobody_has_is_kept_all_the_same(client: FlaskClient, hook: str, db: Database) -> None:
    client.post(hook, data={"from": "+33700000000", "text": "ARRÊT"})
    with db.begin() as conn:
        assert consent.suppressed(conn, "sms", [consent.address_hash(conn, "sms", "+33700000000")])


def test_a_new_yes_anywhere_ends_her_own_stop(db: Database, camille: int) -> None:
    later = NOW + timedelta(seconds=1)
    with db.begin() as conn:
        replies.heard(conn, NUMBER, "stop", channel="sms", now=NOW)
        said = consent.Said(camille, "sms", "marketing", consent.State.GRANTED, later, "preferences")
        consent.record_many(conn, [said], now=later)
        assert not consent.suppressed(conn, "sms", [consent.address_hash(conn, "sms", NUMBER)])


def test_a_start_ends_her_own_stop_and_no_complaint(db: Database, camille: int) -> None:
    with db.begin() as conn:
        assert replies.heard(conn, NUMBER, "stop", channel="sms", now=NOW) is Wish.STOP
        replies.heard(conn, NUMBER, "START", channel="sms", now=NOW.replace(microsecond=1))
        assert not consent.suppressed(conn, "sms", [consent.address_hash(conn, "sms", NUMBER)])
        consent.suppress(conn, channel="sms", address=NUMBER, reason="complaint", now=NOW)
        replies.heard(conn, NUMBER, "start", channel="sms", now=NOW.replace(microsecond=2))
        assert consent.suppressed(conn, "sms", [consent.address_hash(conn, "sms", NUMBER)])


@pytest.mark.parametrize("word", ["", "x", "é", "0" * 32])
def test_nobody_else_is_heard(client: FlaskClient, db: Database, camille: int, word: str) -> None:
    assert client.post(f"/hooks/sms?t={word}", data={"from": NUMBER, "text": "stop"}).status_code == 403
    assert client.post("/hooks/sms", data={"from": NUMBER, "text": "stop"}).status_code == 403
    assert _standing(db, camille) == "granted"


@pytest.mark.parametrize("body", [b"{", b"[]", b"null", b"\xff", b'{"from": {"a": 1}, "text": ["stop"]}'])
def test_nonsense_changes_nothing(client: FlaskClient, hook: str, db: Database, camille: int, body: bytes) -> None:
    assert client.post(hook, data=body, content_type="application/json").status_code in (204, 400)
    assert _standing(db, camille) == "granted"


# ------------------------------------------------------------------------------------------------- Twilio
def _twilio(client: FlaskClient, installation: parts.Parts, form: dict[str, str], *, token: str, path: str) -> Any:
    url = installation.config.base_url + path
    text = url + "".join(name + form[name] for name in sorted(form))
    signature = base64.b64encode(hmac.new(token.encode(), text.encode(), hashlib.sha1).digest()).decode()
    return client.post(path, data=form, headers={"X-Twilio-Signature": signature})


@pytest.fixture
def twilio(installation: parts.Parts, db: Database) -> str:
    """The token of a connected account."""
    with db.begin() as conn:
        address = "twilio+https://AC1:tok-1@api.twilio.com?from=%2B33644601234"
        keys = installation.config.secret_keys
        connections.connect(conn, "sms", address, keys=keys, origin="test", now=NOW)
    return "tok-1"


def test_twilio_is_known_by_its_signature_alone(
    client: FlaskClient, installation: parts.Parts, db: Database, camille: int, twilio: str
) -> None:
    form = {"From": NUMBER, "To": "+33644601234", "Body": "STOP", "MessageSid": "SM9"}
    assert _twilio(client, installation, form, token="other", path="/hooks/sms").status_code == 403
    assert _standing(db, camille) == "granted"
    assert _twilio(client, installation, form, token=twilio, path="/hooks/sms").status_code == 204
    assert _standing(db, camille) == "denied"


def test_twilio_tells_what_became_of_a_message_in_any_order(
    client: FlaskClient, installation: parts.Parts, db: Database, camille: int, twilio: str
) -> None:
    path = f"/hooks/sms?t=w&m={_message(db, camille, provider='sms:twilio')}"
    for status in ("delivered", "sent", "delivered"):
        form = {"MessageSid": "SM1", "MessageStatus": status, "To": NUMBER}
        assert _twilio(client, installation, form, token=twilio, path=path).status_code == 204
    assert _state(db)[0] == "delivered"


# ------------------------------------------------------------------------------------------------ the others
def test_ovhcloud_names_its_own_id_and_finds_the_message(
    client: FlaskClient, hook: str, db: Database, camille: int
) -> None:
    _message(db, camille, provider="sms:ovh", ref="27814656")
    word = hook.split("t=")[1]
    told = {
        "t": word,
        "id": "27814656",
        "ptt": "4",
        "date": "20261122",
        "description": "1",
        "descriptionDlr": "Success",
    }
    assert client.get("/hooks/sms", query_string=told).status_code == 204
    assert _state(db)[0] == "delivered"


def test_a_number_a_gateway_calls_wrong_is_left_alone_from_then_on(
    client: FlaskClient, hook: str, db: Database, camille: int
) -> None:
    reference = _message(db, camille, provider="sms:generic")
    with db.begin() as conn:
        content = {"message_id": uuid.UUID(reference.split(".")[0]), "address": NUMBER, "sender": "Aubier"}
        content |= {"subject": "", "html": "", "text": "x", "headers": {}, "links": [], "rendered_at": NOW}
        conn.execute(sa.insert(tables.message_contents), content)
    told = {"reference": reference, "status": "failed", "bad_number": "1", "detail": "unknown subscriber"}
    assert client.post(hook, json=told).status_code == 204
    assert _state(db)[0] == "dropped"
    with db.begin() as conn:
        assert consent.suppressed(conn, "sms", [consent.address_hash(conn, "sms", NUMBER)])
        assert customers.find(conn, user_id="camille") == camille
