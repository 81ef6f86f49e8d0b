"""What one customer did with each product, on all channels."""

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from foundation import database

_READ = sa.text("""
WITH done AS (
    SELECT product_id, ordered_at AS at, 1 AS bought, 0 AS carted, 0 AS viewed FROM order_lines
    WHERE customer_id = :customer AND quantity > 0
      AND NOT EXISTS (SELECT FROM orders WHERE orders.order_id = order_lines.order_id AND state <> 'completed')
    UNION ALL
    SELECT product_id, occurred_at, 0, (name = 'Product Added')::int, (name = 'Product Viewed')::int FROM events
    WHERE customer_id = :customer AND name IN ('Product Viewed', 'Product Added') AND product_id IS NOT NULL
), summed AS (
    SELECT product_id, max(at) AS last_at, sum(bought) AS bought, sum(carted) AS carted, sum(viewed) AS viewed
    FROM done GROUP BY product_id ORDER BY last_at DESC, product_id LIMIT :limit
)
SELECT product_id, coalesce(title, product_id) AS title, image_url, price, currency, last_at, bought, carted, viewed
FROM summed LEFT JOIN products USING (product_id) ORDER BY last_at DESC, product_id
""")


@dataclass(frozen=True, slots=True)
class Touched:
    """A product someone bought, put in a basket or viewed, how often, and when last. `price` is what it costs now."""

    product_id: str
    title: str
    image_url: str | None
    price: int | None
    currency: str | None
    last_at: datetime
    bought: int
    carted: int
    viewed: int


def by_product(conn: sa.Connection, customer_id: int, *, limit: int) -> list[Touched]:
    """The products a customer touched last, the latest first; orders that were undone do not count."""
    return database.read(conn, _READ.bindparams(customer=customer_id, limit=limit), Touched)
