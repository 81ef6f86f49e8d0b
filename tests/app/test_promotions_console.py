"""Offers in the console: listed, written by form, followed through the life of their codes, filled from a file."""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from io import BytesIO
from typing import Any
from uuid import uuid4

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient

from app import parts
from app.console import offer_forms
from campaigns import conversions, dry_runs, offer_figures, offers, plans, promotions, redeeming, tables
from campaigns.definitions import offers as definitions
from campaigns.dry_runs import DryRun
from campaigns.verdicts import Basket, Line
from foundation.database import Database
from tests.app import console_world
from tests.app.console_world import Day, post
from tests.campaigns import world

TEN: dict[str, Any] = {"name": "TEN", "kind": "percentage", "value": 1000, "prefix": "AUBIER"}
FORM = {
    "/name": "SPRING",
    "/kind": "amount",
    "/value": "5,00",
    "/currency": "eur",
    "/minimum": "30",
    "/valid_days": "10",
    "/ends_at": "2030-03-31",
    "/channels/store": "on",
    "/once_per_customer": "on",
    "/codes": "made",
    "/alert_below": "100",
    "/when_empty": "skip",
    "/product": "",
    "/fallback": "",
    "/stores": "",
}


@pytest.fixture
def day(installation: parts.Parts, enter: Callable[..., FlaskClient]) -> Day:
    enter("admin")
    return console_world.live(installation)


def page(client: FlaskClient, path: str) -> str:
    answer = client.get(path)
    assert answer.status_code == 200, answer.text
    return str(answer.get_data(as_text=True))


def test_an_offer_is_written_by_form_and_shown(client: FlaskClient, day: Day, db: Database) -> None:
    assert "A new offer" in page(client, "/console/promotions/-/new")
    answer = post(client, "/console/promotions/-/new", FORM)
    assert answer.status_code == 303 and answer.headers["Location"].endswith("/console/promotions/SPRING")
    with db.begin() as conn:
        terms = offers.get(conn, "SPRING").terms
    assert (terms.kind, terms.value, terms.minimum, terms.channels) == ("amount", 500, 3000, ("store",))
    assert terms.ends_at == datetime(2030, 4, 1, tzinfo=UTC), "the last day belongs to it"
    shown = page(client, "/console/promotions/SPRING")
    assert "no code has been used yet" in shown and "€5.00 off from €30.00" in shown
    assert 'value="2030-03-31"' in page(client, "/console/promotions/SPRING/edit")


def test_each_fault_stands_beside_its_field_and_nothing_is_kept(client: FlaskClient, day: Day, db: Database) -> None:
    wrong = {**FORM, "/value": "a lot", "/kind": "gift", "/when_empty": "fallback", "/stores": "nowhere"}
    answer = post(client, "/console/promotions/-/new", wrong)
    assert answer.status_code == 422
    for field in ("/value",):
        assert f'id="{field}-fault"' in answer.text
    fixed = {**wrong, "/value": ""}
    answer = post(client, "/console/promotions/-/new", fixed)
    assert all(f'id="{field}-fault"' in answer.text for field in ("/product", "/fallback"))
    again = post(client, "/console/promotions/-/new", {**FORM, "/name": "WELCOME-BACK"})
    assert again.status_code == 422 and "another offer already" in again.text
    with db.begin() as conn:
        assert [kept.name for kept in offers.every(conn)] == ["WELCOME-BACK"]


def test_what_holders_would_lose_is_refused_at_its_field(client: FlaskClient, day: Day) -> None:
    form = {name: text for name, text in offer_form(client).items() if text}
    answer = post(client, "/console/promotions/WELCOME-BACK/edit", {**form, "/minimum": "500"})
    assert answer.status_code == 422 and 'id="/minimum-fault"' in answer.text
    kinder = post(client, "/console/promotions/WELCOME-BACK/edit", {**form, "/value": "15", "/valid_days": "9"})
    assert kinder.status_code == 303


def offer_form(client: FlaskClient) -> dict[str, str]:
    """The form of the campaign's offer as it stands."""
    with client.application.app_context():
        with parts.current_parts().db.begin() as conn:
            return dict(offer_forms.of_offer(offers.get(conn, "WELCOME-BACK").terms, zone=UTC).values)


def test_the_life_of_codes_leaks_and_refusals_are_on_its_page(client: FlaskClient, day: Day, db: Database) -> None:
    now = datetime.now(UTC)
    with db.begin() as conn:
        offer = offers.get(conn, "WELCOME-BACK")
        bea = world.make_customer(conn, "bea", at=now, first_name="Béatrice", last_name="Roy")
        code = promotions.reserve(conn, offer, {bea: uuid4()}, zone=UTC, now=now)[bea]
        basket = Basket("EUR", (Line("cocotte", 1, 18900),), "camille", "store", "lyon")
        redeeming.redeem(conn, code.code, basket, order_id="S-9", channel="store", now=now)
        redeeming.refused(conn, code.code, basket, order_id="S-10", channel="store", reason="used", now=now)
    conversions.credit_new_orders(db, now=now)
    offer_figures.keep_up(db, now=now + timedelta(seconds=1))
    shown = page(client, "/console/promotions/WELCOME-BACK")
    for said in (
        "Béatrice Roy",
        "S-9",
        "S-10",
        "1 code leaked",
        "This code has been used already.",
        "lyon",
        code.shown,
    ):
        assert said in shown, said
    assert "1 leaked" in page(client, "/console/promotions")


FORECAST = "/console/promotions/WELCOME-BACK/forecast"


def _runs(db: Database) -> list[DryRun]:
    with db.begin() as conn:
        return dry_runs.forecasts(conn, [plans.get(conn, "cart-relaunch").id])


def test_what_codes_are_needed_is_replayed_by_a_job_that_is_asked_once(
    client: FlaskClient, day: Day, db: Database
) -> None:
    asked = post(client, FORECAST)
    assert asked.status_code == 200 and "being replayed" in asked.text and "they are made here" not in asked.text
    assert 'hx-trigger="every 1s"' in page(client, FORECAST), "the page asks again until it is made"
    post(client, FORECAST)
    assert [run.state for run in _runs(db)] == ["asked"]
    now = datetime.now(UTC)
    while dry_runs.run_due(db, now=now):
        pass
    replayed = page(client, FORECAST)
    assert "they are made here" in replayed and "cart-relaunch" in replayed and "hx-trigger" not in replayed
    assert "hx-trigger" not in post(client, FORECAST).text and len(_runs(db)) == 1, "an hour long it is not made again"
    with db.begin() as conn:
        assert dry_runs.last(conn, plans.get(conn, "cart-relaunch")) is None, "the dry run somebody asks for is another"
        plan = plans.get(conn, "cart-relaunch")
        dry_runs.foretell(conn, plan, days=30, by="", now=now + 2 * dry_runs.FRESH)
    assert [run.state for run in _runs(db)] == ["asked", "done"]
    again = page(client, FORECAST)
    assert "they are made here" in again and 'hx-trigger="every 1s"' in again, "the last figures stay meanwhile"


def test_a_forecast_that_failed_says_so_and_is_asked_for_again(client: FlaskClient, day: Day, db: Database) -> None:
    post(client, FORECAST)
    with db.begin() as conn:
        conn.execute(sa.update(tables.campaign_dry_runs).values(state="failed"))
    told = page(client, FORECAST)
    assert "It could not be made" in told and "hx-trigger" not in told
    assert "being replayed" in post(client, FORECAST).text
    assert [run.state for run in _runs(db)] == ["asked", "failed"]


def test_a_pool_is_filled_from_a_file_with_its_report(client: FlaskClient, day: Day, db: Database) -> None:
    with db.begin() as conn:
        offers.create(conn, definitions.parse({**TEN, "codes": "pool", "prefix": ""}), now=datetime.now(UTC))
    assert "the pool is empty" in page(client, "/console/promotions")
    page_ = client.get("/console/promotions/TEN").text
    token = page_.split('name="csrf_token" value="')[1].split('"')[0]
    data = {"csrf_token": token, "file": (BytesIO(b"code\nSUN-0001\nSUN-0002\nx\n"), "../codes.csv")}
    sent = client.post("/console/promotions/TEN/codes", data=data, content_type="multipart/form-data")
    assert sent.status_code == 303
    for _ in range(100):
        if "2 codes added" in (told := page(client, "/console/promotions/TEN/codes")):
            break
        time.sleep(0.05)
    assert "1 refused" in told and "must have at least 4 letters and digits" in told and "codes.csv" in told
    assert "2 codes are left in the pool" in page(client, "/console/promotions")


def test_a_shop_may_look_and_not_change(enter: Callable[..., FlaskClient], installation: parts.Parts) -> None:
    client = enter("store")
    with installation.db.begin() as conn:
        offers.create(conn, definitions.parse(TEN), now=datetime.now(UTC))
    assert "New offer" not in page(client, "/console/promotions")
    assert "Change the offer" not in page(client, "/console/promotions/TEN")
    assert client.get("/console/promotions/-/new").status_code == 403
    assert client.get("/console/promotions/NONE").status_code == 404


def test_a_shop_sees_no_list_of_customers(
    client: FlaskClient, day: Day, db: Database, installation: parts.Parts
) -> None:
    now = datetime.now(UTC)
    with db.begin() as conn:
        offer = offers.get(conn, "WELCOME-BACK")
        bea = world.make_customer(conn, "bea", at=now, first_name="Béatrice", last_name="Roy")
        code = promotions.reserve(conn, offer, {bea: uuid4()}, zone=UTC, now=now)[bea]
        basket = Basket("EUR", (Line("cocotte", 1, 18900),), "camille", "store", "lyon")
        redeeming.redeem(conn, code.code, basket, order_id="S-9", channel="store", now=now)
        redeeming.refused(conn, code.code, basket, order_id="S-10", channel="store", reason="used", now=now)
    conversions.credit_new_orders(db, now=now)
    offer_figures.keep_up(db, now=now + timedelta(seconds=1))
    assert "Béatrice Roy" in page(client, "/console/promotions/WELCOME-BACK")
    console_world.make_user(installation, role="store", email="shop@aubier.example")
    login = {"email": "shop@aubier.example", "password": console_world.PASSWORD}
    assert post(client, "/console/sign-in", login).status_code == 303
    shown = page(client, "/console/promotions/WELCOME-BACK")
    assert "The life of its codes" in shown
    for hidden in ("Béatrice Roy", "Camille", code.shown, "S-9", "S-10", "/console/customers/"):
        assert hidden not in shown, hidden


def test_a_form_and_its_offer_say_the_same() -> None:
    given = {
        **TEN, "value": 1250, "minimum": 1999, "budget": 100_000, "margin_floor": 1550, "categories": ["A", "B > C"],
        "channels": ["store", "web"], "stackable": True, "starts_at": "2026-12-01T00:00:00Z",
        "ends_at": "2026-12-25T00:00:00Z", "when_empty": "fallback", "fallback": "HELLO-5",
    }  # fmt: skip
    offer = definitions.parse(given)
    form = offer_forms.of_offer(offer, zone=UTC)
    assert offer_forms.parse(form.values, zone=UTC) == offer.model_copy(update={"channels": ("web", "store")})
