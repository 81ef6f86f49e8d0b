"""A draft replayed on the last days: who would have come in, what would have left when, and what it would have cost."""

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from campaigns import eligibility, experiments, given, hours, plans, policy, rehearsal, replay, segments, tables
from campaigns.definitions import shapes
from campaigns.definitions.steps import Ask, Send, Split
from campaigns.plans import Plan
from campaigns.rehearsal import Entrant, Happening, Line, Stage
from campaigns.rules import Policy
from campaigns.states import COUNTED
from shop import consent
from shop.tables import customers, events

BATCH = 2_000
PRICES = {"sms": 5.0}
"""Assumed cost of a message in cents, by channel; what is not named costs nothing by the piece."""


@dataclass(slots=True)
class Outcome:
    """What a draft would have done. `sends` counts by channel and hour; `held` says why others would not have left.

    `codes` counts customers who would have been given a code, by offer. `cut` if there were more entrants than are
    looked at. Splits on segments are answered as things are today.
    """

    days: int
    entered: int = 0
    held_out: int = 0
    cut: bool = False
    replayable: bool = True
    steps: Counter[str] = field(default_factory=Counter)
    sends: Counter[tuple[str, datetime]] = field(default_factory=Counter)
    held: Counter[str] = field(default_factory=Counter)
    left: Counter[str] = field(default_factory=Counter)
    codes: dict[str, set[int]] = field(default_factory=lambda: defaultdict(set))

    @property
    def by_channel(self) -> dict[str, int]:
        """How many messages each channel would have carried."""
        counted: Counter[str] = Counter()
        for (channel, _), number in self.sends.items():
            counted[channel] += number
        return dict(counted)

    @property
    def busiest(self) -> dict[str, tuple[datetime, int]]:
        """The hour in which each channel would have carried most, and how many."""
        most: dict[str, tuple[datetime, int]] = {}
        for (channel, hour), number in sorted(self.sends.items(), key=lambda item: item[0][1]):
            if number > most.get(channel, (hour, 0))[1]:
                most[channel] = (hour, number)
        return most

    @property
    def codes_needed(self) -> dict[str, int]:
        """How many codes of each offer."""
        return {offer: len(people) for offer, people in self.codes.items()}

    @property
    def cost(self) -> int:
        """In cents, at the prices assumed."""
        return round(sum(PRICES.get(channel, 0) * number for channel, number in self.by_channel.items()))


def _unheard(done: int, of: int) -> None:
    """Nobody asked how far it is."""


def run(
    conn: sa.Connection, plan: Plan, *, days: int, now: datetime, note: Callable[[int, int], None] = _unheard
) -> Outcome:
    """The whole draft over the last so many days. Nothing is kept; memory does not grow beyond a batch and counts.

    :param note: told after each batch how many of all who would have come in were looked at
    """
    outcome = Outcome(days, replayable=replay.replayable(plan))
    rules, since = policy.load(conn), now - timedelta(days=days)
    stage = _stage(plan, rules, until=now)
    found = replay.entrants(conn, plan, since=since, until=now)
    outcome.cut = len(found) == replay.MOST
    sent: dict[int, list[datetime]] = {}
    for start in range(0, len(found), BATCH):
        known = _known(conn, stage, found[start : start + BATCH], rules=rules, since=since, now=now)
        for entrant in known.entrants:
            _count(outcome, stage, entrant, known, sent=sent)
        note(min(start + BATCH, len(found)), len(found))
    return outcome


def person(
    conn: sa.Connection, plan: Plan, customer_id: int, *, days: int, now: datetime
) -> list[tuple[Entrant, list[Line]]]:
    """One customer's ways through the draft in the last days, each step with its date; empty if she never came in."""
    rules, since = policy.load(conn), now - timedelta(days=days)
    stage = _stage(plan, rules, until=now)
    mine = [one for one in replay.entrants(conn, plan, since=since, until=now) if one.customer_id == customer_id]
    known = _known(conn, stage, mine, rules=rules, since=since, now=now)
    return [(entrant, rehearsal.walk(stage, entrant)) for entrant in known.entrants]


def _stage(plan: Plan, rules: Policy, *, until: datetime) -> Stage:
    goal, default = plan.definition.goal, timedelta(days=rules.attribution_days)
    window = (shapes.length(goal.within) if goal.within else default) if goal else None
    return Stage(plan.name, plan.definition, plan.flow, eligibility.zone(rules.timezone), window, until)


@dataclass(frozen=True, slots=True)
class _Known:
    """A batch of entrants with what is known of their customers."""

    entrants: Sequence[Entrant]
    rules: Policy
    addressed: Mapping[int, sa.RowMapping]
    agreed: Mapping[str, Mapping[int, consent.State]]
    received: Mapping[int, list[datetime]]


def _known(
    conn: sa.Connection, stage: Stage, found: Sequence[Entrant], *, rules: Policy, since: datetime, now: datetime
) -> _Known:
    ids = sorted({one.customer_id for one in found})
    query = sa.select(customers.c.id, customers.c.email, customers.c.phone, customers.c.timezone)
    rows = {row["id"]: row for row in conn.execute(query.where(customers.c.id == given.any_of(ids))).mappings()}
    happened = _happenings(conn, stage, ids, since=since, now=now)
    ways = _ways(conn, stage, found, now=now)
    purpose = stage.definition.purpose
    return _Known(
        entrants=[
            replace(
                one,
                zone=eligibility.zone(rows[one.customer_id]["timezone"], rules.timezone),
                happenings=happened.get(one.customer_id, ()),
                ways=ways.get(number, {}),
            )
            for number, one in enumerate(found)
            if one.customer_id in rows
        ],
        rules=rules,
        addressed=rows,
        agreed={name: consent.states(conn, ids, channel=name, purpose=purpose) for name in _channels(stage)},
        received=_received(conn, ids, since=since - timedelta(days=rules.cap_days)),
    )


def _channels(stage: Stage) -> set[str]:
    said: set[str] = {node.step.channel for node in stage.flow.nodes.values() if isinstance(node.step, Send | Ask)}
    return {"email" if name == "best" else name for name in said} & {"email", "push", "sms", "onsite"}


def _happenings(
    conn: sa.Connection, stage: Stage, ids: Sequence[int], *, since: datetime, now: datetime
) -> dict[int, list[Happening]]:
    """Everything the draft listens for, of these customers, in the order it happened."""
    names = sorted({name for name, _ in plans.awaited(stage.definition)})
    query = (
        sa.select(
            events.c.customer_id, events.c.occurred_at, events.c.name, events.c.properties,
            events.c.cart_id, events.c.order_id, events.c.product_id,
        )
        .where(
            events.c.customer_id == given.any_of(ids),
            events.c.occurred_at.between(since, now),
            events.c.name.in_(names),
        )
        .order_by(events.c.customer_id, events.c.occurred_at)
    )  # fmt: skip
    found: dict[int, list[Happening]] = defaultdict(list)
    for customer, at, name, properties, *about in conn.execute(query) if names else ():
        told = {**properties, **dict(zip(("cart_id", "order_id", "product_id"), about, strict=True))}
        found[customer].append(Happening(at, name, told))
    return found


def _ways(conn: sa.Connection, stage: Stage, found: Sequence[Entrant], *, now: datetime) -> dict[int, dict[str, int]]:
    """The way each entrant would take at each split, as things are today; one statement a branch."""
    ways: dict[int, dict[str, int]] = defaultdict(dict)
    for name, node in stage.flow.nodes.items():
        if isinstance(node.step, Split):
            for number, branch in _taken(conn, node.step, found, now=now):
                ways[number][name] = branch
    return ways


def _taken(conn: sa.Connection, split: Split, found: Sequence[Entrant], *, now: datetime) -> Iterator[tuple[int, int]]:
    left = dict(enumerate(found))
    for branch, way in enumerate(split.branches):
        fits = {n for n, one in left.items() if all(shapes.holds(test, one.context) for test in way.where)}
        if way.when is not None:
            held = segments.matching(conn, way.when, {left[n].customer_id for n in fits}, now=now)
            fits = {n for n in fits if left[n].customer_id in held}
        for number in fits:
            del left[number]
            yield number, branch
    yield from ((number, len(split.branches)) for number in left)


def _received(conn: sa.Connection, ids: Sequence[int], *, since: datetime) -> dict[int, list[datetime]]:
    """When each of them really got something, from any campaign."""
    ledger = tables.messages.c
    query = (
        sa.select(ledger.customer_id, ledger.submitted_at)
        .where(ledger.customer_id == given.any_of(ids), ledger.submitted_at > since, ledger.state.in_(COUNTED))
        .order_by(ledger.submitted_at)
    )
    found: dict[int, list[datetime]] = defaultdict(list)
    for customer, at in conn.execute(query):
        found[customer].append(at)
    return found


# ------------------------------------------------------------------------------------------------- counting
def _count(outcome: Outcome, stage: Stage, entrant: Entrant, known: _Known, *, sent: dict[int, list[datetime]]) -> None:
    outcome.entered += 1
    outcome.held_out += rehearsal.arm(stage, entrant) == experiments.HOLDOUT
    for line in rehearsal.walk(stage, entrant):
        if line.leave:
            outcome.left[line.leave] += 1
            continue
        outcome.steps[line.step] += 1
        step: Any = stage.flow.nodes[line.step].step
        if isinstance(step, Send | Ask):
            _say(outcome, step, entrant, known, at=line.at, sent=sent)


def _say(
    outcome: Outcome,
    step: Send | Ask,
    entrant: Entrant,
    known: _Known,
    *,
    at: datetime,
    sent: dict[int, list[datetime]],
) -> None:
    """Whether it would have left, and when; or what would have held it back."""
    channel = "email" if step.channel == "best" else step.channel
    customer, rules = entrant.customer_id, known.rules
    row = known.addressed[customer]
    address = {"email": row["email"], "sms": row["phone"]}.get(channel, "here")
    agreed = known.agreed.get(channel, {}).get(customer, consent.State.GRANTED)
    times = sent.setdefault(customer, list(known.received.get(customer, ())))
    if not address:
        outcome.held["no_address"] += 1
    elif agreed != consent.State.GRANTED and (agreed == consent.State.DENIED or channel not in eligibility.OWN_PAGES):
        outcome.held["unsubscribed" if agreed == consent.State.DENIED else "no_consent"] += 1
    elif len(times) - bisect_left(times, at - timedelta(days=rules.cap_days)) >= rules.cap_messages:
        outcome.held["cap"] += 1
    else:
        zone = entrant.zone or eligibility.zone(rules.timezone)
        leaves = hours.awake_at(at, zone, start=rules.quiet_from, end=rules.quiet_until)
        times.insert(bisect_left(times, leaves), leaves)
        outcome.sends[channel, leaves.replace(minute=0, second=0, microsecond=0)] += 1
        if isinstance(step, Send) and step.offer:
            outcome.codes[step.offer].add(customer)
