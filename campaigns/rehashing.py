"""A pepper that was lost: what can be hashed anew is, so that as few refusals as may be are forgotten.

A hash cannot be turned back into its address, but the ledger still names the addresses of the mails it keeps the words
of. Every other refusal is recognised no more, save what its customer's own consent and the provider's lists say.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from campaigns import given, mail_tables, reachable, tables
from shop import consent, pepper
from shop.tables import suppressions

messages, contents = tables.messages, tables.message_contents
AT_ONCE = 5_000


@dataclass(frozen=True, slots=True)
class Rehashed:
    """Refused addresses that are recognised again, and those that are not."""

    kept: int
    lost: int


def begin_anew(conn: sa.Connection) -> Rehashed:
    """Hashes are made with our pepper from now on. Nothing may be sent meanwhile: stop the scheduler first."""
    pepper.replace(conn)
    before = conn.execute(sa.select(sa.func.count()).select_from(suppressions)).scalar_one()
    kept, last = 0, UUID(int=0)
    while rows := conn.execute(_NAMED, {"last": last}).all():
        last = rows[-1].id
        kept += _rehash(conn, rows)
    conn.execute(sa.delete(mail_tables.provider_lists))  # read from the beginning again, tonight
    return Rehashed(kept, before - kept)


_NAMED = (
    sa.select(messages.c.id, messages.c.channel, messages.c.customer_id, messages.c.address_hash, contents.c.address)
    .join(contents, contents.c.message_id == messages.c.id)
    .where(messages.c.id > sa.bindparam("last", type_=postgresql.UUID), messages.c.address_hash.is_not(None))
    .order_by(messages.c.id)
    .limit(AT_ONCE)
)


def _rehash(conn: sa.Connection, rows: Sequence[Any]) -> int:
    hashes = [
        consent.address_hash(conn, row.channel, reachable.named(row.channel, row.address, row.customer_id))
        for row in rows
    ]
    columns: dict[str, given.Column] = {
        "id": (messages.c.id.type, [row.id for row in rows]),
        "channel": (sa.Text(), [row.channel for row in rows]),
        "old": (sa.LargeBinary(), [row.address_hash for row in rows]),
        "new": (sa.LargeBinary(), hashes),
    }
    found = given.rows("found", columns)
    conn.execute(sa.update(messages).where(messages.c.id == found.c.id).values(address_hash=found.c.new))
    _replace(conn, mail_tables.soft_bounces, found)
    return _replace(conn, suppressions, found)


def _replace(conn: sa.Connection, table: sa.Table, found: sa.FromClause) -> int:
    mine = (table.c.channel == found.c.channel) & (table.c.address_hash == found.c.old)
    return conn.execute(sa.update(table).where(mine).values(address_hash=found.c.new)).rowcount
