"""The catalogue as ad platforms fetch it: whole, well-formed, and without what cannot be advertised."""

from datetime import UTC, datetime
from typing import Any
from xml.etree import ElementTree

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient

from app import parts, product_feeds
from campaigns.audiences import feeds
from foundation.database import Database
from shop import catalogue, stores
from tests.campaigns import world

NOW = datetime.now(UTC)
G = "{http://base.google.com/ns/1.0}"


@pytest.fixture
def shelf(db: Database) -> Database:
    odd: list[dict[str, Any]] = [
        {"product_id": "dear", "title": "No price", "url": "/p/dear", "image_url": "/i/dear.png"},
        {"product_id": "free", "title": "For nothing", "price": "0", "url": "/p/free", "image_url": "/i/free.png"},
        {"product_id": "hidden", "title": "No page", "price": "5", "image_url": "/i/hidden.png"},
        {"product_id": "blind", "title": "No picture", "price": "5", "url": "/p/blind"},
        {"product_id": "l" * 51, "title": "A long id", "price": "5", "url": "/p/long", "image_url": "/i/long.png"},
        {"product_id": "gone", "title": "Not for sale", "price": "5", "url": "/p", "active": False},
        {
            "product_id": "odd", "title": 'Salt & <pepper> "both"', "price": "1500", "currency": "JPY", "url": "/p/odd",
            "image_url": "/i/odd.png", "attributes": {"gtin": "3760001", "description": "Two\u0001jars", "mpn": 7},
        },
    ]  # fmt: skip
    with db.begin() as conn:
        world.stock_shop(conn, now=NOW)
        assert all(one.ok for one in catalogue.put(conn, odd, now=NOW))
        counted = [
            {"store_id": store, "product_id": product, "quantity": number}
            for store, product, number in (("a", "sel", 0), ("b", "sel", 0), ("a", "cocotte", 0), ("b", "cocotte", 2))
        ]
        assert all(one.ok for one in stores.put_stock(conn, counted, now=NOW))
    return db


def items(client: FlaskClient, installation: parts.Parts, platform: str) -> dict[str, dict[str, str]]:
    address = product_feeds.addresses(installation.config.secret_keys, "")[platform]
    answer = client.get(address)
    assert answer.status_code == 200 and answer.mimetype == "application/xml"
    found = [
        {child.tag.removeprefix(G): child.text or "" for child in item}
        for item in ElementTree.fromstring(answer.data).iter("item")
    ]
    return {item["id"]: item for item in found}


@pytest.mark.parametrize(
    ("platform", "there", "gone"), [("google", "in_stock", "out_of_stock"), ("meta", "in stock", "out of stock")]
)
def test_each_platform_finds_its_words(
    client: FlaskClient, installation: parts.Parts, shelf: Database, platform: str, there: str, gone: str
) -> None:
    found = items(client, installation, platform)
    assert found["cocotte"] == {
        "id": "cocotte", "title": "Cocotte en fonte 24 cm", "description": "Cocotte en fonte 24 cm",
        "link": "https://aubier.example/p/cocotte", "image_link": "https://aubier.example/img/cocotte.png",
        "availability": there, "price": "189.00 EUR", "condition": "new",
    }  # fmt: skip
    assert found["sel"]["availability"] == gone, "every shop that counts has none left"
    assert found["moulin"]["availability"] == there, "nobody counts it"


def test_what_cannot_be_advertised_is_left_out_and_reported(
    client: FlaskClient, installation: parts.Parts, shelf: Database
) -> None:
    google, meta = items(client, installation, "google"), items(client, installation, "meta")
    assert not {"dear", "free", "hidden", "blind", "gone"} & {*google, *meta}
    assert "l" * 51 not in google and "l" * 51 in meta
    with shelf.begin() as conn:
        said = {product.product_id: why for product, why in feeds.left_out(conn)}
        assert said == {
            "blind": ["picture"],
            "dear": ["price"],
            "free": ["price"],
            "hidden": ["page"],
            "l" * 51: ["id"],
        }
        assert [one.product_id for one, _ in feeds.left_out(conn, after="free", limit=1)] == ["hidden"]


def test_what_xml_would_trip_over_is_written_so_that_it_does_not(
    client: FlaskClient, installation: parts.Parts, shelf: Database
) -> None:
    odd = items(client, installation, "google")["odd"]
    assert odd["title"] == 'Salt & <pepper> "both"' and odd["description"] == "Twojars"
    assert odd["price"] == "1500 JPY" and odd["gtin"] == "3760001" and "mpn" not in odd
    assert odd["link"] == "http://localhost/p/odd"


def test_a_large_catalogue_is_written_page_by_page(
    client: FlaskClient, installation: parts.Parts, db: Database
) -> None:
    many = """INSERT INTO products (product_id, title, price, currency, url, image_url, created_at, updated_at)
        SELECT 'p' || n, 'Product', 100, 'EUR', '/p', '/i', now(), now() FROM generate_series(1, 2500) AS n"""
    with db.begin() as conn:
        conn.execute(sa.text(many))
    assert len(items(client, installation, "meta")) == 2500


def test_the_address_cannot_be_guessed(client: FlaskClient, installation: parts.Parts) -> None:
    good = product_feeds.addresses(installation.config.secret_keys, "")["google"]
    for wrong in (
        "/feeds/x/google.xml",
        f"/feeds/{'0' * 32}/google.xml",
        "/feeds/é/google.xml",
        good.replace("google.", "x."),
    ):
        assert client.get(wrong).status_code == 404
