"""Answers to the questions journeys ask: each once, told as an event; a low score is an alert until somebody saw it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from campaigns import own_events, plans, tables
from campaigns.definitions import steps
from campaigns.definitions.steps import Ask
from campaigns.own_events import Told
from foundation import database
from shop.tables import customers
from shop.vocabulary import Name

messages, answers, campaigns = tables.messages, tables.survey_answers, tables.campaigns

LONGEST_COMMENT = 2_000


@dataclass(frozen=True, slots=True)
class Question:
    """What a message asks, and the scores one may give."""

    message_id: UUID
    step: Ask
    answered: int | None

    @property
    def scores(self) -> range:
        """From the worst to the best."""
        return range(steps.LOWEST[self.step.kind], steps.HIGHEST[self.step.kind] + 1)


def question(conn: sa.Connection, message_id: UUID) -> Question | None:
    """The question of a message, with the score if it was answered; None if it asks nothing."""
    row = conn.execute(_ASKED.where(messages.c.id == message_id)).mappings().one_or_none()
    if row is None:
        return None
    key = (row["campaign_id"], row["version"], row["step"])
    said = plans.said(conn, [key]).get(key)
    return Question(message_id, said.step, row["score"]) if said and isinstance(said.step, Ask) else None


_ASKED = sa.select(messages, answers.c.score).outerjoin(answers, answers.c.message_id == messages.c.id)


def answer(conn: sa.Connection, asked: Question, *, score: int, comment: str, now: datetime) -> bool:
    """Keeps the answer and tells it as an event. False if it was answered before or the score is none of these."""
    if score not in asked.scores:
        return False
    row = conn.execute(sa.select(messages).where(messages.c.id == asked.message_id)).mappings().one()
    worst = asked.step.alert_at_most
    kept = {
        "message_id": asked.message_id,
        "customer_id": row["customer_id"],
        "campaign_id": row["campaign_id"],
        "step": row["step"],
        "kind": asked.step.kind,
        "score": score,
        "comment": _clean(comment) if asked.step.comment else None,
        "answered_at": now,
        "alert": worst is not None and score <= worst,
    }
    if not database.insert_once(conn, answers, kept):
        return False
    said = {"kind": asked.step.kind, "score": score, "comment": kept["comment"] is not None}
    properties = {**own_events.about(dict(row)), **said}
    told = Told(f"survey:{asked.message_id}", Name.SURVEY_ANSWERED, row["customer_id"], now, properties)
    own_events.tell(conn, [told], now=now)
    return True


def _clean(comment: str) -> str | None:
    text = "".join(letter for letter in comment if letter.isprintable() or letter == "\n").strip()
    return text[:LONGEST_COMMENT] or None


@dataclass(frozen=True, slots=True)
class Alert:
    """A low score nobody has dealt with yet."""

    message_id: UUID
    campaign: str
    customer_id: int
    customer: str | None
    kind: str
    score: int
    comment: str | None
    answered_at: datetime


def alerts(conn: sa.Connection, *, campaign_id: int | None = None, limit: int = 50) -> list[Alert]:
    """Low scores still to be dealt with, the oldest first."""
    name = sa.func.nullif(sa.func.concat_ws(" ", customers.c.first_name, customers.c.last_name), "")
    query = (
        sa.select(
            answers,
            campaigns.c.name.label("campaign"),
            sa.func.coalesce(name, customers.c.email, customers.c.user_id).label("customer"),
        )
        .join(campaigns, campaigns.c.id == answers.c.campaign_id)
        .join(customers, customers.c.id == answers.c.customer_id)
        .where(answers.c.alert, answers.c.seen_at.is_(None))
        .order_by(answers.c.answered_at)
        .limit(limit)
    )
    if campaign_id is not None:
        query = query.where(answers.c.campaign_id == campaign_id)
    return database.read(conn, query, Alert)


def saw(conn: sa.Connection, message_id: UUID, *, by: str, now: datetime) -> None:
    """Somebody dealt with it."""
    mine = (answers.c.message_id == message_id) & answers.c.seen_at.is_(None)
    conn.execute(sa.update(answers).where(mine).values(seen_at=now, seen_by=by))


@dataclass(frozen=True, slots=True)
class Result:
    """The answers to one question: how many of each score, from the worst to the best."""

    step: str
    kind: str
    counts: dict[int, int]

    @property
    def answered(self) -> int:
        """How many answered."""
        return sum(self.counts.values())

    @property
    def value(self) -> float:
        """NPS from -100 to 100: promoters (9, 10) less detractors (0 to 6); for the others the mean."""
        if self.kind != "nps":
            return sum(score * number for score, number in self.counts.items()) / self.answered
        happy = sum(number for score, number in self.counts.items() if score >= 9)
        unhappy = sum(number for score, number in self.counts.items() if score <= 6)
        return 100 * (happy - unhappy) / self.answered


def results(conn: sa.Connection, campaign_id: int) -> Sequence[Result]:
    """What was answered to each question of a campaign."""
    query = (
        sa.select(answers.c.step, answers.c.kind, answers.c.score, sa.func.count())
        .where(answers.c.campaign_id == campaign_id)
        .group_by(answers.c.step, answers.c.kind, answers.c.score)
        .order_by(answers.c.step, answers.c.kind, answers.c.score)
    )
    found: dict[tuple[str, str], dict[int, Any]] = {}
    for step, kind, score, number in conn.execute(query):
        found.setdefault((step, kind), {})[score] = number
    return [Result(step, kind, counts) for (step, kind), counts in found.items()]
