"""The merchant's rules as they are kept: one row, in force at once."""

from datetime import datetime

import sqlalchemy as sa

from campaigns import rules, tables
from campaigns.rules import Policy
from foundation import database

Topics = rules.Topics
LOCK = 7263021


def load(conn: sa.Connection) -> Policy:
    """The policy in force; the defaults until one is saved."""
    values = conn.scalar(sa.select(tables.policy.c["values"]))
    return rules.parse(values) if values else Policy()


def locked(conn: sa.Connection) -> Policy:
    """The same, held until the transaction ends: whoever changes it at the same moment waits, and reads what was
    written."""
    conn.execute(sa.select(sa.func.pg_advisory_xact_lock(LOCK)))
    return load(conn)


def save(conn: sa.Connection, policy: Policy, *, now: datetime) -> None:
    """Puts a policy in force at once, for messages not yet sent."""
    row: dict[str, object] = {"one_row": True, "values": rules.dump(policy), "updated_at": now}
    before = load(conn)
    if policy.holdout_percent != before.holdout_percent:
        row["holdout_since"] = now
    if (policy.opens, policy.silence_days) != (before.opens, before.silence_days):
        row["silence_since"] = now
    database.upsert(conn, tables.policy, [row], key=["one_row"])


def silence_since(conn: sa.Connection) -> datetime | None:
    """Since when silence has counted as it does: before, opens were not measured, or not so."""
    return conn.scalar(sa.select(tables.policy.c.silence_since))


def holdout_since(conn: sa.Connection) -> datetime | None:
    """When the share left alone by all campaigns became what it is; None if it always was."""
    return conn.scalar(sa.select(tables.policy.c.holdout_since))
