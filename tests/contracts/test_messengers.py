"""What every carrier of notes promises, tried on each against a peer that speaks its protocol: browsers' push services,
Firebase, gateways for text messages, WhatsApp, the shop's own pages, the mailbox of demonstrations."""

import base64
import hashlib
import hmac
import io
import json
import logging
import re
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import http_ece
import pytest
import sqlalchemy as sa
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

from campaigns import tables
from campaigns.channels import fcm, push, push_services, signing, sms, sms_ovh, sms_twilio, webpush
from campaigns.channels.base import Messenger, Note, Outcome
from campaigns.channels.onsite import OnsiteChannel
from campaigns.channels.outbox import OutboxChannel
from campaigns.channels.push_encryption import Voice, encrypt
from campaigns.channels.tables import onsite_notes
from foundation import logs
from foundation.database import Database
from tests.campaigns import world
from tests.conftest import NOW
from tests.contracts import providers
from tests.contracts.providers import HANG, LOST, Answer, Asked, Provider, Rerouted, said

VOICE = Voice(signing.encode(bytes(range(1, 33))), "mailto:shop@aubier.example")
RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)


@dataclass
class Browser:
    """A browser's side of a subscription: what it gives away, and what lets it read what comes."""

    subscription: webpush.Subscription
    key: ec.EllipticCurvePrivateKey
    auth: bytes

    def read(self, body: bytes) -> Any:
        """What a push message says, opened by somebody else's implementation of RFC 8188."""
        return json.loads(http_ece.decrypt(body, private_key=self.key, auth_secret=self.auth, version="aes128gcm"))


def a_browser(number: int = 1, *, host: str = "fcm.googleapis.com") -> Browser:
    key, auth = ec.generate_private_key(ec.SECP256R1()), bytes(range(number, number + 16))
    point = key.public_key().public_bytes(serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)
    endpoint = f"https://{host}/fcm/send/browser-{number}"
    return Browser(webpush.Subscription(endpoint, signing.encode(point), signing.encode(auth), VOICE.public), key, auth)


BROWSER = a_browser()


@dataclass
class Trial:
    """A carrier with its peer: how to make that peer misbehave, and how many notes it took."""

    carrier: Messenger
    addresses: tuple[str, ...]
    taken: Callable[[], int]
    refuse: Callable[[Answer], None] = print
    channel: str = "push"


def account(url: str) -> str:
    """A service account as Google writes it, of a project at this address."""
    pem = RSA.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    told = {"type": "service_account", "project_id": "aubier", "client_email": "push@aubier.example"}
    told |= {"private_key": pem.decode(), "token_uri": f"{url}/token", "fcm_host": url}
    return json.dumps(told)


GOOD: dict[str, Callable[[Asked], Answer]] = {
    "webpush": lambda asked: (201, {"Location": "https://push.example/m/1"}, b""),
    "fcm": lambda asked: said(200, {"name": "projects/aubier/messages/0:1"}),
    "generic": lambda asked: said(200, {"id": "g-1"}),
    "twilio": lambda asked: said(201, {"sid": "SM1", "status": "queued", "error_code": None}),
    "whatsapp": lambda asked: said(201, {"sid": "MM1", "status": "queued", "error_code": None}),
    "ovh": lambda asked: said(
        200, {"ids": [27814656], "totalCreditsRemoved": 1, "invalidReceivers": [], "validReceivers": ["+33612345678"]}
    ),
}
TOKEN = said(200, {"access_token": "ya29.token", "expires_in": 3599, "token_type": "Bearer"})
OURS = ("onsite", "outbox")


def carrier(kind: str, peer: Provider) -> Messenger:
    """A carrier that speaks to this peer."""
    host = peer.url.removeprefix("http://")
    callback = "https://relance.example/hooks/sms?t=word"
    match kind:
        case "webpush":
            return webpush.WebPush(VOICE, read_seconds=0.5, transport=Rerouted(peer.url))
        case "fcm":
            return fcm.Fcm(account(peer.url), read_seconds=0.5)
        case "ovh":
            told = f"ovh+http://AK:AS@{host}/1.0?consumer=CK&service=sms-ab1-1&from=Aubier"
            return sms.SmsGateway(sms.account(told, callback=callback), sms_ovh.Ovh(), read_seconds=0.5)
        case "generic":
            told = f"generic+http://user:pass@{host}/send?from=Aubier"
            return sms.SmsGateway(sms.account(told, callback=callback), sms.Generic(), read_seconds=0.5)
    told = f"twilio+http://AC1:token@{host}?from=%2B33644601234"
    return sms.SmsGateway(sms.account(told, callback=callback), sms_twilio.Twilio(), read_seconds=0.5)


@pytest.fixture(params=[*GOOD, *OURS])
def trial(request: pytest.FixtureRequest, db: Database) -> Iterator[Trial]:
    kind = request.param
    if kind in OURS:
        table = onsite_notes if kind == "onsite" else tables.outbox
        own = OnsiteChannel(db) if kind == "onsite" else OutboxChannel(db)
        yield Trial(own, ("1",), lambda: _count(db, table), channel=kind)
        return
    spoken = {"answer": GOOD[kind]}

    def answer(asked: Asked) -> Answer:
        return TOKEN if asked.path == "/token" else spoken["answer"](asked)

    with providers.speaking(answer) as peer:
        made = carrier(kind, peer)

        def refuse(how: Answer) -> None:
            spoken["answer"] = lambda asked: how

        addresses = {"webpush": (BROWSER.subscription.address,), "fcm": ("device-token",)}
        yield Trial(
            made,
            addresses.get(kind, ("+33612345678",)),
            lambda: sum(1 for asked in peer.taken if asked.path != "/token"),
            refuse,
            kind if kind == "whatsapp" else "sms",
        )
        made.close()


BY_NETWORK = pytest.mark.parametrize("trial", list(GOOD), indirect=True)


def _count(db: Database, table: sa.Table) -> int:
    with db.begin() as conn:
        return conn.scalar(sa.select(sa.func.count()).select_from(table)) or 0


def a_note(db: Database | None, trial: Trial | None = None, **changes: Any) -> Note:
    """A note; in the ledger too, where the carrier keeps it in our own database."""
    message_id, customer = uuid.uuid4(), 0
    if db is not None and trial is not None and trial.channel in OURS:
        with db.begin() as conn:
            customer = world.make_customer(conn, f"c{message_id.hex}", at=NOW)
            plan_id = conn.scalar(sa.select(tables.campaigns.c.id)) or world.launch(conn, now=NOW).id
            row = {"id": message_id, "campaign_id": plan_id, "version": 1, "step": "cart_1", "channel": "onsite"}
            row |= {"customer_id": customer, "entry_key": "1", "state": "submitting"}
            times = {"queued_at": NOW, "not_before": NOW, "expires_at": NOW}
            conn.execute(sa.insert(tables.messages), row | times)
        trial = replace(trial, addresses=(str(customer),))
    note = Note(
        message_id=message_id,
        attempt=1,
        channel=trial.channel if trial else "push",
        addresses=trial.addresses if trial else (BROWSER.subscription.address,),
        title="Votre panier vous attend",
        text="Une cocotte, deux torchons : 221,00 €",
        expires_at=datetime.now(UTC) + timedelta(hours=4),
        deadline=time.monotonic() + 30,
        url="https://relance.example/c/token",
        image="https://aubier.example/img/cocotte.png",
        actions=(("Reprendre", "https://relance.example/c/token"),),
        closing="STOP au 36180",
        template="HX1",
        values=("Camille", "221,00 €"),
    )
    return replace(note, **changes)


# ------------------------------------------------------------------------------------------- the contract
def test_it_takes_notes_and_gives_one_receipt_each_in_order(trial: Trial, db: Database) -> None:
    notes = [a_note(db, trial) for _ in range(12)]
    receipts = trial.carrier.deliver(notes)
    assert [(receipt.message_id, receipt.outcome) for receipt in receipts] == [
        (note.message_id, Outcome.ACCEPTED) for note in notes
    ]
    assert trial.taken() == 12


@BY_NETWORK
@pytest.mark.parametrize(
    ("how", "outcome", "taken"),
    [
        (said(429, {}, **{"Retry-After": "7"}), Outcome.REFUSED_RETRY, 0),
        (said(503, {}), Outcome.AMBIGUOUS, 0),
        (said(400, {"message": "no"}), Outcome.REFUSED_FINAL, 0),
        (said(401, {"message": "who are you"}), Outcome.MISCONFIGURED, 0),
        ((301, {"Location": "http://127.0.0.1:1/"}, b""), Outcome.MISCONFIGURED, 0),
        ((LOST, {}, b""), Outcome.AMBIGUOUS, 1),
        ((HANG, {}, b""), Outcome.AMBIGUOUS, 1),
    ],
    ids=["429", "503", "400", "401", "301", "lost", "hanging"],
)
def test_what_the_provider_says_is_told_for_what_it_is(
    trial: Trial, db: Database, how: Answer, outcome: Outcome, taken: int
) -> None:
    trial.refuse(how)
    receipt = trial.carrier.deliver([a_note(db, trial)])[0]
    assert receipt.outcome is outcome, receipt
    assert trial.taken() == taken
    if how[0] == 429:
        assert (receipt.retry_after, receipt.busy) == (7.0, True)


@BY_NETWORK
def test_a_page_of_html_with_200_leaves_the_message_in_doubt(trial: Trial, db: Database) -> None:
    trial.refuse((200, {"Content-Type": "text/html"}, b"<html>Welcome to the hotel</html>"))
    assert trial.carrier.deliver([a_note(db, trial)])[0].outcome is Outcome.AMBIGUOUS


@BY_NETWORK
def test_nothing_leaves_once_the_deadline_is_over(trial: Trial, db: Database) -> None:
    receipt = trial.carrier.deliver([a_note(db, trial, deadline=time.monotonic() - 1)])[0]
    assert receipt.outcome is Outcome.UNSENT and trial.taken() == 0


@pytest.mark.parametrize("kind", list(GOOD))
def test_an_unreachable_host_means_nothing_was_sent(kind: str) -> None:
    made = carrier(kind, Provider(GOOD[kind], port=1))
    address = a_browser().subscription.address if kind == "webpush" else "+33612345678"
    receipt = made.deliver([a_note(None, addresses=(address,), channel="sms")])[0]
    made.close()
    assert receipt.outcome is Outcome.UNSENT and receipt.busy


@pytest.mark.parametrize("trial", OURS, indirect=True)
def test_what_we_keep_ourselves_is_kept_once_however_often_it_is_handed_over(trial: Trial, db: Database) -> None:
    note = a_note(db, trial)
    trial.carrier.deliver([note, note])
    trial.carrier.deliver([note])
    assert trial.taken() == 1


# ------------------------------------------------------------------------------------------------ web push
def test_the_example_of_the_standard_is_encrypted_to_the_letter() -> None:
    """RFC 8291, appendix A."""
    own = ec.derive_private_key(
        int.from_bytes(signing.decode("yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw"), "big"), ec.SECP256R1()
    )
    made = encrypt(
        b"When I grow up, I want to be a watermelon",
        p256dh="BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4",
        auth="BTBZMqHH6r4Tts7J_aSIgg",
        key=own,
        salt=signing.decode("DGv6ra1nlYgDCS1FRnbzlw"),
    )
    assert signing.encode(made[86:]) == "8pfeW0KbunFT06SuDKoJH9Ql87S1QUrdirN6GcG7sFz1y1sqLgVi1VhjVkHsUoEsbI_0LpXMuGvnzQ"


def test_a_browser_reads_what_it_is_told_and_the_service_reads_only_who_speaks() -> None:
    with providers.speaking(GOOD["webpush"]) as peer:
        made = carrier("webpush", peer)
        note = a_note(None)
        made.deliver([note])
        made.close()
    (asked,) = peer.taken
    assert asked.headers["x-meant-for"] == BROWSER.subscription.endpoint
    assert BROWSER.read(asked.body) == {
        "id": str(note.message_id),
        "title": note.title,
        "body": note.text,
        "url": note.url,
        "image": note.image,
        "actions": [{"title": "Reprendre", "url": note.url}],
    }
    assert note.text.encode() not in asked.body
    assert asked.headers["content-encoding"] == "aes128gcm" and len(asked.headers["topic"]) == 32
    assert 4 * 3600 - 10 < int(asked.headers["ttl"]) <= 4 * 3600
    token, key = (part.split("=", 1)[1] for part in asked.headers["authorization"].removeprefix("vapid ").split(", "))
    claims = _verified(token, key)
    assert claims["aud"] == "https://fcm.googleapis.com" and claims["sub"] == "mailto:shop@aubier.example"
    assert time.time() < claims["exp"] <= time.time() + 24 * 3600


@pytest.mark.parametrize(
    ("left", "kept"), [(timedelta(seconds=5), 60), (timedelta(seconds=-30), 60), (timedelta(days=90), 28 * 86400)]
)
def test_a_notification_about_to_end_is_kept_a_minute_and_none_longer_than_services_take(
    left: timedelta, kept: int
) -> None:
    """A TTL of 0 would drop it where the browser is closed for a moment; a longer one is refused."""
    note = a_note(None, expires_at=datetime.now(UTC) + left)
    with providers.speaking(GOOD["webpush"]) as peer:
        made = carrier("webpush", peer)
        assert made.deliver([note])[0].outcome is Outcome.ACCEPTED
        made.close()
    assert [asked.headers["ttl"] for asked in peer.taken] == [str(kept)]
    said = fcm.message(note, "device")
    assert said["android"]["ttl"] == f"{kept}s"
    assert int(said["apns"]["headers"]["apns-expiration"]) == pytest.approx(time.time() + kept, abs=5)


def _verified(token: str, key: str) -> Any:
    """The claims of a token, once its ES256 signature was checked by the key it names."""
    text, _, signature = token.rpartition(".")
    raw = signing.decode(signature)
    public = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), signing.decode(key))
    der = serialization.load_der_public_key  # the verifier wants DER; built from r and s below
    assert callable(der)
    numbers = (int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big"))
    from_numbers = ec.ECDSA(hashes.SHA256())
    public.verify(_der(*numbers), text.encode(), from_numbers)
    return json.loads(signing.decode(token.split(".")[1]))


def _der(r: int, s: int) -> bytes:
    def whole(number: int) -> bytes:
        raw = number.to_bytes((number.bit_length() + 8) // 8, "big")
        return b"\x02" + bytes([len(raw)]) + raw

    both = whole(r) + whole(s)
    return b"\x30" + bytes([len(both)]) + both


def test_two_push_services_each_get_a_token_of_their_own() -> None:
    other = a_browser(2, host="updates.push.services.mozilla.com")
    with providers.speaking(GOOD["webpush"]) as peer:
        made = carrier("webpush", peer)
        made.deliver([a_note(None, addresses=(BROWSER.subscription.address, other.subscription.address))])
        made.close()
    spoken = {asked.headers["x-meant-for"].split("/")[2]: asked.headers["authorization"] for asked in peer.taken}
    for host, header in spoken.items():
        token, key = (part.split("=", 1)[1] for part in header.removeprefix("vapid ").split(", "))
        assert _verified(token, key)["aud"] == f"https://{host}"
    assert len(spoken) == 2


@pytest.mark.parametrize("status", [404, 410])
def test_a_browser_that_is_gone_is_named_while_the_others_get_the_message(status: int) -> None:
    other = a_browser(2)

    def answer(asked: Asked) -> Answer:
        return (status, {}, b"gone") if asked.path.endswith("-2") else (201, {}, b"")

    with providers.speaking(answer) as peer:
        made = carrier("webpush", peer)
        both = a_note(None, addresses=(other.subscription.address, BROWSER.subscription.address))
        alone = a_note(None, addresses=(other.subscription.address,))
        receipts = made.deliver([both, alone])
        made.close()
    assert [receipt.outcome for receipt in receipts] == [Outcome.ACCEPTED, Outcome.REFUSED_FINAL]
    assert [receipt.code for receipt in receipts] == [201, status]
    assert all(receipt.dead == (other.subscription.address,) for receipt in receipts)


@pytest.mark.parametrize("status", [413, 403])
def test_a_refusal_that_is_not_the_browsers_fault_forgets_no_browser(status: int) -> None:
    with providers.speaking(lambda asked: (status, {}, b"")) as peer:
        made = carrier("webpush", peer)
        receipt = made.deliver([a_note(None)])[0]
        made.close()
    assert receipt.dead == ()
    assert receipt.outcome is (Outcome.MISCONFIGURED if status == 403 else Outcome.REFUSED_FINAL)


def test_a_browser_of_another_key_is_never_called() -> None:
    deaf = replace(BROWSER.subscription, public_key="BOther")
    with providers.speaking(GOOD["webpush"]) as peer:
        made = carrier("webpush", peer)
        receipt = made.deliver([a_note(None, addresses=(deaf.address,))])[0]
        made.close()
    assert receipt.dead == (deaf.address,) and peer.asked == []


def test_words_too_long_for_a_push_message_are_shortened_until_they_fit() -> None:
    note = a_note(None, title="é" * 500, text="€" * 5000, url="https://relance.example/" + "c" * 1500)
    with providers.speaking(GOOD["webpush"]) as peer:
        made = carrier("webpush", peer)
        assert made.deliver([note])[0].outcome is Outcome.ACCEPTED
        made.close()
    assert len(peer.taken[0].body) <= 4096
    assert BROWSER.read(peer.taken[0].body)["url"] == note.url


PRIVATE = (
    "http://fcm.googleapis.com/x",
    "https://fcm.googleapis.com:8443/x",
    "https://fcm.googleapis.com@127.0.0.1/x",
    "https://127.0.0.1/x",
    "https://[::1]/x",
    "https://[::ffff:127.0.0.1]/x",
    "https://2130706433/x",
    "https://0x7f.1/x",
    "https://169.254.169.254/latest/meta-data",
    "https://metadata.google.internal/x",
    "https://localhost/x",
    "https://fcm.googleapis.com.evil.example/x",
    "https://evil.example/fcm.googleapis.com",
    "https://evil.example#.push.apple.com",
    "https://evil.example\\.push.apple.com/x",
    "https://evilpush.apple.com.evil.example/",
    "https://notify.windows.com.evil.example/",
    "https://fcm.googleapis.com/\r\nHost: evil",
    "https://fcm.googleapis.com/" + "x" * 2000,
    "https://[",
    "",
    "javascript:alert(1)",
    "file:///etc/passwd",
    "https://fcm.googleapis.com:99999/x",
)


@pytest.mark.parametrize("endpoint", PRIVATE)
def test_nothing_but_a_push_service_is_ever_called(endpoint: str) -> None:
    assert push_services.wrong(endpoint)
    with providers.speaking(GOOD["webpush"]) as peer:
        made = carrier("webpush", peer)
        receipt = made.deliver([a_note(None, addresses=(replace(BROWSER.subscription, endpoint=endpoint).address,))])[0]
        made.close()
    assert receipt.outcome is Outcome.REFUSED_FINAL and peer.asked == []


@pytest.mark.parametrize(
    "host",
    ["fcm.googleapis.com", "updates.push.services.mozilla.com", "web.push.apple.com", "wns2-par02p.notify.windows.com"],
)
def test_the_push_services_of_browsers_are_known(host: str) -> None:
    assert push_services.wrong(f"https://{host}/some/path") is None


def test_a_key_pair_is_the_same_at_every_start_and_fits_the_curve() -> None:
    assert Voice(VOICE.secret, "x").public == VOICE.public
    for secret in (b"\xff" * 32, b"\x00" * 31 + b"\x01"):
        assert len(signing.decode(Voice(signing.encode(secret), "x").public)) == 65


def test_no_address_stands_in_the_log() -> None:
    root, stream = logging.getLogger(), io.StringIO()
    handlers, level = root.handlers[:], root.level
    logs.configure(stream=stream)
    try:
        with providers.speaking(GOOD["webpush"]) as peer:
            made = carrier("webpush", peer)
            made.deliver([a_note(None)])
            made.close()
        with providers.speaking(GOOD["twilio"]) as peer:
            made = carrier("twilio", peer)
            made.deliver([a_note(None, addresses=("+33612345678",), channel="sms")])
            made.close()
    finally:
        root.handlers[:], root.level = handlers, level
    assert not re.search("browser-1|612345678|AC1|token", stream.getvalue())


# --------------------------------------------------------------------------------------------------- devices
def test_browsers_and_apps_of_one_customer_get_one_message_and_one_receipt() -> None:
    with ExitStack() as stack:
        service = stack.enter_context(providers.speaking(GOOD["webpush"]))
        google = stack.enter_context(
            providers.speaking(lambda asked: TOKEN if asked.path == "/token" else _unregistered())
        )
        both = push.Push(web=carrier("webpush", service), app=carrier("fcm", google))
        receipt = both.deliver([a_note(None, addresses=(BROWSER.subscription.address, "app:old-token"))])[0]
        both.close()
    assert (receipt.outcome, receipt.dead) == (Outcome.ACCEPTED, ("app:old-token",))


def test_a_customer_without_any_device_left_is_told_so() -> None:
    with providers.speaking(GOOD["webpush"]) as peer:
        alone = push.Push(web=carrier("webpush", peer), app=None)
        receipt = alone.deliver([a_note(None, addresses=("app:token",))])[0]
        alone.close()
    assert receipt.outcome is Outcome.REFUSED_FINAL and "no device" in receipt.detail


def _unregistered() -> Answer:
    detail = {"@type": "type.googleapis.com/google.firebase.fcm.v1.FcmError", "errorCode": "UNREGISTERED"}
    error = {"code": 404, "message": "Requested entity was not found.", "status": "NOT_FOUND", "details": [detail]}
    return said(404, {"error": error})


def _fcm_error(status: int, code: str, message: str = "no") -> Answer:
    detail = {"@type": "type.googleapis.com/google.firebase.fcm.v1.FcmError", "errorCode": code}
    return said(status, {"error": {"code": status, "message": message, "status": code, "details": [detail]}})


@pytest.mark.parametrize(
    ("answer", "outcome", "dead"),
    [
        (_unregistered(), Outcome.REFUSED_FINAL, True),
        (
            _fcm_error(400, "INVALID_ARGUMENT", "The registration token is not a valid FCM registration token"),
            Outcome.REFUSED_FINAL,
            True,
        ),
        (_fcm_error(400, "INVALID_ARGUMENT", "Invalid value at 'message.data'"), Outcome.REFUSED_FINAL, False),
        (_fcm_error(403, "SENDER_ID_MISMATCH"), Outcome.REFUSED_FINAL, False),
        (_fcm_error(401, "THIRD_PARTY_AUTH_ERROR"), Outcome.MISCONFIGURED, False),
        (_fcm_error(429, "QUOTA_EXCEEDED"), Outcome.REFUSED_RETRY, False),
        (_fcm_error(500, "INTERNAL"), Outcome.AMBIGUOUS, False),
        (_fcm_error(503, "UNAVAILABLE"), Outcome.AMBIGUOUS, False),
        (said(404, {"error": {"code": 404, "status": "NOT_FOUND"}}), Outcome.MISCONFIGURED, False),
    ],
)
def test_firebases_own_words_are_understood(answer: Answer, outcome: Outcome, dead: bool) -> None:
    with providers.speaking(lambda asked: TOKEN if asked.path == "/token" else answer) as peer:
        made = carrier("fcm", peer)
        receipt = made.deliver([a_note(None, addresses=("device-token",))])[0]
        made.close()
    assert (receipt.outcome, bool(receipt.dead)) == (outcome, dead)


def test_the_service_account_signs_for_one_token_that_serves_many_messages() -> None:
    with providers.speaking(lambda asked: TOKEN if asked.path == "/token" else GOOD["fcm"](asked)) as peer:
        made = carrier("fcm", peer)
        made.deliver([a_note(None, addresses=("a",)), a_note(None, addresses=("b",))])
        made.close()
    (asked,) = [one for one in peer.asked if one.path == "/token"]
    head, body, signature = asked.form["assertion"].split(".")
    RSA.public_key().verify(signing.decode(signature), f"{head}.{body}".encode(), padding.PKCS1v15(), hashes.SHA256())
    claims = json.loads(signing.decode(body))
    assert claims["scope"] == fcm.SCOPE and claims["aud"] == f"{peer.url}/token"
    sent = [one for one in peer.taken if one.path != "/token"]
    assert {one.path for one in sent} == {"/v1/projects/aubier/messages:send"}
    assert {one.headers["authorization"] for one in sent} == {"Bearer ya29.token"}
    message = sent[0].json["message"]
    assert message["notification"]["title"] == "Votre panier vous attend"
    assert message["android"]["collapse_key"] == message["apns"]["headers"]["apns-collapse-id"]
    assert message["android"]["ttl"].endswith("s") and message["data"]["url"] == "https://relance.example/c/token"


@pytest.mark.parametrize(
    ("token", "outcome"),
    [
        (said(400, {"error": "invalid_grant", "error_description": "Invalid JWT Signature."}), Outcome.MISCONFIGURED),
        (said(503, {}), Outcome.UNSENT),
        ((LOST, {}, b""), Outcome.UNSENT),
    ],
)
def test_without_a_token_no_message_fails(token: Answer, outcome: Outcome) -> None:
    with providers.speaking(lambda asked: token) as peer:
        made = carrier("fcm", peer)
        receipt = made.deliver([a_note(None, addresses=("device-token",))])[0]
        made.close()
    assert receipt.outcome is outcome


# --------------------------------------------------------------------------------------------- text messages
@pytest.mark.parametrize(
    ("kind", "header", "status", "body"),
    [
        ("twilio", "Twilio-Request-Id", 201, {"sid": "SM1"}),
        ("twilio", "Twilio-Request-Id", 400, {"code": 21610, "message": "stopped"}),
        ("ovh", "X-OVH-QUERYID", 200, {"ids": [], "invalidReceivers": ["+33612345678"]}),
        ("generic", "X-Request-Id", 422, {}),
        ("fcm", "X-Request-Id", 200, {"name": "projects/aubier/messages/0:1"}),
    ],
)
def test_an_answer_is_kept_as_a_number_with_the_providers_name_of_it(
    kind: str, header: str, status: int, body: dict[str, object]
) -> None:
    answered, headers, content = said(status, body)
    named = (answered, {**headers, header: "RQ-7"}, content)
    with providers.speaking(lambda asked: TOKEN if asked.path == "/token" else named) as peer:
        made = carrier(kind, peer)
        receipt = made.deliver([a_note(None, addresses=("+33612345678",))])[0]
        made.close()
    assert (receipt.code, receipt.request_id) == (status, "RQ-7")


def test_twilio_gets_its_form_and_where_to_report() -> None:
    with providers.speaking(GOOD["twilio"]) as peer:
        made = carrier("twilio", peer)
        note = a_note(None, addresses=("+33612345678",), channel="sms")
        receipt = made.deliver([note])[0]
        made.close()
    (asked,) = peer.taken
    assert asked.path == "/2010-04-01/Accounts/AC1/Messages.json" and receipt.provider_ref == "SM1"
    assert asked.headers["authorization"] == "Basic " + base64.b64encode(b"AC1:token").decode()
    assert asked.form == {
        "To": "+33612345678",
        "From": "+33644601234",
        "Body": f"{note.text}\nSTOP au 36180",
        "StatusCallback": f"https://relance.example/hooks/sms?t=word&m={note.message_id.hex}.1",
    }


@pytest.mark.parametrize(
    ("status", "code", "outcome", "stopped", "bad"),
    [
        (400, 21610, Outcome.REFUSED_FINAL, True, False),
        (400, 21211, Outcome.REFUSED_FINAL, False, True),
        (400, 21614, Outcome.REFUSED_FINAL, False, True),
        (400, 21617, Outcome.REFUSED_FINAL, False, False),
        (400, 21606, Outcome.MISCONFIGURED, False, False),
        (401, 20003, Outcome.MISCONFIGURED, False, False),
        (429, 20429, Outcome.REFUSED_RETRY, False, False),
    ],
)
def test_twilios_codes_are_understood(status: int, code: int, outcome: Outcome, stopped: bool, bad: bool) -> None:
    with providers.speaking(lambda asked: said(status, {"code": code, "message": "m", "status": status})) as peer:
        made = carrier("twilio", peer)
        receipt = made.deliver([a_note(None, addresses=("+33612345678",), channel="sms")])[0]
        made.close()
    assert (receipt.outcome, receipt.stopped, receipt.bad_address) == (outcome, stopped, bad)


def test_whatsapp_is_told_the_template_and_what_fills_it() -> None:
    with providers.speaking(GOOD["whatsapp"]) as peer:
        made = carrier("whatsapp", peer)
        made.deliver([a_note(None, addresses=("+33612345678",), channel="whatsapp")])
        made.close()
    form = peer.taken[0].form
    assert (form["To"], form["From"]) == ("whatsapp:+33612345678", "whatsapp:+33644601234")
    assert form["ContentSid"] == "HX1" and json.loads(form["ContentVariables"]) == {"1": "Camille", "2": "221,00 €"}
    assert "Body" not in form


def test_a_call_of_twilios_is_known_by_its_signature() -> None:
    """The worked example of Twilio's documentation, with another token."""
    url, form = "https://relance.example/hooks/sms?t=1", {"To": "+18005551212", "CallSid": "CA1", "Digits": "1234"}
    text = url + "CallSidCA1Digits1234To+18005551212"
    good = base64.b64encode(hmac.new(b"12345", text.encode(), hashlib.sha1).digest()).decode()
    assert sms_twilio.signed(url, form, signature=good, token="12345")
    assert not sms_twilio.signed(url, form | {"Digits": "1235"}, signature=good, token="12345")
    assert not sms_twilio.signed(url, form, signature=good, token="12346")


def test_ovhcloud_gets_a_signed_job_and_says_stop_itself() -> None:
    with providers.speaking(GOOD["ovh"]) as peer:
        made = carrier("ovh", peer)
        note = a_note(None, addresses=("+33612345678",), channel="sms", text="Votre panier vous attend")
        marketing = made.deliver([note])[0]
        made.deliver([replace(note, closing="", text="Prêt")])
        made.close()
    asked, service = peer.taken
    assert asked.path == "/1.0/sms/sms-ab1-1/jobs" and marketing.provider_ref == "27814656"
    whole = f"AS+CK+POST+{peer.url}/1.0/sms/sms-ab1-1/jobs+{asked.body.decode()}+{asked.headers['x-ovh-timestamp']}"
    assert asked.headers["x-ovh-signature"] == "$1$" + hashlib.sha1(whole.encode()).hexdigest()
    assert (asked.headers["x-ovh-application"], asked.headers["x-ovh-consumer"]) == ("AK", "CK")
    assert asked.json["message"] == "Votre panier vous attend" and asked.json["noStopClause"] is False
    assert asked.json["receivers"] == ["+33612345678"] and asked.json["coding"] == "7bit"
    assert service.json["noStopClause"] is True and service.json["coding"] == "8bit"


@pytest.mark.parametrize(
    ("answer", "outcome", "bad"),
    [
        (said(200, {"ids": [], "invalidReceivers": ["+3361"], "validReceivers": []}), Outcome.REFUSED_FINAL, True),
        (said(400, {"errorCode": "INVALID_SIGNATURE", "message": "Invalid signature"}), Outcome.MISCONFIGURED, False),
        (said(403, {"errorCode": "NOT_GRANTED_CALL", "message": "not granted"}), Outcome.MISCONFIGURED, False),
        (said(402, {"message": "not enough credits"}), Outcome.MISCONFIGURED, False),
    ],
)
def test_ovhclouds_words_are_understood(answer: Answer, outcome: Outcome, bad: bool) -> None:
    with providers.speaking(lambda asked: answer) as peer:
        made = carrier("ovh", peer)
        receipt = made.deliver([a_note(None, addresses=("+33612345678",), channel="sms")])[0]
        made.close()
    assert (receipt.outcome, receipt.bad_address) == (outcome, bad)


def test_a_plain_gateway_gets_json_and_nothing_personal_to_give_back() -> None:
    with providers.speaking(GOOD["generic"]) as peer:
        made = carrier("generic", peer)
        note = a_note(None, addresses=("+33612345678",), channel="sms")
        receipt = made.deliver([note])[0]
        made.close()
    (asked,) = peer.taken
    assert (asked.path, receipt.provider_ref) == ("/send", "g-1")
    assert asked.json["reference"] == f"{note.message_id.hex}.1"
    assert asked.json["callback"].endswith(f"&m={note.message_id.hex}.1") and asked.json["text"].endswith("36180")


@pytest.mark.parametrize(("status", "stopped", "bad"), [(410, True, False), (422, False, True)])
def test_a_plain_gateway_may_say_that_she_stopped_or_has_no_such_number(status: int, stopped: bool, bad: bool) -> None:
    with providers.speaking(lambda asked: said(status, {})) as peer:
        made = carrier("generic", peer)
        receipt = made.deliver([a_note(None, addresses=("+33612345678",), channel="sms")])[0]
        made.close()
    assert (receipt.outcome, receipt.stopped, receipt.bad_address) == (Outcome.REFUSED_FINAL, stopped, bad)
