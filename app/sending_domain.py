"""The DNS of the sending domain, as mailbox hosts look at it: SPF, DKIM, DMARC, alignment, the tracking host.

Without these, large hosts refuse what a shop sends, whatever it says. Each finding says what to publish.
"""

import ipaddress
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import dns.exception
import dns.resolver
import dns.reversename

from campaigns.findings import Finding

MOST_LOOKUPS = 10
"""Of one SPF record (RFC 7208, 4.6.4); with one more, receivers take it for broken."""
SENDGRID_SELECTORS = ("s1", "s2")
SHARED = frozenset(
    f"{word}.{country}"
    for country, words in {
        "fr": "asso com gouv nom prd tm",
        "uk": "ac co gov ltd me net org plc sch",
        "at": "ac co or",
        "au": "com id net org",
        "br": "com net org",
        "cn": "com net org",
        "co": "com net org",
        "es": "com nom org",
        "gr": "com net org",
        "hk": "com net org",
        "il": "co net org",
        "in": "co firm net org",
        "jp": "ac co ne or",
        "kr": "co ne or",
        "ma": "co net org",
        "mx": "com net org",
        "my": "com net org",
        "nz": "co net org",
        "pl": "com net org",
        "pt": "com org",
        "sg": "com net org",
        "th": "co or",
        "tn": "com net org",
        "tr": "com net org",
        "tw": "com net org",
        "ua": "com net org",
        "za": "co net org",
    }.items()
    for word in words.split()
)
"""Suffixes beneath which everybody registers, of the many there are: those a shop is likely to have."""


@dataclass(frozen=True, slots=True)
class Sender:
    """What is to be checked. `returns` is the domain mails come back to; `public_key` ours, if we sign ourselves;
    `host` our own SMTP host, if there is one."""

    domain: str
    returns: str
    selectors: Sequence[str]
    tracking: str
    public_key: str | None = None
    host: str | None = None


class Unanswered(Exception):
    """No name server answered: nothing can be said."""


class Lookup(Protocol):
    """Asks the DNS."""

    def __call__(self, name: str, kind: str) -> list[str]:
        """The records of a name, empty if there are none; raises `Unanswered`."""


def over(resolver: dns.resolver.Resolver) -> Lookup:
    """Asks by this resolver."""

    def lookup(name: str, kind: str) -> list[str]:
        try:
            found = resolver.resolve(name, kind, lifetime=5.0)
        except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer, dns.name.EmptyLabel, dns.name.LabelTooLong):
            return []
        except dns.exception.DNSException as error:
            raise Unanswered(f"{name}: {error}") from error
        if kind == "TXT":
            return [b"".join(record.strings).decode(errors="replace") for record in found]
        return [record.to_text().rstrip(".") for record in found]

    return lookup


def examine(sender: Sender, lookup: Lookup) -> list[Finding]:
    """Every check. The first that gets no answer ends them: a silent name server says nothing of the domain."""
    found: list[Finding] = []
    try:
        found.append(_spf(sender.returns, lookup))
        found.append(_dkim(sender, lookup))
        record = _dmarc_record(sender.domain, lookup)
        found.append(_dmarc(sender.domain, record))
        found.append(_aligned(sender, record))
        found.append(_tracking(sender, lookup))
        if sender.host:
            found.append(_reverse(sender.host, lookup))
    except Unanswered as error:
        found.append(Finding("DNS", False, f"no name server answered for {error}"))
    return found


# -------------------------------------------------------------------------------------------------- SPF
def _spf(domain: str, lookup: Lookup) -> Finding:
    records = _spf_records(domain, lookup)
    if len(records) != 1:
        what = "none" if not records else f"{len(records)} records, and receivers want one"
        return Finding("SPF", False, f"{domain} has {what}: publish v=spf1 … -all as TXT")
    lookups = sum(1 for _ in _lookups(records[0], lookup, seen=set()))
    if lookups > MOST_LOOKUPS:
        return Finding("SPF", False, f"asks for {lookups} more names, {MOST_LOOKUPS} are allowed: flatten it")
    end = re.search(r"([-~?+]?)all\b", records[0])
    if "redirect=" not in records[0] and (end is None or end[1] not in ("-", "~")):
        return Finding("SPF", False, f"lets anybody send for {domain}: end it with -all or ~all")
    return Finding("SPF", True, f"{domain}, {lookups} of {MOST_LOOKUPS} lookups")


def _spf_records(domain: str, lookup: Lookup) -> list[str]:
    return [text for text in lookup(domain, "TXT") if text.lower().split(" ")[0] == "v=spf1"]


def _lookups(record: str, lookup: Lookup, *, seen: set[str]) -> Iterator[str]:
    """Each name that checking this record costs a question; one more than allowed is enough to know."""
    for term in record.split()[1:]:
        kind, _, name = re.sub(r"^[-~?+]", "", term).replace("redirect=", "include:").partition(":")
        kind = kind.partition("/")[0].lower()
        if kind not in ("include", "a", "mx", "ptr", "exists") or len(seen) > MOST_LOOKUPS:
            continue
        yield name or kind
        if kind == "include" and name and name not in seen:
            seen.add(name)
            for found in _spf_records(name, lookup)[:1]:
                yield from _lookups(found, lookup, seen=seen)


# ------------------------------------------------------------------------------------------------- DKIM
def _dkim(sender: Sender, lookup: Lookup) -> Finding:
    for selector in sender.selectors:
        name = f"{selector}._domainkey.{sender.domain}"
        keys = [tags for text in lookup(name, "TXT") if (tags := _tags(text)).get("p") is not None]
        if not keys:
            continue
        if not keys[0]["p"]:
            return Finding("DKIM", False, f"{name} was withdrawn: publish the key again, or another selector")
        if sender.public_key and keys[0]["p"].replace(" ", "") != sender.public_key:
            return Finding("DKIM", False, f"{name} is another key than ours: publish p={sender.public_key}")
        return Finding("DKIM", True, name)
    wanted = f"{sender.selectors[0]}._domainkey.{sender.domain}" if sender.selectors else "a key"
    value = f"v=DKIM1; k=rsa; p={sender.public_key}" if sender.public_key else "what your provider shows"
    if not sender.selectors:
        return Finding("DKIM", False, "nobody signs: set RELANCE_DKIM_KEY, or send by a provider that does")
    return Finding("DKIM", False, f"publish at {wanted}: {value}")


def _tags(text: str) -> dict[str, str]:
    pairs = (part.partition("=") for part in text.split(";"))
    return {name.strip().lower(): value.strip() for name, equals, value in pairs if equals}


# ------------------------------------------------------------------------------------- DMARC, alignment
def _dmarc_record(domain: str, lookup: Lookup) -> Mapping[str, str] | None:
    """Its own, else that of the domain above (RFC 7489, 6.6.3); None if there is none, or more than one."""
    while domain.count("."):
        found = [tags for text in lookup(f"_dmarc.{domain}", "TXT") if (tags := _tags(text)).get("v") == "DMARC1"]
        if found:
            return found[0] if len(found) == 1 else None
        domain = domain.partition(".")[2]
    return None


def _dmarc(domain: str, record: Mapping[str, str] | None) -> Finding:
    if record is None or record.get("p") not in ("none", "quarantine", "reject"):
        return Finding("DMARC", False, f"publish at _dmarc.{domain}: v=DMARC1; p=none; rua=mailto:you@{domain}")
    more = "" if record.get("rua") else "; rua=mailto:… would tell you who sends in your name"
    return Finding("DMARC", True, f"p={record['p']}{more}")


def _aligned(sender: Sender, record: Mapping[str, str] | None) -> Finding:
    """One of the two must match the sender's domain: the key signs for it, or mails come back to it."""
    rules = record or {}
    by_key = bool(sender.selectors)  # whoever signs, signs for the sender's own domain
    by_return = _match(sender.returns, sender.domain, strict=rules.get("aspf") == "s")
    ways = [word for word, true in (("DKIM", by_key), ("SPF", by_return)) if true]
    if ways:
        return Finding("alignment", True, " and ".join(ways))
    return Finding("alignment", False, f"mails come back to {sender.returns}, which is not of {sender.domain}")


def _match(one: str, other: str, *, strict: bool) -> bool:
    """Whether two names are aligned (RFC 7489, 3.1): the same, or, unless strict, of the same owner: `bounces.x.fr` is
    of `news.x.fr`."""
    one, other = (name.lower().rstrip(".") for name in (one, other))
    return one == other or not strict and _owned(one) == _owned(other)


def _owned(domain: str) -> str:
    """The name somebody registered, near enough: two labels, three beneath the suffixes we know to be shared."""
    labels = domain.split(".")
    return ".".join(labels[-3:] if ".".join(labels[-2:]) in SHARED else labels[-2:])


# ------------------------------------------------------------------------------------------- the hosts
def _tracking(sender: Sender, lookup: Lookup) -> Finding:
    host = sender.tracking
    if not _match(host, sender.domain, strict=False):
        good = "links lead by a domain of others: give RELANCE_TRACKING_URL a sub-domain of yours"
        return Finding("tracking host", False, f"{host}: {good}")
    if not any(lookup(host, kind) for kind in ("A", "AAAA", "CNAME")):
        return Finding("tracking host", False, f"{host} has no address: publish a CNAME to this installation")
    return Finding("tracking host", True, host)


def _reverse(host: str, lookup: Lookup) -> Finding:
    """The address of our own host has a name that has this address: others refuse what comes from any other."""
    for address in _addresses(host, lookup):
        names = lookup(dns.reversename.from_address(address).to_text(), "PTR")
        if not any(address in _addresses(name, lookup) for name in names):
            return Finding("reverse DNS", False, f"{address} of {host} has no name that leads back to it")
    return Finding("reverse DNS", True, host)


def _addresses(host: str, lookup: Lookup) -> list[str]:
    try:
        return [str(ipaddress.ip_address(host))]
    except ValueError:
        return lookup(host, "A") + lookup(host, "AAAA")
