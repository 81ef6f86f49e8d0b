"""SMTP as hosts really behave: pipelining, greylisting, storms, lines that drop, addresses of any script, DKIM."""

import base64
import ssl
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import dkim
import pytest
from aiosmtpd.controller import Controller
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

from campaigns.bounces import Fault, classify
from campaigns.channels import dkim_signing, mime
from campaigns.channels.base import Outcome
from campaigns.channels.smtp import Host, SmtpChannel
from campaigns.links import RETURNED
from tests.campaigns import mails, sink, smtp_host, world

DROPPED, STORM, GREY = None, "451 4.3.2 try later", "451 4.7.1 Greylisted, come back in 5 minutes"


@pytest.mark.parametrize("pipelining", [True, False])
def test_a_batch_goes_over_kept_connections_each_mail_once(pipelining: bool) -> None:
    with smtp_host.hosting(pipelining=pipelining) as (host, where):
        channel = SmtpChannel(where)
        batch = [mails.mail(address=f"a{n}@example.org") for n in range(40)]
        receipts = [receipt for half in (batch[:20], batch[20:]) for receipt in channel.deliver(half)]
        channel.close()
    assert [receipt.message_id for receipt in receipts] == [mail.message_id for mail in batch]
    assert {receipt.outcome for receipt in receipts} == {Outcome.ACCEPTED}
    assert len(host.bodies) == 40 and host.connections <= 2


@pytest.mark.parametrize("pipelining", [True, False])
@pytest.mark.parametrize(
    ("stage", "reply", "outcome"),
    [
        ("rcpt", GREY, Outcome.REFUSED_RETRY),
        ("rcpt", "550 5.1.1 unknown", Outcome.REFUSED_FINAL),
        ("mail", STORM, Outcome.REFUSED_RETRY),
        ("data", "554 no valid recipients", Outcome.REFUSED_FINAL),
        ("body", STORM, Outcome.REFUSED_RETRY),
        ("body", DROPPED, Outcome.AMBIGUOUS),
        ("mail", DROPPED, Outcome.UNSENT),
        ("data", DROPPED, Outcome.UNSENT),
        ("mail", "250", Outcome.ACCEPTED),
        ("mail", "this is no SMTP", Outcome.UNSENT),
    ],
)
def test_what_happens_at_each_stage_is_told_for_what_it_is(
    stage: str, reply: str | None, outcome: Outcome, pipelining: bool
) -> None:
    with smtp_host.hosting(pipelining=pipelining) as (host, where):
        host.at[stage] = lambda said: reply
        channel = SmtpChannel(where)
        assert channel.deliver([mails.mail()])[0].outcome is outcome
        host.at.clear()
        assert channel.deliver([mails.mail()])[0].outcome is Outcome.ACCEPTED, "the next one goes on"
        channel.close()


def test_one_recipient_refused_by_a_pipelining_host_stops_no_other() -> None:
    with smtp_host.hosting() as (host, where):
        host.at["rcpt"] = lambda said: "550 5.1.1 no such user" if "gone" in said else "250 fine"
        channel = SmtpChannel(replace(where, connections=1))
        batch = [mails.mail(address=f"{name}@example.org") for name in ("ada", "gone", "eve")]
        receipts = channel.deliver(batch)
        channel.close()
    assert [receipt.outcome.value for receipt in receipts] == ["accepted", "refused_final", "accepted"]
    assert [receipt.code for receipt in receipts] == [250, 550, 250]
    assert receipts[1].bad_address and len(host.bodies) == 2


def test_a_line_the_host_closed_meanwhile_is_replaced_and_nothing_doubles() -> None:
    with smtp_host.hosting() as (host, where):
        channel = SmtpChannel(where)
        channel.deliver([mails.mail()])
        host.hang_up()
        assert channel.deliver([mails.mail()])[0].outcome is Outcome.ACCEPTED
        host.at["mail"] = lambda said: "421 4.7.0 enough over this line" if host.connections == 2 else "250 fine"
        assert channel.deliver([mails.mail()])[0].outcome is Outcome.ACCEPTED
        channel.close()
    assert len(host.bodies) == 3 and host.connections == 3


def test_greylisted_today_accepted_later() -> None:
    with smtp_host.hosting() as (host, where):
        seen: set[str] = set()

        def grey(said: str) -> str:
            known = said in seen
            seen.add(said)
            return "250 fine" if known else GREY

        host.at["rcpt"] = grey
        channel, mail = SmtpChannel(where), mails.mail()
        first, second = channel.deliver([mail])[0], channel.deliver([mail])[0]
        channel.close()
    assert (first.outcome, first.busy) == (Outcome.REFUSED_RETRY, False)
    assert second.outcome is Outcome.ACCEPTED


def test_a_host_that_hangs_is_left_in_time() -> None:
    with smtp_host.hosting() as (host, where):
        host.at["body"] = lambda said: time.sleep(1.5) or "250 late"  # type: ignore[func-returns-value]
        channel, begun = SmtpChannel(where, read_seconds=0.3), time.monotonic()
        receipt = channel.deliver([mails.mail()])[0]
        channel.close()
    assert receipt.outcome is Outcome.AMBIGUOUS and time.monotonic() - begun < 1.4


def test_the_body_stays_here_when_the_time_was_over_before_it() -> None:
    with smtp_host.hosting() as (host, where):
        host.at["data"] = lambda said: time.sleep(0.3) or "354 go on"  # type: ignore[func-returns-value]
        channel = SmtpChannel(where)
        receipt = channel.deliver([mails.mail(deadline=time.monotonic() + 0.15)])[0]
        channel.close()
    assert receipt.outcome is Outcome.UNSENT and not host.bodies


# ------------------------------------------------------------------------------------------ international
def test_a_domain_of_any_script_is_written_as_the_network_does() -> None:
    with smtp_host.hosting() as (host, where):
        channel = SmtpChannel(where)
        assert channel.deliver([mails.mail(address="ada@café.example")])[0].outcome is Outcome.ACCEPTED
        channel.close()
    assert "RCPT TO:<ada@xn--caf-dma.example>" in host.commands
    assert b"To: ada@xn--caf-dma.example\r\n" in host.bodies[0]


@pytest.mark.parametrize(("utf8", "outcome"), [(True, Outcome.ACCEPTED), (False, Outcome.REFUSED_FINAL)])
def test_a_name_of_any_script_before_the_at_needs_a_host_that_carries_it(utf8: bool, outcome: Outcome) -> None:
    with smtp_host.hosting(utf8=utf8) as (host, where):
        channel = SmtpChannel(where)
        assert channel.deliver([mails.mail(address="añés@example.org")])[0].outcome is outcome
        assert channel.deliver([mails.mail()])[0].outcome is Outcome.ACCEPTED
        channel.close()
    assert any(command.endswith("SMTPUTF8") for command in host.commands) == utf8


@pytest.mark.parametrize("address", ["a@b\r\nBcc: c@d", "no at sign", "@example.org", "a b@example.org", "a@\udc80"])
def test_what_is_no_address_never_reaches_the_wire(address: str) -> None:
    with smtp_host.hosting() as (host, where):
        channel = SmtpChannel(where)
        assert channel.deliver([mails.mail(address=address)])[0].outcome is Outcome.REFUSED_FINAL
        channel.close()
    assert not host.commands


# -------------------------------------------------------------------------------------- signature, return
@pytest.fixture(scope="module")
def key_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("dkim") / "key.pem"
    key = rsa.generate_private_key(65537, 2048)
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path.write_bytes(pem)
    return path


def test_the_signature_verifies_and_covers_both_unsubscribe_headers(key_file: Path) -> None:
    sign = dkim_signing.signer(key_file, selector="s1")
    with sink.listening() as (kept, host):
        raw: list[bytes] = []
        kept.answer = lambda envelope: raw.append(envelope.original_content or b"") or "250 OK"  # type: ignore[func-returns-value]
        channel = SmtpChannel(host, sign=sign)
        channel.deliver([mails.mail()])
        channel.close()
    record = f"v=DKIM1; k=rsa; p={dkim_signing.public_record(key_file)}".encode()

    def published(name: bytes, timeout: int = 5) -> bytes:
        assert name == b"s1._domainkey.aubier.example."
        return record

    assert dkim.verify(raw[0], dnsfunc=published)
    covered = kept.kept[0]["DKIM-Signature"].split("h=")[1].split(";")[0].replace(" ", "").split(":")
    assert {"from", "subject", "list-unsubscribe", "list-unsubscribe-post", "list-id"} <= set(covered)
    assert not dkim.verify(raw[0].replace(b"One-Click", b"One-Clock"), dnsfunc=published)


def test_the_signature_is_of_the_domain_the_mail_is_from(key_file: Path) -> None:
    sign = dkim_signing.signer(key_file, selector="s1")
    with sink.listening() as (kept, host):
        channel = SmtpChannel(host, sign=sign)
        channel.deliver([mails.mail(sender="Café <bonjour@café.example>")])
        channel.close()
    tags = dict(part.strip().split("=", 1) for part in kept.kept[0]["DKIM-Signature"].split(";"))
    assert tags["d"] == "xn--caf-dma.example"


@pytest.mark.parametrize("content", [b"", b"no key", b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"])
def test_a_file_without_a_key_is_refused_by_name(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "bad.pem"
    path.write_bytes(content)
    with pytest.raises(dkim_signing.UnusableKey, match=r"bad\.pem"):
        dkim_signing.signer(path, selector="s")


def test_each_message_comes_back_to_an_address_of_its_own() -> None:
    with smtp_host.hosting() as (host, where):
        path = lambda message_id: world.LINKS.mailbox(RETURNED, message_id, address="bounces@m.aubier.example")  # noqa: E731
        channel, mail = SmtpChannel(where, return_path=path), mails.mail()
        channel.deliver([mail])
        channel.close()
    sender = next(command for command in host.commands if command.startswith("MAIL")).split("<")[1].rstrip(">")
    assert len(sender.partition("@")[0]) <= 64
    token = sender.partition("+")[2].partition("@")[0]
    assert world.LINKS.read_mailbox(RETURNED, token[1:].upper()) == mail.message_id


# ------------------------------------------------------------------------------------------------- TLS
def _certificate(folder: Path, *, days: int) -> tuple[Path, ssl.SSLContext]:
    key = rsa.generate_private_key(65537, 2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(subject_name=name, issuer_name=name, public_key=key.public_key(), serial_number=7)
        .not_valid_before(now - timedelta(days=30))
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path, private = folder / "cert.pem", folder / "key.pem"
    path.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    form = serialization.PrivateFormat.TraditionalOpenSSL
    private.write_bytes(key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(path, private)
    return path, context


@pytest.mark.parametrize(("days", "outcome"), [(30, Outcome.ACCEPTED), (-1, Outcome.UNSENT)])
def test_tls_is_started_and_an_expired_certificate_ends_it_before_anything_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, days: int, outcome: Outcome
) -> None:
    trusted, context = _certificate(tmp_path, days=days)
    monkeypatch.setenv("SSL_CERT_FILE", str(trusted))
    kept = sink.Sink()
    server = Controller(kept, hostname="127.0.0.1", port=sink._free_port(), tls_context=context, require_starttls=True)
    server.start()
    try:
        channel = SmtpChannel(Host("127.0.0.1", server.port, starttls=True))
        assert channel.deliver([mails.mail()])[0].outcome is outcome
        channel.close()
    finally:
        server.stop()
    assert len(kept.kept) == (1 if outcome is Outcome.ACCEPTED else 0)


def test_a_host_without_the_tls_that_was_asked_for_gets_nothing() -> None:
    with smtp_host.hosting() as (host, where):
        channel = SmtpChannel(replace(where, starttls=True))
        assert channel.deliver([mails.mail()])[0].outcome is Outcome.MISCONFIGURED
        channel.close()
    assert not host.bodies


# --------------------------------------------------------------------------------------------- headers
@pytest.mark.parametrize("way", ["PLAIN", "LOGIN", "CRAM-MD5"])
def test_a_password_of_any_script_opens_the_host_by_the_way_it_offers(way: str) -> None:
    with sink.listening(logins=[way]) as (kept, where):
        kept.password = "mot de passe n° 1"
        channel = SmtpChannel(replace(where, user="boutique@aubier.example", password="mot de passe n° 1"))
        assert channel.deliver([mails.mail()])[0].outcome is Outcome.ACCEPTED
        channel.close()
    assert kept.logins == 1 and len(kept.kept) == 1


def test_a_host_that_cannot_tell_just_now_is_asked_again_later() -> None:
    """454 says nothing of the password: the next message may try it."""
    with sink.listening(logins=["PLAIN"]) as (kept, where):
        kept.at_login, kept.password = "454 4.7.0 Temporary authentication failure", "word"
        channel = SmtpChannel(replace(where, user="shop", password="word"))
        first = channel.deliver([mails.mail()])[0]
        kept.at_login = None
        assert channel.deliver([mails.mail()])[0].outcome is Outcome.ACCEPTED
        channel.close()
    assert first.outcome is Outcome.UNSENT and first.busy and "454" in first.detail


def test_a_refused_password_is_not_said_by_another_way_or_over_another_connection() -> None:
    with sink.listening(logins=["PLAIN", "LOGIN"]) as (kept, where):
        channel = SmtpChannel(replace(where, user="shop", password="wrong"))
        receipts = [receipt for _ in range(3) for receipt in channel.deliver([mails.mail() for _ in range(8)])]
        channel.close()
    assert kept.logins == 1
    assert {receipt.outcome for receipt in receipts} <= {Outcome.MISCONFIGURED, Outcome.UNSENT}
    assert any("535" in receipt.detail for receipt in receipts[-8:]), "the reason is the host's own, without asking"


def test_a_host_that_offers_no_login_is_a_fault_of_the_settings() -> None:
    with smtp_host.hosting() as (host, where):
        channel = SmtpChannel(replace(where, user="shop", password="word"))
        receipt = channel.deliver([mails.mail()])[0]
        channel.close()
    assert receipt.outcome is Outcome.MISCONFIGURED and not any("AUTH" in said for said in host.commands)


def test_both_ways_to_unsubscribe_are_in_every_header() -> None:
    raw = mime.encode(mails.mail()).decode()
    line = next(line for line in raw.split("\r\n") if line.startswith("List-Unsubscribe:"))
    assert "<https://relance.example/u/" in line and "<mailto:bounces+u@aubier.example>" in line
    assert "List-Unsubscribe-Post: List-Unsubscribe=One-Click" in raw
    assert base64.b64encode(b"Bonjour\n.\n")[:10].decode() in raw


CASES = [
    ("550 5.1.1 <a@b>: Recipient address rejected: User unknown in virtual mailbox table", Fault.INVALID),
    ("550-5.1.1 The email account that you tried to reach does not exist. gsmtp", Fault.INVALID),
    ("550 5.1.2 Host unknown", Fault.INVALID),
    ("550 5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient not found by SMTP address lookup", Fault.INVALID),
    ("550 5.4.1 Recipient address rejected: Access denied. AS(201806281)", Fault.INVALID),
    ("550-5.2.1 The email account that you tried to reach is disabled.", Fault.INVALID),
    ("554 delivery error: dd This user doesn't have a yahoo.com account", Fault.INVALID),
    ("550 Requested action not taken: mailbox unavailable", Fault.UNAVAILABLE),
    ("550 No such user here", Fault.INVALID),
    ("551 not our customer: unknown user", Fault.INVALID),
    ("550 5.5.0 Requested action not taken: mailbox not found", Fault.INVALID),
    ("550 Adresse d au moins un destinataire invalide. Invalid recipient. OFR_416 [416]", Fault.INVALID),
    ("550 5.1.0 Address rejected.", Fault.UNKNOWN),
    ("550 5.1.6 recipient no longer on server", Fault.INVALID),
    ("550 5.1.1 utilisateur inconnu", Fault.INVALID),
    ("556 5.1.10 Domain has null MX", Fault.INVALID),
    ("512 5.1.2 Bad destination system address: Domain not found", Fault.INVALID),
    ("550 #5.1.0 Address rejected: no such recipient", Fault.INVALID),
    ("552 5.2.2 Mailbox full", Fault.FULL),
    ("452-4.2.2 The email account that you tried to reach is over quota.", Fault.FULL),
    ("552 1 Requested mail action aborted, mailbox exceeded quota", Fault.FULL),
    ("452 4.3.1 Insufficient system storage", Fault.FULL),
    ("550 boite pleine", Fault.FULL),
    ("450 4.2.1 The user you are trying to contact is receiving mail at a rate that prevents", Fault.TECHNICAL),
    ("550-5.7.26 This mail has been blocked because the sender is unauthenticated.", Fault.AUTHENTICATION),
    ("550 5.7.515 Access denied, sending domain does not meet the required authentication level", Fault.AUTHENTICATION),
    ("550 5.7.25 The IP address sending this message does not have a PTR record", Fault.AUTHENTICATION),
    ("554 5.7.1 Rejected because of SPF policy", Fault.AUTHENTICATION),
    ("550 5.7.509 Access denied, sending domain does not pass DMARC verification", Fault.AUTHENTICATION),
    ("550 DKIM signature is missing", Fault.AUTHENTICATION),
    ("421-4.7.28 Gmail has detected an unusual rate of unsolicited mail", Fault.VOLUME),
    ("421 4.7.650 The mail server has been temporarily rate limited", Fault.VOLUME),
    ("421 Too many connections from your IP OFR004_104", Fault.VOLUME),
    ("450 LPN007_405 Too many messages", Fault.VOLUME),
    ("451 4.7.1 Message throttled", Fault.VOLUME),
    ("550 5.7.1 Service unavailable; client host blocked using Spamhaus", Fault.REPUTATION),
    ("550 5.7.606 Access denied, banned sending IP", Fault.REPUTATION),
    ("554 5.7.1 Your IP is on a blacklist", Fault.REPUTATION),
    ("550 5.2.0 OFR_506 [506] Mail rejete", Fault.REPUTATION),
    ("554 Refused, poor reputation", Fault.REPUTATION),
    ("550 5.7.1 not welcome", Fault.REPUTATION),
    ("550 5.7.708 traffic not accepted from this IP", Fault.REPUTATION),
    ("554 5.7.1 This message has been identified as spam content", Fault.CONTENT),
    ("552 5.3.4 Message too big", Fault.CONTENT),
    ("550 5.6.0 Content rejected", Fault.CONTENT),
    ("552 5.2.3 Message length exceeds administrative limit", Fault.CONTENT),
    ("554 virus found", Fault.CONTENT),
    ("550 suspicious attachment", Fault.CONTENT),
    ("450 4.2.0 Recipient address rejected: Greylisted", Fault.TECHNICAL),
    ("451 4.7.1 Greylisting in action, please come back later", Fault.TECHNICAL),
    ("421 4.4.2 Connection timed out", Fault.TECHNICAL),
    ("451 4.3.0 Temporary failure", Fault.TECHNICAL),
    ("550 5.4.6 Routing loop detected", Fault.TECHNICAL),
    ("554 5.3.2 system not accepting network messages", Fault.UNAVAILABLE),
    ("550 5.1.8 sender address rejected: bad sender", Fault.TECHNICAL),
    ("550 5.7.133 sender not authenticated for group", Fault.UNAVAILABLE),
    ("450 4.1.1 unverified address: user unknown", Fault.UNAVAILABLE),
    ("451 4.1.2 domain not found", Fault.UNAVAILABLE),
    ("550 mailbox is inactive", Fault.UNAVAILABLE),
    ("500 what", Fault.UNKNOWN),
    ("", Fault.UNKNOWN),
]


@pytest.mark.parametrize(("words", "fault"), CASES)
def test_a_refusal_is_put_down_to_whose_fault_it_is(words: str, fault: Fault) -> None:
    assert classify(words) is fault
