"""A rule means the same in SQL, for one customer or all, as it does in plain words."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from uuid import UUID

import sqlalchemy as sa
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from campaigns import segment_explain, segment_preview, segment_times, segments
from campaigns.definitions import conditions
from foundation.database import Database
from shop.tables import customers
from tests.campaigns import segment_oracle as oracle
from tests.campaigns import segment_world as made

NOW = datetime(2026, 11, 21, 10, tzinfo=UTC)
EVERYONE = range(1, made.PEOPLE + 1)
# Worlds are too large to be made smaller within the time a test has.
BY_LOT = settings(
    max_examples=40, deadline=None, phases=[Phase.generate], suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@contextmanager
def _put(db: Database, world: made.World) -> Iterator[sa.Connection]:
    """The world in a transaction that is rolled back."""
    with db.engine.connect() as conn, conn.begin() as aside:
        made.put(conn, world)
        yield conn
        aside.rollback()


@BY_LOT
@given(world=made.worlds(NOW), written=st.lists(oracle.rules(NOW), min_size=1, max_size=6))
def test_a_rule_finds_whom_it_means(db: Database, world: made.World, written: list[dict[str, object]]) -> None:
    with _put(db, world) as conn:
        for rule in map(conditions.parse, written):
            meant = {customer for customer in EVERYONE if oracle.holds(rule, world, customer)}
            assert set(conn.scalars(segments.select(rule, now=NOW))) == meant, rule
            assert segments.matching(conn, rule, [1, 3, 5, 6], now=NOW) == meant & {1, 3, 5, 6}, rule


@BY_LOT
@given(world=made.worlds(NOW), written=oracle.rules(NOW), later=made.ages())
def test_who_comes_and_goes_by_time_alone_is_among_those_looked_at_again(
    db: Database, world: made.World, written: dict[str, object], later: timedelta
) -> None:
    rule, then = conditions.parse(written), NOW + later
    with _put(db, world) as conn:
        before = set(conn.scalars(segments.select(rule, now=NOW)))
        after = set(conn.scalars(segments.select(rule, now=then)))
        found = segment_times.crossings(rule, since=NOW, until=then)
        looked_at = set(conn.scalars(segment_times.canonical(found))) if found else set()
        if segment_times.daily(rule) and NOW.date() != then.date():
            looked_at = set(EVERYONE)
        assert before ^ after <= looked_at


@given(written=oracle.rules(NOW))
def test_a_rule_written_down_and_read_again_is_the_same(written: dict[str, object]) -> None:
    rule = conditions.parse(written)
    assert conditions.parse(conditions.dump(rule)) == rule


def test_midnight_is_when_days_begin(conn: sa.Connection, now: datetime) -> None:
    rule = conditions.parse({"type": "trait", "name": "birthday", "op": "anniversary_in_days", "value": 0})
    conn.execute(sa.text("INSERT INTO customers (traits, created_at, updated_at) VALUES "
                         """('{"birthday": "1992-02-29"}', now(), now())"""))  # fmt: skip
    for day, meant in (("2027-02-28", 1), ("2028-02-28", 0), ("2028-02-29", 1), ("2028-03-01", 0)):
        at = datetime.fromisoformat(f"{day}T00:00:00+00:00")
        assert len(conn.execute(segments.select(rule, now=at)).all()) == meant, day


@BY_LOT
@given(world=made.worlds(NOW), written=oracle.rules(NOW))
def test_why_is_she_in_says_the_same_of_every_rule(db: Database, world: made.World, written: dict[str, object]) -> None:
    rule = conditions.parse(written)
    with _put(db, world) as conn:
        for customer in (1, 5):
            told = segment_explain.explain(conn, rule, customer, now=NOW)
            for one in _every(told):
                assert one.holds == oracle.holds(one.condition, world, customer), one
            assert [one.pointer for one in _every(told)] == [pointer for pointer, _ in conditions.walk(rule)]


def _every(told: segment_explain.Explained) -> list[segment_explain.Explained]:
    return [told, *(inner for one in told.rules for inner in _every(one))]


def test_a_value_is_named_with_its_rule(db: Database, now: datetime) -> None:
    empty = ("orders", "carts", "consents", "identities", "customer_predictions", "segment_members", "messages")
    world = made.World(now, {name: [] for name in (*empty, "promo_codes")})
    row = {"merged_into": None, "created_at": now, "updated_at": now, "email": None, "birth_year": None}
    world.rows["customers"] = [{"id": 1, "traits": {"city": "Lyon", "latitude": 45.8, "longitude": 4.9}, **row}]
    viewed = {"customer_id": 1, "name": "Product Viewed", "received_at": now, "source_id": 1, "channel": "web"}
    world.rows["events"] = [
        {"key": UUID(int=n), "occurred_at": now, "product_id": "pot", "properties": {}, "context": {}, **viewed}
        for n in range(3)
    ]
    written = (
        {"type": "trait", "name": "city", "value": "Nantes"},
        {"type": "event", "name": "Product Viewed", "value": 5},
        {"type": "distance", "km": 50, "store": "lyon"},
        {"type": "orders"},
    )
    rule = conditions.parse({"type": "all", "of": list(written)})
    with _put(db, world) as conn:
        told = segment_explain.explain(conn, rule, 1, now=now)
    assert [one.holds for one in told.rules] == [False, False, True, False]
    city, views, kilometres, orders = (one.value for one in told.rules)
    assert (city, views, orders) == ("Lyon", 3, None)
    assert 6.4 < kilometres < 6.5


def test_a_preview_counts_and_draws(db: Database, now: datetime) -> None:
    with db.begin() as conn:
        rows = [{"traits": {"n": n}, "created_at": now, "updated_at": now} for n in range(30)]
        conn.execute(sa.insert(customers), rows)
    rule = conditions.parse({"type": "trait", "name": "n", "op": "below", "value": 20})
    counted = segment_preview.count(db, rule, now=now)
    assert (counted.number, counted.exact, len(set(counted.sample))) == (20, True, 10)
    other = conditions.parse({"type": "trait", "name": "n", "value": 3})
    assert segment_preview.numbers(db, [rule, other], now=now) == [20, 1]


def test_a_preview_that_takes_too_long_says_about_how_many(db: Database, now: datetime) -> None:
    with db.begin() as conn:
        conn.execute(
            sa.text("INSERT INTO customers (traits, created_at, updated_at) "
                    "SELECT jsonb_build_object('n', n % 4), now(), now() FROM generate_series(1, 60000) AS n")
        )  # fmt: skip
    with db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as conn:
        conn.execute(sa.text("ANALYZE customers"))
    rule = conditions.parse({"type": "not", "rule": {"type": "trait", "name": "n", "value": 3}})
    counted = segment_preview.count(db, rule, now=now, patience=timedelta(milliseconds=12))
    assert not counted.exact
    assert counted.number is None or 40_000 < counted.number < 50_000
