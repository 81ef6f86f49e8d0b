"""Where the fifths of customers who ordered begin and end, by recency, number of orders and value."""

from datetime import datetime

import sqlalchemy as sa

from campaigns import segment_person, tables
from foundation import database
from shop.tables import profiles

SHARES = (0.2, 0.4, 0.6, 0.8)


def find(conn: sa.Connection, *, now: datetime, missing_only: bool = False) -> None:
    """Finds the bounds anew; `missing_only` does so only if they never were. Without any order there are none."""
    if missing_only and conn.scalar(sa.select(sa.func.count()).select_from(tables.fifths)):
        return
    measures = {
        name: sa.func.percentile_disc(sa.cast(list(SHARES), sa.ARRAY(sa.Double))).within_group(value)
        for name, value in segment_person.FIFTHS.items()
    }
    row = conn.execute(
        sa.select(*(bounds.label(name) for name, bounds in measures.items())).where(profiles.c.orders > 0)
    ).one()
    found = [
        {"measure": name, "bounds": bounds, "found_at": now}
        for name, bounds in row._mapping.items()
        if bounds is not None
    ]
    database.upsert(conn, tables.fifths, found, key=("measure",))
