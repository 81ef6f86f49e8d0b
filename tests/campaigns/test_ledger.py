"""Reading what became of messages: the ledger, one customer's line of time, the codes, the runs."""

from datetime import datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from campaigns import code_book, enrolments, files, ledger, messages, offer_figures, offers, plans, tables, timeline
from campaigns.channels.outbox import OutboxChannel
from foundation.database import Database, new_id
from foundation.errors import NotFound
from recommender import runs
from recommender.tables import training_runs
from shop import events
from tests.campaigns import world


@pytest.fixture
def sent(db: Database, now: datetime, tmp_path: Path) -> Database:
    """Two baskets left: one mail in the outbox, one not sent for want of a yes."""
    with db.begin() as conn:
        world.stock_shop(conn, now=now)
        world.make_customer(conn, "camille", at=now, first_name="Camille", last_name="Laurent")
        world.make_customer(conn, "paul", at=now, consents=False)
        world.leave_cart(conn, "camille", at=now)
        world.leave_cart(conn, "paul", at=now)
        world.launch(conn, now=now)
    later = now + timedelta(hours=2)
    enrolments.admit_due(db, now=later)
    enrolments.advance_due(db, now=later)
    messages.deliver_due(db, world.sending(OutboxChannel(db), tmp_path), now=later)
    return db


def test_every_message_stands_in_one_part_of_the_sum(sent: Database) -> None:
    with sent.begin() as conn:
        total = ledger.total(ledger.sums(conn))
        assert (total.planned, total.accepted, total.not_sent) == (2, 1, 1)
        assert ledger.reasons(conn) == [("no_consent", 1)]
        assert ledger.waiting(conn, plans.get(conn, files.DEMO).id) == 2


def test_the_ledger_is_read_by_pages(sent: Database) -> None:
    with sent.begin() as conn:
        first = ledger.page(conn, limit=1)
        second = ledger.page(conn, before=(first[0].queued_at, first[0].id), limit=1)
        assert {first[0].customer, second[0].customer} == {"Camille Laurent", "paul@example.org"}
        assert ledger.page(conn, before=(second[0].queued_at, second[0].id)) == []
        assert [line.reason for line in ledger.page(conn, state="skipped")] == ["no_consent"]


def test_one_message_is_read_with_all_around_it(sent: Database) -> None:
    with sent.begin() as conn:
        line = ledger.page(conn, state="accepted")[0]
        message = ledger.get(conn, line.id)
        assert message.content is not None and (message.content.code_shown or "").startswith("AUBIER-")
        assert [attempt.outcome for attempt in message.attempts] == ["accepted"]
        with pytest.raises(NotFound):
            ledger.get(conn, new_id())


def test_a_mail_is_new_until_someone_opens_it(sent: Database, now: datetime) -> None:
    with sent.begin() as conn:
        mail = ledger.mails(conn)[0]
        assert mail.excerpt.startswith("Vous aviez choisi"), "as in any mail reader, not the link above the message"
        assert ledger.unread(conn) == 1
        opened = ledger.open_mail(conn, mail.message_id, now=now)
        assert (opened.opened_at, ledger.unread(conn)) == (now, 0)
        assert ledger.mails(conn, before=mail.received_at) == []
        with pytest.raises(NotFound):
            ledger.open_mail(conn, new_id(), now=now)


def test_a_shut_gate_is_named(sent: Database, now: datetime) -> None:
    with sent.begin() as conn:
        gate = {"breaker": "open", "reason": "provider_down", "blocked_until": now}
        conn.execute(sa.update(tables.provider_gates).values(gate))
        assert [(gate.provider, gate.reason) for gate in ledger.shut_gates(conn)] == [("outbox", "provider_down")]


def test_codes_are_counted_by_where_they_stand(sent: Database, now: datetime) -> None:
    with sent.begin() as conn:
        offer = offers.get(conn, "WELCOME-BACK")
        (line,) = code_book.latest(conn, offer.id, limit=10)
    offer_figures.keep_up(sent, now=now + timedelta(hours=3))
    with sent.begin() as conn:
        fresh, _ = offer_figures.of(conn, offer.id)
    offer_figures.keep_up(sent, now=now + timedelta(days=60))
    with sent.begin() as conn:
        stale, _ = offer_figures.of(conn, offer.id)
    assert (fresh.issued, fresh.expired, stale.issued, stale.expired) == (1, 0, 0, 1)
    assert line.customer == "Camille Laurent" and line.shown.startswith("AUBIER-")


def test_a_line_of_time_has_neither_gap_nor_repeat_even_within_one_moment(sent: Database) -> None:
    with sent.begin() as conn:
        customer_id = ledger.page(conn, state="accepted")[0].customer_id
        whole = timeline.page(conn, customer_id, limit=100)
        paged: list[timeline.Moment] = []
        while found := timeline.page(conn, customer_id, before=paged[-1].place if paged else None, limit=1):
            paged += found
    assert [moment.place for moment in paged] == [moment.place for moment in whole]
    assert [moment.kind for moment in whole] == ["message", "event", "event", "event", "consent"]


def test_the_last_events_are_those_of_the_last_minute_with_any(sent: Database, now: datetime) -> None:
    with sent.begin() as conn:
        assert [event.name for event in events.latest(conn, limit=1)] == ["Message Sent"]


def test_runs_are_read_newest_first_with_the_live_one_marked(conn: sa.Connection, now: datetime) -> None:
    assert events.latest(conn, limit=5) == []
    results = [{"algorithm": "served", "recall@10": 0.2}]
    for state in ("failed", "refused"):
        row = {"started_at": now, "finished_at": now + timedelta(seconds=9), "state": state, "results": results}
        conn.execute(sa.insert(training_runs).values(row))
    last, first = runs.latest(conn)
    assert (last.state, first.state, last.live, last.kept) == ("refused", "failed", False, False)
    assert (last.figure("served", "recall@10"), last.figure("als", "recall@10")) == (0.2, None)
    assert last.took == timedelta(seconds=9)
