"""What journeys ask of audiences: somebody in, or out. Done with the next sync, like everything else there."""

from collections.abc import Collection, Mapping
from datetime import datetime

import sqlalchemy as sa

from foundation import database
from shop import arrays

_ASK = """
INSERT INTO audience_members (audience_id, customer_id, state, since, asked, asked_at)
SELECT audiences.id, ids.id, 'out', %b, %b, %b FROM audiences, unnest(%b::bigint[]) AS ids (id)
WHERE audiences.name = %b AND audiences.state = 'live' ORDER BY ids.id
ON CONFLICT (customer_id, audience_id) DO UPDATE SET asked = excluded.asked, asked_at = excluded.asked_at
"""


def ask(conn: sa.Connection, wishes: Mapping[tuple[str, bool], Collection[int]], *, now: datetime) -> None:
    """Customers by the audience's name and whether they are to be in. What is asked last stands; an audience that was
    ended meanwhile takes nobody."""
    for (name, inside), customer_ids in sorted(wishes.items()):
        values = [now, inside, now, arrays.numbers(sorted(set(customer_ids))), name]
        database.driver(conn).execute(_ASK, values)
