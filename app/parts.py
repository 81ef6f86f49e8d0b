"""`build(config)`: the parts every front door needs, made once and handed in."""

from dataclasses import dataclass
from typing import cast

import sqlalchemy as sa
from flask import current_app

from campaigns import links, message_checks, policy, sending, webhooks
from campaigns.audiences import connect as ad_platforms
from campaigns.audiences.platforms.base import Platform
from campaigns.channels import base, connect, mailboxes
from campaigns.channels.carriers import Carriers
from campaigns.journal import Journal
from foundation import postgres
from foundation.config import Config
from foundation.database import Database
from foundation.outward import Outward
from recommender import serving
from shop import ingest_queue


@dataclass(frozen=True, slots=True)
class Parts:
    """What views, commands and jobs work with; nothing else is fetched from Flask."""

    config: Config
    db: Database
    ingest: ingest_queue.IngestQueue
    recommender: serving.Recommender
    links: links.Links
    email: base.Channel
    channels: Carriers
    platforms: dict[str, Platform]

    def sending(self) -> sending.Sending:
        """What the sender needs beside the database."""
        return sending.Sending(
            channels=self.channels,
            recommender=self.recommender,
            links=self.links,
            journal=Journal(self.config.var / "journal"),
            sender=self.config.email_from,
            locale=self.config.locale,
            together=connect.together(self.config) or sending.IN_FLIGHT,
            hands=connect.HANDS if connect.together(self.config) else 1,
        )

    def sender(self, conn: sa.Connection) -> str:
        """Who mails are from: the sender of the merchant's rules, else that of the settings."""
        return policy.load(conn).sender or self.config.email_from

    def press(self) -> message_checks.Press:
        """What messages are looked at with before a launch."""
        return message_checks.Press(self.recommender, self.links, self.config.email_from)

    def return_mailbox(self) -> mailboxes.Mailbox | None:
        """Where returned mails arrive, if that is set. Kept by whoever reads it: it remembers a refused password."""
        url = self.config.return_mailbox
        return mailboxes.mailbox(url) if url is not None else None

    def caller(self) -> webhooks.Caller:
        """How other programs are told what journeys ask for."""
        return webhooks.Caller(Outward(), self.config.secret_keys)

    def close(self) -> None:
        """Writes what still waits in memory and closes every connection."""
        self.recommender.close()
        self.ingest.close()
        self.channels.close()
        for platform in self.platforms.values():
            platform.close()
        self.db.dispose()


def build(config: Config) -> Parts:
    """Makes every part. The database is joined, or the embedded one started, when it is first used."""
    db = Database(lambda: postgres.url(config.database_url, config.var), pepper=config.pepper, pool_size=20)
    signed = links.Links(
        config.secret_keys, config.base_url, tracking_url=config.tracking_url, return_address=config.return_address
    )
    email = connect.email_channel(config, db, signed)
    return Parts(
        config=config,
        db=db,
        ingest=ingest_queue.IngestQueue(db),
        recommender=serving.Recommender(db, files=config.var / "models"),
        platforms=ad_platforms.platforms(config),
        links=signed,
        email=email,
        channels=Carriers(config, db, email=email),
    )


def current_parts() -> Parts:
    """The parts of the application that answers the current request."""
    return cast("Parts", current_app.extensions["relance"])
