"""An audience as a file: whoever is in it when it is fetched, by hashes alone, a page at a time."""

from collections.abc import Iterator

import sqlalchemy as sa

from campaigns.audiences import tables
from campaigns.audiences.platforms import csv
from campaigns.audiences.platforms.base import Person
from foundation.database import Database

PAGE = 10_000
members = tables.audience_members


def lines(db: Database, audience_id: int) -> Iterator[bytes]:
    """The file in parts. Manages its own transactions, one a page."""
    yield csv.HEADER
    after: int | None = 0
    while after is not None:
        inside = (members.c.audience_id == audience_id) & (members.c.state == "in") & (members.c.id > after)
        query = sa.select(members.c.id, members.c.email_hash, members.c.phone_hash).where(inside)
        with db.begin() as conn:
            rows = conn.execute(query.order_by(members.c.id).limit(PAGE)).all()
        yield csv.lines([Person(row.email_hash, row.phone_hash) for row in rows])
        after = rows[-1].id if len(rows) == PAGE else None
