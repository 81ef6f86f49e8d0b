"""What changed on the shelf since it was last looked at: products to be had again, prices that dropped; who cares."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import orjson
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from campaigns import entering, given
from campaigns.definitions import shapes
from campaigns.definitions.entries import BackInStock, PriceDropped
from campaigns.plans import Plan
from shop.tables import customers, events, order_lines
from shop.vocabulary import Name

REFERENCE = timedelta(days=30)
"""A reduction is told against the lowest price of this long before it (directive 98/6/EC, article 6a)."""
INTEREST = (Name.PRODUCT_VIEWED, Name.PRODUCT_ADDED, Name.PRODUCT_WISHED)

_LOOK = """
WITH shelf AS (
    SELECT product_id, price, currency, active AND coalesce(there, true) AS available
    FROM products LEFT JOIN (
        SELECT product_id, bool_or(quantity > 0) AS there FROM stock GROUP BY product_id
    ) AS counted USING (product_id)
), changed AS (
    SELECT shelf.*, was.price AS was_price, was.available AS was_available, was.product_id IS NULL AS unseen
    FROM shelf LEFT JOIN product_watch AS was USING (product_id)
    WHERE was.product_id IS NULL OR (shelf.price, shelf.currency, shelf.available)
        IS DISTINCT FROM (was.price, was.currency, was.available)
), priced AS (
    INSERT INTO product_prices (product_id, at, price, currency)
    SELECT product_id, :now, price, currency FROM changed
    WHERE price IS NOT NULL AND (unseen OR price IS DISTINCT FROM was_price)
    ON CONFLICT DO NOTHING
), kept AS (
    INSERT INTO product_watch AS mine (product_id, price, currency, available, since)
    SELECT product_id, price, currency, available, :now FROM changed
    ON CONFLICT (product_id) DO UPDATE SET price = excluded.price, currency = excluded.currency,
        since = CASE WHEN mine.available = excluded.available THEN mine.since ELSE excluded.since END,
        available = excluded.available
)
SELECT product_id, price, was_price, NOT was_available AND available AS back, available
FROM changed WHERE NOT unseen
"""

_LOWEST = """
SELECT DISTINCT ON (product_id) product_id, price FROM (
    SELECT product_id, price FROM product_prices
    WHERE product_id = ANY(:products) AND at > CAST(:since AS timestamptz) AND at < :before
    UNION ALL
    (SELECT DISTINCT ON (product_id) product_id, price FROM product_prices
    WHERE product_id = ANY(:products) AND at <= CAST(:since AS timestamptz) ORDER BY product_id, at DESC)
) AS held ORDER BY product_id, price
"""


def look(conn: sa.Connection, running: Sequence[Plan], *, now: datetime) -> dict[str, int]:
    """Looks once, keeps every new price, and takes in who cares about what changed. Gives entries by campaign."""
    changed = conn.execute(sa.text(_LOOK), {"now": now}).mappings().all()
    back = [row["product_id"] for row in changed if row["back"]]
    cheaper = [row for row in changed if row["available"] and row["price"] and (row["was_price"] or 0) > row["price"]]
    entered = {}
    for plan in running:
        entry = plan.definition.entry
        if isinstance(entry, BackInStock) and back:
            entered[plan.name] = _take_in(conn, plan, entry, {one: {} for one in back}, now=now)
        elif isinstance(entry, PriceDropped) and cheaper:
            entered[plan.name] = _take_in(conn, plan, entry, _dropped(conn, entry, cheaper, now=now), now=now)
    return entered


def lowest(conn: sa.Connection, products: Sequence[str], *, before: datetime) -> dict[str, int]:
    """The lowest price of each product in the 30 days before that moment, the one it began them with included."""
    given = {"products": list(products), "since": before - REFERENCE, "before": before}
    return {product: price for product, price in conn.execute(sa.text(_LOWEST), given)}


def _dropped(
    conn: sa.Connection, entry: PriceDropped, cheaper: Sequence[sa.RowMapping], *, now: datetime
) -> dict[str, dict[str, Any]]:
    """Reductions worth a word, each with the prices it must be told with."""
    reference = lowest(conn, [row["product_id"] for row in cheaper], before=now)
    return {
        row["product_id"]: {"previous_price": row["was_price"], "lowest_price": reference[row["product_id"]]}
        for row in cheaper
        if row["product_id"] in reference and row["price"] * 100 <= reference[row["product_id"]] * (100 - entry.percent)
    }


def _take_in(
    conn: sa.Connection,
    plan: Plan,
    entry: BackInStock | PriceDropped,
    products: dict[str, dict[str, Any]],
    *,
    now: datetime,
) -> int:
    """Who looked at one of these products lately, and has not bought it since; each product and day is a new key."""
    if not products:
        return 0
    ids = list(products)
    facts = given.rows(
        "facts",
        {
            "product_id": (sa.Text(), ids),
            "prices": (sa.Text(), [orjson.dumps(products[one]).decode() for one in ids]),
        },
    )
    interested = _interested(ids, since=now - shapes.length(entry.interest))
    about = sa.func.jsonb_build_object("product_id", interested.c.product_id)
    bought = sa.exists().where(
        order_lines.c.customer_id == interested.c.customer_id,
        order_lines.c.product_id == interested.c.product_id,
        order_lines.c.ordered_at >= interested.c.last,
    )
    chosen = (
        sa.select(
            interested.c.customer_id,
            (interested.c.product_id + f"@{now:%Y-%m-%d}").label("entry_key"),
            sa.literal(now, given.Time).label("happened_at"),
            sa.cast(sa.null(), sa.BigInteger).label("cart_ref"),
            about.op("||")(sa.cast(facts.c.prices, postgresql.JSONB)).label("context"),
        )
        .join(facts, facts.c.product_id == interested.c.product_id)
        .where(~bought)
    )
    return entering.enrol(conn, plan, chosen.subquery("chosen"), now=now)


def _interested(products: Sequence[str], *, since: datetime) -> sa.Subquery:
    """Who looked at, wished for or took one of these products, and when last."""
    who = sa.func.coalesce(customers.c.merged_into, customers.c.id)
    return (
        sa.select(who.label("customer_id"), events.c.product_id, sa.func.max(events.c.occurred_at).label("last"))
        .join(customers, customers.c.id == events.c.customer_id)
        .where(
            events.c.received_at > since,
            events.c.name.in_(INTEREST),
            events.c.product_id == sa.any_(sa.bindparam(None, list(products), postgresql.ARRAY(sa.Text))),
        )
        .group_by(who, events.c.product_id)
        .subquery("interested")
    )
