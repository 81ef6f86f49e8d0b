"""A question asked, answered once, told as an event; a low score is an alert."""

from datetime import datetime, timedelta
from uuid import UUID

import pytest
import sqlalchemy as sa

from campaigns import surveys, tables
from foundation.database import Database
from shop.tables import events
from tests.campaigns import journey, world
from tests.campaigns.journey import WORDS, launch, send, tick

MINUTE = timedelta(minutes=1)
ASK = {"type": "ask", "id": "stars", "kind": "stars", "words": WORDS, "alert_at_most": 2}


@pytest.fixture
def asked(db: Database, now: datetime) -> UUID:
    """Ada was asked how many stars."""
    with db.begin() as conn:
        world.make_customer(conn, "ada", at=now)
    answered = {
        "type": "wait_for", "id": "answer", "event": "Survey Answered", "timeout": "3d",
        "where": [{"property": "score", "test": "at_most", "value": 2}], "then": [send("sorry")],
    }  # fmt: skip
    launch(db, {"type": "event", "event": "Signed Up"}, [ASK, answered], now=now)
    with db.begin() as conn:
        world.say(conn, "ada", "Signed Up", at=now)
    tick(db, now)
    with db.begin() as conn:
        return UUID(str(conn.scalar(sa.select(tables.messages.c.id))))


def test_a_low_score_is_an_alert_an_event_and_wakes_the_journey(db: Database, asked: UUID, now: datetime) -> None:
    with db.begin() as conn:
        question = surveys.question(conn, asked)
        assert question is not None and list(question.scores) == [1, 2, 3, 4, 5] and question.answered is None
        assert surveys.answer(conn, question, score=1, comment=" Late,\0 and broken. ", now=now + MINUTE)
        (alert,) = surveys.alerts(conn)
        told = conn.scalar(sa.select(events.c.properties).where(events.c.name == "Survey Answered"))
    assert (alert.score, alert.comment, alert.campaign) == (1, "Late, and broken.", "journey")
    assert told is not None and told["score"] == 1 and "broken" not in str(told)
    tick(db, now + 2 * MINUTE)
    assert journey.queued(db) == [("ada", "stars"), ("ada", "sorry")]
    with db.begin() as conn:
        surveys.saw(conn, asked, by="ines@example.org", now=now)
        assert surveys.alerts(conn) == []


def test_an_answer_counts_once_and_only_a_score_there_is(db: Database, asked: UUID, now: datetime) -> None:
    with db.begin() as conn:
        question = surveys.question(conn, asked)
        assert question is not None
        assert not surveys.answer(conn, question, score=6, comment="", now=now)
        assert surveys.answer(conn, question, score=5, comment="", now=now)
        assert not surveys.answer(conn, question, score=1, comment="", now=now)
        again = surveys.question(conn, asked)
        (result,) = surveys.results(conn, conn.scalar(sa.select(tables.campaigns.c.id)) or 0)
    assert again is not None and again.answered == 5
    assert (result.answered, result.value) == (1, 5.0)


def test_nps_is_promoters_less_detractors() -> None:
    assert surveys.Result("q", "nps", {0: 1, 6: 1, 7: 4, 9: 1, 10: 3}).value == 20.0


def test_a_message_that_asks_nothing_has_no_question(db: Database, asked: UUID, now: datetime) -> None:
    with db.begin() as conn:
        assert surveys.question(conn, UUID(int=1)) is None
