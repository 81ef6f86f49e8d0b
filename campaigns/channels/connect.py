"""Which channel the settings ask for."""

from urllib.parse import unquote, urlsplit

from campaigns.channels import base, outbox, sendgrid, smtp
from foundation.config import Config
from foundation.database import Database


def email_channel(config: Config, db: Database) -> base.Channel:
    """The e-mail channel of `RELANCE_EMAIL_URL`, already checked by `Config`."""
    url = config.email_url
    if url.startswith("sendgrid:"):
        key, _, host = url.removeprefix("sendgrid:").partition("@")
        return sendgrid.SendgridChannel(key, host=host or sendgrid.HOST)
    if url.startswith(("smtp:", "smtps:")):
        return smtp.SmtpChannel(_host(url))
    return outbox.OutboxChannel(db)


def _host(url: str) -> smtp.Host:
    parts = urlsplit(url)
    secure = parts.scheme == "smtps"
    return smtp.Host(
        name=parts.hostname or "localhost",
        port=parts.port or (465 if secure else 587 if parts.username else 25),
        user=unquote(parts.username) if parts.username else None,
        password=unquote(parts.password) if parts.password else None,
        tls=secure,
    )
