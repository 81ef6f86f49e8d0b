"""Baskets left behind by the demo shop's households, as many as wanted, and what their people do in simulated time."""

import random
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import sqlalchemy as sa

from app.demo import purchases
from campaigns import files, own_events, plans, policy, rules, tables
from campaigns.own_events import Told
from foundation.database import Database
from shop import imports, ingest
from shop.vocabulary import Event, Name
from tests import emptying
from tests.campaigns import world
from tests.prove import warm

CAMPAIGN = "basket-relaunch"
WINDOW = timedelta(days=8)
_COPIES = """
INSERT INTO customers (user_id, email, first_name, last_name, locale, timezone, traits, created_at, updated_at)
SELECT user_id || '-' || n, n || '-' || email, first_name, last_name, locale, timezone, traits, created_at, updated_at
FROM customers CROSS JOIN generate_series(2, :each) AS n WHERE user_id IS NOT NULL AND email IS NOT NULL
LIMIT greatest(0, :size - (SELECT count(*) FROM customers WHERE email IS NOT NULL))
"""
_IDENTITIES = """
INSERT INTO identities (kind, value, customer_id, origin_id, first_seen_at)
SELECT 'user_id', user_id, id, id, created_at FROM customers WHERE user_id IS NOT NULL ON CONFLICT DO NOTHING
"""
_CONSENTS = """
INSERT INTO consents (customer_id, channel, purpose, state, at)
SELECT copies.id, channel, purpose, state, at FROM consents
JOIN customers AS first ON first.id = consents.customer_id
JOIN customers AS copies ON copies.user_id LIKE first.user_id || '-%' ON CONFLICT DO NOTHING
"""
_CARTS = """
INSERT INTO carts (cart_id, customer_id, origin_id, state, lines, value, currency, channel, created_at, touched_at)
SELECT 'c' || people.id, people.id, people.id, 'open',
    jsonb_build_array(jsonb_build_object('product_id', goods.product_id, 'quantity', 1 + people.id % 5,
        'price', goods.price)), goods.price * (1 + people.id % 5), 'EUR', 'web', :at, :at
FROM (SELECT id, row_number() OVER (ORDER BY id) AS n FROM customers WHERE email IS NOT NULL LIMIT :size) AS people
JOIN (SELECT product_id, price, row_number() OVER (ORDER BY product_id) - 1 AS n FROM products
    WHERE price > 0 AND active LIMIT 500) AS goods ON goods.n = people.n % 500
"""


def definition() -> dict[str, Any]:
    """The ready-made relaunch in three steps, its second one split by the basket, its third an experiment."""
    ready = orjson.loads((files.READY / f"{CAMPAIGN}.json").read_bytes())["campaigns"][0]
    reminder, day, reviews, days, code = ready["steps"]
    for step in (reviews, code):
        step["products"] = 0
    plain = {**reviews, "id": "reviews-small", "reviews": False}
    big = {"name": "big", "when": {"type": "cart", "value_at_least": 800}, "steps": [reviews]}
    without = {**{name: value for name, value in reminder.items()}, "id": "last-word"}
    variants = [{"name": "code", "steps": [code]}, {"name": "words", "steps": [without]}]
    steps = [
        reminder,
        day,
        {"type": "split", "id": "by-basket", "branches": [big], "otherwise": [plain]},
        days,
        {"type": "experiment", "id": "code-or-words", "variants": variants},
    ]
    return {**{name: value for name, value in ready.items() if name != "name"}, "steps": steps, "holdout_percent": 10}


def prepare(db: Database, *, size: int, now: datetime) -> None:
    """The demo shop with its products, so many of its people with a basket gone quiet, and the campaign running."""
    with db.begin() as conn:
        emptying.empty(conn)
    with tempfile.TemporaryDirectory() as folder:
        written = purchases.write(Path(folder), base_url="https://shop.example", now=now)
        for kind in ("stores", "products", "customers", "consents"):
            imports.run(db, kind, path=written[kind], now=now, progress=lambda done, total: None)
    given = {"size": size, "each": size // 2_000 + 2, "at": now - timedelta(hours=2)}
    with db.begin() as conn:
        for statement in (_COPIES, _IDENTITIES, _CONSENTS, _CARTS):
            conn.execute(sa.text(statement), given)
        conn.execute(sa.text("DELETE FROM changes"))
        policy.save(conn, rules.Policy(quiet_from=None, quiet_until=None, cap_messages=100), now=now)
        file = orjson.loads((files.READY / f"{CAMPAIGN}.json").read_bytes())
        files.apply(conn, files.read(orjson.dumps({"offers": file["offers"]})), now=now)
        plans.create(conn, CAMPAIGN, definition=definition(), now=now)
        plans.launch(conn, CAMPAIGN, now=now)
    warm.layouts_of(definition())


@dataclass
class People:
    """What customers will do and when, drawn once from a seed; `did` is how far that came."""

    rows: Sequence[tuple[int, str]]
    began: datetime
    dice: random.Random
    orders: list[tuple[datetime, str, str]] = field(default_factory=list)
    returned: set[str] = field(default_factory=set)
    clicked: set[str] = field(default_factory=set)

    @classmethod
    def of(cls, db: Database, *, began: datetime, seed: int) -> "People":
        """A seventh of those with a basket will order within the eight days, on whatever channel."""
        with db.begin() as conn:
            text = "SELECT id, user_id FROM customers WHERE id IN (SELECT customer_id FROM carts) ORDER BY id"
            rows = [(key, user) for key, user in conn.execute(sa.text(text))]
        people = cls(rows, began, random.Random(seed))
        for _, user in rows:
            if people.dice.random() < 0.14:
                at = began + timedelta(hours=people.dice.uniform(0.5, 190))
                people.orders.append((at, user, people.dice.choice(("web", "app", "store"))))
        people.orders.sort()
        return people

    def act(self, db: Database, *, since: datetime, until: datetime) -> None:
        """Orders of this time, some of them with the code they were given, and clicks on what came in it."""
        due = [one for one in self.orders if since < one[0] <= until]
        with db.begin() as conn:
            ingest.ingest(conn, [self._order(conn, *one) for one in due], now=until)
            own_events.tell(conn, self._clicks(conn, until), now=until)

    def _order(self, conn: sa.Connection, at: datetime, user: str, channel: str) -> Event:
        coupon = conn.scalar(sa.text(_HELD), {"user": user}) if self.dice.random() < 0.5 else None
        told = {"coupon": coupon} if coupon else {}
        return world.event_of(
            conn,
            user,
            Name.ORDER_COMPLETED,
            at=at,
            channel=channel,
            order_id=f"order-{user}",
            total=f"{self.dice.uniform(5, 90):.2f}",
            currency="EUR",
            **told,
        )

    def _clicks(self, conn: sa.Connection, now: datetime) -> list[Told]:
        """One accepted message in six is clicked by its customer, one in ten by a machine."""
        told = []
        sent = tables.messages
        query = sa.select(sent).where(sent.c.accepted_at > now - timedelta(hours=6), sent.c.first_clicked_at.is_(None))
        for row in conn.execute(query.order_by(sent.c.id)).mappings().all():
            key = f"{row['customer_id']}:{row['step']}"
            if key in self.clicked:
                continue
            self.clicked.add(key)
            roll = random.Random(key).random()
            if roll < 0.27:
                machine = roll >= 1 / 6
                about = own_events.about(row) | {"machine": machine, "link": 0}
                told.append(Told(f"clicked:{row['id']}", Name.MESSAGE_CLICKED, row["customer_id"], now, about))
        return told

    def send_back(self, db: Database, *, now: datetime) -> None:
        """One order in nine comes back, half of it or all; one in twenty is cancelled."""
        events = []
        with db.begin() as conn:
            for _, user, channel in self.orders:
                roll, order_id = self.dice.random(), f"order-{user}"
                if roll < 0.06:
                    events.append(world.event_of(conn, user, Name.ORDER_REFUNDED, at=now, channel=channel,
                                                 order_id=order_id, refund="2.50"))  # fmt: skip
                elif roll < 0.11:
                    events.append(world.event_of(conn, user, Name.ORDER_REFUNDED, at=now, order_id=order_id))
                elif roll < 0.16:
                    events.append(world.event_of(conn, user, Name.ORDER_CANCELLED, at=now, order_id=order_id))
            ingest.ingest(conn, events, now=now)


_HELD = """
SELECT code FROM promo_codes JOIN customers ON customers.id = promo_codes.customer_id
WHERE customers.user_id = :user AND promo_codes.state = 'issued'
"""
