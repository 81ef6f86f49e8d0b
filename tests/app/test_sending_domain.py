"""The DNS of a sending domain, asked of a real name server here: what is missing is told, and how to mend it."""

import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import dns.flags
import dns.message
import dns.rcode
import dns.resolver
import dns.rrset
import pytest

from app import doctor, sending_domain
from app.sending_domain import Sender
from foundation.config import Config

Zone = dict[tuple[str, str], list[str]]
GOOD: Zone = {
    ("m.aubier.example", "TXT"): ['"other"', '"v=spf1 include:_spf.provider.example " "ip4:192.0.2.7 -all"'],
    ("_spf.provider.example", "TXT"): ['"v=spf1 a mx ~all"'],
    ("s1._domainkey.aubier.example", "TXT"): ['"v=DKIM1; k=rsa; p=AAA" "BBB"'],
    ("_dmarc.aubier.example", "TXT"): ['"v=DMARC1; p=none; rua=mailto:d@aubier.example"'],
    ("news.aubier.example", "CNAME"): ["relance.example."],
    ("mx.aubier.example", "A"): ["192.0.2.7"],
    ("7.2.0.192.in-addr.arpa", "PTR"): ["mx.aubier.example."],
}
FROM = "Aubier <bonjour@aubier.example>"
SENDER = Sender(
    domain="aubier.example",
    returns="m.aubier.example",
    selectors=("s1", "s2"),
    tracking="news.aubier.example",
    host="mx.aubier.example",
)


class _NameServer(socketserver.ThreadingUDPServer):
    """Answers from a zone; a name that is not in it does not exist. Silent, it answers nothing."""

    daemon_threads = True

    def __init__(self, zone: Zone, *, silent: bool) -> None:
        super().__init__(("127.0.0.1", 0), _Question)
        self.zone, self.silent = zone, silent


class _Question(socketserver.BaseRequestHandler):
    server: _NameServer

    def handle(self) -> None:
        data, sock = self.request
        asked = dns.message.from_wire(data)
        answer: Any = dns.message.make_response(asked)
        name, kind = asked.question[0].name.to_text().rstrip(".").lower(), asked.question[0].rdtype
        found = self.server.zone.get((name, dns.rdatatype.to_text(kind)))
        if self.server.silent:
            answer.set_rcode(dns.rcode.SERVFAIL)
        elif found:
            answer.answer.append(dns.rrset.from_text(f"{name}.", 60, "IN", dns.rdatatype.to_text(kind), *found))
        elif not any(known == name for known, _ in self.server.zone):
            answer.set_rcode(dns.rcode.NXDOMAIN)
        sock.sendto(answer.to_wire(), self.client_address)


@contextmanager
def name_server(zone: Zone, *, silent: bool = False) -> Iterator[sending_domain.Lookup]:
    server = _NameServer(zone, silent=silent)
    serving = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    serving.start()
    resolver = dns.resolver.Resolver(configure=False)
    resolver.nameservers, resolver.port = ["127.0.0.1"], server.server_address[1]
    try:
        yield sending_domain.over(resolver)
    finally:
        server.shutdown()
        serving.join()
        server.server_close()


def bad(zone: Zone, sender: Sender = SENDER, *, silent: bool = False) -> dict[str, str]:
    with name_server(zone, silent=silent) as lookup:
        return {one.subject: one.detail for one in sending_domain.examine(sender, lookup) if not one.good}


def test_a_domain_in_order_has_nothing_to_mend() -> None:
    assert bad(GOOD) == {}
    assert bad(GOOD, replace(SENDER, public_key="AAABBB")) == {}
    sub = {**GOOD, ("s1._domainkey.shop.aubier.example", "TXT"): ['"p=X"']}
    assert bad(sub, replace(SENDER, domain="shop.aubier.example")) == {}, "the policy of the domain above holds"


@pytest.mark.parametrize(
    ("name", "records", "subject", "advice"),
    [
        (("m.aubier.example", "TXT"), [], "SPF", "has none"),
        (("m.aubier.example", "TXT"), ['"v=spf1 -all"', '"v=spf1 ~all"'], "SPF", "2 records"),
        (("m.aubier.example", "TXT"), ['"v=spf1 +all"'], "SPF", "lets anybody"),
        (("m.aubier.example", "TXT"), ['"v=spf1 mx"'], "SPF", "lets anybody"),
        (("m.aubier.example", "TXT"), ['"v=spf1 ' + "a:x.example " * 11 + '-all"'], "SPF", "11 more names"),
        (("_spf.provider.example", "TXT"), ['"v=spf1 ' + "mx:y.example " * 10 + '-all"'], "SPF", "11 more names"),
        (("s1._domainkey.aubier.example", "TXT"), ['"v=DKIM1; p="'], "DKIM", "withdrawn"),
        (("s1._domainkey.aubier.example", "TXT"), [], "DKIM", "s1._domainkey.aubier.example"),
        (("_dmarc.aubier.example", "TXT"), [], "DMARC", "publish at _dmarc.aubier.example"),
        (("_dmarc.aubier.example", "TXT"), ['"v=DMARC1; p=none"', '"v=DMARC1; p=reject"'], "DMARC", "publish"),
        (("_dmarc.aubier.example", "TXT"), ['"v=DMARC1; p=nonsense"'], "DMARC", "publish"),
        (("news.aubier.example", "CNAME"), [], "tracking host", "no address"),
        (("7.2.0.192.in-addr.arpa", "PTR"), ["elsewhere.example."], "reverse DNS", "leads back"),
    ],
)
def test_what_is_missing_or_wrong_is_named_with_what_to_publish(
    name: tuple[str, str], records: list[str], subject: str, advice: str
) -> None:
    zone = {key: found for key, found in {**GOOD, name: records}.items() if found}
    assert set(bad(zone)) == {subject} and advice in bad(zone)[subject]


def test_a_record_that_includes_itself_ends() -> None:
    assert bad({**GOOD, ("_spf.provider.example", "TXT"): ['"v=spf1 include:_spf.provider.example -all"']}) == {}


def test_another_key_than_ours_and_a_sender_nobody_signs_for_are_told() -> None:
    assert "publish p=OURS" in bad(GOOD, replace(SENDER, public_key="OURS"))["DKIM"]
    unsigned = replace(SENDER, selectors=(), returns="bounces.provider.example")
    found = bad({**GOOD, ("bounces.provider.example", "TXT"): ['"v=spf1 -all"']}, unsigned)
    assert set(found) == {"DKIM", "alignment"}
    strict = {**GOOD, ("_dmarc.aubier.example", "TXT"): ['"v=DMARC1; p=reject; aspf=s"']}
    assert "alignment" in bad(strict, replace(SENDER, selectors=()))


@pytest.mark.parametrize(
    ("sender", "returns", "aligned"),
    [
        ("news.aubier.example", "bounces.aubier.example", True),
        ("aubier.example", "a.b.aubier.example", True),
        ("news.aubier.co.uk", "bounces.aubier.co.uk", True),
        ("aubier.co.uk", "provider.co.uk", False),
        ("aubier.asso.fr", "other.asso.fr", False),
        ("aubier.example", "notaubier.example", False),
    ],
)
def test_what_mails_come_back_to_is_aligned_with_the_sender_when_one_owner_has_both(
    sender: str, returns: str, aligned: bool
) -> None:
    zone: Zone = {(returns, "TXT"): ['"v=spf1 -all"'], (f"_dmarc.{sender}", "TXT"): ['"v=DMARC1; p=none"']}
    strict: Zone = {**zone, (f"_dmarc.{sender}", "TXT"): ['"v=DMARC1; p=none; aspf=s"']}
    asked = Sender(domain=sender, returns=returns, selectors=(), tracking=f"news.{sender}")
    assert ("alignment" not in bad(zone, asked)) is aligned
    assert "alignment" in bad(strict, asked), "siblings are another name"


def test_links_beneath_a_suffix_everybody_shares_are_not_yours() -> None:
    zone = {**GOOD, ("links.provider.co.uk", "A"): ["192.0.2.9"], ("links.aubier.co.uk", "A"): ["192.0.2.9"]}
    shop = replace(SENDER, domain="news.aubier.co.uk")
    assert "RELANCE_TRACKING_URL" in bad(zone, replace(shop, tracking="links.provider.co.uk"))["tracking host"]
    assert "tracking host" not in bad(zone, replace(shop, tracking="links.aubier.co.uk"))


def test_links_by_a_domain_of_others_are_told() -> None:
    zone = {**GOOD, ("links.shared.example", "A"): ["192.0.2.9"]}
    assert "RELANCE_TRACKING_URL" in bad(zone, replace(SENDER, tracking="links.shared.example"))["tracking host"]


def test_the_doctor_checks_what_the_settings_send_by() -> None:
    environ = {"RELANCE_SECRET_KEY": "k" * 20, "RELANCE_EMAIL_FROM": FROM}
    environ |= {"RELANCE_TRACKING_URL": "https://news.aubier.example", "RELANCE_RETURN_ADDRESS": "b@m.aubier.example"}
    with name_server(GOOD) as lookup:
        assert doctor.published(Config.from_env(environ), sender=FROM, lookup=lookup) == []
        sending = Config.from_env(environ | {"RELANCE_EMAIL_URL": "sendgrid:KEY"})
        assert {one.good for one in doctor.published(sending, sender=FROM, lookup=lookup)} == {True}
        own = Config.from_env(environ | {"RELANCE_EMAIL_URL": "smtp://mx.aubier.example"})
        assert [one.subject for one in doctor.published(own, sender=FROM, lookup=lookup) if not one.good] == ["DKIM"]


def test_the_domain_of_the_merchants_own_sender_is_checked() -> None:
    environ = {"RELANCE_SECRET_KEY": "k" * 20, "RELANCE_EMAIL_FROM": FROM, "RELANCE_EMAIL_URL": "sendgrid:KEY"}
    environ |= {"RELANCE_TRACKING_URL": "https://news.aubier.example", "RELANCE_RETURN_ADDRESS": "b@m.aubier.example"}
    with name_server(GOOD) as lookup:
        found = doctor.published(Config.from_env(environ), sender="Other <hello@other.example>", lookup=lookup)
    wrong = {one.subject: one.detail for one in found if not one.good}
    assert {"DKIM", "DMARC", "tracking host"} <= set(wrong) and "s1._domainkey.other.example" in wrong["DKIM"]


def test_a_silent_name_server_says_nothing_of_the_domain() -> None:
    assert set(bad(GOOD, silent=True)) == {"DNS"}
