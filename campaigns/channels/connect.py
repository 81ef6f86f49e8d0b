"""Which e-mail channel the settings ask for."""

from functools import partial
from urllib.parse import parse_qsl, unquote, urlsplit

from campaigns.channels import base, dkim_signing, outbox, sendgrid, smtp
from campaigns.links import RETURNED, Links
from foundation.config import Config
from foundation.database import Database

HANDS = 2
"""Which is as many as two cores have work for."""


def email_channel(config: Config, db: Database, links: Links) -> base.Channel:
    """The e-mail channel of `RELANCE_EMAIL_URL`, already checked by `Config`."""
    address, _, more = config.email_url.partition("?")
    options = dict(parse_qsl(more))
    if address.startswith("sendgrid:"):
        return _sendgrid(address, options)
    if address.startswith(("smtp:", "smtps:")):
        sign = None
        if config.dkim_key is not None:
            sign = dkim_signing.signer(config.dkim_key, selector=config.dkim_selector)
        returns = config.return_address
        path = partial(links.mailbox, RETURNED, address=returns) if returns else None
        host = _host(address, options, greeting=urlsplit(config.base_url).hostname or "localhost")
        return smtp.SmtpChannel(host, sign=sign, return_path=path)
    return outbox.OutboxChannel(db)


def together(config: Config) -> int | None:
    """How many mails of a broadcast one hand has on its way at once, if one call of that channel carries several."""
    address, _, more = config.email_url.partition("?")
    if not address.startswith("sendgrid:"):
        return None
    recipients = int(dict(parse_qsl(more)).get("recipients", sendgrid.RECIPIENTS))
    return sendgrid.CONNECTIONS // HANDS * recipients


def _sendgrid(address: str, options: dict[str, str]) -> sendgrid.SendgridChannel:
    key, _, host = address.removeprefix("sendgrid:").partition("@")
    return sendgrid.SendgridChannel(
        key,
        host=host or sendgrid.HOST,
        recipients=int(options.get("recipients", sendgrid.RECIPIENTS)),
        ip_pool=options.get("ip_pool"),
        sandbox="sandbox" in options,
    )


def _host(address: str, options: dict[str, str], *, greeting: str) -> smtp.Host:
    parts = urlsplit(address)
    secure = parts.scheme == "smtps"
    return smtp.Host(
        name=parts.hostname or "localhost",
        port=parts.port or (465 if secure else 587 if parts.username else 25),
        user=unquote(parts.username) if parts.username else None,
        password=unquote(parts.password) if parts.password else None,
        tls=secure,
        starttls="starttls" in options,
        connections=int(options.get("connections", smtp.CONNECTIONS)),
        greeting=greeting,
    )
