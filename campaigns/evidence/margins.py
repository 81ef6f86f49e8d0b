"""What an order leaves the shop, as one piece of SQL every figure of margin is made of.

Margin is what was paid, after discounts, less what the goods cost; of what was sent back, nothing. A product's cost is
its attribute `cost` (in major units), else what its attribute `margin` (a share of the price) leaves, else what the
merchant's usual margin leaves.
"""

from collections.abc import Mapping
from functools import cache

import orjson

from campaigns.rules import Policy
from shop import money

COST = """
    SELECT sum(lines.quantity * coalesce(
        CASE WHEN jsonb_typeof(goods.attributes -> 'cost') = 'number'
            THEN CAST(goods.attributes -> 'cost' AS float8)
                * 10 ^ coalesce(CAST(CAST(:exponents AS jsonb) ->> goods.currency AS int), 2) END,
        coalesce(lines.price, goods.price, 0) * (1 - CASE WHEN jsonb_typeof(goods.attributes -> 'margin') = 'number'
            THEN CAST(goods.attributes -> 'margin' AS float8) ELSE :usual_margin END)))
    FROM order_lines AS lines LEFT JOIN products AS goods USING (product_id)
    WHERE lines.order_id = orders.order_id
"""

MARGIN = f"""(CASE WHEN orders.state = 'cancelled' THEN 0 ELSE
    (orders.total - coalesce(({COST}), orders.total * (1 - :usual_margin)))
    * (1 - coalesce(least(1, orders.refunded / nullif(orders.total, 0)::float8), 0)) END)"""
"""In minor units, of one row of `orders`. What is sent back goes back on the shelf, so its cost is not lost."""

NET = "(CASE WHEN orders.state = 'cancelled' THEN 0 ELSE orders.total - orders.refunded END)"
"""What the shop kept of one row of `orders`, in minor units."""


def given(policy: Policy) -> Mapping[str, object]:
    """The parameters `MARGIN` asks for."""
    return {"usual_margin": policy.margin_percent / 100, "exponents": _exponents()}


@cache
def _exponents() -> str:
    return orjson.dumps(money.exponents()).decode()
