"""Mails for tests of e-mail channels: like those a campaign renders, without a ledger behind them."""

import time
from dataclasses import replace
from typing import Any
from uuid import uuid4

from campaigns.channels import mime, pieces
from campaigns.channels.base import Mail
from tests.campaigns import world
from tests.conftest import NOW


def mail(**changes: Any) -> Mail:
    """One mail with the headers of a marketing message."""
    message_id = uuid4()
    headers = mime.headers(
        message_id,
        sender=world.SENDER,
        campaign="basket",
        list_name="Maison Aubier",
        unsubscribe=world.LINKS.unsubscribe(message_id),
        unsubscribe_by_mail="bounces+u@aubier.example",
        at=NOW,
    )
    link = world.LINKS.click(message_id, 0)
    made = Mail(
        message_id=message_id,
        attempt=1,
        sender=world.SENDER,
        address="camille@example.org",
        subject="Votre panier à 10\u202f%",
        body=pieces.whole(f'<p>Bonjour</p>\n.\n<p><a href="{link}">é</a></p>\n', f"Bonjour\n.\né {link}"),
        headers=headers,
        deadline=time.monotonic() + 30,
        campaign="basket",
    )
    return replace(made, **changes)
