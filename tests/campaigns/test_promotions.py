import threading
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
import sqlalchemy as sa

from campaigns import promotions, tables
from campaigns.promotions import Basket, Line, OfferTerms
from foundation.database import Database
from foundation.errors import Conflict, Invalid, NotFound
from tests.campaigns import world

BASKET = Basket("EUR", (Line("cocotte", 1, 18900), Line("sel", 2, 950)), "camille")


def a_code(conn: sa.Connection, now: datetime, **terms: object) -> tuple[promotions.Offer, promotions.Code]:
    values = {"name": "TEN", "kind": "percentage", "value": 1000, "prefix": "AUBIER"} | terms
    offer = promotions.find_offer(conn, str(values["name"])) or promotions.create_offer(
        conn,
        OfferTerms(**values),
        now=now,  # type: ignore[arg-type]
    )
    customer = world.make_customer(conn, f"u{uuid4().hex}", at=now)
    code = promotions.reserve(conn, offer, {customer: uuid4()}, zone=UTC, now=now)[customer]
    return offer, code


def test_a_customer_gets_one_code_an_offer_and_the_same_again(conn: sa.Connection, now: datetime) -> None:
    offer, _ = a_code(conn, now)
    customer = world.make_customer(conn, "camille", at=now)
    first = promotions.reserve(conn, offer, {customer: uuid4()}, zone=UTC, now=now)[customer]
    again = promotions.reserve(conn, offer, {customer: uuid4()}, zone=UTC, now=now + timedelta(days=1))[customer]
    assert again == first and first.expires_at == datetime(2026, 11, 28, 23, 59, 59, tzinfo=UTC)
    later = promotions.reserve(conn, offer, {customer: uuid4()}, zone=UTC, now=now + timedelta(days=30))[customer]
    assert later.code != first.code
    promotions.redeem(conn, later.code, BASKET, order_id="o", channel="web", now=now + timedelta(days=30))
    assert promotions.reserve(conn, offer, {customer: uuid4()}, zone=UTC, now=now + timedelta(days=31)) == {}


def test_the_discount_is_computed_on_the_whole_basket(conn: sa.Connection, now: datetime) -> None:
    _, code = a_code(conn, now)
    verdict = promotions.validate(conn, code.shown.lower(), BASKET, now=now)
    assert verdict.valid and verdict.discount == 2080 and verdict.offer and verdict.offer.name == "TEN"
    _, amount = a_code(conn, now, name="FIVE", kind="amount", value=500)
    assert promotions.validate(conn, amount.code, Basket("EUR", (Line("sel", 1, 300),)), now=now).discount == 300
    _, shipping = a_code(conn, now, name="SHIP", kind="free_shipping", value=0)
    assert promotions.validate(conn, shipping.code, BASKET, now=now).free_shipping


def test_each_refusal_says_why(conn: sa.Connection, now: datetime) -> None:
    offer, code = a_code(conn, now, minimum=5000)
    small = Basket("EUR", (Line("sel", 1, 950),))
    reasons = {
        "unknown": promotions.validate(conn, "AUBIER-0000-0000-00", BASKET, now=now),
        "minimum": promotions.validate(conn, code.code, small, now=now),
        "currency": promotions.validate(conn, code.code, Basket("USD", BASKET.lines), now=now),
        "expired": promotions.validate(conn, code.code, BASKET, now=now + timedelta(days=9)),
    }
    assert {word: verdict.reason for word, verdict in reasons.items()} == {word: word for word in reasons}
    for odd in ("", "\0", "'; DROP TABLE promo_codes; --", "é" * 500):
        assert promotions.validate(conn, odd, BASKET, now=now).reason == "unknown"


def test_the_same_order_again_gets_the_same_answer_and_another_order_none(conn: sa.Connection, now: datetime) -> None:
    _, code = a_code(conn, now)
    first = promotions.redeem(conn, code.code, BASKET, order_id="o1", channel="store", now=now)
    assert promotions.redeem(conn, code.code, BASKET, order_id="o1", channel="store", now=now) == first
    with pytest.raises(Conflict) as refused:
        promotions.redeem(conn, code.code, BASKET, order_id="o2", channel="web", now=now)
    assert refused.value.reason == "used"
    with pytest.raises(Conflict):
        promotions.release(conn, code.code, order_id="o2")
    promotions.release(conn, code.code, order_id="o1")
    promotions.release(conn, code.code, order_id="o1")
    assert promotions.redeem(conn, code.code, BASKET, order_id="o2", channel="web", now=now).valid
    with pytest.raises(NotFound):
        promotions.release(conn, "AUBIER-0000-0000-00", order_id="o2")


def test_sixteen_tills_at_once_use_a_code_once(db: Database, now: datetime) -> None:
    for round_ in range(4):
        with db.begin() as conn:
            _, code = a_code(conn, now)
        start, won = threading.Barrier(16), []

        def till(number: int, code: str = code.code, start: threading.Barrier = start, won: list[int] = won) -> None:
            start.wait()
            try:
                with db.begin() as conn:
                    promotions.redeem(conn, code, BASKET, order_id=f"{number}", channel="store", now=now)
                won.append(number)
            except Conflict:
                pass

        tills = [threading.Thread(target=till, args=(number,)) for number in range(16)]
        for one in tills:
            one.start()
        for one in tills:
            one.join()
        assert len(won) == 1, f"round {round_}"


def test_codes_of_messages_that_never_left_go_back(conn: sa.Connection, now: datetime) -> None:
    offer, code = a_code(conn, now)
    row = conn.execute(sa.select(tables.promo_codes)).mappings().one()
    promotions.release_reserved(conn, [row["message_id"]])
    assert promotions.validate(conn, code.code, BASKET, now=now).reason == "unknown"
    again = promotions.reserve(conn, offer, {row["customer_id"]: uuid4()}, zone=UTC, now=now)
    assert again[row["customer_id"]].code != code.code


def test_an_impossible_offer_is_refused_with_each_place(conn: sa.Connection, now: datetime) -> None:
    terms = OfferTerms(
        name="", kind="gift", value=-1, currency="E", prefix="A B", valid_days=0, ends_at=now, starts_at=now
    )
    with pytest.raises(Invalid) as refused:
        promotions.create_offer(conn, terms, now=now)
    places = {fault.pointer for fault in refused.value.faults}
    assert places == {"/name", "/kind", "/value", "/currency", "/prefix", "/valid_days", "/ends_at"}
