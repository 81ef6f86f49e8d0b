"""What providers told of what they took, as it was last counted."""

from dataclasses import asdict
from datetime import datetime

import sqlalchemy as sa

from campaigns import unfollowed
from campaigns.insights import kept
from campaigns.unfollowed import Followed
from foundation.database import Database


def read(conn: sa.Connection) -> list[Followed]:
    """Every provider that took anything lately; none before the first time."""
    found = kept.read(conn, "followed")
    return [Followed(**one) for one in found[0]["providers"]] if found else []


def refresh(db: Database, *, now: datetime) -> None:
    """Counts anew. One transaction."""
    with db.begin() as conn:
        found = [asdict(one) for one in unfollowed.followed(conn, now=now)]
        kept.keep(conn, "followed", {"providers": found}, now=now)
