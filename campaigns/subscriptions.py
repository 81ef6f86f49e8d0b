"""Browsers that agreed to be notified: kept when they say so, found by customer, forgotten where they are gone."""

import hashlib
from collections.abc import Collection, Sequence
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from campaigns import given
from campaigns.channels import push_encryption, push_services
from campaigns.channels.tables import push_subscriptions
from campaigns.channels.webpush import Subscription
from foundation.errors import Fault, Invalid
from shop.tables import customers

SILENT = timedelta(days=90)
"""A browser that neither visited nor showed anything for so long is gone; some push services never say so."""
MOST = 20
"""Browsers of one customer that are notified, those seen last."""


def check(subscription: Subscription) -> None:
    """Raises `Invalid` unless a browser's push service and keys are named."""
    faults = []
    if wrong := push_services.wrong(subscription.endpoint):
        faults.append(Fault("/subscription/endpoint", wrong))
    try:
        push_encryption.check(subscription.p256dh, subscription.auth)
    except push_encryption.BadSubscription as error:
        faults.append(Fault("/subscription/keys", str(error)))
    if faults:
        raise Invalid(*faults)


def keep(
    conn: sa.Connection, customer_id: int, subscription: Subscription, *, user_agent: str | None, now: datetime
) -> bool:
    """Keeps where a browser is reached. True if it was not known; the same again says it is still there.

    A browser belongs to whoever used it last: another customer who signs in on it takes it over.
    """
    check(subscription)
    row = {
        "customer_id": customer_id,
        "endpoint_hash": _hash(subscription.endpoint),
        "endpoint": subscription.endpoint,
        "p256dh": subscription.p256dh,
        "auth": subscription.auth,
        "public_key": subscription.public_key,
        "user_agent": (user_agent or "")[:300] or None,
        "created_at": now,
        "seen_at": now,
    }
    statement = postgresql.insert(push_subscriptions).values(row)
    kept = {name: statement.excluded[name] for name in row if name not in ("endpoint_hash", "created_at")}
    upsert = statement.on_conflict_do_update(index_elements=["endpoint_hash"], set_=kept)
    return bool(conn.scalar(upsert.returning(sa.literal_column("xmax = 0"))))


def replace(
    conn: sa.Connection, old: str, subscription: Subscription, *, user_agent: str | None, now: datetime
) -> bool | None:
    """The browser at the endpoint `old` is reached at another now, and stays its customer's. True if that is news.

    None if neither is known. An endpoint is known to its browser and to us alone, so naming one is proof enough. Who
    subscribed with the new one meanwhile keeps it.
    """
    check(subscription)
    table = push_subscriptions
    had = sa.delete(table).where(table.c.endpoint_hash == _hash(old), table.c.endpoint != subscription.endpoint)
    owner = conn.scalar(had.returning(table.c.customer_id))
    held = sa.select(table.c.customer_id).where(table.c.endpoint_hash == _hash(subscription.endpoint))
    customer_id = conn.scalar(held) or owner
    if customer_id is None:
        return None
    return keep(conn, customer_id, subscription, user_agent=user_agent, now=now)


def seen(conn: sa.Connection, endpoint: str, *, now: datetime) -> None:
    """This browser showed or followed something: it is still there."""
    known = push_subscriptions.c.endpoint_hash == _hash(endpoint)
    conn.execute(sa.update(push_subscriptions).where(known).values(seen_at=now))


def forget(conn: sa.Connection, endpoints: Collection[str]) -> int:
    """These browsers are gone; how many were known."""
    if not endpoints:
        return 0
    hashes = postgresql.array([_hash(one) for one in sorted(endpoints)])
    gone = push_subscriptions.c.endpoint_hash == sa.any_(sa.cast(hashes, postgresql.ARRAY(sa.LargeBinary)))
    return conn.execute(sa.delete(push_subscriptions).where(gone)).rowcount


def prune(conn: sa.Connection, *, now: datetime) -> int:
    """Forgets browsers that have been silent for three months."""
    return conn.execute(sa.delete(push_subscriptions).where(push_subscriptions.c.seen_at < now - SILENT)).rowcount


def of_customers(conn: sa.Connection, customer_ids: Sequence[int]) -> dict[int, list[Subscription]]:
    """Where each customer's browsers are reached, as they are known now; who has none is missing."""
    person = sa.func.coalesce(customers.c.merged_into, customers.c.id)
    query = (
        sa.select(
            person.label("person"),
            *(push_subscriptions.c[name] for name in Subscription.__slots__),
        )
        .join(customers, customers.c.id == push_subscriptions.c.customer_id)
        .where((customers.c.id == given.any_of(customer_ids)) | (customers.c.merged_into == given.any_of(customer_ids)))
        .order_by(push_subscriptions.c.seen_at.desc())
    )
    found: dict[int, list[Subscription]] = {}
    for row in conn.execute(query).mappings():
        held = found.setdefault(row["person"], [])
        if len(held) < MOST:
            held.append(Subscription(**{name: row[name] for name in Subscription.__slots__}))
    return found


def _hash(endpoint: str) -> bytes:
    return hashlib.sha256(endpoint.encode(errors="replace")).digest()
