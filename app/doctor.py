"""`flask doctor`: what must be true of an installation before it is trusted to send."""

from datetime import datetime
from email.utils import parseaddr
from urllib.parse import urlsplit

import dns.resolver
import sqlalchemy as sa

from app import sending_domain, tables
from app.parts import Parts
from campaigns import audit, findings, holding, offer_figures
from campaigns.channels import dkim_signing, mime, smtp
from campaigns.insights import followed
from foundation import jobs
from foundation.config import Config
from shop import pepper

Finding = findings.Finding


def look(parts: Parts, *, now: datetime) -> list[Finding]:
    """Everything, the DNS too; kept for whoever launches a campaign. Asks name servers, so no transaction is open."""
    found = examine(parts, now=now)
    if any(one.subject == "database" and not one.good for one in found):
        return [*found, *published(parts.config, sender=parts.config.email_from)]
    with parts.db.begin() as conn:
        sender = parts.sender(conn)
    found += published(parts.config, sender=sender)
    with parts.db.begin() as conn:
        findings.keep(conn, found, now=now)
    return found


def examine(parts: Parts, *, now: datetime) -> list[Finding]:
    """Every check, in the order they depend on each other; stops early if the database does not answer."""
    settings = Finding("settings", True, f"public address {parts.config.base_url}")
    try:
        with parts.db.begin() as conn:
            asked = [*_database(conn), _scheduler(conn, now), _model(conn, parts, now), _keys(conn), _pools(conn, now)]
            asked += [_held(conn), _sums(conn), _pepper(conn), _reports(conn)]
            sender = parts.sender(conn)
        config = parts.config
        return [settings, *asked, _channel(config, sender), _domain(config, sender), _unsubscribing(config)]
    except sa.exc.OperationalError as down:
        return [settings, Finding("database", False, f"does not answer: {down.orig}")]


def _database(conn: sa.Connection) -> list[Finding]:
    version = conn.scalar(sa.text("SHOW server_version"))
    found = [Finding("database", True, f"PostgreSQL {version}")]
    for name in ("fsync", "synchronous_commit"):
        value = conn.scalar(sa.text(f"SHOW {name}"))
        safe = value != "off"
        found.append(Finding(name, safe, str(value) if safe else "is off: the sender refuses to start; turn it on"))
    return found


def _scheduler(conn: sa.Connection, now: datetime) -> Finding:
    beat = jobs.last_beat(conn, "scheduler")
    if beat is None:
        return Finding("scheduler", False, "has never run: start it with python scheduler.py")
    silent = now - beat
    if silent > jobs.STALE:
        return Finding("scheduler", False, f"silent for {int(silent.total_seconds())} s: start python scheduler.py")
    return Finding("scheduler", True, "alive")


def _held(conn: sa.Connection) -> Finding:
    held = holding.held(conn)
    if held is None:
        return Finding("sending", True, "nothing holds it back")
    return Finding("sending", False, f"everything is held ({held.reason}): read why, then flask release-hold")


def _sums(conn: sa.Connection) -> Finding:
    broken = [one.campaign for one in audit.broken(conn)]
    if not broken:
        return Finding("ledger", True, "adds up: nobody twice, nobody lost")
    return Finding("ledger", False, f"does not add up: {', '.join(broken)}: see flask campaign report")


def _reports(conn: sa.Connection) -> Finding:
    """Providers that used to tell what became of messages still do."""
    mute = [one for one in followed.read(conn) if one.unusual]
    if not mute:
        return Finding("reports", True, "providers tell what they used to")
    silent = "; ".join(f"{one.provider} of {one.unfollowed} in {one.taken}" for one in mute)
    return Finding("reports", False, f"nothing was heard for three days from {silent}: see docs/deliverability.md")


def _pepper(conn: sa.Connection) -> Finding:
    if pepper.fits(conn):
        return Finding("pepper", True, "addresses that must not be used are recognised")
    return Finding("pepper", False, pepper.LOST)


def _model(conn: sa.Connection, parts: Parts, now: datetime) -> Finding:
    refused = parts.recommender.refused(conn, now=now)
    if refused is None:
        return Finding("recommender", True, "serves what was published")
    return Finding("recommender", False, f"model {refused} is damaged and was refused: roll back, or flask train")


def _keys(conn: sa.Connection) -> Finding:
    live = sa.select(sa.func.count()).where(tables.api_keys.c.kind == "write", tables.api_keys.c.revoked_at.is_(None))
    count = conn.scalar(live) or 0
    advice = "none: make one with flask key create --kind write --name site"
    return Finding("write keys", count > 0, str(count) if count else advice)


def _pools(conn: sa.Connection, now: datetime) -> Finding:
    """Pools of promo codes that are about to run out."""
    low = [f"{one.offer} has {one.free}" for one in offer_figures.low(conn, now=now)]
    return Finding("promo codes", not low, f"running out: {'; '.join(low)}" if low else "enough in every pool")


def _channel(config: Config, sender: str) -> Finding:
    kind = config.email_url.split(":", 1)[0]
    if kind == "outbox":
        return Finding("e-mail", True, "kept in the console's mailbox; set RELANCE_EMAIL_URL to send it")
    host = urlsplit(config.email_url).hostname or "SendGrid"
    return Finding("e-mail", True, f"{kind} by {host}, from {sender}")


def _domain(config: Config, sender: str) -> Finding:
    """Nobody accepts mail from a name that only this machine knows; what stays in the mailbox may have any."""
    domain = parseaddr(sender)[1].rpartition("@")[2].lower()
    stays = config.email_url == "outbox:"
    if stays or "." in domain and not domain.endswith((".localhost", ".local", ".internal")):
        return Finding("sending domain", True, domain)
    return Finding("sending domain", False, f"{domain} is no public name: set RELANCE_EMAIL_FROM or the shop's sender")


def _unsubscribing(config: Config) -> Finding:
    """One click unsubscribes by https alone (RFC 8058), and large hosts ask for it of whoever sends much."""
    address = config.tracking_url or config.base_url
    if config.email_url.startswith("outbox:") or address.startswith("https://"):
        return Finding("unsubscribe link", True, address)
    setting = "RELANCE_TRACKING_URL" if config.tracking_url else "RELANCE_BASE_URL"
    return Finding(
        "unsubscribe link", False, f"{address} is not https, as unsubscribing by one click asks: set {setting}"
    )


def published(config: Config, *, sender: str, lookup: sending_domain.Lookup | None = None) -> list[Finding]:
    """What the DNS says of the domain mails are from; nothing while no mail leaves this machine. Asks name servers."""
    address = config.email_url.partition("?")[0]
    domain = mime.sender_domain(sender)
    if address == "outbox:" or "." not in domain:
        return []
    host = None if address.startswith("sendgrid:") else urlsplit(address).hostname
    known = sending_domain.Sender(
        domain=domain,
        returns=config.return_address.rpartition("@")[2] if config.return_address else domain,
        selectors=_selectors(config, host),
        tracking=urlsplit(config.tracking_url or config.base_url).hostname or "",
        public_key=dkim_signing.public_record(config.dkim_key) if config.dkim_key else None,
        host=host if host not in smtp.LOCAL else None,
    )
    return sending_domain.examine(known, lookup or sending_domain.over(dns.resolver.Resolver()))


def _selectors(config: Config, host: str | None) -> tuple[str, ...]:
    """Where keys may be published: ours, or those of the provider who signs."""
    if host is None:
        return sending_domain.SENDGRID_SELECTORS
    return (config.dkim_selector,) if config.dkim_key else ()
