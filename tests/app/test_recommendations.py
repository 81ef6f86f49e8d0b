"""`GET /v1/recommendations`: what a server may ask, and what every visitor's browser may."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient

from app import rate_limits
from foundation.database import Database, new_id
from shop import tables

PATH = "/v1/recommendations"


@pytest.fixture
def goods(db: Database) -> None:
    """Three products; Ann bought the pan three times and looks at the pot by her anonymous id."""
    now = datetime.now(UTC)
    with db.begin() as conn:
        for product_id in ("pan", "pot", "lid"):
            row = {"product_id": product_id, "title": product_id.title(), "price": 1999, "currency": "EUR"}
            conn.execute(sa.insert(tables.products).values(**row, created_at=now, updated_at=now))
        ann = conn.execute(
            sa.insert(tables.customers)
            .values(user_id="ann", created_at=now, updated_at=now)
            .returning(tables.customers.c.id)
        ).scalar_one()
        for kind, value in (("user_id", "ann"), ("anonymous_id", "browser-1")):
            identity = {"kind": kind, "value": value, "customer_id": ann, "origin_id": ann, "first_seen_at": now}
            conn.execute(sa.insert(tables.identities).values(identity))
        for number, at in enumerate(now - timedelta(days=days) for days in (60, 40, 20)):
            order = {
                "order_id": f"o{number}",
                "customer_id": ann,
                "origin_id": ann,
                "ordered_at": at,
                "received_at": at,
            }
            conn.execute(sa.insert(tables.orders).values(**order, state="completed", channel="store", total=1))
            line = {"order_id": f"o{number}", "line": 0, "customer_id": ann, "ordered_at": at, "product_id": "pan"}
            conn.execute(sa.insert(tables.order_lines).values(**line, quantity=1))
        event = {"key": new_id(), "customer_id": ann, "origin_id": ann, "name": "Product Viewed", "product_id": "pot"}
        moment = {"occurred_at": now, "received_at": now, "source_id": 1, "channel": "web"}
        conn.execute(sa.insert(tables.events).values(**event, **moment, properties={}, context={}))


@pytest.fixture
def ask(client: FlaskClient, make_key: Callable[..., str], goods: None) -> Callable[..., object]:
    """Asks with a key of a kind; gives the status and the answer."""
    keys = {kind: make_key(kind, name=f"{kind} key") for kind in ("secret", "write")}

    def get(query: str = "", *, kind: str = "secret") -> tuple[int, dict[str, object]]:
        answer = client.get(f"{PATH}?{query}", headers={"Authorization": f"Bearer {keys[kind]}"})
        return answer.status_code, answer.get_json()

    return get


class TestASecretKey:
    def test_gets_products_with_price_and_reason(self, ask) -> None:
        status, answer = ask("customer=ann&n=2")
        assert status == 200 and answer.keys() == {"slate_id", "model", "items"}
        first = answer["items"][0]
        assert first == {
            "product_id": "pan",
            "title": "Pan",
            "url": None,
            "image_url": None,
            "price": 19.99,
            "currency": "EUR",
            "reason": "You buy this about every 20\xa0days",
            "source": "history",
            "score": first["score"],
        }
        assert len(answer["items"]) == 2

    def test_gets_reasons_in_french(self, ask) -> None:
        assert ask("customer=ann&locale=fr")[1]["items"][0]["reason"] == "Vous l’achetez environ tous les 20\xa0jours"

    def test_gets_what_all_want_for_someone_unknown(self, ask) -> None:
        status, answer = ask("customer=nobody")
        assert status == 200 and len(answer["items"]) == 3
        assert "history" not in {item["source"] for item in answer["items"]}

    def test_may_name_several_products_and_leave_several_out(self, ask) -> None:
        _, answer = ask("placement=cart&product=pan&product=pot")
        assert [item["product_id"] for item in answer["items"]] == ["lid"]
        _, answer = ask("exclude=pan&exclude=lid")
        assert [item["product_id"] for item in answer["items"]] == ["pot"]

    @pytest.mark.parametrize(
        ("query", "pointer"),
        [
            ("n=0", "/n"),
            ("n=many", "/n"),
            ("n=1000", "/n"),
            ("n=1&n=2", "/n"),
            ("colour=red", "/colour"),
            ("customer=", "/customer"),
            ("customer=%00", "/customer"),
            ("placement=Home%20page", "/placement"),
            ("locale=de", "/locale"),
        ],
    )
    def test_is_told_what_cannot_be_read(self, ask, query: str, pointer: str) -> None:
        status, problem = ask(query)
        assert status == 422 and [fault["pointer"] for fault in problem["faults"]] == [pointer]


class TestAWriteKey:
    def test_gets_nothing_that_tells_what_was_bought(self, ask) -> None:
        _, answer = ask("anonymous=browser-1", kind="write")
        first = answer["items"][0]
        assert first["reason"] == "Chosen for you" and first["source"] == "chosen" and first["score"] == 0
        assert "bought" not in str(answer) and "history" not in str(answer)

    def test_cannot_ask_about_a_customer_by_an_id_one_may_guess(self, ask) -> None:
        _, named = ask("customer=ann", kind="write")
        _, unnamed = ask("", kind="write")
        for answer in (named, unnamed):
            assert {item["product_id"] for item in answer["items"]} == {"pan", "pot", "lid"}
            assert {item["source"] for item in answer["items"]} <= {"popularity", "new", "explore"}

    @pytest.mark.parametrize(("placement", "status"), [("home", 200), ("product", 200), ("cart", 200), ("email", 403)])
    def test_asks_for_what_a_page_shows(self, ask, placement: str, status: int) -> None:
        assert ask(f"placement={placement}", kind="write")[0] == status

    def test_may_be_used_by_pages_of_any_site(self, client: FlaskClient) -> None:
        asked = {"Origin": "https://shop.example", "Access-Control-Request-Headers": "authorization"}
        answer = client.options(PATH, headers=asked)
        assert answer.status_code == 200
        assert answer.headers["Access-Control-Allow-Origin"] == "https://shop.example"
        assert answer.headers["Access-Control-Allow-Headers"] == "authorization"


def test_no_key_gets_nothing(client: FlaskClient) -> None:
    assert client.get(PATH).status_code == 401


class Exhausted(rate_limits.Buckets):
    """Nobody has anything left."""

    def take(self, name: str, *, per_second: float, burst: float) -> bool:
        return False


class TestTheDoor:
    """A key given as Basic is let in by the view alone, so that both ways can be compared."""

    @pytest.mark.parametrize("origin", [{}, {"Origin": "https://shop.example"}])
    @pytest.mark.parametrize(
        "query", ["customer=ann&placement=store", "placement=store&product=p%C3%A2n&n=2&exclude=lid"]
    )
    def test_answers_as_the_view_does(
        self, client: FlaskClient, make_key: Callable[..., str], goods: None, query: str, origin: dict[str, str]
    ) -> None:
        key = make_key("secret", name="shop")
        by_door = client.get(f"{PATH}?{query}", headers={"Authorization": f"Bearer {key}", **origin})
        by_view = client.get(f"{PATH}?{query}", auth=(key, ""), headers=origin)
        assert by_door.status_code == by_view.status_code == 200
        assert by_door.json["items"] == by_view.json["items"] != []
        assert sorted(by_door.headers) == sorted(by_view.headers)

    @pytest.mark.parametrize(
        ("query", "status"),
        [
            ("placement=nowhere", 422),
            ("n=0", 422),
            ("customer=%00", 422),
            ("customer=%ff", 200),
            ("customer=\u00e9", 200),
        ],
    )
    def test_leaves_what_is_out_of_order_to_the_view(self, ask, query: str, status: int) -> None:
        assert ask(query)[0] == status

    def test_lets_nobody_in_without_a_key_that_may_ask(self, client: FlaskClient, goods: None) -> None:
        for given in ("", "Bearer", "Bearer ", "Bearer nobody", "Digest x"):
            answer = client.get(PATH, headers={"Authorization": given})
            assert answer.status_code == 401 and answer.headers["WWW-Authenticate"] == "Bearer"

    def test_lets_nobody_in_who_asks_too_often(self, client: FlaskClient, make_key: Callable[..., str]) -> None:
        headers = {"Authorization": f"Bearer {make_key('secret', name='shop')}"}
        client.application.extensions["relance_buckets"] = Exhausted()
        assert client.get(PATH, headers=headers).status_code == 429
