"""What ingest leaves for whoever listens for an event."""

from datetime import datetime

import sqlalchemy as sa

from shop import tables
from tests.campaigns import world


def test_only_events_listened_for_leave_a_signal_and_each_of_them_once(conn: sa.Connection, now: datetime) -> None:
    conn.execute(sa.insert(tables.listened_events), {"name": "Product Viewed"})
    customer = world.make_customer(conn, "camille", at=now)
    world.say(conn, "camille", "Product Viewed", at=now, product_id="sel")
    world.say(conn, "camille", "Product Shared", at=now, product_id="sel")
    left = conn.execute(sa.select(tables.signals.c.customer_id, tables.signals.c.name, tables.signals.c.at)).all()
    assert left == [(customer, "Product Viewed", now)]


def test_without_a_listener_nothing_is_left(conn: sa.Connection, now: datetime) -> None:
    world.say(conn, "camille", "Product Viewed", at=now, product_id="sel")
    assert conn.scalar(sa.select(sa.func.count()).select_from(tables.signals)) == 0
