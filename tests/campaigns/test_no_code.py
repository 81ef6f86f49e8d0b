"""Messages whose offer has no code left: not sent, with the shared code, or without one, as was chosen."""

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from campaigns import codes, enrolments, files, messages, offers, plans, policy, redeeming, rules, tables
from campaigns.definitions import offers as definitions
from campaigns.sending import Sending
from campaigns.verdicts import Basket, Line
from foundation.database import Database
from foundation.errors import Invalid
from tests.campaigns import world
from tests.campaigns.carriers import Carrier
from tests.campaigns.test_delivery import HOUR, enrol, states

BASKET = Basket("EUR", (Line("cocotte", 1, 18900),))
NEEDS_IT = {"fr": {"subject": "{{ code.text }}", "heading": "h", "intro": "i"}}


@pytest.fixture
def sending(db: Database, carrier: Carrier, tmp_path: Path, now: datetime) -> Iterator[Sending]:
    """A pool of one code, and the relaunch that gives it."""
    with db.begin() as conn:
        world.stock_shop(conn, now=now)
        an_offer(conn, now)
        row = {"code": codes.normalise("soleil-1"), "shown": "soleil-1", "origin": "imported", "state": "free"}
        offer = offers.get(conn, "SUN")
        conn.execute(sa.insert(tables.promo_codes).values(**row, offer_id=offer.id))
        files.ensure_demo(conn, now=now, demo=False)
        policy.save(conn, rules.Policy(quiet_from=None, quiet_until=None), now=now)
        relaunch(conn, now)
        plans.launch(conn, files.DEMO, now=now)
    yield world.sending(carrier, tmp_path, in_flight=1)


def an_offer(conn: sa.Connection, now: datetime, **terms: object) -> None:
    given = {"name": "SUN", "kind": "percentage", "value": 1000, "codes": "pool", **terms}
    offers.put(conn, definitions.parse(given), now=now)


def relaunch(conn: sa.Connection, now: datetime, **send: Any) -> None:
    plans.update(conn, files.DEMO, definition=world.relaunch(offer="SUN", **send), now=now)


def deliver(db: Database, sending: Sending, now: datetime) -> None:
    due = enrol(db, "ann", "bea", now=now)
    messages.deliver_due(db, sending, now=due)


def test_with_the_last_code_gone_a_message_is_not_sent_and_says_why(
    db: Database, sending: Sending, carrier: Carrier, now: datetime
) -> None:
    deliver(db, sending, now)
    assert len(carrier.handed) == 1 and "soleil-1" in carrier.handed[0].html
    assert states(db) == [("accepted", None), ("skipped", "no_code")]
    with db.begin() as conn:
        skipped = tables.messages.c.state == "skipped"
        assert conn.scalar(sa.select(tables.messages.c.detail).where(skipped)) == "empty"
        assert conn.scalars(sa.select(tables.promo_codes.c.state)).all() == ["issued"]


def test_the_shared_code_stands_in_and_tills_take_it(
    db: Database, sending: Sending, carrier: Carrier, now: datetime
) -> None:
    with db.begin() as conn:
        an_offer(conn, now, when_empty="fallback", fallback="SOLEIL-TOUS")
    deliver(db, sending, now)
    shown = {code for mail in carrier.handed for code in ("soleil-1", "SOLEIL-TOUS") if code in mail.html}
    assert shown == {"soleil-1", "SOLEIL-TOUS"} and len(states(db)) == 2
    with db.begin() as conn:
        assert redeeming.validate(conn, "soleil tous", BASKET, now=now + HOUR).valid


def test_a_step_may_send_without_a_code_whatever_its_offer_says(
    db: Database, sending: Sending, carrier: Carrier, now: datetime
) -> None:
    with db.begin() as conn:
        relaunch(conn, now, no_code="without")
    deliver(db, sending, now)
    assert sorted("soleil-1" in mail.html for mail in carrier.handed) == [False, True]
    with db.begin() as conn, pytest.raises(Invalid):
        relaunch(conn, now, no_code="without", words=NEEDS_IT)


def test_words_that_need_a_code_do_not_leave_with_a_hole(
    db: Database, sending: Sending, carrier: Carrier, now: datetime
) -> None:
    with db.begin() as conn:
        an_offer(conn, now, when_empty="without")
        relaunch(conn, now, words=NEEDS_IT)
    deliver(db, sending, now)
    assert [mail.subject for mail in carrier.handed] == ["soleil-1"]
    assert states(db) == [("accepted", None), ("skipped", "no_code")]


def test_a_second_step_carries_the_code_she_holds(
    db: Database, sending: Sending, carrier: Carrier, now: datetime
) -> None:
    with db.begin() as conn:
        definition = world.relaunch(offer="SUN")
        first = definition["steps"][0]
        later = {"type": "wait", "id": "a-while", "duration": "2h"}
        plans.update(
            conn, files.DEMO, definition=definition | {"steps": [first, later, first | {"id": "again"}]}, now=now
        )
    due = enrol(db, "ann", now=now)
    messages.deliver_due(db, sending, now=due)
    enrolments.advance_due(db, now=due + 3 * HOUR)
    messages.deliver_due(db, sending, now=due + 3 * HOUR)
    assert ["soleil-1" in mail.html for mail in carrier.handed] == [True, True]
    with db.begin() as conn:
        assert conn.scalars(sa.select(tables.promo_codes.c.state)).all() == ["issued"]
