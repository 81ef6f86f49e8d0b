"""Names and values that occur in the shop's own data, offered while somebody writes a rule. Nothing large is gone
through: traits are those of customers taken by lot, events those of the last that came in."""

from typing import Any

import sqlalchemy as sa

from campaigns import tables
from shop.tables import customers, products, stores

LOOKED_AT = 2_000
MOST = 40
COLUMNS = ("email", "phone", "first_name", "last_name", "locale", "timezone", "birth_year", "created_at")


def traits(conn: sa.Connection) -> list[str]:
    """Names of traits, the commonest first; those with a column of their own last."""
    found = conn.scalars(sa.text(_TRAITS), {"most": MOST, "looked_at": LOOKED_AT})
    return list(dict.fromkeys([*found, *COLUMNS]))


def trait_values(conn: sa.Connection, name: str, begun: str) -> list[str]:
    """Values of a trait that hold what was begun, the commonest first. A path such as `address.city` goes inside."""
    if name in ("locale", "timezone", "birth_year"):
        column = sa.cast(customers.c[name], sa.Text)
        return _common(conn, sa.select(column.label("value")).where(column.is_not(None)), begun)
    if name in COLUMNS:
        return []
    value = sa.func.jsonb_extract_path_text(customers.c.traits, *name.split("."))
    return _common(conn, sa.select(value.label("value")).where(value.is_not(None)), begun)


def _common(conn: sa.Connection, query: "sa.Select[Any]", begun: str) -> list[str]:
    some = query.order_by(customers.c.id.desc()).limit(LOOKED_AT).subquery()
    counted = sa.select(some.c.value).where(some.c.value.icontains(begun, autoescape=True), some.c.value != "")
    return list(conn.scalars(counted.group_by(some.c.value).order_by(sa.func.count().desc(), some.c.value).limit(MOST)))


def event_names(conn: sa.Connection) -> list[str]:
    """Names of events that came in, each found by one step along their index."""
    return list(conn.scalars(sa.text(_EVENTS), {"most": 200}))


def properties(conn: sa.Connection, name: str) -> list[str]:
    """Properties of the last events of a name."""
    return list(conn.scalars(sa.text(_PROPERTIES), {"name": name, "looked_at": 200, "most": MOST}))


def goods(conn: sa.Connection, column: str, begun: str) -> list[str]:
    """Categories, brands or numbers of products for sale that hold what was begun."""
    wanted = {"categories": products.c.category, "brands": products.c.brand, "products": products.c.product_id}[column]
    query = sa.select(wanted).where(products.c.active, wanted.icontains(begun, autoescape=True)).distinct()
    return list(conn.scalars(query.order_by(wanted).limit(MOST)))


def shops(conn: sa.Connection) -> list[tuple[str, str]]:
    """Every store: its number and its name."""
    query = sa.select(stores.c.store_id, sa.func.coalesce(stores.c.name, stores.c.store_id)).order_by(stores.c.name)
    return [(number, name) for number, name in conn.execute(query)]


def campaign_names(conn: sa.Connection) -> list[str]:
    """Every campaign, by the word rules know it by."""
    return list(conn.scalars(sa.select(tables.campaigns.c.name).order_by(tables.campaigns.c.name)))


def offer_names(conn: sa.Connection) -> list[str]:
    """Every offer."""
    return list(conn.scalars(sa.select(tables.offers.c.name).order_by(tables.offers.c.name)))


_TRAITS = """
SELECT key FROM (SELECT traits FROM customers WHERE traits <> '{}' ORDER BY id DESC LIMIT :looked_at) AS few,
    jsonb_object_keys(few.traits) AS key
GROUP BY key ORDER BY count(*) DESC, key LIMIT :most
"""
_EVENTS = """
WITH RECURSIVE names AS (
    (SELECT name FROM events ORDER BY name LIMIT 1)
    UNION ALL
    SELECT (SELECT events.name FROM events WHERE events.name > names.name ORDER BY events.name LIMIT 1)
    FROM names WHERE names.name IS NOT NULL
)
SELECT name FROM names WHERE name IS NOT NULL LIMIT :most
"""
_PROPERTIES = """
SELECT key FROM (SELECT properties FROM events WHERE name = :name ORDER BY occurred_at DESC LIMIT :looked_at) AS few,
    jsonb_object_keys(few.properties) AS key
GROUP BY key ORDER BY count(*) DESC, key LIMIT :most
"""
