import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from campaigns import code_book, code_pool, conversions, offer_figures, offers, promotions, redeeming, tables, verdicts
from campaigns.definitions import offers as definitions
from campaigns.promo_tables import promo_redemptions, promo_refusals
from campaigns.verdicts import Around, Basket, Goods, Held, Line, Reason
from foundation.database import Database
from foundation.errors import Conflict, NotFound
from shop import catalogue, customers, stores
from tests.campaigns import world

BASKET = Basket("EUR", (Line("cocotte", 1, 18900), Line("sel", 2, 950)), "camille", "web")
TEN: dict[str, Any] = {"name": "TEN", "kind": "percentage", "value": 1000, "prefix": "AUBIER"}
DAY = timedelta(days=1)
NOW = datetime(2026, 11, 21, 10, 0, tzinfo=UTC)


def a_code(conn: sa.Connection, now: datetime, *, holder: str = "camille", **terms: object) -> str:
    """A code in somebody's hands."""
    if terms.get("stores"):
        stores.put(conn, [{"store_id": one} for one in terms["stores"]], now=now)  # type: ignore[attr-defined]
    if "product" in terms:
        world.stock_shop(conn, now=now)
    offer, _ = offers.put(conn, definitions.parse({**TEN, **terms}), now=now)
    customer = customers.find(conn, user_id=holder) or world.make_customer(conn, holder, at=now)
    message = uuid4()
    code = promotions.reserve(conn, offer, {customer: message}, zone=UTC, now=now)[customer]
    promotions.issue(conn, [message], now=now)
    return code.code


def why_not(conn: sa.Connection, code: str, basket: Basket, *, order_id: str = "o", channel: str = "web") -> str:
    with pytest.raises(Conflict) as refused:
        redeeming.redeem(conn, code, basket, order_id=order_id, channel=channel, now=NOW)
    return refused.value.reason


# ------------------------------------------------------------------------------------------------ what it takes off
def test_the_discount_is_computed_on_the_whole_basket(conn: sa.Connection, now: datetime) -> None:
    ten = a_code(conn, now)
    verdict = redeeming.validate(conn, ten.lower(), BASKET, now=now)
    assert verdict.valid and verdict.discount == 2080 and verdict.offer and verdict.offer.name == "TEN"
    five = a_code(conn, now, name="FIVE", kind="amount", value=500)
    assert redeeming.validate(conn, five, Basket("EUR", (Line("sel", 1, 300),)), now=now).discount == 300
    shipping = a_code(conn, now, name="SHIP", kind="free_shipping", value=0)
    assert redeeming.validate(conn, shipping, BASKET, now=now).free_shipping


def test_a_gift_costs_what_it_costs_in_the_basket(conn: sa.Connection, now: datetime) -> None:
    gift = a_code(conn, now, kind="gift", value=0, product="sel", minimum=15_000)
    there = redeeming.validate(conn, gift, BASKET, now=now)
    assert (there.valid, there.gift, there.discount) == (True, "sel", 950)
    absent = redeeming.validate(conn, gift, Basket("EUR", BASKET.lines[:1]), now=now)
    assert (absent.valid, absent.gift, absent.discount) == (True, "sel", 0)
    alone = Basket("EUR", (Line("sel", 1, 950), Line("torchon", 1, 14_500)))
    assert redeeming.validate(conn, gift, alone, now=now).reason is Reason.MINIMUM, "the gift itself does not count"


def test_a_code_of_a_category_counts_its_pieces_alone(conn: sa.Connection, now: datetime) -> None:
    rows = [
        {"product_id": "cocotte", "title": "Cocotte", "category": "Kitchen > Pots", "price": "189.00"},
        {"product_id": "sel", "title": "Sel", "category": "Pantry", "price": "9.50"},
    ]
    catalogue.put(conn, rows, now=now)
    code = a_code(conn, now, categories=["Kitchen"], minimum=18_900)
    assert redeeming.validate(conn, code, BASKET, now=now).discount == 1890
    assert redeeming.validate(conn, code, Basket("EUR", BASKET.lines[1:]), now=now).reason is Reason.CATEGORY
    other = a_code(conn, now, name="OTHER", categories=["Kitch"])
    assert redeeming.validate(conn, other, BASKET, now=now).reason is Reason.CATEGORY


# ------------------------------------------------------------------------------------------------------- refusals
def test_each_refusal_says_why(conn: sa.Connection, now: datetime) -> None:
    code = a_code(conn, now, minimum=5000)
    small = Basket("EUR", (Line("sel", 1, 950),))
    reasons = {
        "unknown": redeeming.validate(conn, "AUBIER-0000-0000-00", BASKET, now=now),
        "minimum": redeeming.validate(conn, code, small, now=now),
        "currency": redeeming.validate(conn, code, Basket("USD", BASKET.lines), now=now),
        "expired": redeeming.validate(conn, code, BASKET, now=now + timedelta(days=9)),
    }
    assert {word: verdict.reason for word, verdict in reasons.items()} == {word: word for word in reasons}
    for odd in ("", "\0", "'; DROP TABLE promo_codes; --", "é" * 500):
        assert redeeming.validate(conn, odd, BASKET, now=now).reason == "unknown"


def test_a_code_holds_where_its_offer_says(conn: sa.Connection, now: datetime) -> None:
    code = a_code(conn, now, stores=["lyon"], channels=["store", "app"])
    assert why_not(conn, code, BASKET) == "channel"
    for store in ("nantes", None):
        there = Basket("EUR", BASKET.lines, "camille", "store", store)
        assert why_not(conn, code, there, channel="store") == "store"
    assert redeeming.validate(conn, code, Basket("EUR", BASKET.lines, None, "app"), now=now).valid
    lyon = Basket("EUR", BASKET.lines, "camille", "store", "lyon")
    assert redeeming.redeem(conn, code, lyon, order_id="o", channel="store", now=now).valid
    here = a_code(conn, now, name="HERE", stores=["lyon"])
    assert why_not(conn, here, BASKET) == "store", "stores alone named: nowhere else"


def test_codes_that_do_not_stack_lie_alone_on_a_basket(conn: sa.Connection, now: datetime) -> None:
    alone, beside = a_code(conn, now), a_code(conn, now, name="BESIDE", stackable=True)
    assert redeeming.validate(conn, alone, Basket("EUR", BASKET.lines, codes=(alone,)), now=now).valid
    shops_own = Basket("EUR", BASKET.lines, codes=("BLACKFRIDAY",))
    assert redeeming.validate(conn, alone, shops_own, now=now).reason is Reason.NOT_STACKABLE
    assert redeeming.validate(conn, beside, shops_own, now=now).valid
    both = Basket("EUR", BASKET.lines, codes=(alone,))
    assert redeeming.validate(conn, beside, both, now=now).reason is Reason.NOT_STACKABLE
    redeeming.redeem(conn, beside, BASKET, order_id="o", channel="web", now=now)
    assert why_not(conn, alone, BASKET, order_id="o") == "not_stackable", "nobody said that it lay there"


def test_what_codes_of_one_order_take_off_is_never_more_than_it_costs(conn: sa.Connection, now: datetime) -> None:
    first = a_code(conn, now, kind="amount", value=15_000, stackable=True)
    second = a_code(conn, now, name="B", kind="amount", value=15_000, stackable=True)
    taken = [
        redeeming.redeem(conn, code, BASKET, order_id="o", channel="web", now=now).discount for code in (first, second)
    ]
    assert taken == [15_000, BASKET.total - 15_000]


def test_below_the_margin_floor_a_code_is_refused(conn: sa.Connection, now: datetime) -> None:
    rows = [
        {"product_id": "cocotte", "title": "Cocotte", "price": "189.00", "currency": "EUR",
         "attributes": {"cost": 150}},
        {"product_id": "sel", "title": "Sel", "price": "9.50", "currency": "EUR", "attributes": {"margin": 0.6}},
    ]  # fmt: skip
    catalogue.put(conn, rows, now=now)
    code = a_code(conn, now, margin_floor=1000)
    cocotte = Basket("EUR", BASKET.lines[:1])
    # 189.00 less 10 % is 170.10; 150.00 of it is cost: 11.8 % are left
    assert redeeming.validate(conn, code, cocotte, now=now).valid
    dearer = a_code(conn, now, name="B", value=1200, margin_floor=1000)
    assert redeeming.validate(conn, dearer, cocotte, now=now).reason is Reason.MARGIN
    assert redeeming.validate(conn, dearer, Basket("EUR", BASKET.lines[1:]), now=now).valid
    assert redeeming.validate(conn, dearer, Basket("EUR", (Line("unknown", 1, 500),)), now=now).valid


def test_a_code_for_its_holder_alone_is_refused_to_others(conn: sa.Connection, now: datetime) -> None:
    code = a_code(conn, now, holder_only=True)
    world.make_customer(conn, "bea", at=now)
    for other in ("bea", "nobody", None):
        assert why_not(conn, code, Basket("EUR", BASKET.lines, other)) == "other_customer"
    assert redeeming.redeem(conn, code, BASKET, order_id="o", channel="web", now=now).valid


def test_a_customer_uses_one_code_of_an_offer_whoever_it_was_given_to(conn: sa.Connection, now: datetime) -> None:
    mine, hers = a_code(conn, now), a_code(conn, now, holder="bea")
    redeeming.redeem(conn, mine, BASKET, order_id="o1", channel="web", now=now)
    assert why_not(conn, hers, BASKET, order_id="o2") == "once"


def test_a_shared_code_is_used_by_everybody_once_an_order(conn: sa.Connection, now: datetime) -> None:
    a_code(conn, now, when_empty="fallback", fallback="Welcome-5")
    for order in ("o1", "o2", "o2"):
        stranger = Basket("EUR", BASKET.lines)
        assert redeeming.redeem(conn, "WELCOME5", stranger, order_id=order, channel="web", now=now).discount == 2080
    assert conn.scalar(sa.select(sa.func.count()).select_from(promo_redemptions)) == 2
    redeeming.redeem(conn, "welcome 5", BASKET, order_id="o3", channel="web", now=now)
    assert why_not(conn, "WELCOME5", BASKET, order_id="o4") == "once"
    assert not conn.scalar(sa.select(sa.func.count()).select_from(promo_redemptions).where(promo_redemptions.c.leaked))


# ------------------------------------------------------------------------------------------------------ exactly once
def test_the_same_order_again_gets_the_same_answer_and_another_order_none(conn: sa.Connection, now: datetime) -> None:
    code = a_code(conn, now)
    first = redeeming.redeem(conn, code, BASKET, order_id="o1", channel="store", now=now)
    assert redeeming.redeem(conn, code, BASKET, order_id="o1", channel="store", now=now) == first
    assert why_not(conn, code, BASKET, order_id="o2") == "used"
    with pytest.raises(Conflict):
        redeeming.release(conn, code, order_id="o2", now=now)
    redeeming.release(conn, code, order_id="o1", now=now)
    redeeming.release(conn, code, order_id="o1", now=now)
    assert redeeming.redeem(conn, code, BASKET, order_id="o2", channel="web", now=now).valid
    with pytest.raises(NotFound):
        redeeming.release(conn, "AUBIER-0000-0000-00", order_id="o2", now=now)


def at_once(work: Callable[[int], None], number: int) -> None:
    """So many threads, all beginning at the same moment."""
    start = threading.Barrier(number)

    def begin(place: int) -> None:
        start.wait()
        work(place)

    threads = [threading.Thread(target=begin, args=(place,)) for place in range(number)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()


def test_sixteen_tills_at_once_use_a_code_once(db: Database, now: datetime) -> None:
    for round_ in range(4):
        with db.begin() as conn:
            code = a_code(conn, now, name=f"ROUND-{round_}")
        won: list[int] = []

        def till(number: int, code: str = code, won: list[int] = won) -> None:
            try:
                with db.begin() as conn:
                    redeeming.redeem(conn, code, BASKET, order_id=f"{number}", channel="store", now=now)
                won.append(number)
            except Conflict:
                pass

        at_once(till, 16)
        assert len(won) == 1, f"round {round_}"


def test_codes_used_at_once_for_one_order_take_off_no_more_than_it_costs(db: Database, now: datetime) -> None:
    for round_ in range(6):
        terms: dict[str, Any] = {"kind": "amount", "value": 15_000, "stackable": True}
        with db.begin() as conn:
            codes = [a_code(conn, now, name=f"OFF-{round_}-{n}", **terms) for n in range(4)]
        taken: list[int] = []

        def till(number: int, codes: list[str] = codes, taken: list[int] = taken, order: str = f"o{round_}") -> None:
            with db.begin() as conn:
                verdict = redeeming.redeem(conn, codes[number], BASKET, order_id=order, channel="store", now=now)
            taken.append(verdict.discount)

        at_once(till, 4)
        assert sum(taken) == BASKET.total, f"round {round_}"


def test_a_budget_pays_to_the_last_cent_and_no_further(db: Database, now: datetime) -> None:
    with db.begin() as conn:
        codes = [a_code(conn, now, holder=f"u{n}", kind="amount", value=700, budget=5000) for n in range(16)]
    given: list[int] = []

    def till(number: int) -> None:
        try:
            with db.begin() as conn:
                verdict = redeeming.redeem(
                    conn, codes[number], Basket("EUR", BASKET.lines), order_id=f"o{number}", channel="web", now=now
                )
            given.append(verdict.discount)
        except Conflict as refused:
            assert refused.reason == "budget"

    at_once(till, 16)
    with db.begin() as conn:
        assert offers.get(conn, "TEN").spent == sum(given) == 4900
        used = conn.scalars(sa.select(promo_redemptions.c.order_id)).all()
        redeeming.undo(conn, promo_redemptions.c.order_id == used[0], now=now)
        assert offers.get(conn, "TEN").spent == 4200
        left = next(n for n in range(16) if f"o{n}" not in used)
        assert redeeming.redeem(
            conn, codes[left], Basket("EUR", BASKET.lines), order_id="late", channel="web", now=now
        ).valid


def test_terms_that_change_while_a_code_is_used_are_those_that_count(db: Database, now: datetime) -> None:
    with db.begin() as conn:
        code = a_code(conn, now, kind="amount", value=700)
    with db.begin() as editing:
        offers.put(editing, definitions.parse({**TEN, "kind": "amount", "value": 900}), now=now)
        done: list[int] = []

        def till() -> None:
            with db.begin() as conn:
                done.append(redeeming.redeem(conn, code, BASKET, order_id="o", channel="web", now=now).discount)

        waiting = threading.Thread(target=till)
        waiting.start()
        waiting.join(0.3)
        assert waiting.is_alive() and not done
    waiting.join()
    assert done == [900]


# ----------------------------------------------------------------------------------------- what is found out later
def test_an_order_that_names_a_code_has_used_it(db: Database, now: datetime) -> None:
    with db.begin() as conn:
        code = a_code(conn, now)
        world.order(conn, "camille", at=now, order_id="o1", channel="store", coupon=code.lower(), discount="18.90")
    conversions.credit_new_orders(db, now=now)
    conversions.credit_new_orders(db, now=now)
    with db.begin() as conn:
        use = conn.execute(sa.select(promo_redemptions)).mappings().one()
        assert (use["order_id"], use["channel"], use["discount"], use["asked"]) == ("o1", "store", 1890, False)
        assert use["leaked"] is False
        assert why_not(conn, code, BASKET, order_id="o2") == "used"


def test_a_second_order_with_a_used_code_is_told_as_used_twice(db: Database, now: datetime) -> None:
    with db.begin() as conn:
        code = a_code(conn, now)
        redeeming.redeem(conn, code, BASKET, order_id="web-1", channel="web", now=now)
        world.order(conn, "camille", at=now, order_id="till-1", channel="store", coupon=code)
    conversions.credit_new_orders(db, now=now)
    offer_figures.keep_up(db, now=now)
    with db.begin() as conn:
        offer = offers.get(conn, "TEN")
        (told,) = code_book.refused(conn, offer.id, limit=10)
        assert (told.reason, told.order_id, told.channel, told.given) == ("used", "till-1", "store", True)
        assert offer_figures.of(conn, offer.id)[0].double == 1


def test_a_code_used_by_somebody_else_is_a_leak(db: Database, now: datetime) -> None:
    with db.begin() as conn:
        named, unnamed = a_code(conn, now), a_code(conn, now, holder="dora")
        for stranger in ("bea", "cleo"):
            world.make_customer(conn, stranger, at=now)
        redeeming.redeem(conn, named, Basket("EUR", BASKET.lines, "bea"), order_id="o1", channel="web", now=now)
        redeeming.redeem(conn, unnamed, Basket("EUR", BASKET.lines), order_id="o2", channel="store", now=now)
        offer = offers.get(conn, "TEN")
        assert [leak.payer_id for leak in code_book.leaks(conn, offer.id, limit=9)] == [
            customers.find(conn, user_id="bea")
        ]
        world.order(conn, "cleo", at=now, order_id="o2", channel="store")
    conversions.credit_new_orders(db, now=now)
    offer_figures.keep_up(db, now=now)
    with db.begin() as conn:
        assert len(code_book.leaks(conn, offer.id, limit=9)) == offer_figures.of(conn, offer.id)[0].leaked == 2
        conn.execute(
            sa.update(customers.customers)
            .where(customers.customers.c.user_id == "cleo")
            .values(merged_into=customers.find(conn, user_id="dora"))
        )
    conversions.credit_new_orders(db, now=now + DAY)
    with db.begin() as conn:
        assert len(code_book.leaks(conn, offer.id, limit=9)) == 1, "she turned out to be the same person"


def test_a_cancelled_order_gives_its_code_and_its_budget_back(db: Database, now: datetime) -> None:
    with db.begin() as conn:
        code = a_code(conn, now, budget=10_000)
        redeeming.redeem(conn, code, BASKET, order_id="o1", channel="web", now=now)
        world.order(conn, "camille", at=now, order_id="o1", coupon=code)
        world.say(conn, "camille", "Order Cancelled", at=now, order_id="o1")
    conversions.credit_new_orders(db, now=now)
    conversions.credit_new_orders(db, now=now)
    with db.begin() as conn:
        assert offers.get(conn, "TEN").spent == 0
        assert redeeming.validate(conn, code, BASKET, now=now).valid
        assert redeeming.redeem(conn, code, BASKET, order_id="o2", channel="web", now=now).valid
        uses = conn.execute(sa.select(promo_redemptions.c["order_id", "undone_at"])).all()
    assert sorted((order, undone is None) for order, undone in uses) == [("o1", False), ("o2", True)]


@pytest.mark.parametrize(("refund", "back"), [(None, True), ("189.00", True), ("100.00", False)])
def test_a_whole_return_gives_the_code_back_and_a_part_of_one_does_not(
    db: Database, now: datetime, refund: str | None, back: bool
) -> None:
    with db.begin() as conn:
        code = a_code(conn, now, budget=10_000)
        redeeming.redeem(conn, code, BASKET, order_id="o1", channel="web", now=now)
        world.order(conn, "camille", at=now, order_id="o1", coupon=code)
    conversions.credit_new_orders(db, now=now)
    with db.begin() as conn:
        told = {"refund": refund} if refund else {}
        world.say(conn, "camille", "Order Refunded", at=now, order_id="o1", **told)
    for later in range(1, 3):
        conversions.credit_new_orders(db, now=now + later * DAY)
    with db.begin() as conn:
        assert redeeming.validate(conn, code, BASKET, now=now).valid is back
        assert (offers.get(conn, "TEN").spent == 0) is back
        uses = conn.scalar(sa.select(sa.func.count()).select_from(promo_redemptions))
        assert uses == 1, "the returned order is not taken for a new use of it"
        if not back:
            world.say(conn, "camille", "Order Refunded", at=now + 2 * DAY, order_id="o1", refund="89.00")
    conversions.credit_new_orders(db, now=now + 3 * DAY)
    with db.begin() as conn:
        assert redeeming.validate(conn, code, BASKET, now=now).valid, "the rest was returned as well"


def test_a_cancellation_taken_in_long_after_it_was_received_is_found_by_looking_again(
    db: Database, now: datetime
) -> None:
    with db.begin() as conn:
        code = a_code(conn, now, budget=10_000)
        redeeming.redeem(conn, code, BASKET, order_id="o1", channel="web", now=now)
        world.order(conn, "camille", at=now, order_id="o1", coupon=code)
    conversions.credit_new_orders(db, now=now + DAY)
    with db.begin() as conn:
        world.say(conn, "camille", "Order Cancelled", at=now, order_id="o1")
    assert conversions.credit_new_orders(db, now=now + DAY) is None
    assert conversions.look_again(db, now=now + DAY) == "1 codes given back"
    with db.begin() as conn:
        assert redeeming.validate(conn, code, BASKET, now=now).valid


def test_who_got_another_code_meanwhile_keeps_that_one(db: Database, now: datetime) -> None:
    with db.begin() as conn:
        used = []
        for number in range(2):
            used.append(a_code(conn, now, once_per_customer=False))
            redeeming.redeem(conn, used[-1], BASKET, order_id=f"o{number}", channel="web", now=now)
            world.order(conn, "camille", at=now, order_id=f"o{number}")
        held = a_code(conn, now, once_per_customer=False)
        assert len({*used, held}) == 3
        world.say(conn, "camille", "Order Cancelled", at=now, order_id="o0")
    conversions.credit_new_orders(db, now=now)
    with db.begin() as conn:
        assert redeeming.validate(conn, held, BASKET, now=now).valid
        assert why_not(conn, used[0], BASKET, order_id="o2") == "expired"
        redeeming.redeem(conn, held, BASKET, order_id="o2", channel="web", now=now)
        world.order(conn, "camille", at=now, order_id="o2")
        for order in ("o1", "o2"):
            world.say(conn, "camille", "Order Cancelled", at=now, order_id=order)
    conversions.credit_new_orders(db, now=now)
    with db.begin() as conn:
        good = [code for code in (*used, held) if redeeming.validate(conn, code, BASKET, now=now).valid]
        assert len(good) == 1, "two given back at once leave her one"


def test_a_code_used_out_of_the_pool_is_not_handed_to_somebody_else_after_its_return(
    db: Database, now: datetime
) -> None:
    with db.begin() as conn:
        pool, _ = offers.put(conn, definitions.parse({**TEN, "codes": "pool", "prefix": "", "valid_days": 5}), now=now)
        code_pool.add(conn, "TEN", ["FROM-THE-SHOP"], until=None, now=now)
        person = world.make_customer(conn, "camille", at=now)
        world.order(conn, "camille", at=now, order_id="o1", coupon="FROM-THE-SHOP")
    conversions.credit_new_orders(db, now=now)
    with db.begin() as conn:
        assert why_not(conn, "FROM-THE-SHOP", BASKET, order_id="o2") == "used"
        world.say(conn, "camille", "Order Cancelled", at=now, order_id="o1")
    conversions.credit_new_orders(db, now=now)
    with db.begin() as conn:
        assert promotions.hand(conn, pool, {person: uuid4()}, zone=UTC, now=now).lacking == {person: "empty"}
        assert redeeming.validate(conn, "FROM-THE-SHOP", BASKET, now=now + 4 * DAY).valid
        assert redeeming.validate(conn, "FROM-THE-SHOP", BASKET, now=now + 6 * DAY).reason == "expired"
        assert redeeming.redeem(conn, "FROM-THE-SHOP", BASKET, order_id="o3", channel="web", now=now).valid


def test_a_refusal_is_kept_once_with_how_often_it_was_tried(conn: sa.Connection, now: datetime) -> None:
    code = a_code(conn, now)
    for _ in range(3):
        redeeming.refused(conn, code, BASKET, order_id="o", channel="web", reason="minimum", now=now)
    redeeming.refused(conn, "NOSUCHCODE", BASKET, order_id="o", channel="web", reason="used", now=now)
    row = conn.execute(sa.select(promo_refusals)).mappings().one()
    assert (row["times"], row["reason"], row["customer_id"]) == (3, "minimum", customers.find(conn, user_id="camille"))


def test_a_pool_that_runs_out_raises_an_alert(db: Database, now: datetime) -> None:
    with db.begin() as conn:
        terms = {**TEN, "codes": "pool", "prefix": "", "alert_below": 2}
        offer, _ = offers.put(conn, definitions.parse(terms), now=now)
        rows = [
            {"code": f"SUN{n}", "shown": f"SUN{n}", "offer_id": offer.id, "origin": "imported", "state": "free"}
            for n in range(3)
        ]
        conn.execute(sa.insert(tables.promo_codes), rows)
    offer_figures.keep_up(db, now=datetime.now(UTC))
    with db.begin() as conn:
        assert offer_figures.low(conn, now=now) == []
        people = [world.make_customer(conn, f"u{n}", at=now) for n in range(2)]
        promotions.reserve(conn, offer, {one: uuid4() for one in people}, zone=UTC, now=now)
    offer_figures.keep_up(db, now=now + timedelta(minutes=1))
    with db.begin() as conn:
        (low,) = offer_figures.low(conn, now=now)
    assert (low.offer, low.free, low.days) == ("TEN", 1, pytest.approx(3.5))


# ---------------------------------------------------------------------------------------------------------- for any
LINES = st.lists(
    st.builds(Line, st.sampled_from("abc"), st.integers(1, 5), st.integers(0, 100_000)), min_size=1, max_size=5
)


@given(LINES, st.integers(1, 10_000), st.integers(0, 50_000), st.integers(0, 9_999), st.integers(0, 200_000))
def test_no_basket_is_ever_paid_to_the_customer_or_sold_below_the_floor(
    lines: list[Line], value: int, taken: int, floor: int, minimum: int
) -> None:
    offer = definitions.parse({**TEN, "value": value, "margin_floor": floor, "minimum": minimum, "stackable": True})
    basket = Basket("EUR", tuple(lines))
    goods = {"a": Goods(None, 500.0), "b": Goods(None, 20_000.0)}
    around = Around(others=taken > 0, taken=min(taken, basket.total), goods=goods)
    held = Held(used=False, expires_at=None, holder=1, shared=False)
    verdict = verdicts.decide(offer, held, basket, around, now=NOW)
    if not verdict.valid:
        assert verdict.discount == 0
        return
    assert 0 <= verdict.discount <= basket.total - around.taken and basket.total >= max(minimum, 1)
    known = [line for line in lines if line.product_id in goods]
    sold = sum(line.total for line in known)
    paid = sold - (verdict.discount + around.taken) * sold / basket.total
    cost = sum((goods[line.product_id].cost or 0) * line.quantity for line in known)
    assert not sold or paid - cost >= paid * floor / 10_000 - 1e-6
