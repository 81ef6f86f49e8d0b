"""The API for a shop's own programs: records in, answers out, and everything hostile refused by name and place."""

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import openapi_spec_validator
import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient

from app import parts
from foundation.database import Database, new_id
from shop import tables

Call = Callable[..., Any]
NOW = datetime.now(UTC)
BASKET = {"currency": "EUR", "lines": [{"product_id": "p1", "quantity": 2, "price": 25.5}]}


# ---------------------------------------------------------------------------------------- products, stock
def test_products_are_put_row_by_row(call: Call) -> None:
    rows = [{"product_id": "p1", "title": "Pot", "price": 19.99}, {"product_id": "p2"}, {"product_id": 3, "title": "x"}]
    answer = call("PUT", "/v1/products", rows)
    assert (answer.status_code, answer.json["accepted"], answer.json["refused"]) == (200, 2, 1)
    assert answer.json["results"][1]["faults"] == [{"pointer": "/title", "detail": "is required"}]


def test_stores_and_stock_are_put(call: Call) -> None:
    assert call("PUT", "/v1/stores", [{"store_id": "s1", "name": "Nantes"}]).json["accepted"] == 1
    stock = {"store_id": "s1", "product_id": "p1", "quantity": 4}
    assert call("PUT", "/v1/stock", [stock, {**stock, "quantity": -1}]).json["refused"] == 1


def test_at_most_a_thousand_rows_a_call(call: Call) -> None:
    rows = [{"product_id": f"p{n}", "title": "t"} for n in range(1001)]
    assert call("PUT", "/v1/products", rows[:1000]).json["accepted"] == 1000
    assert call("PUT", "/v1/products", rows).status_code == 422


# ---------------------------------------------------------------------------------------------- customers
def test_a_customer_is_read_whole(call: Call, ada: int) -> None:
    record = call("GET", "/v1/customers/ada").json
    assert (record["id"], record["email"], record["traits"]) == ("ada", "ada@example.com", {"vip": True})
    assert record["orders"] == {"count": 0, "spent": 0.0, "currency": "EUR"}
    assert [identity["kind"] for identity in record["identities"]] == ["user_id"]


def test_a_consent_stands_and_what_was_said_before_is_kept(call: Call, db: Database, ada: int) -> None:
    said = {"channel": "email", "purpose": "marketing", "source": "account page", "text": "Yes, write to me"}
    call("PUT", "/v1/customers/ada/consents", {**said, "state": "granted"})
    stands = call("PUT", "/v1/customers/ada/consents", {**said, "state": "denied"}).json
    assert stands == [{"channel": "email", "purpose": "marketing", "state": "denied"}]
    with db.begin() as conn:
        texts = conn.scalars(sa.select(tables.consent_log.c.text)).all()
    assert texts == ["Yes, write to me"] * 2


def test_the_timeline_comes_newest_first_by_pages(call: Call, db: Database, ada: int) -> None:
    with db.begin() as conn:
        source = {"name": "web", "channel": "web", "created_at": NOW}
        source_id = conn.execute(sa.insert(tables.sources).values(**source).returning(tables.sources.c.id)).scalar_one()
        common = {"customer_id": ada, "source_id": source_id, "channel": "web", "properties": {}, "context": {}}
        events = [
            {"key": new_id(), "name": f"E{n}", "occurred_at": NOW - timedelta(minutes=n // 2), "received_at": NOW}
            for n in range(7)
        ]
        conn.execute(sa.insert(tables.events), [event | common for event in events])
    names, cursor = [], ""
    while cursor is not None:
        page = call("GET", f"/v1/customers/ada/timeline?limit=3{cursor and '&cursor=' + cursor}").json
        names += [entry["facts"]["name"] for entry in page["entries"]]
        cursor = page["cursor"]
    assert sorted(names) == [f"E{n}" for n in range(7)]
    assert [int(name[1]) // 2 for name in names] == [0, 0, 1, 1, 2, 2, 3]


def test_a_customer_is_exported_then_erased(call: Call, ada: int) -> None:
    assert "ada@example.com" in call("GET", "/v1/customers/ada/export").text
    assert call("DELETE", "/v1/customers/ada").status_code == 204
    assert call("GET", "/v1/customers/ada").status_code == 404


def test_a_cart_is_read_by_the_shop_s_id(call: Call, db: Database, ada: int) -> None:
    lines = [{"product_id": "p1", "quantity": 2, "price": 1050}]
    cart = {"cart_id": "c-1", "customer_id": ada, "origin_id": ada, "state": "open", "lines": lines, "value": 2100}
    with db.begin() as conn:
        values = {**cart, "currency": "EUR", "channel": "web", "created_at": NOW, "touched_at": NOW}
        conn.execute(sa.insert(tables.carts).values(**values))
    answer = call("GET", "/v1/carts/c-1").json
    assert (answer["customer"], answer["value"], answer["lines"][0]["price"]) == ("ada", 21.0, 10.5)
    assert call("GET", "/v1/carts/c-2").status_code == 404


# ------------------------------------------------------------------------------------------------- codes
def test_a_code_is_validated_redeemed_once_and_given_back(call: Call, code: str) -> None:
    path = f"/v1/promo-codes/{code.lower()}"
    seen = call("POST", f"{path}/validate", BASKET).json
    assert (seen["valid"], seen["discount"], seen["offer"]["value"]) == (True, 5.1, 10.0)
    order = {**BASKET, "order_id": "o1", "channel": "store"}
    first = call("POST", f"{path}/redeem", order)
    assert first.json["valid"] and call("POST", f"{path}/redeem", order).data == first.data
    second = call("POST", f"{path}/redeem", {**order, "order_id": "o2"})
    assert (second.status_code, second.json["reason"]) == (409, "used")
    assert call("POST", f"{path}/validate", BASKET).json["reason"] == "used"
    assert call("POST", f"{path}/release", {"order_id": "o2"}).status_code == 409
    assert call("POST", f"{path}/release", {"order_id": "o1"}).status_code == 204
    assert call("POST", f"{path}/redeem", {**order, "order_id": "o2"}).status_code == 200


def test_whoever_guesses_codes_is_told_to_wait(call: Call, code: str) -> None:
    guesses = [call("POST", f"/v1/promo-codes/guess-{n}/validate", BASKET) for n in range(10)]
    assert [guess.json["reason"] for guess in guesses] == ["unknown"] * 10
    refused = call("POST", f"/v1/promo-codes/{code}/validate", BASKET)
    assert (refused.status_code, refused.headers["Retry-After"]) == (429, "60")


def test_fifty_tills_at_once_redeem_a_code_once(web: Flask, make_key: Call, code: str) -> None:
    headers = {"Authorization": f"Bearer {make_key('secret', name='tills')}"}
    answers: list[int] = []

    def till(number: int) -> None:
        body = {**BASKET, "order_id": f"o{number}", "channel": "store"}
        answer = web.test_client().post(f"/v1/promo-codes/{code}/redeem", json=body, headers=headers)
        answers.append(answer.status_code)

    tills = [threading.Thread(target=till, args=(n,)) for n in range(50)]
    for one in tills:
        one.start()
    for one in tills:
        one.join()
    assert sorted(answers) == [200] + [409] * 49


# ------------------------------------------------------------------------------------------------ repeats
def test_the_same_key_answers_the_same_and_acts_once(call: Call, db: Database, ada: int) -> None:
    body = {"channel": "sms", "purpose": "marketing", "state": "granted", "source": "till"}
    first = call("PUT", "/v1/customers/ada/consents", body, headers={"Idempotency-Key": "k1"})
    again = call("PUT", "/v1/customers/ada/consents", body, headers={"Idempotency-Key": "k1"})
    assert (again.data, again.headers["Idempotency-Replayed"]) == (first.data, "true")
    with db.begin() as conn:
        assert conn.scalar(sa.select(sa.func.count()).select_from(tables.consent_log)) == 1


def test_the_same_key_for_another_request_is_a_conflict(call: Call) -> None:
    key = {"Idempotency-Key": "k1"}
    call("PUT", "/v1/stores", [{"store_id": "s1"}], headers=key)
    other = call("PUT", "/v1/stores", [{"store_id": "s2"}], headers=key)
    assert (other.status_code, other.json["reason"]) == (409, "idempotency_key_reused")


def test_a_refused_request_leaves_its_key_free(call: Call) -> None:
    key = {"Idempotency-Key": "k1"}
    assert call("PUT", "/v1/stores", {"not": "a list"}, headers=key).status_code == 422
    assert call("PUT", "/v1/stores", [{"store_id": "s1"}], headers=key).status_code == 200


def test_the_same_key_at_the_same_moment_acts_once(web: Flask, make_key: Call, db: Database, ada: int) -> None:
    headers = {"Authorization": f"Bearer {make_key('secret', name='x')}", "Idempotency-Key": "k1"}
    body = {"channel": "sms", "purpose": "marketing", "state": "granted", "source": "till"}
    answers: list[tuple[int, bytes]] = []

    def ask() -> None:
        answer = web.test_client().put("/v1/customers/ada/consents", json=body, headers=headers)
        answers.append((answer.status_code, answer.data))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(answers)) == 1 and answers[0][0] == 200
    with db.begin() as conn:
        assert conn.scalar(sa.select(sa.func.count()).select_from(tables.consent_log)) == 1


# ------------------------------------------------------------------------------------------------- hostile
CONSENT = {"channel": "email", "purpose": "marketing", "state": "granted", "source": "page"}

HOSTILE = [
    ("PUT", "/v1/products", "not json", 422),
    ("PUT", "/v1/products", "", 422),
    ("PUT", "/v1/products", '{"product_id": "p"}', 422),
    ("PUT", "/v1/products", "[1, null, []]", 422),
    ("PUT", "/v1/products", "[" * 100_000, 422),
    ("PUT", "/v1/products", b"\xff\xfe[]", 422),
    ("PUT", "/v1/products", "[" + " " * 9_000_000 + "]", 413),
    ("POST", "/v1/products", "[]", 405),
    ("PUT", "/v1/customers/ada/consents", '{"channel": "email", "extra": 1}', 422),
    ("PUT", "/v1/customers/ada/consents", '{"source": "\\ud800"}', 422),
    ("PUT", "/v1/customers/nobody/consents", None, 404),
    ("GET", "/v1/customers/a%00b", None, 404),
    ("GET", "/v1/customers/%ED%A0%80", None, 404),
    ("GET", "/v1/customers/1%27%20OR%20%271%27=%271", None, 404),
    ("GET", "/v1/customers/" + "x" * 5000, None, 404),
    ("GET", "/v1/customers/ada/timeline?cursor=%00", None, 422),
    ("GET", "/v1/customers/ada/timeline?cursor=bm9wZQ", None, 422),
    ("GET", "/v1/customers/ada/timeline?cursor=WyI5OTk5LTEyLTMxVDIzOjU5OjU5LTIzOjU5IiwiIiwiIl0", None, 422),
    ("GET", "/v1/customers/ada/timeline?limit=0", None, 422),
    ("GET", "/v1/customers/ada/timeline?limit=9999999999999999999999", None, 422),
    ("GET", "/v1/customers/ada/timeline?limit=1&limit=2", None, 422),
    ("GET", "/v1/customers/ada/timeline?nothing=1", None, 422),
    ("GET", "/v1/carts/%00", None, 404),
    ("POST", "/v1/promo-codes/%00/validate", None, 404),
    ("GET", "/v1/no-such-thing", None, 404),
]


@pytest.mark.parametrize(("method", "path", "body", "status"), HOSTILE)
def test_what_is_hostile_is_refused_as_a_problem(
    call: Call, ada: int, method: str, path: str, body: str | bytes | None, status: int
) -> None:
    given: dict[str, Any] = {"data": body} if body is not None else {}
    if body is None and method == "PUT":
        given = {"json": CONSENT}
    answer = call(method, path, **given)
    assert (answer.status_code, answer.mimetype) == (status, "application/problem+json"), answer.text[:500]
    assert answer.json["status"] == status and isinstance(answer.json["faults"], list)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("source", ""),
        ("source", "a\x00b"),
        ("source", 7),
        ("source", None),
        ("source", "x" * 201),
        ("text", "x" * 10_001),
        ("state", "maybe"),
        ("channel", ["email"]),
        ("purpose", True),
        ("at", "2020-01-01"),
    ],
)
def test_a_wrong_field_is_named(call: Call, ada: int, field: str, value: object) -> None:
    answer = call("PUT", "/v1/customers/ada/consents", {**CONSENT, field: value})
    assert answer.status_code == 422
    assert [fault["pointer"] for fault in answer.json["faults"]] == [f"/{field}"]


@pytest.mark.parametrize("text", ["=cmd|' /C calc'!A0", "<script>alert(1)</script>", "'; DROP TABLE customers; --"])
def test_text_that_looks_like_code_is_only_text(call: Call, db: Database, ada: int, text: str) -> None:
    assert call("PUT", "/v1/customers/ada/consents", {**CONSENT, "source": text, "text": text}).status_code == 200
    with db.begin() as conn:
        assert conn.scalar(sa.select(tables.consent_log.c.text)) == text


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("price", "NaN"),
        ("price", -1),
        ("price", 1e300),
        ("quantity", 0),
        ("quantity", 1.5),
        ("quantity", 10**30),
        ("product_id", ""),
        ("product_id", "\x00"),
    ],
)
def test_a_basket_that_cannot_be_is_refused(call: Call, code: str, field: str, value: object) -> None:
    basket = {**BASKET, "lines": [{**BASKET["lines"][0], field: value}]}  # type: ignore[dict-item]
    answer = call("POST", f"/v1/promo-codes/{code}/validate", basket)
    assert (answer.status_code, answer.json["faults"][0]["pointer"]) == (422, f"/lines/0/{field}")


@pytest.mark.parametrize("name", ["", "x" * 256, "a\tb"])
def test_a_senseless_idempotency_key_is_refused(call: Call, name: str) -> None:
    answer = call("PUT", "/v1/stores", [], headers={"Idempotency-Key": name})
    assert answer.status_code == 422


# ---------------------------------------------------------------------------------------------- described
def test_the_description_is_valid_and_names_every_call(web: Flask, client: FlaskClient) -> None:
    document = client.get("/v1/openapi.json").json
    openapi_spec_validator.validate(document)
    served = {
        rule.rule.replace("<path:", "<").replace("<", "{").replace(">", "}")
        for rule in web.url_map.iter_rules()
        if rule.rule.startswith(("/v1/", "/beacon/", "/sourceConfig"))
    }
    descriptions = {"/v1/openapi.json", "/v1/schemas/campaign.json"}
    assert served - descriptions <= set(document["paths"])


def test_the_readable_page_needs_nothing_from_elsewhere(client: FlaskClient) -> None:
    page = client.get("/docs/api").text
    assert "PUT" in page and "/v1/promo-codes/{code}/redeem" in page
    assert 'src="http' not in page and 'href="http' not in page


def test_a_bug_is_answered_with_a_number_and_no_detail(installation: parts.Parts, web: Flask) -> None:
    @web.get("/v1/broken")
    def broken() -> str:
        raise RuntimeError("the secret of the house")

    answer = web.test_client().get("/v1/broken")
    assert (answer.status_code, answer.mimetype) == (500, "application/problem+json")
    assert "secret" not in answer.text
