"""The tracking API as a stranger meets it: what is taken in, what is turned away and how that is said."""

import base64
import gzip
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from foundation.database import Database
from shop import inbox, tables

EVENT = {"type": "track", "event": "Product Viewed", "userId": "u", "properties": {"product_id": "p"}}


@pytest.fixture
def key(make_key: Callable[..., str]) -> str:
    return make_key("write")


@pytest.fixture
def post(client: FlaskClient, key: str) -> Callable[..., TestResponse]:
    """Posts a body, JSON unless it is bytes, with the key as HTTP Basic."""

    def post(path: str, body: object, **headers: str) -> TestResponse:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        basic = base64.b64encode(f"{key}:".encode()).decode()
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return client.post(path, data=data, headers={"Authorization": f"Basic {basic}", **named})

    return post


def stored(db: Database) -> list[str]:
    inbox.drain(db)
    with db.begin() as conn:
        return list(conn.scalars(sa.select(tables.events.c.name).order_by(tables.events.c.name)))


def refused(db: Database) -> list[tuple[str, list[str]]]:
    inbox.drain(db)
    with db.begin() as conn:
        rows = conn.execute(sa.select(tables.refused_events).order_by(tables.refused_events.c.id))
        return [(row.reason, [fault["pointer"] for fault in row.faults]) for row in rows]


# ------------------------------------------------------------------------------------------------ accepted
@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/v1/track", "Product Viewed"),
        ("/v1/t", "Product Viewed"),
        ("/v1/identify", "Identified"),
        ("/v1/i", "Identified"),
        ("/v1/page", "Page Viewed"),
        ("/v1/p", "Page Viewed"),
        ("/v1/screen", "Screen Viewed"),
        ("/v1/s", "Screen Viewed"),
        ("/v1/group", "Grouped"),
        ("/v1/g", "Grouped"),
        ("/v1/alias", "Aliased"),
        ("/v1/a", "Aliased"),
        ("/v1/track/", "Product Viewed"),
    ],
)
def test_every_call_is_stored_under_its_name(post: Any, db: Database, path: str, name: str) -> None:
    answer = post(path, {**EVENT, "type": None, "previousId": "before"})
    assert (answer.status_code, answer.json) == (200, {"success": True})
    assert stored(db) == [name]


@pytest.mark.parametrize("path", ["/v1/batch", "/v1/b", "/v1/import", "/beacon/v1/batch", "/v1/batch/"])
def test_every_batch_path_takes_many(post: Any, db: Database, path: str) -> None:
    assert post(path, {"batch": [EVENT, {**EVENT, "type": "page"}]}).json == {"success": True}
    assert stored(db) == ["Page Viewed", "Product Viewed"]


def test_the_key_may_stand_in_the_body(client: FlaskClient, key: str, db: Database) -> None:
    assert client.post("/v1/track", json={**EVENT, "writeKey": key}).status_code == 200
    assert client.post("/v1/batch", json={"batch": [EVENT], "writeKey": key}).status_code == 200
    assert client.post("/v1/batch", json={"batch": [{**EVENT, "writeKey": key}]}).status_code == 200
    assert len(stored(db)) == 3


def test_the_key_may_stand_in_the_query_of_a_beacon_alone(client: FlaskClient, key: str) -> None:
    assert client.post(f"/beacon/v1/batch?writeKey={key}", json={"batch": [EVENT]}).status_code == 200
    assert client.post(f"/v1/batch?writeKey={key}", json={"batch": [EVENT]}).status_code == 401


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", "nonsense", ""])
def test_the_content_type_is_not_believed(post: Any, db: Database, content_type: str) -> None:
    assert post("/v1/track", EVENT, Content_Type=content_type).status_code == 200
    assert stored(db) == ["Product Viewed"]


def test_a_packed_body_is_unpacked(post: Any, db: Database) -> None:
    packed = gzip.compress(json.dumps({"batch": [EVENT]}).encode())
    urlencoded = "application/x-www-form-urlencoded"
    assert post("/v1/batch", packed, Content_Encoding="gzip", Content_Type=urlencoded).status_code == 200
    assert stored(db) == ["Product Viewed"]


def test_a_repeat_is_nothing(post: Any, db: Database) -> None:
    named = {**EVENT, "messageId": "node-next-1-not-a-uuid"}
    for _ in range(3):
        assert post("/v1/batch", {"batch": [named, named]}).status_code == 200
    assert stored(db) == ["Product Viewed"]


def test_an_event_without_a_message_id_or_time_is_another_event_each_time(post: Any, db: Database) -> None:
    assert post("/v1/track", EVENT).status_code == post("/v1/track", EVENT).status_code == 200
    assert len(stored(db)) == 2


def test_a_wrong_clock_is_corrected_by_what_it_says_is_now(post: Any, db: Database) -> None:
    wrong = datetime(2011, 5, 1, 12, tzinfo=UTC)
    event = {**EVENT, "originalTimestamp": (wrong - timedelta(hours=1)).isoformat()}
    post("/v1/batch", {"batch": [event], "sentAt": wrong.isoformat()})
    inbox.drain(db)
    with db.begin() as conn:
        occurred = conn.scalar(sa.select(tables.events.c.occurred_at))
    assert occurred is not None
    assert abs(datetime.now(UTC) - timedelta(hours=1) - occurred) < timedelta(minutes=1)


def test_the_channel_is_the_events_own_else_the_keys(client: FlaskClient, make_key: Any, db: Database) -> None:
    till = make_key("write", name="till", channel="store")
    for context in ({}, {"channel": "call_center"}, {"channel": "server"}):
        client.post("/v1/track", json={**EVENT, "context": context, "writeKey": till})
    inbox.drain(db)
    with db.begin() as conn:
        channels = sorted(conn.scalars(sa.select(tables.events.c.channel)))
    assert channels == ["call_center", "store", "store"]


# ------------------------------------------------------------------------------------------------- refused
def test_an_unknown_key_is_401(client: FlaskClient) -> None:
    for body in ({**EVENT, "writeKey": "wk_nobody"}, EVENT, {**EVENT, "writeKey": 7}, {**EVENT, "writeKey": "\ud800"}):
        answer = client.post("/v1/track", data=json.dumps(body))
        assert (answer.status_code, answer.mimetype) == (401, "application/problem+json")


BIG = "x" * 33_000
HOSTILE: list[tuple[object, str, str]] = [
    ({"event": "A"}, "no_identity", "/userId"),
    ({"event": "A", "userId": None, "anonymousId": ""}, "no_identity", "/userId"),
    ({"userId": "u"}, "no_name", "/event"),
    ({"userId": "u", "event": 7.5}, "wrong_type", "/event"),
    ({"userId": {"a": 1}, "event": "A"}, "wrong_type", "/userId"),
    ({"userId": "u" * 256, "event": "A"}, "too_large", "/userId"),
    ({"userId": "u\n", "event": "A\x07B"}, "bad_text", "/event"),
    ({"userId": "u", "event": "A", "messageId": "m" * 101}, "too_large", "/messageId"),
    ({"userId": "u", "event": "A", "messageId": 7.5}, "wrong_type", "/messageId"),
    ({"userId": "u", "event": "A", "properties": []}, "wrong_type", "/properties"),
    ({"userId": "u", "event": "A", "context": "x"}, "wrong_type", "/context"),
    ({"userId": "u", "event": "A", "traits": 1}, "wrong_type", "/traits"),
    ({"userId": "u", "event": "A", "timestamp": "yesterday"}, "impossible_time", "/timestamp"),
    ({"userId": "u", "event": "A", "timestamp": 17}, "impossible_time", "/timestamp"),
    ({"userId": "u", "event": "A", "timestamp": "0001-01-01T00:00:00+14:00"}, "impossible_time", "/timestamp"),
    ({"userId": "u", "event": "A", "timestamp": "1999-12-31T23:59:59Z"}, "impossible_time", "/timestamp"),
    (
        {"userId": "u", "event": "A", "originalTimestamp": "9999-12-31T23:59:59Z"},
        "impossible_time",
        "/originalTimestamp",
    ),
    ({"userId": "u", "event": "A", "properties": {"note": "a\0b"}}, "bad_text", ""),
    ({"userId": "u", "event": "A", "properties": {"note": "\ud800"}}, "bad_text", ""),
    ({"userId": "u", "event": "A", "properties": {"\udfff": 1}}, "bad_text", ""),
    ({"userId": "u", "event": "A", "properties": {"note": BIG}}, "too_large", ""),
    ({"userId": "u", "event": "A", "properties": json.loads('{"a":' * 30 + "1" + "}" * 30)}, "too_deep", ""),
    (
        {"userId": "u", "event": "Product Added", "properties": {"quantity": "two"}},
        "wrong_type",
        "/properties/quantity",
    ),
    ({"userId": "u", "event": "Product Added", "properties": {"price": {}}}, "wrong_type", "/properties/price"),
    ({"userId": "u", "event": "Product Added", "properties": {"price": "1e999"}}, "wrong_type", "/properties/price"),
    (
        {"userId": "u", "event": "Order Completed", "properties": {"products": [{"quantity": -1}]}},
        "wrong_type",
        "/properties/products/0/quantity",
    ),
    (
        {"userId": "u", "event": "Order Completed", "properties": {"products": {"0": {}}}},
        "wrong_type",
        "/properties/products",
    ),
    (
        {"userId": "u", "event": "Order Completed", "properties": {"currency": "€"}},
        "wrong_type",
        "/properties/currency",
    ),
    ({"userId": "u", "type": "surprise"}, "unknown_type", "/type"),
    ({"userId": "u", "type": ["track"]}, "unknown_type", "/type"),
    ("text", "wrong_type", ""),
    (None, "wrong_type", ""),
    ([[]], "wrong_type", ""),
]


@pytest.mark.parametrize(("event", "reason", "pointer"), HOSTILE)
def test_a_bad_event_is_refused_by_name_and_the_rest_is_kept(
    post: Any, db: Database, event: object, reason: str, pointer: str
) -> None:
    bad = {"type": "track", **event} if isinstance(event, dict) else event
    answer = post("/v1/batch", {"batch": [EVENT, bad, {**EVENT, "type": "page"}]})
    assert (answer.status_code, answer.json) == (200, {"success": True})
    assert stored(db) == ["Page Viewed", "Product Viewed"]
    ((found, pointers),) = refused(db)
    assert found == reason
    assert pointer in pointers


def test_a_bad_event_alone_is_400_and_kept_with_its_reason(post: Any, db: Database) -> None:
    answer = post("/v1/track", {"userId": "u", "properties": {"quantity": 1}})
    assert (answer.status_code, answer.mimetype) == (400, "application/problem+json")
    assert answer.json["reason"] == "no_name"
    assert answer.json["faults"][0]["pointer"] == "/event"
    assert refused(db) == [("no_name", ["/event"])]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"\xff\xfe\xff",
        b'{"batch": [NaN]}',
        b"[" * 100_000,
        b'{"batch":' + b"[" * 5000 + b"]" * 5000 + b"}",
        b'{"a": "' + b"x" * 500_000 + b'"}',
    ],
)
def test_what_is_no_json_is_400(post: Any, body: bytes) -> None:
    for path in ("/v1/batch", "/v1/track"):
        answer = post(path, body)
        assert (answer.status_code, answer.mimetype) == (400, "application/problem+json")


@pytest.mark.parametrize("calls", [None, {}, "x", 7])
def test_a_batch_that_is_no_list_is_400(post: Any, calls: object) -> None:
    answer = post("/v1/batch", {"batch": calls})
    assert answer.status_code == 400
    assert answer.json["faults"][0]["pointer"] == "/batch"


def test_what_unpacks_to_too_much_is_400_and_never_unpacked(post: Any) -> None:
    bomb = gzip.compress(b"0" * 400_000_000)
    assert len(bomb) < 500_000
    assert post("/v1/batch", bomb, Content_Encoding="gzip").status_code == 400


@pytest.mark.parametrize(
    "body", [b"no gzip", gzip.compress(b"{}" * 100)[:-9], b""], ids=["other", "cut short", "empty"]
)
def test_a_broken_package_is_400(post: Any, body: bytes) -> None:
    assert post("/v1/batch", body, Content_Encoding="gzip").status_code == 400


def test_hostile_words_are_only_words(post: Any, db: Database) -> None:
    words = [
        "'; DROP TABLE events; --",
        "<script>alert(1)</script>",
        "=HYPERLINK(1)",
        "{{7*7}}",
        "../../etc/passwd",
        "%s",
    ]
    batch = [{**EVENT, "event": word, "userId": word, "properties": {word: word}} for word in words]
    assert post("/v1/batch", {"batch": batch}).status_code == 200
    assert stored(db) == sorted(words)


def test_only_post_takes_events(client: FlaskClient) -> None:
    assert client.get("/v1/track").status_code == 405


# -------------------------------------------------------------------------------------------- CORS, settings
@pytest.mark.parametrize(
    "path", ["/v1/t", "/v1/batch", "/beacon/v1/batch", "/v1/projects/KEY/settings", "/sourceConfig/"]
)
def test_a_preflight_is_granted_as_asked(client: FlaskClient, path: str) -> None:
    asked = "anonymousid, authorization, content-type, sentat, x-retry-count"
    answer = client.options(path, headers={"Origin": "https://shop.example", "Access-Control-Request-Headers": asked})
    assert answer.status_code == 204
    assert answer.headers["Access-Control-Allow-Origin"] == "https://shop.example"
    assert answer.headers["Access-Control-Allow-Headers"] == asked
    assert answer.headers["Access-Control-Allow-Credentials"] == "true"
    assert "Access-Control-Max-Age" in answer.headers


def test_a_page_may_read_answers_and_errors(post: Any, client: FlaskClient) -> None:
    origin = {"Origin": "https://shop.example"}
    assert post("/v1/track", EVENT, **origin).headers["Access-Control-Allow-Origin"] == "https://shop.example"
    for answer in (post("/v1/track", b"{", **origin), client.post("/v1/track", json=EVENT, headers=origin)):
        assert answer.headers["Access-Control-Allow-Origin"] == "https://shop.example"


def test_other_paths_stay_closed_to_other_origins(client: FlaskClient) -> None:
    answer = client.options("/v1/customers/u", headers={"Origin": "https://evil.example"})
    assert "Access-Control-Allow-Origin" not in answer.headers


def test_browser_sdks_are_told_the_callers_own_key(client: FlaskClient, key: str) -> None:
    segment = client.get(f"/v1/projects/{key}/settings").json
    assert segment["integrations"]["Segment.io"]["apiKey"] == key
    assert segment["integrations"]["Segment.io"]["apiHost"] == "localhost/v1"
    assert client.get(f"/sourceConfig/?writeKey={key}").json["source"]["writeKey"] == key
    assert client.get("/v1/projects/nobody/settings").status_code == 401
    assert client.get("/sourceConfig/").status_code == 401
