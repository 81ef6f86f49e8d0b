import threading
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
import sqlalchemy as sa

from campaigns import codes, offer_forecast, offers, plans, promotions, redeeming, tables
from campaigns.definitions import offers as definitions
from campaigns.promo_tables import promo_redemptions
from campaigns.promotions import Code, Lack
from campaigns.verdicts import Basket, Line
from foundation import database
from foundation.database import Database
from foundation.errors import Invalid, NotFound
from shop import customers, merging
from tests.campaigns import world

BASKET = Basket("EUR", (Line("cocotte", 1, 18900), Line("sel", 2, 950)), "camille")
TEN = {"name": "TEN", "kind": "percentage", "value": 1000, "prefix": "AUBIER"}
DAY = timedelta(days=1)


def an_offer(conn: sa.Connection, now: datetime, **terms: object) -> offers.Kept:
    """Ten percent, unless told otherwise."""
    return offers.put(conn, definitions.parse({**TEN, **terms}), now=now)[0]


def hand(conn: sa.Connection, offer: offers.Kept, *wanted: int, now: datetime) -> dict[int, Code]:
    return promotions.reserve(conn, offer, {one: uuid4() for one in wanted}, zone=UTC, now=now)


def a_pool(conn: sa.Connection, offer: offers.Kept, *shown: str) -> None:
    rows = [
        {"code": codes.normalise(one), "shown": one, "offer_id": offer.id, "origin": "imported", "state": "free"}
        for one in shown
    ]
    conn.execute(sa.insert(tables.promo_codes), rows)


def states(conn: sa.Connection) -> dict[str, str]:
    return {row.code: row.state for row in conn.execute(sa.select(tables.promo_codes.c["code", "state"]))}


def a_message(conn: sa.Connection, code: Code, customer: int, *, state: str, now: datetime) -> UUID:
    """A message of some journey that carries the code."""
    campaign = conn.scalar(sa.select(tables.campaigns.c.id)) or conn.scalar(
        sa.insert(tables.campaigns)
        .values(name="any", state="sending", created_at=now, updated_at=now)
        .returning(tables.campaigns.c.id)
    )
    row: dict[str, Any] = {
        "id": database.new_id(), "campaign_id": campaign, "version": 1, "step": "a", "channel": "email",
        "customer_id": customer, "entry_key": uuid4().hex, "state": state, "queued_at": now, "not_before": now,
        "expires_at": now,
    }  # fmt: skip
    conn.execute(sa.insert(tables.messages), row)
    words = dict.fromkeys(("address", "sender", "subject", "html", "text"), "x")
    written = {"message_id": row["id"], **words, "headers": {}, "links": [], "promo_code": code.code}
    conn.execute(sa.insert(tables.message_contents), written | {"rendered_at": now})
    return UUID(str(row["id"]))


# ------------------------------------------------------------------------------------------------- handing out
def test_a_customer_gets_one_code_an_offer_and_the_same_again(conn: sa.Connection, now: datetime) -> None:
    offer, camille = an_offer(conn, now), world.make_customer(conn, "camille", at=now)
    first = hand(conn, offer, camille, now=now)[camille]
    again = hand(conn, offer, camille, now=now + DAY)[camille]
    assert again == first and first.expires_at == datetime(2026, 11, 28, 23, 59, 59, tzinfo=UTC)
    later = hand(conn, offer, camille, now=now + 30 * DAY)[camille]
    assert later.code != first.code and states(conn)[first.code] == "expired"
    redeeming.redeem(conn, later.code, BASKET, order_id="o", channel="web", now=now + 30 * DAY)
    handed = promotions.hand(conn, offer, {camille: uuid4()}, zone=UTC, now=now + 31 * DAY)
    assert handed.codes == {} and handed.lacking == {camille: Lack.USED}


def test_where_once_is_not_enough_a_customer_gets_another_code(conn: sa.Connection, now: datetime) -> None:
    offer, camille = an_offer(conn, now, once_per_customer=False), world.make_customer(conn, "camille", at=now)
    first = hand(conn, offer, camille, now=now)[camille]
    redeeming.redeem(conn, first.code, BASKET, order_id="o", channel="web", now=now)
    assert hand(conn, offer, camille, now=now)[camille].code != first.code


def test_a_code_never_outlives_its_offer(conn: sa.Connection, now: datetime) -> None:
    offer, camille = an_offer(conn, now, ends_at=(now + DAY).isoformat()), world.make_customer(conn, "camille", at=now)
    assert hand(conn, offer, camille, now=now)[camille].expires_at == now + DAY
    over = promotions.hand(conn, offer, {camille: uuid4()}, zone=UTC, now=now + 2 * DAY)
    assert over.lacking == {camille: Lack.OVER}


def test_two_records_that_become_one_keep_the_code_they_had(conn: sa.Connection, now: datetime) -> None:
    offer = an_offer(conn, now)
    ann, bea = (world.make_customer(conn, name, at=now) for name in ("ann", "bea"))
    before = hand(conn, offer, bea, now=now)[bea]
    conn.execute(sa.update(merging.customers).where(merging.customers.c.id == bea).values(merged_into=ann))
    assert hand(conn, offer, ann, now=now) == {ann: before}


def test_two_workers_give_one_customer_one_code(db: Database, now: datetime) -> None:
    with db.begin() as conn:
        offer = an_offer(conn, now)
        people = [world.make_customer(conn, f"u{n}", at=now) for n in range(10)]
    given: list[Mapping[int, Code]] = []
    start = threading.Barrier(8)

    def worker() -> None:
        start.wait()
        with db.begin() as conn:
            given.append(hand(conn, offer, *people, now=now))

    workers = [threading.Thread(target=worker) for _ in range(8)]
    for one in workers:
        one.start()
    for one in workers:
        one.join()
    assert len(given) == 8 and all(one == given[0] and len(one) == 10 for one in given)


def test_codes_are_long_and_of_letters_nobody_confuses() -> None:
    made = {codes.new("été") for _ in range(2000)}
    assert len(made) == 2000 and all(len(one.removeprefix("T")) == 10 for one in made if one.startswith("T"))
    assert not set("".join(one[-codes.BODY :] for one in made)) & set("ILOU")
    assert codes.normalise(" aubier-oil 7k2m ") == "AUB1ER0117K2M"


# ------------------------------------------------------------------------------------------------------- pools
def test_a_pool_gives_each_of_its_codes_to_one_customer_until_it_is_empty(conn: sa.Connection, now: datetime) -> None:
    offer = an_offer(conn, now, codes="pool", prefix="")
    a_pool(conn, offer, "soleil-1", "soleil-2")
    ann, bea, cleo = (world.make_customer(conn, name, at=now) for name in ("ann", "bea", "cleo"))
    wanted = {one: uuid4() for one in (ann, bea, cleo)}
    handed = promotions.hand(conn, offer, wanted, zone=UTC, now=now)
    assert {code.shown for code in handed.codes.values()} == {"soleil-1", "soleil-2"}
    assert {code.scanned for code in handed.codes.values()} == {"soleil-1", "soleil-2"}
    assert handed.lacking == {cleo: Lack.EMPTY}
    promotions.release_reserved(conn, [wanted[ann]], now=now)
    assert hand(conn, offer, cleo, now=now)[cleo].shown == handed.codes[ann].shown


def test_the_shop_says_how_long_it_takes_a_code_of_its_pool(conn: sa.Connection, now: datetime) -> None:
    offer, camille = an_offer(conn, now, codes="pool", prefix=""), world.make_customer(conn, "camille", at=now)
    a_pool(conn, offer, "SOON-1", "LATE-1")
    ends = sa.case((tables.promo_codes.c.code == "S00N1", now), else_=now + DAY)
    conn.execute(sa.update(tables.promo_codes).values(not_after=ends))
    assert hand(conn, offer, camille, now=now)[camille].expires_at == now + DAY
    assert promotions.expire(conn, now=now) == 1 and states(conn)["S00N1"] == "expired"


# ------------------------------------------------------------------------------------------- what became of messages
def test_codes_of_messages_that_never_left_go_back(conn: sa.Connection, now: datetime) -> None:
    offer, camille = an_offer(conn, now), world.make_customer(conn, "camille", at=now)
    message = uuid4()
    code = promotions.reserve(conn, offer, {camille: message}, zone=UTC, now=now)[camille]
    promotions.release_reserved(conn, [message], now=now)
    assert redeeming.validate(conn, code.code, BASKET, now=now).reason == "unknown"
    assert hand(conn, offer, camille, now=now)[camille].code != code.code


def test_a_code_two_messages_carry_is_hers_once_either_arrived(conn: sa.Connection, now: datetime) -> None:
    offer, camille = an_offer(conn, now), world.make_customer(conn, "camille", at=now)
    code = hand(conn, offer, camille, now=now)[camille]
    failed, waiting = (a_message(conn, code, camille, state=state, now=now) for state in ("failed", "pending"))
    promotions.release_reserved(conn, [failed], now=now)
    assert states(conn) == {code.code: "reserved"}, "the other may still leave"
    promotions.issue(conn, [waiting], now=now)
    promotions.release_reserved(conn, [failed], now=now)
    assert states(conn) == {code.code: "issued"}


def test_a_code_none_of_its_messages_brought_goes_back_with_the_last(conn: sa.Connection, now: datetime) -> None:
    offer, camille = an_offer(conn, now), world.make_customer(conn, "camille", at=now)
    code = hand(conn, offer, camille, now=now)[camille]
    one, other = (a_message(conn, code, camille, state="skipped", now=now) for _ in range(2))
    doubtful = a_message(conn, code, camille, state="uncertain", now=now)
    promotions.release_reserved(conn, [one, other], now=now)
    assert states(conn) == {code.code: "reserved"}
    conn.execute(sa.update(tables.messages).where(tables.messages.c.id == doubtful).values(state="expired"))
    promotions.release_reserved(conn, [doubtful], now=now)
    assert states(conn) == {code.code: "released"}


def test_a_preview_shows_a_code_no_till_knows(conn: sa.Connection, now: datetime) -> None:
    offer = an_offer(conn, now)
    shown = promotions.dummy(offer.terms, now=now)
    assert shown.shown == "AUBIER-0000-0000-00"
    assert redeeming.validate(conn, shown.code, BASKET, now=now).reason == "unknown" and states(conn) == {}


# ------------------------------------------------------------------------------------------------------ offers
IMPOSSIBLE = {
    "/name": {"name": ""},
    "/kind": {"kind": "cheque"},
    "/value": {"value": 10_001},
    "/currency": {"currency": "E"},
    "/prefix": {"prefix": "A B"},
    "/valid_days": {"valid_days": 0},
    "/ends_at": {"starts_at": "2026-12-02T00:00:00Z", "ends_at": "2026-12-01T00:00:00Z"},
    "/product": {"kind": "gift", "value": 0},
    "/budget": {"kind": "free_shipping", "value": 0, "budget": 100},
    "/stores": {"stores": ["lyon"], "channels": ["web"]},
    "/channels/1": {"channels": ["web", "web"]},
    "/fallback": {"when_empty": "fallback"},
    "/margin_floor": {"margin_floor": 10_000},
    "/surprise": {"surprise": 1},
}


@pytest.mark.parametrize("place", IMPOSSIBLE)
def test_an_impossible_offer_is_refused_with_its_place(place: str) -> None:
    with pytest.raises(Invalid) as refused:
        definitions.parse({**TEN, **IMPOSSIBLE[place]})
    assert [fault.pointer for fault in refused.value.faults] == [place]


def test_what_an_offer_names_must_be_there(conn: sa.Connection, now: datetime) -> None:
    with pytest.raises(Invalid) as refused:
        an_offer(conn, now, stores=["nowhere"], ends_at=(now - DAY).isoformat())
    assert [fault.pointer for fault in refused.value.faults] == ["/ends_at", "/stores/0"]
    with pytest.raises(Invalid) as refused:
        an_offer(conn, now, kind="gift", value=0, product="nothing")
    assert [fault.pointer for fault in refused.value.faults] == ["/product"]
    with pytest.raises(NotFound):
        offers.get(conn, "TEN")


def test_the_same_offer_again_changes_nothing(conn: sa.Connection, now: datetime) -> None:
    first, made = offers.put(conn, definitions.parse(TEN), now=now)
    assert (first.revision, made) == (1, True)
    assert offers.put(conn, definitions.parse(TEN), now=now) == (first, False)


def test_an_offer_changes_freely_until_somebody_holds_a_code(conn: sa.Connection, now: datetime) -> None:
    an_offer(conn, now)
    changed = an_offer(conn, now, kind="amount", value=500, minimum=3000, channels=["store"])
    assert (changed.revision, changed.terms.kind) == (2, "amount")


def test_nothing_is_taken_from_who_holds_a_code(conn: sa.Connection, now: datetime) -> None:
    offer = an_offer(conn, now, channels=["web"], budget=10_000)
    hand(conn, offer, world.make_customer(conn, "camille", at=now), now=now)
    kinder = an_offer(conn, now, value=1500, channels=["web", "store"], budget=20_000, valid_days=3, stackable=True)
    assert kinder.revision == 2
    worse = {"value": 900, "minimum": 1, "channels": ["web"], "budget": 100, "holder_only": True, "stackable": False}
    with pytest.raises(Invalid) as refused:
        an_offer(conn, now, **worse)
    assert {fault.pointer for fault in refused.value.faults} == {f"/{name}" for name in worse}


def test_a_budget_put_on_later_counts_what_was_taken_off_before(conn: sa.Connection, now: datetime) -> None:
    offer, camille = an_offer(conn, now), world.make_customer(conn, "camille", at=now)
    code = hand(conn, offer, camille, now=now)[camille]
    redeeming.redeem(conn, code.code, BASKET, order_id="o", channel="web", now=now)
    assert an_offer(conn, now, budget=5000).spent == 2080
    with pytest.raises(Invalid):
        an_offer(conn, now, when_empty="fallback", fallback=code.shown, codes="pool", prefix="")


def test_a_customers_erasure_takes_her_codes_along(conn: sa.Connection, now: datetime) -> None:
    offer, camille = an_offer(conn, now), world.make_customer(conn, "camille", at=now)
    code = hand(conn, offer, camille, now=now)[camille]
    redeeming.redeem(conn, code.code, BASKET, order_id="o", channel="web", now=now)
    conn.execute(sa.delete(customers.customers).where(customers.customers.c.id == camille))
    assert states(conn) == {} and conn.scalar(sa.select(sa.func.count()).select_from(promo_redemptions)) == 0


# --------------------------------------------------------------------------------------------------- foretelling
def test_a_forecast_is_read_by_a_fixed_number_of_statements(conn: sa.Connection, now: datetime) -> None:
    """It is asked for every second while it is made."""
    offer, asked = an_offer(conn, now), list[str]()

    def statements() -> int:
        asked.clear()
        offer_forecast.ask(conn, offer, days=30, by="ines", now=now)
        sa.event.listen(conn, "before_cursor_execute", note)
        found = offer_forecast.read(conn, offer, days=30)
        sa.event.remove(conn, "before_cursor_execute", note)
        assert found.pending and not found.complete
        return len(asked)

    def note(conn: Any, cursor: Any, statement: str, *rest: Any) -> None:
        asked.append(statement)

    plans.create(conn, "first", definition=world.relaunch(offer="TEN"), now=now)
    alone = statements()
    for name in ("second", "third", "fourth"):
        plans.create(conn, name, definition=world.relaunch(offer="TEN"), now=now)
    assert statements() == alone > 0
