"""What every e-mail channel promises, tried on each: SMTP, SendGrid's protocol, the outbox."""

import base64
import email
import email.policy
import json
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
import sqlalchemy as sa

from campaigns import tables
from campaigns.channels import base, connect, mime, pieces
from campaigns.channels.base import Mail, Outcome
from campaigns.channels.outbox import OutboxChannel
from campaigns.channels.sendgrid import SendgridChannel
from campaigns.channels.smtp import Host, SmtpChannel
from foundation.config import Config
from foundation.database import Database
from tests.campaigns import sink, world
from tests.conftest import NOW


@dataclass
class Trial:
    """A channel, how many mails its other end took, and ways to make that end misbehave."""

    channel: base.Channel
    taken: Callable[[], int]
    refuse: Callable[[str], None] = print


BY_NETWORK = pytest.mark.parametrize("trial", ["smtp", "sendgrid"], indirect=True)
"""The outbox stands in the same database as the ledger: it always answers."""


class _Api(ThreadingHTTPServer):
    """Speaks SendGrid's protocol: 202 and an id, or whatever it is told to answer."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Endpoint)
        self.taken: list[dict[str, Any]] = []
        self.paths: list[tuple[str, str]] = []
        self.status, self.headers_sent, self.connections = 202, {"X-Message-Id": "sg-1"}, 0


class _Endpoint(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Api

    def setup(self) -> None:
        self.server.connections += 1
        super().setup()

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.paths.append((self.path, self.headers["Authorization"]))
        if self.server.status in (0, 202):
            self.server.taken.append(body)
        if self.server.status == 0:
            self.close_connection = True
            self.connection.close()
            return
        self.send_response(self.server.status)
        for name, value in {**self.server.headers_sent, "Content-Length": "0"}.items():
            self.send_header(name, value)
        self.end_headers()

    def log_message(self, *args: Any) -> None:
        """Quiet."""


@contextmanager
def sendgrid_api() -> Iterator[_Api]:
    api = _Api()
    serving = threading.Thread(target=api.serve_forever, kwargs={"poll_interval": 0.05})
    serving.start()
    yield api
    api.shutdown()
    serving.join()
    api.server_close()


@pytest.fixture(params=["smtp", "sendgrid", "outbox"])
def trial(request: pytest.FixtureRequest, db: Database) -> Iterator[Trial]:
    if request.param == "smtp":
        with sink.listening() as (kept, host):
            channel = SmtpChannel(host)
            answers = {"final": "550 5.7.1 no", "retry": "451 later", "lost": None}

            def refuse(how: str) -> None:
                kept.answer = lambda envelope: answers[how]

            yield Trial(channel, lambda: len(kept.kept), refuse)
            channel.close()
    elif request.param == "sendgrid":
        with sendgrid_api() as api:
            sendgrid = SendgridChannel("SG.key", host=f"http://127.0.0.1:{api.server_port}")
            statuses = {"final": 400, "retry": 429, "lost": 0}

            def answer(how: str) -> None:
                api.status = statuses[how]

            yield Trial(sendgrid, lambda: len(api.taken), answer)
            sendgrid.close()
    else:
        yield Trial(OutboxChannel(db), lambda: _kept(db))


def _kept(db: Database) -> int:
    with db.begin() as conn:
        return conn.scalar(sa.select(sa.func.count()).select_from(tables.outbox)) or 0


def a_mail(db: Database, **changes: Any) -> Mail:
    """A mail whose message stands in the ledger, as every one does when it is handed over."""
    message_id = uuid.uuid4()
    with db.begin() as conn:
        customer = world.make_customer(conn, f"c{message_id.hex}", at=NOW)
        plan_id = conn.scalar(sa.select(tables.campaigns.c.id)) or world.launch(conn, now=NOW).id
        row = {"id": message_id, "campaign_id": plan_id, "version": 1, "step": "cart_1", "channel": "email"}
        row |= {"customer_id": customer, "entry_key": "1", "state": "submitting"}
        times = {"queued_at": NOW, "not_before": NOW, "expires_at": NOW}
        conn.execute(sa.insert(tables.messages), row | times)
    headers = mime.headers(
        message_id,
        sender=world.SENDER,
        campaign="c",
        list_name="Maison Aubier",
        unsubscribe="https://r.example/u/t",
        at=NOW,
    )
    mail = Mail(
        message_id=message_id,
        attempt=1,
        sender=world.SENDER,
        address="camille@example.org",
        subject="Votre panier à 10\u202f%",
        body=pieces.whole("<p>Bonjour</p>\n.\n<p>é</p>", "Bonjour\n.\né"),
        headers=headers,
        deadline=time.monotonic() + 30,
    )
    return replace(mail, **changes)


def test_it_takes_a_mail_and_says_so_once_for_each_in_order(trial: Trial, db: Database) -> None:
    mails = [a_mail(db), a_mail(db)]
    receipts = trial.channel.deliver(mails)
    assert [(receipt.message_id, receipt.outcome) for receipt in receipts] == [
        (mail.message_id, Outcome.ACCEPTED) for mail in mails
    ]
    assert trial.taken() == 2


def test_a_header_with_a_line_break_is_refused_and_nothing_leaves(trial: Trial, db: Database) -> None:
    for name in ("subject", "sender", "address"):
        mail = a_mail(db)
        broken = replace(mail, **{name: getattr(mail, name) + "\r\nBcc: everyone@example.org"})
        assert trial.channel.deliver([broken])[0].outcome is Outcome.REFUSED_FINAL
    assert trial.taken() == 0


@BY_NETWORK
@pytest.mark.parametrize(
    ("how", "outcome"),
    [("final", Outcome.REFUSED_FINAL), ("retry", Outcome.REFUSED_RETRY), ("lost", Outcome.AMBIGUOUS)],
)
def test_what_the_provider_says_is_told_for_what_it_is(trial: Trial, db: Database, how: str, outcome: Outcome) -> None:
    trial.refuse(how)
    assert trial.channel.deliver([a_mail(db)])[0].outcome is outcome
    assert trial.taken() == (1 if how == "lost" else 0)


@BY_NETWORK
def test_once_one_is_not_answered_no_other_of_its_batch_begins(trial: Trial, db: Database) -> None:
    trial.refuse("lost")
    outcomes = [receipt.outcome for receipt in trial.channel.deliver([a_mail(db) for _ in range(16)])]
    assert set(outcomes) == {Outcome.AMBIGUOUS, Outcome.UNSENT}
    assert trial.taken() == outcomes.count(Outcome.AMBIGUOUS) <= 4, "no more than were on their way"


@BY_NETWORK
def test_nothing_leaves_once_the_deadline_is_over(trial: Trial, db: Database) -> None:
    receipt = trial.channel.deliver([a_mail(db, deadline=time.monotonic() - 1)])[0]
    assert receipt.outcome is Outcome.UNSENT and trial.taken() == 0


def test_an_unreachable_host_means_nothing_was_sent(db: Database) -> None:
    for channel in (SmtpChannel(Host("127.0.0.1", 1)), SendgridChannel("k", host="http://127.0.0.1:1")):
        assert channel.deliver([a_mail(db)])[0].outcome is Outcome.UNSENT


def test_smtp_carries_text_and_html_with_the_headers_of_a_marketing_mail(db: Database) -> None:
    with sink.listening() as (kept, host):
        channel = SmtpChannel(host)
        mail = a_mail(db)
        channel.deliver([mail])
        channel.close()
    got = kept.kept[0]
    assert got["Message-ID"] == f"<{mail.message_id}@aubier.example>"
    assert got["List-Unsubscribe"] == "<https://r.example/u/t>"
    assert got["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert "<c.aubier.example>" in got["List-Id"]
    assert got.get_body(("plain",)).get_content().strip().replace("\r\n", "\n") == mail.text
    assert got.get_body(("html",)).get_content().strip().replace("\r\n", "\n") == mail.html


@pytest.mark.parametrize(
    ("reply", "outcome", "bad_address"),
    [
        ("550 5.1.1 no such user", Outcome.REFUSED_FINAL, True),
        ("550 5.7.1 not welcome", Outcome.REFUSED_FINAL, False),
        ("452 4.2.2 mailbox full", Outcome.REFUSED_RETRY, False),
        ("530 5.7.0 authenticate first", Outcome.MISCONFIGURED, False),
    ],
)
def test_smtp_tells_a_bad_address_from_a_bad_day(db: Database, reply: str, outcome: Outcome, bad_address: bool) -> None:
    with sink.listening() as (kept, host):
        kept.at_rcpt = lambda address: reply
        channel = SmtpChannel(host)
        receipt = channel.deliver([a_mail(db)])[0]
        channel.close()
    assert (receipt.outcome, receipt.bad_address) == (outcome, bad_address)


def test_smtp_goes_on_over_a_new_connection_when_the_host_hung_up(db: Database) -> None:
    with sink.listening() as (kept, host):
        channel = SmtpChannel(host)
        kept.answer = lambda envelope: None
        assert channel.deliver([a_mail(db)])[0].outcome is Outcome.AMBIGUOUS
        kept.answer = None
        assert channel.deliver([a_mail(db)])[0].outcome is Outcome.ACCEPTED
        channel.close()


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (413, Outcome.REFUSED_FINAL),
        (401, Outcome.MISCONFIGURED),
        (403, Outcome.MISCONFIGURED),
        (503, Outcome.AMBIGUOUS),
    ],
)
def test_sendgrid_statuses_are_classed_as_promised(db: Database, status: int, outcome: Outcome) -> None:
    with sendgrid_api() as api:
        api.status = status
        channel = SendgridChannel("SG.key", host=f"http://127.0.0.1:{api.server_port}")
        assert channel.deliver([a_mail(db)])[0].outcome is outcome
        channel.close()


def test_sendgrid_gets_opaque_ids_alone_over_one_kept_connection(db: Database) -> None:
    with sendgrid_api() as api:
        channel = SendgridChannel("SG.key", host=f"http://127.0.0.1:{api.server_port}")
        mail = a_mail(db)
        receipts = [channel.deliver([one])[0] for one in (mail, a_mail(db))]
        api.status, api.headers_sent = 429, {"Retry-After": "7"}
        refused = channel.deliver([a_mail(db)])[0]
        channel.close()
    assert receipts[0].provider_ref == "sg-1" and api.connections == 1
    assert (receipts[0].code, receipts[0].request_id, refused.code) == (202, "sg-1", 429)
    assert api.paths[0] == ("/v3/mail/send", "Bearer SG.key")
    sent = api.taken[0]
    assert sent["personalizations"][0]["custom_args"] == {"mid": str(mail.message_id), "attempt": "1"}
    assert sent["headers"]["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert (refused.outcome, refused.retry_after, refused.busy) == (Outcome.REFUSED_RETRY, 7.0, True)


def test_the_outbox_keeps_a_mail_once_however_often_it_is_handed_over(db: Database) -> None:
    mail = a_mail(db)
    OutboxChannel(db).deliver([mail, mail])
    assert _kept(db) == 1


def test_the_same_mail_is_always_the_same_bytes(db: Database) -> None:
    mail = a_mail(db)
    parsed = email.message_from_bytes(mime.encode(mail), policy=email.policy.default)
    turned = replace(mail, headers=dict(reversed(mail.headers.items())))
    assert mime.encode(mail) == mime.encode(turned), "in whatever order its headers were kept"
    assert str(parsed["Subject"]).replace("\u202f", " ") == "Votre panier à 10 %"
    assert base64.b64encode(mail.text.encode())[:8] in mime.encode(mail)


def test_the_settings_choose_the_channel(db: Database) -> None:
    def provider(url: str) -> str:
        config = Config.from_env({"RELANCE_EMAIL_URL": url, "RELANCE_SECRET_KEY": "k" * 20})
        return connect.email_channel(config, db, world.LINKS).provider

    assert provider("outbox:") == "outbox"
    assert provider("smtp://user:p%40ss@mail.example:2525") == "smtp:mail.example"
    assert provider("sendgrid:SG.key@http://127.0.0.1:9") == "sendgrid"
