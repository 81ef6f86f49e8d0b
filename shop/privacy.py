"""Everything held on one customer, given out or erased, in whatever table of whatever floor it is.

Found by walking the one `metadata` from `customers` along its foreign keys, so a new table is covered by having one.
A column that names a row without a constraint says so by `info={"references": "table.column"}`. A table whose rows do
not say by themselves what they stand for has a function under `info["told"]` that gives them as they are to be read.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from foundation.database import metadata
from foundation.errors import NotFound
from shop import consent, inbox, merging
from shop.handles import Kind
from shop.tables import customers, identities, refused_events

ADDRESSED = {Kind.EMAIL: "email", Kind.PHONE: "sms"}
"""Handles that are addresses of a channel."""

SHORTEST_TRACE = 4
"""Shorter handles would be found in everyone's refused events."""


def export(conn: sa.Connection, customer_id: int) -> dict[str, Any]:
    """Every row held on a customer, by table; of a merged one, on who they are now."""
    inbox.settle(conn)
    held = _held(_everyone(conn, customer_id))
    found = {
        str(table.name): [
            {str(name): _plain(value) for name, value in row.items()}
            for row in _told(conn, table, conn.execute(sa.select(table).where(held[table])).mappings().all())
        ]
        for table in metadata.sorted_tables
        if table in held
    }
    return {name: rows for name, rows in found.items() if rows}


def _told(conn: sa.Connection, table: sa.Table, rows: Sequence[Mapping[Any, Any]]) -> Sequence[Mapping[Any, Any]]:
    told: Told | None = table.info.get("told")
    return told(conn, rows) if told else rows


Told = Callable[[sa.Connection, Sequence[Mapping[Any, Any]]], Sequence[Mapping[Any, Any]]]


def erase(conn: sa.Connection, customer_id: int, *, now: datetime) -> None:
    """Deletes a customer and everything held on them. Of their addresses hashes remain, so that none is used again."""
    inbox.settle(conn)
    conn.execute(sa.select(sa.func.pg_advisory_xact_lock(merging.GRAPH_LOCK)))
    people = _everyone(conn, customer_id)
    handles = conn.execute(
        sa.select(identities.c.kind, identities.c.value).where(identities.c.customer_id.in_(people))
    ).all()
    told = conn.execute(sa.select(customers.c.email, customers.c.phone).where(customers.c.id.in_(people))).all()
    addresses = {(ADDRESSED[Kind(kind)], value) for kind, value in handles if kind in ADDRESSED}
    addresses |= {("email", email) for email, _ in told if email} | {("sms", phone) for _, phone in told if phone}
    addresses |= {("whatsapp", address) for channel, address in addresses if channel == "sms"}
    for channel, address in sorted(addresses):
        consent.suppress(conn, channel=channel, address=address, reason="erased", now=now)
    _forget_refused(conn, {value for _, value in handles} | {address for _, address in addresses})
    held = _held(people)
    for table in reversed(metadata.sorted_tables):
        if table in held and any("references" in column.info for column in table.columns):
            conn.execute(sa.delete(table).where(held[table]))
    conn.execute(sa.delete(customers).where(customers.c.id.in_(people)))


def _everyone(conn: sa.Connection, customer_id: int) -> list[int]:
    """The customer and all who were merged into them."""
    now = sa.select(sa.func.coalesce(customers.c.merged_into, customers.c.id)).where(customers.c.id == customer_id)
    query = sa.select(customers.c.id).where(
        sa.or_(customers.c.id == now.scalar_subquery(), customers.c.merged_into == now.scalar_subquery())
    )
    people = list(conn.scalars(query.order_by(customers.c.id)))
    if not people:
        raise NotFound(f"no customer {customer_id}")
    return people


def _held(people: Sequence[int]) -> dict[sa.Table, sa.ColumnElement[bool]]:
    """For each table that holds anything on these customers, which of its rows."""
    ids = sa.bindparam("people", list(people), postgresql.ARRAY(sa.BigInteger), unique=True)
    held: dict[sa.Table, sa.ColumnElement[bool]] = {customers: customers.c.id == sa.any_(ids)}
    for table in _parents_first():
        owned = [
            column.in_(sa.select(target).where(held[target.table]))
            for column, target in _references(table)
            if target.table in held and target.table is not table
        ]
        if owned and table is not customers:
            held[table] = sa.or_(*owned)
    return held


def _parents_first() -> Sequence[sa.Table]:
    """Declared references come with no order of their own: tables that have them are looked at last."""
    return sorted(
        metadata.sorted_tables, key=lambda table: any("references" in column.info for column in table.columns)
    )


def _references(table: sa.Table) -> list[tuple["sa.Column[Any]", "sa.Column[Any]"]]:
    found = [(key.parent, key.column) for key in table.foreign_keys]
    for column in table.columns:
        if "references" in column.info:
            parent, _, name = column.info["references"].partition(".")
            found.append((column, metadata.tables[parent].columns[name]))
    return found


def _forget_refused(conn: sa.Connection, traces: set[str]) -> None:
    """What was refused belongs to nobody, but it may quote them."""
    for trace in sorted(traces):
        if len(trace) >= SHORTEST_TRACE:
            quoted = json.dumps(trace)[1:-1]
            conn.execute(sa.delete(refused_events).where(sa.func.strpos(refused_events.c.payload, quoted) > 0))


def _plain(value: object) -> object:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, bytes):
        return value.hex()
    return str(value) if isinstance(value, UUID) else value
