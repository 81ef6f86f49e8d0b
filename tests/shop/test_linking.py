"""Who is who: visitors become customers, two known people stay two, and every merge can be undone."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest
import sqlalchemy as sa

from foundation.errors import Conflict
from shop import consent, customers, tables
from shop.vocabulary import Source

Send = Callable[..., Any]
Who = Callable[..., int | None]


def identify(user: str | None = None, visitor: str | None = None, **traits: object) -> dict[str, Any]:
    return {"type": "identify", "userId": user, "anonymousId": visitor, "traits": traits}


def viewed(user: str | None = None, visitor: str | None = None, **more: object) -> dict[str, Any]:
    return {
        "event": "Product Viewed",
        "userId": user,
        "anonymousId": visitor,
        "properties": {"product_id": "p"},
        **more,
    }


def alias(user: str, previous: str) -> dict[str, Any]:
    return {"type": "alias", "userId": user, "previousId": previous}


def events_of(conn: sa.Connection, customer: int | None) -> int:
    return (
        conn.scalar(
            sa.select(sa.func.count()).select_from(tables.events).where(tables.events.c.customer_id == customer)
        )
        or 0
    )


def test_a_visitor_who_signs_in_becomes_the_customer_and_keeps_the_visit(send: Send, who: Who, conn: Any) -> None:
    send(viewed(visitor="a"))
    send(viewed(visitor="a"), identify("u", "a"))
    assert who(user_id="u") == who(anonymous_id="a")
    assert events_of(conn, who(user_id="u")) == 3


def test_what_a_known_customer_did_as_a_visitor_elsewhere_is_theirs_after_signing_in(
    send: Send, who: Who, conn: Any
) -> None:
    send(identify("u", "laptop"))
    send(viewed(visitor="phone"), viewed(visitor="phone"))
    send(viewed("u", "phone"))
    assert who(anonymous_id="phone") == who(user_id="u")
    assert events_of(conn, who(user_id="u")) == 4
    (merge,) = customers.record(conn, who(user_id="u") or 0).merges
    assert merge.evidence["kind"] == "anonymous_id" and merge.evidence["value"] == "phone"


def test_two_known_people_on_one_device_stay_two(send: Send, who: Who, conn: Any) -> None:
    send(identify("anna", "tablet"), viewed(visitor="tablet"))
    send(identify("ben", "tablet"), viewed(visitor="tablet"))
    assert who(user_id="anna") != who(user_id="ben")
    assert who(anonymous_id="tablet") == who(user_id="ben")
    assert events_of(conn, who(user_id="anna")) == 2
    assert events_of(conn, who(user_id="ben")) == 2


def test_a_device_token_survives_a_new_anonymous_id(send: Send, who: Who) -> None:
    device = {"context": {"device": {"token": "t"}}}
    send(viewed(visitor="first", **device))
    send(viewed(visitor="second", **device))
    assert who(anonymous_id="first") == who(anonymous_id="second")


def test_a_visitor_on_the_device_of_a_known_customer_is_not_taken_for_them(send: Send, who: Who) -> None:
    device = {"context": {"device": {"token": "t"}}}
    send(viewed("u", "first", **device))
    send(viewed(visitor="second", **device))
    assert who(anonymous_id="second") != who(user_id="u")


def test_an_alias_joins_a_visitor_to_a_customer(send: Send, who: Who, conn: Any) -> None:
    send(viewed(visitor="a"), identify("u"))
    send(alias("u", "a"))
    assert who(anonymous_id="a") == who(user_id="u")
    assert events_of(conn, who(user_id="u")) == 3


def test_a_public_key_cannot_make_one_of_two_known_customers(send: Send, who: Who, conn: Any) -> None:
    send(identify("u"), identify("v"))
    outcome = send(alias("u", "v"), viewed("u"))
    assert (outcome.accepted, outcome.refused) == (1, 1)
    assert who(user_id="u") != who(user_id="v")
    assert conn.scalar(sa.select(tables.refused_events.c.reason)) == "two_known_customers"


def test_a_secret_key_can_make_one_of_two_known_customers(send: Send, who: Who, server: Source) -> None:
    send(identify("u"), identify("v"))
    send(alias("u", "v"), source=server)
    assert who(user_id="u") == who(user_id="v")


def test_a_public_key_cannot_become_a_known_customer_by_their_address(send: Send, who: Who) -> None:
    send(identify("u", email="ann@example.com"))
    send(identify(visitor="stranger", email="Ann@Example.com "))
    assert who(anonymous_id="stranger") != who(user_id="u")
    assert who(email="ann@example.com") == who(user_id="u")


def test_a_secret_key_may_say_whose_address_it_is(send: Send, who: Who, server: Source) -> None:
    send(identify("u", email="ann@example.com"))
    send(identify(visitor="till", email="ann@example.com"), source=server)
    assert who(anonymous_id="till") == who(user_id="u")


def test_a_till_knows_a_customer_by_their_card_alone(send: Send, who: Who, server: Source, conn: Any) -> None:
    send(identify("u", loyalty_card="99 12-34"))
    order = {"order_id": "o", "total": 10, "products": [{"product_id": "p"}]}
    send(
        {"event": "Order Completed", "traits": {"loyalty_card": "991234"}, "properties": order},
        source=server,
    )
    assert conn.scalar(sa.select(tables.orders.c.customer_id)) == who(user_id="u")


def test_an_address_left_before_registering_brings_the_visitor_along(send: Send, who: Who) -> None:
    send(identify(visitor="newsletter", email="ann@example.com"))
    send(identify("u", "other", email="ann@example.com"))
    assert who(anonymous_id="newsletter") == who(user_id="u")


def test_an_address_of_another_known_customer_is_only_claimed(send: Send, who: Who, conn: Any) -> None:
    send(identify("u", email="family@example.com"))
    send(identify("v", email="family@example.com"))
    assert who(user_id="u") != who(user_id="v")
    assert who(email="family@example.com") == who(user_id="u")
    assert conn.scalar(sa.select(tables.identity_claims.c.customer_id)) == who(user_id="v")


def test_an_address_on_many_people_is_quarantined_and_shown(send: Send, who: Who, conn: Any) -> None:
    for user in ("u", "v", "w"):
        send(identify(user, email="shop@example.com"))
    (hub,) = customers.quarantined(conn)
    assert (hub.kind, hub.value, hub.claimants) == ("email", "shop@example.com", 2)
    assert who(email="shop@example.com") is None
    send(identify(visitor="a", email="shop@example.com"), identify("x", "a", email="shop@example.com"))
    assert len({who(user_id=user) for user in "uvwx"}) == 4


def test_the_winner_keeps_what_it_said_and_takes_the_rest(send: Send, who: Who, conn: Any) -> None:
    send(identify("u", first_name="Ann", colour="red"))
    send(identify(visitor="a", first_name="A.", last_name="Lee", colour="blue", size=38))
    send(viewed("u", "a"))
    customer = customers.record(conn, who(user_id="u") or 0).customer
    assert (customer.first_name, customer.last_name) == ("Ann", "Lee")
    assert customer.traits == {"colour": "red", "size": 38}


def test_chains_of_merges_point_at_the_last(send: Send, who: Who, conn: Any) -> None:
    send(viewed(visitor="a"), viewed(visitor="b", context={"device": {"token": "t"}}))
    send(viewed(visitor="a", context={"device": {"token": "t"}}))
    send(identify("u"), viewed("u", "b"))
    rows = conn.execute(sa.select(tables.customers.c.id, tables.customers.c.merged_into)).all()
    final = who(user_id="u")
    assert {merged for _, merged in rows} == {None, final}
    assert events_of(conn, final) == 5


def test_the_stricter_consent_stands_after_a_merge(send: Send, who: Who, conn: Any, now: datetime) -> None:
    send(identify("u"), viewed(visitor="a"))
    said = {"channel": "email", "purpose": "marketing", "source": "form", "now": now}
    consent.record(conn, customer_id=who(user_id="u") or 0, state="granted", at=now, **said)
    consent.record(conn, customer_id=who(anonymous_id="a") or 0, state="denied", at=now.replace(year=2020), **said)
    send(viewed("u", "a"))
    winner = who(user_id="u") or 0
    assert consent.states(conn, [winner], channel="email") == {winner: "denied"}


def undo(conn: sa.Connection, customer: int | None, now: datetime) -> int:
    (merge, *_) = customers.record(conn, customer or 0).merges
    return customers.undo_merge(conn, merge.id, by="admin", now=now)


def test_an_undone_merge_gives_each_what_was_theirs(send: Send, who: Who, conn: Any, now: datetime) -> None:
    added = {"event": "Product Added", "properties": {"product_id": "p", "price": 5, "cart_id": "c"}}
    bought = {
        "event": "Order Completed",
        "properties": {"order_id": "o", "total": 20, "products": [{"product_id": "p"}]},
    }
    send(identify("u", first_name="Ann"), viewed("u"), {**bought, "userId": "u"})
    send(identify(visitor="a", last_name="Lee"), {**added, "anonymousId": "a"}, viewed(visitor="a"))
    ids = [who(user_id="u") or 0, who(anonymous_id="a") or 0]
    before = _state(conn)
    send({"type": "alias", "userId": "u", "previousId": "a"})
    conn.execute(sa.delete(tables.events).where(tables.events.c.name == "Aliased"))
    assert undo(conn, ids[0], now) == ids[1]
    after = _state(conn)
    assert after == before
    assert who(user_id="u") == ids[0]


def _state(conn: sa.Connection) -> dict[str, Any]:
    state: dict[str, Any] = {}
    for table, order in (
        (tables.profiles, "customer_id"),
        (tables.events, "key"),
        (tables.carts, "id"),
        (tables.orders, "order_id"),
        (tables.order_lines, "order_id"),
    ):
        state[table.name] = conn.execute(sa.select(table).order_by(table.c[order])).all()
    named = sa.select(tables.customers.c.id, tables.customers.c.first_name, tables.customers.c.last_name)
    state["names"] = conn.execute(named.order_by(tables.customers.c.id)).all()
    state["merged"] = conn.scalars(sa.select(tables.customers.c.merged_into)).all()
    return state


def test_the_handle_of_an_undone_merge_does_not_join_the_two_again(
    send: Send, who: Who, conn: Any, now: datetime
) -> None:
    send(identify("u"), viewed(visitor="a"))
    send(viewed("u", "a"))
    visitor = undo(conn, who(user_id="u"), now)
    send(viewed("u", "a"), viewed(visitor="a"))
    assert who(user_id="u") != visitor
    assert events_of(conn, visitor) == 2


def test_a_merge_is_undone_once(send: Send, who: Who, conn: Any, now: datetime) -> None:
    send(identify("u"), viewed(visitor="a"), viewed("u", "a"))
    (merge,) = customers.record(conn, who(user_id="u") or 0).merges
    customers.undo_merge(conn, merge.id, by="admin", now=now)
    with pytest.raises(Conflict):
        customers.undo_merge(conn, merge.id, by="admin", now=now)


def test_undoing_gives_back_what_was_merged_into_the_loser_before(
    send: Send, who: Who, conn: Any, now: datetime
) -> None:
    send(viewed(visitor="a"), viewed(visitor="b", context={"device": {"token": "t"}}))
    send(viewed(visitor="a", context={"device": {"token": "t"}}))
    send(identify("u"))
    send(viewed("u", "b"))
    visitor = undo(conn, who(user_id="u"), now)
    assert events_of(conn, visitor) == 3
    assert events_of(conn, who(user_id="u")) == 2


def test_a_repeat_teaches_nothing(send: Send, who: Who) -> None:
    send({**identify("anna", "tablet"), "messageId": "once"})
    send(identify("ben", "tablet"))
    assert send({**identify("anna", "tablet"), "messageId": "once"}).repeated == 1
    assert who(anonymous_id="tablet") == who(user_id="ben")
