"""One customer's ways through a draft, walked with what is known of the past instead of waiting for it. Pure."""

import heapq
from collections.abc import Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta, tzinfo
from typing import Any

from campaigns import experiments, journeys
from campaigns.definitions import shapes
from campaigns.definitions.campaign import Campaign
from campaigns.definitions.entries import Watch
from campaigns.definitions.flow import Flow
from campaigns.definitions.steps import SetTrait, WaitFor
from campaigns.journeys import Facts, Place, Turn

MOST_TURNS = 200


@dataclass(frozen=True, slots=True)
class Happening:
    """An event of the past a draft listens for."""

    at: datetime
    name: str
    properties: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Entrant:
    """Somebody who would have come in, with what happened to her afterwards."""

    customer_id: int
    key: str
    at: datetime
    context: Mapping[str, Any] = field(default_factory=dict)
    zone: tzinfo | None = None
    happenings: Sequence[Happening] = ()


@dataclass(frozen=True, slots=True)
class Line:
    """One thing that would have happened: a step that acts, or why she left (`leave` is set)."""

    at: datetime
    step: str
    leave: str | None = None


@dataclass(frozen=True, slots=True)
class Stage:
    """What every entrant of one draft shares. `everywhere_percent` of all customers get nothing of any campaign."""

    name: str
    definition: Campaign
    flow: Flow
    shop_zone: tzinfo
    window: timedelta | None
    until: datetime
    everywhere_percent: float = 0


def arm(stage: Stage, entrant: Entrant) -> str:
    """The group she would fall in."""
    percent = stage.definition.holdout_percent
    return experiments.assign(
        stage.name, entrant.customer_id, holdout_percent=percent, everywhere_percent=stage.everywhere_percent
    )


@dataclass(frozen=True, slots=True)
class Question:
    """Which way a split leads an entrant. `written` are the traits steps have given her by then; `settled` those of
    them given before this moment, which segments know of as well."""

    entrant: Entrant
    split: str
    written: Mapping[str, Any]
    settled: Mapping[str, Any]


Asking = Generator[Question, int, list[list[Line]]]
"""Asks which way splits lead, each to be answered with the number of a branch; ends with the lines of every way."""


@dataclass(slots=True)
class _Way:
    entrant: Entrant
    place: Place
    lines: list[Line] = field(default_factory=list)
    turns: int = 0


Given = list[tuple[datetime, SetTrait]]
"""Traits one customer was given, in the order of time."""


def walk(stage: Stage, entrants: Sequence[Entrant]) -> Asking:
    """The ways of one customer, from each entry until she leaves or the time looked at is over.

    They are walked side by side, in the order of time: what a step of one writes, splits of all find from then on.
    """
    ways = [_Way(one, _start(stage, one)) for one in entrants]
    given: Given = []
    due = [(one.at, number) for number, one in enumerate(entrants)]
    heapq.heapify(due)
    while due:
        now, number = heapq.heappop(due)
        following = yield from _turn(stage, ways[number], given, now)
        if following is not None and following <= stage.until:
            heapq.heappush(due, (following, number))
    return [way.lines for way in ways]


def _start(stage: Stage, entrant: Entrant) -> Place:
    return Place(stage.flow.first, entrant.at, entrant.at, arm(stage, entrant), stage.name, entrant.customer_id)


def _turn(stage: Stage, way: _Way, given: Given, now: datetime) -> Generator[Question, int, datetime | None]:
    """One turn of one way; gives when the next is, or None if there is none."""
    ways: dict[str, int] = {}
    while True:
        turn = journeys.advance(stage.flow, way.place, _facts(stage, way, ways, now=now), window=stage.window, now=now)
        way.place = turn.place
        way.lines += [Line(now, step) for step in turn.acts]
        acting = [stage.flow.nodes[name].step for name in turn.acts]
        given += [(now, step) for step in acting if isinstance(step, SetTrait)]
        if not turn.asks:
            break
        before = [(at, step) for at, step in given if at < now]
        ways[turn.asks] = yield Question(way.entrant, turn.asks, _traits(given), _traits(before))
    way.turns += 1
    if turn.leave:
        way.lines.append(Line(now, turn.place.step, turn.leave))
        return None
    return _next(way.entrant, turn, now) if way.turns < MOST_TURNS else None


def _traits(given: Given) -> dict[str, Any]:
    """What was given last of each trait; nothing is what the shop's door passes over."""
    return {step.trait: step.value for _, step in given if step.value is not None}


def _facts(stage: Stage, way: _Way, ways: Mapping[str, int], *, now: datetime) -> Facts:
    definition, entrant = stage.definition, way.entrant
    goal = [definition.goal] if definition.goal else []
    node = stage.flow.nodes.get(way.place.step)
    waited = [node.step] if node and isinstance(node.step, WaitFor) else []
    return Facts(
        reached=_happened(entrant, goal, since=entrant.at, now=now),
        stopped=_happened(entrant, definition.exit_on, since=entrant.at, now=now),
        heard=_happened(entrant, waited, since=way.place.since, now=now),
        zone=entrant.zone or stage.shop_zone,
        shop_zone=stage.shop_zone,
        ways=ways,
    )


def _happened(entrant: Entrant, watched: Iterable[Watch | WaitFor], *, since: datetime, now: datetime) -> bool:
    return any(
        since < one.at <= now and one.name == watch.event and _same(entrant, one, watch)
        and all(shapes.holds(test, one.properties) for test in watch.where)
        for watch in watched
        for one in entrant.happenings
    )  # fmt: skip


def _same(entrant: Entrant, one: Happening, watch: Watch | WaitFor) -> bool:
    same = getattr(watch, "same", "none")
    return same == "none" or str(one.properties.get(f"{same}_id")) == str(entrant.context.get(f"{same}_id"))


def _next(entrant: Entrant, turn: Turn, now: datetime) -> datetime:
    """When she has her turn again: when she wakes, or when something happens before."""
    wakes = turn.wake_at or now
    return min([one.at for one in entrant.happenings if now < one.at < wakes], default=wakes)
