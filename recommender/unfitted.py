"""The model of a shop that has none yet: what sells and is looked at lately, counted by the database."""

from datetime import datetime, timedelta

import numpy as np
import sqlalchemy as sa

from recommender import model
from recommender.algorithms.base import UNCATEGORISED, WEIGHTS, Kind
from recommender.algorithms.frequency import Frequency
from recommender.algorithms.history import OwnHistory
from recommender.algorithms.popularity import Popularity
from recommender.model import Model
from shop.tables import events, order_lines, products

LATELY = timedelta(days=30)
MOST = 2_000


def counted(conn: sa.Connection, *, now: datetime) -> Model:
    """The most wanted products for sale, and each customer's own history; nothing is fitted, so it is always there."""
    rows = conn.execute(_wanted(since=now - LATELY, until=now)).all()
    names = tuple(sorted({row.category for row in rows if row.category}))
    codes = {name: code for code, name in enumerate(names)}
    share = np.array([float(row.wanted) for row in rows])
    categories = np.array([codes.get(row.category, UNCATEGORISED) for row in rows], np.int64)
    return model.build(
        tuple(row.product_id for row in rows),
        category_names=names,
        categories=categories,
        sources=[
            OwnHistory(rates=np.ones(len(Kind)), half_life=90.0, replenished=np.zeros(len(rows), bool)),
            Frequency(np.array([False, False, True])),
            Popularity(np.arange(len(rows)), share=share / share.max(initial=1.0), categories=categories),
        ],
        blend=model.DEFAULT_BLEND,
    )


def _wanted(*, since: datetime, until: datetime) -> sa.Select[tuple[str, str | None, float]]:
    """Products by what was done with them, weighed by kind, most wanted first."""
    bought = sa.select(order_lines.c.product_id, sa.literal(float(WEIGHTS[Kind.ORDER])).label("weight")).where(
        order_lines.c.ordered_at.between(since, until), order_lines.c.quantity > 0
    )
    weight = sa.case((events.c.name == "Product Added", float(WEIGHTS[Kind.ADD])), else_=float(WEIGHTS[Kind.VIEW]))
    looked = sa.select(events.c.product_id, weight.label("weight")).where(
        events.c.occurred_at.between(since, until), events.c.name.in_(["Product Viewed", "Product Added"])
    )
    both = sa.union_all(bought, looked).subquery()
    wanted = sa.func.sum(both.c.weight).label("wanted")
    return (
        sa.select(products.c.product_id, products.c.category, wanted)
        .join(both, both.c.product_id == products.c.product_id)
        .where(products.c.active)
        .group_by(products.c.product_id, products.c.category)
        .order_by(wanted.desc(), products.c.product_id)
        .limit(MOST)
    )
