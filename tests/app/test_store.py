"""The counter: whoever is named to the letter is shown, a code is used once, an agreement is kept with its proof."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from html import unescape

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient

from app import parts
from campaigns import offers, promotions
from campaigns.definitions.offers import Offer
from foundation.database import new_id
from shop import consent, stores
from tests.app import console_world
from tests.app.console_world import post
from tests.campaigns import world

NOW = datetime.now(UTC)
STORE = "/console/store"


@pytest.fixture
def assistant(enter: Callable[[str], FlaskClient], installation: parts.Parts) -> FlaskClient:
    """Somebody at a counter in Lyon, where Camille comes in; her card and her size are known."""
    then = NOW - timedelta(hours=2)
    with installation.db.begin() as conn:
        world.stock_shop(conn, now=then)
        known = {"first_name": "Camille", "last_name": "<b>Laurent", "card": "3760 0418 2291", "phone": "+33612345678"}
        world.make_customer(conn, "camille", at=then, consents=False, shoe_size="38", **known)
        world.leave_cart(conn, "camille", at=then)
        stores.put(conn, [{"store_id": "lyon", "name": "Lyon"}, {"store_id": "nantes", "name": "Nantes"}], now=then)
    client = enter("store")
    post(client, f"{STORE}/here", {"store": "lyon"}, on=STORE)
    return client


def _code(installation: parts.Parts, **changes: object) -> str:
    """A code of ten percent in Camille's hands."""
    with installation.db.begin() as conn:
        camille = conn.execute(sa.text("SELECT id FROM customers WHERE user_id = 'camille'")).scalar_one()
        terms = Offer(**{"name": "ten", "kind": "percentage", "value": 1000, "prefix": "TEN", **changes})
        offer = offers.create(conn, terms, now=NOW)
        message_id = new_id()
        held = promotions.reserve(conn, offer, {camille: message_id}, zone=UTC, now=NOW)
        promotions.issue(conn, [message_id], now=NOW)
        return held[camille].shown


@pytest.mark.parametrize(
    "named", ["3760 0418-2291", "CAMILLE@example.org", "camille", "+33 6 12 34 56 78", "0612345678"]
)
def test_whoever_is_named_to_the_letter_is_shown_with_her_basket(assistant: FlaskClient, named: str) -> None:
    raw = assistant.get(STORE, query_string={"q": named}).text
    page = unescape(raw)
    assert "Camille <b>Laurent" in page and "<b>Laurent" not in raw
    assert "shoe_size" in page and "38" in page
    assert "ca•••@example.org" in page and "camille@example.org</" not in page
    assert "Basket left online" in page and "/console/customers/" not in page


def test_compiled_programs_may_run_at_the_counter_alone(assistant: FlaskClient) -> None:
    there, elsewhere = (assistant.get(path).headers["Content-Security-Policy"] for path in (STORE, "/console/account"))
    assert "script-src 'self' 'wasm-unsafe-eval';" in there
    assert "unsafe-eval" not in elsewhere


@pytest.mark.parametrize("named", ["cami", "3760", "Laurent", "%", "' OR 1=1 --", "\0", "x" * 5000])
def test_half_a_name_shows_nobody(assistant: FlaskClient, named: str) -> None:
    answer = assistant.get(STORE, query_string={"q": named})
    assert answer.status_code == 200 and "Camille" not in answer.text


def test_a_code_is_worked_out_on_the_ticket_and_used_once(assistant: FlaskClient, installation: parts.Parts) -> None:
    code = _code(installation)
    page = unescape(assistant.get(STORE, query_string={"q": code.lower(), "total": "96,50"}).text)
    assert "Valid code" in page and "€86.85" in page
    sent = {"q": code, "total": "96,50", "ticket": "S-1"}
    post(assistant, f"{STORE}/redeem", sent, on=f"{STORE}?q={code}")
    assert "take €9.65 off" in unescape(assistant.get(STORE).text)
    post(assistant, f"{STORE}/redeem", sent | {"ticket": "S-2"}, on=STORE)
    with installation.db.begin() as conn:
        used = conn.execute(sa.text("SELECT order_id, store_id, discount FROM promo_redemptions")).all()
        refused = conn.execute(sa.text("SELECT order_id, reason FROM promo_refusals")).all()
    assert [tuple(row) for row in used] == [("S-1", "lyon", 965)]
    assert [tuple(row) for row in refused] == [("S-2", "used")]
    assert "used already" in unescape(assistant.get(STORE, query_string={"q": code}).text)


def test_what_is_missing_on_a_ticket_is_said(assistant: FlaskClient, installation: parts.Parts) -> None:
    code = _code(installation, minimum=5000)
    page = unescape(assistant.get(STORE, query_string={"q": code, "total": "37.60"}).text)
    assert "This code cannot be used" in page and "€12.40 more is needed" in page
    assert "Use the code on this ticket" not in page


def test_before_a_total_is_known_a_code_asks_for_it(assistant: FlaskClient, installation: parts.Parts) -> None:
    code = _code(installation, minimum=5000)
    with installation.db.begin() as conn:
        conn.execute(sa.text("DELETE FROM carts"))
    page = unescape(assistant.get(STORE, query_string={"q": code}).text)
    assert "What is the total of the ticket?" in page and 'name="total"' in page
    assert "This code cannot be used" not in page and "more is needed" not in page


def test_an_agreement_is_kept_with_the_words_the_shop_and_who_asked(
    assistant: FlaskClient, installation: parts.Parts
) -> None:
    said = {"q": "camille", "channel": "email", "state": "granted"}
    assert post(assistant, f"{STORE}/consent", said, on=f"{STORE}?q=camille").status_code == 422
    assert post(assistant, f"{STORE}/consent", said | {"shown": "yes", "q": "nobody"}, on=STORE).status_code == 422
    assert post(assistant, f"{STORE}/consent", said | {"shown": "yes"}, on=STORE).status_code == 303
    with installation.db.begin() as conn:
        camille = conn.execute(sa.text("SELECT id FROM customers WHERE user_id = 'camille'")).scalar_one()
        (proof,) = consent.history(conn, camille)
        stands = consent.standing(conn, camille)
    assert stands["email", "marketing"] == "granted"
    assert proof.source == "store" and "I agree to receive offers" in str(proof.text)
    assert proof.proof == {"store": "lyon", "asked_by": console_world.EMAIL}


def test_a_telephone_that_was_never_told_its_shop_asks_for_it(
    enter: Callable[[str], FlaskClient], installation: parts.Parts
) -> None:
    with installation.db.begin() as conn:
        stores.put(conn, [{"store_id": "lyon", "name": "Lyon"}, {"store_id": "nantes", "name": "Nantes"}], now=NOW)
    page = enter("store").get(STORE).text
    assert "Which shop?" in page and "Scan or type what the customer shows" in page
