"""What is expected of customers, from their orders as they stand in the database."""

from collections.abc import Callable
from datetime import datetime, timedelta

import numpy as np
import pytest
import sqlalchemy as sa

from foundation.database import Database
from recommender.predictions import expected, nightly
from recommender.predictions.calibration import Check, Hits
from recommender.predictions.expected import Expected
from recommender.predictions.forecast import Basis
from recommender.tables import customer_predictions
from shop import consent, privacy
from shop.tables import customers, order_lines, orders, products

PEOPLE = 400
Run = Callable[..., nightly.Run]


def people(conn: sa.Connection, count: int, now: datetime) -> list[int]:
    rows = [{"created_at": now, "updated_at": now, "user_id": f"u{number}"} for number in range(count)]
    return list(conn.scalars(sa.insert(customers).returning(customers.c.id), rows))


def order(conn: sa.Connection, customer: int, at: datetime, **values: object) -> str:
    """One order, as ingest would keep it."""
    row = {
        "order_id": f"o{customer}-{at.timestamp():.0f}-{values.get('currency', 'EUR')}",
        "customer_id": customer,
        "origin_id": customer,
        "ordered_at": at,
        "received_at": at,
        "state": "completed",
        "channel": "web",
        "total": 2000,
        "currency": "EUR",
    }
    conn.execute(sa.insert(orders).values(row | values))
    return str(row["order_id"])


def line(conn: sa.Connection, order_id: str, customer: int, at: datetime, product_id: str) -> None:
    row = {"order_id": order_id, "line": 1, "customer_id": customer, "ordered_at": at}
    conn.execute(sa.insert(order_lines).values(**row, product_id=product_id, quantity=1, price=2000))


@pytest.fixture
def regulars(db: Database, now: datetime) -> list[int]:
    """A year of four hundred customers: each orders at a pace of her own, and some stay away for good."""
    random = np.random.default_rng(8)
    with db.begin() as conn:
        ids = people(conn, PEOPLE, now)
        made = []
        for customer in ids:
            gap, leaves, worth = random.uniform(8, 60), random.uniform(0.01, 0.2), random.gamma(5, 600)
            days = random.uniform(200, 365)
            while days > 0:
                made.append((customer, now - timedelta(days=days), int(worth * random.uniform(0.5, 1.5))))
                days -= random.exponential(gap) + 1
                if random.random() < leaves:
                    break
        conn.execute(
            sa.insert(orders),
            [
                {"order_id": f"o{n}", "customer_id": who, "origin_id": who, "ordered_at": at, "received_at": at}
                | {"state": "completed", "channel": "web", "total": paid, "currency": "EUR"}
                for n, (who, at, paid) in enumerate(made)
            ],
        )
    return ids


@pytest.fixture
def run(db: Database, now: datetime) -> Run:
    def once(*, at: datetime | None = None) -> nightly.Run:
        return nightly.run(db, zone="Europe/Paris", now=at or now)

    return once


def read(db: Database, *ids: int) -> dict[int, Expected]:
    with db.begin() as conn:
        return expected.of_customers(conn, list(ids))


def test_everyone_who_ordered_has_predictions_that_held_on_a_later_period(
    db: Database, regulars: list[int], run: Run
) -> None:
    done = run()
    assert done.learned.basis is Basis.FITTED
    assert done.customers == done.written == PEOPLE
    assert set(read(db, *regulars)) == set(regulars)
    soon, churn, value = (done.checks[n] for n in ("order_probability_30d", "churn_risk", "expected_value_12m"))
    assert isinstance(soon, Check) and soon.gap < 0.12 and soon.skill > 0.1
    assert isinstance(churn, Check) and churn.gap < 0.12 and churn.skill > 0.1
    assert isinstance(value, Check) and value.foretold == pytest.approx(value.came, rel=0.25) and value.skill > 0.2
    with db.begin() as conn:
        last = expected.last_run(conn)
    assert last and last.basis == "fitted" and last.missing == []
    assert last.calibration["churn_risk"]["groups"][0]["customers"] > 0
    assert set(last.parameters["lifetime"]) == {"r", "alpha", "a", "b"}


def test_running_again_writes_nothing_and_a_new_order_writes_one_row(
    db: Database, regulars: list[int], now: datetime, run: Run
) -> None:
    run()
    assert run().written == 0
    before = read(db, regulars[0])[regulars[0]]
    with db.begin() as conn:
        order(conn, regulars[0], now - timedelta(minutes=5), total=250_000)
    later = run(at=now + timedelta(minutes=1))
    after = read(db, regulars[0])[regulars[0]]
    assert after.expected_value_12m > before.expected_value_12m
    assert after.as_of == now + timedelta(minutes=1)
    assert later.written < PEOPLE


def test_who_orders_often_is_expected_sooner_and_for_more_than_who_stays_away(
    db: Database, regulars: list[int], now: datetime, run: Run
) -> None:
    with db.begin() as conn:
        often, gone = people_of(conn, 2, now)
        for week in range(20):
            order(conn, often, now - timedelta(days=7 * week + 1))
            order(conn, gone, now - timedelta(days=7 * week + 200))
    run()
    found = read(db, often, gone)
    assert found[often].next_order_at is not None and found[often].next_order_at < now + timedelta(days=21)
    assert found[gone].next_order_at is None
    assert found[often].order_probability_30d > 0.8 > 0.1 > found[gone].order_probability_30d
    assert found[often].churn_risk < 0.3 < 0.9 < found[gone].churn_risk
    assert found[often].expected_value_12m > 10 * found[gone].expected_value_12m


def people_of(conn: sa.Connection, count: int, now: datetime) -> list[int]:
    rows = [{"created_at": now, "updated_at": now} for _ in range(count)]
    return list(conn.scalars(sa.insert(customers).returning(customers.c.id), rows))


def test_cancelled_orders_count_for_nothing_and_returns_are_subtracted(
    db: Database, regulars: list[int], now: datetime, run: Run
) -> None:
    with db.begin() as conn:
        only_cancelled, kept, returned = people_of(conn, 3, now)
        for month in range(6):
            at = now - timedelta(days=30 * month + 3)
            order(conn, only_cancelled, at, state="cancelled")
            order(conn, kept, at, total=90_000)
            order(conn, returned, at, total=90_000, refunded=80_000)
    run()
    found = read(db, only_cancelled, kept, returned)
    assert only_cancelled not in found
    assert found[kept].expected_value_12m > 4 * found[returned].expected_value_12m


def test_amounts_are_in_the_currency_of_most_orders(db: Database, regulars: list[int], now: datetime, run: Run) -> None:
    with db.begin() as conn:
        (swiss,) = people_of(conn, 1, now)
        for week in range(10):
            order(conn, swiss, now - timedelta(days=7 * week), currency="CHF", total=5_000)
        order(conn, swiss, now - timedelta(days=2), total=900_000)
    run()
    found = read(db, swiss)[swiss]
    assert found.currency == "CHF"
    assert found.expected_value_12m < 5_000 * 120


def test_favourites_come_from_the_third_order_on_and_hours_are_on_her_own_clock(
    db: Database, regulars: list[int], now: datetime, run: Run
) -> None:
    tea = {"title": "Tea", "created_at": now, "updated_at": now}
    with db.begin() as conn:
        conn.execute(sa.insert(products).values(**tea, product_id="tea", category="Drinks > Tea"))
        conn.execute(sa.insert(products).values(**tea, product_id="mug", category="Kitchen"))
        here, far, new = people_of(conn, 3, now)
        conn.execute(sa.update(customers).where(customers.c.id == far).values(timezone="Asia/Tokyo"))
        for week in range(3):
            at = now.replace(hour=17, minute=30) - timedelta(days=7 * (week + 1))
            for customer in (here, far):
                bought = order(conn, customer, at, channel="app" if week else "store")
                line(conn, bought, customer, at, "mug" if week == 1 else "tea")
        order(conn, new, now - timedelta(days=1))
    run()
    found = read(db, here, far, new)
    saturday, sunday = 6, 7
    assert (found[here].favourite_hour, found[here].favourite_weekday) == (18, saturday)
    assert (found[far].favourite_hour, found[far].favourite_weekday) == (2, sunday)
    assert found[here].favourite_channel == "app"
    assert found[here].favourite_category == "Drinks > Tea"
    assert (found[new].favourite_channel, found[new].favourite_category, found[new].favourite_hour) == (None,) * 3


def test_a_time_zone_nobody_knows_is_read_as_the_shops(
    db: Database, regulars: list[int], now: datetime, run: Run
) -> None:
    with db.begin() as conn:
        conn.execute(sa.update(customers).values(timezone="Mars/Olympus"))
    assert run().customers == PEOPLE


def test_how_favourites_hold_is_counted_beside_naming_the_shops(
    db: Database, regulars: list[int], now: datetime, run: Run
) -> None:
    with db.begin() as conn:
        conn.execute(sa.text("UPDATE orders SET channel = 'store' WHERE customer_id % 4 = 0"))
    channel = run().checks["favourite_channel"]
    assert isinstance(channel, Hits)
    assert channel.share == 1.0
    assert 0.5 < channel.same_for_all < 0.95


def test_who_refuses_personalization_has_no_predictions_from_that_moment(
    db: Database, regulars: list[int], now: datetime, run: Run
) -> None:
    run()
    with db.begin() as conn:
        consent.withdraw(conn, regulars[0], channel="any", purpose="personalization", source="preferences", now=now)
    assert set(read(db, *regulars[:2])) == {regulars[1]}
    assert run().customers == PEOPLE - 1
    with db.begin() as conn:
        assert conn.scalar(sa.select(sa.func.count()).select_from(customer_predictions)) == PEOPLE - 1


def test_a_merged_customer_has_none_and_the_orders_count_for_who_she_is_now(
    db: Database, regulars: list[int], now: datetime, run: Run
) -> None:
    run()
    winner, loser = regulars[:2]
    with db.begin() as conn:
        conn.execute(sa.update(customers).where(customers.c.id == loser).values(merged_into=winner))
        conn.execute(sa.update(orders).where(orders.c.customer_id == loser).values(customer_id=winner))
    run()
    assert set(read(db, winner, loser)) == {winner}


def test_erasing_a_customer_erases_what_was_expected_of_her(
    db: Database, regulars: list[int], now: datetime, run: Run
) -> None:
    run()
    with db.begin() as conn:
        held = privacy.export(conn, regulars[0])
        assert held["customer_predictions"][0]["churn_risk"] is not None
        privacy.erase(conn, regulars[0], now=now)
        gone = sa.select(customer_predictions).where(customer_predictions.c.customer_id == regulars[0])
        assert conn.execute(gone).all() == []


def test_a_young_shop_gives_everyone_its_own_rates_and_says_what_is_missing(
    db: Database, now: datetime, run: Run
) -> None:
    with db.begin() as conn:
        ids = people(conn, 40, now)
        for customer in ids:
            order(conn, customer, now - timedelta(days=45))
        for customer in ids[:10]:
            order(conn, customer, now - timedelta(days=20))
    done = run()
    assert done.learned.basis is Basis.SHOP_RATES
    assert {need.what for need in done.learned.missing} == {"returned", "days"}
    found = read(db, *ids)
    assert len({one.order_probability_30d for one in found.values()}) == 1
    assert 0.1 < found[ids[0]].order_probability_30d < 0.25


def test_a_shop_with_hardly_any_orders_predicts_nothing_and_takes_back_what_it_said(
    db: Database, regulars: list[int], now: datetime, run: Run
) -> None:
    run()
    with db.begin() as conn:
        conn.execute(sa.delete(orders).where(orders.c.customer_id > regulars[4]))
    done = run()
    assert done.learned.basis is Basis.NONE
    assert (done.customers, read(db, *regulars)) == (0, {})


def test_an_empty_shop_predicts_nothing(run: Run) -> None:
    assert run().learned.basis is Basis.NONE


def test_customers_are_gone_through_by_stretches(db: Database, regulars: list[int], run: Run) -> None:
    """More customers than one stretch holds, and gaps among their numbers."""
    with db.begin() as conn:
        conn.execute(
            sa.text(
                "INSERT INTO customers (id, created_at, updated_at) OVERRIDING SYSTEM VALUE"
                " SELECT 100000 + n * 3, now(), now() FROM generate_series(1, 21000) n"
            )
        )
        conn.execute(
            sa.text(
                "INSERT INTO orders (order_id, customer_id, origin_id, ordered_at, received_at, state, channel, total)"
                " SELECT 'x' || id, id, id, now() - interval '1 year', now(), 'completed', 'store', 100"
                " FROM customers WHERE id > 100000 AND id % 2 = 0"
            )
        )
    assert run().customers == PEOPLE + 10_500
