"""What stops a campaign by itself: its canary, and too many bounces, complaints or failures. Pure but for `watch`.

The commonest disaster is a person's mistake: a wrong list, a broken template. The first few messages show it.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from math import ceil

import sqlalchemy as sa

from campaigns import plans, policy, tables
from campaigns.definitions import shapes
from campaigns.plans import Plan
from campaigns.rules import Policy
from campaigns.states import FACTS, Reason, State
from foundation.database import Database

messages, campaigns = tables.messages, tables.campaigns

ENOUGH = 50
"""Messages with an answer before shares of them mean anything."""
MANY, FEW = 1_000, 0.3
"""Of fewer messages a complaint or two are chance: up to such a share, in percent, they stop nothing."""
WRONG = (State.BOUNCED, State.COMPLAINED, State.DROPPED, State.FAILED)
LOOK_BACK = timedelta(days=3)
"""What is judged is what left lately: an old trouble that was mended stops nothing."""


@dataclass(frozen=True, slots=True)
class Tally:
    """What became of messages handed over: all with an answer, and those that went wrong, by how."""

    answered: int
    bounces: int
    complaints: int
    failures: int


@dataclass(frozen=True, slots=True)
class Out:
    """A canary that is out: how many messages it has, how many of them are still to leave, and when it is judged."""

    messages: int
    left: int
    judged_at: datetime | None


def out(conn: sa.Connection, plan: Plan) -> Out | None:
    """How the canary of a campaign stands while the others wait for it; None when none is out."""
    canary = plan.definition.canary
    columns = (campaigns.c.canary_left, campaigns.c.canary_since)
    left, since = conn.execute(sa.select(*columns).where(campaigns.c.id == plan.id)).one()
    if canary is None or left is None or plan.state != "sending":
        return None
    return Out(canary.messages, left, since and since + shapes.length(canary.wait))


def too_many(tally: Tally, rules: Policy, *, canary: bool = False) -> str | None:
    """Which limit is passed, if one is. Of a canary a single complaint is one too many."""
    if canary and tally.complaints:
        return "complaints"
    if tally.answered < (1 if canary else ENOUGH):
        return None
    complaints = rules.guard_complaints
    if complaints and tally.answered < MANY:
        complaints = max(complaints, FEW)
    for word, limit in (
        ("bounces", rules.guard_bounces),
        ("complaints", complaints),
        ("failures", rules.guard_failures),
    ):
        if getattr(tally, word) * 100 > limit * tally.answered:
            return word
    return None


def watch(db: Database, *, now: datetime) -> str | None:
    """Looks at every campaign that sends. One transaction each."""
    with db.begin() as conn:
        rules = policy.load(conn)
        running = plans.running(conn, now=now)
    stopped = []
    for plan in running:
        with db.begin() as conn:
            why = _canary(conn, plan, rules, now=now) or _limits(conn, plan, rules, now=now)
            if why:
                stopped.append(f"{plan.name} paused: {why}")
    return ", ".join(stopped) or None


def _limits(conn: sa.Connection, plan: Plan, rules: Policy, *, now: datetime) -> str | None:
    """Counted since it was last changed or taken up, or lately: whoever did that has seen the figures."""
    since = max(now - LOOK_BACK, plan.updated_at)
    if _harmless(conn, plan.id, rules, since=since):
        return None
    tally = _tally(conn, plan.id, since=since)
    why = too_many(tally, rules)
    if why:
        plans.pause_itself(conn, plan, reason=why, detail=asdict(tally), now=now)
    return why


def _canary(conn: sa.Connection, plan: Plan, rules: Policy, *, now: datetime) -> str | None:
    """Tops the canary up until enough of it is handed over; then waits, judges, and lets the rest go or pauses."""
    canary = plan.definition.canary
    row = conn.execute(
        sa.select(campaigns.c.canary_left, campaigns.c.canary_since).where(campaigns.c.id == plan.id).with_for_update()
    ).one()
    if canary is None or row.canary_left is None or row.canary_left > 0:
        return None
    counts = _states(conn, plan.id)
    if counts.get(State.CLAIMED, 0) + counts.get(State.SUBMITTING, 0):
        return None
    handed = sum(counts.get(state, 0) for state in (*FACTS, State.FAILED, State.UNCERTAIN, State.UNCONFIRMED))
    if handed < canary.messages:
        _set(conn, plan, left=canary.messages - handed, since=None)
        return None
    if row.canary_since is None:
        _set(conn, plan, left=0, since=now)
        return None
    if now < row.canary_since + shapes.length(canary.wait):
        return None
    return _judge(conn, plan, rules, now=now)


def _judge(conn: sa.Connection, plan: Plan, rules: Policy, *, now: datetime) -> str | None:
    tally = _tally(conn, plan.id, since=plan.launched_at or now)
    why = too_many(tally, rules, canary=True)
    if why:
        plans.pause_itself(conn, plan, reason="canary", detail=asdict(tally) | {"limit": why}, now=now)
    else:
        _set(conn, plan, left=None, since=None)
    return f"canary, {why}" if why else None


def _set(conn: sa.Connection, plan: Plan, *, left: int | None, since: datetime | None) -> None:
    values = {"canary_left": left, "canary_since": since}
    conn.execute(sa.update(campaigns).where(campaigns.c.id == plan.id).values(values))


def _states(conn: sa.Connection, campaign_id: int) -> Mapping[str, int]:
    """Of all that was begun, and what could not be; what merely waits may be a million."""
    begun = messages.c.submitted_at.is_not(None) | messages.c.state.in_((State.CLAIMED, State.SUBMITTING))
    query = sa.select(messages.c.state, sa.func.count()).where(
        messages.c.campaign_id == campaign_id, begun | messages.c.state.in_(WRONG)
    )
    return {state: number for state, number in conn.execute(query.group_by(messages.c.state))}


def _tally(conn: sa.Connection, campaign_id: int, *, since: datetime) -> Tally:
    answered = messages.c.state.in_((*FACTS, State.FAILED))
    return Tally(*conn.execute(sa.select(sa.func.count(), *_WENT_WRONG).where(_of(campaign_id, since), answered)).one())


def _of(campaign_id: int, since: datetime) -> sa.ColumnElement[bool]:
    """What was handed over since then, or failed before it could be."""
    never = messages.c.submitted_at.is_(None) & messages.c.state.in_(WRONG) & (messages.c.resolved_at >= since)
    return (messages.c.campaign_id == campaign_id) & ((messages.c.submitted_at >= since) | never)


_WENT_WRONG = (
    sa.func.count().filter(messages.c.state == State.BOUNCED, messages.c.reason == Reason.HARD_BOUNCE),
    sa.func.count().filter(messages.c.state == State.COMPLAINED),
    sa.func.count().filter(messages.c.state.in_((State.FAILED, State.DROPPED))),
)


def _harmless(conn: sa.Connection, campaign_id: int, rules: Policy, *, since: datetime) -> bool:
    """Whether no limit is passed, without counting a million that went well: only as many as make what went wrong few
    enough."""
    lately = _of(campaign_id, since)
    wrong = conn.execute(sa.select(*_WENT_WRONG).where(lately, messages.c.state.in_(WRONG))).one()
    limits = (rules.guard_bounces, rules.guard_complaints, rules.guard_failures)
    if any(number and not limit for number, limit in zip(wrong, limits, strict=True)):
        return False
    enough = max((ceil(number * 100 / limit) for number, limit in zip(wrong, limits, strict=True) if number), default=0)
    if not enough:
        return True
    answered = sa.select(sa.literal(1)).where(lately, messages.c.state.in_((*FACTS, State.FAILED))).limit(enough)
    return (conn.scalar(sa.select(sa.func.count()).select_from(answered.subquery())) or 0) >= enough
