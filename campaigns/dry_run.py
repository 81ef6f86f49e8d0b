"""A draft replayed on the last days: who would have come in, what would have left when, and what it would have cost."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TypeGuard

import sqlalchemy as sa

from campaigns import (
    acting,
    dry_sends,
    dry_ways,
    eligibility,
    entering,
    experiments,
    given,
    notes,
    plans,
    policy,
    rehearsal,
    replay,
)
from campaigns.definitions import shapes
from campaigns.definitions.steps import Ask, Send
from campaigns.dry_sends import Left, Reach
from campaigns.eligibility import Skip
from campaigns.plans import Plan
from campaigns.rehearsal import Entrant, Happening, Line, Stage
from campaigns.rules import Policy
from shop.tables import customers, events

BATCH = 2_000


@dataclass(slots=True)
class Outcome:
    """What a draft would have done. `sends` counts by channel and hour; `held` says why others would not have left.

    `codes` counts customers who would have been given a code, by offer. `cut` if there were more entrants than are
    looked at. Splits on segments are answered as things are today, but for traits the draft itself writes. `spent` are
    cents, at the prices of the house. Of those `held_out`, `everywhere` are left alone by every campaign.
    """

    days: int
    entered: int = 0
    held_out: int = 0
    everywhere: int = 0
    cut: bool = False
    replayable: bool = True
    steps: Counter[str] = field(default_factory=Counter)
    sends: Counter[tuple[str, datetime]] = field(default_factory=Counter)
    held: Counter[str] = field(default_factory=Counter)
    left: Counter[str] = field(default_factory=Counter)
    codes: dict[str, set[int]] = field(default_factory=lambda: defaultdict(set))
    spent: float = 0.0

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
        """In whole cents."""
        return round(self.spent)


def _unheard(done: int, of: int) -> None:
    """Nobody asked how far it is."""


def run(
    conn: sa.Connection, plan: Plan, *, days: int, now: datetime, note: Callable[[int, int], None] = _unheard
) -> Outcome:
    """The whole draft over the last so many days. Nothing is kept; memory does not grow beyond a batch and counts.

    :param note: told after each batch how many of all who would have come in were looked at
    """
    rules, since = policy.load(conn), now - timedelta(days=days)
    outcome = Outcome(days, replayable=replay.replayable(plan))
    stage = _stage(conn, plan, rules, until=now)
    parts = _parts(stage, rules)
    found = replay.entrants(conn, plan, since=since, until=now)
    outcome.cut = len(found) == replay.MOST
    segments, done = dry_ways.rules(conn), 0
    for batch in dry_ways.whole(found, BATCH):
        known = _known(conn, stage, batch, rules=rules, since=since, now=now)
        for entrant, lines in dry_ways.walked(conn, stage, known.entrants, segments, now=now):
            _count(outcome, stage, entrant, _told(stage, entrant, lines, known), parts=parts, rules=rules)
        done += len(batch)
        note(done, len(found))
    return outcome


@dataclass(frozen=True, slots=True)
class Way:
    """One time a customer would have come in: her arm, and what followed; `left` says what became of each message."""

    entrant: Entrant
    arm: str
    lines: Sequence[tuple[Line, Left | Skip | None]]


def person(conn: sa.Connection, plan: Plan, customer_id: int, *, days: int, now: datetime) -> list[Way]:
    """One customer's ways through the draft in the last days, each step with its date; empty if she never came in."""
    rules, since = policy.load(conn), now - timedelta(days=days)
    stage = _stage(conn, plan, rules, until=now)
    mine = replay.entrants(conn, plan, since=since, until=now, customer_id=customer_id)
    known = _known(conn, stage, mine, rules=rules, since=since, now=now)
    walked = dry_ways.walked(conn, stage, known.entrants, dry_ways.rules(conn), now=now)
    return [
        Way(entrant, rehearsal.arm(stage, entrant), list(_told(stage, entrant, lines, known)))
        for entrant, lines in walked
    ]


def _stage(conn: sa.Connection, plan: Plan, rules: Policy, *, until: datetime) -> Stage:
    goal, default = plan.definition.goal, timedelta(days=rules.attribution_days)
    window = (shapes.length(goal.within) if goal.within else default) if goal else None
    alone = entering.everywhere(conn, plan)
    return Stage(plan.name, plan.definition, plan.flow, eligibility.zone(rules.timezone), window, until, alone)


@dataclass(frozen=True, slots=True)
class _Known:
    """A batch of entrants with what is known of their customers."""

    entrants: Sequence[Entrant]
    reach: Reach


def _known(
    conn: sa.Connection, stage: Stage, found: Sequence[Entrant], *, rules: Policy, since: datetime, now: datetime
) -> _Known:
    ids = sorted({one.customer_id for one in found})
    query = sa.select(customers.c.id, customers.c.timezone).where(customers.c.id == given.any_of(ids))
    zones = {customer: zone for customer, zone in conn.execute(query)}
    happened = _happenings(conn, stage, ids, since=since, now=now)
    saying = [node.step for node in stage.flow.nodes.values() if _says(node.step)]
    purpose = acting.purpose_of(stage.definition)
    return _Known(
        entrants=[
            replace(
                one,
                zone=eligibility.zone(zones[one.customer_id], rules.timezone),
                happenings=happened.get(one.customer_id, ()),
            )
            for one in found
            if one.customer_id in zones
        ],
        reach=dry_sends.reach(conn, saying, zones, rules=rules, purpose=purpose, since=since, now=now),
    )


def _says(step: object) -> TypeGuard[Send | Ask]:
    """Whether a step speaks to her; one that moves her in an audience does not."""
    return isinstance(step, Ask) or isinstance(step, Send) and not step.audience


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


# ------------------------------------------------------------------------------------------------- counting
def _parts(stage: Stage, rules: Policy) -> dict[str, int]:
    """The parts each message would have as a text message, by step, in the language that takes most."""
    saying = {name: node.step for name, node in stage.flow.nodes.items() if _says(node.step)}
    parts: dict[str, int] = {}
    for name, step in saying.items():
        intros: dict[str, str] = {locale: words.intro for locale, words in (step.words or {}).items()}
        if weight := notes.heaviest(intros, rules):
            parts[name] = weight.parts
    return parts


_Said = tuple[Line, Left | Skip | None]


def _count(
    outcome: Outcome, stage: Stage, entrant: Entrant, told: Iterable[_Said], *, parts: Mapping[str, int], rules: Policy
) -> None:
    outcome.entered += 1
    arm = rehearsal.arm(stage, entrant)
    outcome.held_out += arm != experiments.TREATED
    outcome.everywhere += arm == experiments.EVERYWHERE
    for line, left in told:
        if line.leave:
            outcome.left[line.leave] += 1
            continue
        outcome.steps[line.step] += 1
        if isinstance(left, Skip):
            outcome.held[left.reason] += 1
        elif left is not None:
            outcome.sends[left.channel, left.at.replace(minute=0, second=0, microsecond=0)] += 1
            one = parts.get(line.step, 1) if left.channel == "sms" else 1
            outcome.spent += rules.price(left.channel, one)
            if offer := getattr(stage.flow.nodes[line.step].step, "offer", None):
                outcome.codes[offer].add(entrant.customer_id)


def _told(stage: Stage, entrant: Entrant, lines: Iterable[Line], known: _Known) -> Iterator[_Said]:
    """Her way, and of each message whether it would have left."""
    for line in lines:
        step = stage.flow.nodes[line.step].step if not line.leave else None
        yield line, dry_sends.say(known.reach, step, entrant.customer_id, at=line.at) if _says(step) else None
