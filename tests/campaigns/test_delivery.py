"""What the sender does when something is in the way."""

import re
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from campaigns import (
    enrolments,
    experiments,
    feedback,
    files,
    ledger,
    messages,
    plans,
    policy,
    reports,
    rules,
    settling,
    tables,
)
from campaigns.channels.base import Mail, Outcome, Receipt
from campaigns.sending import Sending
from foundation.database import Database
from foundation.errors import Conflict, Invalid
from shop import consent, inbox, stores
from shop.inbox import Parcel
from tests.campaigns import world
from tests.campaigns.carriers import Carrier

HOUR = timedelta(hours=1)


@pytest.fixture
def sending(db: Database, carrier: Carrier, tmp_path: Path, now: datetime) -> Iterator[Sending]:
    with db.begin() as conn:
        world.stock_shop(conn, now=now)
        world.launch(conn, now=now)
    yield world.sending(carrier, tmp_path, in_flight=1)


def enrol(db: Database, *users: str, now: datetime, **traits: Any) -> datetime:
    """Carts left behind, and an hour and a minute later everyone is on the way. Gives that moment."""
    with db.begin() as conn:
        for user in users:
            world.make_customer(conn, user, at=now, **traits)
            world.leave_cart(conn, user, at=now)
    due = now + HOUR + timedelta(minutes=1)
    enrolments.admit_due(db, now=due)
    enrolments.advance_due(db, now=due)
    return due


def states(db: Database) -> list[tuple[str, str | None]]:
    with db.begin() as conn:
        rows = conn.execute(sa.select(tables.messages.c.state, tables.messages.c.reason))
        return sorted((tuple(row) for row in rows), key=str)


def test_a_message_with_a_missing_field_fails_with_its_name_and_nothing_is_sent(
    db: Database, sending: Sending, carrier: Carrier, now: datetime
) -> None:
    words = {"fr": {"subject": "Bonjour {{ customer.first_name }}", "heading": "h", "intro": "i"}}
    with db.begin() as conn:
        plans.update(conn, files.DEMO, definition=world.relaunch(words=words), now=now)
    due = enrol(db, "nameless", now=now)
    messages.deliver_due(db, sending, now=due)
    with db.begin() as conn:
        detail = conn.scalar(sa.select(tables.messages.c.detail))
        code = conn.scalar(sa.select(tables.promo_codes.c.state))
    assert carrier.handed == [] and states(db) == [("failed", "content")]
    assert detail == "subject: first_name is missing" and code == "released"


def test_an_attempt_keeps_what_the_provider_said_in_numbers(
    db: Database, sending: Sending, carrier: Carrier, now: datetime
) -> None:
    carrier.always(Outcome.REFUSED_FINAL, code=422, request_id="RQ-7\0")
    messages.deliver_due(db, sending, now=enrol(db, "ann", now=now))
    with db.begin() as conn:
        (attempt,) = ledger.get(conn, conn.scalars(sa.select(tables.messages.c.id)).one()).attempts
    assert (attempt.outcome, attempt.code, attempt.request_id) == ("refused_final", 422, "RQ-7")


def test_each_customer_is_shown_her_own_store(db: Database, sending: Sending, carrier: Carrier, now: datetime) -> None:
    said = {"subject": "s", "blocks": [{"type": "text", "heading": "Boutiques :"}, {"type": "store"}]}
    with db.begin() as conn:
        plans.update(conn, files.DEMO, definition=world.relaunch(words={"fr": said}), now=now)
        named = [{"store_id": name, "name": f"Aubier {name}", "hours": "10-19"} for name in ("Lyon", "Lille")]
        stores.put(conn, named, now=now)
    enrol(db, "ann", now=now, favorite_store="Lyon")
    enrol(db, "bea", now=now, favorite_store="Lille")
    due = enrol(db, "cleo", now=now)
    messages.deliver_due(db, sending, now=due)
    shown = {mail.address.partition("@")[0]: re.findall("Aubier (Lyon|Lille)", mail.text) for mail in carrier.handed}
    assert shown == {"ann": ["Lyon"], "bea": ["Lille"], "cleo": []}


def test_values_of_customers_and_products_are_escaped(
    db: Database, sending: Sending, carrier: Carrier, now: datetime
) -> None:
    due = enrol(db, "mallory", now=now, first_name="<script>alert(1)</script>{{ 7*7 }}")
    messages.deliver_due(db, sending, now=due)
    assert "<script>" not in carrier.handed[0].html and "&lt;script&gt;" in carrier.handed[0].html
    assert "{{ 7*7 }}" in carrier.handed[0].html and len(carrier.handed[0].html) < 100 * 1024


def test_a_cart_line_of_a_stranger_leads_nowhere(
    db: Database, sending: Sending, carrier: Carrier, now: datetime
) -> None:
    with db.begin() as conn:
        world.make_customer(conn, "victim", at=now)
        world.say(
            conn, "victim", "Product Added", at=now, cart_id="c", product_id="bait", name="Win", price="1.00",
            url="https://evil.example/phish", image_url="https://evil.example/p.png",
        )  # fmt: skip
    due = enrol(db, now=now)
    messages.deliver_due(db, sending, now=due)
    with db.begin() as conn:
        addresses = conn.scalar(sa.select(tables.message_contents.c.links))
    assert "evil" not in carrier.handed[0].html + str(addresses)


def test_the_holdout_is_enrolled_as_python_says_and_gets_nothing(
    db: Database, sending: Sending, carrier: Carrier, now: datetime
) -> None:
    with db.begin() as conn:
        plans.update(conn, files.DEMO, definition=world.relaunch(offer=None, holdout=50), now=now)
    due = enrol(db, *(f"u{number}" for number in range(20)), now=now)
    messages.deliver_due(db, sending, now=due)
    with db.begin() as conn:
        rows = conn.execute(sa.select(tables.enrolments)).mappings().all()
        results = reports.campaign(conn, rows[0]["campaign_id"], now=due)
    for row in rows:
        assert row["arm"] == experiments.assign(files.DEMO, row["customer_id"], holdout_percent=50)
    held_out = sum(row["arm"] == "holdout" for row in rows)
    assert 0 < held_out < 20 and len(carrier.handed) == 20 - held_out
    assert (results.enrolled, results.held_out, results.planned) == (20, held_out, 20 - held_out)


def test_a_cart_is_taken_up_once_and_an_old_one_never(db: Database, sending: Sending, now: datetime) -> None:
    enrol(db, "camille", now=now)
    with db.begin() as conn:
        world.make_customer(conn, "old", at=now - timedelta(days=9))
        world.leave_cart(conn, "old", at=now - timedelta(days=9))
    assert enrolments.admit_due(db, now=now + 2 * HOUR) is None


def test_the_cap_holds_over_campaigns_and_days(db: Database, sending: Sending, carrier: Carrier, now: datetime) -> None:
    with db.begin() as conn:
        policy.save(conn, rules.Policy(quiet_from=None, quiet_until=None, cap_messages=1), now=now)
        plans.create(conn, "second", definition=world.relaunch(), now=now)
        plans.launch(conn, "second", now=now)
    due = enrol(db, "camille", now=now)
    messages.deliver_due(db, sending, now=due)
    assert len(carrier.handed) == 1
    assert states(db) == [("accepted", None), ("pending", "cap")] or states(db) == [
        ("accepted", None),
        ("skipped", "cap"),
    ]


def test_a_pause_holds_and_a_cancel_ends(db: Database, sending: Sending, carrier: Carrier, now: datetime) -> None:
    due = enrol(db, "a", "b", now=now)

    def pause_after_first(mail: Mail) -> Receipt:
        with db.begin() as conn:
            assert plans.pause(conn, files.DEMO, now=due) == 1
        return Receipt(mail.message_id, Outcome.ACCEPTED)

    carrier.answer = pause_after_first
    messages.deliver_due(db, sending, now=due)
    assert len(carrier.handed) == 1
    assert states(db) == [("accepted", None), ("pending", "campaign_paused")]
    with db.begin() as conn:
        assert plans.cancel(conn, files.DEMO, now=due) == 0
        with pytest.raises(Conflict):
            plans.launch(conn, files.DEMO, now=due)
    messages.deliver_due(db, sending, now=due)
    assert states(db) == [("accepted", None), ("cancelled", "campaign_cancelled")]


def test_a_refused_message_is_tried_again_with_the_same_bytes(
    db: Database, sending: Sending, carrier: Carrier, now: datetime
) -> None:
    due = enrol(db, "camille", now=now)
    carrier.always(Outcome.REFUSED_RETRY)
    messages.deliver_due(db, sending, now=due)
    assert states(db) == [("pending", "provider_busy")]
    with db.begin() as conn:
        plans.update(conn, files.DEMO, definition=world.relaunch(offer=None, products=0), now=due)
    carrier.always(Outcome.ACCEPTED)
    messages.deliver_due(db, sending, now=due + HOUR)
    first, second = carrier.handed
    assert replace(first, attempt=2, deadline=second.deadline) == second and second.attempt == 2
    assert states(db) == [("accepted", None)]


def test_a_provider_that_asks_for_silence_gets_it(
    db: Database, sending: Sending, carrier: Carrier, now: datetime
) -> None:
    due = enrol(db, "a", "b", "c", now=now)
    carrier.always(Outcome.REFUSED_RETRY, busy=True, retry_after=7.0)
    messages.deliver_due(db, sending, now=due)
    messages.deliver_due(db, sending, now=due + timedelta(seconds=6))
    assert len(carrier.handed) == 1
    carrier.always(Outcome.ACCEPTED)
    messages.deliver_due(db, sending, now=due + timedelta(seconds=30))
    assert len(carrier.handed) == 4 and states(db) == [("accepted", None)] * 3


def test_what_a_slow_provider_answers_has_the_time_at_which_it_came(
    db: Database, sending: Sending, carrier: Carrier, now: datetime
) -> None:
    """A run goes on for many seconds; delivery and pauses do not count from its first."""
    due, began = enrol(db, "a", "b", now=now), time.monotonic()
    carrier.answer = after_a_while(carrier, lambda mail: Receipt(mail.message_id, Outcome.ACCEPTED))
    messages.deliver_due(db, sending, now=due)
    took = timedelta(seconds=time.monotonic() - began)
    columns = (tables.messages.c.id, tables.messages.c.accepted_at, tables.messages.c.submitted_at)
    with db.begin() as conn:
        first, second = conn.execute(sa.select(*columns).order_by(tables.messages.c.accepted_at)).all()
        ended = sorted(at for at in conn.scalars(sa.select(tables.attempts.c.ended_at)) if at)
        assert due + SLOW <= first.accepted_at <= second.accepted_at - SLOW <= due + took - SLOW
        assert ended == [first.accepted_at, second.accepted_at] and first.submitted_at == second.submitted_at == due
        assert feedback.too_soon(conn, second.id, now=due + 2 * SLOW + timedelta(seconds=1.9))
        assert not feedback.too_soon(conn, second.id, now=due + took + timedelta(seconds=2))


def test_a_pause_counts_from_the_answer_that_asked_for_it(
    db: Database, sending: Sending, carrier: Carrier, now: datetime
) -> None:
    due = enrol(db, "a", "b", now=now)
    busy = {"outcome": Outcome.REFUSED_RETRY, "busy": True, "retry_after": 7.0}
    carrier.answer = after_a_while(carrier, lambda mail: Receipt(mail.message_id, **busy))
    messages.deliver_due(db, sending, now=due)
    carrier.always(Outcome.ACCEPTED)
    messages.deliver_due(db, sending, now=due + timedelta(seconds=7))
    assert len(carrier.handed) == 1, "the seven seconds began when it asked for them"
    messages.deliver_due(db, sending, now=due + timedelta(seconds=60))
    assert states(db) == [("accepted", None)] * 2


SLOW = timedelta(seconds=0.4)


def after_a_while(carrier: Carrier, answer: Callable[[Mail], Receipt]) -> Callable[[Mail], Receipt]:
    """The same answers, each of them slow."""

    def late(mail: Mail) -> Receipt:
        time.sleep(SLOW.total_seconds())
        return answer(mail)

    return late


def test_five_silences_open_the_breaker_and_one_probe_closes_it(
    db: Database, sending: Sending, carrier: Carrier, now: datetime
) -> None:
    due = enrol(db, *(f"u{number}" for number in range(9)), now=now)
    carrier.always(Outcome.AMBIGUOUS)
    messages.deliver_due(db, sending, now=due)
    assert states(db) == [("pending", "provider_down")] * 4 + [("uncertain", "no_answer")] * 5
    messages.deliver_due(db, sending, now=due + timedelta(seconds=50))
    assert len(carrier.handed) == 6, "one probe, and it failed"
    carrier.always(Outcome.ACCEPTED)
    messages.deliver_due(db, sending, now=due + timedelta(seconds=100))
    assert len(carrier.handed) == 6, "the second pause is longer"
    messages.deliver_due(db, sending, now=due + timedelta(seconds=130))
    messages.deliver_due(db, sending, now=due + timedelta(seconds=131))
    assert len(carrier.handed) == 9, "what is uncertain is never sent again"
    settling.sweep(db, now=due + timedelta(hours=26))
    assert states(db) == [("accepted", None)] * 3 + [("unconfirmed", "no_answer")] * 6


def test_a_wrong_key_stops_the_provider_and_fails_nobody(
    db: Database, sending: Sending, carrier: Carrier, now: datetime
) -> None:
    due = enrol(db, "a", "b", now=now)
    carrier.always(Outcome.MISCONFIGURED)
    messages.deliver_due(db, sending, now=due)
    assert len(carrier.handed) == 1 and {state for state, _ in states(db)} == {"pending"}
    with db.begin() as conn:
        gate = conn.execute(sa.select(tables.provider_gates)).mappings().one()
    assert (gate["breaker"], gate["reason"]) == ("open", "provider_misconfigured")


def test_an_address_that_does_not_exist_is_never_used_again(
    db: Database, sending: Sending, carrier: Carrier, now: datetime
) -> None:
    due = enrol(db, "camille", now=now)
    carrier.always(Outcome.REFUSED_FINAL, bad_address=True)
    messages.deliver_due(db, sending, now=due)
    assert states(db) == [("failed", "refused")]
    with db.begin() as conn:
        hashed = consent.address_hash(conn, "email", "Camille@Example.org")
        assert consent.suppressed(conn, "email", [hashed]) == {hashed}


def test_what_waited_too_long_is_not_sent_any_more(
    db: Database, sending: Sending, carrier: Carrier, now: datetime
) -> None:
    due = enrol(db, "camille", now=now)
    messages.deliver_due(db, sending, now=due + timedelta(hours=49))
    settling.sweep(db, now=due + timedelta(hours=49))
    assert carrier.handed == [] and states(db) == [("expired", "too_late")]


def test_an_order_answered_for_but_not_yet_in_the_record_stops_the_mail(
    db: Database, sending: Sending, carrier: Carrier, now: datetime
) -> None:
    due = enrol(db, "camille", now=now)
    bought = {"order_id": "till-1", "products": [{"product_id": "cocotte", "quantity": 1}], "total": "189.00"}
    with db.begin() as conn:
        order = world.event_of(conn, "camille", "Order Completed", at=due, channel="store", **bought)
    with closing(inbox.Line(db)) as line:
        line.append([inbox.packed(Parcel([order]))], events=1, now=due)
    messages.deliver_due(db, sending, now=due)
    assert carrier.handed == [] and states(db) == [("skipped", "bought")]


def test_every_hand_over_is_in_the_journal_before_it_leaves(
    db: Database, sending: Sending, carrier: Carrier, tmp_path: Path, now: datetime
) -> None:
    due = enrol(db, "camille", now=now)

    def written(mail: Mail) -> Receipt:
        lines = "".join(file.read_text() for file in (tmp_path / "journal").glob("*.log"))
        assert f"{mail.message_id} 1" in lines
        return Receipt(mail.message_id, Outcome.ACCEPTED)

    carrier.answer = written
    assert messages.deliver_due(db, sending, now=due) == "1 accepted"


def test_a_database_that_may_forget_is_not_sent_from(db: Database) -> None:
    with db.begin() as conn:
        messages.refuse_unsafe(conn)
        conn.execute(sa.text("SET LOCAL synchronous_commit = off"))
        with pytest.raises(messages.UnsafeDatabase, match="synchronous_commit"):
            messages.refuse_unsafe(conn)


def test_a_plan_that_names_no_offer_of_ours_is_refused(conn: sa.Connection, now: datetime) -> None:
    with pytest.raises(Invalid, match="/steps/0/offer: is not the name of an offer"):
        plans.create(conn, "x", definition=world.relaunch(offer="NONE"), now=now)
    with pytest.raises(Invalid, match="/name"):
        plans.create(conn, "Not A Name", definition=world.relaunch(offer=None), now=now)
    plans.create(conn, "x", definition=world.relaunch(offer=None), now=now)
    assert plans.update(conn, "x", definition=world.relaunch(offer=None), now=now).version == 1


@pytest.mark.parametrize(("locale", "words"), [("fr", "votre panier vous attend"), ("en", "your basket is waiting")])
def test_who_has_told_no_language_is_spoken_to_in_the_installations(
    db: Database, carrier: Carrier, sending: Sending, now: datetime, locale: str, words: str
) -> None:
    due = enrol(db, "mute", now=now, locale=None, first_name="Ada")
    messages.deliver_due(db, replace(sending, locale=locale), now=due)
    (mail,) = carrier.handed
    assert words in mail.subject
