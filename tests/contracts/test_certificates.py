"""A provider whose certificate has ended is not spoken to: nothing was sent, the message waits, nobody's fault."""

import socketserver
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from campaigns.audiences.platforms import base, google, meta
from campaigns.channels import fcm, mailboxes, sms, webpush
from campaigns.channels.base import Outcome
from campaigns.channels.sendgrid import SendgridChannel
from foundation.database import Database
from foundation.google_token import Tokens
from tests.campaigns import ad_platforms
from tests.campaigns.test_webhooks import receiver
from tests.contracts.providers import Rerouted
from tests.contracts.test_ad_platforms import people
from tests.contracts.test_channels import a_mail
from tests.contracts.test_messengers import VOICE, a_note, account
from tests.foundation.certificate import certificate


@pytest.fixture(params=[True, False], ids=["ended", "made by itself"])
def ended(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Whether the certificate was one we trust until yesterday, or never one we trust."""
    if request.param:
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "cert.pem"))
    return bool(request.param)


def why(ended: bool) -> str:
    """What each provider's receipt must say of it."""
    return "certificate has expired" if ended else "self-signed certificate"


def test_nothing_is_said_to_who_cannot_prove_who_it_is(db: Database, tmp_path: Path, ended: bool) -> None:
    with receiver(tmp_path, "localhost", ended=ended) as (port, _, got):
        host = f"https://localhost:{port}"
        with_password = host.replace("//", "//user:pass@")
        mail = SendgridChannel("SG.key", host=host)
        gateway = sms.account(f"generic+{with_password}/send?from=Aubier", callback="https://r.example/")
        text = sms.SmsGateway(gateway, sms.Generic())
        app, browser = fcm.Fcm(account(host)), webpush.WebPush(VOICE, transport=Rerouted(host))
        receipts = [
            *mail.deliver([a_mail(db)]),
            *text.deliver([a_note(None, addresses=("+33612345678",), channel="sms")]),
            *app.deliver([a_note(None, addresses=("device",), channel="push_app")]),
            *browser.deliver([a_note(None)]),
        ]
        for one in (mail, text, app, browser):
            one.close()
    assert [receipt.outcome for receipt in receipts] == [Outcome.UNSENT] * 4 and got == []
    assert all(why(ended) in (receipt.detail or "") and not receipt.dead for receipt in receipts)


def test_no_audience_is_told_to_who_cannot_prove_who_it_is(tmp_path: Path, ended: bool) -> None:
    held = {"type": "authorized_user", "client_id": "c", "client_secret": "s", "refresh_token": "refresh"}
    with receiver(tmp_path, "localhost", ended=ended) as (port, _, got):
        host = f"https://localhost:{port}"
        tokens = Tokens(held | {"token_uri": f"{host}/token"}, google.SCOPE)
        platforms = [
            meta.Meta("token", host=host, dataset=ad_platforms.DATASET),
            google.Google(tokens, google.Account(ad_platforms.ACCOUNT), host=host),
        ]
        replies = [platform.add("1", people(2)) for platform in platforms]
        for platform in platforms:
            platform.close()
    assert [reply.answer for reply in replies] == [base.Answer.DOWN] * 2 and got == []
    assert all(why(ended) in reply.detail for reply in replies)


def test_no_password_is_told_to_a_mailbox_that_cannot_prove_whose_it_is(tmp_path: Path, ended: bool) -> None:
    heard: list[bytes] = []
    with mailbox(tmp_path, heard, ended=ended) as port:
        box = mailboxes.mailbox(f"imaps://shop:secret@localhost:{port}/INBOX")
        with pytest.raises(mailboxes.Unreachable, match=why(ended)):
            box.read(lambda mails: None, limit=10)
    assert heard == []


@contextmanager
def mailbox(folder: Path, heard: list[bytes], *, ended: bool) -> Iterator[int]:
    """Says that it is an IMAP host, by TLS, and keeps what it is told."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate(folder, "localhost", ended=ended))

    class Talk(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            try:
                line = context.wrap_socket(self.request, server_side=True)
            except OSError:
                return
            line.sendall(b"* OK IMAP4rev1 here\r\n")
            heard.append(line.recv(1000))

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Talk) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}).start()
        yield server.server_address[1]
        server.shutdown()
