"""What a customer did lately, and who she is, read in one query."""

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from recommender.model import RECENT, Past

_READ = sa.text(f"""
WITH who AS MATERIALIZED (
    SELECT coalesce(CAST(:customer AS bigint), (
        SELECT customer_id FROM identities
        WHERE kind = CAST(:kind AS text) AND value = CAST(:value AS text) AND quarantined_at IS NULL
    )) AS customer_id
), bought AS (
    SELECT product_id, 2 AS kind, ordered_at AS at FROM order_lines
    WHERE customer_id = (SELECT customer_id FROM who) AND ordered_at <= :now AND quantity > 0
      AND order_id <> ALL (ARRAY(
          SELECT order_id FROM orders WHERE customer_id = (SELECT customer_id FROM who) AND state <> 'completed'
      ))
    ORDER BY ordered_at DESC LIMIT {RECENT}
), looked AS (
    SELECT product_id, CASE name WHEN 'Product Added' THEN 1 ELSE 0 END AS kind, occurred_at AS at FROM events
    WHERE customer_id = (SELECT customer_id FROM who) AND occurred_at <= :now
      AND name IN ('Product Viewed', 'Product Added') AND product_id IS NOT NULL
    ORDER BY occurred_at DESC LIMIT {RECENT}
), latest AS (
    SELECT * FROM (SELECT * FROM bought UNION ALL SELECT * FROM looked) AS both_kinds ORDER BY at DESC LIMIT {RECENT}
)
SELECT (SELECT customer_id FROM who) AS customer_id,
       array_agg(product_id) AS product_ids,
       array_agg(kind) AS kinds,
       array_agg(extract(epoch FROM :now - at)::float8 / 86400) AS ages
FROM latest
""")
"""Arrays instead of rows: half the time for five hundred of them."""


@dataclass(frozen=True, slots=True)
class Known:
    """A customer, if she is known, and her latest interactions."""

    customer_id: int | None
    past: Past


def read(
    conn: sa.Connection,
    *,
    customer_id: int | None,
    user_id: str | None = None,
    anonymous_id: str | None = None,
    now: datetime,
) -> Known:
    """The customer of this id, else of this handle. A handle nobody has, or too many have, is nobody's."""
    handle = user_id if user_id is not None else anonymous_id
    if customer_id is None and handle is None:
        return Known(None, Past())
    kind = "anonymous_id" if user_id is None else "user_id"
    row = conn.execute(_READ, {"customer": customer_id, "kind": kind, "value": handle, "now": now}).one()
    if row.product_ids is None:
        return Known(row.customer_id, Past())
    return Known(row.customer_id, Past(row.product_ids, row.kinds, row.ages))
