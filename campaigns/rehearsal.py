"""One customer's way through a draft, walked with what is known of the past instead of waiting for it. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta, tzinfo
from typing import Any

from campaigns import experiments, journeys
from campaigns.definitions import shapes
from campaigns.definitions.campaign import Campaign
from campaigns.definitions.entries import Watch
from campaigns.definitions.flow import Flow
from campaigns.definitions.steps import WaitFor
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
    """Somebody who would have come in, with what happened to her afterwards and the ways splits would send her."""

    customer_id: int
    key: str
    at: datetime
    context: Mapping[str, Any] = field(default_factory=dict)
    zone: tzinfo | None = None
    happenings: Sequence[Happening] = ()
    ways: Mapping[str, int] = field(default_factory=dict)


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


def walk(stage: Stage, entrant: Entrant) -> list[Line]:
    """Her way from the entry until she leaves or the time looked at is over."""
    lines: list[Line] = []
    now = entrant.at
    place = Place(stage.flow.first, now, now, arm(stage, entrant), stage.name, entrant.customer_id)
    for _ in range(MOST_TURNS):
        turn = _turn(stage, entrant, place, now)
        lines += [Line(now, step) for step in turn.acts]
        if turn.leave:
            lines.append(Line(now, turn.place.step, turn.leave))
            break
        place, now = turn.place, _next(entrant, turn, now)
        if now > stage.until:
            break
    return lines


def _turn(stage: Stage, entrant: Entrant, place: Place, now: datetime) -> Turn:
    definition = stage.definition
    goal = [definition.goal] if definition.goal else []
    node = stage.flow.nodes.get(place.step)
    waited = [node.step] if node and isinstance(node.step, WaitFor) else []
    facts = Facts(
        reached=_happened(entrant, goal, since=entrant.at, now=now),
        stopped=_happened(entrant, definition.exit_on, since=entrant.at, now=now),
        heard=_happened(entrant, waited, since=place.since, now=now),
        zone=entrant.zone or stage.shop_zone,
        shop_zone=stage.shop_zone,
        ways=entrant.ways,
    )
    return journeys.advance(stage.flow, place, facts, window=stage.window, now=now)


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
