"""Experiments under way: who was drawn into what, which variant is found better, and where newcomers go."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from campaigns import experiments, plans, policy
from campaigns.definitions import flow
from campaigns.definitions.steps import Experiment
from campaigns.evidence import measures, tables, verdicts
from campaigns.evidence.verdicts import Arm, Verdict
from campaigns.plans import Followed, Plan
from foundation import database
from foundation.database import Database
from foundation.errors import Conflict, NotFound

exposures, kept = tables.exposures, tables.experiment_winners


@dataclass(frozen=True, slots=True)
class Named:
    """A variant newcomers are led to, or were. `by` is empty if the evidence named it; `why` holds its figures."""

    id: int
    step: str
    design: str
    variant: str
    at: datetime
    by: str | None
    why: Mapping[str, Any]
    undone_at: datetime | None
    undone_by: str | None


@dataclass(frozen=True, slots=True)
class Standing:
    """One experiment: its step, what each variant did, what that allows to say, and the winners named so far.

    `since` is when the first customer came to it; `routed` counts those led to a winner, who prove nothing. `before`
    are those drawn while it said something else: they prove nothing of what it says now.
    """

    step: Experiment
    design: str
    arms: Mapping[str, Arm]
    watched: int
    since: datetime | None
    routed: int
    verdict: Verdict
    named: Sequence[Named]
    before: int = 0

    @property
    def winner(self) -> Named | None:
        """The one newcomers are led to now."""
        return next((one for one in self.named if one.undone_at is None), None)


# ------------------------------------------------------------------------------------- in a customer's turn
def standing(conn: sa.Connection, followed: Followed) -> dict[str, str]:
    """The variant newcomers are led to, by experiment, for this version of a campaign."""
    designs = {node.step.id: experiments.design(node.step) for node in _tested(followed)}
    if not designs:
        return {}
    query = sa.select(kept.c.step, kept.c.design, kept.c.variant).where(
        kept.c.campaign_id == followed.campaign_id, kept.c.undone_at.is_(None)
    )
    return {step: variant for step, design, variant in conn.execute(query) if designs.get(step) == design}


def _tested(followed: Followed) -> Iterator[Any]:
    return (node for node in followed.flow.nodes.values() if isinstance(node.step, Experiment))


Passed = Sequence[tuple[sa.RowMapping, Mapping[str, str]]]
"""Enrolments as they were, with the variants drawn by now."""


def expose(conn: sa.Connection, followed: Followed, passed: Passed, *, now: datetime) -> None:
    """Keeps who came to which experiment in this turn, the first time each customer does."""
    fresh = [
        (row, step, variant)
        for row, choices in passed
        if len(choices) > len(row["choices"])
        for step, variant in choices.items()
        if step not in row["choices"]
    ]
    if not fresh:
        return
    designs = {node.step.id: experiments.design(node.step) for node in _tested(followed)}
    better = standing(conn, followed)
    rows = [
        {
            "campaign_id": followed.campaign_id,
            "step": step,
            "design": designs[step],
            "customer_id": row["customer_id"],
            "variant": variant,
            "at": now,
            "silent": row["arm"] != experiments.TREATED,
            "settled": step in better,
        }
        for row, step, variant in fresh
    ]
    conn.execute(postgresql.insert(exposures).on_conflict_do_nothing(), rows)


# ---------------------------------------------------------------------------------------------- judging
def of_plan(conn: sa.Connection, plan: Plan, *, now: datetime) -> list[Standing]:
    """Every experiment of a campaign's present version, in reading order."""
    return [_of_step(conn, plan, step, now=now) for step in _experiments(plan)]


def _experiments(plan: Plan) -> list[Experiment]:
    return [step for _, step in flow.walk(plan.definition.steps) if isinstance(step, Experiment)]


def _of_step(conn: sa.Connection, plan: Plan, step: Experiment, *, now: datetime) -> Standing:
    design, rules = experiments.design(step), policy.load(conn)
    window = measures.window(plan, rules)
    found = measures.of_experiment(conn, plan.id, step.id, design, window=window, policy=rules, now=now)
    arms = {variant.name: found.arms.get(variant.name, Arm()) for variant in step.variants}
    now_said = exposures.c.design == design
    since, routed, before = conn.execute(
        sa.select(
            sa.func.min(exposures.c.at).filter(now_said),
            sa.func.count().filter(now_said, exposures.c.settled),
            sa.func.count().filter(~now_said),
        ).where(exposures.c.campaign_id == plan.id, exposures.c.step == step.id)
    ).one()
    named = sa.select(kept).where(kept.c.campaign_id == plan.id, kept.c.step == step.id, kept.c.design == design)
    return Standing(
        step,
        design,
        arms,
        found.watched,
        since,
        routed,
        verdicts.judge(arms, step.winner, since=since, now=now),
        database.read(conn, named.order_by(kept.c.id.desc()), Named),
        before,
    )


def decide(db: Database, *, now: datetime) -> str | None:
    """Names the winners the evidence allows, of experiments that are to be settled by themselves. Manages its own
    transactions: one a campaign. A winner somebody undid is not named again."""
    told = []
    with db.begin() as conn:
        running = [plan for plan in plans.every(conn) if plan.state == "sending"]
    for plan in running:
        if any(step.winner.automatic for step in _experiments(plan)):
            with db.begin() as conn:
                told += [f"{plan.name} {one}" for one in _decide(conn, plan, now=now)]
    return ", ".join(told) or None


def _decide(conn: sa.Connection, plan: Plan, *, now: datetime) -> list[str]:
    found = []
    for one in of_plan(conn, plan, now=now):
        if one.step.winner.automatic and one.verdict.winner and not one.named:
            _keep(conn, plan, one, one.verdict.winner, by=None, now=now)
            found.append(f"{one.step.id}: {one.verdict.winner}")
    return found


def name(conn: sa.Connection, plan: Plan, step: str, variant: str, *, by: str, now: datetime) -> None:
    """Leads newcomers to a variant, whatever is proved. Raises `NotFound`; `Conflict` if they are led to one."""
    one = next((one for one in of_plan(conn, plan, now=now) if one.step.id == step), None)
    if one is None or variant not in one.arms:
        raise NotFound(f"{plan.name} has no variant {variant} of an experiment {step}")
    if one.winner is not None:
        raise Conflict("winner_named", f"newcomers are led to {one.winner.variant} already")
    _keep(conn, plan, one, variant, by=by, now=now)


def _keep(conn: sa.Connection, plan: Plan, one: Standing, variant: str, *, by: str | None, now: datetime) -> None:
    why = {
        "goal": one.verdict.goal,
        "proved": one.verdict.winner == variant,
        "people": {name: arm.people for name, arm in one.arms.items()},
        "means": {name: getattr(arm, verdicts.MEASURE[one.verdict.goal]).mean for name, arm in one.arms.items()},
        "gaps": {name: asdict(gap) if gap else None for name, gap in one.verdict.gaps.items()},
    }
    row = {"campaign_id": plan.id, "step": one.step.id, "design": one.design, "variant": variant}
    database.insert_once(conn, kept, row | {"at": now, "by": by, "why": why})


def undo(conn: sa.Connection, plan: Plan, step: str, *, by: str, now: datetime) -> None:
    """Newcomers are drawn again as before. Raises `NotFound` if they were led nowhere."""
    undone = (
        sa.update(kept)
        .where(kept.c.campaign_id == plan.id, kept.c.step == step, kept.c.undone_at.is_(None))
        .values(undone_at=now, undone_by=by)
    )
    if not conn.execute(undone).rowcount:
        raise NotFound(f"nobody is led to a variant of {step}")
