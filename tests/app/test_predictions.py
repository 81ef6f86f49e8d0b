"""What is expected of customers, as people and programs read it."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient

from app import parts
from foundation.database import Database
from recommender.tables import customer_predictions, prediction_runs
from shop import consent
from tests.app import console_world

NOW = datetime.now(UTC)
EXPECTED = {
    "as_of": NOW,
    "next_order_at": NOW + timedelta(days=9),
    "order_probability_30d": 0.97,
    "churn_risk": 0.02,
    "expected_value_12m": 230_000,
    "currency": "EUR",
    "favourite_category": "Kitchen > Pots",
    "favourite_channel": "store",
    "favourite_hour": 18,
    "favourite_weekday": 6,
}
GROUPS = [
    {"customers": 40, "by": n / 10, "foretold": n / 10, "came": n / 10 + (0.02 if n % 2 else -0.02) + 0.02}
    for n in range(10)
]
CHECK = {"days": 30, "customers": 400, "foretold": 0.45, "came": 0.46, "gap": 0.02, "skill": 0.31, "groups": GROUPS}


@pytest.fixture
def foretold(db: Database, ada: int) -> int:
    """Ada, with predictions."""
    with db.begin() as conn:
        conn.execute(sa.insert(customer_predictions).values(customer_id=ada, **EXPECTED))
    return ada


@pytest.fixture
def ines(client: FlaskClient, installation: parts.Parts) -> FlaskClient:
    """An administrator, signed in."""
    console_world.make_user(installation, role="admin")
    client.get("/console/sign-in")
    token = client.get("/console/sign-in").text.split('name="csrf_token" value="')[1].split('"')[0]
    signed_in = {"email": console_world.EMAIL, "password": console_world.PASSWORD, "csrf_token": token}
    assert client.post("/console/sign-in", data=signed_in).status_code == 303
    return client


def run(db: Database, **values: object) -> None:
    row = {
        "as_of": NOW,
        "finished_at": NOW,
        "basis": "fitted",
        "parameters": {"currency": "EUR"},
        "calibration": {},
        "customers": 2469,
        "written": 12,
    }
    with db.begin() as conn:
        conn.execute(sa.insert(prediction_runs).values(row | values))


def test_the_record_of_a_customer_holds_her_predictions(call: Callable[..., Any], foretold: int) -> None:
    said = call("GET", "/v1/customers/ada").json["predictions"]
    assert said["expected_value_12m"] == 2300.0
    assert (said["currency"], said["churn_risk"], said["favourite_weekday"]) == ("EUR", 0.02, 6)
    assert "customer_id" not in said


def test_who_has_not_ordered_or_refuses_has_none(call: Callable[..., Any], db: Database, foretold: int) -> None:
    with db.begin() as conn:
        consent.withdraw(conn, foretold, channel="any", purpose="personalization", source="test", now=NOW)
    assert call("GET", "/v1/customers/ada").json["predictions"] is None


def test_the_page_of_a_customer_says_what_to_expect_and_what_she_likes(ines: FlaskClient, foretold: int) -> None:
    page = ines.get(f"/console/customers/{foretold}").text
    assert "€2,300" in page and "97%" in page
    assert "Kitchen &gt; Pots" in page and "Saturday, around 18:00" in page


def test_the_page_of_a_customer_without_orders_says_what_is_needed(ines: FlaskClient, ada: int) -> None:
    assert "Not enough orders yet" in ines.get(f"/console/customers/{ada}").text


def test_the_page_of_a_customer_who_refuses_says_so(ines: FlaskClient, db: Database, foretold: int) -> None:
    with db.begin() as conn:
        consent.withdraw(conn, foretold, channel="any", purpose="personalization", source="test", now=NOW)
    assert "nothing is foretold" in ines.get(f"/console/customers/{foretold}").text


def test_before_the_first_run_the_page_says_when_it_is(ines: FlaskClient) -> None:
    assert "The first run is tonight" in ines.get("/console/predictions").text


def test_each_prediction_stands_beside_what_came(ines: FlaskClient, db: Database) -> None:
    value = CHECK | {"foretold": 63_407, "came": 63_025, "gap": 20_000.0, "days": 122}
    hits = {"days": 122, "orders": 5000, "share": 0.31, "same_for_all": 0.246}
    none = hits | {"share": 0.894, "same_for_all": 0.896}
    checks = {"order_probability_30d": CHECK, "next_order_at": CHECK, "churn_risk": CHECK, "expected_value_12m": value}
    run(db, calibration=checks | {"favourite_category": hits, "favourite_channel": none})
    page = ines.get("/console/predictions").text
    assert "give or take 2.0 points" in page
    assert "45.0% were expected to order within 30 days; 46.0% did" in page
    assert "€634.07 was expected of a customer in the 122 days that followed; €630.25 came" in page
    assert page.count('class="pt c1"') == 40
    assert page.count("Holds") == 3 and "Does not hold" in page
    assert page.count("Better than the same for all") == 1 and "No better than the same for all" in page


@pytest.mark.parametrize(
    ("basis", "missing", "words"),
    [
        ("none", [{"what": "customers", "have": 9, "need": 30}], "9 of 30 customers who ordered"),
        ("shop_rates", [{"what": "days", "have": 45, "need": 90}], "45 of 90 days since the first order"),
        ("shop_rates", [], "no better than one figure for all"),
    ],
)
def test_what_is_missing_is_named(
    ines: FlaskClient, db: Database, basis: str, missing: list[dict[str, Any]], words: str
) -> None:
    run(db, basis=basis, missing=missing)
    assert words in ines.get("/console/predictions").text
