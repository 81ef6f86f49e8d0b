"""What the page of a campaign says: of a large one nothing is counted while somebody waits for it."""

from dataclasses import replace
from datetime import datetime, timedelta

import sqlalchemy as sa

from campaigns import figures, glances, plans, tables
from foundation.database import Database
from tests.campaigns import world

HOUR = timedelta(hours=1)


def test_a_small_campaign_is_counted_while_one_looks_a_large_one_as_the_job_left_it(
    db: Database, now: datetime
) -> None:
    with db.begin() as conn:
        world.stock_shop(conn, now=now)
        plan = world.launch(conn, now=now, offer=None, products=0)
    figures.refresh(db, now=now)
    with db.begin() as conn:
        found = glances.of(conn, plan.id, now=now + HOUR)
        assert found.at is None and found == glances.count(conn, plan.id, now=now)
        large = replace(
            found,
            results=replace(found.results, enrolled=9_000),
            total=replace(found.total, accepted=8_000),
            reasons=[("cap", 900), ("", 100)],
            waiting=12,
        )
        kept = tables.campaign_figures
        grown = kept.c.figures.op("||")(sa.cast({"glance": glances.dump(large)}, kept.c.figures.type))
        conn.execute(sa.update(kept).values(figures=grown))
        assert glances.of(conn, plan.id, now=now + HOUR) == replace(large, at=now)
        assert figures.of(conn, [plan.id])[plan.id].at == now and plans.get(conn, plan.name).state == "sending"
    figures.refresh(db, now=now + HOUR)
    with db.begin() as conn:
        assert glances.of(conn, plan.id, now=now + HOUR).at is None, "it is small again"
