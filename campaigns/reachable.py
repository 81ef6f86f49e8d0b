"""Where a customer is reached by each channel: her number, her devices, the shop's own pages.

An address is text for the ledger; of several devices each has a line of its own.
"""

from collections.abc import Collection, Sequence

import sqlalchemy as sa

from campaigns import connections, given, subscriptions
from campaigns.channels import push, webpush
from campaigns.channels.tables import connections as kept
from shop.tables import customers, identities

PHONES = ("sms", "whatsapp")


def addresses(conn: sa.Connection, customer_ids: Sequence[int], channel: str) -> dict[int, str]:
    """The address of each customer by this channel; who cannot be reached by it is missing."""
    if channel == "push":
        return _devices(conn, customer_ids)
    if channel == "onsite":
        return {customer: str(customer) for customer in customer_ids}
    column = customers.c.phone if channel in PHONES else customers.c.email
    query = sa.select(customers.c.id, column).where(customers.c.id == given.any_of(customer_ids), column.is_not(None))
    return {customer: address for customer, address in conn.execute(query)}


def named(channel: str, address: str, customer_id: int) -> str:
    """What two profiles must not share: the number, the mailbox. Devices come and go, and pages are hers alone."""
    return str(customer_id) if channel in ("push", "onsite") else address


def forget(conn: sa.Connection, channel: str, dead: Collection[str]) -> None:
    """These devices are gone: nothing is sent to them again."""
    if channel != "push" or not dead:
        return
    browsers = {webpush.read(address).endpoint for address in dead if address.startswith("[")}
    subscriptions.forget(conn, browsers)
    tokens = sorted(address.removeprefix(push.APP) for address in dead if address.startswith(push.APP))
    if tokens:
        gone = (identities.c.kind == "device") & identities.c.value.in_(tokens)
        conn.execute(sa.delete(identities).where(gone))


def _devices(conn: sa.Connection, ids: Sequence[int]) -> dict[int, str]:
    browsers = subscriptions.of_customers(conn, ids)
    lines = {customer: [one.address for one in held] for customer, held in browsers.items()}
    app = conn.scalar(sa.select(kept.c.kind).where(kept.c.channel == "push_app"))
    if app is not None:
        for customer, token in _tokens(conn, ids):
            lines.setdefault(customer, []).append(push.APP + token)
    if app == connections.OUTBOX.rstrip(":"):
        for customer in ids:
            lines.setdefault(customer, []).append(f"{push.PHONE}{customer}")
    return {customer: "\n".join(held) for customer, held in lines.items()}


def _tokens(conn: sa.Connection, ids: Sequence[int]) -> list[tuple[int, str]]:
    """The devices apps told us of, newest first."""
    query = (
        sa.select(identities.c.customer_id, identities.c.value)
        .where(
            identities.c.customer_id == given.any_of(ids),
            identities.c.kind == "device",
            identities.c.quarantined_at.is_(None),
        )
        .order_by(identities.c.first_seen_at.desc())
        .limit(subscriptions.MOST * len(ids))
    )
    return [(customer, token) for customer, token in conn.execute(query)]
