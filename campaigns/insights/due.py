"""When what is told of the whole house is counted anew: money and messages often, ways of shopping now and then."""

from datetime import datetime, timedelta

from campaigns.insights import followed, house, kept, shopping
from foundation.database import Database

AGES = {"house": timedelta(minutes=5), "channels": timedelta(hours=1), "followed": timedelta(hours=1)}


def refresh(db: Database, *, now: datetime) -> str | None:
    """Counts what is too old; says what was counted."""
    with db.begin() as conn:
        old = [name for name, age in AGES.items() if _old(kept.at(conn, name), age, now)]
    if "house" in old:
        house.refresh(db, now=now)
    if "channels" in old:
        shopping.refresh(db, now=now)
    if "followed" in old:
        followed.refresh(db, now=now)
    return f"{', '.join(old)} counted" if old else None


def _old(at: datetime | None, age: timedelta, now: datetime) -> bool:
    return at is None or now - at >= age
