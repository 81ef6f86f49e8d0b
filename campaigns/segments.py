"""Segments as they are kept: made, changed, counted, looked into; and the two questions others ask of a rule."""

from collections.abc import Collection
from datetime import datetime

import sqlalchemy as sa

from campaigns import segment_sql
from campaigns.definitions.conditions import Condition

select = segment_sql.select


def matching(conn: sa.Connection, condition: Condition, customer_ids: Collection[int], *, now: datetime) -> set[int]:
    """Which of these customers the rule holds for: one statement for all of them.

    Merged customers are nobody: ask for who they are now.
    """
    if not customer_ids:
        return set()
    return set(conn.scalars(select(condition, now=now, ids=sorted(customer_ids))))
