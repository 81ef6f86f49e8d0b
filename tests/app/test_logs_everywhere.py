"""Every path that answers a GET, hooks, notifications and broken rows: the log names nobody and holds no token."""

import base64
import hashlib
import hmac
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from urllib.parse import urlsplit

import pytest
import sqlalchemy as sa
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.dialects.postgresql import JSONB
from werkzeug.routing import Rule
from werkzeug.test import TestResponse

import app as front
from app import parts, security
from app.demo import storefront
from campaigns import connections, tables
from campaigns.channels import carriers
from foundation.config import Config
from foundation.database import Database
from shop import tables as shop_tables
from tests.app import console_world, test_logs, test_public
from tests.app.conftest import NOW
from tests.app.test_logs import ADDRESS, NAME, NUMBER
from tests.campaigns import world
from tests.contracts import test_messengers

mail, written = test_public.mail, test_logs.written
CARD = "4929007351882"
TRAITS = {"email": ADDRESS, "phone": NUMBER, "first_name": NAME, "last_name": NAME, "card": CARD, "city": "Lyon"}
ASKED = {"q": ADDRESS, "email": ADDRESS, "phone": NUMBER, "name": NAME, "card": CARD, "customer": CARD}
PLACE = re.compile(r"<(?:[^:>]*:)?(?P<of>\w+)>")
WORDS = (
    "anything",
    "cart",
    "customer",
    "filename",
    "key",
    "name",
    "order_id",
    "part",
    "product_id",
    "slug",
    "step",
    "token",
)
"""Places of a path where any word may stand."""
ACCOUNT = "very-secret-token"
"""The token of the shop's account for text messages, with which their reports are signed."""


@dataclass(frozen=True, slots=True)
class Shop:
    """An installation whose customer is the canary, the good tokens of her mail, and who calls it."""

    installation: parts.Parts
    web: Flask
    mail: test_public.Mail
    keys: dict[str, str]
    signing: ec.EllipticCurvePrivateKey

    def tokens(self) -> dict[str, str]:
        """A good token by what stands before it in a path."""
        links, message = self.installation.links, self.mail.message_id
        made = [
            *(links.click(message, 0), links.honeypot(message), links.open(message), links.view(message)),
            *(links.survey(message), links.restore(self.mail.cart_ref, code="TEN1234", message_id=message)),
            *(links.code_image("TEN1234"), links.code_image("TEN1234", kind="qr")),
            *(links.unsubscribe(message), links.preferences(message), links.confirm(message)),
        ]
        paths = [urlsplit(address).path.rpartition("/") for address in made]
        return {before: token for before, _, token in paths}

    def paths(self, said: Mapping[str, str]) -> set[str]:
        """Every path that answers a GET, with what is there in its places, or with what is `said` instead."""
        asked = [rule for rule in self.web.url_map.iter_rules() if "GET" in (rule.methods or ())]
        return {self._filled(rule, said) for rule in asked}

    def _filled(self, rule: Rule, said: Mapping[str, str]) -> str:
        given = {**self._there(rule), **said}
        return PLACE.sub(lambda found: given[found["of"]], rule.rule)

    def _there(self, rule: Rule) -> dict[str, str]:
        """What is there, for each place of a path."""
        message, token = self.mail.message_id, self.tokens().get(rule.rule.partition("/<")[0], CARD)
        name = "channels" if "any(" in rule.rule else console_world.CAMPAIGN
        there = {"token": token, "name": name, "key": self.keys["write"], "message_id": message, "sample_id": message}
        there |= {"customer_id": self.mail.customer_id, "customer": "ada", "cart": "c-1", "product_id": "sel"}
        there |= {"step": "reminder", "part": "caps"}
        return dict.fromkeys(rule.arguments, "1") | {place: str(value) for place, value in there.items()}

    def signed_in(self) -> FlaskClient:
        """Her administrator, with a secret key beside the session."""
        client = self.web.test_client()
        login = {"email": console_world.EMAIL, "password": console_world.PASSWORD}
        assert console_world.post(client, "/console/sign-in", login, on="/console/sign-in").status_code == 303
        client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {self.keys['secret']}"
        return client

    def names_nobody(self, text: str) -> None:
        """Fails with the first line of the log that names her or holds what opens something."""
        word = carriers.report_word(self.installation.config.secret_keys[0])
        opens = [*self.tokens().values(), *self.keys.values(), word, ACCOUNT, console_world.PASSWORD]
        said = [ADDRESS, ADDRESS.partition("@")[0], NUMBER[3:], NAME, CARD, *opens]
        found = [line for line in text.splitlines() if any(one.lower() in line.lower() for one in said)]
        assert not found, (len(found), found[:3])


@pytest.fixture
def shop(config: Config, db: Database, mail: test_public.Mail) -> Iterator[Shop]:
    """With the demo shop, a day behind it, and the canary in her record, her mail and her basket."""
    signing = ec.generate_private_key(ec.SECP256R1())
    form = (serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    public = base64.b64encode(signing.public_key().public_bytes(*form)).decode()
    built = parts.build(replace(config, demo=True, sendgrid_webhook_key=public))
    console_world.make_user(built)
    console_world.live(built)
    with db.begin() as conn:
        storefront.ensure(conn, config.var, now=NOW)
        gateway = f"twilio+https://AC1:{ACCOUNT}@api.twilio.com?from=%2B33644601234"
        connections.connect(conn, "sms", gateway, keys=config.secret_keys, origin="test", now=NOW)
        keys = {
            kind: security.create_key(conn, kind=kind, name=kind, channel="web", now=NOW)
            for kind in ("write", "secret")
        }
        world.say(conn, "ada", "", at=NOW, traits=TRAITS)
        world.say(conn, "ada", "Product Added", at=NOW, cart_id="c-1", product_id="sel", name=NAME, quantity=1)
        conn.execute(sa.update(tables.message_contents).values(address=ADDRESS, html=ADDRESS, text=NUMBER))
    yield Shop(built, front.create_app(built), mail, keys, signing)
    built.close()


def test_no_path_that_is_asked_for_writes_down_who_it_is_about(shop: Shop, written: Callable[[], str]) -> None:
    ines, nobody, asked = (
        shop.signed_in(),
        shop.web.test_client(),
        shop.paths({}) | shop.paths(dict.fromkeys(WORDS, ADDRESS)),
    )
    answers = [client.get(path, query_string=ASKED, buffered=True) for path in asked for client in (ines, nobody)]
    assert {answer.request.path for answer in answers if answer.status_code >= 500} <= {"/health"}
    good = {answer.request.path for answer in answers if answer.status_code == 200}
    assert len(good) >= 100, "else most of them were looked at from outside"
    shop.names_nobody(written())


def test_no_row_that_is_broken_is_quoted(shop: Shop, db: Database, written: Callable[[], str]) -> None:
    """Whatever of hers is kept as JSON becomes what no view expects; the views fail in earnest."""
    ines, asked = shop.signed_in(), shop.paths({})
    broken = {"steps": ADDRESS, "lines": NAME, ADDRESS: NUMBER, "price": CARD}
    with db.begin() as conn:
        for table in (tables.campaign_versions, tables.message_contents, shop_tables.carts, shop_tables.customers):
            for column in table.c:
                if isinstance(column.type, JSONB):
                    conn.execute(sa.update(table).values({column: [broken] if column.name == "lines" else broken}))
    answers = [ines.get(path, buffered=True) for path in asked]
    failed = [answer.request.path for answer in answers if answer.status_code == 500]
    assert len(failed) >= 5 and "request failed" in written() and "page failed" in written()
    shop.names_nobody(written())


def test_no_report_and_no_reply_is_quoted(shop: Shop, db: Database, written: Callable[[], str]) -> None:
    """Signed posts of SendGrid and Twilio, OVHcloud's, well made and odd; notifications, blocks of the shop's pages."""
    client = shop.web.test_client()
    event = {"email": ADDRESS, "mid": str(shop.mail.message_id), "attempt": "1", "timestamp": 1700000000}
    reports = [
        [event | {"event": "bounce", "type": "bounce", "reason": f"550 {ADDRESS} {NAME}", "sg_event_id": "e1"}],
        [event | {"event": "spamreport", "sg_message_id": ADDRESS, "sg_event_id": ADDRESS}],
        [event | {"event": ADDRESS, "timestamp": ADDRESS}, ADDRESS, {"event": "dropped", "reason": NUMBER}],
    ]
    word = carriers.report_url(shop.installation.config).partition("t=")[2]
    told = {"id": NUMBER, "ptt": "5", "descriptionDlr": ADDRESS, "m": ADDRESS, "receiver": NUMBER}
    answers = [_by_sendgrid(client, shop, json.dumps(report).encode()) for report in reports]
    answers += [_by_sendgrid(client, shop, b"{" + ADDRESS.encode())]
    answers += [
        client.get("/hooks/sms", query_string={"t": word, **told}),
        client.post(f"/hooks/sms?t={word}", data={"from": NUMBER, "text": f"STOP {ADDRESS} {NAME}"}),
        client.post(f"/hooks/sms?t={word}", json={"from": NUMBER, "text": [ADDRESS]}),
        _by_twilio(client, shop, {"From": NUMBER, "Body": f"STOP {NAME}", "MessageSid": "SM1"}),
        _by_twilio(
            client, shop, {"To": NUMBER, "MessageStatus": "undelivered", "ErrorCode": "30003", "MessageSid": NAME}
        ),
        *_by_the_storefront(client, shop),
    ]
    assert {answer.status_code for answer in answers} <= {200, 204, 400, 422}
    with db.begin() as conn:
        assert conn.scalar(sa.select(sa.func.count()).select_from(tables.provider_events)), "they were heard"
    shop.names_nobody(written())


def _by_sendgrid(client: FlaskClient, shop: Shop, body: bytes) -> TestResponse:
    at = str(int(datetime.now(UTC).timestamp()))
    signature = base64.b64encode(shop.signing.sign(at.encode() + body, ec.ECDSA(hashes.SHA256()))).decode()
    name = "X-Twilio-Email-Event-Webhook-"
    return client.post("/hooks/sendgrid", data=body, headers={f"{name}Signature": signature, f"{name}Timestamp": at})


def _by_twilio(client: FlaskClient, shop: Shop, form: dict[str, str]) -> TestResponse:
    text = shop.installation.config.base_url + "/hooks/sms" + "".join(name + form[name] for name in sorted(form))
    signature = base64.b64encode(hmac.new(ACCOUNT.encode(), text.encode(), hashlib.sha1).digest()).decode()
    return client.post("/hooks/sms", data=form, headers={"X-Twilio-Signature": signature})


def _by_the_storefront(client: FlaskClient, shop: Shop) -> list[TestResponse]:
    known = test_messengers.a_browser(7).subscription
    hers = {"endpoint": known.endpoint, "keys": {"p256dh": known.p256dh, "auth": known.auth}}
    by = {"Authorization": f"Bearer {shop.keys['write']}"}
    said = {"anonymous_id": ADDRESS, "user_id": ADDRESS, "text": NAME, "form": NUMBER}
    bodies = [("push/subscriptions", {"subscription": one} | said) for one in (hers, hers | {"endpoint": ADDRESS})]
    bodies += [("push/seen", {"endpoint": known.endpoint}), ("push/seen", {"endpoint": ADDRESS})]
    bodies += [("onsite/told", {"block": ADDRESS, "act": "seen"} | said), ("onsite/told", {ADDRESS: NAME})]
    told = [client.post(f"/v1/{path}", json=body, headers=by) for path, body in bodies]
    shown = [client.get("/v1/onsite", query_string={"anonymous_id": ADDRESS, "page": ADDRESS}, headers=by)]
    return told + shown
