"""Many customers at once, put where the doors would have put them: enrolled, drawn, and with orders."""

from collections.abc import Iterable
from datetime import datetime

import sqlalchemy as sa

from campaigns import experiments, plans, tables
from campaigns.evidence.tables import exposures
from shop.tables import customers, orders


def made(conn: sa.Connection, n: int, *, at: datetime) -> list[int]:
    """So many customers with an address."""
    rows = [
        {"user_id": f"p{number}", "email": f"p{number}@example.org", "created_at": at, "updated_at": at}
        for number in range(n)
    ]
    return list(conn.scalars(sa.insert(customers).returning(customers.c.id), rows))


def enrolled(
    conn: sa.Connection, plan: plans.Plan, ids: Iterable[int], *, at: datetime, arm: str = "treated", key: str = ""
) -> None:
    """They came in then, and are watched to the end."""
    rows = [
        {
            "campaign_id": plan.id,
            "version": plan.version,
            "customer_id": one,
            "entry_key": key or f"k{one}",
            "arm": arm,
            "state": "waiting",
            "step": "",
            "step_since": at,
            "happened_at": at,
            "entered_at": at,
        }
        for one in ids
    ]
    conn.execute(sa.insert(tables.enrolments), rows)


def drawn(conn: sa.Connection, plan: plans.Plan, step: str, variant: str, ids: Iterable[int], *, at: datetime) -> None:
    """They came to an experiment then."""
    node = plan.flow.nodes[step].step
    rows = [
        {
            "campaign_id": plan.id,
            "step": step,
            "design": experiments.design(node),  # type: ignore[arg-type]
            "customer_id": one,
            "variant": variant,
            "at": at,
            "silent": False,
            "settled": False,
        }
        for one in ids
    ]
    conn.execute(sa.insert(exposures), rows)


def bought(
    conn: sa.Connection, ids: Iterable[int], *, at: datetime, total: int = 10_000, name: str = "o", **more: object
) -> None:
    """Each ordered once, for this many cents."""
    rows = [
        {
            "order_id": f"{name}-{one}",
            "customer_id": one,
            "origin_id": one,
            "ordered_at": at,
            "received_at": at,
            "state": "completed",
            "channel": "web",
            "total": total,
            "currency": "EUR",
            **more,
        }
        for one in ids
    ]
    conn.execute(sa.insert(orders), rows)
