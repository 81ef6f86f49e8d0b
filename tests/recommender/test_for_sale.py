"""The catalogue in numbers, and products as they stand this moment."""

import numpy as np
import pytest
import sqlalchemy as sa

from recommender import for_sale
from recommender.for_sale import Catalogue
from shop import tables
from tests.recommender.conftest import Shop


def read(shop: Shop, before: Catalogue | None = None, *, first: tuple[str, ...] = ()) -> Catalogue:
    with shop.db.begin() as conn:
        return for_sale.read(conn, before or for_sale.number(conn, first))


class TestNumbers:
    def test_begin_with_those_given_even_if_they_are_gone(self, shop: Shop) -> None:
        for name in ("pan", "pot", "lid"):
            shop.product(name)
        found = read(shop, first=("pot", "gone", "pan"))
        assert found.goods.product_ids == ("pot", "gone", "pan", "lid")
        assert found.goods.for_sale.tolist() == [True, False, True, True]
        assert found.known(["lid", "unheard of", "pot"]) == [3, 0]

    def test_stay_when_more_are_found(self, shop: Shop) -> None:
        shop.product("pan")
        first = read(shop)
        shop.product("a new one")
        with shop.db.begin() as conn:
            conn.execute(sa.delete(tables.products).where(tables.products.c.product_id == "pan"))
        second = read(shop, first)
        assert second.goods.product_ids == ("pan", "a new one") and second.goods.for_sale.tolist() == [False, True]

    def test_are_found_by_hash(self, shop: Shop) -> None:
        for name in ("pan", "pot"):
            shop.product(name)
        found = read(shop, first=("pot", "pan"))
        with shop.db.begin() as conn:
            hashes = [conn.scalar(sa.select(sa.func.hashtextextended(name, 0))) for name in ("pan", "none", "pot")]
        assert found.numbered(np.array(hashes)).tolist() == [1, -1, 0]
        assert read(shop).numbered(np.zeros(0, np.int64)).tolist() == []

    def test_of_an_empty_shop_are_none(self, shop: Shop) -> None:
        assert len(read(shop).goods) == 0 and read(shop).numbered(np.array([7])).tolist() == [-1]


class TestGoods:
    def test_say_category_brand_price_and_margin(self, shop: Shop) -> None:
        shop.product("pan", "Kitchen > Pans", brand="Acme", price=2000, attributes={"cost": 15.0})
        shop.product("yen", "Garden", price=2000, currency="JPY", attributes={"cost": 500, "margin": "much"})
        shop.product("told", price=1000, attributes={"margin": 0.4, "cost": [1]})
        shop.product("bare", price=None, currency=None)
        goods = read(shop, first=("pan", "yen", "told", "bare")).goods
        assert [goods.category_names[code] if code >= 0 else None for code in goods.categories] == [
            "Kitchen > Pans",
            "Garden",
            None,
            None,
        ]
        assert [goods.brand_names[code] if code >= 0 else None for code in goods.brands] == ["Acme", None, None, None]
        assert goods.prices.tolist() == [2000, 2000, 1000, -1]
        assert goods.margins[:3].tolist() == pytest.approx([0.25, 0.75, 0.4]) and np.isnan(goods.margins[3])

    def test_are_for_sale_if_active_and_anywhere_in_stock_or_never_counted(self, shop: Shop) -> None:
        for name in ("counted", "out", "uncounted", "withdrawn"):
            shop.product(name)
        for store, quantity in (("paris", 0), ("lyon", 2)):
            shop.stock("counted", store, quantity)
            shop.stock("out", store, 0)
        shop.change("withdrawn", active=False)
        found = read(shop, first=("counted", "out", "uncounted", "withdrawn"))
        assert found.goods.for_sale.tolist() == [True, False, True, False]
        with shop.db.begin() as conn:
            assert for_sale.in_store(conn, found, "lyon").tolist() == [True, False, True, False]
            assert for_sale.in_store(conn, found, "paris").tolist() == [False, False, True, False]

    @pytest.mark.parametrize("store", [None, "lyon"])
    def test_agree_with_what_is_looked_up_each_time(self, shop: Shop, store: str | None) -> None:
        names = tuple(f"p{number}" for number in range(16))
        for number, name in enumerate(names):
            shop.product(name, active=bool(number & 1))
            if number & 2:
                shop.stock(name, "lyon", number & 4)
            if number & 8:
                shop.stock(name, "paris", 3)
        found = read(shop, first=names)
        with shop.db.begin() as conn:
            looked = for_sale.look_up(conn, names, store_id=store)
            flags = found.goods.for_sale if store is None else for_sale.in_store(conn, found, store)
        assert {names[number] for number in np.flatnonzero(flags)} == set(looked.for_sale)
        assert set(looked.titles) == set(names)
