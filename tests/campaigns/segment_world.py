"""A few customers by lot with everything rules look at, put into the tables and kept in plain lists for the oracle."""

import itertools
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from hypothesis import strategies as st

from campaigns import segment_fifths, tables
from recommender.tables import customer_predictions
from shop import tables as shop

PEOPLE = 6
"""The sixth was merged into the fifth; the fifth's messages and codes may still be written for the sixth."""
MERGED, BECAME = 6, 5
DAY = timedelta(days=1)
NAMES = ("Product Viewed", "Page Viewed", "Quiz Answered")
CITIES = ("Lyon", "lyon", "Nantes", "3", "2026-11-20")
PRODUCTS = {"pot": ("Kitchen > Pots", "Aubier"), "pan": ("Kitchen", "Autre"), "sofa": ("Living", None), "gone": None}
STORES = {"lyon": (45.76, 4.84), "nantes": (47.22, -1.55)}


@dataclass(slots=True)
class World:
    """Rows by table, as they were inserted."""

    now: datetime
    rows: dict[str, list[dict[str, Any]]] = field(default_factory=dict)

    def of(self, table: str, customer: int) -> list[dict[str, Any]]:
        """A customer's rows; those of who was merged into her too where they do not move."""
        mine = {customer, MERGED} if customer == BECAME and table in ("messages", "promo_codes") else {customer}
        return [row for row in self.rows.get(table, []) if row["customer_id"] in mine]


def ages() -> st.SearchStrategy[timedelta]:
    """How long ago; the edges of the windows that rules ask about are among them."""
    edges = [timedelta(0), DAY, 2 * DAY, 7 * DAY, timedelta(hours=1), DAY - timedelta(seconds=1)]
    return st.one_of(st.sampled_from(edges), st.integers(0, 15 * 24).map(lambda hours: timedelta(hours=hours)))


@st.composite
def worlds(draw: st.DrawFn, now: datetime) -> World:
    """Some of everything."""
    world = World(now)
    ids = itertools.count(1)

    def some(most: int, make: Any) -> list[dict[str, Any]]:
        return [make() for _ in range(draw(st.integers(0, most)))]

    def person() -> int:
        return draw(st.integers(1, PEOPLE - 1))

    def ago() -> datetime:
        return now - draw(ages())

    def event() -> dict[str, Any]:
        price = draw(st.sampled_from([None, 3, 12.5, "12.5", "much", True, [1, "a"], {"b": 2}]))
        return {
            "key": UUID(int=next(ids)), "customer_id": person(), "name": draw(st.sampled_from(NAMES)),
            "occurred_at": ago(), "received_at": now, "source_id": 1, "channel": draw(st.sampled_from(["web", "app"])),
            "product_id": draw(st.sampled_from([None, "pot", "pan"])),
            "properties": {} if price is None else {"price": price}, "context": {},
        }  # fmt: skip

    def order() -> dict[str, Any]:
        total = draw(st.integers(0, 300))
        return {
            "order_id": f"o{next(ids)}", "customer_id": person(), "ordered_at": ago(), "received_at": now,
            "state": draw(st.sampled_from(["completed", "completed", "cancelled", "refunded"])),
            "channel": draw(st.sampled_from(["web", "store"])), "store_id": draw(st.sampled_from([None, "lyon"])),
            "total": total, "refunded": draw(st.sampled_from([0, 0, total, total // 2])),
            "lines": draw(st.lists(st.tuples(st.sampled_from(list(PRODUCTS)), st.integers(1, 3),
                                             st.sampled_from([None, 10, 50])), max_size=3)),
        }  # fmt: skip

    def cart() -> dict[str, Any]:
        held = draw(st.lists(st.sampled_from(list(PRODUCTS)), max_size=2))
        return {
            "cart_id": f"c{next(ids)}", "customer_id": person(), "state": draw(st.sampled_from(["open", "ordered"])),
            "lines": [{"product_id": one, "quantity": 1} for one in held], "value": draw(st.sampled_from([0, 80, 100])),
            "channel": "web", "created_at": now, "touched_at": ago(),
        }  # fmt: skip

    world.rows = {
        "customers": [_customer(draw, number, now) for number in range(1, PEOPLE + 1)],
        "events": some(14, event),
        "orders": some(8, order),
        "carts": some(4, cart),
    }
    world.rows |= _said(draw, now) | _received(draw, now, ids)
    return world


def _customer(draw: st.DrawFn, number: int, now: datetime) -> dict[str, Any]:
    traits: dict[str, Any] = {}
    for name in ("city", "points"):
        value = draw(st.sampled_from([None, *CITIES, "Ly", 3, 2.5, "2.50", 10, True, ["lyon", "vip"], [3]]))
        if value is not None:
            traits[name] = value
    day = draw(st.sampled_from([None, "soon", *(str(now.date() + n * DAY) for n in (-8, -2, -1, 0, 1, 2, 400))]))
    if day:
        traits["birthday"] = draw(st.sampled_from([day, f"1990{day[4:]}", f"{day}T10:00:00Z"]))
    if draw(st.booleans()):
        place = draw(st.sampled_from([(45.8, 4.9), (47.3, -1.5), ("45.76", "4.84"), (91, 0), ("x", 1)]))
        traits |= {"latitude": place[0], "longitude": place[1]}
    return {
        "id": number, "merged_into": BECAME if number == MERGED else None, "traits": traits, "created_at": now - DAY,
        "email": draw(st.sampled_from([None, f"c{number}@aubier.example"])), "updated_at": now,
        "birth_year": draw(st.sampled_from([None, 1980, 1999])),
    }  # fmt: skip


def _said(draw: st.DrawFn, now: datetime) -> dict[str, list[dict[str, Any]]]:
    people = range(1, PEOPLE)
    words = [("email", "marketing"), ("email", "any"), ("any", "marketing"), ("sms", "marketing")]
    return {
        "consents": [
            {"customer_id": one, "channel": channel, "purpose": purpose, "at": now, "state": state}
            for one in people
            for channel, purpose in words
            if (state := draw(st.sampled_from([None, None, "granted", "denied"])))
        ],
        "identities": [
            {"customer_id": one, "kind": kind, "value": f"{kind}{one}", "first_seen_at": now,
             "quarantined_at": now if held == "hub" else None}
            for one in people
            for kind in ("email", "card")
            if (held := draw(st.sampled_from([None, "hers", "hub"])))
        ],
        "customer_predictions": [
            {"customer_id": one, "as_of": now, "next_order_at": draw(st.sampled_from([None, now + DAY, now + 9 * DAY])),
             "order_probability_30d": 0.5, "churn_risk": risk, "expected_value_12m": 100,
             "favourite_category": draw(st.sampled_from([None, "Kitchen"]))}
            for one in people
            if (risk := draw(st.sampled_from([None, 0.1, 0.9])))
        ],
        "segment_members": [
            {"customer_id": one, "segment_id": 1, "since": now} for one in range(1, PEOPLE + 1) if draw(st.booleans())
        ],
    }  # fmt: skip


def _received(draw: st.DrawFn, now: datetime, ids: Any) -> dict[str, list[dict[str, Any]]]:
    def times() -> datetime | None:
        return draw(st.one_of(st.none(), ages().map(lambda age: now - age)))

    messages = [
        {"id": UUID(int=next(ids)), "campaign_id": draw(st.sampled_from([1, 2])), "version": 1, "step": "mail",
         "channel": "email", "customer_id": draw(st.integers(1, PEOPLE)), "entry_key": str(next(ids)),
         "state": "accepted", "queued_at": now, "not_before": now, "expires_at": now, "accepted_at": times(),
         "last_clicked_at": times()}
        for _ in range(draw(st.integers(0, 5)))
    ]  # fmt: skip
    codes = [
        {"code": f"CODE{next(ids)}", "shown": "CODE", "offer_id": offer, "customer_id": one, "reserved_at": now,
         "state": draw(st.sampled_from(["reserved", "issued", "redeemed"])), "issued_at": times(),
         "redeemed_at": times(), "expires_at": now + draw(ages()) - DAY}
        for one in range(1, PEOPLE + 1)
        for offer in (1, 2)
        if draw(st.booleans())
    ]  # fmt: skip
    return {"messages": messages, "promo_codes": codes}


# ---------------------------------------------------------------------------------------------- the tables
def put(conn: sa.Connection, world: World) -> None:
    """Writes the world; profiles follow from it, and the fifths from them."""
    now = world.now
    _insert(conn, shop.products, [
        {"product_id": name, "title": name, "category": kept[0], "brand": kept[1], "created_at": now, "updated_at": now}
        for name, kept in PRODUCTS.items() if kept
    ])  # fmt: skip
    _insert(conn, shop.stores, [
        {"store_id": name, "latitude": place[0], "longitude": place[1], "updated_at": now}
        for name, place in STORES.items()
    ])  # fmt: skip
    for table, rows in _named(now).items():
        _insert(conn, table, rows)
    _insert(conn, shop.customers, world.rows["customers"])
    orders = [{**row, "origin_id": row["customer_id"]} for row in world.rows["orders"]]
    lines = [
        {"order_id": order["order_id"], "line": n, "customer_id": order["customer_id"], "product_id": product,
         "ordered_at": order["ordered_at"], "quantity": quantity, "price": price}
        for order in orders for n, (product, quantity, price) in enumerate(order.pop("lines"))
    ]  # fmt: skip
    _insert(conn, shop.orders, orders)
    _insert(conn, shop.order_lines, lines)
    _insert(conn, shop.profiles, [row for row in (profile(world, one) for one in range(1, PEOPLE)) if row])
    for table in (shop.events, shop.carts, shop.identities):
        _insert(conn, table, [{**row, "origin_id": row["customer_id"]} for row in world.rows[table.name]])
    for table in (shop.consents, customer_predictions, tables.segment_members, tables.messages, tables.promo_codes):
        _insert(conn, table, world.rows[table.name])
    segment_fifths.find(conn, now=now)


def _named(now: datetime) -> dict[sa.Table, list[dict[str, Any]]]:
    stamped = {"created_at": now, "updated_at": now}
    terms = {"terms": {"name": "any", "kind": "percentage", "value": 1000}, **stamped}
    return {
        tables.segments: [{"id": 1, "name": "good", "title": "Good", "size": 0, "rule": sa.null(), **stamped}],
        tables.campaigns: [
            {"id": n, "name": name, "state": "sending", **stamped} for n, name in ((1, "relaunch"), (2, "welcome"))
        ],
        tables.offers: [{"id": n, "name": name, **terms} for n, name in ((1, "TEN"), (2, "FIVE"))],
    }


def _insert(conn: sa.Connection, table: sa.Table, rows: list[dict[str, Any]]) -> None:
    if rows:
        conn.execute(sa.insert(table), rows)


def profile(world: World, customer: int) -> dict[str, Any] | None:
    """What the events and orders of a customer come to."""
    events = world.of("events", customer)
    orders = [order for order in world.of("orders", customer) if order["state"] != "cancelled"]
    times = [one["occurred_at"] for one in events] + [one["ordered_at"] for one in orders]
    if not times:
        return None
    last = {
        f"{channel}_last_at": max((one["occurred_at"] for one in events if one["channel"] == channel), default=None)
        for channel in shop.CHANNELS
    }
    return {
        "customer_id": customer, "first_seen_at": min(times), "last_seen_at": max(times), "events": len(events),
        "orders": len(orders), "spent": sum(one["total"] - one["refunded"] for one in orders), **last,
        "last_order_at": max((one["ordered_at"] for one in orders), default=None),
    }  # fmt: skip
