"""`POST /v1/campaigns/{name}/preview`: what a given customer would get, by the parsing of the console and of files."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from campaigns import plans, tables
from foundation.database import Database
from tests.app.conftest import NOW
from tests.campaigns import journey, world

Call = Callable[..., Any]
NAME = "{{ customer.first_name }}"
WORDS = {
    "en": {
        "subject": "Hello {{ customer.first_name }}",
        "heading": "Hello",
        "intro": "Your basket waits, {{ customer.first_name }}.",
    },
    "fr": {"subject": "Bonjour {{ customer.first_name }}", "heading": "Bonjour", "intro": "Votre panier vous attend."},
}
STEPS = [
    {"type": "send", "id": "mail", "words": WORDS},
    {"type": "send", "id": "text", "channel": "sms", "words": WORDS},
    {"type": "send", "id": "push", "channel": "push", "words": WORDS},
    {"type": "send", "id": "best", "channel": "best", "words": WORDS},
    {
        "type": "send",
        "id": "chat",
        "channel": "whatsapp",
        "template": {"name": "ready", "values": ["{{ customer.first_name }}"]},
    },
    {"type": "set_trait", "id": "tag", "trait": "tag", "value": "x"},
]
LEFT_CART = {"type": "cart_abandoned", "delay": "1h"}


@pytest.fixture(name="preview")
def _preview(db: Database, call: Call) -> Call:
    """Camille has a basket, and a campaign would write to her."""
    with db.begin() as conn:
        world.stock_shop(conn, now=NOW)
        world.make_customer(conn, "camille", at=NOW - timedelta(hours=2), first_name="Camille", phone="+33612345678")
        world.leave_cart(conn, "camille", at=NOW - timedelta(hours=1), products=("sel",))
        plans.create(conn, "relance", definition={"title": "Relance", "entry": LEFT_CART, "steps": STEPS}, now=NOW)

    def ask(name: str = "relance", **body: object) -> Any:
        return call("POST", f"/v1/campaigns/{name}/preview", body)

    return ask


def test_a_customer_s_mail_is_shown_in_her_language_with_her_basket(preview: Call, db: Database) -> None:
    told = preview(customer="camille").json
    where = [told[name] for name in ("campaign", "step", "channel", "customer")]
    assert where == ["relance", "mail", "email", "camille"]
    assert told["subject"] == "Bonjour Camille" and "Votre panier vous attend" in told["text"]
    assert "<html" in told["html"] and "List-Unsubscribe" in told["details"]
    with db.begin() as conn:
        for table in (tables.messages, tables.message_contents, tables.enrolments):
            assert conn.scalar(sa.select(sa.func.count()).select_from(table)) == 0, "nothing is kept"
    assert "Fleur de sel" in told["text"], "what she left"
    assert preview(customer="camille", locale="en").json["subject"] == "Hello Camille"


@pytest.mark.parametrize("step", ["text", "push", "chat"])
def test_every_other_channel_is_shown_as_it_carries_it(preview: Call, step: str) -> None:
    told = preview(customer="camille", step=step).json
    assert told["html"] is None and told["step"] == step
    match step:
        case "text":
            assert told["channel"] == "sms" and "STOP" in told["details"]["closing"] and told["text"]
        case "push":
            assert told["subject"] == "Bonjour" and told["details"]["actions"]
        case "chat":
            assert told["details"]["template"] == "ready" and told["details"]["values"] == ["Camille"]


def test_the_best_channel_is_hers(preview: Call) -> None:
    assert preview(customer="camille", step="best").json["channel"] == "email"
    assert preview(step="best", definition=_said({"first_name": "x"})).status_code == 422


def _said(extra: dict[str, Any] | None = None, *, steps: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    return {"name": "relance", "title": "Other", "entry": LEFT_CART, "steps": steps or STEPS[:1], **(extra or {})}


def test_a_campaign_not_kept_yet_is_read_as_a_file_is(preview: Call, db: Database) -> None:
    other = journey.send("other") | {"words": {"en": WORDS["en"] | {"subject": "Not yet kept"}}}
    assert preview(customer="camille", definition=_said(steps=[other])).json["subject"] == "Not yet kept"
    with db.begin() as conn:
        assert plans.get(conn, "relance").definition.title == "Relance"


@pytest.mark.parametrize(
    ("body", "status", "place"),
    [
        ({"customer": "nobody"}, 404, None),
        ({"step": "tag"}, 409, "no_message"),
        ({"step": "none"}, 409, "no_message"),
        ({"step": "mail"}, 409, "cannot_be_written"),
        ({"locale": "de"}, 422, "/locale"),
        ({"colour": "red"}, 422, "/colour"),
        ({"definition": _said({"name": "another"})}, 422, "/definition/name"),
        ({"definition": _said({"entry": {"type": "cart_abandoned", "delay": "soon"}})}, 422, "/definition/entry/delay"),
        ({"definition": _said(steps=[STEPS[0] | {"offer": "NONE"}])}, 422, "/definition/steps/0/offer"),
        ({"definition": _said(steps=[STEPS[0] | {"words": {"en": {"subject": "{{ 1 / 0 }}"}}}])}, 422, "/definition"),
    ],
)
def test_what_cannot_be_shown_is_refused_with_its_place(preview: Call, body: Any, status: int, place: str) -> None:
    refused = preview(**body)
    assert refused.status_code == status and refused.mimetype == "application/problem+json"
    if status == 409:
        assert refused.json["reason"] == place
    if status == 422:
        assert any(fault["pointer"].startswith(place) for fault in refused.json["faults"]), refused.json


def test_only_a_secret_key_may_look_and_only_at_what_there_is(preview: Call, make_key: Call, client: Any) -> None:
    assert preview("none").status_code == 404
    for headers in ({}, {"Authorization": f"Bearer {make_key('write')}"}):
        assert client.post("/v1/campaigns/relance/preview", json={}, headers=headers).status_code in (401, 403)


def test_every_call_of_the_interface_is_described(client: Any) -> None:
    """What programs are written against, route by route."""
    paths = client.get("/v1/openapi.json").json["paths"]
    wanted = {
        "/v1/recommendations": ["get"], "/v1/products": ["put"], "/v1/stores": ["put"], "/v1/stock": ["put"],
        "/v1/customers/{customer}": ["get", "delete"], "/v1/customers/{customer}/timeline": ["get"],
        "/v1/customers/{customer}/consents": ["put"], "/v1/customers/{customer}/export": ["get"],
        "/v1/promo-codes/{code}/validate": ["post"], "/v1/promo-codes/{code}/redeem": ["post"],
        "/v1/promo-codes/{code}/release": ["post"], "/v1/carts/{cart}": ["get"], "/v1/onsite": ["get"],
        "/v1/push/subscriptions": ["post"], "/v1/campaigns/{campaign}/preview": ["post"],
    }  # fmt: skip
    assert {path: [verb for verb in verbs if verb in paths.get(path, ())] for path, verbs in wanted.items()} == wanted
