"""Who carries the channels beside e-mail: what the settings or somebody in the console connected, secrets sealed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import orjson
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from campaigns.channels.tables import connections
from foundation import config, database, google_token, outward, sealing
from foundation.config import Config
from foundation.errors import Fault, Invalid

CHANNELS = ("sms", "whatsapp", "push_app")
"""What can be connected: text messages, WhatsApp templates, notifications in apps."""
ALWAYS = frozenset({"email", "push", "onsite"})
"""Channels we carry ourselves, or that the settings always name."""
SETTINGS = "settings"
OUTBOX = "outbox:"
"""Instead of a gateway: what would leave is kept and shown in the console's mailbox."""


@dataclass(frozen=True, slots=True)
class Connection:
    """One channel's carrier, without its secrets."""

    channel: str
    kind: str
    origin: str
    connected_at: datetime


def connected(conn: sa.Connection) -> frozenset[str]:
    """The channels of the ledger that somebody carries."""
    found = conn.scalars(sa.select(connections.c.channel).where(connections.c.channel != "push_app"))
    return ALWAYS | frozenset(found)


def every(conn: sa.Connection) -> Sequence[Connection]:
    """What is connected."""
    columns = [connections.c[name] for name in Connection.__slots__]
    return database.read(conn, sa.select(*columns).order_by(connections.c.channel), Connection)


def addresses(conn: sa.Connection, *, keys: Sequence[str]) -> dict[str, str]:
    """The address of each carrier with its secrets; raises `sealing.Unsealed` if the secret key was lost."""
    rows = conn.execute(sa.select(connections.c.channel, connections.c.sealed))
    return {channel: sealing.unseal(sealed, purpose=channel, keys=keys) for channel, sealed in rows}


def connect(
    conn: sa.Connection, channel: str, address: str, *, keys: Sequence[str], origin: str, now: datetime
) -> None:
    """Connects a channel; raises `Invalid` naming what is wrong with the address. It works within seconds."""
    if channel not in CHANNELS:
        raise Invalid(Fault("/channel", f"must be one of: {', '.join(CHANNELS)}"))
    if wrong := fault(channel, address):
        raise Invalid(Fault("/address", wrong))
    row = {
        "channel": channel,
        "kind": kind(channel, address),
        "sealed": sealing.seal(address, purpose=channel, keys=keys),
        "origin": origin,
        "connected_at": now,
    }
    database.upsert(conn, connections, [row], key=["channel"])


def disconnect(conn: sa.Connection, channel: str) -> bool:
    """Nobody carries this channel any more; messages for it end as not connected. False if nobody did."""
    return conn.execute(sa.delete(connections).where(connections.c.channel == channel)).rowcount > 0


def ensure_demo(conn: sa.Connection, *, keys: Sequence[str], now: datetime) -> None:
    """In the demo shop, whatever nobody carries is kept and shown in the mailbox."""
    sealed = [
        {"channel": channel, "kind": "outbox", "origin": "demo", "connected_at": now}
        | {"sealed": sealing.seal(OUTBOX, purpose=channel, keys=keys)}
        for channel in CHANNELS
    ]
    conn.execute(postgresql.insert(connections).on_conflict_do_nothing(), sealed)


def take_settings(conn: sa.Connection, settings: Config, *, now: datetime) -> None:
    """What the settings name is connected, whatever the console said; what they no longer name is not."""
    named = of_settings(settings)
    held = {one.channel: one for one in every(conn)}
    known = addresses(conn, keys=settings.secret_keys) if named else {}
    for channel, address in named.items():
        if known.get(channel) != address or held[channel].origin != SETTINGS:
            connect(conn, channel, address, keys=settings.secret_keys, origin=SETTINGS, now=now)
    for channel, one in held.items():
        if one.origin == SETTINGS and channel not in named:
            disconnect(conn, channel)


def of_settings(settings: Config) -> Mapping[str, str]:
    """The carriers the settings name."""
    told = {"sms": settings.sms_url, "whatsapp": settings.whatsapp_url, "push_app": settings.fcm_credentials}
    return {channel: address for channel, address in told.items() if address}


def fault(channel: str, address: str) -> str | None:
    """What is wrong with a carrier's address, as the end of a sentence."""
    if address == OUTBOX:
        return None
    if channel == "push_app":
        return _account_fault(address)
    return config.gateway_fault(address)


def _account_fault(written: str) -> str | None:
    try:
        if wrong := config.service_account_fault(written):
            return f"cannot be used: {wrong}"
        google_token.Tokens(orjson.loads(written), "")
    except ValueError as error:
        return f"cannot be used: it {error}"
    return None


def outside(address: str) -> str | None:
    """What is wrong with an address somebody typed in the console: from there none leads into a private network."""
    if address == OUTBOX or address.lstrip().startswith("{"):
        return None
    _, _, url = address.partition("+")
    host = url.partition("://")[2]
    bare = f"{url.partition('://')[0]}://{host.rpartition('@')[2]}"
    return outward.wrong(bare)


def kind(channel: str, address: str) -> str:
    """The word for who carries it."""
    if address == OUTBOX:
        return "outbox"
    return "fcm" if channel == "push_app" else address.partition("+")[0]
