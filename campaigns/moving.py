"""People under way are moved to a newer version of their campaign, by choice, after seeing what that does to them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from campaigns import given, plans, tables
from campaigns.definitions import flow
from campaigns.definitions.flow import END, Flow
from campaigns.definitions.steps import Ask, Send
from campaigns.plans import Plan

enrolments = tables.enrolments


@dataclass(frozen=True, slots=True)
class Move:
    """What becomes of those who stand before one step: `people` of them, going on at `to`.

    `missed` are new messages they will not get, because they are past them.
    """

    version: int
    step: str
    to: str
    people: int
    missed: tuple[str, ...]

    @property
    def kept(self) -> bool:
        """They go on where they are: the same step, and what they waited counts."""
        return self.step == self.to


def preview(conn: sa.Connection, plan: Plan) -> list[Move]:
    """What moving would do, for each older version and step somebody stands before; nothing is changed."""
    query = (
        sa.select(enrolments.c.version, enrolments.c.step, sa.func.count())
        .where(
            enrolments.c.campaign_id == plan.id,
            enrolments.c.state == "waiting",
            enrolments.c.version != plan.version,
        )
        .group_by(enrolments.c.version, enrolments.c.step)
        .order_by(enrolments.c.version, enrolments.c.step)
    )
    moves = []
    for version, step, people in conn.execute(query):
        old = flow.lay(plans.version(conn, plan.id, version).steps)
        to = target(old, plan.flow, step)
        moves.append(Move(version, step, to, people, _missed(old, plan.flow, to)))
    return moves


def target(old: Flow, new: Flow, step: str) -> str:
    """The same step if it is still there, else the next one of the old way that is; else the end."""
    while step != END and step not in new.nodes:
        step = old.nodes[step].next if step in old.nodes else END
    return step


def _missed(old: Flow, new: Flow, to: str) -> tuple[str, ...]:
    """New messages they will not get, because they stand behind them already."""
    ahead, place = set[str](), to
    waiting = [place]
    while waiting:
        place = waiting.pop()
        if place in new.nodes and place not in ahead:
            ahead.add(place)
            waiting += [new.nodes[place].next, *new.nodes[place].heads]
    saying = {name for name, node in new.nodes.items() if isinstance(node.step, Send | Ask)}
    return tuple(sorted(saying - ahead - old.nodes.keys()))


def move(conn: sa.Connection, plan: Plan, moves: Sequence[Move], *, now: datetime) -> int:
    """Moves them, as the preview said; gives how many. What they waited so far counts, and each has her turn now."""
    if not moves:
        return 0
    ways = given.rows(
        "ways",
        {
            "version": (sa.Integer(), [one.version for one in moves]),
            "step": (sa.Text(), [one.step for one in moves]),
            "target": (sa.Text(), [one.to for one in moves]),
        },
    )
    statement = (
        sa.update(enrolments)
        .where(
            enrolments.c.campaign_id == plan.id,
            enrolments.c.state == "waiting",
            enrolments.c.version == ways.c.version,
            enrolments.c.step == ways.c.step,
        )
        .values(
            version=plan.version,
            step=ways.c.target,
            step_since=sa.case((ways.c.target == ways.c.step, enrolments.c.step_since), else_=now),
            wake_at=now,
        )
    )
    moved = conn.execute(statement).rowcount
    plans.listen(conn)
    return moved
