"""A journey's messages by every channel but e-mail, from the step to the provider and back, through the one engine."""

import functools
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from campaigns import acting, connections, messages, onsite, subscriptions, tables
from campaigns.channels import fcm, sms, sms_ovh, sms_twilio, webpush
from campaigns.channels.onsite import OnsiteChannel
from campaigns.channels.outbox import OutboxChannel
from campaigns.channels.push import Push
from campaigns.channels.tables import push_subscriptions
from campaigns.sending import Sending
from foundation.database import Database
from shop import consent
from shop.tables import customers, identities, suppressions
from tests.campaigns import journey, world
from tests.contracts import providers, test_messengers
from tests.contracts.providers import Answer, Asked, Provider, Rerouted, said

BROWSER = test_messengers.a_browser(3)
NUMBER = "+33612345678"
ENTRY = {"type": "event", "event": "Quiz Taken"}
KEYS = ["a key of these tests, long"]


@dataclass
class Peers:
    """Push service and gateway, how they answer, and the sender that speaks to them."""

    sending: Sending
    service: Provider
    gateway: Provider
    answers: dict[str, Answer]


@pytest.fixture
def peers(db: Database, tmp_path: Path, now: datetime) -> Iterator[Peers]:
    with connected(db, tmp_path, now=now) as made:
        yield made


@contextmanager
def connected(db: Database, folder: Path, *, now: datetime) -> Iterator[Peers]:
    """A stocked shop whose channels all lead to peers in this process."""
    answers: dict[str, Answer] = {
        "push": (201, {}, b""),
        "sms": said(201, {"sid": "SM1", "status": "queued", "error_code": None}),
    }

    def pushed(asked: Asked) -> Answer:
        return answers["push"]

    def texted(asked: Asked) -> Answer:
        return answers["sms"]

    with ExitStack() as stack:
        service = stack.enter_context(providers.speaking(pushed))
        gateway = stack.enter_context(providers.speaking(texted))
        account = sms.account(f"twilio+{gateway.url.replace('//', '//AC1:token@')}?from=%2B33644601234")
        push = Push(web=webpush.WebPush(test_messengers.VOICE, transport=Rerouted(service.url)), app=None)
        carriers = {
            "push": push,
            "sms": sms.SmsGateway(account, sms_twilio.Twilio()),
            "whatsapp": sms.SmsGateway(account, sms_twilio.Twilio()),
            "onsite": OnsiteChannel(db),
        }
        with db.begin() as conn:
            world.stock_shop(conn, now=now)
            for channel in ("sms", "whatsapp"):
                connections.connect(conn, channel, "outbox:", keys=KEYS, origin="test", now=now)
        yield Peers(replace(world.sending(OutboxChannel(db), folder), channels=carriers), service, gateway, answers)
        for carrier in carriers.values():
            carrier.close()


def camille(db: Database, now: datetime, *channels: str, **traits: Any) -> int:
    """Somebody with a telephone and a browser, who agreed to these channels."""
    with db.begin() as conn:
        person = world.make_customer(
            conn, "camille", at=now, consents=False, phone=NUMBER, first_name="Camille", **traits
        )
        said = [consent.Said(person, one, "marketing", consent.State.GRANTED, now, "form") for one in channels]
        consent.record_many(conn, said, now=now)
        subscriptions.keep(conn, person, BROWSER.subscription, user_agent="test", now=now)
    return person


def run(db: Database, peers: Peers, step: dict[str, Any], *, now: datetime) -> None:
    """She does what the campaign waits for, and everything due is sent."""
    journey.launch(db, ENTRY, [step], now=now)
    with db.begin() as conn:
        world.say(conn, "camille", "Quiz Taken", at=now)
    journey.tick(db, now)
    messages.deliver_due(db, peers.sending, now=now)


def state(db: Database) -> tuple[str, str | None]:
    with db.begin() as conn:
        row = conn.execute(sa.select(tables.messages.c.state, tables.messages.c.reason)).one()
    return row.state, row.reason


WORDS = {"en": {"heading": "Hello {{ customer.first_name }}", "intro": "Your basket is waiting.", "button": "Resume"}}
PUSH = {"type": "send", "id": "hello", "channel": "push", "words": WORDS, "link": "/demo/basket"}
SMS = PUSH | {"channel": "sms"}


def test_a_notification_reaches_her_browser_with_a_link_that_is_counted(
    db: Database, peers: Peers, now: datetime
) -> None:
    camille(db, now, "push")
    run(db, peers, PUSH, now=now)
    assert state(db)[0] == "accepted"
    told = BROWSER.read(peers.service.taken[0].body)
    assert (told["title"], told["body"]) == ("Hello Camille", "Your basket is waiting.")
    assert told["actions"] == [{"title": "Resume", "url": told["url"]}]
    click = world.LINKS.read_click(told["url"].rpartition("/")[2])
    assert click is not None and str(click.message_id) == told["id"]


def test_without_consent_or_browser_nothing_is_pushed_and_the_ledger_says_why(
    db: Database, peers: Peers, now: datetime
) -> None:
    camille(db, now, "email")
    run(db, peers, PUSH, now=now)
    assert state(db) == ("skipped", "no_consent") and peers.service.asked == []


def test_who_has_no_browser_left_is_not_reached(db: Database, peers: Peers, now: datetime) -> None:
    camille(db, now, "push")
    with db.begin() as conn:
        conn.execute(sa.delete(push_subscriptions))
    run(db, peers, PUSH, now=now)
    assert state(db) == ("skipped", "no_address")


def test_a_browser_that_is_gone_is_forgotten_by_the_message_that_found_out(
    db: Database, peers: Peers, now: datetime
) -> None:
    camille(db, now, "push")
    peers.answers["push"] = (410, {}, b"")
    run(db, peers, PUSH, now=now)
    assert state(db)[0] == "failed"
    with db.begin() as conn:
        assert conn.scalar(sa.select(sa.func.count()).select_from(push_subscriptions)) == 0


def test_a_wrong_key_pauses_the_channel_and_no_message_fails(db: Database, peers: Peers, now: datetime) -> None:
    camille(db, now, "push")
    peers.answers["push"] = (401, {}, b"bad token")
    run(db, peers, PUSH, now=now)
    assert state(db) == ("pending", "provider_misconfigured")
    with db.begin() as conn:
        mine = tables.provider_gates.c.provider == "push"
        gate = conn.execute(sa.select(tables.provider_gates).where(mine)).mappings().one()
    assert gate["breaker"] == "open"


def test_a_text_message_names_the_shop_and_how_to_stop(db: Database, peers: Peers, now: datetime) -> None:
    camille(db, now, "sms")
    run(db, peers, SMS, now=now)
    assert state(db)[0] == "accepted"
    form = peers.gateway.taken[0].form
    assert form["To"] == NUMBER and form["Body"].startswith("Maison Aubier: Your basket is waiting.\nhttps://")
    assert form["Body"].endswith("\nReply STOP to opt out")


def test_a_stop_the_gateway_knows_of_becomes_ours(db: Database, peers: Peers, now: datetime) -> None:
    person = camille(db, now, "sms")
    peers.answers["sms"] = said(400, {"code": 21610, "message": "Attempt to send to unsubscribed recipient"})
    run(db, peers, SMS, now=now)
    assert state(db)[0] == "failed"
    with db.begin() as conn:
        assert consent.states(conn, [person], channel="sms")[person] == "denied"
        assert conn.scalar(sa.select(suppressions.c.reason)) == "unsubscribed"


def test_a_text_message_without_an_answer_is_never_sent_again(db: Database, peers: Peers, now: datetime) -> None:
    camille(db, now, "sms")
    peers.answers["sms"] = said(500, {})
    run(db, peers, SMS, now=now)
    peers.answers["sms"] = said(201, {"sid": "SM2"})
    messages.deliver_due(db, peers.sending, now=now)
    assert state(db)[0] == "uncertain" and len(peers.gateway.asked) == 1


# -------------------------------------------------------------------------------------------- refused keys
def refused_and_then_heard(
    db: Database, peers: Peers, *, by: Provider, mend: Callable[[], None], now: datetime
) -> None:
    """What was due was refused for our key: nothing fails and nobody is called again, until the key is right."""
    at_first = len(by.asked)
    for second in range(0, 30, 5):
        messages.deliver_due(db, peers.sending, now=now + timedelta(seconds=second))
    assert state(db) == ("pending", "provider_misconfigured") and len(by.asked) == at_first
    with db.begin() as conn:
        gate = conn.execute(sa.select(tables.provider_gates)).mappings().one()
    assert gate["breaker"] == "open" and gate["reason"] == "provider_misconfigured"
    mend()
    for minute in range(1, 20):
        messages.deliver_due(db, peers.sending, now=now + timedelta(minutes=minute))
    assert state(db) == ("accepted", None)


UNKNOWN_TO = {
    "twilio": said(401, {"code": 20003, "message": "Authenticate", "status": 401}),
    "ovh": said(400, {"errorCode": "INVALID_SIGNATURE", "httpCode": "400 Bad Request", "message": "Invalid signature"}),
    "generic": said(403, {"error": "forbidden"}),
}
"""How each gateway says that our key is none."""


@pytest.mark.parametrize("kind", UNKNOWN_TO)
def test_a_key_the_gateway_refuses_costs_no_text_message(db: Database, peers: Peers, now: datetime, kind: str) -> None:
    camille(db, now, "sms")
    host = peers.gateway.url.removeprefix("http://")
    shapes: dict[str, sms.Shape] = {"twilio": sms_twilio.Twilio(), "ovh": sms_ovh.Ovh(), "generic": sms.Generic()}
    account = sms.account(f"{kind}+http://name:word@{host}?from=Aubier&consumer=CK&service=sms-ab1-1")
    gateway = sms.SmsGateway(account, shapes[kind])
    peers.sending = replace(peers.sending, channels={"sms": gateway})
    peers.answers["sms"] = UNKNOWN_TO[kind]
    run(db, peers, SMS, now=now)
    assert len(peers.gateway.asked) == 1
    mend = functools.partial(peers.answers.update, sms=test_messengers.GOOD[kind](peers.gateway.asked[0]))
    refused_and_then_heard(db, peers, by=peers.gateway, mend=mend, now=now)
    gateway.close()


@pytest.mark.parametrize("status", [401, 403])
def test_a_key_the_push_service_refuses_costs_no_notification(
    db: Database, peers: Peers, now: datetime, status: int
) -> None:
    camille(db, now, "push")
    peers.sending = replace(peers.sending, channels={"push": peers.sending.channels["push"]})
    peers.answers["push"] = (status, {}, b"the key in the Authorization header is not the one that was used")
    run(db, peers, PUSH, now=now)
    assert len(peers.service.asked) == 1
    mend = functools.partial(peers.answers.update, push=(201, {}, b""))
    refused_and_then_heard(db, peers, by=peers.service, mend=mend, now=now)


@pytest.mark.parametrize(
    ("path", "refusal"),
    [
        ("/token", said(400, {"error": "invalid_grant", "error_description": "Invalid JWT Signature."})),
        ("/token", said(401, {"error": "invalid_client"})),
        ("/v1/projects/aubier/messages:send", said(401, {"error": {"code": 401, "status": "UNAUTHENTICATED"}})),
        ("/v1/projects/aubier/messages:send", said(403, {"error": {"code": 403, "status": "PERMISSION_DENIED"}})),
    ],
)
def test_a_key_firebase_refuses_costs_no_notification(
    db: Database, peers: Peers, now: datetime, path: str, refusal: Answer
) -> None:
    person = camille(db, now, "push")
    with db.begin() as conn:
        subscriptions.forget(conn, [BROWSER.subscription.endpoint])
        device = {"kind": "device", "value": "her-telephone", "customer_id": person, "origin_id": person}
        conn.execute(sa.insert(identities).values(device | {"first_seen_at": now}))
    answers = {"/token": test_messengers.TOKEN, "/v1/projects/aubier/messages:send": said(200, {"name": "m/1"})}
    good, answers[path] = answers[path], refusal
    with providers.speaking(lambda asked: answers[asked.path]) as firebase:
        account = test_messengers.account(firebase.url)
        with db.begin() as conn:
            connections.connect(conn, "push_app", account, keys=KEYS, origin="test", now=now)
        push = Push(web=webpush.WebPush(test_messengers.VOICE), app=fcm.Fcm(account))
        peers.sending = replace(peers.sending, channels={"push": push})
        run(db, peers, PUSH, now=now)
        assert firebase.asked[-1].path == path
        mend = functools.partial(answers.update, {path: good})
        refused_and_then_heard(db, peers, by=firebase, mend=mend, now=now)
        push.close()


def test_words_nobody_would_read_to_the_end_fail_by_name(db: Database, peers: Peers, now: datetime) -> None:
    camille(db, now, "sms")
    run(db, peers, SMS | {"words": {"en": {"intro": "ê" * 500}}}, now=now)
    assert state(db) == ("failed", "content") and peers.gateway.asked == []


def test_whatsapp_carries_its_template_and_needs_a_consent_of_its_own(
    db: Database, peers: Peers, now: datetime
) -> None:
    camille(db, now, "sms", "whatsapp")
    step = {"type": "send", "id": "hello", "channel": "whatsapp"}
    run(db, peers, step | {"template": {"name": "HX1", "values": ["{{ customer.first_name }}"]}}, now=now)
    assert state(db)[0] == "accepted"
    assert peers.gateway.taken[0].form["ContentVariables"] == '{"1":"Camille"}'


def test_a_message_on_the_shops_pages_waits_for_her(db: Database, peers: Peers, now: datetime) -> None:
    person = camille(db, now)
    run(db, peers, PUSH | {"channel": "onsite"}, now=now)
    assert state(db)[0] == "accepted"
    with db.begin() as conn:
        world.say(conn, "camille", "Home Viewed", at=now)
        note = onsite.waiting(conn, person, now=now)
    assert note is not None and note.title == "Hello Camille"


def test_a_no_to_messages_on_the_shops_pages_is_obeyed(db: Database, peers: Peers, now: datetime) -> None:
    person = camille(db, now)
    with db.begin() as conn:
        consent.withdraw(conn, person, channel="onsite", source="preferences", now=now)
    run(db, peers, PUSH | {"channel": "onsite"}, now=now)
    assert state(db) == ("skipped", "unsubscribed")


def test_a_channel_nobody_carries_is_planned_and_said(db: Database, peers: Peers, now: datetime) -> None:
    camille(db, now, "sms")
    with db.begin() as conn:
        connections.disconnect(conn, "sms")
    run(db, peers, SMS, now=now)
    assert state(db) == ("skipped", "channel_not_connected")


def test_the_best_channel_is_one_she_can_be_reached_by(db: Database, peers: Peers, now: datetime) -> None:
    person = camille(db, now, "push", "sms")

    def best() -> str:
        with db.begin() as conn:
            return acting.best_channels(conn, [person], purpose="marketing", now=now)[person]

    assert best() == "push"
    with db.begin() as conn:
        conn.execute(sa.delete(push_subscriptions))
    assert best() == "sms"
    with db.begin() as conn:
        connections.disconnect(conn, "sms")
    assert best() == "email"


def test_the_best_channel_of_a_service_message_is_one_she_did_not_refuse(
    db: Database, peers: Peers, now: datetime
) -> None:
    person = camille(db, now, "push")
    with db.begin() as conn:
        conn.execute(sa.update(customers).values(email=None))
        conn.execute(sa.delete(push_subscriptions))
        found = acting.best_channels(conn, [person], purpose="transactional", now=now)
        assert found[person] == "sms", "nobody asked her about text messages, and she ordered"
        consent.withdraw(conn, person, channel="sms", purpose="marketing", source="STOP", now=now)
        assert acting.best_channels(conn, [person], purpose="transactional", now=now)[person] == "sms"
        consent.withdraw(conn, person, channel="sms", purpose="any", source="STOP", now=now)
        assert acting.best_channels(conn, [person], purpose="transactional", now=now)[person] == "onsite"


def test_one_person_with_two_profiles_gets_one_text_message(db: Database, peers: Peers, now: datetime) -> None:
    camille(db, now, "sms")
    with db.begin() as conn:
        other = world.make_customer(conn, "twin", at=now, consents=False)
        said = consent.Said(other, "sms", "marketing", consent.State.GRANTED, now, "form")
        consent.record_many(conn, [said], now=now)
        conn.execute(sa.text("UPDATE customers SET phone = :number WHERE id = :id"), {"number": NUMBER, "id": other})
    journey.launch(db, ENTRY, [SMS | {"words": {"en": {"intro": "Hi."}}}], now=now)
    with db.begin() as conn:
        for user in ("camille", "twin"):
            world.say(conn, user, "Quiz Taken", at=now)
    journey.tick(db, now)
    messages.deliver_due(db, peers.sending, now=now)
    with db.begin() as conn:
        found = sorted(tuple(row) for row in conn.execute(sa.select(tables.messages.c.state, tables.messages.c.reason)))
    assert len(peers.gateway.taken) == 1, found
