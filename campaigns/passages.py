"""How many went past each step of a journey and which way, and before which they left: counted as it happens."""

from collections import Counter
from collections.abc import Iterable

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from campaigns import experiments, tables
from campaigns.journeys import Turn
from campaigns.plans import Followed

passages = tables.campaign_passages


def count(conn: sa.Connection, followed: Followed, turned: Iterable[tuple[str, Turn]]) -> None:
    """Adds what a batch of turns, each with its arm, brought about. Rows are taken in order, so that none waits
    crosswise; those left alone are not counted."""
    counted: Counter[tuple[str, str]] = Counter()
    for arm, turn in turned:
        if arm != experiments.TREATED:
            continue
        for step, way in turn.passed:
            counted[step, str(way)] += 1
        if turn.leave:
            counted[turn.place.step, str(turn.leave)] += 1
    if not counted:
        return
    common = {"campaign_id": followed.campaign_id, "version": followed.version}
    rows = [common | {"step": step, "way": way, "people": n} for (step, way), n in sorted(counted.items())]
    statement = postgresql.insert(passages).values(rows)
    added = {"people": passages.c.people + statement.excluded.people}
    conn.execute(statement.on_conflict_do_update(index_elements=["campaign_id", "version", "step", "way"], set_=added))
