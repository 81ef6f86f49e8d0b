"""Experiments from the first draw to a winner, where newcomers go then, and back."""

from datetime import datetime, timedelta

import pytest
import sqlalchemy as sa

from campaigns import enrolments, experiments, plans, tables
from campaigns.definitions.steps import Experiment
from campaigns.evidence import winners
from campaigns.evidence.tables import exposures
from campaigns.evidence.verdicts import Lacking
from foundation.database import Database
from foundation.errors import Conflict, Fault, Invalid, NotFound
from tests.campaigns import journey, world
from tests.campaigns.evidence import people
from tests.campaigns.journey import send

DAY, MINUTE = timedelta(days=1), timedelta(minutes=1)
HEARD = {"type": "event", "event": "Signed Up"}


def tone(automatic: bool = True, weights: tuple[int, int] = (1, 1), **rule: object) -> dict[str, object]:
    """An experiment of two messages, judged by buyers."""
    variants = [
        {"name": name, "weight": weight, "steps": [send(f"say-{name}")]}
        for name, weight in zip(("warm", "dry"), weights, strict=True)
    ]
    judged = {"goal": "buyers", "people": 200, "conversions": 25, "days": 7, "automatic": automatic} | rule
    return {"type": "experiment", "id": "tone", "variants": variants, "winner": judged}


def launched(db: Database, now: datetime, **changes: object) -> plans.Plan:
    return journey.launch(db, HEARD, [tone(**changes)], now=now, goal={"within": "5d"})  # type: ignore[arg-type]


def came(db: Database, users: range, *, at: datetime) -> dict[str, str]:
    """They sign up; which variant each is drawn into."""
    with db.begin() as conn:
        for number in users:
            world.make_customer(conn, f"u{number}", at=at)
            world.say(conn, f"u{number}", "Signed Up", at=at)
    journey.tick(db, at + MINUTE)
    held, who = tables.enrolments, journey._people
    query = sa.select(who.c.user_id, held.c.choices).join(who, who.c.id == held.c.customer_id)
    with db.begin() as conn:
        return {user: choices["tone"] for user, choices in conn.execute(query) if int(user[1:]) in users}


def proved(db: Database, plan: plans.Plan, *, at: datetime) -> None:
    """Six hundred people prove warm words better."""
    with db.begin() as conn:
        ids = people.made(conn, 1_200, at=at)
        people.drawn(conn, plan, "tone", "warm", ids[:600], at=at)
        people.drawn(conn, plan, "tone", "dry", ids[600:], at=at)
        people.bought(conn, ids[:200], at=at + DAY)
        people.bought(conn, ids[600:640], at=at + DAY, name="dry")


def test_who_came_to_an_experiment_is_kept_once_with_what_she_drew(db: Database, now: datetime) -> None:
    plan = launched(db, now)
    drawn = came(db, range(6), at=now)
    with db.begin() as conn:
        rows = conn.execute(sa.select(exposures)).mappings().all()
    assert sorted(row["variant"] for row in rows) == sorted(drawn.values())
    assert {row["at"] for row in rows} == {now + MINUTE} and not any(row["settled"] or row["silent"] for row in rows)
    step = plan.flow.nodes["tone"].step
    assert isinstance(step, Experiment)
    assert {row["design"] for row in rows} == {experiments.design(step)}
    for row in rows:
        weights = {"warm": 1, "dry": 1}
        assert row["variant"] == experiments.draw("journey:tone", row["customer_id"], weights=weights)


def test_the_evidence_names_a_winner_and_newcomers_go_its_way(db: Database, now: datetime) -> None:
    plan = launched(db, now, weights=(1, 9))
    before = came(db, range(8), at=now)
    proved(db, plan, at=now)
    assert winners.decide(db, now=now + 6 * DAY) is None
    assert winners.decide(db, now=now + 8 * DAY) == "journey tone: warm"
    assert winners.decide(db, now=now + 8 * DAY) is None
    after = came(db, range(10, 16), at=now + 8 * DAY)
    assert "dry" in before.values() and set(after.values()) == {"warm"}
    with db.begin() as conn:
        one = winners.of_plan(conn, plan, now=now + 14 * DAY)[0]
    assert one.winner and (one.winner.variant, one.winner.by, one.winner.why["proved"]) == ("warm", None, True)
    assert one.winner.at == now + 8 * DAY and one.winner.why["people"]["warm"] >= 600
    assert one.routed == 6 and sum(arm.people for arm in one.arms.values()) == 1_208, "who is led proves nothing"


def test_a_winner_is_undone_and_not_named_again_by_itself(db: Database, now: datetime) -> None:
    plan = launched(db, now)
    proved(db, plan, at=now)
    winners.decide(db, now=now + 8 * DAY)
    with db.begin() as conn:
        winners.undo(conn, plan, "tone", by="ines", now=now + 9 * DAY)
    assert winners.decide(db, now=now + 10 * DAY) is None
    assert set(came(db, range(12), at=now + 10 * DAY).values()) == {"warm", "dry"}
    with db.begin() as conn:
        one = winners.of_plan(conn, plan, now=now + 10 * DAY)[0]
        assert one.winner is None and one.named[0].undone_by == "ines"
        with pytest.raises(NotFound):
            winners.undo(conn, plan, "tone", by="ines", now=now)


def test_somebody_may_lead_newcomers_to_a_variant_whatever_is_proved(db: Database, now: datetime) -> None:
    plan = launched(db, now, automatic=False)
    with db.begin() as conn:
        winners.name(conn, plan, "tone", "dry", by="ines", now=now)
        with pytest.raises(Conflict):
            winners.name(conn, plan, "tone", "warm", by="paul", now=now)
        with pytest.raises(NotFound):
            winners.name(conn, plan, "tone", "loud", by="paul", now=now)
    assert set(came(db, range(6), at=now).values()) == {"dry"}
    with db.begin() as conn:
        named = winners.of_plan(conn, plan, now=now)[0].winner
    assert named and (named.by, named.why["proved"]) == ("ines", False)


def test_an_experiment_that_is_not_automatic_waits_for_somebody(db: Database, now: datetime) -> None:
    plan = launched(db, now, automatic=False)
    proved(db, plan, at=now)
    assert winners.decide(db, now=now + 8 * DAY) is None
    with db.begin() as conn:
        assert winners.of_plan(conn, plan, now=now + 8 * DAY)[0].verdict.winner == "warm"


def test_whoever_changes_a_variant_begins_another_experiment(db: Database, now: datetime) -> None:
    plan = launched(db, now)
    proved(db, plan, at=now)
    winners.decide(db, now=now + 8 * DAY)
    again = launched(db, now + 9 * DAY, weights=(1, 1), people=300)
    with db.begin() as conn:
        assert winners.of_plan(conn, again, now=now + 9 * DAY)[0].winner, "the rule is no part of the experiment"
    other = journey.launch(
        db, HEARD, [tone() | {"variants": [{"name": "warm"}, {"name": "dry"}]}], now=now + 9 * DAY, goal=None
    )
    with db.begin() as conn:
        one = winners.of_plan(conn, other, now=now + 9 * DAY)[0]
    assert one.winner is None and set(one.verdict.lacking) >= {Lacking.PEOPLE, Lacking.DAYS}


def test_a_winners_rule_below_the_least_of_evidence_is_refused(conn: sa.Connection, now: datetime) -> None:
    definition = {"title": "x", "entry": HEARD, "steps": [tone(people=10)]}
    with pytest.raises(Invalid) as refused:
        plans.create(conn, "x", definition=definition, now=now)
    assert refused.value.faults[0].pointer == "/steps/0/winner/people"
    assert isinstance(refused.value.faults[0], Fault)


def test_those_held_out_are_drawn_in_silence_and_prove_nothing_of_variants(db: Database, now: datetime) -> None:
    plan = journey.launch(db, HEARD, [tone()], now=now, holdout_percent=50)
    came(db, range(12), at=now)
    with db.begin() as conn:
        silent = conn.scalar(sa.select(sa.func.count()).where(exposures.c.silent)) or 0
        one = winners.of_plan(conn, plan, now=now + 9 * DAY)[0]
    assert 0 < silent < 12 and sum(arm.people for arm in one.arms.values()) == 12 - silent
    enrolments.advance_due(db, now=now + 9 * DAY)
