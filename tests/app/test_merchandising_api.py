"""`/v1/merchandising/rules`: read, replaced, refused by place."""

from collections.abc import Callable
from typing import Any

import pytest
from flask.testing import FlaskClient

from foundation.database import Database
from recommender import merchandising

PATH = "/v1/merchandising/rules"
WINTER = {"name": "Winter", "action": "boost", "enabled": True, "strength": 2.0, "brands": ["Aubier"]}
SPIRITS = {"name": "No spirits", "action": "exclude", "enabled": True, "categories": ["Cellar"], "channels": ["email"]}


def test_what_is_put_is_given_back_in_its_order(call: Callable[..., Any], db: Database) -> None:
    assert call("GET", PATH).get_json() == {"rules": []}
    assert call("PUT", PATH, {"rules": [SPIRITS, WINTER]}).get_json() == {"rules": [SPIRITS, WINTER]}
    put = call("PUT", PATH, call("GET", PATH).get_json())
    assert put.status_code == 200 and put.get_json() == {"rules": [SPIRITS, WINTER]}
    with db.begin() as conn:
        assert {change.by for change in merchandising.history(conn)} == {"API key of back office"}
        assert len(merchandising.history(conn)) == 2
    assert call("PUT", PATH, {"rules": []}).get_json() == {"rules": []}


@pytest.mark.parametrize(
    ("body", "pointers"),
    [
        ({"rules": [WINTER, {"action": "boost"}]}, ["/rules/1/name", "/rules/1/strength"]),
        ({"rules": [WINTER | {"colour": "red"}]}, ["/rules/0/colour"]),
        ({"rules": "all"}, ["/rules"]),
        ({}, ["/rules"]),
    ],
)
def test_a_fault_is_named_by_its_place_and_keeps_everything_as_it_was(
    call: Callable[..., Any], body: object, pointers: list[str]
) -> None:
    call("PUT", PATH, {"rules": [SPIRITS]})
    refused = call("PUT", PATH, body)
    assert refused.status_code == 422
    assert sorted(fault["pointer"] for fault in refused.get_json()["faults"]) == pointers
    assert call("GET", PATH).get_json() == {"rules": [SPIRITS]}


def test_only_a_secret_key_may(client: FlaskClient, make_key: Callable[..., str]) -> None:
    headers = {"Authorization": f"Bearer {make_key('write')}"}
    assert client.get(PATH, headers=headers).status_code == 403
    assert client.put(PATH, headers=headers, json={"rules": []}).status_code == 403
