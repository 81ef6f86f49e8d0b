"""What happens next to one enrolled customer: `advance` takes her place and the facts, and gives the next turn."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, time, timedelta, tzinfo
from enum import StrEnum

from campaigns import experiments
from campaigns.definitions import entries, shapes
from campaigns.definitions.flow import END, Flow, Node
from campaigns.definitions.steps import Ask, Exit, Experiment, Send, SetTrait, Split, Wait, WaitFor, WaitUntil, Webhook


class Leave(StrEnum):
    """Why an enrolment ends."""

    CONVERTED = "converted"
    EMPTIED = "emptied"
    EXITED = "exited"
    ENDED = "ended"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a customer stands: her next step, since when, and the ways she was drawn into. `salt` draws the next."""

    step: str
    since: datetime
    entered_at: datetime
    arm: str
    salt: str
    customer_id: int
    choices: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of her when it is her turn.

    `heard` is whether the event she waits for came; `ways` says, by split, which branch she takes (-1: none), as far
    as it was asked; `winners` the variant of an experiment that was found better, for those not drawn yet.
    """

    reached: bool = False
    stopped: bool = False
    cart_open: bool = True
    heard: bool = False
    zone: tzinfo | None = None
    shop_zone: tzinfo | None = None
    ways: Mapping[str, int] = field(default_factory=dict)
    winners: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Turn:
    """What to do now: the steps that act, then wait, leave, or ask which way a split leads.

    `passed` are the steps that are behind her now, each with the number of the branch she took.
    """

    place: Place
    acts: tuple[str, ...] = ()
    passed: tuple[tuple[str, int], ...] = ()
    wake_at: datetime | None = None
    leave: Leave | None = None
    asks: str | None = None


def advance(flow: Flow, place: Place, facts: Facts, *, window: timedelta | None, now: datetime) -> Turn:
    """As far as she gets now. The holdout walks the same road in silence, so that both arms are watched as long.

    :param window: how long after she entered the goal counts; without a goal None, and the end of the steps is the end.
    """
    if facts.reached:
        return Turn(place, leave=Leave.CONVERTED)
    if place.step != END and facts.stopped:
        return Turn(place, leave=Leave.EXITED)
    if place.step != END and not facts.cart_open:
        return Turn(place, leave=Leave.EMPTIED)
    acts: list[str] = []
    passed: list[tuple[str, int]] = []
    while place.step in flow.nodes:
        node = flow.nodes[place.step]
        found = _pass(node, place, facts, now=now)
        if isinstance(found, Turn):
            return replace(found, acts=tuple(acts), passed=tuple(passed)) if passed else found
        if isinstance(node.step, Send | Ask | SetTrait | Webhook) and place.arm == experiments.TREATED:
            acts.append(node.step.id)
        passed.append((node.step.id, node.heads.index(found.step) if node.heads else 0))
        place, facts = found, replace(facts, heard=False) if facts.heard else facts
    end = place.entered_at + window if window else now
    if now >= end:
        return Turn(_at(place, END, place.since), tuple(acts), tuple(passed), leave=Leave.ENDED)
    return Turn(_at(place, END, place.since), tuple(acts), tuple(passed), wake_at=end)


def joined(before: Turn, after: Turn) -> Turn:
    """A turn that had to ask on the way, and what came of the answer, as one."""
    if not before.passed:
        return after
    return replace(after, acts=(*before.acts, *after.acts), passed=(*before.passed, *after.passed))


def _pass(node: Node, place: Place, facts: Facts, *, now: datetime) -> Place | Turn:
    """Her place behind this step, or a turn if she stays or leaves here."""
    step = node.step
    if isinstance(step, Exit):
        return Turn(place, leave=Leave.EXITED)
    if isinstance(step, WaitFor | Split | Experiment):
        return _branched(node, place, facts, now=now)
    if isinstance(step, Wait | WaitUntil):
        until = place.since + shapes.length(step.duration) if isinstance(step, Wait) else moment(step, place, facts)
        if now < until:
            return Turn(place, wake_at=until)
    return _at(place, node.next, now)


def _at(place: Place, step: str, since: datetime, choices: Mapping[str, str] | None = None) -> Place:
    """The same customer at another step; written out, because it is done for every step of everybody."""
    drawn = place.choices if choices is None else choices
    return Place(step, since, place.entered_at, place.arm, place.salt, place.customer_id, drawn)


def _branched(node: Node, place: Place, facts: Facts, *, now: datetime) -> Place | Turn:
    """Behind a step that branches she stands at the head of one of its branches."""
    match node.step:
        case WaitFor(timeout=timeout):
            until = place.since + shapes.length(timeout)
            if not facts.heard and now < until:
                return Turn(place, wake_at=until)
            return _at(place, node.heads[0 if facts.heard else 1], now)
        case Experiment(id=name, variants=variants):
            weights = {variant.name: variant.weight for variant in variants}
            drawn = place.choices.get(name, facts.winners.get(name))
            if drawn not in weights:
                drawn = experiments.draw(f"{place.salt}:{name}", place.customer_id, weights=weights)
            head = node.heads[list(weights).index(drawn)]
            return _at(place, head, now, {**place.choices, name: drawn})
    if node.step.id not in facts.ways:
        return Turn(place, asks=node.step.id)
    return _at(place, node.heads[facts.ways[node.step.id]], now)


def moment(step: WaitUntil, place: Place, facts: Facts) -> datetime:
    """The first such hour on such a weekday from when she came here, by the clock the step names."""
    own = {"customer": facts.zone or facts.shop_zone, "shop": facts.shop_zone}
    zone = own[step.zone] if step.zone in own else entries.place(step.zone)
    return next_moment(place.since, zone, at=time.fromisoformat(step.at), weekdays=step.weekdays)


def next_moment(since: datetime, zone: tzinfo | None, *, at: time, weekdays: tuple[str, ...] = ()) -> datetime:
    """The first time from `since` on that it is `at` o'clock there, on one of these weekdays if any are named.

    An hour that the change to summer time leaves out comes an hour later; one that comes twice, the first time.
    """
    day = since.astimezone(zone).date()
    for _ in range(9):
        if not weekdays or entries.WEEKDAYS[day.weekday()] in weekdays:
            found = datetime.combine(day, at, tzinfo=zone).astimezone(since.tzinfo)
            if found >= since:
                return found
        day += timedelta(days=1)
    raise ValueError("no such weekday")
