"""Who asks, and what they did, read for many at once."""

from datetime import timedelta

import pytest
import sqlalchemy as sa

from recommender import past
from recommender.algorithms.base import DAY, Kind
from recommender.past import Handle, Pasts
from shop import consent, tables
from tests.recommender.conftest import Shop


def read(shop: Shop, *handles: Handle) -> Pasts:
    with shop.db.begin() as conn:
        return past.read(conn, handles, now=shop.now)


def hashed(shop: Shop, *product_ids: str) -> list[int]:
    with shop.db.begin() as conn:
        return [conn.scalar(sa.select(sa.func.hashtextextended(name, 0))) for name in product_ids]


def rows(shop: Shop, pasts: Pasts, request: int) -> list[tuple[int, Kind, float]]:
    """Product, kind and age in days of each row of a request, oldest first."""
    part = slice(pasts.starts[request], pasts.starts[request + 1])
    ages = (past.micros(shop.now) - pasts.times[part]) / DAY
    found = zip(pasts.products[part].tolist(), pasts.kinds[part].tolist(), ages.tolist(), strict=True)
    return [(product, Kind(kind), age) for product, kind, age in sorted(found, key=lambda row: -row[2])]


class TestWhatTheyDid:
    def test_is_of_all_channels_each_customers_own(self, shop: Shop) -> None:
        shop.order("ann", ["pan"], days_ago=3)
        shop.event("ann", "Product Added", "pot", days_ago=2)
        shop.event("bob", "Product Viewed", "lid", days_ago=1)
        pan, pot, lid = hashed(shop, "pan", "pot", "lid")
        found = read(shop, Handle(user_id="bob"), Handle(user_id="nobody"), Handle(), Handle(user_id="ann"))
        assert rows(shop, found, 0) == [(lid, Kind.VIEW, 1.0)]
        assert rows(shop, found, 1) == rows(shop, found, 2) == []
        assert rows(shop, found, 3) == [(pan, Kind.ORDER, 3.0), (pot, Kind.ADD, 2.0)]

    def test_is_to_the_microsecond_and_not_of_the_future(self, shop: Shop) -> None:
        microsecond = timedelta(microseconds=1) / timedelta(days=1)
        shop.event("ann", "Product Viewed", "pan", days_ago=microsecond)
        shop.event("ann", "Product Viewed", "pan", days_ago=-microsecond)
        assert (past.micros(shop.now) - read(shop, Handle(user_id="ann")).times).tolist() == [1]

    def test_leaves_out_what_was_undone_returned_or_is_no_product(self, shop: Shop) -> None:
        shop.order("ann", ["pan"], days_ago=3, state="cancelled")
        shop.order("ann", ["pot"], days_ago=3, quantity=-1)
        shop.event("ann", "Product Clicked", "lid")
        assert rows(shop, read(shop, Handle(user_id="ann")), 0) == []

    def test_is_the_latest_of_very_much(self, shop: Shop) -> None:
        shop.event("ann", "Product Viewed", "pan", days_ago=9)
        shop.repeat_events(100_000)
        shop.order("ann", ["pot"], days_ago=1)
        found = read(shop, Handle(user_id="ann"))
        assert len(found.products) == past.RECENT and hashed(shop, "pot")[0] in found.products

    def test_ends_where_she_was_last(self, shop: Shop) -> None:
        shop.order("ann", ["pan"], days_ago=3, store_id="lyon")
        shop.order("bob", ["pan"], days_ago=3, store_id="lyon")
        shop.order("bob", ["pan"], days_ago=1, store_id="paris", state="cancelled")
        shop.order("cal", ["pan"], days_ago=3, store_id="lyon")
        shop.event("cal", "Product Viewed", "pot", days_ago=1)
        found = read(shop, *(Handle(user_id=name) for name in ("ann", "nobody", "bob", "cal")))
        assert found.channels == ("store", None, "store", "web") and found.stores == ("lyon", None, "lyon", None)


class TestWho:
    def test_is_known_by_our_id_even_after_a_merge(self, shop: Shop) -> None:
        ann, visitor = shop.customer("ann"), shop.customer("browser", kind="anonymous_id")
        shop.event("ann", "Product Viewed", "pan")
        with shop.db.begin() as conn:
            merged = sa.update(tables.customers).where(tables.customers.c.id == visitor).values(merged_into=ann)
            conn.execute(merged)
        found = read(shop, Handle(customer_id=visitor), Handle(customer_id=ann), Handle(customer_id=10**9))
        assert [who.customer_id for who in found.who] == [ann, ann, None]

    def test_is_nobody_where_too_many_share_the_handle(self, shop: Shop) -> None:
        shop.customer("ann")
        with shop.db.begin() as conn:
            conn.execute(sa.update(tables.identities).values(quarantined_at=shop.now))
        assert read(shop, Handle(user_id="ann")).who == (past.NOBODY,)

    def test_is_read_by_any_name_a_shop_may_give(self, shop: Shop) -> None:
        names = ['"', "\\", "{a,b}", "NULL", "", "é", "a'b", "%s"]
        numbers = [shop.customer(name) for name in names]
        assert [who.customer_id for who in read(shop, *(Handle(user_id=name) for name in names)).who] == numbers

    @pytest.mark.parametrize("purpose", ["personalization", "any"])
    def test_says_what_she_refused(self, shop: Shop, purpose: str) -> None:
        said = {"customer_id": shop.customer("ann"), "purpose": purpose, "source": "test", "at": shop.now}
        with shop.db.begin() as conn:
            consent.record(conn, channel="email", state="denied", now=shop.now, **said)
            consent.record(conn, channel="onsite", state="granted", now=shop.now, **said)
        assert read(shop, Handle(user_id="ann")).who[0].refused == {"email"}


class TestAVersion:
    def test_saves_reading_the_past_again_until_she_does_something(self, shop: Shop) -> None:
        for name in ("ann", "bob"):
            shop.event(name, "Product Viewed", "pan")
        first = read(shop, Handle(user_id="ann"), Handle(user_id="bob"))
        ann, bob = (
            Handle(user_id=name, version=who.version) for name, who in zip(("ann", "bob"), first.who, strict=True)
        )
        shop.event("bob", "Product Viewed", "pot")
        again = read(shop, ann, bob)
        assert [who.unchanged for who in again.who] == [True, False]
        assert rows(shop, again, 0) == [] and len(rows(shop, again, 1)) == 2

    def test_of_another_customer_saves_nothing(self, shop: Shop) -> None:
        """Two profiles written in one transaction have the same version."""
        for name in ("ann", "bob"):
            shop.event(name, "Product Viewed", "pan")
        with shop.db.begin() as conn:
            conn.execute(sa.update(tables.profiles).values(events=5))
        version = read(shop, Handle(user_id="ann")).who[0].version
        found = read(shop, Handle(user_id="bob", version=version))
        assert not found.who[0].unchanged and len(rows(shop, found, 0)) == 1

    def test_of_one_without_a_profile_saves_nothing(self, shop: Shop) -> None:
        shop.customer("ann")
        assert not read(shop, Handle(user_id="ann")).who[0].unchanged
