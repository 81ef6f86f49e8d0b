"""`Carriers`: who carries each channel right now, made anew within seconds when somebody connects another."""

import hmac
import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from campaigns import connections
from campaigns.channels import base, fcm, sms, sms_ovh, sms_twilio
from campaigns.channels.onsite import OnsiteChannel
from campaigns.channels.outbox import OutboxChannel
from campaigns.channels.push import Push
from campaigns.channels.push_encryption import Voice
from campaigns.channels.webpush import WebPush
from foundation import sealing
from foundation.config import Config
from foundation.database import Database

log = logging.getLogger(__name__)

LOOK = 5.0
"""Seconds between two looks at what is connected."""
GRACE = 120.0
SHAPES: Mapping[str, Callable[[], sms.Shape]] = {
    "generic": sms.Generic,
    "twilio": sms_twilio.Twilio,
    "ovh": sms_ovh.Ovh,
}


class Carriers(Mapping[str, base.Carrier[Any]]):
    """The carrier of each connected channel, by the channel's word in the ledger.

    Several threads may ask. One that was replaced is closed a while later, when nobody can be using it any more.
    """

    def __init__(self, config: Config, db: Database, *, email: base.Channel) -> None:
        self._config, self._db = config, db
        self._web = WebPush(voice(config))
        self._own: dict[str, base.Carrier[Any]] = {"email": email, "onsite": OnsiteChannel(db)}
        self._made: dict[str, tuple[str, base.Carrier[Any]]] = {}
        self._now: dict[str, base.Carrier[Any]] = {**self._own, "push": Push(web=self._web, app=None)}
        self._gone: list[tuple[float, base.Carrier[Any]]] = []
        self._look_at, self._looking = 0.0, threading.Lock()

    def __getitem__(self, channel: str) -> base.Carrier[Any]:
        return self._standing()[channel]

    def __iter__(self) -> Iterator[str]:
        return iter(self._standing())

    def __len__(self) -> int:
        return len(self._standing())

    def close(self) -> None:
        """Closes every connection."""
        made = [carrier for _, carrier in (*self._made.values(), *self._gone)]
        for carrier in (*self._own.values(), self._web, *made):
            carrier.close()

    def _standing(self) -> dict[str, base.Carrier[Any]]:
        if time.monotonic() >= self._look_at and self._looking.acquire(blocking=False):
            try:
                self.look()
                self._look_at = time.monotonic() + LOOK
            finally:
                self._looking.release()
        return self._now

    def look(self) -> None:
        """Looks at what is connected, and makes what is new."""
        for _, carrier in (old := [one for one in self._gone if one[0] < time.monotonic()]):
            carrier.close()
        self._gone = [one for one in self._gone if one not in old]
        try:
            with self._db.begin() as conn:
                connections.take_settings(conn, self._config, now=datetime.now(UTC))
                wanted = connections.addresses(conn, keys=self._config.secret_keys)
        except sealing.Unsealed:
            log.error("a channel's secrets cannot be opened; connect it again", extra={"channel": "any"})
            wanted = {}
        for channel in [name for name, (address, _) in self._made.items() if wanted.get(name) != address]:
            self._gone.append((time.monotonic() + GRACE, self._made.pop(channel)[1]))
        for channel, address in wanted.items():
            if channel not in self._made:
                self._made[channel] = (address, self._make(channel, address))
        made = {channel: carrier for channel, (_, carrier) in self._made.items()}
        app = made.pop("push_app", None)
        self._now = {**self._own, "push": Push(web=self._web, app=app), **made}

    def _make(self, channel: str, address: str) -> base.Carrier[Any]:
        if address == connections.OUTBOX:
            return OutboxChannel(self._db)
        if channel == "push_app":
            return fcm.Fcm(address)
        known = sms.account(address, callback=report_url(self._config))
        return sms.SmsGateway(known, SHAPES[known.kind]())


def voice(config: Config) -> Voice:
    """Our key pair for web push."""
    address = config.base_url if config.base_url.startswith("https:") else "mailto:postmaster@localhost"
    return Voice(config.vapid_private_key, address)


def report_url(config: Config) -> str:
    """Where gateways tell what became of a message and what was answered; its last part is known to them alone."""
    return f"{config.base_url}/hooks/sms?t={report_word(config.secret_keys[0])}"


def report_word(secret: str) -> str:
    """The word in that address."""
    return hmac.new(secret.encode(), b"sms reports", "sha256").hexdigest()[:32]
